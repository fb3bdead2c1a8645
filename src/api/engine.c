// engine: zaya_engine_*: the public engine, whose calls wait for their answers, over engine/engine.
#include "engine/engine.h"
#include "api/constraint.h"
#include "api/handles.h"
#include "text/out.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_CTX = 32768, DEFAULT_PARALLEL = 8, DEFAULT_QUEUE = 64 };
static const uint64_t default_cache = (uint64_t)1 << 30, default_dir = (uint64_t)4 << 30;

static EngineParams engine_params(zaya_model *m, const zaya_tokenizer *tok, const zaya_engine_params *p) {
  const size_t most = (size_t)m->weights.config->max_position;
  const size_t ctx = p->ctx ? p->ctx : most < DEFAULT_CTX ? most : DEFAULT_CTX;
  return (EngineParams){.forward = &m->forward,
                        .lock = &m->lock,
                        .tok = tok,
                        .identity =
                            p->cache_dir ? engine_identity(&m->forward, bundle_dir(m->bundle), tok) : 0,
                        .ctx = ctx,
                        .parallel = p->parallel ? p->parallel : DEFAULT_PARALLEL,
                        .queue = p->queue ? p->queue : DEFAULT_QUEUE,
                        .cache_bytes = p->no_cache      ? 0
                                       : p->cache_bytes ? p->cache_bytes
                                                        : default_cache,
                        .cache_dir = p->no_cache ? NULL : p->cache_dir,
                        .cache_dir_bytes = p->cache_dir_bytes ? p->cache_dir_bytes : default_dir};
}

zaya_engine *zaya_engine_new(zaya_model *model, const zaya_tokenizer *tokenizer,
                             const zaya_engine_params *params, zaya_error *err) {
  const zaya_engine_params none = {0};
  const EngineParams p = engine_params(model, tokenizer, params ? params : &none);
  zaya_engine *e = calloc(1, sizeof *e);
  if (!e) {
    err_memory(err, sizeof *e, "an engine");
    return NULL;
  }
  e->ctx = p.ctx;
  e->engine = engine_new(&p, err);
  if (e->engine) return e;
  free(e);
  return NULL;
}

void zaya_engine_free(zaya_engine *e) {
  if (!e) return;
  engine_free(e->engine);
  free(e);
}

size_t zaya_engine_context(const zaya_engine *e) { return e->ctx; }

void zaya_engine_settle(zaya_engine *e) { engine_settle(e->engine); }

bool zaya_engine_prepare(zaya_engine *e, const int32_t *prompt, size_t n, const size_t *marks, size_t n_marks,
                         zaya_error *err) {
  return engine_prepare(e->engine, prompt, n, marks, n_marks, err);
}

// What a waiting caller and the engine's thread share.
typedef struct Call {
  const zaya_engine_request *request;
  Engine *engine;
  pthread_mutex_t lock;
  pthread_cond_t ended;
  bool done, ok;
  zaya_generate_result result;
  zaya_error error;
} Call;

static void finish_call(Call *c, const EngineEvent *event) {
  pthread_mutex_lock(&c->lock);
  c->ok = event->kind == ENGINE_DONE;
  if (event->kind == ENGINE_DONE) c->result = *event->result;
  if (event->kind == ENGINE_FAILED) c->error = *event->error;
  c->done = true;
  pthread_cond_signal(&c->ended);
  pthread_mutex_unlock(&c->lock); // the caller may go on: nothing of the call is touched behind this
}

static void on_event(void *user, const EngineEvent *event) {
  Call *c = user;
  const zaya_engine_request *r = c->request;
  bool go_on = true;
  if (event->kind == ENGINE_DONE || event->kind == ENGINE_FAILED) {
    finish_call(c, event);
    return;
  }
  if (event->kind == ENGINE_READING && r->reading) go_on = r->reading(r->user, event->done, event->total);
  if (event->kind == ENGINE_OUTPUT && r->fn) go_on = r->fn(r->user, event->output);
  if (!go_on) engine_cancel(c->engine, event->job);
}

static bool run_call(Call *c, zaya_error *err) {
  const zaya_engine_request *r = c->request;
  EngineRequest request = {.ids = r->prompt,
                           .n = r->n,
                           .marks = r->marks,
                           .n_marks = r->n_marks,
                           .p = *r->params,
                           .n_choices = 1,
                           .n_logprobs = -1,
                           .fn = on_event,
                           .user = c};
  if (r->params->constraint) {
    request.guide = r->params->constraint->guide;
    request.p.output.verbatim = r->params->constraint->data;
    request.p.output.or_calls = r->params->constraint->calls;
  }
  if (!engine_submit(c->engine, &request, NULL, err)) return false;
  pthread_mutex_lock(&c->lock);
  while (!c->done) pthread_cond_wait(&c->ended, &c->lock);
  pthread_mutex_unlock(&c->lock);
  return c->ok || err_set(err, c->error.status, "%s", c->error.message);
}

bool zaya_engine_generate(zaya_engine *e, const zaya_engine_request *request, zaya_generate_result *result,
                          zaya_error *err) {
  Call c = {.request = request, .engine = e->engine};
  pthread_mutex_init(&c.lock, NULL);
  pthread_cond_init(&c.ended, NULL);
  const bool ok = run_call(&c, err);
  if (result) *result = ok ? c.result : (zaya_generate_result){.prompt_tokens = request->n};
  pthread_cond_destroy(&c.ended);
  pthread_mutex_destroy(&c.lock);
  return ok;
}

size_t zaya_tokenizer_turns(const zaya_tokenizer *tokenizer, const int32_t *ids, size_t n, size_t *marks,
                            size_t cap) {
  const int32_t open = tok_id(tokenizer, OUT_TURN, strlen(OUT_TURN));
  size_t found = 0;
  for (size_t i = 0; open >= 0 && i < n; i++)
    if (ids[i] == open) {
      if (found < cap) marks[found] = i;
      found++;
    }
  return found;
}
