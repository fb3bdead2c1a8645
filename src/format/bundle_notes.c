// bundle_notes: what config.json, jang_config.json and the index claim, compared with the tensors. The
// tensors win; a contradiction becomes a note.
#include "format/bundle_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The first linear of a class, as it is stored; false when it cannot be read (its user will say why).
static bool sample(const Bundle *b, ArchClass klass, const ArchTensor **t, Mat *m) {
  for (size_t i = 0; i < b->arch.len; i++)
    if (b->arch.items[i].klass == klass && b->arch.items[i].quantizable) {
      *t = &b->arch.items[i];
      return bundle_tensor(b, *t, m, NULL);
    }
  return false;
}

static bool is_quantized(const Mat *m) { return m->group != 0; }

static bool compare_int(Bundle *b, const char *file, const json_t *q, const char *key, int found,
                        const ArchTensor *t, zaya_error *err) {
  const json_t *v = json_object_get(q, key);
  if (!json_is_integer(v) || json_integer_value(v) == found) return true;
  return bundle_add_note(b, err, "%s says %s %lld, but %s has %d", file, key,
                         (long long)json_integer_value(v), t->name, found);
}

static const char *mode_of(const json_t *q) {
  const char *mode = json_string_value(json_object_get(q, "mode"));
  return mode ? mode : json_string_value(json_object_get(q, "method"));
}

static bool compare_mode(Bundle *b, const char *file, const char *mode, const Mat *m, const ArchTensor *t,
                         zaya_error *err) {
  if (!mode || (m->kind == MAT_AFFINE) == !strncmp(mode, "affine", 6)) return true;
  return bundle_add_note(b, err, "%s says mode %.64s, but %s is %s", file, mode, t->name,
                         m->kind == MAT_AFFINE ? "affine" : "an MX format");
}

// What a quantization object says of one module: an object of the module's name in it goes first.
static const json_t *settings_of(const json_t *q, const ArchTensor *t) {
  char module[ARCH_NAME_SIZE];
  size_t n = strlen(t->name);
  if (n > 7 && !strcmp(t->name + n - 7, ".weight")) n -= 7;
  snprintf(module, sizeof module, "%.*s", (int)n, t->name);
  const json_t *own = json_object_get(q, module);
  return json_is_object(own) ? own : q;
}

// `q` is the "quantization" object of `file`.
static bool compare_quantization(Bundle *b, const char *file, const json_t *all, zaya_error *err) {
  static const ArchClass classes[] = {ARCH_EMBED, ARCH_HEAD, ARCH_ATTN, ARCH_EXPERT};
  if (!json_is_object(all)) return true;
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
    const ArchTensor *t;
    Mat m;
    if (!sample(b, classes[i], &t, &m)) continue;
    if (!is_quantized(&m)) {
      if (!bundle_add_note(b, err, "%s says quantization, but %s holds plain floats", file, t->name))
        return false;
      continue;
    }
    const json_t *q = settings_of(all, t);
    bool outer = (classes[i] == ARCH_EMBED || classes[i] == ARCH_HEAD) && json_object_get(q, "embed_bits");
    // embed_bits speaks of affine codes, whatever the mode of the other layers.
    const char *mode = mode_of(q);
    bool other_mode = outer && mode && strncmp(mode, "affine", 6) != 0;
    if (!compare_int(b, file, q, outer ? "embed_bits" : "bits", m.bits, t, err) ||
        (!other_mode && (!compare_int(b, file, q, "group_size", m.group, t, err) ||
                         !compare_mode(b, file, mode, &m, t, err))))
      return false;
  }
  return true;
}

static bool note_config(Bundle *b, zaya_error *err) {
  json_t *config = jsonio_read(b->dir, "config.json", err);
  if (!config) return false;
  const json_t *q = json_object_get(config, "quantization");
  const char *layout = json_string_value(json_object_get(config, "zaya_expert_layout"));
  bool ok = compare_quantization(b, "config.json", q, err);
  if (ok && layout && !strcmp(layout, "split_switch_mlp") != (b->experts == EXPERTS_SWITCH))
    ok =
        bundle_add_note(b, err, "config.json says zaya_expert_layout %.64s, but the experts are stored as %s",
                        layout, bundle_layout_name(b));
  const ArchTensor *t;
  Mat m;
  if (ok && !q && sample(b, ARCH_EXPERT, &t, &m) && is_quantized(&m))
    ok = bundle_add_note(b, err, "config.json has no quantization, but %s is quantized", t->name);
  json_decref(config);
  return ok && compare_quantization(b, "jang_config.json", json_object_get(b->jang, "quantization"), err);
}

// total_size is the sum of the file sizes in converted bundles, of the tensor bytes elsewhere.
static bool note_total_size(Bundle *b, zaya_error *err) {
  const json_t *v = json_object_get(json_object_get(b->index, "metadata"), "total_size");
  if (!json_is_integer(v)) return true;
  size_t files = 0, tensors = 0, said = (size_t)json_integer_value(v);
  for (size_t i = 0; i < b->n_shards; i++) files += st_file_size(b->shards[i]);
  for (size_t i = 0; i < b->n_entries; i++) tensors += b->entries[i].tensor->nbytes;
  return said == files || said == tensors ||
         bundle_add_note(b, err,
                         "the index says total_size %zu, but there are %zu bytes of files, %zu of tensors",
                         said, files, tensors);
}

static bool note_head(Bundle *b, zaya_error *err) {
  bool there = bundle_find(b, "lm_head.weight") != NULL;
  return !there || !b->config.tied ||
         bundle_add_note(b, err,
                         "lm_head.weight is there, but the config ties the head to the embedding: not used");
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Whether `name`, or the weight that it belongs to as scales or the like, is among the sorted names.
static bool is_expected(const char *const *names, size_t n, const char *name) {
  static const char *const tails[] = {".scales", ".biases", ".tq_packed", ".tq_norms", ".tq_bits"};
  char weight[ARCH_NAME_SIZE + 16];
  if (bsearch(&name, names, n, sizeof *names, by_text)) return true;
  size_t len = strlen(name);
  for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
    size_t k = strlen(tails[i]);
    if (len <= k || len - k >= ARCH_NAME_SIZE || strcmp(name + len - k, tails[i]) != 0) continue;
    snprintf(weight, sizeof weight, "%.*s.weight", (int)(len - k), name);
    const char *key = weight;
    return bsearch(&key, names, n, sizeof *names, by_text) != NULL;
  }
  return false;
}

static bool note_strangers(Bundle *b, zaya_error *err) {
  const char **names = malloc((b->arch.len + 1) * sizeof *names), *first = "";
  size_t strangers = 0;
  if (!names) return err_memory(err, b->arch.len, "the list of names");
  for (size_t i = 0; i < b->arch.len; i++) names[i] = b->arch.items[i].name;
  qsort(names, b->arch.len, sizeof *names, by_text);
  for (size_t i = b->n_entries; i-- > 0;) {
    const char *name = b->entries[i].tensor->name;
    if (strncmp(name, "lm_head.", 8) && !is_expected(names, b->arch.len, name)) {
      strangers++;
      first = name;
    }
  }
  free(names);
  return !strangers || bundle_add_note(b, err, "%zu tensors are not part of the model: %.200s%s", strangers,
                                       first, strangers > 1 ? ", ..." : "");
}

bool bundle_take_notes(Bundle *b, zaya_error *err) {
  return note_config(b, err) && note_total_size(b, err) && note_head(b, err) && note_strangers(b, err);
}
