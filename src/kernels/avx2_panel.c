// avx2_panel: panels of 16 unpacked rows times tokens, for matrices that are not multiplied as they lie. For
// the rungs avx2 and avxvnni.
#if defined(__x86_64__)
#include "kernels/avx2.h"

// Group g of four rows into the panel.
INLINE void unpack_codes_4(const uint8_t *const *row, size_t g, uint8_t *to) {
  __m128 v[4];
#pragma GCC unroll 4
  for (int r = 0; r < 4; r++)
    v[r] = _mm_castsi128_ps(_mm_loadu_si128((const __m128i *)(const void *)(row[r] + g * 16)));
  _MM_TRANSPOSE4_PS(v[0], v[1], v[2], v[3]);
#pragma GCC unroll 4
  for (int d = 0; d < 4; d++) {
    const __m128i c = _mm_castps_si128(v[d]), nibble = _mm_set1_epi8(15);
    _mm_storeu_si128((__m128i *)(void *)(to + 64 * d), _mm_and_si128(c, nibble));
    _mm_storeu_si128((__m128i *)(void *)(to + 64 * d + 256), _mm_and_si128(_mm_srli_epi16(c, 4), nibble));
  }
}

// Scales of four rows: four groups at a time, then one by one.
INLINE void unpack_scales_4(const uint8_t *const *row, size_t groups, float *to) {
  size_t g = 0;
  for (; g + 4 <= groups; g += 4) {
    __m128 v[4];
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
      v[r] = _mm_cvtph_ps(_mm_loadl_epi64((const __m128i *)(const void *)(row[r] + g * 2)));
    _MM_TRANSPOSE4_PS(v[0], v[1], v[2], v[3]);
#pragma GCC unroll 4
    for (size_t k = 0; k < 4; k++) _mm_storeu_ps(to + (g + k) * 16, v[k]);
  }
  for (; g < groups; g++)
    for (int r = 0; r < 4; r++) to[g * 16 + (size_t)r] = load_f16_one(row[r] + g * 2);
}

void avx2_unpack_q4(const KernRows *w, KernPanel *out) {
  out->bits = 4;
  if (w->rows < 16 || w->groups < out->groups) {
    memset(out->codes, 0, out->groups * 512);
    memset(out->scale, 0, out->groups * 16 * sizeof(float));
    memset(out->bias, 0, out->groups * 16 * sizeof(float));
  }
  for (size_t r = 0; r < w->rows; r += 4) {
    const uint8_t *codes[4], *s[4],
        *b[4]; // a row that is not there repeats the last: its output is not stored
    for (size_t k = 0; k < 4; k++) {
      const size_t at = r + k < w->rows ? r + k : w->rows - 1;
      codes[k] = w->w + at * w->w_stride;
      s[k] = w->scales + at * w->s_stride;
      b[k] = w->biases + at * w->s_stride;
    }
    for (size_t g = 0; g < w->groups; g++) unpack_codes_4(codes, g, out->codes + g * 512 + r * 4);
    unpack_scales_4(s, w->groups, out->scale + r);
    unpack_scales_4(b, w->groups, out->bias + r);
  }
}

INLINE __m256i broadcast_i32(const int8_t *p) {
  int32_t v;
  memcpy(&v, p, sizeof v);
  return _mm256_set1_epi32(v);
}

// Sums to one vector, one after the other. Left to itself GCC turns a chain of integer additions into a tree:
// it holds all the products until the end, in memory, for want of registers.
INLINE __m256i add_products(__m256i sum, __m256i codes, __m256i x) {
  sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, x));
  __asm__("" : "+x"(sum));
  return sum;
}

// Integer dots of group g's 16 rows with NT tokens, codes below 16: at most 8 * 2 * 15 * 127 in 16 bits.
INLINE void dots_narrow(const int NT, const uint8_t *codes, const int8_t *q, size_t half, size_t stride,
                        __m256i dot[4][2]) {
  __m256i sum[4][2];
#pragma GCC unroll 4
  for (int t = 0; t < NT; t++) sum[t][0] = sum[t][1] = _mm256_setzero_si256();
#pragma GCC unroll 8
  for (size_t d = 0; d < 8; d++) {
    const __m256i c0 = load_bytes(codes + 64 * d), c1 = load_bytes(codes + 64 * d + 32);
    const int8_t *qd = q + (d < 4 ? 4 * d : half + 4 * (d - 4));
#pragma GCC unroll 4
    for (int t = 0; t < NT; t++) {
      const __m256i x = broadcast_i32(qd + (size_t)t * stride);
      sum[t][0] = add_products(sum[t][0], c0, x);
      sum[t][1] = add_products(sum[t][1], c1, x);
    }
  }
#pragma GCC unroll 4
  for (int t = 0; t < NT; t++)
    for (int k = 0; k < 2; k++) dot[t][k] = _mm256_madd_epi16(sum[t][k], _mm256_set1_epi16(1));
}

// The same for codes of up to 8 bits, as two nibbles.
INLINE void dots_wide(const int NT, const uint8_t *codes, const int8_t *q, size_t half, size_t stride,
                      __m256i dot[4][2]) {
  for (int t = 0; t < NT; t++)
    for (int k = 0; k < 2; k++) {
      __m256i lo = _mm256_setzero_si256(), hi = lo;
#pragma GCC unroll 8
      for (size_t d = 0; d < 8; d++) {
        const __m256i c = load_bytes(codes + 64 * d + 32 * (size_t)k);
        const __m256i x = broadcast_i32(q + (d < 4 ? 4 * d : half + 4 * (d - 4)) + (size_t)t * stride);
        lo = add_products(lo, low_nibbles(c), x);
        hi = add_products(hi, high_nibbles(c), x);
      }
      dot[t][k] = _mm256_add_epi32(_mm256_madd_epi16(lo, _mm256_set1_epi16(1)),
                                   _mm256_madd_epi16(hi, _mm256_set1_epi16(16)));
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
  __m256 stack[4][4][2];
  for (int i = 0; i < 16; i++) {
    __m256 acc[4][2];
    for (int t = 0; t < NT; t++) acc[t][0] = acc[t][1] = _mm256_setzero_ps();
    for (size_t g = lane_at[i]; g < w->groups; g += 16) {
      const int8_t *q = x8 + (plain ? g * 32 : g / 4 * 128 + g % 4 * 16);
      __m256i dot[4][2];
      if (narrow)
        dots_narrow(NT, w->codes + g * 512, q, half, stride, dot);
      else
        dots_wide(NT, w->codes + g * 512, q, half, stride, dot);
#pragma GCC unroll 2
      for (int k = 0; k < 2; k++) {
        const __m256 s = _mm256_loadu_ps(w->scale + g * 16 + 8 * k),
                     b = _mm256_loadu_ps(w->bias + g * 16 + 8 * k);
#pragma GCC unroll 4
        for (int t = 0; t < NT; t++) {
          const __m256 sx = _mm256_mul_ps(s, _mm256_set1_ps(xs[(size_t)t * xg + g]));
          acc[t][k] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[t][k]), sx, acc[t][k]);
          acc[t][k] = _mm256_fmadd_ps(b, _mm256_set1_ps(xq[(size_t)t * xg + g]), acc[t][k]);
        }
      }
    }
    int level = 0;
    for (; i >> level & 1; level++)
      for (int t = 0; t < NT; t++)
        for (int k = 0; k < 2; k++) acc[t][k] = _mm256_add_ps(stack[level][t][k], acc[t][k]);
    for (int t = 0; t < NT; t++)
      if (level == 4) {
        store_rows(y + (size_t)t * y_stride, acc[t][0], rows);
        if (rows > 8) store_rows(y + (size_t)t * y_stride + 8, acc[t][1], rows - 8);
      } else {
        stack[level][t][0] = acc[t][0];
        stack[level][t][1] = acc[t][1];
      }
  }
}

void avx2_panel(const KernPanel *w, const KernActs *x, size_t first_x, size_t n_x, size_t rows, float *y,
                size_t y_stride) {
  size_t t = 0;
  for (; w->bits <= 4 && t + 4 <= n_x; t += 4)
    panel_tile(4, true, w, x, first_x + t, rows, y + t * y_stride, y_stride);
  for (; w->bits <= 4 && t + 2 <= n_x; t += 2)
    panel_tile(2, true, w, x, first_x + t, rows, y + t * y_stride, y_stride);
  for (; w->bits <= 4 && t < n_x; t++)
    panel_tile(1, true, w, x, first_x + t, rows, y + t * y_stride, y_stride);
  for (; t < n_x; t++) panel_tile(1, false, w, x, first_x + t, rows, y + t * y_stride, y_stride);
}

#else
typedef int kern_avx2_panel_is_for_x86_64;
#endif
