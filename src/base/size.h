// size: checked size arithmetic. Every size that comes from a file goes through these.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// *out = a * b or a + b; false (and *out untouched) on overflow.
static inline bool size_mul(size_t a, size_t b, size_t *out) {
  size_t r;
  if (__builtin_mul_overflow(a, b, &r)) return false;
  *out = r;
  return true;
}

static inline bool size_add(size_t a, size_t b, size_t *out) {
  size_t r;
  if (__builtin_add_overflow(a, b, &r)) return false;
  *out = r;
  return true;
}

// Rounds up to a multiple of `align` (a power of two); the caller knows that it does not overflow.
static inline size_t size_align(size_t n, size_t align) { return (n + align - 1) & ~(align - 1); }
