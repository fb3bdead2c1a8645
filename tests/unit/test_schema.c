// schema, jnum, jstr: what is refused and by which pointer, what the check says of a value, and number ranges
// against counting. Whole schemas against other validators: tests/schema.
#include "test.h"

#include "text/jnum.h"
#include "text/jstr.h"
#include "text/match.h"
#include "text/schema.h"

static void refusals_name_the_pointer(void **state) {
  (void)state;
  static const char *const bad[][2] = {
      {"{\"not\":{}}", "schema /not: this keyword is not supported"},
      {"{\"if\":{}}", "schema /if: "},
      {"{\"uniqueItems\":true}", "schema /uniqueItems: "},
      {"{\"patternProperties\":{}}", "schema /patternProperties: "},
      {"{\"properties\":{\"a/b~\":{\"contains\":{}}}}", "schema /properties/a~1b~0/contains: "},
      {"{\"items\":{\"anyOf\":[{},{\"propertyNames\":{}}]}}", "schema /items/anyOf/1/propertyNames: "},
      {"{\"$defs\":{\"x\":{\"frobnicate\":1}},\"items\":{\"$ref\":\"#/$defs/x\"}}",
       "schema /$defs/x/frobnicate: "},
      {"{\"type\":\"strin\"}", "schema /type: no such type"},
      {"{\"type\":[]}", "schema /type: "},
      {"{\"minLength\":-1}", "schema /minLength: "},
      {"{\"maxItems\":1.5}", "schema /maxItems: "},
      {"{\"minimum\":\"1\"}", "schema /minimum: a number is expected"},
      {"{\"exclusiveMinimum\":true}", "schema /exclusiveMinimum: "},
      {"{\"type\":\"number\",\"minimum\":1e-300}", "schema /minimum: more than 15 digits"},
      {"{\"type\":\"number\",\"multipleOf\":0.3}", "schema /multipleOf: "},
      {"{\"type\":\"integer\",\"multipleOf\":1234}", "schema /multipleOf: above 100"},
      {"{\"multipleOf\":0}", "schema /multipleOf: "},
      {"{\"enum\":[]}", "schema /enum: "},
      {"{\"required\":\"a\"}", "schema /required: "},
      {"{\"properties\":{\"a\":1}}", "schema /properties: "},
      {"{\"type\":\"string\",\"format\":\"iri\"}", "schema /format: the format \"iri\" is not supported"},
      {"{\"type\":\"string\",\"pattern\":\"a(?=b)\"}",
       "schema /pattern: pattern: offset 2 (\"?=b)\"): lookahead is not supported"},
      {"{\"type\":\"string\",\"pattern\":\"^(a|b)*$\",\"maxLength\":9999}",
       "schema /pattern: pattern together with a length"},
      {"{\"$ref\":\"other.json\"}", "schema /$ref: only references within the document"},
      {"{\"$ref\":\"#/$defs/x\"}", "schema /$ref: there is no schema"},
      {"{\"$ref\":\"#\"}", "it refers to itself without end"},
      {"{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":{\"allOf\":[{\"$ref\":\"#/"
       "$defs/a\"}]}}}",
       "it refers to itself without end"},
      {"{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"string\"}]}", "it refers to itself without end"},
      {"{\"properties\":{\"a\":{\"$id\":\"x\"}}}", "schema /properties/a/$id: "},
      {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", "schema /oneOf: branches 0 and 1"},
      {"{\"oneOf\":[{\"type\":\"object\",\"required\":[\"a\"]},{\"type\":\"object\",\"required\":[\"b\"]}]}",
       "schema /oneOf: branches 0 and 1"},
      {"{\"type\":\"object\",\"minProperties\":2}", "schema /minProperties: "},
      {"{\"type\":\"object\",\"maxProperties\":99999999}", "schema /maxProperties: "},
      {"false", "no value is valid"},
      {"{\"type\":\"string\",\"const\":1}", "no value is valid"},
      {"{\"type\":\"integer\",\"minimum\":2,\"maximum\":1}", "no value is valid"},
      {"{\"type\":\"array\",\"minItems\":1,\"items\":false}", "no value is valid"},
      {"{\"type\":\"object\",\"properties\":{\"x\":{\"$ref\":\"#\"}},\"required\":[\"x\"]}",
       "no value is valid"},
      {"[1]", "an object, true or false is expected"},
      {"{\"type\":}", "schema: line 1, column 9: "},
      {"{\"type\":\"string\",\"type\":\"string\"}", "schema: line 1"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    zaya_error err = {0};
    Schema *s = schema_parse(bad[i][0], strlen(bad[i][0]), &err);
    Gram *g = s ? schema_compile(s, &err) : NULL;
    if (g || !strstr(err.message, bad[i][1])) fail_msg("%s\n%s", bad[i][0], g ? "is accepted" : err.message);
    schema_free(s);
  }
}

static void the_check_names_the_place(void **state) {
  (void)state;
  static const char *const cases[][3] = {
      {"{\"type\":\"object\",\"properties\":{\"a\":{\"items\":{\"type\":\"integer\"}}}}", "{\"a\":[1,\"x\"]}",
       "value /a/1: of another type (schema /properties/a/items/type)"},
      {"{\"required\":[\"b\"]}", "{}", "value (root): the member \"b\" is missing (schema /required)"},
      {"{\"additionalProperties\":false,\"properties\":{\"a\":{}}}", "{\"b\":1}",
       "value /b: not allowed (schema /additionalProperties/)"},
      {"{\"$ref\":\"#/$defs/x\",\"$defs\":{\"x\":{\"maxLength\":2}}}", "\"\xC3\xA9\xC3\xA9\xC3\xA9\"",
       "too long (schema /$defs/x/maxLength)"},
      {"{\"enum\":[1,\"a\"]}", "2", "value (root): none of the values (schema /enum)"},
      {"{\"oneOf\":[{\"type\":\"number\"},{\"type\":\"integer\"}]}", "1",
       "more than one branch is met (schema /oneOf)"},
      {"{\"anyOf\":[{\"minimum\":3},{\"multipleOf\":2}]}", "1", "no branch is met (schema /anyOf)"},
      {"{\"pattern\":\"^a\"}", "\"ba\"", "does not match (schema /pattern)"},
      {"{\"format\":\"date\"}", "\"2023-02-29\"", "not of this format (schema /format)"},
      {"{}", "{\"a\":1,}", "not JSON: line 1"},
      {"{}", "1 2", "not JSON"},
      {"{\"not\":{}}", "1", "schema /not: this keyword is not supported"},
      {"{\"minimum\":9007199254740993}", "9007199254740992", "too small"},
      {"{\"multipleOf\":0.01}", "0.075", "not a multiple"},
      {"{\"const\":{\"a\":[1.0]}}", "{\"a\":[2]}", "another value"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    zaya_error err = {0};
    Schema *s = schema_parse(cases[i][0], strlen(cases[i][0]), NULL);
    assert_non_null(s);
    bool ok = schema_validate(s, cases[i][1], strlen(cases[i][1]), &err);
    if (ok || !strstr(err.message, cases[i][2]))
      fail_msg("%s of %s\n%s", cases[i][0], cases[i][1], ok ? "is valid" : err.message);
    schema_free(s);
  }
  static const char *const good[][2] = {{"{\"multipleOf\":0.01}", "0.07"},
                                        {"{\"type\":\"integer\"}", "1.0"},
                                        {"{\"const\":1}", "1.0"},
                                        {"{\"maxLength\":1}", "\"\\ud83d\\ude00\""},
                                        {"{\"enum\":[{\"a\":1,\"b\":2}]}", "{\"b\":2,\"a\":1}"}};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    Schema *s = schema_parse(good[i][0], strlen(good[i][0]), NULL);
    assert_true(schema_validate(s, good[i][1], strlen(good[i][1]), NULL));
    schema_free(s);
  }
}

static void self_reference_is_no_hang(void **state) { // the check of a schema that the compiler refuses
  (void)state;
  zaya_error err = {0};
  Schema *s = schema_parse("{\"allOf\":[{\"$ref\":\"#\"}]}", 24, &err);
  assert_false(schema_validate(s, "1", 1, &err));
  assert_non_null(strstr(err.message, "without end"));
  schema_free(s);
}

// --- numbers against counting ----------------------------------------------------------------------------

static bool takes(const Gram *g, const char *text) {
  Match *m = match_new(g, NULL);
  bool ok = match_accept(m, text, strlen(text), NULL) && match_can_end(m);
  match_free(m);
  return ok;
}

static Gram *schema_gram(const char *text) {
  zaya_error err = {0};
  Schema *s = schema_parse(text, strlen(text), &err);
  Gram *g = s ? schema_compile(s, &err) : NULL;
  if (!g && !strstr(err.message, "no value is valid")) fail_msg("%s: %s", text, err.message);
  schema_free(s);
  return g;
}

static uint32_t seed = 99;
static int rnd(int lo, int hi) {
  seed = seed * 1664525u + 1013904223u;
  return lo + (int)((seed >> 8) % (uint32_t)(hi - lo + 1));
}

static void integer_ranges(void **state) {
  (void)state;
  for (int round = 0; round < 80; round++) {
    int lo = rnd(-130, 120), hi = rnd(lo, 130), step = round % 3 ? 1 : rnd(1, 12);
    bool open_lo = rnd(0, 1), open_hi = rnd(0, 1);
    char text[200];
    snprintf(text, sizeof text, "{\"type\":\"integer\",\"%s\":%d,\"%s\":%d,\"multipleOf\":%d}",
             open_lo ? "exclusiveMinimum" : "minimum", lo, open_hi ? "exclusiveMaximum" : "maximum", hi,
             step);
    Gram *g = schema_gram(text);
    for (int i = -1400; i <= 1400; i++) {
      char s[16];
      snprintf(s, sizeof s, "%d", i);
      bool want = (open_lo ? i > lo : i >= lo) && (open_hi ? i < hi : i <= hi) && i % step == 0;
      if ((g && takes(g, s)) != want) fail_msg("%s: %s", text, s);
    }
    if (g)
      assert_false(takes(g, "00") || takes(g, "-0") || takes(g, "01") || takes(g, "") || takes(g, "1.0"));
    gram_free(g);
  }
}

static void decimal_ranges(void **state) {
  (void)state;
  for (int round = 0; round < 50; round++) {
    int lo = rnd(-1300, 1300), hi = rnd(lo, 1300); // hundredths
    bool open_lo = rnd(0, 1), open_hi = rnd(0, 1);
    char text[200];
    snprintf(text, sizeof text, "{\"type\":\"number\",\"%s\":%.2f,\"%s\":%.2f}",
             open_lo ? "exclusiveMinimum" : "minimum", lo / 100.0, open_hi ? "exclusiveMaximum" : "maximum",
             hi / 100.0);
    Gram *g = schema_gram(text);
    for (int i = -14000; i <= 14000; i += 13) { // thousandths
      char s[24];
      snprintf(s, sizeof s, "%s%d.%03d", i < 0 ? "-" : "", abs(i) / 1000, abs(i) % 1000);
      bool want = (open_lo ? i > lo * 10 : i >= lo * 10) && (open_hi ? i < hi * 10 : i <= hi * 10);
      if (i == 0) continue; // "0.000" is asked for below
      if ((g && takes(g, s)) != want) fail_msg("%s: %s", text, s);
    }
    bool zero = (open_lo ? 0 > lo : 0 >= lo) && (open_hi ? 0 < hi : 0 <= hi);
    if (g)
      assert_true(takes(g, "0") == zero && takes(g, "0.000") == zero && !takes(g, "1.") && !takes(g, ".5") &&
                  !takes(g, "1e0"));
    gram_free(g);
  }
}

static void decimals_are_exact(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t thousandths;
    int fraction;
  } cases[] = {{"1", 1000, 0},    {"-2.5", -2500, 1}, {"0.125", 125, 3}, {"1e3", 1000000, 0},
               {"1.5E-2", 15, 3}, {"0.1", 100, 1},    {"-0.0", 0, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    json_t *v = json_loads(cases[i].text, JSON_DECODE_ANY, NULL);
    JnumDec d;
    assert_true(jnum_dec(v, &d));
    assert_true(d == (JnumDec)cases[i].thousandths * (JNUM_ONE / 1000));
    assert_int_equal(jnum_fraction(d), cases[i].fraction);
    json_decref(v);
  }
  JnumDec d;
  json_t *tiny = json_real(1e-16), *huge = json_real(1e300);
  assert_false(jnum_dec(tiny, &d));
  assert_true(jnum_dec(huge, &d) && d == JNUM_LIMIT);
  json_decref(tiny);
  json_decref(huge);
}

// --- strings
// -------------------------------------------------------------------------------------------------

static void other_names(void **state) {
  (void)state;
  const char *names[] = {"key", "ke", "", "k\xC3\xA9", "a\"b"};
  size_t lens[] = {3, 2, 0, 3, 3};
  GramBuilder *b = gram_builder_new(NULL);
  GramExpr x = jstr_other(b, names, lens, 5, false);
  uint32_t root = gram_rule(b, "root");
  gram_define(b, root, x);
  Gram *g = gram_compile(b, root, NULL);
  assert_non_null(g);
  static const char *const no[] = {"\"key\"",       "\"ke\"", "\"\"", "\"k\xC3\xA9\"", "\"a\\\"b\"",
                                   "\"k\\u0065y\"", "\"x",    "key",  "\"a\nb\""};
  static const char *const yes[] = {"\"k\"",     "\"keys\"",    "\"kez\"", "\"k\xC3\xA8\"",       "\"a\"",
                                    "\"a\\\"\"", "\"a\\\"bc\"", "\"\\n\"", "\"\xF0\x9F\x98\x80\""};
  for (size_t i = 0; i < sizeof no / sizeof *no; i++) assert_false(takes(g, no[i]));
  for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) assert_true(takes(g, yes[i]));
  gram_free(g);
  gram_builder_free(b);
}

static void free_strings(void **state) { // all escapes, whole surrogate pairs, nothing that readers refuse
  (void)state;
  Gram *g = schema_gram("{\"type\":\"string\",\"maxLength\":2}");
  static const char *const yes[] = {"\"\"",
                                    "\"\\u00e9\\/\"",
                                    "\"\\ud83d\\ude00\\uDBFF\\uDFFF\"",
                                    "\"\\ud7ff\\ue000\"",
                                    "\"\\u0001\\u0010\"",
                                    "\"\\b\\f\""};
  static const char *const no[] = {"\"abc\"",     "\"\\u0000\"",         "\"\\ud800\"",
                                   "\"\\udc00\"", "\"\\ud800\\u0041\"",  "\"\\x\"",
                                   "\"\n\"",      "\"\\ud83d\\ude00ab\""};
  for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
    if (!takes(g, yes[i])) fail_msg("refuses %s", yes[i]);
  for (size_t i = 0; i < sizeof no / sizeof *no; i++)
    if (takes(g, no[i])) fail_msg("takes %s", no[i]);
  gram_free(g);
}

static void deep_schemas(void **state) { // neither the compiler nor the check needs a stack for them
  (void)state;
  Buf b = {0};
  for (int i = 0; i < 300; i++) buf_puts(&b, "{\"items\":", NULL);
  buf_puts(&b, "{\"type\":\"integer\"}", NULL);
  for (int i = 0; i < 300; i++) buf_putc(&b, '}', NULL);
  Gram *g = schema_gram(b.data);
  assert_non_null(g);
  assert_true(takes(g, "[[[[[]]]]]"));
  gram_free(g);
  buf_free(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(refusals_name_the_pointer),
      cmocka_unit_test(the_check_names_the_place),
      cmocka_unit_test(self_reference_is_no_hang),
      cmocka_unit_test(integer_ranges),
      cmocka_unit_test(decimal_ranges),
      cmocka_unit_test(decimals_are_exact),
      cmocka_unit_test(other_names),
      cmocka_unit_test(free_strings),
      cmocka_unit_test(deep_schemas),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
