/* SPDX-License-Identifier: MIT */
/*
 * build_tree: sorted trees in memory, for tests of the reading floor.
 *
 * A struct build is a store without a file: an array of pages and a page
 * source over it.  Trees are built bottom-up from sorted entries with the
 * functions of the format alone, so these tests need no writer.  Pages at and
 * above the high-water mark are not accessible, as those past the end of a
 * file are not.
 *
 * Mistakes assert: there is no error to return to a test.
 */
#ifndef BUILD_TREE_H
#define BUILD_TREE_H

#include "format/bucket_record.h"
#include "format/meta.h"
#include "read/tree.h"

struct build_entry {
    const uint8_t *key;
    size_t key_size;
    const uint8_t *value;
    size_t value_size;
};

struct build {
    size_t page_size;
    uint8_t *pages;               /* page p at pages + p * page_size */
    pgno_t page_room;             /* pages there is memory for */
    txnid_t txnid;                /* of the pages built from now on; 10 at first */
    unsigned leaf_entries_max;    /* to make trees deep; 0: as many as fit */
    unsigned inner_children_max;  /* 3 or more; 0: as many as fit */
    _Atomic uint64_t page_count;  /* the high-water mark */
    uint8_t *used;                /* a bit per page: fixed or claimed */
    struct page_source source;
};

void build_init(struct build *build, size_t page_size, pgno_t page_room);
void build_fini(struct build *build);

/* Page `pgno`, to be read or to be damaged. */
struct page_header *build_page(const struct build *build, pgno_t pgno);
/* Gives a changed page a true checksum again; a run whole. */
void build_reseal(const struct build *build, pgno_t pgno);
/* Forgets which pages were verified. */
void build_forget(const struct build *build);

/* A new page below the high-water mark, zeroed; `count` of them in a row. */
pgno_t build_claim(struct build *build, pgno_t count);

/* Builds the tree of bucket `id` from entries in ascending order of their keys. */
struct bucket_record build_tree(struct build *build, uint32_t id,
                                const struct build_entry *entries, size_t count);
/* A tree of one entry, "k" and "v", and any depth: inner pages that lead to one child twice. */
struct bucket_record build_chain(struct build *build, uint32_t depth);
struct tree_view build_view(const struct build *build, const struct bucket_record *record);

/* Builds the directory; names ascending. */
struct bucket_record build_directory(struct build *build, const char *const *names,
                                     const struct bucket_record *records, size_t count);

/* Writes both metas, and the space maps as of build->txnid. */
void build_finish(struct build *build, const struct bucket_record *directory);

/* ---- keys -------------------------------------------------------------------- */

enum build_keys {
    BUILD_KEYS_RANDOM, /* 1 to 40 random bytes */
    BUILD_KEYS_DENSE,  /* 1 to 6 bytes of an alphabet of three, 0x00 and 0xff among them */
    BUILD_KEYS_PREFIX, /* "user:account:00001234" */
    BUILD_KEYS_URL,    /* like "https://www.example.org/some/path/17" */
    BUILD_KEYS_LONG,   /* up to page_key_max bytes, long common prefixes */
    BUILD_KEYS_END,
};

/* A generator with a seed of its own: the same numbers in every run. */
struct build_random {
    uint64_t state;
};
uint64_t build_random(struct build_random *random);
static inline uint64_t build_random_below(struct build_random *random, uint64_t limit)
{
    return build_random(random) % limit;
}

/* One key of that kind into `out` (page_key_max bytes of room): its size. */
size_t build_key(struct build_random *random, enum build_keys kind, size_t page_size,
                 uint8_t *out);

/* Distinct entries in ascending order, about `count` of them, with the memory they lie in. */
struct build_entries {
    struct build_entry *entry;
    size_t count;
    uint8_t *bytes;
};
/* Values have up to `value_max` bytes, mostly few. */
void build_entries_init(struct build_entries *entries, struct build_random *random,
                        enum build_keys kind, size_t page_size, size_t count, size_t value_max);
void build_entries_fini(struct build_entries *entries);
/* Index of the first entry whose key is >= key; the model of all searches. */
size_t build_entries_lower(const struct build_entries *entries, const void *key, size_t key_size,
                           bool *found);

#endif
