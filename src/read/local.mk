# SPDX-License-Identifier: MIT
# read, floor 2: pure reading of a tree.
noinst_LTLIBRARIES += src/read/libread.la
src_read_libread_la_SOURCES =

read_libs = src/read/libread.la $(format_libs) $(URCU_LIBS)
