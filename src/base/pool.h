// pool: a fixed set of threads that run one job at a time, split by thread index or by claiming
// pieces. The caller is thread 0. A job must give the same result however many threads share it: split
// over outputs, never over a sum. Depends on error, cpu, clock.
#pragma once

#include "base/error.h"

#include <stdatomic.h>

typedef struct Pool Pool;
// Does thread `index` of `count`'s share of the job.
typedef void (*PoolFn)(void *job, int index, int count);

// n_threads 0: one per core that the process may use.
Pool *pool_new(int n_threads, zaya_error *err);
void pool_free(Pool *p);
int pool_threads(const Pool *p);
// Runs fn on every thread and returns when all are done. One caller at a time (serialised inside).
void pool_run(Pool *p, PoolFn fn, void *job);
// Counts, from now on and from zero, the time that callers wait for the other threads to finish.
void pool_count_waiting(Pool *p, bool on);
double pool_waited(const Pool *p); // seconds

typedef struct PoolRange {
  size_t begin, end;
} PoolRange;
// The share of thread `index` of [0, n), in multiples of `unit` (the last share takes the rest).
PoolRange pool_share(size_t n, size_t unit, int index, int count);

// For jobs whose threads may not all be as fast: each takes the next piece of [0, n) until none is left.
// Pieces are large at first and small at the end. One PoolClaim a job, zeroed before it.
typedef struct PoolClaim {
  atomic_size_t next;
} PoolClaim;
// The next piece for one of `count` threads, of at least `least` (but for the last); false when none is left.
bool pool_claim(PoolClaim *c, size_t n, size_t least, int count, PoolRange *out);
