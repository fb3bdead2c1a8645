// bundle: see bundle.h. This file owns the shards, the index and the table of names.
#include "format/bundle.h"

#include "base/buf.h"
#include "format/bundle_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char index_name[] = "model.safetensors.index.json", single_name[] = "model.safetensors";

const char *bundle_dir(const Bundle *b) { return b->dir; }
const Config *bundle_config(const Bundle *b) { return &b->config; }
ExpertLayout bundle_experts(const Bundle *b) { return b->experts; }
size_t bundle_count(const Bundle *b) { return b->n_entries; }
const StTensor *bundle_at(const Bundle *b, size_t i) { return b->entries[i].tensor; }
const char *bundle_shard_of(const Bundle *b, size_t i) { return b->shard_names[b->entries[i].shard]; }
size_t bundle_shards(const Bundle *b) { return b->n_shards; }
const StFile *bundle_shard(const Bundle *b, size_t i) { return b->shards[i]; }
const ArchList *bundle_arch(const Bundle *b) { return &b->arch; }
const char *bundle_note(const Bundle *b, size_t i) { return i < b->n_notes ? b->notes[i] : NULL; }

const char *bundle_layout_name(const Bundle *b) {
  switch (b->experts) {
  case EXPERTS_SWITCH: return "switch_mlp";
  case EXPERTS_LOCAL: return "legacy";
  case EXPERTS_FUSED: return "native";
  }
  return "?";
}

bool bundle_add_note(Bundle *b, zaya_error *err, const char *fmt, ...) {
  char text[512];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  char **notes = realloc(b->notes, (b->n_notes + 1) * sizeof *notes);
  if (notes) b->notes = notes;
  char *copy = notes ? strdup(text) : NULL;
  if (!copy) return err_memory(err, sizeof text, "a note");
  b->notes[b->n_notes++] = copy;
  return true;
}

// --- shards ------------------------------------------------------------------------------------------

// A shard is a plain file name in the folder: an index must not reach outside.
static bool is_plain_name(const char *s) {
  if (!*s || !strcmp(s, ".") || !strcmp(s, "..")) return false;
  for (; *s; s++)
    if (*s == '/' || *s == '\\' || (unsigned char)*s < 0x20 || *s == 0x7f) return false;
  return true;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// The distinct shard names of the index, sorted; they point into it.
static bool collect_shards(Bundle *b, const json_t *map, zaya_error *err) {
  const char *key;
  json_t *v;
  size_t n = 0;
  const char *last = NULL;
  b->shard_names = calloc(json_object_size(map) + 1, sizeof *b->shard_names);
  if (!b->shard_names) return err_memory(err, json_object_size(map), "the shard names");
  json_object_foreach((json_t *)(uintptr_t)map, key, v) {
    const char *s = json_string_value(v);
    if (!s)
      return err_set(err, ZAYA_E_FORMAT, "%s/%s: weight_map: %.200s names no file", b->dir, index_name, key);
    if (!is_plain_name(s))
      return err_set(err, ZAYA_E_FORMAT, "%s/%s: weight_map: the shard of %.200s is not a plain file name",
                     b->dir, index_name, key);
    if (!last || strcmp(last, s) != 0) b->shard_names[n++] = last = s; // runs are the rule
  }
  qsort(b->shard_names, n, sizeof *b->shard_names, by_text);
  size_t kept = 0;
  for (size_t i = 0; i < n; i++)
    if (!kept || strcmp(b->shard_names[kept - 1], b->shard_names[i]) != 0)
      b->shard_names[kept++] = b->shard_names[i];
  b->n_shards = kept;
  return true;
}

static bool open_shards(Bundle *b, zaya_error *err) {
  Buf path = {0};
  bool ok = true;
  b->shards = calloc(b->n_shards + 1, sizeof *b->shards);
  if (!b->shards) return err_memory(err, b->n_shards, "the shards");
  for (size_t i = 0; ok && i < b->n_shards; i++) {
    buf_clear(&path);
    ok = buf_printf(&path, err, "%s/%s", b->dir, b->shard_names[i]) &&
         (b->shards[i] = st_open(path.data, err)) != NULL;
  }
  buf_free(&path);
  return ok;
}

static int by_tensor_name(const void *a, const void *b) {
  const BundleEntry *x = a, *y = b;
  int c = strcmp(x->tensor->name, y->tensor->name);
  return c ? c : (x->shard > y->shard) - (x->shard < y->shard);
}

static bool list_tensors(Bundle *b, zaya_error *err) {
  size_t n = 0;
  for (size_t s = 0; s < b->n_shards; s++) n += st_count(b->shards[s]);
  b->entries = malloc((n + 1) * sizeof *b->entries);
  if (!b->entries) return err_memory(err, n, "the table of tensors");
  for (size_t s = 0; s < b->n_shards; s++)
    for (size_t i = 0; i < st_count(b->shards[s]); i++)
      b->entries[b->n_entries++] = (BundleEntry){st_at(b->shards[s], i), s};
  qsort(b->entries, n, sizeof *b->entries, by_tensor_name);
  for (size_t i = 1; i < n; i++)
    if (!strcmp(b->entries[i - 1].tensor->name, b->entries[i].tensor->name))
      return err_set(err, ZAYA_E_FORMAT, "%s: tensor %.200s is in both %s and %s", b->dir,
                     b->entries[i].tensor->name, bundle_shard_of(b, i - 1), bundle_shard_of(b, i));
  return true;
}

static const BundleEntry *find_entry(const Bundle *b, const char *name) {
  StTensor key = {.name = name};
  size_t lo = 0, hi = b->n_entries;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    int c = strcmp(key.name, b->entries[mid].tensor->name);
    if (c == 0) return &b->entries[mid];
    if (c < 0)
      hi = mid;
    else
      lo = mid + 1;
  }
  return NULL;
}

const StTensor *bundle_find(const Bundle *b, const char *name) {
  const BundleEntry *e = find_entry(b, name);
  return e ? e->tensor : NULL;
}

const char *bundle_path_of(const Bundle *b, const StTensor *t) {
  const BundleEntry *e = find_entry(b, t->name);
  return e ? st_path(b->shards[e->shard]) : b->dir;
}

// Every key must be where the index says; what the index leaves out is only noted.
static bool check_index(Bundle *b, const json_t *map, zaya_error *err) {
  const char *key;
  json_t *v;
  json_object_foreach((json_t *)(uintptr_t)map, key, v) {
    const BundleEntry *e = find_entry(b, key);
    if (!e)
      return err_set(err, ZAYA_E_FORMAT, "%s/%s: tensor %.200s is not in %.200s", b->dir, index_name, key,
                     json_string_value(v));
    if (strcmp(b->shard_names[e->shard], json_string_value(v)) != 0)
      return err_set(err, ZAYA_E_FORMAT, "%s/%s: tensor %.200s is in %.200s, not in %.200s", b->dir,
                     index_name, key, b->shard_names[e->shard], json_string_value(v));
  }
  size_t unlisted = 0;
  const char *first = "";
  for (size_t i = b->n_entries; i-- > 0;)
    if (!json_object_get(map, b->entries[i].tensor->name)) {
      unlisted++;
      first = b->entries[i].tensor->name;
    }
  return !unlisted || bundle_add_note(b, err, "%s does not list %zu tensors of the shards: %.200s%s",
                                      index_name, unlisted, first, unlisted > 1 ? ", ..." : "");
}

static bool open_files(Bundle *b, zaya_error *err) {
  if (jsonio_exists(b->dir, index_name)) {
    b->index = jsonio_read(b->dir, index_name, err);
    if (!b->index) return false;
    const json_t *map = json_object_get(b->index, "weight_map");
    if (!json_is_object(map) || !json_object_size(map))
      return err_set(err, ZAYA_E_FORMAT, "%s/%s: no weight_map", b->dir, index_name);
    return collect_shards(b, map, err) && open_shards(b, err) && list_tensors(b, err) &&
           check_index(b, map, err);
  }
  if (!jsonio_exists(b->dir, single_name))
    return err_set(err, ZAYA_E_IO, "%s: neither %s nor %s is there", b->dir, index_name, single_name);
  b->shard_names = calloc(1, sizeof *b->shard_names);
  if (!b->shard_names) return err_memory(err, sizeof *b->shard_names, "the shard names");
  b->shard_names[0] = single_name;
  b->n_shards = 1;
  return open_shards(b, err) && list_tensors(b, err);
}

// --- names and layout --------------------------------------------------------------------------------

static bool has_any(const Bundle *b, const char *base, const char *const *tails) {
  char name[ARCH_NAME_SIZE];
  for (; *tails; tails++) {
    snprintf(name, sizeof name, "%s%s", base, *tails);
    if (find_entry(b, name)) return true;
  }
  return false;
}

static bool find_layout(Bundle *b, zaya_error *err) {
  static const char *const weight[] = {".weight", ".tq_packed", NULL}, *const bare[] = {"", ".weight", NULL};
  if (has_any(b, "model.layers.1.zaya_block.experts.switch_mlp.gate_proj", weight))
    b->experts = EXPERTS_SWITCH;
  else if (has_any(b, "model.layers.1.zaya_block.experts.local_experts.0.linear_fc1", weight))
    b->experts = EXPERTS_LOCAL;
  else if (has_any(b, "model.layers.0.mlp.experts.gate_up_proj", bare))
    b->experts = EXPERTS_FUSED;
  else
    return err_set(
        err, ZAYA_E_FORMAT,
        "%s: no expert tensors: expected model.layers.1.zaya_block.experts.switch_mlp.gate_proj.weight, "
        "...local_experts.0.linear_fc1.weight or model.layers.0.mlp.experts.gate_up_proj",
        b->dir);
  b->native_names = b->experts == EXPERTS_FUSED;
  return true;
}

static int by_canonical(const void *a, const void *b) {
  const ArchTensor *const *x = a, *const *y = b;
  return strcmp((*x)->canonical, (*y)->canonical);
}

static bool list_arch(Bundle *b, zaya_error *err) {
  if (!arch_list(&b->config, b->experts, &b->arch, err)) return false;
  b->by_canonical = malloc((b->arch.len + 1) * sizeof *b->by_canonical);
  if (!b->by_canonical) return err_memory(err, b->arch.len, "the list of tensors");
  for (size_t i = 0; i < b->arch.len; i++) b->by_canonical[i] = &b->arch.items[i];
  qsort(b->by_canonical, b->arch.len, sizeof *b->by_canonical, by_canonical);
  return true;
}

const ArchTensor *bundle_arch_find(const Bundle *b, const char *canonical) {
  size_t lo = 0, hi = b->arch.len;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    int c = strcmp(canonical, b->by_canonical[mid]->canonical);
    if (c == 0) return b->by_canonical[mid];
    if (c < 0)
      hi = mid;
    else
      lo = mid + 1;
  }
  return NULL;
}

bool bundle_file_name(const Bundle *b, const char *canonical, char out[ARCH_NAME_SIZE], zaya_error *err) {
  if (b->native_names ? arch_native_name(canonical, b->config.n_layers, out, ARCH_NAME_SIZE)
                      : snprintf(out, ARCH_NAME_SIZE, "%s", canonical) < ARCH_NAME_SIZE)
    return true;
  return err_set(err, ZAYA_E_INVALID, "%s: no tensor of this layout is called %.200s", b->dir, canonical);
}

bool bundle_has(const Bundle *b, const char *name) {
  char file[ARCH_NAME_SIZE];
  return bundle_file_name(b, name, file, NULL) && find_entry(b, file);
}

// --- opening -----------------------------------------------------------------------------------------

static bool open_all(Bundle *b, zaya_error *err) {
  if (!config_read(b->dir, &b->config, err) || !open_files(b, err) || !find_layout(b, err) ||
      !list_arch(b, err))
    return false;
  if (jsonio_exists(b->dir, "jang_config.json") && !(b->jang = jsonio_read(b->dir, "jang_config.json", err)))
    return false;
  return bundle_take_notes(b, err);
}

Bundle *bundle_open(const char *dir, zaya_error *err) {
  Bundle *b = calloc(1, sizeof *b);
  if (!b || !(b->dir = strdup(dir))) {
    free(b);
    err_memory(err, sizeof *b, dir);
    return NULL;
  }
  if (open_all(b, err)) return b;
  bundle_close(b);
  return NULL;
}

void bundle_close(Bundle *b) {
  if (!b) return;
  for (size_t i = 0; b->shards && i < b->n_shards; i++) st_close(b->shards[i]);
  for (size_t i = 0; i < b->n_notes; i++) free(b->notes[i]);
  arch_free(&b->arch);
  free(b->by_canonical);
  free(b->notes);
  free(b->shards);
  free(b->shard_names);
  free(b->entries);
  json_decref(b->index);
  json_decref(b->jang);
  free(b->dir);
  free(b);
}
