// mask: the mask of a state is what trying every token one by one says, over random vocabularies and
// random walks; counts far from their bounds are told from none; ends and control tokens stay out.
#include "test.h"

#include "text/gbnf.h"
#include "text/mask.h"

enum { TOKENS = 3000 };

static uint32_t seed = 12345;
static uint32_t rnd(uint32_t n) {
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % n;
}

// Pieces as a tokenizer has them: every byte, words, punctuation runs, cut characters, duplicates.
static Vocab *random_vocab(void) {
  static const char *const bits[] = {
      "a",   "b",   "0",  "12",  "\"", "\":",      ",",        "{",    "}",
      "[",   "]",   " ",  "\n",  "\\", "u0",       "tr",       "ue",   "-",
      ".",   "e",   "()", "abc", "x",  "\xC3\xA9", "\xE2\x82", "\xAC", "\xF0\x9F\x98\x80",
      "key", "null"};
  VocabPiece p[TOKENS];
  Buf text[TOKENS] = {0};
  for (int i = 0; i < TOKENS; i++) {
    if (i < 256) {
      buf_putc(&text[i], (char)i, NULL);
    } else {
      for (uint32_t n = 1 + rnd(5); n; n--) buf_puts(&text[i], bits[rnd(sizeof bits / sizeof *bits)], NULL);
    }
    p[i] = (VocabPiece){text[i].data, text[i].len, 0};
  }
  p[TOKENS - 1].flags = VOCAB_END;
  p[TOKENS - 2].flags = VOCAB_CONTROL;
  p[TOKENS - 3].len = 0;
  Vocab *v = vocab_new(p, TOKENS, NULL);
  assert_non_null(v);
  for (int i = 0; i < TOKENS; i++) buf_free(&text[i]);
  return v;
}

static bool get(const uint64_t *bits, int i) { return bits[i >> 6] >> (i & 63) & 1; }

// The slow truth: take each token, then go back.
static void check(Mask *k, Match *m, const Vocab *v, const char *grammar) {
  uint64_t bits[(TOKENS + 63) / 64];
  zaya_error err = {0};
  assert_true(mask_fill(k, m, bits, &err));
  uint32_t state = m->state;
  for (int i = 0; i < TOKENS; i++) {
    size_t n;
    const char *s = vocab_piece(v, i, &n);
    bool want = s && match_accept(m, s, n, NULL);
    if (want != get(bits, i)) fail_msg("%s\ntoken %d \"%.*s\": %d expected", grammar, i, (int)n, s, want);
    m->state = state;
  }
}

static const char *const grammars[] = {
    // JSON, with rules that recurse and rules that are inlined
    "root ::= value\n"
    "value ::= object | array | string | number | \"true\" | \"null\"\n"
    "object ::= \"{\" ws (pair (\",\" ws pair)*)? \"}\"\n"
    "pair ::= string \":\" ws value ws\n"
    "array ::= \"[\" ws (value (\",\" ws value)*)? ws \"]\"\n"
    "string ::= \"\\\"\" char* \"\\\"\"\n"
    "char ::= [^\"\\\\\\x00-\\x1f] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" [0-9a-fA-F]{4})\n"
    "number ::= \"-\"? [0-9]+ (\".\" [0-9]+)? (\"e\" [-+]? [0-9]+)?\n"
    "ws ::= [ \\n]{0,20}\n",
    "root ::= (\"\\\"\" .{0,40} \"\\\"\" \",\"){3,60} | .{30,90}",
    "root ::= ([a-z]{2,} [0-9]{1,1000}){,500} \"\\n\"*",
    "root ::= (\"(\" root \")\" | [a-c])*",
    "root ::= (\"a\" | \"ab\" | \"abc\" | \"b\"){5,200} \"x\"?",
    "root ::= \"key\" (\"a\" root \"b\" | \"b\" root \"a\" | \"\\\"\") | [^a]+ \"a\"",
};

static void equals_trying_each(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof grammars / sizeof *grammars; i++) {
    for (int round = 0; round < 6; round++) {
      Vocab *v = random_vocab();
      Gram *g = gbnf_parse(grammars[i], strlen(grammars[i]), NULL);
      assert_non_null(g);
      Match *m = match_new(g, NULL);
      Mask *k = mask_new(v, NULL);
      for (int step = 0; step < 40; step++) {
        check(k, m, v, grammars[i]);
        size_t n = 0;
        const char *s = NULL;
        for (int tries = 0; tries < 20000; tries++) { // prefer long tokens
          s = vocab_piece(v, (int32_t)rnd(tries < 10000 ? TOKENS : 256), &n);
          if (s && match_accept(m, s, n, NULL)) break;
          s = NULL;
        }
        if (!s) break;
      }
      mask_free(k);
      match_free(m);
      gram_free(g);
      vocab_free(v);
    }
  }
}

static void near_the_bounds_of_counts(void **state) { // every count from both ends, by single characters
  (void)state;
  const char *text = "root ::= \"\\\"\" [a-z]{60,130} \"\\\"\"";
  Vocab *v = random_vocab();
  Gram *g = gbnf_parse(text, strlen(text), NULL);
  Match *m = match_new(g, NULL);
  Mask *k = mask_new(v, NULL);
  assert_true(match_accept(m, "\"", 1, NULL));
  for (int i = 0; i <= 130; i++) {
    check(k, m, v, text);
    assert_int_equal(match_accept(m, "a", 1, NULL), i < 130);
  }
  // far from the bounds one walk serves all counts
  assert_true(mask_stats(k).walks < 131);
  mask_free(k);
  match_free(m);
  gram_free(g);
  vocab_free(v);
}

static void deep_stacks(void **state) { // beyond half the depth, where stacks are not cut
  (void)state;
  Vocab *v = random_vocab();
  Gram *g = gbnf_parse(grammars[3], strlen(grammars[3]), NULL);
  Match *m = match_new(g, NULL);
  Mask *k = mask_new(v, NULL);
  for (unsigned i = 0; i < MATCH_MAX_DEPTH; i++) {
    if (i % 50 == 0 || i > MATCH_MAX_DEPTH - 4) check(k, m, v, grammars[3]);
    match_accept(m, "(", 1, NULL);
  }
  check(k, m, v, grammars[3]);
  assert_true(mask_stats(k).whole_walks > 0);
  mask_free(k);
  match_free(m);
  gram_free(g);
  vocab_free(v);
}

static void control_tokens_need_their_mark(void **state) {
  (void)state;
  const VocabPiece p[] = {{"a", 1, 0},
                          {"<tool>", 6, VOCAB_CONTROL},
                          {"</s>", 4, VOCAB_END},
                          {"<tool>", 6, 0},
                          {"", 0, 0},
                          {VOCAB_MARK, 1, 0}, // a byte token is no mark
                          {"a" VOCAB_MARK, 2, 0}};
  Vocab *v = vocab_new(p, 7, NULL);
  for (int marked = 0; marked < 2; marked++) {
    GramBuilder *b = gram_builder_new(NULL);
    uint32_t root = gram_rule(b, "root");
    gram_define(b, root,
                marked ? gram_text(b, VOCAB_MARK "<tool>")
                       : gram_repeat(b, gram_set(b, NULL, 0, true), 0, GRAM_INF));
    Gram *g = gram_compile(b, root, NULL);
    Match *m = match_new(g, NULL);
    Mask *k = mask_new(v, NULL);
    uint64_t bits = 0;
    assert_true(mask_fill(k, m, &bits, NULL));
    assert_int_equal(bits, marked ? 2 : 1 | 8);
    mask_free(k);
    match_free(m);
    gram_free(g);
    gram_builder_free(b);
  }
  assert_true(vocab_is_end(v, 2) && !vocab_is_end(v, 1) && !vocab_is_end(v, 7) && !vocab_is_end(v, -1));
  vocab_free(v);
}

static void costly_masks_are_refused(void **state) { // a bound, not a hang
  (void)state;
  const char *text = "root ::= ((\"a\" | \"aa\" | \"b\"){0,5000} (\"a\" | \"b\")){0,5000} \"c\"";
  Vocab *v = random_vocab();
  Gram *g = gbnf_parse(text, strlen(text), NULL);
  assert_non_null(g);
  Match *m = match_new(g, NULL);
  Mask *k = mask_new(v, NULL);
  uint64_t bits[(TOKENS + 63) / 64];
  zaya_error err = {0};
  int n = 0;
  while (n < 3000 && match_accept(m, "ab", 2, &err) && mask_fill(k, m, bits, &err)) n++;
  assert_true(n < 3000);
  assert_int_equal(err.status, ZAYA_E_LIMIT);
  mask_free(k);
  match_free(m);
  gram_free(g);
  vocab_free(v);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equals_trying_each),
      cmocka_unit_test(near_the_bounds_of_counts),
      cmocka_unit_test(deep_stacks),
      cmocka_unit_test(control_tokens_need_their_mark),
      cmocka_unit_test(costly_masks_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
