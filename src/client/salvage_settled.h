/* SPDX-License-Identifier: MIT */
/*
 * salvage_settled: keys behind damage of which a later commit said what they
 * hold.  Buckets go by their place in the salvage.
 */
#ifndef CLIENT_SALVAGE_SETTLED_H
#define CLIENT_SALVAGE_SETTLED_H

#include <btstore.h>

struct salvage_settled {
    void *tree; /* of tsearch; owned */
};

void salvage_settled_fini(struct salvage_settled *settled);

/* BTS_NO_MEMORY. */
BTS_MUST_USE enum bts_status salvage_settled_add(struct salvage_settled *settled, size_t bucket,
                                                 struct bts_bytes key);
/* BTS_NO_MEMORY. */
BTS_MUST_USE enum bts_status salvage_settled_has(const struct salvage_settled *settled,
                                                 size_t bucket, struct bts_bytes key, bool *has);

#endif
