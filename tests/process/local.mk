# SPDX-License-Identifier: MIT
# Process tests: many processes, one store.

# A reader written from doc/FORMAT.md alone, for the tests of the format.
EXTRA_DIST += tests/process/format_reader.py

# What they share: a scratch store, its daemon, children.
harness_sources = tests/process/harness.c tests/process/harness.h
harness_libs = $(client_libs)

process_programs += tests/process/concurrency
tests_process_concurrency_SOURCES = tests/process/concurrency.c $(harness_sources)
tests_process_concurrency_LDADD = $(harness_libs)

process_programs += tests/process/leak_safety
tests_process_leak_safety_SOURCES = tests/process/leak_safety.c $(harness_sources)
tests_process_leak_safety_LDADD = $(harness_libs)

process_programs += tests/process/readers_survive_daemon_restart
tests_process_readers_survive_daemon_restart_SOURCES = \
	tests/process/readers_survive_daemon_restart.c tests/process/text_store.h $(harness_sources)
tests_process_readers_survive_daemon_restart_LDADD = $(harness_libs)

process_scripts += tests/process/format_golden
EXTRA_DIST += \
	tests/process/golden/pending.bts.gz \
	tests/process/golden/pending.bts.pending.gz \
	tests/process/golden/pending.tsv.gz \
	tests/process/golden/version1.bts.gz \
	tests/process/golden/version1.tsv.gz

process_programs += tests/process/killed_reader_frees_its_slot
tests_process_killed_reader_frees_its_slot_SOURCES = \
	tests/process/killed_reader_frees_its_slot.c tests/process/slot_files.h \
	tests/process/text_store.h $(harness_sources)
tests_process_killed_reader_frees_its_slot_LDADD = $(harness_libs)

process_programs += tests/process/fork_child_is_safe
tests_process_fork_child_is_safe_SOURCES = tests/process/fork_child_is_safe.c \
	tests/process/slot_files.h tests/process/text_store.h $(harness_sources)
tests_process_fork_child_is_safe_LDADD = $(harness_libs)

# One process is enough for this one, but it takes long.
process_programs += tests/process/smo_stress
tests_process_smo_stress_SOURCES = tests/process/smo_stress.c $(writer_fixture) $(tree_model)
tests_process_smo_stress_LDADD = $(tree_libs)

# The socket: by a client that knows bytes only, and by those that everybody has.
process_scripts += tests/process/resp_protocol.py
process_scripts += tests/process/redis_clients

process_scripts += tests/process/bad_input

process_scripts += tests/process/installed

process_programs += tests/process/one_daemon_per_store
tests_process_one_daemon_per_store_SOURCES = tests/process/one_daemon_per_store.c \
	tests/process/text_store.h $(harness_sources)
tests_process_one_daemon_per_store_LDADD = $(harness_libs)

process_programs += tests/process/reads_make_no_system_call
tests_process_reads_make_no_system_call_SOURCES = tests/process/reads_make_no_system_call.c \
	tests/process/read_everything.h $(harness_sources)
tests_process_reads_make_no_system_call_LDADD = $(harness_libs)

process_programs += tests/process/cursor_allocates_nothing
tests_process_cursor_allocates_nothing_SOURCES = tests/process/cursor_allocates_nothing.c \
	tests/process/read_everything.h $(harness_sources)
tests_process_cursor_allocates_nothing_LDADD = $(harness_libs)

# The daemon's own publish and scan against the readers' own pin.
process_programs += tests/process/snapshot_stress
tests_process_snapshot_stress_LDADD = $(commit_libs)

# The main job of the README, on real data.
process_scripts += tests/process/main_job

process_scripts += tests/process/command_line

process_programs += tests/process/writers_and_waiters
tests_process_writers_and_waiters_SOURCES = tests/process/writers_and_waiters.c \
	tests/process/text_store.h $(harness_sources)
tests_process_writers_and_waiters_LDADD = $(harness_libs)

process_programs += tests/process/many_threads
tests_process_many_threads_SOURCES = tests/process/many_threads.c $(harness_sources)
tests_process_many_threads_LDADD = $(harness_libs)

process_programs += tests/process/salvage
tests_process_salvage_SOURCES = tests/process/salvage.c \
	tests/process/salvage_image.c tests/process/salvage_image.h \
	tests/process/salvage_store.c tests/process/salvage_store.h $(harness_sources)
tests_process_salvage_LDADD = $(client_libs)

process_programs += tests/process/file_cut_short
tests_process_file_cut_short_SOURCES = tests/process/file_cut_short.c $(harness_sources)
tests_process_file_cut_short_LDADD = $(harness_libs)
