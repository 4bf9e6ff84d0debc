# SPDX-License-Identifier: MIT
# client, floor 3a: what btstore.h promises.
noinst_LIBRARIES += src/client/libclient.a
src_client_libclient_a_SOURCES = \
	src/client/alone.c src/client/alone.h \
	src/client/attach.c src/client/attach.h \
	src/client/attachment.c src/client/attachment.h \
	src/client/connection.c src/client/connection.h \
	src/client/daemon_start.c src/client/daemon_start.h \
	src/client/deadline.h \
	src/client/fork_guard.c src/client/fork_guard.h \
	src/client/locate.c src/client/locate.h \
	src/client/look.c \
	src/client/pending_count.c src/client/pending_count.h \
	src/client/pipeline.c src/client/pipeline.h \
	src/client/read.c \
	src/client/salvage.c \
	src/client/salvage_log.c src/client/salvage_log.h \
	src/client/salvage_replay.c src/client/salvage_replay.h \
	src/client/salvage_settled.c src/client/salvage_settled.h \
	src/client/salvage_writer.c src/client/salvage_writer.h \
	src/client/snapshot.c src/client/snapshot_private.h \
	src/client/stat.c \
	src/client/store.c src/client/store.h \
	src/client/store_check.c \
	src/client/store_check_twice.c src/client/store_check_twice.h \
	src/client/tool.c src/client/tool.h \
	src/client/wait.c \
	src/client/write.c

client_libs = src/client/libclient.a $(read_libs)

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
libbtstore_la_SOURCES = $(src_base_libbase_a_SOURCES) $(src_format_libformat_a_SOURCES) \
	$(src_read_libread_a_SOURCES) $(src_client_libclient_a_SOURCES)
libbtstore_la_CFLAGS = $(AM_CFLAGS) # its objects have names of their own: libtool makes them
libbtstore_la_LIBADD = $(URCU_LIBS)
libbtstore_la_LDFLAGS = $(AM_LDFLAGS) -no-undefined \
	-version-info $(btstore_version_info) \
	-Wl,--version-script=$(top_srcdir)/src/client/libbtstore.sym
EXTRA_libbtstore_la_DEPENDENCIES = src/client/libbtstore.sym
EXTRA_DIST += src/client/libbtstore.sym

pkgconfig_DATA += btstore.pc
