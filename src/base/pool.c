// pool: see pool.h. Workers spin briefly for the next job, then sleep: a forward pass hands out
// hundreds of short jobs in a row, and an idle process must cost nothing.
#include "base/pool.h"

#include "base/cpu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SPIN_ROUNDS = 2000 }; // some tens of microseconds

typedef struct Worker {
  struct Pool *pool;
  pthread_t thread;
  int index;
} Worker;

struct Pool {
  int n_threads;
  int n_started; // workers that run, without the caller
  Worker *workers;
  pthread_mutex_t caller; // one job at a time
  pthread_mutex_t lock;
  pthread_cond_t wake, done;
  PoolFn fn;
  void *job;
  atomic_uint ticket; // counts jobs; a worker runs when it changes
  atomic_int unfinished;
  bool stop;
};

static void wait_for_ticket(Pool *p, unsigned seen) {
  for (int i = 0; i < SPIN_ROUNDS; i++) {
    if (atomic_load_explicit(&p->ticket, memory_order_acquire) != seen) return;
    cpu_relax();
  }
  pthread_mutex_lock(&p->lock);
  while (atomic_load_explicit(&p->ticket, memory_order_acquire) == seen)
    pthread_cond_wait(&p->wake, &p->lock);
  pthread_mutex_unlock(&p->lock);
}

static void *worker_main(void *arg) {
  Worker *w = arg;
  Pool *p = w->pool;
  unsigned seen = 0;
  for (;;) {
    wait_for_ticket(p, seen);
    seen++;
    if (p->stop) return NULL;
    p->fn(p->job, w->index, p->n_threads);
    if (atomic_fetch_sub_explicit(&p->unfinished, 1, memory_order_acq_rel) == 1) {
      pthread_mutex_lock(&p->lock);
      pthread_cond_signal(&p->done);
      pthread_mutex_unlock(&p->lock);
    }
  }
}

// Announces a job (or the stop) to all workers.
static void announce(Pool *p) {
  atomic_store_explicit(&p->unfinished, p->n_started, memory_order_relaxed);
  pthread_mutex_lock(&p->lock);
  atomic_fetch_add_explicit(&p->ticket, 1, memory_order_release);
  pthread_cond_broadcast(&p->wake);
  pthread_mutex_unlock(&p->lock);
}

static void wait_until_done(Pool *p) {
  for (int i = 0; i < SPIN_ROUNDS; i++) {
    if (atomic_load_explicit(&p->unfinished, memory_order_acquire) == 0) return;
    cpu_relax();
  }
  pthread_mutex_lock(&p->lock);
  while (atomic_load_explicit(&p->unfinished, memory_order_acquire) != 0)
    pthread_cond_wait(&p->done, &p->lock);
  pthread_mutex_unlock(&p->lock);
}

Pool *pool_new(int n_threads, zaya_error *err) {
  if (n_threads <= 0) n_threads = cpu_count();
  Pool *p = calloc(1, sizeof *p);
  Worker *workers = calloc((size_t)n_threads, sizeof *workers);
  if (!p || !workers) {
    free(p);
    free(workers);
    err_memory(err, sizeof *p, "the thread pool");
    return NULL;
  }
  p->n_threads = n_threads;
  p->workers = workers;
  pthread_mutex_init(&p->caller, NULL);
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->wake, NULL);
  pthread_cond_init(&p->done, NULL);
  for (int i = 1; i < n_threads; i++) {
    Worker *w = &workers[i];
    *w = (Worker){.pool = p, .index = i};
    int rc = pthread_create(&w->thread, NULL, worker_main, w);
    if (rc) {
      err_errno(err, rc, "cannot start thread %d of %d", i + 1, n_threads);
      pool_free(p);
      return NULL;
    }
    p->n_started++;
  }
  return p;
}

void pool_free(Pool *p) {
  if (!p) return;
  p->stop = true;
  announce(p);
  for (int i = 1; i <= p->n_started; i++) pthread_join(p->workers[i].thread, NULL);
  pthread_cond_destroy(&p->wake);
  pthread_cond_destroy(&p->done);
  pthread_mutex_destroy(&p->lock);
  pthread_mutex_destroy(&p->caller);
  free(p->workers);
  free(p);
}

int pool_threads(const Pool *p) { return p->n_threads; }

void pool_run(Pool *p, PoolFn fn, void *job) {
  pthread_mutex_lock(&p->caller);
  if (p->n_started) {
    p->fn = fn;
    p->job = job;
    announce(p);
  }
  fn(job, 0, p->n_threads);
  if (p->n_started) wait_until_done(p);
  pthread_mutex_unlock(&p->caller);
}

PoolRange pool_share(size_t n, size_t unit, int index, int count) {
  size_t units = (n + unit - 1) / unit;
  size_t begin = units * (size_t)index / (size_t)count * unit;
  size_t end = units * (size_t)(index + 1) / (size_t)count * unit;
  return (PoolRange){begin < n ? begin : n, end < n ? end : n};
}
