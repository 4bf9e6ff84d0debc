# SPDX-License-Identifier: MIT
#
# The fuzz targets for libFuzzer, as one make of their own: everything is
# compiled once with coverage and sanitizers, kept in an archive, and each
# target is linked from it.  tests/fuzz/run_guided calls it; by hand:
#
#   make -f SRCDIR/tests/fuzz/guided.mk SRCDIR=SRCDIR OUT=FOLDER [ROOMS=BUILD]
#
# With ROOMS, a build folder whose CFLAGS have -fsanitize=fuzzer-no-link, the
# archives of that build serve, and only what belongs to fuzzing is compiled.
FUZZ_CC = clang
FUZZ_FLAGS = -std=gnu11 -g1 -O2 -fno-omit-frame-pointer -pthread \
	-fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_CPPFLAGS = -D_GNU_SOURCE -DBTS_SANITIZER=1 -DBTSTORED_PATH='"btstored"' \
	-I$(SRCDIR)/include -I$(SRCDIR)/src -I$(SRCDIR)/daemon
FUZZ_LIBS = -lurcu-bp -lurcu-common

ROOMS =
rooms = src/client daemon/commit daemon/tree daemon/pages src/read src/format src/base
# Comparisons are traced where constants have to be guessed; it costs a third of the time.
guessed = $(patsubst %,src/format/%.c,batch meta pending_frame resp_request resp_reply)
ifeq ($(ROOMS),)
sources = $(foreach room,$(rooms),$(patsubst $(SRCDIR)/%,%,$(wildcard $(SRCDIR)/$(room)/*.c)))
archives =
else
sources = $(guessed)
archives = $(foreach room,$(rooms),$(ROOMS)/$(room)/lib$(notdir $(room)).a)
endif
# What targets share: all of tests/fuzz but the targets and the other driver.
shared = fuzz_main fuzz_oracle fuzz_sequence fuzz_walk fuzz_folder fuzz_serve fuzz_store fuzz_store_edit
targets = $(filter-out $(shared),$(basename $(notdir $(wildcard $(SRCDIR)/tests/fuzz/fuzz_*.c))))
sources += $(patsubst $(SRCDIR)/%,%,$(wildcard $(patsubst %,$(SRCDIR)/tests/fuzz/%.c,\
	$(filter-out fuzz_main,$(shared)))))
sources += tests/unit/writer_fixture.c
objects = $(patsubst %.c,$(OUT)/%.o,$(sources))
programs = $(patsubst fuzz_%,$(OUT)/%,$(targets))

all: $(programs)

$(patsubst %.c,$(OUT)/%.o,$(guessed)): TRACE =
TRACE = -fno-sanitize-coverage=trace-cmp

# Any header may concern any object: they are few, and soon compiled.
headers = $(shell find $(SRCDIR)/include $(SRCDIR)/src $(SRCDIR)/daemon $(SRCDIR)/tests/fuzz \
	$(SRCDIR)/tests/unit -name '*.h')

$(OUT)/%.o: $(SRCDIR)/%.c $(headers)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link $(TRACE) $(FUZZ_CPPFLAGS) -c -o $@ $<

$(OUT)/fuzzed.a: $(objects)
	@rm -f $@
	ar cr $@ $^

$(OUT)/%: $(OUT)/tests/fuzz/fuzz_%.o $(OUT)/fuzzed.a $(archives)
	$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $^ $(FUZZ_LIBS)

# A program that libFuzzer can be linked to at all?
probe:
	@mkdir -p $(OUT)
	@echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return d == 0 && n > 0; }' | \
		$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -x c -o $(OUT)/probe - && $(OUT)/probe -runs=1

.PHONY: all probe
.SECONDARY:
