# SPDX-License-Identifier: MIT
# Crash tests: every write boundary, every kill.
crash_programs += tests/crash/crash_enum
tests_crash_crash_enum_SOURCES = tests/crash/crash_enum.c \
	tests/crash/crash_run.c tests/crash/crash_run.h \
	tests/crash/recorder.c tests/crash/recorder.h
tests_crash_crash_enum_LDADD = $(commit_libs)

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

EXTRA_DIST += \
	tests/crash/seeded/bitflip_leaf_crc.patch \
	tests/crash/seeded/bitflip_log_header.patch \
	tests/crash/seeded/bitflip_mark_first.patch \
	tests/crash/seeded/bitflip_run_crc.patch \
	tests/crash/seeded/bitflip_second_meta.patch
