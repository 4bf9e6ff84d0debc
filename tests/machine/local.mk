# SPDX-License-Identifier: MIT
# Whole-machine cuts, under User-Mode Linux; not part of ./check: see README.md.
#
#   make check-machine              MACHINE_CUTS=50 MACHINE_STATES=300
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
tests_machine_machine_init_LDADD = $(client_libs)

EXTRA_PROGRAMS += $(machine_programs)
CLEANFILES += $(machine_programs)
everything: $(machine_programs)
