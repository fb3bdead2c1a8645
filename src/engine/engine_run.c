// engine_run: what the engine's thread does between two waits: ends what was cancelled, gives places to what
// waits, draws tokens, runs a step of the model. Events go out from here. Depends on engine_impl, plan, gen.
#include "engine/engine_impl.h"
#include "engine/plan.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

// --- events --------------------------------------------------------------------------------------

static void emit(const Choice *c, EngineEvent event) {
  event.job = c->job;
  event.choice = c->index;
  if (c->job->r.fn) c->job->r.fn(c->job->r.user, &event);
}

bool run_output(void *user, const zaya_output_event *event) {
  const Choice *c = user;
  if (atomic_load(&c->job->cancel)) return false;
  emit(c, (EngineEvent){.kind = ENGINE_OUTPUT, .output = event});
  return !atomic_load(&c->job->cancel);
}

// --- a choice ends -------------------------------------------------------------------------------

void run_free_job(EngineJob *job) {
  if (!job) return;
  for (size_t i = 0; i < job->r.n_choices; i++) gen_free(job->choices[i].gen);
  state_free(job->prompt);
  read_free(&job->reading);
  free(job->logits);
  free(job);
}

static void unlink_job(Engine *e, EngineJob *job) {
  EngineJob **at = &e->jobs;
  while (*at != job) at = &(*at)->next;
  *at = job->next;
  run_free_job(job);
}

// Frees what the choice holds, counts it, sends its last event. The job may be gone afterwards.
static void end_choice(Engine *e, Choice *c, const zaya_error *failure) {
  EngineJob *job = c->job;
  const bool waited = c->phase == CHOICE_WAITING;
  zaya_generate_result result = {.prompt_tokens = job->r.n, .cached_tokens = job->reading.cached};
  gen_result(c->gen, &result);
  if (!waited) {
    const double now = clock_now(), read = c->read > 0 ? c->read : now;
    result.prompt_seconds = read - c->begun;
    result.seconds = now - read;
    e->places[c->place] = NULL;
    e->kv_need -= job->kv_need;
  } else {
    job->n_begun++;
  }
  if (c->state && job->reading.cache && !failure && c->state->len) {
    prefix_keep_state(e->prefix, c->state);
    read_store(e, c->state);
  }
  state_free(c->state);
  c->state = NULL;
  gen_free(c->gen);
  c->gen = NULL;
  c->phase = CHOICE_ENDED;
  pthread_mutex_lock(&e->mu);
  *(waited ? &e->stats.waiting : &e->stats.running) -= 1;
  *(failure                                  ? &e->stats.failed
    : result.finish == ZAYA_FINISH_CANCELLED ? &e->stats.cancelled
                                             : &e->stats.done) += 1;
  pthread_mutex_unlock(&e->mu);
  if (failure)
    emit(c, (EngineEvent){.kind = ENGINE_FAILED, .error = failure});
  else
    emit(c, (EngineEvent){.kind = ENGINE_DONE, .result = &result});
  if (++job->n_ended == job->r.n_choices) unlink_job(e, job);
  pthread_mutex_lock(&e->mu);
  e->n_live--;
  pthread_cond_broadcast(&e->quiet);
  pthread_mutex_unlock(&e->mu);
}

// A choice that cannot go on. While the prompt is being read it takes the whole job with it.
static void fail_choice(Engine *e, Choice *c, const zaya_error *err) {
  EngineJob *job = c->job;
  if (job->is_read) {
    end_choice(e, c, err);
    return;
  }
  const size_t n = job->r.n_choices; // the job goes with its last choice
  for (size_t i = 0; i < n; i++) end_choice(e, &job->choices[i], err);
}

static void cancel_choice(Engine *e, Choice *c) {
  zaya_error err = {0};
  const bool ok = gen_stop(c->gen, ZAYA_FINISH_CANCELLED, &err);
  end_choice(e, c, ok ? NULL : &err);
}

void run_cancelled(Engine *e) {
  for (EngineJob *job = e->jobs, *next; job; job = next) {
    next = job->next;
    if (!atomic_load(&job->cancel)) continue;
    size_t open = job->r.n_choices - job->n_ended;
    for (size_t i = 0; open; i++)
      if (job->choices[i].phase != CHOICE_ENDED) {
        open--;
        cancel_choice(e, &job->choices[i]);
      }
  }
}

// --- a choice begins -----------------------------------------------------------------------------

static bool begin_state(Engine *e, Choice *c, zaya_error *err) {
  EngineJob *job = c->job;
  if (!job->is_read) {
    c->state = state_new(&e->shape, e->p.forward->w->fingerprint, job->cap, err);
    job->reading.state = c->state;
  } else if (job->n_begun == job->r.n_choices) { // the last one takes it over
    c->state = job->prompt;
    job->prompt = NULL;
  } else {
    c->state = state_clone(job->prompt, err);
  }
  return c->state != NULL;
}

static void tell_started(Choice *c) {
  const EngineJob *job = c->job;
  c->told = true;
  emit(c, (EngineEvent){.kind = ENGINE_STARTED, .cached = job->reading.cached, .total = job->r.n});
}

static void begin_choice(Engine *e, Choice *c, size_t place) {
  EngineJob *job = c->job;
  zaya_error err = {0};
  job->n_begun++;
  c->place = place;
  c->logits = e->logits + place * e->n_vocab;
  c->begun = clock_now();
  c->phase = job->is_read ? CHOICE_DRAW : CHOICE_READING;
  e->places[place] = c;
  e->kv_need += job->kv_need;
  pthread_mutex_lock(&e->mu);
  e->stats.waiting--;
  e->stats.running++;
  pthread_mutex_unlock(&e->mu);
  if (!begin_state(e, c, &err)) {
    fail_choice(e, c, &err);
    return;
  }
  if (!job->is_read) return; // what the cache saves is known when the first tokens are read
  memcpy(c->logits, job->logits, e->n_vocab * sizeof *c->logits);
  c->read = c->begun;
  tell_started(c);
}

// The first choice in order of arrival that can begin: the others of a job wait for its prompt to be read.
static Choice *next_choice(const Engine *e) {
  for (EngineJob *job = e->jobs; job; job = job->next)
    if (job->n_begun < job->r.n_choices && (job->n_begun == 0 || job->is_read))
      return &job->choices[job->n_begun];
  return NULL;
}

void run_admit(Engine *e) {
  if (e->jobs) prepared_pause(e);
  for (size_t place = 0; place < e->p.parallel; place++) {
    if (e->places[place]) continue;
    Choice *c = next_choice(e);
    if (!c || (e->p.kv_bytes && c->job->kv_need > e->p.kv_bytes - e->kv_need)) return;
    begin_choice(e, c, place);
  }
}

// --- drawing -------------------------------------------------------------------------------------

typedef struct DrawJob {
  Choice **choices;
  size_t n;
} DrawJob;

static void draw_share(void *arg, int index, int count) {
  const DrawJob *j = arg;
  for (size_t i = (size_t)index; i < j->n; i += (size_t)count) {
    Choice *c = j->choices[i];
    c->error = (zaya_error){0};
    c->chosen = gen_choose(c->gen, c->logits, &c->next, &c->error);
  }
}

static bool emit_token(Engine *e, Choice *c, zaya_error *err) {
  EngineEvent event = {.kind = ENGINE_TOKEN, .id = c->next};
  if (c->job->r.n_logprobs >= 0) {
    event.n_top = (size_t)c->job->r.n_logprobs;
    if (!buf_grow((void **)&e->top, &e->top_cap, event.n_top + 1, sizeof *e->top, err) ||
        !sampler_logprobs(c->logits, e->n_vocab, c->next, &event.logprob, event.n_top, e->top, err))
      return false;
    event.top = e->top;
  }
  emit(c, event);
  return true;
}

// What a drawn token means: events, and perhaps the end.
static void take_token(Engine *e, Choice *c) {
  zaya_error err = {0};
  bool done = false;
  if (!c->chosen) {
    fail_choice(e, c, &c->error);
    return;
  }
  if (atomic_load(&c->job->cancel)) return; // run_cancelled ends it
  if (!emit_token(e, c, &err) || !gen_take(c->gen, c->next, &done, &err))
    fail_choice(e, c, &err);
  else if (done)
    end_choice(e, c, NULL);
  else
    c->phase = CHOICE_FEED;
}

void run_draw(Engine *e) {
  DrawJob job = {.choices = e->in_step};
  for (size_t i = 0; i < e->p.parallel; i++)
    if (e->places[i] && e->places[i]->phase == CHOICE_DRAW) job.choices[job.n++] = e->places[i];
  if (job.n > 1)
    pool_run(e->p.forward->linear.pool, draw_share, &job);
  else
    draw_share(&job, 0, 1);
  pthread_mutex_lock(&e->mu);
  e->stats.drawn_tokens += job.n;
  pthread_mutex_unlock(&e->mu);
  for (size_t i = 0; i < job.n; i++) take_token(e, job.choices[i]);
}

// --- a step --------------------------------------------------------------------------------------

// Every token that was drawn.
static size_t add_feeds(Engine *e) {
  size_t n = 0;
  for (size_t i = 0; i < e->p.parallel; i++) {
    Choice *c = e->places[i];
    zaya_error err = {0};
    if (!c || c->phase != CHOICE_FEED) continue;
    if (!read_reserve(e, c->state, 1, &err)) {
      fail_choice(e, c, &err);
      continue;
    }
    e->spans[n] = (Span){.state = c->state, .ids = &c->next, .n = 1, .logits = c->logits, .n_logits = 1};
    if (c->job->reading.cache) read_mark_feed(e, &e->spans[n]);
    e->in_step[n++] = c;
  }
  return n;
}

// Who reads, and how much each has left for this step: nothing while it waits for another's checkpoint, or
// takes one from the disk, one a step.
static size_t find_readers(Engine *e) {
  size_t n = 0;
  for (size_t i = 0; i < e->p.parallel; i++) {
    Choice *c = e->places[i];
    if (!c || c->phase != CHOICE_READING) continue;
    Reading *r = &c->job->reading;
    read_advance(e, r);
    e->left[n] = read_load(e, r) ? 0 : r->n - r->at;
    e->readers[n++] = c;
  }
  for (size_t i = 0; i < n; i++) {
    const Reading *r = &e->readers[i]->job->reading;
    for (size_t k = 0; k < n; k++)
      if (k != i && read_should_wait(e, r, e->readers[i]->job->number, &e->readers[k]->job->reading,
                                     e->readers[k]->job->number))
        e->left[i] = 0;
  }
  return n;
}

static void count_start(Engine *e, const Reading *r) {
  pthread_mutex_lock(&e->mu);
  if (r->cache) *(r->cached ? &e->stats.cache_hits : &e->stats.cache_misses) += 1;
  pthread_mutex_unlock(&e->mu);
}

// Prompt tokens: a full step's worth while nobody generates, else no more than `chunk`.
static size_t add_prompts(Engine *e, size_t n) {
  const size_t n_readers = find_readers(e);
  size_t room = FORWARD_MAX_TOKENS - n;
  if (n && e->chunk < room) room = e->chunk;
  plan_rows(e->left, n_readers, room, n_readers ? e->first_reader++ % n_readers : 0, e->rows);
  for (size_t i = 0; i < n_readers; i++) {
    Choice *c = e->readers[i];
    Reading *r = &c->job->reading;
    zaya_error err = {0};
    if (!e->rows[i]) continue;
    if (!read_span(e, r, e->rows[i], &e->spans[n], &err)) {
      fail_choice(e, c, &err);
      continue;
    }
    e->spans[n].logits = c->logits;
    e->spans[n].n_logits = r->at + e->rows[i] == r->n;
    e->in_step[n++] = c;
    if (c->told) continue;
    count_start(e, r);
    tell_started(c);
  }
  return n;
}

// The prompt is read. What the other choices begin with is put aside.
static bool keep_prompt(Engine *e, Choice *c, zaya_error *err) {
  EngineJob *job = c->job;
  c->read = clock_now();
  if (job->r.n_choices > 1) {
    const size_t bytes = e->n_vocab * sizeof *job->logits;
    job->prompt = state_clone(c->state, err);
    job->logits = malloc(bytes);
    if (!job->prompt || !job->logits) return err_memory(err, bytes, "logits");
    memcpy(job->logits, c->logits, bytes);
  }
  job->is_read = true;
  c->phase = CHOICE_DRAW;
  return true;
}

static void after_reading(Engine *e, Choice *c, size_t rows) {
  EngineJob *job = c->job;
  zaya_error err = {0};
  Reading *r = &job->reading;
  r->at += rows;
  if (r->at == r->n && !keep_prompt(e, c, &err))
    fail_choice(e, c, &err);
  else
    emit(c, (EngineEvent){.kind = ENGINE_READING, .done = r->at, .total = r->n, .cached = r->cached});
}

uint64_t run_kv_bytes(const Engine *e) {
  uint64_t tokens = 0;
  for (size_t i = 0; i < e->p.parallel; i++)
    if (e->places[i] && e->places[i]->state) tokens += e->places[i]->state->len;
  return tokens * state_kv_bytes(&e->shape) * 2 * (uint64_t)e->shape.n_attn;
}

static void count_step(Engine *e, size_t n, size_t n_feeds) {
  size_t rows = 0, read = 0;
  for (size_t i = 0; i < n; i++) {
    rows += e->spans[i].n;
    if (i >= n_feeds) read += e->spans[i].n;
  }
  pthread_mutex_lock(&e->mu);
  e->stats.steps++;
  e->stats.step_rows += rows;
  e->stats.read_tokens += read;
  e->stats.prompt_tokens += read;
  e->stats.batch[n_feeds < 16 ? n_feeds : 16]++;
  pthread_mutex_unlock(&e->mu);
}

// False when there was nothing to run.
static bool run_spans(Engine *e, size_t n, size_t n_feeds) {
  zaya_error err = {0};
  if (n == 0) return false;
  pthread_mutex_lock(e->p.lock);
  const bool ok = forward_step(e->p.forward, e->spans, n, (Trace){0}, &err);
  pthread_mutex_unlock(e->p.lock);
  if (ok) count_step(e, n, n_feeds);
  for (size_t i = 0; i < n; i++) read_keep(e, &e->spans[i], ok);
  e->n_marks = 0;
  for (size_t i = 0; i < n; i++) {
    Choice *c = e->in_step[i];
    if (!ok)
      fail_choice(e, c, &err);
    else if (i < n_feeds)
      c->phase = CHOICE_DRAW;
    else
      after_reading(e, c, e->spans[i].n);
  }
  return true;
}

void run_step(Engine *e) {
  const size_t n_feeds = add_feeds(e), n = add_prompts(e, n_feeds);
  if (!run_spans(e, n, n_feeds) && !e->jobs && e->prepared) prepared_step(e);
}
