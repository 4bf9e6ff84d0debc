/* SPDX-License-Identifier: MIT */
/*
 * data: what dpkg knows about this machine, in memory.
 *
 * dpkg keeps the records of all packages in one text file, separated by empty
 * lines, and the paths of each package in info/NAME.list or NAME:ARCH.list.
 * A folder such as /usr belongs to nearly every package, so that the values of
 * `files` run from a few bytes to many kilobytes.
 */
#include "packages.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- memory: entries point into what was read, so all of it is kept -------- */

struct block {
    struct block *next;
    char bytes[];
};

static struct block *blocks;

static char *keep(size_t size)
{
    struct block *block = must_alloc(malloc(sizeof(*block) + size));

    block->next = blocks;
    blocks = block;
    return block->bytes;
}

/* ---- tables ---------------------------------------------------------------- */

static int compare_bytes(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);

    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = left;
    const struct entry *b = right;
    int order = compare_bytes(a->key, a->key_size, b->key, b->key_size);

    return order != 0 ? order : compare_bytes(a->value, a->value_size, b->value, b->value_size);
}

static void table_add(struct table *table, const char *key, size_t key_size, const char *value,
                      size_t value_size)
{
    /* Room doubles whenever the count is a power of two. */
    if ((table->count & (table->count - 1)) == 0) {
        size_t room = table->count == 0 ? 1 : table->count * 2;
        table->entries = must_alloc(realloc(table->entries, room * sizeof(*table->entries)));
    }
    table->entries[table->count++] = (struct entry){key, key_size, value, value_size};
}

/* One entry out of `count` of the same key: its values, each once, one a line. */
static struct entry join_values(const struct entry *entries, size_t count)
{
    struct entry joined = entries[0];
    size_t size = 0;
    char *value;

    if (count == 1) {
        return joined;
    }
    for (size_t i = 0; i < count; i++) {
        size += entries[i].value_size + 1;
    }
    value = keep(size);
    size = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && compare_entries(&entries[i - 1], &entries[i]) == 0) {
            continue;
        }
        if (i > 0) {
            value[size++] = '\n';
        }
        memcpy(value + size, entries[i].value, entries[i].value_size);
        size += entries[i].value_size;
    }
    joined.value = value;
    joined.value_size = size;
    return joined;
}

/* Sorts a table and joins the values of equal keys. */
static void table_finish(struct table *table)
{
    size_t kept = 0;
    size_t next;

    if (table->count > 0) {
        qsort(table->entries, table->count, sizeof(*table->entries), compare_entries);
    }
    for (size_t i = 0; i < table->count; i = next) {
        const struct entry *first = &table->entries[i];
        next = i + 1;
        while (next < table->count &&
               compare_bytes(first->key, first->key_size, table->entries[next].key,
                             table->entries[next].key_size) == 0) {
            next++;
        }
        table->entries[kept] = join_values(first, next - i);
        table->bytes += table->entries[kept].key_size + table->entries[kept].value_size;
        kept++;
    }
    table->count = kept;
}

const struct entry *table_find(const struct table *table, const void *key, size_t key_size)
{
    size_t low = 0;
    size_t high = table->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct entry *entry = &table->entries[middle];
        int order = compare_bytes(entry->key, entry->key_size, key, key_size);
        if (order == 0) {
            return entry;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* ---- files ----------------------------------------------------------------- */

/* The whole file with a NUL behind it; NULL if there is none. */
static const char *read_file(int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    struct stat about;
    size_t size = 0;
    ssize_t got = 1;
    char *text;

    if (fd < 0) {
        return NULL;
    }
    if (fstat(fd, &about) != 0) {
        fail("%s: %s", name, strerror(errno));
    }
    text = keep((size_t)about.st_size + 1);
    while (got > 0 && size < (size_t)about.st_size) {
        got = read(fd, text + size, (size_t)about.st_size - size);
        size += got > 0 ? (size_t)got : 0;
    }
    if (got < 0) {
        fail("%s: %s", name, strerror(errno));
    }
    close(fd);
    text[size] = '\0';
    return text;
}

/* The length of the value of "NAME: value" in a record; 0: there is none. */
static size_t record_field(const char *record, size_t record_size, const char *name,
                           const char **value)
{
    const char *end = record + record_size;
    size_t name_size = strlen(name);

    for (const char *line = record; line < end;) {
        const char *line_end = memchr(line, '\n', (size_t)(end - line));
        if (line_end == NULL) {
            line_end = end;
        }
        if ((size_t)(line_end - line) > name_size + 2 && memcmp(line, name, name_size) == 0 &&
            line[name_size] == ':') {
            *value = line + name_size + 2;
            return (size_t)(line_end - *value);
        }
        line = line_end + 1;
    }
    return 0;
}

/* Adds the records of installed packages; a removed one may leave a record too. */
static void add_records(struct table *packages, const char *text)
{
    static const char installed[] = " ok installed";

    while (*text != '\0') {
        const char *end = strstr(text, "\n\n");
        size_t size = end != NULL ? (size_t)(end - text) : strlen(text);
        const char *name;
        const char *state;
        size_t name_size = record_field(text, size, "Package", &name);
        size_t state_size = record_field(text, size, "Status", &state);
        if (name_size > 0 && memmem(state, state_size, installed, strlen(installed)) != NULL) {
            table_add(packages, name, name_size, text, size);
        }
        text += size;
        text += strspn(text, "\n");
    }
}

/* Adds the paths of one NAME.list or NAME:ARCH.list. */
static void add_paths(struct table *files, const char *text, const char *owner, size_t owner_size)
{
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        if (size > 0) {
            table_add(files, text, size, owner, owner_size);
        }
        text += size;
        text += *text == '\n';
    }
}

static void add_lists(struct table *files, const char *folder)
{
    DIR *directory = opendir(folder);
    struct dirent *item;

    if (directory == NULL) {
        fail("%s: %s", folder, strerror(errno));
    }
    while ((item = readdir(directory)) != NULL) {
        const char *suffix = strrchr(item->d_name, '.');
        const char *text;
        if (suffix == NULL || strcmp(suffix, ".list") != 0) {
            continue;
        }
        text = read_file(dirfd(directory), item->d_name);
        if (text != NULL) {
            size_t owner_size = strcspn(item->d_name, ":");
            char *owner = keep(strlen(item->d_name) + 1);
            strcpy(owner, item->d_name);
            if (owner_size > (size_t)(suffix - item->d_name)) {
                owner_size = (size_t)(suffix - item->d_name);
            }
            add_paths(files, text, owner, owner_size);
        }
    }
    closedir(directory);
}

void data_read(const char *dpkg_folder, struct data *data)
{
    int folder = open(dpkg_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const char *status = folder >= 0 ? read_file(folder, "status") : NULL;
    char info[4096];

    *data = (struct data){.packages = {.bucket = "packages"}, .files = {.bucket = "files"}};
    if (status != NULL) {
        add_records(&data->packages, status);
    }
    if ((size_t)snprintf(info, sizeof(info), "%s/info", dpkg_folder) >= sizeof(info)) {
        fail("%s: too long", dpkg_folder);
    }
    add_lists(&data->files, info);
    if (data->files.count == 0) {
        fail("%s: no *.list there names a file", info);
    }
    table_finish(&data->packages);
    table_finish(&data->files);
    if (folder >= 0) {
        close(folder);
    }
}
