// guide, calls: constraints as the engine uses them, over a small tokenizer; and tool calls: what the grammar
// writes is what the parser reads.
#include "test.h"

#include "text/arg.h"
#include "text/guide.h"
#include "text/out.h"

#include <jansson.h>

enum { TAG = 300, TAG_END = 301, STOP = 302, THINK = 303, WORDS = 304, N = 330 };

static const char *const words[] = {"<function=", "</function>", "<parameter=", "</parameter>", "\n",
                                    "true",       "city",        "weather",     "</",           ">\n",
                                    "Paris",      "days",        "{\"a\":",     "<div>",        "</div>"};

static Vocab *make_vocab(void) {
  static char bytes[256];
  VocabPiece p[N] = {{0}};
  for (int i = 0; i < 256; i++) {
    bytes[i] = (char)i;
    p[i] = (VocabPiece){&bytes[i], 1, 0};
  }
  p[TAG] = (VocabPiece){"<zyphra_tool_call>", 18, VOCAB_CONTROL};
  p[TAG_END] = (VocabPiece){"</zyphra_tool_call>", 19, VOCAB_CONTROL};
  p[STOP] = (VocabPiece){"<|im_end|>", 10, VOCAB_CONTROL | VOCAB_END};
  p[THINK] = (VocabPiece){"<think>", 7, VOCAB_CONTROL};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    p[WORDS + i] = (VocabPiece){words[i], strlen(words[i]), 0};
  return vocab_new(p, N, NULL);
}

static bool allowed(const Constraint *c, int id) {
  uint32_t bits[MASK_WORDS(N) + 3];
  memset(bits, 0xFF, sizeof bits);
  assert_true(c->ops->fill_mask(c->state, bits, MASK_WORDS(N) + 3, NULL));
  assert_true(!bits[MASK_WORDS(N)] && !bits[MASK_WORDS(N) + 2]);
  assert_false(mask_get(bits, STOP) || mask_get(bits, THINK));
  return mask_get(bits, id);
}

static bool feed(const Constraint *c, const char *text) {
  return c->ops->accept_bytes(c->state, text, strlen(text), NULL);
}

static void a_schema_in_use(void **state) {
  (void)state;
  const char *text = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]"
                     ",\"additionalProperties\":false}";
  Vocab *v = make_vocab();
  Guide *g = guide_schema(v, text, strlen(text), NULL);
  vocab_free(v); // the guide keeps what it needs
  Constraint c, d = {0};
  assert_true(guide_start(g, &c, NULL));
  assert_string_equal(c.ops->name, "json_schema");
  assert_true(allowed(&c, '{') && allowed(&c, WORDS + 12) && !allowed(&c, '[') && !allowed(&c, TAG));
  assert_true(c.ops->accept(c.state, WORDS + 12, NULL));
  zaya_error err = {0};
  assert_false(c.ops->accept(c.state, '"', &err));
  assert_int_equal(err.status, ZAYA_E_INVALID);
  assert_false(c.ops->accept(c.state, TAG, NULL) || c.ops->accept(c.state, STOP, NULL) ||
               c.ops->accept(c.state, -1, NULL) || c.ops->accept(c.state, N, NULL));
  assert_true(feed(&c, "4"));
  d.ops = c.ops;
  d.state = c.ops->clone(c.state, NULL);
  assert_true(feed(&c, "2}") && c.ops->can_end(c.state) && !allowed(&c, '}'));
  assert_false(d.ops->can_end(d.state));
  assert_true(feed(&d, "}") && d.ops->can_end(d.state));
  guide_free(g); // states keep it
  assert_true(c.ops->can_end(c.state));
  constraint_free(&c);
  constraint_free(&d);
}

static void the_check_has_the_last_word(void **state) {
  (void)state;
  Vocab *v = make_vocab();
  zaya_error err = {0};
  Guide *g = guide_schema(v, "{\"type\":\"integer\"}", 18, NULL);
  assert_true(guide_check(g, "12", 2, NULL));
  assert_false(guide_check(g, "-", 1, &err));
  assert_non_null(strstr(err.message, "not complete"));
  assert_false(guide_check(g, "\"x\"", 3, NULL));
  guide_free(g);
  Guide *r = guide_regex(v, "a+", 2, NULL), *b = guide_gbnf(v, "root ::= \"x\"", 12, NULL);
  assert_true(guide_check(r, "aa", 2, NULL) && !guide_check(r, "ab", 2, NULL) &&
              guide_check(b, "x", 1, NULL));
  assert_null(guide_regex(v, "(", 1, NULL));
  guide_free(r);
  guide_free(b);
  vocab_free(v);
}

// --- tool calls ---------------------------------------------------------------------------------------

static const char tools[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"weather\",\"parameters\":{\"type\":\"object\","
    "\"properties\":{"
    "\"city\":{\"type\":\"string\"},\"days\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":14},"
    "\"unit\":{\"enum\":[\"C\",\"F\"]},\"where\":{\"$ref\":\"#/$defs/"
    "p\"},\"code\":{\"type\":\"string\",\"pattern\":\"^[A-Z<]{2,4}$\"},"
    "\"opt\":{\"type\":[\"string\",\"null\",\"number\"]},\"free\":{},\"tags\":{\"type\":\"array\",\"items\":{"
    "\"type\":\"string\"}}},"
    "\"required\":[\"city\"],\"$defs\":{\"p\":{\"type\":\"object\",\"properties\":{\"x\":{\"type\":"
    "\"number\"}},\"additionalProperties\":false}}}}},"
    "{\"name\":\"now\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}},{\"name\":\"write\","
    "\"parameters\":{\"type\":\"object\","
    "\"properties\":{\"text\":{\"type\":\"string\"},\"n\":{\"type\":\"boolean\"}},\"required\":[\"text\","
    "\"n\"]}}]";

#define CALL(body)       "<zyphra_tool_call>\n" body "</zyphra_tool_call>"
#define FN(name, body)   CALL("<function=" name ">\n" body "</function>\n")
#define ARG(name, value) "<parameter=" name ">\n" value "\n</parameter>\n"

// The grammar of calls with tags as plain text.
static Gram *calls(CallsChoice choice, const char *name, bool parallel) {
  zaya_error err = {0};
  CallsParams p = {
      .tools = tools, .choice = choice, .name = name, .parallel = parallel, .tags = out_tags(&(OutTags){0})};
  Gram *g = calls_compile(&p, &err);
  if (!g) fail_msg("%s", err.message);
  return g;
}

static bool takes(const Gram *g, const char *text) {
  Match *m = match_new(g, NULL);
  bool ok = match_accept(m, text, strlen(text), NULL) && match_can_end(m);
  match_free(m);
  return ok;
}

static void calls_are_valid_ones(void **state) {
  (void)state;
  Gram *one = calls(CALLS_REQUIRED, NULL, false), *many = calls(CALLS_REQUIRED, NULL, true);
  Gram *named = calls(CALLS_REQUIRED, "now", false), *any = calls(CALLS_AUTO, NULL, true);
  static const char *const yes[] = {
      FN("now", ""),
      FN("weather", ARG("city", "Paris")),
      FN("weather", ARG("city", "") ARG("days", "14")),
      FN("weather", ARG("city", "a\n</b> <parameter=x> </paramete\n\n\"\\") ARG("unit", "F")
                        ARG("where", "{\"x\": 1.5}")),
      FN("weather", ARG("city", "x") ARG("code", "A<Z")),
      FN("weather",
         ARG("city", "x") ARG("opt", "null") ARG("free", "Hello <b>") ARG("tags", "[\"a\", \"<\"]")),
      FN("weather", ARG("city", "x") ARG("opt", "-1.5") ARG("free", "[1,{\"a\":2}]")),
      FN("weather", ARG("city", "x") ARG("opt", "word")),
      FN("write", ARG("text", "<html>\n<div class=\"a\"></div>\n</html>") ARG("n", "true")),
  };
  static const char *const no[] = {
      "",
      "text",
      FN("nothing", ""),
      FN("weather", ""),
      FN("weather", ARG("days", "3") ARG("city", "x")),
      FN("weather", ARG("city", "x") ARG("days", "15")),
      FN("weather", ARG("city", "x") ARG("unit", "\"F\"")),
      FN("weather", ARG("city", "x") ARG("code", "</")),
      FN("weather", ARG("city", "a</parameter>b")),
      FN("weather", ARG("city", "<zyphra_tool_call>")),
      FN("weather", ARG("city", "x") ARG("opt", "true")),
      FN("weather", ARG("city", "x") ARG("opt", "1x")),
      FN("weather", ARG("city", "x") ARG("where", "{\"y\":1}")),
      FN("weather", ARG("city", "x") ARG("city", "x")),
      FN("write", ARG("text", "x")),
      FN("now", "") "x",
  };
  for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
    if (!takes(one, yes[i]) || !takes(many, yes[i]) || !takes(any, yes[i])) fail_msg("refuses\n%s", yes[i]);
  for (size_t i = 0; i < sizeof no / sizeof *no; i++)
    if (takes(one, no[i])) fail_msg("takes\n%s", no[i]);
  assert_true(takes(many, FN("now", "") "\n" FN("weather", ARG("city", "x"))) &&
              !takes(one, FN("now", "") "\n" FN("now", "")));
  assert_true(takes(named, FN("now", "")) && !takes(named, FN("weather", ARG("city", "x"))));
  assert_true(takes(any, "") && takes(any, "Let me see: <zyphra_tool_calx> </div>\n" FN("now", "")) &&
              takes(any, "no call"));
  assert_false(takes(any, "see " FN("nothing", "")) || takes(any, "<zyphra_tool_call>"));
  gram_free(one);
  gram_free(many);
  gram_free(named);
  gram_free(any);
}

static void bad_tools(void **state) {
  (void)state;
  static const char *const bad[][2] = {
      {"{}", "expected a JSON array"},
      {"[", "tools: line 1"},
      {"[]", "none to call"},
      {"[{}]", "/0 has no name"},
      {"[{\"name\":\"a<b\"}]", "no name that can be written"},
      {"[{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"not\":{}}}}}]",
       "tool \"f\": schema /properties/a/not: this keyword"},
      {"[{\"name\":\"f\",\"parameters\":{\"anyOf\":[{}]}}]", "tool \"f\": schema /anyOf: not supported"},
      {"[{\"name\":\"f\",\"parameters\":{\"type\":\"array\"}}]", "an object is expected"},
      {"[{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"type\":[\"string\",\"null\"],\"maxLength\":"
       "3}}}}]",
       "cannot be told"},
      {"[{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"enum\":[\"</x\"]}}}}]", "looks like a tag"},
      {"[{\"name\":\"f\",\"parameters\":{\"properties\":{\"a>\":{}}}}]", "cannot be written"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    zaya_error err = {0};
    CallsParams p = {.tools = bad[i][0], .choice = CALLS_REQUIRED, .tags = out_tags(&(OutTags){0})};
    Gram *g = calls_compile(&p, &err);
    if (g || !strstr(err.message, bad[i][1])) fail_msg("%s\n%s", bad[i][0], g ? "is accepted" : err.message);
  }
  zaya_error err = {0};
  CallsParams p = {.tools = tools, .name = "nobody", .tags = out_tags(&(OutTags){0})};
  assert_null(calls_compile(&p, &err));
  assert_non_null(strstr(err.message, "no tool \"nobody\""));
}

// --- noise through the mask, read by the parser
// --------------------------------------------------------------

typedef struct Seen {
  int calls, bad, mistyped;
  Buf args, name;
} Seen;

static bool on_event(void *user, const zaya_output_event *e) {
  Seen *s = user;
  s->bad += e->kind == ZAYA_OUTPUT_CALL_BAD;
  if (e->kind != ZAYA_OUTPUT_CALL_DONE) return true;
  s->calls++;
  s->mistyped += (int)e->mistyped;
  assert_true(e->known);
  json_t *v = json_loadb(e->text, e->len, 0, NULL);
  assert_true(json_is_object(v));
  json_decref(v);
  return true;
}

static uint32_t seed = 4;
static uint32_t rnd(uint32_t n) {
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % n;
}

static void the_parser_reads_what_noise_writes(void **state) {
  (void)state;
  Vocab *v = make_vocab();
  CallsParams p = {
      .tools = tools, .choice = CALLS_REQUIRED, .parallel = true, .tags = out_tags(&(OutTags){0})};
  Guide *g = guide_calls(v, &p, NULL);
  assert_non_null(g);
  int total = 0;
  for (int round = 0; round < 150; round++) {
    Constraint c;
    Buf text = {0};
    assert_true(guide_start(g, &c, NULL));
    for (int step = 0; step < 4000; step++) {
      uint32_t bits[MASK_WORDS(N)];
      int ids[N], n = 0;
      assert_true(c.ops->fill_mask(c.state, bits, MASK_WORDS(N), NULL));
      assert_true(step || (mask_get(bits, TAG) && !mask_get(bits, '<'))); // the tag as its token
      for (int id = 0; id < N; id++)
        if (mask_get(bits, id)) ids[n++] = id;
      if (c.ops->can_end(c.state) && (n == 0 || rnd(2))) break;
      assert_true(n > 0);
      int id = ids[rnd((uint32_t)n)];
      // Noise hardly ever writes a closing tag: where one is under way it is helped.
      for (int k = 0; k < n; k++)
        if (rnd(4) == 0 && (ids[k] == '\n' || ids[k] == WORDS + 3)) id = ids[k];
      assert_true(c.ops->accept(c.state, id, NULL));
      size_t len;
      const char *s = vocab_piece(v, id, &len);
      if (s[0] == VOCAB_MARK[0]) s++, len--;
      buf_add(&text, s, len, NULL);
    }
    Seen seen = {0};
    OutParams op = {.tools = tools};
    Out *o = out_new(&op, on_event, &seen, NULL);
    assert_true(out_feed(o, text.data, text.len, NULL) && out_end(o, NULL));
    if (c.ops->can_end(c.state)) assert_true(guide_check(g, text.data, text.len, NULL));
    if (c.ops->can_end(c.state) && (seen.bad || seen.mistyped || !seen.calls))
      fail_msg("%d calls, %d bad, %d mistyped:\n%s", seen.calls, seen.bad, seen.mistyped, text.data);
    total += c.ops->can_end(c.state) ? seen.calls : 0;
    out_free(o);
    buf_free(&text);
    constraint_free(&c);
  }
  assert_true(total > 100);
  guide_free(g);
  vocab_free(v);
}

// --- calls or data ---------------------------------------------------------------------------------------

static Guide *either(const Vocab *v, const char *schema, bool parallel) {
  CallsParams p = {
      .tools = tools, .choice = CALLS_REQUIRED, .parallel = parallel, .tags = out_tags(&(OutTags){0})};
  Guide *c = guide_calls(v, &p, NULL), *s = guide_schema(v, schema, strlen(schema), NULL);
  Guide *g = guide_either(c, s, NULL);
  assert_true(c && s && g);
  guide_free(c); // it keeps what it needs
  guide_free(s);
  return g;
}

static const char record[] =
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\",\"items\":{\"type\":\"string\","
    "\"maxLength\":4},"
    "\"maxItems\":3},\"n\":{\"type\":\"integer\",\"minimum\":3,\"maximum\":42}},\"required\":[\"a\",\"n\"],"
    "\"additionalProperties\":false}";

static void either_masks_are_those_of_its_sides(void **state) {
  (void)state;
  Vocab *v = make_vocab();
  Guide *g = either(v, record, false);
  Constraint c, d = {0};
  assert_true(guide_start(g, &c, NULL));
  for (int id = 0; id < N; id++) // how calls and the record begin, and nothing else
    assert_int_equal(allowed(&c, id), id == TAG || id == '{' || id == WORDS + 12);
  d.ops = c.ops;
  d.state = c.ops->clone(c.state, NULL);
  zaya_error err = {0};
  assert_false(c.ops->accept(c.state, 'x', &err));
  assert_int_equal(err.status, ZAYA_E_INVALID);
  assert_true(c.ops->accept(c.state, '{', NULL)); // a refused token leaves both sides as they were
  for (int id = 0; id < N; id++) assert_int_equal(allowed(&c, id), id == '"');
  assert_false(c.ops->accept(c.state, TAG, NULL) || c.ops->can_end(c.state));
  assert_true(feed(&c, "\"a\":[\"<zy\"],\"n\":42}") && c.ops->can_end(c.state) && !allowed(&c, TAG));
  assert_true(d.ops->accept(d.state, TAG, NULL)); // the clone goes its own way
  for (int id = 0; id < N; id++) assert_int_equal(allowed(&d, id), id == '\n' || id == WORDS + 4);
  assert_true(feed(&d, "\n<function=now>\n</function>\n") && d.ops->accept(d.state, TAG_END, NULL));
  assert_true(d.ops->can_end(d.state) && !allowed(&d, '\n') && !allowed(&d, '{')); // one call, and no text
  constraint_free(&c);
  constraint_free(&d);
  guide_free(g);
  vocab_free(v);
}

static void either_is_refused_where_it_cannot_be_told(void **state) {
  (void)state;
  Vocab *v = make_vocab();
  CallsParams p = {.tools = tools, .choice = CALLS_REQUIRED, .tags = out_tags(&(OutTags){0})};
  Guide *must = guide_calls(v, &p, NULL), *r = guide_regex(v, "[<>]x", 5, NULL),
        *ok = guide_regex(v, "x<y", 3, NULL);
  p.choice = CALLS_AUTO;
  Guide *may = guide_calls(v, &p, NULL);
  zaya_error err = {0};
  assert_null(guide_either(must, r, &err));
  assert_non_null(strstr(err.message, "begin with \"<\""));
  err = (zaya_error){0};
  assert_null(guide_either(may, ok, &err));
  assert_non_null(strstr(err.message, "must be required"));
  Guide *g = guide_either(must, ok, NULL);
  assert_true(guide_check(g, "x<y", 3, NULL) && !guide_check(g, "x", 1, NULL) &&
              !guide_check(g, "", 0, NULL));
  const char call[] = FN("now", "");
  assert_true(guide_check(g, call, sizeof call - 1, NULL));
  guide_free(g);
  guide_free(must);
  guide_free(may);
  guide_free(r);
  guide_free(ok);
  vocab_free(v);
}

static bool on_either(void *user, const zaya_output_event *e) {
  Seen *s = user;
  if (e->kind == ZAYA_OUTPUT_CONTENT) return buf_add(&s->args, e->text, e->len, NULL);
  return on_event(user, e);
}

// Noise through the mask ends in calls that the parser reads, or in a record, untouched; never in both.
static void either_noise_is_calls_or_a_record(void **state) {
  (void)state;
  Vocab *v = make_vocab();
  int done[2] = {0, 0}, several = 0;
  for (int round = 0; round < 300; round++) {
    Guide *g = either(v, record, round % 2);
    Constraint c;
    Buf text = {0};
    assert_true(guide_start(g, &c, NULL));
    bool ended = false;
    for (int step = 0; step < 4000 && !ended; step++) {
      uint32_t bits[MASK_WORDS(N)];
      int ids[N], n = 0;
      assert_true(c.ops->fill_mask(c.state, bits, MASK_WORDS(N), NULL));
      for (int id = 0; id < N; id++)
        if (mask_get(bits, id)) ids[n++] = id;
      ended = c.ops->can_end(c.state) && (n == 0 || rnd(2));
      if (ended) break;
      assert_true(n > 0);
      int id = ids[rnd((uint32_t)n)];
      for (int k = 0; k < n; k++)
        if (rnd(4) == 0 && (ids[k] == '\n' || ids[k] == WORDS + 3 || ids[k] == '"')) id = ids[k];
      assert_true(c.ops->accept(c.state, id, NULL));
      size_t len;
      const char *s = vocab_piece(v, id, &len);
      if (s[0] == VOCAB_MARK[0]) s++, len--;
      buf_add(&text, s, len, NULL);
    }
    Seen seen = {0};
    OutParams op = {.tools = tools, .verbatim = true, .or_calls = true};
    Out *o = out_new(&op, on_either, &seen, NULL);
    assert_true(out_begin_constrained(o, NULL));
    for (size_t i = 0; i < text.len; i++) assert_true(out_feed(o, text.data + i, 1, NULL));
    assert_true(out_end(o, NULL));
    if (ended) {
      assert_true(guide_check(g, text.data, text.len, NULL));
      if (seen.bad || seen.mistyped || !seen.calls == !seen.args.len || (seen.calls > 1 && round % 2 == 0))
        fail_msg("%d calls, %d bad, %d mistyped:\n%s", seen.calls, seen.bad, seen.mistyped, text.data);
      if (!seen.calls) assert_string_equal(seen.args.data, text.data);
      done[seen.calls > 0]++;
      several += seen.calls > 1;
    }
    out_free(o);
    buf_free(&seen.args);
    buf_free(&text);
    constraint_free(&c);
    guide_free(g);
  }
  assert_true(done[0] > 100 && done[1] > 40 && several > 5);
  vocab_free(v);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_schema_in_use),
      cmocka_unit_test(the_check_has_the_last_word),
      cmocka_unit_test(calls_are_valid_ones),
      cmocka_unit_test(bad_tools),
      cmocka_unit_test(the_parser_reads_what_noise_writes),
      cmocka_unit_test(either_masks_are_those_of_its_sides),
      cmocka_unit_test(either_is_refused_where_it_cannot_be_told),
      cmocka_unit_test(either_noise_is_calls_or_a_record),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
