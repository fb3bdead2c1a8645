// linear: see linear.h.
#include "kernels/linear.h"

#include "kernels/panel.h"

enum { UNIT = KERN_PANEL_ROWS, QUANTIZE_ALONE = KERN_TILE, FEW = 4, LEAST_UNITS = 4, SMALL_WORK = 16384 };

static bool alloc_tiles(KernActs *a, size_t tokens, size_t groups, Arena *arena, zaya_error *err) {
  const size_t n = (tokens + KERN_TILE - 1) / KERN_TILE * KERN_TILE;
  a->tile_q = arena_alloc(arena, n, groups * KERN_GROUP, "quantized activations", err);
  a->tile_scale = arena_alloc(arena, n * groups, sizeof(float), "quantized activations", err);
  a->tile_sum = arena_alloc(arena, n * groups, sizeof(float), "quantized activations", err);
  return a->tile_q && a->tile_scale && a->tile_sum;
}

static bool alloc_acts(KernActs *a, LinearShape s, bool tiles, Arena *arena, zaya_error *err) {
  const size_t groups = (s.max_cols + KERN_GROUP - 1) / KERN_GROUP, padded = kern_pad_groups(groups);
  if (tiles && !alloc_tiles(a, s.max_tokens, padded, arena, err)) return false;
  a->q = arena_alloc(arena, s.max_tokens, kern_q_stride(groups), "quantized activations", err);
  a->scale = arena_alloc(arena, s.max_tokens * padded, sizeof(float), "quantized activations", err);
  a->sum = arena_alloc(arena, s.max_tokens * padded, sizeof(float), "quantized activations", err);
  return a->q && a->scale && a->sum;
}

bool linear_init(Linear *l, Pool *pool, const Kern *kern, bool exact, LinearShape shape, Arena *arena,
                 zaya_error *err) {
  const size_t threads = (size_t)pool_threads(pool);
  const size_t cols = (shape.max_cols + 15) & ~(size_t)15; // whole cache lines: no sharing between threads
  *l = (Linear){.pool = pool, .kern = kern, .exact = exact, .scratch_cols = cols};
  l->scratch = arena_alloc(arena, cols * threads, sizeof(float), "decoded rows", err);
  if (!l->scratch || exact) return l->scratch != NULL;
  l->panels = arena_alloc(arena, threads, sizeof *l->panels, "unpacked panels", err);
  if (!l->panels) return false;
  for (size_t i = 0; i < threads; i++)
    if (!panel_alloc(&l->panels[i], shape.max_cols, arena, err)) return false;
  for (int i = 0; i < LINEAR_MAX_INPUTS; i++)
    if (!alloc_acts(&l->inputs[i], shape, kern->pack_tile, arena, err)) return false;
  return true;
}

float *linear_scratch(const Linear *l, int thread) { return l->scratch + (size_t)thread * l->scratch_cols; }

// Whether production takes int8 activations for this matrix.
static bool is_quantized(const Linear *l, const Mat *w) {
  return !l->exact && w->kind == MAT_AFFINE && w->bits <= 8 && w->group % KERN_GROUP == 0;
}

// Whether the row kernels read this matrix in place.
static bool is_direct(const Mat *w) {
  return (w->bits == 4 || w->bits == 8) && w->group == KERN_GROUP && w->scale_type == DT_F16;
}

static KernOrder order_for(const Mat *w) {
  return w->bits == 4 && is_direct(w) ? KERN_ORDER_NIBBLES : KERN_ORDER_PLAIN;
}

static KernRows kern_rows(const Mat *w, size_t first, size_t n) {
  return (KernRows){.w = w->w + first * w->w_stride,
                    .scales = w->scales + first * w->s_stride,
                    .biases = w->biases + first * w->s_stride,
                    .w_stride = w->w_stride,
                    .s_stride = w->s_stride,
                    .rows = n,
                    .groups = w->cols / KERN_GROUP};
}

void linear_rows_exact(const Linear *l, const Mat *w, size_t first, size_t n_rows, const float *x,
                       size_t x_stride, size_t n, float *y, size_t y_stride, int thread) {
  if (w->kind == MAT_F16) { // decoded inside the kernel: the same bits
    l->kern->rows_f16(w->w + first * w->w_stride, w->w_stride, n_rows, w->cols, x, x_stride, n, y, y_stride);
    return;
  }
  float *row = linear_scratch(l, thread);
  for (size_t i = 0; i < n_rows; i++) {
    mat_row(w, first + i, row);
    l->kern->dot_rows(row, x, x_stride, n, w->cols, y + i, y_stride);
  }
}

// How a matrix is multiplied with n tokens: the rows as they lie, one after the other; 16 of them times tiles
// of tokens; or 16 unpacked once for all tokens. The bits are the same.
typedef enum Path { BY_ROWS, BY_TILES, BY_PANELS } Path;

static Path path_for(const Kern *k, const Mat *w, size_t n) {
  if (!is_direct(w)) return BY_PANELS;
  if (n <= (w->bits == 4 ? k->few_tokens : k->few_tokens_q8)) return BY_ROWS;
  return k->pack_tile ? BY_TILES : BY_PANELS;
}

static void rows_quantized(const Linear *l, const Mat *w, size_t first, size_t n_rows, const KernActs *x,
                           size_t n, float *y, size_t y_stride, int thread) {
  const Kern *k = l->kern;
  const Path path = path_for(k, w, n);
  if (path == BY_ROWS) {
    const KernRows rows = kern_rows(w, first, n_rows);
    (w->bits == 4 ? k->rows_q4 : k->rows_q8)(&rows, x, 0, n, y, y_stride);
    return;
  }
  KernPanel panel = l->panels[thread];
  panel.groups = kern_pad_groups(w->cols / KERN_GROUP);
  if (k->begin) k->begin(n);
  for (size_t r = 0; r < n_rows; r += UNIT) {
    const size_t m = n_rows - r < UNIT ? n_rows - r : UNIT;
    const KernRows rows = kern_rows(w, first + r, m);
    if (path == BY_TILES) {
      (w->bits == 4 ? k->tile_q4 : k->tile_q8)(&rows, &panel, x, n, y + r, y_stride);
      continue;
    }
    if (order_for(w) == KERN_ORDER_NIBBLES)
      k->unpack_q4(&rows, &panel);
    else
      panel_fill(w, first + r, m, &panel);
    k->panel(&panel, x, 0, n, m, y + r, y_stride);
  }
  if (k->end) k->end();
}

typedef struct RunJob {
  const Linear *l;
  const LinearPart *parts;
  size_t n_parts, n; // tokens
  KernActs inputs[LINEAR_MAX_INPUTS];
  const float *input_x[LINEAR_MAX_INPUTS];
  size_t input_stride[LINEAR_MAX_INPUTS], input_groups[LINEAR_MAX_INPUTS];
  size_t n_inputs;
  bool tiles[LINEAR_MAX_INPUTS]; // whether any part takes the input in tiles
  size_t units;                  // of UNIT rows, all parts together
  PoolClaim claim;
} RunJob;

static size_t input_of(const RunJob *j, const LinearPart *p) {
  size_t i = 0;
  while (i < j->n_inputs && (j->input_x[i] != p->x || j->inputs[i].order != order_for(p->w))) i++;
  return i;
}

// Lists the different inputs that have to be quantized.
static void collect_inputs(RunJob *j) {
  for (size_t k = 0; k < j->n_parts; k++) {
    const LinearPart *p = &j->parts[k];
    if (!is_quantized(j->l, p->w)) continue;
    const size_t i = input_of(j, p);
    j->tiles[i] |= path_for(j->l->kern, p->w, j->n) == BY_TILES;
    if (i < j->n_inputs) continue;
    const size_t groups = p->w->cols / KERN_GROUP;
    j->inputs[i] = j->l->inputs[i];
    j->inputs[i].groups = kern_pad_groups(groups);
    j->inputs[i].q_stride = kern_q_stride(groups);
    j->inputs[i].order = order_for(p->w);
    j->input_x[i] = p->x;
    j->input_stride[i] = p->x_stride;
    j->input_groups[i] = groups;
    j->n_inputs++;
  }
}

static void quantize_share(void *arg, int index, int count) {
  const RunJob *j = arg;
  const PoolRange r = pool_share(j->n, KERN_TILE, index, count);
  for (size_t i = 0; i < j->n_inputs; i++) {
    for (size_t t = r.begin; t < r.end; t++)
      j->l->kern->quantize(j->input_x[i] + t * j->input_stride[i], j->input_groups[i], &j->inputs[i], t);
    for (size_t t = r.begin; j->tiles[i] && t < r.end; t += KERN_TILE)
      j->l->kern->pack_tile(&j->inputs[i], t / KERN_TILE, j->n);
  }
}

// Rows [begin, end) of a part.
static void run_rows(const RunJob *j, const LinearPart *p, size_t begin, size_t end, int thread) {
  if (is_quantized(j->l, p->w))
    rows_quantized(j->l, p->w, begin, end - begin, &j->inputs[input_of(j, p)], j->n, p->y + begin,
                   p->y_stride, thread);
  else
    linear_rows_exact(j->l, p->w, begin, end - begin, p->x, p->x_stride, j->n, p->y + begin, p->y_stride,
                      thread);
}

static size_t units_of(const Mat *w) { return (w->rows + UNIT - 1) / UNIT; }

// Units [r.begin, r.end) of all parts, one after the other.
static void run_units(const RunJob *j, PoolRange r, int thread) {
  for (size_t k = 0, at = 0; k < j->n_parts; k++) {
    const LinearPart *p = &j->parts[k];
    const size_t n = units_of(p->w), begin = r.begin > at ? r.begin - at : 0;
    const size_t end = r.end > at ? r.end - at < n ? r.end - at : n : 0;
    if (begin < end) run_rows(j, p, begin * UNIT, end * UNIT < p->w->rows ? end * UNIT : p->w->rows, thread);
    at += n;
  }
}

static void run_share(void *arg, int index, int count) {
  RunJob *j = arg;
  const size_t least = j->n <= FEW ? LEAST_UNITS : 1;
  PoolRange r;
  while (pool_claim(&j->claim, j->units, least, count, &r)) run_units(j, r, index);
}

void linear_run(const Linear *l, const LinearPart *parts, size_t n_parts, size_t n) {
  if (n == 0) return;
  for (size_t k = 0; l->probe.fn && k < n_parts; k++)
    l->probe.fn(l->probe.user, parts[k].w, parts[k].x, parts[k].x_stride, n);
  RunJob job = {.l = l, .parts = parts, .n_parts = n_parts, .n = n};
  size_t work = 0;
  for (size_t k = 0; k < n_parts; k++) {
    work += parts[k].w->rows * parts[k].w->cols * n;
    job.units += units_of(parts[k].w);
  }
  collect_inputs(&job);
  if (n <= QUANTIZE_ALONE || work <= SMALL_WORK)
    quantize_share(&job, 0, 1);
  else
    pool_run(l->pool, quantize_share, &job);
  if (work <= SMALL_WORK) // not worth waking anyone
    run_share(&job, 0, 1);
  else
    pool_run(l->pool, run_share, &job);
}

void linear_apply(const Linear *l, const Mat *w, const float *x, size_t x_stride, size_t n, float *y,
                  size_t y_stride) {
  const LinearPart part = {.w = w, .x = x, .y = y, .x_stride = x_stride, .y_stride = y_stride};
  linear_run(l, &part, 1, n);
}
