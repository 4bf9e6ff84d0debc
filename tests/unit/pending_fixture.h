/* SPDX-License-Identifier: MIT */
/*
 * pending_fixture: a pending log on a file of its own.
 *
 * Each frame holds one "batch" of a size and a content that follow from its
 * transaction number, so a frame that comes back can be checked by itself.
 * Everything here stops the test on failure, unless it returns a status.
 */
#ifndef PENDING_FIXTURE_H
#define PENDING_FIXTURE_H

#include "commit/pending_log.h"

#define SEGMENT 65536u
#define SEGMENTS 6u
#define KEPT_SEGMENTS 2u /* of which a replay holds the bytes */

extern const uint8_t pending_uuid[16];
extern struct pending_log pending_log_file;
extern txnid_t pending_durable; /* what the frames say */

void pending_setup(void);
void pending_teardown(void);

enum bts_status pending_open_as(const uint8_t id[16], struct bts_error *error);
/* Closes and opens it, as after a kill. */
void pending_reopen(void);
void pending_begin(uint64_t epoch, txnid_t first);

/* BTS_BUSY: a checkpoint has to come first. */
enum bts_status pending_append(size_t size, txnid_t txnid, struct pending_place *place);
/* Appends frames `from` .. `to`, each durable; the position behind the last. */
uint64_t pending_append_many(txnid_t from, txnid_t to, size_t size);

struct pending_claim pending_claim_at(uint64_t epoch, uint64_t position, txnid_t txnid);
/* Opens the log anew and replays from the claim; how many frames came. */
uint64_t pending_replay(const struct pending_claim *claim);
enum bts_status pending_scan(const struct pending_claim *claim, struct bts_error *error);

/* Writes into the file, behind the log's back. */
void pending_overwrite(uint64_t offset, const void *bytes, size_t size);
/* A descriptor to read it. */
int pending_open_raw(void);

#endif
