// avx2_tile: rows as they lie times many tokens: bound by multiplying. Compiled once for avx2 and once for
// avxvnni.
//
// A lane is a token, two vectors to a tile; codes are broadcast. The lanes of the sum (groups mod 16) come
// one after the other, in an order that lets their tree be added with a stack of four partial sums. Depends
// on avx2_few, elem.
#pragma once

#include "kernels/avx2_few.h"
#include "kernels/elem.h"

// The last tile is laid out for few tokens up to this many (at least 8): 12 take 244 GOP/s so, 202 as
// 16 (avxvnni).
enum { MOST_FEW = 14 };

// The order of the sum's lanes (groups mod 16) in which their tree can be added with a stack of four. Its own
// inverse.
static const uint8_t lane_at[16] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};

// Where group g lies in a tile: the groups of a lane one after the other, the lanes in that order.
INLINE size_t rank_of(size_t g, size_t groups) { return lane_at[g % 16] * (groups / 16) + g / 16; }

INLINE bool is_few(size_t tokens) { return tokens <= MOST_FEW; }

// 8 dwords of 8 tokens, `have` of them there.
INLINE void load_tokens(const void *from, size_t stride, size_t have, __m256 *v) {
#pragma GCC unroll 8
  for (size_t t = 0; t < 8; t++)
    v[t] = t < have ? _mm256_loadu_ps((const float *)(const void *)((const uint8_t *)from + t * stride))
                    : _mm256_setzero_ps();
  transpose_8(v);
}

// Tokens 8 h on of a tile, `have` of them there.
INLINE void pack_half(const KernActs *x, size_t tile, size_t h, size_t have) {
  const bool plain = x->order == KERN_ORDER_PLAIN;
  const size_t G = x->groups, first = tile * KERN_TILE + 8 * h;
  float *q = (float *)(void *)(x->tile_q + tile * G * 512) + 8 * h;
  __m256 v[8];
  for (size_t c = 0; c < G * 32; c += 32) { // 8 dwords of every token
    load_tokens(x->q + first * x->q_stride + c, x->q_stride, have, v);
    for (size_t e = 0; e < 8; e++) {
      const size_t g = plain ? c / 32 : c / 128 * 4 + c % 64 / 16 + e / 4;
      const size_t d = plain ? e : e % 4 + (c % 128 < 64 ? 0 : 4);
      _mm256_storeu_ps(q + rank_of(g, G) * 128 + d * 16, v[e]);
    }
  }
  for (size_t g = 0; g < G; g += 8)
    for (int sum = 0; sum < 2; sum++) {
      load_tokens((sum ? x->sum : x->scale) + first * G + g, G * sizeof(float), have, v);
      float *to = (sum ? x->tile_sum : x->tile_scale) + tile * G * 16 + 8 * h;
      for (size_t e = 0; e < 8; e++) _mm256_storeu_ps(to + rank_of(g + e, G) * 16, v[e]);
    }
}

static void pack_tile(const KernActs *x, size_t tile, size_t n) {
  const size_t first = tile * KERN_TILE, have = n - first < KERN_TILE ? n - first : KERN_TILE;
  if (is_few(have)) {
    pack_few(x, tile, first, have);
    return;
  }
  pack_half(x, tile, 0, 8);
  pack_half(x, tile, 1, have - 8);
}

// 16 rows of a tile: where they lie, and their scales and biases as float32 in [groups / 16][16 rows][16].
typedef struct TileRows {
  const uint8_t *code[16]; // missing rows repeat the last
  const uint8_t *next;     // the row 16 after the first, asked for ahead of its use
  const float *scale, *bias;
  size_t groups, next_stride;
} TileRows;

// Four codes of each of two dwords (d and d + 4) broadcast to all lanes.
INLINE void tile_codes(const int BITS, const uint8_t *code, size_t g, size_t d, __m256i *lo, __m256i *hi) {
  const uint8_t *c = code + g * 4 * (size_t)BITS + 4 * d;
  const __m256i v = _mm256_set1_epi32(load_i32(c));
  *lo = BITS == 4 ? low_nibbles(v) : v;
  *hi = BITS == 4 ? high_nibbles(v) : _mm256_set1_epi32(load_i32(c + 16));
}

enum { MAX_V = 4, MAX_RV = 8 }; // vectors of tokens; rows times vectors

// Reading is the narrower gate here.
INLINE __m256i load_once(const void *p) {
  __m256i v = load_bytes(p);
  STAY(v);
  return v;
}

// dot[k * V + v] += dwords d and d + 4 of group g: R rows times V vectors; the codes of all rows are held.
INLINE void tile_dots_wide(const int BITS, const int R, const int V, const uint8_t *const *code, size_t g,
                           size_t d, const int8_t *q, size_t tile_step, Dot *dot) {
  __m256i lo[MAX_RV], hi[MAX_RV];
#pragma GCC unroll 8
  for (int k = 0; k < R; k++) tile_codes(BITS, code[k], g, d, &lo[k], &hi[k]);
#pragma GCC unroll 4
  for (int v = 0; v < V; v++) {
    const int8_t *at = q + (size_t)(v / 2) * tile_step + v % 2 * 32;
    const __m256i qlo = load_once(at), qhi = load_once(at + 256);
#pragma GCC unroll 8
    for (int k = 0; k < R; k++) dot[k * V + v] = dot_add(BITS, dot[k * V + v], lo[k], qlo);
#pragma GCC unroll 8
    for (int k = 0; k < R; k++) dot[k * V + v] = dot_add(BITS, dot[k * V + v], hi[k], qhi);
  }
}

// The same; the int8 of all vectors are held.
INLINE void tile_dots_tall(const int BITS, const int R, const int V, const uint8_t *const *code, size_t g,
                           size_t d, const int8_t *q, size_t tile_step, Dot *dot) {
  __m256i qlo[MAX_V], qhi[MAX_V];
#pragma GCC unroll 4
  for (int v = 0; v < V; v++) {
    const int8_t *at = q + (size_t)(v / 2) * tile_step + v % 2 * 32;
    qlo[v] = load_once(at);
    qhi[v] = load_once(at + 256);
  }
#pragma GCC unroll 8
  for (int k = 0; k < R; k++) {
    __m256i lo, hi;
    tile_codes(BITS, code[k], g, d, &lo, &hi);
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) dot[k * V + v] = dot_add(BITS, dot[k * V + v], lo, qlo[v]);
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) dot[k * V + v] = dot_add(BITS, dot[k * V + v], hi, qhi[v]);
  }
}

// acc = rows r .. r + R times V vectors of tokens, for the lane of the sum that is `rank`th.
INLINE void tile_lane(const int BITS, const int R, const int V, const TileRows *w, size_t r, size_t rank,
                      const KernActs *x, size_t tile, __m256 *acc) {
  const size_t G = x->groups, first = tile * G + rank * (G / 16), lane = lane_at[rank];
  const int8_t *q = x->tile_q + first * 512;
  const float *xs = x->tile_scale + first * 16, *xq = x->tile_sum + first * 16;
  const float *scale = w->scale + r * 16 + lane, *bias = w->bias + r * 16 + lane;
#pragma GCC unroll 8
  for (int k = 0; k < R * V; k++) acc[k] = _mm256_setzero_ps();
  for (size_t g = lane; g < w->groups; g += 16) {
    Dot dot[MAX_RV];
#pragma GCC unroll 8
    for (int k = 0; k < R * V; k++) dot[k] = dot_zero();
#pragma GCC unroll 4
    for (size_t d = 0; d < 4; d++)
      (R < V ? tile_dots_wide : tile_dots_tall)(BITS, R, V, w->code + r, g, d, q + d * 64, G * 512, dot);
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      const size_t at = (size_t)(v / 2) * G * 16 + v % 2 * 8;
      const __m256 s = _mm256_loadu_ps(xs + at), b = _mm256_loadu_ps(xq + at);
#pragma GCC unroll 8
      for (int k = 0; k < R; k++) {
        __m256 *a = &acc[k * V + v];
        const __m256 sx = _mm256_mul_ps(_mm256_set1_ps(scale[k * 16]), s);
        *a = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole_dot(BITS, dot[k * V + v])), sx, *a);
        *a = _mm256_fmadd_ps(_mm256_set1_ps(bias[k * 16]), b, *a);
      }
    }
    q += 512, xs += 16, xq += 16, scale += 256, bias += 256;
  }
}

// Asks for row i of the next 16: its codes come while these rows are multiplied.
INLINE void ask_next(const TileRows *w, int bits, int i) {
  const char *row = (const char *)w->next + (size_t)i * w->next_stride;
  for (size_t at = 0; at < w->groups * 4 * (size_t)bits; at += 64) _mm_prefetch(row + at, _MM_HINT_T1);
}

// sum[v][r]: 16 rows times V vectors, their lanes added as the tree.
INLINE void tile_rows(const int BITS, const int R, const int V, const TileRows *w, const KernActs *x,
                      size_t tile, __m256 sum[MAX_V][16]) {
  __m256 stack[4][MAX_V][16], acc[MAX_RV];
  for (int i = 0; i < 16; i++) {
    if (tile == 0) ask_next(w, BITS, i);
    for (int r = 0; r < 16; r += R) {
      tile_lane(BITS, R, V, w, (size_t)r, (size_t)i, x, tile, acc);
      int level = 0;
      for (; i >> level & 1; level++)
#pragma GCC unroll 8
        for (int k = 0; k < R * V; k++) acc[k] = _mm256_add_ps(stack[level][k % V][r + k / V], acc[k]);
      __m256(*to)[16] = level == 4 ? sum : stack[level];
#pragma GCC unroll 8
      for (int k = 0; k < R * V; k++) to[k % V][r + k / V] = acc[k];
    }
  }
}

// y[t][r] for the n tokens of a vector: transposed, so that a token's rows are stored together.
static void store_tile(const __m256 *sum, size_t rows, size_t n, float *y, size_t y_stride) {
  for (size_t r = 0; r < rows; r += 8) {
    __m256 v[8];
    for (size_t k = 0; k < 8; k++) v[k] = sum[r + k];
    transpose_8(v);
    for (size_t t = 0; t < n && t < 8; t++) store_rows(y + t * y_stride + r, v[t], rows - r);
  }
}

// [groups / 16][16 rows][16]
INLINE void tile_floats(const KernRows *w, const uint8_t *from, float *to) {
  for (size_t r = 0; r < 16; r++) {
    const uint8_t *row = from + (r < w->rows ? r : w->rows - 1) * w->s_stride;
    size_t g = 0;
    for (; g + 8 <= w->groups; g += 8)
      _mm256_storeu_ps(to + (g / 16 * 16 + r) * 16 + g % 16, load_f16(row + g * 2));
    for (; g < w->groups; g++) to[(g / 16 * 16 + r) * 16 + g % 16] = load_f16_one(row + g * 2);
    for (size_t at = 0; at < w->groups * 2; at += 64)
      _mm_prefetch((const char *)row + 16 * w->s_stride + at, _MM_HINT_T1);
  }
}

// Four vectors of tokens while two tiles are left, then two.
INLINE size_t whole_tiles(const int BITS, const TileRows *w, const KernActs *x, size_t rows, size_t n,
                          float *y, size_t y_stride) {
  const int RV = SPLIT(BITS) ? 4 : 8;
  size_t t = 0;
  while (t < n && !is_few(n - t)) {
    __m256 sum[MAX_V][16];
    const bool two = n - t > KERN_TILE && !is_few(n - t - KERN_TILE);
    if (two)
      tile_rows(BITS, RV / 4, 4, w, x, t / KERN_TILE, sum);
    else
      tile_rows(BITS, RV / 2, 2, w, x, t / KERN_TILE, sum);
    for (size_t v = 0; v < (two ? 4 : 2) && t < n; v++, t += 8)
      store_tile(sum[v], rows, n - t, y + t * y_stride, y_stride);
  }
  return t;
}

INLINE void tiles(const int BITS, const KernRows *w, const KernPanel *scratch, const KernActs *x, size_t n,
                  float *y, size_t y_stride) {
  size_t t = 0;
  if (!is_few(n)) {
    TileRows rows = {.scale = scratch->scale,
                     .bias = scratch->bias,
                     .groups = w->groups,
                     .next = w->w + 16 * w->w_stride,
                     .next_stride = w->w_stride};
    for (size_t r = 0; r < 16; r++) rows.code[r] = w->w + (r < w->rows ? r : w->rows - 1) * w->w_stride;
    for (int r = 0; r < 16; r++) // nobody asked for the first rows of a piece of work
      for (size_t at = 0; at < w->groups * 4 * (size_t)BITS; at += 64)
        _mm_prefetch((const char *)rows.code[r] + at, _MM_HINT_T0);
    tile_floats(w, w->scales, scratch->scale);
    tile_floats(w, w->biases, scratch->bias);
    t = whole_tiles(BITS, &rows, x, w->rows, n, y, y_stride);
  }
  if (t < n) (BITS == 4 ? few_q4 : few_q8)(w, x, t / KERN_TILE, n - t, y + t * y_stride, y_stride);
}

static void tile_q4(const KernRows *w, const KernPanel *scratch, const KernActs *x, size_t n, float *y,
                    size_t y_stride) {
  tiles(4, w, scratch, x, n, y, y_stride);
}

static void tile_q8(const KernRows *w, const KernPanel *scratch, const KernActs *x, size_t n, float *y,
                    size_t y_stride) {
  tiles(8, w, scratch, x, n, y, y_stride);
}

// What both rungs have.
#define AVX2_KERNELS                                                                                         \
  .few_tokens = 1, .few_tokens_q8 = 1, .dot = avx2_dot, .dot_rows = avx2_dot_rows, .axpy = avx2_axpy,        \
  .rows_f16 = avx2_rows_f16, .quantize = avx2_quantize, .rows_q4 = rows_q4, .rows_q8 = rows_q8,              \
  .unpack_q4 = avx2_unpack_q4, .panel = avx2_panel, .pack_tile = pack_tile, .tile_q4 = tile_q4,              \
  .tile_q8 = tile_q8, .silu_mul = avx2_silu_mul, .attend = avx2_attend, .to_f16 = avx2_to_f16,               \
  .read = avx2_read, .peak_f32 = avx2_peak_f32, ELEM_KERNELS
