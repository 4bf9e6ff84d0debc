/* SPDX-License-Identifier: MIT */
/*
 * A fork child can harm nothing of its parent's: every call says BTS_FORKED,
 * closing the store closes only the child's copy, the child can open the store
 * anew; and a child that lives on does not keep its dead parent's slot.
 */
#include "slot_files.h"
#include "text_store.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static struct harness harness;

/* What the parent had open when it forked. */
struct opened {
    struct bts_store *store;
    struct bts_snapshot snapshot;
    struct bts_bucket bucket;
    struct bts_cursor cursor;
    struct bts_batch *batch;
    uint64_t ticket;
};

static struct opened opened;

#define EXPECT_FORKED(call)                                                                        \
    do {                                                                                           \
        struct bts_error error = {.status = BTS_OK};                                               \
        enum bts_status said = (call);                                                             \
        HARNESS_CHECK(said == BTS_FORKED, "%s: %s: %s", #call, bts_status_name(said),              \
                      error.text);                                                                 \
        HARNESS_CHECK(strstr(error.text, "parent") != NULL, "%s: %s", #call, error.text);          \
    } while (0)

static void expect_reads_forked(void)
{
    struct bts_snapshot snapshot;
    struct bts_bucket bucket;
    struct bts_bytes key, value;
    struct bts_lookup lookup = {.key = "key", .key_size = 3};

    EXPECT_FORKED(bts_snapshot_open(opened.store, &snapshot, &error));
    EXPECT_FORKED(bts_bucket_open(&opened.snapshot, "default", 7, &bucket, &error));
    EXPECT_FORKED(bts_get(&opened.snapshot, &opened.bucket, "key", 3, &value, &error));
    EXPECT_FORKED(bts_get_many(&opened.snapshot, &opened.bucket, &lookup, 1, &error));
    HARNESS_CHECK(lookup.status == BTS_FORKED, "%s", bts_status_name(lookup.status));
    EXPECT_FORKED(bts_cursor_first(&opened.cursor, &key, &value, &error));
    EXPECT_FORKED(bts_cursor_last(&opened.cursor, &key, &value, &error));
    EXPECT_FORKED(bts_cursor_next(&opened.cursor, &key, &value, &error));
    EXPECT_FORKED(bts_cursor_prev(&opened.cursor, &key, &value, &error));
    EXPECT_FORKED(bts_cursor_seek(&opened.cursor, "k", 1, &key, &value, &error));
    EXPECT_FORKED(bts_snapshot_renew(&opened.snapshot, &error));
}

static void expect_writes_forked(void)
{
    struct bts_reader *readers;
    struct bts_bytes word = {"PING", 4};
    struct bts_check_result result;
    struct bts_stat stat;
    uint64_t txnid, ticket;
    size_t count;
    char *reply;

    EXPECT_FORKED(bts_commit(opened.store, opened.batch, &txnid, &error));
    EXPECT_FORKED(bts_commit_submit(opened.store, opened.batch, &ticket, &error));
    EXPECT_FORKED(bts_commit_wait(opened.store, opened.ticket, 0, &txnid, &error));
    EXPECT_FORKED(bts_put(opened.store, "default", 7, "k", 1, "v", 1, &txnid, &error));
    EXPECT_FORKED(bts_wait(opened.store, 1, 0, &error));
    EXPECT_FORKED(bts_store_stat(opened.store, &stat, &error));
    EXPECT_FORKED(bts_store_readers(opened.store, &readers, &count, &error));
    EXPECT_FORKED(bts_store_checkpoint(opened.store, &txnid, &error));
    EXPECT_FORKED(bts_store_check(opened.store, &result, NULL, NULL, &error));
    EXPECT_FORKED(bts_store_command(opened.store, &word, 1, &reply, &count, &error));
}

/* What a child inherits of the store: a descriptor would keep locks, or the connection, alive. */
static unsigned count_descriptors(void)
{
    const struct dirent *entry;
    DIR *folder = opendir("/proc/self/fd");
    unsigned count = 0;

    HARNESS_CHECK(folder != NULL, "/proc/self/fd");
    while ((entry = readdir(folder)) != NULL) {
        char target[HARNESS_PATH_MAX];
        ssize_t size = readlinkat(dirfd(folder), entry->d_name, target, sizeof(target) - 1);

        target[size > 0 ? size : 0] = '\0';
        count += strcmp(target, harness.store) == 0 || strncmp(target, "socket:", 7) == 0 ||
                 strstr(target, "/beacon") != NULL || strstr(target, "/slots/") != NULL;
    }
    closedir(folder);
    return count;
}

/* The child of the first fork. */
static int use_what_the_parent_opened(void *argument)
{
    struct bts_store *own;

    (void)argument;
    HARNESS_CHECK(count_descriptors() == 0, "%u descriptors inherited", count_descriptors());
    expect_reads_forked();
    expect_writes_forked();
    bts_snapshot_close(&opened.snapshot);
    bts_snapshot_close(&opened.snapshot);
    bts_store_close(opened.store);

    own = harness_open(&harness);
    HARNESS_CHECK(text_has(own, "key", "value"), "the child's own store");
    text_put(own, "child", "was here");
    bts_store_close(own);
    return 0;
}

static void expect_parent_unharmed(void)
{
    char text[64];

    text_get(&opened.snapshot, &opened.bucket, "key", text, sizeof(text));
    HARNESS_CHECK(strcmp(text, "value") == 0, "the parent's snapshot: %s", text);
    text_get(&opened.snapshot, &opened.bucket, "child", text, sizeof(text));
    HARNESS_CHECK(strcmp(text, "") == 0, "the parent's snapshot moved");
    HARNESS_CHECK(text_has(opened.store, "child", "was here"), "the parent's store");
    text_put(opened.store, "parent", "goes on");
}

/* ---- a child that outlives its parent ----------------------------------------------------- */

static _Atomic pid_t *orphan;

static _Noreturn void wait_to_be_killed(void)
{
    for (;;) {
        pause();
    }
}

static int leave_an_orphan(void *argument)
{
    struct bts_store *store = harness_open(&harness);
    struct bts_snapshot snapshot;
    struct bts_bucket bucket;
    pid_t child;

    (void)argument;
    text_begin(store, &snapshot, &bucket);
    child = fork();
    if (child == 0) {
        wait_to_be_killed(); /* and has closed nothing */
    }
    atomic_store(orphan, child);
    wait_to_be_killed();
}

static void expect_orphan_keeps_nothing(void)
{
    const char *socket_path = bts_store_socket(opened.store);
    pid_t parent = harness_spawn(leave_an_orphan, NULL);

    while (atomic_load(orphan) == 0) {
        harness_sleep_us(1000);
    }
    slot_files_wait(socket_path, 2);
    harness_kill_child(parent);
    printf("# a dead parent's slot was free after %llu us, with its child alive\n",
           (unsigned long long)slot_files_wait(socket_path, 1));
    kill(atomic_load(orphan), SIGKILL);
}

/* ---- forks in the middle of attaching, reading and writing ---------------------------------- */

#define FORKS 200
#define FORKS_REDUCED 40

static _Atomic int stop;

static void *open_and_close(void *argument)
{
    (void)argument;
    while (!atomic_load(&stop)) {
        struct bts_store *store = harness_open(&harness);
        HARNESS_CHECK(text_has(store, "key", "value"), "in a thread");
        bts_store_close(store);
    }
    return NULL;
}

static void *write_on(void *argument)
{
    (void)argument;
    while (!atomic_load(&stop)) {
        text_put(opened.store, "written", "in a thread");
    }
    return NULL;
}

/* No child may inherit a lock or a socket, whatever the threads were at when it was made. */
static void fork_in_the_middle(void)
{
    unsigned count = harness_count(FORKS, FORKS_REDUCED);
    _Atomic unsigned *inherited = harness_shared(sizeof(*inherited));
    pid_t *children = calloc(count, sizeof(*children));
    pthread_t opening, writing;

    pthread_create(&opening, NULL, open_and_close, NULL);
    pthread_create(&writing, NULL, write_on, NULL);
    for (unsigned i = 0; i < count; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            atomic_fetch_add(inherited, count_descriptors());
            wait_to_be_killed();
        }
        HARNESS_CHECK(children[i] > 0, "fork");
    }
    atomic_store(&stop, 1);
    pthread_join(opening, NULL);
    pthread_join(writing, NULL);
    slot_files_wait(bts_store_socket(opened.store), 1);
    for (unsigned i = 0; i < count; i++) {
        harness_kill_child(children[i]);
    }
    HARNESS_CHECK(atomic_load(inherited) == 0, "%u descriptors inherited",
                  atomic_load(inherited));
    free(children);
}

int main(void)
{
    struct bts_error error;

    orphan = harness_shared(sizeof(*orphan));
    harness_init(&harness);
    harness_start(&harness, NULL);
    opened.store = harness_open(&harness);
    text_put(opened.store, "key", "value");
    text_begin(opened.store, &opened.snapshot, &opened.bucket);
    bts_cursor_init(&opened.cursor, &opened.snapshot, &opened.bucket);
    HARNESS_OK(bts_batch_create(&opened.batch, &error), &error);
    HARNESS_OK(bts_batch_put(opened.batch, "k", 1, "v", 1, &error), &error);
    HARNESS_OK(bts_commit_submit(opened.store, opened.batch, &opened.ticket, &error), &error);

    harness_join(harness_spawn(use_what_the_parent_opened, NULL), "child");
    expect_parent_unharmed();
    HARNESS_OK(bts_commit_wait(opened.store, opened.ticket, 10000, NULL, &error), &error);
    expect_orphan_keeps_nothing();
    fork_in_the_middle();
    expect_parent_unharmed();

    bts_snapshot_close(&opened.snapshot);
    bts_batch_destroy(opened.batch);
    harness_check_store(opened.store);
    bts_store_close(opened.store);
    harness_stop(&harness);
    return 0;
}
