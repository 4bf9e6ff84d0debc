# SPDX-License-Identifier: MIT
# Unit tests: test_MODULE.c beside nothing but the rooms it needs.  To add one:
#
#   unit_programs += tests/unit/test_meta
#   tests_unit_test_meta_LDADD = $(format_libs) $(CHECK_LIBS)
#
# Its source is tests/unit/test_meta.c; only further files need a _SOURCES line.
unit_programs += tests/unit/test_bytes
tests_unit_test_bytes_LDADD = $(base_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_crc32c
tests_unit_test_crc32c_LDADD = $(base_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_err
tests_unit_test_err_LDADD = $(base_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_page
tests_unit_test_page_LDADD = $(format_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_inner
tests_unit_test_inner_SOURCES = tests/unit/test_inner.c tests/unit/node_pages.h \
	tests/unit/random_keys.h
tests_unit_test_inner_LDADD = $(format_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_inner_edit
tests_unit_test_inner_edit_SOURCES = tests/unit/test_inner_edit.c tests/unit/node_pages.h \
	tests/unit/random_keys.h
tests_unit_test_inner_edit_LDADD = $(format_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_leaf
tests_unit_test_leaf_SOURCES = tests/unit/test_leaf.c tests/unit/node_pages.h \
	tests/unit/random_keys.h
tests_unit_test_leaf_LDADD = $(format_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_leaf_edit
tests_unit_test_leaf_edit_SOURCES = tests/unit/test_leaf_edit.c tests/unit/node_pages.h \
	tests/unit/random_keys.h
tests_unit_test_leaf_edit_LDADD = $(format_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_batch
tests_unit_test_batch_LDADD = $(format_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_meta
tests_unit_test_meta_LDADD = $(format_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_space_map
tests_unit_test_space_map_LDADD = $(format_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_bucket_record
tests_unit_test_bucket_record_LDADD = $(format_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_pending_frame
tests_unit_test_pending_frame_LDADD = $(format_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_resp
tests_unit_test_resp_LDADD = $(format_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_resp_reply
tests_unit_test_resp_reply_LDADD = $(format_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_shared_layout
tests_unit_test_shared_layout_LDADD = $(format_libs) $(CHECK_LIBS)

# read
build_tree_sources = tests/unit/build_tree.c tests/unit/build_tree.h
unit_programs += tests/unit/test_map
tests_unit_test_map_LDADD = $(read_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_slots
tests_unit_test_slots_LDADD = $(read_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_snapshot
tests_unit_test_snapshot_LDADD = $(read_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_page_source
tests_unit_test_page_source_SOURCES = tests/unit/test_page_source.c $(build_tree_sources)
tests_unit_test_page_source_LDADD = $(read_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_tree
tests_unit_test_tree_SOURCES = tests/unit/test_tree.c $(build_tree_sources)
tests_unit_test_tree_LDADD = $(read_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_cursor
tests_unit_test_cursor_SOURCES = tests/unit/test_cursor.c $(build_tree_sources)
tests_unit_test_cursor_LDADD = $(read_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_hostile_reads
tests_unit_test_hostile_reads_SOURCES = tests/unit/test_hostile_reads.c $(build_tree_sources)
tests_unit_test_hostile_reads_LDADD = $(read_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_multi_get
tests_unit_test_multi_get_SOURCES = tests/unit/test_multi_get.c $(build_tree_sources)
tests_unit_test_multi_get_LDADD = $(read_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_bucket
tests_unit_test_bucket_SOURCES = tests/unit/test_bucket.c $(build_tree_sources)
tests_unit_test_bucket_LDADD = $(read_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_tree_check
check_store_sources = tests/unit/check_store.c tests/unit/check_store.h $(build_tree_sources)
tests_unit_test_tree_check_SOURCES = tests/unit/test_tree_check.c $(check_store_sources)
tests_unit_test_tree_check_LDADD = $(read_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_tree_check_maps
tests_unit_test_tree_check_maps_SOURCES = tests/unit/test_tree_check_maps.c $(check_store_sources)
tests_unit_test_tree_check_maps_LDADD = $(read_libs) $(CHECK_LIBS)

# pages
unit_programs += tests/unit/test_horizon
tests_unit_test_horizon_LDADD = $(pages_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_space
tests_unit_test_space_LDADD = $(pages_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_free_pages
tests_unit_test_free_pages_LDADD = $(pages_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_file
tests_unit_test_file_LDADD = $(pages_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_pages
tests_unit_test_pages_LDADD = $(pages_libs) $(CHECK_LIBS)

# client
unit_programs += tests/unit/test_connection
tests_unit_test_connection_LDADD = $(client_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_pipeline
tests_unit_test_pipeline_LDADD = $(client_libs) $(CHECK_LIBS)

# tree: a store that can be written without a daemon, and a model of what it holds
writer_fixture = tests/unit/writer_fixture.c tests/unit/writer_fixture.h
tree_model = tests/unit/tree_model.c tests/unit/tree_model.h
failing_malloc = tests/unit/failing_malloc.c tests/unit/failing_malloc.h
failing_malloc_ldflags = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc

unit_programs += tests/unit/test_tree_write
tests_unit_test_tree_write_SOURCES = tests/unit/test_tree_write.c tests/unit/tree_fixture.h \
	$(writer_fixture) $(tree_model)
tests_unit_test_tree_write_LDADD = $(tree_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_tree_range
tests_unit_test_tree_range_SOURCES = tests/unit/test_tree_range.c tests/unit/tree_fixture.h \
	$(writer_fixture) $(tree_model)
tests_unit_test_tree_range_LDADD = $(tree_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_buckets
tests_unit_test_buckets_SOURCES = tests/unit/test_buckets.c $(writer_fixture)
tests_unit_test_buckets_LDADD = $(tree_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_apply
tests_unit_test_apply_SOURCES = tests/unit/test_apply.c $(writer_fixture)
tests_unit_test_apply_LDADD = $(tree_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_foresee
tests_unit_test_foresee_SOURCES = tests/unit/test_foresee.c $(writer_fixture)
tests_unit_test_foresee_LDADD = $(tree_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_gather
tests_unit_test_gather_SOURCES = tests/unit/test_gather.c $(writer_fixture)
tests_unit_test_gather_LDADD = $(tree_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_apply_undo
tests_unit_test_apply_undo_SOURCES = tests/unit/test_apply_undo.c $(writer_fixture) \
	$(failing_malloc)
tests_unit_test_apply_undo_LDFLAGS = $(AM_LDFLAGS) $(failing_malloc_ldflags)
tests_unit_test_apply_undo_LDADD = $(tree_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_tree_damage
tests_unit_test_tree_damage_SOURCES = tests/unit/test_tree_damage.c $(writer_fixture)
tests_unit_test_tree_damage_LDADD = $(tree_libs) $(CHECK_LIBS)

# commit
engine_fixture_sources = \
	tests/unit/engine_fixture.c tests/unit/engine_fixture.h \
	tests/unit/faulty_files.c tests/unit/faulty_files.h
pending_fixture_sources = tests/unit/pending_fixture.c tests/unit/pending_fixture.h
unit_programs += tests/unit/test_pending_log
tests_unit_test_pending_log_SOURCES = tests/unit/test_pending_log.c $(pending_fixture_sources)
tests_unit_test_pending_log_LDADD = $(commit_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_pending_scan
tests_unit_test_pending_scan_SOURCES = tests/unit/test_pending_scan.c $(pending_fixture_sources)
tests_unit_test_pending_scan_LDADD = $(commit_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_commit
tests_unit_test_commit_SOURCES = tests/unit/test_commit.c $(engine_fixture_sources)
tests_unit_test_commit_LDADD = $(commit_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_commit_stop
tests_unit_test_commit_stop_SOURCES = tests/unit/test_commit_stop.c $(engine_fixture_sources)
tests_unit_test_commit_stop_LDADD = $(commit_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_commit_faults
tests_unit_test_commit_faults_SOURCES = tests/unit/test_commit_faults.c $(engine_fixture_sources)
tests_unit_test_commit_faults_LDADD = $(commit_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_recover
tests_unit_test_recover_SOURCES = tests/unit/test_recover.c $(engine_fixture_sources)
tests_unit_test_recover_LDADD = $(commit_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_recover_reads
tests_unit_test_recover_reads_SOURCES = tests/unit/test_recover_reads.c $(engine_fixture_sources)
tests_unit_test_recover_reads_LDADD = $(commit_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_histogram
tests_unit_test_histogram_LDADD = $(commit_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_publish
tests_unit_test_publish_LDADD = $(commit_libs) $(CHECK_LIBS)

# server
unit_programs += tests/unit/test_glob
tests_unit_test_glob_LDADD = daemon/server/libserver.a $(CHECK_LIBS)
unit_programs += tests/unit/test_readers
tests_unit_test_readers_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=readdir
tests_unit_test_readers_LDADD = $(server_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_run_directory
tests_unit_test_run_directory_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=fstat,--wrap=mmap
tests_unit_test_run_directory_LDADD = $(server_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_options
tests_unit_test_options_LDADD = $(server_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_attachment
tests_unit_test_attachment_LDADD = $(client_libs) $(CHECK_LIBS)
tests_unit_test_attachment_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=mmap
unit_programs += tests/unit/test_pending_count
tests_unit_test_pending_count_LDADD = $(client_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_store
tests_unit_test_store_LDADD = $(client_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_store_check
tests_unit_test_store_check_SOURCES = tests/unit/test_store_check.c $(check_store_sources)
tests_unit_test_store_check_LDADD = $(client_libs) $(CHECK_LIBS)

# salvage
unit_programs += tests/unit/test_salvage_ranges
tests_unit_test_salvage_ranges_LDADD = $(read_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_salvage_log
tests_unit_test_salvage_log_LDADD = $(client_libs) $(CHECK_LIBS)
