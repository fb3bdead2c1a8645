// convert_plan: which tensors a bundle consists of, from which rows of the source each is made, and at
// which byte of which shard it will stand.
#include "base/hash64.h"
#include "base/size.h"
#include "bundle/convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// --- settings ------------------------------------------------------------------------------------------

static bool take_params(Plan *p, const zaya_convert_params *params, zaya_error *err) {
  if (params) p->params = *params;
  zaya_convert_params *o = &p->params;
  static const struct {
    MatKind kind;
    int bits, group;
  } modes[] = {[ZAYA_QUANT_AFFINE] = {MAT_AFFINE, 4, 32},
               [ZAYA_QUANT_MXFP4] = {MAT_MXFP4, 4, 32},
               [ZAYA_QUANT_MXFP8] = {MAT_MXFP8, 8, 32},
               [ZAYA_QUANT_NVFP4] = {MAT_NVFP4, 4, 16}};
  if ((unsigned)o->mode >= sizeof modes / sizeof *modes)
    return err_set(err, ZAYA_E_INVALID, "there is no quantization mode %d", (int)o->mode);
  if (!o->bits) o->bits = modes[o->mode].bits;
  if (!o->group_size) o->group_size = modes[o->mode].group;
  if (!o->embed_bits) o->embed_bits = 8;
  if (!o->shard_bytes) o->shard_bytes = 1000000000;
  QuantRound round = o->metal_rounding ? QUANT_MLX_METAL : QUANT_MLX_CPU;
  p->linear = (QuantSpec){modes[o->mode].kind, o->bits, o->group_size, DT_F16, round};
  int embed_group = o->mode == ZAYA_QUANT_AFFINE ? o->group_size : 32;
  p->embed = (QuantSpec){MAT_AFFINE, o->embed_bits, embed_group, DT_F16, round};
  if (o->n_calibration_ids && o->mode != ZAYA_QUANT_AFFINE)
    return err_set(err, ZAYA_E_UNSUPPORTED, "calibration chooses affine scales: it goes with affine mode");
  return quant_check(&p->linear, 0, err) && quant_check(&p->embed, 0, err);
}

// --- targets -------------------------------------------------------------------------------------------

// The tensor that `name` is in the source, checked to be floats of the shape that the config asks for.
static bool find_piece(Plan *p, const ArchTensor *t, size_t first, zaya_error *err) {
  Mat m;
  if (!bundle_tensor(p->source, t, &m, err)) return false;
  if (m.kind != MAT_F32 && m.kind != MAT_F16 && m.kind != MAT_BF16)
    return err_set(
        err, ZAYA_E_UNSUPPORTED,
        "%s: tensor %s is quantized already: a conversion starts from the BF16, F16 or F32 weights",
        bundle_dir(p->source), t->name);
  for (size_t s = 0; s < bundle_shards(p->source); s++) {
    const StTensor *st = st_find(bundle_shard(p->source, s), t->name);
    if (!st) continue;
    p->pieces[p->n_pieces++] = (PlanPiece){st, s, first};
    return true;
  }
  return err_set(err, ZAYA_E_FORMAT, "%s: tensor %s is missing", bundle_dir(p->source), t->name);
}

// How ArchTensor `t`, of any expert layout, is written: floats of `ndim` dimensions or codes.
static PlanTarget *new_target(Plan *p, const char *name, size_t rows, size_t cols) {
  PlanTarget *t = &p->targets[p->n_targets++];
  *t = (PlanTarget){.rows = rows, .cols = cols, .first_piece = p->n_pieces};
  snprintf(t->name, sizeof t->name, "%s", name);
  return t;
}

static bool add_other(Plan *p, const ArchTensor *a, zaya_error *err) {
  size_t n = arch_elements(a), cols = a->shape[a->ndim - 1];
  PlanTarget *t = new_target(p, a->canonical, n / cols, cols);
  t->n_pieces = 1;
  t->klass = a->klass;
  t->quantized = a->quantizable;
  t->spec = a->klass == ARCH_EMBED || a->klass == ARCH_HEAD ? p->embed : p->linear;
  if (t->quantized && !quant_check(&t->spec, cols, err)) return err_context(err, "tensor %s", a->name);
  return find_piece(p, a, 0, err);
}

static int by_canonical(const void *a, const void *b) {
  const ArchTensor *const *x = a, *const *y = b;
  return strcmp((*x)->canonical, (*y)->canonical);
}

static bool add_others(Plan *p, const ArchList *list, zaya_error *err) {
  const ArchTensor **sorted = malloc((list->len + 1) * sizeof *sorted);
  size_t n = 0;
  if (!sorted) return err_memory(err, list->len, "the plan");
  for (size_t i = 0; i < list->len; i++)
    if (list->items[i].klass != ARCH_EXPERT) sorted[n++] = &list->items[i];
  qsort(sorted, n, sizeof *sorted, by_canonical);
  bool ok = true;
  for (size_t i = 0; ok && i < n; i++) ok = add_other(p, sorted[i], err);
  free(sorted);
  return ok;
}

static const ArchTensor *find_expert(const ArchList *list, const char *name) {
  for (size_t i = 0; i < list->len; i++)
    if (!strcmp(list->items[i].canonical, name)) return &list->items[i];
  return NULL;
}

// Where expert e's part lies in the source: in a tensor of its own or in a stack.
static bool add_expert_piece(Plan *p, const ArchList *list, int layer, int e, ExpertPart part,
                             zaya_error *err) {
  static const char *const names[] = {"gate", "up", "down"};
  const Config *c = bundle_config(p->source);
  size_t I = (size_t)c->expert, H = (size_t)c->hidden, first = part == EXPERT_UP ? I : 0;
  char name[ARCH_NAME_SIZE];
  switch (bundle_experts(p->source)) {
  case EXPERTS_SWITCH:
    snprintf(name, sizeof name, "model.layers.%d.zaya_block.experts.switch_mlp.%s_proj.weight", layer,
             names[part]);
    first = (size_t)e * (part == EXPERT_DOWN ? H : I);
    break;
  case EXPERTS_LOCAL:
    snprintf(name, sizeof name, "model.layers.%d.zaya_block.experts.local_experts.%d.linear_fc%d.weight",
             layer, e, part == EXPERT_DOWN ? 2 : 1);
    break;
  case EXPERTS_FUSED:
    snprintf(name, sizeof name, "model.layers.%d.zaya_block.experts.%s", layer,
             part == EXPERT_DOWN ? "down_proj" : "gate_up_proj");
    first += (size_t)e * (part == EXPERT_DOWN ? H : 2 * I);
    break;
  }
  const ArchTensor *a = find_expert(list, name);
  if (!a) return err_set(err, ZAYA_E_FORMAT, "%s: tensor %s is missing", bundle_dir(p->source), name);
  return find_piece(p, a, first, err);
}

static bool add_experts(Plan *p, const ArchList *all, int layer, zaya_error *err) {
  static const char *const names[] = {"gate", "up", "down"};
  const Config *c = bundle_config(p->source);
  size_t I = (size_t)c->expert, H = (size_t)c->hidden;
  ArchList own = {0}; // the part of the list that is this layer's
  for (size_t i = 0; i < all->len; i++)
    if (all->items[i].layer == layer && all->items[i].klass == ARCH_EXPERT) {
      if (!own.len) own.items = &all->items[i];
      own.len++;
    }
  for (int part = 0; part < 3; part++) {
    char name[ARCH_NAME_SIZE];
    bool down = part == EXPERT_DOWN;
    snprintf(name, sizeof name, "model.layers.%d.zaya_block.experts.switch_mlp.%s_proj.weight", layer,
             names[part]);
    PlanTarget *t = new_target(p, name, down ? H : I, down ? I : H);
    t->klass = ARCH_EXPERT;
    t->quantized = true;
    t->spec = p->linear;
    t->n_pieces = (size_t)c->n_experts;
    if (!quant_check(&t->spec, t->cols, err)) return err_context(err, "tensor %s", name);
    for (int e = 0; e < c->n_experts; e++)
      if (!add_expert_piece(p, &own, layer, e, (ExpertPart)part, err)) return false;
  }
  return true;
}

// --- keys and shards -----------------------------------------------------------------------------------

static PlanOut *add_out(Plan *p, PlanTarget *t, Dtype dtype, const char *tail) {
  PlanOut *o = &p->outs[p->n_outs++];
  size_t base = strlen(t->name);
  *o = (PlanOut){.tensor = {.dtype = dtype}};
  if (*tail) base -= strlen(".weight");
  snprintf(o->name, sizeof o->name, "%.*s%s", (int)base, t->name, tail);
  t->n_outs++;
  return o;
}

static void set_shape(PlanOut *o, const PlanTarget *t, size_t last) {
  StTensor *s = &o->tensor;
  if (t->n_pieces > 1 || strstr(t->name, ".switch_mlp.")) s->shape[s->ndim++] = t->n_pieces;
  s->shape[s->ndim++] = t->rows;
  s->shape[s->ndim++] = last;
}

static void add_outs(Plan *p, PlanTarget *t) {
  t->first_out = p->n_outs;
  if (!t->quantized) { // shape as it is in the source
    PlanOut *o = add_out(p, t, DT_F16, "");
    const StTensor *s = p->pieces[t->first_piece].tensor;
    o->tensor.ndim = s->ndim;
    memcpy(o->tensor.shape, s->shape, sizeof s->shape);
    return;
  }
  bool affine = t->spec.kind == MAT_AFFINE;
  set_shape(add_out(p, t, DT_U32, ".weight"), t, quant_code_bytes(&t->spec, t->cols) / 4);
  set_shape(add_out(p, t, affine ? DT_F16 : DT_U8, ".scales"), t, t->cols / (size_t)t->spec.group);
  if (affine) set_shape(add_out(p, t, DT_F16, ".biases"), t, t->cols / (size_t)t->spec.group);
}

static bool split_shards(Plan *p, zaya_error *err) {
  size_t in_shard = 0;
  for (size_t i = 0; i < p->n_outs; i++) {
    PlanOut *o = &p->outs[i];
    o->tensor.name = o->name;
    if (!st_set_bytes(&o->tensor))
      return err_set(err, ZAYA_E_LIMIT, "tensor %s: its size overflows", o->name);
    if (in_shard >= p->params.shard_bytes) {
      p->n_shards++;
      in_shard = 0;
    }
    o->shard = p->n_shards;
    in_shard += o->tensor.nbytes;
    p->tensor_bytes += o->tensor.nbytes;
  }
  p->n_shards++;
  return true;
}

static bool lay_out_shard(Plan *p, size_t shard, size_t first, size_t n, StTensor *tmp, zaya_error *err) {
  for (size_t i = 0; i < n; i++) tmp[i] = p->outs[first + i].tensor;
  st_sort(tmp, n);
  if (!st_header(tmp, n, &p->headers[shard], err)) return false;
  for (size_t i = 0; i < n; i++) {
    PlanOut *o = (PlanOut *)(uintptr_t)((const char *)tmp[i].name - offsetof(PlanOut, name));
    o->tensor.offset = tmp[i].offset;
  }
  p->shard_bytes[shard] = n ? tmp[n - 1].offset + tmp[n - 1].nbytes : p->headers[shard].len;
  return true;
}

static bool lay_out(Plan *p, zaya_error *err) {
  StTensor *tmp = malloc((p->n_outs + 1) * sizeof *tmp);
  p->headers = calloc(p->n_shards, sizeof *p->headers);
  p->shard_bytes = calloc(p->n_shards, sizeof *p->shard_bytes);
  bool ok = tmp && p->headers && p->shard_bytes;
  if (!ok) err_memory(err, p->n_outs * sizeof *tmp, "the plan");
  size_t first = 0;
  for (size_t s = 0; ok && s < p->n_shards; s++) {
    size_t n = 0;
    while (first + n < p->n_outs && p->outs[first + n].shard == s) n++;
    ok = lay_out_shard(p, s, first, n, tmp, err);
    first += n;
  }
  free(tmp);
  return ok;
}

// --- the whole -----------------------------------------------------------------------------------------

static bool reserve(Plan *p, const ArchList *list, zaya_error *err) {
  const Config *c = bundle_config(p->source);
  // No more targets than source tensors and three stacks a layer; no more pieces than each expert thrice.
  size_t targets = list->len + 3 * (size_t)c->n_layers, experts, pieces;
  if (!size_mul(3 * (size_t)c->n_experts, (size_t)c->n_layers, &experts) ||
      !size_add(experts, list->len, &pieces))
    return err_set(err, ZAYA_E_LIMIT, "%s: too many experts", bundle_dir(p->source));
  p->targets = calloc(targets + 1, sizeof *p->targets);
  p->pieces = calloc(pieces + 1, sizeof *p->pieces);
  p->outs = calloc(3 * targets + 1, sizeof *p->outs);
  return (p->targets && p->pieces && p->outs) || err_memory(err, pieces * sizeof *p->pieces, "the plan");
}

bool plan_make(Plan *p, const Bundle *source, const zaya_convert_params *params, zaya_error *err) {
  const ArchList *list = bundle_arch(source);
  const Config *c = bundle_config(source);
  *p = (Plan){.source = source};
  bool ok = take_params(p, params, err) && reserve(p, list, err) && add_others(p, list, err);
  for (int i = 1; ok && i < c->n_layers; i += 2) ok = add_experts(p, list, i, err);
  for (size_t i = 0; ok && i < p->n_targets; i++) {
    PlanTarget *t = &p->targets[i];
    const PlanPiece *first = &p->pieces[t->first_piece];
    add_outs(p, t);
    p->source_bytes += (uint64_t)t->n_pieces * t->rows * t->cols * dtype_size(first->tensor->dtype);
  }
  ok = ok && split_shards(p, err) && lay_out(p, err);
  if (!ok) plan_free(p);
  return ok;
}

void plan_free(Plan *p) {
  for (size_t i = 0; p->headers && i < p->n_shards; i++) buf_free(&p->headers[i]);
  free(p->headers);
  free(p->shard_bytes);
  free(p->targets);
  free(p->pieces);
  free(p->outs);
  *p = (Plan){0};
}

void plan_shard_name(const Plan *p, size_t shard, char out[64]) {
  snprintf(out, 64, "model-%05zu-of-%05zu.safetensors", shard + 1, p->n_shards);
}

json_t *plan_identity(const Plan *p, zaya_error *err) {
  const zaya_convert_params *o = &p->params;
  json_t *files = json_array();
  for (size_t s = 0; s < bundle_shards(p->source); s++) {
    const char *path = st_path(bundle_shard(p->source, s));
    struct stat st;
    if (stat(path, &st) != 0) {
      json_decref(files);
      err_set(err, ZAYA_E_IO, "%s: vanished", path);
      return NULL;
    }
    json_array_append_new(files, json_pack("{s:s, s:I, s:I}", "file", path, "bytes", (json_int_t)st.st_size,
                                           "modified", (json_int_t)st.st_mtime));
  }
  uint64_t ids = hash64(HASH64_SEED, o->calibration_ids, o->n_calibration_ids * sizeof *o->calibration_ids);
  json_t *v =
      json_pack("{s:i, s:o, s:i, s:i, s:i, s:i, s:b, s:I, s:I, s:I}", "version", 1, "source", files, "mode",
                (int)o->mode, "bits", o->bits, "group_size", o->group_size, "embed_bits", o->embed_bits,
                "metal_rounding", o->metal_rounding, "shard_bytes", (json_int_t)o->shard_bytes,
                "calibration_tokens", (json_int_t)o->n_calibration_ids, "calibration_hash", (json_int_t)ids);
  if (!v) err_set(err, ZAYA_E_INVALID, "%s: its path is not valid UTF-8", bundle_dir(p->source));
  return v;
}
