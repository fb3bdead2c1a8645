// chat_set: see chat_set.h.
#include "chat_set.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef struct Number {
  const char *name, *about;
  double min, max;
  bool whole;
  size_t real_at, int_at; // where it is in ChatSet: a double, or an int; the other one 0
} Number;

#define REAL(field_) offsetof(ChatSet, field_), 0
#define INT(field_)  0, offsetof(ChatSet, field_)

static const Number numbers[] = {
    {"temperature", "0: always the likeliest token", 0, 100, false, REAL(sampling.temperature)},
    {"top_k", "draw from the K likeliest; 0: all", 0, 1e9, true, INT(sampling.top_k)},
    {"top_p", "draw from the likeliest that hold this share", 0, 1, false, REAL(sampling.top_p)},
    {"min_p", "drop tokens below this part of the likeliest", 0, 1, false, REAL(sampling.min_p)},
    {"repeat_penalty", "for tokens seen before; 1: none", 0.01, 100, false,
     REAL(sampling.repetition_penalty)},
    {"presence_penalty", "for tokens in the answer; 0: none", -10, 10, false,
     REAL(sampling.presence_penalty)},
    {"frequency_penalty", "the same, times how often; 0: none", -10, 10, false,
     REAL(sampling.frequency_penalty)},
    {"max_tokens", "of an answer; 0: until the context is full", 0, 1e9, true, REAL(max_tokens)},
};
enum { N_NUMBERS = sizeof numbers / sizeof *numbers };
static const char seed_name[] = "seed";

#undef REAL
#undef INT

static bool invalid(zaya_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool invalid(zaya_error *err, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  err->status = ZAYA_E_INVALID;
  vsnprintf(err->message, sizeof err->message, fmt, args);
  va_end(args);
  return false;
}

void chat_set_free(ChatSet *s) {
  free(s->system);
  free(s->tools);
  s->system = s->tools = NULL;
}

bool chat_set_text(char **where, const char *text, zaya_error *err) {
  char *copy = text ? strdup(text) : NULL;
  if (text && !copy) {
    err->status = ZAYA_E_MEMORY;
    snprintf(err->message, sizeof err->message, "out of memory");
    return false;
  }
  free(*where);
  *where = copy;
  return true;
}

static double get(const ChatSet *s, const Number *n) {
  const char *at = (const char *)s;
  return n->int_at ? *(const int *)(at + n->int_at) : *(const double *)(at + n->real_at);
}

static void put(ChatSet *s, const Number *n, double value) {
  char *at = (char *)s;
  if (n->int_at)
    *(int *)(at + n->int_at) = (int)value;
  else
    *(double *)(at + n->real_at) = value;
}

static const Number *find(const char *name) {
  for (size_t i = 0; i < N_NUMBERS; i++)
    if (!strcmp(numbers[i].name, name)) return &numbers[i];
  return NULL;
}

static bool fits(const Number *n, double value) {
  return isfinite(value) && value >= n->min && value <= n->max && (!n->whole || value == floor(value));
}

static double default_of(const ChatSet *s, const Number *n) {
  const ChatSet defaults = {.sampling = s->sampling_default};
  return get(&defaults, n);
}

static bool set_seed(ChatSet *s, const char *value, zaya_error *err) {
  char *end;
  errno = 0;
  if (!strcmp(value, "default") || !strcmp(value, "random")) {
    s->fixed_seed = false;
    return true;
  }
  const unsigned long long seed = strtoull(value, &end, 10);
  if (*value < '0' || *value > '9' || *end || errno)
    return invalid(err, "seed: a whole number or 'random', not '%s'", value);
  s->sampling.seed = seed;
  s->fixed_seed = true;
  return true;
}

bool chat_set_value(ChatSet *s, const char *name, const char *value, zaya_error *err) {
  const Number *n = find(name);
  if (!strcmp(name, seed_name)) return set_seed(s, value, err);
  if (!n) return invalid(err, "there is no setting '%s' (/set lists them)", name);
  if (!strcmp(value, "default")) {
    put(s, n, default_of(s, n));
    return true;
  }
  char *end, range[64];
  const double number = strtod(value, &end);
  snprintf(range, sizeof range, "%s from %g to %g", n->whole ? "a whole number" : "a number", n->min, n->max);
  if (end == value || *end || !fits(n, number)) return invalid(err, "%s: %s", name, range);
  put(s, n, number);
  return true;
}

void chat_set_print(const ChatSet *s, FILE *out) {
  for (size_t i = 0; i < N_NUMBERS; i++)
    fprintf(out, "  %-18s %-10g %s\n", numbers[i].name, get(s, &numbers[i]), numbers[i].about);
  if (s->fixed_seed)
    fprintf(out, "  %-18s %-10llu %s\n", seed_name, (unsigned long long)s->sampling.seed,
            "the same for every answer");
  else
    fprintf(out, "  %-18s %-10s %s\n", seed_name, "random", "a new one for every answer");
}

const char *chat_set_name(size_t i) {
  return i < N_NUMBERS ? numbers[i].name : i == N_NUMBERS ? seed_name : NULL;
}

bool chat_set_tools_check(const char *json, size_t len, zaya_error *err) {
  json_error_t where;
  json_t *tools = json_loadb(json, len, 0, &where), *tool;
  size_t i;
  bool ok = json_is_array(tools);
  if (!tools) {
    invalid(err, "not JSON: line %d: %s", where.line, where.text);
  } else if (!ok) {
    invalid(err, "not a list of tools");
  }
  json_array_foreach(tools, i, tool) {
    const json_t *f = json_object_get(tool, "function");
    if (json_is_string(json_object_get(f ? f : tool, "name"))) continue;
    ok = invalid(err, "a tool without a function's name");
    break;
  }
  json_decref(tools);
  return ok;
}

static const char *const thinking_names[] = {
    [ZAYA_THINK_AUTO] = "auto", [ZAYA_THINK_ON] = "on", [ZAYA_THINK_OFF] = "off"};

const char *chat_set_thinking_name(zaya_think_mode mode) { return thinking_names[mode]; }

bool chat_set_thinking_parse(const char *name, zaya_think_mode *mode) {
  for (int i = 0; i < 3; i++)
    if (!strcmp(name, thinking_names[i])) {
      *mode = (zaya_think_mode)i;
      return true;
    }
  return false;
}

json_t *chat_set_save(const ChatSet *s) {
  json_t *o = json_object();
  for (size_t i = 0; i < N_NUMBERS; i++)
    if (get(s, &numbers[i]) != default_of(s, &numbers[i]))
      json_object_set_new(o, numbers[i].name, json_real(get(s, &numbers[i])));
  if (s->fixed_seed) {
    char text[32]; // as text: JSON readers keep 53 bits only
    snprintf(text, sizeof text, "%llu", (unsigned long long)s->sampling.seed);
    json_object_set_new(o, seed_name, json_string(text));
  }
  json_object_set_new(o, "thinking", json_string(chat_set_thinking_name(s->thinking)));
  if (s->budget >= 0) json_object_set_new(o, "budget", json_integer(s->budget));
  if (s->system) json_object_set_new(o, "system", json_string(s->system));
  if (s->tools) json_object_set_new(o, "tools", json_loads(s->tools, 0, NULL));
  return o;
}

static bool load_numbers(ChatSet *s, const json_t *o, zaya_error *err) {
  for (size_t i = 0; i < N_NUMBERS; i++) {
    const json_t *v = json_object_get(o, numbers[i].name);
    if (v && (!json_is_number(v) || !fits(&numbers[i], json_number_value(v))))
      return invalid(err, "/settings/%s: not a value for it", numbers[i].name);
    put(s, &numbers[i], v ? json_number_value(v) : default_of(s, &numbers[i]));
  }
  const json_t *seed = json_object_get(o, seed_name), *budget = json_object_get(o, "budget");
  s->fixed_seed = false;
  if (seed && (!json_is_string(seed) || !set_seed(s, json_string_value(seed), &(zaya_error){0})))
    return invalid(err, "/settings/%s: not a seed", seed_name);
  if (budget &&
      (!json_is_integer(budget) || json_integer_value(budget) < 0 || json_integer_value(budget) > 1000000000))
    return invalid(err, "/settings/budget: not a number of tokens");
  s->budget = budget ? (long)json_integer_value(budget) : -1;
  return true;
}

bool chat_set_load(ChatSet *set, const json_t *o, zaya_error *err) {
  ChatSet s = *set;
  const json_t *system = json_object_get(o, "system"), *tools = json_object_get(o, "tools"),
               *thinking = json_object_get(o, "thinking");
  if (!json_is_object(o)) return invalid(err, "/settings: not an object");
  if (!load_numbers(&s, o, err)) return false;
  s.thinking = ZAYA_THINK_AUTO;
  if (thinking &&
      (!json_is_string(thinking) || !chat_set_thinking_parse(json_string_value(thinking), &s.thinking)))
    return invalid(err, "/settings/thinking: not on, off or auto");
  if (system && !json_is_string(system)) return invalid(err, "/settings/system: not a string");
  if (tools && !json_is_array(tools)) return invalid(err, "/settings/tools: not a list of tools");
  s.system = s.tools = NULL;
  char *list = tools ? json_dumps(tools, JSON_COMPACT) : NULL;
  bool ok = (!tools || (list && chat_set_tools_check(list, strlen(list), err))) &&
            chat_set_text(&s.system, json_string_value(system), err) && chat_set_text(&s.tools, list, err);
  free(list);
  if (!ok) {
    chat_set_free(&s);
    return false;
  }
  chat_set_free(set);
  *set = s;
  return true;
}
