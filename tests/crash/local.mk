# SPDX-License-Identifier: MIT
# Crash tests: every write boundary, every kill.
crash_programs += tests/crash/crash_enum
tests_crash_crash_enum_SOURCES = tests/crash/crash_enum.c \
	tests/crash/crash_run.c tests/crash/crash_run.h \
	tests/crash/cuts.c tests/crash/cuts.h \
	tests/crash/disk.c tests/crash/disk.h \
	tests/crash/kept_maps.c tests/crash/kept_maps.h \
	tests/crash/recorder.c tests/crash/recorder.h \
	tests/crash/scratch.c tests/crash/scratch.h \
	tests/crash/versions.c tests/crash/versions.h
tests_crash_crash_enum_LDADD = $(commit_libs)
tests_crash_crash_enum_LDFLAGS = $(AM_LDFLAGS) $(kept_maps_ldflags)
kept_maps_ldflags = -Wl,--wrap=mmap,--wrap=munmap
