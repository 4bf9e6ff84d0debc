# SPDX-License-Identifier: MIT
# What goes with an installation, and what a developer's machine needs.
EXTRA_DIST += dist/packages.sh

# One unit for every store: btstored@app serves /var/lib/btstore/app.bts.
systemdsystemunit_DATA = dist/btstored@.service
EXTRA_DIST += dist/btstored@.service.in
CLEANFILES += dist/btstored@.service

dist/btstored@.service: dist/btstored@.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) dist && \
	sed 's|@sbindir[@]|$(sbindir)|g' $(srcdir)/dist/btstored@.service.in >$@.tmp && mv $@.tmp $@
