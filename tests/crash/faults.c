/* SPDX-License-Identifier: MIT */
/* faults: see faults.h. */
#include "faults.h"
#include "recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

#define SITES_MAX 2000u
#define CALLS_MAX 50000u
#define CHAIN_MAX 64

/* What is known of one function's calls. */
struct learnt {
    unsigned long calls;
    uint64_t sites[SITES_MAX]; /* hashes of chains */
    unsigned site_count;
    uint16_t site_of[CALLS_MAX]; /* by call */
};

static struct {
    struct recorder recorder;
    struct file_system system;
    struct learnt learnt[FAULTS_FUNCTIONS];
    bool learns;
    struct fault_plan plan;
    unsigned long counts[FAULTS_FUNCTIONS];
    bool fired;
    bool lost;
    bool same_site;
    uintptr_t bottom;          /* where the stack of whoever called faults_enter ends */
    bool inside;
    bool threads;
    pthread_t teller;          /* the thread that called faults_init */
} faults;

/* Recorder and counts are one thread's at a time; our own mallocs under it are not looked at. */
static pthread_mutex_t faults_mutex = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool faults_mine;

/* ---- sites -------------------------------------------------------------- */

struct chain {
    uint64_t hash;
    uintptr_t last;
    int count;
};

static _Unwind_Reason_Code chain_step(struct _Unwind_Context *context, void *argument)
{
    struct chain *chain = argument;
    uintptr_t address = _Unwind_GetIP(context);

    if (_Unwind_GetCFA(context) >= faults.bottom || chain->count++ == CHAIN_MAX)
        return _URC_END_OF_STACK;
    if (address != chain->last) /* however deep a recursion is */
        chain->hash = (chain->hash ^ address) * 1099511628211ull;
    chain->last = address;
    return _URC_NO_REASON;
}

static uint64_t chain_here(void)
{
    struct chain chain = {.hash = 14695981039346656037ull};

    _Unwind_Backtrace(chain_step, &chain);
    return chain.hash;
}

static void learn(struct learnt *learnt, uint64_t hash)
{
    unsigned site = 0;

    while (site < learnt->site_count && learnt->sites[site] != hash)
        site++;
    if (site == SITES_MAX || learnt->calls + 1 >= CALLS_MAX)
        abort();
    if (site == learnt->site_count)
        learnt->sites[learnt->site_count++] = hash;
    learnt->site_of[++learnt->calls] = (uint16_t)site;
}

/* ---- whether this one fails --------------------------------------------- */

static bool plan_is_of(enum fault_function function)
{
    if (faults.plan.error == FAULTS_FULL_DISK && faults.fired)
        return function == FAULTS_FALLOCATE || function == FAULTS_PWRITEV ||
               function == FAULTS_OPEN;
    return function == faults.plan.function;
}

/* Whether it is the engine that calls: between enter and leave, or on a thread of its own. */
static bool is_engine(void)
{
    return faults.inside || (faults.threads && !pthread_equal(pthread_self(), faults.teller));
}

/* 0, or the error; the mutex is held. */
static int fault_now(enum fault_function function)
{
    struct learnt *learnt = &faults.learnt[function];
    unsigned long count;
    uint64_t chain;
    bool now;

    if (!is_engine())
        return 0;
    count = ++faults.counts[function];
    now = function == faults.plan.function && count == faults.plan.call;
    chain = now || faults.learns ? chain_here() : 0; /* in one place: it is part of the chain */
    if (faults.learns)
        learn(learnt, chain);
    if (faults.plan.call == 0 || !plan_is_of(function))
        return 0;
    if (!now && !(faults.fired && faults.plan.stays))
        return 0;
    if (now) {
        faults.fired = true;
        faults.same_site =
            count <= learnt->calls && learnt->sites[learnt->site_of[count]] == chain;
    }
    return faults.plan.error == FAULTS_FULL_DISK ? ENOSPC : faults.plan.error;
}

static int seam_enter(enum fault_function function)
{
    int error;

    pthread_mutex_lock(&faults_mutex);
    faults_mine = true;
    error = fault_now(function);
    if (error == EIO && function == FAULTS_PWRITEV)
        faults.lost = true;
    if (error != 0 && (function == FAULTS_SYNC || function == FAULTS_SYNC_DIRECTORY ||
                       function == FAULTS_SYNC_RANGE))
        faults.lost = true;
    return error;
}

static void seam_leave(void)
{
    faults_mine = false;
    pthread_mutex_unlock(&faults_mutex);
}

/* ---- the table ---------------------------------------------------------- */

static const struct file_system *below(void)
{
    return &faults.recorder.system;
}

static int faults_open(void *context, const char *path, int flags, mode_t mode)
{
    int result = -seam_enter(FAULTS_OPEN);

    (void)context;
    if (result == 0)
        result = below()->ops->open(below()->context, path, flags, mode);
    seam_leave();
    return result;
}

static int faults_close(void *context, int fd)
{
    int fault = seam_enter(FAULTS_CLOSE);
    int result = below()->ops->close(below()->context, fd);

    (void)context;
    seam_leave();
    return fault != 0 ? -fault : result;
}

static ssize_t faults_pread(void *context, int fd, void *data, size_t size, off_t offset)
{
    int fault = seam_enter(FAULTS_PREAD);
    ssize_t result = -fault;

    (void)context;
    if (fault == FAULTS_SHORT)
        size = size > 1 ? size / 2 : size;
    if (fault == 0 || fault == FAULTS_SHORT)
        result = below()->ops->pread(below()->context, fd, data, size, offset);
    seam_leave();
    return result;
}

/* Half of the bytes of the parts. */
static ssize_t write_half(int fd, const struct iovec *parts, int part_count, off_t offset)
{
    struct iovec half[1024];
    size_t total = 0;
    size_t left;
    int count = 0;

    for (int i = 0; i < part_count; i++)
        total += parts[i].iov_len;
    for (left = total > 1 ? total / 2 : total; left > 0; count++) {
        half[count] = parts[count];
        if (half[count].iov_len > left)
            half[count].iov_len = left;
        left -= half[count].iov_len;
    }
    return below()->ops->pwritev(below()->context, fd, half, count, offset);
}

static ssize_t faults_pwritev(void *context, int fd, const struct iovec *parts, int part_count,
                              off_t offset)
{
    int fault = seam_enter(FAULTS_PWRITEV);
    ssize_t result = -fault;

    (void)context;
    if (fault == FAULTS_SHORT)
        result = write_half(fd, parts, part_count, offset);
    else if (fault == 0)
        result = below()->ops->pwritev(below()->context, fd, parts, part_count, offset);
    seam_leave();
    return result;
}

static int faults_fallocate(void *context, int fd, int mode, off_t offset, off_t size)
{
    int result = -seam_enter(FAULTS_FALLOCATE);

    (void)context;
    if (result == 0)
        result = below()->ops->fallocate(below()->context, fd, mode, offset, size);
    seam_leave();
    return result;
}

static int faults_truncate(void *context, int fd, off_t size)
{
    int result = -seam_enter(FAULTS_TRUNCATE);

    (void)context;
    if (result == 0)
        result = below()->ops->truncate(below()->context, fd, size);
    seam_leave();
    return result;
}

/* The recorder loses what a failing sync should have kept. */
static void lose(int fault)
{
    if (fault != 0)
        faults.recorder.fail_sync = faults.recorder.syncs + 1;
}

static int faults_sync(void *context, int fd)
{
    int fault = seam_enter(FAULTS_SYNC);
    int result;

    (void)context;
    lose(fault);
    result = below()->ops->sync(below()->context, fd);
    seam_leave();
    return fault != 0 ? -fault : result;
}

static int faults_sync_range(void *context, int fd, off_t offset, off_t size, unsigned flags)
{
    int result = -seam_enter(FAULTS_SYNC_RANGE);

    (void)context;
    if (result == 0)
        result = below()->ops->sync_range(below()->context, fd, offset, size, flags);
    seam_leave();
    return result;
}

static int faults_rename(void *context, const char *from, const char *to)
{
    (void)context;
    (void)from;
    (void)to;
    abort(); /* the engine renames nothing; when it does, there is a function to sweep */
}

static int faults_unlink(void *context, const char *path)
{
    int result = -seam_enter(FAULTS_UNLINK);

    (void)context;
    if (result == 0)
        result = below()->ops->unlink(below()->context, path);
    seam_leave();
    return result;
}

static int faults_sync_directory(void *context, const char *path)
{
    int fault = seam_enter(FAULTS_SYNC_DIRECTORY);
    int result;

    (void)context;
    lose(fault);
    result = below()->ops->sync_directory(below()->context, path);
    seam_leave();
    return fault != 0 ? -fault : result;
}

static const struct file_ops faults_ops = {
    .open = faults_open,
    .close = faults_close,
    .pread = faults_pread,
    .pwritev = faults_pwritev,
    .fallocate = faults_fallocate,
    .truncate = faults_truncate,
    .sync = faults_sync,
    .sync_range = faults_sync_range,
    .rename = faults_rename,
    .unlink = faults_unlink,
    .sync_directory = faults_sync_directory,
};

bool faults_malloc_fails(void)
{
    int error;

    if (faults_mine || !is_engine())
        return false;
    error = seam_enter(FAULTS_MALLOC);
    seam_leave();
    return error != 0;
}

/* ---- control ------------------------------------------------------------ */

const struct file_system *faults_init(bool threads)
{
    recorder_init(&faults.recorder, &file_system_real, NULL);
    faults.system = (struct file_system){.ops = &faults_ops, .context = NULL};
    faults.threads = threads;
    faults.teller = pthread_self();
    return &faults.system;
}

void faults_fini(void)
{
    recorder_fini(&faults.recorder);
}

/* What a disk holds of one file, written as a file. */
static void save(const struct disk_inode *inode, const char *path)
{
    size_t known = (size_t)inode->page_count * DISK_PAGE;
    size_t size = known < inode->size ? known : (size_t)inode->size;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || pwrite(fd, inode->bytes, size, 0) != (ssize_t)size ||
        ftruncate(fd, (off_t)inode->size) != 0)
        abort();
    close(fd);
}

void faults_power_cut(const char *directory)
{
    const struct disk *disk = &faults.recorder.durable;

    for (unsigned i = 0; i < DISK_NAMES; i++) {
        char path[300];
        snprintf(path, sizeof(path), "%s/%s", directory, disk_names[i]);
        unlink(path);
        if (disk->names[i] >= 0)
            save(&disk->inodes[disk->names[i]], path);
    }
}

void faults_forget(void)
{
    memset(faults.learnt, 0, sizeof(faults.learnt));
}

void faults_arm(const struct fault_plan *plan)
{
    faults.plan = plan != NULL ? *plan : (struct fault_plan){.call = 0};
    faults.learns = plan == NULL;
    faults.fired = faults.lost = false;
    faults.same_site = true;
    memset(faults.counts, 0, sizeof(faults.counts));
}

void faults_disarm(void)
{
    pthread_mutex_lock(&faults_mutex);
    faults.plan.call = 0;
    faults.learns = false;
    pthread_mutex_unlock(&faults_mutex);
}

__attribute__((noinline)) void faults_enter(void)
{
    faults.bottom = (uintptr_t)__builtin_frame_address(0) + 2 * sizeof(void *);
    faults.inside = true;
}

void faults_leave(void)
{
    faults.inside = false;
}

bool faults_fired(void)
{
    return faults.fired;
}

bool faults_lost(void)
{
    return faults.lost;
}

unsigned long faults_calls(enum fault_function function)
{
    return faults.learnt[function].calls;
}

unsigned faults_site(enum fault_function function, unsigned long call)
{
    return faults.learnt[function].site_of[call];
}

unsigned faults_sites(enum fault_function function)
{
    return faults.learnt[function].site_count;
}

bool faults_same_site(void)
{
    return faults.same_site;
}

/* ---- words -------------------------------------------------------------- */

const char *faults_function_name(enum fault_function function)
{
    static const char *const names[FAULTS_FUNCTIONS] = {
        "open",     "close", "pread",      "pwritev", "fallocate",
        "truncate", "sync",  "sync_range", "unlink",  "sync_directory", "malloc"};

    return names[function];
}

const char *faults_error_name(int error)
{
    switch (error) {
    case EIO: return "EIO";
    case ENOSPC: return "ENOSPC";
    case EINTR: return "EINTR";
    case EMFILE: return "EMFILE";
    case ENOMEM: return "ENOMEM";
    case FAULTS_SHORT: return "short";
    case FAULTS_FULL_DISK: return "full disk";
    default: return "an error";
    }
}

const char *faults_describe(const struct fault_plan *plan)
{
    static char text[100];

    snprintf(text, sizeof(text), "%s %lu: %s, %s", faults_function_name(plan->function),
             plan->call, faults_error_name(plan->error), plan->stays ? "from then on" : "once");
    return text;
}
