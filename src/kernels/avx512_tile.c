// avx512_tile: AVX-512 matrix kernels, for many tokens.
#if defined(__x86_64__)
#include "kernels/avx512.h"

// --- panels times many tokens: bound by multiplying -------------------------------------------------

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

void avx512_unpack_q4(const KernRows *w, KernPanel *out) {
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

void avx512_panel(const KernPanel *w, const KernActs *x, size_t first_x, size_t n_x, size_t rows, float *y,
                  size_t y_stride) {
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

// Where group g comes among `groups` (padded ones); lane_at is its own inverse.
INLINE size_t rank_of(size_t g, size_t groups) { return lane_at[g % 16] * (groups / 16) + g / 16; }

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

// The last tokens are laid out for few_q4 and few_q8 up to this many: 24 take three times 8, which is faster
// than two tiles with lanes to spare.
enum { MOST_FEW = 24 };

void avx512_pack_tile(const KernActs *x, size_t tile, size_t n) {
  const size_t first = tile * KERN_TILE, have = n - first < KERN_TILE ? n - first : KERN_TILE;
  if (n - tile / 2 * (2 * KERN_TILE) <= MOST_FEW) // tiles are multiplied in pairs
    avx512_pack_few(x, tile, first, have);
  else
    avx512_pack_side(x, tile, first, have);
}

void avx512_pack_side(const KernActs *x, size_t tile, size_t first, size_t have) {
  const bool plain = x->order == KERN_ORDER_PLAIN;
  const size_t G = x->groups;
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

// How codes lie: in rows of 4 or 8 bits as they are, or unpacked to bytes in the order of the lanes of the
// sum.
typedef enum Codes { AS_NIBBLES, AS_BYTES, UNPACKED } Codes;

// 16 rows of a tile: where they lie, and their scales and biases as float32 in [groups / 16][16 rows][16].
typedef struct TileRows {
  const uint8_t *code[16]; // missing rows repeat the last
  const uint8_t *next;     // the row 16 after the first, asked for ahead of its use
  const uint8_t *unpacked; // [rank of a group][16 rows][32], if they are
  const float *scale, *bias;
  size_t groups, next_stride, row_bytes;
} TileRows;

// Four codes of each of two dwords, d and d + 4, broadcast to all lanes. `code` is where a row's group lies.
INLINE void tile_codes(const Codes codes, const uint8_t *code, size_t d, __m512i *lo, __m512i *hi) {
  const int8_t *c = (const int8_t *)code + 4 * d;
  if (codes == AS_NIBBLES) {
    const __m512i both = _mm512_set1_epi32(load_i32(c)), nibble = _mm512_set1_epi8(15);
    *lo = _mm512_and_si512(both, nibble);
    *hi = _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble);
  } else {
    *lo = _mm512_set1_epi32(load_i32(c));
    *hi = _mm512_set1_epi32(load_i32(c + 16));
  }
}

// Vectors of tokens; rows whose sums fit the registers next to them. The products of 4 rows are 8 chains of
// sums, just as many as the latency of one needs (Zen 5); 6 rows leave room. Codes that are not unpacked go 4
// rows at a time: 6 were no faster in the model.
enum { V = 2, MOST_ROWS = 6 };

// acc = NR rows from r on times V vectors of tokens, for the lane of the sum that is `rank`th.
INLINE void tile_lane(const Codes codes, const int NR, const TileRows *w, size_t r, size_t rank,
                      const KernActs *x, size_t tile, __m512 acc[MOST_ROWS * V]) {
  const size_t G = x->groups, first = rank * (G / 16), lane = lane_at[rank];
  const int8_t *xq = x->tile_q + (tile * G + first) * 512;
  const float *xs = x->tile_scale + (tile * G + first) * 16, *xb = x->tile_sum + (tile * G + first) * 16;
  const float *scale = w->scale + r * 16 + lane, *bias = w->bias + r * 16 + lane;
  const uint8_t *unpacked = w->unpacked + first * 512 + r * 32, *code[MOST_ROWS];
#pragma GCC unroll 8
  for (int k = 0; k < NR; k++) code[k] = w->code[r + (size_t)k];
#pragma GCC unroll 16
  for (int k = 0; k < NR * V; k++) acc[k] = _mm512_setzero_ps();
  for (size_t g = lane; g < w->groups; g += 16) {
    __m512i dot[MOST_ROWS * V];
#pragma GCC unroll 16
    for (int k = 0; k < NR * V; k++) dot[k] = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (size_t d = 0; d < 4; d++) {
      __m512i qlo[V], qhi[V];
#pragma GCC unroll 2
      for (int v = 0; v < V; v++) {
        qlo[v] = _mm512_loadu_si512((const void *)(xq + (size_t)v * G * 512 + d * 64));
        qhi[v] = _mm512_loadu_si512((const void *)(xq + (size_t)v * G * 512 + 256 + d * 64));
        if (codes != UNPACKED) continue;
        STAY(qlo[v]);
        STAY(qhi[v]);
      }
#pragma GCC unroll 8
      for (int k = 0; k < NR; k++) {
        __m512i lo, hi;
        tile_codes(codes, codes == UNPACKED ? unpacked + k * 32 : code[k] + g * (codes == AS_BYTES ? 32 : 16),
                   d, &lo, &hi);
#pragma GCC unroll 2
        for (int v = 0; v < V; v++) {
          dot[k * V + v] = _mm512_dpbusd_epi32(dot[k * V + v], lo, qlo[v]);
          dot[k * V + v] = _mm512_dpbusd_epi32(dot[k * V + v], hi, qhi[v]);
        }
      }
    }
#pragma GCC unroll 2
    for (int v = 0; v < V; v++) {
      const __m512 s = _mm512_loadu_ps(xs + (size_t)v * G * 16), b = _mm512_loadu_ps(xb + (size_t)v * G * 16);
#pragma GCC unroll 8
      for (int k = 0; k < NR; k++) {
        __m512 *a = &acc[k * V + v];
        const __m512 sx = _mm512_mul_ps(_mm512_set1_ps(scale[k * 16]), s);
        *a = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[k * V + v]), sx, *a);
        *a = _mm512_fmadd_ps(_mm512_set1_ps(bias[k * 16]), b, *a);
      }
    }
    xq += 512, xs += 16, xb += 16, scale += 256, bias += 256, unpacked += 512;
  }
}

// Codes of 4 bits of 16 rows: [rank of a group][16 rows][32], dwords d and d + 4 as everywhere. Two rows'
// codes of a group fill a line.
static void unpack_tile(const TileRows *w, size_t groups, uint8_t *to) {
  const __m512i nibble = _mm512_set1_epi8(15);
  for (size_t g = 0; g < w->groups; g += 4) {
    const __mmask16 m = first_lanes(4 * (w->groups - g));
    uint8_t *at[4];
    for (size_t k = 0; k < 4; k++) at[k] = to + rank_of(g + k, groups) * 512;
#pragma GCC unroll 8
    for (size_t r = 0; r < 16; r += 2) {
      const __m512i a = _mm512_maskz_loadu_epi32(m, w->code[r] + g * 16),
                    b = _mm512_maskz_loadu_epi32(m, w->code[r + 1] + g * 16);
      const __m512i alo = _mm512_and_si512(a, nibble),
                    ahi = _mm512_and_si512(_mm512_srli_epi16(a, 4), nibble);
      const __m512i blo = _mm512_and_si512(b, nibble),
                    bhi = _mm512_and_si512(_mm512_srli_epi16(b, 4), nibble);
      const __m512i a01 = _mm512_shuffle_i32x4(alo, ahi, 0x44), a23 = _mm512_shuffle_i32x4(alo, ahi, 0xEE);
      const __m512i b01 = _mm512_shuffle_i32x4(blo, bhi, 0x44), b23 = _mm512_shuffle_i32x4(blo, bhi, 0xEE);
      _mm512_storeu_si512(at[0] + r * 32, _mm512_shuffle_i32x4(a01, b01, 0x88));
      _mm512_storeu_si512(at[1] + r * 32, _mm512_shuffle_i32x4(a01, b01, 0xDD));
      _mm512_storeu_si512(at[2] + r * 32, _mm512_shuffle_i32x4(a23, b23, 0x88));
      _mm512_storeu_si512(at[3] + r * 32, _mm512_shuffle_i32x4(a23, b23, 0xDD));
    }
  }
}

// Asks for row i of the next 16: its codes come while these rows are multiplied.
INLINE void ask_next(const TileRows *w, int i) {
  const char *row = (const char *)w->next + (size_t)i * w->next_stride;
  for (size_t at = 0; at < w->row_bytes; at += 64) _mm_prefetch(row + at, _MM_HINT_T0);
}

// Stacks of partial sums of 16 rows times V vectors: see panel_tile.
typedef __m512 TileSums[V][16];

// Lane number `rank` of NR rows from r on: into the stack, and from there, at last, to `sum`.
INLINE void tile_part(const Codes codes, const int NR, const TileRows *w, size_t r, int rank,
                      const KernActs *x, size_t tile, TileSums stack[4], TileSums *sum) {
  __m512 acc[MOST_ROWS * V];
  tile_lane(codes, NR, w, r, (size_t)rank, x, tile, acc);
  int level = 0;
  for (; rank >> level & 1; level++)
#pragma GCC unroll 16
    for (int k = 0; k < NR * V; k++) acc[k] = _mm512_add_ps(stack[level][k % V][r + k / V], acc[k]);
  TileSums *to = level == 4 ? sum : &stack[level];
#pragma GCC unroll 16
  for (int k = 0; k < NR * V; k++) (*to)[k % V][r + k / V] = acc[k];
}

// sum[v][r]: 16 rows times V vectors, their lanes added as the tree.
INLINE void tile_rows(const Codes codes, const TileRows *w, const KernActs *x, size_t tile, TileSums *sum) {
  TileSums stack[4];
  for (int i = 0; i < 16; i++) {
    if (tile == 0) ask_next(w, i);
    if (codes == UNPACKED) {
      tile_part(codes, 6, w, 0, i, x, tile, stack, sum);
      tile_part(codes, 6, w, 6, i, x, tile, stack, sum);
      tile_part(codes, 4, w, 12, i, x, tile, stack, sum);
    } else {
      for (size_t r = 0; r < 16; r += 4) tile_part(codes, 4, w, r, i, x, tile, stack, sum);
    }
  }
}

// y[t][r] for the n tokens of a vector: transposed, so that a token's rows are stored together.
void avx512_store_tile(const __m512 *sum, size_t rows, size_t n, float *y, size_t y_stride) {
  __m512i v[16];
  for (int r = 0; r < 16; r++) v[r] = _mm512_castps_si512(sum[r]);
  transpose_16(v);
  for (size_t t = 0; t < n && t < 16; t++)
    _mm512_mask_storeu_ps(y + t * y_stride, first_lanes(rows), _mm512_castsi512_ps(v[t]));
}

// [groups / 16][16 rows][16]
void avx512_tile_floats(const KernRows *w, const uint8_t *from, float *to) {
  for (size_t r = 0; r < 16; r++) {
    const uint8_t *row = from + (r < w->rows ? r : w->rows - 1) * w->s_stride;
    for (size_t g = 0; g < w->groups; g += 16)
      _mm512_storeu_ps(to + (g + r) * 16, load_f16(row + g * 2, w->groups - g));
    for (size_t at = 0; at < w->groups * 2; at += 64)
      _mm_prefetch((const char *)row + 16 * w->s_stride + at, _MM_HINT_T0);
  }
}

// The tokens that fill pairs of tiles, or more than MOST_FEW of one; returns how many.
INLINE size_t tile_pairs(const Codes codes, const TileRows *w, const KernActs *x, size_t n, float *y,
                         size_t y_stride, size_t rows) {
  size_t t = 0;
  for (; t < n && n - t > MOST_FEW; t += V * KERN_TILE) {
    TileSums sum;
    tile_rows(codes, w, x, t / KERN_TILE, &sum);
    for (size_t v = 0, at = t; v < V; v++, at += KERN_TILE)
      avx512_store_tile(sum[v], rows, n - at, y + at * y_stride, y_stride);
  }
  return t;
}

// From so many tokens on, codes of 4 bits are unpacked once for all of them. For 32 that takes as long as it
// saves.
enum { UNPACK_FROM = 57 };

INLINE void tiles(const int BITS, const KernRows *w, const KernPanel *scratch, const KernActs *x, size_t n,
                  float *y, size_t y_stride) {
  size_t t = 0;
  if (n > MOST_FEW) {
    TileRows rows = {.scale = scratch->scale,
                     .bias = scratch->bias,
                     .groups = w->groups,
                     .unpacked = scratch->codes,
                     .next = w->w + 16 * w->w_stride,
                     .next_stride = w->w_stride,
                     .row_bytes = w->groups * 4 * (size_t)BITS};
    for (size_t r = 0; r < 16; r++) rows.code[r] = w->w + (r < w->rows ? r : w->rows - 1) * w->w_stride;
    avx512_tile_floats(w, w->scales, scratch->scale);
    avx512_tile_floats(w, w->biases, scratch->bias);
    if (BITS == 4 && n >= UNPACK_FROM) {
      unpack_tile(&rows, x->groups, scratch->codes);
      t = tile_pairs(UNPACKED, &rows, x, n, y, y_stride, w->rows);
    } else {
      t = tile_pairs(BITS == 4 ? AS_NIBBLES : AS_BYTES, &rows, x, n, y, y_stride, w->rows);
    }
  }
  for (; t < n; t += KERN_TILE)
    (BITS == 4 ? avx512_few_q4 : avx512_few_q8)(w, x, t / KERN_TILE, n - t < KERN_TILE ? n - t : KERN_TILE,
                                                y + t * y_stride, y_stride);
}

void avx512_tile_q4(const KernRows *w, const KernPanel *scratch, const KernActs *x, size_t n, float *y,
                    size_t y_stride) {
  tiles(4, w, scratch, x, n, y, y_stride);
}

void avx512_tile_q8(const KernRows *w, const KernPanel *scratch, const KernActs *x, size_t n, float *y,
                    size_t y_stride) {
  tiles(8, w, scratch, x, n, y, y_stride);
}

#else
typedef int kern_avx512_tile_is_for_x86_64;
#endif
