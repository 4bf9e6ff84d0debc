# SPDX-License-Identifier: MIT
# server, floor 6b: the only room that may include <event2/*>.
noinst_LIBRARIES += daemon/server/libserver.a
daemon_server_libserver_a_SOURCES = \
	daemon/server/commands.c daemon/server/commands.h \
	daemon/server/commands_bucket.c \
	daemon/server/commands_connection.c \
	daemon/server/commands_info.c \
	daemon/server/commands_keys.c \
	daemon/server/commands_native.c \
	daemon/server/commands_scan.c \
	daemon/server/commands_transaction.c \
	daemon/server/glob.c daemon/server/glob.h \
	daemon/server/group.c daemon/server/group.h \
	daemon/server/listener.c daemon/server/listener.h \
	daemon/server/log.c daemon/server/log.h \
	daemon/server/options.c daemon/server/options.h \
	daemon/server/peer.c daemon/server/peer.h \
	daemon/server/readers.c daemon/server/readers.h \
	daemon/server/reply.c daemon/server/reply.h \
	daemon/server/run_directory.c daemon/server/run_directory.h \
	daemon/server/scan_table.c daemon/server/scan_table.h \
	daemon/server/server.c daemon/server/server.h \
	daemon/server/server_start.c \
	daemon/server/session.c daemon/server/session.h \
	daemon/server/strangers.c daemon/server/strangers.h \
	daemon/server/ticket.c daemon/server/ticket.h

server_libs = daemon/server/libserver.a $(commit_libs) $(EVENT_LIBS)

# btstored, the daemon: main.c and the rooms; never libbtstore.
sbin_PROGRAMS += btstored
btstored_SOURCES = daemon/server/main.c
btstored_LDADD = $(server_libs)
