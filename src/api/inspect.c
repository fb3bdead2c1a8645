// inspect: zaya_inspect: a folder described from its headers and small JSON files.
#include "api/info.h"
#include "base/buf.h"
#include "format/bundle.h"
#include "format/jsonio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TOKENS = CONFIG_MAX_EOS + 3 };

// Behind the public struct: what its pointers point to.
typedef struct Inspection {
  zaya_inspection pub;
  Bundle *bundle;
  zaya_tensor_class classes[ARCH_CLASSES];
  char formats[ARCH_CLASSES][48];
  zaya_token_info tokens[MAX_TOKENS];
  json_t *tokenizer, *generation; // tokenizer_config.json and generation_config.json, or NULL
  char **notes;
  size_t n_notes;
} Inspection;

static bool note(Inspection *in, zaya_error *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static bool note(Inspection *in, zaya_error *err, const char *fmt, ...) {
  Buf b = {0};
  char text[1024];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  char **notes = realloc(in->notes, (in->n_notes + 1) * sizeof *notes);
  if (!notes) return err_memory(err, in->n_notes, "the notes");
  in->notes = notes;
  if (!buf_puts(&b, text, err)) return false;
  notes[in->n_notes++] = b.data;
  return true;
}

// --- tensors -------------------------------------------------------------------------------------------

// Keys and bytes that belong to one tensor of the model.
static void count_keys(const Bundle *b, const char *name, zaya_tensor_class *k) {
  static const char *const tails[] = {"scales", "biases", "tq_packed", "tq_norms", "tq_bits"};
  char key[ARCH_NAME_SIZE + 16];
  const StTensor *t = bundle_find(b, name);
  if (t) {
    k->n_keys++;
    k->n_bytes += t->nbytes;
  }
  size_t n = strlen(name);
  if (n > 7 && !strcmp(name + n - 7, ".weight")) n -= 7;
  for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
    snprintf(key, sizeof key, "%.*s.%s", (int)n, name, tails[i]);
    if (!(t = bundle_find(b, key))) continue;
    k->n_keys++;
    k->n_bytes += t->nbytes;
  }
}

static void merge_format(char *format, size_t size, const char *one) {
  if (!*format)
    snprintf(format, size, "%s", one);
  else if (strcmp(format, one) != 0)
    snprintf(format, size, "mixed");
}

// A class whose tensors cannot all be used says why, once.
static bool add_tensor(Inspection *in, const ArchTensor *t, bool *complained, zaya_error *err) {
  zaya_tensor_class *k = &in->classes[t->klass];
  char text[48];
  Mat m;
  zaya_error why = {0};
  k->n_tensors++;
  k->n_params += arch_elements(t);
  count_keys(in->bundle, t->name, k);
  if (bundle_tensor(in->bundle, t, &m, &why)) {
    merge_format(in->formats[t->klass], sizeof in->formats[t->klass], mat_describe(&m, text, sizeof text));
    return true;
  }
  merge_format(in->formats[t->klass], sizeof in->formats[t->klass],
               why.status == ZAYA_E_UNSUPPORTED ? "unsupported" : "unusable");
  if (complained[t->klass]) return true;
  complained[t->klass] = true;
  return note(in, err, "%s", why.message);
}

static bool fill_classes(Inspection *in, zaya_error *err) {
  const ArchList *list = bundle_arch(in->bundle);
  bool complained[ARCH_CLASSES] = {0};
  for (size_t i = 0; i < list->len; i++) {
    if (!add_tensor(in, &list->items[i], complained, err)) return false;
  }
  for (int k = 0; k < ARCH_CLASSES; k++) {
    in->classes[k].name = arch_class_name((ArchClass)k);
    in->classes[k].format = in->formats[k];
    if (in->classes[k].n_tensors) in->classes[in->pub.n_classes++] = in->classes[k];
  }
  in->pub.model.format = in->formats[ARCH_EXPERT];
  in->pub.classes = in->classes;
  return true;
}

static bool fill_tensors(Inspection *in, zaya_error *err) {
  size_t n = bundle_count(in->bundle);
  zaya_tensor_info *list = calloc(n + 1, sizeof *list);
  if (!list) return err_memory(err, n * sizeof *list, "the list of tensors");
  in->pub.tensors = list;
  in->pub.n_tensors = n;
  for (size_t i = 0; i < n; i++) {
    const StTensor *t = bundle_at(in->bundle, i);
    list[i] = (zaya_tensor_info){.name = t->name,
                                 .dtype = dtype_name(t->dtype),
                                 .shard = bundle_shard_of(in->bundle, i),
                                 .ndim = t->ndim,
                                 .n_bytes = t->nbytes};
    memcpy(list[i].shape, t->shape, sizeof list[i].shape);
  }
  in->pub.n_shards = bundle_shards(in->bundle);
  for (size_t i = 0; i < in->pub.n_shards; i++)
    in->pub.file_bytes += st_file_size(bundle_shard(in->bundle, i));
  return true;
}

// --- special tokens ------------------------------------------------------------------------------------

static const char *token_text(const json_t *tokenizer, int id) {
  char key[16];
  snprintf(key, sizeof key, "%d", id);
  const json_t *entry = json_object_get(json_object_get(tokenizer, "added_tokens_decoder"), key);
  return json_string_value(json_object_get(entry, "content"));
}

// "bos_token": a string, or an object with its content.
static const char *named_token(const json_t *tokenizer, const char *key) {
  const json_t *v = json_object_get(tokenizer, key);
  return json_is_object(v) ? json_string_value(json_object_get(v, "content")) : json_string_value(v);
}

static bool add_token(Inspection *in, const char *role, int id, const char *name, zaya_error *err) {
  const char *text = id >= 0 ? token_text(in->tokenizer, id) : NULL;
  if (text && name && strcmp(text, name) != 0 &&
      !note(in, err, "config.json says %s is %d (%.64s), tokenizer_config.json says %.64s", role, id, text,
            name))
    return false;
  if (!text) text = name;
  if (id >= 0 || text) in->tokens[in->pub.n_tokens++] = (zaya_token_info){role, id, text};
  return true;
}

static bool generation_agrees(const Inspection *in, const Config *c) {
  const json_t *v = json_object_get(in->generation, "eos_token_id");
  if (!v || json_is_null(v)) return true;
  size_t n = json_is_array(v) ? json_array_size(v) : 1;
  for (size_t i = 0; i < n; i++) {
    const json_t *item = json_is_array(v) ? json_array_get(v, i) : v;
    bool found = false;
    for (int k = 0; k < c->n_eos; k++) found |= json_integer_value(item) == c->eos[k];
    if (!found) return false;
  }
  return true;
}

static bool read_optional(Inspection *in, const char *dir, const char *name, json_t **out, zaya_error *err) {
  zaya_error why = {0};
  if (!jsonio_exists(dir, name)) return true;
  *out = jsonio_read(dir, name, &why);
  return *out || note(in, err, "%s", why.message);
}

static bool fill_tokens(Inspection *in, zaya_error *err) {
  const char *dir = bundle_dir(in->bundle);
  const Config *c = bundle_config(in->bundle);
  if (!read_optional(in, dir, "tokenizer_config.json", &in->tokenizer, err) ||
      !read_optional(in, dir, "generation_config.json", &in->generation, err))
    return false;
  const char *eos = named_token(in->tokenizer, "eos_token");
  in->pub.tokens = in->tokens;
  if (!add_token(in, "bos", c->bos, named_token(in->tokenizer, "bos_token"), err)) return false;
  for (int i = 0; i < c->n_eos; i++)
    if (!add_token(in, "eos", c->eos[i], c->n_eos == 1 ? eos : NULL, err)) return false;
  if (!c->n_eos && !add_token(in, "eos", -1, eos, err)) return false;
  if (!add_token(in, "pad", c->pad, named_token(in->tokenizer, "pad_token"), err)) return false;
  if (!generation_agrees(in, c) &&
      !note(in, err, "generation_config.json and config.json name different eos tokens"))
    return false;
  if (!jsonio_exists(dir, "tokenizer.json") && !note(in, err, "tokenizer.json is not there")) return false;
  bool has_template =
      jsonio_exists(dir, "chat_template.jinja") || json_object_get(in->tokenizer, "chat_template");
  return has_template || note(in, err, "there is no chat template");
}

// --- the whole -----------------------------------------------------------------------------------------

static void fill_shape(Inspection *in) {
  const Config *c = bundle_config(in->bundle);
  zaya_inspection *p = &in->pub;
  uint64_t attention = (uint64_t)c->n_layers / 2, kv = (uint64_t)c->n_kv * (uint64_t)c->head_dim;
  p->model = info_of(in->bundle);
  p->tied_head = c->tied;
  p->rope_theta = c->rope_theta;
  p->norm_eps = c->norm_eps;
  p->kv_bytes_per_token = attention * 2 * kv * 2;
  p->kv_bytes_full = p->kv_bytes_per_token * (uint64_t)c->max_position;
  p->state_bytes = attention * 4 * (2 * (uint64_t)config_conv_channels(c) + (uint64_t)c->hidden);
}

static bool fill_notes(Inspection *in, zaya_error *err) {
  const char *text;
  for (size_t i = 0; (text = bundle_note(in->bundle, i)); i++)
    if (!note(in, err, "%s", text)) return false;
  return true;
}

zaya_inspection *zaya_inspect(const char *dir, zaya_error *err) {
  Inspection *in = calloc(1, sizeof *in);
  if (!in) {
    err_memory(err, sizeof *in, "an inspection");
    return NULL;
  }
  in->bundle = bundle_open(dir, err);
  if (in->bundle) fill_shape(in);
  if (!in->bundle || !fill_notes(in, err) || !fill_classes(in, err) || !fill_tensors(in, err) ||
      !fill_tokens(in, err)) {
    zaya_inspection_free(&in->pub);
    return NULL;
  }
  in->pub.notes = (const char *const *)in->notes;
  in->pub.n_notes = in->n_notes;
  return &in->pub;
}

void zaya_inspection_free(zaya_inspection *inspection) {
  if (!inspection) return;
  Inspection *in = (Inspection *)inspection; // pub is its first member
  bundle_close(in->bundle);
  json_decref(in->tokenizer);
  json_decref(in->generation);
  for (size_t i = 0; i < in->n_notes; i++) free(in->notes[i]);
  free(in->notes);
  free((void *)(uintptr_t)in->pub.tensors);
  free(in);
}
