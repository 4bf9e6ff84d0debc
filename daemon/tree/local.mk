# SPDX-License-Identifier: MIT
# tree, floor 4b: copy-on-write changes.
noinst_LTLIBRARIES += daemon/tree/libtree.la
daemon_tree_libtree_la_SOURCES =

tree_libs = daemon/tree/libtree.la $(pages_libs)
