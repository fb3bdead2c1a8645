// kern: the arithmetic that is worth doing differently on different processors, as a table of
// functions. scalar.c is the truth; every other rung must agree with it. Depends on nothing.
#pragma once

#include <stddef.h>

// Sums run in KERN_LANES partial sums, lane l taking the elements i = l (mod KERN_LANES) in order;
// the lanes are then added as a tree: l + 8, + 4, + 2, + 1. Every rung keeps this order (products
// rounded before they are added), so that all give the same bits.
enum { KERN_LANES = 16 };

typedef struct Kern {
  const char *name;
  // a . b
  float (*dot)(const float *a, const float *b, size_t n);
  // y[t * y_stride] = w . x[t], x[t] at x + t * x_stride, for t < n_x
  void (*dot_rows)(const float *w, const float *x, size_t x_stride, size_t n_x, size_t n, float *y,
                   size_t y_stride);
  // y += a * x
  void (*axpy)(float a, const float *x, float *y, size_t n);
} Kern;

extern const Kern kern_scalar;
