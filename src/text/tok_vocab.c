// tok_vocab: pieces by id and ids by text. Owns the pool of texts and the hash table over the
// vocabulary. Depends on tok_impl.
#include "base/error.h"
#include "base/size.h"
#include "text/tok_impl.h"

#include <stdlib.h>
#include <string.h>

uint32_t vocab_hash(const char *s, size_t n) {
  const uint64_t k = 0x9E3779B97F4A7C15u;
  uint64_t h = n * k, w;
  for (; n >= 8; s += 8, n -= 8) {
    memcpy(&w, s, 8);
    h = (h ^ w) * k;
    h ^= h >> 29;
  }
  w = 0;
  memcpy(&w, s, n);
  h = (h ^ w) * k;
  h ^= h >> 32;
  h *= k;
  return (uint32_t)(h >> 32);
}

bool vocab_pool(Tok *t, const char *text, size_t len, TokStr *out, zaya_error *err) {
  size_t total;
  if (!size_add(t->pool.len, len, &total) || total > UINT32_MAX)
    return err_set(err, ZAYA_E_LIMIT, "%s: the pieces take more than 4 GiB", t->name);
  *out = (TokStr){(uint32_t)t->pool.len, (uint32_t)len};
  return buf_add(&t->pool, text, len, err);
}

bool vocab_grow(Tok *t, size_t n, zaya_error *err) {
  void *data = t->pieces;
  if (!buf_grow(&data, &t->cap, n, sizeof *t->pieces, err)) return false;
  t->pieces = data;
  if (n > t->n) {
    memset(t->pieces + t->n, 0, (n - t->n) * sizeof *t->pieces);
    t->n = n;
  }
  return true;
}

bool vocab_add(Tok *t, JStr text, int64_t id, zaya_error *err) {
  if (id < 0 || id >= TOK_MAX_IDS)
    return err_set(err, ZAYA_E_FORMAT, "%s: model.vocab: id %lld of '%.*s' is not within 0..%d", t->name,
                   (long long)id, (int)(text.len < 64 ? text.len : 64), text.s, TOK_MAX_IDS - 1);
  if (!vocab_grow(t, (size_t)id + 1, err)) return false;
  TokPiece *p = &t->pieces[id];
  if (p->flags & PIECE_VOCAB)
    return err_set(err, ZAYA_E_FORMAT, "%s: model.vocab: id %lld stands for both '%.*s' and '%.*s'", t->name,
                   (long long)id, (int)(p->vocab.len < 64 ? p->vocab.len : 64), tok_at(t, p->vocab),
                   (int)(text.len < 64 ? text.len : 64), text.s);
  if (!vocab_pool(t, text.s, text.len, &p->vocab, err)) return false;
  p->text = p->vocab;
  p->flags = PIECE_VOCAB;
  return true;
}

// The slot that holds `text`, or the free one where it would go.
static TokSlot *slot_of(const Tok *t, const char *text, size_t len, uint32_t hash) {
  for (size_t i = hash & t->slot_mask;; i = (i + 1) & t->slot_mask) {
    TokSlot *s = &t->slots[i];
    if (s->id < 0) return s;
    if (s->hash != hash) continue;
    if (s->text.len == len && (!len || !memcmp(tok_at(t, s->text), text, len))) return s;
  }
}

bool vocab_index(Tok *t, zaya_error *err) {
  size_t slots = 64;
  while (slots < 2 * t->n) slots *= 2;
  t->slots = malloc(slots * sizeof *t->slots);
  if (!t->slots) return err_memory(err, slots * sizeof *t->slots, "the vocabulary");
  t->slot_mask = slots - 1;
  for (size_t i = 0; i < slots; i++) t->slots[i].id = -1;
  for (size_t id = 0; id < t->n; id++) {
    const TokPiece *p = &t->pieces[id];
    if (!(p->flags & PIECE_VOCAB)) continue;
    const char *text = p->vocab.len ? tok_at(t, p->vocab) : "";
    uint32_t hash = vocab_hash(text, p->vocab.len);
    TokSlot *s = slot_of(t, text, p->vocab.len, hash);
    if (s->id >= 0)
      return err_set(err, ZAYA_E_FORMAT, "%s: model.vocab: '%.*s' stands there twice, as %d and as %zu",
                     t->name, (int)(p->vocab.len < 64 ? p->vocab.len : 64), text, s->id, id);
    *s = (TokSlot){hash, (int32_t)id, p->vocab};
  }
  return true;
}

int32_t vocab_find(const Tok *t, const char *text, size_t len) {
  return slot_of(t, text, len, vocab_hash(text, len))->id;
}

void vocab_prefetch(const Tok *t, uint32_t hash) { __builtin_prefetch(&t->slots[hash & t->slot_mask]); }

int32_t vocab_find_hashed(const Tok *t, const char *text, size_t len, uint32_t hash) {
  return slot_of(t, text, len, hash)->id;
}

size_t tok_count(const Tok *t) { return t->n; }

static const TokPiece *piece_of(const Tok *t, int32_t id) {
  if (id < 0 || (size_t)id >= t->n) return NULL;
  const TokPiece *p = &t->pieces[id];
  return p->flags & (PIECE_VOCAB | PIECE_ADDED) ? p : NULL;
}

static bool has_flag(const Tok *t, int32_t id, uint32_t flag) {
  const TokPiece *p = piece_of(t, id);
  return p && (p->flags & flag);
}

bool tok_has(const Tok *t, int32_t id) { return piece_of(t, id) != NULL; }
bool tok_is_byte(const Tok *t, int32_t id) { return has_flag(t, id, PIECE_BYTE); }
bool tok_is_added(const Tok *t, int32_t id) { return has_flag(t, id, PIECE_ADDED); }
bool tok_is_special(const Tok *t, int32_t id) { return has_flag(t, id, PIECE_SPECIAL); }
bool tok_is_control(const Tok *t, int32_t id) { return has_flag(t, id, PIECE_CONTROL); }

const char *tok_piece(const Tok *t, int32_t id, size_t *len) {
  const TokPiece *p = piece_of(t, id);
  if (!p) return NULL;
  *len = p->text.len;
  return p->text.len ? tok_at(t, p->text) : "";
}

const char *tok_bytes(const Tok *t, int32_t id, size_t *len) {
  const TokPiece *p = piece_of(t, id);
  if (!p) return NULL;
  *len = p->decoded.len;
  return p->decoded.len ? t->bytes.data + p->decoded.at : "";
}

static bool is_text(const Tok *t, int32_t id, const char *text, size_t len) {
  TokStr have = t->pieces[id].text;
  return have.len == len && (!len || !memcmp(tok_at(t, have), text, len));
}

int32_t tok_id(const Tok *t, const char *piece, size_t len) {
  size_t match;
  int32_t a = len ? added_longest(t, &t->raw, piece, len, NULL, NULL, &match) : -1;
  if (a >= 0 && match == len) return t->added[a].id;
  int32_t id = vocab_find(t, piece, len);
  if (id >= 0 && is_text(t, id, piece, len)) return id; // an added token may have taken the id over
  for (size_t i = 0; i < t->n_added; i++)               // the trie of these holds their normalized text
    if (t->added[i].normalized && is_text(t, t->added[i].id, piece, len)) return t->added[i].id;
  return -1;
}

int32_t tok_bos(const Tok *t) { return t->bos; }

const int32_t *tok_stops(const Tok *t, size_t *n) {
  *n = t->n_stops;
  return t->stops;
}

bool tok_is_stop(const Tok *t, int32_t id) {
  for (size_t i = 0; i < t->n_stops; i++)
    if (t->stops[i] == id) return true;
  return false;
}
