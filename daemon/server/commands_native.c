/* SPDX-License-Identifier: MIT */
/*
 * commands_native: what libbtstore and the tools ask for.
 *
 *   BTS.ATTACH [abi]           pairs; and the descriptors of data, beacon and slot, in that
 *                              order, with the first byte of the reply
 *   BTS.COMMIT batch [RELAXED | DURABLE]
 *                              the number of the commit, once it is durable, or (RELAXED)
 *                              written to the log; without a word as BTS.DURABILITY says
 *   BTS.DURABILITY [DURABLE | RELAXED]
 *                              what holds for the writes of this session; sets it
 *   BTS.READERS                per reader: pid, uid, snapshots, oldest, attached_ms,
 *                              retained_bytes
 *   BTS.CHECKPOINT [PIN]       txnid, root, depth, buckets, pages, once it is durable; PIN keeps
 *                              that state until the connection closes
 *   BTS.STAT                   pairs
 *   WAITAOF local replicas ms  all that this session wrote is durable: 1, 0
 */
#include "server/commands.h"

#include "base/err.h"
#include "format/locks.h"
#include "server/ticket.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define NATIVE_ABI 1
#define NATIVE_GIVE_MIN (64u << 10) /* a batch so large is not copied out of the input */

static void native_pair_number(struct call *call, const char *name, uint64_t number)
{
    resp_text(call->out, name);
    resp_number(call->out, (int64_t)number);
}

/* ---- BTS.ATTACH ------------------------------------------------------------------ */

/* The data file, read-only, with the shared lock that tells later daemons of this reader. */
static enum bts_status native_open_data(struct server *server, int *fd, struct bts_error *error)
{
    struct flock lock = {.l_type = F_RDLCK,
                         .l_whence = SEEK_SET,
                         .l_start = (off_t)(LOCK_READERS + server->run.generation),
                         .l_len = 1};
    enum bts_status status = commit_reader_descriptor(server->commit, fd, error);

    if (status == BTS_OK && fcntl(*fd, F_OFD_SETLK, &lock) != 0) {
        status = err_set_errno(error, BTS_IO, errno, "%s: cannot lock it for a reader",
                               server->path);
        close(*fd);
        *fd = -1;
    }
    return status;
}

static enum bts_status native_open_all(struct call *call, int fds[3], struct bts_error *error)
{
    struct server *server = call->server;
    const struct peer *peer = &call->session->peer;

    fds[0] = fds[1] = fds[2] = -1;
    enum bts_status status = native_open_data(server, &fds[0], error);
    if (status == BTS_OK) {
        status = run_directory_beacon_descriptor(&server->run, &fds[1], error);
    }
    if (status == BTS_OK) {
        status = readers_attach(&server->readers, peer->pid, peer->uid, &fds[2], error);
    }
    for (int i = 0; status != BTS_OK && i < 3; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    return status;
}

static void native_attach_reply(struct call *call)
{
    const struct server *server = call->server;
    struct commit_identity identity = commit_identity(server->commit);
    char uuid[33];

    for (size_t i = 0; i < sizeof(identity.uuid); i++) {
        snprintf(uuid + 2 * i, 3, "%02x", identity.uuid[i]);
    }
    resp_map(call->out, 6, call->version);
    native_pair_number(call, "abi", NATIVE_ABI);
    native_pair_number(call, "page_size", server->page_size);
    resp_text(call->out, "uuid");
    resp_text(call->out, uuid);
    resp_text(call->out, "path");
    resp_text(call->out, server->path);
    resp_text(call->out, "version");
    resp_text(call->out, PACKAGE_VERSION);
    native_pair_number(call, "generation", server->run.generation);
}

static void native_attach(struct call *call)
{
    struct session *session = call->session;
    struct bts_error error;
    int64_t abi = NATIVE_ABI;
    int fds[3];

    if (call->part_count == 2 && (!call_number(&call->parts[1], &abi) || abi != NATIVE_ABI)) {
        resp_status_error(call->out, BTS_VERSION,
                          "this daemon speaks attach version 1 only; use a library of its version");
        return;
    }
    if (session->passed_count > 0) {
        call_error(call, "one attach at a time: read the reply to the last one first");
        return;
    }
    if (native_open_all(call, fds, &error) != BTS_OK) {
        call_failed(call, &error);
        return;
    }
    session_pass(session, fds, 3);
    native_attach_reply(call);
}

/* ---- BTS.COMMIT ------------------------------------------------------------------ */

static enum bts_status native_commit_build(struct call *call, struct write *write,
                                           struct bts_error *error)
{
    if (call->session->transaction != NULL) {
        return err_set(error, BTS_INVALID, "BTS.COMMIT cannot be part of a MULTI: it is a "
                                           "transaction of its own");
    }
    if (call_part_is(call, 2, "relaxed")) {
        write->durability = WRITE_RELAXED;
    } else if (call_part_is(call, 2, "durable")) {
        write->durability = WRITE_DURABLE;
    } else if (call->part_count > 2) {
        return err_set(error, BTS_INVALID, "syntax error: BTS.COMMIT batch [RELAXED | DURABLE]");
    }
    if (call->part_count > 3) {
        return err_set(error, BTS_INVALID, "wrong number of arguments for 'bts.commit' command");
    }
    enum bts_status status = reply_plan_add(&write->plan, REPLY_TXNID, 0, error);
    const struct bts_bytes *batch = &call->parts[1];
    char *memory = NULL;

    if (status == BTS_OK && batch->size >= NATIVE_GIVE_MIN) {
        memory = session_give_input(call->session, &call->parts[call->part_count - 1]);
    }
    if (memory != NULL) {
        group_give_batch(write, memory, batch->data, batch->size);
    } else if (status == BTS_OK) {
        status = group_set_batch(write, batch->data, batch->size, error);
    }
    return status;
}

/* ---- looking after --------------------------------------------------------------- */

static void native_readers(struct call *call)
{
    struct server *server = call->server;
    uint64_t now_ms = server_wall_clock_ms();

    readers_sweep(&server->readers);
    commit_look(server->commit);
    resp_array(call->out, server->readers.count);
    for (size_t i = 0; i < server->readers.count; i++) {
        const struct reader *reader = &server->readers.entries[i];
        struct reader_snapshots snapshots = readers_snapshots(reader);
        uint64_t retained =
            snapshots.oldest != 0 ? commit_retained_bytes(server->commit, snapshots.oldest) : 0;

        resp_array(call->out, 6);
        resp_number(call->out, reader->pid);
        resp_number(call->out, (int64_t)reader->uid);
        resp_number(call->out, (int64_t)snapshots.count);
        resp_number(call->out, (int64_t)snapshots.oldest);
        resp_number(call->out,
                    now_ms > reader->attached_ms ? (int64_t)(now_ms - reader->attached_ms) : 0);
        resp_number(call->out, (int64_t)retained);
    }
}

static void native_checkpoint(struct call *call)
{
    bool pin = call_part_is(call, 1, "pin");
    struct bts_error error;

    if (call->part_count > 2 || (call->part_count == 2 && !pin)) {
        call_error(call, "syntax error: BTS.CHECKPOINT [PIN]");
        return;
    }
    if (ticket_open(call->session, pin, &error) != BTS_OK) {
        call_failed(call, &error);
    }
}

static void native_stat(struct call *call)
{
    struct server *server = call->server;
    struct commit_stat stat = commit_stat(server->commit);
    struct commit_identity identity = commit_identity(server->commit);
    const struct {
        const char *name;
        uint64_t number;
    } pairs[] = {
        {"page_size", identity.page_size},
        {"txnid", stat.latest},
        {"checkpoint_txnid", stat.checkpoint},
        {"groups", stat.groups},
        {"batches", stat.batches},
        {"refused", stat.refused},
        {"syncs", stat.syncs},
        {"log_bytes", stat.log_bytes},
        {"log_size", stat.log_size},
        {"checkpoints", stat.checkpoints},
        {"replayed_frames", stat.replayed_frames},
        {"replayed_operations", stat.replayed_operations},
        {"clients", server->sessions.count},
        {"readers", server->readers.count},
        {"generation", server->run.generation},
    };
    size_t count = sizeof(pairs) / sizeof(pairs[0]);

    resp_map(call->out, count, call->version);
    for (size_t i = 0; i < count; i++) {
        native_pair_number(call, pairs[i].name, pairs[i].number);
    }
}

/* ---- durability ------------------------------------------------------------------ */

/* A write of nothing: the engine answers it when all before it is durable. */
static enum bts_status native_waitaof_build(struct call *call, struct write *write,
                                            struct bts_error *error)
{
    int64_t numbers[3];

    if (call->session->transaction != NULL) {
        return err_set(error, BTS_INVALID, "WAITAOF cannot be part of a MULTI");
    }
    for (size_t i = 0; i < 3; i++) {
        if (!call_number(&call->parts[i + 1], &numbers[i]) || numbers[i] < 0) {
            return err_set(error, BTS_INVALID, "value is not an integer or out of range");
        }
    }
    if (numbers[0] > 1) {
        return err_set(error, BTS_INVALID, "WAITAOF: there is one local log, not %" PRId64,
                       numbers[0]);
    }
    write->durability = WRITE_DURABLE;
    return reply_plan_add(&write->plan, REPLY_LOCAL, 0, error);
}

static void native_durability(struct call *call)
{
    bool relaxed = call_part_is(call, 1, "relaxed");

    if (call->part_count > 2 ||
        (call->part_count == 2 && !relaxed && !call_part_is(call, 1, "durable"))) {
        call_error(call, "syntax error: BTS.DURABILITY [DURABLE | RELAXED]");
        return;
    }
    if (call->part_count == 2) {
        call->session->is_relaxed = relaxed;
    }
    resp_simple(call->out, call->session->is_relaxed ? "relaxed" : "durable");
}

const struct command commands_native[] = {
    {"bts.commit", -2, COMMAND_WRITE, 0, 0, 0, NULL, native_commit_build, NULL},
    {"bts.attach", -1, 0, 0, 0, 0, native_attach, NULL, NULL},
    {"bts.readers", 1, 0, 0, 0, 0, native_readers, NULL, NULL},
    {"bts.checkpoint", -1, 0, 0, 0, 0, native_checkpoint, NULL, NULL},
    {"bts.stat", 1, 0, 0, 0, 0, native_stat, NULL, NULL},
    {"bts.durability", -1, 0, 0, 0, 0, native_durability, NULL, NULL},
    {"waitaof", 4, 0, 0, 0, 0, NULL, native_waitaof_build, NULL},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
