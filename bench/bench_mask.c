// bench_mask: what a token mask costs. For some typical constraints it walks at random through outputs
// and times mask_fill and accept per token: median, p95, maximum, and their share of a decode step.
//
//   bench_mask [TOKENIZER.JSON] [STEP_MS]
//
// With a Hugging Face tokenizer.json its vocabulary is used, else one that is made up (262144 tokens).
// STEP_MS is the decode step that the share refers to, 45 ms unless given.
#include "base/buf.h"
#include "text/gbnf.h"
#include "text/mask.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STEPS 400

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static uint32_t seed = 1;
static uint32_t rnd(uint32_t n) {
  seed = seed * 1664525u + 1013904223u;
  return (uint32_t)(((uint64_t)seed * n) >> 32);
}

// --- vocabularies ------------------------------------------------------------------------------------

typedef struct Pieces {
  VocabPiece *p;
  size_t n;
  Buf text; // reserved in advance: pieces point into it
} Pieces;

static void put_piece(Pieces *v, size_t id, const char *s, size_t n, unsigned flags) {
  char *at = v->text.data + v->text.len;
  unsigned byte;
  if (n == 6 && sscanf(s, "<0x%2X>", &byte) == 1) {
    *at = (char)byte;
    v->text.len += 1;
    v->p[id] = (VocabPiece){at, 1, flags};
    return;
  }
  char *to = at;
  for (size_t i = 0; i < n;) {
    if (n - i >= 3 && !memcmp(s + i, "\xE2\x96\x81", 3)) {
      *to++ = ' ';
      i += 3;
    } else {
      *to++ = s[i++];
    }
  }
  v->text.len += (size_t)(to - at);
  v->p[id] = (VocabPiece){at, (size_t)(to - at), flags};
}

static bool read_tokenizer(Pieces *v, const char *path) {
  json_error_t e;
  json_t *root = json_load_file(path, 0, &e);
  if (!root) return fprintf(stderr, "%s: %s\n", path, e.text), false;
  json_t *vocab = json_object_get(json_object_get(root, "model"), "vocab"), *value;
  json_t *added = json_object_get(root, "added_tokens");
  const char *key;
  size_t i, bytes = 1;
  v->n = json_object_size(vocab);
  json_array_foreach(added, i, value) {
    size_t id = (size_t)json_integer_value(json_object_get(value, "id"));
    if (id >= v->n) v->n = id + 1;
    bytes += json_string_length(json_object_get(value, "content"));
  }
  json_object_foreach(vocab, key, value) bytes += strlen(key);
  v->p = calloc(v->n, sizeof *v->p);
  if (!v->p || !buf_reserve(&v->text, bytes, NULL)) return false;
  json_object_foreach(vocab, key, value) put_piece(v, (size_t)json_integer_value(value), key, strlen(key), 0);
  json_array_foreach(added, i, value) {
    json_t *s = json_object_get(value, "content");
    unsigned flags = json_is_true(json_object_get(value, "special")) ? VOCAB_CONTROL : 0;
    put_piece(v, (size_t)json_integer_value(json_object_get(value, "id")), json_string_value(s),
              json_string_length(s), flags);
  }
  json_decref(root);
  return true;
}

// Words of two to nine letters, half of them behind a blank, some other scripts, punctuation, all bytes.
static bool made_up(Pieces *v) {
  v->n = 262144;
  v->p = calloc(v->n, sizeof *v->p);
  if (!v->p || !buf_reserve(&v->text, v->n * 40, NULL)) return false;
  for (size_t id = 0; id < v->n; id++) {
    char *at = v->text.data + v->text.len;
    size_t n = 0;
    if (id < 256) {
      at[n++] = (char)id;
    } else if (id < 20000) {
      for (uint32_t k = 1 + rnd(4); k; k--) at[n++] = "{}[]()\",:;.\\/-_=+<>\n \"\"01234567890"[rnd(34)];
    } else if (id < 100000) {
      for (uint32_t k = 1 + rnd(4); k; k--) {
        at[n++] = (char)(0xE4 + rnd(5));
        at[n++] = (char)(0x80 + rnd(64));
        at[n++] = (char)(0x80 + rnd(64));
      }
    } else {
      if (rnd(2)) at[n++] = ' ';
      for (uint32_t k = 2 + rnd(8); k; k--) at[n++] = "etaoinshrdlucmfwypvbgkjqxz"[rnd(rnd(26) + 1)];
    }
    v->p[id] = (VocabPiece){at, n, 0};
    v->text.len += n;
  }
  return true;
}

// --- runs --------------------------------------------------------------------------------------------

typedef struct Case {
  const char *name, *grammar;
} Case;

#define JSON                                                                                                 \
  "value ::= object | array | string | number | \"true\" | \"false\" | \"null\"\n"                           \
  "object ::= \"{\" (pair (\",\" \" \"? pair)*)? \"}\"\n"                                                    \
  "pair ::= string \":\" \" \"? value\n"                                                                     \
  "array ::= \"[\" (value (\",\" \" \"? value)*)? \"]\"\n"                                                   \
  "string ::= \"\\\"\" char* \"\\\"\"\n"                                                                     \
  "char ::= [^\"\\\\\\x00-\\x1f] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" [0-9a-fA-F]{4})\n"                       \
  "number ::= \"-\"? (\"0\" | [1-9] [0-9]{0,15}) (\".\" [0-9]{1,15})?\n"

static const Case cases[] = {
    {"any JSON", "root ::= value\n" JSON},
    {"a record", "root ::= \"{\\\"name\\\": \" string \", \\\"age\\\": \" number \", \\\"tags\\\": [\" "
                 "string (\", \" string)* "
                 "\"], \\\"note\\\": \" string \"}\"\n" JSON},
    {"strings of 20 to 200 characters", "root ::= (\"\\\"\" char{20,200} \"\\\"\" \"\\n\")*\n" JSON},
    {"strings of at most 30 characters", "root ::= (\"\\\"\" char{0,30} \"\\\"\" \"\\n\")*\n" JSON},
    {"free text without a tag", "root ::= ([^<] | \"<\" [^t])*"},
    {"e-mail addresses",
     "root ::= ([a-z0-9._-]{1,64} \"@\" [a-z0-9-]{1,63} (\".\" [a-z]{2,10}){1,3} \"\\n\")*"},
};

static int order(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

// One token among the allowed, the longer of three draws, as models tend to write whole words.
static int32_t draw(const Vocab *v, const uint64_t *bits) {
  int32_t best = -1;
  size_t best_len = 0;
  for (int found = 0, tries = 0; found < 3 && tries < 2000000; tries++) {
    size_t n, id = rnd((uint32_t)vocab_size(v));
    if (!(bits[id >> 6] >> (id & 63) & 1)) continue;
    vocab_piece(v, (int32_t)id, &n);
    if (best < 0 || n > best_len) best = (int32_t)id, best_len = n;
    found++;
  }
  return best;
}

static bool run(const Vocab *v, const Case *c, double step_ms) {
  zaya_error err = {0};
  Gram *g = gbnf_parse(c->grammar, strlen(c->grammar), &err);
  Match *m = g ? match_new(g, &err) : NULL;
  Mask *k = m ? mask_new(v, &err) : NULL;
  uint64_t *bits = malloc(mask_words(vocab_size(v)) * sizeof *bits);
  static double us[STEPS];
  int n = 0;
  double total = 0;
  bool ok = k && bits;
  while (ok && n < STEPS) {
    double t0 = now_us();
    ok = mask_fill(k, m, bits, &err);
    double t1 = now_us();
    int32_t id = ok ? draw(v, bits) : -1;
    if (id < 0) { // the output is complete: begin another, with the walks remembered
      match_reset(m);
      continue;
    }
    size_t len;
    const char *s = vocab_piece(v, id, &len);
    double t2 = now_us();
    ok = match_accept(m, s, len, &err);
    us[n] = t1 - t0 + now_us() - t2;
    total += us[n++];
  }
  if (ok) {
    qsort(us, STEPS, sizeof *us, order);
    MaskStats st = mask_stats(k);
    printf("%-34s median %7.1f us  p95 %7.1f us  max %7.1f us  mean %7.1f us (%.2f %% of %.0f ms)  %llu "
           "walks, %zu KiB\n",
           c->name, us[STEPS / 2], us[STEPS * 95 / 100], us[STEPS - 1], total / STEPS,
           total / STEPS / step_ms / 10, step_ms, (unsigned long long)st.walks, st.bytes >> 10);
  } else {
    fprintf(stderr, "%s: %s\n", c->name, err.message);
  }
  free(bits);
  mask_free(k);
  match_free(m);
  gram_free(g);
  return ok;
}

int main(int argc, char **argv) {
  Pieces p = {0};
  zaya_error err = {0};
  double step_ms = argc > 2 ? atof(argv[2]) : 45;
  if (!(argc > 1 ? read_tokenizer(&p, argv[1]) : made_up(&p))) return 1;
  double t = now_us();
  Vocab *v = vocab_new(p.p, p.n, &err);
  if (!v) return fprintf(stderr, "%s\n", err.message), 1;
  printf("%zu tokens (%s), trie in %.0f ms\n", p.n, argc > 1 ? "tokenizer.json" : "made up",
         (now_us() - t) / 1e3);
  bool ok = true;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) ok = run(v, &cases[i], step_ms) && ok;
  vocab_free(v);
  free(p.p);
  buf_free(&p.text);
  return ok ? 0 : 1;
}
