// neon: arm64 with dot products. Same names and same bits as scalar.c; compiled with its own flags. The
// 16 lanes of every sum are four vectors of 4.
#if defined(__aarch64__)
#include "kernels/elem.h"
#include "kernels/fetch.h"
#include "kernels/kern.h"
#include "kernels/kmath.h"

#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))

typedef struct Lanes {
  float32x4_t v[4]; // lanes 4 i .. 4 i + 3
} Lanes;

INLINE Lanes lanes_zero(void) {
  const float32x4_t z = vdupq_n_f32(0);
  return (Lanes){{z, z, z, z}};
}

// l + 8, + 4, + 2, + 1.
INLINE float add_lanes(Lanes a) {
  const float32x4_t s = vaddq_f32(vaddq_f32(a.v[0], a.v[2]), vaddq_f32(a.v[1], a.v[3]));
  const float32x2_t t = vadd_f32(vget_low_f32(s), vget_high_f32(s));
  return vget_lane_f32(t, 0) + vget_lane_f32(t, 1);
}

INLINE float32x4_t load_f16(const void *p) {
  uint16x4_t h;
  memcpy(&h, p, sizeof h);
  return vcvt_f32_f16(vreinterpret_f16_u16(h));
}

INLINE float load_f16_one(const uint8_t *p) {
  __fp16 h;
  memcpy(&h, p, sizeof h);
  return (float)h;
}

INLINE float32x4_t load_f32(const uint8_t *p) {
  float32x4_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

// --- exact ---------------------------------------------------------------------------------------

// A row of float32 or float16, at any alignment, times one token.
INLINE float exact_row(bool f16, const uint8_t *w, size_t n, const float *x) {
  Lanes acc = lanes_zero();
  size_t i = 0;
  for (; i + 16 <= n; i += 16)
#pragma GCC unroll 4
    for (size_t k = 0; k < 4; k++) {
      const size_t at = i + 4 * k;
      acc.v[k] = vfmaq_f32(acc.v[k], f16 ? load_f16(w + 2 * at) : load_f32(w + 4 * at), vld1q_f32(x + at));
    }
  if (i < n) {
    float lane[16];
    for (int k = 0; k < 4; k++) vst1q_f32(lane + 4 * k, acc.v[k]);
    for (; i < n; i++) {
      float v;
      if (f16)
        v = load_f16_one(w + 2 * i);
      else
        memcpy(&v, w + 4 * i, sizeof v);
      lane[i % 16] = fmaf(v, x[i], lane[i % 16]);
    }
    for (int k = 0; k < 4; k++) acc.v[k] = vld1q_f32(lane + 4 * k);
  }
  return add_lanes(acc);
}

static float neon_dot(const float *a, const float *b, size_t n) {
  return exact_row(false, (const uint8_t *)a, n, b);
}

static void neon_dot_rows(const float *w, const float *x, size_t x_stride, size_t n_x, size_t n, float *y,
                          size_t y_stride) {
  for (size_t t = 0; t < n_x; t++) y[t * y_stride] = neon_dot(w, x + t * x_stride, n);
}

static void neon_axpy(float a, const float *x, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}

static void neon_rows_f16(const uint8_t *w, size_t w_stride, size_t rows, size_t n, const float *x,
                          size_t x_stride, size_t n_x, float *y, size_t y_stride) {
  for (size_t r = 0; r < rows; r++, w += w_stride)
    for (size_t t = 0; t < n_x; t++) y[t * y_stride + r] = exact_row(true, w, n, x + t * x_stride);
}

// --- quantizing activations ----------------------------------------------------------------------

static void quantize_group(const float *x, const KernActs *out, size_t g, int8_t *q, float *scale,
                           float *sum) {
  float32x4_t v[8], m = vdupq_n_f32(0);
  for (int i = 0; i < 8; i++) {
    v[i] = vld1q_f32(x + 4 * i);
    m = vmaxnmq_f32(m, vabsq_f32(v[i]));
  }
  const float max = vmaxnmvq_f32(m);
  if (max < KERN_TINY) return;
  const float32x4_t inverse = vdupq_n_f32(127.0f / max);
  int16x8_t h[4];
  int32x4_t total = vdupq_n_s32(0);
  for (int i = 0; i < 4; i++) {
    const int32x4_t a = vcvtnq_s32_f32(vmulq_f32(v[2 * i], inverse));
    const int32x4_t b = vcvtnq_s32_f32(vmulq_f32(v[2 * i + 1], inverse));
    total = vaddq_s32(total, vaddq_s32(a, b));
    h[i] = vcombine_s16(vqmovn_s32(a), vqmovn_s32(b));
  }
  *scale = max / 127.0f;
  *sum = *scale * (float)vaddvq_s32(total);
  const int8x16_t lo = vcombine_s8(vqmovn_s16(h[0]), vqmovn_s16(h[1]));
  const int8x16_t hi = vcombine_s8(vqmovn_s16(h[2]), vqmovn_s16(h[3]));
  if (out->order == KERN_ORDER_PLAIN) {
    vst1q_s8(q + g * 32, lo);
    vst1q_s8(q + g * 32 + 16, hi);
    return;
  }
  q += g / 4 * 128 + g % 4 * 16;
  vst1q_s8(q, vuzp1q_s8(lo, hi));
  vst1q_s8(q + 64, vuzp2q_s8(lo, hi));
}

static void neon_quantize(const float *x, size_t groups, const KernActs *out, size_t t) {
  int8_t *q = out->q + t * out->q_stride;
  float *scale = out->scale + t * out->groups, *sum = out->sum + t * out->groups;
  memset(q, 0, out->groups * KERN_GROUP);
  memset(scale, 0, out->groups * sizeof *scale);
  memset(sum, 0, out->groups * sizeof *sum);
  for (size_t g = 0; g < groups; g++) quantize_group(x + g * 32, out, g, q, scale + g, sum + g);
}

// --- rows times few tokens: bound by reading the rows ----------------------------------------------

// Four vectors of partial sums to the four sums.
INLINE int32x4_t sums_of_4(const int32x4_t *d) {
  return vpaddq_s32(vpaddq_s32(d[0], d[1]), vpaddq_s32(d[2], d[3]));
}

// The integer dots of four groups of 4-bit codes (64 bytes).
INLINE int32x4_t dots_q4(const uint8_t *codes, const int8_t *q) {
  const uint8x16_t nibble = vdupq_n_u8(15);
  int32x4_t d[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    const uint8x16_t v = vld1q_u8(codes + 16 * i);
    d[i] = vdotq_s32(vdupq_n_s32(0), vreinterpretq_s8_u8(vandq_u8(v, nibble)), vld1q_s8(q + 16 * i));
    d[i] = vdotq_s32(d[i], vreinterpretq_s8_u8(vshrq_n_u8(v, 4)), vld1q_s8(q + 64 + 16 * i));
  }
  return sums_of_4(d);
}

// Codes of 8 bits do not fit the signed product: code - 128 does, and 128 times the sum of q is added.
INLINE int32x4_t dot_bytes(int32x4_t acc, uint8x16_t codes, int8x16_t q) {
  acc = vdotq_s32(acc, vreinterpretq_s8_u8(veorq_u8(codes, vdupq_n_u8(128))), q);
  acc = vdotq_s32(acc, vdupq_n_s8(64), q);
  return vdotq_s32(acc, vdupq_n_s8(64), q);
}

// The same of four groups of 8-bit codes (128 bytes).
INLINE int32x4_t dots_q8(const uint8_t *codes, const int8_t *q) {
  int32x4_t d[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    d[i] = dot_bytes(vdupq_n_s32(0), vld1q_u8(codes + 32 * i), vld1q_s8(q + 32 * i));
    d[i] = dot_bytes(d[i], vld1q_u8(codes + 32 * i + 16), vld1q_s8(q + 32 * i + 16));
  }
  return sums_of_4(d);
}

// 16 groups of a row.
INLINE Lanes add_block(const int bits, Lanes acc, const uint8_t *codes, const uint8_t *s, const uint8_t *b,
                       const int8_t *q, const float *xs, const float *xq) {
#pragma GCC unroll 4
  for (size_t k = 0; k < 4; k++) {
    const int32x4_t d =
        bits == 4 ? dots_q4(codes + 64 * k, q + 128 * k) : dots_q8(codes + 128 * k, q + 128 * k);
    acc.v[k] = vfmaq_f32(acc.v[k], vcvtq_f32_s32(d), vmulq_f32(load_f16(s + 8 * k), vld1q_f32(xs + 4 * k)));
    acc.v[k] = vfmaq_f32(acc.v[k], load_f16(b + 8 * k), vld1q_f32(xq + 4 * k));
  }
  return acc;
}

INLINE void rows_any(const int bits, const KernRows *w, const KernActs *x, size_t first_x, size_t n_x,
                     float *y, size_t y_stride) {
  const size_t block = 16 * (size_t)bits * 4, whole = w->groups & ~(size_t)15, left = w->groups - whole;
  uint8_t codes_end[512] = {0}, s_end[32] = {0}, b_end[32] = {0};
  fetch_first_pages(w->w, w->scales, w->biases);
  for (size_t r = 0; r < w->rows; r++) {
    const uint8_t *codes = w->w + r * w->w_stride, *s = w->scales + r * w->s_stride,
                  *b = w->biases + r * w->s_stride;
    fetch_pages(codes, s, b);
    if (left) { // the last groups, padded: nothing behind the row is read
      memcpy(codes_end, codes + whole * (size_t)bits * 4, left * (size_t)bits * 4);
      memcpy(s_end, s + whole * 2, left * 2);
      memcpy(b_end, b + whole * 2, left * 2);
    }
    for (size_t t = 0; t < n_x; t++) {
      const int8_t *q = x->q + (first_x + t) * x->q_stride;
      const float *xs = x->scale + (first_x + t) * x->groups, *xq = x->sum + (first_x + t) * x->groups;
      Lanes acc = lanes_zero();
      for (size_t g = 0; g < whole; g += 16)
        acc = add_block(bits, acc, codes + g / 16 * block, s + g * 2, b + g * 2, q + g * 32, xs + g, xq + g);
      if (left) acc = add_block(bits, acc, codes_end, s_end, b_end, q + whole * 32, xs + whole, xq + whole);
      y[t * y_stride + r] = add_lanes(acc);
    }
  }
}

static void neon_rows_q4(const KernRows *w, const KernActs *x, size_t first_x, size_t n_x, float *y,
                         size_t y_stride) {
  rows_any(4, w, x, first_x, n_x, y, y_stride);
}

static void neon_rows_q8(const KernRows *w, const KernActs *x, size_t first_x, size_t n_x, float *y,
                         size_t y_stride) {
  rows_any(8, w, x, first_x, n_x, y, y_stride);
}

// --- panels times many tokens: bound by multiplying -------------------------------------------------

static void neon_unpack_q4(const KernRows *w, KernPanel *out) {
  const uint8x16_t nibble = vdupq_n_u8(15);
  memset(out->codes, 0, out->groups * 512);
  memset(out->scale, 0, out->groups * 16 * sizeof(float));
  memset(out->bias, 0, out->groups * 16 * sizeof(float));
  out->bits = 4;
  for (size_t r = 0; r < w->rows; r++)
    for (size_t g = 0; g < w->groups; g++) {
      const uint8x16_t v = vld1q_u8(w->w + r * w->w_stride + g * 16);
      uint8_t lo[16], hi[16], *to = out->codes + g * 512 + r * 4;
      vst1q_u8(lo, vandq_u8(v, nibble));
      vst1q_u8(hi, vshrq_n_u8(v, 4));
      for (int d = 0; d < 4; d++) {
        memcpy(to + 64 * d, lo + 4 * d, 4);
        memcpy(to + 64 * d + 256, hi + 4 * d, 4);
      }
      out->scale[g * 16 + r] = load_f16_one(w->scales + r * w->s_stride + g * 2);
      out->bias[g * 16 + r] = load_f16_one(w->biases + r * w->s_stride + g * 2);
    }
}

// Integer dots of group g's 16 rows with NT tokens.
INLINE void dots_panel(const int NT, bool narrow, const uint8_t *codes, const int8_t *q, size_t half,
                       size_t stride, int32x4_t dot[4][4]) {
#pragma GCC unroll 4
  for (int t = 0; t < NT; t++) dot[t][0] = dot[t][1] = dot[t][2] = dot[t][3] = vdupq_n_s32(0);
#pragma GCC unroll 8
  for (size_t d = 0; d < 8; d++) {
    const int8_t *qd = q + (d < 4 ? 4 * d : half + 4 * (d - 4));
#pragma GCC unroll 4
    for (int t = 0; t < NT; t++) {
      int32_t four;
      memcpy(&four, qd + (size_t)t * stride, sizeof four);
      const int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(four));
#pragma GCC unroll 4
      for (int k = 0; k < 4; k++) {
        const uint8x16_t c = vld1q_u8(codes + 64 * d + 16 * (size_t)k);
        dot[t][k] = narrow ? vdotq_s32(dot[t][k], vreinterpretq_s8_u8(c), x) : dot_bytes(dot[t][k], c, x);
      }
    }
  }
}

// See avx512.c: the lanes of the sum one after the other, their tree as a stack.
INLINE void panel_tile(const int NT, bool narrow, const KernPanel *w, const KernActs *x, size_t first_x,
                       size_t rows, float *y, size_t y_stride) {
  static const uint8_t lane_at[16] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};
  const bool plain = x->order == KERN_ORDER_PLAIN;
  const size_t half = plain ? 16 : 64, stride = x->q_stride, xg = x->groups;
  const int8_t *x8 = x->q + first_x * stride;
  const float *xs = x->scale + first_x * xg, *xq = x->sum + first_x * xg;
  Lanes stack[4][4];
  for (int i = 0; i < 16; i++) {
    Lanes acc[4];
    for (int t = 0; t < NT; t++) acc[t] = lanes_zero();
    for (size_t g = lane_at[i]; g < w->groups; g += 16) {
      int32x4_t dot[4][4];
      dots_panel(NT, narrow, w->codes + g * 512, x8 + (plain ? g * 32 : g / 4 * 128 + g % 4 * 16), half,
                 stride, dot);
#pragma GCC unroll 4
      for (int t = 0; t < NT; t++)
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
          const float32x4_t sx = vmulq_n_f32(vld1q_f32(w->scale + g * 16 + 4 * k), xs[(size_t)t * xg + g]);
          acc[t].v[k] = vfmaq_f32(acc[t].v[k], vcvtq_f32_s32(dot[t][k]), sx);
          acc[t].v[k] = vfmaq_n_f32(acc[t].v[k], vld1q_f32(w->bias + g * 16 + 4 * k), xq[(size_t)t * xg + g]);
        }
    }
    int level = 0;
    for (; i >> level & 1; level++)
      for (int t = 0; t < NT; t++)
        for (int k = 0; k < 4; k++) acc[t].v[k] = vaddq_f32(stack[level][t].v[k], acc[t].v[k]);
    for (int t = 0; t < NT; t++)
      if (level == 4) {
        float all[16];
        for (int k = 0; k < 4; k++) vst1q_f32(all + 4 * k, acc[t].v[k]);
        memcpy(y + (size_t)t * y_stride, all, rows * sizeof *all);
      } else {
        stack[level][t] = acc[t];
      }
  }
}

static void neon_panel(const KernPanel *w, const KernActs *x, size_t first_x, size_t n_x, size_t rows,
                       float *y, size_t y_stride) {
  const bool narrow = w->bits <= 7;
  size_t t = 0;
  for (; narrow && t + 4 <= n_x; t += 4)
    panel_tile(4, true, w, x, first_x + t, rows, y + t * y_stride, y_stride);
  for (; narrow && t < n_x; t++) panel_tile(1, true, w, x, first_x + t, rows, y + t * y_stride, y_stride);
  for (; t < n_x; t++) panel_tile(1, false, w, x, first_x + t, rows, y + t * y_stride, y_stride);
}

// --- attention and activations -------------------------------------------------------------------

// kmath_exp. Comparisons instead of maxima, so that a NaN becomes the smallest, as there.
INLINE float32x4_t vexp(float32x4_t x) {
  const float32x4_t min = vdupq_n_f32(KEXP_MIN), max = vdupq_n_f32(KEXP_MAX);
  x = vbslq_f32(vcgtq_f32(x, min), x, min);
  x = vbslq_f32(vcltq_f32(x, max), x, max);
  const float32x4_t k = vrndnq_f32(vmulq_f32(x, vdupq_n_f32(KEXP_LOG2E)));
  float32x4_t r = vfmaq_f32(x, k, vdupq_n_f32(-KEXP_LN2_HI));
  r = vfmaq_f32(r, k, vdupq_n_f32(-KEXP_LN2_LO));
  float32x4_t p = vdupq_n_f32(KEXP_C7);
  p = vfmaq_f32(vdupq_n_f32(KEXP_C6), p, r);
  p = vfmaq_f32(vdupq_n_f32(KEXP_C5), p, r);
  p = vfmaq_f32(vdupq_n_f32(KEXP_C4), p, r);
  p = vfmaq_f32(vdupq_n_f32(KEXP_C3), p, r);
  p = vfmaq_f32(vdupq_n_f32(KEXP_C2), p, r);
  p = vaddq_f32(vfmaq_f32(r, p, vmulq_f32(r, r)), vdupq_n_f32(1.0f));
  const int32x4_t e = vaddq_s32(vcvtq_s32_f32(k), vdupq_n_s32(127));
  return vmulq_f32(p, vreinterpretq_f32_s32(vshlq_n_s32(e, 23)));
}

static void neon_silu_mul(float *gate, const float *up, size_t n) {
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const float32x4_t g = vld1q_f32(gate + i), e = vexp(vnegq_f32(g));
    vst1q_f32(gate + i, vmulq_f32(vdivq_f32(g, vaddq_f32(vdupq_n_f32(1.0f), e)), vld1q_f32(up + i)));
  }
  for (; i < n; i++) gate[i] = gate[i] / (1.0f + kmath_exp(-gate[i])) * up[i];
}

// 8 elements of keys or values from element i on.
INLINE void load_kv(const bool q8, const void *kv, size_t i, float32x4_t out[2]) {
  if (q8) {
    const int16x8_t v = vmovl_s8(vld1_s8((const int8_t *)kv + i));
    out[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(v)));
    out[1] = vcvtq_f32_s32(vmovl_high_s16(v));
  } else {
    out[0] = load_f16((const uint16_t *)kv + i);
    out[1] = load_f16((const uint16_t *)kv + i + 4);
  }
}

// Elements d .. d + 7 of head q times those of four positions, to lanes 4 half .. 4 half + 7.
INLINE void score_step(const bool q8, const void *keys, const size_t *k, const float *q, size_t d,
                       const int half, Lanes *acc) {
  const float32x4_t q0 = vld1q_f32(q + d), q1 = vld1q_f32(q + d + 4);
#pragma GCC unroll 4
  for (int c = 0; c < 4; c++) {
    float32x4_t v[2];
    load_kv(q8, keys, k[c] + d, v);
    acc[c].v[half] = vfmaq_f32(acc[c].v[half], q0, v[0]);
    acc[c].v[half + 1] = vfmaq_f32(acc[c].v[half + 1], q1, v[1]);
  }
}

// Scores of head q at all positions, four at a time.
INLINE void scores(const bool q8, const KernAttend *a, const float *q, float *p) {
  const size_t row = a->dim * (q8 ? 1 : 2), all = a->n * row;
  for (size_t i = 0; i < a->n; i += 4) {
    if (q == a->q) fetch_ahead(a->k, all, a->v, i * row, 4 * row);
    size_t k[4], d = 0;
    Lanes acc[4];
    for (size_t c = 0; c < 4; c++) {
      k[c] = (i + c < a->n ? i + c : a->n - 1) * a->dim;
      acc[c] = lanes_zero();
    }
    for (; d + 16 <= a->dim; d += 16) {
      score_step(q8, a->k, k, q, d, 0, acc);
      score_step(q8, a->k, k, q, d + 8, 2, acc);
    }
    if (d < a->dim) score_step(q8, a->k, k, q, d, 0, acc);
#pragma GCC unroll 4
    for (size_t c = 0; c < 4; c++) p[i + c] = add_lanes(acc[c]);
  }
}

INLINE void scale_by(float *p, const float *scale, size_t n) {
  for (size_t i = 0; i < n; i++) p[i] *= scale[i];
}

// p = exp(p - max) in place; the sum in lanes of 16 positions.
INLINE void exponentials(float *p, size_t n, float *max, float *sum) {
  float m = -INFINITY, lane[16] = {0};
  for (size_t i = 0; i < n; i++) m = p[i] > m ? p[i] : m;
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const float32x4_t e = vexp(vsubq_f32(vld1q_f32(p + i), vdupq_n_f32(m)));
    vst1q_f32(p + i, e);
    vst1q_f32(lane + i % 16, vaddq_f32(vld1q_f32(lane + i % 16), e));
  }
  for (; i < n; i++) {
    p[i] = kmath_exp(p[i] - m);
    lane[i % 16] += p[i];
  }
  *max = m;
  *sum =
      add_lanes((Lanes){{vld1q_f32(lane), vld1q_f32(lane + 4), vld1q_f32(lane + 8), vld1q_f32(lane + 12)}});
}

// out[h .. h + 3][d .. d + 16) = sum over positions of p * v; of 8 elements when HALF.
INLINE void weigh_4(const bool q8, const bool HALF, const KernAttend *a, size_t h, size_t d,
                    float p[4][KERN_BLOCK]) {
  const size_t parts = HALF ? 2 : 4;
  Lanes acc[4] = {lanes_zero(), lanes_zero(), lanes_zero(), lanes_zero()};
  const size_t row = a->dim * (q8 ? 1 : 2), all = a->n * row;
  for (size_t i = 0; i < a->n; i++) {
    if (h == 0 && d == 0) fetch_ahead(a->v, all, a->next, i * row, row);
    float32x4_t v[4];
    load_kv(q8, a->v, i * a->dim + d, v);
    if (!HALF) load_kv(q8, a->v, i * a->dim + d + 8, v + 2);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
#pragma GCC unroll 4
      for (size_t c = 0; c < parts; c++) acc[j].v[c] = vfmaq_n_f32(acc[j].v[c], v[c], p[j][i]);
  }
  for (size_t j = 0; j < 4 && h + j < a->heads; j++)
    for (size_t c = 0; c < parts; c++) vst1q_f32(a->out + (h + j) * a->dim + d + 4 * c, acc[j].v[c]);
}

// Four heads at a time; those that are not there weigh nothing and are not stored.
INLINE void attend(const bool q8, const KernAttend *a) {
  float p[4][KERN_BLOCK];
  for (size_t h = 0; h < a->heads; h += 4) {
    const size_t n = a->heads - h < 4 ? a->heads - h : 4;
    for (size_t j = 0; j < n; j++) {
      scores(q8, a, kern_query(a, h + j), p[j]);
      if (q8) scale_by(p[j], a->k_scale, a->n);
      exponentials(p[j], a->n, &a->max[h + j], &a->sum[h + j]);
      if (q8) scale_by(p[j], a->v_scale, a->n);
    }
    for (size_t j = n; j < 4; j++) memset(p[j], 0, sizeof p[j]);
    size_t d = 0;
    for (; d + 16 <= a->dim; d += 16) weigh_4(q8, false, a, h, d, p);
    if (d < a->dim) weigh_4(q8, true, a, h, d, p);
  }
}

static void neon_attend(const KernAttend *a) {
  if (a->k_scale)
    attend(true, a);
  else
    attend(false, a);
}

static void neon_to_f16(const float *x, uint16_t *y, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const __fp16 h = (__fp16)fminf(fmaxf(x[i], -65504.0f), 65504.0f);
    memcpy(y + i, &h, sizeof h);
  }
}

// --- limits --------------------------------------------------------------------------------------

static uint64_t neon_read(const uint8_t *p, size_t n) {
  const uint8_t *const half = p + n / 2;
  uint64x2_t sum[2] = {vdupq_n_u64(0), vdupq_n_u64(0)};
  for (size_t i = 0; i < n / 2; i += 16) {
    if (i % FETCH_PAGE == 0) fetch_page(p + i + FETCH_PAGES), fetch_page(half + i + FETCH_PAGES);
    sum[0] = vaddq_u64(sum[0], vreinterpretq_u64_u8(vld1q_u8(p + i)));
    sum[1] = vaddq_u64(sum[1], vreinterpretq_u64_u8(vld1q_u8(half + i)));
  }
  return vaddvq_u64(vaddq_u64(sum[0], sum[1]));
}

static float neon_peak_int8(size_t rounds) {
  int32x4_t acc[16];
  int8x16_t x = vdupq_n_s8(3);
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) acc[i] = vdupq_n_s32(i); // no two chains alike
  for (size_t r = 0; r < rounds * (KERN_PEAK_OPS / 32 / 16); r++) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) acc[i] = vdotq_s32(acc[i], x, x);
    __asm__ volatile("" : "+w"(x));
  }
#pragma GCC unroll 16
  for (int i = 1; i < 16; i++) acc[0] = vaddq_s32(acc[0], acc[i]);
  return (float)vaddvq_s32(acc[0]);
}

static float neon_peak_f32(size_t rounds) {
  float32x4_t acc[16], x = vdupq_n_f32(0.5f);
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) acc[i] = vdupq_n_f32((float)i);
  for (size_t r = 0; r < rounds * (KERN_PEAK_OPS / 8 / 16); r++) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) acc[i] = vfmaq_f32(x, acc[i], x);
    __asm__ volatile("" : "+w"(x));
  }
#pragma GCC unroll 16
  for (int i = 1; i < 16; i++) acc[0] = vaddq_f32(acc[0], acc[i]);
  return vaddvq_f32(acc[0]);
}

const Kern kern_neon = {
    .name = "neon",
    .few_tokens = 4,
    .few_tokens_q8 = SIZE_MAX,
    .dot = neon_dot,
    .dot_rows = neon_dot_rows,
    .axpy = neon_axpy,
    .rows_f16 = neon_rows_f16,
    .quantize = neon_quantize,
    .rows_q4 = neon_rows_q4,
    .rows_q8 = neon_rows_q8,
    .unpack_q4 = neon_unpack_q4,
    .panel = neon_panel,
    ELEM_KERNELS,
    .silu_mul = neon_silu_mul,
    .attend = neon_attend,
    .to_f16 = neon_to_f16,
    .read = neon_read,
    .peak_int8 = neon_peak_int8,
    .peak_f32 = neon_peak_f32,
};
#else
typedef int kern_neon_is_for_arm64;
#endif
