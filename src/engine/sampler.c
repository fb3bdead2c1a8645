// sampler: see sampler.h.
#include "engine/sampler.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Candidate {
  uint32_t key; // of the logit: the likelier, the smaller
  int32_t id;
} Candidate;

enum { BLOCK = 64 }; // logits that share a peak

struct zaya_sampler {
  zaya_sampling p;
  size_t n; // vocabulary
  uint64_t random[4];
  float *logits;             // [n] as bias, penalties and mask change them
  float *peaks;              // [n_blocks] the best logit of each
  Candidate *found, *sorted; // [n]
  double *weights;           // [n] of the candidates: exp((logit - best logit) / temperature)
  // tokens seen, for the penalties
  uint32_t *outputs; // [n] how often each is in the output
  bool *seen;        // [n] in prompt or output
  int32_t *touched;  // the ids of seen, n_touched of them
  size_t n_touched;
};

// --- settings -----------------------------------------------------------------------------------

zaya_sampling sampler_default(void) {
  return (zaya_sampling){.temperature = 1.0, .top_p = 0.95, .min_p = 1e-5, .repetition_penalty = 1.0};
}

static bool in_range(const char *name, double v, double low, double high, zaya_error *err) {
  if (v >= low && v <= high) return true; // false for NaN
  return err_set(err, ZAYA_E_INVALID, "%s: expected %g to %g, found %g", name, low, high, v);
}

bool sampler_check(const zaya_sampling *p, size_t n_vocab, zaya_error *err) {
  if (n_vocab == 0 || n_vocab > INT32_MAX)
    return err_set(err, ZAYA_E_INVALID, "a vocabulary of %zu tokens cannot be sampled", n_vocab);
  if (p->top_k < 0) return err_set(err, ZAYA_E_INVALID, "top_k: expected 0 or more, found %d", p->top_k);
  if (!in_range("temperature", p->temperature, 0, 1e6, err) || !in_range("top_p", p->top_p, 0, 1, err) ||
      !in_range("min_p", p->min_p, 0, 1, err) ||
      !in_range("repetition_penalty", p->repetition_penalty, 1e-3, 1e3, err) ||
      !in_range("presence_penalty", p->presence_penalty, -1e3, 1e3, err) ||
      !in_range("frequency_penalty", p->frequency_penalty, -1e3, 1e3, err))
    return false;
  for (size_t i = 0; i < p->n_bias; i++) {
    int32_t id = p->bias[i].id;
    if (id < 0 || (size_t)id >= n_vocab)
      return err_set(err, ZAYA_E_INVALID, "logit_bias: id %d is not within 0..%zu", id, n_vocab - 1);
    if (!in_range("logit_bias", p->bias[i].bias, -1e6, 1e6, err)) return false;
  }
  return true;
}

// --- random numbers -----------------------------------------------------------------------------

static void seed_random(uint64_t state[4], uint64_t seed) { // SplitMix64
  for (int i = 0; i < 4; i++) {
    uint64_t z = seed += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    state[i] = z ^ (z >> 31);
  }
}

static uint64_t rotate(uint64_t x, int k) { return x << k | x >> (64 - k); }

static double draw(uint64_t s[4]) { // xoshiro256**, [0, 1)
  uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate(s[3], 45);
  return (double)(result >> 11) * 0x1p-53;
}

// exp(x) for x <= 0, the same bits everywhere: x = k ln 2 + r, Taylor's series for r, then a power of two.
// Within 1e-15 of the true value; 0 below -700, where no weight matters any more.
static double exp_fixed(double x) {
  if (!(x >= -700)) return 0;
  static const double inverse[] = {
      1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720,
      1.0 / 120,       1.0 / 24,       1.0 / 6,       1.0 / 2,      1.0,         1.0};
  double k = (x * 1.4426950408889634 + 0x1.8p52) - 0x1.8p52; // to the nearest whole number
  double r = (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10; // ln 2 in two parts
  double sum = 1.0 / 6227020800;
  for (size_t i = 0; i < sizeof inverse / sizeof *inverse; i++) sum = sum * r + inverse[i];
  uint64_t bits = (uint64_t)((int64_t)k + 1023) << 52;
  double power;
  memcpy(&power, &bits, sizeof power);
  return sum * power;
}

// --- life ---------------------------------------------------------------------------------------

static bool counts_tokens(const zaya_sampling *p) {
  return p->repetition_penalty != 1.0 || p->presence_penalty != 0 || p->frequency_penalty != 0;
}

static size_t n_blocks(size_t n) { return (n + BLOCK - 1) / BLOCK; }

static bool allocate(Sampler *s, zaya_error *err) {
  size_t n = s->n; // at most INT32_MAX
  s->logits = malloc(n * sizeof *s->logits);
  s->peaks = malloc(n_blocks(n) * sizeof *s->peaks);
  s->found = malloc(n * sizeof *s->found);
  s->sorted = malloc(n * sizeof *s->sorted);
  s->weights = malloc(n * sizeof *s->weights);
  bool ok = s->logits && s->peaks && s->found && s->sorted && s->weights;
  if (ok && counts_tokens(&s->p)) {
    s->outputs = calloc(n, sizeof *s->outputs);
    s->seen = calloc(n, sizeof *s->seen);
    s->touched = malloc(n * sizeof *s->touched);
    ok = s->outputs && s->seen && s->touched;
  }
  return ok || err_memory(err, n * 40, "a sampler");
}

Sampler *sampler_new(const zaya_sampling *p, size_t n_vocab, zaya_error *err) {
  if (!sampler_check(p, n_vocab, err)) return NULL;
  Sampler *s = calloc(1, sizeof *s);
  if (!s) {
    err_memory(err, sizeof *s, "a sampler");
    return NULL;
  }
  s->p = *p;
  s->n = n_vocab;
  seed_random(s->random, p->seed);
  if (allocate(s, err)) return s;
  sampler_free(s);
  return NULL;
}

void sampler_free(Sampler *s) {
  if (!s) return;
  free(s->logits);
  free(s->peaks);
  free(s->found);
  free(s->sorted);
  free(s->weights);
  free(s->outputs);
  free(s->seen);
  free(s->touched);
  free(s);
}

Sampler *sampler_clone(const Sampler *s, zaya_error *err) {
  Sampler *c = sampler_new(&s->p, s->n, err);
  if (!c) return NULL;
  memcpy(c->random, s->random, sizeof c->random);
  if (s->touched) {
    memcpy(c->outputs, s->outputs, s->n * sizeof *s->outputs);
    memcpy(c->seen, s->seen, s->n * sizeof *s->seen);
    memcpy(c->touched, s->touched, s->n_touched * sizeof *s->touched);
    c->n_touched = s->n_touched;
  }
  return c;
}

bool sampler_accept(Sampler *s, int32_t id, bool output, zaya_error *err) {
  if (id < 0 || (size_t)id >= s->n)
    return err_set(err, ZAYA_E_INVALID, "token id %d is not within 0..%zu", id, s->n - 1);
  if (!s->touched) return true;
  if (!s->seen[id]) {
    s->seen[id] = true;
    s->touched[s->n_touched++] = id;
  }
  if (output && s->outputs[id] < UINT32_MAX) s->outputs[id]++;
  return true;
}

// --- the logits that count ----------------------------------------------------------------------

static bool are_logits(const float *logits, size_t n) {
  bool bad = false;
  for (size_t i = 0; i < n; i++) bad |= !(logits[i] < INFINITY);
  return !bad;
}

// An error that names the first of `logits` that is none.
static bool bad_logit(const float *logits, zaya_error *err) {
  size_t i = 0;
  while (logits[i] < INFINITY) i++;
  return err_set(err, ZAYA_E_INVALID, "the logit of token %zu is %g", i, (double)logits[i]);
}

static float peak_of(const float *logits, size_t n) {
  enum { LANES = 16 };
  float lane[LANES], best = -INFINITY;
  size_t i = 0;
  for (int k = 0; k < LANES; k++) lane[k] = -INFINITY;
  for (; i + LANES <= n; i += LANES)
    for (int k = 0; k < LANES; k++)
      lane[k] = logits[i + (size_t)k] > lane[k] ? logits[i + (size_t)k] : lane[k];
  for (int k = 0; k < LANES; k++) best = lane[k] > best ? lane[k] : best;
  for (; i < n; i++) best = logits[i] > best ? logits[i] : best;
  return best;
}

// The best logit, of equal ones the lowest id; -1 when every token is excluded.
static int32_t best_of(const float *logits, size_t n) {
  const float best = peak_of(logits, n);
  for (size_t i = 0; best > -INFINITY && i < n; i++)
    if (logits[i] == best) return (int32_t)i;
  return -1;
}

static size_t block_end(const Sampler *s, size_t b) {
  return s->n - b * BLOCK < BLOCK ? s->n : (b + 1) * BLOCK;
}

static void set_peak(Sampler *s, size_t b) {
  s->peaks[b] = peak_of(s->logits + b * BLOCK, block_end(s, b) - b * BLOCK);
}

// What the mask excludes in block b becomes impossible.
static void apply_mask(Sampler *s, size_t b, const uint32_t *mask) {
  for (size_t i = b * BLOCK; i < block_end(s, b); i++)
    if (!(mask[i >> 5] >> (i & 31) & 1)) s->logits[i] = -INFINITY;
}

// Takes the logits that the mask leaves, and the peaks; every block is read and written once. False: one of
// them is none.
static bool take_logits(Sampler *s, const float *logits, const uint32_t *mask) {
  bool ok = true;
  for (size_t b = 0; b < n_blocks(s->n); b++) {
    const float *from = logits + b * BLOCK;
    float *to = s->logits + b * BLOCK;
    const bool whole = block_end(s, b) == (b + 1) * BLOCK;
    const size_t n = whole ? BLOCK : block_end(s, b) - b * BLOCK;
    memcpy(to, from, n * sizeof *to);
    ok &= are_logits(to, n);
    if (mask && !(whole && (mask[2 * b] & mask[2 * b + 1]) == UINT32_MAX)) apply_mask(s, b, mask);
    set_peak(s, b);
  }
  return ok;
}

// Beyond float32: the largest that is, so that no weight becomes inf - inf, or excluded.
static float to_logit(double v) { return v > FLT_MAX ? FLT_MAX : v < -FLT_MAX ? -INFINITY : (float)v; }

static void penalize(Sampler *s, int32_t id) {
  const zaya_sampling *p = &s->p;
  double v = s->logits[id];
  v = v > 0 ? v / p->repetition_penalty : v * p->repetition_penalty;
  if (s->outputs[id]) v -= p->presence_penalty + p->frequency_penalty * s->outputs[id];
  s->logits[id] = to_logit(v);
}

// Bias and penalties; they leave the -INFINITY of what the mask excludes.
static void adjust(Sampler *s) {
  for (size_t i = 0; i < s->p.n_bias; i++) {
    const zaya_bias *b = &s->p.bias[i];
    s->logits[b->id] = to_logit(s->logits[b->id] + b->bias);
  }
  for (size_t i = 0; i < s->n_touched; i++) penalize(s, s->touched[i]);
  for (size_t i = 0; i < s->p.n_bias; i++) set_peak(s, (size_t)s->p.bias[i].id / BLOCK);
  for (size_t i = 0; i < s->n_touched; i++) set_peak(s, (size_t)s->touched[i] / BLOCK);
}

// The lowest id of those that have the best logit.
static int32_t first_of(const Sampler *s, float best) {
  size_t b = 0, i;
  while (s->peaks[b] != best) b++;
  for (i = b * BLOCK; s->logits[i] != best;) i++;
  return (int32_t)i;
}

// --- candidates ---------------------------------------------------------------------------------

// Maps the order of floats, largest first, to that of unsigned numbers; both zeros are equal.
static uint32_t key_of(float logit) {
  uint32_t bits;
  logit += 0.0f; // -0 becomes 0
  memcpy(&bits, &logit, sizeof bits);
  return bits >> 31 ? bits : ~bits & 0x7FFFFFFFu;
}

static double weight_of(const Sampler *s, float logit, float best) {
  return exp_fixed(((double)logit - (double)best) / s->p.temperature);
}

enum { BUCKETS = 2048, BUCKET_SHIFT = 21 }; // by the first 11 bits of a key

// The largest key that can be among the k best: so many blocks have a peak that is as good.
static uint32_t last_key(const Sampler *s, size_t k) {
  const size_t blocks = n_blocks(s->n);
  size_t count[BUCKETS] = {0}, sum = 0;
  uint32_t last = 0;
  if (k == 0 || k > blocks) return UINT32_MAX;
  for (size_t b = 0; b < blocks; b++) count[key_of(s->peaks[b]) >> BUCKET_SHIFT]++;
  while ((sum += count[last]) < k) last++;
  return last << BUCKET_SHIFT | ((1u << BUCKET_SHIFT) - 1);
}

// What min_p surely drops and surely keeps, and what top_k surely drops.
typedef struct Cut {
  float low, sure; // logits: below `low` is dropped, from `sure` on kept
  uint32_t last;   // key
} Cut;

static bool survives(const Sampler *s, float logit, float best, const Cut *cut) {
  if (!(logit >= cut->low) || logit == -INFINITY || key_of(logit) > cut->last) return false;
  if (logit >= cut->sure) return true;
  return ((double)logit - (double)best) / s->p.temperature >= -700 &&
         !(s->p.min_p > 0 && weight_of(s, logit, best) < s->p.min_p);
}

// The tokens that min_p leaves, in order of their ids; of those that top_k is sure to drop, not all. Bounds
// on the logit, one a little too low and one a little too high, spare all exponentials but those between
// them.
static size_t collect(Sampler *s, float best) {
  const double t = s->p.temperature, min_p = s->p.min_p, slack = 1e-6;
  const double bound = min_p > 0 ? fmax(log(min_p), -700) : -700;
  const Cut cut = {
      .low = nextafterf(to_logit((double)best + t * (bound - slack)), -INFINITY),
      .sure = nextafterf(to_logit((double)best + t * (bound + slack)), INFINITY),
      .last = last_key(s, (size_t)s->p.top_k),
  };
  size_t n = 0;
  for (size_t b = 0; b < n_blocks(s->n); b++) {
    if (!(s->peaks[b] >= cut.low) || key_of(s->peaks[b]) > cut.last) continue;
    for (size_t i = b * BLOCK; i < block_end(s, b); i++)
      if (survives(s, s->logits[i], best, &cut))
        s->found[n++] = (Candidate){key_of(s->logits[i]), (int32_t)i};
  }
  return n;
}

// Sorts by key; equal ones stay in order of their ids. Three passes of 11 bits.
static Candidate *sort(Sampler *s, size_t n) {
  Candidate *from = s->found, *to = s->sorted;
  for (int shift = 0; shift < 33; shift += 11) {
    size_t start[BUCKETS + 1] = {0};
    for (size_t i = 0; i < n; i++) start[(from[i].key >> shift & (BUCKETS - 1)) + 1]++;
    for (int k = 0; k < BUCKETS; k++) start[k + 1] += start[k];
    for (size_t i = 0; i < n; i++) to[start[from[i].key >> shift & (BUCKETS - 1)]++] = from[i];
    Candidate *swap = from;
    from = to;
    to = swap;
  }
  return from;
}

// How many of the n best candidates hold the share top_p of their weight; at least one.
static size_t within_top_p(const double *weights, size_t n, double total, double top_p) {
  double kept = weights[0];
  size_t k = 1;
  while (k < n && kept < top_p * total) kept += weights[k++];
  return k;
}

static double fill_weights(Sampler *s, const Candidate *c, size_t n, float best) {
  double total = 0;
  for (size_t i = 0; i < n; i++) total += s->weights[i] = weight_of(s, s->logits[c[i].id], best);
  return total;
}

static size_t pick(const double *weights, size_t n, double total, double u) {
  double sum = 0;
  for (size_t i = 0; i + 1 < n; i++) {
    sum += weights[i];
    if (sum > u * total) return i;
  }
  return n - 1;
}

bool sampler_next(Sampler *s, const float *given, const uint32_t *mask, int32_t *id, zaya_error *err) {
  if (!take_logits(s, given, mask)) return bad_logit(given, err);
  adjust(s);
  const float best = peak_of(s->peaks, n_blocks(s->n));
  if (best == -INFINITY)
    return err_set(err, ZAYA_E_INVALID, "no token is allowed: all %zu are excluded", s->n);
  *id = first_of(s, best);
  if (s->p.temperature == 0) return true;
  size_t n = collect(s, best), top_k = (size_t)s->p.top_k;
  const Candidate *c = top_k || s->p.top_p < 1 ? sort(s, n) : s->found;
  if (top_k && top_k < n) n = top_k;
  double total = fill_weights(s, c, n, best);
  if (s->p.top_p < 1) {
    n = within_top_p(s->weights, n, total, s->p.top_p);
    total = 0;
    for (size_t i = 0; i < n; i++) total += s->weights[i];
  }
  *id = c[pick(s->weights, n, total, draw(s->random))].id;
  return true;
}

// --- log probabilities --------------------------------------------------------------------------

static void insert_top(zaya_logprob *top, size_t n_top, int32_t id, double logit) {
  size_t at = n_top;
  while (at > 0 && (top[at - 1].id < 0 || top[at - 1].logprob < logit)) at--;
  if (at == n_top) return;
  memmove(top + at + 1, top + at, (n_top - at - 1) * sizeof *top);
  top[at] = (zaya_logprob){id, logit};
}

bool sampler_logprobs(const float *logits, size_t n_vocab, int32_t id, double *chosen, size_t n_top,
                      zaya_logprob *top, zaya_error *err) {
  if (id < 0 || (size_t)id >= n_vocab)
    return err_set(err, ZAYA_E_INVALID, "token id %d is not below %zu", id, n_vocab);
  if (!are_logits(logits, n_vocab)) return bad_logit(logits, err);
  int32_t best = best_of(logits, n_vocab);
  if (best < 0) return err_set(err, ZAYA_E_INVALID, "no token is allowed: all %zu are excluded", n_vocab);
  double sum = 0;
  for (size_t i = 0; i < n_vocab; i++) sum += exp_fixed((double)logits[i] - (double)logits[best]);
  double shift = (double)logits[best] + log(sum);
  *chosen = (double)logits[id] - shift;
  for (size_t i = 0; i < n_top; i++) top[i] = (zaya_logprob){-1, -INFINITY};
  for (size_t i = 0; n_top && i < n_vocab; i++)
    if (top[n_top - 1].id < 0 || logits[i] > top[n_top - 1].logprob)
      insert_top(top, n_top, (int32_t)i, logits[i]);
  for (size_t i = 0; i < n_top; i++)
    if (top[i].id >= 0) top[i].logprob -= shift;
  return true;
}
