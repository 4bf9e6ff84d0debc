# SPDX-License-Identifier: MIT
# Fuzz tests: hostile bytes for every parser, hostile files for reader and
# daemon, and rows of operations held against an oracle.
#
# A target is fuzz_NAME.c; see fuzz.h.  Built here it runs with fuzz_main.c: the
# corpus, and mutants of it.  With clang and its libFuzzer all are built once
# more, guided by coverage, under ASan and UBSan, in fuzz-guided/:
#
#   make check-fuzz                    corpus and two seconds of mutants each
#   make check-fuzz-guided             20 or 5 s each, guided
#   make fuzz-batch SECONDS=600        one of them, guided; finds are kept
#   make soak-fuzz                     4 h each; SECONDS=60 for less
#   make fuzz-corpus                   merges what was found into tests/fuzz/corpus
fuzz_main = tests/fuzz/fuzz_main.c tests/fuzz/fuzz.h
fuzz_sequence = tests/fuzz/fuzz_sequence.c tests/fuzz/fuzz_sequence.h \
	tests/fuzz/fuzz_oracle.c tests/fuzz/fuzz_oracle.h \
	tests/fuzz/fuzz_walk.c tests/fuzz/fuzz_walk.h
fuzz_serve = tests/fuzz/fuzz_serve.c tests/fuzz/fuzz_serve.h \
	tests/fuzz/fuzz_folder.c tests/fuzz/fuzz_folder.h
fuzz_store = tests/fuzz/fuzz_store.c tests/fuzz/fuzz_store.h \
	tests/fuzz/fuzz_store_edit.c tests/fuzz/fuzz_store_edit.h

fuzz_programs += tests/fuzz/fuzz_batch
tests_fuzz_fuzz_batch_SOURCES = tests/fuzz/fuzz_batch.c $(fuzz_main)
tests_fuzz_fuzz_batch_LDADD = $(format_libs)

fuzz_programs += tests/fuzz/fuzz_meta
tests_fuzz_fuzz_meta_SOURCES = tests/fuzz/fuzz_meta.c $(fuzz_main)
tests_fuzz_fuzz_meta_LDADD = $(format_libs)

fuzz_programs += tests/fuzz/fuzz_page
tests_fuzz_fuzz_page_SOURCES = tests/fuzz/fuzz_page.c $(fuzz_main)
tests_fuzz_fuzz_page_LDADD = $(format_libs)

fuzz_programs += tests/fuzz/fuzz_pending_frame
tests_fuzz_fuzz_pending_frame_SOURCES = tests/fuzz/fuzz_pending_frame.c $(fuzz_main)
tests_fuzz_fuzz_pending_frame_LDADD = $(format_libs)

fuzz_programs += tests/fuzz/fuzz_resp
tests_fuzz_fuzz_resp_SOURCES = tests/fuzz/fuzz_resp.c $(fuzz_main)
tests_fuzz_fuzz_resp_LDADD = $(format_libs)

fuzz_programs += tests/fuzz/fuzz_tree
tests_fuzz_fuzz_tree_SOURCES = tests/fuzz/fuzz_tree.c $(fuzz_main) $(fuzz_sequence) \
	$(writer_fixture)
tests_fuzz_fuzz_tree_LDADD = $(tree_libs)

fuzz_programs += tests/fuzz/fuzz_engine
tests_fuzz_fuzz_engine_SOURCES = tests/fuzz/fuzz_engine.c $(fuzz_main) $(fuzz_sequence) \
	$(fuzz_serve)
tests_fuzz_fuzz_engine_LDADD = $(commit_libs)

fuzz_programs += tests/fuzz/fuzz_file
tests_fuzz_fuzz_file_SOURCES = tests/fuzz/fuzz_file.c $(fuzz_main) $(fuzz_serve) $(fuzz_store) \
	tests/fuzz/fuzz_oracle.c
tests_fuzz_fuzz_file_LDADD = src/client/libclient.a $(commit_libs)

fuzz_programs += tests/fuzz/fuzz_recover
tests_fuzz_fuzz_recover_SOURCES = tests/fuzz/fuzz_recover.c $(fuzz_main) $(fuzz_serve) \
	$(fuzz_store) tests/fuzz/fuzz_oracle.c
tests_fuzz_fuzz_recover_LDADD = $(commit_libs)

fuzz_programs += tests/fuzz/fuzz_pending_log
tests_fuzz_fuzz_pending_log_SOURCES = tests/fuzz/fuzz_pending_log.c $(fuzz_main) \
	tests/fuzz/fuzz_folder.c tests/fuzz/fuzz_folder.h
tests_fuzz_fuzz_pending_log_LDADD = $(commit_libs)

EXTRA_DIST += tests/fuzz/guided.mk tests/fuzz/run_guided tests/fuzz/resp.dict tests/fuzz/corpus

run_guided = BTS_SRCDIR='$(abs_top_srcdir)' BTS_BUILDDIR='$(abs_top_builddir)' \
	$(SHELL) $(srcdir)/tests/fuzz/run_guided

check-fuzz-guided:
	$(run_tests) --timeout 1200 $(srcdir)/tests/fuzz/run_guided

SECONDS =
fuzz-corpus:
	@$(run_guided) --merge
fuzz-%:
	@$(run_guided) --keep --seconds '$(or $(SECONDS),60)' $*
soak-fuzz:
	@$(run_guided) --keep --seconds '$(or $(SECONDS),14400)'

clean-local:
	rm -rf fuzz-guided

.PHONY: check-fuzz-guided fuzz-corpus soak-fuzz
