/* SPDX-License-Identifier: MIT */
/*
 * attachment: map what a daemon handed over, and let go of it.
 */
#include "client/attachment.h"

#include "base/barrier.h"
#include "base/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the beacon ------------------------------------------------------------------ */

static enum bts_status attachment_check_beacon(const struct beacon *beacon,
                                               struct bts_error *error)
{
    if (beacon->magic != BEACON_MAGIC) {
        return err_set(error, BTS_VERSION, "beacon: magic %016llx is not a beacon's",
                       (unsigned long long)beacon->magic);
    }
    if (beacon->version != BEACON_VERSION) {
        return err_set(error, BTS_VERSION,
                       "beacon: version %u, this library knows %u; update the older of the two",
                       beacon->version, BEACON_VERSION);
    }
    if (!page_size_valid(beacon->page_size)) {
        return err_set(error, BTS_VERSION, "beacon: page size %u", beacon->page_size);
    }
    return BTS_OK;
}

/* Maps the beacon of descriptor `fd`, which it closes. */
static enum bts_status attachment_map_beacon(struct attachment *attachment, int fd,
                                             struct bts_error *error)
{
    enum bts_status status = BTS_OK;
    struct stat stat;
    void *page = MAP_FAILED;

    if (fstat(fd, &stat) != 0 || stat.st_size < (off_t)BEACON_SIZE) {
        status = err_set(error, BTS_VERSION, "beacon: not a file of %u bytes", BEACON_SIZE);
    } else {
        page = mmap(NULL, BEACON_SIZE, PROT_READ, MAP_SHARED, fd, 0);
        if (page == MAP_FAILED || madvise(page, BEACON_SIZE, MADV_DONTFORK) != 0) {
            status = err_set_errno(error, BTS_IO, errno, "beacon: mmap");
        }
    }
    close(fd);
    if (status == BTS_OK) {
        status = attachment_check_beacon(page, error);
    }
    if (status != BTS_OK) {
        if (page != MAP_FAILED) {
            munmap(page, BEACON_SIZE);
        }
        return status;
    }
    attachment->beacon = page;
    attachment->beacon_device = stat.st_dev;
    attachment->beacon_inode = stat.st_ino;
    return BTS_OK;
}

/* ---- create and destroy ---------------------------------------------------------- */

static struct map *attachment_map(const struct attachment *attachment)
{
    return atomic_load_explicit(&attachment->map, memory_order_acquire);
}

static void attachment_in_child(struct fork_guard *guard)
{
    struct attachment *attachment =
        (struct attachment *)((char *)guard - offsetof(struct attachment, guard));
    struct map *map = attachment_map(attachment);

    if (map != NULL && map->fd >= 0) {
        close(map->fd);
        map->fd = -1;
    }
}

static struct attachment *attachment_new(struct bts_error *error)
{
    struct attachment *attachment = calloc(1, sizeof(*attachment));

    if (attachment == NULL) {
        err_set(error, BTS_NO_MEMORY, "no memory to attach");
        return NULL;
    }
    attachment->owner = getpid();
    return attachment;
}

/* Maps the data file `fd`, which it owns, and guards the descriptor. */
static enum bts_status attachment_map_data(struct attachment *attachment, int fd, uint64_t span,
                                           struct bts_error *error)
{
    struct map *map = NULL;
    enum bts_status status = map_open(fd, attachment->beacon->page_size, span,
                                      &attachment->beacon->page_count, &map, error);

    if (status == BTS_OK) {
        atomic_store_explicit(&attachment->map, map, memory_order_release);
        fork_guard_add(&attachment->guard, attachment_in_child);
    }
    return status;
}

enum bts_status attachment_create(const int fds[ATTACHMENT_FDS], uint64_t span,
                                  struct attachment **attachment, struct bts_error *error)
{
    struct attachment *created = attachment_new(error);
    enum bts_status status;

    *attachment = NULL;
    if (created == NULL) {
        for (unsigned i = 0; i < ATTACHMENT_FDS; i++) {
            close(fds[i]);
        }
        return BTS_NO_MEMORY;
    }
    /* Each of the three closes its descriptor, whether it succeeds or not. */
    status = slots_map(&created->slots, fds[ATTACHMENT_SLOT], error);
    if (status == BTS_OK) {
        status = attachment_map_beacon(created, fds[ATTACHMENT_BEACON], error);
        created->slots.joined = status == BTS_OK && created->beacon->barriers != 0 &&
                                barrier_join();
    } else {
        close(fds[ATTACHMENT_BEACON]);
    }
    if (status == BTS_OK) {
        status = attachment_map_data(created, fds[ATTACHMENT_DATA], span, error);
    } else {
        close(fds[ATTACHMENT_DATA]);
    }
    if (status != BTS_OK) {
        attachment_destroy(created);
        return status;
    }
    *attachment = created;
    return BTS_OK;
}

/* Private memory in the place of a beacon and a slot file. */
static enum bts_status attachment_imitate(struct attachment *attachment,
                                          const struct attachment_state *state,
                                          struct bts_error *error)
{
    size_t size = BEACON_SIZE + SLOT_FILE_SIZE;
    uint8_t *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct beacon *beacon = (struct beacon *)memory;
    struct beacon_root *root;

    if (memory == MAP_FAILED) {
        return err_set_errno(error, BTS_NO_MEMORY, errno, "no memory to open alone");
    }
    /* Like the real ones, it is not there in a fork child. */
    if (madvise(memory, size, MADV_DONTFORK) != 0) {
        int refused = errno;
        munmap(memory, size);
        return err_set_errno(error, BTS_IO, refused, "madvise");
    }
    beacon->magic = BEACON_MAGIC;
    beacon->version = BEACON_VERSION;
    beacon->page_size = (uint32_t)state->page_size;
    memcpy(beacon->uuid, state->uuid, sizeof(beacon->uuid));
    atomic_store_explicit(&beacon->state, BEACON_SERVING, memory_order_relaxed);
    atomic_store_explicit(&beacon->page_count, state->page_count, memory_order_relaxed);
    atomic_store_explicit(&beacon->checkpoint, state->txnid, memory_order_relaxed);
    root = &beacon->ring[state->txnid % BEACON_RING];
    atomic_store_explicit(&root->root, state->root, memory_order_relaxed);
    atomic_store_explicit(&root->depth, state->depth, memory_order_relaxed);
    atomic_store_explicit(&root->txn, state->txnid, memory_order_relaxed);
    atomic_store_explicit(&beacon->latest, state->txnid, memory_order_relaxed);
    attachment->beacon = beacon;
    attachment->slots.file = (struct slot_file *)(memory + BEACON_SIZE);
    attachment->slots.owner = attachment->owner;
    attachment->slots.joined = barrier_join(); /* nobody scans; slots_idle has its own barrier */
    attachment->is_alone = true;
    return BTS_OK;
}

enum bts_status attachment_create_alone(int fd, uint64_t span,
                                        const struct attachment_state *state,
                                        struct attachment **attachment, struct bts_error *error)
{
    struct attachment *created = attachment_new(error);
    enum bts_status status = created != NULL ? BTS_OK : BTS_NO_MEMORY;

    *attachment = NULL;
    if (status == BTS_OK) {
        status = attachment_imitate(created, state, error);
    }
    if (status == BTS_OK) {
        status = attachment_map_data(created, fd, span, error);
    } else {
        close(fd);
    }
    if (status != BTS_OK) {
        attachment_destroy(created);
        return status;
    }
    *attachment = created;
    return BTS_OK;
}

/* Gives the file back: after this the daemon no longer counts us as its reader. */
static void attachment_close_map(struct attachment *attachment)
{
    fork_guard_remove(&attachment->guard);
    map_close(attachment_map(attachment));
    atomic_store_explicit(&attachment->map, NULL, memory_order_release);
}

void attachment_destroy(struct attachment *attachment)
{
    if (attachment == NULL) {
        return;
    }
    attachment_close_map(attachment);
    if (attachment->is_alone) {
        /* Slots lie behind the beacon in one piece of memory. */
        if (attachment->owner == getpid()) {
            munmap((void *)attachment->beacon, BEACON_SIZE + SLOT_FILE_SIZE);
        }
    } else {
        slots_unmap(&attachment->slots);
        if (attachment->beacon != NULL && attachment->owner == getpid()) {
            munmap((void *)attachment->beacon, BEACON_SIZE);
        }
    }
    free(attachment);
}

bool attachment_same(const struct attachment *a, const struct attachment *b)
{
    return a->beacon_device == b->beacon_device && a->beacon_inode == b->beacon_inode;
}

void attachment_release(struct attachment *attachment)
{
    struct slots *slots = &attachment->slots;

    if (attachment_map(attachment) == NULL || !slots_idle(slots)) {
        return;
    }
    /* Memory of our own in the slot file's place: the file's lock goes, late pins do no harm. */
    if (mmap(slots->file, SLOT_FILE_SIZE, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
        return;
    }
    fork_guard_lock();
    attachment_close_map(attachment);
    fork_guard_unlock();
}

int attachment_fd(const struct attachment *attachment)
{
    int fd;

    fork_guard_lock(); /* growth hands the descriptor on to the bigger map */
    fd = attachment_map(attachment)->fd;
    fork_guard_unlock();
    return fd;
}

enum bts_status attachment_grow(struct attachment *attachment, struct bts_error *error)
{
    uint64_t pages = atomic_load_explicit(&attachment->beacon->page_count, memory_order_acquire);
    struct map *map;
    enum bts_status status;

    fork_guard_lock();
    map = attachment_map(attachment);
    status = map_grow(map, pages, &map, error);
    atomic_store_explicit(&attachment->map, map, memory_order_release);
    fork_guard_unlock();
    return status;
}
