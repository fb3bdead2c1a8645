// dtype: element types of tensors on disk and the scalar conversions between them and float32.
// Depends on nothing.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The safetensors types, in no particular order of size.
#define DTYPE_LIST(X)                                                                                        \
  X(BOOL, 1)                                                                                                 \
  X(U8, 1) X(I8, 1) X(F8_E4M3, 1) X(F8_E5M2, 1) X(I16, 2) X(U16, 2) X(F16, 2) X(BF16, 2) X(I32, 4) X(U32, 4) \
      X(F32, 4) X(I64, 8) X(U64, 8) X(F64, 8)

typedef enum Dtype {
#define DTYPE_ENUM(name, size) DT_##name,
  DTYPE_LIST(DTYPE_ENUM)
#undef DTYPE_ENUM
} Dtype;

size_t dtype_size(Dtype t);
const char *dtype_name(Dtype t);
bool dtype_parse(const char *name, size_t len, Dtype *out);
bool dtype_is_float(Dtype t); // F16, BF16, F32, F64

float dtype_f16_to_f32(uint16_t h);
uint16_t dtype_f32_to_f16(float f); // round to nearest even, overflow to infinity
float dtype_bf16_to_f32(uint16_t h);
uint16_t dtype_f32_to_bf16(float f); // round to nearest even, NaN stays NaN
float dtype_e4m3_to_f32(uint8_t v);  // E4M3FN: bias 7, no infinity

// Element i of an array of type t, at any alignment, as float32 (float types only).
float dtype_load(Dtype t, const void *base, size_t i);
// n elements to float32.
void dtype_to_f32(Dtype t, const void *src, size_t n, float *dst);
