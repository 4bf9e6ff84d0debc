/* SPDX-License-Identifier: MIT */
/*
 * conditions: see conditions.h.
 */
#include "tree/conditions.h"

#include "base/err.h"
#include "read/tree.h"

#include <string.h>

/* Longer keys are cut in messages. */
#define CONDITIONS_KEY_SHOWN 64

static enum bts_status conditions_conflict(const struct batch_operation *operation,
                                           const char *what, struct bts_error *error)
{
    bool cut = operation->first_size > CONDITIONS_KEY_SHOWN;

    return err_set(error, BTS_CONFLICT, "key \"%.*s%s\" %s; read again and retry",
                   cut ? CONDITIONS_KEY_SHOWN : (int)operation->first_size,
                   (const char *)operation->first, cut ? "..." : "", what);
}

enum bts_status conditions_judge(const struct tree *tree, const struct batch_operation *operation,
                                 struct bts_error *error)
{
    struct tree_view view = tree_view_of(tree);
    struct bts_bytes value;
    enum bts_status status =
        tree_get(&view, operation->first, operation->first_size, &value, error);

    if (status != BTS_OK && status != BTS_NOT_FOUND) {
        return status;
    }
    if (operation->type == BATCH_REQUIRE_ABSENT) {
        return status == BTS_NOT_FOUND
                   ? BTS_OK
                   : conditions_conflict(operation, "is there, and was required not to be", error);
    }
    if (status == BTS_NOT_FOUND) {
        return conditions_conflict(operation, "is not there, and was required to be", error);
    }
    if (operation->type == BATCH_REQUIRE_EQUAL &&
        (value.size != operation->second_size ||
         (value.size > 0 && memcmp(value.data, operation->second, value.size) != 0))) {
        return conditions_conflict(operation, "has another value than was required", error);
    }
    return BTS_OK;
}
