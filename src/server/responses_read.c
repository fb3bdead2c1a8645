// responses_read: see responses_read.h.
#include "server/responses_read.h"

#include "server/turns.h"

#include <string.h>

// --- items --------------------------------------------------------------------------------------------

// Types of parts that are text, by the item that they stand in; the text lies under `field`.
typedef struct PartType {
  const char *type, *field;
} PartType;

typedef bool (*PartFn)(void *user, const json_t *text);

// A string, or a list of parts of the given types. Each text goes to `fn`.
static bool each_part(const Fields *item, const char *name, const PartType *types, PartFn fn, void *user) {
  const json_t *v = field_get(item, name);
  if (!v) return true;
  if (json_is_string(v)) return fn(user, v);
  if (!json_is_array(v)) return field_wrong(item, name, "a string or a list of parts");
  for (size_t i = 0; i < json_array_size(v); i++) {
    Fields part;
    const char *type = NULL;
    if (!field_item(item, name, i, &part) || !field_required(&part, "type") ||
        !field_string(&part, "type", &type))
      return false;
    const PartType *t = types;
    while (t->type && strcmp(t->type, type) != 0) t++;
    if (!t->type)
      return field_refuse(&part, "type", "expected %s, found \"%.40s\": only text can be read", types->type,
                          type);
    const json_t *text = turns_string(&part, t->field);
    if (!text || !fn(user, text)) return false;
  }
  return true;
}

static const PartType message_parts[] = {
    {"input_text", "text"}, {"output_text", "text"}, {"text", "text"}, {"refusal", "refusal"}, {0}};
static const PartType reasoning_parts[] = {{"reasoning_text", "text"}, {"text", "text"}, {0}};
static const PartType summary_parts[] = {{"summary_text", "text"}, {0}};

typedef struct Piece { // where the texts of an item go
  Turns *turns;
  const char *role;
  Buf text;
  size_t n;
} Piece;

static bool to_message(void *user, const json_t *text) {
  const Piece *p = user;
  turns_text(p->turns, p->role, text);
  return true;
}

static bool to_reasoning(void *user, const json_t *text) {
  Piece *p = user;
  if (json_string_length(text)) turns_reasoning(p->turns, text);
  p->n++;
  return true;
}

static bool to_result(void *user, const json_t *text) {
  Piece *p = user;
  return (!p->n++ || buf_putc(&p->text, '\n', NULL)) &&
         buf_add(&p->text, json_string_value(text), json_string_length(text), NULL);
}

static bool read_message(const Fields *item, Turns *t) {
  const char *role = NULL;
  if (!field_required(item, "role") || !field_enum(item, "role", "user|assistant|system|developer", &role) ||
      !field_required(item, "content"))
    return false;
  const bool user = !strcmp(role, "user"), own = !strcmp(role, "assistant");
  Piece p = {.turns = t, .role = user ? "user" : own ? "assistant" : "system"};
  return each_part(item, "content", message_parts, to_message, &p);
}

// What was thought, else the summary of it.
static bool read_reasoning(const Fields *item, Turns *t) {
  Piece p = {.turns = t};
  return each_part(item, "content", reasoning_parts, to_reasoning, &p) &&
         (p.n || each_part(item, "summary", summary_parts, to_reasoning, &p));
}

static bool read_call(const Fields *item, Turns *t) {
  const json_t *id = turns_string(item, "call_id"), *name = id ? turns_string(item, "name") : NULL;
  const json_t *text = name ? turns_string(item, "arguments") : NULL;
  json_error_t why;
  if (!text) return false;
  json_t *arguments = json_string_length(text) ? json_loadb(json_string_value(text), json_string_length(text),
                                                            JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &why)
                                               : json_object();
  const bool ok = json_is_object(arguments);
  if (ok) turns_call(t, id, name, arguments);
  json_decref(arguments);
  return ok || field_refuse(item, "arguments", "expected the text of a JSON object");
}

static bool read_result(const Fields *item, Turns *t) {
  Piece p = {.turns = t};
  const json_t *id = turns_string(item, "call_id");
  const bool ok =
      id && field_required(item, "output") && each_part(item, "output", message_parts, to_result, &p);
  if (ok) turns_result(t, id, &p.text, false);
  buf_free(&p.text);
  return ok || fault_set(item->fault, 500, NULL, "out of memory"); // the first fault wins
}

static bool read_item(const Fields *item, Turns *t) {
  const char *type = "message";
  if (!field_string(item, "type", &type)) return false;
  if (!strcmp(type, "message")) return read_message(item, t);
  if (!strcmp(type, "reasoning")) return read_reasoning(item, t);
  if (!strcmp(type, "function_call")) return read_call(item, t);
  if (!strcmp(type, "function_call_output")) return read_result(item, t);
  return field_refuse(item, "type",
                      "expected message, reasoning, function_call or function_call_output, found \"%.40s\"",
                      type);
}

static bool read_items(const Fields *f, size_t n, Turns *t) {
  bool ok = true;
  for (size_t i = 0; ok && i < n; i++) {
    Fields item;
    ok = field_item(f, "input", i, &item) && read_item(&item, t);
  }
  return ok;
}

// --- the conversation -----------------------------------------------------------------------------------

// The items of the previous response, a new list; an empty one if there is none.
static json_t *previous_items(const DialectEnv *env, const Fields *f) {
  const char *id = NULL;
  if (!field_string(f, "previous_response_id", &id)) return NULL;
  if (!id) return json_array();
  json_t *record = env->store ? history_get(env->store, id) : NULL;
  json_t *items = json_incref(json_object_get(record, "items"));
  json_decref(record);
  if (items) return items;
  field_refuse(f, "previous_response_id", "no response with the id \"%.60s\" is kept here", id);
  f->fault->code = "previous_response_not_found";
  return NULL;
}

// The request's own items; a string is a message of the user. A new list.
static json_t *own_items(const Fields *f) {
  json_t *input = field_get(f, "input");
  json_t *v = NULL;
  if (!input)
    v = json_array();
  else if (json_is_string(input))
    v = json_pack("[{s:s, s:s, s:[{s:s, s:O}]}]", "type", "message", "role", "user", "content", "type",
                  "input_text", "text", input);
  else if (json_is_array(input))
    v = json_copy(input);
  else
    field_wrong(f, "input", "a string or a list of items");
  if (!v) fault_set(f->fault, 500, NULL, "out of memory"); // the first fault wins
  return v;
}

static bool read_all(const Fields *f, json_t *before, json_t *own, Turns *t) {
  const json_t *instructions = field_get(f, "instructions");
  if (instructions && !json_is_string(instructions)) return field_wrong(f, "instructions", "a string");
  if (instructions) turns_text(t, "system", instructions);
  json_t *holder = json_pack("{s:O}", "input", before);
  const Fields kept = fields_of(holder, f->fault);
  bool ok = read_items(&kept, json_array_size(before), t);
  json_decref(holder);
  holder = json_pack("{s:O}", "input", own);
  const Fields given = fields_of(holder, f->fault);
  ok = ok && read_items(&given, json_array_size(own), t);
  json_decref(holder);
  return ok;
}

static bool read_conversation(const DialectEnv *env, const Fields *f, json_t *body, Ask *a) {
  json_t *before = previous_items(env, f), *own = before ? own_items(f) : NULL;
  Turns t = {0};
  bool ok = own && read_all(f, before, own, &t) && turns_finish(&t, &a->messages, f->fault);
  if (ok && !json_array_size(own)) ok = field_refuse(f, "input", "at least one item is required");
  if (ok && (json_array_extend(before, own) || json_object_set(body, "input", before)))
    ok = fault_set(f->fault, 500, NULL, "out of memory");
  turns_free(&t);
  json_decref(before);
  json_decref(own);
  return ok;
}

// --- tools and options ------------------------------------------------------------------------------------

static bool read_tool(const Fields *tool, json_t *tools) {
  const char *type = NULL;
  if (!field_required(tool, "type") || !field_string(tool, "type", &type)) return false;
  if (strcmp(type, "function"))
    return field_refuse(tool, "type", "only tools of type \"function\" can be offered, not \"%.40s\"", type);
  if (!turns_string(tool, "name")) return false;
  json_t *v = json_pack("{s:s, s:{s:O, s:O*, s:O*, s:O*}}", "type", "function", "function", "name",
                        field_get(tool, "name"), "description", field_get(tool, "description"), "parameters",
                        field_get(tool, "parameters"), "strict", field_get(tool, "strict"));
  return json_array_append_new(tools, v) == 0 || fault_set(tool->fault, 500, NULL, "out of memory");
}

static bool read_tools(const Fields *f, Ask *a) {
  const json_t *list = NULL;
  if (!field_array(f, "tools", &list) || !field_bool(f, "parallel_tool_calls", &a->parallel_tools))
    return false;
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

// "auto", "none", "required" or {"type": "function", "name"}.
static bool read_choice(const Fields *f, Ask *a) {
  Fields c;
  const char *choice = "auto", *type = NULL;
  if (!json_is_object(field_get(f, "tool_choice"))) {
    if (!field_enum(f, "tool_choice", "auto|none|required", &choice)) return false;
    if (!strcmp(choice, "none")) a->tool_choice = ASK_TOOLS_NONE;
    if (!strcmp(choice, "required")) a->tool_choice = ASK_TOOLS_REQUIRED;
    return a->tool_choice != ASK_TOOLS_REQUIRED || a->tools ||
           field_refuse(f, "tool_choice", "a call is required, but there are no tools");
  }
  if (!field_enter(f, "tool_choice", &c) || !field_required(&c, "type") || !field_string(&c, "type", &type))
    return false;
  if (strcmp(type, "function"))
    return field_refuse(&c, "type", "expected \"function\", found \"%.40s\"", type);
  a->tool_choice = ASK_TOOLS_NAMED;
  return field_required(&c, "name") && field_string(&c, "name", &a->tool_name) &&
         (ask_has_tool(a, a->tool_name) ||
          field_refuse(&c, "name", "no tool is named \"%.60s\"", a->tool_name));
}

// top_logprobs, or "message.output_text.logprobs" in `include`.
static bool read_logprobs(const Fields *f, Ask *a) {
  const json_t *include = NULL, *item;
  size_t top = 0, i;
  bool wanted = field_given(f, "top_logprobs");
  if (!field_array(f, "include", &include) || !field_size(f, "top_logprobs", 0, ASK_MAX_LOGPROBS, &top))
    return false;
  json_array_foreach(include, i, item) {
    const char *name = json_string_value(item);
    if (!name) return field_refuse(f, "include", "expected strings, found %s", json_kind(item));
    wanted = wanted || !strcmp(name, "message.output_text.logprobs");
  }
  if (wanted) a->top_logprobs = (int)top;
  return true;
}

// What would need a service beside the model, and what has no effect here whatever it says.
static bool refuse_services(const Fields *f) {
  static const char *const services[] = {"conversation", "prompt"};
  const char *truncation = NULL;
  bool background = false;
  for (size_t i = 0; i < sizeof services / sizeof *services; i++)
    if (field_given(f, services[i])) return field_refuse(f, services[i], "not supported by this server");
  if (!field_bool(f, "background", &background) || !field_enum(f, "truncation", "auto|disabled", &truncation))
    return false;
  return !background || field_refuse(f, "background", "not supported by this server");
}

static bool read_options(const Fields *f, Ask *a) {
  Fields text, reasoning;
  const json_t *metadata = NULL;
  bool store = true;
  return field_enter(f, "text", &text) && ask_read_format(&text, "format", a) &&
         field_enter(f, "reasoning", &reasoning) && ask_read_effort(&reasoning, "effort", a) &&
         field_object(f, "metadata", &metadata) && field_bool(f, "store", &store) &&
         field_size(f, "max_output_tokens", 1, INT32_MAX, &a->max_tokens) &&
         field_bool(f, "stream", &a->stream);
}

bool responses_parse(const DialectEnv *env, json_t *body, Ask *a, AskFault *fault) {
  ask_init(a, env->defaults, body);
  const Fields f = fields_of(body, fault);
  const char *model = NULL;
  return field_string(&f, "model", &model) && refuse_services(&f) && read_conversation(env, &f, body, a) &&
         read_tools(&f, a) && read_choice(&f, a) && ask_read_sampling(&f, a) && read_logprobs(&f, a) &&
         read_options(&f, a) && ask_read_extras(&f, a);
}
