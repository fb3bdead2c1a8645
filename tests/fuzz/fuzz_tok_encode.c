// fuzz_tok_encode: any bytes as text, cut and marked by its first bytes. Tokens must tile the text, plain
// segments must yield no control token, and decoding must give the repaired text back.
#include "base/utf8.h"
#include "text/tok.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// What decoding gives back: repaired, U+2581 as a space; added tokens that strip take white space along.
static bool gives_back(const Tok *t, const zaya_ids *ids, const char *text, size_t n) {
  Buf repaired = {0}, want = {0}, got = {0};
  utf8_repair(&repaired, text, n, NULL);
  for (size_t i = 0; i < repaired.len; i++) {
    bool space = repaired.len - i >= 3 && !memcmp(repaired.data + i, "\xE2\x96\x81", 3);
    buf_add(&want, space ? " " : repaired.data + i, 1, NULL);
    if (space) i += 2;
  }
  bool ok = tok_decode(t, ids->data, ids->len, 0, &got, NULL) && got.len == want.len &&
            (!got.len || !memcmp(got.data, want.data, got.len));
  buf_free(&repaired);
  buf_free(&want);
  buf_free(&got);
  return ok;
}

static bool has(const char *text, size_t n, const char *part) {
  for (size_t i = 0; i + strlen(part) <= n; i++)
    if (!memcmp(text + i, part, strlen(part))) return true;
  return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static Tok *t;
  if (!t && !(t = tok_open(ZAYA_TEST_DATA "/unit/data/tok", NULL))) abort();
  if (size < 3) return 0;
  const char *text = (const char *)data + 3;
  size_t n = size - 3, a = data[0] % (n + 1), b = a + data[1] % (n - a + 1);
  TokSegment s[3] = {{text, a, data[2] & 1}, {text + a, b - a, data[2] & 2}, {text + b, n - b, data[2] & 4}};
  zaya_ids ids = {0};
  zaya_tokens tokens = {0};
  if (!tok_encode_segments(t, s, 3, 0, &ids, &tokens, NULL)) abort();
  size_t end = 0;
  for (size_t i = 0; i < tokens.len; i++) {
    zaya_token k = tokens.data[i];
    if (k.begin != end || k.end < k.begin) abort();
    end = k.end;
    bool plain = (!s[0].control && k.begin < a && k.end > 0) ||
                 (!s[1].control && b > a && k.begin < b && k.end > a) ||
                 (!s[2].control && n > b && k.end > b);
    if (plain && tok_is_control(t, k.id)) abort();
  }
  if (end != n) abort();
  if (!has(text, n, "<strip>") && !gives_back(t, &ids, text, n)) abort();
  zaya_ids_free(&ids);
  zaya_tokens_free(&tokens);
  return 0;
}
