# SPDX-License-Identifier: MIT
# format, floor 1: bytes only, no I/O; only the builders (batch, resp_write) allocate.
noinst_LIBRARIES += src/format/libformat.a
src_format_libformat_a_SOURCES = \
	src/format/batch.c src/format/batch.h \
	src/format/beacon.h \
	src/format/bucket_record.c src/format/bucket_record.h \
	src/format/cell_cover.h \
	src/format/inner.c src/format/inner.h src/format/inner_edit.c \
	src/format/inner_guess.h \
	src/format/key.h \
	src/format/leaf.c src/format/leaf.h src/format/leaf_edit.c \
	src/format/locks.h \
	src/format/meta.c src/format/meta.h \
	src/format/page.c src/format/page.h \
	src/format/pending_frame.c src/format/pending_frame.h \
	src/format/resp.h \
	src/format/resp_reply.c \
	src/format/resp_request.c \
	src/format/resp_write.c \
	src/format/slot.h \
	src/format/space_map.c src/format/space_map.h

format_libs = src/format/libformat.a $(base_libs)
