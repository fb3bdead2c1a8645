// engines: what the engine's tests share: the trained model of the repository, requests of many kinds made
// from a number, and their answers gathered.
#pragma once

#include "api/constraint.h"
#include "api/handles.h"
#include "collect.h"
#include "engine/engine.h"

#define NANO_DIR ZAYA_TEST_DATA "/../models/nano"

typedef struct Nano {
  zaya_model *model;
  zaya_tokenizer *tok;
  zaya_chat *chat;
  Guide *schema, *regex;
} Nano;

static inline Nano nano_open(int threads) {
  zaya_error err = {0};
  const zaya_model_params params = {.n_threads = threads};
  Nano n = {.model = zaya_model_open(NANO_DIR, &params, &err), .tok = zaya_tokenizer_open(NANO_DIR, &err)};
  n.chat = zaya_chat_open(NANO_DIR, &err);
  if (!n.model || !n.tok || !n.chat) fail_msg("%s", err.message);
  static const char schema[] =
      "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":12},"
      "\"age\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":99}},"
      "\"required\":[\"name\",\"age\"],\"additionalProperties\":false}";
  static const char regex[] = "(yes|no|perhaps)( (yes|no|perhaps)){2,9}";
  Vocab *v = guide_vocab(n.tok, &err);
  n.schema = guide_schema(v, schema, strlen(schema), &err);
  n.regex = guide_regex(v, regex, strlen(regex), &err);
  vocab_free(v);
  if (!n.schema || !n.regex) fail_msg("%s", err.message);
  return n;
}

static inline void nano_close(Nano *n) {
  guide_free(n->schema);
  guide_free(n->regex);
  zaya_chat_close(n->chat);
  zaya_tokenizer_close(n->tok);
  zaya_model_close(n->model);
}

static inline EngineParams nano_params(Nano *n) {
  return (EngineParams){.forward = &n->model->forward,
                        .lock = &n->model->lock,
                        .tok = n->tok,
                        .identity = 42,
                        .ctx = 1024,
                        .parallel = 4,
                        .queue = 64};
}

static inline Engine *engine_start(const EngineParams *p) {
  zaya_error err = {0};
  Engine *e = engine_new(p, &err);
  if (!e) fail_msg("%s", err.message);
  return e;
}

// One choice's answer.
typedef struct Answer {
  Collect events;
  zaya_ids taken;
  double logprobs; // their sum
  size_t n_top;
  zaya_generate_result result;
  zaya_error error;
  size_t started, cached, readings, tokens, ended;
} Answer;

enum { ASK_CHOICES = 8, ASK_MARKS = 32 };

// A request with what it needs, and its answers.
typedef struct Ask {
  zaya_ids ids;
  size_t marks[ASK_MARKS], n_marks, n_choices;
  zaya_generate_params p;
  const Guide *guide;
  int n_logprobs;
  bool no_cache;
  size_t cancel_after; // tokens, from the callback; 0: never
  EngineJob *job;
  Engine *engine;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  size_t n_ended, n_tokens;
  Answer out[ASK_CHOICES];
  size_t *clock; // counts events of several requests, to see which came first
  size_t ended_at;
} Ask;

static inline void ask_event(void *user, const EngineEvent *event) {
  Ask *a = user;
  Answer *out = &a->out[event->choice];
  pthread_mutex_lock(&a->lock);
  assert_int_equal(out->ended, 0);
  assert_true((event->kind == ENGINE_STARTED) == (out->started == 0) || event->kind >= ENGINE_DONE);
  switch (event->kind) {
  case ENGINE_STARTED:
    out->started++;
    out->cached = event->cached;
    break;
  case ENGINE_READING:
    out->readings++;
    assert_true(event->done <= event->total && event->total == a->ids.len);
    break;
  case ENGINE_TOKEN:
    out->tokens++;
    assert_true(ids_add(&out->taken, event->id, NULL));
    out->logprobs += event->logprob;
    out->n_top += event->n_top;
    if (a->cancel_after && ++a->n_tokens == a->cancel_after) engine_cancel(a->engine, event->job);
    break;
  case ENGINE_OUTPUT: collect_event(&out->events, event->output); break;
  case ENGINE_DONE: out->result = *event->result; break;
  case ENGINE_FAILED: out->error = *event->error; break;
  }
  if (event->kind >= ENGINE_DONE) {
    out->ended++;
    a->n_ended++;
    if (a->clock) a->ended_at = ++*a->clock;
  }
  pthread_cond_broadcast(&a->changed);
  pthread_mutex_unlock(&a->lock);
}

static inline bool ask_try(Ask *a, Engine *e, EngineRefusal *why, zaya_error *err) {
  pthread_mutex_init(&a->lock, NULL);
  pthread_cond_init(&a->changed, NULL);
  for (size_t i = 0; i < ASK_CHOICES; i++) {
    a->out[i].events.open_kind = -1;
    collect_reset(&a->out[i].events);
  }
  const EngineRequest r = {.ids = a->ids.data,
                           .n = a->ids.len,
                           .marks = a->marks,
                           .n_marks = a->n_marks,
                           .p = a->p,
                           .guide = a->guide,
                           .n_choices = a->n_choices,
                           .n_logprobs = a->n_logprobs,
                           .no_cache = a->no_cache,
                           .fn = ask_event,
                           .user = a};
  a->engine = e;
  pthread_mutex_lock(&a->lock);
  a->job = engine_submit(e, &r, why, err);
  pthread_mutex_unlock(&a->lock);
  return a->job != NULL;
}

static inline void ask_submit(Ask *a, Engine *e) {
  zaya_error err = {0};
  if (!ask_try(a, e, NULL, &err)) fail_msg("%s", err.message);
}

static inline void ask_wait(Ask *a) {
  pthread_mutex_lock(&a->lock);
  while (a->n_ended < a->n_choices) pthread_cond_wait(&a->changed, &a->lock);
  pthread_mutex_unlock(&a->lock);
}

// Until choice 0 has drawn so many tokens.
static inline void ask_wait_tokens(Ask *a, size_t n) {
  pthread_mutex_lock(&a->lock);
  while (a->out[0].tokens < n && !a->out[0].ended) pthread_cond_wait(&a->changed, &a->lock);
  pthread_mutex_unlock(&a->lock);
}

// From another thread than the engine's, whenever.
static inline void ask_cancel(Ask *a) {
  pthread_mutex_lock(&a->lock);
  if (a->n_ended < a->n_choices) engine_cancel(a->engine, a->job);
  pthread_mutex_unlock(&a->lock);
}

static inline void ask_free(Ask *a) {
  for (size_t i = 0; i < ASK_CHOICES; i++) {
    collect_free(&a->out[i].events);
    zaya_ids_free(&a->out[i].taken);
  }
  zaya_ids_free(&a->ids);
  if (a->engine) {
    pthread_mutex_destroy(&a->lock);
    pthread_cond_destroy(&a->changed);
  }
  *a = (Ask){0};
}

static inline void ask_run(Ask *a, Engine *e) {
  ask_submit(a, e);
  ask_wait(a);
}

// --- making requests ------------------------------------------------------------------------------

// A conversation as the template renders it; marks at the beginnings of turns.
static inline void ask_messages(Ask *a, const Nano *n, const char *messages) {
  zaya_error err = {0};
  zaya_prompt prompt = {0};
  const zaya_chat_params params = {.messages = messages};
  a->ids.len = 0;
  if (!zaya_chat_render(n->chat, &params, &prompt, &err) ||
      !zaya_prompt_encode(&prompt, n->tok, &a->ids, NULL, &err))
    fail_msg("%s", err.message);
  zaya_prompt_free(&prompt);
  a->n_marks = zaya_tokenizer_turns(n->tok, a->ids.data, a->ids.len, a->marks, ASK_MARKS);
  if (a->n_marks > ASK_MARKS) a->n_marks = ASK_MARKS;
}

static inline Ask ask_empty(void) {
  Ask a = {.n_choices = 1, .n_logprobs = -1, .p = zaya_generate_params_default()};
  a.p.sampling.temperature = 0;
  a.p.max_tokens = 12;
  return a;
}

static inline Ask ask_text(const Nano *n, const char *messages) {
  Ask a = ask_empty();
  ask_messages(&a, n, messages);
  return a;
}

// So many token ids without meaning; those of one seed begin alike.
static inline Ask ask_ids(const Nano *n, uint32_t seed, size_t len) {
  Ask a = ask_empty();
  const uint32_t V = (uint32_t)zaya_model_get_info(n->model).vocab_size;
  uint32_t x = seed * 2654435761u + 12345;
  for (size_t i = 0; i < len; i++) {
    x = x * 1664525u + 1013904223u;
    assert_true(ids_add(&a.ids, (int32_t)(200 + (x >> 8) % (V - 300)), NULL));
  }
  return a;
}

// Number i of a mixed crowd: lengths, samplers, seeds, constraints, stop strings, budgets.
static inline Ask ask_mixed(const Nano *n, unsigned i) {
  static const char *const stops[] = {"the", "\n"};
  static const char *const talk[] = {
      "[{\"role\":\"user\",\"content\":\"Hello! What is your name?\"}]",
      "[{\"role\":\"system\",\"content\":\"You answer briefly.\"},{\"role\":\"user\",\"content\":\"Count to "
      "ten.\"}]",
      "[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":\"Hello there.\"},"
      "{\"role\":\"user\",\"content\":\"What did I say?\"}]",
  };
  static const size_t lengths[] = {1, 7, 33, 64, 100, 180, 255, 257, 262};
  Ask a = i % 3 ? ask_text(n, talk[i % 7 % 3]) : ask_ids(n, i % 2, lengths[i / 3 % 9]);
  a.p.max_tokens = 5 + i * 7 % 20;
  a.p.sampling.seed = i;
  if (i % 4 != 0) a.p.sampling.temperature = 0.5 + 0.2 * (i % 5);
  if (i % 5 == 1) a.p.sampling.top_k = 20;
  if (i % 6 == 2) a.p.sampling.repetition_penalty = 1.2;
  if (i % 7 == 3) a.p.sampling.presence_penalty = 0.5;
  if (i % 5 == 2) a.p.stops = stops, a.p.n_stops = 2;
  if (i % 8 == 4) a.guide = n->schema;
  if (i % 8 == 7) a.guide = n->regex;
  a.p.output.verbatim = a.guide != NULL;
  if (i % 9 == 5) a.p.output.thinking = true, a.p.thinking = (zaya_thinking){.has_limit = true, .limit = 6};
  if (i % 11 == 6) a.n_logprobs = 3;
  return a;
}

static inline void assert_same_answer(const Answer *a, const Answer *b) {
  if (a->error.status) fail_msg("%s", a->error.message);
  if (b->error.status) fail_msg("%s", b->error.message);
  assert_int_equal(a->taken.len, b->taken.len);
  assert_memory_equal(a->taken.data, b->taken.data, a->taken.len * sizeof(int32_t));
  assert_string_equal(a->events.log, b->events.log);
  assert_int_equal(a->result.finish, b->result.finish);
  assert_true(a->logprobs == b->logprobs);
}
