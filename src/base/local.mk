# SPDX-License-Identifier: MIT
# base, floor 0: libc only.
noinst_LTLIBRARIES += src/base/libbase.la
src_base_libbase_la_SOURCES = \
	src/base/bytes.h \
	src/base/crc32c.c src/base/crc32c.h \
	src/base/err.c src/base/err.h

base_libs = src/base/libbase.la
