# SPDX-License-Identifier: MIT
# The tests, by kind.  A kind lists its C programs in KIND_programs and its
# scripts in KIND_scripts; tests/run runs them one after the other and counts.
#
#   make check          unit and process tests (distcheck: unit tests only)
#   make check-unit     make check-process     make check-crash
#   make check-fuzz     make lint
#
# With ONLY='test_meta test_leaf' as an argument each runs just those.
unit_programs =
process_programs =
process_scripts =
crash_programs =
crash_scripts =
fuzz_programs =
lint_scripts =

include tests/unit/local.mk
include tests/process/local.mk
include tests/crash/local.mk
include tests/lint/local.mk
include tests/fuzz/local.mk

if HAVE_CHECK
check_PROGRAMS += $(unit_programs)
else
EXTRA_PROGRAMS += $(unit_programs)
endif
if PROCESS_TESTS
check_PROGRAMS += $(process_programs)
else
EXTRA_PROGRAMS += $(process_programs)
endif
EXTRA_PROGRAMS += $(crash_programs) $(fuzz_programs)
CLEANFILES += $(unit_programs) $(process_programs) $(crash_programs) $(fuzz_programs)
EXTRA_DIST += tests/run tests/run_selftest \
	$(process_scripts) $(crash_scripts) $(lint_scripts)

# Scripts live in the source tree, programs in the build tree.
run_tests = BTS_SRCDIR='$(abs_top_srcdir)' BTS_BUILDDIR='$(abs_top_builddir)' \
	$(SHELL) $(srcdir)/tests/run --only '$(ONLY)'

check_kinds = check-unit
if PROCESS_TESTS
check_kinds += check-process
endif
check-local: $(check_kinds)

if HAVE_CHECK
check-unit: $(unit_programs)
	@$(run_tests) $(srcdir)/tests/run_selftest $(unit_programs)
else
check-unit:
	@echo 'Unit tests need libcheck 0.15 or newer (Debian: apt-get install check); then configure again.' >&2
	@exit 1
endif

check-process: btstore btstored $(process_programs)
	@$(run_tests) $(process_programs) $(addprefix $(srcdir)/,$(process_scripts))

check-crash: btstore btstored $(crash_programs)
	@$(run_tests) $(crash_programs) $(addprefix $(srcdir)/,$(crash_scripts))

check-fuzz: $(fuzz_programs)
	@$(run_tests) $(fuzz_programs)

lint: libbtstore.la
	@$(run_tests) $(addprefix $(srcdir)/,$(lint_scripts))

.PHONY: check-unit check-process check-crash check-fuzz lint
