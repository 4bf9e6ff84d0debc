/* SPDX-License-Identifier: MIT */
/* page_copy: see page_copy.h. */
#include "read/page_copy.h"

#include "base/err.h"

#include <errno.h>
#include <unistd.h>

size_t page_copy_bytes(int fd, void *bytes, size_t size, uint64_t offset)
{
    size_t done = 0;

    errno = 0;
    while (done < size) {
        ssize_t n = pread(fd, (uint8_t *)bytes + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n < 0 ? errno : 0;
            return done;
        }
        done += (size_t)n;
    }
    return done;
}

enum bts_status page_copy(int fd, size_t page_size, pgno_t pgno, uint64_t count, void *bytes,
                          struct bts_error *why)
{
    size_t size = (size_t)count * page_size;

    if (page_copy_bytes(fd, bytes, size, (uint64_t)pgno * page_size) == size) {
        return BTS_OK;
    }
    if (errno != 0) {
        return err_set_errno(why, BTS_DAMAGED, errno, "cannot be read");
    }
    return err_set(why, BTS_DAMAGED, "the file ends before or inside it");
}
