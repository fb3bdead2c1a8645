// bundle_mat: tensors of a bundle as matrices and vectors, each checked against the shape that the
// config asks for. How a linear is quantized follows from its tensors alone.
#include "format/bundle_impl.h"

#include <stdio.h>
#include <string.h>

// What a caller wants: `lead` > 0 puts an expert axis in front.
typedef struct Want {
  size_t lead, rows, cols;
} Want;

// "[4, 256, 128]"; `last` 0 leaves the last dimension open.
static const char *want_text(const Want *w, size_t last, char *buf, size_t size) {
  char lead[32] = "", tail[32] = "..";
  if (w->lead) snprintf(lead, sizeof lead, "%zu, ", w->lead);
  if (last) snprintf(tail, sizeof tail, "%zu", last);
  snprintf(buf, size, "[%s%zu, %s]", lead, w->rows, tail);
  return buf;
}

// All dimensions but the last.
static bool leading_match(const StTensor *t, const Want *w) {
  if (w->lead) return t->ndim == 3 && t->shape[0] == w->lead && t->shape[1] == w->rows;
  return t->ndim == 2 && t->shape[0] == w->rows;
}

static bool mismatch(const Bundle *b, const StTensor *t, const char *expected, zaya_error *err) {
  char found[192];
  return err_set(err, ZAYA_E_FORMAT, "%s: tensor %s: expected %s, found %s", bundle_path_of(b, t), t->name,
                 expected, st_describe(t, found, sizeof found));
}

static bool absent(const Bundle *b, const char *name, zaya_error *err) {
  return err_set(err, ZAYA_E_FORMAT, "%s: tensor %s is missing", b->dir, name);
}

static bool float_kind(Dtype t, MatKind *kind) {
  if (t == DT_F32) *kind = MAT_F32;
  if (t == DT_F16) *kind = MAT_F16;
  if (t == DT_BF16) *kind = MAT_BF16;
  return t == DT_F32 || t == DT_F16 || t == DT_BF16;
}

static bool plain_mat(const Bundle *b, const StTensor *t, const Want *w, Mat *out, zaya_error *err) {
  char expected[128], shape[96];
  if (!float_kind(t->dtype, &out->kind) || !leading_match(t, w) || t->shape[t->ndim - 1] != w->cols) {
    snprintf(expected, sizeof expected, "BF16, F16 or F32 %s", want_text(w, w->cols, shape, sizeof shape));
    return mismatch(b, t, expected, err);
  }
  out->bits = (int)(8 * dtype_size(t->dtype));
  out->w_stride = w->cols * dtype_size(t->dtype);
  return true;
}

static bool affine_mat(const Bundle *b, const StTensor *t, const StTensor *s, const StTensor *z,
                       const Want *w, Mat *out, zaya_error *err) {
  size_t packed = t->shape[t->ndim - 1], groups = s->shape[s->ndim - 1];
  size_t bits = packed <= w->cols ? 32 * packed / w->cols : 0, group = groups ? w->cols / groups : 0;
  bool bits_ok = bits && 32 * packed == bits * w->cols &&
                 (bits == 2 || bits == 3 || bits == 4 || bits == 5 || bits == 6 || bits == 8);
  bool group_ok = group * groups == w->cols && (group == 32 || group == 64 || group == 128);
  MatKind kind;
  if (!bits_ok)
    return err_set(
        err, ZAYA_E_FORMAT,
        "%s: tensor %s: %zu packed columns for %zu inputs are no affine width (2, 3, 4, 5, 6, 8 bits)",
        bundle_path_of(b, t), t->name, packed, w->cols);
  if (!group_ok)
    return err_set(err, ZAYA_E_FORMAT,
                   "%s: tensor %s: %zu columns for %zu inputs are no groups of 32, 64 or 128",
                   bundle_path_of(b, s), s->name, groups, w->cols);
  if (!float_kind(s->dtype, &kind)) return mismatch(b, s, "scales as BF16, F16 or F32", err);
  if (z->dtype != s->dtype || z->ndim != s->ndim || memcmp(z->shape, s->shape, sizeof z->shape) != 0) {
    char expected[192];
    return mismatch(b, z, st_describe(s, expected, sizeof expected), err);
  }
  out->kind = MAT_AFFINE;
  out->bits = (int)bits;
  out->group = (int)group;
  out->scale_type = s->dtype;
  out->biases = z->data;
  out->s_stride = groups * dtype_size(s->dtype);
  return true;
}

static bool mx_mat(const Bundle *b, const StTensor *t, const StTensor *s, const Want *w, Mat *out,
                   zaya_error *err) {
  size_t packed = t->shape[t->ndim - 1], groups = s->shape[s->ndim - 1];
  out->group = packed == 2 * groups ? 16 : 32;
  out->kind = packed == 2 * groups ? MAT_NVFP4 : packed == 4 * groups ? MAT_MXFP4 : MAT_MXFP8;
  out->bits = out->kind == MAT_MXFP8 ? 8 : 4;
  out->scale_type = DT_U8;
  out->s_stride = groups;
  if (s->dtype != DT_U8)
    return err_set(err, ZAYA_E_FORMAT,
                   "%s: tensor %s has scales but no biases: affine needs biases, MX U8 scales",
                   bundle_path_of(b, t), t->name);
  if ((out->kind == MAT_MXFP8 && packed != 8 * groups) || groups * (size_t)out->group != w->cols ||
      packed * 32 != w->cols * (size_t)out->bits)
    return err_set(
        err, ZAYA_E_FORMAT,
        "%s: tensor %s: %zu packed and %zu scale columns for %zu inputs are neither mxfp4, mxfp8 nor nvfp4",
        bundle_path_of(b, t), t->name, packed, groups, w->cols);
  return true;
}

// Finds "<base>.<tail>" beside the weight `file`, which ends in ".weight" or stands alone.
static const StTensor *sibling(const Bundle *b, const char *file, const char *tail) {
  char name[ARCH_NAME_SIZE + 16];
  size_t n = strlen(file);
  if (n > 7 && !strcmp(file + n - 7, ".weight")) n -= 7;
  snprintf(name, sizeof name, "%.*s.%s", (int)n, file, tail);
  return bundle_find(b, name);
}

static bool quantized_mat(const Bundle *b, const StTensor *t, const Want *w, Mat *out, zaya_error *err) {
  const StTensor *s = sibling(b, t->name, "scales"), *z = sibling(b, t->name, "biases");
  char expected[128], shape[96];
  if (!s)
    return err_set(err, ZAYA_E_FORMAT, "%s: tensor %s is packed, but its scales are missing",
                   bundle_path_of(b, t), t->name);
  if (!leading_match(t, w)) {
    snprintf(expected, sizeof expected, "%s", want_text(w, 0, shape, sizeof shape));
    return mismatch(b, t, expected, err);
  }
  if (!leading_match(s, w)) {
    snprintf(expected, sizeof expected, "%s", want_text(w, 0, shape, sizeof shape));
    return mismatch(b, s, expected, err);
  }
  out->scales = s->data;
  out->w_stride = t->shape[t->ndim - 1] * 4;
  return z ? affine_mat(b, t, s, z, w, out, err) : mx_mat(b, t, s, w, out, err);
}

static bool get_mat(const Bundle *b, const char *file, const Want *w, Mat *out, zaya_error *err) {
  const StTensor *t = bundle_find(b, file), *tq = t ? NULL : sibling(b, file, "tq_packed");
  *out = (Mat){0};
  if (tq)
    return err_set(err, ZAYA_E_UNSUPPORTED, "%s: tensor %s: JANGTQ experts are not supported yet",
                   bundle_path_of(b, tq), tq->name);
  if (!t) return absent(b, file, err);
  if (!(t->dtype == DT_U32 ? quantized_mat(b, t, w, out, err) : plain_mat(b, t, w, out, err))) return false;
  out->w = t->data;
  out->rows = w->rows * (w->lead ? w->lead : 1);
  out->cols = w->cols;
  return true;
}

static bool shape_matches(const StTensor *t, const ArchTensor *a, size_t n) {
  if (!a) return t->nbytes / dtype_size(t->dtype) == n;
  if (t->ndim != a->ndim) return false;
  for (int i = 0; i < t->ndim; i++)
    if (t->shape[i] != a->shape[i]) return false;
  return arch_elements(a) == n;
}

static bool find_floats(const Bundle *b, const char *file, const ArchTensor *a, size_t n,
                        const StTensor **out, zaya_error *err) {
  const StTensor *t = *out = bundle_find(b, file);
  if (!t) return absent(b, file, err);
  if (dtype_is_float(t->dtype) && shape_matches(t, a, n)) return true;
  char expected[128];
  int at = snprintf(expected, sizeof expected, "floats [");
  for (int i = 0; a && i < a->ndim; i++)
    at += snprintf(expected + at, sizeof expected - (size_t)at, i ? ", %zu" : "%zu", a->shape[i]);
  if (!a) at += snprintf(expected + at, sizeof expected - (size_t)at, "%zu", n);
  snprintf(expected + at, sizeof expected - (size_t)at, "]");
  return mismatch(b, t, expected, err);
}

bool bundle_vec(const Bundle *b, const char *name, size_t n, float *out, zaya_error *err) {
  char file[ARCH_NAME_SIZE];
  const StTensor *t;
  if (!bundle_file_name(b, name, file, err) || !find_floats(b, file, bundle_arch_find(b, name), n, &t, err))
    return false;
  dtype_to_f32(t->dtype, t->data, n, out);
  return true;
}

// Names and rows of one expert's part; fused gate and up share a tensor, gate rows first.
bool bundle_expert(const Bundle *b, int layer, int e, ExpertPart part, Mat *out, zaya_error *err) {
  static const char *const switch_part[] = {"gate", "up", "down"};
  const Config *c = &b->config;
  size_t H = (size_t)c->hidden, I = (size_t)c->expert, E = (size_t)c->n_experts;
  bool down = part == EXPERT_DOWN;
  size_t rows = down ? H : I, first = 0;
  char file[ARCH_NAME_SIZE];
  Want w = {E, rows, down ? I : H};
  if (layer < 1 || layer >= c->n_layers || layer % 2 == 0 || e < 0 || e >= c->n_experts)
    return err_set(err, ZAYA_E_INVALID, "%s: there is no expert %d in layer %d", b->dir, e, layer);
  switch (b->experts) {
  case EXPERTS_SWITCH:
    snprintf(file, sizeof file, "model.layers.%d.zaya_block.experts.switch_mlp.%s_proj.weight", layer,
             switch_part[part]);
    first = (size_t)e * rows;
    break;
  case EXPERTS_LOCAL:
    snprintf(file, sizeof file, "model.layers.%d.zaya_block.experts.local_experts.%d.linear_fc%d.weight",
             layer, e, down ? 2 : 1);
    w = (Want){0, down ? H : 2 * I, w.cols};
    first = part == EXPERT_UP ? I : 0;
    break;
  case EXPERTS_FUSED:
    snprintf(file, sizeof file, "model.layers.%d.mlp.experts.%s", layer / 2,
             down ? "down_proj" : "gate_up_proj");
    w.rows = down ? H : 2 * I;
    first = (size_t)e * w.rows + (part == EXPERT_UP ? I : 0);
    break;
  }
  Mat all;
  if (!get_mat(b, file, &w, &all, err)) return false;
  *out = mat_rows(&all, first, rows);
  return true;
}

bool bundle_tensor(const Bundle *b, const ArchTensor *a, Mat *out, zaya_error *err) {
  if (a->quantizable) {
    Want w = {a->ndim == 3 ? a->shape[0] : 0, a->shape[a->ndim - 2], a->shape[a->ndim - 1]};
    return get_mat(b, a->name, &w, out, err);
  }
  const StTensor *t;
  size_t n = arch_elements(a);
  *out = (Mat){0};
  if (!find_floats(b, a->name, a, n, &t, err)) return false;
  if (!float_kind(t->dtype, &out->kind)) return mismatch(b, t, "BF16, F16 or F32", err);
  out->cols = a->shape[a->ndim - 1];
  out->rows = n / out->cols;
  out->bits = (int)(8 * dtype_size(t->dtype));
  out->w = t->data;
  out->w_stride = out->cols * dtype_size(t->dtype);
  return true;
}

// A tensor that always stays as floats, read as [rows, cols] whatever its dimensions: conv_qk.1 is
// [C, D, 2] on disk and [C, 2 D] for who multiplies with it.
static bool float_mat(const Bundle *b, const ArchTensor *a, size_t rows, size_t cols, Mat *out,
                      zaya_error *err) {
  if (!bundle_tensor(b, a, out, err)) return false;
  if (out->rows * out->cols != rows * cols || a->shape[0] != rows)
    return err_set(err, ZAYA_E_INVALID, "%s: tensor %s is no [%zu, %zu] matrix", b->dir, a->name, rows, cols);
  out->w_stride = out->w_stride / out->cols * cols;
  out->rows = rows;
  out->cols = cols;
  return true;
}

bool bundle_mat(const Bundle *b, const char *base, size_t rows, size_t cols, Mat *out, zaya_error *err) {
  char canonical[ARCH_NAME_SIZE], file[ARCH_NAME_SIZE];
  if (snprintf(canonical, sizeof canonical, "%s.weight", base) >= (int)sizeof canonical)
    return err_set(err, ZAYA_E_INVALID, "%s: no tensor is called %.200s", b->dir, base);
  const ArchTensor *a = bundle_arch_find(b, canonical);
  if (a && !a->quantizable) return float_mat(b, a, rows, cols, out, err);
  return bundle_file_name(b, canonical, file, err) && get_mat(b, file, &(Want){0, rows, cols}, out, err);
}

bool bundle_check(const Bundle *b, zaya_error *err) {
  Mat m;
  for (size_t i = 0; i < b->arch.len; i++)
    if (!bundle_tensor(b, &b->arch.items[i], &m, err)) return false;
  return true;
}
