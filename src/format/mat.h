// mat: a weight matrix as it lies in the map, in whatever format it is stored: a view, never a copy.
// Decoding a row to float32 here is the truth that every faster kernel is compared with. Adding a
// format means a kind, a decoder in mat.c and nothing in the model. Depends on dtype.
#pragma once

#include "format/dtype.h"

typedef enum MatKind {
  MAT_F32,
  MAT_F16,
  MAT_BF16,
  MAT_AFFINE, // MLX affine: w = scale * q + bias, q of `bits` bits, groups of `group` inputs
  MAT_MXFP4,  // E2M1 codes, E8M0 scale for 32 inputs
  MAT_MXFP8,  // E4M3 codes, E8M0 scale for 32 inputs
  MAT_NVFP4,  // E2M1 codes, E4M3 scale for 16 inputs
} MatKind;

typedef struct Mat {
  MatKind kind;
  int bits;                       // of one code: 16 or 32 for plain floats
  int group;                      // inputs that share a scale; 0 for plain floats
  Dtype scale_type;               // of scales and biases (affine)
  size_t rows, cols;              // [out, in]
  const uint8_t *w;               // codes or floats, any alignment
  size_t w_stride;                // bytes from row to row
  const uint8_t *scales, *biases; // biases only for affine
  size_t s_stride;                // bytes from row to row of scales, and of biases
} Mat;

// Row r as float32. Affine: the product rounded, then the sum rounded.
void mat_row(const Mat *m, size_t r, float *out /* [cols] */);
// The sub-matrix of rows [first, first + n).
Mat mat_rows(const Mat *m, size_t first, size_t n);
// Bytes that one pass over the matrix reads.
size_t mat_bytes(const Mat *m);
// "affine 4-bit g32 f16", "bf16", ... into buf.
const char *mat_describe(const Mat *m, char *buf, size_t size);
