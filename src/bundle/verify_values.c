// verify_values: the numbers themselves, read once: infinities, sizes that no weight has, zeros, and
// experts that are copies of each other. See verify.h.
#include "base/hash64.h"
#include "bundle/verify.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define TINY            2e-7f // a scale of this size is what quantizers store for zeros
#define MAX_SCALE       64.0f // of an affine format
#define MAX_WEIGHT      1e4f  // of biases and plain floats
#define MAX_DEAD_SCALES 0.5f  // share of a tensor's scales that may be zero
#define MAX_E8M0        147   // exponent 20: a scale of a million

// --- one pass
// -----------------------------------------------------------------------------------------------

// 16-bit floats by their bits: magnitudes order as integers do.
static void scan_half(const StTensor *t, VStats *out) {
  const uint16_t infinite = t->dtype == DT_F16 ? 0x7c00 : 0x7f80;
  const uint16_t tiny = t->dtype == DT_F16 ? dtype_f32_to_f16(TINY) : dtype_f32_to_bf16(TINY);
  uint16_t max = 0;
  size_t n = t->nbytes / 2, n_tiny = 0;
  for (size_t i = 0; i < n; i++) {
    uint16_t h;
    memcpy(&h, t->data + 2 * i, 2);
    h &= 0x7fff;
    if (h > max) max = h;
    n_tiny += h <= tiny;
  }
  out->finite = max < infinite;
  out->max = t->dtype == DT_F16 ? dtype_f16_to_f32(max) : dtype_bf16_to_f32(max);
  out->zero = max == 0;
  out->n_tiny = n_tiny;
  for (size_t i = 0; !out->finite && i < n; i++) {
    uint16_t h;
    memcpy(&h, t->data + 2 * i, 2);
    if ((h & 0x7fff) >= infinite) {
      out->at = i;
      break;
    }
  }
}

static void scan_floats(const StTensor *t, VStats *out) {
  size_t n = out->elements;
  out->zero = true;
  for (size_t i = 0; i < n; i++) {
    float x = dtype_load(t->dtype, t->data, i), a = fabsf(x);
    if (!isfinite(x) && out->finite) {
      out->finite = false;
      out->at = i;
    }
    if (a > out->max) out->max = a;
    if (a != 0) out->zero = false;
    out->n_tiny += a <= TINY;
  }
}

static void scan_words(const StTensor *t, VStats *out) {
  uint32_t first = 0, differ = 0, any = 0;
  if (t->nbytes >= 4) memcpy(&first, t->data, 4);
  for (size_t i = 0; i + 4 <= t->nbytes; i += 4) {
    uint32_t w;
    memcpy(&w, t->data + i, 4);
    differ |= w ^ first;
    any |= w;
  }
  out->constant = !differ && t->nbytes > 4;
  out->zero = !any;
}

// Scales of the MX formats; E8M0 has its only NaN at 255, E4M3FN at 127 and 255.
static void scan_bytes(const StTensor *t, VStats *out) {
  bool all_zero = true;
  uint8_t max = 0;
  for (size_t i = 0; i < t->nbytes; i++) {
    uint8_t b = t->data[i];
    if (b == 255 && out->finite) {
      out->finite = false;
      out->at = i;
    }
    if (b > max) max = b;
    if (b) all_zero = false;
  }
  out->max = (float)max;
  out->zero = all_zero;
}

static bool is_stacked(const StTensor *t) {
  return t->ndim == 3 && t->shape[0] > 1 && strstr(t->name, "experts") &&
         (t->dtype == DT_U32 || dtype_is_float(t->dtype));
}

// Whether two slices of the leading axis are the same bytes.
static void find_twins(const StTensor *t, VStats *out) {
  enum { MAX = CONFIG_MAX_EXPERTS };
  uint64_t sums[MAX];
  size_t E = t->shape[0] < MAX ? t->shape[0] : MAX, slice = t->nbytes / t->shape[0];
  for (size_t e = 0; e < E; e++) {
    sums[e] = hash64(HASH64_SEED, t->data + e * slice, slice);
    for (size_t k = 0; k < e && out->twin[0] < 0; k++)
      if (sums[k] == sums[e] && !memcmp(t->data + k * slice, t->data + e * slice, slice)) {
        out->twin[0] = (int)k;
        out->twin[1] = (int)e;
      }
  }
}

static void scan(const StTensor *t, VStats *out) {
  *out = (VStats){.finite = true, .twin = {-1, -1}, .elements = t->nbytes / dtype_size(t->dtype)};
  if (t->dtype == DT_F16 || t->dtype == DT_BF16)
    scan_half(t, out);
  else if (dtype_is_float(t->dtype))
    scan_floats(t, out);
  else if (t->dtype == DT_U32)
    scan_words(t, out);
  else if (t->dtype == DT_U8)
    scan_bytes(t, out);
  if (is_stacked(t) && !verify_ends(t->name, ".scales") && !verify_ends(t->name, ".biases"))
    find_twins(t, out);
}

typedef struct ScanJob {
  Verify *v;
  atomic_size_t next;
} ScanJob;

static void scan_share(void *job, int index, int count) {
  ScanJob *j = job;
  (void)index, (void)count;
  for (size_t i; (i = atomic_fetch_add(&j->next, 1)) < j->v->n_tensors;)
    scan(j->v->tensors[i].t, &j->v->stats[i]);
}

bool verify_read_values(Verify *v, zaya_error *err) {
  if (!v->shards_ok) return true;
  v->stats = calloc(v->n_tensors + 1, sizeof *v->stats);
  if (!v->stats) return err_memory(err, v->n_tensors * sizeof *v->stats, "statistics");
  ScanJob job = {.v = v};
  pool_run(v->pool, scan_share, &job);
  return true;
}

// --- checks
// -------------------------------------------------------------------------------------------------

void check_finite(Verify *v, Check *c) {
  if (!need_shards(v, c)) return;
  for (size_t i = 0; i < v->n_tensors; i++) {
    const StTensor *t = v->tensors[i].t;
    bool checked = dtype_is_float(t->dtype) || (t->dtype == DT_U8 && verify_ends(t->name, ".scales"));
    if (checked && !v->stats[i].finite)
      check_fail(c, "%.200s: element %zu is not a finite number", t->name, v->stats[i].at);
  }
}

void check_scale_range(Verify *v, Check *c) {
  if (!need_shards(v, c) || !need_converted(v, c)) return;
  for (size_t i = 0; i < v->n_tensors; i++) {
    const StTensor *t = v->tensors[i].t;
    const VStats *s = &v->stats[i];
    bool scales = verify_ends(t->name, ".scales");
    if (!s->finite || s->zero) continue; // other checks
    if (scales && t->dtype == DT_U8 && t->nbytes && s->max > MAX_E8M0 && s->max < 255 &&
        strstr(t->name, "experts"))
      check_fail(c, "%.200s: an exponent of %.0f", t->name, s->max - 127);
    if (scales && t->dtype != DT_U8 && s->max > MAX_SCALE)
      check_fail(c, "%.200s: a scale of %.4g", t->name, s->max);
    if (verify_ends(t->name, ".biases") && !verify_ends(t->name, "balancing_biases") && s->max > MAX_WEIGHT)
      check_fail(c, "%.200s: a bias of %.4g", t->name, s->max);
    if (verify_ends(t->name, ".tq_norms") && s->max > MAX_WEIGHT)
      check_fail(c, "%.200s: a norm of %.4g", t->name, s->max);
    if (scales && t->dtype != DT_U8 && (float)s->n_tiny > MAX_DEAD_SCALES * (float)s->elements &&
        s->n_tiny < s->elements)
      check_fail(c, "%.200s: %zu of %zu scales are zero", t->name, s->n_tiny, s->elements);
  }
}

static bool is_quantized_part(const char *name) {
  return verify_ends(name, ".scales") || verify_ends(name, ".biases") || verify_ends(name, ".tq_norms");
}

void check_float_range(Verify *v, Check *c) {
  if (!need_shards(v, c)) return;
  for (size_t i = 0; i < v->n_tensors; i++) {
    const StTensor *t = v->tensors[i].t;
    const VStats *s = &v->stats[i];
    if (dtype_is_float(t->dtype) && !is_quantized_part(t->name) && s->finite && s->max > MAX_WEIGHT)
      check_fail(c, "%.200s: a value of %.4g", t->name, s->max);
  }
}

// Offsets may well be zero everywhere; a model that was not trained with them has them so.
static bool may_be_zero(const char *name) {
  return verify_ends(name, "bias") || verify_ends(name, ".biases") || verify_ends(name, "balancing_biases");
}

void check_zero_tensors(Verify *v, Check *c) {
  if (!need_shards(v, c)) return;
  for (size_t i = 0; i < v->n_tensors; i++) {
    const StTensor *t = v->tensors[i].t;
    const VStats *s = &v->stats[i];
    if (!t->nbytes || verify_ends(t->name, ".tq_bits")) continue;
    if (verify_ends(t->name, ".scales") && t->dtype != DT_U8) {
      if (s->n_tiny == s->elements) check_fail(c, "%.200s: every scale is zero", t->name);
    } else if (s->zero && !may_be_zero(t->name)) {
      check_fail(c, "%.200s", t->name);
    } else if (s->constant) {
      check_fail(c, "%.200s: every word is the same", t->name);
    }
  }
}

void check_distinct_experts(Verify *v, Check *c) {
  if (!need_shards(v, c)) return;
  for (size_t i = 0; i < v->n_tensors; i++) {
    const VStats *s = &v->stats[i];
    if (s->twin[0] >= 0 && !s->zero && !s->constant)
      check_fail(c, "%.200s: experts %d and %d are the same", v->tensors[i].t->name, s->twin[0], s->twin[1]);
  }
}
