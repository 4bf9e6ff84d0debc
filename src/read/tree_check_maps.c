/* SPDX-License-Identifier: MIT */
/*
 * tree_check_maps: hold what a walk has reached against the space map.
 *
 * Neighbouring pages with the same fault make one finding: a lost subtree or
 * run is one line, not thousands.
 */
#include "format/space_map.h"
#include "read/page_copy.h"
#include "read/tree_check.h"

#include "base/bytes.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What can be wrong about a page's bit. */
enum check_fault {
    CHECK_FAULT_NONE,
    CHECK_FAULT_LEAKED,
    CHECK_FAULT_MISSING,
    CHECK_FAULT_ABOVE,
};

/* Pages [first, end) that share a fault; end is where the comparison stands. */
struct check_stretch {
    enum check_fault fault;
    uint64_t first;
    uint64_t end;
};

static void check_stretch_report(struct tree_check *check, const struct check_stretch *stretch)
{
    static const char *const texts[] = {
        [CHECK_FAULT_LEAKED] = "in use by the space map, but nothing leads there",
        [CHECK_FAULT_MISSING] = "in use, but free by the space map",
        [CHECK_FAULT_ABOVE] = "in use by the space map, but beyond the end of the store",
    };
    const char *unread = stretch->fault == CHECK_FAULT_LEAKED && check->is_cut_off
                             ? " that could be read"
                             : "";

    if (stretch->fault == CHECK_FAULT_NONE)
        return;
    if (stretch->end - stretch->first == 1)
        tree_check_find(check, "page %llu: %s%s", (unsigned long long)stretch->first,
                        texts[stretch->fault], unread);
    else
        tree_check_find(check, "pages %llu to %llu: %s%s", (unsigned long long)stretch->first,
                        (unsigned long long)stretch->end - 1, texts[stretch->fault], unread);
}

/* Adds page `stretch->end` and its fault. */
static void check_stretch_add(struct tree_check *check, struct check_stretch *stretch,
                              enum check_fault fault)
{
    if (fault != stretch->fault) {
        check_stretch_report(check, stretch);
        stretch->fault = fault;
        stretch->first = stretch->end;
    }
    stretch->end++;
    check->result.leaked += fault == CHECK_FAULT_LEAKED;
    check->result.missing += fault == CHECK_FAULT_MISSING;
}

/* Ends a stretch where there is nothing to compare, and goes on at `page`. */
static void check_stretch_skip(struct tree_check *check, struct check_stretch *stretch,
                               uint64_t page)
{
    check_stretch_report(check, stretch);
    *stretch = (struct check_stretch){CHECK_FAULT_NONE, page, page};
}

/* Eight bits of what was reached, from `page` on, a multiple of 8; beyond the store: none. */
static uint8_t check_reached_byte(const struct tree_check *check, uint64_t page)
{
    return page < check->page_count ? check->reached[page / 8] : 0;
}

static void check_compare_page(struct tree_check *check, struct check_stretch *stretch,
                               uint64_t page, bool mapped, bool reached)
{
    enum check_fault fault = CHECK_FAULT_NONE;

    check->result.mapped += mapped;
    if (mapped && page >= check->page_count)
        fault = CHECK_FAULT_ABOVE;
    else if (mapped && !reached)
        fault = CHECK_FAULT_LEAKED;
    else if (reached && !mapped)
        fault = CHECK_FAULT_MISSING;
    check_stretch_add(check, stretch, fault);
}

/* The same eight bits on both sides, and none of a page beyond the store; mostly so. */
static bool check_byte_agrees(const struct tree_check *check, uint64_t page, uint8_t mapped)
{
    return mapped == check_reached_byte(check, page) &&
           (mapped == 0 || page + 8 <= check->page_count);
}

/* As check_byte_agrees, of 64 pages from `page` on, on the same side of the store's end. */
static bool check_word_agrees(const struct tree_check *check, uint64_t page, uint64_t mapped)
{
    if (page >= check->page_count)
        return mapped == 0;
    return page + 64 <= check->page_count && mapped == bytes_load_u64(check->reached + page / 8);
}

/* Passes `count` pages at whose bits nothing is wrong, the `mapped` ones in use. */
static void check_compare_skip(struct tree_check *check, struct check_stretch *stretch,
                               unsigned count, uint64_t mapped)
{
    check->result.mapped += (unsigned)__builtin_popcountll(mapped);
    check_stretch_add(check, stretch, CHECK_FAULT_NONE);
    stretch->end += count - 1;
}

/* Compares `count` pages from stretch->end, a multiple of 8, with bits[0] on. */
static void check_compare(struct tree_check *check, struct check_stretch *stretch,
                          const uint8_t *bits, uint64_t count)
{
    uint64_t start = stretch->end;
    uint64_t i = 0;

    while (i < count) {
        uint64_t page = start + i;
        const uint8_t *at = bits + i / 8;

        if (i + 64 <= count && check_word_agrees(check, page, bytes_load_u64(at))) {
            check_compare_skip(check, stretch, 64, bytes_load_u64(at));
            i += 64;
        } else if (i + 8 <= count && check_byte_agrees(check, page, *at)) {
            check_compare_skip(check, stretch, 8, *at);
            i += 8;
        } else {
            for (unsigned k = 0; k < 8 && i < count; k++, i++)
                check_compare_page(check, stretch, page + k, (*at >> k & 1) != 0,
                                   (check_reached_byte(check, page) >> k & 1) != 0);
        }
    }
}

/* The page, if it may be touched; from a file it is copied to `room`.  NULL: `why`. */
static const struct page_header *check_map_page(const struct tree_check *check, pgno_t pgno,
                                                uint8_t *room, struct bts_error *why)
{
    const struct page_source *source = check->source;

    if (check->fd >= 0)
        return page_copy(check->fd, page_source_page_size(source), pgno, 1, room, why) == BTS_OK
                   ? (const struct page_header *)(const void *)room
                   : NULL;
    if (pgno >= atomic_load_explicit(source->page_count, memory_order_relaxed) ||
        pgno >= source->page_limit) {
        err_set(why, BTS_DAMAGED, "beyond the end of the file");
        return NULL;
    }
    return (const struct page_header *)(source->base + ((size_t)pgno << source->page_shift));
}

/* A group's map: the copy that the state uses, and what is wrong with the others. */
struct check_map {
    const struct page_header *chosen; /* the newest copy that belongs to the state; NULL: none */
    struct bts_error why;             /* chosen NULL: why there is none */
    bool is_bad[2];                   /* a copy that does not verify, be it in use or not .. */
    struct bts_error bad[2];          /* .. and why */
};

/* `room`: for two pages; what is chosen may lie there. */
static void check_look_at_map(const struct tree_check *check, uint32_t group, uint8_t *room,
                              struct check_map *map)
{
    size_t page_size = page_source_page_size(check->source);

    memset(map, 0, sizeof(*map));
    for (unsigned copy = 0; copy < 2; copy++) {
        const struct page_header *page =
            check_map_page(check, space_map_pgno(group, copy, page_size),
                           room + copy * page_size, &map->bad[copy]);

        if (page == NULL ||
            space_map_check(page, page_size, group, copy, &map->bad[copy]) != BTS_OK) {
            map->is_bad[copy] = true;
            map->why = map->bad[copy];
        } else if (page->txnid > check->txnid) {
            err_set(&map->why, BTS_DAMAGED, "of transaction %llu, after the state",
                    (unsigned long long)page->txnid);
        } else if (map->chosen == NULL || page->txnid > map->chosen->txnid) {
            map->chosen = page;
        }
    }
}

void tree_check_find_map(struct tree_check *check, uint32_t group, unsigned copy,
                         const char *text)
{
    size_t page_size = page_source_page_size(check->source);
    uint64_t group_pages = space_map_group_pages(page_size);

    check->result.damaged++;
    tree_check_find(check, "page %u (space map of pages %llu to %llu): %s",
                    space_map_pgno(group, copy, page_size),
                    (unsigned long long)(group * group_pages),
                    (unsigned long long)((group + 1) * group_pages - 1), text);
}

/*
 * Each copy that does not verify is told, though the other one does for now:
 * when that goes too, the store cannot be started.
 */
static void check_report_map(struct tree_check *check, uint32_t group,
                             const struct check_map *map)
{
    char text[200];

    for (unsigned copy = 0; copy < 2; copy++)
        if (map->is_bad[copy] && map->chosen != NULL)
            tree_check_find_map(check, group, copy, map->bad[copy].text);
    if (map->chosen != NULL)
        return;
    snprintf(text, sizeof(text), "no usable copy: %.160s", map->why.text);
    tree_check_find_map(check, group, 0, text);
}

static enum bts_status check_verdict(const struct tree_check *check, struct bts_error *error)
{
    if (check->finding_count == 0)
        return BTS_OK;
    return err_set(error, BTS_DAMAGED, "%llu findings, the first: %s",
                   (unsigned long long)check->finding_count, check->first.text);
}

enum bts_status tree_check_maps(struct tree_check *check, struct bts_error *error)
{
    size_t page_size = page_source_page_size(check->source);
    uint64_t group_pages = space_map_group_pages(page_size);
    uint32_t group_count = space_map_group_count(check->page_count, page_size);
    struct check_stretch stretch = {CHECK_FAULT_NONE, 0, 0};
    struct check_map map;
    uint8_t *room = malloc(2 * page_size);

    if (room == NULL)
        return err_set(error, BTS_NO_MEMORY, "check: no memory for two pages");
    for (uint32_t group = 0; group < group_count; group++) {
        check_look_at_map(check, group, room, &map);
        if (map.chosen != NULL)
            check_compare(check, &stretch, space_map_bits(map.chosen), group_pages);
        else
            check_stretch_skip(check, &stretch, (group + 1) * group_pages);
        check_report_map(check, group, &map);
    }
    free(room);
    check_stretch_report(check, &stretch);
    return check_verdict(check, error);
}

enum bts_status tree_check_bits(struct tree_check *check, const uint8_t *bits,
                                struct bts_error *error)
{
    struct check_stretch stretch = {CHECK_FAULT_NONE, 0, 0};

    check_compare(check, &stretch, bits, check->page_count);
    check_stretch_report(check, &stretch);
    return check_verdict(check, error);
}
