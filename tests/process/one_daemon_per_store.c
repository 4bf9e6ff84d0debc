/* SPDX-License-Identifier: MIT */
/*
 * One daemon per store, whatever is done to its files meanwhile.
 *
 *  - a second daemon gives up (75), also when it names the file by another path
 *  - a copied file is another store, although it has the same uuid
 *  - a file renamed over the served one is not served by the old daemon: who
 *    opens the path is told, and gets the right file once that daemon is gone
 *  - without its run directory the file is still locked
 *  - racing starters end with one daemon, and everybody's commits in one file
 */
#include "text_store.h"

#include <errno.h>
#include <ftw.h>
#include <libgen.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_BUSY 75

static struct harness harness;

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    (void)stat;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_run_directory(const struct bts_store *store)
{
    char *path = strdup(bts_store_socket(store));

    HARNESS_CHECK(nftw(dirname(path), remove_entry, 8, FTW_DEPTH | FTW_PHYS) == 0, "%s", path);
    free(path);
}

/* A harness for another path of the same folder. */
static struct harness harness_beside(const char *name)
{
    struct harness other = harness;

    other.daemon = 0;
    snprintf(other.store, sizeof(other.store), "%.*s/%s", HARNESS_PATH_MAX - 32, harness.folder,
             name);
    return other;
}

static void copy_file(const char *from, const char *to)
{
    char buffer[65536];
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    size_t size;

    HARNESS_CHECK(in != NULL && out != NULL, "%s, %s", from, to);
    while ((size = fread(buffer, 1, sizeof(buffer), in)) > 0) {
        HARNESS_CHECK(fwrite(buffer, 1, size, out) == size, "%s", to);
    }
    fclose(in);
    HARNESS_CHECK(fclose(out) == 0, "%s", to);
}

static void expect_busy(struct harness *second)
{
    char said[1024] = "";
    int status = harness_try_start(second, said, sizeof(said), NULL);

    HARNESS_CHECK(status == EXIT_BUSY, "a second daemon ended with %d: %s", status, said);
    HARNESS_CHECK(strchr(said, '\n') == said + strlen(said) - 1, "not one line: %s", said);
    printf("# second daemon: %s", said);
}

static void second_daemon_gives_up(void)
{
    struct harness second = harness_beside("main.bts");
    struct harness linked = harness_beside("link.bts");
    struct harness hard = harness_beside("hard.bts");

    harness_start(&harness, NULL);
    expect_busy(&second);
    HARNESS_CHECK(symlink("main.bts", linked.store) == 0, "%s", strerror(errno));
    expect_busy(&linked);
    HARNESS_CHECK(link(harness.store, hard.store) == 0, "%s", strerror(errno));
    expect_busy(&hard);

    struct bts_store *store = harness_open(&harness);
    text_put(store, "served", "still");
    bts_store_close(store);
    harness_stop(&harness);
    unlink(linked.store);
    unlink(hard.store);
}

static void copied_file_is_another_store(void)
{
    struct harness copy = harness_beside("copy.bts");
    struct bts_store *one, *other;

    copy_file(harness.store, copy.store);
    harness_start(&harness, NULL);
    harness_start(&copy, NULL);
    one = harness_open(&harness);
    other = harness_open(&copy);
    text_put(one, "which", "original");
    text_put(other, "which", "copy");
    HARNESS_CHECK(text_has(one, "which", "original"), "the original");
    HARNESS_CHECK(text_has(other, "which", "copy"), "the copy");
    harness_check_store(one);
    harness_check_store(other);
    bts_store_close(one);
    bts_store_close(other);
    harness_stop(&copy);
    harness_stop(&harness);
}

static void renamed_backup_is_not_mixed_up(void)
{
    struct harness backup = harness_beside("backup.bts");
    struct bts_options options = {.flags = BTS_OPEN_NO_START};
    struct bts_error error;
    struct bts_store *store, *fresh;
    enum bts_status status;
    char said[1024] = "";

    copy_file(harness.store, backup.store);
    harness_start(&harness, NULL);
    store = harness_open(&harness);
    text_put(store, "after", "backup");
    HARNESS_CHECK(rename(backup.store, harness.store) == 0, "%s", strerror(errno));

    status = bts_store_open(harness.store, &options, &fresh, &error);
    HARNESS_CHECK(status == BTS_BUSY, "%s: %s", bts_status_name(status),
                  status != BTS_OK ? error.text : "");
    printf("# renamed backup: %s\n", error.text);
    HARNESS_CHECK(text_has(store, "after", "backup"), "the old reader reads on");

    /* The log of the file that is gone must not be applied to this one, nor thrown away. */
    harness_kill(&harness);
    status = (enum bts_status)harness_try_start(&harness, said, sizeof(said), NULL);
    HARNESS_CHECK(status == 1 && strstr(said, "main.bts.pending") != NULL, "%d: %s", status, said);
    printf("# its log: %s", said);
    bts_store_close(store);
    unlink(harness.store);
    snprintf(said, sizeof(said), "%s.pending", harness.store);
    HARNESS_CHECK(unlink(said) == 0, "%s", strerror(errno));
}

static void lost_run_directory_is_no_second_daemon(void)
{
    struct harness second = harness_beside("main.bts");
    struct bts_store *store;

    harness_start(&harness, NULL);
    store = harness_open(&harness);
    text_put(store, "key", "value");
    remove_run_directory(store);
    expect_busy(&second);
    text_put(store, "key", "value 2");
    HARNESS_CHECK(text_has(store, "key", "value 2"), "the reader goes on");
    harness_kill(&harness);

    /* A reader of the daemon before has the file mapped: the next one must not harm it. */
    struct bts_snapshot old;
    struct bts_bucket bucket;
    char text[64];
    text_begin(store, &old, &bucket);
    harness_start(&harness, NULL);
    struct bts_store *fresh = harness_open(&harness);
    for (unsigned i = 0; i < harness_count(300, 50); i++) {
        text_put(fresh, "key", i % 2 == 0 ? "even" : "odd");
        text_get(&old, &bucket, "key", text, sizeof(text));
        HARNESS_CHECK(strcmp(text, "value 2") == 0, "the old snapshot shows %s", text);
    }
    bts_snapshot_close(&old);
    harness_check_store(fresh);
    bts_store_close(fresh);
    bts_store_close(store);
    harness_stop(&harness);
}

/* ---- racing starters ---------------------------------------------------------------------- */

#define STARTERS 6

static _Atomic int *start_now;

static int open_and_put(void *argument)
{
    struct harness race = harness_beside("race.bts");
    struct bts_options options = {.daemon_path = harness.daemon_path};
    struct bts_store *store;
    struct bts_error error;
    char key[16];

    snprintf(key, sizeof(key), "%u", (unsigned)(uintptr_t)argument);
    while (!atomic_load(start_now)) {
    }
    HARNESS_OK(bts_store_open(race.store, &options, &store, &error), &error);
    text_put(store, key, "here");
    bts_store_close(store);
    return 0;
}

static void racing_starters_end_with_one_daemon(void)
{
    struct harness race = harness_beside("race.bts");
    struct bts_options options = {.flags = BTS_OPEN_NO_START};
    pid_t starters[STARTERS];
    struct bts_store *store;
    struct bts_error error;
    char key[16];

    for (unsigned i = 0; i < STARTERS; i++) {
        starters[i] = harness_spawn(open_and_put, (void *)(uintptr_t)i);
    }
    atomic_store(start_now, 1);
    for (unsigned i = 0; i < STARTERS; i++) {
        harness_join(starters[i], "starter");
    }
    HARNESS_OK(bts_store_open(race.store, &options, &store, &error), &error);
    for (unsigned i = 0; i < STARTERS; i++) {
        snprintf(key, sizeof(key), "%u", i);
        HARNESS_CHECK(text_has(store, key, "here"), "starter %u's commit is lost", i);
    }
    harness_check_store(store);
    struct bts_bytes shutdown[] = {{"SHUTDOWN", 8}};
    char *reply;
    size_t reply_size;
    (void)!bts_store_command(store, shutdown, 1, &reply, &reply_size, &error);
    free(reply);
    bts_store_close(store);
}

int main(void)
{
    start_now = harness_shared(sizeof(*start_now));
    harness_init(&harness);
    second_daemon_gives_up();
    copied_file_is_another_store();
    renamed_backup_is_not_mixed_up();
    lost_run_directory_is_no_second_daemon();
    racing_starters_end_with_one_daemon();
    return 0;
}
