// tok_parts: normalizer, pre-tokenizer, post-processor and decoder of tokenizer.json. Each kind that is
// not implemented is refused by name. Depends on tok_impl and Jansson.
#include "base/error.h"
#include "text/tok_impl.h"

#include <stdlib.h>
#include <string.h>

json_t *parts_json(const char *name, const char *what, JStr text, zaya_error *err) {
  json_error_t e;
  json_t *j = json_loadb(text.s, text.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
  if (!j) err_set(err, ZAYA_E_FORMAT, "%s: %s: %s", name, what, e.text);
  return j;
}

enum { MAX_REPLACES = 64 };

static bool refuse(const Tok *t, zaya_error *err, const char *part, const char *what) {
  return err_set(err, ZAYA_E_UNSUPPORTED, "%s: %s: %s is not implemented", t->name, part, what);
}

// The "type" of a part; NULL (and an error) when it has none.
static const char *type_of(const Tok *t, const char *part, const json_t *j, zaya_error *err) {
  const char *type = json_string_value(json_object_get(j, "type"));
  if (!type)
    err_set(err, ZAYA_E_FORMAT, "%s: %s: expected an object with a \"type\" (or null)", t->name, part);
  return type;
}

// A string at `key`, which may hold NUL characters.
static bool get_string(const Tok *t, const char *part, const json_t *j, const char *key, Buf *out,
                       zaya_error *err) {
  const json_t *s = json_object_get(j, key);
  if (!json_is_string(s))
    return err_set(err, ZAYA_E_FORMAT, "%s: %s.%s: expected a string", t->name, part, key);
  return buf_add(out, json_string_value(s), json_string_length(s), err);
}

// "pattern": {"String": "..."}; a regular expression is refused.
static bool get_pattern(const Tok *t, const char *part, const json_t *j, Buf *out, zaya_error *err) {
  const json_t *pattern = json_object_get(j, "pattern");
  if (json_object_get(pattern, "Regex")) return refuse(t, err, part, "a pattern of kind \"Regex\"");
  char where[64];
  snprintf(where, sizeof where, "%s.pattern", part);
  if (!get_string(t, where, pattern, "String", out, err)) return false;
  return out->len > 0 || err_set(err, ZAYA_E_FORMAT, "%s: %s.String: is empty", t->name, where);
}

void replaces_free(TokReplaces *r) {
  for (size_t i = 0; i < r->len; i++) {
    buf_free(&r->items[i].from);
    buf_free(&r->items[i].to);
  }
  free(r->items);
  *r = (TokReplaces){0};
}

static bool add_replace(const Tok *t, const char *part, const json_t *j, TokReplaces *r, zaya_error *err) {
  if (r->len == MAX_REPLACES)
    return err_set(err, ZAYA_E_LIMIT, "%s: %s: more than %d replacements", t->name, part, MAX_REPLACES);
  TokReplace *items = realloc(r->items, (r->len + 1) * sizeof *items);
  if (!items) return err_memory(err, (r->len + 1) * sizeof *items, part);
  r->items = items;
  TokReplace *item = &items[r->len++];
  *item = (TokReplace){0};
  return get_pattern(t, part, j, &item->from, err) && get_string(t, part, j, "content", &item->to, err);
}

// A file whose replacements blow a text up must not take the memory: no real one does more than triple it.
size_t replaces_limit(size_t len) { return len < INT32_MAX / 128 ? 64 * len + 4096 : INT32_MAX; }

static bool replace_one(const TokReplace *r, const char *s, size_t n, size_t limit, Buf *out,
                        zaya_error *err) {
  const char *end = s + n;
  limit += out->len;
  while (s < end) {
    const char *at = memchr(s, r->from.data[0], (size_t)(end - s));
    while (at && ((size_t)(end - at) < r->from.len || memcmp(at, r->from.data, r->from.len) != 0))
      at = memchr(at + 1, r->from.data[0], (size_t)(end - at - 1));
    size_t plain = (size_t)((at ? at : end) - s);
    if (!buf_add(out, s, plain, err)) return false;
    if (!at) break;
    if (!buf_add(out, r->to.data, r->to.len, err)) return false;
    if (out->len > limit)
      return err_set(err, ZAYA_E_LIMIT, "replacements make more than %zu bytes of a text", limit);
    s = at + r->from.len;
  }
  return true;
}

bool replaces_apply(const TokReplaces *r, const char *text, size_t len, Buf *out, zaya_error *err) {
  if (r->len == 0) return buf_add(out, text, len, err);
  size_t limit = replaces_limit(len);
  if (r->len == 1) return replace_one(&r->items[0], text, len, limit, out, err);
  Buf a = {0}, b = {0};
  bool ok = buf_add(&a, text, len, err);
  for (size_t i = 0; ok && i < r->len; i++) {
    buf_clear(&b);
    ok = a.len == 0 || replace_one(&r->items[i], a.data, a.len, limit, &b, err);
    Buf swap = a;
    a = b;
    b = swap;
  }
  ok = ok && buf_add(out, a.data, a.len, err);
  buf_free(&a);
  buf_free(&b);
  return ok;
}

bool parts_normalizer(Tok *t, const json_t *j, zaya_error *err) {
  if (json_is_null(j)) return true;
  const char *type = type_of(t, "normalizer", j, err);
  if (!type) return false;
  if (!strcmp(type, "Replace")) return add_replace(t, "normalizer", j, &t->normalizer, err);
  if (strcmp(type, "Sequence") != 0) return refuse(t, err, "normalizer", type);
  const json_t *list = json_object_get(j, "normalizers");
  if (!json_is_array(list))
    return err_set(err, ZAYA_E_FORMAT, "%s: normalizer.normalizers: expected an array", t->name);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *item = json_array_get(list, i);
    if (!(type = type_of(t, "normalizer", item, err))) return false;
    if (strcmp(type, "Replace") != 0) return refuse(t, err, "normalizer", type);
    if (!add_replace(t, "normalizer", item, &t->normalizer, err)) return false;
  }
  return true;
}

bool parts_pre_tokenizer(Tok *t, const json_t *j, zaya_error *err) {
  if (json_is_null(j)) return true;
  const char *part = "pre_tokenizer", *type = type_of(t, part, j, err);
  if (!type) return false;
  if (strcmp(type, "Split") != 0) return refuse(t, err, part, type);
  const char *behavior = json_string_value(json_object_get(j, "behavior"));
  if (!behavior || strcmp(behavior, "MergedWithPrevious") != 0)
    return refuse(t, err, part, behavior ? behavior : "a Split without \"behavior\"");
  if (json_is_true(json_object_get(j, "invert"))) return refuse(t, err, part, "\"invert\"");
  return get_pattern(t, part, j, &t->split, err);
}

// The ids of {"SpecialToken": {"id": NAME}}, as "special_tokens" gives them.
static bool template_ids(const Tok *t, const json_t *specials, const json_t *token, zaya_ids *out,
                         zaya_error *err) {
  const char *name = json_string_value(json_object_get(token, "id"));
  const json_t *ids = name ? json_object_get(json_object_get(specials, name), "ids") : NULL;
  if (!json_is_array(ids))
    return err_set(err, ZAYA_E_FORMAT, "%s: post_processor: special_tokens has no ids for '%s'", t->name,
                   name ? name : "(no id)");
  for (size_t i = 0; i < json_array_size(ids); i++) {
    const json_t *id = json_array_get(ids, i);
    json_int_t v = json_is_integer(id) ? json_integer_value(id) : -1;
    if (v < 0 || v >= TOK_MAX_IDS || !tok_has(t, (int32_t)v))
      return err_set(err, ZAYA_E_FORMAT, "%s: post_processor: '%s' has an id that is not in the tokenizer",
                     t->name, name);
    if (!ids_add(out, (int32_t)v, err)) return false;
  }
  return true;
}

bool parts_post_processor(Tok *t, const json_t *j, zaya_error *err) {
  if (json_is_null(j)) return true;
  const char *part = "post_processor", *type = type_of(t, part, j, err);
  if (!type) return false;
  if (strcmp(type, "TemplateProcessing") != 0) return refuse(t, err, part, type);
  const json_t *single = json_object_get(j, "single"), *specials = json_object_get(j, "special_tokens");
  bool behind = false;
  for (size_t i = 0; i < json_array_size(single); i++) {
    const json_t *item = json_array_get(single, i), *token = json_object_get(item, "SpecialToken");
    if (token) {
      if (!template_ids(t, specials, token, behind ? &t->after : &t->before, err)) return false;
    } else if (json_object_get(item, "Sequence") && !behind) {
      behind = true;
    } else {
      return refuse(t, err, part, "a template other than special tokens around one sequence");
    }
  }
  return behind || err_set(err, ZAYA_E_FORMAT,
                           "%s: post_processor.single: expected a template with a Sequence", t->name);
}

// Strip behind Fuse: drops up to `start` characters at the very start of the text.
static bool decoder_strip(Tok *t, const json_t *j, zaya_error *err) {
  const json_t *content = json_object_get(j, "content"), *start = json_object_get(j, "start"),
               *stop = json_object_get(j, "stop");
  if (!json_is_string(content) || !json_is_integer(start) || !json_is_integer(stop) ||
      json_integer_value(start) < 0)
    return err_set(err, ZAYA_E_FORMAT, "%s: decoder: Strip needs \"content\", \"start\" and \"stop\"",
                   t->name);
  if (json_integer_value(stop) != 0) return refuse(t, err, "decoder", "Strip at the end of the text");
  if (json_string_length(content) != 1)
    return refuse(t, err, "decoder", "Strip of other than one ASCII character");
  t->strip_char = json_string_value(content)[0];
  t->strip = (size_t)json_integer_value(start);
  return true;
}

bool parts_decoder(Tok *t, const json_t *j, zaya_error *err) {
  const char *part = "decoder", *type = type_of(t, part, j, err);
  if (!type) return false;
  json_t *one = strcmp(type, "Sequence") ? json_pack("[O]", j) : NULL;
  const json_t *list = one ? one : json_object_get(j, "decoders");
  // The order that can be done id by id: Replace ..., ByteFallback, Fuse, Strip.
  enum { REPLACE, BYTES, FUSE, STRIP, DONE } stage = REPLACE;
  bool ok =
      json_is_array(list) || err_set(err, ZAYA_E_FORMAT, "%s: decoder.decoders: expected an array", t->name);
  for (size_t i = 0; ok && i < json_array_size(list); i++) {
    const json_t *item = json_array_get(list, i);
    type = type_of(t, part, item, err);
    if (!type) {
      ok = false;
    } else if (!strcmp(type, "Replace") && stage == REPLACE) {
      ok = add_replace(t, part, item, &t->decoder, err);
    } else if (!strcmp(type, "ByteFallback") && stage <= REPLACE) {
      t->decode_bytes = true;
      stage = BYTES;
    } else if (!strcmp(type, "Fuse") && stage <= FUSE) {
      stage = FUSE;
    } else if (!strcmp(type, "Strip") && stage == FUSE) {
      ok = decoder_strip(t, item, err);
      stage = DONE;
    } else {
      char what[96];
      snprintf(what, sizeof what, "%.48s at place %zu of the sequence", type, i + 1);
      ok = refuse(t, err, part, what);
    }
  }
  json_decref(one);
  return ok;
}
