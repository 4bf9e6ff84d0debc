# SPDX-License-Identifier: MIT
# Which branches of the rooms do the tests take?  `make coverage` builds in a
# folder of its own, coverage/, runs $(coverage_programs) there, and reports; see
# report.  coverage/html/index.html shows the branches never taken.
coverage_programs = $(unit_programs) $(fuzz_programs) \
	tests/process/smo_stress tests/crash/crash_enum tests/crash/fault_sweep \
	tests/crash/bitflip tests/process/salvage tests/process/file_cut_short
EXTRA_DIST += tests/coverage/report tests/coverage/exclusions

if COVERAGE
export BTS_CRASH_IMAGES = 4000
# Here, in a build with --enable-coverage: what `make coverage` runs there.
coverage: $(need_check) btstore btstored $(coverage_programs)
	@find . -name '*.gcda' -exec rm -f {} +
	$(run_tests) $(coverage_programs)
	@$(srcdir)/tests/coverage/report '$(abs_top_srcdir)' '$(abs_top_builddir)'
else
coverage:
	@$(MKDIR_P) coverage
	@test -f coverage/Makefile || (cd coverage && \
		'$(abs_top_srcdir)/configure' -q --enable-coverage --disable-shared \
			CC='$(COVERAGE_CC)' CFLAGS=-g)
	@$(MAKE) -C coverage -s --no-print-directory coverage
endif

# gcov reads what gcc counted.
COVERAGE_CC = gcc

# Not CLEANFILES: the folder is another build.
clean-local-coverage:
	rm -rf coverage
clean-local: clean-local-coverage

.PHONY: coverage clean-local-coverage
