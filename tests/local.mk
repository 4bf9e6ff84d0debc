# SPDX-License-Identifier: MIT
# The tests, by kind.  A kind lists its C programs in KIND_programs and its
# scripts in KIND_scripts; tests/run runs them and counts.
#
#   make check          unit and process tests (distcheck: unit tests only)
#   make check-unit     make check-process     make lint
#   make check-crash    make check-proof       make check-seeded   see tests/crash/local.mk
#   make check-fuzz     make check-fuzz-guided                     see tests/fuzz/local.mk
#   make check-model    protocols, by Spin                         see tests/model/local.mk
#   make check-machine  whole machines, killed                     see tests/machine/local.mk
#   make coverage       which branches the tests take              see tests/coverage/local.mk
#   make everything     builds all of that and runs nothing
#
# With ONLY='test_meta test_leaf' as an argument each runs just those.
unit_programs =
process_programs =
process_scripts =
crash_programs =
fuzz_programs =
lint_scripts =

include tests/unit/local.mk
include tests/process/local.mk
include tests/crash/local.mk
include tests/lint/local.mk
include tests/fuzz/local.mk
include tests/model/local.mk
include tests/coverage/local.mk
include tests/machine/local.mk

EXTRA_PROGRAMS += $(unit_programs) $(process_programs) $(crash_programs) $(fuzz_programs)
CLEANFILES += $(unit_programs) $(process_programs) $(crash_programs) $(fuzz_programs)
EXTRA_DIST += tests/run tests/run_selftest tests/unit/checks.h tests/unit/unit.h \
	$(process_scripts) $(lint_scripts)

# Scripts live in the source tree, programs in the build tree.
unit_tests = $(srcdir)/tests/run_selftest $(unit_programs)
# The scripts take longest, so they begin.
process_tests = $(addprefix $(srcdir)/,$(process_scripts)) $(process_programs)
lint_tests = $(addprefix $(srcdir)/,$(lint_scripts))

if SANITIZER
bts_sanitizer = 1
else
bts_sanitizer = 0
endif
AM_CPPFLAGS += -DBTS_SANITIZER=$(bts_sanitizer)

run_tests = @BTS_SRCDIR='$(abs_top_srcdir)' BTS_BUILDDIR='$(abs_top_builddir)' \
	BTS_SANITIZER=$(bts_sanitizer) $(SHELL) $(srcdir)/tests/run --only '$(ONLY)' --except '$(EXCEPT)'

# Of some programs, those that ONLY and EXCEPT leave.
wanted = $(filter-out $(addprefix %/,$(EXCEPT)),\
	$(if $(ONLY),$(filter $(addprefix %/,$(ONLY)),$(1)),$(1)))

if HAVE_CHECK
need_check =
else
need_check = say-what-is-missing
say-what-is-missing:
	@echo 'unit tests need libcheck 0.15 or newer (Debian: apt-get install check); configure again then' >&2
	@exit 1
endif

# What has to be built for the tests that are wanted.
unit_needs = $(need_check) $(call wanted,$(unit_programs))
process_needs = btstore btstored $(call wanted,$(process_programs)) \
	$(if $(call wanted,tests/process/main_job),doc/examples/packages/packages)
proof_needs = btstore btstored $(call wanted,$(proof_programs)) \
	$(if $(call wanted,tests/crash/fault_sweep_outside),tests/crash/fault_client)

if PROCESS_TESTS
check-local: $(unit_needs) $(process_needs)
	$(run_tests) $(unit_tests) $(process_tests)
else
check-local: check-unit
endif

# All products and all test programs, for a build that is tested later.
everything: all $(need_check) $(unit_programs) $(process_programs) $(crash_programs) $(fuzz_programs)
# Of these what unit and process tests need.
testable: btstore btstored $(need_check) $(unit_programs) $(process_programs)

check-unit: $(unit_needs)
	$(run_tests) $(unit_tests)

check-process: $(process_needs)
	$(run_tests) $(process_tests)

# All of that and the proofs in one go, so that no processor waits for the last of each.
check-tests: $(unit_needs) $(process_needs) $(proof_needs)
	$(run_tests) $(proof_tests) $(process_tests) $(unit_tests)

check-fuzz: $(fuzz_programs)
	$(run_tests) $(fuzz_programs)

lint: libbtstore.la
	$(run_tests) $(lint_tests)

.PHONY: everything testable check-tests check-unit check-process check-fuzz lint \
	say-what-is-missing
