// verify_model: the tensors against the architecture that the config describes: names, stacking, shapes,
// formats, head and sidecar. See verify.h.
#include "base/error.h"
#include "bundle/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SWITCH ".switch_mlp."
#define LOCAL  ".local_experts."

static bool any_tensor(const Verify *v, const char *part) {
  for (size_t i = 0; i < v->n_tensors; i++)
    if (strstr(v->tensors[i].t->name, part)) return true;
  return false;
}

bool verify_read_model(Verify *v, zaya_error *err) {
  if (any_tensor(v, SWITCH))
    v->experts = EXPERTS_SWITCH, v->layout_ok = true;
  else if (any_tensor(v, LOCAL))
    v->experts = EXPERTS_LOCAL, v->layout_ok = true;
  else if (any_tensor(v, ".mlp.experts."))
    v->experts = EXPERTS_FUSED, v->layout_ok = true;
  if (v->config_ok && v->layout_ok && !arch_list(&v->config, v->experts, &v->arch, err)) return false;
  v->bundle = bundle_open(v->dir, &v->bundle_err);
  if (!v->bundle || v->jangtq) return true;
  if (!bundle_check(v->bundle, &v->bundle_err)) {
    bundle_close(v->bundle);
    v->bundle = NULL;
  }
  return true;
}

void check_layout(Verify *v, Check *c) {
  if (!need_shards(v, c)) return;
  const char *said = json_text(v->config_json, "zaya_expert_layout");
  if (!v->layout_ok)
    check_fail(c, "no expert tensor: expected switch_mlp, local_experts or mlp.experts keys");
  else if (v->experts != EXPERTS_FUSED && any_tensor(v, ".mlp.experts."))
    check_fail(c, "native and legacy expert keys are mixed");
  else if (said && strcmp(said, "split_switch_mlp"))
    check_fail(c, "config.json says zaya_expert_layout %.64s, expected split_switch_mlp", said);
  else if (said && v->experts == EXPERTS_FUSED)
    check_fail(c, "config.json says zaya_expert_layout %.64s, the experts have native keys", said);
  else
    check_note(c, "%s",
               v->experts == EXPERTS_SWITCH  ? "switch_mlp"
               : v->experts == EXPERTS_LOCAL ? "legacy, experts one by one"
                                             : "native");
}

void check_local_experts(Verify *v, Check *c) {
  if (!need_shards(v, c) || !need_converted(v, c)) return;
  for (size_t i = 0; i < v->n_tensors; i++)
    if (strstr(v->tensors[i].t->name, LOCAL)) check_fail(c, "%.200s", v->tensors[i].t->name);
}

// The name without its last part: "weight", "scales", ...
static size_t stem(const char *name) {
  const char *dot = strrchr(name, '.');
  return dot ? (size_t)(dot - name) : strlen(name);
}

void check_stacked_experts(Verify *v, Check *c) {
  if (!need_shards(v, c) || !need_converted(v, c)) return;
  if (!v->config_ok || v->experts != EXPERTS_SWITCH) {
    check_skip(c, v->config_ok ? "no switch_mlp keys" : "config.json cannot be used");
    return;
  }
  size_t E = (size_t)v->config.n_experts, n = 0;
  for (size_t i = 0; i < v->n_tensors; i++) {
    const StTensor *t = v->tensors[i].t;
    if (!strstr(t->name, SWITCH) || verify_ends(t->name, ".tq_bits")) continue;
    int ndim = verify_ends(t->name, ".tq_norms") ? 2 : 3;
    char found[192];
    if (t->ndim != ndim || t->shape[0] != E)
      check_fail(c, "%.200s: expected %d dimensions with %zu experts in front, found %s", t->name, ndim, E,
                 st_describe(t, found, sizeof found));
    n++;
  }
  check_note(c, "%zu tensors of %zu experts", n, E);
}

// --- names
// --------------------------------------------------------------------------------------------------

// Writes the name of a companion of the tensor `file` ("....weight" or a bare native name).
static const char *companion(const char *file, const char *tail, char out[ARCH_NAME_SIZE + 16]) {
  size_t n = verify_ends(file, ".weight") ? strlen(file) - 7 : strlen(file);
  snprintf(out, ARCH_NAME_SIZE + 16, "%.*s.%s", (int)n, file, tail);
  return out;
}

static void need_key(const Verify *v, Check *c, const char *name) {
  if (!verify_find(v, name)) check_fail(c, "%.200s", name);
}

void check_missing_keys(Verify *v, Check *c) {
  if (!need_layout(v, c)) return;
  char name[ARCH_NAME_SIZE + 16];
  for (size_t i = 0; i < v->arch.len; i++) {
    const ArchTensor *a = &v->arch.items[i];
    if (a->klass == ARCH_HEAD) continue; // check_head
    if (v->jangtq && a->klass == ARCH_EXPERT && !verify_find(v, a->name)) {
      static const char *const parts[] = {"tq_packed", "tq_norms", "tq_bits"};
      for (int k = 0; k < 3; k++) need_key(v, c, companion(a->name, parts[k], name));
      continue;
    }
    const VTensor *t = verify_find(v, a->name), *s = verify_find(v, companion(a->name, "scales", name));
    if (!t) check_fail(c, "%.200s", a->name);
    if (t && t->t->dtype == DT_U32 && !s) check_fail(c, "%.200s", name);
    if (s && s->t->dtype != DT_U8) need_key(v, c, companion(a->name, "biases", name));
  }
  check_note(c, "%zu tensors of the architecture", v->arch.len);
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_expected(const char *const *names, size_t n, const char *name) {
  static const char *const tails[] = {".scales", ".biases", ".tq_packed", ".tq_norms", ".tq_bits"};
  char weight[ARCH_NAME_SIZE + 16];
  if (bsearch(&name, names, n, sizeof *names, by_text)) return true;
  for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
    if (!verify_ends(name, tails[i]) || stem(name) >= ARCH_NAME_SIZE) continue;
    const char *key = weight;
    snprintf(weight, sizeof weight, "%.*s.weight", (int)stem(name), name);
    if (bsearch(&key, names, n, sizeof *names, by_text)) return true;
    weight[stem(name)] = '\0';
    return bsearch(&key, names, n, sizeof *names, by_text) != NULL;
  }
  return false;
}

void check_unexpected_keys(Verify *v, Check *c) {
  if (!need_layout(v, c)) return;
  const char **names = malloc((v->arch.len + 1) * sizeof *names);
  if (!names) {
    check_skip(c, "out of memory");
    return;
  }
  for (size_t i = 0; i < v->arch.len; i++) names[i] = v->arch.items[i].name;
  qsort(names, v->arch.len, sizeof *names, by_text);
  for (size_t i = 0; i < v->n_tensors; i++) {
    const char *name = v->tensors[i].t->name;
    bool elsewhere = !strncmp(name, "lm_head.", 8) || (v->experts != EXPERTS_LOCAL && strstr(name, LOCAL));
    if (!elsewhere && !is_expected(names, v->arch.len, name)) check_fail(c, "%.200s", name);
  }
  free(names);
}

// --- shapes and formats
// ---------------------------------------------------------------------------------------

// Packed rows of JANGTQ: 32 / bits values a word.
static void check_tq(const Verify *v, Check *c, const ArchTensor *a) {
  char name[ARCH_NAME_SIZE + 16], found[192];
  const VTensor *p = verify_find(v, companion(a->name, "tq_packed", name));
  const VTensor *n = verify_find(v, companion(a->name, "tq_norms", name));
  const VTensor *b = verify_find(v, companion(a->name, "tq_bits", name));
  if (!p || !n || !b) return; // missing-keys
  size_t bits = b->t->nbytes == 1 ? b->t->data[0] : 0;
  if (b->t->dtype != DT_U8 || bits < 2 || bits > 4) {
    check_fail(c, "%.200s: expected U8 [1] of 2, 3 or 4, found %s", b->t->name,
               st_describe(b->t, found, sizeof found));
    return;
  }
  size_t per_word = 32 / bits, cols = (a->shape[2] + per_word - 1) / per_word;
  if (p->t->dtype != DT_U32 || p->t->ndim != 3 || p->t->shape[1] != a->shape[1] || p->t->shape[2] != cols)
    check_fail(c, "%.200s: expected U32 [%zu, %zu, %zu], found %s", p->t->name, a->shape[0], a->shape[1],
               cols, st_describe(p->t, found, sizeof found));
  if (n->t->dtype != DT_F16 || n->t->ndim != 2 || n->t->shape[1] != a->shape[1])
    check_fail(c, "%.200s: expected F16 [%zu, %zu], found %s", n->t->name, a->shape[0], a->shape[1],
               st_describe(n->t, found, sizeof found));
}

static bool same_leading(const StTensor *t, const ArchTensor *a) {
  if (t->ndim != a->ndim) return false;
  for (int i = 0; i + 1 < a->ndim; i++)
    if (t->shape[i] != a->shape[i]) return false;
  return true;
}

static bool is_plain_float(Dtype t) { return t == DT_F16 || t == DT_BF16 || t == DT_F32; }

// The companions of packed codes: as many rows, and columns that make groups.
static void check_packed(const Verify *v, Check *c, const ArchTensor *a, const StTensor *t) {
  char name[ARCH_NAME_SIZE + 16], found[192];
  const VTensor *s = verify_find(v, companion(a->name, "scales", name));
  if (!s) return; // missing-keys
  const VTensor *z = verify_find(v, companion(a->name, "biases", name));
  const size_t cols = a->shape[a->ndim - 1], packed = t->shape[t->ndim - 1];
  const size_t groups = s->t->ndim ? s->t->shape[s->t->ndim - 1] : 0;
  if (!same_leading(s->t, a) || !groups || cols % groups ||
      (s->t->dtype != DT_U8 && !is_plain_float(s->t->dtype))) {
    check_fail(c, "%.200s: no scales for %zu inputs a row: %s", s->t->name, cols,
               st_describe(s->t, found, sizeof found));
    return;
  }
  const size_t group = cols / groups, bits = 32 * packed / cols;
  bool affine = s->t->dtype != DT_U8;
  bool group_ok = affine ? group == 32 || group == 64 || group == 128 : group == 16 || group == 32;
  bool bits_ok = bits >= 2 && bits <= 8 && bits != 7 && bits * cols == 32 * packed;
  if (!group_ok || !bits_ok)
    check_fail(c, "%.200s: %zu packed columns and %zu groups for %zu inputs are no known format", t->name,
               packed, groups, cols);
  if (affine && z &&
      (z->t->dtype != s->t->dtype || z->t->ndim != s->t->ndim ||
       memcmp(z->t->shape, s->t->shape, sizeof z->t->shape) != 0))
    check_fail(c, "%.200s: expected what its scales are, found %s", z->t->name,
               st_describe(z->t, found, sizeof found));
}

void check_shapes(Verify *v, Check *c) {
  if (!need_layout(v, c)) return;
  char found[192];
  for (size_t i = 0; i < v->arch.len; i++) {
    const ArchTensor *a = &v->arch.items[i];
    const VTensor *f = verify_find(v, a->name);
    if (!f) {
      if (v->jangtq && a->klass == ARCH_EXPERT) check_tq(v, c, a);
      continue; // else missing-keys
    }
    const StTensor *t = f->t;
    bool stacked = a->klass == ARCH_EXPERT && v->converted; // stacked-experts looks at the leading axis
    if (stacked && (t->ndim != a->ndim || t->shape[0] != a->shape[0])) continue;
    bool packed = a->quantizable && t->dtype == DT_U32;
    if (!same_leading(t, a) || (!packed && t->shape[t->ndim - 1] != a->shape[a->ndim - 1]) ||
        (!packed && !is_plain_float(t->dtype)))
      check_fail(c, "%.200s: found %s, which the config does not give", t->name,
                 st_describe(t, found, sizeof found));
    else if (packed)
      check_packed(v, c, a, t);
  }
}

// The first linear of a class as it is stored.
static bool sample(const Verify *v, ArchClass klass, Mat *m) {
  const ArchList *arch = bundle_arch(v->bundle);
  for (size_t i = 0; i < arch->len; i++)
    if (arch->items[i].klass == klass && arch->items[i].quantizable)
      return bundle_tensor(v->bundle, &arch->items[i], m, NULL);
  return false;
}

static void compare_int(Check *c, const char *file, const json_t *q, const char *key, int found) {
  const json_t *said = json_object_get(q, key);
  if (json_is_integer(said) && json_integer_value(said) != found)
    check_fail(c, "%s says %s %lld, the tensors have %d", file, key, (long long)json_integer_value(said),
               found);
}

static void compare_quantization(const Verify *v, Check *c, const char *file, const json_t *q) {
  static const ArchClass classes[] = {ARCH_EMBED, ARCH_ATTN, ARCH_EXPERT};
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
    Mat m;
    if (!sample(v, classes[i], &m)) continue;
    bool embed = classes[i] == ARCH_EMBED && json_object_get(q, "embed_bits");
    if (!m.group) {
      check_fail(c, "%s says that the %s are quantized, they are plain floats", file,
                 arch_class_name(classes[i]));
      continue;
    }
    compare_int(c, file, q, embed ? "embed_bits" : "bits", m.bits);
    const char *mode = json_text(q, "mode") ? json_text(q, "mode") : json_text(q, "method");
    // In the MX modes the embedding stays affine, with a group size that no key names.
    if (!embed || !mode || !strncmp(mode, "affine", 6)) compare_int(c, file, q, "group_size", m.group);
    if (mode && !embed && (m.kind == MAT_AFFINE) != !strncmp(mode, "affine", 6))
      check_fail(c, "%s says mode %.64s, the %s are %s", file, mode, arch_class_name(classes[i]),
                 m.kind == MAT_AFFINE ? "affine" : "in an MX format");
  }
}

void check_quantization(Verify *v, Check *c) {
  if (!need_converted(v, c) || !need_bundle(v, c)) return;
  if (v->jangtq) {
    check_skip(c, "JANGTQ: its formats are per tensor");
    return;
  }
  const json_t *q = json_object_get(v->config_json, "quantization");
  if (!json_is_object(q)) check_fail(c, "config.json has no quantization");
  if (q) compare_quantization(v, c, "config.json", q);
  compare_quantization(v, c, "jang_config.json", json_object_get(v->jang, "quantization"));
  char text[64];
  Mat m;
  if (sample(v, ARCH_EXPERT, &m)) check_note(c, "experts %s", mat_describe(&m, text, sizeof text));
}

void check_uniform(Verify *v, Check *c) {
  if (!need_bundle(v, c)) return;
  char first[ARCH_CLASSES][64] = {{0}}, text[64];
  const ArchList *arch = bundle_arch(v->bundle);
  for (size_t i = 0; i < arch->len; i++) {
    const ArchTensor *a = &arch->items[i];
    Mat m;
    if (!bundle_tensor(v->bundle, a, &m, NULL)) continue; // JANGTQ experts
    mat_describe(&m, text, sizeof text);
    if (!first[a->klass][0])
      snprintf(first[a->klass], sizeof first[0], "%s", text);
    else if (strcmp(first[a->klass], text))
      check_fail(c, "%.200s is %s, others of the %s are %s", a->name, text, arch_class_name(a->klass),
                 first[a->klass]);
  }
}

void check_head(Verify *v, Check *c) {
  if (!need_shards(v, c)) return;
  if (!v->config_ok) {
    check_skip(c, "config.json cannot be used");
    return;
  }
  bool there = verify_find(v, "lm_head.weight") != NULL;
  if (v->config.tied && there) check_fail(c, "lm_head.weight is there, though tie_word_embeddings is true");
  if (!v->config.tied && !there)
    check_fail(c, "lm_head.weight is missing, though tie_word_embeddings is false");
  check_note(c, v->config.tied ? "tied to the embedding" : "lm_head.weight");
}

// --- the sidecar
// --------------------------------------------------------------------------------------------

static void need_table(Check *c, const StFile *f, const char *name, size_t n) {
  const StTensor *t = st_find(f, name);
  char found[192];
  if (!t)
    check_fail(c, "%s has no %s", VERIFY_SIDECAR, name);
  else if (t->dtype != DT_F32 || t->ndim != 1 || t->shape[0] != n)
    check_fail(c, "%s: expected F32 [%zu], found %s", name, n, st_describe(t, found, sizeof found));
}

static void check_tables(const Verify *v, Check *c, const StFile *f) {
  const json_t *seed = json_object_get(v->config_json, "mxtq_seed");
  long long s = json_is_integer(seed) ? (long long)json_integer_value(seed) : 42;
  char name[ARCH_NAME_SIZE + 16];
  for (size_t i = 0; i < v->arch.len; i++) {
    const ArchTensor *a = &v->arch.items[i];
    const VTensor *b = verify_find(v, companion(a->name, "tq_bits", name));
    if (!b || b->t->nbytes != 1) continue;
    size_t d = a->shape[a->ndim - 1], bits = b->t->data[0];
    snprintf(name, sizeof name, "signs.%zu.%lld", d, s);
    need_table(c, f, name, d);
    snprintf(name, sizeof name, "codebook.%zu.%zu", d, bits);
    need_table(c, f, name, bits < 16 ? (size_t)1 << bits : 0);
  }
}

void check_sidecar(Verify *v, Check *c) {
  if (!need_shards(v, c)) return;
  bool there = jsonio_exists(v->dir, VERIFY_SIDECAR);
  if (!v->jangtq) {
    if (there) check_fail(c, VERIFY_SIDECAR " is there, and no tensor that needs it");
    check_note(c, "none, and none needed");
    return;
  }
  if (!there) {
    check_fail(c, VERIFY_SIDECAR " is missing, and there are JANGTQ tensors");
    return;
  }
  zaya_error err = {0};
  char path[4096];
  snprintf(path, sizeof path, "%s/" VERIFY_SIDECAR, v->dir);
  StFile *f = st_open(path, &err);
  if (f)
    check_tables(v, c, f);
  else
    check_fail(c, "%s", err.message);
  st_close(f);
}

void check_opens(Verify *v, Check *c) {
  if (v->bundle) return;
  if (v->out->n_failed)
    check_skip(c, "something above failed: %s", v->bundle_err.message);
  else
    check_fail(c, "%s", v->bundle_err.message);
}
