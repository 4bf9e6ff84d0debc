/* SPDX-License-Identifier: MIT */
/*
 * fuzz_resp: any bytes as a request from a client, and as a reply from a daemon.
 *
 * Promises for requests: nothing outside is read; parts lie inside what was
 * used; a request cut anywhere is RESP_MORE, never something else, and `need`
 * never says more than the whole; written again as an array, it parses alike.
 * For replies: resp_reply_size and a walk with resp_reply_next agree.
 */
#include "format/resp.h"

#include "fuzz.h"

#include <string.h>

#define FUZZ_PARTS_MAX 64

static void fuzz_cut(const char *data, size_t used, size_t cut)
{
    struct bts_bytes parts[FUZZ_PARTS_MAX];
    size_t part_count = 0;
    size_t cut_used = 0;
    size_t need = 0;
    const char *why = NULL;
    enum resp_result result = resp_parse_request(data, cut, SIZE_MAX, parts, FUZZ_PARTS_MAX,
                                                 &part_count, &cut_used, &need, &why);

    FUZZ_PROMISE(result == RESP_MORE);
    FUZZ_PROMISE(cut_used == 0);
    FUZZ_PROMISE(need == 0 || (need > cut && need <= used));
}

static void fuzz_again(const struct bts_bytes *parts, size_t part_count)
{
    struct resp_buffer buffer = {0};
    struct bts_bytes again[FUZZ_PARTS_MAX];
    size_t again_count = 0;
    size_t used = 0;

    resp_request_begin(&buffer, part_count);
    for (size_t i = 0; i < part_count; i++) {
        resp_request_part(&buffer, parts[i].data, parts[i].size);
    }
    enum resp_result result = resp_parse_request(buffer.data, buffer.size, buffer.size, again,
                                                 FUZZ_PARTS_MAX, &again_count, &used, NULL, NULL);
    FUZZ_PROMISE(result == RESP_OK && used == buffer.size && again_count == part_count);
    for (size_t i = 0; i < part_count; i++) {
        FUZZ_PROMISE(again[i].size == parts[i].size);
        FUZZ_PROMISE(memcmp(again[i].data, parts[i].data, parts[i].size) == 0);
    }
    resp_buffer_fini(&buffer);
}

static void fuzz_request(const char *data, size_t size)
{
    struct bts_bytes parts[FUZZ_PARTS_MAX];
    size_t part_count = 0;
    size_t used = 0;
    size_t need = 0;
    const char *why = NULL;
    enum resp_result result = resp_parse_request(data, size, 1u << 20, parts, FUZZ_PARTS_MAX,
                                                 &part_count, &used, &need, &why);

    FUZZ_PROMISE((result == RESP_INVALID) == (why != NULL));
    if (result != RESP_OK) {
        FUZZ_PROMISE(used == 0);
        return;
    }
    FUZZ_PROMISE(used > 0 && used <= size);
    for (size_t i = 0; i < part_count; i++) {
        const char *part = parts[i].data;
        FUZZ_PROMISE(part >= data && parts[i].size < used);
        FUZZ_PROMISE(part + parts[i].size < data + used);
    }
    for (size_t cut = 0; cut < used; cut += used < 200 ? 1 : used / 50) {
        fuzz_cut(data, used, cut);
    }
    fuzz_again(parts, part_count);
}

static void fuzz_reply(const char *data, size_t size)
{
    struct resp_value value;
    size_t used = 0;
    size_t position = 0;

    if (resp_reply_size(data, size, &used) != RESP_OK) {
        FUZZ_PROMISE(used == 0);
        return;
    }
    FUZZ_PROMISE(used > 0 && used <= size);
    for (uint64_t left = 1; left > 0; left--) {
        FUZZ_PROMISE(resp_reply_next(data, used, &position, &value) == RESP_OK);
        FUZZ_PROMISE(position <= used);
        FUZZ_PROMISE(value.size == 0 || value.data > data);
        FUZZ_PROMISE(value.size == 0 || value.data + value.size <= data + used);
        left += value.type == RESP_ARRAY ? (uint64_t)value.number : 0;
    }
    FUZZ_PROMISE(position == used);
    for (size_t cut = 0; cut < used; cut += used < 200 ? 1 : used / 50) {
        size_t cut_used = 0;
        FUZZ_PROMISE(resp_reply_size(data, cut, &cut_used) == RESP_MORE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_request((const char *)data, size);
    fuzz_reply((const char *)data, size);
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *out)
{
    static const char *const seeds[] = {
        "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\nhello\r\nworld\r\n",
        "*0\r\n*-1\r\n\r\nPING\r\n",
        "SET \"a key\" 'a value' \t x\n",
        "*1\r\n$10\r\n0123456789\r\n",
        "+OK\r\n",
        "-CONFLICT operation 3: the key is there\r\n",
        "*5\r\n:-42\r\n$-1\r\n*-1\r\n$3\r\nabc\r\n*2\r\n+a\r\n:1\r\n",
        "%2\r\n+a\r\n#t\r\n+b\r\n~1\r\n,3.25\r\n",
        "*4\r\n_\r\n(12345678901234567890\r\n=7\r\ntxt:abc\r\n!8\r\nERR what\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
    };

    if (index >= sizeof(seeds) / sizeof(seeds[0])) {
        return 0;
    }
    memcpy(out, seeds[index], strlen(seeds[index]));
    return strlen(seeds[index]);
}
