# SPDX-License-Identifier: MIT
# server, floor 6b: the only room that may include <event2/*>.
noinst_LTLIBRARIES += daemon/server/libserver.la
daemon_server_libserver_la_SOURCES =

server_libs = daemon/server/libserver.la $(commit_libs) $(EVENT_LIBS)

# btstored, the daemon: main.c and the rooms; never libbtstore.
sbin_PROGRAMS += btstored
btstored_SOURCES = daemon/server/main.c
btstored_LDADD = $(server_libs)
