/* SPDX-License-Identifier: MIT */
/*
 * read: buckets, gets and cursors of the public interface.
 *
 * A thin floor: each call checks that the snapshot may be used here, hands a
 * tree_view to read/, and puts the store's name before the text of a failure.
 */
#include "client/snapshot_private.h"

#include "base/err.h"
#include "read/bucket.h"
#include "read/multi_get.h"

/* Answers that are no failures have no text. */
static inline enum bts_status read_outcome(const struct attachment *attachment,
                                           enum bts_status status, struct bts_error *error)
{
    if (__builtin_expect(status <= BTS_END, 1)) {
        return status;
    }
    return store_failed(attachment->store, status, error);
}

/* ---- buckets --------------------------------------------------------------------- */

enum bts_status bts_bucket_open(const struct bts_snapshot *snapshot, const void *name,
                                size_t name_size, struct bts_bucket *bucket,
                                struct bts_error *error)
{
    const struct snapshot *opened = snapshot_of(snapshot);
    struct bucket_record record;
    enum bts_status status;

    *bucket = (struct bts_bucket){.id = 0};
    if (!fork_mark_is_ours(opened->mark)) {
        return snapshot_unusable(opened, error);
    }
    struct tree_view directory = snapshot_directory(opened);
    status = bucket_find(&directory, name, name_size, &record, error);
    if (status == BTS_OK) {
        bucket->id = record.id;
        bucket->root = record.root;
        bucket->depth = record.depth;
        bucket->entry_count = record.entry_count;
    }
    return read_outcome(opened->attachment, status, error);
}

/* ---- gets ------------------------------------------------------------------------ */

enum bts_status bts_get(const struct bts_snapshot *snapshot, const struct bts_bucket *bucket,
                        const void *key, size_t key_size, struct bts_bytes *value,
                        struct bts_error *error)
{
    const struct snapshot *opened = snapshot_of(snapshot);

    if (!fork_mark_is_ours(opened->mark)) {
        *value = (struct bts_bytes){NULL, 0};
        return snapshot_unusable(opened, error);
    }
    struct tree_view view = snapshot_bucket(opened, bucket);
    return read_outcome(opened->attachment, tree_get_inline(&view, key, key_size, value, error),
                        error);
}

enum bts_status bts_get_many(const struct bts_snapshot *snapshot, const struct bts_bucket *bucket,
                             struct bts_lookup *lookups, size_t lookup_count,
                             struct bts_error *error)
{
    const struct snapshot *opened = snapshot_of(snapshot);

    if (!fork_mark_is_ours(opened->mark)) {
        enum bts_status status = snapshot_unusable(opened, error);
        for (size_t i = 0; i < lookup_count; i++) {
            lookups[i].value = (struct bts_bytes){NULL, 0};
            lookups[i].status = status;
        }
        return status;
    }
    struct tree_view view = snapshot_bucket(opened, bucket);
    return read_outcome(opened->attachment, multi_get(&view, lookups, lookup_count, error), error);
}

/* ---- cursors --------------------------------------------------------------------- */

static void read_cursor_init(struct bts_cursor *cursor, const struct snapshot *snapshot,
                             const struct tree_view *view)
{
    struct snapshot_cursor *created = (struct snapshot_cursor *)cursor;

    created->mark = snapshot->mark;
    created->attachment = snapshot->attachment;
    cursor_init(&created->cursor, view);
}

void bts_cursor_init(struct bts_cursor *cursor, const struct bts_snapshot *snapshot,
                     const struct bts_bucket *bucket)
{
    struct tree_view view = snapshot_bucket(snapshot_of(snapshot), bucket);

    read_cursor_init(cursor, snapshot_of(snapshot), &view);
}

void bts_cursor_init_buckets(struct bts_cursor *cursor, const struct bts_snapshot *snapshot)
{
    struct tree_view view = snapshot_directory(snapshot_of(snapshot));

    read_cursor_init(cursor, snapshot_of(snapshot), &view);
}

static inline struct snapshot_cursor *read_cursor(struct bts_cursor *cursor)
{
    return (struct snapshot_cursor *)cursor;
}

void bts_cursor_set_range(struct bts_cursor *cursor, const void *from, size_t from_size,
                          const void *to, size_t to_size)
{
    cursor_set_range(&read_cursor(cursor)->cursor, (struct bts_bytes){from, from_size},
                     (struct bts_bytes){to, to_size});
}

void bts_cursor_set_prefix(struct bts_cursor *cursor, const void *prefix, size_t prefix_size)
{
    cursor_set_prefix(&read_cursor(cursor)->cursor, (struct bts_bytes){prefix, prefix_size});
}

/* Why a cursor cannot move: its snapshot was closed before it began, or a fork. */
static enum bts_status read_cursor_unusable(const struct snapshot_cursor *cursor,
                                            struct bts_bytes *key, struct bts_bytes *value,
                                            struct bts_error *error)
{
    struct snapshot snapshot = {.mark = cursor->mark, .attachment = cursor->attachment};

    if (key != NULL) {
        *key = (struct bts_bytes){NULL, 0};
    }
    if (value != NULL) {
        *value = (struct bts_bytes){NULL, 0};
    }
    return snapshot_unusable(&snapshot, error);
}

enum bts_status bts_cursor_first(struct bts_cursor *cursor, struct bts_bytes *key,
                                 struct bts_bytes *value, struct bts_error *error)
{
    struct snapshot_cursor *moved = read_cursor(cursor);

    if (!fork_mark_is_ours(moved->mark)) {
        return read_cursor_unusable(moved, key, value, error);
    }
    return read_outcome(moved->attachment, cursor_first(&moved->cursor, key, value, error), error);
}

enum bts_status bts_cursor_last(struct bts_cursor *cursor, struct bts_bytes *key,
                                struct bts_bytes *value, struct bts_error *error)
{
    struct snapshot_cursor *moved = read_cursor(cursor);

    if (!fork_mark_is_ours(moved->mark)) {
        return read_cursor_unusable(moved, key, value, error);
    }
    return read_outcome(moved->attachment, cursor_last(&moved->cursor, key, value, error), error);
}

enum bts_status bts_cursor_next(struct bts_cursor *cursor, struct bts_bytes *key,
                                struct bts_bytes *value, struct bts_error *error)
{
    struct snapshot_cursor *moved = read_cursor(cursor);

    if (!fork_mark_is_ours(moved->mark)) {
        return read_cursor_unusable(moved, key, value, error);
    }
    return read_outcome(moved->attachment, cursor_next(&moved->cursor, key, value, error), error);
}

enum bts_status bts_cursor_prev(struct bts_cursor *cursor, struct bts_bytes *key,
                                struct bts_bytes *value, struct bts_error *error)
{
    struct snapshot_cursor *moved = read_cursor(cursor);

    if (!fork_mark_is_ours(moved->mark)) {
        return read_cursor_unusable(moved, key, value, error);
    }
    return read_outcome(moved->attachment, cursor_prev(&moved->cursor, key, value, error), error);
}

enum bts_status bts_cursor_seek(struct bts_cursor *cursor, const void *key, size_t key_size,
                                struct bts_bytes *found_key, struct bts_bytes *value,
                                struct bts_error *error)
{
    struct snapshot_cursor *moved = read_cursor(cursor);

    if (!fork_mark_is_ours(moved->mark)) {
        return read_cursor_unusable(moved, found_key, value, error);
    }
    return read_outcome(moved->attachment,
                        cursor_seek(&moved->cursor, key, key_size, found_key, value, error), error);
}
