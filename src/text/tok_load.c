// tok_load: reads tokenizer.json. The file is large (33 MB, of which 30 are the merges) and read in one
// pass by jscan; only its small parts become JSON trees. Depends on tok_impl, jscan, map.
#include "base/error.h"
#include "base/map.h"
#include "text/tok_impl.h"

#include <stdlib.h>
#include <string.h>

// What was found of the file, and parts to be read once others are there.
typedef struct Load {
  Tok *t;
  JScan j;
  JStr normalizer, pre_tokenizer, post_processor, decoder, added, merges; // spans; s NULL: not there
  bool bpe, vocab, merged;
  Buf unk;
  bool has_unk;
  Buf joined; // of two pieces
} Load;

static int shown(size_t len) { return (int)(len < 64 ? len : 64); }

// --- merges -------------------------------------------------------------------------------------

static bool merge_piece(Load *l, JStr s, uint32_t hash, int32_t *id, zaya_error *err) {
  *id = s.len ? vocab_find_hashed(l->t, s.s, s.len, hash) : -1;
  return *id >= 0 || jscan_fail(&l->j, err, "model.merges: entry %zu: '%.*s' is not in the vocabulary",
                                l->t->n_merges, shown(s.len), s.s);
}

// Both forms of an entry: ["a", "b"] and "a b".
static bool merge_strings(Load *l, JStr *left, JStr *right, zaya_error *err) {
  JScan *j = &l->j;
  if (jscan_peek(j) == '"') {
    if (!jscan_string(j, left, err)) return false;
    const char *space = left->len ? memchr(left->s, ' ', left->len) : NULL;
    if (!space || memchr(space + 1, ' ', left->len - (size_t)(space + 1 - left->s)))
      return jscan_fail(j, err, "model.merges: entry %zu: expected two pieces and one space, found '%.*s'",
                        l->t->n_merges, shown(left->len), left->s);
    *right = (JStr){space + 1, left->len - (size_t)(space + 1 - left->s)};
    left->len = (size_t)(space - left->s);
    return true;
  }
  if (!jscan_enter(j, '[', err)) return false;
  int more = jscan_next(j, err);
  if (more > 0 && !jscan_string(j, left, err)) return false;
  if (more > 0) more = jscan_next(j, err);
  if (more > 0 && !jscan_string(j, right, err)) return false;
  int end = more > 0 ? jscan_next(j, err) : 1;
  if (more < 0 || end < 0) return false;
  return end == 0 || jscan_fail(j, err, "model.merges: entry %zu: expected two pieces", l->t->n_merges);
}

static bool read_merge(Load *l, zaya_error *err) {
  Tok *t = l->t;
  JStr s[3]; // left, right, both
  uint32_t hash[3];
  if (!merge_strings(l, &s[0], &s[1], err)) return false;
  buf_clear(&l->joined);
  if (!buf_add(&l->joined, s[0].s, s[0].len, err) || !buf_add(&l->joined, s[1].s, s[1].len, err))
    return false;
  s[2] = (JStr){l->joined.data, l->joined.len};
  for (int i = 0; i < 3; i++) vocab_prefetch(t, hash[i] = vocab_hash(s[i].s, s[i].len));
  TokMerge m;
  if (!merge_piece(l, s[0], hash[0], &m.left, err) || !merge_piece(l, s[1], hash[1], &m.right, err) ||
      !merge_piece(l, s[2], hash[2], &m.id, err))
    return false;
  if (t->n_merges == INT32_MAX) return jscan_fail(&l->j, err, "model.merges: too many entries");
  void *data = t->merges;
  if (!buf_grow(&data, &t->merges_cap, t->n_merges + 1, sizeof m, err)) return false;
  t->merges = data;
  t->merges[t->n_merges++] = m;
  return true;
}

static bool read_merges(Load *l, zaya_error *err) {
  if (!jscan_enter(&l->j, '[', err)) return false;
  int more;
  while ((more = jscan_next(&l->j, err)) > 0)
    if (!read_merge(l, err)) return false;
  return more == 0;
}

// --- model --------------------------------------------------------------------------------------

static bool read_vocab(Load *l, zaya_error *err) {
  JScan *j = &l->j;
  if (l->vocab) return jscan_fail(j, err, "model.vocab: is there twice");
  l->vocab = true;
  if (!jscan_enter(j, '{', err)) return false;
  int more;
  while ((more = jscan_next(j, err)) > 0) {
    JStr piece;
    int64_t id;
    if (!jscan_key(j, &piece, err) || !jscan_int(j, &id, err) || !vocab_add(l->t, piece, id, err))
      return false;
  }
  return more == 0 && vocab_index(l->t, err);
}

// A setting that is only implemented as absent: null, false, 0 or "".
static bool read_unset(Load *l, JStr key, zaya_error *err) {
  JStr v;
  if (!jscan_skip(&l->j, &v, err)) return false;
  if (jstr_is(v, "null") || jstr_is(v, "false") || jstr_is(v, "\"\"") || jstr_is(v, "0") || jstr_is(v, "0.0"))
    return true;
  return err_set(err, ZAYA_E_UNSUPPORTED, "%s: model.%.*s: %.*s is not implemented", l->t->name,
                 shown(key.len), key.s, shown(v.len), v.s);
}

static bool read_flag(Load *l, bool *out, zaya_error *err) {
  JStr null;
  if (jscan_peek(&l->j) == 'n') return jscan_skip(&l->j, &null, err);
  return jscan_bool(&l->j, out, err);
}

static bool read_type(Load *l, zaya_error *err) {
  JStr type;
  if (!jscan_string(&l->j, &type, err)) return false;
  l->bpe = jstr_is(type, "BPE");
  return l->bpe || err_set(err, ZAYA_E_UNSUPPORTED, "%s: model.type: expected \"BPE\", found \"%.*s\"",
                           l->t->name, shown(type.len), type.s);
}

static bool read_model_member(Load *l, JStr key, zaya_error *err) {
  if (jstr_is(key, "type")) return read_type(l, err);
  if (jstr_is(key, "vocab")) return read_vocab(l, err);
  if (jstr_is(key, "byte_fallback")) return read_flag(l, &l->t->byte_fallback, err);
  if (jstr_is(key, "fuse_unk")) return read_flag(l, &l->t->fuse_unk, err);
  if (jstr_is(key, "ignore_merges")) return read_flag(l, &l->t->ignore_merges, err);
  if (jstr_is(key, "unk_token")) {
    JStr unk;
    if (jscan_peek(&l->j) == 'n') return jscan_skip(&l->j, &unk, err);
    l->has_unk = true;
    buf_clear(&l->unk);
    return jscan_string(&l->j, &unk, err) && buf_add(&l->unk, unk.s, unk.len, err);
  }
  if (jstr_is(key, "merges")) {
    if (l->merged) return jscan_fail(&l->j, err, "model.merges: is there twice");
    l->merged = true;
    return l->vocab ? read_merges(l, err) : jscan_skip(&l->j, &l->merges, err);
  }
  return read_unset(l, key, err); // dropout, continuing_subword_prefix, end_of_word_suffix, unknown ones
}

static bool read_model(Load *l, zaya_error *err) {
  if (!jscan_enter(&l->j, '{', err)) return false;
  int more;
  while ((more = jscan_next(&l->j, err)) > 0) {
    JStr key;
    Buf copy = {0}; // the key may lie in the scanner's scratch memory, which reading the value uses
    if (!jscan_key(&l->j, &key, err)) return false;
    bool ok = buf_add(&copy, key.s, key.len, err) && read_model_member(l, (JStr){copy.data, copy.len}, err);
    buf_free(&copy);
    if (!ok) return false;
  }
  return more == 0;
}

// --- the file -----------------------------------------------------------------------------------

static bool read_member(Load *l, JStr key, zaya_error *err) {
  struct {
    const char *key;
    JStr *span;
  } parts[] = {{"normalizer", &l->normalizer},
               {"pre_tokenizer", &l->pre_tokenizer},
               {"post_processor", &l->post_processor},
               {"decoder", &l->decoder},
               {"added_tokens", &l->added}};
  if (jstr_is(key, "model")) {
    if (l->vocab) return jscan_fail(&l->j, err, "model: is there twice");
    return read_model(l, err);
  }
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (jstr_is(key, parts[i].key)) return jscan_skip(&l->j, parts[i].span, err);
  // Truncation and padding are settings of a batch of encodings, not of the encoding.
  if (jstr_is(key, "version") || jstr_is(key, "truncation") || jstr_is(key, "padding"))
    return jscan_skip(&l->j, NULL, err);
  return jscan_fail(&l->j, err, "'%.*s' is not implemented", shown(key.len), key.s);
}

static bool read_file(Load *l, zaya_error *err) {
  if (!jscan_enter(&l->j, '{', err)) return false;
  int more;
  while ((more = jscan_next(&l->j, err)) > 0) {
    JStr key;
    if (!jscan_key(&l->j, &key, err) || !read_member(l, key, err)) return false;
  }
  if (more < 0 || !jscan_finish(&l->j, err)) return false;
  const char *missing = !l->vocab    ? "model.vocab"
                        : !l->bpe    ? "model.type"
                        : !l->merged ? "model.merges"
                                     : NULL;
  if (!l->decoder.s && !missing) missing = "decoder";
  return !missing || err_set(err, ZAYA_E_FORMAT, "%s: %s is missing", l->t->name, missing);
}

// Reads on at an earlier span of the file, for the place in messages.
static void go_to(Load *l, JStr span) {
  l->j.p = span.s;
  l->j.end = span.s + span.len;
  l->j.depth = 0;
}

static bool read_part(Load *l, const char *what, JStr span, bool (*read)(Tok *, const json_t *, zaya_error *),
                      zaya_error *err) {
  if (!span.s) return true;
  json_t *j = parts_json(l->t->name, what, span, err);
  bool ok = j && read(l->t, j, err);
  json_decref(j);
  return ok;
}

static bool find_unk(Load *l, zaya_error *err) {
  l->t->unk = l->has_unk ? vocab_find(l->t, l->unk.data ? l->unk.data : "", l->unk.len) : -1;
  return !l->has_unk || l->t->unk >= 0 ||
         err_set(err, ZAYA_E_FORMAT, "%s: model.unk_token: '%.*s' is not in the vocabulary", l->t->name,
                 shown(l->unk.len), l->unk.data ? l->unk.data : "");
}

// The parts that need the vocabulary, in the order in which they need one another.
static bool finish(Load *l, zaya_error *err) {
  Tok *t = l->t;
  if (l->merges.s) {
    go_to(l, l->merges);
    if (!read_merges(l, err)) return false;
  }
  if (l->added.s) {
    go_to(l, l->added);
    if (!added_parse(t, &l->j, err)) return false;
  }
  return find_unk(l, err) && read_part(l, "normalizer", l->normalizer, parts_normalizer, err) &&
         read_part(l, "pre_tokenizer", l->pre_tokenizer, parts_pre_tokenizer, err) &&
         read_part(l, "post_processor", l->post_processor, parts_post_processor, err) &&
         read_part(l, "decoder", l->decoder, parts_decoder, err) && added_index(t, err) &&
         bpe_index(t, err) && decode_index(t, err);
}

static Tok *load(const char *name, const char *json, size_t len, const char *dir, zaya_error *err) {
  Tok *t = calloc(1, sizeof *t);
  if (!t || !(t->name = strdup(name))) {
    free(t);
    err_memory(err, sizeof *t, "a tokenizer");
    return NULL;
  }
  t->unk = t->bos = -1;
  Load l = {.t = t};
  jscan_init(&l.j, t->name, json, len);
  bool ok = read_file(&l, err) && finish(&l, err) && config_index(t, dir, err);
  jscan_free(&l.j);
  buf_free(&l.unk);
  buf_free(&l.joined);
  if (ok) return t;
  tok_close(t);
  return NULL;
}

Tok *tok_parse(const char *name, const char *json, size_t len, zaya_error *err) {
  return load(name, json, len, NULL, err);
}

Tok *tok_open(const char *dir, zaya_error *err) {
  Buf path = {0};
  Map map = {0};
  Tok *t = NULL;
  if (buf_printf(&path, err, "%s/tokenizer.json", dir) && map_open(&map, path.data, err))
    t = load(path.data, (const char *)map.data, map.size, dir, err);
  map_close(&map);
  buf_free(&path);
  return t;
}

void tok_close(Tok *t) {
  if (!t) return;
  free(t->name);
  buf_free(&t->pool);
  buf_free(&t->bytes);
  buf_free(&t->split);
  free(t->pieces);
  free(t->slots);
  free(t->merges);
  free(t->pairs);
  free(t->filter);
  free(t->bmp);
  added_free(t);
  replaces_free(&t->normalizer);
  replaces_free(&t->decoder);
  zaya_ids_free(&t->before);
  zaya_ids_free(&t->after);
  free(t);
}
