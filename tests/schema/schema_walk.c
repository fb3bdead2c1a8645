// schema_walk: the C side of tests/schema. Reads a JSON file with a list of cases and prints JSON lines.
//
//   schema_walk walk FILE SEED N    cases {"schema"}: N outputs each of a model that emits noise, held by
//   masks
//                                   only: {"case": i, "text": "..."} or {"case": i, "error": "..."}
//   schema_walk accept FILE         cases {"schema", "texts": [..]}: whether the grammar takes each of them
//                                   and whether the check finds it valid: {"case", "text", "takes", "valid"}
//   schema_walk regex FILE          cases {"pattern", "contains", "texts"}: {"case", "text", "takes"}
//
// Noise is sampled uniformly from the allowed tokens of a made-up vocabulary; beyond some tokens, tokens
// that shorten the way to the end are preferred, beyond more the shortest is taken.
#include "base/buf.h"
#include "text/mask.h"
#include "text/regex.h"
#include "text/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS = 6000, SOME = 40, MORE = 120 };

static uint32_t seed = 1;
static uint32_t rnd(uint32_t n) {
  seed = seed * 1664525u + 1013904223u;
  return (uint32_t)(((uint64_t)seed * n) >> 32);
}

static Vocab *make_vocab(void) {
  static const char *const bits[] = {"\"",
                                     "\":",
                                     "\": \"",
                                     "\", \"",
                                     ",",
                                     ", ",
                                     "{\"",
                                     "\"}",
                                     "}",
                                     "{",
                                     "[",
                                     "]",
                                     "[\"",
                                     "\"]",
                                     " ",
                                     "\n",
                                     "\t",
                                     "\\",
                                     "\\n",
                                     "\\\"",
                                     "\\u0",
                                     "0",
                                     "1",
                                     "12",
                                     "2024",
                                     "-",
                                     "0.",
                                     "9",
                                     "e",
                                     "E+",
                                     "true",
                                     "fa",
                                     "lse",
                                     "null",
                                     "a",
                                     "b",
                                     "name",
                                     "id",
                                     "x",
                                     "the",
                                     " and",
                                     "Z",
                                     "T",
                                     ":",
                                     ".",
                                     "@",
                                     "/",
                                     "_",
                                     "#",
                                     "(",
                                     ")",
                                     "\xC3\xA9",
                                     "\xE2\x82",
                                     "\xAC",
                                     "\xE6\x97\xA5",
                                     "\xF0\x9F\x98\x80",
                                     "\xF0\x9F",
                                     "5",
                                     "77",
                                     "A",
                                     "c",
                                     "d",
                                     "kind",
                                     "value",
                                     "next",
                                     "items"};
  static VocabPiece p[TOKENS];
  static Buf text[TOKENS];
  for (int i = 0; i < TOKENS; i++) {
    if (i < 256)
      buf_putc(&text[i], (char)i, NULL);
    else
      for (uint32_t n = 1 + rnd(4); n; n--) buf_puts(&text[i], bits[rnd(sizeof bits / sizeof *bits)], NULL);
    p[i] = (VocabPiece){text[i].data, text[i].len,
                        i == TOKENS - 1   ? VOCAB_END
                        : i > TOKENS - 20 ? VOCAB_CONTROL
                                          : 0};
  }
  Vocab *v = vocab_new(p, TOKENS, NULL);
  for (int i = 0; i < TOKENS; i++) buf_free(&text[i]);
  return v;
}

static void put(json_t *line) {
  char *s = json_dumps(line, JSON_COMPACT);
  puts(s ? s : "{}");
  free(s);
  json_decref(line);
}

// Bytes to the end after a token.
static uint32_t rest_after(Match *m, const Vocab *v, uint32_t id) {
  size_t n;
  const char *s = vocab_piece(v, (int32_t)id, &n);
  uint32_t set = m->state;
  for (size_t i = 0; i < n; i++) set = match_step(m, set, (uint8_t)s[i]);
  return m->sets[set].rest;
}

static uint32_t choose(Match *m, const Vocab *v, const uint32_t *allowed, uint32_t n, int step) {
  uint32_t best = allowed[rnd(n)], tries = step < SOME ? 0 : step < MORE ? 8 : n, least = UINT32_MAX;
  for (uint32_t i = 0; i < tries; i++) {
    uint32_t id = allowed[tries == n ? i : rnd(n)], rest = rest_after(m, v, id);
    if (rest < least) {
      least = rest;
      best = id;
    }
  }
  return best;
}

// One output; false with an error when the masks lead nowhere.
static bool output(const Vocab *v, Match *m, Mask *k, Buf *out, zaya_error *err) {
  static uint64_t bits[(TOKENS + 63) / 64];
  static uint32_t allowed[TOKENS];
  match_reset(m);
  for (int step = 0; step < 5000; step++) {
    uint32_t n = 0;
    if (!mask_fill(k, m, bits, err)) return false;
    for (uint32_t i = 0; i < TOKENS; i++)
      if (bits[i >> 6] >> (i & 63) & 1) allowed[n++] = i;
    if (match_can_end(m) && (!n || step >= SOME || rnd(3) == 0)) return true;
    if (!n) return err_set(err, ZAYA_E_INVALID, "a dead end");
    size_t len;
    uint32_t id = choose(m, v, allowed, n, step);
    const char *s = vocab_piece(v, (int32_t)id, &len);
    if (!s || !match_accept(m, s, len, err) || !buf_add(out, s, len, err))
      return err_set(err, ZAYA_E_INVALID, "a control token");
  }
  return err_set(err, ZAYA_E_INVALID, "no end after 5000 tokens");
}

static json_t *failure(size_t i, const zaya_error *err) {
  return json_pack("{s:I, s:s}", "case", (json_int_t)i, "error", err->message);
}

static Schema *parse(const json_t *c, zaya_error *err) {
  char *text = json_dumps(json_object_get(c, "schema"), JSON_ENCODE_ANY);
  Schema *s = text ? schema_parse(text, strlen(text), err) : NULL;
  free(text);
  return s;
}

static void walk_case(const Vocab *v, size_t i, const json_t *c, int n) {
  zaya_error err = {0};
  Schema *s = parse(c, &err);
  Gram *g = s ? schema_compile(s, &err) : NULL;
  Match *m = g ? match_new(g, &err) : NULL;
  Mask *k = m ? mask_new(v, &err) : NULL;
  if (!k) put(failure(i, &err));
  for (int j = 0; k && j < n; j++) {
    Buf out = {0};
    if (output(v, m, k, &out, &err) && schema_validate(s, out.data, out.len, &err))
      put(json_pack("{s:I, s:s%}", "case", (json_int_t)i, "text", out.data, out.len));
    else
      fprintf(stderr, "case %zu: %s: %s\n", i, err.message, out.data ? out.data : ""), put(failure(i, &err));
    zaya_error_clear(&err);
    buf_free(&out);
  }
  mask_free(k);
  match_free(m);
  gram_free(g);
  schema_free(s);
}

static bool takes(const Gram *g, const char *text, size_t len) {
  Match *m = match_new(g, NULL);
  bool ok = m && match_accept(m, text, len, NULL) && match_can_end(m);
  match_free(m);
  return ok;
}

static void accept_case(size_t i, const json_t *c) {
  zaya_error err = {0};
  Schema *s = parse(c, &err);
  Gram *g = s ? schema_compile(s, &err) : NULL;
  size_t j;
  json_t *t;
  if (!g) put(failure(i, &err));
  if (g) json_array_foreach(json_object_get(c, "texts"), j, t) {
      const char *text = json_string_value(t);
      size_t len = json_string_length(t);
      put(json_pack("{s:I, s:O, s:b, s:b}", "case", (json_int_t)i, "text", t, "takes", takes(g, text, len),
                    "valid", schema_validate(s, text, len, NULL)));
    }
  gram_free(g);
  schema_free(s);
}

static void regex_case(size_t i, const json_t *c) {
  zaya_error err = {0};
  const json_t *p = json_object_get(c, "pattern");
  size_t j;
  json_t *t;
  json_array_foreach(json_object_get(c, "texts"), j, t) {
    bool yes;
    if (regex_test(json_string_value(p), json_string_length(p), json_is_true(json_object_get(c, "contains")),
                   json_string_value(t), json_string_length(t), &yes, &err)) {
      put(json_pack("{s:I, s:O, s:b}", "case", (json_int_t)i, "text", t, "takes", yes));
    } else {
      put(failure(i, &err));
      break;
    }
  }
}

int main(int argc, char **argv) {
  json_error_t e;
  json_t *cases = argc > 2 ? json_load_file(argv[2], JSON_ALLOW_NUL, &e) : NULL, *c;
  size_t i;
  if (!cases) return fprintf(stderr, "usage: schema_walk walk|accept|regex FILE [SEED N]\n"), 2;
  seed = argc > 3 ? (uint32_t)atoi(argv[3]) : 1;
  Vocab *v = make_vocab();
  json_array_foreach(cases, i, c) {
    if (!strcmp(argv[1], "walk"))
      walk_case(v, i, c, argc > 4 ? atoi(argv[4]) : 1);
    else if (!strcmp(argv[1], "accept"))
      accept_case(i, c);
    else
      regex_case(i, c);
  }
  vocab_free(v);
  json_decref(cases);
  return 0;
}
