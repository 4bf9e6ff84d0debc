/* SPDX-License-Identifier: MIT */
/*
 * salvage_settled: see salvage_settled.h.
 */
#include "client/salvage_settled.h"

#include "base/bytes.h"

#include <search.h>
#include <stdlib.h>

struct settled_key {
    size_t bucket;
    size_t size;
    uint8_t bytes[];
};

static int settled_key_order(const void *a, const void *b)
{
    const struct settled_key *left = a;
    const struct settled_key *right = b;

    if (left->bucket != right->bucket) {
        return left->bucket < right->bucket ? -1 : 1;
    }
    return bytes_compare(left->bytes, left->size, right->bytes, right->size);
}

static struct settled_key *settled_key_create(size_t bucket, struct bts_bytes key)
{
    struct settled_key *created = malloc(sizeof(*created) + key.size);

    if (created != NULL) {
        created->bucket = bucket;
        created->size = key.size;
        memcpy(created->bytes, key.data, key.size);
    }
    return created;
}

void salvage_settled_fini(struct salvage_settled *settled)
{
    tdestroy(settled->tree, free);
    settled->tree = NULL;
}

enum bts_status salvage_settled_add(struct salvage_settled *settled, size_t bucket,
                                    struct bts_bytes key)
{
    struct settled_key *added = settled_key_create(bucket, key);
    void *found = added != NULL ? tsearch(added, &settled->tree, settled_key_order) : NULL;

    if (found == NULL || *(struct settled_key **)found != added) {
        free(added); /* it was there already, or there is no memory */
    }
    return found != NULL ? BTS_OK : BTS_NO_MEMORY;
}

enum bts_status salvage_settled_has(const struct salvage_settled *settled, size_t bucket,
                                    struct bts_bytes key, bool *has)
{
    struct settled_key *wanted = settled_key_create(bucket, key);

    *has = wanted != NULL && tfind(wanted, &settled->tree, settled_key_order) != NULL;
    free(wanted);
    return wanted != NULL ? BTS_OK : BTS_NO_MEMORY;
}
