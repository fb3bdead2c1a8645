// linear: see linear.h.
#include "kernels/linear.h"

#include "kernels/panel.h"

enum { UNIT = KERN_PANEL_ROWS, QUANTIZE_ALONE = KERN_TILE, FEW = 4, LEAST_UNITS = 4, SMALL_WORK = 16384 };

// Room for the tokens of a run, and for what fills the last tile of each input.
static bool alloc_room(Linear *l, LinearShape s, Arena *arena, zaya_error *err) {
  const size_t groups = (s.max_cols + KERN_GROUP - 1) / KERN_GROUP, padded = kern_pad_groups(groups);
  const size_t n = 4 * s.max_tokens + LINEAR_MAX_PARTS * KERN_TILE;
  static const char what[] = "quantized activations";
  KernActs *a = &l->room;
  *a = (KernActs){.q = arena_alloc(arena, n, kern_q_stride(groups), what, err),
                  .scale = arena_alloc(arena, n * padded, sizeof(float), what, err),
                  .sum = arena_alloc(arena, n * padded, sizeof(float), what, err),
                  .groups = padded,
                  .q_stride = kern_q_stride(groups)};
  if (!a->q || !a->scale || !a->sum || !l->kern->pack_tile) return a->q && a->scale && a->sum;
  a->tile_q = arena_alloc(arena, n, padded * KERN_GROUP, what, err);
  a->tile_scale = arena_alloc(arena, n * padded, sizeof(float), what, err);
  a->tile_sum = arena_alloc(arena, n * padded, sizeof(float), what, err);
  return a->tile_q && a->tile_scale && a->tile_sum;
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
  return alloc_room(l, shape, arena, err);
}

float *linear_scratch(const Linear *l, int thread) { return l->scratch + (size_t)thread * l->scratch_cols; }

bool linear_quantizes(const Linear *l, const Mat *w) {
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

// Tokens of a run that go through a thread's rows before others do: their int8 stay in the second cache.
enum { TOKENS_AT_ONCE = 256 };
_Static_assert(TOKENS_AT_ONCE % (2 * KERN_TILE) == 0, "tiles are multiplied in pairs");

// The tokens from `first` on, which begins a tile.
static KernActs acts_from(const KernActs *x, size_t first) {
  KernActs a = *x;
  a.q += first * x->q_stride;
  a.scale += first * x->groups;
  a.sum += first * x->groups;
  if (!x->tile_q) return a;
  a.tile_q += first * x->groups * KERN_GROUP;
  a.tile_scale += first * x->groups;
  a.tile_sum += first * x->groups;
  return a;
}

static void rows_by_tiles(const Linear *l, const Mat *w, size_t first, size_t n_rows, const KernActs *x,
                          size_t n, float *y, size_t y_stride, int thread) {
  const Kern *k = l->kern;
  KernPanel scratch = l->panels[thread];
  scratch.groups = kern_pad_groups(w->cols / KERN_GROUP);
  for (size_t t = 0; t < n; t += TOKENS_AT_ONCE) {
    const size_t tokens = n - t < TOKENS_AT_ONCE ? n - t : TOKENS_AT_ONCE;
    const KernActs acts = acts_from(x, t);
    if (k->begin) k->begin(tokens);
    for (size_t r = 0; r < n_rows; r += UNIT) {
      const KernRows rows = kern_rows(w, first + r, n_rows - r < UNIT ? n_rows - r : UNIT);
      (w->bits == 4 ? k->tile_q4 : k->tile_q8)(&rows, &scratch, &acts, tokens, y + t * y_stride + r,
                                               y_stride);
    }
    if (k->end) k->end();
  }
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
  if (path == BY_TILES) {
    rows_by_tiles(l, w, first, n_rows, x, n, y, y_stride, thread);
    return;
  }
  KernPanel panel = l->panels[thread];
  panel.groups = kern_pad_groups(w->cols / KERN_GROUP);
  if (k->begin) k->begin(n);
  for (size_t r = 0; r < n_rows; r += UNIT) {
    const size_t m = n_rows - r < UNIT ? n_rows - r : UNIT;
    const KernRows rows = kern_rows(w, first + r, m);
    if (order_for(w) == KERN_ORDER_NIBBLES)
      k->unpack_q4(&rows, &panel);
    else
      panel_fill(w, first + r, m, &panel);
    k->panel(&panel, x, 0, n, m, y + r, y_stride);
  }
  if (k->end) k->end();
}

// A quantized x.
typedef struct RunInput {
  const float *x;
  size_t x_stride, groups, n; // groups of a token, without padding; tokens
  bool tiles;                 // whether any part takes it in tiles
  KernActs acts;
} RunInput;

typedef struct RunJob {
  const Linear *l;
  const LinearPart *parts;
  size_t n_parts;
  RunInput inputs[LINEAR_MAX_PARTS];
  size_t n_inputs, n_tokens;          // all inputs' tokens together
  uint8_t input_of[LINEAR_MAX_PARTS]; // which input a part takes, if it is quantized
  size_t units, least;                // of UNIT rows, all parts together; taken at once at least
  PoolClaim claim;
} RunJob;

// The room behind the first tokens of a run.
static KernActs slice_of(const Linear *l, size_t first, size_t groups, KernOrder order) {
  KernActs a = acts_from(&l->room, first);
  a.groups = kern_pad_groups(groups);
  a.q_stride = kern_q_stride(groups);
  a.order = order;
  return a;
}

static size_t tiles_of(size_t tokens) { return (tokens + KERN_TILE - 1) / KERN_TILE; }

// Lists the different inputs that have to be quantized, each in whole tiles of the room.
static void collect_inputs(RunJob *j) {
  for (size_t k = 0, room = 0; k < j->n_parts; k++) {
    const LinearPart *p = &j->parts[k];
    if (!linear_quantizes(j->l, p->w)) continue;
    const KernOrder order = order_for(p->w);
    size_t i = 0;
    while (i < j->n_inputs && (j->inputs[i].x != p->x || j->inputs[i].acts.order != order)) i++;
    if (i == j->n_inputs) {
      const size_t groups = p->w->cols / KERN_GROUP;
      j->inputs[j->n_inputs++] = (RunInput){.x = p->x,
                                            .x_stride = p->x_stride,
                                            .groups = groups,
                                            .n = p->n,
                                            .acts = slice_of(j->l, room, groups, order)};
      room += tiles_of(p->n) * KERN_TILE;
      j->n_tokens += p->n;
    }
    j->inputs[i].tiles |= path_for(j->l->kern, p->w, p->n) == BY_TILES;
    j->input_of[k] = (uint8_t)i;
  }
}

// Tile number `tile` of an input.
static void quantize_tile(const Kern *k, const RunInput *in, size_t tile) {
  const size_t end = (tile + 1) * KERN_TILE < in->n ? (tile + 1) * KERN_TILE : in->n;
  for (size_t t = tile * KERN_TILE; t < end; t++)
    k->quantize(in->x + t * in->x_stride, in->groups, &in->acts, t);
  if (in->tiles) k->pack_tile(&in->acts, tile, in->n);
}

static void quantize_share(void *arg, int index, int count) {
  const RunJob *j = arg;
  size_t tiles = 0, at = 0;
  for (size_t i = 0; i < j->n_inputs; i++) tiles += tiles_of(j->inputs[i].n);
  const PoolRange r = pool_share(tiles, 1, index, count);
  for (size_t i = 0; i < j->n_inputs; at += tiles_of(j->inputs[i++].n))
    for (size_t t = 0; t < tiles_of(j->inputs[i].n); t++)
      if (at + t >= r.begin && at + t < r.end) quantize_tile(j->l->kern, &j->inputs[i], t);
}

// Rows [begin, end) of part k.
static void run_rows(const RunJob *j, size_t k, size_t begin, size_t end, int thread) {
  const LinearPart *p = &j->parts[k];
  if (linear_quantizes(j->l, p->w))
    rows_quantized(j->l, p->w, begin, end - begin, &j->inputs[j->input_of[k]].acts, p->n, p->y + begin,
                   p->y_stride, thread);
  else
    linear_rows_exact(j->l, p->w, begin, end - begin, p->x, p->x_stride, p->n, p->y + begin, p->y_stride,
                      thread);
}

static size_t units_of(const Mat *w) { return (w->rows + UNIT - 1) / UNIT; }

// Units [r.begin, r.end) of all parts, one after the other.
static void run_units(const RunJob *j, PoolRange r, int thread) {
  for (size_t k = 0, at = 0; k < j->n_parts; k++) {
    const Mat *w = j->parts[k].w;
    const size_t n = units_of(w), begin = r.begin > at ? r.begin - at : 0;
    const size_t end = r.end > at ? r.end - at < n ? r.end - at : n : 0;
    if (begin < end) run_rows(j, k, begin * UNIT, end * UNIT < w->rows ? end * UNIT : w->rows, thread);
    at += n;
  }
}

static void run_share(void *arg, int index, int count) {
  RunJob *j = arg;
  PoolRange r;
  while (pool_claim(&j->claim, j->units, j->least, index, count, &r)) run_units(j, r, index);
}

void linear_run(const Linear *l, const LinearPart *parts, size_t n_parts) {
  RunJob job = {.l = l, .parts = parts, .n_parts = n_parts};
  size_t work = 0, most = 0;
  for (size_t k = 0; k < n_parts; k++) {
    const LinearPart *p = &parts[k];
    if (l->probe.fn) l->probe.fn(l->probe.user, p->w, p->x, p->x_stride, p->n);
    work += p->w->rows * p->w->cols * p->n;
    most = p->n > most ? p->n : most;
    job.units += units_of(p->w);
  }
  if (work == 0) return;
  collect_inputs(&job);
  job.least = most <= FEW ? LEAST_UNITS : 1;
  if (job.n_tokens <= QUANTIZE_ALONE || work <= SMALL_WORK)
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
  const LinearPart part = {.w = w, .x = x, .y = y, .x_stride = x_stride, .y_stride = y_stride, .n = n};
  if (n) linear_run(l, &part, 1);
}
