// verify_source: the bundle against the checkpoint that it was made from: nothing dropped, nothing
// invented, every value as near as its format allows, and whose rounding the codes are. See verify.h.
#include "base/error.h"
#include "bundle/verify.h"
#include "format/quant.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A tensor of the bundle against its source.
typedef struct Compared {
  const ArchTensor *a; // of the bundle
  bool missing;        // in the source
  bool floats;         // passed through
  bool plain;          // in a format that quant encodes
  char format[64];
  uint64_t n, differ; // passed through: elements, and how many are not the source's, rounded
  double max, sum_sq, sum_w;
  uint64_t codes, cpu, metal; // rows of codes, scales and biases: groups in all, and how many differ from
                              // what each of MLX's quantizers writes
  bool failed;
} Compared;

// --- where a bundle's rows lie in the source
// --------------------------------------------------------------------

// Row r of the tensor `a` (switch_mlp names) in the source, whatever its layout.
static bool source_rows(const Verify *v, const ArchTensor *a, size_t expert, Mat *out, zaya_error *err) {
  if (a->klass == ARCH_EXPERT && a->expert < 0) {
    ExpertPart part = strstr(a->canonical, "gate_proj") ? EXPERT_GATE
                      : strstr(a->canonical, "up_proj") ? EXPERT_UP
                                                        : EXPERT_DOWN;
    return bundle_expert(v->source, a->layer, (int)expert, part, out, err);
  }
  const ArchList *arch = bundle_arch(v->source);
  for (size_t i = 0; i < arch->len; i++)
    if (!strcmp(arch->items[i].canonical, a->canonical))
      return bundle_tensor(v->source, &arch->items[i], out, err);
  return err_set(err, ZAYA_E_FORMAT, "%s is not in the source", a->canonical);
}

// --- comparing
// --------------------------------------------------------------------------------------------------

typedef struct Rows { // buffers for one row
  float *w, *x;
  uint8_t *codes, *scales, *biases;
} Rows;

static bool rows_alloc(Rows *r, size_t cols) {
  *r = (Rows){malloc(cols * 4), malloc(cols * 4), malloc(cols * 4), malloc(cols * 4), malloc(cols * 4)};
  return r->w && r->x && r->codes && r->scales && r->biases;
}

static void rows_free(Rows *r) {
  free(r->w);
  free(r->x);
  free(r->codes);
  free(r->scales);
  free(r->biases);
}

static float round_to(Dtype type, float x) {
  return type == DT_F16    ? dtype_f16_to_f32(dtype_f32_to_f16(x))
         : type == DT_BF16 ? dtype_bf16_to_f32(dtype_f32_to_bf16(x))
                           : x;
}

static void compare_floats(Compared *it, const Mat *m, const Rows *b) {
  Dtype type = m->kind == MAT_F16 ? DT_F16 : m->kind == MAT_BF16 ? DT_BF16 : DT_F32;
  for (size_t i = 0; i < m->cols; i++) it->differ += b->w[i] != round_to(type, b->x[i]);
}

// Counts groups whose codes, scale or bias are not those that the quantizer writes.
static uint64_t differing_groups(const Mat *m, size_t r, const Rows *b, QuantRound round) {
  QuantSpec q = {.kind = m->kind,
                 .bits = m->bits,
                 .group = m->group,
                 .type = m->kind == MAT_AFFINE ? m->scale_type : DT_F16,
                 .round = round};
  quant_row(&q, b->x, m->cols, b->codes, b->scales, b->biases);
  const uint8_t *w = m->w + r * m->w_stride, *s = m->scales + r * m->s_stride;
  const uint8_t *z = m->biases ? m->biases + r * m->s_stride : NULL;
  size_t groups = m->cols / (size_t)m->group, code = (size_t)(m->group * m->bits) / 8;
  size_t scale = quant_scale_bytes(&q, m->cols) / groups;
  uint64_t differ = 0;
  for (size_t g = 0; g < groups; g++)
    differ += memcmp(w + g * code, b->codes + g * code, code) ||
              memcmp(s + g * scale, b->scales + g * scale, scale) ||
              (z && memcmp(z + g * scale, b->biases + g * scale, scale));
  return differ;
}

static void compare_row(Compared *it, const Mat *m, size_t r, const Mat *src, size_t src_row, const Rows *b) {
  mat_row(m, r, b->w);
  mat_row(src, src_row, b->x);
  for (size_t i = 0; i < m->cols; i++) {
    double e = (double)b->w[i] - (double)b->x[i];
    if (fabs(e) > it->max) it->max = fabs(e);
    it->sum_sq += e * e;
    it->sum_w += (double)b->x[i] * (double)b->x[i];
  }
  it->n += m->cols;
  if (it->floats) {
    compare_floats(it, m, b);
  } else if (it->plain) {
    // The converter rounds a source to float16 before it quantizes.
    for (size_t i = 0; i < m->cols; i++)
      b->x[i] = round_to(m->kind == MAT_AFFINE ? m->scale_type : DT_F16, b->x[i]);
    it->codes += m->cols / (size_t)m->group;
    it->cpu += differing_groups(m, r, b, QUANT_MLX_CPU);
    it->metal += differing_groups(m, r, b, QUANT_MLX_METAL);
  }
}

static bool compare_pieces(const Verify *v, Compared *it, const Mat *m, const Rows *b) {
  const ArchTensor *a = it->a;
  size_t pieces = a->klass == ARCH_EXPERT && a->ndim == 3 ? a->shape[0] : 1, rows = m->rows / pieces;
  for (size_t e = 0; e < pieces; e++) {
    Mat src;
    if (!source_rows(v, a, e, &src, NULL)) {
      it->missing = true;
      return true;
    }
    if (src.rows != rows || src.cols != m->cols) return false;
    for (size_t r = 0; r < rows; r++) compare_row(it, m, e * rows + r, &src, r, b);
  }
  return true;
}

static void compare_tensor(const Verify *v, Compared *it) {
  Mat m;
  Rows b = {0};
  if (!bundle_tensor(v->bundle, it->a, &m, NULL)) {
    it->failed = true;
    return;
  }
  mat_describe(&m, it->format, sizeof it->format);
  it->floats = !m.group;
  QuantSpec q = {
      .kind = m.kind, .bits = m.bits, .group = m.group, .type = m.kind == MAT_AFFINE ? m.scale_type : DT_F16};
  it->plain = m.group && quant_check(&q, m.cols, NULL);
  it->failed = !rows_alloc(&b, m.cols) || !compare_pieces(v, it, &m, &b);
  rows_free(&b);
}

typedef struct SourceJob {
  const Verify *v;
  atomic_size_t next;
} SourceJob;

static void compare_share(void *job, int index, int count) {
  SourceJob *j = job;
  (void)index, (void)count;
  for (size_t i; (i = atomic_fetch_add(&j->next, 1)) < j->v->n_source_items;)
    compare_tensor(j->v, &j->v->source_items[i]);
}

static bool same_shape(const Config *a, const Config *b) {
  return a->n_layers == b->n_layers && a->hidden == b->hidden && a->n_q == b->n_q && a->n_kv == b->n_kv &&
         a->head_dim == b->head_dim && a->rotary_dim == b->rotary_dim && a->expert == b->expert &&
         a->n_experts == b->n_experts && a->router == b->router && a->vocab == b->vocab &&
         a->rope_theta == b->rope_theta && a->norm_eps == b->norm_eps && a->tied == b->tied &&
         a->clamp_temp == b->clamp_temp;
}

bool verify_read_source(Verify *v, zaya_error *err) {
  v->source = bundle_open(v->params->source, &v->source_err);
  if (!v->source || !v->bundle || !same_shape(bundle_config(v->source), bundle_config(v->bundle)))
    return true;
  const ArchList *arch = bundle_arch(v->bundle);
  Compared *items = calloc(arch->len + 1, sizeof *items);
  if (!items) return err_memory(err, arch->len * sizeof *items, "the comparison");
  v->source_items = items;
  v->n_source_items = arch->len;
  for (size_t i = 0; i < arch->len; i++) items[i].a = &arch->items[i];
  SourceJob job = {.v = v};
  pool_run(v->pool, compare_share, &job);
  for (size_t i = 0; i < arch->len; i++) {
    VErrors *e = &v->errors[items[i].a->klass];
    if (items[i].max > e->max) e->max = items[i].max;
    e->sum_sq += items[i].sum_sq;
    e->sum_w += items[i].sum_w;
    e->n += items[i].n;
    e->tensors++;
  }
  return true;
}

void verify_free_source(Verify *v) {
  free(v->source_items);
  bundle_close(v->source);
}

// --- checks
// -----------------------------------------------------------------------------------------------------

static bool need_source(const Verify *v, Check *c) {
  if (!v->params->source) {
    check_skip(c, "no source given (--source)");
    return false;
  }
  if (!v->source) check_skip(c, "the source cannot be opened");
  return v->source != NULL;
}

static bool need_compared(const Verify *v, Check *c) {
  if (!need_source(v, c) || !need_bundle(v, c)) return false;
  if (!v->source_items) check_skip(c, "the source is a model of another shape");
  if (v->source_items && v->jangtq) check_skip(c, "JANGTQ experts are not compared yet");
  return v->source_items && !v->jangtq;
}

void check_source_shape(Verify *v, Check *c) {
  if (v->params->source && !v->source) {
    check_fail(c, "%s", v->source_err.message);
    return;
  }
  if (!need_source(v, c) || !need_bundle(v, c)) return;
  if (!same_shape(bundle_config(v->source), bundle_config(v->bundle)))
    check_fail(c, "the config of %s describes another model", v->params->source);
}

static bool is_stranger(const Bundle *source, const char *name) {
  const ArchList *arch = bundle_arch(source);
  for (size_t i = 0; i < arch->len; i++)
    if (!strcmp(arch->items[i].name, name)) return false;
  return strncmp(name, "lm_head.", 8) != 0;
}

void check_source_coverage(Verify *v, Check *c) {
  if (!need_compared(v, c)) return;
  for (size_t i = 0; i < v->n_source_items; i++)
    if (v->source_items[i].missing) check_fail(c, "%.200s is not in the source", v->source_items[i].a->name);
  for (size_t i = 0; i < bundle_count(v->source); i++)
    if (is_stranger(v->source, bundle_at(v->source, i)->name))
      check_fail(c, "%.200s of the source is not in the bundle", bundle_at(v->source, i)->name);
  check_note(c, "%zu tensors of the source", bundle_count(v->source));
}

void check_source_floats(Verify *v, Check *c) {
  if (!need_compared(v, c)) return;
  size_t n = 0;
  for (size_t i = 0; i < v->n_source_items; i++) {
    const Compared *it = &v->source_items[i];
    if (!it->floats || it->missing) continue;
    n++;
    if (it->differ)
      check_fail(c, "%.200s: %llu of %llu values are not the source's", it->a->name,
                 (unsigned long long)it->differ, (unsigned long long)it->n);
  }
  check_note(c, "%zu tensors", n);
}

static double relative(const Compared *it) { return it->sum_w > 0 ? sqrt(it->sum_sq / it->sum_w) : 0; }

// The error of uniform codes is about 0.1 of the weights' size at 4 bits and halves with every bit more;
// MLX's 8-bit floats come to 0.07, since their scale may be too small for the largest weight. Two and a
// half times as much is no rounding.
static double error_limit(const char *format) {
  if (!strncmp(format, "mxfp8", 5)) return 0.18;
  int bits = strncmp(format, "affine ", 7) ? 4 : atoi(format + 7);
  return 0.25 * pow(2, 4 - bits);
}

void check_source_error(Verify *v, Check *c) {
  if (!need_compared(v, c)) return;
  double worst = 0;
  const Compared *at = NULL;
  for (size_t i = 0; i < v->n_source_items; i++) {
    const Compared *it = &v->source_items[i];
    if (it->floats || it->missing) continue;
    if (it->failed)
      check_fail(c, "%.200s cannot be compared", it->a->name);
    else if (relative(it) > error_limit(it->format))
      check_fail(c, "%.200s (%s): relative error %.4f, largest %.4g", it->a->name, it->format, relative(it),
                 it->max);
    if (relative(it) > worst) worst = relative(it), at = it;
  }
  if (at) check_note(c, "largest relative error %.4f, of %.120s (%s)", worst, at->a->name, at->format);
}

void check_source_codes(Verify *v, Check *c) {
  if (!need_compared(v, c)) return;
  uint64_t groups = 0, cpu = 0, metal = 0;
  const Compared *first = NULL;
  for (size_t i = 0; i < v->n_source_items; i++) {
    const Compared *it = &v->source_items[i];
    if (!it->plain || it->missing || it->failed) continue;
    groups += it->codes;
    cpu += it->cpu;
    metal += it->metal;
    if ((it->cpu && it->metal) && !first) first = it;
  }
  uint64_t best = cpu < metal ? cpu : metal;
  const char *name = cpu <= metal ? "CPU" : "Metal";
  if (!groups)
    check_skip(c, "nothing is quantized");
  else if (!best)
    check_note(c, "exactly those of MLX's %s quantizer: %llu groups%s", cpu == metal ? "CPU and Metal" : name,
               (unsigned long long)groups,
               cpu == metal ? ""
               : cpu        ? " (not the CPU's)"
                            : " (not Metal's)");
  else if ((double)best < 1e-3 * (double)groups)
    check_fail(c, "those of MLX's %s quantizer but for %llu of %llu groups, the first in %.160s", name,
               (unsigned long long)best, (unsigned long long)groups, first ? first->a->name : "?");
  else
    check_skip(c, "no plain rounding: %.2f %% of the groups differ from MLX's %s quantizer",
               100.0 * (double)best / (double)groups, name);
}

void check_source_files(Verify *v, Check *c) {
  static const char *const names[] = {"tokenizer.json", "special_tokens_map.json", "generation_config.json",
                                      "chat_template.jinja"};
  if (!need_source(v, c)) return;
  size_t n = 0;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    Buf a = {0}, b = {0};
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", v->params->source, names[i]);
    if (jsonio_exists(v->params->source, names[i]) && buf_read_file(&a, path, (size_t)1 << 30, NULL)) {
      n++;
      snprintf(path, sizeof path, "%s/%s", v->dir, names[i]);
      if (!jsonio_exists(v->dir, names[i]))
        check_fail(c, "%s of the source is not there", names[i]);
      else if (!buf_read_file(&b, path, (size_t)1 << 30, NULL) || a.len != b.len ||
               memcmp(a.data, b.data, a.len))
        check_fail(c, "%s is not the source's", names[i]);
    }
    buf_free(&a);
    buf_free(&b);
  }
  if (!n) check_skip(c, "the source has none of them");
  check_note(c, "%zu files", n);
}
