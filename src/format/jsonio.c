// jsonio: see jsonio.h.
#include "format/jsonio.h"

#include "base/error.h"

#include <string.h>
#include <sys/stat.h>

// Jansson quotes the input in its messages: keep them to one printable line.
static void make_printable(char *s) {
  for (; *s; s++)
    if ((unsigned char)*s < 0x20 || *s == 0x7f) *s = '?';
}

json_t *jsonio_parse(const char *text, size_t len, const char *path, zaya_error *err) {
  json_error_t why;
  json_t *v = json_loadb(text ? text : "", text ? len : 0, JSON_REJECT_DUPLICATES, &why);
  if (!v) {
    make_printable(why.text);
    err_set(err, ZAYA_E_FORMAT, "%s: bad JSON at line %d, column %d: %s", path, why.line, why.column,
            why.text);
    return NULL;
  }
  if (!json_is_object(v)) {
    json_decref(v);
    err_set(err, ZAYA_E_FORMAT, "%s: expected a JSON object", path);
    return NULL;
  }
  return v;
}

json_t *jsonio_read(const char *dir, const char *name, zaya_error *err) {
  Buf path = {0}, text = {0};
  json_t *v = NULL;
  bool ok = dir ? buf_printf(&path, err, "%s/%s", dir, name) : buf_puts(&path, name, err);
  if (ok && buf_read_file(&text, path.data, JSONIO_MAX_FILE, err))
    v = jsonio_parse(text.data, text.len, path.data, err);
  buf_free(&text);
  buf_free(&path);
  return v;
}

bool jsonio_exists(const char *dir, const char *name) {
  Buf path = {0};
  struct stat st;
  bool there =
      buf_printf(&path, NULL, "%s/%s", dir, name) && stat(path.data, &st) == 0 && S_ISREG(st.st_mode);
  buf_free(&path);
  return there;
}

typedef struct Sink {
  Buf *out;
  zaya_error *err;
} Sink;

static int sink_write(const char *data, size_t len, void *user) {
  Sink *s = user;
  return buf_add(s->out, data, len, s->err) ? 0 : -1;
}

static bool print_with(Buf *out, const json_t *value, size_t flags, zaya_error *err) {
  Sink s = {out, err};
  if (json_dump_callback(value, sink_write, &s, flags | JSON_ENCODE_ANY) == 0) return true;
  return err_set(err, ZAYA_E_MEMORY, "out of memory while writing JSON");
}

bool jsonio_print(Buf *out, const json_t *value, int indent, zaya_error *err) {
  size_t flags = indent ? JSON_INDENT((size_t)indent) : JSON_COMPACT, start = out->len;
  // 15 digits read better (1e-5, not 1.0000000000000001e-5); more only where they are needed.
  if (!print_with(out, value, flags | JSON_REAL_PRECISION(15), err)) return false;
  json_t *back = json_loadb(out->data + start, out->len - start, JSON_DECODE_ANY, NULL);
  bool same = back && json_equal(back, value);
  json_decref(back);
  if (same) return true;
  out->len = start;
  return print_with(out, value, flags | JSON_REAL_PRECISION(17), err);
}
