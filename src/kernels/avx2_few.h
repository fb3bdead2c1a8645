// avx2_few: rows times a few tokens: as much reading as multiplying. Compiled once for avx2 and once for
// avxvnni.
//
// A lane is a group: the codes of 8 groups are spread so that a vector has one dword of every group, once for
// all tokens, and the dots of a token need no adding of lanes. The activations lie in the same way. Depends
// on avx2_rows.
#pragma once

#include "kernels/avx2_rows.h"

enum { FEW_TOKENS = 8, FEW_AHEAD = 6144 };

// Lane 4 j + i of v[k] becomes lane 4 j + k of v[i].
INLINE void spread_4(__m256i *v) {
  const __m256i a = _mm256_unpacklo_epi32(v[0], v[1]), b = _mm256_unpackhi_epi32(v[0], v[1]);
  const __m256i c = _mm256_unpacklo_epi32(v[2], v[3]), d = _mm256_unpackhi_epi32(v[2], v[3]);
  v[0] = _mm256_unpacklo_epi64(a, c);
  v[1] = _mm256_unpackhi_epi64(a, c);
  v[2] = _mm256_unpacklo_epi64(b, d);
  v[3] = _mm256_unpackhi_epi64(b, d);
}

// v[k] = dword k of 8 pieces of 16 bytes: four `step` bytes apart from p on, four from p + half on.
INLINE void spread(const void *p, size_t step, size_t half, __m256i *v) {
  const uint8_t *at = p;
#pragma GCC unroll 4
  for (size_t i = 0; i < 4; i++, at += step) {
    const __m128i lo = _mm_loadu_si128((const __m128i *)(const void *)at);
    const __m128i hi = _mm_loadu_si128((const __m128i *)(const void *)(at + half));
    v[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(lo), hi, 1);
  }
  spread_4(v);
}

// Codes of 8 groups: dword k of every group, of 4 bits the even inputs' dwords first.
INLINE void spread_codes(const int BITS, const uint8_t *codes, __m256i *v) {
  if (BITS == 8) {
    spread(codes, 32, 128, v);
    spread(codes + 16, 32, 128, v + 4);
    return;
  }
  spread(codes, 16, 64, v);
#pragma GCC unroll 4
  for (int k = 0; k < 4; k++) {
    v[k + 4] = high_nibbles(v[k]);
    v[k] = low_nibbles(v[k]);
  }
}

// The int8 of 8 groups of a token, spread as the codes they are multiplied with.
INLINE void spread_acts(bool plain, const int8_t *q, __m256i *v) {
  spread(q, plain ? 32 : 16, 128, v);
  spread(q + (plain ? 16 : 64), plain ? 32 : 16, 128, v + 4);
}

// The tokens from `first` on, `have` of them and an odd last one twice: tile_q of the tile as
// [groups / 8][KERN_TILE][8][8][4], tile_scale and tile_sum as [groups / 8][KERN_TILE][8].
static void pack_few(const KernActs *x, size_t tile, size_t first, size_t have) {
  const bool plain = x->order == KERN_ORDER_PLAIN;
  const size_t G = x->groups;
  for (size_t t = 0; t < have + have % 2; t++) {
    const size_t token = first + (t < have ? t : have - 1);
    for (size_t g = 0; g < G; g += 8) {
      const size_t from = token * G + g, to = (tile * G + g) * KERN_TILE + t * 8;
      __m256i v[8];
      spread_acts(plain, x->q + token * x->q_stride + g * 32, v);
#pragma GCC unroll 8
      for (size_t k = 0; k < 8; k++)
        _mm256_storeu_si256((__m256i *)(void *)(x->tile_q + to * 32 + k * 32), v[k]);
      _mm256_storeu_ps(x->tile_scale + to, _mm256_loadu_ps(x->scale + from));
      _mm256_storeu_ps(x->tile_sum + to, _mm256_loadu_ps(x->sum + from));
    }
  }
}

// acc[t] += 8 groups of a row times NT tokens of a packed tile.
INLINE void few_step(const int BITS, const int NT, const uint8_t *codes, const uint8_t *s, const uint8_t *b,
                     const int8_t *q, const float *xs, const float *xq, __m256 *acc) {
  const __m256 sv = load_f16(s), bv = load_f16(b);
  __m256i v[8];
  spread_codes(BITS, codes, v);
#pragma GCC unroll 8
  for (int t = 0; t < NT; t++) {
    Dot dot = dot_zero();
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++) dot = dot_add(BITS, dot, v[k], load_bytes(q + t * 256 + 32 * k));
    acc[t] = add_groups(acc[t], whole_dot(BITS, dot), sv, bv, xs + t * 8, xq + t * 8);
  }
}

// 16 groups.
INLINE void few_block(const int BITS, const int NT, const uint8_t *codes, const uint8_t *s, const uint8_t *b,
                      const int8_t *q, const float *xs, const float *xq, __m256 acc[2][FEW_TOKENS]) {
#pragma GCC unroll 2
  for (size_t h = 0; h < 2; h++)
    few_step(BITS, NT, codes + h * BLOCK(BITS) / 2, s + h * 16, b + h * 16, q + h * KERN_TILE * 256,
             xs + h * KERN_TILE * 8, xq + h * KERN_TILE * 8, acc[h]);
}

// y[t] = a row times NT tokens of a packed tile, from token t0 on.
INLINE void few_row(const int BITS, const int NT, const Row *row, size_t groups, const KernActs *x,
                    size_t tile, size_t t0, float *y) {
  const size_t G = x->groups, at = tile * G * KERN_TILE + t0 * 8;
  const int8_t *q = x->tile_q + at * 32;
  const float *xs = x->tile_scale + at, *xq = x->tile_sum + at;
  __m256 acc[2][FEW_TOKENS];
#pragma GCC unroll 8
  for (int t = 0; t < NT; t++) acc[0][t] = acc[1][t] = _mm256_setzero_ps();
  size_t g = 0;
  for (; g < row->whole; g += 16) {
    const uint8_t *codes = row->codes + g / 16 * BLOCK(BITS);
#pragma GCC unroll 8
    for (size_t a = 0; a < BLOCK(BITS); a += 64)
      _mm_prefetch((const char *)codes + FEW_AHEAD + a, _MM_HINT_T1);
    _mm_prefetch((const char *)row->s + g * 2 + FEW_AHEAD / 8, _MM_HINT_T1);
    _mm_prefetch((const char *)row->b + g * 2 + FEW_AHEAD / 8, _MM_HINT_T1);
    few_block(BITS, NT, codes, row->s + g * 2, row->b + g * 2, q, xs, xq, acc);
    q += KERN_TILE * 512, xs += KERN_TILE * 16, xq += KERN_TILE * 16;
  }
  if (g < groups) few_block(BITS, NT, row->end_codes, row->end_s, row->end_b, q, xs, xq, acc);
  for (int t = 0; t < NT; t += 4) {
    Lanes lanes[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) lanes[k] = t + k < NT ? (Lanes){acc[0][t + k], acc[1][t + k]} : lanes_zero();
    _mm_storeu_ps(y + t, add_lanes_4(lanes));
  }
}

// Rows times n tokens of a packed tile from t0 on; NT is n, or n + 1 where that is odd.
INLINE void few(const int BITS, const int NT, const KernRows *w, const KernActs *x, size_t tile, size_t t0,
                size_t n, float *y, size_t y_stride) {
  Row row;
  for (size_t r = 0; r < w->rows; r++) {
    float sum[FEW_TOKENS];
    row_set(BITS, &row, w, r);
    if (NT <= 4) fetch_page(row.codes + FETCH_PAGES); // for more, multiplying takes longer
    few_row(BITS, NT, &row, w->groups, x, tile, t0, sum);
    for (size_t t = 0; t < n; t++) y[t * y_stride + r] = sum[t];
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
