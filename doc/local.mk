# SPDX-License-Identifier: MIT
# Design and format, and the examples.
dist_doc_DATA += doc/FORMAT.md
EXTRA_DIST += doc/bench-reads.svg doc/bench-writes.svg

# What ./quickstart runs: public API only, like any program outside.
noinst_PROGRAMS += doc/examples/packages/packages
doc_examples_packages_packages_SOURCES = \
	doc/examples/packages/count.c \
	doc/examples/packages/data.c \
	doc/examples/packages/load.c \
	doc/examples/packages/main.c \
	doc/examples/packages/packages.h \
	doc/examples/packages/read.c \
	doc/examples/packages/verify.c
doc_examples_packages_packages_CPPFLAGS = -D_GNU_SOURCE -I$(top_srcdir)/include
doc_examples_packages_packages_LDADD = libbtstore.la
doc_examples_packages_packages_LDFLAGS = $(AM_LDFLAGS)

# The example of README and libbtstore(3); tests/process/installed compiles it as a stranger would.
noinst_PROGRAMS += doc/examples/hello
doc_examples_hello_CPPFLAGS = -I$(top_srcdir)/include
doc_examples_hello_LDADD = libbtstore.la
doc_examples_hello_LDFLAGS = $(AM_LDFLAGS)
dist_doc_DATA += doc/DESIGN.md doc/PERFORMANCE.md
