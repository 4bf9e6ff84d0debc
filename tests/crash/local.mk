# SPDX-License-Identifier: MIT
# Crash tests: every write boundary, every kill.
crash_programs += tests/crash/crash_enum
tests_crash_crash_enum_SOURCES = tests/crash/crash_enum.c \
	tests/crash/crash_run.c tests/crash/crash_run.h \
	tests/crash/recorder.c tests/crash/recorder.h
tests_crash_crash_enum_LDADD = $(commit_libs)

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
	$(run_soak_faults)

run_soak_faults = @BTS_SRCDIR='$(abs_top_srcdir)' BTS_BUILDDIR='$(abs_top_builddir)' \
	BTS_FAULTS_ALL=1 $(SHELL) $(srcdir)/tests/run --timeout 7200 \
	tests/crash/fault_sweep $(addprefix $(srcdir)/,$(fault_scripts))

.PHONY: check-faults soak-faults
