# SPDX-License-Identifier: MIT
# read, floor 2: pure reading of a tree.
noinst_LTLIBRARIES += src/read/libread.la
src_read_libread_la_SOURCES = \
	src/read/bucket.c src/read/bucket.h \
	src/read/cursor.c src/read/cursor.h \
	src/read/map.c src/read/map.h \
	src/read/multi_get.c src/read/multi_get.h \
	src/read/page_source.c src/read/page_source.h \
	src/read/slots.c src/read/slots.h \
	src/read/snapshot.h \
	src/read/tree.c src/read/tree.h \
	src/read/tree_check.c src/read/tree_check.h src/read/tree_check_maps.c

read_libs = src/read/libread.la $(format_libs) $(URCU_LIBS)
