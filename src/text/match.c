// match: see match.h.
#include "text/match.h"

#include <stdlib.h>
#include <string.h>

#define NONE   UINT32_MAX
#define BUDGET 60000000u // pairs looked at in one call: some tenths of a second

static void fail(Match *m, zaya_status status) {
  if (m->failed == ZAYA_OK) m->failed = status;
}

static bool room(Match *m, void **data, uint32_t *cap, uint32_t need, size_t size) {
  if (need <= *cap) return true;
  uint32_t n = *cap ? *cap : 64;
  while (n < need && n < (1u << 30)) n *= 2;
  void *p = n < need ? NULL : realloc(*data, n * size);
  if (!p) return fail(m, ZAYA_E_MEMORY), false;
  *data = p;
  *cap = n;
  return true;
}

static uint32_t sat_add(uint32_t a, uint32_t b) {
  uint64_t s = (uint64_t)a + b;
  return a == GRAM_INF || b == GRAM_INF ? GRAM_INF : s >= GRAM_INF ? GRAM_INF - 1 : (uint32_t)s;
}

static uint64_t mix(uint64_t h) {
  h ^= h >> 33;
  h *= 0xFF51AFD7ED558CCDu;
  return h ^ h >> 29;
}

// --- frames --------------------------------------------------------------------------------------------

static uint32_t frame_hash(const Match *m, uint32_t pc, uint32_t count, uint32_t parent) {
  return (uint32_t)mix(mix((uint64_t)pc << 32 | parent) + count) & (m->n_frame_buckets - 1);
}

static bool frames_rehash(Match *m) {
  uint32_t n = m->n_frame_buckets ? m->n_frame_buckets * 4 : 256;
  uint32_t *b = realloc(m->frame_buckets, n * sizeof *b);
  if (!b) return fail(m, ZAYA_E_MEMORY), false;
  memset(b, 0xFF, n * sizeof *b);
  m->frame_buckets = b;
  m->n_frame_buckets = n;
  for (uint32_t i = 2; i < m->n_frames; i++) {
    MatchFrame *f = &m->frames[i];
    uint32_t *bucket = &b[frame_hash(m, f->pc, f->count, f->parent)];
    f->chain = *bucket;
    *bucket = i;
  }
  return true;
}

uint32_t match_push(Match *m, uint32_t pc, uint32_t count, uint32_t parent) {
  uint32_t *bucket = &m->frame_buckets[frame_hash(m, pc, count, parent)];
  for (uint32_t i = *bucket; i != NONE; i = m->frames[i].chain) {
    const MatchFrame *f = &m->frames[i];
    if (f->pc == pc && f->count == count && f->parent == parent) return i;
  }
  if (m->frames[parent].depth >= MATCH_MAX_DEPTH) return NONE;
  void *p = m->frames;
  bool ok = room(m, &p, &m->cap_frames, m->n_frames + 1, sizeof *m->frames);
  m->frames = p;
  if (!ok) return NONE;
  const Gram *g = m->g;
  uint32_t rest = 0;
  if (count == NONE) {
    rest = g->min_len[pc];
  } else { // this round ends where the frame is popped: further rounds, then on
    const GramLoop *l = &g->loops[g->nodes[pc].arg];
    uint32_t left = l->min > count + 1 ? l->min - count - 1 : 0;
    uint64_t bytes = (uint64_t)left * g->min_len[g->rules[l->body].start];
    rest = sat_add(bytes > INT32_MAX ? INT32_MAX : (uint32_t)bytes, g->min_len[g->nodes[pc].next]);
  }
  const MatchFrame *up = &m->frames[parent];
  m->frames[m->n_frames] = (MatchFrame){.pc = pc,
                                        .count = count,
                                        .parent = parent,
                                        .depth = up->depth + 1,
                                        .rest = sat_add(rest, up->rest),
                                        .chain = *bucket};
  *bucket = m->n_frames++;
  if (m->n_frames > 2 * m->n_frame_buckets && !frames_rehash(m)) return NONE;
  return m->n_frames - 1;
}

// --- closures ------------------------------------------------------------------------------------------

static bool seen_grow(Match *m) {
  uint32_t n = m->cap_seen ? m->cap_seen * 2 : 256;
  uint64_t *seen = malloc(n * sizeof *seen);
  uint32_t *stamp = calloc(n, sizeof *stamp);
  if (!seen || !stamp) {
    free(seen);
    free(stamp);
    return fail(m, ZAYA_E_MEMORY), false;
  }
  for (uint32_t i = 0; i < m->cap_seen; i++) {
    if (m->seen_stamp[i] != m->stamp) continue;
    uint32_t at = (uint32_t)mix(m->seen[i]) & (n - 1);
    while (stamp[at]) at = (at + 1) & (n - 1);
    seen[at] = m->seen[i];
    stamp[at] = m->stamp;
  }
  free(m->seen);
  free(m->seen_stamp);
  m->seen = seen;
  m->seen_stamp = stamp;
  m->cap_seen = n;
  return true;
}

// Whether the pair is new in this closure.
static bool see(Match *m, MatchItem it) {
  if (2 * (m->n_seen + 1) > m->cap_seen && !seen_grow(m)) return false;
  uint32_t at = (uint32_t)mix(it) & (m->cap_seen - 1);
  while (m->seen_stamp[at] == m->stamp) {
    if (m->seen[at] == it) return false;
    at = (at + 1) & (m->cap_seen - 1);
  }
  m->seen[at] = it;
  m->seen_stamp[at] = m->stamp;
  m->n_seen++;
  return true;
}

static void closure_begin(Match *m) {
  m->n_out = m->n_todo = m->n_seen = 0;
  if (++m->stamp == 0) { // wrapped: old stamps could be taken for new ones
    if (m->seen_stamp) memset(m->seen_stamp, 0, m->cap_seen * sizeof *m->seen_stamp);
    m->stamp = 1;
  }
}

// Queues a pair, unless it was there, cannot be completed, or lies beyond the depth bound.
static void reach(Match *m, uint32_t pc, uint32_t frame) {
  if (frame == NONE || m->g->min_len[pc] == GRAM_INF) return;
  MatchItem it = match_item(pc, frame);
  if (m->failed != ZAYA_OK || !see(m, it)) return;
  void *p = m->todo;
  bool ok = room(m, &p, &m->cap_todo, m->n_todo + 1, sizeof it);
  m->todo = p;
  if (ok) m->todo[m->n_todo++] = it;
}

static void put_out(Match *m, MatchItem it) {
  if (m->n_out >= MATCH_MAX_ITEMS) {
    fail(m, ZAYA_E_LIMIT);
    return;
  }
  void *p = m->out;
  bool ok = room(m, &p, &m->cap_out, m->n_out + 1, sizeof it);
  m->out = p;
  if (ok) m->out[m->n_out++] = it;
}

// Another round of the loop at `pc`, with `count` rounds done.
static void reach_round(Match *m, uint32_t pc, uint32_t count, uint32_t frame) {
  const GramLoop *l = &m->g->loops[m->g->nodes[pc].arg];
  if (count >= l->min) reach(m, m->g->nodes[pc].next, frame);
  if (l->max == GRAM_INF && count > l->min) count = l->min; // all the same from here on
  if (count < l->max) reach(m, m->g->rules[l->body].start, match_push(m, pc, count, frame));
}

static void reach_pop(Match *m, uint32_t frame) {
  MatchFrame f = m->frames[frame];
  if (f.count == NONE)
    reach(m, f.pc, f.parent);
  else
    reach_round(m, f.pc, f.count + 1, f.parent);
}

// Follows every way from the queued pairs that takes no byte; leaves the consuming pairs in `out`.
static void closure(Match *m) {
  const Gram *g = m->g;
  while (m->n_todo && m->failed == ZAYA_OK) {
    MatchItem it = m->todo[--m->n_todo];
    uint32_t pc = match_pc(it), frame = match_frame(it);
    const GramNode *n = &g->nodes[pc];
    m->work++;
    switch ((GramOp)n->op) {
    case GRAM_BYTES: put_out(m, it); break;
    case GRAM_RET:
      if (frame <= MATCH_UNKNOWN)
        put_out(m, it);
      else
        reach_pop(m, frame);
      break;
    case GRAM_SPLIT:
      reach(m, n->arg, frame);
      reach(m, n->next, frame);
      break;
    case GRAM_CALL:
      reach(m, g->rules[n->arg].start, n->tail ? frame : match_push(m, n->next, NONE, frame));
      break;
    case GRAM_LOOP: reach_round(m, pc, 0, frame); break;
    }
  }
  if (m->work > m->budget) fail(m, ZAYA_E_LIMIT);
}

// --- sets ------------------------------------------------------------------------------------------------

static int item_order(const void *a, const void *b) {
  MatchItem x = *(const MatchItem *)a, y = *(const MatchItem *)b;
  return x < y ? -1 : x > y;
}

static void sort_items(MatchItem *items, uint32_t n) {
  if (n > 24) {
    qsort(items, n, sizeof *items, item_order);
    return;
  }
  for (uint32_t i = 1; i < n; i++) {
    MatchItem it = items[i];
    uint32_t j = i;
    for (; j && items[j - 1] > it; j--) items[j] = items[j - 1];
    items[j] = it;
  }
}

static uint32_t items_hash(const MatchItem *items, uint32_t n) {
  uint64_t h = n;
  for (uint32_t i = 0; i < n; i++) h = mix(h + items[i]) * 0x9E3779B97F4A7C15u;
  return (uint32_t)(h >> 20);
}

static bool sets_rehash(Match *m) {
  uint32_t n = m->n_set_buckets ? m->n_set_buckets * 4 : 256;
  uint32_t *b = realloc(m->set_buckets, n * sizeof *b);
  if (!b) return fail(m, ZAYA_E_MEMORY), false;
  memset(b, 0xFF, n * sizeof *b);
  m->set_buckets = b;
  m->n_set_buckets = n;
  for (uint32_t i = 1; i < m->n_sets; i++) {
    MatchSet *s = &m->sets[i];
    uint32_t *bucket = &b[items_hash(m->items + s->first, s->n) & (n - 1)];
    s->chain = *bucket;
    *bucket = i;
  }
  return true;
}

static uint32_t set_rest(const Match *m, const MatchItem *items, uint32_t n) {
  uint32_t best = GRAM_INF;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t rest = sat_add(m->g->min_len[match_pc(items[i])], m->frames[match_frame(items[i])].rest);
    if (rest < best) best = rest;
  }
  return best;
}

uint32_t match_set_of(Match *m, MatchItem *items, uint32_t n) {
  if (m->failed != ZAYA_OK) return MATCH_DEAD;
  sort_items(items, n);
  uint32_t hash = items_hash(items, n);
  for (uint32_t i = m->set_buckets[hash & (m->n_set_buckets - 1)]; i != NONE; i = m->sets[i].chain) {
    const MatchSet *s = &m->sets[i];
    if (s->n == n && (!n || !memcmp(m->items + s->first, items, n * sizeof *items))) return i;
  }
  void *p = m->sets, *q = m->items;
  bool ok = room(m, &p, &m->cap_sets, m->n_sets + 1, sizeof *m->sets);
  m->sets = p;
  ok = ok && room(m, &q, &m->cap_items, m->n_items + n, sizeof *items);
  m->items = q;
  if (!ok) return MATCH_DEAD;
  if (n) memcpy(m->items + m->n_items, items, n * sizeof *items);
  uint32_t *bucket = &m->set_buckets[hash & (m->n_set_buckets - 1)];
  m->sets[m->n_sets] = (MatchSet){.first = m->n_items,
                                  .n = n,
                                  .rest = set_rest(m, items, n),
                                  .chain = *bucket,
                                  .ends = n && match_pc(items[0]) == 0};
  *bucket = m->n_sets++;
  m->n_items += n;
  m->bytes += sizeof(MatchSet) + n * sizeof *items;
  uint32_t id = m->n_sets - 1;
  if (m->n_sets > 2 * m->n_set_buckets && !sets_rehash(m)) return MATCH_DEAD;
  return id;
}

const uint32_t *match_table(Match *m, uint32_t set) {
  if (!m->sets[set].trans) {
    m->sets[set].trans = calloc(256, sizeof(uint32_t));
    if (!m->sets[set].trans) return fail(m, ZAYA_E_MEMORY), NULL;
    m->bytes += 256 * sizeof(uint32_t);
  }
  return m->sets[set].trans;
}

uint32_t match_find_step(Match *m, uint32_t set, uint8_t byte) {
  if (set == MATCH_DEAD || m->failed != ZAYA_OK || !match_table(m, set)) return MATCH_DEAD;
  uint32_t first = m->sets[set].first, n = m->sets[set].n;
  closure_begin(m);
  m->work += n;
  for (uint32_t i = 0; i < n; i++) {
    MatchItem it = m->items[first + i];
    const GramNode *node = &m->g->nodes[match_pc(it)];
    if (node->op == GRAM_BYTES && gram_set_has(&m->g->sets[node->arg], byte))
      reach(m, node->next, match_frame(it));
  }
  closure(m);
  uint32_t to = match_set_of(m, m->out, m->n_out);
  if (m->failed == ZAYA_OK) m->sets[set].trans[byte] = to;
  return to;
}

uint32_t match_after(Match *m, uint32_t frame) {
  closure_begin(m);
  if (frame <= MATCH_UNKNOWN)
    reach(m, 0, frame);
  else
    reach_pop(m, frame);
  closure(m);
  return match_set_of(m, m->out, m->n_out);
}

// --- the matcher -------------------------------------------------------------------------------------------

// Frames and sets that are always there, and the start.
static bool match_init(Match *m) {
  if (!frames_rehash(m) || !sets_rehash(m) || !seen_grow(m)) return false;
  void *p = m->frames, *q = m->sets;
  bool ok = room(m, &p, &m->cap_frames, 2, sizeof *m->frames);
  m->frames = p;
  ok = ok && room(m, &q, &m->cap_sets, 2, sizeof *m->sets);
  m->sets = q;
  if (!ok) return false;
  m->frames[MATCH_NOWHERE] = (MatchFrame){.count = NONE, .chain = NONE};
  // What holds above an unknown stack holds above any that leaves half of the depth free.
  m->frames[MATCH_UNKNOWN] = (MatchFrame){.count = NONE, .chain = NONE, .depth = MATCH_MAX_DEPTH / 2};
  m->n_frames = 2;
  m->sets[0] = (MatchSet){.chain = NONE};
  m->n_sets = 1;
  match_begin(m);
  return match_set_of(m, NULL, 0) == MATCH_DEAD && m->failed == ZAYA_OK;
}

void match_reset(Match *m) {
  match_begin(m);
  closure_begin(m);
  reach(m, m->g->rules[m->g->root].start, MATCH_NOWHERE);
  closure(m);
  m->state = match_set_of(m, m->out, m->n_out);
}

static Match *match_empty(const Gram *g, zaya_error *err) {
  Match *m = calloc(1, sizeof *m);
  if (!m) {
    err_memory(err, sizeof *m, "a grammar matcher");
    return NULL;
  }
  m->g = gram_ref(g);
  if (match_init(m)) return m;
  match_ok(m, err);
  match_free(m);
  return NULL;
}

Match *match_new(const Gram *g, zaya_error *err) {
  Match *m = match_empty(g, err);
  if (!m) return NULL;
  match_reset(m);
  if (match_ok(m, err)) return m;
  match_free(m);
  return NULL;
}

void match_free(Match *m) {
  if (!m) return;
  for (uint32_t i = 0; i < m->n_sets; i++) free(m->sets[i].trans);
  free(m->frames);
  free(m->sets);
  free(m->items);
  free(m->frame_buckets);
  free(m->set_buckets);
  free(m->out);
  free(m->todo);
  free(m->seen);
  free(m->seen_stamp);
  gram_free(m->g);
  free(m);
}

// The frame of `from` rebuilt in `to`.
static uint32_t copy_frame(Match *to, const Match *from, uint32_t frame) {
  uint32_t path[MATCH_MAX_DEPTH + 1], n = 0;
  for (; frame > MATCH_UNKNOWN; frame = from->frames[frame].parent) path[n++] = frame;
  uint32_t f = frame;
  while (n && f != NONE) {
    const MatchFrame *x = &from->frames[path[--n]];
    f = match_push(to, x->pc, x->count, f);
  }
  return f;
}

Match *match_clone(const Match *m, zaya_error *err) {
  Match *c = match_empty(m->g, err);
  if (!c) return NULL;
  const MatchSet *s = &m->sets[m->state];
  closure_begin(c);
  uint32_t last = NONE, last_copy = NONE;
  for (uint32_t i = 0; i < s->n; i++) {
    MatchItem it = m->items[s->first + i];
    if (match_frame(it) != last) {
      last = match_frame(it);
      last_copy = copy_frame(c, m, last);
    }
    put_out(c, match_item(match_pc(it), last_copy));
  }
  c->state = match_set_of(c, c->out, c->n_out);
  if (match_ok(c, err)) return c;
  match_free(c);
  return NULL;
}

void match_tidy(Match *m) {
  if (m->bytes + (size_t)m->n_frames * sizeof *m->frames < MATCH_TIDY_BYTES) return;
  Match *fresh = match_clone(m, NULL);
  if (!fresh) return; // no memory to save memory: carry on as it is
  Match old = *m;
  *m = *fresh;
  m->generation = old.generation + 1;
  *fresh = old;
  match_free(fresh);
}

void match_begin(Match *m) {
  m->failed = ZAYA_OK;
  m->work = 0;
  m->budget = BUDGET;
}

bool match_ok(const Match *m, zaya_error *err) {
  if (m->failed == ZAYA_OK) return true;
  if (m->failed == ZAYA_E_MEMORY) return err_memory(err, m->bytes, "a grammar matcher");
  return err_set(err, ZAYA_E_LIMIT,
                 "the grammar is too ambiguous here: more than %u parallel states, or too much work",
                 MATCH_MAX_ITEMS);
}

bool match_accept(Match *m, const void *bytes, size_t n, zaya_error *err) {
  const uint8_t *p = bytes;
  match_tidy(m);
  match_begin(m);
  uint32_t s = m->state;
  for (size_t i = 0; i < n; i++) {
    s = match_step(m, s, p[i]);
    if (!match_ok(m, err)) return false;
    if (s == MATCH_DEAD)
      return err_set(err, ZAYA_E_INVALID,
                     "byte 0x%02x at offset %zu does not continue what the grammar allows", p[i], i);
  }
  m->state = s;
  return true;
}

bool match_can_end(const Match *m) { return m->sets[m->state].ends; }

bool match_must_end(const Match *m) { return m->sets[m->state].ends && m->sets[m->state].n == 1; }

uint32_t match_rest(const Match *m) { return m->sets[m->state].rest; }
