/* SPDX-License-Identifier: MIT */
/* fault_check: see fault_check.h. */
#include "fault_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "commit/commit_private.h"
#include "fault_batch.h"
#include "format/locks.h"
#include "format/space_map.h"
#include "read/snapshot.h"
#include "read/tree_check.h"

bool story_wrong(struct story *story, const char *format, ...)
{
    char text[400];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (!story->is_wrong)
        err_set(&story->wrong, BTS_DAMAGED, "%s", text);
    story->is_wrong = true;
    return false;
}

/* ---- content ------------------------------------------------------------ */

bool story_check_content(struct story *story, const char *who,
                                const struct tree_view *directory, unsigned *version)
{
    uint64_t digest;
    struct bts_error error;

    if (fault_batch_read(directory, version, &digest, &error) != BTS_OK)
        return story_wrong(story, "%s: %.200s", who, error.text);
    if (*version < story->acknowledged || *version > story->begun)
        return story_wrong(story, "%s: version %u, but %u was acknowledged and %u begun", who,
                           *version, story->acknowledged, story->begun);
    if (digest != story->digests[*version])
        return story_wrong(story, "%s: version %u has other entries", who, *version);
    return true;
}

bool story_check_maps(struct story *story, const char *who, struct commit *commit)
{
    const struct meta *meta = &commit->checkpoint.meta;
    struct tree_check check;
    struct bts_error error;
    enum bts_status status;

    status = tree_check_init(&check, commit_latest(commit).source, meta->txnid, meta->page_count,
                             NULL, NULL, &error);
    if (status == BTS_OK)
        status = tree_check_walk(&check, meta->root, meta->depth, meta->bucket_count, &error);
    if (status == BTS_OK)
        status = tree_check_maps(&check, &error);
    tree_check_fini(&check);
    space_check(commit->space);
    return status == BTS_OK || story_wrong(story, "%s: %.200s", who, error.text);
}

bool story_check_live(struct story *story, const char *who)
{
    struct commit *commit = story->commit;
    struct tree_view directory = commit_latest(commit);
    pgno_t page_count = (pgno_t)commit_stat(commit).space.page_count;
    size_t page_size = commit_page_size(commit);
    uint8_t *bits = calloc(space_map_group_count(page_count, page_size),
                           space_map_group_pages(page_size) / 8);
    struct tree_check check;
    struct bts_error error;
    enum bts_status status;

    for (pgno_t pgno = 0; pgno < page_count; pgno++) {
        if (space_is_live(commit->space, pgno))
            bits[pgno / 8] |= (uint8_t)(1u << (pgno % 8));
    }
    status = tree_check_init(&check, directory.source, directory.txnid, page_count, NULL, NULL,
                             &error);
    if (status == BTS_OK)
        status = tree_check_walk(&check, directory.root, directory.depth,
                                 commit->published.root.bucket_count, &error);
    if (status == BTS_OK)
        status = tree_check_bits(&check, bits, &error);
    tree_check_fini(&check);
    free(bits);
    space_check(commit->space);
    return status == BTS_OK || story_wrong(story, "%s: %.200s", who, error.text);
}

/* ---- readers ------------------------------------------------------------ */

void story_detach(struct story_reader *reader)
{
    if (reader->map == NULL)
        return;
    snapshot_unpin(reader->slot);
    map_close(reader->map);
    reader->map = NULL;
}

/* Attaches by file and beacon alone, as a process does; no verified page to begin with. */
static bool reader_attach(struct story *story, struct story_reader *reader, unsigned slot)
{
    char path[150];
    struct snapshot_root root;
    struct bts_error error;
    struct flock lock = {.l_type = F_RDLCK, .l_start = (off_t)LOCK_READERS, .l_len = 1};
    int fd;

    snprintf(path, sizeof(path), "%s/%s", story->directory, FAULTS_STORE);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return story_wrong(story, "a reader: %s: %s", path, strerror(errno));
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) /* as every descriptor of a reader has one */
        return story_wrong(story, "a reader's lock: %s", strerror(errno));
    if (map_open(fd, PAGE_SIZE_DEFAULT, STORY_MAP_SPAN, &reader->page_count, &reader->map,
                 &error) != BTS_OK)
        return story_wrong(story, "a reader: %.200s", error.text);
    reader->slot = &story->slots->slots[slot];
    root = snapshot_pin(story->beacon, reader->slot);
    atomic_store(&reader->page_count, atomic_load(&story->beacon->page_count));
    reader->view = (struct tree_view){.source = &reader->map->source,
                                      .root = root.root,
                                      .depth = root.depth,
                                      .txnid = root.txnid};
    return true;
}

bool story_check_readers(struct story *story)
{
    struct story_reader fresh = {.map = NULL};
    struct bts_error error;
    unsigned version;
    uint64_t digest;
    bool good;

    if (story->pinned.map != NULL) {
        if (fault_batch_read(&story->pinned.view, &version, &digest, &error) != BTS_OK)
            return story_wrong(story, "the pinned snapshot: %.200s", error.text);
        if (digest != story->pinned.digest)
            return story_wrong(story, "the pinned snapshot has other entries");
    }
    if (atomic_load(&story->beacon->latest) == 0)
        return true; /* nothing was ever published */
    good = reader_attach(story, &fresh, 1) &&
           story_check_content(story, "a fresh reader", &fresh.view, &version);
    story_detach(&fresh);
    return good;
}

bool story_pin(struct story *story)
{
    unsigned version;

    return reader_attach(story, &story->pinned, 0) &&
           fault_batch_read(&story->pinned.view, &version, &story->pinned.digest,
                            &story->wrong) == BTS_OK;
}
