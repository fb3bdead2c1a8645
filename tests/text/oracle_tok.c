// oracle_tok: compares the tokenizer with recorded cases ({"text", "ids"} a line) and checks that decoding
// gives the text back, or "decoded" where a case has it. With a text file it prints how long loading and
// encoding a megabyte take; asserts no time.
//   oracle_tok DIR CASES [TEXT_FILE]
#include "base/buf.h"
#include "text/tok.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void show(const char *what, const json_t *text, const zaya_ids *got, const json_t *want) {
  char *s = json_dumps(text, JSON_ENCODE_ANY | JSON_ENSURE_ASCII),
       *w = want ? json_dumps(want, JSON_COMPACT) : NULL;
  printf("%s: %.300s\n  want %.400s\n  got  [", what, s, w ? w : "the text back");
  for (size_t i = 0; i < got->len && i < 80; i++) printf(i ? ",%d" : "%d", got->data[i]);
  printf("]\n");
  free(s);
  free(w);
}

static bool same_ids(const zaya_ids *got, const json_t *want) {
  if (got->len != json_array_size(want)) return false;
  for (size_t i = 0; i < got->len; i++)
    if (got->data[i] != (int32_t)json_integer_value(json_array_get(want, i))) return false;
  return true;
}

// Whether decoding gives `want`: by default the text, in which pieces spell a space as U+2581, so that one
// comes back as a space.
static bool decodes(const Tok *t, const zaya_ids *ids, const json_t *text, const json_t *want) {
  Buf back = {0}, space = {0};
  const char *s = json_string_value(want ? want : text);
  size_t len = json_string_length(want ? want : text);
  for (size_t i = 0; i < len; i++) {
    bool here = !want && len - i >= 3 && !memcmp(s + i, "\xE2\x96\x81", 3);
    buf_add(&space, here ? " " : s + i, 1, NULL);
    if (here) i += 2;
  }
  bool ok = tok_decode(t, ids->data, ids->len, 0, &back, NULL) && back.len == space.len &&
            (!back.len || !memcmp(back.data, space.data, back.len));
  buf_free(&back);
  buf_free(&space);
  return ok;
}

// The tokens must tile the text, and cutting it into segments must change nothing.
static bool tiles(const Tok *t, const char *text, size_t len, const zaya_ids *ids) {
  zaya_tokens tokens = {0};
  TokSegment cut[2] = {{text, len / 3, true}, {text + len / 3, len - len / 3, true}};
  bool ok = tok_encode_segments(t, cut, 2, 0, NULL, &tokens, NULL) && tokens.len == ids->len;
  for (size_t i = 0; ok && i < tokens.len; i++)
    ok = tokens.data[i].id == ids->data[i] && tokens.data[i].begin == (i ? tokens.data[i - 1].end : 0);
  ok = ok && (!len || tokens.data[tokens.len - 1].end == len);
  zaya_tokens_free(&tokens);
  return ok;
}

static bool check_line(const Tok *t, const char *line, size_t *bad) {
  zaya_error err = {0};
  zaya_ids ids = {0};
  json_t *j = json_loads(line, JSON_ALLOW_NUL, NULL);
  const json_t *text = json_object_get(j, "text"), *want = json_object_get(j, "ids");
  if (!json_is_string(text) || !json_is_array(want)) {
    printf("not a case: %.100s\n", line);
    json_decref(j);
    return false;
  }
  const char *s = json_string_value(text);
  size_t len = json_string_length(text);
  const char *what = NULL;
  if (!tok_encode(t, s, len, TOK_CONTROL, &ids, &err))
    what = err.message;
  else if (!same_ids(&ids, want))
    what = "ids differ";
  else if (!tiles(t, s, len, &ids))
    what = "tokens do not tile the text";
  else if (!decodes(t, &ids, text, json_object_get(j, "decoded")))
    what = "decoding differs";
  if (what && ++*bad <= 20) show(what, text, &ids, strcmp(what, "ids differ") ? NULL : want);
  json_decref(j);
  zaya_ids_free(&ids);
  return true;
}

static void measure(const Tok *t, const char *path) {
  Buf one = {0}, big = {0};
  zaya_ids ids = {0};
  if (!buf_read_file(&one, path, 1 << 20, NULL) || !one.len) return;
  while (big.len < 1 << 20) buf_add(&big, one.data, one.len, NULL);
  double start = now();
  tok_encode(t, big.data, big.len, TOK_CONTROL, &ids, NULL);
  printf("encoded %zu bytes to %zu ids in %.0f ms\n", big.len, ids.len, 1e3 * (now() - start));
  memset(big.data, 'a', big.len); // no place where it could be cut
  ids.len = 0;
  start = now();
  tok_encode(t, big.data, big.len, TOK_CONTROL, &ids, NULL);
  printf("encoded %zu times 'a' to %zu ids in %.0f ms\n", big.len, ids.len, 1e3 * (now() - start));
  buf_free(&one);
  buf_free(&big);
  zaya_ids_free(&ids);
}

int main(int argc, char **argv) {
  if (argc != 3 && argc != 4) return 2;
  zaya_error err = {0};
  double start = now();
  Tok *t = tok_open(argv[1], &err);
  if (!t) {
    printf("%s\n", err.message);
    return 1;
  }
  if (argc == 4) printf("loaded %zu ids in %.0f ms\n", tok_count(t), 1e3 * (now() - start));
  if (argc == 4) measure(t, argv[3]);
  FILE *f = fopen(argv[2], "rb");
  char *line = NULL;
  size_t cap = 0, n = 0, bad = 0;
  bool ok = f != NULL;
  while (ok && getline(&line, &cap, f) > 0) {
    ok = check_line(t, line, &bad);
    n++;
  }
  printf("%zu cases, %zu differ\n", n, bad);
  free(line);
  if (f) fclose(f);
  tok_close(t);
  return !ok || bad || n == 0;
}
