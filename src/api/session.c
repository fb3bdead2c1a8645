// session: zaya_session_* and zaya_checkpoint_*: one sequence of a model.
#include "api/handles.h"

#include <stdio.h>
#include <stdlib.h>

static zaya_session *session_wrap(zaya_model *model, State *state, zaya_error *err) {
  if (!state) return NULL;
  zaya_session *s = calloc(1, sizeof *s);
  if (!s) {
    state_free(state);
    err_memory(err, sizeof *s, "a session");
    return NULL;
  }
  *s = (zaya_session){.model = model, .state = state};
  return s;
}

zaya_session *zaya_session_new(zaya_model *model, size_t max_tokens, zaya_error *err) {
  const Config *c = model->weights.config;
  if (max_tokens == 0 || max_tokens > (size_t)c->max_position) {
    err_set(err, ZAYA_E_LIMIT, "a context of %zu tokens: the model takes 1 to %d", max_tokens,
            c->max_position);
    return NULL;
  }
  const StateShape shape = state_shape(c, model->forward.kv);
  return session_wrap(model, state_new(&shape, model->weights.fingerprint, max_tokens, err), err);
}

void zaya_session_free(zaya_session *s) {
  if (!s) return;
  state_free(s->state);
  free(s);
}

size_t zaya_session_bytes(const zaya_model *model, size_t max_tokens) {
  const StateShape shape = state_shape(model->weights.config, model->forward.kv);
  return state_bytes(&shape, max_tokens);
}

bool zaya_session_fill(zaya_session *s, size_t n, zaya_error *err) { return state_fill(s->state, n, err); }

size_t zaya_session_length(const zaya_session *s) { return s->state->len; }

size_t zaya_session_capacity(const zaya_session *s) { return s->state->cap; }

// The rows of logits that the tokens [at, at + n) of a feed of `total` owe.
static size_t rows_wanted(zaya_logits_mode mode, size_t at, size_t n, size_t total) {
  if (mode == ZAYA_LOGITS_ALL) return n;
  return mode == ZAYA_LOGITS_LAST && at + n == total ? 1 : 0;
}

// All ids are checked before the first step, so that a failure leaves the session as it was.
static bool check_feed(const zaya_session *s, const int32_t *ids, size_t n, zaya_error *err) {
  const int V = s->model->weights.config->vocab;
  if (n > s->state->cap - s->state->len)
    return err_set(err, ZAYA_E_LIMIT, "the context is full: it holds %zu of %zu tokens, %zu more do not fit",
                   s->state->len, s->state->cap, n);
  for (size_t i = 0; i < n; i++)
    if (ids[i] < 0 || ids[i] >= V)
      return err_set(err, ZAYA_E_INVALID, "token id %d (number %zu) is outside of the vocabulary of %d",
                     (int)ids[i], i + 1, V);
  return state_reserve(s->state, n, err) && forward_reserve(&s->model->forward, s->state->len + n, err);
}

bool zaya_session_feed(zaya_session *s, const int32_t *ids, size_t n, zaya_logits_mode mode, float *logits,
                       zaya_error *err) {
  zaya_model *m = s->model;
  const size_t V = (size_t)m->weights.config->vocab;
  pthread_mutex_lock(&m->lock);
  bool ok = check_feed(s, ids, n, err);
  for (size_t at = 0, step; ok && at < n; at += step) {
    step = n - at < FORWARD_MAX_TOKENS ? n - at : FORWARD_MAX_TOKENS;
    Span span = {.state = s->state, .ids = ids + at, .n = step, .n_logits = rows_wanted(mode, at, step, n)};
    span.logits = mode == ZAYA_LOGITS_ALL ? logits + at * V : logits;
    ok = forward_step(&m->forward, &span, 1, s->trace, err);
  }
  pthread_mutex_unlock(&m->lock);
  return ok;
}

// The next step of several feeds: each gets an even share of what a step takes. at[k]: fed so far.
static size_t plan_step(const zaya_feed *feeds, size_t n_feeds, const size_t *at, Span *spans) {
  size_t unfinished = 0, n_spans = 0, room = FORWARD_MAX_TOKENS;
  for (size_t k = 0; k < n_feeds; k++) unfinished += at[k] < feeds[k].n;
  for (size_t k = 0; k < n_feeds && room; k++) {
    const zaya_feed *f = &feeds[k];
    const size_t V = (size_t)f->session->model->weights.config->vocab;
    const size_t left = f->n - at[k];
    if (left == 0) continue;
    const size_t share = room > unfinished ? room / unfinished : 1, n = left < share ? left : share;
    spans[n_spans] = (Span){.state = f->session->state,
                            .ids = f->ids + at[k],
                            .n = n,
                            .n_logits = rows_wanted(f->mode, at[k], n, f->n)};
    spans[n_spans++].logits = f->mode == ZAYA_LOGITS_ALL ? f->logits + at[k] * V : f->logits;
    room -= n;
    unfinished--;
  }
  return n_spans;
}

bool zaya_feed_many(zaya_feed *feeds, size_t n_feeds, zaya_error *err) {
  if (n_feeds == 0) return true;
  zaya_model *m = feeds[0].session->model;
  Span *spans = calloc(n_feeds, sizeof *spans);
  size_t *at = calloc(n_feeds, sizeof *at), left = 0;
  bool ok = spans && at;
  if (!ok) err_memory(err, n_feeds * sizeof *spans, "a batch");
  for (size_t k = 0; ok && k < n_feeds; k++)
    for (size_t i = 0; i < k; i++)
      if (feeds[i].session == feeds[k].session)
        ok = err_set(err, ZAYA_E_INVALID, "a session is twice in one batch");
  pthread_mutex_lock(&m->lock);
  for (size_t k = 0; ok && k < n_feeds; k++) {
    left += feeds[k].n;
    if (feeds[k].session->model != m)
      ok = err_set(err, ZAYA_E_INVALID, "a batch of sessions of different models");
    ok = ok && check_feed(feeds[k].session, feeds[k].ids, feeds[k].n, err);
  }
  while (ok && left) {
    const size_t n = plan_step(feeds, n_feeds, at, spans);
    ok = forward_step(&m->forward, spans, n, (Trace){0}, err);
    for (size_t i = 0, k = 0; ok && i < n; i++) {
      while (feeds[k].session->state != spans[i].state) k++;
      at[k] += spans[i].n;
      left -= spans[i].n;
    }
  }
  pthread_mutex_unlock(&m->lock);
  free(spans);
  free(at);
  return ok;
}

void zaya_session_trace(zaya_session *s, zaya_trace_fn fn, void *user) {
  s->trace = (Trace){.fn = fn, .user = user};
}

void zaya_session_trace_state(zaya_session *s, zaya_trace_fn fn, void *user) {
  const StateShape *shape = &s->state->shape;
  const size_t conv[2] = {2, (size_t)shape->channels}, hidden[1] = {(size_t)shape->hidden};
  for (int a = 0; a < shape->n_attn; a++) {
    const CcaState cca = state_cca(s->state, a);
    char name[64];
    snprintf(name, sizeof name, "layers.%d.conv_state", 2 * a);
    fn(user, name, cca.conv_state, 2, conv);
    snprintf(name, sizeof name, "layers.%d.prev_hs", 2 * a);
    fn(user, name, cca.prev_hs, 1, hidden);
  }
}

void zaya_session_reset(zaya_session *s) { state_reset(s->state); }

zaya_session *zaya_session_clone(const zaya_session *s, zaya_error *err) {
  return session_wrap(s->model, state_clone(s->state, err), err);
}

zaya_checkpoint *zaya_session_checkpoint(const zaya_session *s, zaya_error *err) {
  return state_checkpoint(s->state, err);
}

void zaya_checkpoint_free(zaya_checkpoint *c) { state_checkpoint_free(c); }

bool zaya_session_rewind(zaya_session *s, const zaya_checkpoint *c, zaya_error *err) {
  return state_rewind(s->state, c, err);
}

bool zaya_session_save(const zaya_session *s, zaya_text *out, zaya_error *err) {
  return state_save(s->state, out, err);
}

bool zaya_session_load(zaya_session *s, const void *data, size_t len, zaya_error *err) {
  return state_load(s->state, data, len, err);
}
