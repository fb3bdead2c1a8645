// avx512: AVX-512 with VNNI. Same names and same bits as scalar.c; compiled with its own flags.
#if defined(__x86_64__)
#include "kernels/avx512.h"

#include "kernels/amx.h"
#include "kernels/elem.h"
#include "kernels/fetch.h"

// --- exact ---------------------------------------------------------------------------------------

static float avx512_dot(const float *a, const float *b, size_t n) {
  __m512 acc = _mm512_setzero_ps();
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 m = first_lanes(n - i);
    acc = _mm512_mask3_fmadd_ps(_mm512_maskz_loadu_ps(m, a + i), _mm512_maskz_loadu_ps(m, b + i), acc, m);
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
    STAY(xv[t]);
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
    STAY(wv);
#pragma GCC unroll 4
    for (int t = 0; t < NT; t++) {
      __m512 *a = &acc[r][t];
      *a = TAIL ? _mm512_mask3_fmadd_ps(wv, xv[t], *a, m) : _mm512_fmadd_ps(wv, xv[t], *a);
    }
  }
}

// Asks for the inputs from i on of four rows that come `ahead` bytes later: the processor cannot know where
// they begin.
INLINE void ask_rows(const uint8_t *w, size_t w_stride, size_t ahead, size_t i) {
#pragma GCC unroll 4
  for (size_t r = 0; r < 4; r++) _mm_prefetch((const char *)w + ahead + r * w_stride + 2 * i, _MM_HINT_T0);
}

// NR rows of float32 (f16 false) or float16 times NT tokens. `ahead` is for ask_rows; 0: rows are in a cache.
INLINE void exact_tile(const int NR, const int NT, const bool f16, const size_t ahead, const uint8_t *w,
                       size_t w_stride, size_t n, const float *x, size_t x_stride, float *y,
                       size_t y_stride) {
  __m512 acc[4][4], sums[16];
#pragma GCC unroll 4
  for (int r = 0; r < NR; r++)
#pragma GCC unroll 4
    for (int t = 0; t < NT; t++) acc[r][t] = _mm512_setzero_ps();
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    if (ahead && i % 32 == 0) ask_rows(w, w_stride, ahead, i);
    exact_step(NR, NT, f16, false, 0, w, w_stride, i, x, x_stride, acc);
  }
  if (i < n) exact_step(NR, NT, f16, true, first_lanes(n - i), w, w_stride, i, x, x_stride, acc);
  if (NR != 4 || NT == 1) {
#pragma GCC unroll 4
    for (int r = 0; r < NR; r++)
#pragma GCC unroll 4
      for (int t = 0; t < NT; t++) y[(size_t)t * y_stride + (size_t)r] = add_lanes(acc[r][t]);
    return;
  }
#pragma GCC unroll 16
  for (int k = 0; k < 16; k++) sums[k] = k % 4 < NT ? acc[k / 4][k % 4] : _mm512_setzero_ps();
  const __m512 s = add_lanes_16(sums); // four rows of a token to a 128-bit lane
  _mm_storeu_ps(y, _mm512_castps512_ps128(s));
  _mm_storeu_ps(y + y_stride, _mm512_extractf32x4_ps(s, 1));
  if (NT > 2) _mm_storeu_ps(y + 2 * y_stride, _mm512_extractf32x4_ps(s, 2));
  if (NT > 3) _mm_storeu_ps(y + 3 * y_stride, _mm512_extractf32x4_ps(s, 3));
}

static void avx512_dot_rows(const float *w, const float *x, size_t x_stride, size_t n_x, size_t n, float *y,
                            size_t y_stride) {
  size_t t = 0;
  for (; t + 4 <= n_x; t += 4)
    exact_tile(1, 4, false, 0, (const uint8_t *)w, 0, n, x + t * x_stride, x_stride, y + t * y_stride,
               y_stride);
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

// Four rows of float16 times n_x tokens.
INLINE void four_rows(const size_t ahead, const uint8_t *w, size_t w_stride, size_t n, const float *x,
                      size_t x_stride, size_t n_x, float *y, size_t y_stride) {
  size_t t = 0;
  if (n_x >= 4) {
    exact_tile(4, 4, true, ahead, w, w_stride, n, x, x_stride, y, y_stride);
    for (t = 4; t + 4 <= n_x; t += 4)
      exact_tile(4, 4, true, 0, w, w_stride, n, x + t * x_stride, x_stride, y + t * y_stride, y_stride);
  }
  x += t * x_stride, y += t * y_stride;
  if (n_x - t == 3)
    exact_tile(4, 3, true, 0, w, w_stride, n, x, x_stride, y, y_stride);
  else if (n_x - t == 2)
    exact_tile(4, 2, true, 0, w, w_stride, n, x, x_stride, y, y_stride);
  else if (n_x - t == 1)
    exact_tile(4, 1, true, ahead, w, w_stride, n, x, x_stride, y, y_stride);
}

// Few tokens share the rows as they come from memory. Many are taken so many at a time that they stay in the
// first cache while the rows come from the second.
// Rows are asked for at least F16_AHEAD bytes before their turn, four at a time.
enum { F16_FEW = 16, F16_BYTES = 32768, F16_AHEAD = 4096 };

static void avx512_rows_f16(const uint8_t *w, size_t w_stride, size_t rows, size_t n, const float *x,
                            size_t x_stride, size_t n_x, float *y, size_t y_stride) {
  const size_t four = 4 * w_stride, ahead = (F16_AHEAD + four - 1) / four * four;
  const size_t fit = F16_BYTES / (n * sizeof *x) & ~(size_t)3, most = n_x <= F16_FEW ? n_x
                                                                      : fit < 4      ? 4
                                                                                     : fit;
  for (size_t t = 0, tokens; t < n_x; t += tokens, x += tokens * x_stride, y += tokens * y_stride) {
    tokens = n_x - t < most ? n_x - t : most;
    size_t r = 0;
    const uint8_t *row = w;
    for (; r + 4 <= rows; r += 4, row += 4 * w_stride) {
      for (size_t k = 8; k < 12; k++) fetch_page(row + k * w_stride); // each may begin a page
      if (n_x <= F16_FEW)
        four_rows(ahead, row, w_stride, n, x, x_stride, tokens, y + r, y_stride);
      else
        four_rows(0, row, w_stride, n, x, x_stride, tokens, y + r, y_stride);
    }
    for (; r < rows; r++, row += w_stride)
      for (size_t k = 0; k < tokens; k++)
        exact_tile(1, 1, true, 0, row, w_stride, n, x + k * x_stride, x_stride, y + k * y_stride + r,
                   y_stride);
  }
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

// --- rows times one token: bound by reading the rows ---------------------------------------------

// Vector k holds groups 4 k + j in its 128-bit lanes j; the sums of all 16 groups, in order.
INLINE __m512i group_sums_q4(const __m512i *d) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i a = _mm512_add_epi32(_mm512_unpacklo_epi32(d[0], d[1]), _mm512_unpackhi_epi32(d[0], d[1]));
  const __m512i b = _mm512_add_epi32(_mm512_unpacklo_epi32(d[2], d[3]), _mm512_unpackhi_epi32(d[2], d[3]));
  return _mm512_permutexvar_epi32(order,
                                  _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b)));
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

// The integer dots of 16 groups (`left` of them valid) with q.
INLINE __m512i group_dots(const int BITS, const uint8_t *codes, size_t left, const __m512i *q) {
  const __m512i nibble = _mm512_set1_epi8(15), zero = _mm512_setzero_si512();
  __m512i v[8], d[8];
  load_codes((size_t)BITS, codes, left, v);
#pragma GCC unroll 8
  for (int k = 0; k < BITS; k++) {
    if (BITS == 8) {
      d[k] = _mm512_dpbusd_epi32(zero, v[k], q[k]);
    } else {
      d[k] = _mm512_dpbusd_epi32(zero, _mm512_and_si512(v[k], nibble), q[2 * k]);
      d[k] = _mm512_dpbusd_epi32(d[k], _mm512_and_si512(_mm512_srli_epi16(v[k], 4), nibble), q[2 * k + 1]);
    }
  }
  return BITS == 8 ? group_sums_q8(d) : group_sums_q4(d);
}

// Bytes of codes that are asked for ahead of use. One row after the other: what is read is one stream, which
// the processor reads ahead of by itself too.
enum { ONE_AHEAD = 6144 };

// Row r times token t.
INLINE float row_one(const int BITS, const KernRows *w, size_t r, const KernActs *x, size_t t) {
  const int8_t *q = x->q + t * x->q_stride;
  const float *xs = x->scale + t * x->groups, *xq = x->sum + t * x->groups;
  const uint8_t *codes = w->w + r * w->w_stride;
  const uint8_t *scales = w->scales + r * w->s_stride, *biases = w->biases + r * w->s_stride;
  __m512 acc = _mm512_setzero_ps();
  fetch_pages(codes, scales, biases);
  for (size_t g = 0; g < w->groups; g += 16, codes += 64 * BITS, scales += 32, biases += 32) {
    const size_t left = w->groups - g;
    __m512i qv[8];
#pragma GCC unroll 8
    for (size_t k = 0; k < 8; k++) qv[k] = _mm512_loadu_si512(q + g * 32 + 64 * k);
#pragma GCC unroll 8
    for (int i = 0; i < BITS; i++) _mm_prefetch((const char *)codes + ONE_AHEAD + 64 * i, _MM_HINT_T0);
    _mm_prefetch((const char *)scales + ONE_AHEAD / 2 / BITS, _MM_HINT_T0);
    _mm_prefetch((const char *)biases + ONE_AHEAD / 2 / BITS, _MM_HINT_T0);
    const __m512i dots = group_dots(BITS, codes, left, qv);
    acc = add_groups(acc, dots, load_f16(scales, left), load_f16(biases, left), _mm512_loadu_ps(xs + g),
                     _mm512_loadu_ps(xq + g));
  }
  return add_lanes(acc);
}

INLINE void rows_each(const int BITS, const KernRows *w, const KernActs *x, size_t first_x, size_t n_x,
                      float *y, size_t y_stride) {
  fetch_first_pages(w->w, w->scales, w->biases);
  for (size_t r = 0; r < w->rows; r++)
    for (size_t t = 0; t < n_x; t++) y[r + t * y_stride] = row_one(BITS, w, r, x, first_x + t);
}

static void avx512_rows_q4(const KernRows *w, const KernActs *x, size_t first_x, size_t n_x, float *y,
                           size_t y_stride) {
  rows_each(4, w, x, first_x, n_x, y, y_stride);
}

static void avx512_rows_q8(const KernRows *w, const KernActs *x, size_t first_x, size_t n_x, float *y,
                           size_t y_stride) {
  rows_each(8, w, x, first_x, n_x, y, y_stride);
}

// --- activations -------------------------------------------------------------------

static void avx512_silu_mul(float *gate, const float *up, size_t n) {
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 m = first_lanes(n - i);
    const __m512 g = _mm512_maskz_loadu_ps(m, gate + i), u = _mm512_maskz_loadu_ps(m, up + i);
    const __m512 e = vexp(_mm512_xor_ps(g, _mm512_set1_ps(-0.0f)));
    const __m512 s = _mm512_div_ps(g, _mm512_add_ps(_mm512_set1_ps(1.0f), e));
    _mm512_mask_storeu_ps(gate + i, m, _mm512_mul_ps(s, u));
  }
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
  const uint8_t *const half = p + n / 2;
  __m512i sum[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  for (size_t i = 0; i < n / 2; i += 64) {
    if (i % FETCH_PAGE == 0) fetch_page(p + i + FETCH_PAGES), fetch_page(half + i + FETCH_PAGES);
    sum[0] = _mm512_add_epi64(sum[0], _mm512_loadu_si512(p + i));
    sum[1] = _mm512_add_epi64(sum[1], _mm512_loadu_si512(half + i));
  }
  return (uint64_t)_mm512_reduce_add_epi64(_mm512_add_epi64(sum[0], sum[1]));
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

// What both rungs have.
#define AVX512_KERNELS                                                                                       \
  .dot = avx512_dot, .dot_rows = avx512_dot_rows, .axpy = avx512_axpy, .rows_f16 = avx512_rows_f16,          \
  .quantize = avx512_quantize, .rows_q4 = avx512_rows_q4, .rows_q8 = avx512_rows_q8,                         \
  .unpack_q4 = avx512_unpack_q4, .silu_mul = avx512_silu_mul, .attend = avx512_attend,                       \
  .to_f16 = avx512_to_f16, .read = avx512_read, .peak_f32 = avx512_peak_f32, ELEM_KERNELS

const Kern kern_avx512 = {
    .name = "avx512",
    .few_tokens = 1,
    .few_tokens_q8 = 1,
    AVX512_KERNELS,
    .panel = avx512_panel,
    .pack_tile = avx512_pack_tile,
    .tile_q4 = avx512_tile_q4,
    .tile_q8 = avx512_tile_q8,
    .peak_int8 = avx512_peak_int8,
};

const Kern kern_amx = {
    .name = "amx",
    .few_tokens = 1,
    .few_tokens_q8 = 1,
    AVX512_KERNELS,
    .panel = amx_panel,
    .pack_tile = amx_pack_tile,
    .tile_q4 = amx_tile_q4,
    .tile_q8 = amx_tile_q8,
    .begin = amx_begin,
    .end = amx_end,
    .peak_int8 = amx_peak_int8,
};
#else
typedef int kern_avx512_is_for_x86_64;
#endif
