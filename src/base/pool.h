// pool: a fixed set of threads that run one job at a time, split by thread index. The caller is
// thread 0. A job must give the same result however many threads share it: split over outputs,
// never over a sum. Depends on error.
#pragma once

#include "base/error.h"

typedef struct Pool Pool;
// Does thread `index` of `count`'s share of the job.
typedef void (*PoolFn)(void *job, int index, int count);

// n_threads 0: one per core that the process may use.
Pool *pool_new(int n_threads, zaya_error *err);
void pool_free(Pool *p);
int pool_threads(const Pool *p);
// Runs fn on every thread and returns when all are done. One caller at a time (serialised inside).
void pool_run(Pool *p, PoolFn fn, void *job);

typedef struct PoolRange {
  size_t begin, end;
} PoolRange;
// The share of thread `index` of [0, n), in multiples of `unit` (the last share takes the rest).
PoolRange pool_share(size_t n, size_t unit, int index, int count);
