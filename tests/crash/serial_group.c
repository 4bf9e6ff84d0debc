/* SPDX-License-Identifier: MIT */
/* serial_group: see serial_group.h. */
#include "serial_group.h"

/* Whether member `a` must come before member `b` of the same group. */
static bool comes_before(const struct serial_commit *a, const struct serial_commit *b)
{
    for (size_t i = 0; i < a->write_count; i++) {
        for (size_t j = 0; j < b->write_count; j++)
            if (a->writes[i].cell == b->writes[j].cell &&
                a->writes[i].version < b->writes[j].version)
                return true;
        for (size_t j = 0; j < b->require_count; j++)
            if (a->writes[i].cell == b->requires[j].cell &&
                a->writes[i].version <= b->requires[j].version)
                return true;
    }
    for (size_t i = 0; i < a->require_count; i++)
        for (size_t j = 0; j < b->write_count; j++)
            if (a->requires[i].cell == b->writes[j].cell &&
                a->requires[i].version < b->writes[j].version)
                return true;
    return false;
}

/* The first that none of the others must come before; `count`: there is none. */
static size_t group_first(const struct serial_commit *const *members, size_t count)
{
    for (size_t first = 0; first < count; first++) {
        size_t other = 0;

        while (other < count && (other == first || !comes_before(members[other], members[first])))
            other++;
        if (other == count)
            return first;
    }
    return count;
}

bool serial_group_has_order(const struct serial_commit **members, size_t count)
{
    while (count > 0) {
        size_t first = group_first(members, count);

        if (first == count)
            return false;
        members[first] = members[--count];
    }
    return true;
}
