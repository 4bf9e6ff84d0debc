/* SPDX-License-Identifier: MIT */
/*
 * worker: a thread that does one task after the other.
 *
 * The event loop's thread submits tasks and later takes them back, finished,
 * in the order of submission.  Before a finished task can be taken, `notify`
 * is called, on the worker's thread.
 *
 * Both ways are liburcu's wait-free queues: neither side ever waits for the
 * other to hand something over.  The thread sleeps on a semaphore.
 *
 * Everything the submitter wrote before worker_submit is seen by the task
 * (the semaphore orders it), and everything the task wrote is seen after
 * worker_take (`finished` does).
 */
#ifndef COMMIT_WORKER_H
#define COMMIT_WORKER_H

#include <btstore.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <urcu/wfcqueue.h>

/* Work to do; part of something larger that `run` finds by its address. */
struct worker_task {
    void (*run)(struct worker_task *task);
    struct cds_wfcq_node node;
};

struct worker_queue {
    struct cds_wfcq_head head;
    struct cds_wfcq_tail tail;
};

struct worker {
    pthread_t thread;
    bool started;
    struct worker_queue todo;
    struct worker_queue done;
    sem_t work;                  /* one for each task in `todo`, and one to stop */
    sem_t rested;                /* posted when a task ends while somebody waits */
    _Atomic bool stopping;
    _Atomic bool waiting;        /* worker_wait looks at `finished`; seq_cst with it */
    _Atomic uint64_t finished;   /* tasks put into `done`: seq_cst add, pairs with the loads of
                                    worker_take (acquire) and worker_wait (seq_cst) */
    uint64_t submitted;          /* the submitter's own */
    uint64_t taken;              /* the submitter's own */
    void (*notify)(void *context);
    void *context;
};

/* Starts the thread, with all signals blocked.  BTS_NO_MEMORY: the system has no thread to give. */
BTS_MUST_USE enum bts_status worker_start(struct worker *worker, const char *name,
                                          void (*notify)(void *context), void *context,
                                          struct bts_error *error);

/* Lets the running task end, forgets the others, ends the thread; none started: nothing. */
void worker_stop(struct worker *worker);

void worker_submit(struct worker *worker, struct worker_task *task);

/* The next finished task, or NULL. */
struct worker_task *worker_take(struct worker *worker);

/* Waits until no task waits or runs. */
void worker_wait(struct worker *worker);

#endif
