// chat_turn: see chat_turn.h.
#include "chat_turn.h"

#include "chat_term.h"
#include "chat_view.h"
#include "common.h"

#include <stdlib.h>
#include <string.h>

// A conversation as the model reads it.
typedef struct Ids {
  zaya_ids ids;
  size_t *marks, n_marks; // beginnings of turns
  bool thinks;            // the prompt opened a thinking block
} Ids;

static bool out_of_memory(zaya_error *err) {
  err->status = ZAYA_E_MEMORY;
  snprintf(err->message, sizeof err->message, "out of memory");
  return false;
}

static void ids_free(Ids *p) {
  zaya_ids_free(&p->ids);
  free(p->marks);
}

static bool find_marks(const Chat *c, Ids *out, zaya_error *err) {
  const size_t n = zaya_tokenizer_turns(c->tok, out->ids.data, out->ids.len, NULL, 0);
  out->marks = malloc((n + 1) * sizeof *out->marks);
  if (!out->marks) return out_of_memory(err);
  out->n_marks = zaya_tokenizer_turns(c->tok, out->ids.data, out->ids.len, out->marks, n);
  return true;
}

// `open`: without the head of an answer.
static bool build(const Chat *c, const ChatTalk *talk, bool open, Ids *out, zaya_error *err) {
  zaya_prompt prompt = {0};
  char *messages = chat_talk_json(talk, c->set.system, err);
  const zaya_chat_params params = {
      .messages = messages, .tools = c->set.tools, .thinking = c->set.thinking, .no_generation_prompt = open};
  const bool ok = messages && zaya_chat_render(c->format, &params, &prompt, err) &&
                  zaya_prompt_encode(&prompt, c->tok, &out->ids, NULL, err) && find_marks(c, out, err);
  if (ok) out->thinks = zaya_output_prompt_thinks(NULL, NULL, prompt.text.data, prompt.text.len);
  zaya_prompt_free(&prompt);
  free(messages);
  return ok;
}

static bool fits(const Chat *c, size_t n, zaya_error *err) {
  const size_t room = zaya_engine_context(c->engine);
  if (n < room) return true;
  err->status = ZAYA_E_LIMIT;
  snprintf(
      err->message, sizeof err->message,
      "the context is full: with this message the conversation has %zu tokens, of %zu (/undo takes the last "
      "turn back, /new begins anew, --ctx makes room)",
      n, room);
  return false;
}

// The conversation with a message begun; shares its messages.
static bool extend(const Chat *c, const char *begun, ChatTalk *out, zaya_error *err) {
  out->messages = json_copy(c->talk.messages);
  if (!out->messages) return out_of_memory(err);
  return !begun || chat_talk_ask(out, begun, strlen(begun), err);
}

bool chat_turn_count(const Chat *c, const char *begun, size_t *n, zaya_error *err) {
  Ids p = {0};
  ChatTalk talk = {0};
  const bool ok = extend(c, begun, &talk, err) && build(c, &talk, false, &p, err) && fits(c, p.ids.len, err);
  *n = p.ids.len;
  ids_free(&p);
  chat_talk_free(&talk);
  return ok;
}

void chat_turn_prepare(const Chat *c, const char *begun) {
  Ids p = {0};
  ChatTalk talk = {0};
  zaya_error err = {0};
  if (extend(c, begun, &talk, &err) && build(c, &talk, true, &p, &err) &&
      p.ids.len < zaya_engine_context(c->engine))
    zaya_engine_prepare(c->engine, p.ids.data, p.ids.len, p.marks, p.n_marks, &err);
  ids_free(&p);
  chat_talk_free(&talk);
}

// --- an answer -----------------------------------------------------------------------------------

typedef struct Answer {
  ChatView *view;
  zaya_text content, reasoning;
  json_t *calls;
  size_t n_before; // calls made earlier in the conversation: for their ids
  bool lost;       // memory ran out
} Answer;

static void append(Answer *a, zaya_text *t, const char *text, size_t n) {
  if (t->cap - t->len <= n) {
    const size_t cap = (t->len + n + 256) * 2;
    char *data = realloc(t->data, cap);
    if (!data) {
      a->lost = true;
      return;
    }
    t->data = data;
    t->cap = cap;
  }
  memcpy(t->data + t->len, text, n);
  t->len += n;
  t->data[t->len] = '\0';
}

static void keep_call(Answer *a, const zaya_output_event *e) {
  char id[32];
  snprintf(id, sizeof id, "call_%zu", a->n_before + json_array_size(a->calls) + 1);
  json_t *call = json_pack("{s:s, s:s, s:{s:s, s:o}}", "id", id, "type", "function", "function", "name",
                           e->name, "arguments", json_loadb(e->text, e->len, 0, NULL));
  if (!call || json_array_append_new(a->calls, call) != 0) a->lost = true;
}

static bool on_event(void *user, const zaya_output_event *e) {
  Answer *a = user;
  switch (e->kind) {
  case ZAYA_OUTPUT_REASONING: append(a, &a->reasoning, e->text, e->len); break;
  case ZAYA_OUTPUT_CONTENT: append(a, &a->content, e->text, e->len); break;
  case ZAYA_OUTPUT_CALL_DONE: keep_call(a, e); break;
  case ZAYA_OUTPUT_CALL_BAD: append(a, &a->content, e->raw, e->raw_len); break; // it was said
  default: break;
  }
  chat_view_event(a->view, e);
  return !a->lost && !chat_term_interrupted() && !chat_term_leaving();
}

static bool on_reading(void *user, size_t done, size_t total) {
  const Answer *a = user;
  chat_view_reading(a->view, done, total);
  return !chat_term_interrupted() && !chat_term_leaving();
}

static zaya_generate_params params_for(const Chat *c, const Ids *prompt) {
  zaya_generate_params p = zaya_generate_params_default();
  const bool off = c->set.thinking == ZAYA_THINK_OFF; // not even of the model's own accord
  p.sampling = c->set.sampling;
  if (!c->set.fixed_seed) p.sampling.seed = fresh_seed();
  p.max_tokens = (size_t)c->set.max_tokens;
  p.output.thinking = prompt->thinks;
  p.output.tools = c->set.tools;
  p.thinking.has_limit = off || c->set.budget >= 0;
  p.thinking.limit = off ? 0 : (size_t)(c->set.budget >= 0 ? c->set.budget : 0);
  p.thinking.has_soft_limit = p.thinking.limit >= 4; // a gentle end before a hard one
  p.thinking.soft_limit = p.thinking.limit / 4 * 3;
  return p;
}

static size_t count_calls(const ChatTalk *t) {
  size_t i, n = 0;
  const json_t *m;
  json_array_foreach(t->messages, i, m) n += json_array_size(json_object_get(m, "tool_calls"));
  return n;
}

static void add_up(Chat *c, const zaya_generate_result *r, uint64_t seed) {
  c->last = *r;
  c->last_seed = seed;
  c->n_turns++;
  c->context_used = r->prompt_tokens + r->tokens;
  c->total.prompt_tokens += r->prompt_tokens;
  c->total.cached_tokens += r->cached_tokens;
  c->total.tokens += r->tokens;
  c->total.prompt_seconds += r->prompt_seconds;
  c->total.seconds += r->seconds;
}

static void print_json(const Chat *c, const Answer *a) {
  const zaya_generate_result *r = &c->last;
  const size_t thinking = r->turn.thinking + r->turn.forced;
  json_t *root =
      json_pack("{s:s%, s:s%, s:O, s:s, s:I, s:{s:I, s:I, s:I, s:I}, s:{s:f, s:f}}", "text",
                a->content.data ? a->content.data : "", a->content.len, "reasoning",
                a->reasoning.data ? a->reasoning.data : "", a->reasoning.len, "tool_calls", a->calls,
                "finish_reason", zaya_finish_name(r->finish), "seed", (json_int_t)c->last_seed, "usage",
                "prompt_tokens", (json_int_t)r->prompt_tokens, "cached_tokens", (json_int_t)r->cached_tokens,
                "completion_tokens", (json_int_t)r->tokens, "reasoning_tokens", (json_int_t)thinking,
                "seconds", "prompt", r->prompt_seconds, "answer", r->seconds);
  json_dumpf(root, stdout, JSON_COMPACT);
  putchar('\n');
  fflush(stdout);
  json_decref(root);
}

// Why the answer is not all that it could have been.
static void say_finish(const Chat *c) {
  if (c->last.finish == ZAYA_FINISH_CANCELLED)
    chat_say(c, "(stopped)");
  else if (c->last.finish == ZAYA_FINISH_LENGTH && c->context_used >= zaya_engine_context(c->engine))
    chat_say(c, "(cut off: the context of %zu tokens is full; /undo or /new)",
             zaya_engine_context(c->engine));
  else if (c->last.finish == ZAYA_FINISH_LENGTH)
    chat_say(c, "(cut off after %zu tokens: /set max_tokens)", c->last.tokens);
}

static bool nothing_said(const Answer *a) { return !a->content.len && !json_array_size(a->calls); }

static bool generate(Chat *c, const Ids *prompt, Answer *a, zaya_error *err) {
  const zaya_generate_params params = params_for(c, prompt);
  const zaya_engine_request request = {.prompt = prompt->ids.data,
                                       .n = prompt->ids.len,
                                       .marks = prompt->marks,
                                       .n_marks = prompt->n_marks,
                                       .params = &params,
                                       .fn = on_event,
                                       .user = a,
                                       .reading = on_reading};
  zaya_generate_result result = {0};
  chat_term_forget();
  chat_term_set(CHAT_TERM_ANSWER);
  bool ok = zaya_engine_generate(c->engine, &request, &result, err);
  chat_view_end(a->view);
  chat_term_set(CHAT_TERM_PLAIN);
  if (c->interactive) chat_term_forget(); // it was for the answer; in a pipe it ends the program too
  if (ok && a->lost) ok = out_of_memory(err);
  if (!ok) return false;
  add_up(c, &result, params.sampling.seed);
  if (result.finish == ZAYA_FINISH_CANCELLED && nothing_said(a)) {
    err->status = ZAYA_E_CANCELLED;
    snprintf(err->message, sizeof err->message, "stopped before anything was said");
    return false;
  }
  return true;
}

bool chat_turn_answer(Chat *c, zaya_error *err) {
  Ids prompt = {0};
  Answer a = {.calls = json_array(), .n_before = count_calls(&c->talk)};
  const ChatViewParams look = {.interactive = c->interactive,
                               .colour = c->colour,
                               .show_thinking = c->set.show_thinking,
                               .silent = c->json};
  bool ok = build(c, &c->talk, false, &prompt, err) && fits(c, prompt.ids.len, err);
  if (ok) ok = (a.view = chat_view_new(&look, err)) != NULL;
  ok = ok && generate(c, &prompt, &a, err);
  if (ok) {
    json_incref(a.calls);
    ok = chat_talk_answer(&c->talk, &a.content, &a.reasoning, a.calls, err);
  }
  if (ok && c->json) print_json(c, &a);
  if (ok) say_finish(c);
  chat_view_free(a.view);
  zaya_text_free(&a.content);
  zaya_text_free(&a.reasoning);
  json_decref(a.calls);
  ids_free(&prompt);
  return ok;
}
