// linear: y = x W^T for a weight matrix in any stored format, over a thread pool. Rows of W are the
// unit of work: one thread computes an output element whole, so results do not depend on the number
// of threads or of tokens. Depends on kern, format/mat, base/pool.
#pragma once

#include "base/arena.h"
#include "base/pool.h"
#include "format/mat.h"
#include "kernels/kern.h"

// What computing needs: threads, the kernels chosen, and a row of scratch per thread.
typedef struct Linear {
  Pool *pool;
  const Kern *kern;
  float *scratch;      // [threads][scratch_cols]
  size_t scratch_cols; // at least the columns of every matrix
} Linear;

// Scratch for matrices of at most max_cols columns, from `arena`.
bool linear_init(Linear *l, Pool *pool, const Kern *kern, size_t max_cols, Arena *arena, zaya_error *err);
float *linear_scratch(const Linear *l, int thread); // [scratch_cols]

// y[t][r] = W[r] . x[t]; x [n, cols] and y [n, rows], rows x_stride and y_stride floats apart.
void linear_apply(const Linear *l, const Mat *w, const float *x, size_t x_stride, size_t n, float *y,
                  size_t y_stride);
