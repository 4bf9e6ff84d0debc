/* SPDX-License-Identifier: MIT */
/*
 * fault_check: what must be true of fault_story's store at any time.  Each
 * function is true if it is; else story->wrong says what is not.
 */
#ifndef CRASH_FAULT_CHECK_H
#define CRASH_FAULT_CHECK_H

#include "fault_story.h"

#define STORY_MAP_SPAN (64u << 20)

/* Takes down what is wrong, if it is the first such thing; false. */
bool story_wrong(struct story *story, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A state is a version from acknowledged to begun, byte for byte. */
bool story_check_content(struct story *story, const char *who, const struct tree_view *directory,
                         unsigned *version);

/* Exactly the reachable pages are in use: as the last checkpoint, the newest state, wrote it. */
bool story_check_maps(struct story *story, const char *who, struct commit *commit);
/* The same, as the engine has it in memory. */
bool story_check_live(struct story *story, const char *who);

/* Pins the newest snapshot for long. */
bool story_pin(struct story *story);
void story_detach(struct story_reader *reader);
/* The pinned snapshot is as it was, and a fresh one is as it must be. */
bool story_check_readers(struct story *story);

#endif
