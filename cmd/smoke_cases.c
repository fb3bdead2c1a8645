// smoke_cases: see smoke.h. Every case asks one to three questions and says why it is not content. Asking is
// greedy, so that a run can be repeated.
#include "smoke.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A case at work: what it asked, what came, the first complaint.
typedef struct Case {
  const SmokeTarget *target;
  json_t *messages; // the conversation so far
  json_t *tools;    // or NULL
  SmokeThinking thinking;
  SmokeAnswer answer; // the last one
  json_t *outputs;    // every answer's text, for the report
  char why[256];      // empty while all is well
  zaya_error *err;
} Case;

__attribute__((format(printf, 2, 3))) static bool complain(Case *c, const char *fmt, ...) {
  if (c->why[0]) return false;
  va_list args;
  va_start(args, fmt);
  vsnprintf(c->why, sizeof c->why, fmt, args);
  va_end(args);
  return false;
}

static void say(Case *c, const char *role, const char *content) {
  json_array_append_new(c->messages, json_pack("{s:s, s:s}", "role", role, "content", content));
}

// --- what holds for every answer -----------------------------------------------------------------

static const char *const markup[] = {"<think>",      "</think>",      "<|im_start|>", "<|im_end|>",
                                     "<zyphra_tool", "</zyphra_tool", "<function=",   "</function>",
                                     "<parameter=",  "</parameter>",  "<bos>",        "<eos>",
                                     "<pad>"};

static bool no_markup(Case *c, const char *what, const char *text) {
  for (size_t i = 0; i < sizeof markup / sizeof *markup; i++)
    if (strstr(text, markup[i])) return complain(c, "%s shows markup: %s", what, markup[i]);
  return true;
}

// Whether the end of the text is one piece of up to 200 bytes, said at least 6 times (40 bytes or more in
// all).
static bool repeats(const char *text) {
  const size_t n = strlen(text);
  for (size_t period = 1; period <= 200 && period * 6 <= n; period++) {
    size_t same = 0;
    while (same + period < n && text[n - 1 - same] == text[n - 1 - same - period]) same++;
    if (same + period >= period * 6 && same + period >= 40) return true;
  }
  return false;
}

static bool sound(Case *c, bool wants_text) {
  const SmokeAnswer *a = &c->answer;
  if (!no_markup(c, "the answer", a->text) || !no_markup(c, "the reasoning", a->reasoning)) return false;
  if (repeats(a->text) || repeats(a->reasoning)) return complain(c, "the text repeats itself without end");
  if (strcmp(a->finish, "stop") && strcmp(a->finish, "tool_calls"))
    return complain(c, "it did not end by itself: %s", a->finish);
  if (wants_text && !a->text[strspn(a->text, " \n\t")]) return complain(c, "the answer is empty");
  return true;
}

static bool ask(Case *c, bool wants_text) {
  smoke_answer_free(&c->answer);
  if (!c->target->ask(c->target->self, c->messages, c->tools, c->thinking, &c->answer, c->err)) return false;
  json_array_append_new(c->outputs, json_string(c->answer.text));
  return sound(c, wants_text);
}

// --- expectations ---------------------------------------------------------------------------------

// The text without white space, quotes and full stops around it, in small letters.
static void bare(const char *text, char *out, size_t size) {
  size_t n = 0;
  for (; *text && n + 1 < size; text++) out[n++] = (char)tolower((unsigned char)*text);
  while (n && strchr(" \n\t.\"'*!", out[n - 1])) n--;
  out[n] = '\0';
  const size_t lead = strspn(out, " \n\t\"'*");
  memmove(out, out + lead, n - lead + 1);
}

static bool expect_only(Case *c, const char *want) {
  char got[128];
  bare(c->answer.text, got, sizeof got);
  return !strcmp(got, want) || complain(c, "expected only '%s'", want);
}

static bool expect_in(Case *c, const char *text, const char *want) {
  char *low = strdup(text), *p = low;
  if (!low) return complain(c, "out of memory");
  for (; *p; p++) *p = (char)tolower((unsigned char)*p);
  const bool found = strstr(low, want) != NULL;
  free(low);
  return found || complain(c, "expected '%s' in the answer", want);
}

// --- the cases ------------------------------------------------------------------------------------

static bool short_sum(Case *c) {
  say(c, "user", "What is 2+2? Answer with only the number.");
  return ask(c, true) && expect_only(c, "4");
}

static bool short_capital(Case *c) {
  say(c, "user", "What is the capital of France? Answer with one word.");
  return ask(c, true) && expect_only(c, "paris");
}

static bool thinking_off(Case *c) {
  c->thinking = SMOKE_OFF;
  say(c, "user", "What is the capital of Italy?");
  if (!ask(c, true)) return false;
  if (c->answer.reasoning[0]) return complain(c, "it thought although thinking was off");
  return expect_in(c, c->answer.text, "rome");
}

static bool thinking_on(Case *c) {
  c->thinking = SMOKE_ON;
  say(c, "user", "What is 7 + 5?");
  if (!ask(c, true)) return false;
  if (!c->answer.reasoning[0]) return complain(c, "it did not think although thinking was on");
  return expect_in(c, c->answer.text, "12");
}

static bool recall(Case *c) {
  c->thinking = SMOKE_OFF;
  say(c, "user", "My name is Anna.");
  if (!ask(c, true)) return false;
  say(c, "assistant", c->answer.text);
  say(c, "user", "What is the capital of Spain?");
  if (!ask(c, true)) return false;
  say(c, "assistant", c->answer.text);
  say(c, "user", "What is my name?");
  return ask(c, true) && expect_in(c, c->answer.text, "anna");
}

static json_t *weather_tool(void) {
  return json_pack("[{s:s, s:{s:s, s:s, s:{s:s, s:{s:{s:s, s:s}}, s:[s]}}}]", "type", "function", "function",
                   "name", "get_weather", "description", "Get the weather of a city.", "parameters", "type",
                   "object", "properties", "city", "type", "string", "description", "Name of the city",
                   "required", "city");
}

static bool tool_round_trip(Case *c) {
  c->thinking = SMOKE_OFF;
  c->tools = weather_tool();
  say(c, "user", "What is the weather in Berlin?");
  if (!ask(c, false)) return false;
  const json_t *call = json_array_get(c->answer.calls, 0), *args = json_object_get(call, "arguments");
  if (json_array_size(c->answer.calls) != 1) return complain(c, "expected one tool call");
  const char *name = json_string_value(json_object_get(call, "name"));
  const char *city = json_string_value(json_object_get(args, "city"));
  if (!name || strcmp(name, "get_weather")) return complain(c, "expected a call of get_weather");
  if (!city || !expect_in(c, city, "berlin")) return complain(c, "expected the argument city = Berlin");
  char *text = json_dumps(args, JSON_COMPACT);
  json_array_append_new(c->messages,
                        json_pack("{s:s, s:s, s:[{s:s, s:s, s:{s:s, s:s}}]}", "role", "assistant", "content",
                                  "", "tool_calls", "id", "call_1", "type", "function", "function", "name",
                                  name, "arguments", text ? text : "{}"));
  free(text);
  json_array_append_new(c->messages,
                        json_pack("{s:s, s:s, s:s}", "role", "tool", "tool_call_id", "call_1", "content",
                                  "{\"temperature\": 17, \"condition\": \"cloudy\"}"));
  return ask(c, true) && expect_in(c, c->answer.text, "17");
}

static bool long_prompt(Case *c) {
  static const char *const lines[] = {
      "Anna went to the library on Monday.",        "The museum has 4 doors.",
      "Tom bought apples and bread at the market.", "It was a quiet day in May.",
      "There are 9 trees near the station.",        "The bakery is next to the school."};
  char text[8192] = "Read the following text.";
  size_t n = strlen(text);
  c->thinking = SMOKE_OFF;
  for (int i = 0; i < 60; i++) {
    const char *line = i == 20 ? "The secret code is 4821." : lines[i % 6];
    n += (size_t)snprintf(text + n, sizeof text - n, " %s", line);
  }
  snprintf(text + n, sizeof text - n, "\n\nWhat is the secret code?");
  say(c, "user", text);
  return ask(c, true) && expect_in(c, c->answer.text, "4821");
}

static const struct {
  const char *name, *expectation;
  bool (*run)(Case *c);
} cases[] = {
    {"short_sum", "only the number 4", short_sum},
    {"short_capital", "only the word Paris", short_capital},
    {"thinking_off", "an answer that names Rome, without thinking", thinking_off},
    {"thinking_on", "thinking, then an answer with 12", thinking_on},
    {"recall", "the name Anna, two turns later", recall},
    {"tool_round_trip", "a call get_weather(city: Berlin), then an answer with 17 degrees", tool_round_trip},
    {"long_prompt", "the code 4821 out of sixty sentences", long_prompt},
};
enum { N_CASES = sizeof cases / sizeof *cases };

static json_t *run_case(const SmokeTarget *t, int i, zaya_error *err) {
  Case c = {.target = t, .messages = json_array(), .outputs = json_array(), .err = err};
  const bool ok = cases[i].run(&c);
  if (err->status != ZAYA_OK) complain(&c, "%s", err->message);
  if (!ok) complain(&c, "no reason given");
  json_t *entry = json_pack("{s:s, s:s, s:b, s:s, s:f, s:O, s:O, s:s, s:s}", "name", cases[i].name,
                            "expectation", cases[i].expectation, "passed", (int)ok, "why", c.why, "seconds",
                            c.answer.seconds, "prompt", c.messages, "outputs", c.outputs, "reasoning",
                            c.answer.reasoning ? c.answer.reasoning : "", "finish", c.answer.finish);
  smoke_answer_free(&c.answer);
  json_decref(c.messages);
  json_decref(c.outputs);
  json_decref(c.tools);
  return entry;
}

json_t *smoke_run(const SmokeTarget *t, void (*on_case)(const json_t *entry), zaya_error *err) {
  json_t *report = json_array();
  for (int i = 0; i < N_CASES; i++) {
    zaya_error_clear(err);
    json_t *entry = run_case(t, i, err);
    json_array_append_new(report, entry);
    on_case(entry);
  }
  zaya_error_clear(err); // told with the case that it belongs to
  return report;
}

void smoke_answer_free(SmokeAnswer *a) {
  free(a->text);
  free(a->reasoning);
  json_decref(a->calls);
  *a = (SmokeAnswer){0};
}
