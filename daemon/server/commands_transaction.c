/* SPDX-License-Identifier: MIT */
/*
 * commands_transaction: MULTI, EXEC and what belongs to them.
 *
 * What is queued between the two becomes one batch: it is applied wholly or
 * not at all.  Redis goes on after a command of a transaction has failed;
 * here such a failure is the one reply to EXEC, and nothing was written.
 */
#include "server/commands.h"

#include "base/err.h"

static void transaction_drop(struct session *session)
{
    if (session->transaction != NULL) {
        group_recycle(&session->server->group, session->transaction);
        session->transaction = NULL;
    }
    session->transaction_failed = false;
}

static void transaction_multi(struct call *call)
{
    struct session *session = call->session;

    if (session->transaction != NULL) {
        call_error(call, "MULTI calls can not be nested");
        return;
    }
    session->transaction = group_new_write(&call->server->group);
    session->transaction_failed = false;
    if (session->transaction == NULL) {
        resp_status_error(call->out, BTS_NO_MEMORY, "out of memory");
        return;
    }
    resp_simple(call->out, "OK");
}

static void transaction_exec(struct call *call)
{
    struct session *session = call->session;
    struct write *write = session->transaction;

    if (write == NULL) {
        call_error(call, "EXEC without MULTI");
    } else if (session->transaction_failed) {
        resp_error(call->out, "EXECABORT", "Transaction discarded because of previous errors.");
    } else if (write->plan.count == 0) {
        resp_array(call->out, 0);
    } else {
        write->plan.is_array = true;
        group_add(&call->server->group, write, session);
        session->writes_under_way++;
        session->transaction = NULL;
    }
    transaction_drop(session);
}

static void transaction_discard(struct call *call)
{
    if (call->session->transaction == NULL) {
        call_error(call, "DISCARD without MULTI");
        return;
    }
    transaction_drop(call->session);
    resp_simple(call->out, "OK");
}

static void transaction_watch(struct call *call)
{
    call_error(call,
               "WATCH is not supported yet; a native batch (BTS.COMMIT) can carry conditions");
}

static void transaction_unwatch(struct call *call)
{
    resp_simple(call->out, "OK");
}

const struct command commands_transaction[] = {
    {"multi", 1, COMMAND_IN_MULTI, 0, 0, 0, transaction_multi, NULL, NULL},
    {"exec", 1, COMMAND_IN_MULTI | COMMAND_WRITE, 0, 0, 0, transaction_exec, NULL, NULL},
    {"discard", 1, COMMAND_IN_MULTI, 0, 0, 0, transaction_discard, NULL, NULL},
    {"watch", -2, COMMAND_IN_MULTI, 1, -1, 1, transaction_watch, NULL, NULL},
    {"unwatch", 1, COMMAND_IN_MULTI, 0, 0, 0, transaction_unwatch, NULL, NULL},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
