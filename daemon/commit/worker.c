/* SPDX-License-Identifier: MIT */
/*
 * worker: see worker.h.
 */
#include "commit/worker.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "base/err.h"

static void worker_append(struct worker_queue *queue, struct worker_task *task)
{
    cds_wfcq_node_init(&task->node);
    cds_wfcq_enqueue(&queue->head, &queue->tail, &task->node);
}

/* One thread takes from each queue, and only what it knows to be there. */
static struct worker_task *worker_remove(struct worker_queue *queue)
{
    struct cds_wfcq_node *node = __cds_wfcq_dequeue_blocking(&queue->head, &queue->tail);

    return (struct worker_task *)((char *)node - offsetof(struct worker_task, node));
}

static void worker_sleep(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0 && errno == EINTR)
        ;
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;

    for (;;) {
        struct worker_task *task;

        worker_sleep(&worker->work);
        if (atomic_load_explicit(&worker->stopping, memory_order_acquire))
            return NULL;
        task = worker_remove(&worker->todo);
        task->run(task);
        worker_append(&worker->done, task);
        atomic_fetch_add_explicit(&worker->finished, 1, memory_order_seq_cst);
        if (atomic_load_explicit(&worker->waiting, memory_order_seq_cst))
            sem_post(&worker->rested);
        worker->notify(worker->context);
    }
}

/* Signals are for the event loop's thread. */
static int worker_create_thread(struct worker *worker)
{
    sigset_t all;
    sigset_t before;
    int refused;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    refused = pthread_create(&worker->thread, NULL, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return refused;
}

static void worker_fini(struct worker *worker)
{
    sem_destroy(&worker->work);
    sem_destroy(&worker->rested);
    worker->started = false;
}

enum bts_status worker_start(struct worker *worker, const char *name,
                             void (*notify)(void *context), void *context,
                             struct bts_error *error)
{
    int refused;

    memset(worker, 0, sizeof(*worker));
    cds_wfcq_init(&worker->todo.head, &worker->todo.tail);
    cds_wfcq_init(&worker->done.head, &worker->done.tail);
    sem_init(&worker->work, 0, 0);
    sem_init(&worker->rested, 0, 0);
    worker->notify = notify;
    worker->context = context;
    refused = worker_create_thread(worker);
    if (refused != 0) {
        worker_fini(worker);
        return err_set_errno(error, BTS_NO_MEMORY, refused, "thread '%s'", name);
    }
    pthread_setname_np(worker->thread, name);
    worker->started = true;
    return BTS_OK;
}

void worker_stop(struct worker *worker)
{
    if (!worker->started)
        return;
    atomic_store_explicit(&worker->stopping, true, memory_order_release);
    sem_post(&worker->work);
    pthread_join(worker->thread, NULL);
    cds_wfcq_destroy(&worker->todo.head, &worker->todo.tail);
    cds_wfcq_destroy(&worker->done.head, &worker->done.tail);
    worker_fini(worker);
}

void worker_submit(struct worker *worker, struct worker_task *task)
{
    worker->submitted++;
    worker_append(&worker->todo, task);
    sem_post(&worker->work);
}

struct worker_task *worker_take(struct worker *worker)
{
    if (atomic_load_explicit(&worker->finished, memory_order_acquire) == worker->taken)
        return NULL;
    worker->taken++;
    return worker_remove(&worker->done);
}

void worker_wait(struct worker *worker)
{
    atomic_store_explicit(&worker->waiting, true, memory_order_seq_cst);
    while (atomic_load_explicit(&worker->finished, memory_order_seq_cst) != worker->submitted)
        worker_sleep(&worker->rested);
    atomic_store_explicit(&worker->waiting, false, memory_order_seq_cst);
}
