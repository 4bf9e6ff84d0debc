# SPDX-License-Identifier: MIT
# Crash tests: every write boundary, every kill.
crash_programs += tests/crash/crash_enum
tests_crash_crash_enum_SOURCES = tests/crash/crash_enum.c \
	tests/crash/crash_run.c tests/crash/crash_run.h \
	tests/crash/recorder.c tests/crash/recorder.h
tests_crash_crash_enum_LDADD = $(commit_libs)

# Seeded bugs of salvage; the test that must find them is tests/process/salvage.
EXTRA_DIST += \
	tests/crash/seeded/salvage_bad_leaf_is_skipped.patch \
	tests/crash/seeded/salvage_beyond_what_is_lost.patch \
	tests/crash/seeded/salvage_increments_what_is_lost.patch \
	tests/crash/seeded/salvage_older_versions_win.patch \
	tests/crash/seeded/salvage_writes_to_the_source.patch
