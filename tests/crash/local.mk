# SPDX-License-Identifier: MIT
# Crash tests: nothing lost, nothing leaked.  Each kind has a target for CI, and
# one that takes hours or minutes:
#
#   make check-crash     soak-crash      power cuts at every sync, enumerated
#   make check-proof                     what follows, as many at a time as there are processors
#   make check-faults    soak-faults     every call of the storage seam fails
#   make check-kills     soak-kills      SIGKILL for daemon and readers
#   make check-serial    soak-serial     histories of many processes
#   make check-bitflip   soak-bitflip    one bit flips
#   make check-seeded                    planted bugs: each of these tests finds its own
#
# crash_enum alone reports to standard output itself; its last line is the verdict.
crash_programs += tests/crash/crash_enum
tests_crash_crash_enum_SOURCES = tests/crash/crash_enum.c \
	tests/crash/calls.c tests/crash/calls.h \
	tests/crash/crash_run.c tests/crash/crash_run.h \
	tests/crash/cuts.c tests/crash/cuts.h \
	tests/crash/disk.c tests/crash/disk.h \
	tests/crash/recorder.c tests/crash/recorder.h \
	tests/crash/scratch.c tests/crash/scratch.h \
	tests/crash/versions.c tests/crash/versions.h
tests_crash_crash_enum_LDADD = $(commit_libs)
tests_crash_crash_enum_LDFLAGS = $(AM_LDFLAGS) $(calls_ldflags)
calls_ldflags = -Wl,--wrap=mmap,--wrap=munmap,--wrap=madvise,--wrap=fstat,--wrap=stat \
	-Wl,--wrap=fstatfs,--wrap=fcntl,--wrap=close

crash_command = BTS_SANITIZER=$(bts_sanitizer) tests/crash/crash_enum
check-crash: $(crash_programs)
	@$(crash_command)
soak-crash: $(crash_programs)
	@$(crash_command) --images 50000000 --seed 1000000
.PHONY: check-crash soak-crash

# Daemon and readers killed under load, and histories of it all.
kills_programs = tests/crash/kill_loop tests/crash/serializability
kill_loop_sources = tests/crash/kill_loop.c \
	tests/crash/kill_readers.c tests/crash/kill_readers.h \
	tests/crash/kill_writers.c tests/crash/kill_writers.h
tests_crash_kill_loop_SOURCES = $(kill_loop_sources) $(harness_sources)
tests_crash_kill_loop_LDADD = $(harness_libs)
serializability_sources = tests/crash/serializability.c \
	tests/crash/serial_cells.c tests/crash/serial_cells.h \
	tests/crash/serial_check.c tests/crash/serial_check.h \
	tests/crash/serial_clients.c tests/crash/serial_clients.h \
	tests/crash/serial_events.c tests/crash/serial_events.h \
	tests/crash/serial_group.c tests/crash/serial_group.h \
	tests/crash/serial_history.h \
	tests/crash/serial_mangle.c tests/crash/serial_mangle.h
tests_crash_serializability_SOURCES = $(serializability_sources) $(harness_sources)
tests_crash_serializability_LDADD = $(harness_libs)
EXTRA_PROGRAMS += $(kills_programs)
CLEANFILES += $(kills_programs)
everything: $(kills_programs)

check-kills: btstored tests/crash/kill_loop
	$(run_tests) tests/crash/kill_loop

# Runs the program that follows on its own, with arguments.
run_in_scratch = @scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	export TMPDIR="$$scratch" BTS_BUILDDIR='$(abs_top_builddir)' &&

check-serial: btstored tests/crash/serializability
	$(run_tests) tests/crash/serializability

# 1,000 kills of each.
soak-kills: btstored tests/crash/kill_loop
	$(run_in_scratch) tests/crash/kill_loop 1000 1000

# 100 million reads and acknowledgements.
soak-serial: btstored tests/crash/serializability
	$(run_in_scratch) tests/crash/serializability 100000000

.PHONY: check-kills check-serial soak-kills soak-serial

# One bit flips: nobody is fooled.  `make check-bitflip`; every bit of 1 MiB: `make soak-bitflip`.
bitflip_programs = tests/crash/bitflip
tests_crash_bitflip_SOURCES = tests/crash/bitflip.c \
	tests/crash/flip_store.c tests/crash/flip_store.h \
	tests/crash/flip_places.c tests/crash/flip_places.h \
	tests/crash/flip_read.c \
	tests/crash/flip_try.c tests/crash/flip_try.h
tests_crash_bitflip_LDADD = $(commit_libs) $(client_libs)
EXTRA_PROGRAMS += $(bitflip_programs)
CLEANFILES += $(bitflip_programs)

everything: $(bitflip_programs)
check-bitflip: $(bitflip_programs)
	$(run_tests) $(bitflip_programs)
soak-bitflip: $(bitflip_programs)
	tests/crash/bitflip --every 1
.PHONY: check-bitflip soak-bitflip


# Faults: every call of the seam and of malloc fails, in-process; and system
# calls of the real programs, from outside.
#
#   make check-faults    the sweeps of CI
#   make soak-faults     every single call, all errors; some ten minutes
faults_ldflags = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc \
	-Wl,--wrap=posix_memalign,--wrap=strdup,--wrap=free,--wrap=asprintf,--wrap=__asprintf_chk
fault_programs = tests/crash/fault_sweep tests/crash/fault_client
fault_scripts = tests/crash/fault_sweep_outside
tests_crash_fault_sweep_SOURCES = tests/crash/fault_sweep.c \
	tests/crash/fault_story.c tests/crash/fault_story.h \
	tests/crash/fault_check.c tests/crash/fault_check.h \
	tests/crash/fault_batch.c tests/crash/fault_batch.h \
	tests/crash/fault_malloc.c tests/crash/faults.c tests/crash/faults.h \
	tests/crash/disk.c tests/crash/disk.h \
	tests/crash/recorder.c tests/crash/recorder.h
tests_crash_fault_sweep_LDFLAGS = $(AM_LDFLAGS) $(faults_ldflags)
tests_crash_fault_sweep_LDADD = $(commit_libs)
tests_crash_fault_client_LDADD = $(client_libs)
EXTRA_PROGRAMS += $(fault_programs)
CLEANFILES += $(fault_programs)
EXTRA_DIST += $(fault_scripts)

everything: $(fault_programs)

check-faults: btstore btstored $(fault_programs)
	$(run_tests) tests/crash/fault_sweep $(addprefix $(srcdir)/,$(fault_scripts))

soak-faults: btstore btstored $(fault_programs)
	@BTS_SRCDIR='$(abs_top_srcdir)' BTS_BUILDDIR='$(abs_top_builddir)' BTS_FAULTS_ALL=1 \
	$(SHELL) $(srcdir)/tests/run --timeout 7200 \
		tests/crash/fault_sweep $(addprefix $(srcdir)/,$(fault_scripts))

.PHONY: check-faults soak-faults

# The longest begin.
proof_tests = $(srcdir)/tests/crash/fault_sweep_outside $(srcdir)/tests/model/run_models \
	tests/crash/kill_loop tests/crash/fault_sweep tests/crash/bitflip \
	tests/crash/serializability
proof_programs = tests/crash/fault_sweep $(kills_programs) $(bitflip_programs)
check-proof: $(proof_needs)
	$(run_tests) $(proof_tests)

# Bugs to plant, and who finds them: all kinds of tests.
seeded_programs = tests/unit/test_meta tests/unit/test_recover tests/unit/test_space \
	tests/process/snapshot_stress tests/process/salvage
EXTRA_DIST += tests/crash/run_seeded tests/crash/seeded
check-seeded: btstore btstored $(crash_programs) $(fault_programs) $(kills_programs) \
	$(bitflip_programs) $(fuzz_programs) $(seeded_programs)
	$(run_tests) --timeout 1200 $(srcdir)/tests/crash/run_seeded

.PHONY: check-proof check-seeded
