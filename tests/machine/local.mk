# SPDX-License-Identifier: MIT
# Whole-machine power cuts, under User-Mode Linux; not part of ./check: see README.md.
#
#   make check-machine              MACHINE_ARGUMENTS='--cuts 500 --states 5000'
#   make check-machine-selftest     proves that it can fail
machine_programs = tests/machine/machine_init
tests_machine_machine_init_SOURCES = tests/machine/machine_init.c \
	tests/machine/block.c tests/machine/block.h \
	tests/machine/guest.c tests/machine/guest.h \
	tests/machine/load.c tests/machine/load.h \
	tests/machine/log_writes.c tests/machine/log_writes.h \
	tests/machine/replay.c tests/machine/replay.h \
	tests/machine/workload.c tests/machine/workload.h \
	$(harness_sources)
# Without libbtstore.so, which the machine would have to look for.
tests_machine_machine_init_LDADD = $(client_libs)

EXTRA_PROGRAMS += $(machine_programs)
CLEANFILES += $(machine_programs)
EXTRA_DIST += tests/machine/README.md \
	tests/machine/check_machine tests/machine/check_machine.py tests/machine/machine.py \
	tests/machine/selftest.py \
	tests/machine/seeded/log_not_synced.patch \
	tests/machine/seeded/meta_before_data.patch \
	tests/machine/seeded/sync_only_writes_back.patch

everything: $(machine_programs)

MACHINE_ARGUMENTS =
check-machine: btstored $(machine_programs)
	@$(srcdir)/tests/machine/check_machine $(MACHINE_ARGUMENTS) .

check-machine-selftest: $(machine_programs)
	@$(srcdir)/tests/machine/check_machine --prepare
	@$(srcdir)/tests/machine/selftest.py .

.PHONY: check-machine check-machine-selftest
