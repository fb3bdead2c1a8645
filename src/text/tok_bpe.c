// tok_bpe: merging. A text becomes symbols (characters of the vocabulary, bytes, or the unknown piece);
// then the pair of neighbours with the lowest rank, leftmost first, becomes one, until no pair has a rank.
// A heap finds that pair, a linked list joins: O(n log n). Where two characters side by side are inside
// no merge the text is cut, and the parts, mostly words, are merged on their own with the same result.
// Depends on tok_impl, utf8.
#include "base/error.h"
#include "base/utf8.h"
#include "text/tok_impl.h"

#include <stdlib.h>
#include <string.h>

// --- tables -------------------------------------------------------------------------------------

static uint64_t pair_key(int32_t left, int32_t right) { return (uint64_t)left << 32 | (uint32_t)right; }

static size_t pair_hash(uint64_t key) {
  key *= 0x9E3779B97F4A7C15u;
  return (size_t)(key >> 32 ^ key >> 15);
}

// The rank of the merge of two neighbours, -1: none.
static int32_t find_merge(const Tok *t, int32_t left, int32_t right) {
  uint64_t key = pair_key(left, right);
  for (size_t i = pair_hash(key) & t->pair_mask;; i = (i + 1) & t->pair_mask) {
    const TokPair *p = &t->pairs[i];
    if (p->key == key) return p->rank;
    if (p->key == UINT64_MAX) return -1;
  }
}

static uint32_t filter_bit(uint32_t left, uint32_t right) {
  uint64_t h = ((uint64_t)left << 32 | right) * 0xD6E8FEB86659FD93u;
  return (uint32_t)(h >> (64 - TOK_FILTER_BITS));
}

static bool can_join(const Tok *t, uint32_t left, uint32_t right) {
  if (!t->filter) return true;
  uint32_t bit = filter_bit(left, right);
  return t->filter[bit / 64] >> (bit % 64) & 1;
}

static bool index_pairs(Tok *t, zaya_error *err) {
  size_t slots = 64;
  while (slots < 2 * t->n_merges) slots *= 2;
  t->pairs = malloc(slots * sizeof *t->pairs);
  if (!t->pairs) return err_memory(err, slots * sizeof *t->pairs, "the merges");
  t->pair_mask = slots - 1;
  for (size_t i = 0; i < slots; i++) t->pairs[i].key = UINT64_MAX;
  for (size_t rank = 0; rank < t->n_merges; rank++) {
    uint64_t key = pair_key(t->merges[rank].left, t->merges[rank].right);
    size_t i = pair_hash(key) & t->pair_mask;
    while (t->pairs[i].key != UINT64_MAX && t->pairs[i].key != key) i = (i + 1) & t->pair_mask;
    t->pairs[i] = (TokPair){key, (int32_t)rank}; // of a pair given twice the later rank counts
  }
  return true;
}

// Characters are cut apart by what they are, which says nothing about byte pieces and the unknown piece:
// a file that merges those gets no filter.
static bool index_filter(Tok *t, zaya_error *err) {
  t->filter = calloc((1u << TOK_FILTER_BITS) / 64, sizeof *t->filter);
  if (!t->filter) return err_memory(err, (1u << TOK_FILTER_BITS) / 8, "the merges");
  for (size_t i = 0; i < t->n_merges; i++) {
    const TokMerge *m = &t->merges[i];
    TokStr left = t->pieces[m->left].vocab, right = t->pieces[m->right].vocab;
    uint32_t a, b;
    utf8_prev(tok_at(t, left), left.len, &a);
    utf8_next(tok_at(t, right), right.len, &b);
    uint32_t bit = filter_bit(a, b);
    t->filter[bit / 64] |= (uint64_t)1 << (bit % 64);
  }
  return true;
}

static bool merges_special_symbols(const Tok *t, const bool *is_symbol) {
  for (size_t i = 0; i < t->n_merges; i++)
    if (is_symbol[t->merges[i].left] || is_symbol[t->merges[i].right]) return true;
  return false;
}

static bool index_characters(Tok *t, zaya_error *err) {
  t->bmp = malloc(0x10000 * sizeof *t->bmp);
  if (!t->bmp) return err_memory(err, 0x10000 * sizeof *t->bmp, "the vocabulary");
  for (uint32_t cp = 0; cp < 0x10000; cp++) {
    char s[4];
    t->bmp[cp] = cp >= 0xD800 && cp < 0xE000 ? -1 : vocab_find(t, s, utf8_put(cp, s));
  }
  for (int byte = 0; byte < 256; byte++) {
    char s[8];
    snprintf(s, sizeof s, "<0x%02X>", byte);
    t->byte_id[byte] = t->byte_fallback ? vocab_find(t, s, 6) : -1;
  }
  return true;
}

bool bpe_index(Tok *t, zaya_error *err) {
  if (!index_characters(t, err) || !index_pairs(t, err)) return false;
  bool all_bytes = true;
  bool *is_symbol = calloc(t->n + 1, sizeof *is_symbol);
  if (!is_symbol) return err_memory(err, t->n, "the vocabulary");
  for (int byte = 0; byte < 256; byte++) {
    if (t->byte_id[byte] >= 0)
      is_symbol[t->byte_id[byte]] = true;
    else
      all_bytes = false;
  }
  if (t->unk >= 0) is_symbol[t->unk] = true;
  bool whole = merges_special_symbols(t, is_symbol);
  free(is_symbol);
  if (t->unk < 0 && !all_bytes)
    return err_set(
        err, ZAYA_E_UNSUPPORTED,
        "%s: model: neither unk_token nor byte_fallback with all of <0x00>..<0xFF>: text could not "
        "be encoded without loss",
        t->name);
  return whole || index_filter(t, err);
}

// --- the heap -----------------------------------------------------------------------------------

static void sift_down(uint64_t *heap, size_t n, size_t i) {
  uint64_t v = heap[i];
  for (size_t c; (c = 2 * i + 1) < n; i = c) {
    if (c + 1 < n && heap[c + 1] < heap[c]) c++;
    if (heap[c] >= v) break;
    heap[i] = heap[c];
  }
  heap[i] = v;
}

static void sift_up(uint64_t *heap, size_t i) {
  uint64_t v = heap[i];
  for (; i > 0 && heap[(i - 1) / 2] > v; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
  heap[i] = v;
}

// --- merging ------------------------------------------------------------------------------------

enum { NO_SYMBOL = UINT32_MAX };

static int32_t rank_of(const Tok *t, const Bpe *b, int32_t left, int32_t right) {
  int32_t rank = find_merge(t, left, right);
  if (rank >= 0 && b->plain && (t->pieces[t->merges[rank].id].flags & PIECE_CONTROL)) return -1;
  return rank;
}

// Works out again which merge symbol i and the next one have. The heap has room: a merge takes one entry
// out and puts at most two in, and makes one symbol of two.
static void rank_symbol(const Tok *t, Bpe *b, uint32_t i) {
  BpeSymbol *s = &b->symbols[i];
  s->rank = s->next == NO_SYMBOL ? -1 : rank_of(t, b, s->id, b->symbols[s->next].id);
  if (s->rank < 0) return;
  b->heap[b->heap_len] = (uint64_t)s->rank << 32 | i;
  sift_up(b->heap, b->heap_len++);
}

static bool reserve_heap(Bpe *b, zaya_error *err) {
  void *data = b->heap;
  if (!buf_grow(&data, &b->heap_cap, 2 * b->n, sizeof *b->heap, err)) return false;
  b->heap = data;
  return true;
}

// Merges the symbols [0, n) until nothing merges. Entries of the heap whose symbol has another rank by now
// are stale.
static bool merge_all(const Tok *t, Bpe *b, zaya_error *err) {
  if (!reserve_heap(b, err)) return false;
  BpeSymbol *s = b->symbols;
  b->heap_len = 0;
  for (uint32_t i = 0; i < b->n; i++) {
    s[i].prev = i ? i - 1 : NO_SYMBOL;
    s[i].next = i + 1 < b->n ? i + 1 : NO_SYMBOL;
    s[i].rank = i + 1 < b->n ? rank_of(t, b, s[i].id, s[i + 1].id) : -1;
    if (s[i].rank >= 0) b->heap[b->heap_len++] = (uint64_t)s[i].rank << 32 | i;
  }
  for (size_t i = b->heap_len / 2; i-- > 0;) sift_down(b->heap, b->heap_len, i);
  while (b->heap_len) {
    uint64_t top = b->heap[0];
    b->heap[0] = b->heap[--b->heap_len];
    if (b->heap_len) sift_down(b->heap, b->heap_len, 0);
    uint32_t i = (uint32_t)top;
    int32_t rank = (int32_t)(top >> 32);
    if (s[i].rank != rank) continue;
    uint32_t gone = s[i].next;
    s[i].id = t->merges[rank].id;
    s[i].len += s[gone].len;
    s[i].next = s[gone].next;
    s[gone].rank = -1;
    if (s[i].next != NO_SYMBOL) s[s[i].next].prev = i;
    rank_symbol(t, b, i);
    if (s[i].prev != NO_SYMBOL) rank_symbol(t, b, s[i].prev);
  }
  return true;
}

// Merges and hands out what was gathered; *end moves on behind it.
static bool flush(const Tok *t, Bpe *b, size_t *end, BpeEmit emit, void *user, zaya_error *err) {
  if (b->n > 1 && !merge_all(t, b, err)) return false;
  if (b->n == 1) b->symbols[0].next = NO_SYMBOL;
  for (uint32_t i = b->n ? 0 : NO_SYMBOL; i != NO_SYMBOL; i = b->symbols[i].next) {
    *end += b->symbols[i].len;
    if (!emit(user, b->symbols[i].id, *end, err)) return false;
  }
  b->n = 0;
  return true;
}

// --- symbols ------------------------------------------------------------------------------------

static bool add_symbol(Bpe *b, int32_t id, size_t len, zaya_error *err) {
  void *data = b->symbols;
  if (!buf_grow(&data, &b->cap, b->n + 1, sizeof *b->symbols, err)) return false;
  b->symbols = data;
  b->symbols[b->n++] = (BpeSymbol){.id = id, .len = (uint32_t)len};
  return true;
}

// The id of a character, -1 when it is not in the vocabulary (or is a control token in plain text).
static int32_t character_id(const Tok *t, const Bpe *b, uint32_t cp, const char *s, size_t len) {
  int32_t id = cp < 0x10000 ? t->bmp[cp] : vocab_find(t, s, len);
  if (id >= 0 && b->plain && (t->pieces[id].flags & PIECE_CONTROL)) return -1;
  return id;
}

// A character that the vocabulary lacks: its bytes, if all are there, else the unknown piece, which takes
// in the unknown characters in front of it when the file says so (fuse_unk).
static bool add_unknown(const Tok *t, Bpe *b, const char *s, size_t len, zaya_error *err) {
  bool bytes = t->byte_fallback;
  for (size_t i = 0; bytes && i < len; i++) bytes = t->byte_id[(uint8_t)s[i]] >= 0;
  if (!bytes) {
    if (t->unk < 0) // a control character of the vocabulary that may not come from plain text
      return err_set(err, ZAYA_E_UNSUPPORTED, "%s: no piece for '%.*s' and no unk_token", t->name, (int)len,
                     s);
    BpeSymbol *last = b->n ? &b->symbols[b->n - 1] : NULL;
    if (!t->fuse_unk || !last || last->id != t->unk) return add_symbol(b, t->unk, len, err);
    last->len += (uint32_t)len;
    return true;
  }
  for (size_t i = 0; i < len; i++)
    if (!add_symbol(b, t->byte_id[(uint8_t)s[i]], 1, err)) return false;
  return true;
}

bool bpe_run(const Tok *t, Bpe *b, const char *text, size_t len, BpeEmit emit, void *user, zaya_error *err) {
  size_t end = 0;
  if (t->ignore_merges && len) {
    int32_t id = vocab_find(t, text, len);
    if (id >= 0 && !(b->plain && (t->pieces[id].flags & PIECE_CONTROL))) return emit(user, id, len, err);
  }
  b->n = 0;
  uint32_t cp, before = 0;
  for (size_t i = 0, n; i < len; i += n, before = cp) {
    n = utf8_next(text + i, len - i, &cp);
    int32_t id = character_id(t, b, cp, text + i, n);
    bool fuses = id < 0 && b->n && b->symbols[b->n - 1].id == t->unk;
    if (b->n && !fuses && !can_join(t, before, cp) && !flush(t, b, &end, emit, user, err)) return false;
    if (!(id >= 0 ? add_symbol(b, id, n, err) : add_unknown(t, b, text + i, n, err))) return false;
  }
  return flush(t, b, &end, emit, user, err);
}

void bpe_free(Bpe *b) {
  free(b->symbols);
  free(b->heap);
  *b = (Bpe){0};
}
