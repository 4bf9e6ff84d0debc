# SPDX-License-Identifier: MIT
# base, floor 0: libc only.
noinst_LIBRARIES += src/base/libbase.a
src_base_libbase_a_SOURCES = \
	src/base/barrier.c src/base/barrier.h \
	src/base/bytes.h \
	src/base/crc32c.c src/base/crc32c.h \
	src/base/err.c src/base/err.h \
	src/base/prefetch.h

base_libs = src/base/libbase.a
