// sampler: every draw against a slow sampler that sorts everything, the shares of many draws, and edges.
#include "test.h"

#include "engine/gencfg.h"
#include "engine/sampler.h"

#include <float.h>
#include <math.h>

enum { V = 300 };

static uint64_t seed = 1442695040888963407u;
static uint32_t next_random(uint32_t n) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 33) % n;
}

// --- the documented generator, written again --------------------------------------------------------

typedef struct Xoshiro {
  uint64_t s[4];
} Xoshiro;

static uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

static uint64_t xoshiro_next(Xoshiro *x) {
  uint64_t *s = x->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
  s[2] ^= s[0], s[3] ^= s[1], s[1] ^= s[2], s[0] ^= s[3], s[2] ^= t, s[3] = rotl(s[3], 45);
  return result;
}

static uint64_t splitmix_next(uint64_t *x) {
  uint64_t z = (*x += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

static void the_generators_are_the_published_ones(void **state) {
  (void)state;
  Xoshiro x = {{1, 2, 3, 4}}; // the vector of the authors' code
  static const uint64_t want[] = {11520, 0, 1509978240, 1215971899390074240u};
  for (int i = 0; i < 4; i++) assert_true(xoshiro_next(&x) == want[i]);
  uint64_t s = 1234567;
  assert_true(splitmix_next(&s) == 6457827717110365317u);
  assert_true(splitmix_next(&s) == 3203168211198807973u);
}

// --- a slow sampler -----------------------------------------------------------------------------------

typedef struct Entry {
  int32_t id;
  float logit;
  double weight;
} Entry;

static int by_logit(const void *a, const void *b) {
  const Entry *x = a, *y = b;
  if (x->logit != y->logit) return x->logit < y->logit ? 1 : -1;
  return x->id - y->id;
}

static int by_id(const void *a, const void *b) { return ((const Entry *)a)->id - ((const Entry *)b)->id; }

// Sorts everything, cuts in the documented order, draws; entries in draw order: by id without top_k and
// top_p, else the likeliest first.
static int32_t slow_next(const zaya_sampling *p, const float *logits, Xoshiro *x) {
  static Entry e[V];
  size_t n = 0;
  for (int32_t i = 0; i < V; i++)
    if (logits[i] > -INFINITY) e[n++] = (Entry){i, logits[i], 0};
  qsort(e, n, sizeof *e, by_logit);
  if (p->temperature == 0) return e[0].id;
  size_t kept = 0;
  for (size_t i = 0; i < n; i++) {
    e[i].weight = exp(((double)e[i].logit - (double)e[0].logit) / p->temperature);
    if (e[i].weight > 1e-304 && e[i].weight >= p->min_p) kept = i + 1;
  }
  if (p->top_k && (size_t)p->top_k < kept) kept = (size_t)p->top_k;
  double total = 0, sum = 0;
  for (size_t i = 0; i < kept; i++) total += e[i].weight;
  if (p->top_p < 1) {
    size_t k = 0;
    do sum += e[k++].weight;
    while (k < kept && sum < p->top_p * total);
    kept = k;
  }
  if (!p->top_k && !(p->top_p < 1)) qsort(e, kept, sizeof *e, by_id);
  total = sum = 0;
  for (size_t i = 0; i < kept; i++) total += e[i].weight;
  double at = (double)(xoshiro_next(x) >> 11) * 0x1p-53 * total;
  for (size_t i = 0; i + 1 < kept; i++)
    if ((sum += e[i].weight) > at) return e[i].id;
  return e[kept - 1].id;
}

static Xoshiro seeded(uint64_t value) {
  Xoshiro x;
  for (int i = 0; i < 4; i++) x.s[i] = splitmix_next(&value);
  return x;
}

static void random_logits(float *logits) {
  double scale = (double)next_random(2000) / 100;
  bool ties = next_random(4) == 0;
  for (int i = 0; i < V; i++) {
    double v = ((double)next_random(1 << 20) / (1 << 19) - 1) * scale;
    logits[i] = ties ? (float)floor(v) : (float)v;
    if (next_random(50) == 0) logits[i] = -INFINITY;
  }
  logits[next_random(V)] = (float)scale;
}

// A mask for half of the rounds, and the logits that are the same as what it leaves; one token always stays.
static const uint32_t *random_mask(uint32_t *mask, const float *logits, float *left) {
  memcpy(left, logits, V * sizeof *left);
  if (next_random(2)) return NULL;
  const int32_t stays = (int32_t)next_random(V);
  for (int i = 0; i < V; i++) {
    const uint32_t allowed = next_random(4) != 0 || i == stays || i / 32 == 1;
    mask[i / 32] = (i % 32 ? mask[i / 32] : 0) | allowed << i % 32;
    if (!allowed) left[i] = -INFINITY;
  }
  return mask;
}

static void equals_the_slow_sampler(void **state) {
  (void)state;
  static const double temperatures[] = {0, 1e-300, 0.01, 0.6, 1, 2, 100}, top_ps[] = {0, 0.1, 0.5, 0.95, 1},
                      min_ps[] = {0, 1e-5, 0.05, 0.5, 1};
  static const int top_ks[] = {0, 1, 2, 4, 20, V - 1, V, 10 * V};
  for (int round = 0; round < 20000; round++) {
    zaya_sampling p = sampler_default();
    p.temperature = temperatures[next_random(7)];
    p.top_p = top_ps[next_random(5)];
    p.min_p = min_ps[next_random(5)];
    p.top_k = top_ks[next_random(8)];
    p.seed = next_random(1000);
    float logits[V], left[V];
    uint32_t words[(V + 31) / 32];
    random_logits(logits);
    const uint32_t *mask = random_mask(words, logits, left);
    Sampler *s = sampler_new(&p, V, NULL);
    assert_non_null(s);
    Xoshiro x = seeded(p.seed);
    for (int draw = 0; draw < 3; draw++) {
      int32_t id;
      assert_true(sampler_next(s, logits, mask, &id, NULL));
      int32_t want = slow_next(&p, left, &x);
      if (id != want)
        fail_msg("T %g, top_k %d, top_p %g, min_p %g: %d, expected %d", p.temperature, p.top_k, p.top_p,
                 p.min_p, id, want);
    }
    sampler_free(s);
  }
}

// --- shares -------------------------------------------------------------------------------------------

// Draws n times and compares how often each token came with its share: chi-squared, 99.99 % quantile.
static void check_shares(const zaya_sampling *p, const float *logits, const double *share, size_t n_vocab,
                         double limit) {
  enum { N = 200000 };
  Sampler *s = sampler_new(p, n_vocab, NULL);
  int count[8] = {0};
  for (int i = 0; i < N; i++) {
    int32_t id;
    assert_true(sampler_next(s, logits, NULL, &id, NULL));
    count[id]++;
  }
  double chi = 0;
  for (size_t i = 0; i < n_vocab; i++) {
    if (share[i] == 0) assert_int_equal(count[i], 0);
    if (share[i] > 0) chi += pow(count[i] - N * share[i], 2) / (N * share[i]);
  }
  if (chi > limit) fail_msg("chi-squared %g, limit %g", chi, limit);
  sampler_free(s);
}

static void shares_are_the_probabilities(void **state) {
  (void)state;
  const float logits[4] = {logf(0.4f), logf(0.3f), logf(0.2f), logf(0.1f)};
  zaya_sampling p = sampler_default();
  p.top_p = 1;
  check_shares(&p, logits, (const double[]){0.4, 0.3, 0.2, 0.1}, 4, 21.1);
  p.top_k = 2;
  check_shares(&p, logits, (const double[]){4 / 7.0, 3 / 7.0, 0, 0}, 4, 15.2);
  p.top_k = 0;
  p.top_p = 0.8;
  check_shares(&p, logits, (const double[]){4 / 9.0, 3 / 9.0, 2 / 9.0, 0}, 4, 18.5);
  p.top_p = 1;
  p.min_p = 0.4;
  check_shares(&p, logits, (const double[]){4 / 9.0, 3 / 9.0, 2 / 9.0, 0}, 4, 18.5);
  p.min_p = 0;
  p.temperature = 0.5;
  check_shares(&p, logits, (const double[]){16 / 30.0, 9 / 30.0, 4 / 30.0, 1 / 30.0}, 4, 21.1);
}

// --- edges ----------------------------------------------------------------------------------------------

static int32_t next_of(const zaya_sampling *p, const float *logits, size_t n, const uint32_t *mask) {
  Sampler *s = sampler_new(p, n, NULL);
  int32_t id;
  assert_true(sampler_next(s, logits, mask, &id, NULL));
  sampler_free(s);
  return id;
}

static void greedy_takes_the_lowest_of_equals(void **state) {
  (void)state;
  zaya_sampling p = sampler_default();
  p.temperature = 0;
  assert_int_equal(next_of(&p, (const float[]){1, 3, 3, 2}, 4, NULL), 1);
  assert_int_equal(next_of(&p, (const float[]){-INFINITY, -5, -5}, 3, NULL), 1);
  assert_int_equal(next_of(&p, (const float[]){-0.0f, 0.0f}, 2, NULL), 0);
  assert_int_equal(next_of(&p, (const float[]){-FLT_MAX, FLT_MAX}, 2, NULL), 1);
  p.temperature = 1;
  p.top_k = 1;
  for (p.seed = 0; p.seed < 50; p.seed++) // top_k 1 too
    assert_int_equal(next_of(&p, (const float[]){1, 3, 3, 2}, 4, NULL), 1);
  p.top_k = 0;
  p.top_p = 0;
  for (p.seed = 0; p.seed < 50; p.seed++)
    assert_int_equal(next_of(&p, (const float[]){1, 3, 3, 2}, 4, NULL), 1);
}

static void min_p_keeps_rare_tokens_out(void **state) {
  (void)state;
  static float logits[100000]; // one likely token, and 1e-7 each for the others: 1 % together
  for (int i = 1; i < 100000; i++) logits[i] = logf(1e-7f);
  zaya_sampling p = sampler_default();
  p.top_p = 1;
  int rare = 0;
  for (int without = 0; without < 2; without++) {
    if (without) p.min_p = 0;
    Sampler *s = sampler_new(&p, 100000, NULL);
    for (int i = 0; i < 1000; i++) {
      int32_t id;
      assert_true(sampler_next(s, logits, NULL, &id, NULL));
      if (without)
        rare += id != 0;
      else
        assert_int_equal(id, 0);
    }
    sampler_free(s);
  }
  assert_in_range(rare, 1, 30);
}

static void refuses_what_has_no_answer(void **state) {
  (void)state;
  for (int t = 0; t < 2; t++) {
    zaya_sampling p = sampler_default();
    p.temperature = t;
    Sampler *s = sampler_new(&p, 3, NULL);
    zaya_error err = {0};
    int32_t id;
    assert_false(sampler_next(s, (const float[]){1, NAN, 2}, NULL, &id, &err));
    assert_string_equal(err.message, "the logit of token 1 is nan");
    zaya_error_clear(&err);
    assert_false(sampler_next(s, (const float[]){1, 2, INFINITY}, NULL, &id, &err));
    assert_string_equal(err.message, "the logit of token 2 is inf");
    zaya_error_clear(&err);
    const uint32_t none = 0xFFFFFFF8u; // bits beyond the vocabulary do not count
    assert_false(sampler_next(s, (const float[]){1, 2, 3}, &none, &id, &err));
    assert_string_equal(err.message, "no token is allowed: all 3 are excluded");
    zaya_error_clear(&err);
    assert_false(sampler_next(s, (const float[]){-INFINITY, -INFINITY, -INFINITY}, NULL, &id, &err));
    assert_int_equal(err.status, ZAYA_E_INVALID);
    zaya_error_clear(&err);
    assert_false(sampler_accept(s, 3, true, &err));
    assert_string_equal(err.message, "token id 3 is not within 0..2");
    sampler_free(s);
  }
}

static void refuses_settings_out_of_range(void **state) {
  (void)state;
  const zaya_bias far = {4, 1}, nan_bias = {0, NAN};
  struct {
    zaya_sampling p;
    const char *message;
  } bad[] = {{{.temperature = -1}, "temperature"},
             {{.temperature = NAN}, "temperature"},
             {{.top_k = -1}, "top_k"},
             {{.top_p = 1.1}, "top_p"},
             {{.min_p = -0.1}, "min_p"},
             {{.repetition_penalty = 0}, "repetition_penalty"},
             {{.repetition_penalty = 1, .presence_penalty = INFINITY}, "presence_penalty"},
             {{.repetition_penalty = 1, .frequency_penalty = NAN}, "frequency_penalty"},
             {{.repetition_penalty = 1, .bias = &far, .n_bias = 1}, "logit_bias: id 4"},
             {{.repetition_penalty = 1, .bias = &nan_bias, .n_bias = 1}, "logit_bias"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    zaya_error err = {0};
    assert_null(sampler_new(&bad[i].p, 4, &err));
    assert_non_null(strstr(err.message, bad[i].message));
  }
  zaya_sampling p = sampler_default();
  assert_null(sampler_new(&p, 0, NULL));
}

static void penalties_bias_and_mask(void **state) {
  (void)state;
  zaya_sampling p = sampler_default();
  p.temperature = 0;
  const zaya_bias bias[] = {{2, 5}, {0, -100}};
  p.bias = bias;
  p.n_bias = 2;
  assert_int_equal(next_of(&p, (const float[]){9, 1, 0, 4}, 4, NULL), 2);
  const uint32_t mask = 0x8;
  assert_int_equal(next_of(&p, (const float[]){9, 1, 0, 4}, 4, &mask), 3);
  p.n_bias = 0;

  p.repetition_penalty = 2; // prompt and output
  Sampler *s = sampler_new(&p, 4, NULL);
  int32_t id;
  assert_true(sampler_accept(s, 0, false, NULL));
  assert_true(sampler_next(s, (const float[]){4, 3, 1, 0}, NULL, &id, NULL));
  assert_int_equal(id, 1); // 2 < 3
  assert_true(sampler_next(s, (const float[]){-1, -1.5f, -9, -9}, NULL, &id, NULL));
  assert_int_equal(id, 1); // -2 < -1.5
  sampler_free(s);

  p.repetition_penalty = 1;
  p.presence_penalty = 1; // output only
  p.frequency_penalty = 0.5;
  s = sampler_new(&p, 4, NULL);
  assert_true(sampler_accept(s, 0, false, NULL));
  assert_true(sampler_next(s, (const float[]){4, 3.9f, 0, 0}, NULL, &id, NULL));
  assert_int_equal(id, 0);
  assert_true(sampler_accept(s, 0, true, NULL)); // 1.5 less
  assert_true(sampler_next(s, (const float[]){4, 2.4f, 0, 0}, NULL, &id, NULL));
  assert_int_equal(id, 0);
  assert_true(sampler_next(s, (const float[]){4, 2.6f, 0, 0}, NULL, &id, NULL));
  assert_int_equal(id, 1);
  assert_true(sampler_accept(s, 0, true, NULL)); // 2 less
  assert_true(sampler_next(s, (const float[]){4, 2.1f, 0, 0}, NULL, &id, NULL));
  assert_int_equal(id, 1);
  Sampler *c = sampler_clone(s, NULL);
  assert_true(sampler_next(c, (const float[]){4, 2.1f, 0, 0}, NULL, &id, NULL));
  assert_int_equal(id, 1);
  sampler_free(c);
  sampler_free(s);

  p = sampler_default(); // past the end of float32
  p.repetition_penalty = 1e-3;
  s = sampler_new(&p, 2, NULL);
  assert_true(sampler_accept(s, 0, false, NULL));
  assert_true(sampler_next(s, (const float[]){3e38f, 1}, NULL, &id, NULL));
  assert_int_equal(id, 0);
  sampler_free(s);
}

// The ids that seed 42 gives: the same on every machine and in every version.
static void a_seed_gives_the_same_tokens(void **state) {
  (void)state;
  float logits[V];
  for (int i = 0; i < V; i++) logits[i] = (float)((i * 37) % 101) / 16.0f;
  zaya_sampling p = sampler_default();
  p.seed = 42;
  static const int32_t want[] = {60, 38, 207, 111, 168, 54, 166, 2, 125, 16, 207, 79, 286, 281, 65, 163};
  Sampler *s = sampler_new(&p, V, NULL), *half = NULL;
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
    if (i == 8) half = sampler_clone(s, NULL);
    int32_t id;
    assert_true(sampler_next(s, logits, NULL, &id, NULL));
    assert_int_equal(id, want[i]);
    if (!half) continue;
    assert_true(sampler_next(half, logits, NULL, &id, NULL));
    assert_int_equal(id, want[i]);
  }
  sampler_free(s);
  sampler_free(half);
}

static void logprobs_are_those_of_the_logits(void **state) {
  (void)state;
  const float logits[] = {1, 2, 2, -INFINITY, 0};
  double z = log(exp(1) + 2 * exp(2) + 1), chosen;
  zaya_logprob top[6];
  assert_true(sampler_logprobs(logits, 5, 4, &chosen, 6, top, NULL));
  assert_float_equal(chosen, -z, 1e-12);
  static const int32_t ids[] = {1, 2, 0, 4, 3, -1};
  for (int i = 0; i < 6; i++) assert_int_equal(top[i].id, ids[i]);
  assert_float_equal(top[0].logprob, 2 - z, 1e-12);
  assert_float_equal(top[2].logprob, 1 - z, 1e-12);
  assert_true(top[4].logprob == -INFINITY);
  assert_true(sampler_logprobs(logits, 5, 1, &chosen, 0, NULL, NULL));
  assert_false(sampler_logprobs(logits, 5, 5, &chosen, 0, NULL, NULL));
  assert_false(sampler_logprobs((const float[]){NAN}, 1, 0, &chosen, 0, NULL, NULL));
}

// --- generation_config.json -----------------------------------------------------------------------

static void defaults_come_from_the_file(void **state) {
  (void)state;
  zaya_sampling p;
  Buf ignored = {0};
  const char *json = "{\"temperature\": 0.6, \"top_k\": 20, \"do_sample\": true, \"eos_token_id\": [1, 106], "
                     "\"num_beams\": 4, \"typical_p\": 1.0, \"suppress_tokens\": [1]}";
  assert_true(gencfg_parse("G", json, strlen(json), &p, &ignored, NULL));
  assert_true(p.temperature == 0.6 && p.top_k == 20 && p.top_p == 0.95 && p.min_p == 1e-5);
  assert_string_equal(ignored.data, "num_beams, suppress_tokens");
  buf_free(&ignored);
  json = "{\"do_sample\": false, \"top_k\": -1, \"min_p\": 0}";
  assert_true(gencfg_parse("G", json, strlen(json), &p, NULL, NULL));
  assert_true(p.temperature == 0 && p.top_k == 0 && p.min_p == 0);
  static const struct {
    const char *json, *message;
  } bad[] = {{"{\"temperature\": \"hot\"}", "G: temperature: expected a number"},
             {"{\"temperature\": -1}", "G: temperature: expected 0"},
             {"{\"top_k\": 2.5}", "G: top_k: expected a whole number, found 2.5"},
             {"{\"top_k\": 1e300}", "G: top_k"},
             {"{\"do_sample\": 1}", "G: do_sample: expected true or false"},
             {"{\"top_p\": 2}", "G: top_p"},
             {"[]", "G: expected an object"},
             {"{", "G: line 1"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    zaya_error err = {0};
    assert_false(gencfg_parse("G", bad[i].json, strlen(bad[i].json), &p, NULL, &err));
    if (strncmp(err.message, bad[i].message, strlen(bad[i].message))) fail_msg("%s", err.message);
  }
  assert_true(gencfg_read("/nowhere/at/all", &p, NULL, NULL));
  assert_true(p.temperature == 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_generators_are_the_published_ones),
      cmocka_unit_test(equals_the_slow_sampler),
      cmocka_unit_test(shares_are_the_probabilities),
      cmocka_unit_test(greedy_takes_the_lowest_of_equals),
      cmocka_unit_test(min_p_keeps_rare_tokens_out),
      cmocka_unit_test(refuses_what_has_no_answer),
      cmocka_unit_test(refuses_settings_out_of_range),
      cmocka_unit_test(penalties_bias_and_mask),
      cmocka_unit_test(a_seed_gives_the_same_tokens),
      cmocka_unit_test(logprobs_are_those_of_the_logits),
      cmocka_unit_test(defaults_come_from_the_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
