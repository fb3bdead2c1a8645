// responses: POST /v1/responses, OpenAI's newer API: items of reasoning, messages and function calls in and
// out, numbered events, answers that are kept and continued by their id. docs/server.md lists the fields.
// Depends on dialect, history, responses_read.
#include "server/dialect.h"
#include "server/responses_read.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STORE_BYTES = 64 << 20 };

typedef struct ResponsesState {
  const DialectEnv *env;
  const Ask *ask;
  const ReplyHead *head;
  json_t *output; // the items that are complete, as they were sent
  json_int_t seq; // of the next event
  bool open;      // an item is open: `kind`
  ReplyKind kind;
  Buf text;         // of the open item
  json_t *logprobs; // of the open item's text so far
} ResponsesState;

static void close_state(void *state) {
  ResponsesState *s = state;
  if (!s) return;
  json_decref(s->output);
  json_decref(s->logprobs);
  buf_free(&s->text);
  free(s);
}

static void *open_state(const DialectEnv *env, const Ask *ask, const ReplyHead *head, zaya_error *err) {
  ResponsesState *s = calloc(1, sizeof *s);
  if (s) *s = (ResponsesState){.env = env, .ask = ask, .head = head, .output = json_array()};
  if (s && s->output) return s;
  err_memory(err, sizeof *s, "an answer");
  close_state(s);
  return NULL;
}

// --- items ----------------------------------------------------------------------------------------------

// Ids of items are made of the response's own and the item's place.
static json_t *item_id(const ResponsesState *s, const char *prefix, size_t index) {
  const char *own = strchr(s->head->id, '_');
  return json_sprintf("%s_%s_%zu", prefix, own ? own + 1 : s->head->id, index);
}

static const char *id_prefix(ReplyKind kind) {
  return kind == REPLY_REASONING ? "rs" : kind == REPLY_CONTENT ? "msg" : "fc";
}

static json_t *logprobs_json(const ResponsesState *s, const AnswerToken *tokens, size_t n) {
  return s->ask->top_logprobs < 0 ? json_array() : dialect_logprobs(s->env->tok, tokens, n);
}

// The one part of a text's or a reasoning's item. Takes `logprobs` over.
static json_t *part_json(ReplyKind kind, const char *text, size_t len, json_t *logprobs) {
  if (kind == REPLY_CONTENT)
    return json_pack("{s:s, s:o, s:[], s:o}", "type", "output_text", "text", json_stringn(text, len),
                     "annotations", "logprobs", logprobs);
  json_decref(logprobs);
  return json_pack("{s:s, s:o}", "type", "reasoning_text", "text", json_stringn(text, len));
}

// An item with a part; without one (NULL) as it begins. Takes the part over.
static json_t *text_item(const ResponsesState *s, ReplyKind kind, size_t index, const char *status,
                         json_t *part) {
  json_t *content = json_array();
  if (part) json_array_append_new(content, part);
  json_t *id = item_id(s, id_prefix(kind), index);
  if (kind == REPLY_REASONING)
    return json_pack("{s:o, s:s, s:s, s:[], s:o}", "id", id, "type", "reasoning", "status", status, "summary",
                     "content", content);
  return json_pack("{s:o, s:s, s:s, s:s, s:o}", "id", id, "type", "message", "status", status, "role",
                   "assistant", "content", content);
}

static json_t *call_item(const ResponsesState *s, const AnswerCall *c, size_t index, bool whole) {
  const Buf *args = &c->arguments;
  return json_pack("{s:o, s:s, s:s, s:s, s:s, s:o}", "id", item_id(s, id_prefix(REPLY_CALL), index), "type",
                   "function_call", "status", whole ? "completed" : "in_progress", "call_id", c->id, "name",
                   c->name, "arguments",
                   json_stringn(whole && args->data ? args->data : "", whole ? args->len : 0));
}

// The tokens [*from, ..) that the content's bytes up to `end` consist of.
static size_t tokens_until(const ResponsesState *s, const Answer *a, size_t from, size_t *bytes, size_t end) {
  size_t i = from;
  while (i < a->n_tokens && *bytes < end) {
    size_t n = 0;
    tok_bytes(s->env->tok, a->tokens[i++].id, &n);
    *bytes += n;
  }
  return i - from;
}

static const char *status_of(const Answer *a) { return a->end == ANSWER_LENGTH ? "incomplete" : "completed"; }

static json_t *output_json(const ResponsesState *s, const Answer *a) {
  json_t *output = json_array();
  size_t token = 0, bytes = 0;
  for (size_t i = 0; i < a->n_parts; i++) {
    const AnswerPart *p = &a->parts[i];
    const char *status = i + 1 == a->n_parts ? status_of(a) : "completed";
    json_t *item;
    if (p->kind == ANSWER_CALL) {
      item = call_item(s, &a->calls[p->call], i, true);
    } else {
      const ReplyKind kind = p->kind == ANSWER_CONTENT ? REPLY_CONTENT : REPLY_REASONING;
      const size_t n = kind == REPLY_CONTENT ? tokens_until(s, a, token, &bytes, p->end) : 0;
      size_t len = 0;
      const char *text = answer_part_text(a, p, &len);
      item = text_item(s, kind, i, status,
                       part_json(kind, text, len, logprobs_json(s, n ? a->tokens + token : NULL, n)));
      token += n;
    }
    json_array_append_new(output, item);
  }
  return output;
}

// --- the response -----------------------------------------------------------------------------------------

static json_t *usage_json(const ReplyHead *head, const Answer *a) {
  const size_t drawn = answer_tokens(a, 1), total = head->prompt_tokens + drawn;
  return json_pack("{s:I, s:{s:I}, s:I, s:{s:I}, s:I}", "input_tokens", (json_int_t)head->prompt_tokens,
                   "input_tokens_details", "cached_tokens", (json_int_t)head->cached_tokens, "output_tokens",
                   (json_int_t)drawn, "output_tokens_details", "reasoning_tokens",
                   (json_int_t)answer_thinking_tokens(a), "total_tokens", (json_int_t)total);
}

// A field of the request as it came; `fallback` (taken over) where there is none.
static void echo(json_t *v, const json_t *body, const char *name, json_t *fallback) {
  json_t *given = json_object_get(body, name);
  if (given && !json_is_null(given)) {
    json_decref(fallback);
    json_object_set(v, name, given);
  } else {
    json_object_set_new(v, name, fallback);
  }
}

static bool is_stored(const Ask *ask) { return !json_is_false(json_object_get(ask->body, "store")); }

static void echo_request(json_t *v, const Ask *ask) {
  const json_t *body = ask->body;
  echo(v, body, "instructions", json_null());
  echo(v, body, "max_output_tokens", json_null());
  echo(v, body, "metadata", json_object());
  echo(v, body, "previous_response_id", json_null());
  echo(v, body, "reasoning", json_pack("{s:n, s:n}", "effort", "summary"));
  echo(v, body, "text", json_pack("{s:{s:s}}", "format", "type", "text"));
  echo(v, body, "tool_choice", json_string("auto"));
  echo(v, body, "tools", json_array());
  echo(v, body, "user", json_null());
  json_object_set_new(v, "parallel_tool_calls", json_boolean(ask->parallel_tools));
  json_object_set_new(v, "store", json_boolean(is_stored(ask)));
  json_object_set_new(v, "temperature", json_real(ask->sampling.temperature));
  json_object_set_new(v, "top_p", json_real(ask->sampling.top_p));
  json_object_set_new(v, "top_logprobs", json_integer(ask->top_logprobs < 0 ? 0 : ask->top_logprobs));
  json_object_set_new(v, "truncation", json_string("disabled"));
  json_object_set_new(v, "background", json_false());
}

// Takes output over; `a` NULL: not complete.
static json_t *response_json(const ResponsesState *s, const char *status, json_t *output, const Answer *a) {
  json_t *v = json_pack("{s:s, s:s, s:I, s:s, s:s, s:o, s:n, s:n, s:o}", "id", s->head->id, "object",
                        "response", "created_at", (json_int_t)s->head->created, "status", status, "model",
                        s->head->model, "output", output, "error", "incomplete_details", "usage",
                        a ? usage_json(s->head, a) : json_null());
  if (!v) return NULL;
  if (!strcmp(status, "incomplete"))
    json_object_set_new(v, "incomplete_details", json_pack("{s:s}", "reason", "max_output_tokens"));
  if (!strcmp(status, "completed"))
    json_object_set_new(v, "completed_at", json_integer((json_int_t)time(NULL)));
  echo_request(v, s->ask);
  return v;
}

// Keeps the conversation with this answer. What cannot be kept is not: the answer goes out all the same.
static void keep(const ResponsesState *s, json_t *response) {
  if (!s->env->store || !is_stored(s->ask) || !response) return;
  json_t *items = json_copy(json_object_get(s->ask->body, "input"));
  json_t *record = json_pack("{s:o, s:O}", "items", items, "response", response);
  if (record && json_array_extend(items, json_object_get(response, "output")) == 0)
    history_put(s->env->store, s->head->id, record);
  json_decref(record);
}

static json_t *body(void *state, const Answer *answers, size_t n, zaya_error *err) {
  (void)n; // there is one
  const ResponsesState *s = state;
  json_t *v = response_json(s, status_of(answers), output_json(s, answers), answers);
  if (!v) err_memory(err, 0, "an answer");
  keep(s, v);
  return v;
}

// --- streams ----------------------------------------------------------------------------------------------

// An event, numbered. Takes `json` over.
static bool send(ResponsesState *s, Buf *out, const char *type, json_t *json, zaya_error *err) {
  json_t *v = json_pack("{s:s, s:I}", "type", type, "sequence_number", s->seq++);
  if (!v || !json || json_object_update(v, json)) {
    json_decref(v);
    v = NULL;
  }
  json_decref(json);
  return dialect_sse(out, type, v, err);
}

// The same about the open item: with its id, its place and, for parts, the part's. Takes `json` over.
static bool send_item(ResponsesState *s, Buf *out, const char *type, json_t *json, bool part,
                      zaya_error *err) {
  const size_t index = json_array_size(s->output);
  if (json) {
    json_object_set_new(json, "item_id", item_id(s, id_prefix(s->kind), index));
    json_object_set_new(json, "output_index", json_integer((json_int_t)index));
    if (part) json_object_set_new(json, "content_index", json_integer(0));
  }
  return send(s, out, type, json, err);
}

static bool send_output(ResponsesState *s, Buf *out, const char *type, json_t *item, zaya_error *err) {
  return send(s, out, type,
              json_pack("{s:I, s:o}", "output_index", (json_int_t)json_array_size(s->output), "item", item),
              err);
}

static bool begin(void *state, Buf *out, zaya_error *err) {
  static const char *const types[] = {"response.created", "response.in_progress"};
  ResponsesState *s = state;
  for (size_t i = 0; i < 2; i++)
    if (!send(s, out, types[i],
              json_pack("{s:o}", "response", response_json(s, "in_progress", json_array(), NULL)), err))
      return false;
  return true;
}

static bool open_item(ResponsesState *s, ReplyKind kind, Buf *out, zaya_error *err) {
  s->open = true;
  s->kind = kind;
  buf_clear(&s->text);
  json_decref(s->logprobs);
  s->logprobs = json_array();
  return send_output(s, out, "response.output_item.added",
                     text_item(s, kind, json_array_size(s->output), "in_progress", NULL), err) &&
         send_item(s, out, "response.content_part.added",
                   json_pack("{s:o}", "part", part_json(kind, "", 0, json_array())), true, err);
}

static bool close_item(ResponsesState *s, const char *status, Buf *out, zaya_error *err) {
  if (!s->open) return true;
  s->open = false;
  const bool content = s->kind == REPLY_CONTENT;
  const char *text = s->text.data ? s->text.data : "";
  json_t *whole = json_pack("{s:o}", "text", json_stringn(text, s->text.len));
  if (content) json_object_set(whole, "logprobs", s->logprobs);
  json_t *part = part_json(s->kind, text, s->text.len, json_incref(s->logprobs));
  bool ok = send_item(s, out, content ? "response.output_text.done" : "response.reasoning_text.done", whole,
                      true, err) &&
            send_item(s, out, "response.content_part.done", json_pack("{s:O}", "part", part), true, err);
  json_t *item = text_item(s, s->kind, json_array_size(s->output), status, part);
  ok = ok && send_output(s, out, "response.output_item.done", json_incref(item), err);
  json_array_append_new(s->output, item);
  return ok;
}

// A call comes whole: all its events at once.
static bool send_call(ResponsesState *s, const AnswerCall *c, Buf *out, zaya_error *err) {
  const Buf *args = &c->arguments;
  const char *text = args->data ? args->data : "";
  const size_t index = json_array_size(s->output);
  s->kind = REPLY_CALL;
  bool ok = send_output(s, out, "response.output_item.added", call_item(s, c, index, false), err) &&
            send_item(s, out, "response.function_call_arguments.delta",
                      json_pack("{s:o}", "delta", json_stringn(text, args->len)), false, err) &&
            send_item(s, out, "response.function_call_arguments.done",
                      json_pack("{s:s, s:o}", "name", c->name, "arguments", json_stringn(text, args->len)),
                      false, err);
  json_t *item = call_item(s, c, index, true);
  ok = ok && send_output(s, out, "response.output_item.done", json_incref(item), err);
  json_array_append_new(s->output, item);
  return ok;
}

static bool send_delta(ResponsesState *s, const ReplyEvent *e, Buf *out, zaya_error *err) {
  if (!buf_add(&s->text, e->text, e->len, err)) return false;
  json_t *delta = json_pack("{s:o}", "delta", json_stringn(e->text, e->len));
  if (e->kind == REPLY_REASONING) return send_item(s, out, "response.reasoning_text.delta", delta, true, err);
  json_t *logprobs = logprobs_json(s, e->tokens, e->n_tokens);
  json_array_extend(s->logprobs, logprobs);
  json_object_set_new(delta, "logprobs", logprobs);
  return send_item(s, out, "response.output_text.delta", delta, true, err);
}

static bool event(void *state, const ReplyEvent *e, Buf *out, zaya_error *err) {
  ResponsesState *s = state;
  const bool same = s->open && !e->begins && s->kind == e->kind;
  if (e->kind == REPLY_CALL) return close_item(s, "completed", out, err) && send_call(s, e->call, out, err);
  if (!same && !(close_item(s, "completed", out, err) && open_item(s, e->kind, out, err))) return false;
  return send_delta(s, e, out, err);
}

static bool end(void *state, const Answer *answers, size_t n, Buf *out, zaya_error *err) {
  (void)n; // there is one
  ResponsesState *s = state;
  const char *status = status_of(answers);
  if (!close_item(s, status, out, err)) return false;
  json_t *v = response_json(s, status, json_incref(s->output), answers);
  keep(s, v);
  return send(s, out, !strcmp(status, "completed") ? "response.completed" : "response.incomplete",
              json_pack("{s:o}", "response", v), err);
}

static bool fail(void *state, const AskFault *fault, Buf *out, zaya_error *err) {
  ResponsesState *s = state;
  json_t *v = response_json(s, "failed", json_incref(s->output), NULL);
  const char *code = fault->status == 429 ? "rate_limit_exceeded" : "server_error";
  if (v)
    json_object_set_new(v, "error", json_pack("{s:s, s:s}", "code", code, "message", fault->error.message));
  return send(s, out, "response.failed", json_pack("{s:o}", "response", v), err);
}

// --- what is kept -----------------------------------------------------------------------------------------

static void *store_new(zaya_error *err) { return history_new(STORE_BYTES, err); }

static void store_free(void *store) { history_free(store); }

static json_t *fetch(void *store, const char *id) {
  json_t *record = history_get(store, id);
  json_t *response = json_incref(json_object_get(record, "response"));
  json_decref(record);
  return response;
}

static json_t *drop(void *store, const char *id) {
  if (!history_drop(store, id)) return NULL;
  return json_pack("{s:s, s:s, s:b}", "id", id, "object", "response", "deleted", 1);
}

const Dialect dialect_responses = {.path = "/v1/responses",
                                   .name = "responses",
                                   .id_prefix = "resp_",
                                   .parse = responses_parse,
                                   .open = open_state,
                                   .close = close_state,
                                   .begin = begin,
                                   .event = event,
                                   .end = end,
                                   .fail = fail,
                                   .body = body,
                                   .error = dialect_openai_error,
                                   .store_new = store_new,
                                   .store_free = store_free,
                                   .fetch = fetch,
                                   .drop = drop};
