# SPDX-License-Identifier: MIT
# client, floor 3a: what btstore.h promises.
noinst_LTLIBRARIES += src/client/libclient.la
src_client_libclient_la_SOURCES =

client_libs = src/client/libclient.la $(read_libs)

# libbtstore, the public library: the four rooms a program that reads needs.
#
# -version-info CURRENT:REVISION:AGE, changed once per release, never between:
#   only the code changed            REVISION + 1
#   a symbol was added               CURRENT + 1, REVISION = 0, AGE + 1
#   a symbol was changed or removed  CURRENT + 1, REVISION = 0, AGE = 0
# Symbols are listed in libbtstore.sym; the lint `symbols` compares that list
# with btstore.h and with the built library.
btstore_version_info = 0:0:0

lib_LTLIBRARIES += libbtstore.la
libbtstore_la_SOURCES =
libbtstore_la_LIBADD = $(client_libs)
libbtstore_la_LDFLAGS = $(AM_LDFLAGS) -no-undefined \
	-version-info $(btstore_version_info) \
	-Wl,--version-script=$(top_srcdir)/src/client/libbtstore.sym
EXTRA_libbtstore_la_DEPENDENCIES = src/client/libbtstore.sym
EXTRA_DIST += src/client/libbtstore.sym

pkgconfig_DATA += btstore.pc
