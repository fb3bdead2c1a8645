// stop: every way of cutting a text gives the same outcome, in whole characters.
#include "test.h"

#include "base/utf8.h"
#include "text/stop.h"

// The definition: the smallest end of any stop string, of those the longest string; -1: none.
static int slow_find(const char *const *strings, size_t n, const char *text, size_t *begin) {
  for (size_t end = 1; end <= strlen(text); end++) {
    int best = -1;
    for (size_t i = 0; i < n; i++) {
      size_t len = strlen(strings[i]);
      if (len <= end && !memcmp(text + end - len, strings[i], len) &&
          (best < 0 || len > strlen(strings[best])))
        best = (int)i;
    }
    if (best < 0) continue;
    *begin = end - strlen(strings[best]);
    return best;
  }
  *begin = strlen(text);
  return -1;
}

// Feeds `text` cut behind byte i where bit i of `cuts` is set.
static void check_cut(const char *const *strings, size_t n, const char *text, uint32_t cuts) {
  Stop *s = stop_new(strings, n, NULL);
  assert_non_null(s);
  Buf out = {0};
  size_t begin, len = strlen(text), from = 0;
  int want = slow_find(strings, n, text, &begin);
  for (size_t i = 0; i < len; i++) {
    if (i + 1 < len && !(cuts >> i & 1)) continue;
    assert_true(stop_feed(s, text + from, i + 1 - from, &out, NULL));
    assert_int_equal(utf8_valid_prefix(out.data ? out.data : "", out.len), out.len);
    assert_true(out.len <= begin); // nothing of a stop string gets out
    from = i + 1;
  }
  assert_int_equal(stop_found(s), want);
  assert_true(stop_flush(s, &out, NULL));
  assert_int_equal(out.len, begin);
  if (begin) assert_memory_equal(out.data, text, begin);
  buf_free(&out);
  stop_free(s);
}

static void every_cut_gives_the_same(void **state) {
  (void)state;
  static const char *const sets[][3] = {
      {"stop", NULL, NULL},      {"abcd", "bc", NULL}, {"aab", "ab", "aaab"}, {"é", "世界", NULL},
      {"\n\nUser:", "\n", NULL}, {"aa", "aaa", NULL},  {NULL, NULL, NULL},    {"<|im_end|>", "<|", "|>"}};
  static const char *const texts[] = {"a stop here",
                                      "xabcdx",
                                      "aaaaab",
                                      "xé世界y",
                                      "no 世 end é",
                                      "a\nb\n\nUser:",
                                      "aaaa",
                                      "st sto s",
                                      "ab aab",
                                      "<|im_<|im_end|>",
                                      "世世界",
                                      "\xF0\x9F\x98\x80!",
                                      "",
                                      "stosto stop",
                                      "abc"};
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
    size_t n = 0;
    while (n < 3 && sets[i][n]) n++;
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
      size_t len = strlen(texts[k]);
      for (uint32_t cuts = 0; cuts < 1u << (len ? len - 1 : 0); cuts++) check_cut(sets[i], n, texts[k], cuts);
    }
  }
}

static void holds_back_only_what_may_stop(void **state) {
  (void)state;
  const char *strings[] = {"</s>"};
  Stop *s = stop_new(strings, 1, NULL);
  Buf out = {0};
  assert_true(stop_feed(s, "a<", 2, &out, NULL));
  assert_string_equal(out.data, "a");
  assert_true(stop_feed(s, "b\xE4", 2, &out, NULL));
  assert_string_equal(out.data, "a<b");
  assert_true(stop_flush(s, &out, NULL));
  assert_string_equal(out.data, "a<b\xEF\xBF\xBD");
  stop_reset(s);
  buf_clear(&out);
  assert_true(stop_feed(s, "x</s>y", 6, &out, NULL));
  assert_true(stop_feed(s, "z", 1, &out, NULL));
  assert_true(stop_flush(s, &out, NULL));
  assert_string_equal(out.data, "x");
  assert_int_equal(stop_found(s), 0);
  stop_free(s);
  buf_free(&out);
}

static void refuses_bad_strings(void **state) {
  (void)state;
  zaya_error err = {0};
  const char *empty[] = {"a", ""}, *broken[] = {"\xC3"};
  assert_null(stop_new(empty, 2, &err));
  assert_string_equal(err.message, "stop string 2 is empty");
  zaya_error_clear(&err);
  assert_null(stop_new(broken, 1, &err));
  assert_string_equal(err.message, "stop string 1 is not valid UTF-8");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_cut_gives_the_same),
      cmocka_unit_test(holds_back_only_what_may_stop),
      cmocka_unit_test(refuses_bad_strings),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
