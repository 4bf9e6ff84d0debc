/* SPDX-License-Identifier: MIT */
/*
 * Salvage of a store that is damaged in every way that can be thought of:
 * leaves, inner pages, the bucket directory, metas, runs, maps, a tail that
 * is cut off, the pending log, and bits flipped at random.
 *
 * Each time the new store must hold exactly what does not lie behind damage,
 * with its right value; nothing that was never written; a deleted key, or an
 * old value, only if it was listed by name; whatever is missing must have been
 * told; it must pass a check; and not one byte of the damaged file or its log
 * may have changed.
 *
 * Argument: how many rounds of random flips.
 */
#include "salvage_image.h"
#include "salvage_store.h"

#include <string.h>

#define DAMAGED_MAX 64u
#define FOUND_MAX 4096u

static struct harness harness;
static uint8_t *base;    /* the sound file, and its log */
static uint8_t *base_log;
static size_t base_size;
static size_t base_log_size;
static struct image checkpoint; /* what it holds by its meta */
static struct image newest;     /* and by its newest directory page */
static unsigned trial_count;

/* ---- one trial: the damage ------------------------------------------------------------ */

struct trial {
    const char *what;
    uint8_t *bytes;
    size_t size;
    uint8_t *log;
    bool is_page_damaged[1 << 16];
    unsigned commits;     /* of the log that must be there */
    bool takes_old;

    /* what salvage said */
    struct bts_salvage_result result;
    char *found[FOUND_MAX];
    unsigned found_count;
    char *lost[FOUND_MAX];
    unsigned lost_lines;
    bool says_log_lost;
};

static struct trial trial;

static void begin(const char *what)
{
    memcpy(trial.bytes, base, base_size);
    memcpy(trial.log, base_log, base_log_size);
    trial.what = what;
    trial.size = base_size;
    memset(trial.is_page_damaged, 0, sizeof(trial.is_page_damaged));
    trial.commits = SALVAGE_STORE_COMMITS;
    trial.takes_old = false;
}

static void flip_at(size_t offset, unsigned bit)
{
    trial.bytes[offset] ^= (uint8_t)(1u << bit);
    trial.is_page_damaged[offset / IMAGE_PAGE] = true;
}

static void flip(pgno_t pgno)
{
    flip_at((size_t)pgno * IMAGE_PAGE + 1000, 3);
}

/* ---- one trial: the salvage ------------------------------------------------------------ */

static void hear(void *argument, enum bts_salvage_event event, const char *text)
{
    (void)argument;
    if (getenv("SALVAGE_VERBOSE") != NULL) {
        printf("  %d %s\n", (int)event, text);
    }
    if (event == BTS_SALVAGE_LOST) {
        HARNESS_CHECK(trial.lost_lines < FOUND_MAX, "too many");
        trial.lost[trial.lost_lines++] = strdup(text);
    }
    trial.says_log_lost |= event == BTS_SALVAGE_LOST && strncmp(text, "pending log: ", 13) == 0;
    if (event == BTS_SALVAGE_FOUND && strstr(text, "\": key \"") != NULL) {
        HARNESS_CHECK(trial.found_count < FOUND_MAX, "too many");
        trial.found[trial.found_count++] = strdup(text);
    }
}

/* Whether an entry was listed as one that may be old. */
static bool was_listed(const char *bucket, const char *key)
{
    char line[128];

    snprintf(line, sizeof line, "bucket \"%s\": key \"%s\": ", bucket, key);
    for (unsigned i = 0; i < trial.found_count; i++) {
        if (strncmp(trial.found[i], line, strlen(line)) == 0) {
            return true;
        }
    }
    return false;
}

/*
 * Whether a line of loss speaks for the key, in its bucket by whichever name;
 * of one that is gone whole perhaps only the directory's loss tells.
 */
static bool was_told(const struct bts_snapshot *snapshot, const struct image *image,
                     unsigned bucket, const char *key)
{
    static const char names_lost[] = "bucket directory: all names: ";
    struct bts_bucket opened;
    char name[32];
    bool is_there;

    snprintf(name, sizeof name, "lost-%u", image->id[bucket]);
    is_there = bts_bucket_open(snapshot, name, strlen(name), &opened, NULL) == BTS_OK ||
               bts_bucket_open(snapshot, image->name[bucket], strlen(image->name[bucket]),
                               &opened, NULL) == BTS_OK;
    for (unsigned i = 0; i < trial.lost_lines; i++) {
        if ((!is_there && strncmp(trial.lost[i], names_lost, sizeof names_lost - 1) == 0) ||
            image_line_names(trial.lost[i], image->name[bucket], key) ||
            image_line_names(trial.lost[i], name, key)) {
            return true;
        }
    }
    return false;
}

static void assert_unchanged(const char *path, const uint8_t *bytes, size_t size)
{
    size_t now_size;
    uint8_t *now = image_read(path, &now_size);

    HARNESS_CHECK(now_size == size && memcmp(now, bytes, size) == 0,
                  "%s: the damaged file was written to: %s", trial.what, path);
    free(now);
}

static enum bts_status salvage(const char *new_path)
{
    const struct bts_options options = {.daemon_path = harness.daemon_path};
    char damaged[HARNESS_PATH_MAX + 64];
    char pending[HARNESS_PATH_MAX + 80];
    struct bts_error error;
    enum bts_status status;

    snprintf(damaged, sizeof damaged, "%s/damaged%u.bts", harness.folder, trial_count);
    snprintf(pending, sizeof pending, "%s.pending", damaged);
    image_write(damaged, trial.bytes, trial.size);
    image_write(pending, trial.log, base_log_size);
    while (trial.found_count > 0) {
        free(trial.found[--trial.found_count]);
    }
    while (trial.lost_lines > 0) {
        free(trial.lost[--trial.lost_lines]);
    }
    trial.says_log_lost = false;
    status = bts_store_salvage(damaged, new_path, trial.takes_old ? BTS_SALVAGE_OLD : 0, &options,
                               &trial.result, hear, NULL, &error);
    HARNESS_CHECK(status == BTS_OK || (status == BTS_DAMAGED && trial.result.new_txnid != 0),
                  "%s: %s", trial.what, error.text);
    HARNESS_CHECK((status == BTS_DAMAGED) == (trial.lost_lines > 0), "%s", trial.what);
    assert_unchanged(damaged, trial.bytes, trial.size);
    assert_unchanged(pending, trial.log, base_log_size);
    remove(damaged);
    remove(pending);
    return status;
}

/* ---- one trial: the verdict -------------------------------------------------------------- */

/* Whether the checkpoint's (or newest state's) entry lies in a page that is whole. */
static bool is_whole(const struct image_entry *entry)
{
    bool whole = !trial.is_page_damaged[entry->leaf];

    for (uint64_t i = 0; i < entry->run_pages; i++) {
        whole = whole && !trial.is_page_damaged[entry->run + i];
    }
    return whole;
}

static bool get(const struct bts_snapshot *snapshot, const char *name, const char *key,
                struct bts_bytes *value)
{
    struct bts_bucket bucket;
    struct bts_error error;

    return bts_bucket_open(snapshot, name, strlen(name), &bucket, &error) == BTS_OK &&
           bts_get(snapshot, &bucket, key, strlen(key), value, &error) == BTS_OK;
}

/* By its name, or by what a bucket without one is called. */
static bool get_any(const struct bts_snapshot *snapshot, const struct image *image,
                    unsigned bucket, const char *key, struct bts_bytes *value)
{
    char lost[32];

    snprintf(lost, sizeof lost, "lost-%u", image->id[bucket]);
    return get(snapshot, image->name[bucket], key, value) || get(snapshot, lost, key, value);
}

static bool is_log_key(const char *key, unsigned *n)
{
    return sscanf(key, "log-%u", n) == 1 || sscanf(key, "gone-%u", n) == 1 ||
           strcmp(key, "counter") == 0;
}

/* Every entry of the state that is whole is there, as it was.  Returns how many are lost. */
static unsigned check_kept(const struct bts_snapshot *snapshot, const struct image *image)
{
    unsigned lost = 0;

    for (size_t i = 0; i < image->entry_count; i++) {
        const struct image_entry *entry = &image->entry[i];
        const char *bucket = image->name[entry->bucket];
        struct bts_bytes value;
        unsigned n;
        bool has;

        if (is_log_key(entry->key, &n)) {
            continue;
        }
        has = get_any(snapshot, image, entry->bucket, entry->key, &value);
        if (!is_whole(entry)) {
            lost++;
            HARNESS_CHECK(was_told(snapshot, image, entry->bucket, entry->key),
                          "%s: %s/%s of page %u is lost, and not told", trial.what, bucket,
                          entry->key, entry->leaf);
            HARNESS_CHECK(!has || was_listed(bucket, entry->key),
                          "%s: %s/%s is there, though page %u is damaged", trial.what, bucket,
                          entry->key, entry->leaf);
            continue;
        }
        HARNESS_CHECK(has, "%s: %s/%s of page %u is missing", trial.what, bucket, entry->key,
                      entry->leaf);
        HARNESS_CHECK(value.size == entry->value_size &&
                          memcmp(value.data, entry->value, value.size) == 0,
                      "%s: %s/%s has a wrong value", trial.what, bucket, entry->key);
    }
    return lost;
}

/* The commits of the log, up to the last that must be there. */
static void check_log(const struct bts_snapshot *snapshot, const struct image *image)
{
    const struct image_entry *counter = image_find(image, "users", "counter");
    char wanted[16];
    char lost[32];
    struct bts_bytes before;
    struct bts_bytes value;
    char key[32];
    bool has;

    snprintf(lost, sizeof lost, "lost-%u", counter != NULL ? image->id[counter->bucket] : 0);
    for (unsigned n = 0; n < SALVAGE_STORE_COMMITS; n++) {
        snprintf(key, sizeof key, "log-%u", n);
        has = get(snapshot, "users", key, &value);
        HARNESS_CHECK(has == (n < trial.commits) || was_listed("users", key),
                      "%s: commit %u of the log: key is %sthere", trial.what, n, has ? "" : "not ");
    }
    for (unsigned n = 0; n < trial.commits; n++) {
        snprintf(key, sizeof key, "gone-%u", n);
        HARNESS_CHECK(!get(snapshot, "users", key, &value) || was_listed("users", key),
                      "%s: %s was deleted by the log", trial.what, key);
    }
    has = get(snapshot, "users", "counter", &value);
    snprintf(wanted, sizeof wanted, "%u", 5 + trial.commits);
    if (counter != NULL && get(snapshot, lost, "counter", &before)) {
        /* What it held is there by another name, which the log does not know. */
        HARNESS_CHECK(!has && was_told(snapshot, image, counter->bucket, "counter"),
                      "%s: a counter in two buckets, or not told", trial.what);
    } else if (counter != NULL && is_whole(counter)) {
        HARNESS_CHECK(has && value.size == strlen(wanted) &&
                          memcmp(value.data, wanted, value.size) == 0,
                      "%s: counter is %.*s, expected %s", trial.what, has ? (int)value.size : 0,
                      has ? (const char *)value.data : "", wanted);
    } else {
        HARNESS_CHECK(!has || was_listed("users", "counter"),
                      "%s: a counter that was lost came from nowhere", trial.what);
    }
}

/* One entry of the new store: it was written once, and was not deleted since, or is listed. */
static void check_entry(const char *bucket, const char *key, struct bts_bytes value)
{
    static char wanted[32768];
    unsigned n;

    if (is_log_key(key, &n) && strncmp(key, "log-", 4) != 0) {
        return; /* check_log does */
    }
    for (unsigned generation = 0; generation < 4; generation++) {
        size_t size = salvage_store_value(bucket, key, generation, wanted);
        if (size == value.size && memcmp(wanted, value.data, size) == 0) {
            return;
        }
    }
    harness_fail(__FILE__, __LINE__, "was written", "%s: %s/%s", trial.what, bucket, key);
}

static unsigned check_bucket(const struct bts_snapshot *snapshot, const struct image *image,
                             unsigned at, const char *name)
{
    struct bts_bytes found;
    struct bts_bytes value;
    struct bts_bucket bucket;
    struct bts_cursor cursor;
    struct bts_error error;
    enum bts_status status;
    unsigned count = 0;

    HARNESS_OK(bts_bucket_open(snapshot, name, strlen(name), &bucket, &error), &error);
    bts_cursor_init(&cursor, snapshot, &bucket);
    while ((status = bts_cursor_next(&cursor, &found, &value, &error)) == BTS_OK) {
        char key[32] = "";
        unsigned n;
        memcpy(key, found.data, found.size < 31 ? found.size : 31);
        check_entry(image->name[at], key, value);
        HARNESS_CHECK(is_log_key(key, &n) || was_listed(name, key) ||
                          image_find(image, image->name[at], key) != NULL,
                      "%s: %s/%s was deleted, and came back", trial.what, name, key);
        count++;
    }
    HARNESS_CHECK(status == BTS_END, "%s: %s", trial.what, error.text);
    return count;
}

static void check_buckets(const struct bts_snapshot *snapshot, const struct image *image)
{
    struct bts_cursor cursor;
    struct bts_bytes name;
    struct bts_error error;

    bts_cursor_init_buckets(&cursor, snapshot);
    while (bts_cursor_next(&cursor, &name, NULL, &error) == BTS_OK) {
        char text[64] = "";
        unsigned at = 0;
        memcpy(text, name.data, name.size < 63 ? name.size : 63);
        for (; at < image->bucket_count; at++) {
            char lost[32];
            snprintf(lost, sizeof lost, "lost-%u", image->id[at]);
            if (strcmp(text, image->name[at]) == 0 || strcmp(text, lost) == 0) {
                break;
            }
        }
        HARNESS_CHECK(at < image->bucket_count, "%s: bucket %s", trial.what, text);
        check_bucket(snapshot, image, at, text);
    }
}

/* Salvages, and holds the new store against the state of `image`.  Returns the entries lost. */
static unsigned judge(const struct image *image)
{
    const struct bts_options options = {.flags = BTS_OPEN_ALONE}; /* one clean file is left */
    char path[HARNESS_PATH_MAX + 64];
    struct bts_snapshot snapshot;
    struct bts_store *store;
    struct bts_error error;
    unsigned lost;
    enum bts_status status;

    trial_count++;
    snprintf(path, sizeof path, "%s/new%u.bts", harness.folder, trial_count);
    status = salvage(path);
    HARNESS_OK(bts_store_open(path, &options, &store, &error), &error);
    HARNESS_OK(bts_snapshot_open(store, &snapshot, &error), &error);
    lost = check_kept(&snapshot, image);
    check_log(&snapshot, image);
    check_buckets(&snapshot, image);
    HARNESS_CHECK(lost == 0 || status == BTS_DAMAGED, "%s: %u entries are lost, and not told",
                  trial.what, lost);
    bts_snapshot_close(&snapshot);
    harness_check_store(store);
    bts_store_close(store);
    return lost;
}

/* ---- the ways to damage it ---------------------------------------------------------------- */

/* Nothing but this many entries is lost. */
static void expect(const struct image *image, bool loses)
{
    unsigned lost = judge(image);

    HARNESS_CHECK((trial.lost_lines > 0) == loses, "%s: %u lines of loss", trial.what,
                  trial.lost_lines);
    printf("# %s: %llu kept, %u lost, %llu found without a tree, %u listed as old\n", trial.what,
           (unsigned long long)trial.result.entry_count, lost,
           (unsigned long long)trial.result.found_count, trial.found_count);
}

static void damage_pages(void)
{
    begin("a sound store");
    expect(&checkpoint, false);
    begin("a leaf");
    flip(image_nth(&checkpoint, "users", 700)->leaf);
    expect(&checkpoint, true);
    begin("a leaf, old versions wanted");
    flip(image_nth(&checkpoint, "users", 700)->leaf);
    trial.takes_old = true;
    expect(&checkpoint, true);
    begin("a leaf with a counter that the log increments");
    flip(image_find(&checkpoint, "users", "counter")->leaf);
    expect(&checkpoint, true);
    begin("leaves side by side, and apart");
    for (unsigned i = 0; i < 60; i += 10) {
        flip(image_nth(&checkpoint, "wide", 300 + i * 30)->leaf);
    }
    flip(image_nth(&checkpoint, "wide", 305)->leaf);
    expect(&checkpoint, true);
    for (unsigned i = 0; i < checkpoint.inner_count && i < 3; i++) {
        begin("an inner page: all leaves are found");
        flip(checkpoint.inner[i]);
        expect(&checkpoint, false);
    }
    begin("an inner page and a leaf below it");
    flip(checkpoint.inner[0]);
    flip(image_nth(&checkpoint, "users", 300)->leaf);
    expect(&checkpoint, true);
    begin("a run");
    flip(image_nth(&checkpoint, "blobs", 7)->run + 1);
    expect(&checkpoint, true);
}

static void damage_fixed(void)
{
    begin("meta 0");
    flip(0);
    expect(&checkpoint, false);
    begin("meta 1");
    flip(1);
    expect(&checkpoint, false);
    begin("both metas");
    flip(0);
    flip(1);
    expect(&newest, false);
    begin("a space map");
    flip(2);
    expect(&checkpoint, false);
    begin("both space maps, and an inner page: leaves are listed by key");
    flip(2);
    flip(3);
    flip(checkpoint.inner[1]);
    expect(&checkpoint, true);
    begin("the bucket directory");
    flip(checkpoint.directory);
    expect(&checkpoint, true);
    begin("the bucket directory and both space maps");
    flip(checkpoint.directory);
    flip(2);
    flip(3);
    expect(&checkpoint, true);
    begin("a tail that is cut off");
    trial.size = base_size * 6 / 10 / IMAGE_PAGE * IMAGE_PAGE + 100;
    for (size_t page = trial.size / IMAGE_PAGE; page < base_size / IMAGE_PAGE; page++) {
        trial.is_page_damaged[page] = true;
    }
    expect(&checkpoint, true);
}

/* The offset of the frame of the n-th commit of the log. */
static size_t frame_of(unsigned n)
{
    txnid_t wanted = checkpoint.txnid + 1 + n;

    for (size_t offset = IMAGE_PAGE; offset < base_log_size; offset += IMAGE_PAGE) {
        txnid_t txnid;
        memcpy(&txnid, base_log + offset + 16, sizeof txnid);
        if (txnid == wanted) {
            return offset;
        }
    }
    harness_fail(__FILE__, __LINE__, "frame", "%u", n);
}

static void damage_log(void)
{
    static const unsigned places[] = {0, SALVAGE_STORE_COMMITS / 2, SALVAGE_STORE_COMMITS - 1};
    size_t header;

    for (unsigned i = 0; i < 3; i++) {
        begin("the log in the middle");
        trial.log[frame_of(places[i]) + 60] ^= 1;
        trial.commits = places[i];
        expect(&checkpoint, true);
        HARNESS_CHECK(trial.says_log_lost, "commits are lost, and not told");
    }
    begin("the header of the log's segment");
    header = frame_of(0);
    while (memcmp(trial.log + header, "btspend\n", 8) != 0) {
        header -= IMAGE_PAGE;
    }
    trial.log[header + 20] ^= 1;
    expect(&checkpoint, false);
}

/* Bits anywhere; where metas and directory go together nobody can know what is the newest. */
static void damage_at_random(unsigned rounds)
{
    uint64_t state = 88172645463325252ull;
    unsigned lost = 0;
    uint64_t flips = 0;

    for (unsigned round = 0; round < rounds; round++) {
        unsigned count = 1 + (unsigned)(harness_random(&state) % 50);
        begin("random flips");
        for (unsigned i = 0; i < count; i++) {
            flip_at(harness_random(&state) % base_size, (unsigned)(harness_random(&state) % 8));
        }
        if (trial.is_page_damaged[0] && trial.is_page_damaged[1]) {
            continue;
        }
        flips += count;
        lost += judge(&checkpoint);
    }
    printf("# %u rounds of random flips, %llu in all: %u entries lost, each told\n", rounds,
           (unsigned long long)flips, lost);
}

/* ---- who may, and who may not --------------------------------------------------------------- */

static void refuses(const char *from, const char *to, enum bts_status wanted)
{
    const struct bts_options options = {.daemon_path = harness.daemon_path};
    struct bts_salvage_result result;
    struct bts_error error;
    enum bts_status status = bts_store_salvage(from, to, 0, &options, &result, NULL, NULL, &error);

    HARNESS_CHECK(status == wanted && result.new_txnid == 0, "%s to %s: %s", from, to,
                  status != BTS_OK ? error.text : "done");
}

static void it_refuses(void)
{
    char other[HARNESS_PATH_MAX + 64];
    struct bts_store *store;
    struct bts_error error;

    snprintf(other, sizeof other, "%s/other.bts", harness.folder);
    image_write(harness.store, base, base_size); /* as the daemon left it */
    refuses(harness.store, harness.store, BTS_INVALID);
    assert_unchanged(harness.store, base, base_size);
    image_write(other, (const uint8_t *)"not a store", 11);
    refuses(other, "/nowhere", BTS_DAMAGED);
    remove(other);
    harness_start(&harness, NULL);
    refuses(harness.store, other, BTS_BUSY);
    HARNESS_CHECK(!harness_exists(other), "a new store was begun");
    store = harness_open(&harness);
    HARNESS_OK(bts_put(store, "default", 7, "a", 1, "b", 1, NULL, &error), &error);
    bts_store_close(store);
    snprintf(other, sizeof other, "%s/damaged.bts", harness.folder);
    image_write(other, base, base_size);
    refuses(other, harness.store, BTS_EXISTS);
    harness_stop(&harness);
}

int main(int argc, char *argv[])
{
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : harness_count(10, 4);
    char pending[HARNESS_PATH_MAX + 32];

    harness_init(&harness);
    salvage_store_build(&harness);
    snprintf(pending, sizeof pending, "%s.pending", harness.store);
    base = image_read(harness.store, &base_size);
    base_log = image_read(pending, &base_log_size);
    image_load(&checkpoint, base, base_size, false);
    image_load(&newest, base, base_size, true);
    trial.bytes = malloc(base_size);
    trial.log = malloc(base_log_size);
    HARNESS_CHECK(trial.bytes != NULL && trial.log != NULL, "memory");
    HARNESS_CHECK(checkpoint.inner_count >= 3, "the trees are too small");
    damage_pages();
    damage_fixed();
    damage_log();
    damage_at_random(rounds);
    it_refuses();
    printf("# %u stores of %zu pages and %zu entries salvaged\n", trial_count,
           base_size / IMAGE_PAGE, checkpoint.entry_count);
    image_fini(&checkpoint);
    image_fini(&newest);
    return 0;
}
