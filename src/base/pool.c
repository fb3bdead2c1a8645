// pool: see pool.h. A forward pass hands out hundreds of short jobs a token, with short serial stretches
// between them, and waking a sleeping thread takes longer than most of those jobs. So a worker that
// has nothing to do keeps looking for about a millisecond, which bridges the gaps inside a step and most
// of those between steps, and then sleeps: an idle process costs nothing. While it looks it lets others
// run on its core, so that a machine with more to do than cores loses little.
#include "base/pool.h"

#include "base/clock.h"
#include "base/cpu.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64, PAUSES = 32 };
#define SPIN_ALONE 50e-6 // seconds that a thread looks before it begins to let others run in between
#define SPIN_LIMIT 1e-3  // seconds after which it sleeps

typedef struct Worker {
  struct Pool *pool;
  pthread_t thread;
  int index;
} Worker;

// What one thread writes and others watch lies in a cache line of its own.
struct Pool {
  alignas(LINE) atomic_uint ticket; // counts jobs; a worker runs when it changes
  PoolFn fn;                        // of the present job
  void *job;
  alignas(LINE) atomic_uint unfinished; // workers that still run the present job
  alignas(LINE) atomic_uint sleepers;   // workers asleep, or about to be
  atomic_bool caller_sleeps;
  alignas(LINE) int n_threads;
  int n_started; // workers that run, without the caller
  Worker *workers;
  pthread_mutex_t caller; // one job at a time
  pthread_mutex_t lock;   // for going to sleep
  pthread_cond_t wake, done;
  bool stop, count_waiting;
  double waited;
};

// Looks at *v until it is `value` or, with `differs`, is not. False after SPIN_LIMIT.
static bool spin(const atomic_uint *v, unsigned value, bool differs) {
  double start = 0;
  for (;;) {
    for (int i = 0; i < PAUSES; i++) {
      if ((atomic_load_explicit(v, memory_order_acquire) != value) == differs) return true;
      cpu_relax();
    }
    const double now = clock_now();
    if (start == 0) start = now;
    if (now - start > SPIN_LIMIT) return false;
    if (now - start > SPIN_ALONE) cpu_yield();
  }
}

// A sleeper says so before it looks for the last time, and whoever has news looks for sleepers after
// giving it: in one order of all four (seq_cst), one of the two sees the other.
static void wait_for_ticket(Pool *p, unsigned seen) {
  if (spin(&p->ticket, seen, true)) return;
  pthread_mutex_lock(&p->lock);
  atomic_fetch_add(&p->sleepers, 1);
  while (atomic_load(&p->ticket) == seen) pthread_cond_wait(&p->wake, &p->lock);
  atomic_fetch_sub(&p->sleepers, 1);
  pthread_mutex_unlock(&p->lock);
}

// Announces a job (or the stop) to all workers.
static void announce(Pool *p) {
  atomic_store_explicit(&p->unfinished, (unsigned)p->n_started, memory_order_relaxed);
  atomic_fetch_add(&p->ticket, 1);
  if (!atomic_load(&p->sleepers)) return;
  pthread_mutex_lock(&p->lock);
  pthread_cond_broadcast(&p->wake);
  pthread_mutex_unlock(&p->lock);
}

static void finish(Pool *p) {
  if (atomic_fetch_sub(&p->unfinished, 1) != 1 || !atomic_load(&p->caller_sleeps)) return;
  pthread_mutex_lock(&p->lock);
  pthread_cond_signal(&p->done);
  pthread_mutex_unlock(&p->lock);
}

static void wait_until_done(Pool *p) {
  if (spin(&p->unfinished, 0, false)) return;
  pthread_mutex_lock(&p->lock);
  atomic_store(&p->caller_sleeps, true);
  while (atomic_load(&p->unfinished)) pthread_cond_wait(&p->done, &p->lock);
  atomic_store(&p->caller_sleeps, false);
  pthread_mutex_unlock(&p->lock);
}

static void *worker_main(void *arg) {
  Worker *w = arg;
  Pool *p = w->pool;
  for (unsigned seen = 0;; seen++) {
    wait_for_ticket(p, seen);
    if (p->stop) return NULL;
    p->fn(p->job, w->index, p->n_threads);
    finish(p);
  }
}

static Pool *alloc_pool(int n_threads, zaya_error *err) {
  Pool *p = aligned_alloc(LINE, sizeof *p); // the size of an aligned struct is a multiple of its alignment
  Worker *workers = calloc((size_t)n_threads, sizeof *workers);
  if (!p || !workers) {
    free(p);
    free(workers);
    err_memory(err, sizeof *p, "the thread pool");
    return NULL;
  }
  memset(p, 0, sizeof *p);
  p->n_threads = n_threads;
  p->workers = workers;
  pthread_mutex_init(&p->caller, NULL);
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->wake, NULL);
  pthread_cond_init(&p->done, NULL);
  return p;
}

Pool *pool_new(int n_threads, zaya_error *err) {
  if (n_threads <= 0) n_threads = cpu_count();
  Pool *p = alloc_pool(n_threads, err);
  if (!p) return NULL;
  for (int i = 1; i < n_threads; i++) {
    Worker *w = &p->workers[i];
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
  if (p->n_started) {
    const double start = p->count_waiting ? clock_now() : 0;
    wait_until_done(p);
    if (p->count_waiting) p->waited += clock_now() - start;
  }
  pthread_mutex_unlock(&p->caller);
}

void pool_count_waiting(Pool *p, bool on) {
  pthread_mutex_lock(&p->caller);
  p->count_waiting = on;
  p->waited = 0;
  pthread_mutex_unlock(&p->caller);
}

double pool_waited(const Pool *p) { return p->waited; }

PoolRange pool_share(size_t n, size_t unit, int index, int count) {
  size_t units = (n + unit - 1) / unit;
  size_t begin = units * (size_t)index / (size_t)count * unit;
  size_t end = units * (size_t)(index + 1) / (size_t)count * unit;
  return (PoolRange){begin < n ? begin : n, end < n ? end : n};
}

enum { BACK_BIT = 32 }; // what was taken from a run: low half from its beginning, high half from its end

// Half of what is left of a run of n: from its beginning for those whose run it is, so that their pieces lie
// one behind the other, from its end for others.
static bool claim(atomic_uint_least64_t *taken, size_t n, size_t least, bool own, PoolRange *out) {
  uint64_t old = atomic_load_explicit(taken, memory_order_relaxed), new;
  do {
    const size_t front = (uint32_t)old, end = n - (size_t)(old >> BACK_BIT), left = end - front;
    if (left == 0) return false;
    size_t size = left / 2 / least * least;
    if (size < least) size = least < left ? least : left;
    *out = own ? (PoolRange){front, front + size} : (PoolRange){end - size, end};
    new = own ? old + size : old + ((uint64_t)size << BACK_BIT);
  } while (
      !atomic_compare_exchange_weak_explicit(taken, &old, new, memory_order_relaxed, memory_order_relaxed));
  return true;
}

bool pool_claim(PoolClaim *c, size_t n, size_t least, int index, int count, PoolRange *out) {
  const int runs = count < POOL_RUNS ? count : POOL_RUNS;
  for (int k = 0; k < runs; k++) {
    const int own = (index + k) % runs;
    const PoolRange run = pool_share(n, least, own, runs);
    if (!claim(&c->run[own].taken, run.end - run.begin, least, k == 0, out)) continue;
    out->begin += run.begin;
    out->end += run.begin;
    return true;
  }
  return false;
}
