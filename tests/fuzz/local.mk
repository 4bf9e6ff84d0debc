# SPDX-License-Identifier: MIT
# Fuzz tests: hostile bytes for every parser.
#
# A target is fuzz_NAME.c; see fuzz.h.  Built here it runs with fuzz_main.c,
# the same inputs each time.  Guided by coverage, with clang and outside the
# build (what it finds stays in fuzz-NAME.d):
#
#   make fuzz-batch SECONDS=30
fuzz_programs += tests/fuzz/fuzz_batch
tests_fuzz_fuzz_batch_SOURCES = tests/fuzz/fuzz_batch.c tests/fuzz/fuzz_main.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_batch_LDADD = $(format_libs)

fuzz_programs += tests/fuzz/fuzz_meta
tests_fuzz_fuzz_meta_SOURCES = tests/fuzz/fuzz_meta.c tests/fuzz/fuzz_main.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_meta_LDADD = $(format_libs)

fuzz_programs += tests/fuzz/fuzz_page
tests_fuzz_fuzz_page_SOURCES = tests/fuzz/fuzz_page.c tests/fuzz/fuzz_main.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_page_LDADD = $(format_libs)

fuzz_programs += tests/fuzz/fuzz_pending_frame
tests_fuzz_fuzz_pending_frame_SOURCES = tests/fuzz/fuzz_pending_frame.c tests/fuzz/fuzz_main.c \
	tests/fuzz/fuzz.h
tests_fuzz_fuzz_pending_frame_LDADD = $(format_libs)

fuzz_programs += tests/fuzz/fuzz_resp
tests_fuzz_fuzz_resp_SOURCES = tests/fuzz/fuzz_resp.c tests/fuzz/fuzz_main.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_resp_LDADD = $(format_libs)

SECONDS = 30
FUZZ_CC = clang
fuzz-%: tests/fuzz/fuzz_%
	@mkdir -p $@.d
	@tests/fuzz/fuzz_$* --seeds $@.d
	$(FUZZ_CC) -std=gnu11 -g -O1 $(DEFS) $(AM_CPPFLAGS) -fsanitize=fuzzer,address,undefined \
		-o $@.d/guided $(srcdir)/tests/fuzz/fuzz_$*.c \
		$(srcdir)/src/format/*.c $(srcdir)/src/base/*.c
	cd $@.d && ./guided -max_total_time=$(SECONDS) -max_len=147456 .
