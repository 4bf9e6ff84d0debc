/* SPDX-License-Identifier: MIT */
/*
 * A file that somebody cuts short while it is read: nobody dies of SIGBUS.
 *
 * A check, alone or served, and a salvage tell it as damage.  A program that
 * reads dies, as the header says, unless it handles the signal: then the
 * library tells it the page.  The command line tool does, and says what to do.
 */
#include "harness.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS 4000u
#define VALUE_SIZE 900u
#define LARGE_SIZE 300000u
#define PAGE 4096u
#define KEPT (8 * PAGE) /* metas, maps and a few more */

static struct harness harness;
static char tool[HARNESS_PATH_MAX + 16];
static char copy[HARNESS_PATH_MAX + 32];
static char output[HARNESS_PATH_MAX + 32];
static char said[65536];

/* ---- stores ------------------------------------------------------------------------ */

static void fill_store(void)
{
    static char value[LARGE_SIZE];
    struct bts_error error;
    struct bts_store *store;
    struct bts_batch *batch;
    char key[16];

    harness_start(&harness, NULL);
    store = harness_open(&harness);
    memset(value, 'v', sizeof(value));
    HARNESS_OK(bts_batch_create(&batch, &error), &error);
    HARNESS_OK(bts_batch_use(batch, "default", 7, &error), &error);
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(key, sizeof(key), "key%06u", i);
        HARNESS_OK(bts_batch_put(batch, key, strlen(key), value, VALUE_SIZE, &error), &error);
    }
    HARNESS_OK(bts_batch_put(batch, "large", 5, value, LARGE_SIZE, &error), &error);
    HARNESS_OK(bts_commit(store, batch, NULL, &error), &error);
    bts_batch_destroy(batch);
    bts_store_close(store);
    harness_stop(&harness);
}

/* A fresh copy to be cut. */
static void make_copy(void)
{
    char buffer[65536];
    int from = open(harness.store, O_RDONLY | O_CLOEXEC);
    int to = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t n;

    HARNESS_CHECK(from >= 0 && to >= 0, "cannot copy the store");
    while ((n = read(from, buffer, sizeof(buffer))) > 0) {
        HARNESS_CHECK(write(to, buffer, (size_t)n) == n, "cannot write %s", copy);
    }
    close(from);
    close(to);
}

static void cut(const char *path, off_t size)
{
    HARNESS_CHECK(truncate(path, size) == 0, "cannot cut %s", path);
}

static struct bts_store *open_alone(void)
{
    const struct bts_options options = {.flags = BTS_OPEN_ALONE};
    struct bts_error error;
    struct bts_store *store;

    HARNESS_OK(bts_store_open(copy, &options, &store, &error), &error);
    return store;
}

/* ---- the library ------------------------------------------------------------------- */

static unsigned findings;

static void count_finding(void *argument, const char *text)
{
    (void)argument;
    (void)text;
    findings++;
}

/* Checks a store whose file was cut after it was opened. */
static void expect_damage(struct bts_store *store, const char *what)
{
    struct bts_check_result result;
    struct bts_error error = {.text = ""};
    enum bts_status status = bts_store_check(store, &result, count_finding, NULL, &error);

    HARNESS_CHECK(status == BTS_DAMAGED, "%s: %s %s", what, bts_status_name(status), error.text);
    HARNESS_CHECK(strstr(error.text, "the file was cut short: ") != NULL &&
                      strstr(error.text, "page ") != NULL &&
                      strstr(error.text, "btstore salvage") != NULL,
                  "%s: %s", what, error.text);
}

static void a_check_alone_tells_it(void)
{
    struct bts_store *store;

    make_copy();
    store = open_alone();
    cut(copy, KEPT);
    findings = 0;
    expect_damage(store, "alone");
    HARNESS_CHECK(findings > 0, "no finding");
    bts_store_close(store);
}

/* Cuts the file by a page at each finding: more of it goes while the check is at it. */
static void cut_more(void *argument, const char *text)
{
    off_t *size = argument;

    (void)text;
    *size = *size > PAGE ? *size - PAGE : 0;
    cut(copy, *size);
}

static void a_check_goes_on_while_more_is_cut(void)
{
    off_t size = (off_t)harness_file_size(harness.store) / PAGE / 2 * PAGE;
    struct bts_check_result result;
    struct bts_error error;
    struct bts_store *store;

    make_copy();
    store = open_alone();
    cut(copy, size);
    HARNESS_CHECK(bts_store_check(store, &result, cut_more, &size, &error) == BTS_DAMAGED,
                  "no damage: %s", error.text);
    bts_store_close(store);
}

static void a_served_check_tells_it(void)
{
    off_t size = (off_t)harness_file_size(harness.store);
    struct bts_store *store;

    make_copy();
    harness_start(&harness, NULL);
    store = harness_open(&harness);
    cut(harness.store, size / 2);
    expect_damage(store, "served");
    bts_store_close(store);
    harness_kill(&harness);
    HARNESS_CHECK(rename(copy, harness.store) == 0, "cannot restore the store");
}

static sigjmp_buf jump;
static const void *volatile fault;

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    fault = info->si_addr;
    siglongjmp(jump, 1);
}

static void a_handler_is_told_the_page(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    struct bts_store *store;
    struct bts_snapshot snapshot;
    struct bts_bucket bucket;
    struct bts_bytes value;
    struct bts_error error;
    uint64_t page = 0;

    make_copy();
    store = open_alone();
    HARNESS_OK(bts_snapshot_open(store, &snapshot, &error), &error);
    HARNESS_OK(bts_bucket_open(&snapshot, "default", 7, &bucket, &error), &error);
    HARNESS_OK(bts_get(&snapshot, &bucket, "large", 5, &value, &error), &error);
    cut(copy, 0);
    sigaction(SIGBUS, &action, NULL);
    if (sigsetjmp(jump, 1) == 0) {
        harness_fail(__FILE__, __LINE__, "no SIGBUS", "read %u",
                     ((const volatile uint8_t *)value.data)[2 * PAGE]);
    }
    signal(SIGBUS, SIG_DFL);
    HARNESS_CHECK(bts_store_page_at(store, (const void *)fault, &page) && page > 3 &&
                      page < harness_file_size(harness.store) / PAGE,
                  "page %llu", (unsigned long long)page);
    HARNESS_CHECK(!bts_store_page_at(store, &page, &page), "a page on the stack");
    bts_snapshot_close(&snapshot);
    bts_store_close(store);
}

/* ---- the command line tool ------------------------------------------------------------ */

/* Starts the tool with stdout and stderr in these descriptors. */
static pid_t start_tool(int out, int errors, const char *const arguments[])
{
    pid_t pid = fork();

    if (pid == 0) {
        const char *all[8] = {tool, copy};
        for (unsigned i = 0; i < 6; i++) {
            all[i + 2] = arguments[i];
            if (arguments[i] == NULL) {
                break;
            }
        }
        dup2(out, STDOUT_FILENO);
        dup2(errors, STDERR_FILENO);
        execv(tool, (char *const *)(uintptr_t)all);
        _exit(127);
    }
    HARNESS_CHECK(pid > 0, "fork");
    return pid;
}

/* What was written to `output` so far. */
static void read_output(void)
{
    int fd = open(output, O_RDONLY | O_CLOEXEC);
    ssize_t n = pread(fd, said, sizeof(said) - 1, 0);

    said[n > 0 ? n : 0] = '\0';
    close(fd);
}

static int open_output(void)
{
    int fd = open(output, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    HARNESS_CHECK(fd >= 0, "cannot open %s", output);
    return fd;
}

/* The tool's exit status; it must not die of a signal. */
static int wait_tool(pid_t pid, const char *what)
{
    int status;

    HARNESS_CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
    read_output();
    HARNESS_CHECK(WIFEXITED(status), "%s: signal %d: %s", what, WTERMSIG(status), said);
    return WEXITSTATUS(status);
}

/*
 * The tool waits in a write to a full pipe, in the middle of its reading; then
 * the file is cut, and the pipe is read.
 */
static void the_tool_says_so(const char *what, const char *const arguments[])
{
    char buffer[65536];
    int errors = open_output();
    int out[2];
    pid_t pid;
    ssize_t n;

    make_copy();
    HARNESS_CHECK(pipe2(out, O_CLOEXEC) == 0, "pipe");
    pid = start_tool(out[1], errors, arguments);
    close(out[1]);
    HARNESS_CHECK(read(out[0], buffer, 1) == 1, "%s: no output", what);
    cut(copy, KEPT);
    while ((n = read(out[0], buffer, sizeof(buffer))) > 0) {
    }
    close(out[0]);
    HARNESS_CHECK(wait_tool(pid, what) == 3, "%s: %s", what, said);
    HARNESS_CHECK(strstr(said, copy) != NULL && strstr(said, ": page ") != NULL &&
                      strstr(said, "the file was cut short meanwhile") != NULL,
                  "%s: %s", what, said);
    close(errors);
}

/* How long the tool takes when nobody cuts the file. */
static uint64_t time_tool(const char *what, const char *const arguments[])
{
    uint64_t begun = harness_now_us();
    int errors = open_output();
    int status;

    make_copy();
    status = wait_tool(start_tool(errors, errors, arguments), what);
    HARNESS_CHECK(status == 0, "%s: status %d: %s", what, status, said);
    close(errors);
    return harness_now_us() - begun;
}

/* At a random moment: whatever comes of it, it is no signal. */
static void cut_at_random(const char *what, const char *const arguments[])
{
    uint64_t longest = time_tool(what, arguments) * 3 / 2;
    uint64_t state = 4711;
    unsigned whole = 0;
    unsigned late = 0;

    for (unsigned i = 0; i < harness_count(60, 15); i++) {
        int errors = open_output();
        off_t size = (off_t)(harness_random(&state) % (harness_file_size(harness.store) / PAGE));
        pid_t pid;
        int status;

        make_copy();
        pid = start_tool(errors, errors, arguments);
        harness_sleep_us(harness_random(&state) % longest);
        cut(copy, size * PAGE);
        status = wait_tool(pid, what);
        HARNESS_CHECK(status == 0 || status == 3, "%s: status %d: %s", what, status, said);
        whole += status == 0;
        late += strstr(said, ": page ") != NULL;
        close(errors);
    }
    printf("# %s: %u were whole, %u ended at a page\n", what, whole, late);
}

static void salvage_at_random(void)
{
    char saved[HARNESS_PATH_MAX + 32];
    uint64_t state = 42;

    snprintf(saved, sizeof(saved), "%s/saved.bts", harness.folder);
    for (unsigned i = 0; i < harness_count(10, 4); i++) {
        const char *const arguments[] = {"salvage", saved, "--daemon", harness.daemon_path, NULL};
        int errors = open_output();
        off_t size = (off_t)(harness_random(&state) % (harness_file_size(harness.store) / PAGE));
        pid_t pid;

        make_copy();
        pid = start_tool(errors, errors, arguments);
        harness_sleep_us(harness_random(&state) % 60000);
        cut(copy, size * PAGE);
        wait_tool(pid, "salvage");
        close(errors);
        snprintf(saved, sizeof(saved), "%s/saved%u.bts", harness.folder, i);
    }
}

int main(void)
{
    const char *build = getenv("BTS_BUILDDIR");
    const char *const scan[] = {"scan", "--alone", NULL};
    const char *const get[] = {"get", "large", "--raw", "--alone", NULL};
    const char *const check[] = {"check", "--no-start", NULL};

    harness_init(&harness);
    snprintf(tool, sizeof(tool), "%s/btstore", build != NULL ? build : ".");
    snprintf(copy, sizeof(copy), "%s/copy.bts", harness.folder);
    snprintf(output, sizeof(output), "%s/output", harness.folder);
    fill_store();
    a_check_alone_tells_it();
    a_check_goes_on_while_more_is_cut();
    a_served_check_tells_it();
    a_handler_is_told_the_page();
    the_tool_says_so("scan", scan);
    the_tool_says_so("get", get);
    cut_at_random("check", check);
    cut_at_random("scan", scan);
    salvage_at_random();
    return 0;
}
