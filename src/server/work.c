// work: see work.h.
#include "server/work.h"

#include <pthread.h>
#include <stdlib.h>

enum { MAX_THREADS = 16 };

typedef struct Task {
  struct Task *next;
  void (*fn)(void *arg);
  void *arg;
} Task;

struct Work {
  pthread_mutex_t mu;
  pthread_cond_t wake;
  Task *first, **last;
  bool stop;
  size_t n;
  pthread_t threads[MAX_THREADS];
};

static void *work_main(void *arg) {
  Work *w = arg;
  for (;;) {
    pthread_mutex_lock(&w->mu);
    while (!w->first && !w->stop) pthread_cond_wait(&w->wake, &w->mu);
    Task *t = w->first;
    if (t && !(w->first = t->next)) w->last = &w->first;
    pthread_mutex_unlock(&w->mu);
    if (!t) return NULL;
    t->fn(t->arg);
    free(t);
  }
}

Work *work_new(size_t threads, zaya_error *err) {
  Work *w = calloc(1, sizeof *w);
  if (!w) {
    err_memory(err, sizeof *w, "worker threads");
    return NULL;
  }
  w->last = &w->first;
  pthread_mutex_init(&w->mu, NULL);
  pthread_cond_init(&w->wake, NULL);
  for (; w->n < threads && w->n < MAX_THREADS; w->n++) {
    const int rc = pthread_create(&w->threads[w->n], NULL, work_main, w);
    if (!rc) continue;
    err_errno(err, rc, "cannot start a thread");
    work_free(w);
    return NULL;
  }
  return w;
}

void work_free(Work *w) {
  if (!w) return;
  pthread_mutex_lock(&w->mu);
  w->stop = true;
  pthread_cond_broadcast(&w->wake);
  pthread_mutex_unlock(&w->mu);
  for (size_t i = 0; i < w->n; i++) pthread_join(w->threads[i], NULL);
  pthread_mutex_destroy(&w->mu);
  pthread_cond_destroy(&w->wake);
  free(w);
}

bool work_post(Work *w, void (*fn)(void *arg), void *arg) {
  Task *t = malloc(sizeof *t);
  if (!t) return false;
  *t = (Task){.fn = fn, .arg = arg};
  pthread_mutex_lock(&w->mu);
  *w->last = t;
  w->last = &t->next;
  pthread_cond_signal(&w->wake);
  pthread_mutex_unlock(&w->mu);
  return true;
}
