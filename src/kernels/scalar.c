// scalar: the truth for every kernel, in plain C. Written in lanes so that a compiler can use
// whatever vectors the baseline has without changing a bit.
#include "format/dtype.h"
#include "kernels/elem.h"
#include "kernels/kern.h"
#include "kernels/kmath.h"

#include <math.h>
#include <string.h>

static float add_lanes(const float *lane) {
  float s[KERN_LANES];
  for (int i = 0; i < KERN_LANES; i++) s[i] = lane[i];
  for (int half = KERN_LANES / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) s[i] += s[i + half];
  return s[0];
}

// --- exact ---------------------------------------------------------------------------------------

static float scalar_dot(const float *restrict a, const float *restrict b, size_t n) {
  float lane[KERN_LANES] = {0};
  size_t i = 0;
  for (; i + KERN_LANES <= n; i += KERN_LANES)
    for (size_t l = 0; l < KERN_LANES; l++) lane[l] = fmaf(a[i + l], b[i + l], lane[l]);
  for (size_t l = 0; i + l < n; l++) lane[l] = fmaf(a[i + l], b[i + l], lane[l]);
  return add_lanes(lane);
}

static void scalar_dot_rows(const float *w, const float *x, size_t x_stride, size_t n_x, size_t n, float *y,
                            size_t y_stride) {
  for (size_t t = 0; t < n_x; t++) y[t * y_stride] = scalar_dot(w, x + t * x_stride, n);
}

static void scalar_axpy(float a, const float *restrict x, float *restrict y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}

static float load_f16(const uint8_t *p, size_t i) {
  uint16_t h;
  memcpy(&h, p + 2 * i, sizeof h);
  return dtype_f16_to_f32(h);
}

static void scalar_rows_f16(const uint8_t *w, size_t w_stride, size_t rows, size_t n, const float *x,
                            size_t x_stride, size_t n_x, float *y, size_t y_stride) {
  for (size_t r = 0; r < rows; r++, w += w_stride)
    for (size_t t = 0; t < n_x; t++) {
      float lane[KERN_LANES] = {0};
      for (size_t i = 0; i < n; i++)
        lane[i % KERN_LANES] = fmaf(load_f16(w, i), x[t * x_stride + i], lane[i % KERN_LANES]);
      y[t * y_stride + r] = add_lanes(lane);
    }
}

// --- quantized -----------------------------------------------------------------------------------

// Where input i of group g lies in a token's int8.
static size_t q_index(KernOrder order, size_t g, size_t i) {
  if (order == KERN_ORDER_PLAIN) return g * KERN_GROUP + i;
  return g / 4 * 4 * KERN_GROUP + i % 2 * 64 + g % 4 * 16 + i / 2;
}

static void scalar_quantize(const float *x, size_t groups, const KernActs *out, size_t t) {
  int8_t *q = out->q + t * out->q_stride;
  float *scale = out->scale + t * out->groups, *sum = out->sum + t * out->groups;
  memset(q, 0, out->groups * KERN_GROUP);
  memset(scale, 0, out->groups * sizeof *scale);
  memset(sum, 0, out->groups * sizeof *sum);
  for (size_t g = 0; g < groups; g++, x += KERN_GROUP) {
    float max = 0;
    for (int i = 0; i < KERN_GROUP; i++) max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
    if (max < KERN_TINY) continue;
    const float inverse = 127.0f / max;
    int32_t total = 0;
    for (size_t i = 0; i < KERN_GROUP; i++) {
      const int8_t v = (int8_t)rintf(x[i] * inverse);
      q[q_index(out->order, g, i)] = v;
      total += v;
    }
    scale[g] = max / 127.0f;
    sum[g] = scale[g] * (float)total;
  }
}

// Adds group g to its lane: the order that the header fixes.
static void add_group(float *lane, size_t g, int32_t dot, float s, float b, float xs, float xq) {
  float *acc = &lane[g % KERN_LANES];
  *acc = fmaf((float)dot, s * xs, *acc);
  *acc = fmaf(b, xq, *acc);
}

static void scalar_rows(const KernRows *w, int bits, const KernActs *x, size_t first_x, size_t n_x, float *y,
                        size_t y_stride) {
  for (size_t r = 0; r < w->rows; r++)
    for (size_t t = 0; t < n_x; t++) {
      const uint8_t *codes = w->w + r * w->w_stride;
      const int8_t *q = x->q + (first_x + t) * x->q_stride;
      const size_t at = (first_x + t) * x->groups;
      float lane[KERN_LANES] = {0};
      for (size_t g = 0; g < w->groups; g++) {
        int32_t dot = 0;
        for (size_t i = 0; i < KERN_GROUP; i++) {
          const size_t n = g * KERN_GROUP + i;
          const int code = bits == 8 ? codes[n] : codes[n / 2] >> (n % 2 * 4) & 15;
          dot += code * q[q_index(x->order, g, i)];
        }
        add_group(lane, g, dot, load_f16(w->scales + r * w->s_stride, g),
                  load_f16(w->biases + r * w->s_stride, g), x->scale[at + g], x->sum[at + g]);
      }
      y[t * y_stride + r] = add_lanes(lane);
    }
}

static void scalar_rows_q4(const KernRows *w, const KernActs *x, size_t first_x, size_t n_x, float *y,
                           size_t y_stride) {
  scalar_rows(w, 4, x, first_x, n_x, y, y_stride);
}

static void scalar_rows_q8(const KernRows *w, const KernActs *x, size_t first_x, size_t n_x, float *y,
                           size_t y_stride) {
  scalar_rows(w, 8, x, first_x, n_x, y, y_stride);
}

static void scalar_unpack_q4(const KernRows *w, KernPanel *out) {
  memset(out->codes, 0, out->groups * KERN_GROUP * KERN_PANEL_ROWS);
  memset(out->scale, 0, out->groups * KERN_PANEL_ROWS * sizeof(float));
  memset(out->bias, 0, out->groups * KERN_PANEL_ROWS * sizeof(float));
  out->bits = 4;
  for (size_t r = 0; r < w->rows; r++)
    for (size_t g = 0; g < w->groups; g++) {
      const uint8_t *codes = w->w + r * w->w_stride + g * 16;
      uint8_t *to = out->codes + g * KERN_GROUP * KERN_PANEL_ROWS + r * 4;
      for (size_t i = 0; i < 16; i++) {
        to[i / 4 * 64 + i % 4] = codes[i] & 15;
        to[(i + 16) / 4 * 64 + i % 4] = codes[i] >> 4;
      }
      out->scale[g * KERN_PANEL_ROWS + r] = load_f16(w->scales + r * w->s_stride, g);
      out->bias[g * KERN_PANEL_ROWS + r] = load_f16(w->biases + r * w->s_stride, g);
    }
}

static void scalar_panel(const KernPanel *w, const KernActs *x, size_t first_x, size_t n_x, size_t rows,
                         float *y, size_t y_stride) {
  for (size_t t = 0; t < n_x; t++)
    for (size_t r = 0; r < rows; r++) {
      const int8_t *q = x->q + (first_x + t) * x->q_stride;
      const size_t at = (first_x + t) * x->groups;
      float lane[KERN_LANES] = {0};
      for (size_t g = 0; g < w->groups; g++) {
        const uint8_t *codes = w->codes + g * KERN_GROUP * KERN_PANEL_ROWS + r * 4;
        int32_t dot = 0;
        for (size_t d = 0; d < 8; d++)
          for (size_t i = 0; i < 4; i++) {
            // Dword d of a panel holds even inputs first when the codes were nibbles.
            const size_t input = x->order == KERN_ORDER_PLAIN ? d * 4 + i : d % 4 * 8 + i * 2 + d / 4;
            dot += codes[d * 64 + i] * q[q_index(x->order, g, input)];
          }
        add_group(lane, g, dot, w->scale[g * KERN_PANEL_ROWS + r], w->bias[g * KERN_PANEL_ROWS + r],
                  x->scale[at + g], x->sum[at + g]);
      }
      y[t * y_stride + r] = add_lanes(lane);
    }
}

// --- attention and activations -------------------------------------------------------------------

static void scalar_silu_mul(float *gate, const float *up, size_t n) {
  for (size_t i = 0; i < n; i++) gate[i] = gate[i] / (1.0f + kmath_exp(-gate[i])) * up[i];
}

// Element i of keys or values, before its scale.
static float kv_at(const KernAttend *a, const void *kv, size_t i) {
  return a->k_scale ? (float)((const int8_t *)kv)[i] : dtype_f16_to_f32(((const uint16_t *)kv)[i]);
}

// q . k[i] in lanes, with fused products; then the scale.
static float score(const KernAttend *a, const float *q, size_t i) {
  float lane[KERN_LANES] = {0};
  for (size_t d = 0; d < a->dim; d++)
    lane[d % KERN_LANES] = fmaf(q[d], kv_at(a, a->k, i * a->dim + d), lane[d % KERN_LANES]);
  return a->k_scale ? add_lanes(lane) * a->k_scale[i] : add_lanes(lane);
}

static void scalar_attend(const KernAttend *a) {
  for (size_t h = 0; h < a->heads; h++) {
    float p[KERN_BLOCK], lane[KERN_LANES] = {0}, *out = a->out + h * a->dim;
    float max = -INFINITY;
    for (size_t i = 0; i < a->n; i++) {
      p[i] = score(a, kern_query(a, h), i);
      max = p[i] > max ? p[i] : max;
    }
    for (size_t i = 0; i < a->n; i++) {
      p[i] = kmath_exp(p[i] - max);
      lane[i % KERN_LANES] += p[i];
      if (a->v_scale) p[i] *= a->v_scale[i];
    }
    memset(out, 0, a->dim * sizeof *out);
    for (size_t i = 0; i < a->n; i++)
      for (size_t d = 0; d < a->dim; d++) out[d] = fmaf(p[i], kv_at(a, a->v, i * a->dim + d), out[d]);
    a->max[h] = max;
    a->sum[h] = add_lanes(lane);
  }
}

static void scalar_to_f16(const float *x, uint16_t *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = dtype_f32_to_f16(fminf(fmaxf(x[i], -65504.0f), 65504.0f));
}

// --- limits --------------------------------------------------------------------------------------

static uint64_t scalar_read(const uint8_t *p, size_t n) {
  const uint8_t *const half = p + n / 2;
  uint64_t sum = 0, v[2];
  for (size_t i = 0; i < n / 2; i += 8) {
    memcpy(&v[0], p + i, 8);
    memcpy(&v[1], half + i, 8);
    sum += v[0] + v[1];
  }
  return sum;
}

static float scalar_peak_int8(size_t rounds) {
  uint8_t a[64];
  int8_t b[64];
  int32_t acc[16] = {0};
  for (int i = 0; i < 64; i++) a[i] = (uint8_t)i, b[i] = (int8_t)(i - 32);
  for (size_t r = 0; r < rounds; r++)
    for (int k = 0; k < KERN_PEAK_OPS / 128; k++) {
      for (int i = 0; i < 64; i++) acc[i / 4] += a[i] * b[i];
      a[k] ^= 1;
    }
  return (float)acc[3];
}

static float scalar_peak_f32(size_t rounds) {
  float acc[16] = {0}, a[16];
  for (int i = 0; i < 16; i++) a[i] = (float)i;
  for (size_t r = 0; r < rounds; r++)
    for (int k = 0; k < KERN_PEAK_OPS / 32; k++)
      for (int i = 0; i < 16; i++) acc[i] = acc[i] * 0.5f + a[i];
  return add_lanes(acc);
}

const Kern kern_scalar = {
    .name = "scalar",
    .few_tokens = 4,
    .few_tokens_q8 = SIZE_MAX,
    .dot = scalar_dot,
    .dot_rows = scalar_dot_rows,
    .axpy = scalar_axpy,
    .rows_f16 = scalar_rows_f16,
    .quantize = scalar_quantize,
    .rows_q4 = scalar_rows_q4,
    .rows_q8 = scalar_rows_q8,
    .unpack_q4 = scalar_unpack_q4,
    .panel = scalar_panel,
    ELEM_KERNELS,
    .silu_mul = scalar_silu_mul,
    .attend = scalar_attend,
    .to_f16 = scalar_to_f16,
    .read = scalar_read,
    .peak_int8 = scalar_peak_int8,
    .peak_f32 = scalar_peak_f32,
};
