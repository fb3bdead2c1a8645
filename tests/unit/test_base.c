// base: errors, buffers, checked sizes, the thread pool.
#include "data.h"
#include "test.h"

#include "base/buf.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/pool.h"
#include "base/size.h"
#include "base/warm.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void first_failure_wins(void **state) {
  (void)state;
  zaya_error err = {0};
  assert_false(err_set(&err, ZAYA_E_IO, "first %d", 1));
  err_set(&err, ZAYA_E_MEMORY, "second");
  assert_int_equal(err.status, ZAYA_E_IO);
  assert_string_equal(err.message, "first 1");
  err_context(&err, "file %s", "x");
  assert_string_equal(err.message, "file x: first 1");
  assert_string_equal(zaya_status_name(err.status), "input/output error");
  zaya_error_clear(&err);
  assert_int_equal(err.status, ZAYA_OK);
  assert_false(err_set(NULL, ZAYA_E_IO, "nobody listens"));
  err_set(&err, ZAYA_E_IO, "one\nline%c", '\t');
  assert_string_equal(err.message, "one line ");
}

static void long_messages_are_cut(void **state) {
  (void)state;
  zaya_error err = {0};
  char big[4096];
  memset(big, 'a', sizeof big - 1);
  big[sizeof big - 1] = '\0';
  err_set(&err, ZAYA_E_IO, "%s", big);
  err_context(&err, "%s", big);
  assert_int_equal(strlen(err.message), sizeof err.message - 1);
}

static void buffers_grow(void **state) {
  (void)state;
  Buf b = {0};
  for (int i = 0; i < 1000; i++) assert_true(buf_printf(&b, NULL, "%d,", i));
  assert_int_equal(b.len, 10 * 2 + 90 * 3 + 900 * 4);
  assert_int_equal(b.data[b.len], '\0');
  buf_clear(&b);
  assert_true(buf_puts(&b, "", NULL));
  assert_string_equal(b.data, "");
  buf_free(&b);
  zaya_ids ids = {0};
  for (int i = 0; i < 1000; i++) assert_true(ids_add(&ids, i, NULL));
  assert_int_equal(ids.len, 1000);
  assert_int_equal(ids.data[999], 999);
  zaya_ids_free(&ids);
}

static void sizes_do_not_wrap(void **state) {
  (void)state;
  size_t n = 7;
  assert_false(size_mul(SIZE_MAX / 2, 3, &n));
  assert_false(size_add(SIZE_MAX, 1, &n));
  assert_int_equal(n, 7);
  assert_true(size_mul(3, 4, &n));
  assert_int_equal(n, 12);
}

typedef struct Count {
  atomic_int calls[8];
  int seen_count;
} Count;

static void count_call(void *job, int index, int count) {
  Count *c = job;
  atomic_fetch_add(&c->calls[index], 1);
  if (index == 0) c->seen_count = count;
}

static void pool_runs_every_share_once(void **state) {
  (void)state;
  for (int n = 1; n <= 4; n++) {
    Pool *p = pool_new(n, NULL);
    assert_non_null(p);
    Count c = {0};
    for (int i = 0; i < 500; i++) pool_run(p, count_call, &c);
    for (int i = 0; i < 8; i++) assert_int_equal(atomic_load(&c.calls[i]), i < n ? 500 : 0);
    assert_int_equal(c.seen_count, n);
    pool_free(p);
  }
}

static void nap(long milliseconds) { nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL); }

// Jobs after pauses that send the workers to sleep, and in which one thread is late.
static void late_call(void *job, int index, int count) {
  if (index == count - 1) nap(3);
  count_call(job, index, count);
}

static void pool_wakes_and_waits(void **state) {
  (void)state;
  Pool *p = pool_new(3, NULL);
  Count c = {0};
  for (int i = 0; i < 20; i++) {
    nap(3);
    pool_run(p, i % 2 ? late_call : count_call, &c);
    for (int k = 0; k < 3; k++) assert_int_equal(atomic_load(&c.calls[k]), i + 1);
  }
  pool_free(p);
}

static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void idle_pool_uses_no_time(void **state) {
  (void)state;
  Pool *p = pool_new(4, NULL);
  Count c = {0};
  pool_run(p, count_call, &c);
  double used = 1;
  for (int i = 0; i < 200 && used > 1e-3; i++) { // soon, on however busy a machine
    const double start = cpu_seconds();
    nap(50);
    used = cpu_seconds() - start;
  }
  assert_true(used <= 1e-3);
  pool_free(p);
}

typedef struct Claims {
  PoolClaim claim;
  size_t n, least;
  atomic_int small, taken[1000];
} Claims;

static void claim_all(void *job, int index, int count) {
  Claims *c = job;
  PoolRange r;
  while (pool_claim(&c->claim, c->n, c->least, index, count, &r)) {
    if (r.end - r.begin < c->least) atomic_fetch_add(&c->small, 1);
    for (size_t i = r.begin; i < r.end; i++) atomic_fetch_add(&c->taken[i], 1);
  }
}

static void claims_cover_the_range_once(void **state) {
  (void)state;
  for (int threads = 1; threads <= 4; threads++) {
    Pool *p = pool_new(threads, NULL);
    for (size_t n = 0; n <= 1000; n += 125)
      for (size_t least = 1; least < 9; least += 3) {
        Claims c = {.n = n, .least = least};
        pool_run(p, claim_all, &c);
        for (size_t i = 0; i < n; i++) assert_int_equal(atomic_load(&c.taken[i]), 1);
        assert_true(atomic_load(&c.small) <= 1);
      }
    pool_free(p);
  }
}

// Thread 0 goes through its own half from the beginning, then takes the other one from its end.
static void claims_go_on_where_they_are(void **state) {
  (void)state;
  enum { N = 1024, LEAST = 4 };
  PoolClaim c = {0};
  PoolRange r;
  size_t at = 0;
  for (; at < N / 2; at = r.end) {
    assert_true(pool_claim(&c, N, LEAST, 0, 2, &r));
    assert_int_equal(r.begin, at);
  }
  assert_int_equal(at, N / 2);
  for (at = N; at > N / 2; at = r.begin) {
    assert_true(pool_claim(&c, N, LEAST, 0, 2, &r));
    assert_int_equal(r.end, at);
  }
  assert_false(pool_claim(&c, N, LEAST, 0, 2, &r));
  assert_false(pool_claim(&c, N, LEAST, 1, 2, &r));
}

static void shares_cover_the_range(void **state) {
  (void)state;
  for (size_t n = 0; n < 100; n += 7)
    for (int count = 1; count < 6; count++) {
      size_t at = 0;
      for (int i = 0; i < count; i++) {
        PoolRange r = pool_share(n, 4, i, count);
        assert_int_equal(r.begin, at);
        assert_true(r.begin % 4 == 0 || r.begin == n);
        at = r.end;
      }
      assert_int_equal(at, n);
    }
}

// Kilobytes of a file's map that this process has mapped pages for; -1 where the system does not say.
static long mapped_kib(const char *path) {
  char line[512];
  long kib = -1;
  bool here = false;
  FILE *f = fopen("/proc/self/smaps", "r");
  while (f && fgets(line, sizeof line, f)) {
    if (strstr(line, path)) here = true;
    if (here && sscanf(line, "Rss: %ld kB", &kib) == 1) break;
  }
  if (f) fclose(f);
  return kib;
}

enum { WARM_BYTES = 40 << 20 }; // more than two pieces

static void maps_are_brought_into_memory(void **state) {
  (void)state;
  char dir[64], path[4096];
  data_scratch(dir, sizeof dir);
  data_path(path, dir, "map");
  const int fd = open(path, O_RDWR | O_CREAT, 0600);
  assert_true(fd >= 0);
  assert_int_equal(ftruncate(fd, WARM_BYTES), 0);
  zaya_error err = {0};
  Map m;
  assert_true(map_open(&m, path, &err));
  Warm *w = warm_start(&m, 1);
  const struct timespec moment = {.tv_nsec = 10000000};
  const bool can = w && cpu_fetch_pages(m.data, 1); // older systems cannot
  for (int i = 0; can && mapped_kib(path) < WARM_BYTES / 1024 && i < 3000; i++) nanosleep(&moment, NULL);
  if (can) assert_int_equal(mapped_kib(path), WARM_BYTES / 1024);
  warm_stop(w);
  assert_int_equal(ftruncate(fd, 0), 0); // what the map promised is gone: no signal, no endless thread
  warm_stop(warm_start(&m, 1));
  map_close(&m);
  close(fd);
  data_remove(dir);
}

static void what_does_not_fit_is_left(void **state) {
  (void)state;
  const Map huge[] = {{(const uint8_t *)"", SIZE_MAX / 2}, {(const uint8_t *)"", SIZE_MAX - 4}};
  assert_null(warm_start(huge, 1));
  assert_null(warm_start(huge, 2)); // the sum would wrap
  warm_stop(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(first_failure_wins),
      cmocka_unit_test(long_messages_are_cut),
      cmocka_unit_test(buffers_grow),
      cmocka_unit_test(sizes_do_not_wrap),
      cmocka_unit_test(pool_runs_every_share_once),
      cmocka_unit_test(pool_wakes_and_waits),
      cmocka_unit_test(idle_pool_uses_no_time),
      cmocka_unit_test(claims_cover_the_range_once),
      cmocka_unit_test(claims_go_on_where_they_are),
      cmocka_unit_test(shares_cover_the_range),
      cmocka_unit_test(maps_are_brought_into_memory),
      cmocka_unit_test(what_does_not_fit_is_left),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
