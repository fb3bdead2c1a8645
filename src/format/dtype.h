// dtype: element types of tensors on disk and the scalar conversions between them and float32.
// Depends on nothing.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// The safetensors types, in no particular order of size.
#define DTYPE_LIST(X)                                                                                        \
  X(BOOL, 1)                                                                                                 \
  X(U8, 1)                                                                                                   \
  X(I8, 1)                                                                                                   \
  X(F8_E4M3, 1)                                                                                              \
  X(F8_E5M2, 1)                                                                                              \
  X(I16, 2) X(U16, 2) X(F16, 2) X(BF16, 2) X(I32, 4) X(U32, 4) X(F32, 4) X(I64, 8) X(U64, 8) X(F64, 8)

typedef enum Dtype {
#define DTYPE_ENUM(name, size) DT_##name,
  DTYPE_LIST(DTYPE_ENUM)
#undef DTYPE_ENUM
} Dtype;

size_t dtype_size(Dtype t);
const char *dtype_name(Dtype t);
bool dtype_parse(const char *name, size_t len, Dtype *out);
bool dtype_is_float(Dtype t); // F16, BF16, F32, F64

static inline float dtype_bits_to_f32(uint32_t u) {
  float f;
  memcpy(&f, &u, sizeof f);
  return f;
}

static inline uint32_t dtype_f32_to_bits(float f) {
  uint32_t u;
  memcpy(&u, &f, sizeof u);
  return u;
}

// The conversions are inline and free of branches, so that loops over them become vector code.
static inline float dtype_f16_to_f32(uint16_t h) {
  uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13, sign = (uint32_t)(h & 0x8000) << 16;
  // Read with float32's bias the exponent is 112 too small; the product is exact, denormals included.
  uint32_t finite = dtype_f32_to_bits(dtype_bits_to_f32(magnitude) * 0x1p112f);
  uint32_t special = magnitude | 0x7f800000u; // infinity and NaN
  return dtype_bits_to_f32((magnitude >= 0x0f800000u ? special : finite) | sign);
}

// Round to nearest even, overflow to infinity, NaN stays NaN.
static inline uint16_t dtype_f32_to_f16(float f) {
  uint32_t u = dtype_f32_to_bits(f), a = u & 0x7fffffffu;
  uint32_t normal = (a - 0x38000000u + 0xfffu + ((a >> 13) & 1)) >> 13;
  // Below 2^-14 the addition aligns the last kept bit with that of a half-precision denormal.
  uint32_t small = dtype_f32_to_bits(dtype_bits_to_f32(a) + 0.5f) - 0x3f000000u;
  uint32_t huge = a > 0x7f800000u ? 0x7e00u : 0x7c00u;
  uint32_t r = a < 0x38800000u ? small : normal;
  return (uint16_t)((a >= 0x47800000u ? huge : r) | ((u >> 16) & 0x8000u));
}

static inline float dtype_bf16_to_f32(uint16_t h) { return dtype_bits_to_f32((uint32_t)h << 16); }

// Round to nearest even, NaN stays NaN.
static inline uint16_t dtype_f32_to_bf16(float f) {
  uint32_t u = dtype_f32_to_bits(f);
  uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1)) >> 16, nan = (u >> 16) | 0x40u;
  return (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

float dtype_e4m3_to_f32(uint8_t v); // E4M3FN: bias 7, no infinity
uint8_t dtype_f32_to_e4m3(float f); // round to nearest even, saturating at 448, -0 kept
float dtype_e8m0_to_f32(uint8_t v); // 2^(v - 127), 255 is NaN

// Element i of an array of type t, at any alignment, as float32 (float types only).
float dtype_load(Dtype t, const void *base, size_t i);
// n elements to float32, from any alignment (float types only).
void dtype_to_f32(Dtype t, const void *src, size_t n, float *dst);
// n float32 to t, F16, BF16 or F32, each rounded to nearest even.
void dtype_from_f32(Dtype t, const float *src, size_t n, void *dst);
