# SPDX-License-Identifier: MIT
# Models of the protocols, checked with Spin.  `make check-model` takes half a
# minute; `make soak-model` takes minutes, and up to 4 GB of memory.
model_scripts = tests/model/run_models
model_tests = $(addprefix $(srcdir)/,$(model_scripts))
EXTRA_DIST += $(model_scripts) tests/model/reclaim.pml tests/model/reclaim_space.pml \
	tests/model/reclaim_daemon.pml tests/model/space_map.pml

check-model:
	$(run_tests) $(model_tests)

soak-model:
	@$(SHELL) $(srcdir)/tests/model/run_models soak

.PHONY: check-model soak-model
