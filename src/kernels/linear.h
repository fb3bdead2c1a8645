// linear: y = x W^T for weight matrices in any stored format, over a thread pool. Rows of W are the
// unit of work: one thread computes an output element whole, and every path of a format adds in one
// order, so results depend neither on the number of threads nor on the number of tokens.
//
// Production mode quantizes x to int8 and leaves affine weights as codes; exact mode decodes every
// row to float32. Other formats are decoded in both. Depends on kern, panel, format/mat, base/pool.
#pragma once

#include "base/arena.h"
#include "base/pool.h"
#include "format/mat.h"
#include "kernels/kern.h"

enum { LINEAR_MAX_PARTS = 32 }; // of one run

// Sees the inputs of every product, n rows of w->cols floats, before it is computed: for calibration.
typedef struct LinearProbe {
  void (*fn)(void *user, const Mat *w, const float *x, size_t x_stride, size_t n); // NULL: off
  void *user;
} LinearProbe;

// What computing needs: threads, the kernels chosen, and scratch.
typedef struct Linear {
  LinearProbe probe;
  Pool *pool;
  const Kern *kern;
  bool exact;
  float *scratch;      // [threads][scratch_cols]: decoded rows
  size_t scratch_cols; // at least the columns of every matrix
  // Production only:
  KernPanel *panels; // [threads]
  KernActs room;     // for the quantized x of a run, one after the other
} Linear;

typedef struct LinearShape {
  size_t max_cols, max_tokens;
} LinearShape;

// Scratch for matrices of at most max_cols columns and runs of at most 4 max_tokens, all different x
// together, from `arena`.
bool linear_init(Linear *l, Pool *pool, const Kern *kern, bool exact, LinearShape shape, Arena *arena,
                 zaya_error *err);
float *linear_scratch(const Linear *l, int thread); // [scratch_cols]

// y[t][r] = w[r] . x[t], t < n; x [n, cols] and y [n, rows], rows x_stride and y_stride floats apart.
typedef struct LinearPart {
  const Mat *w;
  const float *x;
  float *y;
  size_t x_stride, y_stride;
  size_t n; // tokens
} LinearPart;

// Up to LINEAR_MAX_PARTS products as one job. Parts whose x is the same share its quantized form.
void linear_run(const Linear *l, const LinearPart *parts, size_t n_parts);
void linear_apply(const Linear *l, const Mat *w, const float *x, size_t x_stride, size_t n, float *y,
                  size_t y_stride);
// Whether x is quantized for this matrix.
bool linear_quantizes(const Linear *l, const Mat *w);
// Rows [first, first + n_rows) of w times n tokens, by the calling thread (number `thread`), without
// quantizing x: for matrices of plain floats and for the exact path.
void linear_rows_exact(const Linear *l, const Mat *w, size_t first, size_t n_rows, const float *x,
                       size_t x_stride, size_t n, float *y, size_t y_stride, int thread);
