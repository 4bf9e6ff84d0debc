/* SPDX-License-Identifier: MIT */
/*
 * test_space: no page is handed out while anybody may still read it, and
 * every page comes back.
 *
 * The model keeps, for each state that a snapshot or a checkpoint may hold,
 * which pages it uses.  Random groups claim and release, are undone in part,
 * aborted, published late; snapshots come and go; checkpoints begin and end.
 * At each claim the page must be in nobody's state.
 */
#include "unit.h"

#include "pages/space.h"

#include <string.h>

#define MODEL_PAGES 60000u
#define PINS_MAX 6u

struct held_page {
    pgno_t first;
    pgno_t count;
    txnid_t born;
};

struct model {
    struct space *space;
    struct horizon horizon;
    struct beacon beacon;
    txnid_t txnid;                 /* newest applied */
    struct held_page *held;        /* what the applied tree uses */
    size_t held_count;
    struct slot *pins[PINS_MAX];
    txnid_t pinned[PINS_MAX];
    /* births and deaths of every page number's present use, to know who may see it */
    txnid_t born[MODEL_PAGES];
    txnid_t freed[MODEL_PAGES];    /* 0: still used */
    txnid_t checkpoint;
    txnid_t checkpoint_begun;
    txnid_t unpublished[4];
    size_t unpublished_count;
    uint64_t random;
};

static struct model model;

static uint64_t next_random(void)
{
    model.random ^= model.random << 13;
    model.random ^= model.random >> 7;
    model.random ^= model.random << 17;
    return model.random;
}

static txnid_t latest(void)
{
    return atomic_load(&model.beacon.latest);
}

/* Whether the state `t` uses a page that was born and freed so. */
static bool state_uses(txnid_t t, txnid_t born, txnid_t freed)
{
    return born != 0 && born <= t && (freed == 0 || t < freed);
}

/* Nobody may hold the page's last use. */
static void assert_nobody_holds(pgno_t pgno)
{
    txnid_t born = model.born[pgno];
    txnid_t freed = model.freed[pgno];

    if (born == 0)
        return;
    ck_assert_msg(freed != 0, "page %u is in use and was claimed", pgno);
    ck_assert_msg(!state_uses(latest(), born, freed), "page %u is in the newest state", pgno);
    for (size_t i = 0; i < PINS_MAX; i++) {
        ck_assert_msg(model.pins[i] == NULL || !state_uses(model.pinned[i], born, freed),
                      "page %u is in a pinned state", pgno);
    }
    ck_assert_msg(!state_uses(model.checkpoint, born, freed), "page %u is in checkpoint C", pgno);
    ck_assert_msg(model.checkpoint_begun == 0 || !state_uses(model.checkpoint_begun, born, freed),
                  "page %u is in checkpoint K", pgno);
    for (size_t i = 0; i < model.unpublished_count; i++) {
        txnid_t t = model.unpublished[i];

        if (t < model.txnid)
            ck_assert_msg(!state_uses(t, born, freed), "page %u is in an unpublished state", pgno);
    }
}

static void begin_store(void)
{
    memset(&model, 0, sizeof model);
    model.random = 88172645463325252ull;
    model.held = calloc(MODEL_PAGES, sizeof *model.held);
    ck_assert_int_eq(horizon_init(&model.horizon, NULL), BTS_OK);
    ck_assert_int_eq(space_create(4096, &model.space, NULL), BTS_OK);
    ck_assert_int_eq(space_load(model.space, 4, 0, NULL), BTS_OK);
}

static void end_store(void)
{
    space_destroy(model.space);
    horizon_fini(&model.horizon);
    free(model.held);
}

/* `replaces`: the birth of the page in whose place a single one comes; 0: of none. */
static void claim(pgno_t count, txnid_t replaces)
{
    pgno_t first = 0;

    if (count == 1)
        ck_assert_int_eq(space_claim(model.space, replaces, &first, NULL), BTS_OK);
    else
        ck_assert_int_eq(space_claim_run(model.space, count, &first, NULL), BTS_OK);
    ck_assert_uint_lt(first + count, MODEL_PAGES);
    for (pgno_t p = first; p < first + count; p++) {
        assert_nobody_holds(p);
        model.born[p] = model.txnid;
        model.freed[p] = 0;
    }
    model.held[model.held_count++] = (struct held_page){first, count, model.txnid};
}

static void release(void)
{
    size_t i;
    struct held_page page;

    if (model.held_count == 0)
        return;
    i = next_random() % model.held_count;
    if (next_random() % 3 != 0 && model.held_count > 40)
        i = model.held_count - 1 - next_random() % 40; /* young ones mostly */
    page = model.held[i];
    model.held[i] = model.held[--model.held_count];
    ck_assert_int_eq(space_reserve(model.space, 1, NULL), BTS_OK);
    space_release(model.space, page.first, page.count, page.born);
    for (pgno_t p = page.first; p < page.first + page.count; p++)
        model.freed[p] = model.txnid;
}

static void some_changes(unsigned most)
{
    for (unsigned n = (unsigned)(next_random() % most); n > 0; n--) {
        if (model.held_count < 300 || (model.held_count < 3000 && next_random() % 2 == 0))
            claim(next_random() % 20 == 0 ? 2 + (pgno_t)(next_random() % 30) : 1,
                  model.txnid - next_random() % 3);
        else
            release();
    }
}

/* A copy of the model, for a group or a batch that is taken back. */
struct backup {
    struct held_page held[MODEL_PAGES];
    size_t held_count;
    txnid_t born[MODEL_PAGES];
    txnid_t freed[MODEL_PAGES];
};

static void save(struct backup *backup)
{
    memcpy(backup->held, model.held, sizeof backup->held);
    backup->held_count = model.held_count;
    memcpy(backup->born, model.born, sizeof backup->born);
    memcpy(backup->freed, model.freed, sizeof backup->freed);
}

static void restore(const struct backup *backup)
{
    memcpy(model.held, backup->held, sizeof backup->held);
    model.held_count = backup->held_count;
    memcpy(model.born, backup->born, sizeof backup->born);
    memcpy(model.freed, backup->freed, sizeof backup->freed);
}

static void a_group(struct backup *group_backup, struct backup *batch_backup)
{
    save(group_backup);
    model.txnid++;
    model.unpublished[model.unpublished_count++] = model.txnid;
    space_group_begin(model.space, model.txnid);
    some_changes(60);
    if (next_random() % 4 == 0) {
        struct space_savepoint savepoint = space_savepoint(model.space);
        struct space_stat before = space_stat(model.space);
        struct space_stat after;

        save(batch_backup);
        some_changes(60);
        space_undo(model.space, &savepoint);
        restore(batch_backup);
        after = space_stat(model.space);
        ck_assert_uint_eq(before.page_count, after.page_count);
        ck_assert_uint_eq(before.free, after.free);
        ck_assert_uint_eq(before.unborn, after.unborn);
        some_changes(10);
    }
    if (next_random() % 10 == 0) {
        space_group_abort(model.space);
        restore(group_backup);
        model.txnid--;
        model.unpublished_count--;
    } else {
        space_group_end(model.space);
    }
    space_check(model.space);
}

static void publish_one(void)
{
    if (model.unpublished_count == 0)
        return;
    atomic_store(&model.beacon.latest, model.unpublished[0]);
    space_published(model.space, model.unpublished[0]);
    memmove(model.unpublished, model.unpublished + 1,
            --model.unpublished_count * sizeof *model.unpublished);
    ck_assert_int_eq(horizon_scan(&model.horizon, &model.beacon, NULL), BTS_OK);
    space_reclaim(model.space, &model.horizon);
    space_check(model.space);
}

static void move_a_pin(void)
{
    size_t i = next_random() % PINS_MAX;

    if (model.pins[i] != NULL) {
        atomic_store(&model.pins[i]->txn, SLOT_IDLE);
        model.pins[i] = NULL;
    } else if (latest() != 0) {
        model.pins[i] = horizon_own_slot(&model.horizon);
        ck_assert_ptr_nonnull(model.pins[i]);
        model.pinned[i] = latest();
        atomic_store(&model.pins[i]->txn, latest());
    }
}

static enum bts_status take_bits(void *context, uint32_t group, const uint8_t *bits,
                                 struct bts_error *error)
{
    uint8_t(*groups)[4064] = context;

    (void)error;
    ck_assert_uint_lt(group, 3);
    memcpy(groups[group], bits, 4064);
    return BTS_OK;
}

/* The bits handed out for K are exactly the pages of K. */
static void assert_bits_are_state(uint8_t (*groups)[4064], txnid_t k, pgno_t page_count)
{
    for (pgno_t p = 4; p < page_count; p++) {
        pgno_t group_pages = 32512;
        uint8_t byte = groups[p / group_pages][(p % group_pages) / 8];
        bool marked = (byte >> ((p % group_pages) % 8)) & 1;

        if (p >= group_pages && p % group_pages < 2)
            ck_assert_msg(marked, "map page %u must be marked", p);
        else
            ck_assert_msg(marked == state_uses(k, model.born[p], model.freed[p]),
                          "page %u: marked %d", p, marked);
    }
}

static void a_checkpoint_step(uint8_t (*groups)[4064])
{
    pgno_t page_count;

    if (model.checkpoint_begun != 0) {
        space_checkpoint_done(model.space);
        model.checkpoint = model.checkpoint_begun;
        model.checkpoint_begun = 0;
    } else if (latest() > model.checkpoint) {
        ck_assert_int_eq(space_checkpoint_begin(model.space, latest(), &page_count, take_bits,
                                                groups, NULL),
                         BTS_OK);
        model.checkpoint_begun = latest();
        if (model.unpublished_count == 0)
            assert_bits_are_state(groups, model.checkpoint_begun, page_count);
    }
}

START_TEST(no_page_is_claimed_that_anybody_may_read)
{
    static struct backup group_backup;
    static struct backup batch_backup;
    static uint8_t groups[3][4064];

    begin_store();
    for (unsigned round = 0; round < UNIT_ROUNDS(1500); round++) {
        if (model.unpublished_count < 3)
            a_group(&group_backup, &batch_backup);
        if (model.unpublished_count > 0 && next_random() % 3 != 0)
            publish_one();
        if (next_random() % 5 == 0)
            move_a_pin();
        if (next_random() % 25 == 0)
            a_checkpoint_step(groups);
    }
    ck_assert_uint_gt(space_stat(model.space).free, 0);
    end_store();
}
END_TEST

/* Frees all pins, publishes and checkpoints everything. */
static void settle(uint8_t (*groups)[4064])
{
    for (size_t i = 0; i < PINS_MAX; i++) {
        if (model.pins[i] != NULL)
            atomic_store(&model.pins[i]->txn, SLOT_IDLE);
        model.pins[i] = NULL;
    }
    while (model.unpublished_count > 0)
        publish_one();
    for (int i = 0; i < 4; i++)
        a_checkpoint_step(groups);
    ck_assert_int_eq(horizon_scan(&model.horizon, &model.beacon, NULL), BTS_OK);
    space_reclaim(model.space, &model.horizon);
}

START_TEST(every_page_comes_back_when_nobody_holds_it)
{
    static struct backup group_backup;
    static struct backup batch_backup;
    static uint8_t groups[3][4064];

    begin_store();
    for (unsigned round = 0; round < 500; round++) {
        a_group(&group_backup, &batch_backup);
        publish_one();
        if (round % 7 == 0)
            move_a_pin();
        if (round % 40 == 0)
            a_checkpoint_step(groups);
    }
    settle(groups);
    ck_assert_uint_eq(space_stat(model.space).limbo, 0);
    ck_assert_uint_eq(space_stat(model.space).unborn, 0);
    end_store();
}
END_TEST

START_TEST(overwriting_the_same_page_for_ever_needs_few_pages)
{
    static uint8_t groups[3][4064];

    begin_store();
    for (unsigned round = 0; round < UNIT_ROUNDS(8000); round++) {
        model.txnid++;
        model.unpublished[model.unpublished_count++] = model.txnid;
        space_group_begin(model.space, model.txnid);
        for (int i = 0; i < 3; i++)
            claim(1, model.txnid - 1);
        while (model.held_count > 3) {
            struct held_page page = model.held[0];

            memmove(model.held, model.held + 1, --model.held_count * sizeof *model.held);
            ck_assert_int_eq(space_reserve(model.space, 1, NULL), BTS_OK);
            space_release(model.space, page.first, page.count, page.born);
            for (pgno_t p = page.first; p < page.first + page.count; p++)
                model.freed[p] = model.txnid;
        }
        space_group_end(model.space);
        publish_one();
        if (round % 1000 == 999)
            a_checkpoint_step(groups);
    }
    ck_assert_uint_lt(space_stat(model.space).page_count, 40);
    end_store();
}
END_TEST

START_TEST(a_sleeping_reader_holds_its_own_state_only)
{
    static uint8_t groups[3][4064];
    uint64_t pages_at_start;

    begin_store();
    model.txnid = 1;
    model.unpublished[model.unpublished_count++] = 1;
    space_group_begin(model.space, 1);
    for (int i = 0; i < 100; i++)
        claim(1, 0);
    space_group_end(model.space);
    publish_one();
    move_a_pin();
    while (model.pins[0] == NULL && model.pins[1] == NULL && model.pins[2] == NULL &&
           model.pins[3] == NULL && model.pins[4] == NULL && model.pins[5] == NULL)
        move_a_pin();
    pages_at_start = space_stat(model.space).page_count;
    for (unsigned round = 0; round < UNIT_ROUNDS(3000); round++) {
        model.txnid++;
        model.unpublished[model.unpublished_count++] = model.txnid;
        space_group_begin(model.space, model.txnid);
        claim(1, 1);
        release();
        space_group_end(model.space);
        publish_one();
        if (round % 100 == 0)
            a_checkpoint_step(groups);
    }
    /* the snapshot's 100 pages, as many for the present state, and for two checkpoints, and of
     * the nursery, where all but the first lie, as many free */
    ck_assert_uint_lt(space_stat(model.space).page_count, pages_at_start + 800);
    ck_assert_uint_le(space_retained_pages(model.space, 1), 100);
    settle(groups);
    ck_assert_uint_eq(space_stat(model.space).limbo, 0);
    end_store();
}
END_TEST

START_TEST(a_held_space_claims_nothing_below_its_mark)
{
    uint8_t bits[4064] = {0x0f};
    pgno_t pgno = 0;

    begin_store();
    space_destroy(model.space);
    ck_assert_int_eq(space_create(4096, &model.space, NULL), BTS_OK);
    ck_assert_int_eq(space_load(model.space, 500, 10, NULL), BTS_OK);
    space_load_group(model.space, 0, bits);
    ck_assert_int_eq(space_hold(model.space, 700, NULL), BTS_OK);
    space_group_begin(model.space, 11);
    for (int i = 0; i < 300; i++) {
        ck_assert_int_eq(space_claim(model.space, 11, &pgno, NULL), BTS_OK);
        ck_assert_uint_ge(pgno, 700);
        ck_assert_int_eq(space_claim_run(model.space, 5, &pgno, NULL), BTS_OK);
        ck_assert_uint_ge(pgno, 700);
    }
    space_group_end(model.space);
    space_unhold(model.space);
    space_check(model.space);
    atomic_store(&model.beacon.latest, 11);
    space_published(model.space, 11);
    space_group_begin(model.space, 12);
    for (int i = 0; i < 300; i++)
        ck_assert_int_eq(space_claim(model.space, 11, &pgno, NULL), BTS_OK);
    ck_assert_uint_lt(pgno, 700);
    space_group_end(model.space);
    space_check(model.space);
    end_store();
}
END_TEST

START_TEST(map_pages_are_never_claimed)
{
    begin_store();
    model.txnid = 1;
    space_group_begin(model.space, 1);
    for (pgno_t i = 0; i < 50000; i += 1000) {
        pgno_t first = 0;

        ck_assert_int_eq(space_claim_run(model.space, 1000, &first, NULL), BTS_OK);
        ck_assert(first / 32512 == (first + 999) / 32512);
        ck_assert(first % 32512 >= 2);
    }
    space_group_end(model.space);
    atomic_store(&model.beacon.latest, 1);
    space_published(model.space, 1);
    space_check(model.space);
    end_store();
}
END_TEST

int main(void)
{
    return UNIT_RUN("space", no_page_is_claimed_that_anybody_may_read,
                    every_page_comes_back_when_nobody_holds_it,
                    overwriting_the_same_page_for_ever_needs_few_pages,
                    a_sleeping_reader_holds_its_own_state_only,
                    a_held_space_claims_nothing_below_its_mark, map_pages_are_never_claimed);
}
