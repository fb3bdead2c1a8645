// quant: encoding of rows in the formats that mat decodes, bit for bit as MLX's quantizers do it.
// Depends on mat and dtype.
#pragma once

#include "base/error.h"
#include "format/mat.h"

// MLX's two backends differ: the CPU rounds half to even; the Metal kernel rounds half away from zero
// and starts its running maximum at 0.
typedef enum QuantRound { QUANT_MLX_CPU, QUANT_MLX_METAL } QuantRound;

typedef struct QuantSpec {
  MatKind kind; // MAT_AFFINE, MAT_MXFP4, MAT_MXFP8 or MAT_NVFP4
  int bits;     // of a code; affine: 2, 3, 4, 5, 6, 8
  int group;    // affine: 32, 64, 128; mxfp4, mxfp8: 32; nvfp4: 16
  Dtype type;   // of the input, to which it is already rounded; affine scales and biases are stored in it
  QuantRound round;
} QuantSpec;

enum { QUANT_MAX_GROUP = 128 };

// Whether rows of `cols` inputs can be encoded so; the error says what is wrong.
bool quant_check(const QuantSpec *q, size_t cols, zaya_error *err);
// Bytes of one encoded row.
size_t quant_code_bytes(const QuantSpec *q, size_t cols);
size_t quant_scale_bytes(const QuantSpec *q, size_t cols); // of scales, and of biases where there are any
// Encodes one row of finite inputs. `biases` only for affine.
void quant_row(const QuantSpec *q, const float *x, size_t cols, uint8_t *codes, uint8_t *scales,
               uint8_t *biases);

// The parts of affine encoding, for searches of better scales: the scale and bias that MLX chooses for
// a group, before they are rounded to the stored type; the codes for a given scale and bias; n codes
// packed (n a multiple of 8, n * bits / 8 bytes).
void quant_affine_range(const QuantSpec *q, const float *x, float *scale, float *bias);
void quant_affine_codes(const QuantSpec *q, const float *x, float scale, float bias, uint8_t *codes);
void quant_pack(const uint8_t *codes, size_t n, int bits, uint8_t *out);
