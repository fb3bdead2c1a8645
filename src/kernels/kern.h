// kern: the arithmetic that is worth doing differently on different processors, as a table of
// functions. scalar.c is the truth; every other rung gives the same bits (tests/kernels/checkkern).
// Depends on base/cpu.
//
// Two families of sums, each with one order that all shapes and rungs share:
//
//  exact       float32 weights. Lane l of KERN_LANES takes the elements i = l (mod KERN_LANES) in
//              order, acc = fma(w, x, acc); the lanes are then added as a tree: l + 8, + 4, + 2, + 1.
//  quantized   weights as unsigned codes with a scale s and a bias b for each group of 32 inputs;
//              activations as int8 with a scale xs for each group of 32, and xq = xs * (sum of the int8).
//              Lane l takes the groups g = l (mod KERN_LANES) in order, for each of them
//                  acc = fma(codes . q, s * xs, acc);  acc = fma(b, xq, acc)
//              where codes . q is exact in int32; the lanes are then added as the same tree.
//
// docs/numerics.md says why.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  KERN_LANES = 16,
  KERN_GROUP = 32,      // inputs that share an activation scale
  KERN_PANEL_ROWS = 16, // rows of an unpacked panel
  KERN_TILE = 16,       // tokens side by side for the tile kernels
  KERN_BLOCK = 256,     // positions that attention takes in one piece
};

// A group whose largest input is below this counts as zeros: 127 / max stays finite.
#define KERN_TINY 1e-30f

// How the int8 of a group lie: as they come, or, for 4-bit codes, in chunks of four groups: 4 x 16
// inputs of even index, then 4 x 16 of odd index, as the nibbles of 64 bytes of codes do.
typedef enum KernOrder { KERN_ORDER_PLAIN, KERN_ORDER_NIBBLES } KernOrder;

// Quantized activations, token after token. Groups are padded to a multiple of KERN_LANES with
// zeros, so that vectors may run over the end.
typedef struct KernActs {
  int8_t *q;          // [tokens][q_stride]
  float *scale, *sum; // [tokens][groups]: xs, xq
  size_t groups;      // of a token, padding included
  size_t q_stride;    // bytes from token to token
  KernOrder order;
  // The same for the tile kernels, KERN_TILE tokens side by side, missing ones zeros. A rung may lay the last
  // tile out otherwise in the same room (avx512's pack_few).
  int8_t *tile_q;               // [tiles][groups][8][KERN_TILE][4]: dword d of a group, of every token
  float *tile_scale, *tile_sum; // [tiles][groups][KERN_TILE]
} KernActs;

// Rows of codes (4 or 8 bits, little end first), each group of 32 with a float16 scale and bias, as
// they lie in the file: any alignment.
typedef struct KernRows {
  const uint8_t *w, *scales, *biases;
  size_t w_stride, s_stride; // bytes from row to row
  size_t rows, groups;       // groups: of 32 inputs, in a row
} KernRows;

// 16 rows unpacked for the matrix kernel: a byte a code.
typedef struct KernPanel {
  uint8_t *codes;      // [groups][8][16 rows][4]: dword d of a group holds 4 inputs of every row
  float *scale, *bias; // [groups][16 rows]
  size_t groups;
  int bits; // codes are below 2^bits
} KernPanel;

// One block of positions of one KV head, for the query heads that share it: those of a token, or of several
// tokens that see all of it.
typedef struct KernAttend {
  const float *q;                 // queries, scaled already: see kern_query
  const void *k, *v;              // float16, or int8 when there are scales; [n][dim]
  const float *k_scale, *v_scale; // [n], both or none
  const void *next;               // the keys that will be asked for next, to be fetched early; or NULL
  size_t heads, dim;
  size_t group, token_stride; // heads of a token; floats from one token's first query to the next one's
  size_t n;                   // positions, at most KERN_BLOCK
  // Out, per head: the largest score, the sum of exp(score - max), the weighted sum of v.
  float *max, *sum, *out; // [heads], [heads], [heads][dim]
} KernAttend;

// The query [dim] of head h.
static inline const float *kern_query(const KernAttend *a, size_t h) {
  return a->q + h / a->group * a->token_stride + h % a->group * a->dim;
}

typedef struct Kern {
  const char *name;
  // For how many tokens the row kernels are fastest (few_tokens_q8: of 8-bit codes); more go by tiles, or by
  // panels where there are none.
  size_t few_tokens, few_tokens_q8;
  // exact: a . b
  float (*dot)(const float *a, const float *b, size_t n);
  // exact: y[t * y_stride] = w . x[t], x[t] at x + t * x_stride, for t < n_x
  void (*dot_rows)(const float *w, const float *x, size_t x_stride, size_t n_x, size_t n, float *y,
                   size_t y_stride);
  // y += a * x
  void (*axpy)(float a, const float *x, float *y, size_t n);
  // exact, for rows of float16: y[t * y_stride + r] = w[r] . x[t]
  void (*rows_f16)(const uint8_t *w, size_t w_stride, size_t rows, size_t n, const float *x, size_t x_stride,
                   size_t n_x, float *y, size_t y_stride);
  // x [groups * 32] to int8: xs = max|x| / 127, q = rint(x * (127 / max|x|)) of token t of `out`. Fills the
  // padding.
  void (*quantize)(const float *x, size_t groups, const KernActs *out, size_t t);
  // y[t * y_stride + r] = w[r] . x[t], t < n_x: 4-bit codes and KERN_ORDER_NIBBLES, 8-bit codes and
  // KERN_ORDER_PLAIN
  void (*rows_q4)(const KernRows *w, const KernActs *x, size_t first_x, size_t n_x, float *y,
                  size_t y_stride);
  void (*rows_q8)(const KernRows *w, const KernActs *x, size_t first_x, size_t n_x, float *y,
                  size_t y_stride);
  // At most 16 rows of 4-bit codes as a panel (in KERN_ORDER_NIBBLES); missing rows become zeros.
  void (*unpack_q4)(const KernRows *w, KernPanel *out);
  // y[t * y_stride + r], r < rows: the panel's rows times each token.
  void (*panel)(const KernPanel *w, const KernActs *x, size_t first_x, size_t n_x, size_t rows, float *y,
                size_t y_stride);
  // The same products with a token a lane, for rungs whose rows need not be transposed then; NULL elsewhere.
  // pack_tile lays out tile i of n tokens, quantized before. tile_q4, tile_q8: at most 16 rows as they lie
  // times tokens [0, n_x); `scratch` is a panel's room.
  void (*pack_tile)(const KernActs *x, size_t tile, size_t n);
  void (*tile_q4)(const KernRows *w, const KernPanel *scratch, const KernActs *x, size_t n_x, float *y,
                  size_t y_stride);
  void (*tile_q8)(const KernRows *w, const KernPanel *scratch, const KernActs *x, size_t n_x, float *y,
                  size_t y_stride);
  // Around a thread's calls of panel, tile_q4 and tile_q8 with n_x tokens, for rungs that must set something
  // up; NULL elsewhere.
  void (*begin)(size_t n_x);
  void (*end)(void);
  // Element by element (elem.h), every operation rounded by itself. Vectors [n] that do not overlap, but
  // where it says so. x = gelu(x + bias), the one by erf, here kmath_erf
  void (*gelu)(float *x, const float *bias, size_t n);
  // r = (r + r_bias) * r_scale + (h + h_bias) * h_scale; where r_scale is NULL only what stands behind the +
  void (*merge)(float *r, const float *r_bias, const float *r_scale, const float *h, const float *h_bias,
                const float *h_scale, size_t n);
  // out = x * scale * weight; out may be x
  void (*norm)(const float *x, float scale, const float *weight, size_t n, float *out);
  // x *= a
  void (*scale)(float *x, float a, size_t n);
  // Rotates the pairs (i, i + half) of x, i < half, by cosines and sines [half].
  void (*rotate)(float *x, const float *cosine, const float *sine, size_t half);
  // Two taps of a depthwise convolution for each of C channels, at a time and at the one before it, from
  // three frames, the oldest first: out[2 c] = conv0[2 c] * f2[c] + conv0[2 c + 1] * f1[c] + bias[c] and
  // out[2 c + 1] the same of f1, f0
  void (*taps)(const float *conv0, const float *bias, const float *f2, const float *f1, const float *f0,
               size_t C, float *out);
  // x += y
  void (*add)(float *x, const float *y, size_t n);
  // y = y * a + x * b
  void (*blend)(float *y, float a, const float *x, float b, size_t n);
  // y = a * x
  void (*weigh)(float a, const float *x, float *y, size_t n);
  // gate = silu(gate) * up
  void (*silu_mul)(float *gate, const float *up, size_t n);
  // dim must be a multiple of 8; the scalar truth takes any
  void (*attend)(const KernAttend *a);
  // float32 to float16, to nearest even; what is larger than 65504 becomes 65504
  void (*to_f16)(const float *x, uint16_t *y, size_t n);
  // What the machine can do, for `zaya bench`: reading n bytes (a multiple of 1024) as two streams; and
  // KERN_PEAK_OPS * rounds operations (a multiply-add is two) on registers alone, with the instructions
  // that this rung's kernels multiply by. The results only keep the work from being left out.
  uint64_t (*read)(const uint8_t *p, size_t n);
  float (*peak_int8)(size_t rounds);
  float (*peak_f32)(size_t rounds);
} Kern;

enum { KERN_PEAK_OPS = 8192 };

extern const Kern kern_scalar;
#if defined(__x86_64__)
extern const Kern kern_avx2, kern_avxvnni, kern_avx512, kern_amx;
#elif defined(__aarch64__)
extern const Kern kern_neon;
#endif

// Bytes of token stride for `groups` groups: padded, and never a power of two, so that the tokens of
// a tile do not fall on the same cache sets.
size_t kern_q_stride(size_t groups);
size_t kern_pad_groups(size_t groups);
// The rungs that this processor has, fastest first; NULL behind the last.
const Kern *kern_available(size_t i);
// The fastest rung, or the one called `name` when not NULL; NULL if there is no such rung here.
const Kern *kern_pick(const char *name);
