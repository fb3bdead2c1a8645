// verify_files: the folder's files: configs that can be read, shards, headers, the index in both
// directions. See verify.h.
#include "base/error.h"
#include "bundle/verify.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- reading ----------------------------------------------------------------------------------------------

static VShard *add_shard(Verify *v, const char *name, zaya_error *err) {
  for (size_t i = 0; i < v->n_shards; i++)
    if (!strcmp(v->shards[i].name, name)) return &v->shards[i];
  VShard *shards = realloc(v->shards, (v->n_shards + 1) * sizeof *shards);
  char *copy = strdup(name);
  if (shards) v->shards = shards;
  if (!shards || !copy) {
    free(copy);
    err_memory(err, sizeof *shards, "the shards");
    return NULL;
  }
  v->shards[v->n_shards] = (VShard){.name = copy};
  return &v->shards[v->n_shards++];
}

static bool list_folder(Verify *v, zaya_error *err) {
  DIR *d = opendir(v->dir);
  if (!d) return err_errno(err, errno, "%s: cannot open", v->dir);
  bool ok = true;
  for (struct dirent *e; ok && (e = readdir(d)) != NULL;) {
    if (!verify_ends(e->d_name, ".safetensors") || !strcmp(e->d_name, VERIFY_SIDECAR)) continue;
    VShard *s = add_shard(v, e->d_name, err);
    ok = s != NULL;
    if (ok) s->there = true;
  }
  closedir(d);
  return ok;
}

static bool is_plain_name(const char *s) {
  return s && *s && *s != '.' && !strchr(s, '/') && !strchr(s, '\\');
}

static bool list_index(Verify *v, zaya_error *err) {
  const char *key;
  json_t *value, *map = json_object_get(v->index, "weight_map");
  json_object_foreach(map, key, value) {
    const char *name = json_string_value(value);
    if (!is_plain_name(name)) continue; // check_index says so
    VShard *s = add_shard(v, name, err);
    if (!s) return false;
    s->listed = true;
  }
  return true;
}

static int by_shard_name(const void *a, const void *b) {
  return strcmp(((const VShard *)a)->name, ((const VShard *)b)->name);
}

static int by_tensor_name(const void *a, const void *b) {
  const VTensor *x = a, *y = b;
  int c = strcmp(x->t->name, y->t->name);
  return c ? c : (x->shard > y->shard) - (x->shard < y->shard);
}

static bool open_shards(Verify *v, zaya_error *err) {
  Buf path = {0};
  size_t n = 0;
  v->shards_ok = v->n_shards > 0;
  for (size_t i = 0; i < v->n_shards; i++) {
    VShard *s = &v->shards[i];
    buf_clear(&path);
    if (!buf_printf(&path, err, "%s/%s", v->dir, s->name)) return false;
    if (s->there) s->file = st_open(path.data, &s->err);
    v->shards_ok = v->shards_ok && s->file;
    if (s->file) n += st_count(s->file);
  }
  buf_free(&path);
  v->tensors = malloc((n + 1) * sizeof *v->tensors);
  if (!v->tensors) return err_memory(err, n * sizeof *v->tensors, "the table of tensors");
  for (size_t i = 0; i < v->n_shards; i++)
    for (size_t k = 0; v->shards[i].file && k < st_count(v->shards[i].file); k++)
      v->tensors[v->n_tensors++] = (VTensor){st_at(v->shards[i].file, k), i};
  qsort(v->tensors, v->n_tensors, sizeof *v->tensors, by_tensor_name);
  return true;
}

static json_t *read_json(const Verify *v, const char *name) {
  return jsonio_exists(v->dir, name) ? jsonio_read(v->dir, name, NULL) : NULL;
}

bool verify_read_files(Verify *v, zaya_error *err) {
  v->config_json = read_json(v, "config.json");
  v->config_ok = config_read(v->dir, &v->config, NULL);
  v->jang = read_json(v, "jang_config.json");
  v->index = read_json(v, VERIFY_INDEX);
  v->generation = read_json(v, "generation_config.json");
  v->tok_config = read_json(v, "tokenizer_config.json");
  v->special_map = read_json(v, "special_tokens_map.json");
  if (!list_folder(v, err) || !list_index(v, err)) return false;
  if (v->n_shards) qsort(v->shards, v->n_shards, sizeof *v->shards, by_shard_name);
  if (!open_shards(v, err)) return false;
  v->converted = jsonio_exists(v->dir, "jang_config.json") ||
                 json_object_get(v->config_json, "weight_format") ||
                 json_object_get(v->config_json, "quantization");
  for (size_t i = 0; i < v->n_tensors; i++) {
    const char *name = v->tensors[i].t->name;
    v->jangtq = v->jangtq || verify_ends(name, ".tq_packed");
    v->converted = v->converted || verify_ends(name, ".scales") || verify_ends(name, ".tq_packed");
  }
  return true;
}

// --- checks -----------------------------------------------------------------------------------------------

void check_config(Verify *v, Check *c) {
  zaya_error err = {0};
  Config config;
  if (!config_read(v->dir, &config, &err)) check_fail(c, "%s", err.message);
}

void check_jang_config(Verify *v, Check *c) {
  if (!need_converted(v, c)) return;
  zaya_error err = {0};
  if (!jsonio_exists(v->dir, "jang_config.json")) {
    check_fail(c, "jang_config.json is not there");
  } else if (!v->jang) {
    json_decref(jsonio_read(v->dir, "jang_config.json", &err));
    check_fail(c, "%s", err.message);
  } else {
    const char *a = json_text(v->config_json, "weight_format"), *b = json_text(v->jang, "weight_format");
    const char *arch = json_text(json_object_get(v->jang, "source_model"), "architecture");
    if (!b || (a && strcmp(a, b)))
      check_fail(c, "weight_format is %s, config.json says %s", b ? b : "not there", a ? a : "nothing");
    if (arch && strcmp(arch, "zaya")) check_fail(c, "source_model.architecture is %s, not zaya", arch);
    if (!json_is_integer(json_object_get(v->jang, "version"))) check_fail(c, "version is not there");
  }
}

void check_headers(Verify *v, Check *c) {
  size_t n = 0;
  for (size_t i = 0; i < v->n_shards; i++) {
    const VShard *s = &v->shards[i];
    if (s->there && !s->file) check_fail(c, "%s", s->err.message);
    n += s->file != NULL;
  }
  if (!n && !c->problems) check_skip(c, "no shard is there");
  check_note(c, "%zu shards, %zu tensors", n, v->n_tensors);
}

void check_index(Verify *v, Check *c) {
  zaya_error err = {0};
  if (!jsonio_exists(v->dir, VERIFY_INDEX)) {
    if (v->n_shards == 1 && !strcmp(v->shards[0].name, "model.safetensors"))
      check_skip(c, "a single file needs none");
    else
      check_fail(c, VERIFY_INDEX " is not there");
    return;
  }
  if (!v->index) {
    json_decref(jsonio_read(v->dir, VERIFY_INDEX, &err));
    check_fail(c, "%s", err.message);
    return;
  }
  const char *key;
  json_t *value, *map = json_object_get(v->index, "weight_map");
  if (!json_is_object(map) || !json_object_size(map)) check_fail(c, "it has no weight_map");
  json_object_foreach(map, key, value) {
    if (!is_plain_name(json_string_value(value))) check_fail(c, "%.200s is in no plain file name", key);
  }
}

void check_shards(Verify *v, Check *c) {
  if (!v->n_shards) check_fail(c, "the folder holds no shard");
  for (size_t i = 0; i < v->n_shards; i++) {
    const VShard *s = &v->shards[i];
    if (!s->there) check_fail(c, "%s is in the index and not in the folder", s->name);
    if (v->index && !s->listed) check_fail(c, "%s is in the folder and not in the index", s->name);
  }
}

void check_shard_names(Verify *v, Check *c) {
  if (v->n_shards == 1 && !strcmp(v->shards[0].name, "model.safetensors")) {
    check_skip(c, "a single file");
    return;
  }
  size_t said = 0;
  for (size_t i = 0; i < v->n_shards; i++) {
    size_t number = 0, of = 0;
    int used = 0;
    const char *name = v->shards[i].name;
    if (sscanf(name, "model-%5zu-of-%5zu.safetensors%n", &number, &of, &used) != 2 || name[used] || !used) {
      check_fail(c, "%s is not called model-0000k-of-0000n.safetensors", name);
      return;
    }
    if (number != i + 1) check_fail(c, "number %zu of %zu is missing", i + 1, of);
    if (said && of != said) check_fail(c, "%s is one of %zu, others of %zu", name, of, said);
    said = of;
  }
  if (said > v->n_shards && !c->problems)
    check_fail(c, "number %zu of %zu is missing", v->n_shards + 1, said);
}

void check_index_keys(Verify *v, Check *c) {
  const char *key;
  json_t *value, *map = json_object_get(v->index, "weight_map");
  if (!map) {
    check_skip(c, "there is no index to compare with");
    return;
  }
  if (!need_shards(v, c)) return;
  json_object_foreach(map, key, value) {
    const VTensor *t = verify_find(v, key);
    const char *shard = json_string_value(value);
    if (!is_plain_name(shard)) continue; // check_index
    if (!t)
      check_fail(c, "%.200s is in the index and in no shard", key);
    else if (strcmp(v->shards[t->shard].name, shard)) {
      // In two shards: check_duplicates says so.
      bool twice = (t > v->tensors && !strcmp(t[-1].t->name, key)) ||
                   (t + 1 < v->tensors + v->n_tensors && !strcmp(t[1].t->name, key));
      if (!twice) check_fail(c, "%.200s is in %s, the index says %s", key, v->shards[t->shard].name, shard);
    }
  }
  for (size_t i = 0; i < v->n_tensors; i++)
    if (v->shards[v->tensors[i].shard].listed && !json_object_get(map, v->tensors[i].t->name))
      check_fail(c, "%.200s is in %s and not in the index", v->tensors[i].t->name,
                 v->shards[v->tensors[i].shard].name);
  check_note(c, "%zu keys", v->n_tensors);
}

void check_duplicates(Verify *v, Check *c) {
  if (!need_shards(v, c)) return;
  for (size_t i = 1; i < v->n_tensors; i++)
    if (!strcmp(v->tensors[i - 1].t->name, v->tensors[i].t->name))
      check_fail(c, "%.200s is in %s and in %s", v->tensors[i].t->name,
                 v->shards[v->tensors[i - 1].shard].name, v->shards[v->tensors[i].shard].name);
}

void check_total_size(Verify *v, Check *c) {
  const json_t *said = json_object_get(json_object_get(v->index, "metadata"), "total_size");
  if (!said) {
    check_skip(c, "the index does not say one");
    return;
  }
  if (!need_shards(v, c)) return;
  uint64_t files = 0, tensors = 0;
  for (size_t i = 0; i < v->n_shards; i++) files += st_file_size(v->shards[i].file);
  for (size_t i = 0; i < v->n_tensors; i++) tensors += v->tensors[i].t->nbytes;
  json_int_t n = json_integer_value(said);
  if (n >= 0 && (uint64_t)n == files)
    check_note(c, "%llu bytes of files", (unsigned long long)files);
  else if (n >= 0 && (uint64_t)n == tensors)
    check_note(c, "%llu bytes of tensors", (unsigned long long)tensors);
  else
    check_fail(c, "it says %lld; the files have %llu bytes, their tensors %llu", (long long)n,
               (unsigned long long)files, (unsigned long long)tensors);
}

void check_index_format(Verify *v, Check *c) {
  const char *format = json_text(json_object_get(v->index, "metadata"), "format");
  const char *weights = json_text(v->config_json, "weight_format");
  // "mxtq" bundles call their index "jangtq"; "pt" is what PyTorch tools write whatever is in it.
  if (!format || !weights || !strcmp(format, "pt"))
    check_skip(c, "the index or config.json does not name a format");
  else if (strcmp(format, !strcmp(weights, "mxtq") ? "jangtq" : weights))
    check_fail(c, "the index says %s, config.json %s", format, weights);
}

void check_leftovers(Verify *v, Check *c) {
  static const char *const tails[] = {".incomplete", ".partial",    ".tmp",  ".writing",
                                      ".part",       ".crdownload", ".aria2"};
  DIR *d = opendir(v->dir);
  if (!d) return;
  for (struct dirent *e; (e = readdir(d)) != NULL;)
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++)
      if (verify_ends(e->d_name, tails[i])) check_fail(c, "%s", e->d_name);
  closedir(d);
}
