# SPDX-License-Identifier: MIT
# commit, floor 5b: making it durable and visible.
noinst_LIBRARIES += daemon/commit/libcommit.a
daemon_commit_libcommit_a_SOURCES = \
	daemon/commit/checkpoint.c daemon/commit/checkpoint.h \
	daemon/commit/commit.c daemon/commit/commit.h \
	daemon/commit/commit_private.h \
	daemon/commit/create.c \
	daemon/commit/group.c \
	daemon/commit/histogram.c daemon/commit/histogram.h \
	daemon/commit/large.c \
	daemon/commit/pending_log.c daemon/commit/pending_log.h \
	daemon/commit/pending_scan.c \
	daemon/commit/publish.c daemon/commit/publish.h \
	daemon/commit/recover.c daemon/commit/recover.h \
	daemon/commit/schedule.c \
	daemon/commit/store_files.c daemon/commit/store_files.h \
	daemon/commit/worker.c daemon/commit/worker.h

commit_libs = daemon/commit/libcommit.a $(tree_libs) $(URCU_LIBS)
