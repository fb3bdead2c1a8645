// prefill: see prefill.h.
#include "server/prefill.h"

#include "text/out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char turn[] = "<|im_start|>";

// --- calls as they were written ------------------------------------------------------------------------

// Raw texts of the conversation's calls, in order; empty where they are not known.
typedef struct Raws {
  Buf *items;
  size_t n, n_known;
} Raws;

static void free_raws(Raws *raws) {
  for (size_t i = 0; i < raws->n; i++) buf_free(&raws->items[i]);
  free(raws->items);
}

static bool find_raws(const PromptEnv *env, const json_t *messages, Raws *out) {
  size_t i, k, cap = 0;
  json_t *message, *call;
  json_array_foreach(messages, i, message) {
    json_array_foreach(json_object_get(message, "tool_calls"), k, call) {
      if (!buf_grow((void **)&out->items, &cap, out->n + 1, sizeof *out->items, NULL)) return false;
      out->items[out->n] = (Buf){0};
      if (env->recall && recall_find(env->recall, call, &out->items[out->n])) out->n_known++;
      out->n++;
    }
  }
  return true;
}

// Where `what` begins next, at or behind `from`, lying whole in text of the template; SIZE_MAX when nowhere.
static size_t find_written(const TmplOut *t, const char *what, size_t from) {
  const size_t n = strlen(what);
  for (size_t i = 0; i < t->n_segments; i++) {
    const TmplSegment *s = &t->segments[i];
    if (!s->from_template || s->end <= from) continue;
    for (size_t at = s->begin > from ? s->begin : from; at + n <= s->end; at++)
      if (!memcmp(t->text.data + at, what, n)) return at;
  }
  return SIZE_MAX;
}

// The frames of calls behind the first turn of the assistant: begin and end of each. False unless there are
// exactly n.
static bool find_frames(const TmplOut *t, size_t n, size_t (*frames)[2]) {
  const OutTags tags = out_tags(NULL);
  size_t at = find_written(t, "<|im_start|>assistant", 0), found = 0;
  while (at != SIZE_MAX && (at = find_written(t, tags.call_open, at)) != SIZE_MAX) {
    const size_t end = find_written(t, tags.call_close, at);
    if (end == SIZE_MAX || found == n) return false;
    frames[found][0] = at;
    frames[found++][1] = at = end + strlen(tags.call_close);
  }
  return found == n;
}

// A whole frame: what the model writes for a call of its own.
static bool is_frame(const Buf *raw) {
  const OutTags tags = out_tags(NULL);
  const size_t n = strlen(tags.call_open), m = strlen(tags.call_close);
  return raw->len >= n + m && !memcmp(raw->data, tags.call_open, n) &&
         !memcmp(raw->data + raw->len - m, tags.call_close, m);
}

typedef struct Builder {
  TmplOut out;
  size_t cap;
  bool ok;
} Builder;

static void add_piece(Builder *b, const char *text, size_t len, bool from_template) {
  TmplOut *o = &b->out;
  b->ok = b->ok && buf_grow((void **)&o->segments, &b->cap, o->n_segments + 1, sizeof *o->segments, NULL);
  if (!b->ok || !len) return;
  const size_t begin = o->text.len;
  b->ok = buf_add(&o->text, text, len, NULL);
  o->segments[o->n_segments++] = (TmplSegment){begin, begin + len, from_template};
}

// Bytes [begin, end) of the old text with their origins.
static void add_old(Builder *b, const TmplOut *t, size_t begin, size_t end) {
  for (size_t i = 0; i < t->n_segments; i++) {
    const TmplSegment *s = &t->segments[i];
    const size_t from = s->begin > begin ? s->begin : begin, to = s->end < end ? s->end : end;
    if (from < to) add_piece(b, t->text.data + from, to - from, s->from_template);
  }
}

// Only the tags around a call may be control tokens: what is between them was text when it was written.
static void add_raw(Builder *b, const Buf *raw) {
  const OutTags tags = out_tags(NULL);
  const size_t n = strlen(tags.call_open), m = strlen(tags.call_close);
  add_piece(b, raw->data, n, true);
  add_piece(b, raw->data + n, raw->len - n - m, false);
  add_piece(b, raw->data + raw->len - m, m, true);
}

static bool replace_calls(TmplOut *t, const Raws *raws) {
  size_t(*frames)[2] = calloc(raws->n, sizeof *frames), at = 0;
  Builder b = {.ok = frames != NULL};
  if (b.ok && !find_frames(t, raws->n, frames)) { // a template that spells calls in its own way
    free(frames);
    return true;
  }
  for (size_t i = 0; b.ok && i < raws->n; i++) {
    if (!is_frame(&raws->items[i])) continue;
    add_old(&b, t, at, frames[i][0]);
    add_raw(&b, &raws->items[i]);
    at = frames[i][1];
  }
  add_old(&b, t, at, t->text.len);
  free(frames);
  TmplOut old = b.ok ? *t : b.out;
  if (b.ok) *t = b.out;
  tmpl_out_free(&old);
  return b.ok;
}

// --- rendering -----------------------------------------------------------------------------------------

// What the template refuses, without the folder that it lies in: clients need not know that.
static bool take_refusal(AskFault *fault, const zaya_error *err) {
  const char *end = strstr(err->message, ": "), *name = err->message;
  for (const char *p = err->message; end && p < end; p++)
    if (*p == '/') name = p + 1;
  zaya_error rest = {.status = err->status};
  snprintf(rest.message, sizeof rest.message, "%s", name);
  return fault_take(fault, &rest, "messages");
}

// "/messages/2/content/0: what" names the field messages[2].content[0].
static bool take_pointer(AskFault *fault, const zaya_error *err) {
  const char *m = err->message, *end = strstr(m, ": ");
  char field[160];
  size_t n = 0;
  if (err->status == ZAYA_E_MEMORY) return fault_take(fault, err, NULL);
  if ((strncmp(m, "/messages", 9) && strncmp(m, "/tools", 6)) || !end || end - m > 100)
    return take_refusal(fault, err);
  for (const char *p = m + 1; p < end && n + 4 < sizeof field;) {
    const size_t len = strcspn(p, "/:");
    const bool index = len && strspn(p, "0123456789") == len;
    n += (size_t)snprintf(field + n, sizeof field - n, index ? "[%.*s]" : n ? ".%.*s" : "%.*s", (int)len, p);
    p += len + 1;
  }
  zaya_error rest = {.status = err->status};
  snprintf(rest.message, sizeof rest.message, "%s", end + 2);
  return fault_take(fault, &rest, field);
}

static bool render(const PromptEnv *env, const Ask *a, json_t *messages, bool open, TmplOut *out,
                   AskFault *fault) {
  zaya_error err = {0};
  Raws raws = {0};
  if (!env->chat) return fault_set(fault, 400, NULL, "this model has no chat template: use /v1/completions");
  const ChatRequest r = {.messages = messages,
                         .tools = a->tools,
                         .kwargs = a->kwargs,
                         .thinking = a->thinking,
                         .no_generation_prompt = !open};
  if (!chat_render(env->chat, &r, out, &err)) return take_pointer(fault, &err);
  bool ok = find_raws(env, messages, &raws) && (!raws.n_known || replace_calls(out, &raws));
  free_raws(&raws);
  return ok || fault_set(fault, 500, NULL, "out of memory");
}

static bool find_marks(const Tok *tok, Prompt *p) {
  const int32_t id = tok_id(tok, turn, sizeof turn - 1);
  size_t cap = 0;
  for (size_t i = 0; id >= 0 && i < p->ids.len; i++) {
    if (p->ids.data[i] != id) continue;
    if (!buf_grow((void **)&p->marks, &cap, p->n_marks + 1, sizeof *p->marks, NULL)) return false;
    p->marks[p->n_marks++] = i;
  }
  return true;
}

static bool build_chat(const PromptEnv *env, const Ask *a, Prompt *out, AskFault *fault) {
  zaya_error err = {0};
  TmplOut text = {0};
  bool ok = render(env, a, a->messages, true, &text, fault);
  if (ok && !chat_encode(env->tok, &text, &out->ids, &err)) ok = fault_take(fault, &err, NULL);
  if (ok) out->thinks = out_prompt_thinks(NULL, turn, text.text.data ? text.text.data : "", text.text.len);
  tmpl_out_free(&text);
  if (ok && !find_marks(env->tok, out)) ok = fault_set(fault, 500, NULL, "out of memory");
  return ok;
}

static bool build_raw(const PromptEnv *env, const Ask *a, size_t number, Prompt *out, AskFault *fault) {
  const json_t *prompt = ask_prompt(a, number);
  zaya_error err = {0};
  char field[32] = "prompt";
  size_t i;
  json_t *id;
  bool ok = true;
  if (json_is_string(prompt)) {
    ok = tok_encode(env->tok, json_string_value(prompt), json_string_length(prompt),
                    TOK_TEMPLATE | TOK_CONTROL, &out->ids, &err);
  } else {
    json_array_foreach(prompt, i, id) ok = ok && ids_add(&out->ids, (int32_t)json_integer_value(id), &err);
  }
  if (a->many_prompts) snprintf(field, sizeof field, "prompt[%zu]", number);
  if (ok && !out->ids.len) ok = err_set(&err, ZAYA_E_INVALID, "it is empty");
  if (!ok) return fault_take(fault, &err, field);
  return find_marks(env->tok, out) || fault_set(fault, 500, NULL, "out of memory"); // of a client's own chat
}

bool prefill_build(const PromptEnv *env, const Ask *ask, size_t number, Prompt *out, AskFault *fault) {
  return ask->messages ? build_chat(env, ask, out, fault) : build_raw(env, ask, number, out, fault);
}

bool prefill_text(const PromptEnv *env, const Ask *ask, Buf *out, AskFault *fault) {
  TmplOut text = {0};
  const bool ok = render(env, ask, ask->messages, true, &text, fault);
  if (ok) {
    *out = text.text;
    text.text = (Buf){0};
  }
  tmpl_out_free(&text);
  return ok;
}

// --- what comes next ------------------------------------------------------------------------------------

static json_t *text_json(const Buf *b) { return json_stringn(b->data ? b->data : "", b->len); }

static json_t *answer_message(const Answer *answer) {
  json_t *m = json_pack("{s:s, s:o}", "role", "assistant", "content", text_json(&answer->content));
  json_t *calls = answer->n_calls ? json_array() : NULL;
  for (size_t i = 0; i < answer->n_calls; i++) {
    const AnswerCall *c = &answer->calls[i];
    json_array_append_new(calls,
                          json_pack("{s:s, s:s, s:{s:s, s:o}}", "id", c->id, "type", "function", "function",
                                    "name", c->name, "arguments", text_json(&c->arguments)));
  }
  if (calls) json_object_set_new(m, "tool_calls", calls);
  return m;
}

// Messages, the answer, and somebody who says something: the person, or a tool that was called.
static json_t *next_messages(const Ask *ask, const Answer *answer) {
  json_t *list = json_copy(ask->messages);
  json_array_append_new(list, answer_message(answer));
  json_array_append_new(list, answer->n_calls ? json_pack("{s:s, s:s, s:s}", "role", "tool", "tool_call_id",
                                                          answer->calls[0].id, "content", "-")
                                              : json_pack("{s:s, s:s}", "role", "user", "content", "-"));
  return list;
}

bool prefill_next(const PromptEnv *env, const Ask *ask, const Answer *answer, Prompt *out) {
  AskFault fault = {0};
  TmplOut text = {0};
  json_t *messages = ask->messages ? next_messages(ask, answer) : NULL;
  bool ok = messages && render(env, ask, messages, false, &text, &fault) &&
            chat_encode(env->tok, &text, &out->ids, NULL) && find_marks(env->tok, out) && out->n_marks > 1;
  if (ok) out->ids.len = out->marks[--out->n_marks]; // what is said is not known yet
  tmpl_out_free(&text);
  json_decref(messages);
  return ok;
}

void prefill_free(Prompt *p) {
  zaya_ids_free(&p->ids);
  free(p->marks);
  *p = (Prompt){0};
}
