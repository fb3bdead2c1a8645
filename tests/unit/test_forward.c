// forward: the goldens (MLX, float32) for every layout: logits, routes, states, greedy tokens; and
// that cutting the tokens, the threads, saving and rewinding change no bit.
#include "test.h"

#include "golden.h"

#include <math.h>

// What a feed traced, kept by name.
typedef struct Kept {
  char name[64];
  float *data;
  size_t n;
} Kept;

typedef struct KeptSet {
  Kept items[256];
  size_t len;
} KeptSet;

static void keep(void *user, const char *name, const float *data, int ndim, const size_t *shape) {
  KeptSet *set = user;
  const size_t n = ndim == 2 ? shape[0] * shape[1] : shape[0];
  Kept *k = set->items;
  while (k < set->items + set->len && strcmp(k->name, name)) k++;
  if (k == set->items + set->len) {
    assert_true(set->len < 256);
    *k = (Kept){0};
    snprintf(k->name, sizeof k->name, "%s", name);
    set->len++;
  }
  k->data = realloc(k->data, (k->n + n) * sizeof *data);
  memcpy(k->data + k->n, data, n * sizeof *data);
  k->n += n;
}

static const Kept *kept(const KeptSet *set, const char *what, int layer) {
  char name[64];
  snprintf(name, sizeof name, "layers.%d.%s", layer, what);
  for (size_t i = 0; i < set->len; i++)
    if (!strcmp(set->items[i].name, name)) return &set->items[i];
  fail_msg("%s was not traced", name);
  return NULL;
}

static void kept_free(KeptSet *set) {
  for (size_t i = 0; i < set->len; i++) free(set->items[i].data);
  set->len = 0;
}

static void close_to(const char *what, const Golden *g, const float *got, const StTensor *want, size_t n,
                     double tolerance) {
  assert_int_equal(n, golden_len(want));
  const float *w = golden_f32(want);
  double worst = 0;
  for (size_t i = 0; i < n; i++) {
    const double d = fabs((double)got[i] - w[i]);
    if (!(d <= worst)) worst = d; // a NaN counts as the worst
  }
  if (!(worst <= tolerance))
    fail_msg("%s/%s %s: off by %g, allowed %g", g->set, g->bundle, what, worst, tolerance);
}

// One model, opened once for a test over its prompts.
typedef struct Case {
  const Golden *g;
  zaya_model *model;
  StFile *data;
  size_t V;
  int L;
} Case;

static Case open_case(const Golden *g, int threads, bool exact) {
  Case c = {.g = g, .model = golden_model(g, threads, exact), .data = golden_data(g)};
  c.V = (size_t)zaya_model_get_info(c.model).vocab_size;
  c.L = zaya_model_get_info(c.model).n_layers;
  return c;
}

static void close_case(Case *c) {
  zaya_model_close(c->model);
  st_close(c->data);
}

static zaya_session *session(const Case *c, size_t cap) {
  zaya_error err = {0};
  zaya_session *s = zaya_session_new(c->model, cap, &err);
  if (!s) fail_msg("%s", err.message);
  return s;
}

static float *feed(const Case *c, zaya_session *s, const int32_t *ids, size_t n) {
  zaya_error err = {0};
  float *logits = malloc(n * c->V * sizeof *logits);
  if (!zaya_session_feed(s, ids, n, ZAYA_LOGITS_ALL, logits, &err)) fail_msg("%s", err.message);
  return logits;
}

static void check_routes(const Case *c, int p, const KeptSet *set) {
  for (int i = 1; i < c->L; i += 2) {
    const StTensor *want = golden_tensor(c->data, c->g, p, "router%d.choice", i);
    const Kept *got = kept(set, "route", i);
    assert_int_equal(got->n, golden_len(want));
    for (size_t t = 0; t < got->n; t++) assert_int_equal((int)got->data[t], golden_i32(want)[t]);
    const Kept *prob = kept(set, "route_prob", i);
    close_to("route_prob", c->g, prob->data, golden_tensor(c->data, c->g, p, "router%d.prob", i), prob->n,
             1e-4);
  }
}

static void check_state(const Case *c, int p, const KeptSet *set) {
  for (int i = 0; i < c->L; i += 2) {
    const Kept *conv = kept(set, "conv_state", i), *prev = kept(set, "prev_hs", i);
    close_to("conv_state", c->g, conv->data, golden_tensor(c->data, c->g, p, "cache%d.conv_state", i),
             conv->n, 1e-4);
    close_to("prev_hs", c->g, prev->data, golden_tensor(c->data, c->g, p, "cache%d.prev_hs", i), prev->n,
             1e-4);
  }
}

static void check_layers(const Case *c, const KeptSet *set) {
  for (int i = 0; i < c->L; i++) {
    const Kept *h = kept(set, "hidden", i), *r = kept(set, "residual", i);
    close_to("hidden", c->g, h->data, golden_tensor(c->data, c->g, 1, "layer%d.hidden", i), h->n, 5e-4);
    close_to("residual", c->g, r->data, golden_tensor(c->data, c->g, 1, "layer%d.residual", i), r->n, 5e-4);
  }
}

static void prefill_equals_goldens(void **state) {
  (void)state;
  for (int k = 0; k < N_GOLDENS; k++) {
    Case c = open_case(&goldens[k], 2, true);
    for (int p = 0; p < N_GOLDEN_PROMPTS; p++) {
      const StTensor *ids = golden_tensor(c.data, c.g, p, "tokens");
      const size_t n = golden_len(ids);
      KeptSet set = {0};
      zaya_session *s = session(&c, n);
      zaya_session_trace(s, keep, &set);
      float *logits = feed(&c, s, golden_i32(ids), n);
      zaya_session_trace_state(s, keep, &set);
      close_to("logits", c.g, logits, golden_tensor(c.data, c.g, p, "logits"), n * c.V, 5e-4);
      check_routes(&c, p, &set);
      check_state(&c, p, &set);
      if (p == 1) check_layers(&c, &set);
      kept_free(&set);
      free(logits);
      zaya_session_free(s);
    }
    close_case(&c);
  }
}

static int32_t best_of(const float *row, size_t V) {
  size_t best = 0;
  for (size_t i = 1; i < V; i++)
    if (row[i] > row[best]) best = i;
  return (int32_t)best;
}

static void check_decode_routes(const Case *c, int p, const KeptSet *set) {
  for (int i = 1; i < c->L; i += 2) {
    const StTensor *want = golden_tensor(c->data, c->g, p, "decode.router%d.choice", i);
    const Kept *got = kept(set, "route", i);
    assert_int_equal(got->n, GOLDEN_DECODE_STEPS);
    for (size_t t = 0; t < got->n; t++) assert_int_equal((int)got->data[t], golden_i32(want)[t]);
  }
}

static void greedy_tokens_equal_goldens(void **state) {
  (void)state;
  for (int k = 0; k < N_GOLDENS; k++) {
    Case c = open_case(&goldens[k], 1, true);
    for (int p = 0; p < N_GOLDEN_PROMPTS; p++) {
      const StTensor *ids = golden_tensor(c.data, c.g, p, "tokens");
      const int32_t *fed = golden_i32(golden_tensor(c.data, c.g, p, "decode.tokens"));
      const int32_t *next = golden_i32(golden_tensor(c.data, c.g, p, "decode.next"));
      const size_t n = golden_len(ids);
      KeptSet set = {0};
      zaya_session *s = session(&c, n + GOLDEN_DECODE_STEPS);
      float *logits = feed(&c, s, golden_i32(ids), n);
      int32_t token = best_of(logits + (n - 1) * c.V, c.V);
      float *all = malloc(GOLDEN_DECODE_STEPS * c.V * sizeof *all);
      zaya_session_trace(s, keep, &set);
      for (int i = 0; i < GOLDEN_DECODE_STEPS; i++) {
        assert_int_equal(token, fed[i]);
        float *row = feed(&c, s, &token, 1);
        memcpy(all + (size_t)i * c.V, row, c.V * sizeof *all);
        token = best_of(row, c.V);
        assert_int_equal(token, next[i]);
        free(row);
      }
      close_to("decode.logits", c.g, all, golden_tensor(c.data, c.g, p, "decode.logits"),
               GOLDEN_DECODE_STEPS * c.V, 5e-4);
      check_decode_routes(&c, p, &set);
      kept_free(&set);
      free(all);
      free(logits);
      zaya_session_free(s);
    }
    close_case(&c);
  }
}

// More ids than one step of the forward pass and several blocks of attention take.
enum { LONG = 530 };
static void fill_ids(const Case *c, int32_t *ids, int n) {
  uint32_t x = 12345;
  for (int i = 0; i < n; i++) {
    x = x * 1664525u + 1013904223u;
    ids[i] = (int32_t)((x >> 8) % (uint32_t)c->V);
  }
}

static void long_ids(const Case *c, int32_t *ids) { fill_ids(c, ids, LONG); }

static float *feed_in_chunks(const Case *c, zaya_session *s, const int32_t *ids, size_t n, size_t chunk) {
  float *all = malloc(n * c->V * sizeof *all);
  for (size_t at = 0; at < n; at += chunk) {
    const size_t step = n - at < chunk ? n - at : chunk;
    float *part = feed(c, s, ids + at, step);
    memcpy(all + at * c->V, part, step * c->V * sizeof *all);
    free(part);
  }
  return all;
}

// The same ids in every cut, with every number of threads: one set of bits, and one saved state.
static void check_cutting(const Golden *g, bool exact) {
  static const size_t chunks[] = {1, 5, 97, 128, 511, 512, 513, LONG};
  static int32_t ids[LONG];
  zaya_text first = {0};
  float *want = NULL;
  for (int threads = 1; threads <= 3; threads++) {
    Case c = open_case(g, threads, exact);
    long_ids(&c, ids);
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
      if (threads > 1 && i % 3 != 1) continue; // every cut on one thread, some on more
      zaya_session *s = session(&c, LONG);
      zaya_text saved = {0};
      float *got = feed_in_chunks(&c, s, ids, LONG, chunks[i]);
      assert_true(zaya_session_save(s, &saved, NULL));
      if (!want) {
        want = got;
        first = saved;
      } else {
        if (memcmp(got, want, LONG * c.V * sizeof *got))
          fail_msg("%s/%s: chunks of %zu on %d threads: other bits", g->set, g->bundle, chunks[i], threads);
        assert_int_equal(saved.len, first.len);
        assert_memory_equal(saved.data, first.data, saved.len);
        free(got);
        zaya_text_free(&saved);
      }
      zaya_session_free(s);
    }
    close_case(&c);
  }
  free(want);
  zaya_text_free(&first);
}

static void cutting_changes_no_bit(void **state) {
  (void)state;
  for (int k = 0; k < N_GOLDENS; k += 3) {
    check_cutting(&goldens[k], true);
    check_cutting(&goldens[k], false);
  }
}

// Behind so many positions that few tokens share them by blocks of the cache: one by one on several threads
// as together with the tokens before them.
static void shared_blocks_change_no_bit(void **state) {
  (void)state;
  enum { DEEP = 2110, LAST = 40, STEP = 512 };
  static int32_t ids[DEEP];
  float *want = NULL;
  for (int threads = 1; threads <= 3; threads++) {
    Case c = open_case(&goldens[3], threads, false);
    fill_ids(&c, ids, DEEP);
    zaya_session *s = session(&c, DEEP);
    const size_t before = DEEP - LAST;
    if (!want) want = feed_in_chunks(&c, s, ids, DEEP, STEP);
    zaya_session_reset(s);
    free(feed_in_chunks(&c, s, ids, before, STEP));
    for (size_t at = before, n; at < DEEP; at += n) {
      n = (at - before) % 3 ? 1 : 2;
      if (n > DEEP - at) n = DEEP - at;
      float *got = feed(&c, s, ids + at, n);
      if (memcmp(got, want + at * c.V, n * c.V * sizeof *got))
        fail_msg("token %zu, %zu together, on %d threads: other bits", at, n, threads);
      free(got);
    }
    zaya_session_free(s);
    close_case(&c);
  }
  free(want);
}

// Two prompts read on in one step, both behind whole blocks of the cache, so that the tokens which share a
// block end where the one sequence does: each as alone.
static void neighbours_share_no_block(void **state) {
  (void)state;
  enum { BEFORE = 300, MORE = 101 };
  for (int threads = 1; threads <= 2; threads++) {
    Case c = open_case(&goldens[3], threads, false);
    int32_t ids[2][BEFORE + MORE];
    zaya_session *s[2];
    float *want[2], *got[2];
    zaya_feed feeds[2];
    fill_ids(&c, ids[0], BEFORE + MORE);
    for (int i = 0; i < BEFORE + MORE; i++) ids[1][i] = ids[0][BEFORE + MORE - 1 - i];
    for (int k = 0; k < 2; k++) {
      s[k] = session(&c, BEFORE + MORE);
      want[k] = feed(&c, s[k], ids[k], BEFORE + MORE);
      zaya_session_reset(s[k]);
      free(feed(&c, s[k], ids[k], BEFORE));
      got[k] = malloc(MORE * c.V * sizeof(float));
      feeds[k] = (zaya_feed){
          .session = s[k], .ids = ids[k] + BEFORE, .n = MORE, .mode = ZAYA_LOGITS_ALL, .logits = got[k]};
    }
    zaya_error err = {0};
    if (!zaya_feed_many(feeds, 2, &err)) fail_msg("%s", err.message);
    for (int k = 0; k < 2; k++) {
      assert_memory_equal(got[k], want[k] + BEFORE * c.V, MORE * c.V * sizeof(float));
      zaya_session_free(s[k]);
      free(want[k]);
      free(got[k]);
    }
    close_case(&c);
  }
}

// Continues a session with the last ids and compares with what one uninterrupted session gave.
static void continues_bitwise(const Case *c, zaya_session *s, const int32_t *ids, size_t at,
                              const float *want) {
  float *got = feed(c, s, ids + at, LONG - at);
  assert_memory_equal(got, want + at * c->V, (LONG - at) * c->V * sizeof *got);
  free(got);
}

static void check_states(bool exact) {
  Case c = open_case(&goldens[3], 2, exact);
  static int32_t ids[LONG];
  long_ids(&c, ids);
  zaya_session *s = session(&c, LONG);
  float *want = feed(&c, s, ids, LONG);
  for (size_t at = 1; at < LONG; at += 139) {
    zaya_error err = {0};
    zaya_text saved = {0};
    zaya_session_reset(s);
    free(feed(&c, s, ids, at));
    assert_true(zaya_session_save(s, &saved, &err));
    zaya_session *clone = zaya_session_clone(s, &err), *loaded = session(&c, LONG);
    zaya_checkpoint *mark = zaya_session_checkpoint(s, &err);
    assert_non_null(clone);
    assert_non_null(mark);
    assert_true(zaya_session_load(loaded, saved.data, saved.len, &err));
    continues_bitwise(&c, s, ids, at, want);
    continues_bitwise(&c, clone, ids, at, want);
    continues_bitwise(&c, loaded, ids, at, want);
    assert_true(zaya_session_rewind(s, mark, &err));
    assert_int_equal(zaya_session_length(s), at);
    continues_bitwise(&c, s, ids, at, want);
    zaya_checkpoint_free(mark);
    zaya_session_free(clone);
    zaya_session_free(loaded);
    zaya_text_free(&saved);
  }
  free(want);
  zaya_session_free(s);
  close_case(&c);
}

static void states_continue_bitwise(void **state) {
  (void)state;
  check_states(true);
  check_states(false);
}

// Every single-byte damage, cut and foreign owner of a saved state is refused and changes nothing.
static void damaged_states_are_refused(void **state) {
  (void)state;
  Case a = open_case(&goldens[0], 1, false), other = open_case(&goldens[3], 1, false);
  zaya_session *s = session(&a, 16), *foreign = session(&other, 16), *small = session(&a, 4);
  zaya_text saved = {0};
  const int32_t ids[5] = {5, 6, 7, 8, 9};
  free(feed(&a, s, ids, 5));
  assert_true(zaya_session_save(s, &saved, NULL));
  zaya_error err = {0};
  assert_false(zaya_session_load(foreign, saved.data, saved.len, &err));
  assert_non_null(strstr(err.message, "another model"));
  zaya_error_clear(&err);
  assert_false(zaya_session_load(small, saved.data, saved.len, &err));
  assert_non_null(strstr(err.message, "5 tokens"));
  for (size_t cut = 0; cut < saved.len; cut += 997) assert_false(zaya_session_load(s, saved.data, cut, NULL));
  for (size_t i = 0; i < saved.len; i += 61) {
    saved.data[i] ^= 4;
    assert_false(zaya_session_load(s, saved.data, saved.len, NULL));
    saved.data[i] ^= 4;
  }
  assert_int_equal(zaya_session_length(s), 5);
  assert_true(zaya_session_load(s, saved.data, saved.len, NULL));
  zaya_text_free(&saved);
  zaya_session_free(s);
  zaya_session_free(small);
  zaya_session_free(foreign);
  close_case(&a);
  close_case(&other);
}

static void foreign_checkpoints_are_refused(void **state) {
  (void)state;
  Case a = open_case(&goldens[0], 1, false), other = open_case(&goldens[3], 1, false);
  zaya_session *s = session(&a, 16), *foreign = session(&other, 16);
  const int32_t ids[5] = {5, 6, 7, 8, 9}, others[5] = {5, 6, 4, 8, 9};
  zaya_error err = {0};
  free(feed(&a, s, ids, 5));
  zaya_checkpoint *mark = zaya_session_checkpoint(s, &err);
  assert_false(zaya_session_rewind(foreign, mark, &err));
  assert_non_null(strstr(err.message, "another model"));
  zaya_error_clear(&err);
  zaya_session_reset(s);
  assert_false(zaya_session_rewind(s, mark, &err));
  assert_non_null(strstr(err.message, "holds only 0"));
  zaya_error_clear(&err);
  free(feed(&a, s, others, 5));
  assert_false(zaya_session_rewind(s, mark, &err));
  assert_non_null(strstr(err.message, "are not those"));
  zaya_checkpoint_free(mark);
  zaya_session_free(s);
  zaya_session_free(foreign);
  close_case(&a);
  close_case(&other);
}

static void bad_feeds_leave_the_session_alone(void **state) {
  (void)state;
  Case c = open_case(&goldens[0], 1, false);
  zaya_session *s = session(&c, 8);
  const int32_t good[4] = {1, 2, 3, 4};
  int32_t bad[200] = {0};
  zaya_error err = {0};
  free(feed(&c, s, good, 4));
  bad[2] = (int32_t)c.V;
  assert_false(zaya_session_feed(s, bad, 3, ZAYA_LOGITS_NONE, NULL, &err));
  assert_non_null(strstr(err.message, "vocabulary"));
  zaya_error_clear(&err);
  bad[2] = -1;
  assert_false(zaya_session_feed(s, bad, 3, ZAYA_LOGITS_NONE, NULL, NULL));
  assert_false(zaya_session_feed(s, bad, 5, ZAYA_LOGITS_NONE, NULL, &err));
  assert_int_equal(err.status, ZAYA_E_LIMIT);
  assert_int_equal(zaya_session_length(s), 4);
  float *again = feed(&c, s, good, 4);
  zaya_session_reset(s);
  const int32_t all[8] = {1, 2, 3, 4, 1, 2, 3, 4};
  float *want = feed(&c, s, all, 8);
  assert_memory_equal(again, want + 4 * c.V, 4 * c.V * sizeof *want);
  free(again);
  free(want);
  zaya_session_free(s);
  zaya_error_clear(&err);
  assert_null(zaya_session_new(c.model, 1u << 30, &err));
  assert_int_equal(err.status, ZAYA_E_LIMIT);
  close_case(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(prefill_equals_goldens),
      cmocka_unit_test(greedy_tokens_equal_goldens),
      cmocka_unit_test(cutting_changes_no_bit),
      cmocka_unit_test(shared_blocks_change_no_bit),
      cmocka_unit_test(neighbours_share_no_block),
      cmocka_unit_test(states_continue_bitwise),
      cmocka_unit_test(damaged_states_are_refused),
      cmocka_unit_test(foreign_checkpoints_are_refused),
      cmocka_unit_test(bad_feeds_leave_the_session_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
