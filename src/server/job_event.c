// job_event: the engine's events of a job, on the engine's thread: gathered into Answers, and written to the
// stream. Must be quick, must not block. See job.h.
#include "server/job.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

// --- tokens with log probabilities ---------------------------------------------------------------------

// Tokens that turned out to be no content (thinking, tags, calls, the end) are forgotten.
static void drop_pending(Answer *a, const JobChoice *c) {
  while (a->n_tokens > c->taken) free(a->tokens[--a->n_tokens].top);
}

static bool only_newlines(const Tok *tok, int32_t id) {
  size_t n = 0;
  const char *text = tok_bytes(tok, id, &n);
  for (size_t i = 0; i < n; i++)
    if (text[i] != '\n') return false;
  return n > 0;
}

// The newlines between thinking and answer are markup.
static void drop_framing(const Job *j, Answer *a, const JobChoice *c, const zaya_output_event *o) {
  size_t n = 0;
  while (c->taken + n < a->n_tokens && o->text[0] != '\n' &&
         only_newlines(j->env->tok, a->tokens[c->taken + n].id))
    free(a->tokens[c->taken + n++].top);
  if (!n) return;
  a->n_tokens -= n;
  memmove(a->tokens + c->taken, a->tokens + c->taken + n, (a->n_tokens - c->taken) * sizeof *a->tokens);
}

// --- output ---------------------------------------------------------------------------------------------

static bool send(Job *j, zaya_error *err) {
  if (!j->out.len) return true;
  const bool ok = httpd_write(j->request, j->out.data, j->out.len);
  buf_clear(&j->out);
  return ok || err_set(err, ZAYA_E_CANCELLED, "the client does not read");
}

static bool show(Job *j, ReplyEvent *event, zaya_error *err) {
  JobChoice *c = &j->choices[event->choice];
  if (!event->begins) event->begins = !c->any || c->last != event->kind || event->kind == REPLY_CALL;
  c->any = true;
  c->last = event->kind;
  return !j->ask.stream || (j->dialect->event(j->state, event, &j->out, err) && send(j, err));
}

static bool add_reasoning(Job *j, size_t choice, const zaya_output_event *o, zaya_error *err) {
  JobChoice *c = &j->choices[choice];
  Answer *a = &j->answers[choice];
  ReplyEvent event = {.kind = REPLY_REASONING, .choice = choice, .text = o->text, .len = o->len};
  event.begins = !c->any || c->last != REPLY_REASONING || c->block != o->index;
  c->block = o->index;
  drop_pending(a, c);
  return answer_add_reasoning(a, event.begins, o->text, o->len, err) && show(j, &event, err);
}

static bool add_content(Job *j, size_t choice, const zaya_output_event *o, zaya_error *err) {
  JobChoice *c = &j->choices[choice];
  Answer *a = &j->answers[choice];
  if (!a->content.len) drop_framing(j, a, c, o);
  ReplyEvent event = {.kind = REPLY_CONTENT,
                      .choice = choice,
                      .text = o->text,
                      .len = o->len,
                      .tokens = a->tokens ? a->tokens + c->taken : NULL,
                      .n_tokens = a->n_tokens - c->taken};
  c->taken = a->n_tokens;
  return answer_add_content(a, o->text, o->len, err) && show(j, &event, err);
}

// A whole call. Without tools in the request nobody waits for one.
static bool add_call(Job *j, size_t choice, const zaya_output_event *o, zaya_error *err) {
  Answer *a = &j->answers[choice];
  char id[64];
  drop_pending(a, &j->choices[choice]);
  if (!j->tools || (a->n_calls && !j->ask.parallel_tools)) {
    a->n_bad++;
    return true;
  }
  if (!job_new_id("call_", id, sizeof id)) return err_set(err, ZAYA_E_IO, "no random numbers");
  if (!answer_add_call(a, id, o, err)) return false;
  const AnswerCall *call = &a->calls[a->n_calls - 1];
  recall_put(j->server->recall, id, call->name, call->arguments.data ? call->arguments.data : "{}",
             o->raw ? o->raw : "", o->raw_len);
  ReplyEvent event = {
      .kind = REPLY_CALL, .choice = choice, .text = "", .call = call, .index = a->n_calls - 1};
  return show(j, &event, err);
}

static bool on_output(Job *j, size_t choice, const zaya_output_event *o, zaya_error *err) {
  switch (o->kind) {
  case ZAYA_OUTPUT_REASONING: return !o->len || add_reasoning(j, choice, o, err);
  case ZAYA_OUTPUT_CONTENT: return !o->len || add_content(j, choice, o, err);
  case ZAYA_OUTPUT_CALL_DONE: return add_call(j, choice, o, err);
  case ZAYA_OUTPUT_CALL_BAD: j->answers[choice].n_bad++; return true;
  case ZAYA_OUTPUT_REASONING_DONE: drop_pending(&j->answers[choice], &j->choices[choice]); return true;
  default: return true; // calls are shown when they are whole
  }
}

// --- events ---------------------------------------------------------------------------------------------

static bool on_started(Job *j, JobPart *p, const EngineEvent *e, zaya_error *err) {
  if (p->begun) return true;
  p->begun = true;
  j->head.cached_tokens += e->cached;
  p->read_done = e->cached;
  p->read_total = e->total;
  if (j->begun) return true;
  j->begun = true;
  return !j->ask.stream || (j->dialect->begin(j->state, &j->out, err) && send(j, err));
}

static bool on_token(Job *j, const EngineEvent *e, zaya_error *err) {
  JobChoice *c = &j->choices[e->choice];
  const double now = clock_now();
  if (c->drawn > 0)
    metrics_token(j->server->metrics, now - c->drawn);
  else
    metrics_first_token(j->server->metrics, now - httpd_started(j->request));
  c->drawn = now;
  return j->ask.top_logprobs < 0 ||
         answer_add_token(&j->answers[e->choice], e->id, e->logprob, e->top, e->n_top, err);
}

static AnswerEnd end_of(const Answer *a, const zaya_generate_result *r) {
  switch (r->finish) {
  case ZAYA_FINISH_CANCELLED: return ANSWER_CANCELLED;
  case ZAYA_FINISH_LENGTH: return ANSWER_LENGTH;
  case ZAYA_FINISH_STRING: return a->n_calls ? ANSWER_CALLS : ANSWER_STRING;
  default: return a->n_calls ? ANSWER_CALLS : ANSWER_STOP;
  }
}

static void on_done(Job *j, JobPart *p, const EngineEvent *e) {
  Answer *a = &j->answers[e->choice];
  drop_pending(a, &j->choices[e->choice]);
  a->done = true;
  if (e->kind == ENGINE_FAILED) {
    a->end = ANSWER_FAILED;
    a->error = *e->error;
  } else {
    a->result = *e->result;
    if (a->end != ANSWER_FAILED) a->end = end_of(a, e->result);
    if (a->end == ANSWER_STRING && j->ask.n_stops) a->stop_string = j->ask.stops[e->result->stop_string];
  }
  if (++p->n_ended == j->ask.n) p->ej = NULL;
  j->n_ended++;
}

static bool handle(Job *j, JobPart *p, const EngineEvent *e, zaya_error *err) {
  if (j->refused.status && e->kind != ENGINE_DONE && e->kind != ENGINE_FAILED) return true; // nobody hears it
  switch (e->kind) {
  case ENGINE_STARTED: return on_started(j, p, e, err);
  case ENGINE_READING:
    p->read_done = e->done;
    p->read_total = e->total;
    return true;
  case ENGINE_TOKEN: return on_token(j, e, err);
  case ENGINE_OUTPUT: return on_output(j, e->choice, e->output, err);
  case ENGINE_DONE:
  case ENGINE_FAILED: on_done(j, p, e); return true;
  }
  return true;
}

void job_event(void *part, const EngineEvent *event) {
  JobPart *p = part;
  Job *j = p->job;
  EngineEvent own = *event, *e = &own;
  zaya_error err = {0};
  own.choice += p->first;
  pthread_mutex_lock(&j->mu);
  if (!handle(j, p, e, &err) && !j->cancelled) {
    j->cancelled = true;
    if (err.status != ZAYA_E_CANCELLED) {
      j->answers[e->choice].end = ANSWER_FAILED;
      j->answers[e->choice].error = err;
    }
    job_cancel(j);
  }
  const bool last = j->n_ended == j->n_choices;
  pthread_mutex_unlock(&j->mu);
  if (last) job_ended(j);
}
