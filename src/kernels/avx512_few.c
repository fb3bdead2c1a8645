// avx512_few: AVX-512 rows times a few tokens: as much reading as multiplying.
//
// A lane is a group: the codes of 16 groups are spread so that a vector has one dword of every group, once
// for all tokens, and the dots of a token need no adding of lanes. The activations lie in the same way.
#if defined(__x86_64__)
#include "base/cpu.h"
#include "kernels/avx512.h"
#include "kernels/fetch.h"

// Tokens at a time: their activations, 24 KB for 2048 inputs, stay in the first cache. Codes are asked for
// into the first too if it has room for both, as the 48 KB of Zen 5 have: 8 tokens, weights in memory, 404
// GOP/s instead of 259 (4 bits), 302 instead of 245 (8 bits). With 32 KB (Zen 4) that was slower.
enum { FEW_TOKENS = 8, FIRST_CACHE = 49152 };

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

// Which of 16 groups a lane has then, of 4 bits and of 8.
static const uint8_t group_of_lane[2][16] = {{0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15},
                                             {0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15}};

INLINE __m512i lanes(const uint8_t *order) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)order));
}

// Codes of 16 groups (`left` of them valid): dword k of every group, of 4 bits the even inputs' dwords first.
INLINE void spread_codes(const int BITS, const uint8_t *codes, size_t left, __m512i *v) {
  if (BITS == 4) {
    const __m512i nibble = _mm512_set1_epi8(15);
    left >= 16 ? load_lines(4, codes, v) : load_codes(4, codes, left, v);
    spread_4(v);
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
      v[k + 4] = _mm512_and_si512(_mm512_srli_epi16(v[k], 4), nibble);
      v[k] = _mm512_and_si512(v[k], nibble);
    }
  } else {
    left >= 16 ? load_lines(8, codes, v) : load_codes(8, codes, left, v);
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

// The tokens from `first` on, `have` of them and an odd last one twice: tile_q of the tile as
// [groups / 16][KERN_TILE][8][16][4], tile_scale and tile_sum as [groups / 16][KERN_TILE][16], spread.
void avx512_pack_few(const KernActs *x, size_t tile, size_t first, size_t have) {
  const bool plain = x->order == KERN_ORDER_PLAIN;
  const __m512i order = lanes(group_of_lane[plain]);
  const size_t G = x->groups;
  int8_t *q = x->tile_q + tile * G * 512;
  float *scale = x->tile_scale + tile * G * 16, *sum = x->tile_sum + tile * G * 16;
  for (size_t t = 0; t < have + have % 2; t++) {
    const size_t token = first + (t < have ? t : have - 1);
    for (size_t g = 0; g < G; g += 16) {
      const size_t from = token * G + g, to = g * KERN_TILE + t * 16;
      __m512i v[8];
      spread_acts(plain, x->q + token * x->q_stride + g * 32, v);
      for (size_t k = 0; k < 8; k++) _mm512_storeu_si512(q + to * 32 + k * 64, v[k]);
      _mm512_storeu_ps(scale + to, _mm512_permutexvar_ps(order, _mm512_loadu_ps(x->scale + from)));
      _mm512_storeu_ps(sum + to, _mm512_permutexvar_ps(order, _mm512_loadu_ps(x->sum + from)));
    }
  }
}

// Codes of 16 groups of a row, spread, with their scales and biases.
typedef struct Spread {
  __m512i codes[8];
  __m512 scale, bias;
} Spread;

// Asks for a line, into the first cache when NEAR.
INLINE void ask(const bool NEAR, const uint8_t *line) {
  if (NEAR)
    _mm_prefetch((const char *)line, _MM_HINT_T0);
  else
    _mm_prefetch((const char *)line, _MM_HINT_T1);
}

// Reads 16 groups of a row (`left` of them valid) and asks for those that will come.
INLINE void read_spread(const int BITS, const bool NEAR, const KernRows *w, size_t row, size_t g, size_t left,
                        Spread *out) {
  const uint8_t *codes = w->w + row * w->w_stride + g * 4 * (size_t)BITS;
  const uint8_t *scales = w->scales + row * w->s_stride + g * 2,
                *biases = w->biases + row * w->s_stride + g * 2;
  spread_codes(BITS, codes, left, out->codes);
#pragma GCC unroll 8
  for (int k = 0; k < BITS; k++) ask(NEAR, codes + 64 * k + AHEAD);
  ask(NEAR, scales + AHEAD / 8);
  ask(NEAR, biases + AHEAD / 8);
  out->scale = load_spread(BITS, scales, left);
  out->bias = load_spread(BITS, biases, left);
}

// Sums of a row: in memory, since two rows' codes take half of the registers.
typedef __m512 RowSums[FEW_TOKENS];

// sum[k][t] += 16 groups (`left` of them valid) of rows[k] times token t of a packed tile. Two rows share
// what is read of a token, and nothing is read twice: see load_lines.
INLINE void few_step(const int BITS, const bool NEAR, const int NT, const KernRows *w, const size_t rows[2],
                     size_t g, const size_t left, const int8_t *q, const float *xs, const float *xq,
                     RowSums *sum) {
  Spread v[2];
#pragma GCC unroll 2
  for (int k = 0; k < 2; k++) read_spread(BITS, NEAR, w, rows[k], g, left, &v[k]);
#pragma GCC unroll 8
  for (int t = 0; t < NT; t++) {
    __m512i dot[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
#pragma GCC unroll 8
    for (int d = 0; d < 8; d++) {
      __m512i x = _mm512_loadu_si512(q + t * 512 + 64 * d);
      STAY(x);
#pragma GCC unroll 2
      for (int k = 0; k < 2; k++) dot[k] = _mm512_dpbusd_epi32(dot[k], v[k].codes[d], x);
    }
    __m512 s = _mm512_loadu_ps(xs + t * 16), b = _mm512_loadu_ps(xq + t * 16);
    STAY(s);
    STAY(b);
#pragma GCC unroll 2
    for (int k = 0; k < 2; k++) sum[k][t] = add_groups(sum[k][t], dot[k], v[k].scale, v[k].bias, s, b);
  }
}

// sum[k] = rows[k] times NT tokens of a packed tile, from token t0 on.
INLINE void few_pair(const int BITS, const bool NEAR, const int NT, const KernRows *w, const size_t rows[2],
                     const KernActs *x, size_t tile, size_t t0, RowSums *sum) {
  const int8_t *q = x->tile_q + tile * x->groups * 512 + t0 * 512;
  const float *xs = x->tile_scale + tile * x->groups * 16 + t0 * 16;
  const float *xq = x->tile_sum + tile * x->groups * 16 + t0 * 16;
  for (int k = 0; k < 2; k++)
    for (int t = 0; t < NT; t++) sum[k][t] = _mm512_setzero_ps();
  size_t g = 0;
  for (; g + 16 <= w->groups; g += 16) {
    few_step(BITS, NEAR, NT, w, rows, g, 16, q, xs, xq, sum);
    q += KERN_TILE * 512, xs += KERN_TILE * 16, xq += KERN_TILE * 16;
  }
  if (g < w->groups) few_step(BITS, NEAR, NT, w, rows, g, w->groups - g, q, xs, xq, sum);
}

// The lanes of 16 sums, added as the tree of their groups (8, 4, 2, 1 apart) where those lie: element i
// belongs to v[i].
INLINE __m512 add_spread_16(const int BITS, const __m512 *v) {
  __m512 s[8], r[4];
  if (BITS == 4) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) s[i] = add_2_apart(v[2 * i], v[2 * i + 1]);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) r[i] = add_1_apart(s[2 * i], s[2 * i + 1]);
    return add_4_apart(add_8_apart(r[0], r[1]), add_8_apart(r[2], r[3]));
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) s[i] = add_8_apart(v[i + i / 4 * 4], v[i + i / 4 * 4 + 4]);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) r[i] = add_2_apart(s[2 * i], s[2 * i + 1]);
  return add_4_apart(add_1_apart(r[0], r[1]), add_1_apart(r[2], r[3]));
}

enum { FEW_ROWS = 4 }; // rows whose lanes are added together

// y[t][r] of FEW_ROWS rows, of which there are `rows`, and n tokens.
INLINE void store_few(const int BITS, const int NT, const RowSums *sum, size_t rows, size_t n, float *y,
                      size_t y_stride) {
  float total[FEW_TOKENS][FEW_ROWS];
#pragma GCC unroll 2
  for (int t = 0; t < NT; t += 4) {
    __m512 v[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) v[i] = t + i / 4 < NT ? sum[i % 4][t + i / 4] : _mm512_setzero_ps();
    _mm512_storeu_ps(total[t], add_spread_16(BITS, v));
  }
  if (rows == FEW_ROWS)
    for (size_t t = 0; t < n; t++) _mm_storeu_ps(y + t * y_stride, _mm_loadu_ps(total[t]));
  else
    for (size_t t = 0; t < n; t++)
      for (size_t r = 0; r < rows; r++) y[t * y_stride + r] = total[t][r];
}

// Rows times n tokens of a packed tile from t0 on; NT is n, or n + 1 where that is odd. Missing rows repeat
// the last.
INLINE void few(const int BITS, const bool NEAR, const int NT, const KernRows *w, const KernActs *x,
                size_t tile, size_t t0, size_t n, float *y, size_t y_stride) {
  const size_t last = w->rows - 1;
  for (size_t first = 0; first < w->rows; first += FEW_ROWS) {
    RowSums sum[FEW_ROWS];
#pragma GCC unroll 2
    for (size_t k = 0; k < FEW_ROWS; k += 2) {
      const size_t row = first + k, pair[2] = {row < last ? row : last, row < last ? row + 1 : last};
      if (NT <= 4) fetch_page(w->w + row * w->w_stride + FETCH_PAGES); // for more, multiplying takes longer
      few_pair(BITS, NEAR, NT, w, pair, x, tile, t0, sum + k);
    }
    store_few(BITS, NT, sum, last - first < FEW_ROWS ? last - first + 1 : FEW_ROWS, n, y + first, y_stride);
  }
}

// All n tokens of a tile, as many at a time as the sums have room for.
INLINE void few_all(const int BITS, const bool NEAR, const KernRows *w, const KernActs *x, size_t tile,
                    size_t n, float *y, size_t y_stride) {
  for (size_t t = 0; t < n; t += FEW_TOKENS, y += FEW_TOKENS * y_stride) {
    const size_t left = n - t < FEW_TOKENS ? n - t : FEW_TOKENS;
    if (left > 6)
      few(BITS, NEAR, 8, w, x, tile, t, left, y, y_stride);
    else if (left > 4)
      few(BITS, NEAR, 6, w, x, tile, t, left, y, y_stride);
    else if (left > 2)
      few(BITS, NEAR, 4, w, x, tile, t, left, y, y_stride);
    else
      few(BITS, NEAR, 2, w, x, tile, t, left, y, y_stride);
  }
}

void avx512_few_q4(const KernRows *w, const KernActs *x, size_t tile, size_t n, float *y, size_t y_stride) {
  if (cpu_first_cache() >= FIRST_CACHE)
    few_all(4, true, w, x, tile, n, y, y_stride);
  else
    few_all(4, false, w, x, tile, n, y, y_stride);
}

void avx512_few_q8(const KernRows *w, const KernActs *x, size_t tile, size_t n, float *y, size_t y_stride) {
  if (cpu_first_cache() >= FIRST_CACHE)
    few_all(8, true, w, x, tile, n, y, y_stride);
  else
    few_all(8, false, w, x, tile, n, y, y_stride);
}

#else
typedef int kern_avx512_few_is_for_x86_64;
#endif
