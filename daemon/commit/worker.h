/* SPDX-License-Identifier: MIT */
/*
 * worker: a thread that does one task after the other.
 *
 * The event loop's thread submits tasks and later takes them back, finished,
 * in the order of submission.  Before a finished task can be taken, `notify`
 * is called, on the worker's thread.
 *
 * Everything the submitter wrote before worker_submit is seen by the task, and
 * everything the task wrote is seen after worker_take: the mutex orders both.
 */
#ifndef COMMIT_WORKER_H
#define COMMIT_WORKER_H

#include <btstore.h>
#include <pthread.h>

/* Work to do; part of something larger that `run` finds by its address. */
struct worker_task {
    void (*run)(struct worker_task *task);
    struct worker_task *next;
};

struct worker_list {
    struct worker_task *first;
    struct worker_task *last;
};

struct worker {
    pthread_t thread;
    bool started;
    bool stopping;
    bool busy;               /* a task runs */
    struct worker_list todo;
    struct worker_list done;
    pthread_mutex_t mutex;   /* of all the above */
    pthread_cond_t changed;
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
