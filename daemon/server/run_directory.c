/* SPDX-License-Identifier: MIT */
/*
 * run_directory: see run_directory.h.
 */
#include "server/run_directory.h"

#include "base/barrier.h"
#include "base/err.h"
#include "commit/publish.h"
#include "format/locks.h"
#include "server/strangers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN_DIRECTORY_SHM "/dev/shm"
#define RUN_DIRECTORY_NAME_SIZE 128

void run_directory_init(struct run_directory *run)
{
    *run = (struct run_directory){
        .fd = -1, .lock_fd = -1, .slots_fd = -1, .group = (gid_t)-1};
}

/* ---- the directory --------------------------------------------------------------- */

static void run_directory_name(const struct commit_identity *identity,
                               char name[RUN_DIRECTORY_NAME_SIZE])
{
    char uuid[33];

    for (size_t i = 0; i < sizeof(identity->uuid); i++) {
        snprintf(uuid + 2 * i, 3, "%02x", identity->uuid[i]);
    }
    snprintf(name, RUN_DIRECTORY_NAME_SIZE, "btstore-%s-%llx-%llx", uuid,
             (unsigned long long)identity->device, (unsigned long long)identity->inode);
}

/* $XDG_RUNTIME_DIR if it is a directory of our own; NULL: it is not to be used. */
static const char *run_directory_xdg(gid_t group)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    struct stat info;

    /* Only its owner can pass through it: no place for what a group shares. */
    if (base == NULL || base[0] != '/' || group != (gid_t)-1) {
        return NULL;
    }
    if (stat(base, &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != geteuid() ||
        access(base, W_OK) != 0) {
        return NULL;
    }
    return base;
}

/*
 * Opens the directory at run->path, made before if `make`.  BTS_NOT_FOUND:
 * there is none.  One that is not ours alone is refused: whoever owns it could
 * feed us a beacon and slots.
 */
static enum bts_status run_directory_enter(struct run_directory *run, bool make,
                                           struct bts_error *error)
{
    bool shared = run->group != (gid_t)-1;
    struct stat info;

    if (make && mkdir(run->path, 0700) != 0 && errno != EEXIST) {
        return err_set_errno(error, BTS_IO, errno, "%s: cannot make the run directory", run->path);
    }
    run->fd = open(run->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (run->fd < 0) {
        enum bts_status status = errno == ENOENT ? BTS_NOT_FOUND : BTS_IO;
        return err_set_errno(error, status, errno, "%s: cannot open the run directory", run->path);
    }
    if (fstat(run->fd, &info) != 0) {
        return err_set_errno(error, BTS_IO, errno, "%s: cannot look at it", run->path);
    }
    if (info.st_uid != geteuid() || (info.st_mode & 022) != 0) {
        return err_set(error, BTS_DENIED,
                       "%s: the run directory belongs to user %u and has mode %03o: it must be "
                       "ours alone; remove it",
                       run->path, (unsigned)info.st_uid, (unsigned)info.st_mode & 0777);
    }
    if (run->given) {
        return BTS_OK; /* its mode is the service manager's affair */
    }
    if ((shared && info.st_gid != run->group && fchown(run->fd, (uid_t)-1, run->group) != 0) ||
        fchmod(run->fd, shared ? 0710 : 0700) != 0) {
        return err_set_errno(error, BTS_IO, errno, "%s: cannot set group and mode", run->path);
    }
    return BTS_OK;
}

static enum bts_status run_directory_set_path(struct run_directory *run, const char *base,
                                              const char *name, struct bts_error *error)
{
    free(run->path);
    run->path = NULL;
    if (asprintf(&run->path, "%s%s%s", base, name[0] != '\0' ? "/" : "", name) < 0) {
        run->path = NULL;
        return err_set(error, BTS_NO_MEMORY, "run directory: out of memory");
    }
    return BTS_OK;
}

/* The service manager's directory: the first in a list separated by colons. */
static enum bts_status run_directory_use_given(struct run_directory *run, const char *list,
                                               struct bts_error *error)
{
    enum bts_status status = run_directory_set_path(run, list, "", error);

    if (status != BTS_OK) {
        return status;
    }
    run->path[strcspn(run->path, ":")] = '\0';
    run->given = true;
    return run_directory_enter(run, false, error);
}

/*
 * The directory that an earlier daemon of this file left, wherever it chose to
 * make it; else a new one at the first place that will do.
 */
static enum bts_status run_directory_choose(struct run_directory *run,
                                            const struct commit_identity *identity,
                                            struct bts_error *error)
{
    const char *bases[] = {run_directory_xdg(run->group), RUN_DIRECTORY_SHM};
    char name[RUN_DIRECTORY_NAME_SIZE];
    enum bts_status status = BTS_NOT_FOUND;

    run_directory_name(identity, name);
    for (int make = 0; make <= 1; make++) {
        for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
            if (bases[i] == NULL) {
                continue;
            }
            status = run_directory_set_path(run, bases[i], name, error);
            if (status == BTS_OK) {
                status = run_directory_enter(run, make, error);
            }
            if (status != BTS_NOT_FOUND) {
                return status;
            }
        }
    }
    return status;
}

static enum bts_status run_directory_lock(struct run_directory *run, struct bts_error *error)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)LOCK_DAEMON, .l_len = 1};

    run->lock_fd = openat(run->fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (run->lock_fd < 0) {
        return err_set_errno(error, BTS_IO, errno, "%s/lock: cannot open", run->path);
    }
    if (fcntl(run->lock_fd, F_OFD_SETLK, &lock) != 0) {
        enum bts_status status = errno == EAGAIN || errno == EACCES ? BTS_BUSY : BTS_IO;
        return err_set_errno(error, status, errno, "%s/lock: another daemon is here", run->path);
    }
    return BTS_OK;
}

static enum bts_status run_directory_open_slots(struct run_directory *run,
                                                struct bts_error *error)
{
    if (mkdirat(run->fd, "slots", 0700) != 0 && errno != EEXIST) {
        return err_set_errno(error, BTS_IO, errno, "%s/slots: cannot make it", run->path);
    }
    run->slots_fd =
        openat(run->fd, "slots", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (run->slots_fd < 0) {
        return err_set_errno(error, BTS_IO, errno, "%s/slots: cannot open", run->path);
    }
    return BTS_OK;
}

/* ---- the beacon ------------------------------------------------------------------ */

static bool run_beacon_is_ours(const struct beacon *beacon, const struct commit_identity *identity)
{
    return memcmp(beacon->uuid, identity->uuid, sizeof(beacon->uuid)) == 0 &&
           beacon->device == identity->device && beacon->inode == identity->inode &&
           beacon->page_size == identity->page_size;
}

/* Its readers may not fence: theirs is a beacon for a daemon that can do so for them. */
static bool run_beacon_is_kept(const struct beacon *beacon)
{
    return beacon->barriers == 0 || barrier_all();
}

static struct beacon *run_beacon_map(int fd)
{
    void *at = mmap(NULL, BEACON_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    return at == MAP_FAILED ? NULL : at;
}

/*
 * Maps the beacon that lies here; *beacon is NULL if there is none, or what
 * lies here is none.  Any error: a beacon that is overlooked would be
 * replaced, and its readers would look at the old one for ever.
 */
static enum bts_status run_beacon_find(const struct run_directory *run, struct beacon **beacon,
                                       struct bts_error *error)
{
    int fd = openat(run->fd, "beacon", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    struct stat info;

    *beacon = NULL;
    if (fd < 0 && (errno == ENOENT || errno == ELOOP)) {
        return BTS_OK;
    }
    bool known = fd >= 0 && fstat(fd, &info) == 0;
    bool fits = known && S_ISREG(info.st_mode) && info.st_size == BEACON_SIZE;
    if (fits) {
        *beacon = run_beacon_map(fd);
    }
    int reason = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (!known || (fits && *beacon == NULL)) {
        return err_set_errno(error, BTS_IO, reason, "%s/beacon: cannot open", run->path);
    }
    return BTS_OK;
}

/*
 * Goes on with the beacon that lies here, if it is of this file and what it
 * promises can be kept.  Else it is marked retired, and *generation gets its number.
 */
static enum bts_status run_beacon_reuse(struct run_directory *run,
                                        const struct commit_identity *identity,
                                        uint64_t *generation, struct bts_error *error)
{
    struct beacon *beacon;
    enum bts_status status = run_beacon_find(run, &beacon, error);

    if (status != BTS_OK || beacon == NULL) {
        return status;
    }
    if (beacon->magic != BEACON_MAGIC || beacon->version != BEACON_VERSION) {
        munmap(beacon, BEACON_SIZE);
        return BTS_OK;
    }
    if (run_beacon_is_ours(beacon, identity) && run_beacon_is_kept(beacon)) {
        run->beacon = beacon;
        return BTS_OK;
    }
    *generation = beacon->generation > *generation ? beacon->generation : *generation;
    /* release: pairs with the acquire load by which a reader learns that it must attach anew */
    atomic_store_explicit(&beacon->state, BEACON_RETIRED, memory_order_release);
    publish_wake(beacon);
    munmap(beacon, BEACON_SIZE);
    return BTS_OK;
}

static enum bts_status run_beacon_create(struct run_directory *run,
                                         const struct commit_identity *identity,
                                         uint64_t generation, struct bts_error *error)
{
    unlinkat(run->fd, "beacon.new", 0);
    int fd = openat(run->fd, "beacon.new", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    0600);
    if (fd < 0) {
        return err_set_errno(error, BTS_IO, errno, "%s/beacon: cannot make it", run->path);
    }
    /* Room behind every byte, so that a full tmpfs is an error here and no signal later. */
    int refused = posix_fallocate(fd, 0, BEACON_SIZE);
    run->beacon = refused == 0 ? run_beacon_map(fd) : NULL;
    close(fd);
    if (run->beacon == NULL) {
        enum bts_status status = refused == ENOSPC ? BTS_NO_SPACE : BTS_IO;
        return err_set_errno(error, status, refused != 0 ? refused : errno,
                             "%s/beacon: cannot make it", run->path);
    }
    run->beacon->magic = BEACON_MAGIC;
    run->beacon->version = BEACON_VERSION;
    run->beacon->device = identity->device;
    run->beacon->inode = identity->inode;
    run->beacon->generation = generation;
    run->beacon->barriers = barrier_all();
    run->beacon->page_size = (uint32_t)identity->page_size;
    memcpy(run->beacon->uuid, identity->uuid, sizeof(run->beacon->uuid));
    run_directory_set_state(run, BEACON_STARTING);
    if (renameat(run->fd, "beacon.new", run->fd, "beacon") != 0) {
        return err_set_errno(error, BTS_IO, errno, "%s/beacon: cannot name it", run->path);
    }
    return BTS_OK;
}

/* Unlinks every file of an open directory. */
static void run_directory_empty(int directory_fd)
{
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;

    if (directory == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] != '.') {
            unlinkat(directory_fd, entry->d_name, 0);
        }
    }
    closedir(directory);
}

static enum bts_status run_beacon_open(struct run_directory *run,
                                       const struct commit_identity *identity,
                                       int data_fd, struct bts_error *error)
{
    uint64_t generation = 0;

    enum bts_status status = run_beacon_reuse(run, identity, &generation, error);
    if (status == BTS_OK && run->beacon == NULL) {
        /* Slots that lie here belong to the readers of another file. */
        run_directory_empty(run->slots_fd);
        generation = strangers_free_generation(data_fd, generation);
        status = run_beacon_create(run, identity, generation, error);
    }
    if (status != BTS_OK) {
        return status;
    }
    struct beacon *beacon = run->beacon;
    run->generation = beacon->generation;
    run_directory_set_state(run, BEACON_STARTING);
    atomic_store_explicit(&beacon->daemon_pid, (uint32_t)getpid(), memory_order_relaxed);
    atomic_fetch_add_explicit(&beacon->sessions, 1, memory_order_relaxed);
    memset(beacon->daemon_version, 0, sizeof(beacon->daemon_version));
    memcpy(beacon->daemon_version, PACKAGE_VERSION, sizeof(PACKAGE_VERSION));
    return BTS_OK;
}
_Static_assert(sizeof(PACKAGE_VERSION) <= sizeof(((struct beacon *)0)->daemon_version),
               "the version fits into the beacon");

/* ---- the whole ------------------------------------------------------------------- */

enum bts_status run_directory_open(struct run_directory *run,
                                   const struct commit_identity *identity, int data_fd,
                                   const char *given, gid_t group, struct bts_error *error)
{
    run->group = group;
    enum bts_status status = given != NULL
                                 ? run_directory_use_given(run, given, error)
                                 : run_directory_choose(run, identity, error);
    if (status == BTS_OK) {
        status = run_directory_lock(run, error);
    }
    if (status == BTS_OK) {
        status = run_directory_open_slots(run, error);
    }
    if (status == BTS_OK) {
        status = run_beacon_open(run, identity, data_fd, error);
    }
    if (status != BTS_OK) {
        run_directory_close(run);
    }
    return status;
}

void run_directory_set_state(const struct run_directory *run, enum beacon_state state)
{
    /* release: who sees the state sees what was stored in the beacon before it */
    atomic_store_explicit(&run->beacon->state, state, memory_order_release);
}

enum bts_status run_directory_beacon_descriptor(const struct run_directory *run, int *fd,
                                                struct bts_error *error)
{
    *fd = openat(run->fd, "beacon", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (*fd < 0) {
        return err_set_errno(error, BTS_IO, errno, "%s/beacon: cannot open", run->path);
    }
    return BTS_OK;
}

void run_directory_remove(struct run_directory *run)
{
    run_directory_empty(run->slots_fd);
    unlinkat(run->fd, "slots", AT_REMOVEDIR);
    run_directory_empty(run->fd);
    if (!run->given) {
        rmdir(run->path);
    }
}

void run_directory_close(struct run_directory *run)
{
    int fds[] = {run->slots_fd, run->lock_fd, run->fd};

    if (run->beacon != NULL) {
        munmap(run->beacon, BEACON_SIZE);
    }
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    free(run->path);
    run_directory_init(run);
}
