// avx512: AVX-512 with VNNI. Same names and same bits as scalar.c; compiled with its own flags.
#if defined(__x86_64__)
#include "kernels/fetch.h"
#include "kernels/kern.h"
#include "kernels/kmath.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

// --- lanes ---------------------------------------------------------------------------------------

// l + 8, + 4, + 2, + 1.
INLINE float add_lanes(__m512 v) {
  const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  b = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(b, _mm_shuffle_ps(b, b, 1)));
}

// add_lanes of 16 vectors at once; element k of 128-bit lane j belongs to v[4 k + j].
INLINE __m512 add_lanes_16(const __m512 *v) {
  __m512 s[8], r[4], u[2];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++)
    s[i] = _mm512_add_ps(_mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0x44),
                         _mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0xEE));
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++)
    r[i] = _mm512_add_ps(_mm512_shuffle_f32x4(s[2 * i], s[2 * i + 1], 0x88),
                         _mm512_shuffle_f32x4(s[2 * i], s[2 * i + 1], 0xDD));
#pragma GCC unroll 2
  for (int i = 0; i < 2; i++) {
    const __m512d a = _mm512_castps_pd(r[2 * i]), b = _mm512_castps_pd(r[2 * i + 1]);
    u[i] =
        _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
  }
  return _mm512_add_ps(_mm512_shuffle_ps(u[0], u[1], 0x88), _mm512_shuffle_ps(u[0], u[1], 0xDD));
}

INLINE __mmask16 first_lanes(size_t n) { return n >= 16 ? 0xFFFF : (__mmask16)((1u << n) - 1); }

// --- exact ---------------------------------------------------------------------------------------

static float avx512_dot(const float *a, const float *b, size_t n) {
  __m512 acc = _mm512_setzero_ps();
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 m = first_lanes(n - i);
    const __m512 p = _mm512_mul_ps(_mm512_maskz_loadu_ps(m, a + i), _mm512_maskz_loadu_ps(m, b + i));
    acc = _mm512_mask_add_ps(acc, m, acc, p);
  }
  return add_lanes(acc);
}

// 16 inputs from i on (those in m; all of them when not TAIL) of NR rows of float32 or float16 times NT
// tokens.
INLINE void exact_step(const int NR, const int NT, const bool f16, const bool TAIL, __mmask16 m,
                       const uint8_t *w, size_t w_stride, size_t i, const float *x, size_t x_stride,
                       __m512 acc[4][4]) {
  __m512 xv[4];
#pragma GCC unroll 4
  for (int t = 0; t < NT; t++) {
    const float *at = x + (size_t)t * x_stride + i;
    xv[t] = TAIL ? _mm512_maskz_loadu_ps(m, at) : _mm512_loadu_ps(at);
  }
#pragma GCC unroll 4
  for (int r = 0; r < NR; r++) {
    const uint8_t *at = w + (size_t)r * w_stride + (f16 ? 2 : 4) * i;
    __m512 wv;
    if (f16)
      wv = _mm512_cvtph_ps(TAIL ? _mm256_maskz_loadu_epi16(m, at)
                                : _mm256_loadu_si256((const __m256i *)(const void *)at));
    else
      wv = TAIL ? _mm512_maskz_loadu_ps(m, at) : _mm512_loadu_ps(at);
#pragma GCC unroll 4
    for (int t = 0; t < NT; t++) {
      const __m512 p = _mm512_mul_ps(wv, xv[t]);
      acc[r][t] = TAIL ? _mm512_mask_add_ps(acc[r][t], m, acc[r][t], p) : _mm512_add_ps(acc[r][t], p);
    }
  }
}

// NR rows of float32 (f16 false) or float16 times NT tokens.
INLINE void exact_tile(const int NR, const int NT, const bool f16, const uint8_t *w, size_t w_stride,
                       size_t n, const float *x, size_t x_stride, float *y, size_t y_stride) {
  __m512 acc[4][4];
#pragma GCC unroll 4
  for (int r = 0; r < NR; r++)
#pragma GCC unroll 4
    for (int t = 0; t < NT; t++) acc[r][t] = _mm512_setzero_ps();
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    if (f16 && NT == 1 && i % 32 == 0)
#pragma GCC unroll 4
      for (size_t r = 0; r < 4; r++) // the next rows, which begin too far away for the processor to know
        _mm_prefetch((const char *)w + (r + 4) * w_stride + 2 * i, _MM_HINT_T0);
    exact_step(NR, NT, f16, false, 0, w, w_stride, i, x, x_stride, acc);
  }
  if (i < n) exact_step(NR, NT, f16, true, first_lanes(n - i), w, w_stride, i, x, x_stride, acc);
#pragma GCC unroll 4
  for (int r = 0; r < NR; r++)
#pragma GCC unroll 4
    for (int t = 0; t < NT; t++) y[(size_t)t * y_stride + (size_t)r] = add_lanes(acc[r][t]);
}

static void avx512_dot_rows(const float *w, const float *x, size_t x_stride, size_t n_x, size_t n, float *y,
                            size_t y_stride) {
  size_t t = 0;
  for (; t + 4 <= n_x; t += 4)
    exact_tile(1, 4, false, (const uint8_t *)w, 0, n, x + t * x_stride, x_stride, y + t * y_stride, y_stride);
  for (; t < n_x; t++) y[t * y_stride] = avx512_dot(w, x + t * x_stride, n);
}

static void avx512_axpy(float a, const float *x, float *y, size_t n) {
  const __m512 av = _mm512_set1_ps(a);
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 m = first_lanes(n - i);
    const __m512 p = _mm512_mul_ps(av, _mm512_maskz_loadu_ps(m, x + i));
    _mm512_mask_storeu_ps(y + i, m, _mm512_add_ps(_mm512_maskz_loadu_ps(m, y + i), p));
  }
}

static void avx512_rows_f16(const uint8_t *w, size_t w_stride, size_t rows, size_t n, const float *x,
                            size_t x_stride, size_t n_x, float *y, size_t y_stride) {
  size_t r = 0;
  for (; r + 4 <= rows; r += 4, w += 4 * w_stride) {
    size_t t = 0;
    for (; t + 4 <= n_x; t += 4)
      exact_tile(4, 4, true, w, w_stride, n, x + t * x_stride, x_stride, y + t * y_stride + r, y_stride);
    for (; t < n_x; t++)
      exact_tile(4, 1, true, w, w_stride, n, x + t * x_stride, x_stride, y + t * y_stride + r, y_stride);
  }
  for (; r < rows; r++, w += w_stride)
    for (size_t t = 0; t < n_x; t++)
      exact_tile(1, 1, true, w, w_stride, n, x + t * x_stride, x_stride, y + t * y_stride + r, y_stride);
}

// --- quantizing activations ----------------------------------------------------------------------

static void quantize_group(const float *x, const KernActs *out, size_t g, int8_t *q, float *scale,
                           float *sum) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512 a = _mm512_loadu_ps(x), b = _mm512_loadu_ps(x + 16);
  const float max = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(a), _mm512_abs_ps(b)));
  if (max < KERN_TINY) return;
  const __m512 inverse = _mm512_set1_ps(127.0f / max);
  __m512i lo = _mm512_cvtps_epi32(_mm512_mul_ps(a, inverse)),
          hi = _mm512_cvtps_epi32(_mm512_mul_ps(b, inverse));
  const int total = _mm512_reduce_add_epi32(_mm512_add_epi32(lo, hi));
  *scale = max / 127.0f;
  *sum = *scale * (float)total;
  if (out->order == KERN_ORDER_PLAIN) {
    q += g * 32;
    _mm_storeu_si128((__m128i *)(void *)q, _mm512_cvtsepi32_epi8(lo));
    _mm_storeu_si128((__m128i *)(void *)(q + 16), _mm512_cvtsepi32_epi8(hi));
    return;
  }
  const __m512i e = _mm512_permutex2var_epi32(lo, even, hi);
  const __m512i o = _mm512_permutex2var_epi32(lo, _mm512_add_epi32(even, _mm512_set1_epi32(1)), hi);
  q += g / 4 * 128 + g % 4 * 16;
  _mm_storeu_si128((__m128i *)(void *)q, _mm512_cvtsepi32_epi8(e));
  _mm_storeu_si128((__m128i *)(void *)(q + 64), _mm512_cvtsepi32_epi8(o));
}

static void avx512_quantize(const float *x, size_t groups, const KernActs *out, size_t t) {
  int8_t *q = out->q + t * out->q_stride;
  float *scale = out->scale + t * out->groups, *sum = out->sum + t * out->groups;
  memset(q, 0, out->groups * KERN_GROUP);
  memset(scale, 0, out->groups * sizeof *scale);
  memset(sum, 0, out->groups * sizeof *sum);
  for (size_t g = 0; g < groups; g++) quantize_group(x + g * 32, out, g, q, scale + g, sum + g);
}

// --- rows times few tokens: bound by reading the rows ----------------------------------------------

// Bytes of 4-bit codes to ask for ahead of use: some hundred nanoseconds of them. 6 KiB reached 79 % of
// the reading rate, 2 KiB 73 % (Zen 4); codes of 8 bits are faster without.
enum { AHEAD = 6144 };

// 16 groups of 4-bit codes (256 bytes, `left` groups of them valid) as 8 vectors of bytes.
INLINE void load_q4(const uint8_t *codes, size_t left, __m512i *lo, __m512i *hi) {
  const __m512i nibble = _mm512_set1_epi8(15);
#pragma GCC unroll 4
  for (size_t k = 0; k < 4; k++) {
    const __mmask16 m = left >= 16 ? 0xFFFF : left > 4 * k ? first_lanes(4 * (left - 4 * k)) : 0;
    const __m512i v =
        left >= 16 ? _mm512_loadu_si512(codes + 64 * k) : _mm512_maskz_loadu_epi32(m, codes + 64 * k);
    lo[k] = _mm512_and_si512(v, nibble);
    hi[k] = _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble);
  }
}

// Vector k holds groups 4 k + j in its 128-bit lanes j; the sums of all 16 groups, in order.
INLINE __m512i group_sums_q4(const __m512i *d) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i a = _mm512_add_epi32(_mm512_unpacklo_epi32(d[0], d[1]), _mm512_unpackhi_epi32(d[0], d[1]));
  const __m512i b = _mm512_add_epi32(_mm512_unpacklo_epi32(d[2], d[3]), _mm512_unpackhi_epi32(d[2], d[3]));
  return _mm512_permutexvar_epi32(order,
                                  _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b)));
}

INLINE __m512 load_f16(const uint8_t *p, size_t left) {
  if (left >= 16) return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(left), p));
}

// acc += the 16 groups from g on: their integer dots, scales and biases.
INLINE __m512 add_groups(__m512 acc, __m512i dots, __m512 s, __m512 b, const float *xs, const float *xq) {
  acc = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), _mm512_mul_ps(s, _mm512_loadu_ps(xs)), acc);
  return _mm512_fmadd_ps(b, _mm512_loadu_ps(xq), acc);
}

INLINE void row_q4(const int NT, const uint8_t *codes, const uint8_t *scales, const uint8_t *biases,
                   size_t groups, const KernActs *x, size_t first_x, float *y, size_t y_stride) {
  __m512 acc[8];
  for (int t = 0; t < NT; t++) acc[t] = _mm512_setzero_ps();
  for (size_t g = 0; g < groups; g += 16) {
    const size_t left = groups - g;
    __m512i lo[4], hi[4];
    load_q4(codes + g * 16, left, lo, hi);
    _mm_prefetch((const char *)codes + g * 16 + AHEAD, _MM_HINT_T0);
    _mm_prefetch((const char *)codes + g * 16 + AHEAD + 64, _MM_HINT_T0);
    _mm_prefetch((const char *)codes + g * 16 + AHEAD + 128, _MM_HINT_T0);
    _mm_prefetch((const char *)codes + g * 16 + AHEAD + 192, _MM_HINT_T0);
    _mm_prefetch((const char *)scales + g * 2 + AHEAD / 8, _MM_HINT_T0);
    _mm_prefetch((const char *)biases + g * 2 + AHEAD / 8, _MM_HINT_T0);
    const __m512 s = load_f16(scales + g * 2, left), b = load_f16(biases + g * 2, left);
#pragma GCC unroll 8
    for (int t = 0; t < NT; t++) {
      const size_t at = first_x + (size_t)t;
      const int8_t *q = x->q + at * x->q_stride + g * 32;
      __m512i d[4];
#pragma GCC unroll 4
      for (int k = 0; k < 4; k++) {
        d[k] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), lo[k], _mm512_loadu_si512(q + 128 * k));
        d[k] = _mm512_dpbusd_epi32(d[k], hi[k], _mm512_loadu_si512(q + 128 * k + 64));
      }
      acc[t] = add_groups(acc[t], group_sums_q4(d), s, b, x->scale + at * x->groups + g,
                          x->sum + at * x->groups + g);
    }
  }
  for (int t = 0; t < NT; t++) y[(size_t)t * y_stride] = add_lanes(acc[t]);
}

static void avx512_rows_q4(const KernRows *w, const KernActs *x, size_t first_x, size_t n_x, float *y,
                           size_t y_stride) {
  for (size_t r = 0; r < w->rows; r++) {
    const uint8_t *codes = w->w + r * w->w_stride, *s = w->scales + r * w->s_stride,
                  *b = w->biases + r * w->s_stride;
    size_t t = 0;
    for (; t + 8 <= n_x; t += 8)
      row_q4(8, codes, s, b, w->groups, x, first_x + t, y + t * y_stride + r, y_stride);
    for (; t + 4 <= n_x; t += 4)
      row_q4(4, codes, s, b, w->groups, x, first_x + t, y + t * y_stride + r, y_stride);
    for (; t + 2 <= n_x; t += 2)
      row_q4(2, codes, s, b, w->groups, x, first_x + t, y + t * y_stride + r, y_stride);
    for (; t < n_x; t++) row_q4(1, codes, s, b, w->groups, x, first_x + t, y + t * y_stride + r, y_stride);
  }
}

// Vector c holds groups 2 c and 2 c + 1 in its halves; the sums of all 16 groups, in order.
INLINE __m512i group_sums_q8(const __m512i *d) {
  const __m512i order = _mm512_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
  __m512i t[4], u[2];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++)
    t[i] = _mm512_add_epi32(_mm512_unpacklo_epi32(d[2 * i], d[2 * i + 1]),
                            _mm512_unpackhi_epi32(d[2 * i], d[2 * i + 1]));
#pragma GCC unroll 2
  for (int i = 0; i < 2; i++)
    u[i] = _mm512_add_epi32(_mm512_unpacklo_epi64(t[2 * i], t[2 * i + 1]),
                            _mm512_unpackhi_epi64(t[2 * i], t[2 * i + 1]));
  return _mm512_permutexvar_epi32(order, _mm512_add_epi32(_mm512_shuffle_i32x4(u[0], u[1], 0x88),
                                                          _mm512_shuffle_i32x4(u[0], u[1], 0xDD)));
}

INLINE void row_q8(const int NT, const uint8_t *codes, const uint8_t *scales, const uint8_t *biases,
                   size_t groups, const KernActs *x, size_t first_x, float *y, size_t y_stride) {
  __m512 acc[4];
  for (int t = 0; t < NT; t++) acc[t] = _mm512_setzero_ps();
  for (size_t g = 0; g < groups; g += 16) {
    const size_t left = groups - g;
    __m512i v[8];
#pragma GCC unroll 8
    for (size_t k = 0; k < 8; k++) {
      const uint8_t *p = codes + g * 32 + 64 * k;
      const __mmask16 m = left > 2 * k ? first_lanes(8 * (left - 2 * k)) : 0;
      v[k] = left >= 16 ? _mm512_loadu_si512(p) : _mm512_maskz_loadu_epi32(m, p);
    }
    const __m512 s = load_f16(scales + g * 2, left), b = load_f16(biases + g * 2, left);
#pragma GCC unroll 4
    for (int t = 0; t < NT; t++) {
      const size_t at = first_x + (size_t)t;
      const int8_t *q = x->q + at * x->q_stride + g * 32;
      __m512i d[8];
#pragma GCC unroll 8
      for (int k = 0; k < 8; k++)
        d[k] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), v[k], _mm512_loadu_si512(q + 64 * k));
      acc[t] = add_groups(acc[t], group_sums_q8(d), s, b, x->scale + at * x->groups + g,
                          x->sum + at * x->groups + g);
    }
  }
  for (int t = 0; t < NT; t++) y[(size_t)t * y_stride] = add_lanes(acc[t]);
}

static void avx512_rows_q8(const KernRows *w, const KernActs *x, size_t first_x, size_t n_x, float *y,
                           size_t y_stride) {
  for (size_t r = 0; r < w->rows; r++) {
    const uint8_t *codes = w->w + r * w->w_stride, *s = w->scales + r * w->s_stride,
                  *b = w->biases + r * w->s_stride;
    size_t t = 0;
    for (; t + 4 <= n_x; t += 4)
      row_q8(4, codes, s, b, w->groups, x, first_x + t, y + t * y_stride + r, y_stride);
    for (; t + 2 <= n_x; t += 2)
      row_q8(2, codes, s, b, w->groups, x, first_x + t, y + t * y_stride + r, y_stride);
    for (; t < n_x; t++) row_q8(1, codes, s, b, w->groups, x, first_x + t, y + t * y_stride + r, y_stride);
  }
}

// --- rows times a few tokens: as much reading as multiplying ---------------------------------------------
//
// A lane is a group: the codes of 16 groups are spread so that a vector has one dword of every group, once
// for all tokens, and the dots of a token need no adding of lanes. The activations lie in the same way.

enum {
  FEW_TOKENS = 8
}; // at a time: their activations stay in the first cache (codes are asked for into the second)

// Lane 4 j + i of v[k] becomes lane 4 j + k of v[i].
INLINE void spread_4(__m512i *v) {
  const __m512i a = _mm512_unpacklo_epi32(v[0], v[1]), b = _mm512_unpackhi_epi32(v[0], v[1]);
  const __m512i c = _mm512_unpacklo_epi32(v[2], v[3]), d = _mm512_unpackhi_epi32(v[2], v[3]);
  v[0] = _mm512_unpacklo_epi64(a, c);
  v[1] = _mm512_unpackhi_epi64(a, c);
  v[2] = _mm512_unpacklo_epi64(b, d);
  v[3] = _mm512_unpackhi_epi64(b, d);
}

// Vector k holds groups 2 k and 2 k + 1; becomes dword k of every group.
INLINE void spread_8(__m512i *v) {
  spread_4(v); // 128-bit lanes: dwords d and d + 4 of four even groups, then of four odd ones
  spread_4(v + 4);
#pragma GCC unroll 4
  for (int d = 0; d < 4; d++) {
    const __m512i lo = v[d], hi = v[d + 4];
    v[d] = _mm512_shuffle_i32x4(lo, hi, 0x88);
    v[d + 4] = _mm512_shuffle_i32x4(lo, hi, 0xDD);
  }
}

// Which of 16 groups a lane has then, and which lane a group has: of 4 bits (its own inverse), of 8.
static const uint8_t group_of_lane[2][16] = {{0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15},
                                             {0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15}};
static const uint8_t lane_of_group[2][16] = {{0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15},
                                             {0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15}};

INLINE __m512i lanes(const uint8_t *order) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)order));
}

// Codes of 16 groups (`left` of them valid) as they lie: N vectors of 16 / N groups.
INLINE void load_codes(const size_t N, const uint8_t *codes, size_t left, __m512i *v) {
  const size_t per = 16 / N;
#pragma GCC unroll 8
  for (size_t k = 0; k < N; k++) {
    const __mmask16 m = left > per * k ? first_lanes(N * (left - per * k)) : 0;
    v[k] = left >= 16 ? _mm512_loadu_si512(codes + 64 * k) : _mm512_maskz_loadu_epi32(m, codes + 64 * k);
  }
}

// Codes of 16 groups (`left` of them valid): dword k of every group, of 4 bits the even inputs' dwords first.
INLINE void spread_codes(const int BITS, const uint8_t *codes, size_t left, __m512i *v) {
  if (BITS == 4) {
    const __m512i nibble = _mm512_set1_epi8(15);
    load_codes(4, codes, left, v);
    spread_4(v);
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
      v[k + 4] = _mm512_and_si512(_mm512_srli_epi16(v[k], 4), nibble);
      v[k] = _mm512_and_si512(v[k], nibble);
    }
  } else {
    load_codes(8, codes, left, v);
    spread_8(v);
  }
}

// 16 scales or biases in the order of the lanes.
INLINE __m512 load_spread(const int BITS, const uint8_t *p, size_t left) {
  const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)group_of_lane[BITS == 8]);
  const __m256i v = left >= 16 ? _mm256_loadu_si256((const __m256i *)(const void *)p)
                               : _mm256_maskz_loadu_epi16(first_lanes(left), p);
  return _mm512_cvtph_ps(_mm256_permutexvar_epi16(_mm256_cvtepu8_epi16(bytes), v));
}

// The int8 of 16 groups of a token, spread as the codes they are multiplied with.
INLINE void spread_acts(bool plain, const int8_t *q, __m512i *v) {
  if (plain) {
    for (size_t k = 0; k < 8; k++) v[k] = _mm512_loadu_si512(q + k * 64);
    spread_8(v);
    return;
  }
  for (size_t k = 0; k < 4; k++) {
    v[k] = _mm512_loadu_si512(q + k * 128);
    v[k + 4] = _mm512_loadu_si512(q + k * 128 + 64);
  }
  spread_4(v);
  spread_4(v + 4);
}

// The tokens from `first` on, `have` of them and zeros up to KERN_TILE: tile_q of the tile as
// [groups / 16][KERN_TILE][8][16][4], tile_scale and tile_sum as [groups / 16][KERN_TILE][16], spread.
static void pack_few(const KernActs *x, size_t tile, size_t first, size_t have) {
  const bool plain = x->order == KERN_ORDER_PLAIN;
  const __m512i order = lanes(group_of_lane[plain]);
  const size_t G = x->groups;
  int8_t *q = x->tile_q + tile * G * 512;
  float *scale = x->tile_scale + tile * G * 16, *sum = x->tile_sum + tile * G * 16;
  for (size_t t = 0; t < KERN_TILE; t++) {
    for (size_t g = 0; g < G; g += 16) {
      const size_t from = (first + (t < have ? t : 0)) * G + g, to = g * KERN_TILE + t * 16;
      const __mmask16 m = t < have ? 0xFFFF : 0;
      __m512i v[8];
      spread_acts(plain, x->q + (first + (t < have ? t : 0)) * x->q_stride + g * 32, v);
      for (size_t k = 0; k < 8; k++)
        _mm512_storeu_si512(q + to * 32 + k * 64, _mm512_maskz_mov_epi32(m, v[k]));
      _mm512_storeu_ps(scale + to, _mm512_maskz_permutexvar_ps(m, order, _mm512_loadu_ps(x->scale + from)));
      _mm512_storeu_ps(sum + to, _mm512_maskz_permutexvar_ps(m, order, _mm512_loadu_ps(x->sum + from)));
    }
  }
}

// sum[t] += 16 groups of a row times token t of a packed tile.
INLINE void few_step(const int BITS, const int NT, const KernRows *w, size_t row, size_t g, const int8_t *q,
                     const float *xs, const float *xq, __m512 *sum) {
  const uint8_t *codes = w->w + row * w->w_stride + g * 4 * (size_t)BITS;
  const uint8_t *scales = w->scales + row * w->s_stride + g * 2,
                *biases = w->biases + row * w->s_stride + g * 2;
  const size_t left = w->groups - g;
  __m512i v[8];
  spread_codes(BITS, codes, left, v);
#pragma GCC unroll 8
  for (int k = 0; k < BITS; k++) _mm_prefetch((const char *)codes + 64 * k + AHEAD, _MM_HINT_T1);
  _mm_prefetch((const char *)scales + AHEAD / 8, _MM_HINT_T1);
  _mm_prefetch((const char *)biases + AHEAD / 8, _MM_HINT_T1);
  const __m512 s = load_spread(BITS, scales, left), b = load_spread(BITS, biases, left);
#pragma GCC unroll 16
  for (int t = 0; t < NT; t++) {
    __m512i dot = _mm512_setzero_si512();
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++)
      dot = _mm512_dpbusd_epi32(dot, v[k], _mm512_loadu_si512(q + t * 512 + 64 * k));
    sum[t] = add_groups(sum[t], dot, s, b, xs + t * 16, xq + t * 16);
  }
}

enum { FEW_ROWS = 4 }; // rows whose lanes are added together

// sum[t] = the lanes of a row times NT tokens of a packed tile, from token t0 on.
INLINE void few_row(const int BITS, const int NT, const KernRows *w, size_t row, const KernActs *x,
                    size_t tile, size_t t0, __m512 *sum) {
  const int8_t *q = x->tile_q + tile * x->groups * 512 + t0 * 512;
  const float *xs = x->tile_scale + tile * x->groups * 16 + t0 * 16;
  const float *xq = x->tile_sum + tile * x->groups * 16 + t0 * 16;
  __m512 acc[FEW_TOKENS];
#pragma GCC unroll 8
  for (int t = 0; t < NT; t++) acc[t] = _mm512_setzero_ps();
  for (size_t g = 0; g < w->groups; g += 16) {
    few_step(BITS, NT, w, row, g, q, xs, xq, acc);
    q += KERN_TILE * 512, xs += KERN_TILE * 16, xq += KERN_TILE * 16;
  }
#pragma GCC unroll 8
  for (int t = 0; t < NT; t++) sum[t] = acc[t];
}

// Rows times n tokens of a packed tile from t0 on, n <= NT.
INLINE void few(const int BITS, const int NT, const KernRows *w, const KernActs *x, size_t tile, size_t t0,
                size_t n, float *y, size_t y_stride) {
  const __m512i order = lanes(lane_of_group[BITS == 8]);
  const size_t N = (size_t)NT;
  for (size_t first = 0; first < w->rows; first += FEW_ROWS) {
    const size_t rows = w->rows - first < FEW_ROWS ? w->rows - first : FEW_ROWS;
    __m512 sum[FEW_ROWS * FEW_TOKENS];
    float total[FEW_ROWS * FEW_TOKENS];
    for (size_t r = 0; r < rows; r++) few_row(BITS, NT, w, first + r, x, tile, t0, sum + r * N);
    for (size_t i = rows * N; i < FEW_ROWS * FEW_TOKENS; i++) sum[i] = _mm512_setzero_ps();
    for (size_t i = 0; i < rows * N; i += 16) {
      __m512 v[16];
      for (size_t k = 0; k < 16; k++) v[k] = _mm512_permutexvar_ps(order, sum[i + k]);
      _mm512_storeu_ps(total + i, _mm512_permutexvar_ps(lanes(group_of_lane[0]), add_lanes_16(v)));
    }
    for (size_t t = 0; t < n; t++)
      for (size_t r = 0; r < rows; r++) y[t * y_stride + first + r] = total[r * N + t];
  }
}

#define FEW(BITS)                                                                                            \
  static void few_q##BITS(const KernRows *w, const KernActs *x, size_t tile, size_t n, float *y,             \
                          size_t y_stride) {                                                                 \
    for (size_t t = 0; t < n; t += FEW_TOKENS, y += FEW_TOKENS * y_stride) {                                 \
      const size_t left = n - t < FEW_TOKENS ? n - t : FEW_TOKENS;                                           \
      if (left > 6)                                                                                          \
        few(BITS, 8, w, x, tile, t, left, y, y_stride);                                                      \
      else if (left > 4)                                                                                     \
        few(BITS, 6, w, x, tile, t, left, y, y_stride);                                                      \
      else if (left > 2)                                                                                     \
        few(BITS, 4, w, x, tile, t, left, y, y_stride);                                                      \
      else                                                                                                   \
        few(BITS, 2, w, x, tile, t, left, y, y_stride);                                                      \
    }                                                                                                        \
  }
FEW(4)
FEW(8)

// --- panels times many tokens: bound by multiplying -------------------------------------------------

// v[r] element e becomes v[e] element r.
INLINE void transpose_16(__m512i *v) {
  __m512i a[16], b[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    a[2 * i] = _mm512_unpacklo_epi32(v[2 * i], v[2 * i + 1]);
    a[2 * i + 1] = _mm512_unpackhi_epi32(v[2 * i], v[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) { // b[4 i + c]: rows 4 i .. 4 i + 3, elements c of every 128-bit lane
    b[4 * i] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
    b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
    b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
    b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; c++) {
    const __m512i lo0 = _mm512_shuffle_i32x4(b[c], b[4 + c], 0x88),
                  lo1 = _mm512_shuffle_i32x4(b[c], b[4 + c], 0xDD);
    const __m512i hi0 = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0x88),
                  hi1 = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0xDD);
    v[c] = _mm512_shuffle_i32x4(lo0, hi0, 0x88);      // lane 0 of the rows
    v[8 + c] = _mm512_shuffle_i32x4(lo0, hi0, 0xDD);  // lane 2
    v[4 + c] = _mm512_shuffle_i32x4(lo1, hi1, 0x88);  // lane 1
    v[12 + c] = _mm512_shuffle_i32x4(lo1, hi1, 0xDD); // lane 3
  }
}

// The next panel's rows are asked for while this one is unpacked, and come while it is multiplied.
INLINE void ask_ahead(const uint8_t *row, size_t stride, size_t at) {
#pragma GCC unroll 16
  for (size_t r = 16; r < 32; r++) _mm_prefetch((const char *)row + r * stride + at, _MM_HINT_T1);
}

static void unpack_scales(const KernRows *w, const uint8_t *from, size_t g, float *to) {
  __m512i v[16];
  if (g % 32 == 0) ask_ahead(from, w->s_stride, g * 2);
  for (size_t r = 0; r < 16; r++)
    v[r] = r < w->rows ? _mm512_castps_si512(load_f16(from + r * w->s_stride + g * 2, w->groups - g))
                       : _mm512_setzero_si512();
  transpose_16(v);
  for (size_t i = 0; i < 16; i++) _mm512_storeu_si512(to + (g + i) * 16, v[i]);
}

static void avx512_unpack_q4(const KernRows *w, KernPanel *out) {
  const __m512i nibble = _mm512_set1_epi8(15);
  out->bits = 4;
  for (size_t g = 0; g < out->groups; g += 4) {
    const size_t left = g < w->groups ? w->groups - g : 0;
    const __mmask16 m = first_lanes(4 * left);
    __m512i v[16];
#pragma GCC unroll 16
    for (size_t r = 0; r < 16; r++)
      v[r] =
          _mm512_maskz_loadu_epi32(r < w->rows ? m : 0, w->w + (r < w->rows ? r : 0) * w->w_stride + g * 16);
    ask_ahead(w->w, w->w_stride, g * 16);
    transpose_16(v);
    uint8_t *to = out->codes + g * 512;
#pragma GCC unroll 16
    for (size_t e = 0; e < 16; e++) {
      uint8_t *at = to + e / 4 * 512 + e % 4 * 64;
      _mm512_storeu_si512(at, _mm512_and_si512(v[e], nibble));
      _mm512_storeu_si512(at + 256, _mm512_and_si512(_mm512_srli_epi16(v[e], 4), nibble));
    }
  }
  memset(out->scale, 0, out->groups * 16 * sizeof(float));
  memset(out->bias, 0, out->groups * 16 * sizeof(float));
  for (size_t g = 0; g < w->groups; g += 16) {
    unpack_scales(w, w->scales, g, out->scale);
    unpack_scales(w, w->biases, g, out->bias);
  }
}

INLINE int32_t load_i32(const int8_t *p) {
  int32_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

// The order of the sum's lanes (groups mod 16) in which their tree can be added with a stack of four.
static const uint8_t lane_at[16] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};

// The panel's 16 rows (a row a lane) times NT tokens. The lanes of the sum (groups mod 16) come one
// after the other, in an order that lets their tree be added with a stack of four partial sums.
INLINE void panel_tile(const int NT, const KernPanel *w, const KernActs *x, size_t first_x, __mmask16 rows,
                       float *y, size_t y_stride) {
  const bool plain = x->order == KERN_ORDER_PLAIN;
  const size_t half = plain ? 16 : 64, stride = x->q_stride, xg = x->groups;
  const int8_t *xq8 = x->q + first_x * stride;
  const float *xs = x->scale + first_x * xg, *xq = x->sum + first_x * xg;
  __m512 stack[4][12];
  for (int i = 0; i < 16; i++) {
    __m512 acc[12];
#pragma GCC unroll 12
    for (int t = 0; t < NT; t++) acc[t] = _mm512_setzero_ps();
    for (size_t g = lane_at[i]; g < w->groups; g += 16) {
      const uint8_t *codes = w->codes + g * 512;
      const int8_t *q = xq8 + (plain ? g * 32 : g / 4 * 128 + g % 4 * 16);
      __m512i dot[12];
#pragma GCC unroll 12
      for (int t = 0; t < NT; t++) dot[t] = _mm512_setzero_si512();
#pragma GCC unroll 8
      for (size_t d = 0; d < 8; d++) {
        const __m512i c = _mm512_loadu_si512(codes + 64 * d);
        const int8_t *qd = q + (d < 4 ? 4 * d : half + 4 * (d - 4));
#pragma GCC unroll 12
        for (int t = 0; t < NT; t++)
          dot[t] = _mm512_dpbusd_epi32(dot[t], c, _mm512_set1_epi32(load_i32(qd + (size_t)t * stride)));
      }
      const __m512 s = _mm512_loadu_ps(w->scale + g * 16), b = _mm512_loadu_ps(w->bias + g * 16);
#pragma GCC unroll 12
      for (int t = 0; t < NT; t++) {
        const __m512 sx = _mm512_mul_ps(s, _mm512_set1_ps(xs[(size_t)t * xg + g]));
        acc[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[t]), sx, acc[t]);
        acc[t] = _mm512_fmadd_ps(b, _mm512_set1_ps(xq[(size_t)t * xg + g]), acc[t]);
      }
    }
    int level = 0;
    for (; i >> level & 1; level++)
#pragma GCC unroll 12
      for (int t = 0; t < NT; t++) acc[t] = _mm512_add_ps(stack[level][t], acc[t]);
    if (level == 4) {
      for (int t = 0; t < NT; t++) _mm512_mask_storeu_ps(y + (size_t)t * y_stride, rows, acc[t]);
    } else {
#pragma GCC unroll 12
      for (int t = 0; t < NT; t++) stack[level][t] = acc[t];
    }
  }
}

#define PANEL_TILE(n)                                                                                        \
  static void panel_tile_##n(const KernPanel *w, const KernActs *x, size_t first_x, __mmask16 rows,          \
                             float *y, size_t y_stride) {                                                    \
    panel_tile(n, w, x, first_x, rows, y, y_stride);                                                         \
  }
PANEL_TILE(1)
PANEL_TILE(2)
PANEL_TILE(4)
PANEL_TILE(6)
PANEL_TILE(8)
PANEL_TILE(10)
PANEL_TILE(11)
PANEL_TILE(12)

static void avx512_panel(const KernPanel *w, const KernActs *x, size_t first_x, size_t n_x, size_t rows,
                         float *y, size_t y_stride) {
  const __mmask16 m = first_lanes(rows);
  for (size_t t = 0, n; t < n_x; t += n) {
    // Tiles of about equal size: the remaining tokens over the fewest tiles of 12.
    const size_t left = n_x - t, tiles = (left + 11) / 12, want = (left + tiles - 1) / tiles;
    float *at = y + t * y_stride;
    if (want >= 12)
      panel_tile_12(w, x, first_x + t, m, at, y_stride), n = 12;
    else if (want >= 11)
      panel_tile_11(w, x, first_x + t, m, at, y_stride), n = 11;
    else if (want >= 10)
      panel_tile_10(w, x, first_x + t, m, at, y_stride), n = 10;
    else if (want >= 8)
      panel_tile_8(w, x, first_x + t, m, at, y_stride), n = 8;
    else if (want >= 6)
      panel_tile_6(w, x, first_x + t, m, at, y_stride), n = 6;
    else if (want >= 4)
      panel_tile_4(w, x, first_x + t, m, at, y_stride), n = 4;
    else if (want >= 2)
      panel_tile_2(w, x, first_x + t, m, at, y_stride), n = 2;
    else
      panel_tile_1(w, x, first_x + t, m, at, y_stride), n = 1;
  }
}

// --- tiles: rows as they lie times tokens side by side ------------------------------------------------
//
// A lane is a token, and four codes of a row are broadcast to all of them: no row has to be transposed,
// which is most of what a panel costs when tokens are few. The lanes of the sum come one after the other
// here too, and everything lies in the order in which they do.

// Where group g comes among `groups` (padded ones).
INLINE size_t rank_of(size_t g, size_t groups) {
  static const uint8_t rank[16] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15}; // its own inverse
  return rank[g % 16] * (groups / 16) + g / 16;
}

// Element t of 16 rows of 16 floats, `from` for token t, to vector g of `to`.
INLINE void pack_floats(const float *from, size_t have, size_t groups, float *to) {
  for (size_t g = 0; g < groups; g += 16) {
    __m512i v[16];
    for (size_t t = 0; t < 16; t++)
      v[t] = t < have ? _mm512_loadu_si512(from + t * groups + g) : _mm512_setzero_si512();
    transpose_16(v);
    for (size_t i = 0; i < 16; i++) _mm512_storeu_si512(to + rank_of(g + i, groups) * 16, v[i]);
  }
}

static void avx512_pack_tile(const KernActs *x, size_t tile, size_t n) {
  const bool plain = x->order == KERN_ORDER_PLAIN;
  const size_t first = tile * KERN_TILE, have = n - first < KERN_TILE ? n - first : KERN_TILE, G = x->groups;
  if (tile % 2 == 0 && first + KERN_TILE >= n) { // an odd tile is multiplied beside the one before
    pack_few(x, tile, first, have);
    return;
  }
  int8_t *q = x->tile_q + tile * G * 512;
  for (size_t c = 0; c < G * 32; c += 64) { // 16 dwords of every token
    __m512i v[16];
    for (size_t t = 0; t < 16; t++)
      v[t] = t < have ? _mm512_loadu_si512(x->q + (first + t) * x->q_stride + c) : _mm512_setzero_si512();
    transpose_16(v);
    for (size_t e = 0; e < 16; e++) {
      const size_t g = plain ? c / 32 + e / 8 : c / 128 * 4 + e / 4;
      const size_t d = plain ? e % 8 : e % 4 + (c % 128 ? 4 : 0);
      _mm512_storeu_si512(q + rank_of(g, G) * 512 + d * 64, v[e]);
    }
  }
  pack_floats(x->scale + first * G, have, G, x->tile_scale + tile * G * 16);
  pack_floats(x->sum + first * G, have, G, x->tile_sum + tile * G * 16);
}

// 16 rows of a tile: where they lie, and their scales and biases as float32 in [groups / 16][16 rows][16].
typedef struct TileRows {
  const uint8_t *code[16]; // missing rows repeat the last
  const uint8_t *next;     // the row 16 after the first, asked for ahead of its use
  const float *scale, *bias;
  size_t groups, next_stride;
} TileRows;

// Four codes of each of two dwords (of 4 bits: d and d + 4) broadcast to all lanes.
#define TILE_CODES(BITS, INTS, P, SI, code, g, d, lo, hi)                                                    \
  do {                                                                                                       \
    if (BITS == 4) {                                                                                         \
      const INTS both = P##_set1_epi32(load_i32((const int8_t *)(code) + (g)*16 + 4 * (d)));                 \
      lo = P##_and_##SI(both, P##_set1_epi8(15));                                                            \
      hi = P##_and_##SI(P##_srli_epi16(both, 4), P##_set1_epi8(15));                                         \
    } else {                                                                                                 \
      lo = P##_set1_epi32(load_i32((const int8_t *)(code) + (g)*32 + 4 * (d)));                              \
      hi = P##_set1_epi32(load_i32((const int8_t *)(code) + (g)*32 + 16 + 4 * (d)));                         \
    }                                                                                                        \
  } while (0)

// acc = rows r .. r + R times V vectors of tokens, for the lane of the sum that is `rank`th.
#define TILE_LANE(NAME, FLOATS, INTS, P, SI)                                                                 \
  INLINE void NAME(const int BITS, const int R, const int V, const TileRows *w, size_t r, size_t rank,       \
                   const KernActs *x, size_t tile, FLOATS acc[8]) {                                          \
    const size_t G = x->groups, first = rank * (G / 16), lane = lane_at[rank];                               \
    const int8_t *xq = x->tile_q + (tile * G + first) * 512;                                                 \
    const float *xs = x->tile_scale + (tile * G + first) * 16, *xb = x->tile_sum + (tile * G + first) * 16;  \
    const float *scale = w->scale + r * 16 + lane, *bias = w->bias + r * 16 + lane;                          \
    const uint8_t *code[8];                                                                                  \
    _Pragma("GCC unroll 8") for (int k = 0; k < R; k++) code[k] = w->code[r + (size_t)k];                    \
    _Pragma("GCC unroll 8") for (int k = 0; k < R * V; k++) acc[k] = P##_setzero_ps();                       \
    for (size_t g = lane; g < w->groups; g += 16) {                                                          \
      INTS dot[8];                                                                                           \
      _Pragma("GCC unroll 8") for (int k = 0; k < R * V; k++) dot[k] = P##_setzero_##SI();                   \
      _Pragma("GCC unroll 4") for (size_t d = 0; d < 4; d++) {                                               \
        INTS qlo[2], qhi[2];                                                                                 \
        _Pragma("GCC unroll 2") for (int v = 0; v < V; v++) {                                                \
          qlo[v] = P##_loadu_##SI((const void *)(xq + (size_t)v * G * 512 + d * 64));                        \
          qhi[v] = P##_loadu_##SI((const void *)(xq + (size_t)v * G * 512 + 256 + d * 64));                  \
        }                                                                                                    \
        _Pragma("GCC unroll 8") for (int k = 0; k < R; k++) {                                                \
          INTS lo, hi;                                                                                       \
          TILE_CODES(BITS, INTS, P, SI, code[k], g, d, lo, hi);                                              \
          _Pragma("GCC unroll 2") for (int v = 0; v < V; v++) {                                              \
            dot[k * V + v] = P##_dpbusd_epi32(dot[k * V + v], lo, qlo[v]);                                   \
            dot[k * V + v] = P##_dpbusd_epi32(dot[k * V + v], hi, qhi[v]);                                   \
          }                                                                                                  \
        }                                                                                                    \
      }                                                                                                      \
      _Pragma("GCC unroll 2") for (int v = 0; v < V; v++) {                                                  \
        const FLOATS s = P##_loadu_ps(xs + (size_t)v * G * 16), b = P##_loadu_ps(xb + (size_t)v * G * 16);   \
        _Pragma("GCC unroll 8") for (int k = 0; k < R; k++) {                                                \
          FLOATS *a = &acc[k * V + v];                                                                       \
          const FLOATS sx = P##_mul_ps(P##_set1_ps(scale[k * 16]), s);                                       \
          *a = P##_fmadd_ps(P##_cvtepi32_ps(dot[k * V + v]), sx, *a);                                        \
          *a = P##_fmadd_ps(P##_set1_ps(bias[k * 16]), b, *a);                                               \
        }                                                                                                    \
      }                                                                                                      \
      xq += 512, xs += 16, xb += 16, scale += 256, bias += 256;                                              \
    }                                                                                                        \
  }
TILE_LANE(tile_lane_16, __m512, __m512i, _mm512, si512)

// Asks for row i of the next 16: its codes come while these rows are multiplied.
INLINE void ask_next(const TileRows *w, int bits, int i) {
  const char *row = (const char *)w->next + (size_t)i * w->next_stride;
  for (size_t at = 0; at < w->groups * 4 * (size_t)bits; at += 64) _mm_prefetch(row + at, _MM_HINT_T1);
}

// sum[v][r]: 16 rows times V vectors, their lanes added as the tree.
#define TILE(NAME, LANE, FLOATS, P)                                                                          \
  INLINE void NAME(const int BITS, const int R, const int V, const TileRows *w, const KernActs *x,           \
                   size_t tile, FLOATS sum[2][16]) {                                                         \
    FLOATS stack[4][2][16], acc[8];                                                                          \
    for (int i = 0; i < 16; i++) {                                                                           \
      if (tile == 0) ask_next(w, BITS, i);                                                                   \
      for (int r = 0; r < 16; r += R) {                                                                      \
        LANE(BITS, R, V, w, (size_t)r, (size_t)i, x, tile, acc);                                             \
        int level = 0;                                                                                       \
        for (; i >> level & 1; level++)                                                                      \
          _Pragma("GCC unroll 8") for (int k = 0; k < R * V; k++) acc[k] =                                   \
              P##_add_ps(stack[level][k % V][r + k / V], acc[k]);                                            \
        FLOATS(*to)[16] = level == 4 ? sum : stack[level];                                                   \
        _Pragma("GCC unroll 8") for (int k = 0; k < R * V; k++) to[k % V][r + k / V] = acc[k];               \
      }                                                                                                      \
    }                                                                                                        \
  }
TILE(tile_16, tile_lane_16, __m512, _mm512)

// y[t][r] for the n tokens of a vector: transposed, so that a token's rows are stored together.
static void store_tile(const __m512 *sum, size_t rows, size_t n, float *y, size_t y_stride) {
  __m512i v[16];
  for (int r = 0; r < 16; r++) v[r] = _mm512_castps_si512(sum[r]);
  transpose_16(v);
  for (size_t t = 0; t < n && t < 16; t++)
    _mm512_mask_storeu_ps(y + t * y_stride, first_lanes(rows), _mm512_castsi512_ps(v[t]));
}

// [groups / 16][16 rows][16]
INLINE void tile_floats(const KernRows *w, const uint8_t *from, float *to) {
  for (size_t r = 0; r < 16; r++) {
    const uint8_t *row = from + (r < w->rows ? r : w->rows - 1) * w->s_stride;
    for (size_t g = 0; g < w->groups; g += 16)
      _mm512_storeu_ps(to + (g + r) * 16, load_f16(row + g * 2, w->groups - g));
    for (size_t at = 0; at < w->groups * 2; at += 64)
      _mm_prefetch((const char *)row + 16 * w->s_stride + at, _MM_HINT_T1);
  }
}

INLINE void tiles(const int BITS, const KernRows *w, const KernPanel *scratch, const KernActs *x, size_t n,
                  float *y, size_t y_stride) {
  TileRows rows = {.scale = scratch->scale,
                   .bias = scratch->bias,
                   .groups = w->groups,
                   .next = w->w + 16 * w->w_stride,
                   .next_stride = w->w_stride};
  __m512 sum[2][16];
  size_t t = 0;
  for (size_t r = 0; r < 16; r++) rows.code[r] = w->w + (r < w->rows ? r : w->rows - 1) * w->w_stride;
  if (n > KERN_TILE) {
    tile_floats(w, w->scales, scratch->scale);
    tile_floats(w, w->biases, scratch->bias);
  }
  for (; t + 16 < n; t += 32) {
    tile_16(BITS, 4, 2, &rows, x, t / 16, sum);
    store_tile(sum[0], w->rows, n - t, y + t * y_stride, y_stride);
    store_tile(sum[1], w->rows, n - t - 16, y + (t + 16) * y_stride, y_stride);
  }
  if (t < n) (BITS == 4 ? few_q4 : few_q8)(w, x, t / KERN_TILE, n - t, y + t * y_stride, y_stride);
}

static void avx512_tile_q4(const KernRows *w, const KernPanel *scratch, const KernActs *x, size_t n, float *y,
                           size_t y_stride) {
  tiles(4, w, scratch, x, n, y, y_stride);
}

static void avx512_tile_q8(const KernRows *w, const KernPanel *scratch, const KernActs *x, size_t n, float *y,
                           size_t y_stride) {
  tiles(8, w, scratch, x, n, y, y_stride);
}

// --- attention and activations -------------------------------------------------------------------

// kmath_exp.
INLINE __m512 vexp(__m512 x) {
  x = _mm512_max_ps(x, _mm512_set1_ps(KEXP_MIN));
  x = _mm512_min_ps(x, _mm512_set1_ps(KEXP_MAX));
  const __m512 k =
      _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(KEXP_LOG2E)), _MM_FROUND_TO_NEAREST_INT);
  __m512 r = _mm512_fmadd_ps(k, _mm512_set1_ps(-KEXP_LN2_HI), x);
  r = _mm512_fmadd_ps(k, _mm512_set1_ps(-KEXP_LN2_LO), r);
  __m512 p = _mm512_set1_ps(KEXP_C7);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(KEXP_C6));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(KEXP_C5));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(KEXP_C4));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(KEXP_C3));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(KEXP_C2));
  p = _mm512_add_ps(_mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1.0f));
  const __m512i e = _mm512_add_epi32(_mm512_cvtps_epi32(k), _mm512_set1_epi32(127));
  return _mm512_mul_ps(p, _mm512_castsi512_ps(_mm512_slli_epi32(e, 23)));
}

static void avx512_silu_mul(float *gate, const float *up, size_t n) {
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 m = first_lanes(n - i);
    const __m512 g = _mm512_maskz_loadu_ps(m, gate + i), u = _mm512_maskz_loadu_ps(m, up + i);
    const __m512 e = vexp(_mm512_xor_ps(g, _mm512_set1_ps(-0.0f)));
    const __m512 s = _mm512_div_ps(g, _mm512_add_ps(_mm512_set1_ps(1.0f), e));
    _mm512_mask_storeu_ps(gate + i, m, _mm512_mul_ps(s, u));
  }
}

// 16 elements of keys or values from element i on; the first 8 and zeros when HALF.
INLINE __m512 load_kv(const bool q8, const bool HALF, const void *kv, size_t i) {
  if (q8) {
    const __m128i *p = (const __m128i *)(const void *)((const int8_t *)kv + i);
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(HALF ? _mm_loadl_epi64(p) : _mm_loadu_si128(p)));
  }
  const uint16_t *p = (const uint16_t *)kv + i;
  if (HALF) return _mm512_cvtph_ps(_mm256_zextsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)p)));
  return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

// p *= scale
INLINE void scale_by(float *p, const float *scale, size_t n) {
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 m = first_lanes(n - i);
    const __m512 s = _mm512_mul_ps(_mm512_maskz_loadu_ps(m, p + i), _mm512_maskz_loadu_ps(m, scale + i));
    _mm512_mask_storeu_ps(p + i, m, s);
  }
}

// 16 elements (8 when HALF, which leaves the other lanes alone) of four positions times four heads.
INLINE void score_step(const bool q8, const bool HALF, const void *keys, const size_t *k,
                       const float *const *q, size_t d, __m512 *acc) {
  __m512 kv[4];
#pragma GCC unroll 4
  for (int c = 0; c < 4; c++) kv[c] = load_kv(q8, HALF, keys, k[c] + d);
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    const __m512 qv = HALF ? _mm512_maskz_loadu_ps(0xFF, q[j] + d) : _mm512_loadu_ps(q[j] + d);
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
      __m512 *at = &acc[4 * c + j];
      *at = HALF ? _mm512_mask3_fmadd_ps(qv, kv[c], *at, 0xFF) : _mm512_fmadd_ps(qv, kv[c], *at);
    }
  }
}

// Scores of four heads (h and on; missing ones repeat the last) at all positions.
INLINE void scores_4(const bool q8, const KernAttend *a, size_t h, float p[4][KERN_BLOCK]) {
  const float *q[4];
  for (size_t j = 0; j < 4; j++) q[j] = a->q + (h + j < a->heads ? h + j : a->heads - 1) * a->q_stride;
  const size_t row = a->dim * (q8 ? 1 : 2), all = a->n * row;
  for (size_t i = 0; i < a->n; i += 4) {
    if (h == 0) fetch_ahead(a->k, all, a->v, i * row, 4 * row);
    size_t k[4];
    for (size_t c = 0; c < 4; c++) k[c] = (i + c < a->n ? i + c : a->n - 1) * a->dim;
    __m512 acc[16]; // acc[4 c + j]: position i + c, head h + j
#pragma GCC unroll 16
    for (int c = 0; c < 16; c++) acc[c] = _mm512_setzero_ps();
    size_t d = 0;
    for (; d + 16 <= a->dim; d += 16) score_step(q8, false, a->k, k, q, d, acc);
    if (d < a->dim) score_step(q8, true, a->k, k, q, d, acc);
    const __m512 s = add_lanes_16(acc);
    _mm_storeu_ps(p[0] + i, _mm512_extractf32x4_ps(s, 0));
    _mm_storeu_ps(p[1] + i, _mm512_extractf32x4_ps(s, 1));
    _mm_storeu_ps(p[2] + i, _mm512_extractf32x4_ps(s, 2));
    _mm_storeu_ps(p[3] + i, _mm512_extractf32x4_ps(s, 3));
  }
}

// p = exp(p - max) in place.
INLINE void exponentials(float *p, size_t n, float *max, float *sum) {
  __m512 m = _mm512_set1_ps(-INFINITY), acc = _mm512_setzero_ps();
  for (size_t i = 0; i < n; i += 16)
    m = _mm512_mask_max_ps(m, first_lanes(n - i), m, _mm512_maskz_loadu_ps(first_lanes(n - i), p + i));
  *max = _mm512_reduce_max_ps(m);
  m = _mm512_set1_ps(*max);
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 lanes = first_lanes(n - i);
    const __m512 e = vexp(_mm512_sub_ps(_mm512_maskz_loadu_ps(lanes, p + i), m));
    _mm512_mask_storeu_ps(p + i, lanes, e);
    acc = _mm512_mask_add_ps(acc, lanes, acc, e);
  }
  *sum = add_lanes(acc);
}

// out[h .. h + 3][d .. d + 16 NV) = sum over positions of p * v; the last of the NV has 8 when HALF.
INLINE void weigh_4(const bool q8, const int NV, const bool HALF, const KernAttend *a, size_t h, size_t d,
                    float p[4][KERN_BLOCK]) {
  __m512 acc[4][4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++)
#pragma GCC unroll 4
    for (int c = 0; c < NV; c++) acc[j][c] = _mm512_setzero_ps();
  const size_t row = a->dim * (q8 ? 1 : 2), all = a->n * row;
  for (size_t i = 0; i < a->n; i++) {
    if (h == 0 && d == 0) fetch_ahead(a->v, all, a->next, i * row, row);
    __m512 v[4];
#pragma GCC unroll 4
    for (int c = 0; c < NV; c++)
      v[c] = load_kv(q8, HALF && c == NV - 1, a->v, i * a->dim + d + 16 * (size_t)c);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      const __m512 w = _mm512_set1_ps(p[j][i]);
#pragma GCC unroll 4
      for (int c = 0; c < NV; c++) acc[j][c] = _mm512_fmadd_ps(w, v[c], acc[j][c]);
    }
  }
#pragma GCC unroll 4
  for (size_t j = 0; j < 4; j++)
    if (h + j < a->heads)
#pragma GCC unroll 4
      for (size_t c = 0; c < (size_t)NV; c++)
        _mm512_mask_storeu_ps(a->out + (h + j) * a->dim + d + 16 * c,
                              HALF && c == (size_t)NV - 1 ? 0xFF : 0xFFFF, acc[j][c]);
}

INLINE void attend(const bool q8, const KernAttend *a) {
  float p[4][KERN_BLOCK];
  for (size_t h = 0; h < a->heads; h += 4) {
    scores_4(q8, a, h, p);
    for (size_t j = 0; j < 4 && h + j < a->heads; j++) {
      if (q8) scale_by(p[j], a->k_scale, a->n);
      exponentials(p[j], a->n, &a->max[h + j], &a->sum[h + j]);
      if (q8) scale_by(p[j], a->v_scale, a->n);
    }
    size_t d = 0;
    for (; d + 64 <= a->dim; d += 64) weigh_4(q8, 4, false, a, h, d, p);
    for (; d + 32 <= a->dim; d += 16) weigh_4(q8, 1, false, a, h, d, p);
    if (d + 24 == a->dim)
      weigh_4(q8, 2, true, a, h, d, p);
    else if (d + 16 == a->dim)
      weigh_4(q8, 1, false, a, h, d, p);
    else if (d < a->dim)
      weigh_4(q8, 1, true, a, h, d, p);
  }
}

static void avx512_attend(const KernAttend *a) {
  if (a->k_scale)
    attend(true, a);
  else
    attend(false, a);
}

static void avx512_to_f16(const float *x, uint16_t *y, size_t n) {
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 m = first_lanes(n - i);
    __m512 v = _mm512_max_ps(_mm512_maskz_loadu_ps(m, x + i), _mm512_set1_ps(-65504.0f));
    v = _mm512_min_ps(v, _mm512_set1_ps(65504.0f));
    _mm256_mask_storeu_epi16(y + i, m, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
}

// --- limits --------------------------------------------------------------------------------------

static uint64_t avx512_read(const uint8_t *p, size_t n) {
  __m512i sum[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                    _mm512_setzero_si512()};
  for (size_t i = 0; i < n / 4; i += 64)
#pragma GCC unroll 4
    for (size_t s = 0; s < 4; s++) sum[s] = _mm512_add_epi64(sum[s], _mm512_loadu_si512(p + s * (n / 4) + i));
  return (uint64_t)_mm512_reduce_add_epi64(
      _mm512_add_epi64(_mm512_add_epi64(sum[0], sum[1]), _mm512_add_epi64(sum[2], sum[3])));
}

// 16 chains, more than the latency needs; the barrier keeps each product.
static float avx512_peak_int8(size_t rounds) {
  __m512i acc[16], x = _mm512_set1_epi8(3);
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) acc[i] = _mm512_set1_epi32(i); // no two chains alike
  for (size_t r = 0; r < rounds * (KERN_PEAK_OPS / 128 / 16); r++) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) acc[i] = _mm512_dpbusd_epi32(acc[i], x, x);
    __asm__ volatile("" : "+v"(x));
  }
#pragma GCC unroll 16
  for (int i = 1; i < 16; i++) acc[0] = _mm512_add_epi32(acc[0], acc[i]);
  return (float)_mm512_reduce_add_epi32(acc[0]);
}

static float avx512_peak_f32(size_t rounds) {
  __m512 acc[16], x = _mm512_set1_ps(0.5f);
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) acc[i] = _mm512_set1_ps((float)i);
  for (size_t r = 0; r < rounds * (KERN_PEAK_OPS / 32 / 16); r++) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) acc[i] = _mm512_fmadd_ps(acc[i], x, x);
    __asm__ volatile("" : "+v"(x));
  }
#pragma GCC unroll 16
  for (int i = 1; i < 16; i++) acc[0] = _mm512_add_ps(acc[0], acc[i]);
  return add_lanes(acc[0]);
}

const Kern kern_avx512 = {
    .name = "avx512",
    .few_tokens = 1,
    .few_tokens_q8 = 1,
    .tile_tokens = 2,
    .dot = avx512_dot,
    .dot_rows = avx512_dot_rows,
    .axpy = avx512_axpy,
    .rows_f16 = avx512_rows_f16,
    .quantize = avx512_quantize,
    .rows_q4 = avx512_rows_q4,
    .rows_q8 = avx512_rows_q8,
    .unpack_q4 = avx512_unpack_q4,
    .panel = avx512_panel,
    .pack_tile = avx512_pack_tile,
    .tile_q4 = avx512_tile_q4,
    .tile_q8 = avx512_tile_q8,
    .silu_mul = avx512_silu_mul,
    .attend = avx512_attend,
    .to_f16 = avx512_to_f16,
    .read = avx512_read,
    .peak_int8 = avx512_peak_int8,
    .peak_f32 = avx512_peak_f32,
};
#else
typedef int kern_avx512_is_for_x86_64;
#endif
