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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_schema_in_use),
      cmocka_unit_test(the_check_has_the_last_word),
      cmocka_unit_test(calls_are_valid_ones),
      cmocka_unit_test(bad_tools),
      cmocka_unit_test(the_parser_reads_what_noise_writes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
