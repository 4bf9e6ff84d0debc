/* SPDX-License-Identifier: MIT */
/*
 * Tests of client/attachment, and of snapshots in a store whose attachment is
 * replaced: with files of our own in the place of a daemon's.
 */
#include "client/snapshot_private.h"

#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 8
#define SPAN (1u << 20)

/* What a daemon would hand over, and our own view of it. */
struct run {
    int fds[ATTACHMENT_FDS];
    int slot_probe;         /* another description of the slot file */
    struct beacon *beacon;
};

static int make_file(size_t size)
{
    char path[] = "/tmp/bts-unit-XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    unlink(path);
    ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    return fd;
}

/* A fresh description of the same file. */
static int reopen(int fd, int flags)
{
    char path[64];
    int opened;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    opened = open(path, flags | O_CLOEXEC);
    ck_assert_int_ge(opened, 0);
    return opened;
}

static void publish_state(struct beacon *beacon, txnid_t txnid)
{
    atomic_store(&beacon->ring[txnid % BEACON_RING].txn, txnid);
    atomic_store(&beacon->latest, txnid);
}

static void make_run(struct run *run, txnid_t txnid)
{
    struct flock lock = {.l_type = F_WRLCK, .l_len = 1};
    struct slot_file header = {.magic = SLOT_MAGIC, .version = SLOT_VERSION};
    int data = make_file(PAGES * 4096);
    int beacon = make_file(BEACON_SIZE);

    run->beacon = mmap(NULL, BEACON_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, beacon, 0);
    ck_assert_ptr_ne(run->beacon, MAP_FAILED);
    run->beacon->magic = BEACON_MAGIC;
    run->beacon->version = BEACON_VERSION;
    run->beacon->page_size = 4096;
    run->beacon->barriers = txnid % 4 != 0; /* mostly: readers need no fence */
    atomic_store(&run->beacon->page_count, PAGES);
    publish_state(run->beacon, txnid);
    run->slot_probe = make_file(SLOT_FILE_SIZE);
    ck_assert_int_eq(pwrite(run->slot_probe, &header, 64, 0), 64);
    run->fds[ATTACHMENT_DATA] = reopen(data, O_RDONLY);
    run->fds[ATTACHMENT_BEACON] = reopen(beacon, O_RDONLY);
    run->fds[ATTACHMENT_SLOT] = reopen(run->slot_probe, O_RDWR);
    ck_assert_int_eq(fcntl(run->fds[ATTACHMENT_SLOT], F_OFD_SETLK, &lock), 0);
    close(data);
    close(beacon);
}

static void end_run(struct run *run)
{
    munmap(run->beacon, BEACON_SIZE);
    close(run->slot_probe);
}

static bool slot_is_locked(const struct run *run)
{
    struct flock lock = {.l_type = F_WRLCK, .l_len = 1};

    ck_assert_int_eq(fcntl(run->slot_probe, F_OFD_GETLK, &lock), 0);
    return lock.l_type != F_UNLCK;
}

static struct attachment *attach(struct run *run)
{
    struct attachment *attachment = NULL;
    struct bts_error error;

    ck_assert_int_eq(fork_guard_init(NULL), BTS_OK);
    fork_guard_lock();
    ck_assert_int_eq(attachment_create(run->fds, SPAN, &attachment, &error), BTS_OK);
    fork_guard_unlock();
    return attachment;
}

static void destroy(struct attachment *attachment)
{
    fork_guard_lock();
    attachment_destroy(attachment);
    fork_guard_unlock();
}

static unsigned count_descriptors(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

START_TEST(an_attachment_holds_the_slot_as_long_as_it_lives)
{
    struct run run;
    struct attachment *attachment;

    make_run(&run, 1);
    attachment = attach(&run);
    ck_assert(slot_is_locked(&run));
    destroy(attachment);
    ck_assert(!slot_is_locked(&run));
    end_run(&run);
}
END_TEST

START_TEST(what_is_not_understood_is_refused_and_nothing_leaks)
{
    static const struct {
        enum attachment_fd which;
        off_t offset;
        uint32_t value;
    } damages[] = {
        {ATTACHMENT_BEACON, 0, 0},                     /* magic */
        {ATTACHMENT_BEACON, 8, BEACON_VERSION + 1},
        {ATTACHMENT_BEACON, 60, 4097},                 /* page size */
        {ATTACHMENT_SLOT, 0, 0},
        {ATTACHMENT_SLOT, 8, SLOT_VERSION + 1},
    };
    unsigned before = count_descriptors();

    ck_assert_int_eq(fork_guard_init(NULL), BTS_OK);
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct attachment *attachment;
        struct run run;
        int writable;

        make_run(&run, 1);
        writable = reopen(run.fds[damages[i].which], O_RDWR);
        ck_assert_int_eq(pwrite(writable, &damages[i].value, 4, damages[i].offset), 4);
        close(writable);
        fork_guard_lock();
        ck_assert_int_eq(attachment_create(run.fds, SPAN, &attachment, NULL), BTS_VERSION);
        fork_guard_unlock();
        ck_assert_ptr_null(attachment);
        end_run(&run);
        ck_assert_uint_eq(count_descriptors(), before);
    }
}
END_TEST

START_TEST(a_fork_child_holds_nothing_of_an_attachment)
{
    struct run run;
    struct attachment *attachment;
    unsigned before;
    pid_t child;
    int how;

    make_run(&run, 1);
    for (unsigned i = 0; i < ATTACHMENT_FDS; i++) {
        ck_assert_int_ge(run.fds[i], 3);
    }
    before = count_descriptors() - ATTACHMENT_FDS;
    attachment = attach(&run);
    child = fork();
    if (child == 0) {
        attachment_destroy(attachment);
        _exit(count_descriptors() == before ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_int_eq(how, 0);
    ck_assert(slot_is_locked(&run));
    destroy(attachment);
    end_run(&run);
}
END_TEST

/* ---- a store whose attachment is replaced ------------------------------------------------- */

static struct bts_store *open_store(struct run *run)
{
    struct bts_store *store = aligned_alloc(_Alignof(struct bts_store), sizeof(*store));

    ck_assert_ptr_nonnull(store);
    memset(store, 0, sizeof(*store));
    store->flags = BTS_OPEN_ALONE; /* nobody looks at a socket that is not there */
    store->name = strdup("store");
    store->owner = getpid();
    connection_init(&store->look.connection);
    connection_init(&store->tool);
    ck_assert_int_eq(fork_mark_create(&store->mark, NULL), BTS_OK);
    ck_assert_int_eq(pipeline_init(&store->pipeline, NULL), BTS_OK);
    pthread_mutex_init(&store->adopt_lock, NULL);
    store_adopt(store, attach(run));
    return store;
}

START_TEST(a_replaced_attachment_stays_until_its_last_snapshot_is_closed)
{
    struct run old_run, new_run;
    struct bts_snapshot old, fresh;
    struct bts_store *store;
    struct attachment *replaced;

    make_run(&old_run, 7);
    make_run(&new_run, 9);
    store = open_store(&old_run);
    replaced = store->attachment;
    ck_assert_int_eq(bts_snapshot_open(store, &old, NULL), BTS_OK);
    store_adopt(store, attach(&new_run));

    attachment_release(replaced);
    ck_assert(slot_is_locked(&old_run));
    ck_assert_int_eq(bts_snapshot_open(store, &fresh, NULL), BTS_OK);
    ck_assert_uint_eq(bts_snapshot_txnid(&fresh), 9);
    ck_assert_uint_eq(bts_snapshot_txnid(&old), 7);

    bts_snapshot_close(&old);
    attachment_release(replaced);
    ck_assert(!slot_is_locked(&old_run));
    ck_assert(slot_is_locked(&new_run));
    bts_snapshot_close(&fresh);
    bts_store_close(store);
    ck_assert(!slot_is_locked(&new_run));
    end_run(&old_run);
    end_run(&new_run);
}
END_TEST

START_TEST(a_renewed_snapshot_moves_to_the_new_attachment)
{
    struct run old_run, new_run;
    struct bts_snapshot snapshot;
    struct bts_store *store;

    make_run(&old_run, 7);
    make_run(&new_run, 9);
    store = open_store(&old_run);
    ck_assert_int_eq(bts_snapshot_open(store, &snapshot, NULL), BTS_OK);
    publish_state(old_run.beacon, 8);
    ck_assert_int_eq(bts_snapshot_renew(&snapshot, NULL), BTS_OK);
    ck_assert_uint_eq(bts_snapshot_txnid(&snapshot), 8);
    store_adopt(store, attach(&new_run));
    ck_assert_int_eq(bts_snapshot_renew(&snapshot, NULL), BTS_OK);
    ck_assert_uint_eq(bts_snapshot_txnid(&snapshot), 9);
    bts_snapshot_close(&snapshot);
    ck_assert_int_eq(bts_snapshot_renew(&snapshot, NULL), BTS_INVALID);
    bts_store_close(store);
    end_run(&old_run);
    end_run(&new_run);
}
END_TEST

static txnid_t open_and_close(struct bts_store *store)
{
    struct bts_snapshot snapshot;
    txnid_t txnid;

    ck_assert_int_eq(bts_snapshot_open(store, &snapshot, NULL), BTS_OK);
    txnid = bts_snapshot_txnid(&snapshot);
    ck_assert_uint_eq(atomic_load(&snapshot_of(&snapshot)->slot->txn), txnid);
    bts_snapshot_close(&snapshot);
    return txnid;
}

/* A thread opens again what it opened last, as long as that is the newest state of that store. */
START_TEST(without_a_fence_a_snapshot_is_the_newest_and_announced)
{
    struct run runs[3];
    struct bts_store *store, *other;
    struct bts_snapshot first, second;
    pid_t child;
    int how;

    for (unsigned i = 0; i < 3; i++) {
        make_run(&runs[i], 7 + 10 * i);
        ck_assert_uint_eq(runs[i].beacon->barriers, 1);
    }
    store = open_store(&runs[0]);
    other = open_store(&runs[1]);
    ck_assert(store->attachment->slots.joined);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(open_and_close(store), 7);
        ck_assert_uint_eq(open_and_close(store), 7);
        ck_assert_uint_eq(open_and_close(other), 17);
    }
    ck_assert_int_eq(bts_snapshot_open(store, &first, NULL), BTS_OK);
    ck_assert_int_eq(bts_snapshot_open(store, &second, NULL), BTS_OK);
    ck_assert_ptr_ne(snapshot_of(&first)->slot, snapshot_of(&second)->slot);
    ck_assert_uint_eq(atomic_load(&snapshot_of(&first)->slot->txn), 7);
    ck_assert_uint_eq(atomic_load(&snapshot_of(&second)->slot->txn), 7);
    publish_state(runs[0].beacon, 8);
    ck_assert_int_eq(bts_snapshot_renew(&second, NULL), BTS_OK);
    ck_assert_uint_eq(atomic_load(&snapshot_of(&first)->slot->txn), 7);
    ck_assert_uint_eq(atomic_load(&snapshot_of(&second)->slot->txn), 8);
    bts_snapshot_close(&second);
    bts_snapshot_close(&first);
    ck_assert(slots_idle(&store->attachment->slots));

    ck_assert_uint_eq(open_and_close(store), 8);
    child = fork();
    if (child == 0) {
        _exit(bts_snapshot_open(store, &first, NULL) == BTS_FORKED ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_int_eq(how, 0);
    store_adopt(store, attach(&runs[2]));
    ck_assert_uint_eq(open_and_close(store), 27);
    ck_assert_uint_eq(open_and_close(store), 27);
    bts_store_close(store);
    ck_assert_uint_eq(open_and_close(other), 17);
    bts_store_close(other);
    for (unsigned i = 0; i < 3; i++) {
        end_run(&runs[i]);
    }
}
END_TEST

START_TEST(without_barriers_a_reader_does_not_join)
{
    struct run run;
    struct bts_store *store;

    make_run(&run, 8);
    ck_assert_uint_eq(run.beacon->barriers, 0);
    store = open_store(&run);
    ck_assert(!store->attachment->slots.joined);
    ck_assert_uint_eq(open_and_close(store), 8);
    ck_assert_uint_eq(open_and_close(store), 8);
    bts_store_close(store);
    end_run(&run);
}
END_TEST

START_TEST(the_same_run_directory_is_not_attached_twice)
{
    struct run run;
    struct bts_store *store;
    struct attachment *newest;
    struct flock lock = {.l_type = F_WRLCK, .l_len = 1};

    make_run(&run, 1);
    int beacon_again = reopen(run.fds[ATTACHMENT_BEACON], O_RDONLY);
    int data_again = reopen(run.fds[ATTACHMENT_DATA], O_RDONLY);
    store = open_store(&run);
    newest = store->attachment;
    /* A restarted daemon hands over the same beacon and another slot file. */
    struct run again = run;
    again.fds[ATTACHMENT_BEACON] = beacon_again;
    again.fds[ATTACHMENT_DATA] = data_again;
    again.slot_probe = make_file(SLOT_FILE_SIZE);
    struct slot_file header = {.magic = SLOT_MAGIC, .version = SLOT_VERSION};
    ck_assert_int_eq(pwrite(again.slot_probe, &header, 64, 0), 64);
    again.fds[ATTACHMENT_SLOT] = reopen(again.slot_probe, O_RDWR);
    ck_assert_int_eq(fcntl(again.fds[ATTACHMENT_SLOT], F_OFD_SETLK, &lock), 0);
    store_adopt(store, attach(&again));
    ck_assert_ptr_eq(store->attachment, newest);
    ck_assert(slot_is_locked(&run));
    ck_assert(!slot_is_locked(&again));
    bts_store_close(store);
    close(again.slot_probe);
    end_run(&run);
}
END_TEST

START_TEST(a_file_that_outgrows_its_map_gets_a_bigger_one)
{
    struct run run;
    struct bts_snapshot snapshot, old;
    struct bts_store *store;
    int data;

    make_run(&run, 1);
    data = reopen(run.fds[ATTACHMENT_DATA], O_RDWR);
    store = open_store(&run);
    ck_assert_int_eq(bts_snapshot_open(store, &old, NULL), BTS_OK);
    ck_assert_uint_eq(snapshot_of(&old)->source->page_limit, SPAN / 4096);
    ck_assert_int_eq(ftruncate(data, 3 * SPAN), 0);
    atomic_store(&run.beacon->page_count, 3 * SPAN / 4096);
    publish_state(run.beacon, 2);
    ck_assert_int_eq(bts_snapshot_open(store, &snapshot, NULL), BTS_OK);
    ck_assert_uint_ge(snapshot_of(&snapshot)->source->page_limit, 3 * SPAN / 4096);
    ck_assert_int_eq(snapshot_of(&snapshot)->source->base[3 * SPAN - 1], 0);
    ck_assert_int_eq(snapshot_of(&old)->source->base[0], 0); /* still there */
    bts_snapshot_close(&snapshot);
    bts_snapshot_close(&old);
    bts_store_close(store);
    close(data);
    end_run(&run);
}
END_TEST

START_TEST(slots_run_out_and_come_back)
{
    struct bts_snapshot *snapshots = calloc(SLOT_COUNT, sizeof(*snapshots));
    struct bts_snapshot one_more;
    struct bts_error error;
    struct bts_store *store;
    struct run run;

    make_run(&run, 1);
    store = open_store(&run);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < SLOT_COUNT; i++) {
            ck_assert_int_eq(bts_snapshot_open(store, &snapshots[i], NULL), BTS_OK);
        }
        ck_assert_int_eq(bts_snapshot_open(store, &one_more, &error), BTS_BUSY);
        ck_assert_ptr_nonnull(strstr(error.text, "1023 snapshots"));
        bts_snapshot_close(&one_more);
        for (unsigned i = 0; i < SLOT_COUNT; i++) {
            bts_snapshot_close(&snapshots[i]);
            bts_snapshot_close(&snapshots[i]);
        }
    }
    bts_store_close(store);
    free(snapshots);
    end_run(&run);
}
END_TEST

/* ---- threads ------------------------------------------------------------------------------ */

#define READERS 3
#define REPLACEMENTS 100

static _Atomic bool stop;

static void read_once(struct bts_store *store, txnid_t *last)
{
    struct bts_snapshot snapshot;

    ck_assert_int_eq(bts_snapshot_open(store, &snapshot, NULL), BTS_OK);
    ck_assert_uint_ge(bts_snapshot_txnid(&snapshot), *last);
    *last = bts_snapshot_txnid(&snapshot);
    ck_assert_int_eq(snapshot_of(&snapshot)->source->base[PAGES * 4096 - 1], 0);
    bts_snapshot_close(&snapshot);
}

/* Pinned pages can be read whatever becomes of the attachment; states do not go back. */
static void *read_briefly(void *argument)
{
    txnid_t last = 0;

    while (!atomic_load(&stop)) {
        read_once(argument, &last);
    }
    return NULL;
}

/* The same beside a snapshot that is held for a while. */
static void *read_and_hold(void *argument)
{
    struct bts_snapshot held = {{0}};
    txnid_t last = 0;

    for (unsigned i = 0; !atomic_load(&stop); i++) {
        if (i % 64 == 0) {
            bts_snapshot_close(&held);
            ck_assert_int_eq(bts_snapshot_open(argument, &held, NULL), BTS_OK);
        }
        read_once(argument, &last);
        ck_assert_int_eq(snapshot_of(&held)->source->base[0], 0);
    }
    bts_snapshot_close(&held);
    return NULL;
}

static void release_old(struct bts_store *store)
{
    struct attachment *attachment = atomic_load(&store->attachment);

    while ((attachment = attachment->older) != NULL) {
        attachment_release(attachment);
    }
}

static void replace_under_readers(void *(*read)(void *), unsigned replacements)
{
    struct run *runs = calloc(replacements + 1, sizeof(*runs));
    struct bts_store *store;
    pthread_t threads[READERS];

    make_run(&runs[0], 1);
    store = open_store(&runs[0]);
    for (unsigned i = 0; i < READERS; i++) {
        pthread_create(&threads[i], NULL, read, store);
    }
    for (unsigned i = 1; i <= replacements; i++) {
        make_run(&runs[i], 1 + i);
        store_adopt(store, attach(&runs[i]));
        for (unsigned j = 0; j < 20 && slot_is_locked(&runs[i - 1]); j++) {
            release_old(store);
        }
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
    }
    release_old(store);
    for (unsigned i = 0; i <= replacements; i++) {
        ck_assert(slot_is_locked(&runs[i]) == (i == replacements));
    }
    bts_store_close(store);
    for (unsigned i = 0; i <= replacements; i++) {
        end_run(&runs[i]);
    }
    free(runs);
}

/*
 * What is tested here is a race to the thread sanitizer: memory of our own takes
 * the slot file's place while a late thread pins in it.  It hears of maps from
 * mmap, so that one is called behind its back (--wrap).
 */
void *__real_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    if ((flags & MAP_FIXED) != 0)
        return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
    return __real_mmap(address, size, protection, flags, fd, offset);
}

/* A reader that is stopped between its first look at the attachment and its pin comes too late. */
START_TEST(a_late_pin_never_reads_what_is_gone)
{
    replace_under_readers(read_briefly, REPLACEMENTS);
}
END_TEST

START_TEST(held_snapshots_keep_what_they_read)
{
    replace_under_readers(read_and_hold, REPLACEMENTS / 4);
}
END_TEST

int main(void)
{
    return UNIT_RUN("attachment", an_attachment_holds_the_slot_as_long_as_it_lives,
                    what_is_not_understood_is_refused_and_nothing_leaks,
                    a_fork_child_holds_nothing_of_an_attachment,
                    a_replaced_attachment_stays_until_its_last_snapshot_is_closed,
                    a_renewed_snapshot_moves_to_the_new_attachment,
                    without_a_fence_a_snapshot_is_the_newest_and_announced,
                    without_barriers_a_reader_does_not_join,
                    the_same_run_directory_is_not_attached_twice,
                    a_file_that_outgrows_its_map_gets_a_bigger_one, slots_run_out_and_come_back,
                    a_late_pin_never_reads_what_is_gone,
                    held_snapshots_keep_what_they_read);
}
