// store: the prefix cache on disk: restarts, damage, crashes in the middle of writing, several processes, the
// limit.
#include "test.h"

#include "engines.h"

#include "engine/store_impl.h"
#include "kernels/kern.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char dir[64];
static StateShape shape = {
    .kv = KV_F16, .n_attn = 2, .kv_width = 16, .kv_heads = 2, .channels = 12, .hidden = 8};

static int setup(void **state) {
  (void)state;
  strcpy(dir, "/tmp/zaya-store-XXXXXX");
  return mkdtemp(dir) ? 0 : -1;
}

// Calls fn with each file's path; returns how many there are.
static size_t each_file(void (*fn)(const char *path, void *arg), void *arg) {
  DIR *d = opendir(dir);
  size_t n = 0;
  for (const struct dirent *e; d && (e = readdir(d));) {
    char path[400];
    if (e->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    if (fn) fn(path, arg);
    n++;
  }
  if (d) closedir(d);
  return n;
}

static void remove_file(const char *path, void *arg) {
  (void)arg;
  unlink(path);
}

static int teardown(void **state) {
  (void)state;
  each_file(remove_file, NULL);
  return rmdir(dir);
}

static Store *start_store(uint64_t identity, uint64_t limit) {
  zaya_error err = {0};
  Store *s = store_open(dir, &shape, identity, limit, &err);
  if (!s) fail_msg("%s", err.message);
  return s;
}

static void pause_ms(long ms) { nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL); }

// Content that follows from a number.
static void make_ids(unsigned seed, int32_t ids[KERN_BLOCK]) {
  for (unsigned i = 0; i < KERN_BLOCK; i++) ids[i] = (int32_t)(seed * 1000 + i);
}

static Page *make_page(unsigned seed) {
  const size_t bytes = state_page_bytes(&shape);
  Page *p = page_new(bytes, false, NULL);
  for (size_t i = 0; i < bytes; i++) p->data[i] = (unsigned char)(i * 7 + seed);
  return p;
}

static void put(Store *s, unsigned seed, size_t n) {
  int32_t ids[KERN_BLOCK];
  float cca[2 * (2 * 12 + 8)];
  const StoreKey root = store_root();
  Page *p = make_page(seed);
  make_ids(seed, ids);
  for (size_t i = 0; i < sizeof cca / sizeof *cca; i++) cca[i] = (float)(seed + i);
  store_put(s, &root, ids, n, p, cca);
  page_drop(p);
}

// Whether it is there; what is there is right.
static bool get(Store *s, unsigned seed, size_t n) {
  int32_t ids[KERN_BLOCK];
  const StoreKey root = store_root();
  const size_t row = state_row_bytes(&shape);
  Page *page;
  float *cca;
  make_ids(seed, ids);
  if (store_find(s, &root, ids, n) != n || !store_load(s, &root, ids, n, &page, &cca)) return false;
  Page *want = make_page(seed);
  for (size_t i = 0; i < state_strips(&shape); i++) {
    const KvStrip found = state_strip(&shape, page, i), put_in = state_strip(&shape, want, i);
    assert_memory_equal(found.rows, put_in.rows, n * row);
    if (found.scales) assert_memory_equal(found.scales, put_in.scales, n * sizeof *found.scales);
  }
  for (size_t i = 0; i < state_cca_floats(&shape); i++) assert_true(cca[i] == (float)(seed + i));
  page_drop(want);
  page_drop(page);
  free(cca);
  return true;
}

static void keeps_scales_too(void **state) {
  (void)state;
  const StateShape before = shape;
  shape.kv = KV_Q8;
  Store *s = start_store(1, 1 << 30);
  put(s, 1, KERN_BLOCK);
  put(s, 2, 17);
  store_flush(s);
  assert_true(get(s, 1, KERN_BLOCK));
  assert_true(get(s, 2, 17));
  store_close(s);
  shape = before;
  s = start_store(1, 1 << 30); // the files of another kind of cache are not taken
  assert_false(get(s, 1, KERN_BLOCK));
  store_close(s);
}

static void finds_again_what_was_put(void **state) {
  (void)state;
  Store *s = start_store(1, 1 << 30);
  put(s, 1, KERN_BLOCK);
  put(s, 2, 17);
  put(s, 2, 17); // once more
  store_flush(s);
  assert_int_equal(store_stats(s).writes, 2);
  assert_true(get(s, 1, KERN_BLOCK));
  store_close(s);
  assert_int_equal(each_file(NULL, NULL), 2);
  s = start_store(1, 1 << 30);
  Store *other = start_store(2, 1 << 30); // another model's
  assert_true(get(s, 1, KERN_BLOCK));
  assert_true(get(s, 2, 17));
  assert_false(get(s, 3, 17));
  assert_false(get(other, 1, KERN_BLOCK));
  int32_t ids[KERN_BLOCK];
  make_ids(2, ids);
  const StoreKey root = store_root();
  assert_int_equal(store_find(s, &root, ids, 16), 0);
  assert_int_equal(store_find(s, &root, ids, 100), 17);
  store_close(other);
  store_close(s);
}

static void flip(const char *path, void *arg) {
  const long at = *(long *)arg;
  FILE *f = fopen(path, "r+b");
  fseek(f, at, at < 0 ? SEEK_END : SEEK_SET);
  const int c = fgetc(f);
  fseek(f, at, at < 0 ? SEEK_END : SEEK_SET);
  fputc(c ^ 16, f);
  fclose(f);
}

static void cut(const char *path, void *arg) { assert_int_equal(truncate(path, *(long *)arg), 0); }

static void damage_is_never_read(void **state) {
  (void)state;
  const long size = (long)store_file_bytes(&shape, 40);
  Store *s = start_store(1, 1 << 30);
  for (long at = -1; at < size; at += at < 200 ? 1 : 97) {
    put(s, 5, 40);
    store_flush(s);
    assert_true(get(s, 5, 40));
    each_file(flip, &at);
    if (get(s, 5, 40)) fail_msg("byte %ld was flipped and nobody noticed", at);
    assert_int_equal(each_file(NULL, NULL), 0); // and it is gone
  }
  for (long at = 0; at < size; at += 313) {
    put(s, 5, 40);
    store_flush(s);
    each_file(cut, &at);
    assert_false(get(s, 5, 40));
    assert_int_equal(each_file(NULL, NULL), 0);
  }
  store_close(s);
}

static void strange_files_are_left_alone(void **state) {
  (void)state;
  static const char *const names[] = {"notes.txt", "0000000000000001-zz.zkv", "x.zkv", "zkv-tmp"};
  for (size_t i = 0; i < 4; i++) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    fclose(fopen(path, "w"));
  }
  Store *s = start_store(1, 0); // a limit that nothing fits
  put(s, 1, 9);
  store_flush(s);
  assert_false(get(s, 1, 9));
  store_close(s);
  assert_int_equal(each_file(NULL, NULL), 4);
}

static void the_limit_drops_what_was_used_longest_ago(void **state) {
  (void)state;
  const uint64_t one = store_file_bytes(&shape, 100);
  Store *s = start_store(1, 5 * one);
  for (unsigned i = 0; i < 8; i++) {
    put(s, i, 100);
    store_flush(s);
    pause_ms(20);                // the file system's clock
    assert_true(get(s, 0, 100)); // always in use
    pause_ms(20);
    assert_true(store_stats(s).bytes <= 5 * one);
  }
  assert_int_equal(each_file(NULL, NULL), 5);
  assert_true(get(s, 7, 100) && get(s, 6, 100));
  assert_false(get(s, 1, 100) || get(s, 2, 100));
  store_close(s);
}

// Killed at any moment: what has a name is whole, what has none yet goes.
static void a_crash_leaves_nothing_half(void **state) {
  (void)state;
  for (int round = 0; round < 8; round++) {
    const pid_t child = fork();
    if (child == 0) {
      Store *s = store_open(dir, &shape, 1, 1 << 30, NULL);
      for (unsigned i = 0; s && i < 100000; i++) {
        put(s, (unsigned)round * 1000 + i % 1000, 200);
        if (i % 16 == 15) store_flush(s);
      }
      _exit(0);
    }
    pause_ms(5 + 7 * round);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
  }
  char stale[128];
  snprintf(stale, sizeof stale, "%s/zkv-tmp-1-x-0", dir); // surely one
  FILE *f = fopen(stale, "w");
  fputs("half", f);
  fclose(f);
  Store *s = start_store(1, 1 << 30);
  size_t whole = 0;
  for (unsigned round = 0; round < 8; round++)
    for (unsigned i = 0; i < 1000; i++) {
      int32_t ids[KERN_BLOCK];
      const StoreKey root = store_root();
      make_ids(round * 1000 + i, ids);
      if (store_find(s, &root, ids, 200) == 0) break;
      assert_true(get(s, round * 1000 + i, 200)); // never one that has to be thrown away
      whole++;
    }
  assert_true(whole > 0);
  assert_int_equal(each_file(NULL, NULL), whole);
  store_close(s);
}

// Two processes write and read in one folder at a time.
static void processes_share_a_folder(void **state) {
  (void)state;
  pid_t child[2];
  for (unsigned c = 0; c < 2; c++)
    if (!(child[c] = fork())) {
      Store *s = store_open(dir, &shape, 1, 40 * store_file_bytes(&shape, 50), NULL);
      for (unsigned i = 0; s && i < 120; i++) {
        put(s, i + 30 * c, 50);
        get(s, i, 50); // fails the process when it is wrong
        if (i % 20 == 0) store_flush(s);
      }
      store_close(s);
      _exit(s ? 0 : 1);
    }
  for (unsigned c = 0; c < 2; c++) {
    int status;
    waitpid(child[c], &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  // One that was open all the time finds what another writes.
  Store *a = start_store(1, 1 << 30), *b = start_store(1, 1 << 30);
  assert_false(get(b, 7777, 50));
  pause_ms(20);
  put(a, 7777, 50);
  store_flush(a);
  assert_true(get(b, 7777, 50));
  store_close(a);
  store_close(b);
}

static void bad_folders_are_refused(void **state) {
  (void)state;
  zaya_error err = {0};
  assert_null(store_open("/proc/no/such", &shape, 1, 1, &err));
  assert_non_null(strstr(err.message, "/proc/no"));
}

static void an_engine_picks_up_after_a_restart(void **state) {
  (void)state;
  Nano nano = nano_open(1);
  EngineParams p = nano_params(&nano);
  p.cache_bytes = 64 << 20;
  p.cache_dir = dir;
  p.cache_dir_bytes = 1 << 30;
  Engine *e = engine_start(&p);
  Ask first = ask_ids(&nano, 1, 300), more = ask_ids(&nano, 2, 20), plain = ask_empty();
  first.p.max_tokens = 30;
  ask_run(&first, e);
  engine_free(e); // writes what waits
  ids_append(&plain.ids, first.ids.data, first.ids.len, NULL);
  ids_append(&plain.ids, first.out->taken.data, first.out->taken.len, NULL);
  ids_append(&plain.ids, more.ids.data, more.ids.len, NULL);
  Ask second = ask_empty(), third = ask_empty();
  ids_append(&second.ids, plain.ids.data, plain.ids.len, NULL);
  ids_append(&third.ids, plain.ids.data, plain.ids.len, NULL);
  e = engine_start(&p);
  ask_run(&second, e);
  EngineStats s;
  engine_settle(e);
  engine_stats(e, &s);
  assert_int_equal(second.out->cached, 300 + first.out->taken.len - 1);
  assert_int_equal(s.read_tokens, plain.ids.len - second.out->cached);
  assert_int_equal(s.store_hits, 2); // the page, and the end of the answer
  assert_true(s.store_bytes > 0);
  engine_free(e);
  p.identity++; // another bundle
  e = engine_start(&p);
  ask_run(&third, e);
  assert_int_equal(third.out->cached, 0);
  engine_free(e);
  p.cache_bytes = 0;
  e = engine_start(&p);
  ask_run(&plain, e);
  assert_int_equal(plain.out->cached, 0);
  assert_same_answer(second.out, plain.out);
  assert_same_answer(third.out, plain.out);
  engine_free(e);
  ask_free(&first);
  ask_free(&second);
  ask_free(&third);
  ask_free(&more);
  ask_free(&plain);
  nano_close(&nano);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(finds_again_what_was_put, setup, teardown),
      cmocka_unit_test_setup_teardown(keeps_scales_too, setup, teardown),
      cmocka_unit_test_setup_teardown(damage_is_never_read, setup, teardown),
      cmocka_unit_test_setup_teardown(strange_files_are_left_alone, setup, teardown),
      cmocka_unit_test_setup_teardown(the_limit_drops_what_was_used_longest_ago, setup, teardown),
      cmocka_unit_test_setup_teardown(a_crash_leaves_nothing_half, setup, teardown),
      cmocka_unit_test_setup_teardown(processes_share_a_folder, setup, teardown),
      cmocka_unit_test(bad_folders_are_refused),
      cmocka_unit_test_setup_teardown(an_engine_picks_up_after_a_restart, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
