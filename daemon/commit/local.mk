# SPDX-License-Identifier: MIT
# commit, floor 5b: making it durable and visible.
noinst_LTLIBRARIES += daemon/commit/libcommit.la
daemon_commit_libcommit_la_SOURCES =

commit_libs = daemon/commit/libcommit.la $(tree_libs)
