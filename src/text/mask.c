// mask: see mask.h.
#include "text/mask.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

#define NONE       UINT32_MAX
#define MAX_GROUPS 16u                // places with stacks of their own before one whole walk is cheaper
#define KEEP_BYTES ((size_t)32 << 20) // of remembered walks, before they are dropped and made anew
#define FEW        1024u              // allowed tokens up to which a list is kept instead of bits

// --- vocabulary ----------------------------------------------------------------------------------------

typedef struct TrieNode { // in depth-first order: the subtree of node i is [i, skip)
  uint32_t skip;
  uint32_t token; // a token that ends here, or NONE; more of them by `same`
  uint16_t depth;
  uint8_t byte;
  bool more; // tokens than one end here
} TrieNode;

struct Vocab {
  atomic_uint refs;
  size_t n;
  TrieNode *nodes;
  uint32_t n_nodes;
  uint32_t *same;   // [n] next token of the same bytes, or NONE
  uint32_t *offset; // [n + 1] into text
  char *text;
  uint8_t *flags;   // [n]
  uint32_t max_len; // of a piece in the trie
};

typedef struct SortKey {
  const char *bytes;
  uint32_t len, id;
} SortKey;

static int key_order(const void *a, const void *b) {
  const SortKey *x = a, *y = b;
  int c = memcmp(x->bytes, y->bytes, x->len < y->len ? x->len : y->len);
  if (c) return c;
  if (x->len != y->len) return x->len < y->len ? -1 : 1;
  return x->id < y->id ? -1 : 1;
}

static uint32_t shared(const SortKey *x, const SortKey *y) {
  uint32_t n = x->len < y->len ? x->len : y->len, i = 0;
  while (i < n && x->bytes[i] == y->bytes[i]) i++;
  return i;
}

// The trie of sorted keys, in depth-first order; `nodes` has room for all bytes of all keys and the root.
static void trie_fill(Vocab *v, const SortKey *keys, size_t n) {
  uint32_t path[VOCAB_MAX_PIECE + 1]; // node at each depth
  uint32_t depth = 0;
  v->nodes[0] = (TrieNode){.token = NONE};
  v->n_nodes = 1;
  path[0] = 0;
  for (size_t i = 0; i < n; i++) {
    uint32_t keep = i ? shared(&keys[i - 1], &keys[i]) : 0;
    while (depth > keep) v->nodes[path[depth--]].skip = v->n_nodes;
    for (; depth < keys[i].len; depth++) {
      path[depth + 1] = v->n_nodes;
      v->nodes[v->n_nodes++] =
          (TrieNode){.token = NONE, .depth = (uint16_t)(depth + 1), .byte = (uint8_t)keys[i].bytes[depth]};
    }
    v->same[keys[i].id] = v->nodes[path[depth]].token;
    v->nodes[path[depth]].more = v->same[keys[i].id] != NONE;
    v->nodes[path[depth]].token = keys[i].id;
    if (keys[i].len > v->max_len) v->max_len = keys[i].len;
  }
  for (;; depth--) {
    v->nodes[path[depth]].skip = v->n_nodes;
    if (!depth) break;
  }
}

static bool trie_build(Vocab *v, zaya_error *err) {
  SortKey *keys = malloc((v->n + 1) * sizeof *keys);
  if (!keys) {
    err_memory(err, v->n * sizeof *keys, "a vocabulary");
    return false;
  }
  size_t n = 0, n_nodes = 1;
  for (size_t i = 0; i < v->n; i++) {
    uint32_t len = v->offset[i + 1] - v->offset[i];
    if (!len) continue;
    keys[n++] = (SortKey){v->text + v->offset[i], len, (uint32_t)i};
  }
  qsort(keys, n, sizeof *keys, key_order);
  for (size_t i = 0; i < n; i++) n_nodes += keys[i].len - (i ? shared(&keys[i - 1], &keys[i]) : 0);
  v->nodes = malloc(n_nodes * sizeof *v->nodes);
  if (v->nodes) trie_fill(v, keys, n);
  free(keys);
  return v->nodes || err_memory(err, n_nodes * sizeof *v->nodes, "a vocabulary");
}

// Copies the pieces that bytes can reach; the others stay empty.
static bool vocab_copy(Vocab *v, const VocabPiece *pieces, zaya_error *err) {
  size_t total = v->n;
  for (size_t i = 0; i < v->n; i++)
    if (!size_add(total, pieces[i].len, &total)) {
      err_memory(err, SIZE_MAX, "a vocabulary");
      return false;
    }
  if (total >= NONE) return err_set(err, ZAYA_E_LIMIT, "vocabulary of %zu bytes: at most 4 GiB", total);
  v->text = malloc(total + 1);
  v->offset = malloc((v->n + 1) * sizeof *v->offset);
  v->same = malloc((v->n + 1) * sizeof *v->same);
  v->flags = malloc(v->n + 1);
  if (!v->text || !v->offset || !v->same || !v->flags) {
    err_memory(err, total, "a vocabulary");
    return false;
  }
  uint32_t at = 0;
  for (size_t i = 0; i < v->n; i++) {
    const VocabPiece *p = &pieces[i];
    v->flags[i] = (uint8_t)p->flags;
    v->offset[i] = at;
    v->same[i] = NONE;
    if (!p->len || p->len >= VOCAB_MAX_PIECE || (p->flags & VOCAB_END)) continue;
    // A byte token of the mark's value is no mark, and no text has it.
    if (!(p->flags & VOCAB_CONTROL) && memchr(p->bytes, VOCAB_MARK[0], p->len)) continue;
    if (p->flags & VOCAB_CONTROL) v->text[at++] = VOCAB_MARK[0];
    memcpy(v->text + at, p->bytes, p->len);
    at += (uint32_t)p->len;
  }
  v->offset[v->n] = at;
  return true;
}

Vocab *vocab_new(const VocabPiece *pieces, size_t n, zaya_error *err) {
  if (!n || n > VOCAB_MAX_TOKENS) {
    err_set(err, ZAYA_E_INVALID, "vocabulary of %zu tokens: 1 to %u are possible", n, VOCAB_MAX_TOKENS);
    return NULL;
  }
  Vocab *v = calloc(1, sizeof *v);
  if (!v) {
    err_memory(err, sizeof *v, "a vocabulary");
    return NULL;
  }
  atomic_init(&v->refs, 1);
  v->n = n;
  if (vocab_copy(v, pieces, err) && trie_build(v, err)) return v;
  vocab_free(v);
  return NULL;
}

Vocab *vocab_ref(const Vocab *v) {
  Vocab *mine = (Vocab *)v; // the count is the one mutable part
  atomic_fetch_add_explicit(&mine->refs, 1, memory_order_relaxed);
  return mine;
}

void vocab_free(Vocab *v) {
  if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1) return;
  free(v->nodes);
  free(v->same);
  free(v->offset);
  free(v->text);
  free(v->flags);
  free(v);
}

size_t vocab_size(const Vocab *v) { return v->n; }

bool vocab_is_end(const Vocab *v, int32_t id) {
  return id >= 0 && (size_t)id < v->n && (v->flags[id] & VOCAB_END);
}

const char *vocab_piece(const Vocab *v, int32_t id, size_t *len) {
  *len = 0;
  if (id < 0 || (size_t)id >= v->n) return NULL;
  *len = v->offset[id + 1] - v->offset[id];
  return *len ? v->text + v->offset[id] : NULL;
}

// --- remembered walks ----------------------------------------------------------------------------------

typedef struct Walk { // of the trie, from a set above an unknown stack
  uint32_t *tokens;   // allowed whatever the stack: a list ...
  uint64_t *bits;     // ... or, of many, bits
  uint32_t n_tokens;
  uint32_t *ends; // trie nodes where the rule can have ended
  uint32_t n_ends;
} Walk;

typedef struct Place {   // on the way down the trie
  const uint32_t *table; // of transitions
  uint32_t set;
} Place;

struct Mask {
  Vocab *vocab;
  Walk *walks;
  uint32_t n_walks, cap_walks;
  uint32_t *walk_of; // [cap_sets] walk of a set, or NONE
  uint32_t cap_sets;
  uint32_t generation;
  size_t kept;    // bytes
  uint32_t *ends; // scratch
  uint32_t n_ends, cap_ends;
  uint64_t *scratch; // [mask_words]
  Place *path;       // [max_len + 1], by depth
  MaskStats stats;
};

Mask *mask_new(const Vocab *v, zaya_error *err) {
  Mask *k = calloc(1, sizeof *k);
  if (k) {
    k->vocab = vocab_ref(v);
    k->scratch = malloc(mask_words(v->n) * sizeof *k->scratch);
    k->path = malloc((v->max_len + 1) * sizeof *k->path);
    if (k->scratch && k->path) return k;
  }
  err_memory(err, mask_words(v->n) * 8, "a token mask");
  mask_free(k);
  return NULL;
}

static void forget(Mask *k) {
  for (uint32_t i = 0; i < k->n_walks; i++) {
    free(k->walks[i].tokens);
    free(k->walks[i].bits);
    free(k->walks[i].ends);
  }
  k->n_walks = 0;
  k->kept = 0;
  if (k->walk_of) memset(k->walk_of, 0xFF, k->cap_sets * sizeof *k->walk_of);
}

void mask_free(Mask *k) {
  if (!k) return;
  forget(k);
  free(k->walks);
  free(k->walk_of);
  free(k->ends);
  free(k->scratch);
  free(k->path);
  vocab_free(k->vocab);
  free(k);
}

static void put_token(const Vocab *v, const TrieNode *n, uint64_t *out) {
  uint32_t token = n->token;
  if (token == NONE) return;
  out[token >> 6] |= (uint64_t)1 << (token & 63);
  if (!n->more) return; // `same` is seldom looked at: it would not stay in the cache
  while ((token = v->same[token]) != NONE) out[token >> 6] |= (uint64_t)1 << (token & 63);
}

static bool put_end(Mask *k, uint32_t node) {
  if (k->n_ends == k->cap_ends) {
    uint32_t n = k->cap_ends ? k->cap_ends * 2 : 1024;
    uint32_t *p = realloc(k->ends, n * sizeof *p);
    if (!p) return false;
    k->ends = p;
    k->cap_ends = n;
  }
  k->ends[k->n_ends++] = node;
  return true;
}

// Sets the tokens strictly below trie node `top` that are allowed after `set` at `top`. With `local` the
// set stands above an unknown stack: nodes where it ends, and longer tokens go on, are noted in k->ends.
// The hot loop of every mask: a node costs one look into a table of transitions.
static bool walk(Mask *k, Match *m, uint32_t top, uint32_t set, bool local, uint64_t *out) {
  const Vocab *v = k->vocab;
  const TrieNode *nodes = v->nodes;
  uint32_t end = nodes[top].skip;
  Place *path = k->path;
  path[nodes[top].depth] = (Place){match_table(m, set), set};
  if (!path[nodes[top].depth].table) return false;
  uint64_t walked = 0;
  for (uint32_t i = top + 1; i < end; walked++) {
    const TrieNode *n = &nodes[i];
    const Place *up = &path[n->depth - 1];
    uint32_t s = up->table[n->byte];
    if (!s) s = match_find_step(m, up->set, n->byte);
    if (s == MATCH_DEAD) {
      if (m->failed != ZAYA_OK) return false;
      i = n->skip;
      continue;
    }
    // Also where the rule has ended: there is always a way on from there.
    put_token(v, n, out);
    if (n->skip == i + 1) {
      i++;
      continue;
    }
    if (local && m->sets[s].ends) {
      if (!put_end(k, i)) return m->failed = ZAYA_E_MEMORY, false;
      if (m->sets[s].n == 1) { // ended, and nothing else goes on
        i = n->skip;
        continue;
      }
    }
    path[n->depth] = (Place){match_table(m, s), s};
    if (!path[n->depth].table) return false;
    i++;
  }
  k->stats.walked_nodes += walked;
  return true;
}

// Turns the scratch bits and ends into a remembered walk.
static bool keep_walk(Mask *k, Walk *w) {
  size_t words = mask_words(k->vocab->n), count = 0;
  for (size_t i = 0; i < words; i++) count += (size_t)__builtin_popcountll(k->scratch[i]);
  *w = (Walk){.n_tokens = (uint32_t)count, .n_ends = k->n_ends};
  w->ends = malloc((k->n_ends + 1) * sizeof *w->ends);
  if (w->ends && k->n_ends) memcpy(w->ends, k->ends, k->n_ends * sizeof *w->ends);
  if (count <= FEW) {
    w->tokens = malloc((count + 1) * sizeof *w->tokens);
    uint32_t n = 0;
    for (size_t i = 0; w->tokens && i < words; i++)
      for (uint64_t b = k->scratch[i]; b; b &= b - 1)
        w->tokens[n++] = (uint32_t)(i * 64 + (size_t)__builtin_ctzll(b));
    k->kept += count * sizeof *w->tokens;
  } else {
    w->bits = malloc(words * sizeof *w->bits);
    if (w->bits) memcpy(w->bits, k->scratch, words * sizeof *w->bits);
    k->kept += words * sizeof *w->bits;
  }
  k->kept += k->n_ends * sizeof *w->ends + sizeof *w;
  if (w->ends && (w->tokens || w->bits)) return true;
  free(w->ends);
  free(w->tokens);
  free(w->bits);
  return false;
}

static bool walk_slots(Mask *k, uint32_t set) {
  if (set >= k->cap_sets) {
    uint32_t n = k->cap_sets ? k->cap_sets : 1024;
    while (n <= set) n *= 2;
    uint32_t *p = realloc(k->walk_of, n * sizeof *p);
    if (!p) return false;
    memset(p + k->cap_sets, 0xFF, (n - k->cap_sets) * sizeof *p);
    k->walk_of = p;
    k->cap_sets = n;
  }
  if (k->n_walks == k->cap_walks) {
    uint32_t n = k->cap_walks ? k->cap_walks * 2 : 64;
    Walk *p = realloc(k->walks, n * sizeof *p);
    if (!p) return false;
    k->walks = p;
    k->cap_walks = n;
  }
  return true;
}

// The walk of a set above an unknown stack, made or remembered; NULL on failure.
static const Walk *walk_of(Mask *k, Match *m, uint32_t set) {
  if (set < k->cap_sets && k->walk_of[set] != NONE) return &k->walks[k->walk_of[set]];
  if (!walk_slots(k, set)) return m->failed = ZAYA_E_MEMORY, NULL;
  memset(k->scratch, 0, mask_words(k->vocab->n) * sizeof *k->scratch);
  k->n_ends = 0;
  k->stats.walks++;
  if (!walk(k, m, 0, set, true, k->scratch)) return NULL;
  if (!keep_walk(k, &k->walks[k->n_walks])) return m->failed = ZAYA_E_MEMORY, NULL;
  k->walk_of[set] = k->n_walks;
  return &k->walks[k->n_walks++];
}

// --- one mask ------------------------------------------------------------------------------------------

// A round count that no single token can tell from `count`: far from both bounds, all are alike.
static uint32_t like_count(const Vocab *v, const GramLoop *l, uint32_t count) {
  uint64_t far = (uint64_t)v->max_len + 2;
  if (count < l->min) return count + far < l->min ? 0 : count;
  return l->max == GRAM_INF || count + far < l->max ? l->min : count;
}

// The first frame below that is not a loop's: stacks are cut there.
static uint32_t base_of(const Match *m, uint32_t frame) {
  while (frame > MATCH_UNKNOWN && m->frames[frame].count != NONE) frame = m->frames[frame].parent;
  return frame;
}

// `frame` with its base replaced by the unknown and its counts by like ones.
static uint32_t cut_frame(const Mask *k, Match *m, uint32_t frame) {
  if (frame <= MATCH_UNKNOWN || m->frames[frame].count == NONE) return MATCH_UNKNOWN;
  MatchFrame f = m->frames[frame];
  uint32_t below = cut_frame(k, m, f.parent);
  if (below == NONE) return NONE;
  const GramLoop *l = &m->g->loops[m->g->nodes[f.pc].arg];
  return match_push(m, f.pc, like_count(k->vocab, l, f.count), below);
}

typedef struct Groups { // the items of the state by the base of their stacks
  uint32_t base[MAX_GROUPS];
  uint32_t n;
  bool whole; // too many, or too deep: walk the state as it is
} Groups;

static Groups find_groups(const Match *m) {
  const MatchSet *s = &m->sets[m->state];
  Groups g = {.n = 0};
  for (uint32_t i = 0; i < s->n && !g.whole; i++) {
    MatchItem it = m->items[s->first + i];
    if (match_pc(it) == 0) continue; // the end: no bytes follow
    uint32_t base = base_of(m, match_frame(it)), j = 0;
    while (j < g.n && g.base[j] != base) j++;
    g.whole = m->frames[match_frame(it)].depth > MATCH_MAX_DEPTH / 2 || (j == g.n && g.n == MAX_GROUPS);
    if (j == g.n && !g.whole) g.base[g.n++] = base;
  }
  return g;
}

// The items of the state above `base`, as a set above the unknown.
static uint32_t local_set(const Mask *k, Match *m, uint32_t base) {
  MatchSet s = m->sets[m->state];
  MatchItem *items = malloc((s.n + 1) * sizeof *items);
  if (!items) return m->failed = ZAYA_E_MEMORY, MATCH_DEAD;
  uint32_t n = 0, last = NONE, last_cut = NONE;
  for (uint32_t i = 0; i < s.n; i++) {
    MatchItem it = m->items[s.first + i];
    uint32_t frame = match_frame(it);
    if (match_pc(it) == 0 || base_of(m, frame) != base) continue;
    if (frame != last) {
      last = frame;
      last_cut = cut_frame(k, m, frame);
    }
    if (last_cut != NONE) items[n++] = match_item(match_pc(it), last_cut);
  }
  // Different counts may have become alike.
  uint32_t set = match_set_of(m, items, n), kept = 0;
  for (uint32_t i = 0; i < n; i++)
    if (!kept || items[kept - 1] != items[i]) items[kept++] = items[i];
  if (kept < n) set = match_set_of(m, items, kept);
  free(items);
  return set;
}

static bool fill_group(Mask *k, Match *m, uint32_t base, uint64_t *out) {
  const Vocab *v = k->vocab;
  uint32_t set = local_set(k, m, base);
  const Walk *w = m->failed == ZAYA_OK ? walk_of(k, m, set) : NULL;
  if (!w) return false;
  if (w->bits)
    for (size_t i = 0; i < mask_words(v->n); i++) out[i] |= w->bits[i];
  else
    for (uint32_t i = 0; i < w->n_tokens; i++) out[w->tokens[i] >> 6] |= (uint64_t)1 << (w->tokens[i] & 63);
  if (!w->n_ends) return true;
  uint32_t after = match_after(m, base);
  if (after == MATCH_DEAD) return m->failed == ZAYA_OK;
  if (m->sets[after].ends && m->sets[after].n == 1) return true; // nothing may follow
  for (uint32_t i = 0; i < w->n_ends; i++)
    if (!walk(k, m, w->ends[i], after, false, out)) return false;
  return true;
}

bool mask_fill(Mask *k, Match *m, uint64_t *out, zaya_error *err) {
  const Vocab *v = k->vocab;
  size_t words = mask_words(v->n);
  match_tidy(m);
  if (m->generation != k->generation || k->kept > KEEP_BYTES) forget(k);
  k->generation = m->generation;
  k->stats.fills++;
  match_begin(m);
  memset(out, 0, words * sizeof *out);
  Groups g = find_groups(m);
  bool ok = true;
  if (g.whole) {
    k->stats.whole_walks++;
    ok = walk(k, m, 0, m->state, false, out);
  } else {
    for (uint32_t i = 0; ok && i < g.n; i++) ok = fill_group(k, m, g.base[i], out);
  }
  if (!ok) match_ok(m, err);
  return ok;
}

MaskStats mask_stats(const Mask *k) {
  MaskStats s = k->stats;
  s.bytes = k->kept;
  return s;
}
