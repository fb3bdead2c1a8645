// engine: see engine.h. This file is what other threads see, and the loop; engine_run.c is what the loop
// does.
#include "engine/engine_impl.h"

#include "base/clock.h"
#include "base/hash64.h"
#include "base/size.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_CHUNK = 64 }; // prompt tokens of a step while others generate

// --- the loop ------------------------------------------------------------------------------------

static void append(EngineJob **list, EngineJob *jobs) {
  while (*list) list = &(*list)->next;
  *list = jobs;
}

// Waits for something to do and takes over what came in. False when the engine is to end.
static bool take_work(Engine *e) {
  pthread_mutex_lock(&e->mu);
  while (!e->stop && !e->incoming && !e->jobs && !e->incoming_prepared && !e->prepared) {
    e->working = false;
    pthread_cond_broadcast(&e->quiet);
    pthread_cond_wait(&e->wake, &e->mu);
  }
  e->working = true;
  append(&e->jobs, e->incoming);
  e->incoming = NULL;
  e->incoming_end = &e->incoming;
  Prepared **end = &e->prepared;
  while (*end) end = &(*end)->next;
  *end = e->incoming_prepared;
  e->incoming_prepared = NULL;
  e->prepared_end = &e->incoming_prepared;
  const bool go_on = !e->stop;
  pthread_mutex_unlock(&e->mu);
  return go_on;
}

static void count_memory(Engine *e, double seconds) {
  const PrefixStats s = e->prefix ? prefix_stats(e->prefix) : (PrefixStats){0};
  const uint64_t kv = run_kv_bytes(e);
  pthread_mutex_lock(&e->mu);
  e->stats.busy_seconds += seconds;
  e->stats.kv_bytes = kv;
  e->stats.cache_bytes = s.bytes;
  e->stats.cache_entries = s.entries;
  e->stats.cache_evicted = s.evicted;
  pthread_mutex_unlock(&e->mu);
}

static void *engine_main(void *arg) {
  Engine *e = arg;
  while (take_work(e)) {
    const double start = clock_now();
    run_cancelled(e);
    run_admit(e);
    run_draw(e);
    run_step(e);
    count_memory(e, clock_now() - start);
  }
  for (EngineJob *j = e->jobs; j; j = j->next) atomic_store(&j->cancel, true);
  run_cancelled(e);
  return NULL;
}

// --- life ----------------------------------------------------------------------------------------

static bool check_params(const EngineParams *p, zaya_error *err) {
  if (p->parallel == 0 || p->parallel > ENGINE_MAX_PARALLEL)
    return err_set(err, ZAYA_E_INVALID, "parallel: expected 1 to %d, found %zu", ENGINE_MAX_PARALLEL,
                   p->parallel);
  const int most = p->forward->w->config->max_position;
  if (p->ctx == 0 || p->ctx > (size_t)most)
    return err_set(err, ZAYA_E_LIMIT, "a context of %zu tokens: the model takes 1 to %d", p->ctx, most);
  return true;
}

static bool allocate(Engine *e, zaya_error *err) {
  const size_t P = e->p.parallel, V = e->n_vocab;
  e->known = calloc(MASK_WORDS(V), sizeof *e->known);
  e->places = calloc(P, sizeof(Choice *));
  e->in_step = calloc(P, sizeof(Choice *));
  e->readers = calloc(P, sizeof(Choice *));
  e->spans = calloc(P, sizeof *e->spans);
  e->left = calloc(2 * P, sizeof *e->left);
  e->logits = malloc(P * V * sizeof *e->logits);
  e->marks = malloc(ENGINE_MARKS * sizeof *e->marks);
  if (!e->marks || !e->known || !e->places || !e->in_step || !e->readers || !e->spans || !e->left ||
      !e->logits)
    return err_memory(err, P * V * sizeof *e->logits, "an engine");
  e->rows = e->left + P;
  gen_known(e->p.tok, V, e->known);
  if (e->p.cache_bytes && !(e->prefix = prefix_new(&e->shape, e->p.cache_bytes, err))) return false;
  if (!e->prefix || !e->p.cache_dir) return true;
  e->store = store_open(e->p.cache_dir, &e->shape, e->p.identity, e->p.cache_dir_bytes, err);
  return e->store != NULL;
}

static void release(Engine *e) {
  pthread_mutex_destroy(&e->mu);
  pthread_cond_destroy(&e->wake);
  pthread_cond_destroy(&e->quiet);
  prepared_free(e->incoming_prepared);
  prepared_free(e->prepared);
  store_close(e->store);
  prefix_free(e->prefix);
  free(e->marks);
  free(e->known);
  free(e->places);
  free(e->in_step);
  free(e->readers);
  free(e->spans);
  free(e->left);
  free(e->logits);
  free(e->top);
  free(e);
}

// The workspace for the longest sequence is made now, so that no step fails for it.
static bool reserve(Engine *e, zaya_error *err) {
  pthread_mutex_lock(e->p.lock);
  const bool ok = forward_reserve(e->p.forward, e->p.ctx, err);
  pthread_mutex_unlock(e->p.lock);
  return ok;
}

Engine *engine_new(const EngineParams *params, zaya_error *err) {
  if (!check_params(params, err)) return NULL;
  Engine *e = calloc(1, sizeof *e);
  if (!e) {
    err_memory(err, sizeof *e, "an engine");
    return NULL;
  }
  e->p = *params;
  e->n_vocab = (size_t)params->forward->w->config->vocab;
  e->chunk = params->chunk ? params->chunk : DEFAULT_CHUNK;
  e->shape = state_shape(params->forward->w->config, params->forward->kv);
  e->incoming_end = &e->incoming;
  e->prepared_end = &e->incoming_prepared;
  pthread_mutex_init(&e->mu, NULL);
  pthread_cond_init(&e->wake, NULL);
  pthread_cond_init(&e->quiet, NULL);
  if (allocate(e, err) && reserve(e, err)) {
    const int rc = pthread_create(&e->thread, NULL, engine_main, e);
    if (!rc) return e;
    err_errno(err, rc, "cannot start the engine's thread");
  }
  release(e);
  return NULL;
}

void engine_free(Engine *e) {
  if (!e) return;
  pthread_mutex_lock(&e->mu);
  e->stop = e->draining = true;
  pthread_cond_signal(&e->wake);
  pthread_mutex_unlock(&e->mu);
  pthread_join(e->thread, NULL);
  release(e);
}

// --- submitting ----------------------------------------------------------------------------------

static EngineRefusal refuse(EngineRefusal why, zaya_error *err, zaya_status status, const char *message) {
  err_set(err, status, "%s", message);
  return why;
}

static EngineRefusal check_request(const Engine *e, const EngineRequest *r, zaya_error *err) {
  if (r->n == 0) return refuse(ENGINE_BAD_REQUEST, err, ZAYA_E_INVALID, "the prompt is empty");
  if (r->n_choices == 0)
    return refuse(ENGINE_BAD_REQUEST, err, ZAYA_E_INVALID, "n: expected 1 or more, found 0");
  if (r->n > e->p.ctx) {
    err_set(err, ZAYA_E_LIMIT, "the prompt has %zu tokens, the context holds %zu", r->n, e->p.ctx);
    return ENGINE_TOO_LONG;
  }
  for (size_t i = 0; i < r->n; i++)
    if (r->ids[i] < 0 || (size_t)r->ids[i] >= e->n_vocab) {
      err_set(err, ZAYA_E_INVALID, "token id %d (number %zu) is outside of the vocabulary of %zu",
              (int)r->ids[i], i + 1, e->n_vocab);
      return ENGINE_BAD_REQUEST;
    }
  for (size_t i = 0; i < r->n_marks; i++)
    if (r->marks[i] > r->n || (i && r->marks[i] < r->marks[i - 1]))
      return refuse(ENGINE_BAD_REQUEST, err, ZAYA_E_INVALID,
                    "marks: expected ascending positions in the prompt");
  if (r->n_logprobs > 0 && (size_t)r->n_logprobs > e->n_vocab)
    return refuse(ENGINE_BAD_REQUEST, err, ZAYA_E_INVALID, "logprobs: more than the vocabulary has");
  return ENGINE_ACCEPTED;
}

// Everything of a choice that can fail for the request's sake is made before it is accepted.
static bool make_choice(Engine *e, EngineJob *job, size_t index, zaya_error *err) {
  Choice *c = &job->choices[index];
  const EngineRequest *r = &job->r;
  *c = (Choice){.job = job, .index = index};
  GenParams gp = {.tok = e->p.tok,
                  .n_vocab = e->n_vocab,
                  .p = r->p,
                  .known = e->known,
                  .room = e->p.ctx - r->n + 1, // the last token of an answer is not fed
                  .fn = run_output,
                  .user = c};
  gp.p.constraint = NULL;
  gp.p.sampling.seed += index;
  if (r->guide && !guide_start(r->guide, &gp.constraint, err)) return false;
  c->gen = gen_new(&gp, err);
  return c->gen && gen_prompt(c->gen, r->ids, r->n, err);
}

static EngineJob *make_job(Engine *e, const EngineRequest *r, zaya_error *err) {
  size_t bytes;
  EngineJob *job = NULL;
  if (size_mul(r->n_choices, sizeof(Choice), &bytes) && size_add(bytes, sizeof *job, &bytes))
    job = calloc(1, bytes);
  if (!job) {
    err_memory(err, sizeof *job, "a request");
    return NULL;
  }
  job->engine = e;
  job->r = *r;
  const size_t room = e->p.ctx - r->n;
  job->cap = r->n + (r->p.max_tokens && r->p.max_tokens < room ? r->p.max_tokens : room);
  job->kv_need = state_bytes(&e->shape, job->cap);
  bool ok = read_init(e, &job->reading, r->ids, r->n, r->marks, r->n_marks, !r->no_cache, err);
  for (size_t i = 0; ok && i < r->n_choices; i++) ok = make_choice(e, job, i, err);
  if (ok) return job;
  run_free_job(job);
  return NULL;
}

// With `mu` held.
static EngineRefusal enqueue(Engine *e, EngineJob *job, zaya_error *err) {
  const size_t n = job->r.n_choices;
  const uint64_t most = e->p.parallel + e->p.queue;
  const uint64_t taken = e->stats.running + e->stats.waiting; // without those whose last event is under way
  if (e->draining) return refuse(ENGINE_STOPPING, err, ZAYA_E_CANCELLED, "the engine is being stopped");
  if (n > most || taken > most - n) {
    err_set(err, ZAYA_E_LIMIT, "%llu answers are being written or wait, at most %llu may",
            (unsigned long long)taken, (unsigned long long)most);
    return ENGINE_QUEUE_FULL;
  }
  e->n_live += n;
  job->number = e->stats.requests++;
  e->stats.waiting += n;
  *e->incoming_end = job;
  e->incoming_end = &job->next;
  pthread_cond_signal(&e->wake);
  return ENGINE_ACCEPTED;
}

static EngineRefusal try_submit(Engine *e, const EngineRequest *r, EngineJob **job, zaya_error *err) {
  zaya_error local = {0};
  EngineRefusal why = check_request(e, r, &local);
  if (why == ENGINE_ACCEPTED && !(*job = make_job(e, r, &local)))
    why = local.status == ZAYA_E_MEMORY ? ENGINE_NO_MEMORY : ENGINE_BAD_REQUEST;
  if (why == ENGINE_ACCEPTED && e->p.kv_bytes && (*job)->kv_need > e->p.kv_bytes) {
    err_set(&local, ZAYA_E_MEMORY, "%zu tokens need %llu bytes of KV cache, the limit is %llu", (*job)->cap,
            (unsigned long long)(*job)->kv_need, (unsigned long long)e->p.kv_bytes);
    why = ENGINE_NO_MEMORY;
  }
  pthread_mutex_lock(&e->mu);
  if (why == ENGINE_ACCEPTED) why = enqueue(e, *job, &local);
  if (why != ENGINE_ACCEPTED) e->stats.refused++;
  pthread_mutex_unlock(&e->mu);
  if (why == ENGINE_ACCEPTED) return why;
  err_set(err, local.status, "%s", local.message);
  run_free_job(*job);
  *job = NULL;
  return why;
}

EngineJob *engine_submit(Engine *e, const EngineRequest *request, EngineRefusal *why, zaya_error *err) {
  EngineJob *job = NULL;
  const EngineRefusal refusal = try_submit(e, request, &job, err);
  if (why) *why = refusal;
  return job; // perhaps gone already: only for the caller to name it
}

size_t engine_capacity(const Engine *e) { return e->p.parallel + e->p.queue; }

void engine_cancel(Engine *e, EngineJob *job) {
  atomic_store(&job->cancel, true);
  pthread_mutex_lock(&e->mu);
  pthread_cond_signal(&e->wake);
  pthread_mutex_unlock(&e->mu);
}

// --- preparing -----------------------------------------------------------------------------------

static bool is_prompt(const Engine *e, const int32_t *ids, size_t n, const size_t *marks, size_t n_marks) {
  for (size_t i = 0; i < n; i++)
    if (ids[i] < 0 || (size_t)ids[i] >= e->n_vocab) return false;
  for (size_t i = 0; i < n_marks; i++)
    if (marks[i] > n) return false;
  return n > 0 && n <= e->p.ctx && state_bytes(&e->shape, n) <= e->p.cache_bytes;
}

bool engine_prepare(Engine *e, const int32_t *ids, size_t n, const size_t *marks, size_t n_marks,
                    zaya_error *err) {
  if (!e->prefix || !is_prompt(e, ids, n, marks, n_marks)) return true;
  Prepared *p = calloc(1, sizeof *p);
  if (p) p->ids = malloc(n * sizeof *ids);
  if (!p || !p->ids) {
    prepared_free(p);
    return err_memory(err, n * sizeof *ids, "a prompt");
  }
  memcpy(p->ids, ids, n * sizeof *ids);
  if (!read_init(e, &p->reading, p->ids, n, marks, n_marks, true, err)) {
    prepared_free(p);
    return false;
  }
  pthread_mutex_lock(&e->mu);
  if (e->draining) {
    prepared_free(p);
  } else {
    *e->prepared_end = p;
    e->prepared_end = &p->next;
    pthread_cond_signal(&e->wake);
  }
  pthread_mutex_unlock(&e->mu);
  return true;
}

// --- waiting and telling -------------------------------------------------------------------------

// With `mu` held: waits for `quiet` until the clock says `end`, in slices, for the time of day may be set.
static void wait_quiet(Engine *e, double end) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  double slice = end - clock_now();
  slice = slice > 0.5 ? 0.5 : slice > 0 ? slice : 0;
  until.tv_nsec += (long)(slice * 1e9);
  until.tv_sec += until.tv_nsec / 1000000000;
  until.tv_nsec %= 1000000000;
  pthread_cond_timedwait(&e->quiet, &e->mu, &until);
}

static bool is_busy(const Engine *e) { return e->n_live > 0; }

bool engine_drain(Engine *e, double seconds) {
  const double end = clock_now() + seconds;
  pthread_mutex_lock(&e->mu);
  e->draining = true;
  while (is_busy(e) && clock_now() < end) wait_quiet(e, end);
  const bool done = !is_busy(e);
  pthread_mutex_unlock(&e->mu);
  return done;
}

void engine_settle(Engine *e) {
  pthread_mutex_lock(&e->mu);
  while (e->working || e->incoming || e->incoming_prepared) pthread_cond_wait(&e->quiet, &e->mu);
  pthread_mutex_unlock(&e->mu);
  if (e->store) store_flush(e->store);
}

void engine_stats(const Engine *e, EngineStats *out) {
  pthread_mutex_t *mu = (pthread_mutex_t *)&e->mu;
  pthread_mutex_lock(mu);
  *out = e->stats;
  pthread_mutex_unlock(mu);
  if (!e->store) return;
  const StoreStats s = store_stats(e->store);
  out->store_bytes = s.bytes;
  out->store_hits = s.hits;
  out->store_writes = s.writes;
}

// What the library's version computes may differ in its last bits from another's: that is part of it, and so
// is how precisely keys and values are kept.
uint64_t engine_identity(const Forward *f, const char *dir, const Tok *tok) {
  static const char *const files[] = {"config.json", "model.safetensors.index.json"};
  const int32_t kv = (int32_t)f->kv;
  uint64_t h = hash64(hash64(f->w->fingerprint, ZAYA_VERSION, strlen(ZAYA_VERSION)), &kv, sizeof kv);
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    Buf path = {0}, text = {0};
    if (buf_printf(&path, NULL, "%s/%s", dir, files[i]) &&
        buf_read_file(&text, path.data, SIZE_MAX / 2, NULL))
      h = hash64(h, text.data, text.len); // one that is not there is no part of the model
    buf_free(&path);
    buf_free(&text);
  }
  for (size_t i = 0; i < tok_count(tok); i++) {
    size_t n = 0;
    const char *bytes = tok_bytes(tok, (int32_t)i, &n);
    h = hash64(h, bytes, bytes ? n : 0);
  }
  return h;
}
