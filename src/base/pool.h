// pool: a fixed set of threads that run one job at a time, split by thread index or by claiming
// pieces. The caller is thread 0. A job must give the same result however many threads share it: split
// over outputs, never over a sum. Depends on error, cpu, clock.
#pragma once

#include "base/error.h"

#include <stdalign.h>
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

// For jobs whose threads may not all be as fast. [0, n), n < 2^32, is cut into runs, one for each thread as
// long as there are enough of them. A thread takes pieces of its own run one behind the other, large ones
// first, so that it reads on where it is; then what is left at the end of others' runs. One PoolClaim a job,
// zeroed before it.
enum { POOL_RUNS = 8 };
typedef struct PoolClaim {
  struct {
    alignas(64) atomic_uint_least64_t taken; // in a cache line of its own
  } run[POOL_RUNS];
} PoolClaim;
// The next piece for thread `index` of `count`, of at least `least` unless it ends a run; false when none is
// left.
bool pool_claim(PoolClaim *c, size_t n, size_t least, int index, int count, PoolRange *out);
