/* SPDX-License-Identifier: MIT */
/*
 * connection: connect to any path, check the peer, push and pull bytes.
 *
 * The socket's file is opened O_PATH and connected to through /proc/self/fd:
 * no limit of 107 bytes, and the inode whose owner was looked at is the inode
 * that is connected to.
 */
#include "client/connection.h"

#include "base/err.h"
#include "client/deadline.h"
#include "format/resp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTION_PULL_SIZE (64u << 10) /* room made before each recv, but .. */
#define CONNECTION_FIRST_SIZE 2048u       /* before the first: who only attaches needs no more */
#define CONNECTION_RETRY_MS 2            /* while the listener's queue is full */
#define CONNECTION_SEND_SIZE (1 << 20)   /* under way in the socket, once it was full */
#define CONNECTION_VECTORS_MAX 64u       /* handed to one sendmsg */

/* ---- open and close -------------------------------------------------------------- */

void connection_init(struct connection *connection)
{
    memset(connection, 0, sizeof(*connection));
    connection->fd = -1;
}

static void connection_in_child(struct fork_guard *guard)
{
    struct connection *connection =
        (struct connection *)((char *)guard - offsetof(struct connection, guard));

    close(connection->fd);
    connection->fd = -1;
}

void connection_adopt(struct connection *connection, int fd)
{
    connection->fd = fd;
    fork_guard_add(&connection->guard, connection_in_child);
}

void connection_close(struct connection *connection)
{
    if (connection->fd >= 0) {
        fork_guard_lock();
        fork_guard_remove(&connection->guard);
        close(connection->fd);
        fork_guard_unlock();
    }
    free(connection->data);
    connection_init(connection);
}

/* Only the owner of what we were pointed at, or root, may answer. */
static enum bts_status connection_check_peer(int fd, uid_t owner, const char *socket_path,
                                             struct bts_error *error)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return err_set_errno(error, BTS_IO, errno, "socket %s: SO_PEERCRED", socket_path);
    }
    if (peer.uid != owner && peer.uid != 0) {
        return err_set(error, BTS_DENIED,
                       "socket %s: served by user %u, but the store belongs to user %u; "
                       "not trusted",
                       socket_path, peer.uid, owner);
    }
    return BTS_OK;
}

static enum bts_status connection_refused(int errno_value, const char *socket_path,
                                          struct bts_error *error)
{
    enum bts_status status = BTS_IO;

    if (errno_value == ENOENT || errno_value == ECONNREFUSED || errno_value == EAGAIN ||
        errno_value == ENOTDIR || errno_value == ELOOP) {
        status = BTS_UNAVAILABLE;
    } else if (errno_value == EACCES || errno_value == EPERM) {
        status = BTS_DENIED;
    }
    return err_set_errno(error, status, errno_value, "socket %s", socket_path);
}

/* Opens the socket's file, of which only the inode matters. */
static enum bts_status connection_find(const char *socket_path, int *file, uid_t *owner,
                                       struct bts_error *error)
{
    struct stat stat;

    *file = open(socket_path, O_PATH | O_CLOEXEC);
    if (*file < 0 || fstat(*file, &stat) != 0) {
        enum bts_status status = connection_refused(errno, socket_path, error);
        if (*file >= 0) {
            close(*file);
        }
        return status;
    }
    if (!S_ISSOCK(stat.st_mode)) {
        close(*file);
        return err_set(error, BTS_INVALID, "%s: not a socket", socket_path);
    }
    *owner = stat.st_uid;
    return BTS_OK;
}

/* One attempt, which does not wait; errno or 0.  On success the descriptor is guarded. */
static int connection_try(struct connection *connection, int file)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int refused = 0;
    int fd;

    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", file);
    fork_guard_lock();
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        refused = errno;
        if (fd >= 0) {
            close(fd);
        }
    } else {
        connection_adopt(connection, fd);
    }
    fork_guard_unlock();
    return refused;
}

enum bts_status connection_open(struct connection *connection, const char *socket_path,
                                const uid_t *owner, uint64_t deadline, struct bts_error *error)
{
    uid_t socket_owner = 0;
    int file = -1;
    int refused;
    enum bts_status status = connection_find(socket_path, &file, &socket_owner, error);

    if (status != BTS_OK) {
        return status;
    }
    while ((refused = connection_try(connection, file)) == EAGAIN && deadline_left(deadline) > 0) {
        poll(NULL, 0, CONNECTION_RETRY_MS);
    }
    close(file);
    if (refused != 0) {
        return connection_refused(refused, socket_path, error);
    }
    status = connection_check_peer(connection->fd, owner != NULL ? *owner : socket_owner,
                                   socket_path, error);
    if (status != BTS_OK) {
        connection_close(connection);
    }
    return status;
}

/* ---- bytes ----------------------------------------------------------------------- */

static enum bts_status connection_lost(int errno_value, struct bts_error *error)
{
    if (errno_value == 0) {
        return err_set(error, BTS_UNAVAILABLE, "the daemon closed the connection");
    }
    return err_set_errno(error, BTS_UNAVAILABLE, errno_value, "the connection to the daemon broke");
}

/* The socket takes more from now on: each time that it is full both sides must be woken. */
static void connection_widen(struct connection *connection)
{
    int size = CONNECTION_SEND_SIZE; /* the system may grant less */

    if (!connection->is_wide) {
        connection->is_wide = true;
        (void)setsockopt(connection->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    }
}

enum bts_status connection_push(struct connection *connection, struct iovec **vectors,
                                size_t *left, struct bts_error *error)
{
    while (*left > 0) {
        struct msghdr message = {
            .msg_iov = *vectors,
            .msg_iovlen = *left < CONNECTION_VECTORS_MAX ? *left : CONNECTION_VECTORS_MAX};
        ssize_t sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return errno == EAGAIN ? BTS_OK : connection_lost(errno, error);
        }
        while (*left > 0 && (size_t)sent >= (*vectors)->iov_len) {
            sent -= (ssize_t)(*vectors)->iov_len;
            (*vectors)++;
            (*left)--;
        }
        if (*left > 0) {
            connection_widen(connection);
            (*vectors)->iov_base = (char *)(*vectors)->iov_base + sent;
            (*vectors)->iov_len -= (size_t)sent;
        }
    }
    return BTS_OK;
}

bool connection_poll(int fd, bool want_write, uint64_t deadline)
{
    struct pollfd ready = {.fd = fd, .events = (short)(POLLIN | (want_write ? POLLOUT : 0))};
    int count;

    do {
        count = poll(&ready, 1, deadline_left(deadline));
    } while (count < 0 && errno == EINTR);
    return count != 0;
}

void connection_fds_close(struct connection_fds *fds)
{
    for (size_t i = 0; i < fds->count; i++) {
        if (fds->fds[i] >= 0) {
            close(fds->fds[i]);
        }
    }
    fds->count = 0;
}

/* Keeps the descriptors of a message that are wanted; closes all others. */
static void connection_keep_fds(struct msghdr *message, struct connection_fds *fds)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
            if (fds != NULL && fds->count < CONNECTION_FDS_MAX) {
                fds->fds[fds->count++] = fd;
            } else {
                close(fd);
            }
        }
    }
}

/* Room for a pull behind what is there. */
static enum bts_status connection_make_room(struct connection *connection, struct bts_error *error)
{
    size_t waiting = connection->size - connection->taken;
    size_t least = connection->room == 0 ? CONNECTION_FIRST_SIZE : CONNECTION_PULL_SIZE;

    if (connection->taken > 0) {
        memmove(connection->data, connection->data + connection->taken, waiting);
        connection->taken = 0;
        connection->size = waiting;
    }
    if (connection->room - waiting >= least) {
        return BTS_OK;
    }
    if (waiting >= CONNECTION_REPLY_MAX) {
        return err_set(error, BTS_LIMIT, "a reply of the daemon is over the limit of %u bytes",
                       CONNECTION_REPLY_MAX);
    }
    size_t room = 2 * connection->room + least;
    char *data = realloc(connection->data, room);
    if (data == NULL) {
        return err_set(error, BTS_NO_MEMORY, "no memory for a reply of %zu bytes", room);
    }
    connection->data = data;
    connection->room = room;
    return BTS_OK;
}

static enum bts_status connection_receive(struct connection *connection, int flags,
                                          size_t *received, struct connection_fds *fds,
                                          struct bts_error *error)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * CONNECTION_FDS_MAX)];
    } control;
    ssize_t count;
    enum bts_status status = connection_make_room(connection, error);

    *received = 0;
    if (status != BTS_OK) {
        return status;
    }
    struct iovec vector = {connection->data + connection->size,
                           connection->room - connection->size};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (fds != NULL) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
    }
    do {
        /* Without room for them the kernel drops descriptors: none can leak in. */
        count = recvmsg(connection->fd, &message, MSG_CMSG_CLOEXEC | flags);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        return errno == EAGAIN ? BTS_OK : connection_lost(errno, error);
    }
    if (fds != NULL) {
        connection_keep_fds(&message, fds);
    }
    connection->size += (size_t)count;
    *received = (size_t)count;
    return count == 0 ? connection_lost(0, error) : BTS_OK;
}

enum bts_status connection_pull(struct connection *connection, size_t *received,
                                struct connection_fds *fds, struct bts_error *error)
{
    return connection_receive(connection, MSG_DONTWAIT, received, fds, error);
}

/*
 * Not by a recvmsg that waits: a socket wakes who sleeps in one also when the
 * other side has read, so each commit woke its client once for nothing.
 */
enum bts_status connection_pull_patiently(struct connection *connection, size_t *received,
                                          struct bts_error *error)
{
    struct pollfd ready = {.fd = connection->fd, .events = POLLIN};

    (void)poll(&ready, 1, CONNECTION_PATIENCE_MS);
    return connection_pull(connection, received, NULL, error);
}

bool connection_is_alive(const struct connection *connection)
{
    char byte;

    if (connection->fd < 0) {
        return false;
    }
    ssize_t count = recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

/* ---- replies --------------------------------------------------------------------- */

enum bts_status connection_reply(struct connection *connection, const char **reply,
                                 size_t *reply_size, struct bts_error *error)
{
    *reply = NULL;
    *reply_size = 0;
    if (connection->size == connection->taken) {
        return BTS_OK;
    }
    const char *data = connection->data + connection->taken;
    switch (resp_reply_size(data, connection->size - connection->taken, reply_size)) {
    case RESP_OK:
        *reply = data;
        return BTS_OK;
    case RESP_MORE:
        return BTS_OK;
    default:
        return err_set(error, BTS_INVALID, "what answers there does not speak RESP");
    }
}

void connection_take(struct connection *connection, size_t reply_size)
{
    connection->taken += reply_size;
}

enum bts_status connection_refusal(const char *reply, size_t reply_size, struct bts_error *error)
{
    struct resp_value value;
    size_t position = 0;

    if (resp_reply_next(reply, reply_size, &position, &value) != RESP_OK) {
        return err_set(error, BTS_INVALID, "the daemon's reply makes no sense");
    }
    if (value.type != RESP_ERROR) {
        return BTS_OK;
    }
    enum bts_status status = resp_word_status(value.data, value.size);
    const char *text = memchr(value.data, ' ', value.size);
    text = text != NULL ? text + 1 : value.data;
    return err_set(error, status, "%.*s", (int)(value.data + value.size - text), text);
}

/* ---- a command and its reply ----------------------------------------------------- */

/* Sends a request in full, taking in replies meanwhile so that neither side gets stuck. */
static enum bts_status connection_send(struct connection *connection, struct iovec *vectors,
                                       size_t left, uint64_t deadline, struct bts_error *error)
{
    size_t received;
    enum bts_status status = connection_push(connection, &vectors, &left, error);

    while (status == BTS_OK && left > 0) {
        if (!connection_poll(connection->fd, true, deadline)) {
            return err_set(error, BTS_TIMEOUT, "the daemon takes no more bytes");
        }
        status = connection_pull(connection, &received, NULL, error);
        if (status == BTS_OK) {
            status = connection_push(connection, &vectors, &left, error);
        }
    }
    return status;
}

static enum bts_status connection_await(struct connection *connection, uint64_t deadline,
                                        const char **reply, size_t *reply_size,
                                        struct bts_error *error)
{
    size_t received;
    enum bts_status status = connection_reply(connection, reply, reply_size, error);

    while (status == BTS_OK && *reply == NULL) {
        if (!connection_poll(connection->fd, false, deadline)) {
            return err_set(error, BTS_TIMEOUT, "no reply from the daemon in time");
        }
        status = connection_pull(connection, &received, NULL, error);
        if (status == BTS_OK) {
            status = connection_reply(connection, reply, reply_size, error);
        }
    }
    return status;
}

enum bts_status connection_ask(struct connection *connection, const struct bts_bytes *parts,
                               size_t part_count, uint64_t deadline, const char **reply,
                               size_t *reply_size, struct bts_error *error)
{
    struct resp_buffer request = {0};
    enum bts_status status;

    *reply = NULL;
    *reply_size = 0;
    resp_request_begin(&request, part_count);
    for (size_t i = 0; i < part_count; i++) {
        resp_request_part(&request, parts[i].data, parts[i].size);
    }
    if (request.failed) {
        resp_buffer_fini(&request);
        return err_set(error, BTS_NO_MEMORY, "no memory for a request");
    }
    struct iovec vector = {request.data, request.size};
    status = connection_send(connection, &vector, 1, deadline, error);
    resp_buffer_fini(&request);
    if (status == BTS_OK) {
        status = connection_await(connection, deadline, reply, reply_size, error);
    }
    if (*reply != NULL) {
        connection_take(connection, *reply_size);
    }
    return status;
}
