// job: a request that generates: from its body to the engine's request, from the engine's events to Answers
// and a stream. Owns everything that the engine borrows until its last event. See server_impl.h.
//
// Threads: made on the HTTP thread, prepared and finished on workers, fed by the engine's thread; the watcher
// may say at any time that the client is gone. Job.mu guards all of it behind the preparation.
#include "server/job.h"

#include "base/clock.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

// --- ids and lists ------------------------------------------------------------------------------------

bool job_new_id(const char *prefix, char *out, size_t size) {
  static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  unsigned char bytes[SERVER_ID_LEN];
  const size_t n = strlen(prefix);
  if (n + SERVER_ID_LEN >= size || RAND_bytes(bytes, sizeof bytes) != 1) return false;
  memcpy(out, prefix, n);
  for (size_t i = 0; i < SERVER_ID_LEN; i++) out[n + i] = letters[bytes[i] % (sizeof letters - 1)];
  out[n + SERVER_ID_LEN] = '\0';
  return true;
}

static void link_job(Job *j) {
  Server *s = j->server;
  pthread_mutex_lock(&s->mu);
  j->next = s->jobs;
  j->link = &s->jobs;
  if (j->next) j->next->link = &j->next;
  s->jobs = j;
  pthread_mutex_unlock(&s->mu);
}

static void unlink_job(Job *j) {
  Server *s = j->server;
  pthread_mutex_lock(&s->mu);
  *j->link = j->next;
  if (j->next) j->next->link = j->link;
  if (!s->jobs) pthread_cond_broadcast(&s->idle);
  pthread_mutex_unlock(&s->mu);
}

void job_cancel(Job *j) {
  for (size_t i = 0; i < j->n_accepted; i++)
    if (j->parts[i].ej) engine_cancel(j->server->p.engine, j->parts[i].ej);
}

static void cancel(Job *j) {
  pthread_mutex_lock(&j->mu);
  j->cancelled = true;
  job_cancel(j);
  pthread_mutex_unlock(&j->mu);
}

void job_cancel_all(Server *s) {
  pthread_mutex_lock(&s->mu); // jobs leave the list before they are freed
  for (Job *j = s->jobs; j; j = j->next) cancel(j);
  pthread_mutex_unlock(&s->mu);
}

// The last thing of a job. Nothing of it may be locked.
static void end_job(Job *j) {
  httpd_release(j->request); // no hook comes behind this
  unlink_job(j);
  if (j->state) j->dialect->close(j->state);
  for (size_t i = 0; i < j->n_choices; i++) answer_free(&j->answers[i]);
  free(j->answers);
  free(j->choices);
  free(j->tools);
  for (size_t i = 0; i < j->n_parts; i++) prefill_free(&j->parts[i].prompt);
  free(j->parts);
  ask_free(&j->ask);
  buf_free(&j->out);
  pthread_mutex_destroy(&j->mu);
  free(j);
}

static void end_with_fault(Job *j, const AskFault *fault) {
  httpd_note(j->request, "%.300s", fault->error.message);
  reply_fault(j->server, j->request, j->dialect, fault);
  end_job(j);
}

// --- preparing -----------------------------------------------------------------------------------------

// How the engine's refusals look to clients.
static void take_refusal(AskFault *fault, EngineRefusal why, const zaya_error *err) {
  switch (why) {
  case ENGINE_TOO_LONG: fault_set(fault, 400, "context_length_exceeded", "%s", err->message); return;
  case ENGINE_QUEUE_FULL: fault_set(fault, 429, "queue_full", "%s", err->message); return;
  case ENGINE_NO_MEMORY: fault_set(fault, 503, "no_memory", "%s", err->message); return;
  case ENGINE_STOPPING: fault_set(fault, 503, "stopping", "the server is shutting down"); return;
  default: fault_take(fault, err, NULL);
  }
  if (!strncmp(err->message, "logit_bias: ", 12)) snprintf(fault->field, sizeof fault->field, "logit_bias");
}

// Prompts of a list are asked as each would be alone; only what nobody gave a seed is not to be the same
// twice.
static zaya_sampling part_sampling(const Ask *a, size_t part) {
  zaya_sampling s = a->sampling;
  if (!a->has_seed) s.seed += part * ASK_MAX_CHOICES;
  return s;
}

static zaya_generate_params generate_params(const Job *j, const JobPart *part, GuideUse use) {
  const Ask *a = &j->ask;
  return (zaya_generate_params){.sampling = part_sampling(a, (size_t)(part - j->parts)),
                                .max_tokens = a->max_tokens,
                                .stops = a->stops,
                                .n_stops = a->n_stops,
                                .output = {.tools = j->tools,
                                           .thinking = part->prompt.thinks,
                                           .verbatim = use == GUIDE_TEXT || use == GUIDE_EITHER,
                                           .or_calls = use == GUIDE_EITHER,
                                           .plain = !a->messages},
                                .thinking = a->budget};
}

static bool submit_part(Job *j, JobPart *p, Guide *guide, GuideUse use, AskFault *fault) {
  zaya_error err = {0};
  EngineRefusal why;
  const EngineRequest request = {.ids = p->prompt.ids.data,
                                 .n = p->prompt.ids.len,
                                 .marks = p->prompt.marks,
                                 .n_marks = p->prompt.n_marks,
                                 .p = generate_params(j, p, use),
                                 .guide = guide,
                                 .n_choices = j->ask.n,
                                 .n_logprobs = j->ask.top_logprobs,
                                 .fn = job_event,
                                 .user = p};
  p->ej = engine_submit(j->server->p.engine, &request, &why, &err);
  if (p->ej) return true;
  take_refusal(fault, why, &err);
  if (!j->ask.many_prompts || (why != ENGINE_BAD_REQUEST && why != ENGINE_TOO_LONG)) return false;
  snprintf(fault->field, sizeof fault->field, "prompt[%zu]", (size_t)(p - j->parts));
  err_context(&fault->error, "%s", fault->field);
  return false;
}

// All of a list or none: what was accepted before a refusal is ended, and the fault told behind its last
// event. True where events will come.
static bool submit_parts(Job *j, Guide *guide, GuideUse use, AskFault *fault) {
  bool ok = true;
  for (size_t i = 0; ok && i < j->n_parts; i++) {
    ok = submit_part(j, &j->parts[i], guide, use, fault);
    j->n_accepted += ok;
  }
  if (ok || !j->n_accepted) return ok;
  j->refused = *fault;
  j->n_choices = j->n_accepted * j->ask.n;
  job_cancel(j);
  return true;
}

// With `mu` held, so that no event is handled before the stream is there.
static bool submit_locked(Job *j, Guide *guide, GuideUse use, AskFault *fault) {
  const size_t most = engine_capacity(j->server->p.engine);
  if (j->cancelled) return fault_set(fault, 503, "stopping", "the server is shutting down");
  if (j->n_parts > 1 && j->n_choices > most) {
    zaya_error err = {0};
    err_set(&err, ZAYA_E_INVALID, "%zu answers are asked for, at most %zu can be written or wait (--queue)",
            j->n_choices, most);
    return fault_take(fault, &err, "prompt");
  }
  if (!submit_parts(j, guide, use, fault)) return false;
  if (j->refused.status) return true;
  static const HttpReply stream = {
      .status = 200, .type = "text/event-stream", .extra = {{"X-Accel-Buffering", "no"}}};
  if (j->ask.stream) httpd_stream(j->request, &stream);
  return true;
}

static bool submit(Job *j, Guide *guide, GuideUse use, AskFault *fault) {
  pthread_mutex_lock(&j->mu);
  const bool ok = submit_locked(j, guide, use, fault);
  pthread_mutex_unlock(&j->mu);
  return ok;
}

static bool make_answers(Job *j, AskFault *fault) {
  zaya_error err = {0};
  const Ask *a = &j->ask;
  const size_t n = a->n * j->n_parts;
  j->answers = calloc(n, sizeof *j->answers);
  j->choices = calloc(n, sizeof *j->choices);
  if (!j->answers || !j->choices) return fault_set(fault, 500, NULL, "out of memory");
  j->n_choices = n;
  if (a->tools && a->tool_choice != ASK_TOOLS_NONE && !(j->tools = json_dumps(a->tools, JSON_COMPACT)))
    return fault_set(fault, 500, NULL, "out of memory");
  j->state = j->dialect->open(j->env, a, &j->head, &err);
  return j->state || fault_take(fault, &err, NULL);
}

static bool draw_seed(Ask *a, AskFault *fault) {
  if (a->has_seed) return true;
  return RAND_bytes((unsigned char *)&a->sampling.seed, sizeof a->sampling.seed) == 1 ||
         fault_set(fault, 500, NULL, "no random numbers");
}

static bool read_body(Job *j, AskFault *fault) {
  json_t *body = body_json(httpd_body(j->request), fault);
  DialectEnv env = *j->env;
  env.counting = j->count_only;
  const bool ok = body && j->dialect->parse(&env, body, &j->ask, fault);
  json_decref(body);
  return ok;
}

static void log_request_text(Job *j) {
  const Buf *body = httpd_body(j->request);
  if (j->server->p.log_text)
    log_text(j->server->log, j->id, "request", body->data ? body->data : "", body->len);
}

static bool build_prompts(Job *j, AskFault *fault) {
  const size_t n = j->ask.n_prompts;
  j->parts = calloc(n, sizeof *j->parts);
  if (!j->parts) return fault_set(fault, 500, NULL, "out of memory");
  j->n_parts = n;
  for (size_t i = 0; i < n; i++) {
    JobPart *p = &j->parts[i];
    *p = (JobPart){.job = j, .first = i * j->ask.n};
    if (!prefill_build(&j->server->prompts, &j->ask, i, &p->prompt, fault)) return false;
    j->head.prompt_tokens += p->prompt.ids.len;
  }
  return true;
}

// On a worker: everything up to the engine.
static void prepare(void *arg) {
  Job *j = arg;
  Server *s = j->server;
  AskFault fault = {0};
  Guide *guide = NULL;
  GuideUse use = GUIDE_NONE;
  log_request_text(j);
  bool ok = read_body(j, &fault) && build_prompts(j, &fault);
  if (ok && j->count_only) {
    reply_json(j->request, 200, j->dialect->count(j->head.prompt_tokens));
    end_job(j);
    return;
  }
  ok = ok && guides_find(s->guides, &j->ask, &guide, &use, &fault) && draw_seed(&j->ask, &fault) &&
       make_answers(j, &fault) && submit(j, guide, use, &fault);
  guide_free(guide);
  if (!ok) end_with_fault(j, &fault); // a job that was accepted may be gone here
}

// --- finishing -----------------------------------------------------------------------------------------

// Why there is no answer, if there is none.
static bool find_fault(const Job *j, AskFault *fault) {
  for (size_t i = 0; i < j->n_choices; i++) {
    const Answer *a = &j->answers[i];
    if (a->end == ANSWER_FAILED) return !fault_set(fault, 500, NULL, "%s", a->error.message);
    if (a->end == ANSWER_CANCELLED)
      return !fault_set(fault, atomic_load(&j->server->stopping) ? 503 : 500,
                        atomic_load(&j->server->stopping) ? "stopping" : NULL, "%s",
                        atomic_load(&j->server->stopping) ? "the server is shutting down"
                                                          : "the answer was cut off");
  }
  return false;
}

static void reply_stream(Job *j, const AskFault *fault) {
  zaya_error err = {0};
  buf_clear(&j->out);
  const bool ok = fault->status ? j->dialect->fail(j->state, fault, &j->out, &err)
                                : j->dialect->end(j->state, j->answers, j->n_choices, &j->out, &err);
  if (ok) httpd_write(j->request, j->out.data, j->out.len);
  httpd_end(j->request);
}

static void reply_body(Job *j, AskFault *fault) {
  zaya_error err = {0};
  json_t *body = fault->status ? NULL : j->dialect->body(j->state, j->answers, j->n_choices, &err);
  if (!fault->status && !body) fault_take(fault, &err, NULL);
  if (fault->status)
    reply_fault(j->server, j->request, j->dialect, fault);
  else
    reply_json(j->request, 200, body);
}

static const char *end_name(AnswerEnd end) {
  static const char *const names[] = {"stop", "stop_string", "length", "tool_calls", "cancelled", "failed"};
  return names[end];
}

static void count(Job *j) {
  size_t bad = 0;
  const size_t drawn = answer_tokens(j->answers, j->n_choices);
  for (size_t i = 0; i < j->n_choices; i++) {
    bad += j->answers[i].n_bad;
    if (j->server->p.log_text)
      log_text(j->server->log, j->id, "answer", j->answers[i].content.data ? j->answers[i].content.data : "",
               j->answers[i].content.len);
  }
  if (bad) metrics_bad_calls(j->server->metrics, bad);
  metrics_generation(j->server->metrics, j->head.prompt_tokens, j->head.cached_tokens, drawn,
                     clock_now() - httpd_started(j->request));
  httpd_note(j->request, "%s prompt=%zu cached=%zu answer=%zu end=%s%s", j->id, j->head.prompt_tokens,
             j->head.cached_tokens, drawn, end_name(j->answers[0].end), bad ? " bad_calls" : "");
}

// The conversation goes on from here, probably.
static void prepare_next(Job *j) {
  const Answer *a = &j->answers[0];
  Server *s = j->server;
  Prompt next = {0};
  if (!s->p.prepare || j->n_choices != 1 || (a->end != ANSWER_STOP && a->end != ANSWER_CALLS) ||
      atomic_load(&s->stopping))
    return;
  if (prefill_next(&s->prompts, &j->ask, a, &next) && next.ids.len && next.ids.len < s->p.ctx)
    engine_prepare(s->p.engine, next.ids.data, next.ids.len, next.marks, next.n_marks, NULL);
  prefill_free(&next);
}

// On a worker, behind the last event.
static void finish(void *arg) {
  Job *j = arg;
  AskFault fault = {0};
  if (j->refused.status) {
    fault = j->refused;
    end_with_fault(j, &fault);
    return;
  }
  const bool failed = find_fault(j, &fault);
  count(j);
  const bool left = j->cancelled && !atomic_load(&j->server->stopping); // the client's doing
  if (failed && !left)
    log_note(j->server->log, j->cancelled ? "info" : "error", "%s: %s", j->id, fault.error.message);
  if (j->ask.stream)
    reply_stream(j, &fault);
  else
    reply_body(j, &fault);
  if (!fault.status) prepare_next(j);
  end_job(j);
}

void job_ended(Job *j) {
  if (!work_post(j->server->work, finish, j)) finish(j);
}

// --- hooks and start ------------------------------------------------------------------------------------

static void on_gone(void *user) {
  Job *j = user;
  metrics_gone(j->server->metrics);
  cancel(j);
}

// A sign of life on a stream that has been silent.
static void on_tick(void *user, double now) {
  Job *j = user;
  char text[64] = ": waiting\n\n";
  pthread_mutex_lock(&j->mu);
  size_t done = 0, total = 0;
  bool runs = false;
  for (size_t i = 0; i < j->n_accepted; i++) {
    runs = runs || j->parts[i].ej;
    done += j->parts[i].read_done;
    total += j->parts[i].read_total;
  }
  const bool due = runs && !j->refused.status && j->ask.stream &&
                   httpd_silence(j->request, now) >= j->server->p.keep_alive;
  if (due && j->begun) snprintf(text, sizeof text, ": writing\n\n");
  if (due && done < total) snprintf(text, sizeof text, ": reading %zu/%zu\n\n", done, total);
  if (due) httpd_write(j->request, text, strlen(text));
  pthread_mutex_unlock(&j->mu);
}

void job_start(Server *s, HttpRequest *r, const Dialect *dialect, const DialectEnv *env, bool count_only) {
  Job *j = calloc(1, sizeof *j);
  if (!j) return; // answered with a 500
  *j = (Job){.server = s, .request = r, .dialect = dialect, .env = env, .count_only = count_only};
  if (!job_new_id(dialect->id_prefix, j->id, sizeof j->id)) {
    free(j);
    return;
  }
  pthread_mutex_init(&j->mu, NULL);
  j->head = (ReplyHead){.id = j->id, .model = s->p.model, .created = (int64_t)time(NULL)};
  const HttpHooks hooks = {.gone = on_gone, .tick = on_tick, .user = j};
  link_job(j);
  httpd_keep(r, &hooks);
  if (work_post(s->work, prepare, j)) return;
  reply_json(r, 500, NULL);
  end_job(j);
}
