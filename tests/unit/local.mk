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
tests_unit_test_inner_SOURCES = tests/unit/test_inner.c tests/unit/random_keys.h
tests_unit_test_inner_LDADD = $(format_libs) $(CHECK_LIBS)

unit_programs += tests/unit/test_leaf
tests_unit_test_leaf_SOURCES = tests/unit/test_leaf.c tests/unit/random_keys.h
tests_unit_test_leaf_LDADD = $(format_libs) $(CHECK_LIBS)

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

# pages
unit_programs += tests/unit/test_horizon
tests_unit_test_horizon_LDADD = $(pages_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_space
tests_unit_test_space_LDADD = $(pages_libs) $(CHECK_LIBS)
unit_programs += tests/unit/test_pages
tests_unit_test_pages_LDADD = $(pages_libs) $(CHECK_LIBS)
