/* SPDX-License-Identifier: MIT */
/*
 * Tests of client/connection: bytes, replies and descriptors over a socket
 * pair, and connecting to paths of any length.
 */
#include "client/connection.h"

#include "client/deadline.h"
#include "unit.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* A connection and the socket at its other end. */
static void open_pair(struct connection *connection, int *peer)
{
    int fds[2];

    ck_assert_int_eq(fork_guard_init(NULL), BTS_OK);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    connection_init(connection);
    fork_guard_lock();
    connection_adopt(connection, fds[0]);
    fork_guard_unlock();
    *peer = fds[1];
}

static void say(int peer, const char *text)
{
    ck_assert_int_eq(write(peer, text, strlen(text)), (ssize_t)strlen(text));
}

static bool descriptor_is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

START_TEST(a_reply_that_comes_in_pieces_is_whole_at_the_end)
{
    static const char text[] = "*2\r\n:7\r\n$5\r\nhello\r\n";
    struct connection connection;
    const char *reply;
    size_t size, received;
    int peer;

    open_pair(&connection, &peer);
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        ck_assert_int_eq(connection_reply(&connection, &reply, &size, NULL), BTS_OK);
        ck_assert_ptr_null(reply);
        ck_assert_int_eq(write(peer, text + i, 1), 1);
        ck_assert_int_eq(connection_pull(&connection, &received, NULL, NULL), BTS_OK);
        ck_assert_uint_eq(received, 1);
    }
    ck_assert_int_eq(connection_reply(&connection, &reply, &size, NULL), BTS_OK);
    ck_assert_ptr_nonnull(reply);
    ck_assert_uint_eq(size, sizeof(text) - 1);
    connection_take(&connection, size);
    ck_assert_int_eq(connection_reply(&connection, &reply, &size, NULL), BTS_OK);
    ck_assert_ptr_null(reply);
    connection_close(&connection);
    close(peer);
}
END_TEST

START_TEST(several_replies_in_one_piece_come_one_by_one)
{
    struct connection connection;
    const char *reply;
    size_t size, received;
    int peer;

    open_pair(&connection, &peer);
    say(peer, ":1\r\n:22\r\n+OK\r\n");
    ck_assert_int_eq(connection_pull(&connection, &received, NULL, NULL), BTS_OK);
    for (size_t i = 0; i < 3; i++) {
        static const size_t sizes[] = {4, 5, 5};
        ck_assert_int_eq(connection_reply(&connection, &reply, &size, NULL), BTS_OK);
        ck_assert_ptr_nonnull(reply);
        ck_assert_uint_eq(size, sizes[i]);
        connection_take(&connection, size);
    }
    connection_close(&connection);
    close(peer);
}
END_TEST

START_TEST(what_is_no_resp_is_told)
{
    struct connection connection;
    struct bts_error error;
    const char *reply;
    size_t size, received;
    int peer;

    open_pair(&connection, &peer);
    say(peer, "HTTP/1.1 400 Bad Request\r\n\r\n");
    ck_assert_int_eq(connection_pull(&connection, &received, NULL, NULL), BTS_OK);
    ck_assert_int_eq(connection_reply(&connection, &reply, &size, &error), BTS_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, "RESP"));
    connection_close(&connection);
    close(peer);
}
END_TEST

START_TEST(a_peer_that_closes_is_noticed)
{
    struct connection connection;
    size_t received;
    int peer;

    open_pair(&connection, &peer);
    ck_assert(connection_is_alive(&connection));
    ck_assert_int_eq(connection_pull(&connection, &received, NULL, NULL), BTS_OK);
    ck_assert_uint_eq(received, 0);
    say(peer, "+");
    close(peer);
    ck_assert(connection_is_alive(&connection)); /* there is something to read first */
    ck_assert_int_eq(connection_pull(&connection, &received, NULL, NULL), BTS_OK);
    ck_assert(!connection_is_alive(&connection));
    ck_assert_int_eq(connection_pull(&connection, &received, NULL, NULL), BTS_UNAVAILABLE);
    connection_close(&connection);
}
END_TEST

/* Sends `count` descriptors with one byte. */
static void pass(int peer, const int *fds, size_t count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * 8)];
    } control = {.bytes = {0}};
    struct iovec vector = {(void *)(uintptr_t) "+", 1};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);

    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(part), fds, sizeof(int) * count);
    ck_assert_int_eq(sendmsg(peer, &message, 0), 1);
}

static unsigned count_descriptors(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 256; fd++) {
        count += descriptor_is_open(fd);
    }
    return count;
}

START_TEST(three_descriptors_are_kept_and_surplus_ones_closed)
{
    const int sent[] = {0, 1, 2, 0, 1};
    struct connection connection;
    struct connection_fds fds = {.count = 0};
    size_t received;
    int peer;
    unsigned before;

    open_pair(&connection, &peer);
    before = count_descriptors();
    pass(peer, sent, 5);
    fork_guard_lock();
    ck_assert_int_eq(connection_pull(&connection, &received, &fds, NULL), BTS_OK);
    fork_guard_unlock();
    ck_assert_uint_eq(fds.count, 3);
    ck_assert_uint_eq(count_descriptors(), before + 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(fcntl(fds.fds[i], F_GETFD), FD_CLOEXEC);
    }
    connection_fds_close(&fds);
    ck_assert_uint_eq(count_descriptors(), before);
    connection_close(&connection);
    close(peer);
}
END_TEST

START_TEST(descriptors_nobody_asked_for_do_not_leak)
{
    const int sent[] = {0, 1};
    struct connection connection;
    size_t received;
    int peer;
    unsigned before;

    open_pair(&connection, &peer);
    before = count_descriptors();
    pass(peer, sent, 2);
    ck_assert_int_eq(connection_pull(&connection, &received, NULL, NULL), BTS_OK);
    ck_assert_uint_eq(received, 1);
    ck_assert_uint_eq(count_descriptors(), before);
    connection_close(&connection);
    close(peer);
}
END_TEST

START_TEST(a_fork_child_has_no_socket)
{
    struct connection connection;
    int peer, how;
    pid_t child;

    open_pair(&connection, &peer);
    int fd = connection.fd;
    child = fork();
    if (child == 0) {
        _exit(descriptor_is_open(fd) || connection.fd != -1);
    }
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_int_eq(how, 0);
    ck_assert(connection_is_alive(&connection));
    connection_close(&connection);
    close(peer);
}
END_TEST

START_TEST(a_question_without_an_answer_times_out)
{
    struct bts_bytes word = {"PING", 4};
    struct connection connection;
    struct bts_error error;
    const char *reply;
    size_t size;
    int peer;

    open_pair(&connection, &peer);
    ck_assert_int_eq(
        connection_ask(&connection, &word, 1, deadline_after(20), &reply, &size, &error),
        BTS_TIMEOUT);
    say(peer, "+PONG\r\n");
    ck_assert_int_eq(
        connection_ask(&connection, &word, 1, deadline_after(2000), &reply, &size, &error), BTS_OK);
    ck_assert_mem_eq(reply, "+PONG\r\n", size);
    connection_close(&connection);
    close(peer);
}
END_TEST

START_TEST(an_error_reply_has_its_status_and_text)
{
    static const char reply[] = "-NOBUCKET no bucket \"users\"\r\n";
    struct bts_error error;

    ck_assert_int_eq(connection_refusal(reply, sizeof(reply) - 1, &error), BTS_NO_BUCKET);
    ck_assert_str_eq(error.text, "no bucket \"users\"");
    ck_assert_int_eq(connection_refusal("+OK\r\n", 5, &error), BTS_OK);
    ck_assert_int_eq(connection_refusal("-\r\n", 3, &error), BTS_INVALID);
    ck_assert_int_eq(connection_refusal("?", 1, &error), BTS_INVALID);
}
END_TEST

/* ---- paths ----------------------------------------------------------------------------- */

/* Listens at folder/socket, where the folder's path may be longer than sun_path. */
static int listen_at(const char *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int directory = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/socket", directory);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fd, 4), 0);
    close(directory);
    return fd;
}

START_TEST(a_socket_path_may_be_longer_than_107_bytes)
{
    char folder[PATH_MAX] = "/tmp/bts-unit-XXXXXX";
    char path[PATH_MAX + 16];
    struct connection connection;
    struct bts_error error;
    size_t top;
    int listener;

    ck_assert_int_eq(fork_guard_init(NULL), BTS_OK);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    top = strlen(folder);
    strcat(folder, "/");
    memset(folder + top + 1, 'x', 200);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    listener = listen_at(folder);
    snprintf(path, sizeof(path), "%s/socket", folder);
    connection_init(&connection);
    ck_assert_int_eq(connection_open(&connection, path, NULL, deadline_after(1000), &error),
                     BTS_OK);
    ck_assert(connection_is_alive(&connection));
    connection_close(&connection);

    close(listener);
    ck_assert_int_eq(connection_open(&connection, path, NULL, deadline_after(1000), &error),
                     BTS_UNAVAILABLE);
    unlink(path);
    ck_assert_int_eq(connection_open(&connection, path, NULL, deadline_after(1000), &error),
                     BTS_UNAVAILABLE);
    rmdir(folder);
    folder[top] = '\0';
    rmdir(folder);
}
END_TEST

START_TEST(somebody_elses_daemon_is_not_trusted)
{
    char folder[PATH_MAX] = "/tmp/bts-unit-XXXXXX";
    char path[PATH_MAX + 16];
    struct connection connection;
    struct bts_error error;
    uid_t owner = geteuid() + 1;
    int listener;
    enum bts_status status;

    ck_assert_int_eq(fork_guard_init(NULL), BTS_OK);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    listener = listen_at(folder);
    snprintf(path, sizeof(path), "%s/socket", folder);
    connection_init(&connection);
    status = connection_open(&connection, path, &owner, deadline_after(1000), &error);
    /* Root may always serve, and tests may run as root. */
    ck_assert_int_eq(status, geteuid() == 0 ? BTS_OK : BTS_DENIED);
    connection_close(&connection);
    close(listener);
    unlink(path);
    rmdir(folder);
}
END_TEST

START_TEST(what_is_no_socket_is_told)
{
    struct connection connection;
    struct bts_error error;

    ck_assert_int_eq(fork_guard_init(NULL), BTS_OK);
    connection_init(&connection);
    ck_assert_int_eq(connection_open(&connection, "/dev/null", NULL, 0, &error), BTS_INVALID);
    ck_assert_str_eq(error.text, "/dev/null: not a socket");
}
END_TEST

static int send_size(const struct connection *connection)
{
    int size;
    socklen_t length = sizeof(size);

    ck_assert_int_eq(getsockopt(connection->fd, SOL_SOCKET, SO_SNDBUF, &size, &length), 0);
    return size;
}

/* A load would else wake both sides for each 200 KiB. */
START_TEST(a_socket_that_was_full_takes_more)
{
    static char bytes[4 << 20];
    struct connection connection;
    struct iovec vector = {bytes, 100};
    struct iovec *vectors = &vector;
    size_t left = 1;
    int peer;
    int size;

    open_pair(&connection, &peer);
    size = send_size(&connection);
    ck_assert_int_eq(connection_push(&connection, &vectors, &left, NULL), BTS_OK);
    ck_assert_uint_eq(left, 0);
    ck_assert_int_eq(send_size(&connection), size);
    vector = (struct iovec){bytes, sizeof(bytes)};
    vectors = &vector;
    left = 1;
    ck_assert_int_eq(connection_push(&connection, &vectors, &left, NULL), BTS_OK);
    ck_assert_uint_eq(left, 1);
    ck_assert_int_gt(send_size(&connection), size);
    connection_close(&connection);
    ck_assert(!connection.is_wide);
    close(peer);
}
END_TEST

/* How often a thread of this process went to sleep so far. */
static unsigned long sleeps_of(pid_t thread)
{
    static const char word[] = "\nvoluntary_ctxt_switches:";
    char path[64];
    char text[4096];
    FILE *status;
    size_t size;

    snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)thread);
    status = fopen(path, "r");
    ck_assert_ptr_nonnull(status);
    size = fread(text, 1, sizeof(text) - 1, status);
    fclose(status);
    text[size] = '\0';
    ck_assert_ptr_nonnull(strstr(text, word));
    return strtoul(strstr(text, word) + strlen(word), NULL, 10);
}

struct patient {
    struct connection connection;
    _Atomic pid_t thread; /* release: who sees it sees the question sent */
};

static void *ask_and_wait(void *argument)
{
    struct patient *patient = argument;
    size_t received;

    say(patient->connection.fd, "question");
    atomic_store_explicit(&patient->thread, gettid(), memory_order_release);
    do {
        ck_assert_int_eq(connection_pull_patiently(&patient->connection, &received, NULL), BTS_OK);
    } while (received == 0);
    return NULL;
}

/* On two processors with 128 writers half of all wake-ups were for nothing. */
START_TEST(who_waits_for_a_reply_sleeps_on_when_its_question_is_read)
{
    struct patient patient = {.thread = 0};
    char question[16];
    unsigned long before;
    pthread_t thread;
    int peer;

    open_pair(&patient.connection, &peer);
    ck_assert_int_eq(pthread_create(&thread, NULL, ask_and_wait, &patient), 0);
    while (atomic_load_explicit(&patient.thread, memory_order_acquire) == 0)
        usleep(1000);
    usleep(CONNECTION_PATIENCE_MS * 1000 / 4);
    before = sleeps_of(patient.thread);
    ck_assert_int_gt(read(peer, question, sizeof(question)), 0);
    usleep(CONNECTION_PATIENCE_MS * 1000 / 4);
    ck_assert_uint_eq(sleeps_of(patient.thread), before);
    say(peer, "+OK\r\n");
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    connection_close(&patient.connection);
    close(peer);
}
END_TEST

int main(void)
{
    return UNIT_RUN("connection", a_socket_that_was_full_takes_more,
                    a_reply_that_comes_in_pieces_is_whole_at_the_end,
                    several_replies_in_one_piece_come_one_by_one, what_is_no_resp_is_told,
                    a_peer_that_closes_is_noticed,
                    who_waits_for_a_reply_sleeps_on_when_its_question_is_read,
                    three_descriptors_are_kept_and_surplus_ones_closed,
                    descriptors_nobody_asked_for_do_not_leak, a_fork_child_has_no_socket,
                    a_question_without_an_answer_times_out, an_error_reply_has_its_status_and_text,
                    a_socket_path_may_be_longer_than_107_bytes,
                    somebody_elses_daemon_is_not_trusted, what_is_no_socket_is_told);
}
