// measure: zaya_model_profile and zaya_model_limits: where time goes, and what the machine could do.
#include "api/handles.h"
#include "base/clock.h"
#include "base/cpu.h"

#include <stdlib.h>
#include <string.h>

const char *zaya_part_name(zaya_part part) {
  static const char *const names[] = {
#define PART_NAME(name, text) text,
      ZAYA_PART_LIST(PART_NAME)
#undef PART_NAME
  };
  return part < ZAYA_PARTS ? names[part] : "?";
}

void zaya_model_profile(zaya_model *m, bool on) {
  pthread_mutex_lock(&m->lock);
  m->forward.profile = (Profile){.on = on};
  pool_count_waiting(m->pool, on);
  pthread_mutex_unlock(&m->lock);
}

zaya_profile zaya_model_get_profile(const zaya_model *m) {
  zaya_profile p = m->forward.profile.sums;
  p.waiting = pool_waited(m->pool);
  return p;
}

enum { LARGE_PAGE = 1 << 21, READ_BYTES = 1 << 30, READ_UNIT = 1 << 20, PEAK_ROUNDS = 20000 };

typedef struct LimitsJob {
  const Kern *kern;
  uint8_t *buffer; // READ_BYTES
  _Atomic uint64_t sink;
} LimitsJob;

static void fill_share(void *arg, int index, int count) {
  const LimitsJob *j = arg;
  const PoolRange r = pool_share(READ_BYTES, READ_UNIT, index, count);
  // No two pages alike: equal ones may be kept once, by the system or by a host, and come from a cache.
  uint64_t x = (uint64_t)index;
  for (size_t i = r.begin; i < r.end; i += sizeof x) {
    x = x * 6364136223846793005u + 1442695040888963407u; // Knuth's MMIX
    memcpy(j->buffer + i, &x, sizeof x);
  }
}

static void read_share(void *arg, int index, int count) {
  LimitsJob *j = arg;
  const PoolRange r = pool_share(READ_BYTES, READ_UNIT, index, count);
  j->sink += j->kern->read(j->buffer + r.begin, r.end - r.begin);
}

static void int8_share(void *arg, int index, int count) {
  LimitsJob *j = arg;
  (void)index;
  (void)count;
  j->sink += (uint64_t)j->kern->peak_int8(PEAK_ROUNDS);
}

static void float_share(void *arg, int index, int count) {
  LimitsJob *j = arg;
  (void)index;
  (void)count;
  j->sink += (uint64_t)j->kern->peak_f32(PEAK_ROUNDS);
}

// Runs fn once and keeps the best of amount / time in *best.
static void rate(Pool *pool, PoolFn fn, LimitsJob *j, double amount, double *best) {
  const double start = clock_now();
  pool_run(pool, fn, j);
  const double r = amount / (clock_now() - start);
  if (r > *best) *best = r;
}

bool zaya_model_limits(zaya_model *m, double seconds, zaya_limits *out, zaya_error *err) {
  LimitsJob job = {.kern = m->forward.linear.kern};
  void *buffer;
  if (posix_memalign(&buffer, LARGE_PAGE, READ_BYTES))
    return err_memory(err, READ_BYTES, "measuring how fast memory is read");
  cpu_large_pages(buffer, READ_BYTES); // the page cache holds weights in large pieces too
  job.buffer = buffer;
  *out = (zaya_limits){0};
  pthread_mutex_lock(&m->lock);
  pool_run(m->pool, fill_share, &job);
  const double ops = (double)PEAK_ROUNDS * KERN_PEAK_OPS * pool_threads(m->pool), start = clock_now();
  do {
    rate(m->pool, read_share, &job, READ_BYTES, &out->read_bytes);
    rate(m->pool, int8_share, &job, ops, &out->int8_ops);
    rate(m->pool, float_share, &job, ops, &out->float32_ops);
  } while (clock_now() - start < seconds);
  pthread_mutex_unlock(&m->lock);
  free(job.buffer);
  return true;
}
