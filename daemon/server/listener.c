/* SPDX-License-Identifier: MIT */
/*
 * listener: see listener.h.
 */
#include "server/listener.h"

#include "base/err.h"
#include "pages/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTENER_BACKLOG 1024
#define LISTENER_NEW ".new"

void listener_init(struct listener *listener)
{
    *listener = (struct listener){.fd = -1, .directory_fd = -1};
}

/* The last part of a path. */
static const char *listener_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

/* Path and directory: absolute, so that they hold after chdir and in the link. */
static enum bts_status listener_resolve(struct listener *listener, const char *path,
                                        struct bts_error *error)
{
    char *copy = strdup(path);
    char *directory = copy != NULL ? realpath(dirname(copy), NULL) : NULL;
    int reason = errno;

    if (directory != NULL &&
        asprintf(&listener->path, "%s/%s", directory, listener_name(path)) < 0) {
        listener->path = NULL;
        reason = ENOMEM;
    }
    if (listener->path != NULL) {
        listener->directory_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        reason = errno;
    }
    free(directory);
    free(copy);
    if (listener->directory_fd < 0) {
        return err_set_errno(error, BTS_IO, reason, "%s: no directory for the socket", path);
    }
    return BTS_OK;
}

/* An address for NAME in the socket's directory, however long its path is. */
static enum bts_status listener_address(const struct listener *listener, const char *suffix,
                                        struct sockaddr_un *address, struct bts_error *error)
{
    const char *name = listener_name(listener->path);
    int size = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s%s",
                        listener->directory_fd, name, suffix);

    address->sun_family = AF_UNIX;
    if (name[0] == '\0') {
        return err_set(error, BTS_INVALID, "%s: that is no name for a socket", listener->path);
    }
    if ((size_t)size >= sizeof(address->sun_path)) {
        return err_set(error, BTS_LIMIT,
                       "%s: the last part of a socket's path may have 80 bytes, not %zu",
                       listener->path, strlen(name));
    }
    return BTS_OK;
}

/* What lies at the path already must be nothing, or the socket of somebody dead. */
static enum bts_status listener_check_old(const struct listener *listener,
                                          struct bts_error *error)
{
    struct sockaddr_un address;
    struct stat info;
    enum bts_status status = listener_address(listener, "", &address, error);

    if (status != BTS_OK ||
        fstatat(listener->directory_fd, listener_name(listener->path), &info,
                AT_SYMLINK_NOFOLLOW) != 0) {
        return status;
    }
    if (!S_ISSOCK(info.st_mode)) {
        return err_set(error, BTS_INVALID,
                       "%s: this exists and is no socket; give another --socket", listener->path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool answered = fd >= 0 && (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ||
                                errno == EAGAIN);
    if (fd >= 0) {
        close(fd);
    }
    if (answered) {
        return err_set(error, BTS_BUSY, "%s: another program listens there; give another --socket",
                       listener->path);
    }
    return BTS_OK;
}

/*
 * Mode and group while the socket still has the name that nobody connects to.
 * A hardened unit may forbid chown altogether, so it is called only if needed.
 */
static int listener_permit(const struct listener *listener, const char *name, gid_t group)
{
    struct stat info;

    if (group == (gid_t)-1) {
        return fchmodat(listener->directory_fd, name, 0600, 0);
    }
    if (fstatat(listener->directory_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return -1;
    }
    if (info.st_gid != group &&
        fchownat(listener->directory_fd, name, (uid_t)-1, group, AT_SYMLINK_NOFOLLOW) != 0) {
        return -1;
    }
    return fchmodat(listener->directory_fd, name, 0660, 0);
}

enum bts_status listener_open(struct listener *listener, gid_t group, struct bts_error *error)
{
    struct sockaddr_un address;
    enum bts_status status = listener_address(listener, LISTENER_NEW, &address, error);

    if (status != BTS_OK) {
        return status;
    }
    const char *made = listener_name(address.sun_path);
    int directory = listener->directory_fd;
    unlinkat(directory, made, 0);
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0 ||
        bind(listener->fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listener_permit(listener, made, group) != 0 ||
        listen(listener->fd, LISTENER_BACKLOG) != 0 ||
        renameat(directory, made, directory, listener_name(listener->path)) != 0) {
        int reason = errno;
        unlinkat(directory, made, 0);
        return err_set_errno(error, BTS_IO, reason, "%s: cannot listen there", listener->path);
    }
    return BTS_OK;
}

enum bts_status listener_prepare(struct listener *listener, const char *path,
                                 struct bts_error *error)
{
    struct sockaddr_un address;
    enum bts_status status = listener_resolve(listener, path, error);

    if (status == BTS_OK) {
        status = listener_address(listener, LISTENER_NEW, &address, error);
    }
    return status == BTS_OK ? listener_check_old(listener, error) : status;
}

/* Makes the link under another name and renames it over what lies there. */
static enum bts_status listener_make_link(const struct listener *listener,
                                          struct bts_error *error)
{
    char *made = NULL;
    struct stat info;

    if (asprintf(&made, "%s%s", listener->link, LISTENER_NEW) < 0) {
        return err_set(error, BTS_NO_MEMORY, "%s: out of memory", listener->link);
    }
    enum bts_status status = BTS_OK;
    if (lstat(made, &info) == 0) { /* of one that was killed right here */
        status = file_unlink(&file_system_real, made, error);
    }
    if (status == BTS_OK && symlink(listener->path, made) != 0) {
        status = err_set_errno(error, BTS_IO, errno, "%s: cannot make the link to the socket",
                               listener->link);
    }
    if (status == BTS_OK) {
        status = file_rename(&file_system_real, made, listener->link, error);
    }
    free(made);
    return status;
}

enum bts_status listener_link(struct listener *listener, const char *store_path,
                              struct bts_error *error)
{
    struct stat info;

    if (asprintf(&listener->link, "%s.socket", store_path) < 0) {
        listener->link = NULL;
        return err_set(error, BTS_NO_MEMORY, "%s: out of memory", store_path);
    }
    enum bts_status status = BTS_OK;
    if (strcmp(listener->link, listener->path) == 0) {
        free(listener->link);
        listener->link = NULL;
        return BTS_OK;
    }
    if (lstat(listener->link, &info) == 0 && !S_ISLNK(info.st_mode)) {
        status = err_set(error, BTS_INVALID,
                         "%s: this exists and is no symbolic link; move it away", listener->link);
    } else {
        status = listener_make_link(listener, error);
    }
    if (status != BTS_OK) {
        free(listener->link);
        listener->link = NULL;
    }
    return status;
}

int listener_accept(const struct listener *listener)
{
    return accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

void listener_remove(struct listener *listener)
{
    if (listener->link != NULL) {
        struct bts_error ignored;
        enum bts_status status = file_unlink(&file_system_real, listener->link, &ignored);
        (void)status; /* a link that is gone already is as good */
    }
    if (listener->fd >= 0) {
        unlinkat(listener->directory_fd, listener_name(listener->path), 0);
    }
}

void listener_close(struct listener *listener)
{
    if (listener->fd >= 0) {
        close(listener->fd);
    }
    if (listener->directory_fd >= 0) {
        close(listener->directory_fd);
    }
    free(listener->path);
    free(listener->link);
    listener_init(listener);
}
