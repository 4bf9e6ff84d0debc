/* SPDX-License-Identifier: MIT */
/*
 * fuzz_serve: the commit engine on the folder's files, in this thread.
 *
 * The beacon and the horizon are the run directory: they outlive a kill.
 */
#ifndef FUZZ_SERVE_H
#define FUZZ_SERVE_H

#include "commit/commit.h"

extern struct commit *serve_commit; /* NULL: none runs */

/* A new run directory; whatever ran is killed. */
void serve_reset(void);
/* Opens and recovers; a failure leaves nothing running. */
enum bts_status serve_start(bool create, struct bts_error *error);
/* As by SIGKILL. */
void serve_kill(void);

/* Does all requests of a list; they come back in order. */
void serve_requests(struct commit_request *requests);
/* A checkpoint, made now. */
enum bts_status serve_checkpoint(struct bts_error *error);

/* Checks the newest state: pages, counts, that what is live is what is reached. */
enum bts_status serve_check(struct bts_error *error);
/* Checks the last checkpoint with its maps; right after serve_checkpoint. */
enum bts_status serve_check_checkpoint(struct bts_error *error);

#endif
