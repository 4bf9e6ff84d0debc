/* SPDX-License-Identifier: MIT */
/* fuzz_folder: see fuzz_folder.h. */
#include "fuzz_folder.h"

#include "fuzz.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_BLOCK 4096u

static char folder_path[200];
static char folder_store_path[256];
static char folder_pending_path[300];

static void folder_remove(void)
{
    unlink(folder_store_path);
    unlink(folder_pending_path);
    rmdir(folder_path);
}

static void folder_make(void)
{
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");

    snprintf(folder_path, sizeof(folder_path), "%s/fuzz.XXXXXX", parent != NULL ? parent : "/tmp");
    FUZZ_PROMISE(mkdtemp(folder_path) != NULL);
    snprintf(folder_store_path, sizeof(folder_store_path), "%s/store.bts", folder_path);
    snprintf(folder_pending_path, sizeof(folder_pending_path), "%s.pending", folder_store_path);
    atexit(folder_remove);
}

const char *folder_store(void)
{
    if (folder_path[0] == '\0') {
        folder_make();
    }
    return folder_store_path;
}

const char *folder_pending(void)
{
    folder_store();
    return folder_pending_path;
}

void folder_write(const char *path, const uint8_t *data, size_t size)
{
    int fd;

    unlink(path);
    if (data == NULL) {
        return;
    }
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FUZZ_PROMISE(fd >= 0);
    FUZZ_PROMISE(ftruncate(fd, (off_t)size) == 0);
    for (size_t at = 0; at < size; at += FOLDER_BLOCK) { /* blocks of zeros stay holes */
        size_t n = size - at < FOLDER_BLOCK ? size - at : FOLDER_BLOCK;
        if (data[at] != 0 || memcmp(data + at, data + at + 1, n - 1) != 0) {
            FUZZ_PROMISE(pwrite(fd, data + at, n, (off_t)at) == (ssize_t)n);
        }
    }
    close(fd);
}

uint8_t *folder_read(const char *path, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t *data;
    struct stat stat;

    *size = 0;
    if (fd < 0) {
        return NULL;
    }
    FUZZ_PROMISE(fstat(fd, &stat) == 0);
    data = malloc((size_t)stat.st_size + 1);
    FUZZ_PROMISE(data != NULL && read(fd, data, (size_t)stat.st_size) == stat.st_size);
    close(fd);
    *size = (size_t)stat.st_size;
    return data;
}
