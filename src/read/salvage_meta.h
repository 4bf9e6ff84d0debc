/* SPDX-License-Identifier: MIT */
/*
 * salvage_meta: what the two meta pages of a damaged file still say.
 *
 * Unlike meta_choose it takes one valid meta whatever is wrong with the other,
 * and without any it finds the page size from the pages themselves: at the
 * true size they carry their own numbers and right checksums.
 */
#ifndef READ_SALVAGE_META_H
#define READ_SALVAGE_META_H

#include "format/meta.h"

struct salvage_meta {
    bool is_found;
    bool is_alike;             /* both are valid and of one checkpoint: it was finished */
    struct meta meta;          /* the newest valid one; without any only page_size */
    struct bts_error fault[2]; /* of page 0 and 1; status BTS_OK: none */
};

/*
 * BTS_VERSION: a meta of a later version.  BTS_DAMAGED: no meta and no page of
 * a store.  BTS_NO_MEMORY.
 */
BTS_MUST_USE enum bts_status salvage_meta_find(int fd, struct salvage_meta *found,
                                               struct bts_error *error);

#endif
