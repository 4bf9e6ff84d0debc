# SPDX-License-Identifier: MIT
# btstore, the command: public API only.  It has the library in it: a command that
# repairs things should run whatever is installed beside it.
bin_PROGRAMS += btstore
btstore_SOURCES = cli/main.c cli/cli.h cli/text.c cli/commands.c cli/commands.h \
	cli/cut_short.c \
	cli/cmd_bucket.c \
	cli/cmd_buckets.c \
	cli/cmd_check.c \
	cli/cmd_checkpoint.c \
	cli/cmd_del.c \
	cli/cmd_get.c \
	cli/cmd_load.c \
	cli/cmd_put.c \
	cli/cmd_readers.c \
	cli/cmd_salvage.c \
	cli/cmd_scan.c \
	cli/cmd_socket.c \
	cli/cmd_stat.c
btstore_LDADD = $(client_libs)
