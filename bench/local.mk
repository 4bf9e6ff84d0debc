# SPDX-License-Identifier: MIT
# Benchmarks: a harness, one file per workload, adapters/ per peer.
#
#   make bench                     measures us and LMDB, interleaved, on the disk
#                                  of the build folder
#   make bench WORKLOADS='scan commit_8' BENCH_DIR=/srv BENCH_ENTRIES=10000000
#
# bench/main.c lists what else can be set.
EXTRA_PROGRAMS += bench/bench
bench_bench_SOURCES = \
	bench/adapter.h \
	bench/adapters/btstore.c \
	bench/adapters/lmdb.c \
	bench/commit.c \
	bench/dataset.c bench/dataset.h \
	bench/get.c \
	bench/harness.c bench/harness.h \
	bench/load.c \
	bench/main.c \
	bench/multi_get.c \
	bench/report.c bench/report.h \
	bench/scan.c \
	bench/snapshot.c \
	bench/store_folder.c bench/store_folder.h \
	bench/workloads.h
bench_bench_CPPFLAGS = $(AM_CPPFLAGS) $(LMDB_CFLAGS) \
	-DBENCH_BTSTORED='"$(abs_top_builddir)/btstored"' \
	-DBENCH_BTSTORE_VERSION='"$(PACKAGE_VERSION)"'
bench_bench_LDADD = libbtstore.la $(LMDB_LIBS)
bench_bench_LDFLAGS = $(AM_LDFLAGS)
CLEANFILES += bench/bench bench.json

WORKLOADS =
if HAVE_LMDB
bench: btstored bench/bench
	@BENCH_DIR="$${BENCH_DIR:-$(abs_top_builddir)}" ./bench/bench $(WORKLOADS)
else
bench:
	@echo 'make bench needs LMDB (Debian: apt-get install liblmdb-dev); configure again then' >&2
	@exit 1
endif

.PHONY: bench
