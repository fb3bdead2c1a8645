// engine_read: prompts on their way into states: what the prefix cache saves, where checkpoints are taken,
// and prompts that are read ahead of their requests. Depends on engine_impl, prefix.
#include "engine/engine_impl.h"

#include "kernels/kern.h"

#include <stdlib.h>
#include <string.h>

enum {
  FIRST_MARKS = 3,    // of many marks these are kept: where other conversations branch off,
  LAST_MARKS = 6,     // and where this one may
  NEAR = 32,          // tokens that are cheaper read again than kept a checkpoint for
  WORTH_WRITING = 64, // tokens: shorter ones are read as quickly as found
  PREPARE_ROWS = 128, // of a step: a request that comes meanwhile waits for it
  MAX_PREPARED = 16,
};

// --- stops -----------------------------------------------------------------------------------------

static int by_size(const void *a, const void *b) {
  const size_t x = *(const size_t *)a, y = *(const size_t *)b;
  return (x > y) - (x < y);
}

static bool make_stops(Reading *r, const size_t *marks, size_t n_marks, zaya_error *err) {
  const size_t most = r->n / KERN_BLOCK + FIRST_MARKS + LAST_MARKS + 2; // its end, and a fork
  size_t n = 0, last = 0, kept = 0;
  r->stops = malloc(most * sizeof *r->stops);
  if (!r->stops) return err_memory(err, most * sizeof *r->stops, "a request");
  for (size_t at = KERN_BLOCK; at <= r->n; at += KERN_BLOCK) r->stops[n++] = last = at;
  for (size_t i = 0; i < n_marks; i++)
    if (marks[i] && (i < FIRST_MARKS || n_marks - i <= LAST_MARKS)) {
      r->stops[n++] = marks[i];
      last = marks[i] > last ? marks[i] : last;
    }
  // For the same prompt once more. The last mark of a chat is near enough; a raw prompt has nothing else.
  if (r->n > 1 && (!n_marks || last + NEAR < r->n)) r->stops[n++] = r->n - 1;
  qsort(r->stops, n, sizeof *r->stops, by_size);
  for (size_t i = 0; i < n; i++)
    if (kept == 0 || r->stops[kept - 1] != r->stops[i]) r->stops[kept++] = r->stops[i];
  r->n_stops = kept;
  return true;
}

bool read_init(const Engine *e, Reading *r, const int32_t *ids, size_t n, const size_t *marks, size_t n_marks,
               bool cache, zaya_error *err) {
  *r = (Reading){.ids = ids, .n = n, .cache = cache && e->prefix, .seen = UINT64_MAX, .key = store_root()};
  return !r->cache || make_stops(r, marks, n_marks, err);
}

void read_free(Reading *r) { free(r->stops); }

// --- the cache -------------------------------------------------------------------------------------

// Tokens that are there without having been read.
static void count_saved(Engine *e, Reading *r, size_t saved) {
  r->at += saved;
  r->cached += saved;
  pthread_mutex_lock(&e->mu);
  e->stats.prompt_tokens += saved;
  e->stats.cached_tokens += saved;
  pthread_mutex_unlock(&e->mu);
}

// Where the prompt leaves what others had in common with it: a third one will probably leave there too. (The
// first of them could not know.)
static void add_fork(const Engine *e, Reading *r) {
  const size_t fork = prefix_common(e->prefix, r->ids, r->n - 1);
  size_t i = 0, before = r->at;
  for (; i < r->n_stops && r->stops[i] <= fork; i++)
    if (r->stops[i] > before) before = r->stops[i];
  if (fork < before + NEAR) return;
  memmove(r->stops + i + 1, r->stops + i, (r->n_stops - i) * sizeof *r->stops);
  r->stops[i] = fork;
  r->n_stops++;
}

void read_advance(Engine *e, Reading *r) {
  if (!r->cache || prefix_stats(e->prefix).version == r->seen) return;
  const size_t saved = prefix_advance(e->prefix, r->state, r->ids, r->n - 1);
  const bool first = r->seen == UINT64_MAX;
  r->seen = prefix_stats(e->prefix).version;
  count_saved(e, r, saved);
  if (first) add_fork(e, r);
}

// --- the disk --------------------------------------------------------------------------------------

// Brings a key from before page *at to before page `page`.
static bool key_of_page(const int32_t *ids, size_t page, StoreKey *key, size_t *at) {
  for (; *at < page; ++*at)
    if (!store_key(key, ids + *at * KERN_BLOCK, KERN_BLOCK, key)) return false;
  return true;
}

bool read_load(Engine *e, Reading *r) {
  if (!e->store || !r->cache || r->disk_done) return false;
  const size_t page = r->at / KERN_BLOCK, first = page * KERN_BLOCK, limit = r->n - 1;
  const int32_t *ids = r->ids + first;
  Page *kv = NULL;
  float *cca = NULL;
  size_t n = 0;
  if (limit > r->at && key_of_page(r->ids, page, &r->key, &r->key_page))
    n = store_find(e->store, &r->key, ids, limit - first);
  r->disk_done = first + n <= r->at || !store_load(e->store, &r->key, ids, n, &kv, &cca);
  if (r->disk_done) return false;
  state_adopt(r->state, page, &kv, ids, n, cca);
  page_drop(kv);
  count_saved(e, r, first + n - r->at);
  prefix_keep(e->prefix, r->state, r->at, cca);
  return true;
}

typedef struct Writing {
  Store *store;
  const int32_t *ids;
  StoreKey key; // of the tokens before page `page`
  size_t page;
} Writing;

static void write_part(void *user, const PrefixPart *part) {
  Writing *w = user;
  if (key_of_page(w->ids, part->page, &w->key, &w->page))
    store_put(w->store, &w->key, part->ids, part->n, part->kv, part->cca);
}

void read_store(Engine *e, const State *s) {
  Writing w = {.store = e->store, .ids = s->ids, .key = store_root()};
  if (e->store && s->len >= WORTH_WRITING) prefix_walk(e->prefix, s->ids, s->len, write_part, &w);
}

// --- others ----------------------------------------------------------------------------------------

static size_t common(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b) {
  const size_t n = n_a < n_b ? n_a : n_b;
  size_t i = 0;
  while (i < n && a[i] == b[i]) i++;
  return i;
}

// The one that is further waits for nobody, of two as far the earlier: so somebody always reads.
bool read_should_wait(const Engine *e, const Reading *r, size_t order, const Reading *other,
                      size_t other_order) {
  if (!e->prefix || !r->cache || !other->cache || other->at < r->at) return false;
  if (other->at == r->at && other_order > order) return false;
  const size_t same = common(r->ids, r->n - 1, other->ids, other->n);
  size_t reach = 0;
  for (size_t i = 0; i < other->n_stops && other->stops[i] <= same; i++) reach = other->stops[i];
  return reach > r->at && other->at < reach;
}

bool read_reserve(Engine *e, State *s, size_t n, zaya_error *err) {
  if (state_reserve(s, n, NULL)) return true;
  if (e->prefix) prefix_shrink(e->prefix, 0);
  return state_reserve(s, n, err);
}

static void add_mark(Engine *e, Span *span, size_t after) {
  if (e->n_marks == ENGINE_MARKS) return;
  float *cca = malloc(state_cca_floats(&e->shape) * sizeof *cca);
  if (!cca) return; // no checkpoint then
  if (!span->n_marks++) span->marks = &e->marks[e->n_marks];
  e->marks[e->n_marks++] = (SpanMark){.after = after, .cca = cca};
}

bool read_span(Engine *e, Reading *r, size_t rows, Span *span, zaya_error *err) {
  if (!read_reserve(e, r->state, rows, err)) return false;
  *span = (Span){.state = r->state, .ids = r->ids + r->at, .n = rows};
  for (size_t i = 0; i < r->n_stops; i++)
    if (r->stops[i] > r->at && r->stops[i] <= r->at + rows) add_mark(e, span, r->stops[i] - r->at);
  return true;
}

void read_mark_feed(Engine *e, Span *span) {
  if (e->prefix && (span->state->len + 1) % KERN_BLOCK == 0) add_mark(e, span, 1);
}

void read_keep(Engine *e, const Span *span, bool ok) {
  for (size_t i = 0; i < span->n_marks; i++) {
    if (ok)
      prefix_keep(e->prefix, span->state, span->state->len - span->n + span->marks[i].after,
                  span->marks[i].cca);
    else
      free(span->marks[i].cca);
  }
}

// --- reading ahead ---------------------------------------------------------------------------------

void prepared_free(Prepared *list) {
  for (Prepared *next; list; list = next) {
    next = list->next;
    state_free(list->reading.state);
    read_free(&list->reading);
    free(list->ids);
    free(list);
  }
}

static void drop_first(Engine *e) {
  Prepared *p = e->prepared;
  e->prepared = p->next;
  p->next = NULL;
  prepared_free(p);
}

static void save_first(Engine *e) {
  Prepared *p = e->prepared;
  if (!p || !p->unsaved || !p->reading.state) return;
  prefix_keep_state(e->prefix, p->reading.state);
  read_store(e, p->reading.state);
  p->unsaved = false;
}

void prepared_pause(Engine *e) {
  size_t n = 0;
  save_first(e);
  for (const Prepared *p = e->prepared; p; p = p->next) n++;
  for (; n > MAX_PREPARED; n--) drop_first(e); // the oldest guesses
}

// One step of the first of them; it may be dropped at any time.
void prepared_step(Engine *e) {
  Prepared *p = e->prepared;
  Reading *r = &p->reading;
  Span span;
  if (!r->state) r->state = state_new(&e->shape, e->p.forward->w->fingerprint, r->n, NULL);
  if (r->state) read_advance(e, r);
  if (r->state && read_load(e, r)) return;
  const size_t left = r->n - r->at, rows = left < PREPARE_ROWS ? left : PREPARE_ROWS;
  bool ok = r->state && read_span(e, r, rows, &span, NULL);
  if (ok) {
    pthread_mutex_lock(e->p.lock);
    ok = forward_step(e->p.forward, &span, 1, (Trace){0}, NULL);
    pthread_mutex_unlock(e->p.lock);
    read_keep(e, &span, ok);
    e->n_marks = 0;
  }
  if (ok) {
    r->at += rows;
    p->unsaved = true;
    pthread_mutex_lock(&e->mu);
    e->stats.prompt_tokens += rows;
    e->stats.read_tokens += rows;
    e->stats.steps++;
    e->stats.step_rows += rows;
    pthread_mutex_unlock(&e->mu);
  }
  if (ok && r->at < r->n) return;
  save_first(e);
  drop_first(e);
}
