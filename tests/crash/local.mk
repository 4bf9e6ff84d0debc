# SPDX-License-Identifier: MIT
# Crash tests: every write boundary, every kill.
crash_programs += tests/crash/crash_enum
tests_crash_crash_enum_SOURCES = tests/crash/crash_enum.c \
	tests/crash/crash_run.c tests/crash/crash_run.h \
	tests/crash/recorder.c tests/crash/recorder.h
tests_crash_crash_enum_LDADD = $(commit_libs)
