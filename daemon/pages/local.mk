# SPDX-License-Identifier: MIT
# pages, floor 3b: where new pages come from.
noinst_LIBRARIES += daemon/pages/libpages.a
daemon_pages_libpages_a_SOURCES = \
	daemon/pages/file.c daemon/pages/file.h \
	daemon/pages/free_pages.c \
	daemon/pages/horizon.c daemon/pages/horizon.h \
	daemon/pages/limbo.c \
	daemon/pages/nursery.c \
	daemon/pages/page_buffers.c daemon/pages/page_buffers.h \
	daemon/pages/page_copies.c daemon/pages/page_copies.h \
	daemon/pages/pages.c daemon/pages/pages.h daemon/pages/pages_private.h \
	daemon/pages/pages_write.c \
	daemon/pages/private_table.c daemon/pages/private_table.h \
	daemon/pages/space.c daemon/pages/space.h daemon/pages/space_private.h

pages_libs = daemon/pages/libpages.a $(read_libs)
