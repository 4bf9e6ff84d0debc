/* SPDX-License-Identifier: MIT */
/*
 * locate: absolute paths without the limits of fixed buffers.
 */
#include "client/locate.h"

#include "base/err.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The absolute path of a file that is not there: its directory's, and its name. */
static char *location_absolute_missing(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    char *directory;
    char *given = NULL;
    char *absolute = NULL;

    if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        errno = ENOENT;
        return NULL;
    }
    if (slash != NULL) {
        given = strndup(path, slash > path ? (size_t)(slash - path) : 1);
        if (given == NULL) {
            return NULL;
        }
    }
    directory = realpath(given != NULL ? given : ".", NULL);
    free(given);
    if (directory == NULL) {
        return NULL;
    }
    if (asprintf(&absolute, "%s/%s", strcmp(directory, "/") == 0 ? "" : directory, name) < 0) {
        absolute = NULL;
        errno = ENOMEM;
    }
    free(directory);
    return absolute;
}

static char *location_absolute(const char *path)
{
    char *absolute = realpath(path, NULL);

    return absolute != NULL || errno != ENOENT ? absolute : location_absolute_missing(path);
}

static enum bts_status location_failed(struct bts_error *error)
{
    return err_set_errno(error, errno == ENOMEM ? BTS_NO_MEMORY : BTS_UNAVAILABLE, errno,
                         "cannot find it");
}

enum bts_status location_find(const char *path, struct location *location,
                              struct bts_error *error)
{
    struct stat stat_of_path;
    char *absolute;

    *location = (struct location){NULL, NULL};
    absolute = location_absolute(path);
    if (absolute == NULL) {
        return location_failed(error);
    }
    if (stat(path, &stat_of_path) == 0 && !S_ISREG(stat_of_path.st_mode)) {
        if (!S_ISSOCK(stat_of_path.st_mode)) {
            free(absolute);
            return err_set(error, BTS_INVALID, "neither a database file nor a socket");
        }
        location->socket_path = absolute;
        return BTS_OK;
    }
    location->file_path = absolute;
    if (asprintf(&location->socket_path, "%s.socket", absolute) < 0) {
        location->socket_path = NULL;
        location_fini(location);
        return err_set(error, BTS_NO_MEMORY, "no memory for a path");
    }
    return BTS_OK;
}

void location_fini(struct location *location)
{
    free(location->file_path);
    free(location->socket_path);
    *location = (struct location){NULL, NULL};
}

/* Daemons link to absolute paths, so the target mostly is the answer: one call, not ten. */
char *location_served_by(const char *socket_path)
{
    char target[PATH_MAX];
    ssize_t size = readlink(socket_path, target, sizeof(target));
    struct stat stat_of_target;

    if (size <= 0 || size >= (ssize_t)sizeof(target) || target[0] != '/') {
        return realpath(socket_path, NULL);
    }
    target[size] = '\0';
    if (lstat(target, &stat_of_target) != 0 || !S_ISSOCK(stat_of_target.st_mode)) {
        return realpath(socket_path, NULL);
    }
    return strdup(target);
}
