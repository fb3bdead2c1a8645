// avx2_rows: products of codes with int8, and rows times one token. Compiled once for avx2 and once for
// avxvnni, which multiplies and adds in one instruction where avx2 needs two or three. Depends on avx2.
#pragma once

#include "kernels/avx2_dot.h"
#include "kernels/fetch.h"

// acc += 8 groups: their integer dots, scales and biases.
INLINE __m256 add_groups(__m256 acc, __m256i dots, __m256 s, __m256 b, const float *xs, const float *xq) {
  acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots), _mm256_mul_ps(s, _mm256_loadu_ps(xs)), acc);
  return _mm256_fmadd_ps(b, _mm256_loadu_ps(xq), acc);
}

// Bytes of 16 groups.
#define BLOCK(BITS) (64 * (size_t)(BITS))

// A row's codes, scales and biases, and its last groups padded to 16: nothing behind the row is read.
typedef struct Row {
  const uint8_t *codes, *s, *b;
  size_t whole; // groups before the padded ones
  uint8_t end_codes[512], end_s[32], end_b[32];
} Row;

INLINE void row_set(const int BITS, Row *row, const KernRows *w, size_t r) {
  const size_t left = w->groups % 16;
  row->codes = w->w + r * w->w_stride;
  row->s = w->scales + r * w->s_stride;
  row->b = w->biases + r * w->s_stride;
  row->whole = w->groups - left;
  if (!left) return;
  memset(row->end_codes, 0, sizeof row->end_codes);
  memset(row->end_s, 0, sizeof row->end_s);
  memset(row->end_b, 0, sizeof row->end_b);
  memcpy(row->end_codes, row->codes + row->whole / 16 * BLOCK(BITS), left * 4 * (size_t)BITS);
  memcpy(row->end_s, row->s + row->whole * 2, left * 2);
  memcpy(row->end_b, row->b + row->whole * 2, left * 2);
}

// The integer dots of 8 groups, in order: of 4 bits two to a vector of codes, of 8 bits one.
INLINE __m256i dots_of(const int BITS, const uint8_t *codes, const int8_t *q) {
  __m256i d[8];
#pragma GCC unroll 8
  for (size_t i = 0; i < (size_t)BITS; i++) {
    const __m256i v = load_bytes(codes + 32 * i);
    const int8_t *x = BITS == 4 ? q + i / 2 * 128 + i % 2 * 32 : q + 32 * i;
    Dot dot = dot_zero();
    if (BITS == 4) {
      dot = dot_add(4, dot, low_nibbles(v), load_bytes(x));
      dot = dot_add(4, dot, high_nibbles(v), load_bytes(x + 64));
    } else {
      dot = dot_add(8, dot, v, load_bytes(x));
    }
    d[i] = whole_dot(BITS, dot);
  }
  const __m256i a = _mm256_hadd_epi32(_mm256_hadd_epi32(d[0], d[1]), _mm256_hadd_epi32(d[2], d[3]));
  if (BITS == 4) return _mm256_permutevar8x32_epi32(a, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  const __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(d[4], d[5]), _mm256_hadd_epi32(d[6], d[7]));
  return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
}

// 16 groups of a row.
INLINE Lanes add_block(const int BITS, Lanes acc, const uint8_t *codes, const uint8_t *s, const uint8_t *b,
                       const int8_t *q, const float *xs, const float *xq) {
  const __m256i lo = dots_of(BITS, codes, q), hi = dots_of(BITS, codes + BLOCK(BITS) / 2, q + 256);
  acc.lo = add_groups(acc.lo, lo, load_f16(s), load_f16(b), xs, xq);
  acc.hi = add_groups(acc.hi, hi, load_f16(s + 16), load_f16(b + 16), xs + 8, xq + 8);
  return acc;
}

// Bytes of codes to ask for ahead of use. From mapped memory, one thread: 4 bits 21 GB/s at 2 KiB, 25 at 6; 8
// bits 19 without, 29 at 2 KiB, 33 at 6; with their scales and biases asked for as well 26.
enum { ROWS_AHEAD = 6144 };

INLINE void rows_any(const int BITS, const KernRows *w, const KernActs *x, size_t first_x, size_t n_x,
                     float *y, size_t y_stride) {
  Row row;
  fetch_first_pages(w->w, w->scales, w->biases);
  for (size_t r = 0; r < w->rows; r++) {
    row_set(BITS, &row, w, r);
    fetch_pages(row.codes, row.s, row.b);
    for (size_t t = 0; t < n_x; t++) {
      const int8_t *q = x->q + (first_x + t) * x->q_stride;
      const float *xs = x->scale + (first_x + t) * x->groups, *xq = x->sum + (first_x + t) * x->groups;
      Lanes acc = lanes_zero();
      size_t g = 0;
      for (; g < row.whole; g += 16) {
        const uint8_t *c = row.codes + g / 16 * BLOCK(BITS);
#pragma GCC unroll 8
        for (size_t ahead = 0; ahead < BLOCK(BITS); ahead += 64)
          _mm_prefetch((const char *)c + ROWS_AHEAD + ahead, _MM_HINT_T0);
        acc = add_block(BITS, acc, c, row.s + g * 2, row.b + g * 2, q + g * 32, xs + g, xq + g);
      }
      if (g < w->groups)
        acc = add_block(BITS, acc, row.end_codes, row.end_s, row.end_b, q + g * 32, xs + g, xq + g);
      y[t * y_stride + r] = add_lanes(acc);
    }
  }
}

static void rows_q4(const KernRows *w, const KernActs *x, size_t first_x, size_t n_x, float *y,
                    size_t y_stride) {
  rows_any(4, w, x, first_x, n_x, y, y_stride);
}

static void rows_q8(const KernRows *w, const KernActs *x, size_t first_x, size_t n_x, float *y,
                    size_t y_stride) {
  rows_any(8, w, x, first_x, n_x, y, y_stride);
}
