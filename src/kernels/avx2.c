// avx2: AVX2 with FMA and F16C. Same names and same bits as scalar.c; compiled with its own flags. The
// 16 lanes of every sum are two vectors of 8.
#if defined(__x86_64__)
#include "kernels/fetch.h"
#include "kernels/kern.h"
#include "kernels/kmath.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

typedef struct Lanes { // lanes 0 .. 7, lanes 8 .. 15
  __m256 lo, hi;
} Lanes;

INLINE Lanes lanes_zero(void) { return (Lanes){_mm256_setzero_ps(), _mm256_setzero_ps()}; }

// l + 8, + 4: four lanes are left.
INLINE __m128 fold_to_4(Lanes a) {
  const __m256 v = _mm256_add_ps(a.lo, a.hi);
  return _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
}

// ... + 2, + 1.
INLINE float add_lanes(Lanes a) {
  __m128 b = fold_to_4(a);
  b = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(b, _mm_shuffle_ps(b, b, 1)));
}

// add_lanes of four sums at once.
INLINE __m128 add_lanes_4(const Lanes *a) {
  __m128 t0 = fold_to_4(a[0]), t1 = fold_to_4(a[1]), t2 = fold_to_4(a[2]), t3 = fold_to_4(a[3]);
  _MM_TRANSPOSE4_PS(t0, t1, t2, t3);
  return _mm_add_ps(_mm_add_ps(t0, t2), _mm_add_ps(t1, t3));
}

INLINE __m256 load_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(p)); }

INLINE float load_f16_one(const uint8_t *p) {
  uint16_t h;
  memcpy(&h, p, sizeof h);
  return _cvtsh_ss(h);
}

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
    lane[i % 16] += v * x[i];
  }
  return (Lanes){_mm256_loadu_ps(lane), _mm256_loadu_ps(lane + 8)};
}

// NR rows of float32 or float16 times one token.
INLINE void exact_tile(const int NR, bool f16, const uint8_t *w, size_t w_stride, size_t n, const float *x,
                       float *y) {
  Lanes acc[4];
  for (int r = 0; r < NR; r++) acc[r] = lanes_zero();
  for (size_t i = 0; i + 16 <= n; i += 16) {
    const __m256 x0 = _mm256_loadu_ps(x + i), x1 = _mm256_loadu_ps(x + i + 8);
#pragma GCC unroll 4
    for (int r = 0; r < NR; r++) {
      const uint8_t *row = w + (size_t)r * w_stride;
      const __m256 w0 =
          f16 ? load_f16(row + 2 * i) : _mm256_loadu_ps((const float *)(const void *)(row + 4 * i));
      const __m256 w1 =
          f16 ? load_f16(row + 2 * i + 16) : _mm256_loadu_ps((const float *)(const void *)(row + 4 * i + 32));
      acc[r].lo = _mm256_add_ps(acc[r].lo, _mm256_mul_ps(w0, x0));
      acc[r].hi = _mm256_add_ps(acc[r].hi, _mm256_mul_ps(w1, x1));
    }
  }
  for (int r = 0; r < NR; r++) {
    if (n % 16) acc[r] = exact_tail(acc[r], w + (size_t)r * w_stride, f16, x, n);
    y[r] = add_lanes(acc[r]);
  }
}

static float avx2_dot(const float *a, const float *b, size_t n) {
  float y;
  exact_tile(1, false, (const uint8_t *)a, 0, n, b, &y);
  return y;
}

static void avx2_dot_rows(const float *w, const float *x, size_t x_stride, size_t n_x, size_t n, float *y,
                          size_t y_stride) {
  for (size_t t = 0; t < n_x; t++) y[t * y_stride] = avx2_dot(w, x + t * x_stride, n);
}

static void avx2_axpy(float a, const float *x, float *y, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i),
                                          _mm256_mul_ps(_mm256_set1_ps(a), _mm256_loadu_ps(x + i))));
  for (; i < n; i++) y[i] += a * x[i];
}

static void avx2_rows_f16(const uint8_t *w, size_t w_stride, size_t rows, size_t n, const float *x,
                          size_t x_stride, size_t n_x, float *y, size_t y_stride) {
  size_t r = 0;
  for (; r + 4 <= rows; r += 4, w += 4 * w_stride)
    for (size_t t = 0; t < n_x; t++)
      exact_tile(4, true, w, w_stride, n, x + t * x_stride, y + t * y_stride + r);
  for (; r < rows; r++, w += w_stride)
    for (size_t t = 0; t < n_x; t++)
      exact_tile(1, true, w, w_stride, n, x + t * x_stride, y + t * y_stride + r);
}

// --- quantizing activations ----------------------------------------------------------------------

INLINE __m256 absolute(__m256 v) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v); }

INLINE int sum_i32(__m256i v) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1)));
}

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

static void avx2_quantize(const float *x, size_t groups, const KernActs *out, size_t t) {
  int8_t *q = out->q + t * out->q_stride;
  float *scale = out->scale + t * out->groups, *sum = out->sum + t * out->groups;
  memset(q, 0, out->groups * KERN_GROUP);
  memset(scale, 0, out->groups * sizeof *scale);
  memset(sum, 0, out->groups * sizeof *sum);
  for (size_t g = 0; g < groups; g++) quantize_group(x + g * 32, out, g, q, scale + g, sum + g);
}

// --- rows times few tokens: bound by reading the rows ----------------------------------------------

INLINE __m256i load_bytes(const void *p) { return _mm256_loadu_si256(p); }

INLINE __m256i low_nibbles(__m256i v) { return _mm256_and_si256(v, _mm256_set1_epi8(15)); }

INLINE __m256i high_nibbles(__m256i v) { return low_nibbles(_mm256_srli_epi16(v, 4)); }

// The integer dots of 8 groups of 4-bit codes (128 bytes), in order.
INLINE __m256i dots_q4(const uint8_t *codes, const int8_t *q) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i d[4]; // d[i]: groups 2 i and 2 i + 1 in its halves
#pragma GCC unroll 4
  for (size_t i = 0; i < 4; i++) {
    const __m256i v = load_bytes(codes + 32 * i);
    const int8_t *x = q + i / 2 * 128 + i % 2 * 32;
    const __m256i p = _mm256_add_epi16(_mm256_maddubs_epi16(low_nibbles(v), load_bytes(x)),
                                       _mm256_maddubs_epi16(high_nibbles(v), load_bytes(x + 64)));
    d[i] = _mm256_madd_epi16(p, ones);
  }
  const __m256i s = _mm256_hadd_epi32(_mm256_hadd_epi32(d[0], d[1]), _mm256_hadd_epi32(d[2], d[3]));
  return _mm256_permutevar8x32_epi32(s, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

// The same for 8-bit codes (256 bytes). A code is taken as two nibbles: whole, its products would
// overflow the 16-bit sums.
INLINE __m256i dots_q8(const uint8_t *codes, const int8_t *q) {
  const __m256i ones = _mm256_set1_epi16(1), sixteens = _mm256_set1_epi16(16);
  __m256i d[8];
#pragma GCC unroll 8
  for (size_t i = 0; i < 8; i++) {
    const __m256i v = load_bytes(codes + 32 * i), x = load_bytes(q + 32 * i);
    d[i] = _mm256_add_epi32(_mm256_madd_epi16(_mm256_maddubs_epi16(low_nibbles(v), x), ones),
                            _mm256_madd_epi16(_mm256_maddubs_epi16(high_nibbles(v), x), sixteens));
  }
  const __m256i a = _mm256_hadd_epi32(_mm256_hadd_epi32(d[0], d[1]), _mm256_hadd_epi32(d[2], d[3]));
  const __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(d[4], d[5]), _mm256_hadd_epi32(d[6], d[7]));
  return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
}

INLINE __m256 add_groups(__m256 acc, __m256i dots, __m256 s, __m256 b, const float *xs, const float *xq) {
  acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots), _mm256_mul_ps(s, _mm256_loadu_ps(xs)), acc);
  return _mm256_fmadd_ps(b, _mm256_loadu_ps(xq), acc);
}

// 16 groups of a row: codes of `bits` bits, 16 scales, 16 biases.
INLINE Lanes add_block(const int bits, Lanes acc, const uint8_t *codes, const uint8_t *s, const uint8_t *b,
                       const int8_t *q, const float *xs, const float *xq) {
  const __m256i lo = bits == 4 ? dots_q4(codes, q) : dots_q8(codes, q);
  const __m256i hi = bits == 4 ? dots_q4(codes + 128, q + 256) : dots_q8(codes + 256, q + 256);
  acc.lo = add_groups(acc.lo, lo, load_f16(s), load_f16(b), xs, xq);
  acc.hi = add_groups(acc.hi, hi, load_f16(s + 16), load_f16(b + 16), xs + 8, xq + 8);
  return acc;
}

INLINE void rows_any(const int bits, const KernRows *w, const KernActs *x, size_t first_x, size_t n_x,
                     float *y, size_t y_stride) {
  const size_t block = 16 * (size_t)bits * 4, whole = w->groups & ~(size_t)15, left = w->groups - whole;
  uint8_t codes_end[512] = {0}, s_end[32] = {0}, b_end[32] = {0};
  for (size_t r = 0; r < w->rows; r++) {
    const uint8_t *codes = w->w + r * w->w_stride, *s = w->scales + r * w->s_stride,
                  *b = w->biases + r * w->s_stride;
    if (left) { // the last groups, padded: nothing behind the row is read
      memcpy(codes_end, codes + whole * (size_t)bits * 4, left * (size_t)bits * 4);
      memcpy(s_end, s + whole * 2, left * 2);
      memcpy(b_end, b + whole * 2, left * 2);
    }
    for (size_t t = 0; t < n_x; t++) {
      const int8_t *q = x->q + (first_x + t) * x->q_stride;
      const float *xs = x->scale + (first_x + t) * x->groups, *xq = x->sum + (first_x + t) * x->groups;
      Lanes acc = lanes_zero();
      for (size_t g = 0; g < whole; g += 16) {
        const uint8_t *c = codes + g / 16 * block;
        for (size_t ahead = 0; ahead < block; ahead += 64)
          _mm_prefetch((const char *)c + 8 * block + ahead, _MM_HINT_T0);
        acc = add_block(bits, acc, c, s + g * 2, b + g * 2, q + g * 32, xs + g, xq + g);
      }
      if (left) acc = add_block(bits, acc, codes_end, s_end, b_end, q + whole * 32, xs + whole, xq + whole);
      y[t * y_stride + r] = add_lanes(acc);
    }
  }
}

static void avx2_rows_q4(const KernRows *w, const KernActs *x, size_t first_x, size_t n_x, float *y,
                         size_t y_stride) {
  rows_any(4, w, x, first_x, n_x, y, y_stride);
}

static void avx2_rows_q8(const KernRows *w, const KernActs *x, size_t first_x, size_t n_x, float *y,
                         size_t y_stride) {
  rows_any(8, w, x, first_x, n_x, y, y_stride);
}

// --- panels times many tokens: bound by multiplying -------------------------------------------------

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

static void avx2_unpack_q4(const KernRows *w, KernPanel *out) {
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

INLINE void store_rows(float *y, __m256 v, size_t rows) {
  float all[8];
  if (rows >= 8) {
    _mm256_storeu_ps(y, v);
    return;
  }
  _mm256_storeu_ps(all, v);
  memcpy(y, all, rows * sizeof *all);
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

static void avx2_panel(const KernPanel *w, const KernActs *x, size_t first_x, size_t n_x, size_t rows,
                       float *y, size_t y_stride) {
  size_t t = 0;
  for (; w->bits <= 4 && t + 4 <= n_x; t += 4)
    panel_tile(4, true, w, x, first_x + t, rows, y + t * y_stride, y_stride);
  for (; w->bits <= 4 && t + 2 <= n_x; t += 2)
    panel_tile(2, true, w, x, first_x + t, rows, y + t * y_stride, y_stride);
  for (; w->bits <= 4 && t < n_x; t++)
    panel_tile(1, true, w, x, first_x + t, rows, y + t * y_stride, y_stride);
  for (; t < n_x; t++) panel_tile(1, false, w, x, first_x + t, rows, y + t * y_stride, y_stride);
}

// --- attention and activations -------------------------------------------------------------------

// kmath_exp.
INLINE __m256 vexp(__m256 x) {
  x = _mm256_max_ps(x, _mm256_set1_ps(KEXP_MIN));
  x = _mm256_min_ps(x, _mm256_set1_ps(KEXP_MAX));
  const __m256 k = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(KEXP_LOG2E)), _MM_FROUND_TO_NEAREST_INT);
  __m256 r = _mm256_fmadd_ps(k, _mm256_set1_ps(-KEXP_LN2_HI), x);
  r = _mm256_fmadd_ps(k, _mm256_set1_ps(-KEXP_LN2_LO), r);
  __m256 p = _mm256_set1_ps(KEXP_C7);
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(KEXP_C6));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(KEXP_C5));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(KEXP_C4));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(KEXP_C3));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(KEXP_C2));
  p = _mm256_add_ps(_mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1.0f));
  const __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(k), _mm256_set1_epi32(127));
  return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(e, 23)));
}

static void avx2_silu_mul(float *gate, const float *up, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256 g = _mm256_loadu_ps(gate + i), e = vexp(_mm256_xor_ps(g, _mm256_set1_ps(-0.0f)));
    const __m256 s = _mm256_div_ps(g, _mm256_add_ps(_mm256_set1_ps(1.0f), e));
    _mm256_storeu_ps(gate + i, _mm256_mul_ps(s, _mm256_loadu_ps(up + i)));
  }
  for (; i < n; i++) gate[i] = gate[i] / (1.0f + kmath_exp(-gate[i])) * up[i];
}

// 8 elements of keys or values from element i on.
INLINE __m256 load_kv(const bool q8, const void *kv, size_t i) {
  if (q8)
    return _mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)((const int8_t *)kv + i))));
  return load_f16((const uint16_t *)kv + i);
}

INLINE void scale_by(float *p, const float *scale, size_t n) {
  for (size_t i = 0; i < n; i++) p[i] *= scale[i];
}

// Scores of head q at all positions, four at a time.
INLINE void scores(const bool q8, const KernAttend *a, const float *q, float *p) {
  const size_t row = a->dim * (q8 ? 1 : 2), all = a->n * row;
  for (size_t i = 0; i < a->n; i += 4) {
    if (q == a->q) fetch_ahead(a->k, all, a->v, i * row, 4 * row);
    size_t k[4];
    Lanes acc[4];
    for (size_t c = 0; c < 4; c++) {
      k[c] = (i + c < a->n ? i + c : a->n - 1) * a->dim;
      acc[c] = lanes_zero();
    }
    size_t d = 0;
    for (; d + 16 <= a->dim; d += 16) {
      const __m256 q0 = _mm256_loadu_ps(q + d), q1 = _mm256_loadu_ps(q + d + 8);
#pragma GCC unroll 4
      for (int c = 0; c < 4; c++) {
        acc[c].lo = _mm256_fmadd_ps(q0, load_kv(q8, a->k, k[c] + d), acc[c].lo);
        acc[c].hi = _mm256_fmadd_ps(q1, load_kv(q8, a->k, k[c] + d + 8), acc[c].hi);
      }
    }
    for (int c = 0; d < a->dim && c < 4; c++) // 8 elements are left
      acc[c].lo = _mm256_fmadd_ps(_mm256_loadu_ps(q + d), load_kv(q8, a->k, k[c] + d), acc[c].lo);
    _mm_storeu_ps(p + i, add_lanes_4(acc));
  }
}

// p = exp(p - max) in place; the sum in lanes of 16 positions.
INLINE void exponentials(float *p, size_t n, float *max, float *sum) {
  float m = -INFINITY, lane[16] = {0};
  for (size_t i = 0; i < n; i++) m = p[i] > m ? p[i] : m;
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256 e = vexp(_mm256_sub_ps(_mm256_loadu_ps(p + i), _mm256_set1_ps(m)));
    _mm256_storeu_ps(p + i, e);
    _mm256_storeu_ps(lane + i % 16, _mm256_add_ps(_mm256_loadu_ps(lane + i % 16), e));
  }
  for (; i < n; i++) {
    p[i] = kmath_exp(p[i] - m);
    lane[i % 16] += p[i];
  }
  *max = m;
  *sum = add_lanes((Lanes){_mm256_loadu_ps(lane), _mm256_loadu_ps(lane + 8)});
}

// out[h .. h + 3][d .. d + 16) = sum over positions of p * v; of 8 elements when HALF.
INLINE void weigh_4(const bool q8, const bool HALF, const KernAttend *a, size_t h, size_t d,
                    float p[4][KERN_BLOCK]) {
  Lanes acc[4] = {lanes_zero(), lanes_zero(), lanes_zero(), lanes_zero()};
  const size_t row = a->dim * (q8 ? 1 : 2), all = a->n * row;
  for (size_t i = 0; i < a->n; i++) {
    if (h == 0 && d == 0) fetch_ahead(a->v, all, a->next, i * row, row);
    const size_t v = i * a->dim + d;
    const __m256 v0 = load_kv(q8, a->v, v), v1 = HALF ? v0 : load_kv(q8, a->v, v + 8);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      const __m256 w = _mm256_set1_ps(p[j][i]);
      acc[j].lo = _mm256_fmadd_ps(w, v0, acc[j].lo);
      if (!HALF) acc[j].hi = _mm256_fmadd_ps(w, v1, acc[j].hi);
    }
  }
  for (size_t j = 0; j < 4 && h + j < a->heads; j++) {
    _mm256_storeu_ps(a->out + (h + j) * a->dim + d, acc[j].lo);
    if (!HALF) _mm256_storeu_ps(a->out + (h + j) * a->dim + d + 8, acc[j].hi);
  }
}

INLINE void attend(const bool q8, const KernAttend *a) {
  float p[4][KERN_BLOCK];
  for (size_t h = 0; h < a->heads; h += 4) {
    const size_t n = a->heads - h < 4 ? a->heads - h : 4;
    for (size_t j = 0; j < n; j++) {
      scores(q8, a, a->q + (h + j) * a->q_stride, p[j]);
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

static void avx2_attend(const KernAttend *a) {
  if (a->k_scale)
    attend(true, a);
  else
    attend(false, a);
}

static void avx2_to_f16(const float *x, uint16_t *y, size_t n) {
  const __m256 max = _mm256_set1_ps(65504.0f), min = _mm256_set1_ps(-65504.0f);
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256 v = _mm256_min_ps(_mm256_max_ps(_mm256_loadu_ps(x + i), min), max);
    _mm_storeu_si128((__m128i *)(void *)(y + i), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
  for (; i < n; i++) y[i] = _cvtss_sh(fminf(fmaxf(x[i], -65504.0f), 65504.0f), _MM_FROUND_TO_NEAREST_INT);
}

// --- limits --------------------------------------------------------------------------------------

static uint64_t avx2_read(const uint8_t *p, size_t n) {
  __m256i sum[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                    _mm256_setzero_si256()};
  for (size_t i = 0; i < n / 4; i += 32)
#pragma GCC unroll 4
    for (size_t s = 0; s < 4; s++) sum[s] = _mm256_add_epi64(sum[s], load_bytes(p + s * (n / 4) + i));
  const __m256i all = _mm256_add_epi64(_mm256_add_epi64(sum[0], sum[1]), _mm256_add_epi64(sum[2], sum[3]));
  return (uint64_t)_mm256_extract_epi64(all, 0) + (uint64_t)_mm256_extract_epi64(all, 1) +
         (uint64_t)_mm256_extract_epi64(all, 2) + (uint64_t)_mm256_extract_epi64(all, 3);
}

// Products of bytes and their sums in 16 bits, as the kernels for 4-bit codes multiply.
static float avx2_peak_int8(size_t rounds) {
  __m256i acc[8], x = _mm256_set1_epi8(3);
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) acc[i] = _mm256_set1_epi16((short)i);
  for (size_t r = 0; r < rounds * (KERN_PEAK_OPS / 64 / 8); r++)
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
      acc[i] = _mm256_add_epi16(acc[i], _mm256_maddubs_epi16(x, x));
      __asm__ volatile("" : "+x"(x));
    }
#pragma GCC unroll 8
  for (int i = 1; i < 8; i++) acc[0] = _mm256_add_epi16(acc[0], acc[i]);
  return (float)sum_i32(acc[0]);
}

static float avx2_peak_f32(size_t rounds) {
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

const Kern kern_avx2 = {
    .name = "avx2",
    .few_tokens = 4,
    .few_tokens_q8 = SIZE_MAX,
    .dot = avx2_dot,
    .dot_rows = avx2_dot_rows,
    .axpy = avx2_axpy,
    .rows_f16 = avx2_rows_f16,
    .quantize = avx2_quantize,
    .rows_q4 = avx2_rows_q4,
    .rows_q8 = avx2_rows_q8,
    .unpack_q4 = avx2_unpack_q4,
    .panel = avx2_panel,
    .silu_mul = avx2_silu_mul,
    .attend = avx2_attend,
    .to_f16 = avx2_to_f16,
    .read = avx2_read,
    .peak_int8 = avx2_peak_int8,
    .peak_f32 = avx2_peak_f32,
};
#else
typedef int kern_avx2_is_for_x86_64;
#endif
