// convert_stream: the tensors themselves: read in pieces of some MB, encoded and written by all threads
// at once, shard by shard. The source is read with pread rather than through its map, so that resident
// memory stays small and a source that shrinks is an error, not a signal.
#include "base/size.h"
#include "bundle/convert.h"
#include "format/quant_search.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  CHUNK_ELEMENTS = 1 << 20,
  COMPARE_EVERY = 8, // rows: how densely a calibrated encoding is compared with plain rounding
};

// What one thread works in.
typedef struct Scratch {
  uint8_t *raw, *codes, *scales, *biases;
  float *x;                             // one row
  uint16_t *half;                       // one row
  float *weight;                        // mean squares of the inputs, one row
  float *decoded;                       // one row
  uint8_t *plain;                       // one row rounded plainly: codes, scales, biases
  zaya_convert_gain attention, experts; // sums, not means yet
} Scratch;

typedef struct Stream {
  const Plan *plan;
  const char *dir;
  int *sources;           // descriptors of the source's shards
  int *outs;              // descriptors of shards being written, -1: not open
  bool *written;          // targets written in this run
  const bool *done;       // shards that need nothing
  const Moments *moments; // NULL: plain rounding
  Pool *pool;
  Scratch *scratch; // per thread
  // of the present stage
  size_t *stage;         // targets
  size_t *chunks_before; // number of chunks in front of each, and the total behind the last
  size_t n_stage;
  atomic_size_t next;
  atomic_bool stop;
  _Atomic uint64_t bytes_done;
  uint64_t bytes_total;
  pthread_mutex_t lock; // of err
  zaya_error *err;
} Stream;

// --- files ---------------------------------------------------------------------------------------------

static bool read_at(int fd, void *data, size_t n, size_t offset, const char *path, zaya_error *err) {
  for (size_t at = 0; at < n;) {
    ssize_t got = pread(fd, (char *)data + at, n - at, (off_t)(offset + at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return err_errno(err, errno, "%s: cannot read", path);
    if (got == 0) return err_set(err, ZAYA_E_IO, "%s: ends early: it was cut while being read", path);
    at += (size_t)got;
  }
  return true;
}

static bool write_at(int fd, const void *data, size_t n, size_t offset, const char *what, zaya_error *err) {
  for (size_t at = 0; at < n;) {
    ssize_t put = pwrite(fd, (const char *)data + at, n - at, (off_t)(offset + at));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return err_errno(err, errno, "%s: cannot write", what);
    at += (size_t)put;
  }
  return true;
}

static void temporary_path(const Stream *s, size_t shard, char *out, size_t size) {
  char name[64];
  plan_shard_name(s->plan, shard, name);
  snprintf(out, size, "%s/%s.writing", s->dir, name);
}

static bool path_fits(const Stream *s, zaya_error *err) {
  return strlen(s->dir) < 3900 || err_set(err, ZAYA_E_INVALID, "%.200s...: path too long", s->dir);
}

static bool open_shard(Stream *s, size_t shard, zaya_error *err) {
  char path[4096];
  if (s->outs[shard] >= 0) return true;
  temporary_path(s, shard, path, sizeof path);
  int fd = s->outs[shard] = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return err_errno(err, errno, "%s: cannot create", path);
  if (ftruncate(fd, (off_t)s->plan->shard_bytes[shard]) != 0)
    return err_errno(err, errno, "%s: cannot make %zu bytes", path, s->plan->shard_bytes[shard]);
  const Buf *h = &s->plan->headers[shard];
  return write_at(fd, h->data, h->len, 0, path, err);
}

static bool sync_dir(const char *dir, zaya_error *err) {
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool ok = fd >= 0 && fsync(fd) == 0;
  if (!ok) err_errno(err, errno, "%s: cannot sync", dir);
  if (fd >= 0) close(fd);
  return ok;
}

// From here on the shard stands under its name: it is on the disk in full.
static bool finish_shard(Stream *s, size_t shard, zaya_error *err) {
  char from[4096], name[64], to[4096];
  temporary_path(s, shard, from, sizeof from);
  plan_shard_name(s->plan, shard, name);
  snprintf(to, sizeof to, "%.3900s/%s", s->dir, name);
  int fd = s->outs[shard];
  s->outs[shard] = -1;
  bool ok = fsync(fd) == 0 || err_errno(err, errno, "%s: cannot write", from);
  if (close(fd) != 0 && ok) ok = err_errno(err, errno, "%s: cannot write", from);
  if (ok && rename(from, to) != 0) ok = err_errno(err, errno, "%s: cannot rename", from);
  return ok && sync_dir(s->dir, err);
}

// --- one chunk -----------------------------------------------------------------------------------------

static bool not_finite(const PlanTarget *t, const PlanPiece *piece, size_t row, const float *x,
                       const uint16_t *half, zaya_error *err) {
  for (size_t i = 0; i < t->cols; i++) {
    if ((half[i] & 0x7c00) != 0x7c00) continue;
    return err_set(err, ZAYA_E_FORMAT, "tensor %s: %g at [%zu, %zu] %s", piece->tensor->name, (double)x[i],
                   piece->first + row, i,
                   isfinite(x[i]) ? "does not fit into float16" : "is not a number to keep");
  }
  return true;
}

static bool all_finite(const uint16_t *half, size_t n) {
  unsigned bad = 0;
  for (size_t i = 0; i < n; i++) bad |= (half[i] & 0x7c00) == 0x7c00;
  return !bad;
}

// A row as float16, from raw bytes of the source's type; false when something does not fit.
static bool row_to_half(const PlanTarget *t, const PlanPiece *piece, const uint8_t *raw, size_t row,
                        Scratch *w, zaya_error *err) {
  dtype_to_f32(piece->tensor->dtype, raw, t->cols, w->x);
  dtype_from_f32(DT_F16, w->x, t->cols, w->half);
  return all_finite(w->half, t->cols) || not_finite(t, piece, row, w->x, w->half, err);
}

// What an encoding of the row in w->x costs on the inputs kept for that: the sum of squared differences.
static double output_error(const PlanTarget *t, const uint8_t *codes, const uint8_t *scales,
                           const uint8_t *biases, const float *samples, size_t n, Scratch *w) {
  Mat m = {MAT_AFFINE, t->spec.bits, t->spec.group, t->spec.type, 1, t->cols, codes, 0, scales, biases, 0};
  double sum = 0;
  mat_row(&m, 0, w->decoded);
  for (size_t k = 0; k < n; k++) {
    double d = 0;
    for (size_t i = 0; i < t->cols; i++) d += (double)((w->x[i] - w->decoded[i]) * samples[k * t->cols + i]);
    sum += d * d;
  }
  return sum;
}

// Compares the searched row with what plain rounding would have given.
static void compare_row(const PlanTarget *t, const float *samples, size_t n, const uint8_t *codes,
                        const uint8_t *scales, const uint8_t *biases, Scratch *w) {
  zaya_convert_gain *g = t->klass == ARCH_EXPERT ? &w->experts : &w->attention;
  uint8_t *plain_scales = w->plain + t->cols, *plain_biases = plain_scales + t->cols / 4;
  g->mse_calibrated += output_error(t, codes, scales, biases, samples, n, w);
  quant_row(&t->spec, w->x, t->cols, w->plain, plain_scales, plain_biases);
  g->mse_plain += output_error(t, w->plain, plain_scales, plain_biases, samples, n, w);
  for (size_t k = 0; k < n; k++) {
    double y = 0;
    for (size_t i = 0; i < t->cols; i++) y += (double)(w->x[i] * samples[k * t->cols + i]);
    g->power += y * y;
  }
  g->n += n;
}

// Encodes w->x as row r of the chunk that begins at row `first`.
static void encode_row(const Stream *s, const PlanTarget *t, const PlanPiece *piece, size_t first, size_t r,
                       Scratch *w) {
  size_t code_row = quant_code_bytes(&t->spec, t->cols), scale_row = quant_scale_bytes(&t->spec, t->cols), n;
  uint8_t *codes = w->codes + r * code_row, *scales = w->scales + r * scale_row,
          *biases = w->biases + r * scale_row;
  if (!s->moments || !moments_apply(t)) {
    quant_row(&t->spec, w->x, t->cols, codes, scales, biases);
    return;
  }
  quant_search_row(&t->spec, w->x, w->weight, t->cols, codes, scales, biases);
  if ((first + r) % COMPARE_EVERY) return;
  const float *samples = moments_samples(s->moments, t, piece, &n);
  compare_row(t, samples, n, codes, scales, biases, w);
}

static bool encode_rows(const Stream *s, const PlanTarget *t, const PlanPiece *piece, size_t row, size_t n,
                        Scratch *w, zaya_error *err) {
  size_t raw_row = t->cols * dtype_size(piece->tensor->dtype), half_row = t->cols * 2;
  if (s->moments && moments_apply(t)) moments_weights(s->moments, t, piece, w->weight);
  for (size_t r = 0; r < n; r++) {
    if (!row_to_half(t, piece, w->raw + r * raw_row, row + r, w, err)) return false;
    if (!t->quantized) {
      memcpy(w->codes + r * half_row, w->half, half_row);
      continue;
    }
    dtype_to_f32(DT_F16, w->half, t->cols, w->x);
    encode_row(s, t, piece, row, r, w);
  }
  return true;
}

// Writes n rows, from row `at` of the whole stacked tensor, to those keys whose shard is not done.
static bool write_rows(const Stream *s, const PlanTarget *t, size_t at, size_t n, const Scratch *w,
                       zaya_error *err) {
  const uint8_t *parts[3] = {w->codes, w->scales, w->biases};
  for (size_t k = 0; k < t->n_outs; k++) {
    const PlanOut *o = &s->plan->outs[t->first_out + k];
    size_t row = o->tensor.nbytes / (t->n_pieces * t->rows);
    if (s->done[o->shard]) continue;
    char path[4096];
    temporary_path(s, o->shard, path, sizeof path);
    if (!write_at(s->outs[o->shard], parts[k], n * row, o->tensor.offset + at * row, path, err)) return false;
  }
  return true;
}

static size_t rows_per_chunk(const PlanTarget *t) {
  return t->cols >= CHUNK_ELEMENTS ? 1 : CHUNK_ELEMENTS / t->cols;
}

static size_t chunks_per_piece(const PlanTarget *t) {
  size_t per = rows_per_chunk(t);
  return (t->rows + per - 1) / per;
}

static bool do_chunk(Stream *s, const PlanTarget *t, size_t chunk, Scratch *w, zaya_error *err) {
  size_t per_piece = chunks_per_piece(t), piece_index = chunk / per_piece, per = rows_per_chunk(t);
  size_t row = chunk % per_piece * per, n = t->rows - row < per ? t->rows - row : per;
  const PlanPiece *piece = &s->plan->pieces[t->first_piece + piece_index];
  size_t raw_row = t->cols * dtype_size(piece->tensor->dtype);
  const char *path = st_path(bundle_shard(s->plan->source, piece->shard));
  if (!read_at(s->sources[piece->shard], w->raw, n * raw_row,
               piece->tensor->offset + (piece->first + row) * raw_row, path, err))
    return false;
  if (!encode_rows(s, t, piece, row, n, w, err)) return err_context(err, "%s", path);
  if (!write_rows(s, t, piece_index * t->rows + row, n, w, err)) return false;
  atomic_fetch_add(&s->bytes_done, (uint64_t)(n * raw_row));
  return true;
}

// --- stages --------------------------------------------------------------------------------------------

static void fail_stage(Stream *s, const zaya_error *why) {
  pthread_mutex_lock(&s->lock);
  if (!atomic_exchange(&s->stop, true) && s->err && s->err->status == ZAYA_OK) *s->err = *why;
  pthread_mutex_unlock(&s->lock);
}

static bool report(Stream *s) {
  const zaya_convert_params *o = &s->plan->params;
  zaya_error why = {0};
  if (!o->progress || o->progress(o->user, "converting", atomic_load(&s->bytes_done), s->bytes_total))
    return true;
  err_set(&why, ZAYA_E_CANCELLED, "the conversion was stopped; resuming takes it up");
  fail_stage(s, &why);
  return false;
}

static void stage_worker(void *job, int index, int count) {
  Stream *s = job;
  size_t at = 0;
  (void)count;
  while (!atomic_load(&s->stop)) {
    size_t chunk = atomic_fetch_add(&s->next, 1);
    if (chunk >= s->chunks_before[s->n_stage]) break;
    while (s->chunks_before[at + 1] <= chunk) at++; // chunks only grow
    zaya_error why = {0};
    if (!do_chunk(s, &s->plan->targets[s->stage[at]], chunk - s->chunks_before[at], &s->scratch[index], &why))
      fail_stage(s, &why);
    else if (index == 0 && !report(s))
      break;
  }
}

// A target belongs to the stage of the first shard that still needs it; what it has in later shards is
// written at the same time.
static bool collect_stage(Stream *s, size_t shard, zaya_error *err) {
  const Plan *p = s->plan;
  s->n_stage = 0;
  s->chunks_before[0] = 0;
  for (size_t i = 0; i < p->n_targets; i++) {
    const PlanTarget *t = &p->targets[i];
    bool here = false;
    for (size_t k = 0; k < t->n_outs; k++) here |= p->outs[t->first_out + k].shard == shard;
    if (!here || s->written[i]) continue;
    for (size_t k = 0; k < t->n_outs; k++) {
      size_t other = p->outs[t->first_out + k].shard;
      if (!s->done[other] && !open_shard(s, other, err)) return false;
    }
    s->written[i] = true;
    s->stage[s->n_stage] = i;
    s->chunks_before[s->n_stage + 1] = s->chunks_before[s->n_stage] + t->n_pieces * chunks_per_piece(t);
    s->n_stage++;
  }
  return true;
}

static bool run_stage(Stream *s, size_t shard, zaya_error *err) {
  if (!open_shard(s, shard, err) || !collect_stage(s, shard, err)) return false;
  atomic_store(&s->next, 0);
  pool_run(s->pool, stage_worker, s);
  return !atomic_load(&s->stop) && finish_shard(s, shard, err) && report(s);
}

// Bytes of the source that this run has to read.
static uint64_t bytes_to_read(const Stream *s) {
  const Plan *p = s->plan;
  uint64_t sum = 0;
  for (size_t i = 0; i < p->n_targets; i++) {
    const PlanTarget *t = &p->targets[i];
    bool needed = false;
    for (size_t k = 0; k < t->n_outs; k++) needed |= !s->done[p->outs[t->first_out + k].shard];
    if (needed)
      sum += (uint64_t)t->n_pieces * t->rows * t->cols * dtype_size(p->pieces[t->first_piece].tensor->dtype);
  }
  return sum;
}

// --- set-up --------------------------------------------------------------------------------------------

static bool make_scratch(Stream *s, zaya_error *err) {
  size_t cols = 1, elements = CHUNK_ELEMENTS;
  for (size_t i = 0; i < s->plan->n_targets; i++)
    if (s->plan->targets[i].cols > cols) cols = s->plan->targets[i].cols;
  if (cols > elements) elements = cols;
  int n = pool_threads(s->pool);
  s->scratch = calloc((size_t)n, sizeof *s->scratch);
  for (int i = 0; s->scratch && i < n; i++) {
    Scratch *w = &s->scratch[i];
    w->raw = malloc(elements * 4);
    w->codes = malloc(elements * 2); // also passed-through float16
    w->scales = malloc(elements / 8);
    w->biases = malloc(elements / 8);
    w->x = malloc(cols * sizeof *w->x);
    w->half = malloc(cols * sizeof *w->half);
    w->weight = malloc(cols * sizeof *w->weight);
    w->decoded = malloc(cols * sizeof *w->decoded);
    w->plain = malloc(2 * cols);
    if (!w->raw || !w->codes || !w->scales || !w->biases || !w->x || !w->half || !w->weight || !w->decoded ||
        !w->plain)
      return err_memory(err, elements * 8, "a thread's buffers");
  }
  return s->scratch || err_memory(err, (size_t)n * sizeof *s->scratch, "the buffers");
}

static void free_scratch(Stream *s) {
  for (int i = 0; s->scratch && i < pool_threads(s->pool); i++) {
    Scratch *w = &s->scratch[i];
    free(w->raw);
    free(w->codes);
    free(w->scales);
    free(w->biases);
    free(w->x);
    free(w->half);
    free(w->weight);
    free(w->decoded);
    free(w->plain);
  }
  free(s->scratch);
}

// n descriptors, none of them open.
static int *no_files(size_t n, zaya_error *err) {
  int *fds = malloc((n + 1) * sizeof *fds);
  for (size_t i = 0; fds && i < n; i++) fds[i] = -1;
  if (!fds) err_memory(err, n * sizeof *fds, "the table of files");
  return fds;
}

static bool open_sources(Stream *s, zaya_error *err) {
  const Bundle *b = s->plan->source;
  for (size_t i = 0; i < bundle_shards(b); i++) {
    s->sources[i] = open(st_path(bundle_shard(b, i)), O_RDONLY | O_CLOEXEC);
    if (s->sources[i] < 0) return err_errno(err, errno, "%s: cannot open", st_path(bundle_shard(b, i)));
  }
  return true;
}

static bool prepare(Stream *s, zaya_error *err) {
  const Plan *p = s->plan;
  if (!(s->outs = no_files(p->n_shards, err)) || !(s->sources = no_files(bundle_shards(p->source), err)))
    return false;
  s->written = calloc(p->n_targets + 1, sizeof *s->written);
  s->chunks_before = calloc(p->n_targets + 1, sizeof *s->chunks_before);
  s->stage = calloc(p->n_targets + 1, sizeof *s->stage);
  if (!s->written || !s->chunks_before || !s->stage) return err_memory(err, p->n_targets, "the conversion");
  s->pool = pool_new(p->params.n_threads, err);
  return s->pool && path_fits(s, err) && open_sources(s, err) && make_scratch(s, err);
}

static void clean_up(Stream *s) {
  for (size_t i = 0; s->outs && i < s->plan->n_shards; i++)
    if (s->outs[i] >= 0) close(s->outs[i]);
  for (size_t i = 0; s->sources && i < bundle_shards(s->plan->source); i++)
    if (s->sources[i] >= 0) close(s->sources[i]);
  if (s->pool) free_scratch(s);
  pool_free(s->pool);
  free(s->sources);
  free(s->outs);
  free(s->written);
  free(s->chunks_before);
  free(s->stage);
  pthread_mutex_destroy(&s->lock);
}

static void add_gain(zaya_convert_gain *to, const zaya_convert_gain *from) {
  to->mse_plain += from->mse_plain;
  to->mse_calibrated += from->mse_calibrated;
  to->power += from->power;
  to->n += from->n;
}

static void take_mean(zaya_convert_gain *g) {
  if (!g->n) return;
  g->mse_plain /= (double)g->n;
  g->mse_calibrated /= (double)g->n;
  g->power /= (double)g->n;
}

static void report_gain(const Stream *s, zaya_convert_result *result) {
  for (int i = 0; s->scratch && i < pool_threads(s->pool); i++) {
    add_gain(&result->attention, &s->scratch[i].attention);
    add_gain(&result->experts, &s->scratch[i].experts);
  }
  take_mean(&result->attention);
  take_mean(&result->experts);
}

bool convert_shards(const Plan *p, const char *dir, const bool *done, const Moments *moments,
                    zaya_convert_result *result, zaya_error *err) {
  zaya_error own = {0}; // the workers need a place even when the caller wants none
  Stream s = {.plan = p, .dir = dir, .done = done, .moments = moments, .err = &own};
  pthread_mutex_init(&s.lock, NULL);
  bool ok = prepare(&s, &own);
  if (ok) s.bytes_total = bytes_to_read(&s);
  for (size_t i = 0; ok && i < p->n_shards; i++) ok = done[i] || run_stage(&s, i, &own);
  if (ok) report_gain(&s, result);
  clean_up(&s);
  if (!ok) err_set(err, own.status, "%s", own.message);
  return ok;
}
