# SPDX-License-Identifier: MIT
# format, floor 1: bytes only, no I/O, no malloc.
noinst_LTLIBRARIES += src/format/libformat.la
src_format_libformat_la_SOURCES =

format_libs = src/format/libformat.la $(base_libs)
