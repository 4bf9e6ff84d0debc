/* SPDX-License-Identifier: MIT */
/*
 * meta: encode, check and choose the root of the store.
 *
 * The page size stands in the meta itself, so it is the first thing to be
 * read and the last to be trusted: it must be possible, and must fit into what
 * the caller has, before the checksum is computed over so many bytes.
 *
 * Magic, version, page size and checksum keep their places in every version
 * of the format.  So a file of a later version has a right checksum and is
 * told from a damaged one: checksum first, then version, then the rest.
 */
#include "format/meta.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "format/space_map.h"

static const uint8_t meta_magic[8] = {'b', 't', 's', 't', 'o', 'r', 'e', '\n'};

/* A meta as it lies in its page. */
struct meta_bytes {
    struct page_header header;
    uint8_t magic[8];
    uint32_t version;
    uint32_t page_size;
    uint8_t uuid[16];
    txnid_t txnid;
    pgno_t root;
    uint32_t depth;
    uint64_t bucket_count;
    pgno_t page_count;
    uint32_t flags;
    uint64_t log_epoch;
    uint64_t log_position;
    uint32_t next_bucket_id;
    uint32_t reserved;
    uint64_t created_s;
};
_Static_assert(sizeof(struct meta_bytes) == META_SIZE, "a meta is 128 bytes");
_Static_assert(offsetof(struct meta_bytes, magic) == 32, "magic at 32");
_Static_assert(offsetof(struct meta_bytes, version) == 40, "version at 40");
_Static_assert(offsetof(struct meta_bytes, page_size) == 44, "page size at 44");
_Static_assert(offsetof(struct meta_bytes, uuid) == 48, "uuid at 48");
_Static_assert(offsetof(struct meta_bytes, txnid) == 64, "txnid at 64");
_Static_assert(offsetof(struct meta_bytes, root) == 72, "root at 72");
_Static_assert(offsetof(struct meta_bytes, depth) == 76, "depth at 76");
_Static_assert(offsetof(struct meta_bytes, bucket_count) == 80, "buckets at 80");
_Static_assert(offsetof(struct meta_bytes, page_count) == 88, "page count at 88");
_Static_assert(offsetof(struct meta_bytes, flags) == 92, "flags at 92");
_Static_assert(offsetof(struct meta_bytes, log_epoch) == 96, "log epoch at 96");
_Static_assert(offsetof(struct meta_bytes, log_position) == 104, "log position at 104");
_Static_assert(offsetof(struct meta_bytes, next_bucket_id) == 112, "next bucket id at 112");
_Static_assert(offsetof(struct meta_bytes, created_s) == 120, "created at 120");

/* ---- one meta -------------------------------------------------------------------- */

void meta_encode(const struct meta *meta, pgno_t pgno, void *page)
{
    struct meta_bytes bytes;

    assert(page_size_valid(meta->page_size) && pgno <= 1 && meta->txnid > 0);
    page_init(page, meta->page_size, PAGE_META, 0, pgno, BUCKET_ID_NONE, meta->txnid);
    memcpy(&bytes.header, page, sizeof(bytes.header));
    memcpy(bytes.magic, meta_magic, sizeof(meta_magic));
    bytes.version = META_VERSION;
    bytes.page_size = meta->page_size;
    memcpy(bytes.uuid, meta->uuid, sizeof(bytes.uuid));
    bytes.txnid = meta->txnid;
    bytes.root = meta->root;
    bytes.depth = meta->depth;
    bytes.bucket_count = meta->bucket_count;
    bytes.page_count = meta->page_count;
    bytes.flags = meta->clean ? META_CLEAN : 0;
    bytes.log_epoch = meta->log_epoch;
    bytes.log_position = meta->log_position;
    bytes.next_bucket_id = meta->next_bucket_id;
    bytes.reserved = 0;
    bytes.created_s = meta->created_s;
    memcpy(page, &bytes, sizeof(bytes));
    page_seal(page, meta->page_size);
}

/* What must be believed before the checksum can be: magic and page size. */
static enum bts_status meta_check_size(const struct meta_bytes *bytes, size_t size,
                                       struct bts_error *error)
{
    if (memcmp(bytes->magic, meta_magic, sizeof(meta_magic)) != 0) {
        return err_set(error, BTS_DAMAGED, "not a meta page of a store");
    }
    if (!page_size_valid(bytes->page_size)) {
        return err_set(error, BTS_DAMAGED, "impossible page size %u", bytes->page_size);
    }
    if (bytes->page_size > size) {
        return err_set(error, BTS_DAMAGED, "the file ends inside this page of %u bytes",
                       bytes->page_size);
    }
    return BTS_OK;
}

/* Whether everything that version 1 does not use is as page_init left it. */
static bool meta_reserved_unused(const struct meta_bytes *bytes, const void *page)
{
    const uint8_t *rest = (const uint8_t *)page + META_SIZE;
    const struct page_header *header = &bytes->header;

    return (bytes->flags & ~META_CLEAN) == 0 && bytes->reserved == 0 && header->n == 0 &&
           header->prefix == 0 && header->dead == 0 &&
           header->upper == (uint16_t)bytes->page_size && rest[0] == 0 &&
           memcmp(rest, rest + 1, bytes->page_size - META_SIZE - 1) == 0;
}

static bool meta_root_possible(const struct meta_bytes *bytes)
{
    if (bytes->root == PGNO_NONE) {
        return bytes->depth == 0 && bytes->bucket_count == 0;
    }
    return bytes->depth > 0 && bytes->bucket_count > 0 && bytes->root < bytes->page_count &&
           !space_map_is_fixed(bytes->root, bytes->page_size);
}

/* Whether a page with a right checksum says things that can be. */
static enum bts_status meta_check_fields(const struct meta_bytes *bytes, const void *page,
                                         struct bts_error *error)
{
    if (bytes->header.type != PAGE_META || bytes->header.level != 0 ||
        bytes->header.bucket != BUCKET_ID_NONE) {
        return err_set(error, BTS_DAMAGED, "page of type %u, level %u, bucket %u is no meta page",
                       bytes->header.type, bytes->header.level, bytes->header.bucket);
    }
    if (bytes->txnid == 0 || bytes->txnid != bytes->header.txnid) {
        return err_set(error, BTS_DAMAGED, "transaction %llu does not go with its header's %llu",
                       (unsigned long long)bytes->txnid,
                       (unsigned long long)bytes->header.txnid);
    }
    if (!meta_reserved_unused(bytes, page)) {
        return err_set(error, BTS_DAMAGED, "reserved bits are set");
    }
    if (bytes->page_count < 4) {
        return err_set(error, BTS_DAMAGED, "page count %u is below the four fixed pages",
                       bytes->page_count);
    }
    if (!meta_root_possible(bytes)) {
        return err_set(error, BTS_DAMAGED,
                       "directory root %u of depth %u cannot be in a store of %u pages",
                       bytes->root, bytes->depth, bytes->page_count);
    }
    return BTS_OK;
}

static void meta_take(const struct meta_bytes *bytes, struct meta *meta)
{
    meta->page_size = bytes->page_size;
    memcpy(meta->uuid, bytes->uuid, sizeof(meta->uuid));
    meta->txnid = bytes->txnid;
    meta->root = bytes->root;
    meta->depth = bytes->depth;
    meta->bucket_count = bytes->bucket_count;
    meta->page_count = bytes->page_count;
    meta->clean = (bytes->flags & META_CLEAN) != 0;
    meta->log_epoch = bytes->log_epoch;
    meta->log_position = bytes->log_position;
    meta->next_bucket_id = bytes->next_bucket_id;
    meta->created_s = bytes->created_s;
}

enum bts_status meta_decode(const void *page, size_t size, pgno_t pgno, struct meta *meta,
                            struct bts_error *error)
{
    struct meta_bytes bytes;

    memset(meta, 0, sizeof(*meta));
    if (size < PAGE_SIZE_MIN) {
        return err_set(error, BTS_DAMAGED, "the file ends before or inside this page");
    }
    memcpy(&bytes, page, sizeof(bytes));
    enum bts_status status = meta_check_size(&bytes, size, error);
    if (status == BTS_OK) {
        status = page_check(page, bytes.page_size, pgno, error);
    }
    if (status == BTS_OK && bytes.version != META_VERSION) {
        status = err_set(error, BTS_VERSION, "format version %u, this program knows %u",
                         bytes.version, META_VERSION);
    }
    if (status == BTS_OK) {
        status = meta_check_fields(&bytes, page, error);
    }
    if (status == BTS_OK) {
        meta_take(&bytes, meta);
    }
    return status;
}

/* ---- the choice ------------------------------------------------------------------ */

/* One of the two metas and what became of reading it. */
struct meta_candidate {
    struct meta meta;
    enum bts_status status;
    struct bts_error error;
};

static void meta_candidate_read(const uint8_t *file, size_t size, size_t offset, pgno_t pgno,
                                struct meta_candidate *candidate)
{
    size_t left = offset < size ? size - offset : 0;

    candidate->status = meta_decode(left > 0 ? file + offset : file, left, pgno, &candidate->meta,
                                    &candidate->error);
}

/*
 * Meta 1 when meta 0 does not tell the page size.  Offsets below the true page
 * size lie inside meta 0, so in ascending order no page of user data is taken
 * for a meta before the true place was looked at.
 */
static void meta_candidate_search(const uint8_t *file, size_t size,
                                  struct meta_candidate *candidate)
{
    for (size_t offset = PAGE_SIZE_MIN; offset <= PAGE_SIZE_MAX; offset *= 2) {
        struct meta_candidate here;
        meta_candidate_read(file, size, offset, 1, &here);
        if (here.status == BTS_OK && here.meta.page_size != offset) {
            here.status = err_set(&here.error, BTS_DAMAGED, "page size %u, but at offset %zu",
                                  here.meta.page_size, offset);
        }
        if (offset == PAGE_SIZE_MIN || here.status != BTS_DAMAGED) {
            *candidate = here;
        }
        if (here.status != BTS_DAMAGED) {
            return;
        }
    }
}

static enum bts_status meta_none_valid(const struct meta_candidate *zero,
                                       const struct meta_candidate *one, struct bts_error *error)
{
    bool newer = zero->status == BTS_VERSION || one->status == BTS_VERSION;

    if (newer) {
        return err_set(error, BTS_VERSION, "%s",
                       zero->status == BTS_VERSION ? zero->error.text : one->error.text);
    }
    return err_set(error, BTS_DAMAGED, "no valid meta page: page 0: %.180s; page 1: %.180s",
                   zero->error.text, one->error.text);
}

/* Whether meta 1 is the current one, both being valid. */
static bool meta_one_is_current(const struct meta *zero, const struct meta *one)
{
    if (zero->txnid != one->txnid) {
        return one->txnid > zero->txnid;
    }
    return one->clean && !zero->clean;
}

enum bts_status meta_choose(const void *file, size_t size, struct meta *meta, pgno_t *pgno,
                            struct bts_error *error)
{
    struct meta_candidate zero;
    struct meta_candidate one;

    memset(meta, 0, sizeof(*meta));
    *pgno = 0;
    meta_candidate_read(file, size, 0, 0, &zero);
    if (zero.status == BTS_OK) {
        meta_candidate_read(file, size, zero.meta.page_size, 1, &one);
    } else {
        meta_candidate_search(file, size, &one);
    }
    if (zero.status == BTS_VERSION || one.status == BTS_VERSION ||
        (zero.status != BTS_OK && one.status != BTS_OK)) {
        return meta_none_valid(&zero, &one, error);
    }
    if (zero.status == BTS_OK && one.status == BTS_OK) {
        if (memcmp(zero.meta.uuid, one.meta.uuid, sizeof(zero.meta.uuid)) != 0 ||
            zero.meta.page_size != one.meta.page_size) {
            return err_set(error, BTS_DAMAGED, "the two meta pages are of different stores");
        }
        *pgno = meta_one_is_current(&zero.meta, &one.meta) ? 1 : 0;
    } else {
        *pgno = zero.status == BTS_OK ? 0 : 1;
    }
    *meta = *pgno == 1 ? one.meta : zero.meta;
    return BTS_OK;
}
