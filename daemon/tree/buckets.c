/* SPDX-License-Identifier: MIT */
/*
 * buckets: see buckets.h.
 */
#include "tree/buckets.h"

#include "base/err.h"
#include "read/bucket.h"
#include "tree/open_buckets.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct buckets {
    struct pages *pages;
    struct tree directory; /* its page counts count from 0 at buckets_set_root: nobody needs them */
    uint32_t next_id;
    struct open_buckets open;
    struct bucket_record saved_directory; /* as of the savepoint */
    uint32_t saved_next_id;
};

enum bts_status buckets_create(struct pages *pages, struct buckets **buckets,
                               struct bts_error *error)
{
    static const struct buckets_root empty;
    struct buckets *made = calloc(1, sizeof(*made));

    *buckets = made;
    if (made == NULL) {
        return err_set(error, BTS_NO_MEMORY, "out of memory for the bucket directory");
    }
    made->pages = pages;
    buckets_set_root(made, &empty);
    return BTS_OK;
}

void buckets_destroy(struct buckets *buckets)
{
    if (buckets != NULL) {
        open_buckets_fini(&buckets->open);
        free(buckets);
    }
}

void buckets_set_root(struct buckets *buckets, const struct buckets_root *root)
{
    open_buckets_clear(&buckets->open);
    buckets->directory = (struct tree){.pages = buckets->pages,
                                       .record = {.id = BUCKET_ID_DIRECTORY,
                                                  .root = root->root,
                                                  .depth = root->depth,
                                                  .entry_count = root->bucket_count}};
    buckets->next_id = root->next_bucket_id;
}

struct buckets_root buckets_root(const struct buckets *buckets)
{
    return (struct buckets_root){.root = buckets->directory.record.root,
                                 .depth = buckets->directory.record.depth,
                                 .bucket_count = buckets->directory.record.entry_count,
                                 .next_bucket_id = buckets->next_id};
}

/* ---- opening ---------------------------------------------------------------- */

/* Says what to do about a bucket that is not there. */
static enum bts_status buckets_advise(enum bts_status status, struct bts_error *error)
{
    if (status == BTS_NO_BUCKET && error != NULL) {
        return err_set(error, status, "%s; create it first", error->text);
    }
    return status;
}

/* Opens what the directory was found to hold.  Two names for one number are damage. */
static enum bts_status buckets_open_found(struct buckets *buckets,
                                          const struct bucket_record *record, const void *name,
                                          size_t name_size, struct open_bucket **bucket,
                                          struct bts_error *error)
{
    if (open_buckets_find_id(&buckets->open, record->id) != NULL) {
        return err_set(error, BTS_DAMAGED, "bucket \"%.*s\": another one has its number %u too; "
                       "run btstore check", (int)name_size, (const char *)name, record->id);
    }
    return open_buckets_add(&buckets->open, buckets->pages, record, name, name_size, bucket,
                            error);
}

static enum bts_status buckets_find(struct buckets *buckets, const void *name, size_t name_size,
                                    struct open_bucket **bucket, struct bts_error *error)
{
    struct tree_view view = tree_view_of(&buckets->directory);
    struct bucket_record record;
    enum bts_status status;

    *bucket = open_buckets_find(&buckets->open, name, name_size);
    if (*bucket != NULL) {
        open_buckets_touch(&buckets->open, *bucket);
        return BTS_OK;
    }
    status = bucket_find(&view, name, name_size, &record, error);
    if (status != BTS_OK) {
        return buckets_advise(status, error);
    }
    return buckets_open_found(buckets, &record, name, name_size, bucket, error);
}

enum bts_status buckets_open(struct buckets *buckets, const void *name, size_t name_size,
                             struct tree **tree, struct bts_error *error)
{
    struct open_bucket *bucket;
    enum bts_status status = buckets_find(buckets, name, name_size, &bucket, error);

    *tree = status == BTS_OK ? &bucket->tree : NULL;
    return status;
}

enum bts_status buckets_open_id(struct buckets *buckets, uint32_t id, struct tree **tree,
                                struct bts_error *error)
{
    struct open_bucket *bucket = open_buckets_find_id(&buckets->open, id);
    struct tree_view view = tree_view_of(&buckets->directory);
    uint8_t name[BUCKET_NAME_MAX];
    struct bucket_record record;
    size_t name_size;
    enum bts_status status = BTS_OK;

    *tree = NULL;
    if (bucket != NULL) {
        open_buckets_touch(&buckets->open, bucket);
    } else {
        status = bucket_find_id(&view, id, &record, name, &name_size, error);
        if (status != BTS_OK) {
            return buckets_advise(status, error);
        }
        status = buckets_open_found(buckets, &record, name, name_size, &bucket, error);
    }
    *tree = status == BTS_OK ? &bucket->tree : NULL;
    return status;
}

/* ---- the directory ---------------------------------------------------------- */

/* Writes a record under a name; *written: false when the mode forbids it. */
static enum bts_status buckets_put_record(struct buckets *buckets, enum tree_put_mode mode,
                                          const void *name, size_t name_size,
                                          const struct bucket_record *record, bool *written,
                                          struct bts_error *error)
{
    uint8_t bytes[BUCKET_RECORD_SIZE];
    bool replaced;

    bucket_record_encode(record, bytes);
    return tree_put(&buckets->directory, mode, name, name_size, bytes, sizeof(bytes), &replaced,
                    written, error);
}

static enum bts_status buckets_check_name(const void *name, size_t name_size,
                                          struct bts_error *error)
{
    if (name_size == 0) {
        return err_set(error, BTS_INVALID, "a bucket's name is empty");
    }
    if (name_size > BUCKET_NAME_MAX) {
        return err_set(error, BTS_LIMIT, "a bucket's name of %zu bytes is over the limit of %u: "
                       "\"%.32s...\"", name_size, BUCKET_NAME_MAX, (const char *)name);
    }
    return BTS_OK;
}

static enum bts_status buckets_exists(const void *name, size_t name_size, struct bts_error *error)
{
    return err_set(error, BTS_EXISTS, "bucket \"%.*s\" is there already", (int)name_size,
                   (const char *)name);
}

enum bts_status buckets_add(struct buckets *buckets, const void *name, size_t name_size,
                            uint32_t *id, struct bts_error *error)
{
    struct bucket_record record = {.id = buckets->next_id,
                                   .created = pages_txnid(buckets->pages)};
    enum bts_status status = buckets_check_name(name, name_size, error);
    bool written = false;

    *id = 0;
    if (status == BTS_OK && record.id >= BUCKET_ID_NONE) {
        return err_set(error, BTS_LIMIT, "bucket \"%.*s\": all %u bucket numbers are used up",
                       (int)name_size, (const char *)name, BUCKET_ID_NONE);
    }
    if (status == BTS_OK) {
        status = buckets_put_record(buckets, TREE_PUT_IF_ABSENT, name, name_size, &record,
                                    &written, error);
    }
    if (status != BTS_OK) {
        return status;
    }
    if (!written) {
        return buckets_exists(name, name_size, error);
    }
    *id = buckets->next_id++;
    return BTS_OK;
}

enum bts_status buckets_create_default(struct buckets *buckets, struct bts_error *error)
{
    uint32_t id;

    assert(buckets->next_id == BUCKET_DEFAULT_ID && buckets->directory.record.depth == 0);
    return buckets_add(buckets, BTS_DEFAULT_BUCKET, sizeof(BTS_DEFAULT_BUCKET) - 1, &id, error);
}

/* Finds a bucket that is to be dropped or renamed. */
static enum bts_status buckets_find_other(struct buckets *buckets, const void *name,
                                          size_t name_size, const char *what,
                                          struct open_bucket **bucket, struct bts_error *error)
{
    enum bts_status status = buckets_find(buckets, name, name_size, bucket, error);

    if (status == BTS_OK && (*bucket)->tree.record.id == BUCKET_DEFAULT_ID) {
        return err_set(error, BTS_INVALID, "bucket \"%.*s\" cannot be %s: it always exists",
                       (int)name_size, (const char *)name, what);
    }
    return status;
}

enum bts_status buckets_drop(struct buckets *buckets, const void *name, size_t name_size,
                             struct bts_error *error)
{
    struct open_bucket *bucket;
    bool found;
    enum bts_status status =
        buckets_find_other(buckets, name, name_size, "dropped", &bucket, error);

    if (status == BTS_OK) {
        status = tree_clear(&bucket->tree, error);
    }
    if (status == BTS_OK) {
        status = tree_delete(&buckets->directory, name, name_size, &found, error);
    }
    if (status == BTS_OK) {
        open_buckets_drop(&buckets->open, bucket);
    }
    return status;
}

/* Moves the record in the directory to another name. */
static enum bts_status buckets_move_record(struct buckets *buckets, struct open_bucket *bucket,
                                           const void *name, size_t name_size,
                                           struct bts_error *error)
{
    bool done;
    enum bts_status status = buckets_put_record(buckets, TREE_PUT_IF_ABSENT, name, name_size,
                                                &bucket->tree.record, &done, error);

    if (status == BTS_OK && !done) {
        return buckets_exists(name, name_size, error);
    }
    if (status == BTS_OK) {
        status = tree_delete(&buckets->directory, bucket->name->bytes, bucket->name->size, &done,
                             error);
    }
    return status;
}

enum bts_status buckets_rename(struct buckets *buckets, const void *old_name, size_t old_name_size,
                               const void *new_name, size_t new_name_size,
                               struct bts_error *error)
{
    struct open_bucket *bucket;
    enum bts_status status = buckets_check_name(new_name, new_name_size, error);

    if (status == BTS_OK) {
        status = buckets_find_other(buckets, old_name, old_name_size, "renamed", &bucket, error);
    }
    if (status == BTS_OK) {
        status = buckets_move_record(buckets, bucket, new_name, new_name_size, error);
    }
    return status == BTS_OK ? open_buckets_rename(&buckets->open, bucket, new_name, new_name_size,
                                                  error)
                            : status;
}

/* ---- savepoints ------------------------------------------------------------- */

static bool buckets_is_behind(const struct open_bucket *bucket)
{
    return !bucket->gone &&
           memcmp(&bucket->stored, &bucket->tree.record, sizeof(bucket->stored)) != 0;
}

static enum bts_status buckets_put_records(struct buckets *buckets, struct bts_error *error)
{
    enum bts_status status = BTS_OK;
    bool written;

    for (size_t i = 0; i < buckets->open.count && status == BTS_OK; i++) {
        const struct open_bucket *bucket = buckets->open.list[i];
        if (buckets_is_behind(bucket)) {
            status = buckets_put_record(buckets, TREE_PUT_ALWAYS, bucket->name->bytes,
                                        bucket->name->size, &bucket->tree.record, &written,
                                        error);
        }
    }
    return status;
}

enum bts_status buckets_flush(struct buckets *buckets, struct bts_error *error)
{
    struct bucket_record before = buckets->directory.record;
    enum bts_status status;

    pages_savepoint(buckets->pages);
    status = buckets_put_records(buckets, error);
    if (status != BTS_OK) {
        pages_undo(buckets->pages);
        buckets->directory.record = before;
        return status;
    }
    pages_keep(buckets->pages);
    for (size_t i = 0; i < buckets->open.count; i++) {
        buckets->open.list[i]->stored = buckets->open.list[i]->tree.record;
    }
    return BTS_OK;
}

enum bts_status buckets_savepoint(struct buckets *buckets, struct bts_error *error)
{
    open_buckets_savepoint(&buckets->open);
    if (buckets->open.count > BUCKETS_OPEN_MAX) {
        enum bts_status status = buckets_flush(buckets, error);
        if (status != BTS_OK) {
            return status;
        }
        open_buckets_clear(&buckets->open);
    }
    buckets->saved_directory = buckets->directory.record;
    buckets->saved_next_id = buckets->next_id;
    return BTS_OK;
}

void buckets_undo(struct buckets *buckets)
{
    open_buckets_undo(&buckets->open);
    buckets->directory.record = buckets->saved_directory;
    buckets->next_id = buckets->saved_next_id;
}

void buckets_check(const struct buckets *buckets)
{
    const struct open_buckets *open = &buckets->open;

    assert(open->count <= open->room && open->places_used <= open->room);
    assert(open->count <= open->places_used);
    for (size_t i = 0; i < open->count; i++) {
        const struct open_bucket *bucket = open->list[i];
        if (!bucket->gone) {
            assert(open_buckets_find(open, bucket->name->bytes, bucket->name->size) == bucket);
            assert(open_buckets_find_id(open, bucket->tree.record.id) == bucket);
            assert(bucket->tree.record.id < buckets->next_id);
        }
        (void)bucket;
    }
    (void)open;
}
