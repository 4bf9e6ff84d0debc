/* SPDX-License-Identifier: MIT */
/* cuts: see cuts.h. */
#include "cuts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "commit/commit_private.h"

#define SUBSETS_WHOLE 6u      /* so many operations: all subsets */
#define HASH_SET_START (1u << 14)

const char *const cut_names[CUT_KINDS] = {"none",  "all",    "subset", "prefix", "lost",
                                          "alone", "random", "torn",   "size"};

/* ---- hashes ------------------------------------------------------------- */

void hash_set_init(struct hash_set *set)
{
    *set = (struct hash_set){.room = HASH_SET_START};
    set->hashes = calloc(set->room, sizeof(*set->hashes));
    if (set->hashes == NULL)
        abort();
}

void hash_set_fini(struct hash_set *set)
{
    free(set->hashes);
}

static void hash_set_grow(struct hash_set *set)
{
    struct hash_set larger = {.room = set->room * 2};

    larger.hashes = calloc(larger.room, sizeof(*larger.hashes));
    if (larger.hashes == NULL)
        abort();
    for (size_t i = 0; i < set->room; i++) {
        if (set->hashes[i] != 0)
            (void)hash_set_add(&larger, set->hashes[i]);
    }
    free(set->hashes);
    *set = larger;
}

bool hash_set_add(struct hash_set *set, uint64_t hash)
{
    size_t at;

    hash = hash != 0 ? hash : 1;
    for (at = hash & (set->room - 1); set->hashes[at] != 0; at = (at + 1) & (set->room - 1)) {
        if (set->hashes[at] == hash)
            return false;
    }
    set->hashes[at] = hash;
    if (++set->count > set->room / 2)
        hash_set_grow(set);
    return true;
}

/* ---- one image ---------------------------------------------------------- */

static uint64_t draw(struct cuts *cuts, uint64_t below)
{
    cuts->random = disk_mix(cuts->random + 0x9e3779b97f4a7c15ull);
    return below > 0 ? cuts->random % below : 0;
}

/* Pages of the tree that were visited, by the map's own marks; a run is marked at its first. */
static void note_visited(struct cuts *cuts)
{
    struct commit *commit = cuts->run.commit;
    const struct page_source *source = commit_latest(commit).source;
    size_t page_size = commit_page_size(commit);
    uint32_t scale = (uint32_t)(page_size / DISK_PAGE);
    pgno_t end = (pgno_t)commit_stat(commit).space.page_count;

    for (pgno_t pgno = 0; pgno < end && pgno < source->page_limit; pgno++) {
        const struct page_header *page =
            (const struct page_header *)(source->base + (size_t)pgno * page_size);
        uint64_t count = 1;
        if (atomic_load_explicit(&source->verified[pgno], memory_order_relaxed) == 0)
            continue;
        if (page->type == PAGE_RUN)
            count = page_run_pages(page->run_length, page_size);
        for (uint32_t i = 0; i < count * scale; i++)
            scratch_note_read(&cuts->scratch, 0, pgno * scale + i);
    }
}

/* ---- images that can only go the same way ------------------------------- */

static uint64_t named_size(const struct image *image, unsigned name)
{
    return image->names[name] >= 0 ? image->sizes[image->names[name]] : 0;
}

static bool class_has(const struct cut_class *class, const struct image *image, unsigned due)
{
    if (class->count == 0 || class->due != due)
        return false;
    for (unsigned name = 0; name < DISK_NAMES; name++) {
        if (class->names[name] != image->names[name] ||
            class->sizes[name] != named_size(image, name))
            return false;
    }
    for (size_t i = 0; i < class->count; i++) {
        if (image_page_hash(image, class->places[i].inode, class->places[i].page) !=
            class->hashes[i])
            return false;
    }
    return true;
}

static bool is_known(const struct cuts *cuts, unsigned due)
{
    for (unsigned i = 1; i <= CUT_CLASSES; i++) {
        if (class_has(&cuts->classes[(cuts->class_next - i) % CUT_CLASSES], cuts->image, due))
            return true;
    }
    return false;
}

/* The image that was put was found sound. */
static void remember(struct cuts *cuts, unsigned due)
{
    struct cut_class *class = &cuts->classes[cuts->class_next++ % CUT_CLASSES];

    if (class->places == NULL) {
        class->places = calloc(CUT_CLASS_PAGES, sizeof(*class->places));
        class->hashes = calloc(CUT_CLASS_PAGES, sizeof(*class->hashes));
        if (class->places == NULL || class->hashes == NULL)
            abort();
    }
    class->due = due;
    for (unsigned name = 0; name < DISK_NAMES; name++) {
        class->names[name] = cuts->image->names[name];
        class->sizes[name] = named_size(cuts->image, name);
    }
    class->count = scratch_pages_read(&cuts->scratch, class->places, CUT_CLASS_PAGES);
    assert(class->count < CUT_CLASS_PAGES);
    for (size_t i = 0; i < class->count; i++)
        class->hashes[i] =
            image_page_hash(cuts->image, class->places[i].inode, class->places[i].page);
}

/* ---- one image ---------------------------------------------------------- */

uint64_t cut_counts_bad(const struct cut_counts *counts)
{
    uint64_t bad = 0;

    for (unsigned i = RUN_SOUND + 1; i < RUN_VERDICTS; i++)
        bad += counts->verdicts[i];
    return bad;
}

static void report(struct cuts *cuts, enum run_verdict verdict, const struct bts_error *why,
                   const char *what, size_t which, size_t count)
{
    struct cut_counts *counts = cuts->counts;

    counts->verdicts[verdict]++;
    if (verdict != RUN_SOUND && cut_counts_bad(counts) == 1)
        err_set(&counts->first, BTS_DAMAGED, "%s: %s %zu of %zu in doubt: %.300s", cuts->story,
                what, which, count, why->text);
}

/* Recovers the image that is put; the power goes again at each sync of that recovery. */
static void cut_recovery(struct cuts *cuts)
{
    struct cuts *nested = cuts->nested;
    struct recorder recorder;
    struct bts_error error;

    recorder_init(&recorder, &cuts->scratch.system, cuts->image);
    recorder.at_sync = cuts_at_sync;
    recorder.context = nested;
    run_power_cut(&cuts->run);
    (void)!run_start(&cuts->run, &recorder.system, &error); /* its own outcome is looked at next */
    run_kill(&cuts->run);
    cuts_forget(nested);
    recorder_fini(&recorder);
}

static bool is_turn_of_nested(struct cuts *cuts)
{
    return cuts->nested != NULL && ++cuts->nested_turn % cuts->nested_each == 0;
}

/* Recovers the image that is put, holds it against the oracle, and does so once more. */
static enum run_verdict recover_image(struct cuts *cuts, enum cut_kind kind,
                                      struct bts_error *why)
{
    struct run *run = &cuts->run;
    enum run_verdict verdict = RUN_REFUSED;
    unsigned version;

    run_power_cut(run);
    if (run_start(run, &cuts->scratch.system, why) == BTS_OK) {
        note_visited(cuts);
        cuts->counts->distinct[kind] += hash_set_add(&cuts->reads, cuts->scratch.read_hash);
        verdict = run_check(run, cuts->oracle, &version, why);
        note_visited(cuts);
        if (verdict == RUN_SOUND)
            verdict = run_check_again(run, &cuts->scratch.system, cuts->oracle, version, why);
    } else {
        cuts->counts->distinct[kind] += hash_set_add(&cuts->reads, cuts->scratch.read_hash);
    }
    run_kill(run);
    cuts->counts->images[kind]++;
    return verdict;
}

/* Whether the image must be looked at, and what comes of it. */
static void check_image(struct cuts *cuts, enum cut_kind kind, size_t which, size_t count)
{
    enum run_verdict verdict;
    struct bts_error why = {.text = ""};
    /* The same bytes again, but more has been acknowledged since: that is another question. */
    unsigned due = atomic_load_explicit(&cuts->oracle->acknowledged, memory_order_acquire);

    if (cuts->first && cut_counts_bad(cuts->counts) > 0)
        return;
    cuts->counts->built++;
    if (!hash_set_add(&cuts->images, image_hash(cuts->image) ^ disk_mix(due)) ||
        is_known(cuts, due))
        return;
    if (is_turn_of_nested(cuts)) {
        scratch_put(&cuts->scratch, cuts->image);
        cut_recovery(cuts);
        scratch_take_back(&cuts->scratch);
    }
    scratch_put(&cuts->scratch, cuts->image);
    verdict = recover_image(cuts, kind, &why);
    if (verdict == RUN_SOUND)
        remember(cuts, due);
    report(cuts, verdict, &why, cut_names[kind], which, count);
    scratch_take_back(&cuts->scratch);
}

/* ---- building them ------------------------------------------------------ */

/* Sectors [at, at + 512) of a torn write: those of a random set, a stretch kept, or one lost. */
static void apply_torn(struct cuts *cuts, const struct disk_op *op)
{
    uint64_t sectors = (op->size + DISK_SECTOR - 1) / DISK_SECTOR;
    uint64_t way = draw(cuts, 4);
    uint64_t from = draw(cuts, sectors);
    uint64_t to = from + 1 + draw(cuts, sectors - from);

    for (uint64_t i = 0; i < sectors; i++) {
        bool inside = i >= from && i < to;
        bool kept = way == 0 ? draw(cuts, 2) == 0 : way == 1 ? inside : way == 2 ? !inside
                                                                                 : i < from;
        if (kept)
            image_apply_part(cuts->image, op, i * DISK_SECTOR, (i + 1) * DISK_SECTOR);
    }
}

/* An image with the operations for which `keep` says so; number `torn` in part. */
static void build(struct cuts *cuts, struct recorder *recorder, const uint8_t *keep,
                  size_t torn, enum cut_kind kind, size_t which)
{
    image_reset(cuts->image, &recorder->durable);
    for (size_t i = 0; i < recorder->pending_count; i++) {
        const struct disk_op *op = &recorder->pending[i];
        if (i == torn)
            apply_torn(cuts, op);
        else if (keep[i])
            image_apply(cuts->image, op);
    }
    check_image(cuts, kind, which, recorder->pending_count);
}

/* The `i`th of `samples` places in [0, count), the last ones always among them. */
static size_t sample_place(size_t i, size_t samples, size_t count)
{
    return count <= samples ? i : count - 1 - i * count / samples;
}

static void build_subsets(struct cuts *cuts, struct recorder *recorder, uint8_t *keep)
{
    size_t count = recorder->pending_count;

    for (size_t mask = 0; mask < (size_t)1 << count; mask++) {
        for (size_t i = 0; i < count; i++)
            keep[i] = (uint8_t)((mask >> i) & 1);
        build(cuts, recorder, keep, SIZE_MAX, CUT_SUBSET, mask);
    }
}

static void build_samples(struct cuts *cuts, struct recorder *recorder, uint8_t *keep)
{
    size_t count = recorder->pending_count;
    size_t samples = count < cuts->samples ? count : cuts->samples;

    for (size_t i = 0; i < samples; i++) {
        size_t place = sample_place(i, samples, count);
        memset(keep, 0, count);
        memset(keep, 1, place);
        build(cuts, recorder, keep, SIZE_MAX, CUT_PREFIX, place);
        memset(keep, 1, count);
        keep[place] = 0;
        build(cuts, recorder, keep, SIZE_MAX, CUT_LOST, place);
        memset(keep, 0, count);
        keep[place] = 1;
        build(cuts, recorder, keep, SIZE_MAX, CUT_ALONE, place);
        for (size_t k = 0; k < count; k++)
            keep[k] = (uint8_t)draw(cuts, 2);
        build(cuts, recorder, keep, SIZE_MAX, CUT_RANDOM, i);
    }
}

/* Every size change, lost alone and kept alone. */
static void build_sizes(struct cuts *cuts, struct recorder *recorder, uint8_t *keep)
{
    size_t count = recorder->pending_count;

    for (size_t i = 0; i < count; i++) {
        if (recorder->pending[i].type != DISK_SIZE)
            continue;
        for (uint8_t kept = 0; kept < 2; kept++) {
            memset(keep, !kept, count);
            keep[i] = kept;
            build(cuts, recorder, keep, SIZE_MAX, CUT_SIZE, i);
        }
    }
}

/* How many ways of tearing a write are tried: what recovery reads first is worth many. */
static unsigned torn_ways(const struct cuts *cuts, const struct recorder *recorder,
                          const struct disk_op *op)
{
    uint64_t sectors = (op->size + DISK_SECTOR - 1) / DISK_SECTOR;
    bool is_vital = op->inode != recorder->names[0] || op->offset < 4 * DISK_PAGE;

    if (op->type != DISK_WRITE)
        return 0;
    if (!is_vital)
        return 1;
    return sectors < 6 ? 1u << sectors : cuts->torn;
}

/* Torn writes, the newest first, with the others there or not. */
static void build_torn(struct cuts *cuts, struct recorder *recorder, uint8_t *keep)
{
    size_t count = recorder->pending_count;
    size_t budget = 2 * (size_t)cuts->torn;

    for (size_t i = count; i-- > 0 && budget > 0;) {
        unsigned ways = torn_ways(cuts, recorder, &recorder->pending[i]);
        for (unsigned way = 0; way < ways && budget > 0; way++, budget--) {
            for (size_t k = 0; k < count; k++)
                keep[k] = way % 4 != 0 || draw(cuts, 4) > 0;
            build(cuts, recorder, keep, i, CUT_TORN, i);
        }
    }
}

static void follow(struct cuts *cuts, struct recorder *recorder)
{
    if (cuts->followed == NULL) {
        scratch_init(&cuts->scratch, cuts->place, &recorder->durable);
        cuts->followed = recorder;
    }
    scratch_follow(&cuts->scratch);
}

void cuts_forget(struct cuts *cuts)
{
    if (cuts->followed != NULL)
        scratch_fini(&cuts->scratch);
    cuts->followed = NULL;
}

void cuts_at_sync(void *context, struct recorder *recorder)
{
    struct cuts *cuts = context;
    size_t count = recorder->pending_count;
    uint8_t *keep;

    if (recorder->syncs < cuts->from_sync)
        return;
    follow(cuts, recorder);
    keep = calloc(1, count + 1);
    if (keep == NULL)
        abort();
    build(cuts, recorder, keep, SIZE_MAX, CUT_NONE, 0);
    memset(keep, 1, count);
    build(cuts, recorder, keep, SIZE_MAX, CUT_ALL, 0);
    if (count <= SUBSETS_WHOLE)
        build_subsets(cuts, recorder, keep);
    else
        build_samples(cuts, recorder, keep);
    build_sizes(cuts, recorder, keep);
    build_torn(cuts, recorder, keep);
    free(keep);
}

/* ---- life --------------------------------------------------------------- */

void cuts_init(struct cuts *cuts, unsigned place, struct oracle *oracle,
               struct cut_counts *counts, unsigned samples, unsigned torn, uint64_t random)
{
    memset(cuts, 0, sizeof(*cuts));
    cuts->oracle = oracle;
    cuts->counts = counts;
    cuts->story = "";
    cuts->samples = samples;
    cuts->torn = torn;
    cuts->random = random;
    cuts->place = place;
    run_init(&cuts->run, scratch_directory(place));
    cuts->image = image_create();
    hash_set_init(&cuts->images);
    hash_set_init(&cuts->reads);
}

void cuts_fini(struct cuts *cuts)
{
    cuts_forget(cuts);
    run_fini(&cuts->run);
    for (unsigned i = 0; i < CUT_CLASSES; i++) {
        free(cuts->classes[i].places);
        free(cuts->classes[i].hashes);
    }
    image_destroy(cuts->image);
    hash_set_fini(&cuts->images);
    hash_set_fini(&cuts->reads);
}
