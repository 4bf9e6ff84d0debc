# SPDX-License-Identifier: MIT
# tree, floor 4b: copy-on-write changes.
noinst_LIBRARIES += daemon/tree/libtree.a
daemon_tree_libtree_a_SOURCES = \
	daemon/tree/apply.c daemon/tree/apply.h daemon/tree/apply_private.h \
	daemon/tree/buckets.c daemon/tree/buckets.h \
	daemon/tree/conditions.c daemon/tree/conditions.h \
	daemon/tree/edit.c daemon/tree/edit.h \
	daemon/tree/foresee.c daemon/tree/foresee.h \
	daemon/tree/gather.c daemon/tree/gather.h \
	daemon/tree/merge.c daemon/tree/merge.h \
	daemon/tree/open_buckets.c daemon/tree/open_buckets.h \
	daemon/tree/range.c \
	daemon/tree/results.c daemon/tree/results.h \
	daemon/tree/split.c daemon/tree/split.h \
	daemon/tree/spread.c daemon/tree/spread.h \
	daemon/tree/tree_write.c daemon/tree/tree_write.h

tree_libs = daemon/tree/libtree.a $(pages_libs)
