/* SPDX-License-Identifier: MIT */
/*
 * salvage_writer: the new store, and the batch that is being filled for it.
 *
 * Operations are gathered and committed whenever there is about a megabyte of
 * them.  A batch of the writer's is no transaction of anybody's: nobody reads
 * the new store yet.
 */
#ifndef CLIENT_SALVAGE_WRITER_H
#define CLIENT_SALVAGE_WRITER_H

#include "client/store.h"
#include "format/batch.h"
#include "read/salvage.h"

struct salvage_writer {
    struct bts_store *store;  /* owned */
    struct batch batch;
    struct bts_bytes bucket;  /* name of the one that is in use; owned by it */
    bool created;             /* a private daemon made the file for it; it ends with us */
    bool has_bucket;          /* the batch at work has said so */
    txnid_t txnid;            /* of the last commit */
};

/*
 * Opens the new store, which has no entries; a missing file is created with
 * pages of `page_size`.  BTS_EXISTS: it has some.
 */
BTS_MUST_USE enum bts_status salvage_writer_open(struct salvage_writer *writer, const char *path,
                                                 const struct bts_options *options,
                                                 size_t page_size, struct bts_error *error);
/* A daemon that was started to make the file ends, and leaves one clean file. */
void salvage_writer_close(struct salvage_writer *writer);

/* What follows is for this bucket; it is created if it was not yet. */
BTS_MUST_USE enum bts_status salvage_writer_use(struct salvage_writer *writer,
                                                struct salvage_bucket *bucket,
                                                struct bts_error *error);
/* An entry of that bucket. */
BTS_MUST_USE enum bts_status salvage_writer_put(struct salvage_writer *writer,
                                                struct bts_bytes key, struct bts_bytes value,
                                                struct bts_error *error);
/* An operation of a batch. */
BTS_MUST_USE enum bts_status salvage_writer_add(struct salvage_writer *writer,
                                                enum batch_type type, unsigned flags,
                                                struct bts_bytes first, struct bts_bytes second,
                                                struct bts_error *error);
/* Commits what is there. */
BTS_MUST_USE enum bts_status salvage_writer_flush(struct salvage_writer *writer,
                                                  struct bts_error *error);

#endif
