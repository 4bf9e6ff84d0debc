/* SPDX-License-Identifier: MIT */
/*
 * store_folder: see store_folder.h.
 */
#include "store_folder.h"

#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define ALL_STORES "bench-stores"
#define OPEN_FOLDERS_MAX 16

void store_folder_name(const struct adapter *adapter, const char *name,
                       char folder[STORE_FOLDER_MAX])
{
    const char *owner = adapter->stands_for != NULL ? adapter->stands_for->name : adapter->name;
    int used = snprintf(folder, STORE_FOLDER_MAX, "%s/" ALL_STORES "/%s/%s", bench.folder,
                        owner, name);

    if (used < 0 || used >= STORE_FOLDER_MAX) {
        bench_fail("%s: too long", bench.folder);
    }
}

static int remove_item(const char *path, const struct stat *stat, int type, struct FTW *place)
{
    (void)stat;
    (void)type;
    (void)place;
    return remove(path);
}

static void remove_tree(const char *path)
{
    if (nftw(path, remove_item, OPEN_FOLDERS_MAX, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT) {
        bench_fail("%s: cannot be removed: %m", path);
    }
}

static void make_one(const char *path)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST) {
        bench_fail("%s: cannot be made: %m", path);
    }
}

void store_folder_make(const char *folder)
{
    char path[STORE_FOLDER_MAX];

    remove_tree(folder);
    snprintf(path, sizeof(path), "%s", folder);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        make_one(path);
        *slash = '/';
    }
    make_one(path);
}

void store_folder_remove_all(void)
{
    char path[STORE_FOLDER_MAX];

    snprintf(path, sizeof(path), "%s/" ALL_STORES, bench.folder);
    remove_tree(path);
}

double store_folder_disk_bytes(const char *folder, const char *file)
{
    char path[STORE_FOLDER_MAX + 64];
    struct stat stat_now;

    snprintf(path, sizeof(path), "%s/%s", folder, file);
    if (stat(path, &stat_now) != 0) {
        bench_fail("%s: %m", path);
    }
    return (double)stat_now.st_blocks * 512;
}

static int sync_item(const char *path, const struct stat *stat, int type, struct FTW *place)
{
    int fd = type == FTW_F && S_ISREG(stat->st_mode) ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    (void)place;
    if (fd >= 0) {
        fdatasync(fd); /* a file may vanish meanwhile: not this function's matter */
        close(fd);
    }
    return 0;
}

static int forget_item(const char *path, const struct stat *stat, int type, struct FTW *place)
{
    int fd = type == FTW_F && S_ISREG(stat->st_mode) ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    (void)place;
    if (fd >= 0) {
        fdatasync(fd);
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
    return 0;
}

void store_folder_forget(const char *folder)
{
    nftw(folder, forget_item, OPEN_FOLDERS_MAX, FTW_PHYS);
}

void store_folder_sync(const char *folder)
{
    nftw(folder, sync_item, OPEN_FOLDERS_MAX, FTW_PHYS);
}

double store_folder_device_bytes(const char *folder)
{
    unsigned long long sectors = 0;
    struct stat stat_now;
    char path[64];
    FILE *file;

    if (stat(folder, &stat_now) != 0) {
        bench_fail("%s: %m", folder);
    }
    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(stat_now.st_dev),
             minor(stat_now.st_dev));
    file = fopen(path, "r");
    if (file == NULL) {
        return -1;
    }
    if (fscanf(file, "%*u %*u %*u %*u %*u %*u %llu", &sectors) != 1) {
        bench_fail("%s: not what was expected", path);
    }
    fclose(file);
    return (double)sectors * 512;
}

bool store_folder_is_memory(void)
{
    struct statfs where;

    if (statfs(bench.folder, &where) != 0) {
        bench_fail("%s: %m", bench.folder);
    }
    return where.f_type == TMPFS_MAGIC || where.f_type == RAMFS_MAGIC;
}
