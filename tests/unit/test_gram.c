// gram, match, gbnf: what grammars accept, what they refuse, and that hostile ones end in an error.
#include "test.h"

#include "text/gbnf.h"
#include "text/match.h"

static Gram *compile(const char *text) {
  zaya_error err = {0};
  Gram *g = gbnf_parse(text, strlen(text), &err);
  if (!g) print_message("%s\n", err.message);
  assert_non_null(g);
  return g;
}

// Whether the grammar accepts the whole text, fed in pieces of `step` bytes.
static bool matches(const Gram *g, const char *text, size_t step) {
  Match *m = match_new(g, NULL);
  assert_non_null(m);
  size_t n = strlen(text);
  bool ok = true;
  for (size_t i = 0; ok && i < n; i += step)
    ok = match_accept(m, text + i, n - i < step ? n - i : step, NULL);
  ok = ok && match_can_end(m);
  match_free(m);
  return ok;
}

typedef struct Case {
  const char *grammar;
  const char *yes[8], *no[8];
} Case;

static const Case cases[] = {
    {"root ::= \"a\"", {"a"}, {"", "b", "aa"}},
    {"root ::= \"\"", {""}, {"a"}},
    {"root ::= \"a\" | \"bc\"", {"a", "bc"}, {"b", "abc", ""}},
    {"root ::= [a-c]+", {"a", "abcabc"}, {"", "abd"}},
    {"root ::= [^a-c\\n]*", {"", "xyz", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"}, {"a", "x\n", "\xC3"}},
    {"root ::= .",
     {"x", "\n", "\xF0\x9F\x98\x80"},
     {"", "xy", "\xF0\x9F\x98", "\xED\xA0\x80", "\xC0\x80", "\xF4\x90\x80\x80"}},
    {"root ::= [\\x41-\\x43\\u00e9\\U0001F600]",
     {"A", "C", "\xC3\xA9", "\xF0\x9F\x98\x80"},
     {"D", "\xC3\xA8"}},
    {"root ::= \"\\x41\\u20ac\\t\\\"\\\\\"", {"A\xE2\x82\xAC\t\"\\"}, {"A"}},
    {"root ::= [\\]\\-\\[a-]", {"]", "-", "[", "a"}, {"b", "\\"}},
    {"root ::= \"a\"{3}", {"aaa"}, {"aa", "aaaa"}},
    {"root ::= \"a\"{2,}", {"aa", "aaaaa"}, {"a"}},
    {"root ::= \"a\"{,2} \"b\"", {"b", "ab", "aab"}, {"aaab"}},
    {"root ::= \"a\"{0,3}", {"", "aaa"}, {"aaaa"}},
    {"root ::= (\"a\" | \"b\"\n  | \"c\"\n)+ \"!\"", {"abc!", "c!"}, {"!", "ab"}},
    {"# first\nroot ::= x y # tail\n\nx ::= \"1\"\n# y\ny ::= \"2\"?\n", {"1", "12"}, {"2"}},
    {"root ::= \"a\" |\n \"b\"", {"a", "b"}, {"ab"}},
    {"root ::=\n  \"a\" \"b\"\nother-rule_2 ::= root", {"ab"}, {"a"}},
    {"root ::= \"(\" root \")\" | \"\"", {"", "()", "((()))"}, {"(", "())"}},
    {"root ::= ((\"a\"?)*)* \"b\"", {"b", "aaab"}, {"a"}},
    {"root ::= (\"a\"*)+", {"", "aaa"}, {"b"}},
    {"root ::= \"a\" root | \"a\"", {"a", "aaaaaa"}, {"", "b"}},
    {"root ::= \"a\"? \"b\"? \"c\"?", {"", "a", "ac", "abc", "bc"}, {"ca"}},
    {"root ::= [0-9]{1,100}", {"1", "12345678901234567890"}, {"", "a"}},
    {"root ::= (\"ab\"){20,30} \"ab\"", {"ababababababababababababababababababababab"}, {"abababab"}},
    {"root ::= \"\xC3\xA9\"+", {"\xC3\xA9\xC3\xA9"}, {"\xC3", "e"}},
    {"root ::= expr\nexpr ::= term ([-+] term)*\nterm ::= num | \"(\" expr \")\"\nnum ::= [0-9]+",
     {"1", "1+2", "(1+2)-3", "((7))"},
     {"1+", "(1", ""}},
};

static void accepts(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Gram *g = compile(cases[i].grammar);
    for (size_t step = 1; step <= 5; step += 2) {
      for (size_t j = 0; j < 8 && cases[i].yes[j]; j++)
        if (!matches(g, cases[i].yes[j], step))
          fail_msg("%s\nrefuses \"%s\"", cases[i].grammar, cases[i].yes[j]);
      for (size_t j = 0; j < 8 && cases[i].no[j]; j++)
        if (matches(g, cases[i].no[j], step))
          fail_msg("%s\naccepts \"%s\"", cases[i].grammar, cases[i].no[j]);
    }
    gram_free(g);
  }
}

static void refuses_bad_grammars(void **state) {
  (void)state;
  static const char *const bad[][2] = {
      {"", "no rule \"root\""},
      {"x ::= \"a\"", "no rule \"root\""},
      {"root ::= \"a", "line 1, column 10: this literal has no closing quote"},
      {"root ::= [a", "line 1, column 10: this class has no closing bracket"},
      {"root ::= []", "this class is empty"},
      {"root ::= [b-a]", "line 1, column 11: this range runs backwards"},
      {"root ::= (\"a\"\n\"b\"", "line 1, column 10: this group has no closing parenthesis"},
      {"root ::= \"a\")", "line 1, column 13: a ) without its ("},
      {"root ::= \"a\"\nroot ::= \"b\"", "line 2, column 1: this rule is defined a second time"},
      {"root ::= \"a\"\n  \"b\"", "line 2, column 3: the name of a rule is expected here"},
      {"root = \"a\"", "line 1, column 6: ::= is expected here"},
      {"root ::= \"a\" x\ny ::= \"b\"", "line 1, column 14: this rule is not defined anywhere"},
      {"root ::= \"\\q\"", "line 1, column 12: unknown escape"},
      {"root ::= \"\\x4\"", "\\x needs two hexadecimal digits"},
      {"root ::= \"\\ud800\"", "not a code point"},
      {"root ::= \"\\U00110000\"", "not a code point"},
      {"root ::= \"a\"{3,2}", "line 1, column 13: the minimum of this repetition is above its maximum"},
      {"root ::= \"a\"{x}", "a number is expected"},
      {"root ::= \"a\"{2", "a } is expected"},
      {"root ::= \"a\"{99999999999}", "above 1000000"},
      {"root ::= \"\xFF\"", "not UTF-8"},
      {"root ::= * \"a\"", "no place here"},
      {"root ::= root \"a\" | \"b\"", "left-recursive"},
      {"root ::= x\nx ::= y\ny ::= x", "left-recursive"},
      {"root ::= \"a\"? root \"b\" | \"c\"", "left-recursive"},
      {"root ::= (\"\" root)* \"b\"", "left-recursive"},
      {"root ::= \"a\" root", "matches no text at all"},
      {"root ::= (\"a\"?){0,100000}", "may be empty"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    zaya_error err = {0};
    Gram *g = gbnf_parse(bad[i][0], strlen(bad[i][0]), &err);
    if (g || !strstr(err.message, bad[i][1])) fail_msg("%s\n%s", bad[i][0], g ? "is accepted" : err.message);
  }
}

// --- hostile grammars: an error or a quick answer ---------------------------------------------------

static void nested_groups(void **state) {
  (void)state;
  Buf b = {0};
  buf_puts(&b, "root ::= ", NULL);
  for (int i = 0; i < 100000; i++) buf_putc(&b, '(', NULL);
  zaya_error err = {0};
  assert_null(gbnf_parse(b.data, b.len, &err));
  assert_non_null(strstr(err.message, "nest too deep"));
  buf_free(&b);
}

static void doubling_rules(void **state) { // 2^40 when written out
  (void)state;
  Buf b = {0};
  buf_puts(&b, "root ::= r0\n", NULL);
  for (int i = 0; i < 40; i++) buf_printf(&b, NULL, "r%d ::= r%d r%d\n", i, i + 1, i + 1);
  buf_puts(&b, "r40 ::= \"a\"\n", NULL);
  Gram *g = compile(b.data);
  assert_true(g->n_nodes < 10000);
  Match *m = match_new(g, NULL);
  assert_true(match_accept(m, "aaaaaaaa", 8, NULL));
  assert_false(match_can_end(m));
  match_free(m);
  gram_free(g);
  buf_free(&b);
}

static void long_chains(void **state) { // of rules, in the worst order for the analysis
  (void)state;
  Buf b = {0};
  buf_puts(&b, "root ::= r0\n", NULL);
  for (int i = 0; i < 30000; i++) buf_printf(&b, NULL, "r%d ::= \"b\" r%d\n", i, i + 1);
  buf_puts(&b, "r30000 ::= \"a\"\n", NULL);
  Gram *g = compile(b.data);
  Match *m = match_new(g, NULL);
  assert_int_equal(match_rest(m), 30001);
  for (int i = 0; i < 30000; i++) assert_true(match_accept(m, "b", 1, NULL));
  assert_true(match_accept(m, "a", 1, NULL) && match_must_end(m));
  match_free(m);
  gram_free(g);
  buf_free(&b);
}

static void too_many_ways(void **state) {
  (void)state;
  Buf b = {0};
  buf_puts(&b, "root ::= r0\n", NULL);
  for (int i = 0; i < 30000; i++) buf_printf(&b, NULL, "r%d ::= r%d | \"b\" r%d\n", i, i + 1, i + 1);
  buf_puts(&b, "r30000 ::= \"a\"\n", NULL);
  Gram *g = compile(b.data);
  zaya_error err = {0};
  assert_null(match_new(g, &err));
  assert_int_equal(err.status, ZAYA_E_LIMIT);
  gram_free(g);
  buf_free(&b);
}

static void long_counts(void **state) {
  (void)state;
  Gram *g = compile("root ::= [a-z]{100000} \"!\"");
  assert_true(g->n_nodes < 100);
  Match *m = match_new(g, NULL);
  assert_int_equal(match_rest(m), 100001);
  for (int i = 0; i < 100000; i++) assert_true(match_accept(m, "x", 1, NULL));
  assert_false(match_accept(m, "x", 1, NULL));
  assert_true(match_accept(m, "!", 1, NULL));
  assert_true(match_can_end(m) && match_must_end(m));
  match_free(m);
  gram_free(g);
}

static void too_ambiguous(void **state) { // as many stacks as 2^n after n characters
  (void)state;
  Gram *g = compile("root ::= s\ns ::= \"a\" s \"b\" | \"a\" s \"c\" | \"a\"\n");
  Match *m = match_new(g, NULL);
  zaya_error err = {0};
  int i = 0;
  while (i < 100 && match_accept(m, "a", 1, &err)) i++;
  assert_true(i >= 8 && i < 40);
  assert_int_equal(err.status, ZAYA_E_LIMIT);
  assert_true(match_rest(m) > 0); // the state before is intact
  match_free(m);
  gram_free(g);
}

static void too_deep(void **state) {
  (void)state;
  Gram *g = compile("root ::= \"(\" root \")\" | \"x\"\n");
  Match *m = match_new(g, NULL);
  zaya_error err = {0};
  unsigned n = 0;
  while (n < 10000 && match_accept(m, "(", 1, &err)) n++;
  assert_int_equal(n, MATCH_MAX_DEPTH);
  assert_int_equal(err.status, ZAYA_E_INVALID);
  assert_true(match_accept(m, "x", 1, NULL));
  while (n--) assert_true(match_accept(m, ")", 1, NULL));
  assert_true(match_must_end(m));
  match_free(m);
  gram_free(g);
}

static void rejecting_changes_nothing(void **state) {
  (void)state;
  Gram *g = compile("root ::= \"ab\" \"cd\"");
  Match *m = match_new(g, NULL);
  zaya_error err = {0};
  assert_false(match_accept(m, "abx", 3, &err));
  assert_non_null(strstr(err.message, "offset 2"));
  assert_true(match_accept(m, "ab", 2, NULL));
  Match *c = match_clone(m, NULL);
  assert_true(match_accept(m, "cd", 2, NULL));
  assert_false(match_can_end(c));
  assert_int_equal(match_rest(c), 2);
  assert_true(match_accept(c, "cd", 2, NULL) && match_can_end(c));
  match_reset(c);
  assert_int_equal(match_rest(c), 4);
  match_free(c);
  match_free(m);
  gram_free(g);
}

static void tail_calls_need_no_stack(void **state) {
  (void)state;
  Gram *g = compile("root ::= \"a\" root | \"b\"");
  Match *m = match_new(g, NULL);
  for (int i = 0; i < 20000; i++) assert_true(match_accept(m, "a", 1, NULL));
  assert_true(m->n_frames < 10);
  match_free(m);
  gram_free(g);
}

static void tidy_keeps_the_state(void **state) { // the memory bound is met many times over
  (void)state;
  Gram *g = compile("root ::= ((\"a\" | \"bb\"){0,1000000} \",\")*");
  Match *m = match_new(g, NULL);
  for (int i = 0; i < 100000; i++) assert_true(match_accept(m, "abb", 3, NULL));
  assert_true(m->generation >= 1);
  assert_true(m->bytes < 2 * MATCH_TIDY_BYTES);
  assert_true(match_accept(m, ",abb,", 5, NULL) && match_can_end(m));
  match_free(m);
  gram_free(g);
}

static void literals_share_prefixes(void **state) {
  (void)state;
  enum { N = 3000 };
  GramBuilder *b = gram_builder_new(NULL);
  Buf texts[N] = {0};
  for (int i = 0; i < N; i++) buf_printf(&texts[i], NULL, "key-%d", i * 7);
  uint32_t root = gram_rule(b, "root");
  gram_define(b, root, gram_literals(b, texts, N));
  Gram *g = gram_compile(b, root, NULL);
  assert_non_null(g);
  for (int i = 0; i < N; i++) assert_true(matches(g, texts[i].data, 100));
  assert_false(matches(g, "key-1", 1));
  assert_false(matches(g, "key-", 1));
  Match *m = match_new(g, NULL);
  assert_int_equal(m->sets[m->state].n, 1);
  match_free(m);
  gram_free(g);
  gram_builder_free(b);
  for (int i = 0; i < N; i++) buf_free(&texts[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(accepts),
      cmocka_unit_test(refuses_bad_grammars),
      cmocka_unit_test(nested_groups),
      cmocka_unit_test(doubling_rules),
      cmocka_unit_test(long_chains),
      cmocka_unit_test(too_many_ways),
      cmocka_unit_test(long_counts),
      cmocka_unit_test(too_ambiguous),
      cmocka_unit_test(too_deep),
      cmocka_unit_test(rejecting_changes_nothing),
      cmocka_unit_test(tail_calls_need_no_stack),
      cmocka_unit_test(tidy_keeps_the_state),
      cmocka_unit_test(literals_share_prefixes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
