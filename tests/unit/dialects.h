// dialects: what the tests of dialects share: requests that are read or refused, a script of an answer told
// as events and as a whole, and the events of a stream taken apart.
#pragma once

#include "server/dialect.h"

#include "test.h"

#define QUOTE(...) #__VA_ARGS__

static DialectEnv env_of(void *store) {
  static zaya_sampling defaults;
  defaults = zaya_sampling_default();
  return (DialectEnv){.defaults = &defaults, .model = "zaya-nano", .store = store};
}

static json_t *json_of(const char *text) {
  json_error_t why;
  json_t *v = json_loads(text, JSON_DECODE_ANY, &why);
  if (!v) fail_msg("%s: %s", text, why.text);
  return v;
}

// Reads a request that is in order.
static void read_ask(const Dialect *d, const DialectEnv *env, const char *text, Ask *ask) {
  AskFault fault = {0};
  json_t *body = json_of(text);
  if (!d->parse(env, body, ask, &fault)) fail_msg("%s: refused: %s", text, fault.error.message);
  assert_int_equal(fault.status, 0);
  json_decref(body);
}

// A request that is refused for `field`, with `says` in the message.
static void refused(const Dialect *d, const DialectEnv *env, const char *text, const char *field,
                    const char *says) {
  Ask ask;
  AskFault fault = {0};
  json_t *body = json_of(text);
  if (d->parse(env, body, &ask, &fault)) fail_msg("%s: not refused", text);
  assert_int_equal(fault.status, 400);
  assert_string_equal(fault.field, field);
  if (strncmp(fault.error.message, field, strlen(field)) != 0 || !strstr(fault.error.message, says))
    fail_msg("%s: says \"%s\", expected \"%s\"", text, fault.error.message, says);
  ask_free(&ask);
  json_decref(body);
}

static void assert_json(const json_t *got, const char *want) {
  json_t *v = json_of(want);
  if (!json_equal(got, v)) {
    char *text = json_dumps(got, JSON_ENCODE_ANY | JSON_COMPACT);
    fail_msg("got  %s\nwant %s", text, want);
  }
  json_decref(v);
}

// --- an answer, told twice -------------------------------------------------------------------------------

typedef struct Step { // of a script; kind -1 ends it
  int kind;           // ReplyKind
  bool begins;
  const char *text; // a call's arguments
  const char *name; // of a call
} Step;

enum { SCRIPT_END = -1 };

static void tell_call(Answer *a, const Step *step, const char *id) {
  zaya_error err = {0};
  const zaya_output_event e = {.kind = ZAYA_OUTPUT_CALL_DONE,
                               .name = step->name,
                               .text = step->text,
                               .len = strlen(step->text),
                               .raw = "<raw>",
                               .raw_len = 5};
  assert_true(answer_add_call(a, id, &e, &err));
}

// Gathers the answer; with `out` also streams it. The events that a job would send are those of the answer:
// `begins` where a part does.
static void tell(const Dialect *d, void *state, const Step *script, Answer *a, Buf *out) {
  zaya_error err = {0};
  if (out) assert_true(d->begin(state, out, &err));
  for (const Step *s = script; s->kind != SCRIPT_END; s++) {
    char id[32];
    const size_t len = strlen(s->text), parts = a->n_parts;
    snprintf(id, sizeof id, "call_%zu", a->n_calls);
    if (s->kind == REPLY_REASONING) assert_true(answer_add_reasoning(a, s->begins, s->text, len, &err));
    if (s->kind == REPLY_CONTENT) assert_true(answer_add_content(a, s->text, len, &err));
    if (s->kind == REPLY_CALL) tell_call(a, s, id);
    ReplyEvent e = {.kind = (ReplyKind)s->kind, .text = s->text, .len = len, .begins = a->n_parts > parts};
    if (s->kind == REPLY_CALL) {
      e.index = a->n_calls - 1;
      e.call = &a->calls[e.index];
    }
    if (out) assert_true(d->event(state, &e, out, &err));
  }
}

// The events of a stream: [[event or null, data], ..]; data is JSON. Fails on anything else in it.
static json_t *events_of(const Buf *out) {
  json_t *list = json_array();
  const char *p = out->data ? out->data : "";
  while (*p) {
    const char *end = strstr(p, "\n\n");
    assert_non_null(end);
    json_t *name = json_null();
    if (!strncmp(p, "event: ", 7)) {
      const size_t n = strcspn(p + 7, "\n");
      name = json_stringn(p + 7, n);
      p += 7 + n + 1;
    }
    assert_true(!strncmp(p, "data: ", 6));
    json_t *data = json_loadb(p + 6, (size_t)(end - p - 6), 0, NULL);
    assert_non_null(data);
    json_array_append_new(list, json_pack("[o, o]", name, data));
    p = end + 2;
  }
  return list;
}
