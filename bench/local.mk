# SPDX-License-Identifier: MIT
# Benchmarks: a harness, one file per workload, adapters/ per peer.
#
#   make bench-reads    reading beside all peers, about 25 minutes on 2 cores
#   make bench-writes   writing, the same
#   make bench-plot     doc/bench-reads.svg and so on from their raw figures
#   make bench-large    100M entries, and 10 GB: hours.  Smaller, and in less memory
#                       than the stores take (as root; see bench/limited):
#       make bench-large SMALL_ENTRIES=30000000 LARGE_ENTRIES=5000000 LIMIT_MIB=1500
#   make bench-packages what the peers need: installs it as root, else says how;
#                       then configure again
#
# A quick look at one thing, in less than 20 seconds (us and LMDB, 1M entries):
#
#   make bench WORKLOADS='get_held scan'                 or, in the build folder:
#   ./bench/bench --entries 1000000 get_held scan
#   ./bench/bench --keys url --rounds 9 --round-ms 250 multi_get_16
#   ./bench/bench --stores "btstore lmdb redis" --dir /srv commit_8
#
# bench/main.c lists the options, bench/plan.c the workloads.  Give no figure
# away that was taken while something else ran on the machine.
EXTRA_PROGRAMS += bench/bench
bench_bench_SOURCES = \
	bench/adapter.h \
	bench/adapters/btstore.c \
	bench/adapters/btstore_unverified.c \
	bench/beside.c \
	bench/checkpoint.c \
	bench/commit.c \
	bench/dataset.c bench/dataset.h \
	bench/get.c \
	bench/growth.c \
	bench/harness.c bench/harness.h \
	bench/load.c \
	bench/main.c \
	bench/multi_get.c \
	bench/pipeline.c \
	bench/plan.c bench/plan.h \
	bench/replay.c \
	bench/report.c bench/report.h \
	bench/scan.c \
	bench/snapshot.c \
	bench/stage.c bench/stage.h \
	bench/store_folder.c bench/store_folder.h \
	bench/workloads.h
bench_bench_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/bench \
	-DBENCH_BTSTORED='"$(abs_top_builddir)/btstored"' \
	-DBENCH_BTSTORE_VERSION='"$(PACKAGE_VERSION)"'
bench_bench_LDADD = libbtstore.la bench/unverified/libunverified.la -lm
bench_bench_LDFLAGS = $(AM_LDFLAGS)

# ---- Peers -----------------------------------------------------------------
if HAVE_LMDB
bench_bench_SOURCES += bench/adapters/lmdb.c
bench_bench_CPPFLAGS += $(LMDB_CFLAGS) -DBENCH_LMDB
bench_bench_LDADD += $(LMDB_LIBS)
endif
if HAVE_SQLITE
bench_bench_SOURCES += bench/adapters/sqlite.c
bench_bench_CPPFLAGS += $(SQLITE_CFLAGS) -DBENCH_SQLITE
bench_bench_LDADD += $(SQLITE_LIBS)
endif
if HAVE_ROCKSDB
bench_bench_SOURCES += bench/adapters/rocksdb.c
bench_bench_CPPFLAGS += $(ROCKSDB_CFLAGS) -DBENCH_ROCKSDB_VERSION='"$(ROCKSDB_VERSION)"'
bench_bench_LDADD += $(ROCKSDB_LIBS)
endif
if HAVE_REDIS
bench_bench_SOURCES += bench/adapters/redis.c
bench_bench_CPPFLAGS += $(HIREDIS_CFLAGS) -DBENCH_REDIS_SERVER='"$(REDIS_SERVER)"'
bench_bench_LDADD += $(HIREDIS_LIBS)
endif

# ---- What verifying costs --------------------------------------------------
# The library once more, with a page_source_get that does not look into the
# table of verified pages, and with a prefix before its public names.
EXTRA_LTLIBRARIES = bench/unverified/libunverified.la
bench_unverified_libunverified_la_SOURCES = $(libbtstore_la_SOURCES) \
	bench/unverified/read/page_source.h
bench_unverified_libunverified_la_CPPFLAGS = -I$(top_srcdir)/bench/unverified $(AM_CPPFLAGS) \
	-include bench/unverified/names.h
bench_unverified_libunverified_la_CFLAGS = $(AM_CFLAGS)
bench_unverified_libunverified_la_LIBADD = $(URCU_LIBS)
bench_unverified_libunverified_la_LDFLAGS = $(AM_LDFLAGS) -no-undefined -avoid-version -shared \
	-rpath $(abs_top_builddir)/bench/unverified

bench/unverified/names.h: $(top_srcdir)/src/client/libbtstore.sym
	$(AM_V_GEN)$(MKDIR_P) bench/unverified && \
	sed -n 's/^ *\(bts_[a-z_]*\);/#define \1 unverified_\1/p' $(top_srcdir)/src/client/libbtstore.sym >$@.tmp && mv $@.tmp $@
$(bench_unverified_libunverified_la_OBJECTS): bench/unverified/names.h
$(bench_bench_OBJECTS): bench/unverified/names.h

CLEANFILES += bench/bench bench/unverified/names.h bench/unverified/libunverified.la \
	bench.json bench-reads.json bench-writes.json bench-large.json
EXTRA_DIST += bench/limited bench/plot

# ---- Targets ---------------------------------------------------------------
bench_run = BENCH_DIR="$${BENCH_DIR:-$(abs_top_builddir)}" ./bench/bench

WORKLOADS =
bench: btstored bench/bench
	@$(bench_run) $(WORKLOADS)

bench-reads: btstored bench/bench
	@$(bench_run) --plan reads --json bench-reads.json

bench-writes: btstored bench/bench
	@$(bench_run) --plan writes --json bench-writes.json

# Entries of 33 + 8 bytes on average, and of 16 + 100.
SMALL_ENTRIES = 100000000
LARGE_ENTRIES = 55000000
LIMIT_MIB =
bench-large: btstored bench/bench
	@BENCH_DIR="$${BENCH_DIR:-$(abs_top_builddir)}" \
	$(if $(LIMIT_MIB),$(srcdir)/bench/limited $(LIMIT_MIB)) ./bench/bench --plan large \
	    --large $(SMALL_ENTRIES) --entries $(LARGE_ENTRIES) --stores 'btstore lmdb' \
	    --minutes 1000 --json bench-large.json

bench-plot:
	@for plan in reads writes large; do if test -e bench-$$plan.json; then \
	    $(srcdir)/bench/plot bench-$$plan.json $(srcdir)/doc/bench-$$plan.svg; fi; done

bench-packages:
	@cd $(srcdir) && . dist/packages.sh && ensure_packages bench

.PHONY: bench bench-reads bench-writes bench-large bench-plot bench-packages
