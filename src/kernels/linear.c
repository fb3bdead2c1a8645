// linear: see linear.h. The exact path: a row is decoded to float32 once and used for all tokens.
#include "kernels/linear.h"

bool linear_init(Linear *l, Pool *pool, const Kern *kern, size_t max_cols, Arena *arena, zaya_error *err) {
  size_t cols = (max_cols + 15) & ~(size_t)15; // whole cache lines: no sharing between threads
  *l = (Linear){.pool = pool, .kern = kern, .scratch_cols = cols};
  l->scratch = arena_alloc(arena, cols * (size_t)pool_threads(pool), sizeof(float), "decoded rows", err);
  return l->scratch != NULL;
}

float *linear_scratch(const Linear *l, int thread) { return l->scratch + (size_t)thread * l->scratch_cols; }

typedef struct ApplyJob {
  const Linear *l;
  const Mat *w;
  const float *x;
  float *y;
  size_t x_stride, y_stride, n;
} ApplyJob;

static void apply_share(void *arg, int index, int count) {
  const ApplyJob *j = arg;
  float *row = linear_scratch(j->l, index);
  PoolRange r = pool_share(j->w->rows, 16, index, count);
  for (size_t i = r.begin; i < r.end; i++) {
    mat_row(j->w, i, row);
    j->l->kern->dot_rows(row, j->x, j->x_stride, j->n, j->w->cols, j->y + i, j->y_stride);
  }
}

void linear_apply(const Linear *l, const Mat *w, const float *x, size_t x_stride, size_t n, float *y,
                  size_t y_stride) {
  if (n == 0) return;
  ApplyJob job = {l, w, x, y, x_stride, y_stride, n};
  pool_run(l->pool, apply_share, &job);
}
