// out: the rules of docs/output.md, one by one; each output is fed whole and byte by byte.
#include "test.h"

#include "collect.h"
#include "text/out.h"

static const char *const tools =
    "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":"
    "{"
    "\"s\":{\"type\":\"string\"},\"i\":{\"type\":\"integer\"},\"n\":{\"type\":\"number\"},\"b\":{\"type\":"
    "\"boolean\"},"
    "\"z\":{\"type\":\"null\"},\"o\":{\"type\":\"object\"},\"a\":{\"type\":\"array\"},"
    "\"sn\":{\"type\":[\"string\",\"null\"]},\"any\":{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}"
    "]},"
    "\"e\":{\"enum\":[\"1\",\"2\"]},\"c\":{\"const\":3},\"r\":{\"$ref\":\"#/$defs/x~1y\"},"
    "\"all\":{\"allOf\":[{\"type\":[\"string\",\"integer\"]},{\"type\":[\"integer\",\"null\"]}]},"
    "\"nu\":{\"type\":\"string\",\"nullable\":true},\"loop\":{\"$ref\":\"#/$defs/loop\"}},"
    "\"additionalProperties\":{\"type\":\"string\"},"
    "\"$defs\":{\"x/y\":{\"type\":\"string\"},\"loop\":{\"anyOf\":[{\"$ref\":\"#/$defs/loop\"},{\"$ref\":\"#/"
    "$defs/loop\"}]}}}}},"
    "{\"name\":\"g\",\"input_schema\":{\"properties\":{\"s\":{\"type\":\"string\"}}}},"
    "{\"type\":\"function\",\"name\":\"h\",\"parameters\":{}}]";

// The events for `text`, fed whole; byte by byte they must be the same, and every byte accounted for.
static char *events(OutParams params, const char *text) {
  static Collect c;
  size_t n = strlen(text);
  char *first = NULL;
  for (int pass = 0; pass < 2; pass++) {
    collect_reset(&c);
    zaya_error err = {0};
    Out *o = out_new(&params, collect_event, &c, &err);
    if (!o) fail_msg("%s", err.message);
    for (size_t i = 0, step = pass ? 1 : n; i < n; i += step) {
      if (!out_feed(o, text + i, step, &err)) fail_msg("%s", err.message);
      zaya_output_counts k = out_counts(o);
      assert_int_equal(k.fed, i + step);
      assert_int_equal(k.reasoning + k.content + k.calls + k.markup + k.held, k.fed);
    }
    assert_true(out_end(o, NULL));
    zaya_output_counts k = out_counts(o);
    assert_int_equal(k.held, 0);
    assert_int_equal(k.reasoning + k.content + k.calls + k.markup, n);
    assert_int_equal(k.calls, c.raw_bytes);
    out_free(o);
    if (first)
      assert_string_equal(first, c.log);
    else
      first = strdup(c.log);
  }
  free(first);
  return c.log;
}

static char *plain(const char *text) { return events((OutParams){.tools = tools}, text); }
static char *thinking(const char *text) {
  return events((OutParams){.tools = tools, .thinking = true}, text);
}

static void content_is_content(void **state) {
  (void)state;
  assert_string_equal(plain(""), ".");
  assert_string_equal(plain("Hello"), "C(Hello) .");
  assert_string_equal(plain("a < b, <thi, <zyphra, </x> <function=f> <"),
                      "C(a < b, <thi, <zyphra, </x> <function=f> <) .");
  assert_string_equal(plain("<<think>x"), "C(<) R0(x) T0 .");
  assert_string_equal(plain("\n\nlead"), "C(lead) .");
  assert_string_equal(plain("a\n\n\nb\n\n"), "C(a\n\n\nb\n\n) .");
  assert_string_equal(plain("\n\n"), ".");
  assert_string_equal(plain("cut: <zyphra"), "C(cut: <zyphra) .");
}

static void thinking_is_split_off(void **state) {
  (void)state;
  assert_string_equal(plain("<think>\nhm\n</think>\n\nyes"), "R0(hm) D0 C(yes) .");
  assert_string_equal(thinking("hm\n</think>\n\nyes"), "R0(hm) D0 C(yes) .");
  assert_string_equal(thinking("\n\nhm, \n so\n\n</think>yes"), "R0(hm, \n so) D0 C(yes) .");
  // The model repeats the tag that the prompt opened.
  assert_string_equal(thinking("<think>\nhm</think>yes"), "R0(hm) D0 C(yes) .");
  // Nothing thought.
  assert_string_equal(thinking("\n</think>\n\nyes"), "C(yes) .");
  assert_string_equal(plain("<think>\n\n</think>\n\nyes"), "C(yes) .");
  // A missing closing tag: what was thought stays thought.
  assert_string_equal(thinking("hm\n"), "R0(hm) T0 .");
  assert_string_equal(thinking("hm </thin"), "R0(hm </thin) T0 .");
  assert_string_equal(thinking(""), ".");
  // Several blocks; newlines next to them frame, but keep text on both sides apart.
  assert_string_equal(plain("<think>a</think>\n<think>b</think>\nc"), "R0(a) D0 R1(b) D1 C(c) .");
  assert_string_equal(plain("a\n<think>b</think>\n\nc"), "C(a) R0(b) D0 C(\n\nc) .");
  assert_string_equal(plain("a\n\n\n<think>b</think>\nc\n<think>d"), "C(a) R0(b) D0 C(\n\n\nc) R1(d) T1 .");
  assert_string_equal(plain("a<think>b</think>c"), "C(a) R0(b) D0 C(c) .");
  // An opening tag inside a block opens nothing.
  assert_string_equal(thinking("a <think> b</think>c</think>d"), "R0(a  b) D0 C(cd) .");
  // Nothing is a call while thinking.
  assert_string_equal(thinking("<zyphra_tool_call>\n<function=f>\n</function>\n</zyphra_tool_call></think>x"),
                      "R0(<zyphra_tool_call>\n<function=f>\n</function>\n</zyphra_tool_call>) D0 C(x) .");
}

static void stray_tags_are_not_shown(void **state) {
  (void)state;
  assert_string_equal(plain("a</think>b"), "C(ab) .");
  assert_string_equal(plain("a\n</think>\n\nb"), "C(a\n\nb) .");
  assert_string_equal(plain("</think>\n\nb</zyphra_tool_call>"), "C(b) .");
  assert_string_equal(plain("a<zyphra_tool_response>\nr\n</zyphra_tool_response>\n"), "C(a\nr) .");
  // Only right behind a call are the inner closing tags known to be stray.
  assert_string_equal(
      plain("<zyphra_tool_call><function=f></function></zyphra_tool_call>\n</function>\n</"
            "zyphra_tool_call>x</function>"),
      "K0(f) A0({}) E0(f|1|0|{}|<zyphra_tool_call><function=f></function></zyphra_tool_call>) "
      "C(x</function>) .");
  // "x" is text: from there a closing tag is what the model says.
  assert_string_equal(plain("<p>\n</parameter></p>"), "C(<p>\n</parameter></p>) .");
}

#define CALL(args)       "<zyphra_tool_call>\n<function=f>\n" args "</function>\n</zyphra_tool_call>"
#define ARG(name, value) "<parameter=" name ">\n" value "\n</parameter>\n"

// The arguments object of one call.
static void check_args(const char *args, const char *expected, size_t mistyped) {
  char text[4096], want[8192];
  snprintf(text, sizeof text, "<zyphra_tool_call>\n<function=f>\n%s</function>\n</zyphra_tool_call>", args);
  snprintf(want, sizeof want, "K0(f) A0(%s) E0(f|1|%zu|%s|%s) .", expected, mistyped, expected, text);
  assert_string_equal(plain(text), want);
}

static void values_are_typed(void **state) {
  (void)state;
  check_args("", "{}", 0);
  check_args(ARG("s", "42"), "{\"s\":\"42\"}", 0);
  check_args(ARG("s", "\"q\"\\\t\x01"), "{\"s\":\"\\\"q\\\"\\\\\\t\\u0001\"}", 0);
  check_args(ARG("i", " 42 ") ARG("s", "x"), "{\"i\":42,\"s\":\"x\"}", 0);
  check_args(ARG("i", "42.0"), "{\"i\":42}", 0);
  check_args(ARG("i", "123456789012345678901234567890"), "{\"i\":123456789012345678901234567890}", 0);
  check_args(ARG("i", "4.5"), "{\"i\":4.5}", 1);
  check_args(ARG("i", "four"), "{\"i\":\"four\"}", 1);
  check_args(ARG("i", "007"), "{\"i\":\"007\"}", 1);
  check_args(ARG("i", ""), "{\"i\":\"\"}", 1);
  check_args(ARG("n", "-1.50e3"), "{\"n\":-1.50e3}", 0);
  check_args(ARG("n", "3"), "{\"n\":3}", 0);
  check_args(ARG("n", "1e999"), "{\"n\":\"1e999\"}", 1);
  check_args(ARG("b", "true"), "{\"b\":true}", 0);
  check_args(ARG("b", "False"), "{\"b\":false}", 0);
  check_args(ARG("b", "yes"), "{\"b\":\"yes\"}", 1);
  check_args(ARG("z", "None"), "{\"z\":null}", 0);
  check_args(ARG("o", "{\"k\": [1, \"<x>\"]}"), "{\"o\":{\"k\": [1, \"<x>\"]}}", 0);
  check_args(ARG("o", "[1]"), "{\"o\":[1]}", 1);
  check_args(ARG("o", "{k: 1}"), "{\"o\":\"{k: 1}\"}", 1);
  check_args(ARG("a", "[]"), "{\"a\":[]}", 0);
  check_args(ARG("sn", "null"), "{\"sn\":null}", 0);
  check_args(ARG("sn", "\"null\""), "{\"sn\":\"\\\"null\\\"\"}", 0);
  check_args(ARG("any", "5"), "{\"any\":5}", 0);
  check_args(ARG("any", "5.5"), "{\"any\":\"5.5\"}", 0);
  check_args(ARG("e", "1"), "{\"e\":\"1\"}", 0);
  check_args(ARG("c", "3"), "{\"c\":3}", 0);
  check_args(ARG("r", "3"), "{\"r\":\"3\"}", 0);
  check_args(ARG("all", "3"), "{\"all\":3}", 0);
  check_args(ARG("all", "null"), "{\"all\":null}", 1);
  check_args(ARG("nu", "null"), "{\"nu\":null}", 0);
  check_args(ARG("loop", "3"), "{\"loop\":3}", 0);
  check_args(ARG("more", "3"), "{\"more\":\"3\"}", 0); // additionalProperties
}

static void without_schema_json_else_text(void **state) {
  (void)state;
  static const char text[] = "<zyphra_tool_call><function=u>" ARG("a", "1") ARG("b", "\"x\"") ARG("c", "x y")
      ARG("d", "{\"k\":null}") ARG("e", "True") "</function></zyphra_tool_call>";
  static const char args[] = "{\"a\":1,\"b\":\"x\",\"c\":\"x y\",\"d\":{\"k\":null},\"e\":\"True\"}";
  char want[2048];
  snprintf(want, sizeof want, "K0(u) A0(%s) E0(u|0|0|%s|%s) .", args, args, text);
  assert_string_equal(plain(text), want);
  assert_string_equal(events((OutParams){0}, text), want);
}

static void other_shapes_of_tools(void **state) {
  (void)state;
  assert_non_null(
      strstr(plain("<zyphra_tool_call><function=g><parameter=s>1</parameter></function></zyphra_tool_call>"),
             "E0(g|1|0|{\"s\":\"1\"}|"));
  assert_non_null(
      strstr(plain("<zyphra_tool_call><function=h><parameter=s>1</parameter></function></zyphra_tool_call>"),
             "E0(h|1|0|{\"s\":1}|"));
}

static void one_newline_on_either_side_frames(void **state) {
  (void)state;
  check_args("<parameter=s>x</parameter>", "{\"s\":\"x\"}", 0);
  check_args("<parameter=s></parameter>", "{\"s\":\"\"}", 0);
  check_args("<parameter=s>\n</parameter>", "{\"s\":\"\"}", 0);
  check_args("<parameter=s>\n\n</parameter>", "{\"s\":\"\"}", 0);
  check_args("<parameter=s>\n\n\n</parameter>", "{\"s\":\"\\n\"}", 0);
  check_args("<parameter=s>\n\n x \n\n</parameter>", "{\"s\":\"\\n x \\n\"}", 0);
  check_args("<parameter=s>\r\nx</parameter>", "{\"s\":\"\\r\\nx\"}", 0);
}

static void values_may_hold_markup(void **state) {
  (void)state;
  check_args(ARG("s", "<a></parameter></a>"), "{\"s\":\"<a></parameter></a>\"}", 0);
  check_args(ARG("s", "</parameter></parameter>"), "{\"s\":\"</parameter></parameter>\"}", 0);
  check_args(ARG("s", "</parameter> \n x"), "{\"s\":\"</parameter> \\n x\"}", 0);
  check_args(ARG("s", "</function> <function=f> <think> </think>"),
             "{\"s\":\"</function> <function=f> <think> </think>\"}", 0);
  check_args(ARG("s", "<parameter=t>"), "{\"s\":\"<parameter=t>\"}", 0);
  // A whole call quoted inside a value.
  check_args(
      ARG("s", "<zyphra_tool_call><function=x><parameter=y>1</parameter></function></zyphra_tool_call>!"),
      "{\"s\":\"<zyphra_tool_call><function=x><parameter=y>1</parameter></function></zyphra_tool_call>!\"}",
      0);
  check_args(ARG("s", "</parameter><zyphra_tool_call></zyphra_tool_call>"),
             "{\"s\":\"</parameter><zyphra_tool_call></zyphra_tool_call>\"}", 0);
}

static void calls_follow_one_another(void **state) {
  (void)state;
  assert_string_equal(
      plain("Two:\n\n" CALL("") "\n" CALL("") "\n"),
      "C(Two:) K0(f) A0({}) E0(f|1|0|{}|" CALL("") ") K1(f) A1({}) E1(f|1|0|{}|" CALL("") ") .");
  assert_string_equal(plain("a\n" CALL("") "\n\nb\n"),
                      "C(a) K0(f) A0({}) E0(f|1|0|{}|" CALL("") ") C(\n\nb\n) .");
  assert_string_equal(thinking("t</think>" CALL("") "<think>u</think>v"),
                      "R0(t) D0 K0(f) A0({}) E0(f|1|0|{}|" CALL("") ") R1(u) D1 C(v) .");
  // Two functions in one frame, and a frame that is not closed before the next.
  assert_string_equal(
      plain("<zyphra_tool_call><function=f></function>\n<function=g></function></zyphra_tool_call>"),
      "K0(f) A0({}) E0(f|1|0|{}|<zyphra_tool_call><function=f></function>\n) "
      "K1(g) A1({}) E1(g|1|0|{}|<function=g></function></zyphra_tool_call>) .");
  assert_string_equal(
      plain("<zyphra_tool_call><function=f></function>\n<zyphra_tool_call><function=g></function></"
            "zyphra_tool_call>"),
      "K0(f) A0({}) E0(f|1|0|{}|<zyphra_tool_call><function=f></function>\n) "
      "K1(g) A1({}) E1(g|1|0|{}|<zyphra_tool_call><function=g></function></zyphra_tool_call>) .");
  // The function's closing tag may be missing: every value is closed, and so is the call.
  assert_string_equal(
      plain("<zyphra_tool_call><function=f><parameter=i>1</parameter></zyphra_tool_call>"),
      "K0(f) A0({\"i\":1}) "
      "E0(f|1|0|{\"i\":1}|<zyphra_tool_call><function=f><parameter=i>1</parameter></zyphra_tool_call>) .");
}

// A call that is reported as bad: its reason, and nothing shown.
static void check_bad(const char *text, const char *name, const char *reason, bool truncated) {
  char *log = plain(text), want[512];
  snprintf(want, sizeof want, "B0(%s|%d|%s|%s) .", name, truncated, reason, text);
  const char *found = strstr(log, "B0(");
  assert_non_null(found);
  assert_string_equal(found, want);
  assert_null(strstr(log, "C("));
  assert_null(strstr(log, "E0("));
}

static void malformed_calls_are_reported(void **state) {
  (void)state;
  check_bad("<zyphra_tool_call></zyphra_tool_call>", "-", "the call is empty", false);
  check_bad("<zyphra_tool_call>{\"name\":1}</zyphra_tool_call>", "-", "text before the function", false);
  check_bad("<zyphra_tool_call><parameter=x></zyphra_tool_call>", "-", "no function at its start", false);
  check_bad("<zyphra_tool_call><function= ></zyphra_tool_call>", "-", "the function has no proper name",
            false);
  check_bad("<zyphra_tool_call><function=a\nb></zyphra_tool_call>", "-", "the function has no proper name",
            false);
  check_bad("<zyphra_tool_call><function=a<parameter=b>></zyphra_tool_call>", "-", "a tag inside a name",
            false);
  check_bad("<zyphra_tool_call><function=a</zyphra_tool_call>", "-", "the call ends inside a name", false);
  check_bad("<zyphra_tool_call><function=f>x</function></zyphra_tool_call>", "f",
            "text between the parameters", false);
  check_bad("<zyphra_tool_call><function=f></parameter></zyphra_tool_call>", "f",
            "a tag where none should be", false);
  check_bad("<zyphra_tool_call><function=f></function>x</zyphra_tool_call>", "f", "text behind the function",
            false);
  check_bad("<zyphra_tool_call><function=f><parameter=></parameter></function></zyphra_tool_call>", "f",
            "a parameter has no proper name", false);
  check_bad("<zyphra_tool_call><function=f><parameter=s>1</function></zyphra_tool_call>", "f",
            "parameter \"s\" is not closed", false);
  check_bad(CALL(ARG("s", "1") ARG("s", "2")), "f", "parameter \"s\" is given twice", false);
  // The output goes on behind one, also when another call begins inside it.
  assert_string_equal(plain("<zyphra_tool_call>x</zyphra_tool_call>\nb"),
                      "B0(-|0|text before the function|<zyphra_tool_call>x</zyphra_tool_call>) C(b) .");
  assert_string_equal(
      plain("<zyphra_tool_call><function=f>\n<zyphra_tool_call><function=f></function></zyphra_tool_call>"),
      "K0(f) A0({) B0(f|0|another call begins before it ends|<zyphra_tool_call><function=f>\n) "
      "K1(f) A1({}) E1(f|1|0|{}|<zyphra_tool_call><function=f></function></zyphra_tool_call>) .");
}

static void truncated_calls_are_reported(void **state) {
  (void)state;
  check_bad("<zyphra_too", "-", "the output ends before its function is named", true);
  check_bad("<zyphra_tool_call>", "-", "the output ends before its function is named", true);
  check_bad("<zyphra_tool_call>\n<function=f", "-", "the output ends before its function is named", true);
  check_bad("<zyphra_tool_call>\n<function=f>\n<par", "f", "the output ends between its parameters", true);
  check_bad("<zyphra_tool_call>\n<function=f>\n<parameter=s", "f",
            "the output ends inside the name of a parameter", true);
  check_bad("<zyphra_tool_call>\n<function=f>\n<parameter=s>\nx", "f",
            "parameter \"s\" is cut off by the end of the output", true);
  check_bad("<zyphra_tool_call>\n<function=f>\n<parameter=s>\nx\n</parameter>\n", "f",
            "parameter \"s\" is cut off by the end of the output", true);
  check_bad("<zyphra_tool_call>x", "-", "text before the function", true);
  // All that matters was written: only the frame is not closed.
  assert_string_equal(plain("<zyphra_tool_call><function=f></function>\n</zyphra"),
                      "K0(f) A0({}) E0(f|1|0|{}|<zyphra_tool_call><function=f></function>\n</zyphra) .");
}

static void long_calls_are_refused(void **state) {
  (void)state;
  zaya_error err = {0};
  Collect c = {0};
  collect_reset(&c);
  OutParams params = {.max_call_bytes = 100};
  Out *o = out_new(&params, collect_event, &c, &err);
  static const char head[] = "<zyphra_tool_call><function=f><parameter=s>";
  assert_true(out_feed(o, head, strlen(head), &err));
  for (int i = 0; i < 1000; i++) assert_true(out_feed(o, "0123456789", 10, &err));
  static const char tail[] = "</parameter></function></zyphra_tool_call>ok";
  assert_true(out_feed(o, tail, strlen(tail), &err) && out_end(o, &err));
  assert_non_null(strstr(c.log, "B0(f|0|the call is longer than the limit|"));
  assert_non_null(strstr(c.log, "C(ok)"));
  assert_int_equal(c.raw_bytes, 100);
  zaya_output_counts k = out_counts(o);
  assert_int_equal(k.calls, k.fed - 2);
  out_free(o);
  collect_free(&c);
}

static void malformed_utf8_is_replaced(void **state) {
  (void)state;
  assert_string_equal(plain("\xE2\x82\xAC|\xE2\x82|\xFF"), "C(\xE2\x82\xAC|\xEF\xBF\xBD|\xEF\xBF\xBD) .");
  assert_string_equal(plain("a\xE2</think>\x82\xACz"), "C(a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz) .");
  check_args("<parameter=s>\xE2\x82\xAC\xE2\x82</parameter>", "{\"s\":\"\xE2\x82\xAC\xEF\xBF\xBD\"}", 0);
}

static void verbatim_answers_are_untouched(void **state) {
  (void)state;
  OutParams v = {.verbatim = true};
  assert_string_equal(events(v, "{\"a\": \"</think><zyphra_tool_call>\"}\n"),
                      "C({\"a\": \"</think><zyphra_tool_call>\"}\n) .");
  assert_string_equal(events(v, "<think>\nhm\n</think>\n\n{\"a\": \"<think>\"}\n\n"),
                      "R0(hm) D0 C({\"a\": \"<think>\"}\n\n) .");
  assert_string_equal(events(v, "\n\n<<think>"), "C(\n\n<<think>) .");
  assert_string_equal(events(v, "<thi"), "C(<thi) .");
  assert_string_equal(events(v, "\n"), "C(\n) .");
  v.thinking = true;
  assert_string_equal(events(v, "</think>\n\n"), ".");
  assert_string_equal(events(v, "a</think>\n<think>b</think>\nc</think>"),
                      "R0(a) D0 R1(b) D1 C(c</think>) .");
}

static void data_or_calls_is_settled_by_the_beginning(void **state) {
  (void)state;
#define EMPTY_CALL    "<zyphra_tool_call>\n<function=f>\n</function>\n</zyphra_tool_call>"
#define EMPTY_SEEN(n) "K" n "(f) A" n "({}) E" n "(f|0|0|{}|" EMPTY_CALL ") "
  OutParams p = {.verbatim = true, .or_calls = true};
  assert_string_equal(events(p, "{\"a\": \"" EMPTY_CALL "<think>\"}\n"),
                      "C({\"a\": \"" EMPTY_CALL "<think>\"}\n) .");
  assert_string_equal(events(p, EMPTY_CALL), EMPTY_SEEN("0") ".");
  assert_string_equal(events(p, EMPTY_CALL "\n" EMPTY_CALL "\n"), EMPTY_SEEN("0") EMPTY_SEEN("1") ".");
  assert_string_equal(events(p, "<think>\nhm\n</think>\n\n" EMPTY_CALL), "R0(hm) D0 " EMPTY_SEEN("0") ".");
  assert_string_equal(events(p, "<think>\nhm\n</think>\n\n[\"" EMPTY_CALL "\"]"),
                      "R0(hm) D0 C([\"" EMPTY_CALL "\"]) .");
  assert_string_equal(events(p, " " EMPTY_CALL), "C( " EMPTY_CALL ") .");
  assert_string_equal(events(p, "<zyphra_tool_ca"),
                      "B0(-|1|the output ends before its function is named|<zyphra_tool_ca) .");
  assert_string_equal(events(p, "<zyp"), "C(<zyp) .");
  assert_string_equal(events(p, "<zypx" EMPTY_CALL), "C(<zypx" EMPTY_CALL ") .");
  p.thinking = true;
  assert_string_equal(events(p, "hm" EMPTY_CALL "</think>\n" EMPTY_CALL),
                      "R0(hm" EMPTY_CALL ") D0 " EMPTY_SEEN("0") ".");
  p = (OutParams){.plain = true, .or_calls = true};
  assert_string_equal(events(p, EMPTY_CALL), "C(" EMPTY_CALL ") .");
}

// A limit fell into a tag: what is surely one is not shown, what may be text is.
static void tags_that_a_limit_cut_are_not_shown(void **state) {
  (void)state;
  static const struct {
    OutParams params;
    const char *text, *cut, *ended;
  } cases[] = {
      {{.thinking = false}, "<think", ".", "C(<think) ."},
      {{.thinking = false}, "a\n\n<thi", "C(a) .", "C(a\n\n<thi) ."},
      {{.thinking = false},
       "a\n\n<th",
       "C(a\n\n<th) .",
       "C(a\n\n<th) ."}, // of a table as well as of a thought
      {{.thinking = false}, "a <", "C(a <) .", "C(a <) ."},
      {{.thinking = false}, "a</think", "C(a) .", "C(a</think) ."},
      {{.thinking = false}, "a<zyphra_tool_respo", "C(a) .", "C(a<zyphra_tool_respo) ."},
      {{.thinking = true}, "hm\n</thin", "R0(hm) T0 .", "R0(hm\n</thin) T0 ."},
      {{.thinking = true}, "hm</th", "R0(hm</th) T0 .", "R0(hm</th) T0 ."},
      {{.verbatim = true}, "<think", ".", "C(<think) ."},
      {{.verbatim = true}, "{\"a\":\"<think", "C({\"a\":\"<think) .", "C({\"a\":\"<think) ."},
      {{.verbatim = true, .or_calls = true}, "<think", ".", "C(<think) ."},
      {{.plain = true}, "<think", "C(<think) .", "C(<think) ."},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int cut = 0; cut < 2; cut++) {
      Collect c = {0};
      collect_reset(&c);
      Out *o = out_new(&cases[i].params, collect_event, &c, NULL);
      const size_t n = strlen(cases[i].text);
      for (size_t k = 0; k < n; k++) assert_true(out_feed(o, cases[i].text + k, 1, NULL));
      if (cut) out_cut(o);
      assert_true(out_end(o, NULL));
      assert_string_equal(c.log, cut ? cases[i].cut : cases[i].ended);
      const zaya_output_counts k = out_counts(o);
      assert_int_equal(k.reasoning + k.content + k.markup, n);
      out_free(o);
      collect_free(&c);
    }
}

static void plain_texts_have_no_tags(void **state) {
  (void)state;
  OutParams p = {.plain = true};
  assert_string_equal(events(p, "\n<think>a</think>\n\n<zyphra_tool_call>\n"),
                      "C(\n<think>a</think>\n\n<zyphra_tool_call>\n) .");
  assert_string_equal(events(p, "a <thi"), "C(a <thi) .");
  p.thinking = true;
  assert_null(out_new(&p, collect_event, NULL, NULL));
}

static void tags_are_parameters(void **state) {
  (void)state;
  OutParams p = {
      .tags = {.think_open = "[THINK]", .think_close = "[/THINK]", .call_open = "aab", .call_close = "zz"}};
  assert_string_equal(events(p, "[THINK]a[/THINK]<think>"), "R0(a) D0 C(<think>) .");
  assert_string_equal(events(p, "aaab<function=f></function>zz"),
                      "C(a) K0(f) A0({}) E0(f|0|0|{}|aab<function=f></function>zz) .");
  zaya_error err = {0};
  p = (OutParams){.tags = {.think_open = "<t", .think_close = "<tt>"}};
  assert_null(out_new(&p, collect_event, NULL, &err));
  assert_non_null(strstr(err.message, "cannot be told apart"));
  zaya_error_clear(&err);
  p = (OutParams){.tags = {.think_open = ""}};
  assert_null(out_new(&p, collect_event, NULL, &err));
  zaya_error_clear(&err);
  p = (OutParams){.tools = "[1, 2"};
  assert_null(out_new(&p, collect_event, NULL, &err));
  assert_non_null(strstr(err.message, "tools: line 1"));
  zaya_error_clear(&err);
  p = (OutParams){.tools = "{}"};
  assert_null(out_new(&p, collect_event, NULL, &err));
}

static void receivers_can_refuse(void **state) {
  (void)state;
  static const char text[] = "<think>a</think>b" CALL(ARG("s", "1")) CALL("x") "c";
  size_t total = 0;
  for (size_t stop = 0; stop <= total; stop++) {
    Collect c = {.stop_at = stop};
    collect_reset(&c);
    zaya_error err = {0};
    OutParams params = {.tools = tools};
    Out *o = out_new(&params, collect_event, &c, &err);
    bool ok = out_feed(o, text, strlen(text), &err) && out_end(o, &err);
    if (stop == 0) total = c.events;
    assert_int_equal(ok, stop == 0);
    if (!ok) {
      assert_int_equal(err.status, ZAYA_E_CANCELLED);
      assert_false(out_feed(o, "x", 1, NULL));
      assert_int_equal(c.events, stop);
    }
    out_free(o);
    collect_free(&c);
  }
  assert_true(total > 8);
}

static void prompts_that_open_a_block(void **state) {
  (void)state;
  static const struct {
    const char *prompt;
    bool thinks;
  } cases[] = {
      {"", false},
      {"<|im_start|>assistant\n", false},
      {"<|im_start|>assistant\n<think>\n", true},
      {"<|im_start|>assistant\n<think>\n</think>\n\n", false},
      {"<|im_start|>assistant\n<think>\nSo far", true},
      {"<|im_start|>user\n<think><|im_end|>\n<|im_start|>assistant\n", false},
      {"<think>", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_int_equal(zaya_output_prompt_thinks(NULL, NULL, cases[i].prompt, strlen(cases[i].prompt)),
                     cases[i].thinks);
}

static void looking_ahead(void **state) {
  (void)state;
  Collect c = {0};
  collect_reset(&c);
  OutParams p = {.thinking = true};
  Out *o = out_new(&p, collect_event, &c, NULL);
  assert_true(out_feed(o, "so </th", 7, NULL));
  OutLook look = out_look(o, "ink>\n\n{", 7);
  assert_true(look.closes && !look.opens);
  assert_int_equal(look.behind, 6);
  assert_false(out_look(o, "ink", 3).closes);
  look = out_look(o, "ink>a<think>", 12);
  assert_true(look.closes && look.opens);
  assert_int_equal(look.behind, 4);
  assert_true(out_feed(o, "ink>", 4, NULL));
  assert_false(out_thinking(o) || out_visible(o));
  assert_true(out_look(o, "a<think>", 8).opens);
  assert_false(out_look(o, "<zyphra_tool_call><think>", 25).opens);
  assert_true(out_feed(o, " \n", 2, NULL));
  assert_false(out_visible(o));
  assert_true(out_feed(o, " x", 2, NULL));
  assert_true(out_visible(o));
  out_free(o);
  p = (OutParams){.verbatim = true};
  o = out_new(&p, collect_event, &c, NULL);
  assert_true(out_look(o, "\n<think>", 8).opens);
  assert_false(out_look(o, "</think><think>", 15).opens); // an answer that begins so
  assert_true(out_feed(o, "<thi", 4, NULL));
  assert_false(out_begin_constrained(o, NULL));
  assert_true(out_feed(o, "nk>", 3, NULL));
  assert_false(out_begin_constrained(o, NULL));
  out_free(o);
  collect_free(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(content_is_content),
      cmocka_unit_test(thinking_is_split_off),
      cmocka_unit_test(stray_tags_are_not_shown),
      cmocka_unit_test(values_are_typed),
      cmocka_unit_test(without_schema_json_else_text),
      cmocka_unit_test(other_shapes_of_tools),
      cmocka_unit_test(one_newline_on_either_side_frames),
      cmocka_unit_test(values_may_hold_markup),
      cmocka_unit_test(calls_follow_one_another),
      cmocka_unit_test(malformed_calls_are_reported),
      cmocka_unit_test(truncated_calls_are_reported),
      cmocka_unit_test(long_calls_are_refused),
      cmocka_unit_test(malformed_utf8_is_replaced),
      cmocka_unit_test(verbatim_answers_are_untouched),
      cmocka_unit_test(data_or_calls_is_settled_by_the_beginning),
      cmocka_unit_test(tags_that_a_limit_cut_are_not_shown),
      cmocka_unit_test(plain_texts_have_no_tags),
      cmocka_unit_test(tags_are_parameters),
      cmocka_unit_test(receivers_can_refuse),
      cmocka_unit_test(prompts_that_open_a_block),
      cmocka_unit_test(looking_ahead),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
