/* SPDX-License-Identifier: MIT */
/* serial_cells: see serial_cells.h. */
#include "serial_cells.h"

#include <string.h>

#define DATA_BUCKETS 3u
#define DATA_KEYS 3u
#define VALUE_MAX 7000u
#define NAME_ROOM 24

static const char *const bucket_names[] = {"stamps", "counts", "data0", "data1", "data2"};

/* ---- what a version makes of a cell --------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x *= 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    return x ^ x >> 32;
}

static uint64_t datum_seed(struct serial_version cell, unsigned key)
{
    return mix((uint64_t)cell.cell << 40 | (uint64_t)cell.version << 4 | key);
}

static bool datum_exists(struct serial_version cell, unsigned key)
{
    return cell.version != 0 && datum_seed(cell, key) % 4 != 0;
}

/* Now and then too large for a leaf. */
static size_t datum_size(struct serial_version cell, unsigned key)
{
    uint64_t seed = datum_seed(cell, key) >> 8;

    return seed % 128 == 0 ? 1500 + seed % (VALUE_MAX - 1500) : 8 + seed % 60;
}

static void datum_fill(uint8_t *value, struct serial_version cell, unsigned key)
{
    uint64_t state = datum_seed(cell, key) | 1;
    size_t size = datum_size(cell, key);

    for (size_t at = 0; at < size; at += 8) {
        uint64_t word = harness_random(&state);

        memcpy(value + at, &word, size - at < 8 ? size - at : 8);
    }
}

static size_t stamp_name(char name[NAME_ROOM], uint32_t cell)
{
    return (size_t)snprintf(name, NAME_ROOM, "cell%03u", cell);
}

static size_t datum_name(char name[NAME_ROOM], uint32_t cell, unsigned key)
{
    return (size_t)snprintf(name, NAME_ROOM, "cell%03u:%c", cell, (char)('a' + (int)key));
}

static const char *data_bucket(uint32_t cell)
{
    return bucket_names[2 + cell % DATA_BUCKETS];
}

/* ---- reading -------------------------------------------------------------- */

static void open_bucket(const struct bts_snapshot *snapshot, const char *name,
                        struct bts_bucket *bucket)
{
    struct bts_error error;

    HARNESS_OK(bts_bucket_open(snapshot, name, strlen(name), bucket, &error), &error);
}

void serial_view_open(struct serial_view *view, struct bts_store *store)
{
    struct bts_error error;

    HARNESS_OK(bts_snapshot_open(store, &view->snapshot, &error), &error);
    open_bucket(&view->snapshot, "stamps", &view->stamps);
    open_bucket(&view->snapshot, "counts", &view->counts);
    view->data_number = DATA_BUCKETS;
}

void serial_view_close(struct serial_view *view)
{
    bts_snapshot_close(&view->snapshot);
}

/* False: there is no such key. */
static bool view_get(const struct serial_view *view, const struct bts_bucket *bucket,
                     const char *name, size_t name_size, struct bts_bytes *value)
{
    struct bts_error error;
    enum bts_status status =
        bts_get(&view->snapshot, bucket, name, name_size, value, &error);

    HARNESS_CHECK(status == BTS_OK || status == BTS_NOT_FOUND, "%s: %s", name, error.text);
    return status == BTS_OK;
}

static uint64_t view_number(const struct serial_view *view, const struct bts_bucket *bucket,
                            const char *name)
{
    struct bts_bytes value;
    uint64_t number = 0;

    if (!view_get(view, bucket, name, strlen(name), &value))
        return 0;
    for (size_t i = 0; i < value.size; i++)
        number = number * 10 + (uint64_t)(((const char *)value.data)[i] - '0');
    return number;
}

uint32_t serial_cell_version(struct serial_view *view, uint32_t cell)
{
    static uint8_t expected[VALUE_MAX + 8];
    struct serial_version shown = {.cell = cell};
    struct bts_bytes value;
    char name[NAME_ROOM];

    stamp_name(name, cell);
    shown.version = (uint32_t)view_number(view, &view->stamps, name);
    if (view->data_number != cell % DATA_BUCKETS) {
        view->data_number = cell % DATA_BUCKETS;
        open_bucket(&view->snapshot, data_bucket(cell), &view->data);
    }
    for (unsigned key = 0; key < DATA_KEYS; key++) {
        size_t size = datum_name(name, cell, key);
        bool exists = view_get(view, &view->data, name, size, &value);

        HARNESS_CHECK(exists == datum_exists(shown, key),
                      "snapshot %llu: torn: %s is %s, but the cell has version %u",
                      (unsigned long long)bts_snapshot_txnid(&view->snapshot), name,
                      exists ? "there" : "absent", shown.version);
        if (!exists)
            continue;
        datum_fill(expected, shown, key);
        HARNESS_CHECK(value.size == datum_size(shown, key) &&
                          memcmp(value.data, expected, value.size) == 0,
                      "snapshot %llu: torn: %s is not of version %u",
                      (unsigned long long)bts_snapshot_txnid(&view->snapshot), name,
                      shown.version);
    }
    return shown.version;
}

uint64_t serial_total(const struct serial_view *view)
{
    return view_number(view, &view->counts, "total");
}

uint64_t serial_sequence(const struct serial_view *view, unsigned writer)
{
    char name[NAME_ROOM];

    snprintf(name, sizeof name, "writer%u", writer);
    return view_number(view, &view->counts, name);
}

/* ---- writing -------------------------------------------------------------- */

static void use(struct bts_batch *batch, const char *bucket)
{
    struct bts_error error;

    HARNESS_OK(bts_batch_use(batch, bucket, strlen(bucket), &error), &error);
}

void serial_cell_write(struct bts_batch *batch, struct serial_version made)
{
    static uint8_t value[VALUE_MAX + 8];
    struct bts_error error;
    char name[NAME_ROOM], end[NAME_ROOM];
    size_t size = stamp_name(name, made.cell);

    use(batch, "stamps");
    HARNESS_OK(bts_batch_increment(batch, name, size, 1, &error), &error);
    use(batch, data_bucket(made.cell));
    if (made.version % 16 == 0) { /* all at once, then what is there */
        size = datum_name(name, made.cell, 0);
        HARNESS_OK(bts_batch_delete_range(batch, name, size, end,
                                          datum_name(end, made.cell, DATA_KEYS), &error),
                   &error);
    }
    for (unsigned key = 0; key < DATA_KEYS; key++) {
        size = datum_name(name, made.cell, key);
        if (!datum_exists(made, key)) {
            HARNESS_OK(bts_batch_delete(batch, name, size, &error), &error);
            continue;
        }
        datum_fill(value, made, key);
        HARNESS_OK(bts_batch_put(batch, name, size, value, datum_size(made, key), &error), &error);
    }
}

/* Beside the stamp, which decides, one of its data. */
static void require_datum(struct bts_batch *batch, struct serial_version required)
{
    static uint8_t value[VALUE_MAX + 8];
    unsigned key = required.version % DATA_KEYS;
    struct bts_error error;
    char name[NAME_ROOM];
    size_t size = datum_name(name, required.cell, key);

    use(batch, data_bucket(required.cell));
    if (!datum_exists(required, key)) {
        HARNESS_OK(bts_batch_require_absent(batch, name, size, &error), &error);
    } else if (required.version % 2 == 0) {
        HARNESS_OK(bts_batch_require_present(batch, name, size, &error), &error);
    } else {
        datum_fill(value, required, key);
        HARNESS_OK(bts_batch_require_equal(batch, name, size, value, datum_size(required, key),
                                           &error),
                   &error);
    }
}

void serial_cell_require(struct bts_batch *batch, struct serial_version required)
{
    struct bts_error error;
    char name[NAME_ROOM], text[16];
    size_t size = stamp_name(name, required.cell);
    size_t text_size = (size_t)snprintf(text, sizeof text, "%u", required.version);

    use(batch, "stamps");
    if (required.version == 0) {
        HARNESS_OK(bts_batch_require_absent(batch, name, size, &error), &error);
        return;
    }
    HARNESS_OK(bts_batch_require_equal(batch, name, size, text, text_size, &error), &error);
    if (required.version % 4 != 0)
        require_datum(batch, required);
}

void serial_count(struct bts_batch *batch, unsigned writer, uint64_t sequence)
{
    struct bts_error error;
    char name[NAME_ROOM], text[24];
    size_t size = (size_t)snprintf(name, sizeof name, "writer%u", writer);
    size_t text_size =
        (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)sequence);

    use(batch, "counts");
    HARNESS_OK(bts_batch_put(batch, name, size, text, text_size, &error), &error);
    HARNESS_OK(bts_batch_increment(batch, "total", 5, 1, &error), &error);
}

void serial_cells_create(struct bts_store *store)
{
    struct bts_error error;

    for (size_t i = 0; i < sizeof(bucket_names) / sizeof(bucket_names[0]); i++)
        HARNESS_OK(bts_bucket_create(store, bucket_names[i], strlen(bucket_names[i]), NULL,
                                     &error),
                   &error);
}
