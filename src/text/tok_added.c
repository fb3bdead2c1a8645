// tok_added: the added tokens of tokenizer.json and the tries that find them in text. Depends on tok_impl.
#include "base/error.h"
#include "text/tok_impl.h"

#include <stdlib.h>
#include <string.h>

static bool fail(const Tok *t, zaya_error *err, const TokAdded *a, const char *what) {
  return err_set(err, ZAYA_E_FORMAT, "%s: added_tokens: id %d '%.*s' %s", t->name, a->id,
                 (int)(a->text.len < 64 ? a->text.len : 64), a->text.len ? tok_at(t, a->text) : "", what);
}

// One member of an added token; `has` collects which of id (1) and content (2) were there.
static bool read_member(Tok *t, JScan *j, JStr key, TokAdded *a, unsigned *has, zaya_error *err) {
  if (jstr_is(key, "special")) return jscan_bool(j, &a->special, err);
  if (jstr_is(key, "normalized")) return jscan_bool(j, &a->normalized, err);
  if (jstr_is(key, "lstrip")) return jscan_bool(j, &a->lstrip, err);
  if (jstr_is(key, "rstrip")) return jscan_bool(j, &a->rstrip, err);
  if (jstr_is(key, "single_word")) return jscan_bool(j, &a->single_word, err);
  if (jstr_is(key, "id")) {
    int64_t id;
    if (!jscan_int(j, &id, err)) return false;
    if (id < 0 || id >= TOK_MAX_IDS)
      return jscan_fail(j, err, "added_tokens: id %lld is not within 0..%d", (long long)id, TOK_MAX_IDS - 1);
    a->id = (int32_t)id;
    *has |= 1;
    return true;
  }
  if (jstr_is(key, "content")) {
    JStr s;
    if (!jscan_string(j, &s, err)) return false;
    if (s.len == 0 || s.len > TOK_MAX_ADDED_LEN)
      return jscan_fail(j, err, "added_tokens: a content of %zu bytes, expected 1 to %d", s.len,
                        TOK_MAX_ADDED_LEN);
    *has |= 2;
    return vocab_pool(t, s.s, s.len, &a->text, err);
  }
  return jscan_fail(j, err, "added_tokens: '%.*s' is not implemented", (int)(key.len < 64 ? key.len : 64),
                    key.s);
}

// Gives the token its id. An id of the vocabulary whose text differs is taken over (published files rename
// unused tokens so); a text that stands in the vocabulary under another id is a contradiction.
static bool enter(Tok *t, const TokAdded *a, zaya_error *err) {
  if (!vocab_grow(t, (size_t)a->id + 1, err)) return false;
  TokPiece *p = &t->pieces[a->id];
  if (p->flags & PIECE_ADDED) return fail(t, err, a, "is there twice");
  int32_t other = vocab_find(t, tok_at(t, a->text), a->text.len);
  if (other >= 0 && other != a->id) {
    char what[64];
    snprintf(what, sizeof what, "has id %d in model.vocab", other);
    return fail(t, err, a, what);
  }
  p->text = a->text;
  p->flags |= PIECE_ADDED;
  if (a->special) p->flags |= PIECE_SPECIAL | PIECE_CONTROL;
  return true;
}

bool added_parse(Tok *t, JScan *j, zaya_error *err) {
  if (!jscan_enter(j, '[', err)) return false;
  int more;
  while ((more = jscan_next(j, err)) > 0) {
    TokAdded a = {0};
    unsigned has = 0;
    if (!jscan_enter(j, '{', err)) return false;
    while ((more = jscan_next(j, err)) > 0) {
      JStr key;
      if (!jscan_key(j, &key, err) || !read_member(t, j, key, &a, &has, err)) return false;
    }
    if (more < 0) return false;
    if (has != 3) return jscan_fail(j, err, "added_tokens: expected an id and a content");
    void *data = t->added;
    if (!buf_grow(&data, &t->added_cap, t->n_added + 1, sizeof a, err)) return false;
    t->added = data;
    t->added[t->n_added++] = a;
    if (!enter(t, &a, err)) return false;
  }
  return more == 0;
}

// Adds a node for `byte` at the end of the chain whose head is *link (an index into nodes, or the root).
static bool new_node(TokTrie *trie, uint8_t byte, int32_t *index, zaya_error *err) {
  void *data = trie->nodes;
  if (!buf_grow(&data, &trie->cap, trie->len + 1, sizeof *trie->nodes, err)) return false;
  trie->nodes = data;
  *index = (int32_t)trie->len;
  trie->nodes[trie->len++] = (TokNode){-1, -1, -1, byte};
  return true;
}

static int32_t find_child(const TokTrie *trie, int32_t node, uint8_t byte) {
  int32_t c = trie->nodes[node].child;
  while (c >= 0 && trie->nodes[c].byte != byte) c = trie->nodes[c].sibling;
  return c;
}

static bool trie_add(TokTrie *trie, const char *text, size_t len, int32_t added, int32_t *there,
                     zaya_error *err) {
  int32_t node = trie->root[(uint8_t)text[0]];
  if (node < 0) {
    if (!new_node(trie, (uint8_t)text[0], &node, err)) return false;
    trie->root[(uint8_t)text[0]] = node;
  }
  for (size_t i = 1; i < len; i++) {
    int32_t child = find_child(trie, node, (uint8_t)text[i]);
    if (child < 0) {
      if (!new_node(trie, (uint8_t)text[i], &child, err)) return false;
      trie->nodes[child].sibling = trie->nodes[node].child;
      trie->nodes[node].child = child;
    }
    node = child;
  }
  *there = trie->nodes[node].added;
  if (*there < 0) trie->nodes[node].added = added;
  return true;
}

bool added_index(Tok *t, zaya_error *err) {
  for (int i = 0; i < 256; i++) t->raw.root[i] = t->normalized.root[i] = -1;
  Buf text = {0};
  bool ok = true;
  for (size_t i = 0; ok && i < t->n_added; i++) {
    const TokAdded *a = &t->added[i];
    buf_clear(&text);
    ok = a->normalized ? replaces_apply(&t->normalizer, tok_at(t, a->text), a->text.len, &text, err)
                       : buf_add(&text, tok_at(t, a->text), a->text.len, err);
    if (!ok) break;
    if (text.len == 0) {
      ok = fail(t, err, a, "is empty once normalized");
      break;
    }
    int32_t there = -1;
    ok = trie_add(a->normalized ? &t->normalized : &t->raw, text.data, text.len, (int32_t)i, &there, err);
    if (ok && there >= 0) ok = fail(t, err, a, "has the text of another added token");
  }
  buf_free(&text);
  return ok;
}

int32_t added_longest(const Tok *t, const TokTrie *trie, const char *text, size_t len, AddedFilter allowed,
                      void *user, size_t *match) {
  int32_t best = -1, node = trie->root[(uint8_t)text[0]];
  for (size_t i = 1; node >= 0; i++) {
    int32_t a = trie->nodes[node].added;
    if (a >= 0 && (!allowed || allowed(user, &t->added[a], i))) {
      best = a;
      *match = i;
    }
    if (i >= len) break;
    node = find_child(trie, node, (uint8_t)text[i]);
  }
  return best;
}

void added_free(Tok *t) {
  free(t->added);
  free(t->raw.nodes);
  free(t->normalized.nodes);
}
