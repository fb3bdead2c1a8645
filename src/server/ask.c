// ask: see ask.h.
#include "server/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ask_init(Ask *a, const zaya_sampling *defaults, json_t *body) {
  *a = (Ask){.body = json_incref(body),
             .sampling = *defaults,
             .parallel_tools = true,
             .n_prompts = 1,
             .n = 1,
             .top_logprobs = -1};
}

void ask_free(Ask *a) {
  json_decref(a->messages);
  json_decref(a->tools);
  json_decref(a->kwargs);
  json_decref(a->body);
  free(a->bias);
  free((void *)a->stops);
  *a = (Ask){0};
}

const json_t *ask_prompt(const Ask *a, size_t i) {
  return a->many_prompts ? json_array_get(a->prompt, i) : a->prompt;
}

bool ask_read_sampling(const Fields *f, Ask *a) {
  zaya_sampling *s = &a->sampling;
  int64_t top_k = s->top_k, seed = 0;
  const json_t *given = field_get(f, "seed");
  if (!field_number(f, "temperature", 0, 100, &s->temperature) ||
      !field_number(f, "top_p", 0, 1, &s->top_p) || !field_int(f, "top_k", -1, INT32_MAX, &top_k) ||
      !field_number(f, "min_p", 0, 1, &s->min_p) ||
      !field_number(f, "repetition_penalty", 0.01, 100, &s->repetition_penalty) ||
      !field_number(f, "presence_penalty", -10, 10, &s->presence_penalty) ||
      !field_number(f, "frequency_penalty", -10, 10, &s->frequency_penalty) ||
      !field_int(f, "seed", INT64_MIN, INT64_MAX, &seed))
    return false;
  s->top_k = top_k < 0 ? 0 : (int)top_k; // -1 is what others write for "off"
  if (given) {
    s->seed = (uint64_t)seed;
    a->has_seed = true;
  }
  return true;
}

// A stop string as the list's or the field's value.
static bool add_stop(const Fields *f, const char *name, const json_t *v, Ask *a) {
  if (!json_is_string(v)) return field_refuse(f, name, "expected strings, found %s", json_kind(v));
  if (!json_string_length(v)) return field_refuse(f, name, "a stop string cannot be empty");
  if (strlen(json_string_value(v)) != json_string_length(v))
    return field_refuse(f, name, "a NUL character is not allowed here");
  a->stops[a->n_stops++] = json_string_value(v);
  return true;
}

bool ask_read_stops(const Fields *f, const char *name, Ask *a) {
  const json_t *v = field_get(f, name), *item;
  size_t i;
  if (!v) return true;
  const size_t n = json_is_array(v) ? json_array_size(v) : 1;
  if (n > ASK_MAX_STOPS) return field_refuse(f, name, "at most %d stop strings, found %zu", ASK_MAX_STOPS, n);
  free((void *)a->stops);
  a->n_stops = 0;
  a->stops = calloc(n ? n : 1, sizeof *a->stops);
  if (!a->stops) return fault_set(f->fault, 500, NULL, "out of memory");
  if (!json_is_array(v)) return add_stop(f, name, v, a);
  json_array_foreach(v, i, item) {
    if (!add_stop(f, name, item, a)) return false;
  }
  return true;
}

bool ask_read_bias(const Fields *f, const char *name, Ask *a) {
  const json_t *v = NULL;
  const char *key;
  json_t *bias;
  size_t n = 0;
  if (!field_object(f, name, &v)) return false;
  if (!v || !json_object_size(v)) return true;
  free(a->bias);
  a->sampling.n_bias = 0;
  a->sampling.bias = a->bias = calloc(json_object_size(v), sizeof *a->bias);
  if (!a->bias) return fault_set(f->fault, 500, NULL, "out of memory");
  json_object_foreach((json_t *)(uintptr_t)v, key, bias) {
    char *end;
    const long id = strtol(key, &end, 10);
    if (end == key || *end || id < 0 || id > INT32_MAX)
      return field_refuse(f, name, "expected token ids as keys, found \"%.40s\"", key);
    const double x = json_number_value(bias);
    if (!json_is_number(bias) || !(x >= -100 && x <= 100))
      return field_refuse(f, name, "expected numbers from -100 to 100, found %s%s", json_kind(bias),
                          json_is_number(bias) ? " outside of it" : "");
    a->bias[n++] = (zaya_bias){.id = (int32_t)id, .bias = x <= -100 ? -1e6 : x};
  }
  a->sampling.n_bias = n;
  return true;
}

void ask_think(Ask *a, bool on) {
  a->thinking = on ? ZAYA_THINK_ON : ZAYA_THINK_OFF;
  a->budget = (zaya_thinking){.has_limit = !on};
}

void ask_budget(Ask *a, size_t tokens) {
  a->budget = (zaya_thinking){.has_limit = true, .limit = tokens};
  a->budget.has_soft_limit = tokens >= 4; // a gentle end before a hard one
  a->budget.soft_limit = tokens / 4 * 3;
}

bool ask_read_effort(const Fields *f, const char *name, Ask *a) {
  const char *effort = NULL;
  if (!field_enum(f, name, "none|minimal|low|medium|high|xhigh|max", &effort)) return false;
  if (!effort) return true;
  ask_think(a, strcmp(effort, "none") != 0);
  if (!strcmp(effort, "minimal")) ask_budget(a, 256);
  if (!strcmp(effort, "low")) ask_budget(a, 1024);
  if (!strcmp(effort, "medium")) ask_budget(a, 8192);
  return true;
}

// enable_thinking goes to the Ask: off then means off, whatever the template makes of it.
static bool read_kwargs(const Fields *f, Ask *a) {
  Fields k;
  bool on = false;
  if (!field_enter(f, "chat_template_kwargs", &k) || !field_bool(&k, "enable_thinking", &on)) return false;
  if (!k.object) return true;
  if (field_given(&k, "enable_thinking")) ask_think(a, on);
  json_decref(a->kwargs);
  a->kwargs = json_copy((json_t *)(uintptr_t)k.object);
  if (!a->kwargs) return fault_set(f->fault, 500, NULL, "out of memory");
  json_object_del(a->kwargs, "enable_thinking");
  return true;
}

static bool take_pattern(const Fields *f, const char *name, AskForm form, Ask *a) {
  const char *pattern = NULL;
  if (!field_string(f, name, &pattern)) return false;
  if (!pattern) return true;
  if (a->form != ASK_TEXT)
    return field_refuse(f, name,
                        "the answer's form is set twice: give one of response_format, regex and "
                        "grammar");
  a->form = form;
  a->pattern = pattern;
  snprintf(a->form_field, sizeof a->form_field, "%s", name);
  return true;
}

bool ask_read_extras(const Fields *f, Ask *a) {
  size_t budget = SIZE_MAX;
  if (!read_kwargs(f, a) || !field_size(f, "thinking_budget", 0, INT32_MAX, &budget)) return false;
  if (budget != SIZE_MAX) {
    if (a->thinking == ZAYA_THINK_OFF && budget)
      return field_refuse(f, "thinking_budget", "thinking is off: a budget for it contradicts that");
    ask_budget(a, budget);
  }
  return take_pattern(f, "regex", ASK_REGEX, a) && take_pattern(f, "guided_regex", ASK_REGEX, a) &&
         take_pattern(f, "grammar", ASK_GRAMMAR, a) && take_pattern(f, "guided_grammar", ASK_GRAMMAR, a);
}

static bool take_schema(const Fields *f, Ask *a) {
  Fields inner;
  if (!field_enter(f, "json_schema", &inner)) return false;
  const Fields *at = inner.object ? &inner : f;
  const json_t *schema = field_get(at, "schema");
  if (!schema) return field_refuse(at, "schema", "this field is required");
  if (!json_is_object(schema) && !json_is_boolean(schema)) return field_wrong(at, "schema", "a JSON schema");
  a->schema = schema;
  snprintf(a->form_field, sizeof a->form_field, "%s.schema", at->at);
  return true;
}

bool ask_read_format(const Fields *f, const char *name, Ask *a) {
  Fields r;
  const char *type = NULL;
  if (!field_enter(f, name, &r)) return false;
  if (!r.object) return true;
  if (!field_required(&r, "type") || !field_enum(&r, "type", "text|json_object|json_schema", &type))
    return false;
  if (!strcmp(type, "text")) return true;
  if (a->form != ASK_TEXT)
    return field_refuse(f, name,
                        "the answer's form is set twice: give one of response_format, regex and "
                        "grammar");
  a->form = !strcmp(type, "json_object") ? ASK_JSON_OBJECT : ASK_JSON_SCHEMA;
  return a->form == ASK_JSON_OBJECT || take_schema(&r, a);
}

// One of the tools: {"type": "function", "function": {"name", "description", "parameters", "strict"}}.
static bool check_tool(const Fields *list, size_t i) {
  Fields tool, function;
  const char *type = "function", *name = NULL, *about = NULL;
  const json_t *parameters = NULL;
  bool strict = false;
  if (!field_item(list, "tools", i, &tool) || !field_string(&tool, "type", &type)) return false;
  if (strcmp(type, "function"))
    return field_refuse(&tool, "type", "only tools of type \"function\" are known, not \"%.40s\"", type);
  if (!field_required(&tool, "function") || !field_enter(&tool, "function", &function) ||
      !field_required(&function, "name") || !field_string(&function, "name", &name) ||
      !field_string(&function, "description", &about) ||
      !field_object(&function, "parameters", &parameters) || !field_bool(&function, "strict", &strict))
    return false;
  return *name || field_refuse(&function, "name", "a function needs a name");
}

bool ask_take_tools(const Fields *f, json_t *tools, Ask *a) {
  if (!tools) return true;
  if (!json_is_array(tools)) return field_wrong(f, "tools", "a list");
  if (!json_array_size(tools)) return true;
  // What a dialect has translated is checked under the same name as what came as it is.
  json_t *holder = json_pack("{s:O}", "tools", tools);
  if (!holder) return fault_set(f->fault, 500, NULL, "out of memory");
  const Fields list = fields_of(holder, f->fault);
  bool ok = true;
  for (size_t i = 0; ok && i < json_array_size(tools); i++) ok = check_tool(&list, i);
  json_decref(holder);
  if (!ok) return false;
  json_decref(a->tools);
  a->tools = json_incref(tools);
  return true;
}

bool ask_has_tool(const Ask *a, const char *name) {
  size_t i;
  json_t *tool;
  json_array_foreach(a->tools, i, tool) {
    const char *own = json_string_value(json_object_get(json_object_get(tool, "function"), "name"));
    if (own && !strcmp(own, name)) return true;
  }
  return false;
}
