// messages: POST /v1/messages, Anthropic's Messages API: blocks of text, thinking and tool use in and out.
// docs/server.md lists the fields. Depends on dialect, turns.
#include "server/dialect.h"
#include "server/turns.h"

#include <stdlib.h>
#include <string.h>

// --- requests: the conversation -----------------------------------------------------------------------

// The type of a block or of an option, which must be there.
static const char *type_of(const Fields *f) {
  const char *type = NULL;
  if (!field_required(f, "type") || !field_string(f, "type", &type)) return NULL;
  return type;
}

// A string, or a list of text blocks, as text; `each` is called with every piece.
typedef bool (*TextFn)(void *user, const json_t *text);

static bool each_text(const Fields *f, const char *name, TextFn fn, void *user) {
  const json_t *v = field_get(f, name);
  if (!v) return true;
  if (json_is_string(v)) return fn(user, v);
  if (!json_is_array(v)) return field_wrong(f, name, "a string or a list of blocks");
  for (size_t i = 0; i < json_array_size(v); i++) {
    Fields block;
    const char *type = NULL;
    if (!field_item(f, name, i, &block) || !(type = type_of(&block))) return false;
    if (strcmp(type, "text"))
      return field_refuse(&block, "type", "only blocks of type \"text\" can be read here, not \"%.40s\"",
                          type);
    const json_t *text = turns_string(&block, "text");
    if (!text || !fn(user, text)) return false;
  }
  return true;
}

static bool add_system(void *user, const json_t *text) {
  turns_text(user, "system", text);
  return true;
}

typedef struct ResultText {
  Buf text;
  size_t n;
} ResultText;

static bool add_result_text(void *user, const json_t *text) {
  ResultText *r = user;
  return (!r->n++ || buf_putc(&r->text, '\n', NULL)) &&
         buf_add(&r->text, json_string_value(text), json_string_length(text), NULL);
}

static bool read_tool_result(const Fields *block, Turns *t) {
  ResultText r = {0};
  bool is_error = false;
  const json_t *id = turns_string(block, "tool_use_id");
  const bool ok =
      id && field_bool(block, "is_error", &is_error) && each_text(block, "content", add_result_text, &r);
  if (ok) turns_result(t, id, &r.text, is_error);
  buf_free(&r.text);
  return ok || fault_set(block->fault, 500, NULL, "out of memory"); // the first fault wins
}

static bool read_user_block(const Fields *block, const char *type, Turns *t) {
  if (!strcmp(type, "tool_result")) return read_tool_result(block, t);
  if (strcmp(type, "text"))
    return field_refuse(block, "type", "expected text or tool_result in a user's message, found \"%.40s\"",
                        type);
  const json_t *text = turns_string(block, "text");
  if (text) turns_text(t, "user", text);
  return text != NULL;
}

static bool read_assistant_block(const Fields *block, const char *type, Turns *t) {
  if (!strcmp(type, "redacted_thinking")) return true; // nothing in it can be read
  if (!strcmp(type, "tool_use")) {
    const json_t *id = turns_string(block, "id"), *name = id ? turns_string(block, "name") : NULL;
    const json_t *input = NULL;
    if (!name || !field_required(block, "input") || !field_object(block, "input", &input)) return false;
    turns_call(t, id, name, (json_t *)(uintptr_t)input);
    return true;
  }
  const bool thinking = !strcmp(type, "thinking");
  if (!thinking && strcmp(type, "text"))
    return field_refuse(block, "type",
                        "expected text, thinking, redacted_thinking or tool_use in an assistant's message, "
                        "found \"%.40s\"",
                        type);
  const json_t *text = turns_string(block, type);
  if (!text) return false;
  if (!thinking)
    turns_text(t, "assistant", text);
  else if (json_string_length(text)) // an omitted one comes back empty
    turns_reasoning(t, text);
  return true;
}

static bool read_message(const Fields *m, Turns *t) {
  const char *role = NULL;
  if (!field_required(m, "role") || !field_enum(m, "role", "user|assistant|system", &role) ||
      !field_required(m, "content"))
    return false;
  if (!strcmp(role, "system")) return each_text(m, "content", add_system, t);
  const bool own = !strcmp(role, "assistant");
  const json_t *content = field_get(m, "content");
  if (json_is_string(content)) {
    turns_text(t, own ? "assistant" : "user", content);
    return true;
  }
  if (!json_is_array(content)) return field_wrong(m, "content", "a string or a list of blocks");
  for (size_t i = 0; i < json_array_size(content); i++) {
    Fields block;
    const char *type = NULL;
    if (!field_item(m, "content", i, &block) || !(type = type_of(&block))) return false;
    if (!(own ? read_assistant_block : read_user_block)(&block, type, t)) return false;
  }
  return true;
}

// An answer that goes on with the last message would need a prompt that does not end it.
static bool ends_with_assistant(const json_t *messages) {
  const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
  const char *role = json_string_value(json_object_get(last, "role"));
  return role && !strcmp(role, "assistant");
}

static bool read_messages(const Fields *f, Ask *a) {
  const json_t *list = NULL;
  Turns t = {0};
  if (!field_required(f, "messages") || !field_array(f, "messages", &list)) return false;
  if (!json_array_size(list)) return field_refuse(f, "messages", "a conversation needs at least one message");
  bool ok = each_text(f, "system", add_system, &t);
  for (size_t i = 0; ok && i < json_array_size(list); i++) {
    Fields m;
    ok = field_item(f, "messages", i, &m) && read_message(&m, &t);
  }
  ok = ok && turns_finish(&t, &a->messages, f->fault);
  turns_free(&t);
  if (ok && ends_with_assistant(a->messages))
    return field_refuse(f, "messages",
                        "the last message must be the user's: an answer cannot continue an "
                        "assistant's message");
  return ok;
}

// --- requests: tools and options ------------------------------------------------------------------------

static bool read_tool(const Fields *tool, json_t *tools) {
  const char *type = "custom";
  const json_t *schema = NULL;
  if (!field_string(tool, "type", &type)) return false;
  if (strcmp(type, "custom"))
    return field_refuse(tool, "type", "only tools of type \"custom\" can be offered, not \"%.40s\"", type);
  if (!turns_string(tool, "name") || !field_required(tool, "input_schema") ||
      !field_object(tool, "input_schema", &schema))
    return false;
  json_t *v =
      json_pack("{s:s, s:{s:O, s:O*, s:O}}", "type", "function", "function", "name", field_get(tool, "name"),
                "description", field_get(tool, "description"), "parameters", schema);
  return json_array_append_new(tools, v) == 0 || fault_set(tool->fault, 500, NULL, "out of memory");
}

static bool read_tools(const Fields *f, Ask *a) {
  const json_t *list = NULL;
  if (!field_array(f, "tools", &list)) return false;
  if (!list) return true;
  json_t *tools = json_array();
  bool ok = true;
  for (size_t i = 0; ok && i < json_array_size(list); i++) {
    Fields tool;
    ok = field_item(f, "tools", i, &tool) && read_tool(&tool, tools);
  }
  ok = ok && ask_take_tools(f, tools, a);
  json_decref(tools);
  return ok;
}

static bool read_choice(const Fields *f, Ask *a) {
  Fields c;
  const char *type = NULL;
  bool one = false;
  if (!field_enter(f, "tool_choice", &c)) return false;
  if (!c.object) return true;
  if (!field_required(&c, "type") || !field_enum(&c, "type", "auto|any|tool|none", &type) ||
      !field_bool(&c, "disable_parallel_tool_use", &one))
    return false;
  a->parallel_tools = !one;
  if (!strcmp(type, "none")) a->tool_choice = ASK_TOOLS_NONE;
  if (!strcmp(type, "any")) a->tool_choice = ASK_TOOLS_REQUIRED;
  if (!strcmp(type, "any") && !a->tools)
    return field_refuse(&c, "type", "a call is required, but there are no tools");
  if (strcmp(type, "tool")) return true;
  a->tool_choice = ASK_TOOLS_NAMED;
  return field_required(&c, "name") && field_string(&c, "name", &a->tool_name) &&
         (ask_has_tool(a, a->tool_name) ||
          field_refuse(&c, "name", "no tool is named \"%.60s\"", a->tool_name));
}

// Without the field a model of this API does not think.
static bool read_thinking(const Fields *f, Ask *a) {
  Fields t, config;
  const char *type = "disabled", *display = NULL;
  size_t budget = 0;
  if (!field_enter(f, "thinking", &t) || !field_enter(f, "output_config", &config)) return false;
  if (t.object &&
      (!field_required(&t, "type") || !field_enum(&t, "type", "enabled|disabled|adaptive", &type)))
    return false;
  if (!field_enum(&t, "display", "summarized|omitted", &display)) return false;
  if (!strcmp(type, "adaptive")) return ask_read_effort(&config, "effort", a);
  ask_think(a, !strcmp(type, "enabled"));
  if (a->thinking == ZAYA_THINK_OFF) return true;
  if (!field_required(&t, "budget_tokens") || !field_size(&t, "budget_tokens", 1, INT32_MAX, &budget))
    return false;
  if (a->max_tokens && budget >= a->max_tokens)
    return field_refuse(&t, "budget_tokens", "must be less than max_tokens (%zu), found %zu", a->max_tokens,
                        budget);
  ask_budget(a, budget);
  return true;
}

// output_config.format, or output_format as clients first wrote it: {"type": "json_schema", "schema"}.
static bool read_form(const Fields *f, Ask *a) {
  Fields config;
  return field_enter(f, "output_config", &config) && ask_read_format(&config, "format", a) &&
         ask_read_format(f, "output_format", a);
}

static bool parse(const DialectEnv *env, json_t *body, Ask *a, AskFault *fault) {
  ask_init(a, env->defaults, body);
  const Fields f = fields_of(body, fault);
  const char *model = NULL;
  if (!env->counting && !field_required(&f, "max_tokens")) return false;
  return field_string(&f, "model", &model) && field_size(&f, "max_tokens", 1, INT32_MAX, &a->max_tokens) &&
         read_messages(&f, a) && read_tools(&f, a) && read_choice(&f, a) && ask_read_sampling(&f, a) &&
         ask_read_stops(&f, "stop_sequences", a) && field_bool(&f, "stream", &a->stream) &&
         read_thinking(&f, a) && read_form(&f, a) && ask_read_extras(&f, a);
}

// --- answers ----------------------------------------------------------------------------------------------

typedef struct MessagesState {
  const Ask *ask;
  const ReplyHead *head;
  bool omit; // the thinking's text is not wanted
  bool open; // a block is open: `kind`, number n_blocks - 1
  ReplyKind kind;
  size_t n_blocks;
} MessagesState;

static void *open_state(const DialectEnv *env, const Ask *ask, const ReplyHead *head, zaya_error *err) {
  (void)env;
  MessagesState *s = calloc(1, sizeof *s);
  if (!s) {
    err_memory(err, sizeof *s, "an answer");
    return NULL;
  }
  const char *display = json_string_value(json_object_get(json_object_get(ask->body, "thinking"), "display"));
  *s = (MessagesState){.ask = ask, .head = head, .omit = display && !strcmp(display, "omitted")};
  return s;
}

// The tokens that were read; those out of the cache are counted apart.
static json_t *usage(const MessagesState *s, const Answer *answers, size_t n) {
  size_t thinking = 0;
  for (size_t i = 0; i < n; i++) thinking += answer_thinking_tokens(&answers[i]);
  return json_pack("{s:I, s:i, s:I, s:I, s:{s:I}}", "input_tokens",
                   (json_int_t)(s->head->prompt_tokens - s->head->cached_tokens),
                   "cache_creation_input_tokens", 0, "cache_read_input_tokens",
                   (json_int_t)s->head->cached_tokens, "output_tokens", (json_int_t)answer_tokens(answers, n),
                   "output_tokens_details", "thinking_tokens", (json_int_t)thinking);
}

static json_t *message(const MessagesState *s, json_t *content, const char *reason, const char *sequence,
                       json_t *use) {
  return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s?, s:s?, s:o}", "id", s->head->id, "type", "message", "role",
                   "assistant", "model", s->head->model, "content", content, "stop_reason", reason,
                   "stop_sequence", sequence, "usage", use);
}

static const char *stop_reason(const MessagesState *s, const Answer *a) {
  switch (a->end) {
  case ANSWER_STRING: return "stop_sequence";
  case ANSWER_CALLS: return "tool_use";
  case ANSWER_LENGTH:
    return s->ask->max_tokens && a->result.tokens < s->ask->max_tokens ? "model_context_window_exceeded"
                                                                       : "max_tokens";
  case ANSWER_STOP:
  case ANSWER_CANCELLED:
  case ANSWER_FAILED: break; // the last two go to `fail`
  }
  return "end_turn";
}

// Clients hand a thinking block back only with its signature. Nobody has to check this one.
static json_t *signature(const MessagesState *s, size_t block) {
  return json_sprintf("%s-%zu", s->head->id, block);
}

// The arguments as an object. Integers beyond 64 bits need the second way.
static json_t *input_of(const AnswerCall *c) {
  const char *text = c->arguments.data ? c->arguments.data : "{}";
  const size_t len = c->arguments.data ? c->arguments.len : 2;
  json_t *v = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
  return v ? v : json_loadb(text, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
}

static json_t *tool_block(const AnswerCall *c, json_t *input) {
  return json_pack("{s:s, s:s, s:s, s:o}", "type", "tool_use", "id", c->id, "name", c->name, "input", input);
}

static json_t *block_json(const MessagesState *s, const Answer *a, size_t i) {
  const AnswerPart *p = &a->parts[i];
  if (p->kind == ANSWER_CALL) return tool_block(&a->calls[p->call], input_of(&a->calls[p->call]));
  size_t len = 0;
  const char *text = answer_part_text(a, p, &len);
  if (p->kind == ANSWER_CONTENT)
    return json_pack("{s:s, s:o, s:n}", "type", "text", "text", json_stringn(text, len), "citations");
  return json_pack("{s:s, s:o, s:o}", "type", "thinking", "thinking", json_stringn(text, s->omit ? 0 : len),
                   "signature", signature(s, i));
}

static json_t *body(void *state, const Answer *answers, size_t n, zaya_error *err) {
  const MessagesState *s = state;
  json_t *content = json_array();
  bool ok = true;
  for (size_t i = 0; ok && i < answers->n_parts; i++)
    ok = json_array_append_new(content, block_json(s, answers, i)) == 0;
  json_t *v = message(s, content, stop_reason(s, answers), answers->stop_string, usage(s, answers, n));
  if (ok && v) return v;
  json_decref(v);
  err_memory(err, 0, "an answer");
  return NULL;
}

// --- streams --------------------------------------------------------------------------------------------

// An event; `json` has the event's name as its type. Takes it over.
static bool send(Buf *out, const char *type, json_t *json, zaya_error *err) {
  if (json) json_object_set_new(json, "type", json_string(type));
  return dialect_sse(out, type, json, err);
}

static bool begin(void *state, Buf *out, zaya_error *err) {
  const MessagesState *s = state;
  json_t *m = message(s, json_array(), NULL, NULL, usage(s, NULL, 0));
  return send(out, "message_start", json_pack("{s:o}", "message", m), err) &&
         send(out, "ping", json_object(), err);
}

static bool send_delta(const MessagesState *s, Buf *out, const char *type, const char *name, json_t *text,
                       zaya_error *err) {
  return send(out, "content_block_delta",
              json_pack("{s:I, s:{s:s, s:o}}", "index", (json_int_t)(s->n_blocks - 1), "delta", "type", type,
                        name, text),
              err);
}

static bool close_block(MessagesState *s, Buf *out, zaya_error *err) {
  if (!s->open) return true;
  s->open = false;
  const size_t i = s->n_blocks - 1;
  if (s->kind == REPLY_REASONING && !send_delta(s, out, "signature_delta", "signature", signature(s, i), err))
    return false;
  return send(out, "content_block_stop", json_pack("{s:I}", "index", (json_int_t)i), err);
}

static bool open_block(MessagesState *s, const ReplyEvent *e, Buf *out, zaya_error *err) {
  json_t *block = NULL;
  switch (e->kind) {
  case REPLY_REASONING:
    block = json_pack("{s:s, s:s, s:s}", "type", "thinking", "thinking", "", "signature", "");
    break;
  case REPLY_CONTENT: block = json_pack("{s:s, s:s, s:n}", "type", "text", "text", "", "citations"); break;
  case REPLY_CALL: block = tool_block(e->call, json_object()); break;
  }
  s->open = true;
  s->kind = e->kind;
  s->n_blocks++;
  return send(out, "content_block_start",
              json_pack("{s:I, s:o}", "index", (json_int_t)(s->n_blocks - 1), "content_block", block), err);
}

static bool event(void *state, const ReplyEvent *e, Buf *out, zaya_error *err) {
  MessagesState *s = state;
  const bool same = s->open && !e->begins && s->kind == e->kind && e->kind != REPLY_CALL;
  if (!same && !(close_block(s, out, err) && open_block(s, e, out, err))) return false;
  if (e->kind == REPLY_CALL) {
    const Buf *args = &e->call->arguments;
    return send_delta(s, out, "input_json_delta", "partial_json",
                      json_stringn(args->data ? args->data : "{}", args->data ? args->len : 2), err);
  }
  if (e->kind == REPLY_CONTENT)
    return send_delta(s, out, "text_delta", "text", json_stringn(e->text, e->len), err);
  return s->omit || send_delta(s, out, "thinking_delta", "thinking", json_stringn(e->text, e->len), err);
}

static bool end(void *state, const Answer *answers, size_t n, Buf *out, zaya_error *err) {
  MessagesState *s = state;
  return close_block(s, out, err) &&
         send(out, "message_delta",
              json_pack("{s:{s:s, s:s?}, s:o}", "delta", "stop_reason", stop_reason(s, answers),
                        "stop_sequence", answers->stop_string, "usage", usage(s, answers, n)),
              err) &&
         send(out, "message_stop", json_object(), err);
}

// --- errors -----------------------------------------------------------------------------------------------

static const char *error_type(int status) {
  switch (status) {
  case 401: return "authentication_error";
  case 403: return "permission_error";
  case 404: return "not_found_error";
  case 413: return "request_too_large";
  case 429: return "rate_limit_error";
  case 503:
  case 529: return "overloaded_error";
  case 504: return "timeout_error";
  default: return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

static json_t *error(const AskFault *fault) {
  return json_pack("{s:s, s:{s:s, s:s}}", "type", "error", "error", "type", error_type(fault->status),
                   "message", fault->error.message);
}

static bool fail(void *state, const AskFault *fault, Buf *out, zaya_error *err) {
  (void)state;
  return dialect_sse(out, "error", error(fault), err);
}

static json_t *count(size_t n_tokens) { return json_pack("{s:I}", "input_tokens", (json_int_t)n_tokens); }

const Dialect dialect_messages = {.path = "/v1/messages",
                                  .name = "messages",
                                  .id_prefix = "msg_",
                                  .parse = parse,
                                  .open = open_state,
                                  .close = free,
                                  .begin = begin,
                                  .event = event,
                                  .end = end,
                                  .fail = fail,
                                  .body = body,
                                  .error = error,
                                  .count = count};
