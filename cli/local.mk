# SPDX-License-Identifier: MIT
# btstore, the command: public API only, so it links libbtstore and nothing else.
bin_PROGRAMS += btstore
btstore_SOURCES = cli/main.c
btstore_LDADD = libbtstore.la
