/* SPDX-License-Identifier: MIT */
/*
 * ticket: see ticket.h.
 */
#include "server/ticket.h"

#include "base/err.h"
#include "server/server.h"

#include <stdlib.h>

enum bts_status ticket_open(struct session *session, bool pin, struct bts_error *error)
{
    struct server *server = session->server;
    struct ticket *ticket = calloc(1, sizeof(*ticket));

    if (ticket == NULL) {
        return err_set(error, BTS_NO_MEMORY, "out of memory");
    }
    ticket_close(session);
    ticket->checkpoint.pin = pin;
    ticket->session = session;
    ticket->waiting = true;
    ticket->next = server->tickets;
    ticket->link = &server->tickets;
    if (ticket->next != NULL) {
        ticket->next->link = &ticket->next;
    }
    server->tickets = ticket;
    session->ticket = ticket;
    commit_checkpoint_request(server->commit, &ticket->checkpoint);
    return BTS_OK;
}

void ticket_close(struct session *session)
{
    struct ticket *ticket = session->ticket;

    if (ticket == NULL) {
        return;
    }
    commit_checkpoint_forget(session->server->commit, &ticket->checkpoint);
    if (ticket->next != NULL) {
        ticket->next->link = ticket->link;
    }
    *ticket->link = ticket->next;
    free(ticket);
    session->ticket = NULL;
}

bool ticket_waits(const struct session *session)
{
    return session->ticket != NULL && session->ticket->waiting;
}

static void ticket_answer(struct ticket *ticket)
{
    const struct commit_checkpoint *checkpoint = &ticket->checkpoint;
    struct session *session = ticket->session;
    struct resp_buffer *out = &session->output;

    ticket->waiting = false;
    session_touch(session);
    if (checkpoint->pin && checkpoint->slot == NULL) {
        resp_status_error(out, BTS_BUSY, "too many states are pinned already");
        ticket_close(session);
        return;
    }
    resp_array(out, 5);
    resp_number(out, (int64_t)checkpoint->txnid);
    resp_number(out, (int64_t)checkpoint->root);
    resp_number(out, (int64_t)checkpoint->depth);
    resp_number(out, (int64_t)checkpoint->bucket_count);
    resp_number(out, (int64_t)checkpoint->page_count);
    if (!checkpoint->pin) {
        ticket_close(session);
    }
}

void tickets_settle(struct server *server)
{
    for (struct ticket *ticket = server->tickets, *next; ticket != NULL; ticket = next) {
        next = ticket->next;
        if (ticket->waiting && ticket->checkpoint.done) {
            ticket_answer(ticket);
        }
    }
}
