// tmpl: see tmpl.h. Owns the compiled template, and a render from input to segments; its budget and
// its errors.
#include "text/tmpl.h"

#include "base/utf8.h"
#include "text/trt.h"
#include "text/tuni.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COMPILE_MEMORY = 512 << 20 };

// --- compiling ---------------------------------------------------------------------------------

static uint32_t line_of(const Tmpl *t, uint32_t pos, uint32_t *column, size_t *begin, size_t *end) {
  uint32_t line = 1;
  *begin = 0;
  for (size_t i = 0; i < pos && i < t->src_len; i++) {
    if (t->src[i] != '\n') continue;
    line++;
    *begin = i + 1;
  }
  *column = (uint32_t)tuni_count(t->src + *begin, pos - *begin) + 1;
  *end = pos;
  while (*end < t->src_len && t->src[*end] != '\n') (*end)++;
  return line;
}

// The construct at `pos`: up to the end of its line or tag, 60 bytes at most.
static void snippet(const Tmpl *t, uint32_t pos, size_t line_end, char out[80]) {
  size_t n = 0;
  while (n < 60 && pos + n < line_end &&
         !(pos + n + 1 < line_end && t->src[pos + n + 1] == '}' && n && strchr("%}", t->src[pos + n])))
    n++;
  bool cut = n == 60;
  while (n && pos + n < t->src_len && ((unsigned char)t->src[pos + n] & 0xC0) == 0x80) n--;
  while (n && t->src[pos + n - 1] == ' ') n--;
  snprintf(out, 80, "%.*s%s", (int)n, t->src + pos, cut ? "..." : "");
}

__attribute__((format(printf, 5, 0))) static bool error_at(const Tmpl *t, uint32_t pos, zaya_status status,
                                                           zaya_error *err, const char *fmt, va_list args) {
  char text[600], code[80];
  uint32_t column;
  size_t begin, end;
  if (pos > t->src_len) pos = (uint32_t)t->src_len;
  uint32_t line = line_of(t, pos, &column, &begin, &end);
  vsnprintf(text, sizeof text, fmt, args);
  snippet(t, pos, end, code);
  return err_set(err, status, "%s:%u:%u: %s%s%s%s", t->name, line, column, text, code[0] ? " (at `" : "",
                 code, code[0] ? "`)" : "");
}

bool tast_error(const Tmpl *t, uint32_t pos, zaya_status status, zaya_error *err, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  error_at(t, pos, status, err, fmt, args);
  va_end(args);
  return false;
}

TNode *tast_node(Tmpl *t, TKind kind, uint32_t pos, zaya_error *err) {
  TNode *n = tmem_alloc(&t->mem, sizeof *n);
  if (!n) {
    err_memory(err, sizeof *n, "a template's tree");
    return NULL;
  }
  n->kind = (uint8_t)kind;
  n->pos = pos;
  return n;
}

bool tast_push(Tmpl *t, TNodes *list, TNode *node, zaya_error *err) {
  if (list->n == list->cap) {
    size_t cap = list->cap ? list->cap * 2 : 4;
    TNode **grown = tmem_grow(&t->mem, list->at, list->cap * sizeof(TNode *), cap * sizeof(TNode *));
    if (!grown) return err_memory(err, cap * sizeof(TNode *), "a template's tree");
    list->at = grown;
    list->cap = cap;
  }
  list->at[list->n++] = node;
  return true;
}

TStr *tast_str(Tmpl *t, const char *p, size_t len, zaya_error *err) {
  TStr *s = tmem_alloc(&t->mem, sizeof *s);
  if (!s)
    err_memory(err, sizeof *s, "a template's strings");
  else
    *s = (TStr){.p = p, .len = len, .n = tuni_count(p, len), .origin = T_TEMPLATE};
  return s;
}

TStr *tast_intern(Tmpl *t, const char *p, size_t len, uint32_t *id, zaya_error *err) {
  for (*id = 0; *id < t->n_names; ++*id)
    if (t->names[*id]->len == len && !memcmp(t->names[*id]->p, p, len)) return t->names[*id];
  if (t->n_names == TAST_MAX_NAMES) {
    err_set(err, ZAYA_E_LIMIT, "%s: more than %d different names", t->name, TAST_MAX_NAMES);
    return NULL;
  }
  if (t->n_names == t->cap_names) {
    uint32_t cap = t->cap_names ? t->cap_names * 2 : 64;
    TStr **names = tmem_grow(&t->mem, t->names, t->cap_names * sizeof(TStr *), cap * sizeof(TStr *));
    if (!names) {
      err_memory(err, cap * sizeof(TStr *), "a template's names");
      return NULL;
    }
    t->names = names;
    t->cap_names = cap;
  }
  char *copy = tmem_alloc(&t->mem, len + 1); // NUL-terminated, for messages
  if (!copy) {
    err_memory(err, len, "a template's names");
    return NULL;
  }
  memcpy(copy, p, len);
  return t->names[t->n_names++] = tast_str(t, copy, len, err);
}

// \r\n and \r become \n, and one newline at the end goes away, as Jinja does.
static bool take_source(Tmpl *t, const char *text, size_t len, zaya_error *err) {
  char *src = tmem_alloc(&t->mem, len + 8);
  if (!src) return err_memory(err, len, "a template");
  size_t n = 0;
  for (size_t i = 0; i < len; i++) {
    if (text[i] == '\r' && i + 1 < len && text[i + 1] == '\n') continue;
    src[n++] = text[i] == '\r' ? '\n' : text[i];
  }
  if (n && src[n - 1] == '\n') src[--n] = '\0';
  t->src = src;
  t->src_len = n;
  size_t valid = utf8_valid_prefix(src, n);
  return valid == n || tast_error(t, (uint32_t)valid, ZAYA_E_FORMAT, err, "not valid UTF-8");
}

Tmpl *tmpl_compile(const char *name, const char *text, size_t len, zaya_error *err) {
  if (len > TAST_MAX_SOURCE) {
    err_set(err, ZAYA_E_LIMIT, "%s: a template of %zu bytes; at most %d are read", name, len,
            TAST_MAX_SOURCE);
    return NULL;
  }
  Tmpl *t = calloc(1, sizeof *t);
  if (!t) {
    err_memory(err, sizeof *t, "a template");
    return NULL;
  }
  t->mem.limit = COMPILE_MEMORY;
  t->name = strdup(name);
  if (!t->name)
    err_memory(err, strlen(name), "a template's name");
  else if (take_source(t, text, len, err) && tparse_template(t, err) && tscope_resolve(t, err))
    return t;
  tmpl_free(t);
  return NULL;
}

void tmpl_free(Tmpl *t) {
  if (!t) return;
  tmem_free(&t->mem);
  free(t->name);
  free(t);
}

bool tmpl_uses(const Tmpl *t, const char *name) {
  for (uint32_t i = 0; i < t->n_names; i++)
    if (!strcmp(t->names[i]->p, name)) return true;
  return false;
}

// --- a render's budget and errors --------------------------------------------------------------

TVal trt_fail(TRt *rt, zaya_status status, const char *fmt, ...) {
  if (rt->failed) return tval_none();
  rt->failed = true;
  va_list args;
  va_start(args, fmt);
  error_at(rt->t, rt->at ? rt->at->pos : 0, status, rt->err, fmt, args);
  va_end(args);
  return tval_none();
}

TVal trt_type_error(TRt *rt, const char *fmt, ...) {
  if (rt->failed) return tval_none();
  rt->failed = true;
  va_list args;
  va_start(args, fmt);
  error_at(rt->t, rt->at ? rt->at->pos : 0, ZAYA_E_INVALID, rt->err, fmt, args);
  va_end(args);
  return tval_none();
}

bool trt_step(TRt *rt, uint64_t work) {
  if (rt->failed) return false;
  rt->steps += work;
  if (rt->steps <= rt->lim.max_steps) return true;
  trt_fail(rt, ZAYA_E_LIMIT, "the template takes more than %llu steps",
           (unsigned long long)rt->lim.max_steps);
  return false;
}

void *trt_alloc(TRt *rt, size_t count, size_t size) {
  void *p = rt->failed ? NULL : tmem_array(&rt->mem, count, size);
  if (!p) trt_fail(rt, ZAYA_E_MEMORY, "a render that needs more than %zu bytes", rt->lim.max_memory);
  return p;
}

bool trt_enter(TRt *rt) {
  if (rt->depth < rt->lim.max_depth) {
    rt->depth++;
    return true;
  }
  trt_fail(rt, ZAYA_E_LIMIT, "nested deeper than %d levels", rt->lim.max_depth);
  return false;
}

void trt_leave(TRt *rt) { rt->depth--; }

// --- rendering ---------------------------------------------------------------------------------

static void set_limits(TmplLimits *l) {
  if (!l->max_output) l->max_output = (size_t)64 << 20;
  if (!l->max_memory) l->max_memory = (size_t)512 << 20;
  if (!l->max_steps) l->max_steps = 20 * 1000 * 1000;
  if (l->max_depth <= 0) l->max_depth = 400;
}

static bool add_variables(TRt *rt, const json_t *object, uint8_t origin) {
  if (!object) return true;
  TVal d = tval_from_json(rt, object, origin, 0);
  for (size_t i = 0; d.type == T_DICT && i < d.d->n; i++)
    if (!tdict_set(rt, rt->context, d.d->at[i].key, d.d->at[i].value)) return false;
  return !rt->failed;
}

static bool add_segment(TmplOut *out, size_t begin, size_t end, uint8_t origin, size_t *cap,
                        zaya_error *err) {
  if (begin == end) return true;
  if (out->n_segments == *cap) {
    size_t grown = *cap ? *cap * 2 : 64;
    TmplSegment *s = realloc(out->segments, grown * sizeof *s);
    if (!s) return err_memory(err, grown * sizeof *s, "the segments of a prompt");
    out->segments = s;
    *cap = grown;
  }
  out->segments[out->n_segments++] = (TmplSegment){begin, end, origin == T_TEMPLATE};
  return true;
}

static bool hand_out(const TSb *sb, TmplOut *out, zaya_error *err) {
  if (!buf_reserve(&out->text, sb->len, err) || !buf_add(&out->text, sb->p, sb->len, err)) return false;
  size_t cap = 0, begin = 0;
  for (size_t i = 1; sb->mask && i < sb->len; i++) {
    if (sb->mask[i] == sb->mask[begin]) continue;
    if (!add_segment(out, begin, i, sb->mask[begin], &cap, err)) return false;
    begin = i;
  }
  return add_segment(out, begin, sb->len, sb->mask ? sb->mask[begin] : sb->origin, &cap, err);
}

bool tmpl_render(const Tmpl *t, const TmplInput *in, TmplOut *out, zaya_error *err) {
  TRt rt = {.t = t, .lim = in->limits, .err = err, .now = in->now ? *in->now : (int64_t)time(NULL)};
  set_limits(&rt.lim);
  rt.mem.limit = rt.lim.max_memory;
  rt.context = trt_alloc(&rt, 1, sizeof *rt.context);
  TSb sb = tsb_new(&rt);
  rt.out = &sb;
  bool ok = rt.context && add_variables(&rt, in->values, T_VALUE) &&
            add_variables(&rt, in->trusted, T_TEMPLATE) && texec_template(&rt) && hand_out(&sb, out, err);
  tmem_free(&rt.mem);
  return ok;
}

void tmpl_out_free(TmplOut *out) {
  buf_free(&out->text);
  free(out->segments);
  *out = (TmplOut){0};
}
