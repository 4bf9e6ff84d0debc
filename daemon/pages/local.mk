# SPDX-License-Identifier: MIT
# pages, floor 3b: where new pages come from.
noinst_LTLIBRARIES += daemon/pages/libpages.la
daemon_pages_libpages_la_SOURCES =

pages_libs = daemon/pages/libpages.la $(read_libs)
