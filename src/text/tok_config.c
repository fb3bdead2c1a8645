// tok_config: what the files beside tokenizer.json say about ids: the first token, those that end a text,
// and those that plain text may not bring about. The one place that knows special tokens by name.
// Depends on tok_impl and Jansson.
#include "base/error.h"
#include "text/tok_impl.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

// Ends of a text that count wherever they are added tokens: a bundle was once published whose eos id
// named only one of the two.
static const char *const always_stop[] = {"<eos>", "<|im_end|>"};

enum { MAX_CONFIG_BYTES = 64 << 20 };

static bool add_stop(Tok *t, const char *file, int32_t id, zaya_error *err) {
  if (tok_is_stop(t, id)) return true;
  if (t->n_stops == TOK_MAX_STOPS)
    return err_set(err, ZAYA_E_LIMIT, "%s: more than %d ids that end a text", file, TOK_MAX_STOPS);
  t->stops[t->n_stops++] = id;
  t->pieces[id].flags |= PIECE_CONTROL;
  return true;
}

// "<eos>" or {"content": "<eos>", ...}: its id in *id; null leaves it. Names what the tokenizer lacks.
static bool token_by_name(Tok *t, const char *file, const char *key, const json_t *v, int32_t *id,
                          zaya_error *err) {
  const json_t *text = json_is_object(v) ? json_object_get(v, "content") : v;
  if (!v || json_is_null(v)) return true;
  if (!json_is_string(text))
    return err_set(err, ZAYA_E_FORMAT, "%s: %s: expected a token (a string, or an object with \"content\")",
                   file, key);
  *id = tok_id(t, json_string_value(text), json_string_length(text));
  if (*id < 0)
    return err_set(err, ZAYA_E_FORMAT, "%s: %s: '%s' is not in the tokenizer", file, key,
                   json_string_value(text));
  t->pieces[*id].flags |= PIECE_CONTROL;
  return true;
}

static bool check_id(const Tok *t, const char *file, const char *key, const json_t *v, int32_t *id,
                     zaya_error *err) {
  json_int_t n = json_is_integer(v) ? json_integer_value(v) : -1;
  if (n < 0 || n > INT32_MAX || !tok_has(t, (int32_t)n)) {
    char *found = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    err_set(err, ZAYA_E_FORMAT, "%s: %s: expected an id of the tokenizer (0..%zu), found %.64s", file, key,
            t->n - 1, found ? found : "?");
    free(found);
    return false;
  }
  *id = (int32_t)n;
  return true;
}

// config.json and generation_config.json: eos_token_id (a number or a list) and bos_token_id.
static bool read_ids(Tok *t, const char *file, const json_t *j, zaya_error *err) {
  const json_t *eos = json_object_get(j, "eos_token_id"), *bos = json_object_get(j, "bos_token_id");
  size_t n = json_is_array(eos) ? json_array_size(eos) : eos && !json_is_null(eos);
  for (size_t i = 0; i < n; i++) {
    int32_t id;
    if (!check_id(t, file, "eos_token_id", json_is_array(eos) ? json_array_get(eos, i) : eos, &id, err) ||
        !add_stop(t, file, id, err))
      return false;
  }
  if (t->bos >= 0 || !bos || json_is_null(bos)) return true;
  if (!check_id(t, file, "bos_token_id", bos, &t->bos, err)) return false;
  t->pieces[t->bos].flags |= PIECE_CONTROL;
  return true;
}

// tokenizer_config.json and special_tokens_map.json: tokens by name.
static bool read_names(Tok *t, const char *file, const json_t *j, zaya_error *err) {
  static const char *const single[] = {"bos_token", "eos_token", "pad_token", "unk_token",
                                       "sep_token", "cls_token", "mask_token"};
  for (size_t i = 0; i < sizeof single / sizeof *single; i++) {
    int32_t id = -1;
    if (!token_by_name(t, file, single[i], json_object_get(j, single[i]), &id, err)) return false;
    if (i == 0 && id >= 0 && t->bos < 0) t->bos = id;
    if (i == 1 && id >= 0 && !add_stop(t, file, id, err)) return false;
  }
  static const char *const lists[] = {"additional_special_tokens", "extra_special_tokens"};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    json_t *list = json_object_get(j, lists[i]), *v;
    size_t n;
    const char *key;
    int32_t id;
    json_array_foreach(list, n, v) {
      if (!token_by_name(t, file, lists[i], v, &id, err)) return false;
    }
    json_object_foreach(list, key, v) {
      if (!token_by_name(t, file, lists[i], v, &id, err)) return false;
    }
  }
  return true;
}

// --- the chat template --------------------------------------------------------------------------

static bool in_brackets(const char *s, size_t n) {
  return n >= 3 && ((s[0] == '<' && s[n - 1] == '>') || (s[0] == '[' && s[n - 1] == ']'));
}

// Sees every added token that stands at a place of the template, and marks those in brackets.
static bool mark(void *user, const TokAdded *a, size_t match) {
  Tok *t = user;
  (void)match;
  if (in_brackets(tok_at(t, a->text), a->text.len)) t->pieces[a->id].flags |= PIECE_CONTROL;
  return false;
}

static void mark_in(Tok *t, const TokTrie *trie, const char *s, size_t n) {
  size_t match;
  for (size_t i = 0; i < n; i++) added_longest(t, trie, s + i, n - i, mark, t, &match);
}

static bool mark_template(Tok *t, const char *s, size_t n, zaya_error *err) {
  mark_in(t, &t->raw, s, n);
  Buf normal = {0};
  bool ok = !t->normalized.len || replaces_apply(&t->normalizer, s, n, &normal, err);
  if (ok) mark_in(t, &t->normalized, normal.data, normal.len);
  buf_free(&normal);
  return ok;
}

// "chat_template": a string, or a list of {"name", "template"}.
static bool mark_templates(Tok *t, const json_t *v, zaya_error *err) {
  if (json_is_string(v)) return mark_template(t, json_string_value(v), json_string_length(v), err);
  for (size_t i = 0; i < json_array_size(v); i++) {
    const json_t *text = json_object_get(json_array_get(v, i), "template");
    if (json_is_string(text) && !mark_template(t, json_string_value(text), json_string_length(text), err))
      return false;
  }
  return true;
}

// --- files --------------------------------------------------------------------------------------

// Reads `dir`/`name` if it is there: *found.
static bool read_optional(const char *dir, const char *name, Buf *path, Buf *out, bool *found,
                          zaya_error *err) {
  buf_clear(path);
  buf_clear(out);
  if (!buf_printf(path, err, "%s/%s", dir, name)) return false;
  *found = access(path->data, F_OK) == 0 || errno != ENOENT;
  return !*found || buf_read_file(out, path->data, MAX_CONFIG_BYTES, err);
}

// tokenizer_config.json repeats all added tokens: the members that matter are cut out of a megabyte.
static bool read_tokenizer_config(Tok *t, const char *path, const Buf *text, zaya_error *err) {
  JScan j;
  jscan_init(&j, path, text->data, text->len);
  json_t *kept = json_object();
  bool ok = kept && jscan_enter(&j, '{', err);
  int more = 0;
  while (ok && (more = jscan_next(&j, err)) > 0) {
    JStr key, span;
    char name[64];
    ok = jscan_key(&j, &key, err);
    if (!ok) break;
    snprintf(name, sizeof name, "%.*s", (int)(key.len < 63 ? key.len : 63), key.s);
    ok = jscan_skip(&j, &span, err);
    if (ok && strcmp(name, "added_tokens_decoder") != 0) {
      json_t *v = parts_json(path, name, span, err);
      ok = v && json_object_set_new(kept, name, v) == 0;
    }
  }
  ok = ok && more == 0 && jscan_finish(&j, err) && read_names(t, path, kept, err) &&
       mark_templates(t, json_object_get(kept, "chat_template"), err);
  json_decref(kept);
  jscan_free(&j);
  return ok;
}

static bool read_json_file(Tok *t, const char *path, const Buf *text,
                           bool (*read)(Tok *, const char *, const json_t *, zaya_error *), zaya_error *err) {
  json_error_t e;
  json_t *j = json_loadb(text->data, text->len, JSON_ALLOW_NUL, &e);
  bool ok = j ? read(t, path, j, err)
              : err_set(err, ZAYA_E_FORMAT, "%s: line %d, column %d: %s", path, e.line, e.column, e.text);
  json_decref(j);
  return ok;
}

static bool read_files(Tok *t, const char *dir, zaya_error *err) {
  Buf path = {0}, text = {0};
  bool found;
  bool ok = read_optional(dir, "tokenizer_config.json", &path, &text, &found, err) &&
            (!found || read_tokenizer_config(t, path.data, &text, err));
  ok = ok && read_optional(dir, "special_tokens_map.json", &path, &text, &found, err) &&
       (!found || read_json_file(t, path.data, &text, read_names, err));
  ok = ok && read_optional(dir, "generation_config.json", &path, &text, &found, err) &&
       (!found || read_json_file(t, path.data, &text, read_ids, err));
  ok = ok && read_optional(dir, "config.json", &path, &text, &found, err) &&
       (!found || read_json_file(t, path.data, &text, read_ids, err));
  ok = ok && read_optional(dir, "chat_template.jinja", &path, &text, &found, err);
  ok = ok && (!found || mark_template(t, text.data, text.len, err));
  buf_free(&path);
  buf_free(&text);
  return ok;
}

bool config_index(Tok *t, const char *dir, zaya_error *err) {
  if (dir && !read_files(t, dir, err)) return false;
  for (size_t i = 0; i < sizeof always_stop / sizeof *always_stop; i++) {
    int32_t id = tok_id(t, always_stop[i], strlen(always_stop[i]));
    if (id >= 0 && tok_is_added(t, id) && !add_stop(t, t->name, id, err)) return false;
  }
  if (t->bos < 0 && t->before.len) t->bos = t->before.data[0];
  return true;
}
