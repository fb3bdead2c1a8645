// dialect_chat: POST /v1/chat/completions, OpenAI's chat format with the extensions that local servers share
// (reasoning_content, thinking_budget, chat_template_kwargs, top_k, min_p, repetition_penalty, regex,
// grammar). docs/server.md lists the fields. Depends on dialect.
#include "server/dialect.h"

#include <stdlib.h>
#include <string.h>

typedef struct ChatState {
  const DialectEnv *env;
  const Ask *ask;
  const ReplyHead *head;
  bool reasoned[ASK_MAX_CHOICES]; // a block was shown: the next one stands apart
} ChatState;

// --- requests --------------------------------------------------------------------------------------

// One message as the template wants it: "developer" is the system's role, "reasoning" another name.
static bool fix_message(const Fields *body, size_t i, json_t *m) {
  Fields f;
  const char *role = NULL;
  if (!field_item(body, "messages", i, &f) || !field_required(&f, "role") || !field_string(&f, "role", &role))
    return false;
  if (!strcmp(role, "developer")) json_object_set_new(m, "role", json_string("system"));
  if (field_given(&f, "reasoning") && !field_given(&f, "reasoning_content")) {
    const char *text = NULL;
    if (!field_string(&f, "reasoning", &text)) return false;
    json_object_set_new(m, "reasoning_content", json_string(text));
  }
  return true;
}

static bool read_messages(const Fields *f, Ask *a) {
  const json_t *list = NULL;
  if (!field_required(f, "messages") || !field_array(f, "messages", &list)) return false;
  if (!json_array_size(list)) return field_refuse(f, "messages", "a conversation needs at least one message");
  a->messages = json_array();
  for (size_t i = 0; i < json_array_size(list); i++) {
    json_t *m = json_copy(json_array_get(list, i));
    if (json_array_append_new(a->messages, m)) return fault_set(f->fault, 500, NULL, "out of memory");
    if (!fix_message(f, i, m)) return false;
  }
  return true;
}

// {"type": "function", "function": {"name"}}
static bool read_named(const Fields *f, Ask *a) {
  Fields choice, function;
  const char *type = NULL;
  if (!field_enter(f, "tool_choice", &choice) || !field_required(&choice, "type") ||
      !field_string(&choice, "type", &type))
    return false;
  if (strcmp(type, "function"))
    return field_refuse(&choice, "type", "expected \"function\", found \"%.40s\"", type);
  if (!field_required(&choice, "function") || !field_enter(&choice, "function", &function) ||
      !field_required(&function, "name") || !field_string(&function, "name", &a->tool_name))
    return false;
  a->tool_choice = ASK_TOOLS_NAMED;
  return ask_has_tool(a, a->tool_name) ||
         field_refuse(&function, "name", "no tool is named \"%.60s\"", a->tool_name);
}

static bool read_tools(const Fields *f, Ask *a) {
  const char *choice = "auto";
  if (field_given(f, "functions"))
    return field_refuse(f, "functions", "this old field is not supported: use tools");
  if (!ask_take_tools(f, field_get(f, "tools"), a) ||
      !field_bool(f, "parallel_tool_calls", &a->parallel_tools))
    return false;
  if (json_is_object(field_get(f, "tool_choice"))) return read_named(f, a);
  if (!field_enum(f, "tool_choice", "auto|none|required", &choice)) return false;
  if (!strcmp(choice, "none")) a->tool_choice = ASK_TOOLS_NONE;
  if (!strcmp(choice, "required")) a->tool_choice = ASK_TOOLS_REQUIRED;
  return a->tool_choice != ASK_TOOLS_REQUIRED || a->tools ||
         field_refuse(f, "tool_choice", "a call is required, but there are no tools");
}

static bool read_logprobs(const Fields *f, Ask *a) {
  bool wanted = false;
  size_t top = 0;
  if (!field_bool(f, "logprobs", &wanted) || !field_size(f, "top_logprobs", 0, ASK_MAX_LOGPROBS, &top))
    return false;
  if (top && !wanted) return field_refuse(f, "top_logprobs", "needs logprobs: true");
  a->top_logprobs = wanted ? (int)top : -1;
  return true;
}

static bool read_stream(const Fields *f, Ask *a) {
  Fields options;
  return field_bool(f, "stream", &a->stream) && field_enter(f, "stream_options", &options) &&
         field_bool(&options, "include_usage", &a->include_usage);
}

// Text is all there is: a client that waits for something else is told so.
static bool check_modalities(const Fields *f) {
  const json_t *list = NULL;
  if (!field_array(f, "modalities", &list)) return false;
  for (size_t i = 0; i < json_array_size(list); i++) {
    const char *one = json_string_value(json_array_get(list, i));
    if (!one || strcmp(one, "text")) return field_refuse(f, "modalities", "only \"text\" can be answered");
  }
  return true;
}

static bool parse(const DialectEnv *env, json_t *body, Ask *a, AskFault *fault) {
  ask_init(a, env->defaults, body);
  const Fields f = fields_of(body, fault);
  const char *model = NULL;
  if (!field_string(&f, "model", &model) || !read_messages(&f, a) || !read_tools(&f, a) ||
      !check_modalities(&f))
    return false;
  if (!ask_read_sampling(&f, a) || !ask_read_stops(&f, "stop", a) || !ask_read_bias(&f, "logit_bias", a))
    return false;
  if (!field_size(&f, "max_tokens", 1, INT32_MAX, &a->max_tokens) ||
      !field_size(&f, "max_completion_tokens", 1, INT32_MAX, &a->max_tokens) ||
      !field_size(&f, "n", 1, ASK_MAX_CHOICES, &a->n))
    return false;
  return read_logprobs(&f, a) && read_stream(&f, a) && ask_read_effort(&f, "reasoning_effort", a) &&
         ask_read_format(&f, "response_format", a) && ask_read_extras(&f, a);
}

// --- answers ----------------------------------------------------------------------------------------

static void *open_state(const DialectEnv *env, const Ask *ask, const ReplyHead *head, zaya_error *err) {
  ChatState *s = calloc(1, sizeof *s);
  if (!s) err_memory(err, sizeof *s, "an answer");
  if (s) *s = (ChatState){.env = env, .ask = ask, .head = head};
  return s;
}

static json_t *logprobs_json(const ChatState *s, const AnswerToken *tokens, size_t n) {
  if (s->ask->top_logprobs < 0) return json_null();
  return json_pack("{s:o, s:n}", "content", dialect_logprobs(s->env->tok, tokens, n), "refusal");
}

// A chunk with this list of choices, which it takes over.
static bool send(const ChatState *s, json_t *choices, json_t *usage, Buf *out, zaya_error *err) {
  json_t *chunk =
      json_pack("{s:s, s:s, s:I, s:s, s:o}", "id", s->head->id, "object", "chat.completion.chunk", "created",
                (json_int_t)s->head->created, "model", s->head->model, "choices", choices);
  if (s->ask->include_usage) json_object_set_new(chunk, "usage", usage ? usage : json_null());
  return dialect_sse(out, NULL, chunk, err);
}

static bool send_delta(const ChatState *s, size_t choice, json_t *delta, json_t *logprobs, const char *finish,
                       Buf *out, zaya_error *err) {
  return send(s,
              json_pack("[{s:I, s:o, s:o, s:s?}]", "index", (json_int_t)choice, "delta", delta, "logprobs",
                        logprobs, "finish_reason", finish),
              NULL, out, err);
}

static bool begin(void *state, Buf *out, zaya_error *err) {
  const ChatState *s = state;
  for (size_t i = 0; i < s->ask->n; i++)
    if (!send_delta(s, i, json_pack("{s:s, s:s}", "role", "assistant", "content", ""), json_null(), NULL, out,
                    err))
      return false;
  return true;
}

static json_t *call_json(const AnswerCall *c) {
  return json_pack("{s:s, s:s, s:{s:s, s:s#}}", "id", c->id, "type", "function", "function", "name", c->name,
                   "arguments", c->arguments.data ? c->arguments.data : "", (int)c->arguments.len);
}

// The piece; an empty line sets a further block apart.
static json_t *reasoning_text(ChatState *s, const ReplyEvent *e) {
  const bool apart = e->begins && s->reasoned[e->choice];
  s->reasoned[e->choice] = true;
  if (!apart) return json_stringn(e->text, e->len);
  Buf text = {0};
  const bool ok = buf_puts(&text, "\n\n", NULL) && buf_add(&text, e->text, e->len, NULL);
  json_t *v = ok ? json_stringn(text.data, text.len) : NULL;
  buf_free(&text);
  return v;
}

static bool event(void *state, const ReplyEvent *e, Buf *out, zaya_error *err) {
  ChatState *s = state;
  json_t *delta = NULL, *logprobs = json_null();
  switch (e->kind) {
  case REPLY_REASONING: delta = json_pack("{s:o}", "reasoning_content", reasoning_text(s, e)); break;
  case REPLY_CONTENT:
    delta = json_pack("{s:s#}", "content", e->text, (int)e->len);
    logprobs = logprobs_json(s, e->tokens, e->n_tokens);
    break;
  case REPLY_CALL: {
    json_t *call = call_json(e->call);
    json_object_set_new(call, "index", json_integer((json_int_t)e->index));
    delta = json_pack("{s:[o]}", "tool_calls", call);
    break;
  }
  }
  return send_delta(s, e->choice, delta, logprobs, NULL, out, err);
}

static bool end(void *state, const Answer *answers, size_t n, Buf *out, zaya_error *err) {
  const ChatState *s = state;
  for (size_t i = 0; i < n; i++)
    if (!send_delta(s, i, json_object(), json_null(), dialect_finish(&answers[i]), out, err)) return false;
  if (s->ask->include_usage && !send(s, json_array(), dialect_usage(s->head, answers, n), out, err))
    return false;
  return buf_puts(out, "data: [DONE]\n\n", err);
}

static bool fail(void *state, const AskFault *fault, Buf *out, zaya_error *err) {
  (void)state;
  return dialect_sse(out, NULL, dialect_openai_error(fault), err) && buf_puts(out, "data: [DONE]\n\n", err);
}

static json_t *message_json(const Answer *a) {
  json_t *m = json_pack("{s:s, s:n}", "role", "assistant", "refusal");
  const bool no_text = a->n_calls && !a->content.len;
  json_object_set_new(m, "content",
                      no_text ? json_null()
                              : json_stringn(a->content.data ? a->content.data : "", a->content.len));
  if (a->reasoning.len)
    json_object_set_new(m, "reasoning_content", json_stringn(a->reasoning.data, a->reasoning.len));
  if (!a->n_calls) return m;
  json_t *calls = json_array();
  for (size_t i = 0; i < a->n_calls; i++) json_array_append_new(calls, call_json(&a->calls[i]));
  json_object_set_new(m, "tool_calls", calls);
  return m;
}

static json_t *body(void *state, const Answer *answers, size_t n, zaya_error *err) {
  const ChatState *s = state;
  json_t *choices = json_array();
  for (size_t i = 0; i < n; i++)
    json_array_append_new(choices, json_pack("{s:I, s:o, s:o, s:s}", "index", (json_int_t)i, "message",
                                             message_json(&answers[i]), "logprobs",
                                             logprobs_json(s, answers[i].tokens, answers[i].n_tokens),
                                             "finish_reason", dialect_finish(&answers[i])));
  json_t *v = json_pack("{s:s, s:s, s:I, s:s, s:o, s:o}", "id", s->head->id, "object", "chat.completion",
                        "created", (json_int_t)s->head->created, "model", s->head->model, "choices", choices,
                        "usage", dialect_usage(s->head, answers, n));
  if (!v) err_memory(err, 0, "an answer");
  return v;
}

const Dialect dialect_chat = {.path = "/v1/chat/completions",
                              .name = "chat",
                              .id_prefix = "chatcmpl-",
                              .parse = parse,
                              .open = open_state,
                              .close = free,
                              .begin = begin,
                              .event = event,
                              .end = end,
                              .fail = fail,
                              .body = body,
                              .error = dialect_openai_error};
