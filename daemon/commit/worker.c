/* SPDX-License-Identifier: MIT */
/*
 * worker: see worker.h.
 */
#include "commit/worker.h"

#include <signal.h>
#include <string.h>

#include "base/err.h"

static void worker_append(struct worker_list *list, struct worker_task *task)
{
    task->next = NULL;
    if (list->first == NULL)
        list->first = task;
    else
        list->last->next = task;
    list->last = task;
}

static struct worker_task *worker_remove(struct worker_list *list)
{
    struct worker_task *task = list->first;

    if (task != NULL)
        list->first = task->next;
    return task;
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;

    pthread_mutex_lock(&worker->mutex);
    while (!worker->stopping) {
        struct worker_task *task = worker_remove(&worker->todo);
        if (task == NULL) {
            pthread_cond_wait(&worker->changed, &worker->mutex);
            continue;
        }
        worker->busy = true;
        pthread_mutex_unlock(&worker->mutex);
        task->run(task);
        pthread_mutex_lock(&worker->mutex);
        worker->busy = false;
        worker_append(&worker->done, task);
        pthread_cond_broadcast(&worker->changed);
        worker->notify(worker->context);
    }
    pthread_mutex_unlock(&worker->mutex);
    return NULL;
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

enum bts_status worker_start(struct worker *worker, const char *name,
                             void (*notify)(void *context), void *context,
                             struct bts_error *error)
{
    int refused;

    memset(worker, 0, sizeof(*worker));
    pthread_mutex_init(&worker->mutex, NULL);
    pthread_cond_init(&worker->changed, NULL);
    worker->notify = notify;
    worker->context = context;
    refused = worker_create_thread(worker);
    if (refused != 0) {
        pthread_cond_destroy(&worker->changed);
        pthread_mutex_destroy(&worker->mutex);
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
    pthread_mutex_lock(&worker->mutex);
    worker->stopping = true;
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->mutex);
    pthread_join(worker->thread, NULL);
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->mutex);
    worker->started = false;
}

void worker_submit(struct worker *worker, struct worker_task *task)
{
    pthread_mutex_lock(&worker->mutex);
    worker_append(&worker->todo, task);
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->mutex);
}

struct worker_task *worker_take(struct worker *worker)
{
    struct worker_task *task;

    pthread_mutex_lock(&worker->mutex);
    task = worker_remove(&worker->done);
    pthread_mutex_unlock(&worker->mutex);
    return task;
}

void worker_wait(struct worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    while (worker->busy || worker->todo.first != NULL)
        pthread_cond_wait(&worker->changed, &worker->mutex);
    pthread_mutex_unlock(&worker->mutex);
}
