# SPDX-License-Identifier: MIT
# read, floor 2: pure reading of a tree.
noinst_LIBRARIES += src/read/libread.a
src_read_libread_a_SOURCES = \
	src/read/bucket.c src/read/bucket.h \
	src/read/cursor.c src/read/cursor.h \
	src/read/map.c src/read/map.h \
	src/read/multi_get.c src/read/multi_get.h \
	src/read/page_copy.c src/read/page_copy.h \
	src/read/page_source.c src/read/page_source.h \
	src/read/salvage.c src/read/salvage.h src/read/salvage_private.h \
	src/read/salvage_cover.c src/read/salvage_cover.h \
	src/read/salvage_directory.c \
	src/read/salvage_map.c src/read/salvage_map.h \
	src/read/salvage_meta.c src/read/salvage_meta.h \
	src/read/salvage_orphans.c \
	src/read/salvage_pages.c src/read/salvage_pages.h \
	src/read/salvage_ranges.c src/read/salvage_ranges.h \
	src/read/salvage_report.c src/read/salvage_report.h \
	src/read/salvage_scan.c src/read/salvage_scan.h \
	src/read/salvage_walk.c src/read/salvage_walk.h \
	src/read/slots.c src/read/slots.h \
	src/read/snapshot.h \
	src/read/tree.c src/read/tree.h \
	src/read/tree_check.c src/read/tree_check.h src/read/tree_check_maps.c

read_libs = src/read/libread.a $(format_libs) $(URCU_LIBS)
