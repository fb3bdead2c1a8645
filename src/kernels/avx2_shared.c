// avx2_shared: what needs no products of codes: exact sums, quantizing, activations, limits. For the rungs
// avx2 and avxvnni.
#if defined(__x86_64__)
#include "kernels/avx2.h"
#include "kernels/fetch.h"

// --- exact ---------------------------------------------------------------------------------------

// Adds the products of the elements behind the last whole 16.
INLINE Lanes exact_tail(Lanes a, const uint8_t *w, bool f16, const float *x, size_t n) {
  float lane[16];
  _mm256_storeu_ps(lane, a.lo);
  _mm256_storeu_ps(lane + 8, a.hi);
  for (size_t i = n & ~(size_t)15; i < n; i++) {
    float v;
    if (f16)
      v = load_f16_one(w + 2 * i);
    else
      memcpy(&v, w + 4 * i, sizeof v);
    lane[i % 16] = fmaf(v, x[i], lane[i % 16]);
  }
  return (Lanes){_mm256_loadu_ps(lane), _mm256_loadu_ps(lane + 8)};
}

INLINE __m256 load_weights(bool f16, const uint8_t *row, size_t i) {
  return f16 ? load_f16(row + 2 * i) : _mm256_loadu_ps((const float *)(const void *)(row + 4 * i));
}

// NR rows of float32 or float16 times NT tokens: NR * NT pairs of sums at most 6, for the registers.
INLINE void exact_tile(const int NR, const int NT, bool f16, const uint8_t *w, size_t w_stride, size_t n,
                       const float *x, size_t x_stride, float *y, size_t y_stride) {
  Lanes acc[6];
#pragma GCC unroll 6
  for (int k = 0; k < NR * NT; k++) acc[k] = lanes_zero();
  for (size_t i = 0; i + 16 <= n; i += 16) {
    if (f16 && NT == 1 && i % 32 == 0)
#pragma GCC unroll 4
      for (size_t r = 0; r < (size_t)NR;
           r++) // the next rows, which begin too far away for the processor to know
        _mm_prefetch((const char *)w + (r + (size_t)NR) * w_stride + 2 * i, _MM_HINT_T0);
#pragma GCC unroll 2
    for (size_t h = 0; h < 2; h++) {
      __m256 wv[4];
#pragma GCC unroll 4
      for (int r = 0; r < NR; r++) wv[r] = load_weights(f16, w + (size_t)r * w_stride, i + 8 * h);
#pragma GCC unroll 4
      for (int t = 0; t < NT; t++) {
        const __m256 xv = _mm256_loadu_ps(x + (size_t)t * x_stride + i + 8 * h);
#pragma GCC unroll 4
        for (int r = 0; r < NR; r++) {
          __m256 *a = h ? &acc[r * NT + t].hi : &acc[r * NT + t].lo;
          *a = _mm256_fmadd_ps(wv[r], xv, *a);
        }
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < NR; r++)
#pragma GCC unroll 4
    for (int t = 0; t < NT; t++) {
      Lanes a = acc[r * NT + t];
      if (n % 16) a = exact_tail(a, w + (size_t)r * w_stride, f16, x + (size_t)t * x_stride, n);
      y[(size_t)t * y_stride + (size_t)r] = add_lanes(a);
    }
}

float avx2_dot(const float *a, const float *b, size_t n) {
  float y;
  exact_tile(1, 1, false, (const uint8_t *)a, 0, n, b, 0, &y, 0);
  return y;
}

void avx2_dot_rows(const float *w, const float *x, size_t x_stride, size_t n_x, size_t n, float *y,
                   size_t y_stride) {
  size_t t = 0;
  for (; t + 4 <= n_x; t += 4)
    exact_tile(1, 4, false, (const uint8_t *)w, 0, n, x + t * x_stride, x_stride, y + t * y_stride, y_stride);
  for (; t < n_x; t++) y[t * y_stride] = avx2_dot(w, x + t * x_stride, n);
}

void avx2_axpy(float a, const float *x, float *y, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i),
                                          _mm256_mul_ps(_mm256_set1_ps(a), _mm256_loadu_ps(x + i))));
  for (; i < n; i++) y[i] += a * x[i];
}

// Rows of float16, NR of them, times all tokens.
INLINE void f16_rows(const int NR, const uint8_t *w, size_t w_stride, size_t n, const float *x,
                     size_t x_stride, size_t n_x, float *y, size_t y_stride) {
  size_t t = 0;
  for (; n_x - t == 3 || n_x - t > 4; t += 3)
    exact_tile(NR, 3, true, w, w_stride, n, x + t * x_stride, x_stride, y + t * y_stride, y_stride);
  for (; t + 2 <= n_x; t += 2)
    exact_tile(NR, 2, true, w, w_stride, n, x + t * x_stride, x_stride, y + t * y_stride, y_stride);
}

void avx2_rows_f16(const uint8_t *w, size_t w_stride, size_t rows, size_t n, const float *x, size_t x_stride,
                   size_t n_x, float *y, size_t y_stride) {
  size_t r = 0;
  for (; n_x == 1 && r + 4 <= rows; r += 4, w += 4 * w_stride) {
    for (size_t k = 8; k < 12; k++) fetch_page(w + k * w_stride); // each may begin a page
    exact_tile(4, 1, true, w, w_stride, n, x, x_stride, y + r, y_stride);
  }
  for (; n_x > 1 && r + 2 <= rows; r += 2, w += 2 * w_stride) {
    for (size_t k = 4; k < 6; k++) fetch_page(w + k * w_stride);
    f16_rows(2, w, w_stride, n, x, x_stride, n_x, y + r, y_stride);
  }
  for (; r < rows; r++, w += w_stride)
    for (size_t t = 0; t < n_x; t++)
      exact_tile(1, 1, true, w, w_stride, n, x + t * x_stride, x_stride, y + t * y_stride + r, y_stride);
}

// --- quantizing activations ----------------------------------------------------------------------

INLINE __m256 absolute(__m256 v) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v); }

static void quantize_group(const float *x, const KernActs *out, size_t g, int8_t *q, float *scale,
                           float *sum) {
  __m256 v[4], m = _mm256_setzero_ps();
  for (int i = 0; i < 4; i++) {
    v[i] = _mm256_loadu_ps(x + 8 * i);
    m = _mm256_max_ps(m, absolute(v[i]));
  }
  __m128 m4 = _mm_max_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));
  m4 = _mm_max_ps(m4, _mm_movehl_ps(m4, m4));
  const float max = _mm_cvtss_f32(_mm_max_ss(m4, _mm_shuffle_ps(m4, m4, 1)));
  if (max < KERN_TINY) return;
  const __m256 inverse = _mm256_set1_ps(127.0f / max);
  __m256i n[4], total = _mm256_setzero_si256();
  for (int i = 0; i < 4; i++) {
    n[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse));
    total = _mm256_add_epi32(total, n[i]);
  }
  *scale = max / 127.0f;
  *sum = *scale * (float)sum_i32(total);
  __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(n[0], n[1]), _mm256_packs_epi32(n[2], n[3]));
  bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  if (out->order == KERN_ORDER_PLAIN) {
    _mm256_storeu_si256((__m256i *)(void *)(q + g * 32), bytes);
    return;
  }
  const __m256i apart =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15));
  bytes = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(bytes, apart), 0xD8);
  q += g / 4 * 128 + g % 4 * 16;
  _mm_storeu_si128((__m128i *)(void *)q, _mm256_castsi256_si128(bytes));
  _mm_storeu_si128((__m128i *)(void *)(q + 64), _mm256_extracti128_si256(bytes, 1));
}

void avx2_quantize(const float *x, size_t groups, const KernActs *out, size_t t) {
  int8_t *q = out->q + t * out->q_stride;
  float *scale = out->scale + t * out->groups, *sum = out->sum + t * out->groups;
  memset(q, 0, out->groups * KERN_GROUP);
  memset(scale, 0, out->groups * sizeof *scale);
  memset(sum, 0, out->groups * sizeof *sum);
  for (size_t g = 0; g < groups; g++) quantize_group(x + g * 32, out, g, q, scale + g, sum + g);
}

// --- activations -------------------------------------------------------------------

void avx2_silu_mul(float *gate, const float *up, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256 g = _mm256_loadu_ps(gate + i), e = vexp(_mm256_xor_ps(g, _mm256_set1_ps(-0.0f)));
    const __m256 s = _mm256_div_ps(g, _mm256_add_ps(_mm256_set1_ps(1.0f), e));
    _mm256_storeu_ps(gate + i, _mm256_mul_ps(s, _mm256_loadu_ps(up + i)));
  }
  for (; i < n; i++) gate[i] = gate[i] / (1.0f + kmath_exp(-gate[i])) * up[i];
}

void avx2_to_f16(const float *x, uint16_t *y, size_t n) {
  const __m256 max = _mm256_set1_ps(65504.0f), min = _mm256_set1_ps(-65504.0f);
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256 v = _mm256_min_ps(_mm256_max_ps(_mm256_loadu_ps(x + i), min), max);
    _mm_storeu_si128((__m128i *)(void *)(y + i), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
  for (; i < n; i++) y[i] = _cvtss_sh(fminf(fmaxf(x[i], -65504.0f), 65504.0f), _MM_FROUND_TO_NEAREST_INT);
}

// --- limits --------------------------------------------------------------------------------------

uint64_t avx2_read(const uint8_t *p, size_t n) {
  const uint8_t *const half = p + n / 2;
  __m256i sum[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
  for (size_t i = 0; i < n / 2; i += 32) {
    if (i % FETCH_PAGE == 0) fetch_page(p + i + FETCH_PAGES), fetch_page(half + i + FETCH_PAGES);
    sum[0] = _mm256_add_epi64(sum[0], load_bytes(p + i));
    sum[1] = _mm256_add_epi64(sum[1], load_bytes(half + i));
  }
  const __m256i all = _mm256_add_epi64(sum[0], sum[1]);
  return (uint64_t)_mm256_extract_epi64(all, 0) + (uint64_t)_mm256_extract_epi64(all, 1) +
         (uint64_t)_mm256_extract_epi64(all, 2) + (uint64_t)_mm256_extract_epi64(all, 3);
}

float avx2_peak_f32(size_t rounds) {
  __m256 acc[8], x = _mm256_set1_ps(0.5f);
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) acc[i] = _mm256_set1_ps((float)i);
  for (size_t r = 0; r < rounds * (KERN_PEAK_OPS / 16 / 8); r++) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) acc[i] = _mm256_fmadd_ps(acc[i], x, x);
    __asm__ volatile("" : "+x"(x));
  }
#pragma GCC unroll 8
  for (int i = 1; i < 8; i++) acc[0] = _mm256_add_ps(acc[0], acc[i]);
  return add_lanes((Lanes){acc[0], _mm256_setzero_ps()});
}

#else
typedef int kern_avx2_shared_is_for_x86_64;
#endif
