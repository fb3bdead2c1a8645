// st: see st.h. Reading only; st_write.c writes.
#include "format/st.h"

#include "base/map.h"
#include "base/size.h"
#include "format/jsonio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct StFile {
  char *path;
  Map map;
  size_t body;            // offset of the first tensor byte
  StTensor *tensors;      // by offset
  size_t n;               //
  const StTensor **names; // the same, by name
  char *text;             // the names themselves
  json_t *metadata;       // __metadata__ or NULL
};

static uint64_t load_le64(const uint8_t *p) {
  uint64_t v = 0;
  for (int i = 7; i >= 0; i--) v = v << 8 | p[i];
  return v;
}

bool st_set_bytes(StTensor *t) {
  size_t n = dtype_size(t->dtype);
  for (int i = 0; i < t->ndim; i++)
    if (!size_mul(n, t->shape[i], &n)) return false;
  t->nbytes = n;
  return true;
}

static bool bad(const StFile *f, const char *name, zaya_error *err, const char *what) {
  return err_set(err, ZAYA_E_FORMAT, "%s: tensor %.200s: %s", f->path, name, what);
}

// A non-negative integer of at most SIZE_MAX.
static bool get_size(const json_t *v, size_t *out) {
  if (!json_is_integer(v) || json_integer_value(v) < 0) return false;
  *out = (size_t)json_integer_value(v);
  return (json_int_t)*out == json_integer_value(v);
}

static bool parse_shape(const StFile *f, const json_t *v, StTensor *t, zaya_error *err) {
  if (!json_is_array(v)) return bad(f, t->name, err, "no shape");
  size_t ndim = json_array_size(v);
  if (ndim > ST_MAX_DIMS)
    return err_set(err, ZAYA_E_FORMAT, "%s: tensor %.200s: %zu dimensions, at most %d are supported", f->path,
                   t->name, ndim, ST_MAX_DIMS);
  t->ndim = (int)ndim;
  for (size_t i = 0; i < ndim; i++)
    if (!get_size(json_array_get(v, i), &t->shape[i]))
      return bad(f, t->name, err, "the shape holds something that is not a size");
  if (!st_set_bytes(t)) return bad(f, t->name, err, "the shape overflows");
  return true;
}

static bool has_control(const char *s) {
  for (; *s; s++)
    if ((unsigned char)*s < 0x20 || *s == 0x7f) return true;
  return false;
}

static bool parse_tensor(const StFile *f, const json_t *v, StTensor *t, zaya_error *err) {
  char what[64];
  if (has_control(t->name))
    return err_set(err, ZAYA_E_FORMAT, "%s: a tensor name holds control characters", f->path);
  if (!json_is_object(v)) return bad(f, t->name, err, "its entry is not an object");
  const char *key;
  json_t *item;
  json_object_foreach(
      (json_t *)(uintptr_t)v, key,
      item) if (strcmp(key, "dtype") && strcmp(key, "shape") &&
                strcmp(key, "data_offsets")) return err_set(err, ZAYA_E_FORMAT,
                                                            "%s: tensor %.200s: unknown key in its entry",
                                                            f->path, t->name);
  const json_t *dtype = json_object_get(v, "dtype"), *range = json_object_get(v, "data_offsets");
  if (!json_is_string(dtype)) return bad(f, t->name, err, "no dtype");
  if (!dtype_parse(json_string_value(dtype), json_string_length(dtype), &t->dtype)) {
    if (has_control(json_string_value(dtype))) return bad(f, t->name, err, "unknown dtype");
    snprintf(what, sizeof what, "unknown dtype %.32s", json_string_value(dtype));
    return bad(f, t->name, err, what);
  }
  if (!parse_shape(f, json_object_get(v, "shape"), t, err)) return false;
  size_t begin, end, body = f->map.size - f->body;
  if (!json_is_array(range) || json_array_size(range) != 2 || !get_size(json_array_get(range, 0), &begin) ||
      !get_size(json_array_get(range, 1), &end) || begin > end)
    return bad(f, t->name, err, "bad data_offsets");
  if (end > body)
    return err_set(err, ZAYA_E_FORMAT,
                   "%s: tensor %.200s: bytes %zu to %zu, but the file holds %zu bytes of tensors "
                   "(truncated?)",
                   f->path, t->name, begin, end, body);
  if (end - begin != t->nbytes) {
    char shape[160];
    return err_set(err, ZAYA_E_FORMAT, "%s: tensor %.200s: %s needs %zu bytes, its data_offsets give %zu",
                   f->path, t->name, st_describe(t, shape, sizeof shape), t->nbytes, end - begin);
  }
  t->offset = f->body + begin;
  t->data = f->map.data + t->offset;
  return true;
}

static int by_offset(const void *a, const void *b) {
  const StTensor *x = a, *y = b;
  if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
  if (x->nbytes != y->nbytes) return x->nbytes < y->nbytes ? -1 : 1; // empty ones first
  return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b) {
  const StTensor *const *x = a, *const *y = b;
  return strcmp((*x)->name, (*y)->name);
}

// The ranges must cover the body exactly, as the format demands.
static bool check_cover(const StFile *f, zaya_error *err) {
  size_t at = f->body;
  for (size_t i = 0; i < f->n; i++) {
    const StTensor *t = &f->tensors[i];
    if (t->offset < at)
      return err_set(err, ZAYA_E_FORMAT, "%s: tensor %.200s: its bytes overlap those of %.200s", f->path,
                     t->name, f->tensors[i - 1].name);
    if (t->offset > at)
      return err_set(err, ZAYA_E_FORMAT, "%s: %zu bytes before tensor %.200s belong to no tensor", f->path,
                     t->offset - at, t->name);
    at = t->offset + t->nbytes;
  }
  if (at != f->map.size)
    return err_set(err, ZAYA_E_FORMAT, "%s: %zu bytes at the end belong to no tensor", f->path,
                   f->map.size - at);
  return true;
}

static bool take_metadata(StFile *f, json_t *v, zaya_error *err) {
  const char *key;
  json_t *item;
  if (!json_is_object(v)) return err_set(err, ZAYA_E_FORMAT, "%s: __metadata__ is not an object", f->path);
  json_object_foreach(v, key, item) if (!json_is_string(item)) return err_set(
      err, ZAYA_E_FORMAT, "%s: __metadata__ holds something that is not a string", f->path);
  f->metadata = json_incref(v);
  return true;
}

static bool read_tensors(StFile *f, json_t *header, zaya_error *err) {
  const char *key;
  json_t *item;
  size_t text = 0, count = json_object_size(header);
  json_object_foreach(header, key, item) text += strlen(key) + 1;
  f->tensors = calloc(count + 1, sizeof *f->tensors);
  f->names = calloc(count + 1, sizeof *f->names);
  f->text = malloc(text + 1);
  if (!f->tensors || !f->names || !f->text) return err_memory(err, text, "the table of tensors");
  char *at = f->text;
  json_object_foreach(header, key, item) {
    if (!strcmp(key, "__metadata__")) {
      if (!take_metadata(f, item, err)) return false;
      continue;
    }
    StTensor *t = &f->tensors[f->n];
    size_t len = strlen(key) + 1;
    t->name = memcpy(at, key, len);
    at += len;
    if (!parse_tensor(f, item, t, err)) return false;
    f->n++;
  }
  qsort(f->tensors, f->n, sizeof *f->tensors, by_offset);
  if (!check_cover(f, err)) return false;
  for (size_t i = 0; i < f->n; i++) f->names[i] = &f->tensors[i];
  qsort(f->names, f->n, sizeof *f->names, by_name);
  return true;
}

static bool read_header(StFile *f, zaya_error *err) {
  if (f->map.size < 8)
    return err_set(err, ZAYA_E_FORMAT, "%s: not a safetensors file: only %zu bytes", f->path, f->map.size);
  uint64_t len = load_le64(f->map.data);
  if (len > ST_MAX_HEADER)
    return err_set(err, ZAYA_E_FORMAT,
                   "%s: not a safetensors file: header of %llu bytes, at most %d are allowed", f->path,
                   (unsigned long long)len, ST_MAX_HEADER);
  if (len > f->map.size - 8)
    return err_set(err, ZAYA_E_FORMAT, "%s: header of %llu bytes, but the file has only %zu (truncated?)",
                   f->path, (unsigned long long)len, f->map.size);
  if (len == 0 || f->map.data[8] != '{')
    return err_set(err, ZAYA_E_FORMAT, "%s: not a safetensors file: the header is not a JSON object",
                   f->path);
  f->body = 8 + (size_t)len;
  json_t *header = jsonio_parse((const char *)f->map.data + 8, (size_t)len, f->path, err);
  bool ok = header && read_tensors(f, header, err);
  json_decref(header);
  return ok;
}

StFile *st_open(const char *path, zaya_error *err) {
  StFile *f = calloc(1, sizeof *f);
  if (!f || !(f->path = strdup(path))) {
    free(f);
    err_memory(err, sizeof *f, path);
    return NULL;
  }
  if (map_open(&f->map, path, err) && read_header(f, err)) return f;
  st_close(f);
  return NULL;
}

void st_close(StFile *f) {
  if (!f) return;
  map_close(&f->map);
  json_decref(f->metadata);
  free(f->tensors);
  free(f->names);
  free(f->text);
  free(f->path);
  free(f);
}

const char *st_path(const StFile *f) { return f->path; }
size_t st_file_size(const StFile *f) { return f->map.size; }
Map st_map(const StFile *f) { return f->map; }
size_t st_count(const StFile *f) { return f->n; }
const StTensor *st_at(const StFile *f, size_t i) { return &f->tensors[i]; }

const StTensor *st_find(const StFile *f, const char *name) {
  StTensor key = {.name = name};
  const StTensor *k = &key;
  const StTensor **hit = bsearch(&k, f->names, f->n, sizeof *f->names, by_name);
  return hit ? *hit : NULL;
}

const char *st_metadata(const StFile *f, const char *key) {
  return json_string_value(json_object_get(f->metadata, key));
}

const char *st_describe(const StTensor *t, char *buf, size_t size) {
  int at = snprintf(buf, size, "%s [", dtype_name(t->dtype));
  for (int i = 0; i < t->ndim && at >= 0 && (size_t)at < size; i++)
    at += snprintf(buf + at, size - (size_t)at, i ? ", %zu" : "%zu", t->shape[i]);
  if (at >= 0 && (size_t)at < size) snprintf(buf + at, size - (size_t)at, "]");
  return buf;
}
