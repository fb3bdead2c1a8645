// guide: see guide.h.
#include "text/guide.h"

#include "text/gbnf.h"
#include "text/regex.h"
#include "text/schema.h"

#include <stdlib.h>
#include <string.h>

struct Guide {
  atomic_uint refs;
  const ConstraintOps *ops;
  Vocab *vocab;
  Gram *gram;
  Gram *plain;     // of calls, with tags as text: what a finished text is checked against; else NULL
  Schema *schema;  // NULL but for schemas
  Guide *sides[2]; // of an either, which has nothing else; else NULL
};

typedef struct State {
  Guide *guide;
  Match *match;
  Mask *mask;
  uint64_t *bits;      // [mask_words]
  Buf text;            // so far; kept where there is a schema
  bool checked, valid; // what the check says of it
} State;

// --- the vocabulary --------------------------------------------------------------------------------------

Vocab *guide_vocab(const Tok *tok, zaya_error *err) {
  size_t n = tok_count(tok);
  VocabPiece *p = calloc(n + 1, sizeof *p);
  if (!p) {
    err_memory(err, n * sizeof *p, "a vocabulary");
    return NULL;
  }
  for (size_t i = 0; i < n; i++) {
    int32_t id = (int32_t)i;
    p[i].bytes = tok_bytes(tok, id, &p[i].len);
    if (!p[i].bytes) p[i].len = 0; // a hole
    if (tok_is_control(tok, id)) p[i].flags |= VOCAB_CONTROL;
    if (tok_is_stop(tok, id)) p[i].flags |= VOCAB_END;
  }
  Vocab *v = vocab_new(p, n, err);
  free(p);
  return v;
}

// --- states ------------------------------------------------------------------------------------------------

static void state_free(void *state) {
  State *s = state;
  if (!s) return;
  mask_free(s->mask);
  match_free(s->match);
  guide_free(s->guide);
  free(s->bits);
  buf_free(&s->text);
  free(s);
}

static State *state_new(const Guide *g, Match *match, zaya_error *err) { // takes the matcher
  State *s = match ? calloc(1, sizeof *s) : NULL;
  if (!s) {
    match_free(match);
    err_memory(err, sizeof *s, "a constraint");
    return NULL;
  }
  s->guide = guide_ref(g);
  s->match = match;
  s->mask = mask_new(g->vocab, err);
  s->bits = malloc(mask_words(vocab_size(g->vocab)) * sizeof *s->bits);
  if (!s->bits) err_memory(err, mask_words(vocab_size(g->vocab)) * 8, "a token mask");
  if (s->mask && s->bits) return s;
  state_free(s);
  return NULL;
}

static void *state_clone(const void *state, zaya_error *err) {
  const State *s = state;
  State *c = state_new(s->guide, match_clone(s->match, err), err);
  if (!c) return NULL;
  c->checked = s->checked;
  c->valid = s->valid;
  if (s->text.len == 0 || buf_add(&c->text, s->text.data, s->text.len, err)) return c;
  state_free(c);
  return NULL;
}

static bool state_fill(void *state, uint32_t *bits, size_t n_words, zaya_error *err) {
  State *s = state;
  size_t n = vocab_size(s->guide->vocab);
  if (MASK_WORDS(n) > n_words)
    return err_set(err, ZAYA_E_INVALID, "a mask of %zu words for a vocabulary of %zu tokens", n_words, n);
  if (!mask_fill(s->mask, s->match, s->bits, err)) return false;
  for (size_t i = 0; i < n_words; i++)
    bits[i] = i < MASK_WORDS(n) ? (uint32_t)(s->bits[i / 2] >> (32 * (i & 1))) : 0;
  return true;
}

static bool state_accept_bytes(void *state, const char *bytes, size_t n, zaya_error *err) {
  State *s = state;
  if (s->guide->schema && !buf_reserve(&s->text, n, err)) return false;
  if (!match_accept(s->match, bytes, n, err)) return false;
  if (s->guide->schema && !buf_add(&s->text, bytes, n, err)) return false;
  s->checked = false;
  return true;
}

static bool state_accept(void *state, int32_t id, zaya_error *err) {
  const State *s = state;
  size_t n;
  const char *bytes = vocab_piece(s->guide->vocab, id, &n);
  if (!bytes) return err_set(err, ZAYA_E_INVALID, "%s: token %d has no text", s->guide->ops->name, (int)id);
  return state_accept_bytes(state, bytes, n, err);
}

static bool state_can_end(const void *state) {
  State *s = (State *)(uintptr_t)state; // remembers what the check said
  if (!match_can_end(s->match)) return false;
  if (!s->guide->schema) return true;
  if (!s->checked)
    s->valid = schema_validate(s->guide->schema, s->text.data ? s->text.data : "", s->text.len, NULL);
  s->checked = true;
  return s->valid;
}

#define OPS(variable, title)                                                                                 \
  static const ConstraintOps variable = {title,         state_fill,  state_accept, state_accept_bytes,       \
                                         state_can_end, state_clone, state_free}
OPS(gbnf_ops, "grammar");
OPS(regex_ops, "regex");
OPS(schema_ops, "json_schema");
OPS(calls_ops, "tools");

// --- guides ------------------------------------------------------------------------------------------------

// Takes grammar and schema over.
static Guide *guide_new(const ConstraintOps *ops, const Vocab *v, Gram *gram, Schema *schema,
                        zaya_error *err) {
  Guide *g = gram ? calloc(1, sizeof *g) : NULL;
  if (!g) {
    err_memory(err, sizeof *g, "a constraint");
    gram_free(gram);
    schema_free(schema);
    return NULL;
  }
  atomic_init(&g->refs, 1);
  g->ops = ops;
  g->vocab = vocab_ref(v);
  g->gram = gram;
  g->schema = schema;
  Match *m = match_new(gram, err); // a grammar that cannot even be started is refused here
  match_free(m);
  if (m) return g;
  guide_free(g);
  return NULL;
}

Guide *guide_gbnf(const Vocab *v, const char *text, size_t len, zaya_error *err) {
  return guide_new(&gbnf_ops, v, gbnf_parse(text, len, err), NULL, err);
}

Guide *guide_regex(const Vocab *v, const char *pattern, size_t len, zaya_error *err) {
  return guide_new(&regex_ops, v, regex_compile(pattern, len, err), NULL, err);
}

Guide *guide_schema(const Vocab *v, const char *text, size_t len, zaya_error *err) {
  Schema *s = schema_parse(text, len, err);
  return guide_new(&schema_ops, v, s ? schema_compile(s, err) : NULL, s, err);
}

static bool is_control_token(const Vocab *v, const char *text) {
  size_t len = strlen(text), n;
  for (size_t i = 0; i < vocab_size(v); i++) {
    const char *p = vocab_piece(v, (int32_t)i, &n);
    if (p && n == len + 1 && p[0] == VOCAB_MARK[0] && !memcmp(p + 1, text, len)) return true;
  }
  return false;
}

Guide *guide_calls(const Vocab *v, const CallsParams *params, zaya_error *err) {
  CallsParams p = *params;
  p.open_is_token = is_control_token(v, p.tags.call_open);
  p.close_is_token = is_control_token(v, p.tags.call_close);
  Guide *g = guide_new(&calls_ops, v, calls_compile(&p, err), NULL, err);
  if (!g) return NULL;
  p.open_is_token = p.close_is_token = false;
  g->plain = calls_compile(&p, err);
  if (g->plain) return g;
  guide_free(g);
  return NULL;
}

// --- one of two ------------------------------------------------------------------------------------------

typedef struct Either {
  Constraint side[2]; // those that what was written so far has not refuted
  uint32_t *bits;     // [MASK_WORDS(V)]
  size_t n_words;
} Either;

static void either_free(void *state) {
  Either *s = state;
  if (!s) return;
  for (int i = 0; i < 2; i++) constraint_free(&s->side[i]);
  free(s->bits);
  free(s);
}

static Either *either_new(size_t n_words, zaya_error *err) {
  Either *s = calloc(1, sizeof *s);
  if (s && (s->bits = malloc(n_words * sizeof *s->bits))) {
    s->n_words = n_words;
    return s;
  }
  free(s);
  err_memory(err, n_words * sizeof *s->bits, "a constraint");
  return NULL;
}

static void *either_clone(const void *state, zaya_error *err) {
  const Either *s = state;
  Either *c = either_new(s->n_words, err);
  for (int i = 0; c && i < 2; i++) {
    if (!s->side[i].ops) continue;
    c->side[i] = (Constraint){s->side[i].ops, s->side[i].ops->clone(s->side[i].state, err)};
    if (c->side[i].state) continue;
    either_free(c);
    return NULL;
  }
  return c;
}

static bool either_fill(void *state, uint32_t *bits, size_t n_words, zaya_error *err) {
  const Either *s = state;
  memset(bits, 0, n_words * sizeof *bits);
  if (s->n_words > n_words)
    return err_set(err, ZAYA_E_INVALID, "a mask of %zu words where %zu are needed", n_words, s->n_words);
  for (int i = 0; i < 2; i++) {
    if (!s->side[i].ops) continue;
    if (!s->side[i].ops->fill_mask(s->side[i].state, s->bits, s->n_words, err)) return false;
    for (size_t k = 0; k < s->n_words; k++) bits[k] |= s->bits[k];
  }
  return true;
}

// A side that does not take what was written is out; when none does, both stay as they were: a side that
// refuses has not moved. `bytes` NULL: token `id`.
static bool either_take(Either *s, int32_t id, const char *bytes, size_t n, zaya_error *err) {
  bool took[2] = {false, false};
  zaya_error why = {0};
  for (int i = 0; i < 2; i++) {
    const Constraint *c = &s->side[i];
    zaya_error local = {0};
    if (!c->ops) continue;
    took[i] = bytes ? c->ops->accept_bytes(c->state, bytes, n, &local) : c->ops->accept(c->state, id, &local);
    if (took[i]) continue;
    if (local.status != ZAYA_E_INVALID) return err_set(err, local.status, "%s", local.message);
    err_set(&why, local.status, "%s", local.message);
  }
  if (!took[0] && !took[1]) return err_set(err, why.status, "%s", why.message);
  for (int i = 0; i < 2; i++)
    if (!took[i]) constraint_free(&s->side[i]);
  return true;
}

static bool either_accept(void *state, int32_t id, zaya_error *err) {
  return either_take(state, id, NULL, 0, err);
}

static bool either_accept_bytes(void *state, const char *bytes, size_t n, zaya_error *err) {
  return either_take(state, -1, bytes, n, err);
}

static bool either_can_end(const void *state) {
  const Either *s = state;
  for (int i = 0; i < 2; i++)
    if (s->side[i].ops && s->side[i].ops->can_end(s->side[i].state)) return true;
  return false;
}

static const ConstraintOps either_ops = {.name = "tools or a form",
                                         .fill_mask = either_fill,
                                         .accept = either_accept,
                                         .accept_bytes = either_accept_bytes,
                                         .can_end = either_can_end,
                                         .clone = either_clone,
                                         .free = either_free};

static bool either_start(const Guide *g, Constraint *out, zaya_error *err) {
  Either *s = either_new(MASK_WORDS(vocab_size(g->vocab)), err);
  for (int i = 0; s && i < 2; i++)
    if (!guide_start(g->sides[i], &s->side[i], err)) {
      either_free(s);
      s = NULL;
    }
  *out = (Constraint){.ops = s ? &either_ops : NULL, .state = s};
  return s != NULL;
}

Guide *guide_either(const Guide *calls, const Guide *form, zaya_error *err) {
  bool ok = false;
  Match *m = match_new(form->gram, err), *c = m ? match_new(calls->gram, err) : NULL;
  if (c && match_can_end(c))
    err_set(err, ZAYA_E_INVALID, "the tool calls beside a form must be required: its text takes their place");
  else if (c && match_accept(m, "<", 1, NULL))
    err_set(err, ZAYA_E_UNSUPPORTED, "an answer that may begin with \"<\" cannot be told from a tool call");
  else
    ok = c != NULL;
  match_free(m);
  match_free(c);
  if (!ok) return NULL;
  Guide *g = calloc(1, sizeof *g);
  if (!g) {
    err_memory(err, sizeof *g, "a constraint");
    return NULL;
  }
  atomic_init(&g->refs, 1);
  g->ops = &either_ops;
  g->vocab = vocab_ref(calls->vocab);
  g->sides[0] = guide_ref(calls);
  g->sides[1] = guide_ref(form);
  return g;
}

// --- all of them -----------------------------------------------------------------------------------------

Guide *guide_ref(const Guide *g) {
  Guide *mine = (Guide *)(uintptr_t)g; // the count is the one mutable part
  atomic_fetch_add_explicit(&mine->refs, 1, memory_order_relaxed);
  return mine;
}

void guide_free(Guide *g) {
  if (!g || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1) return;
  gram_free(g->gram);
  gram_free(g->plain);
  schema_free(g->schema);
  guide_free(g->sides[0]);
  guide_free(g->sides[1]);
  vocab_free(g->vocab);
  free(g);
}

bool guide_start(const Guide *g, Constraint *out, zaya_error *err) {
  if (g->sides[0]) return either_start(g, out, err);
  State *s = state_new(g, match_new(g->gram, err), err);
  *out = (Constraint){.ops = s ? g->ops : NULL, .state = s};
  return s != NULL;
}

bool guide_check(const Guide *g, const char *text, size_t len, zaya_error *err) {
  if (g->sides[0]) return guide_check(g->sides[text && len && *text == '<' ? 0 : 1], text, len, err);
  Match *m = match_new(g->plain ? g->plain : g->gram, err);
  bool ok = m && match_accept(m, text, len, err);
  if (ok && !match_can_end(m))
    ok = err_set(err, ZAYA_E_INVALID, "%s: the text is not complete", g->ops->name);
  match_free(m);
  return ok && (!g->schema || schema_validate(g->schema, text, len, err));
}
