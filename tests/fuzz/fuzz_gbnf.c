// fuzz_gbnf: any bytes as a grammar. What compiles is run over some text and masked over a small vocabulary:
// a mask must be what taking the tokens says, and nothing may hang.
#include "text/gbnf.h"
#include "text/mask.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TOKENS = 72 };

static Vocab *vocab(void) {
  static const char *const words[] = {"ab", "abc", "\"}", "\",\"", "\xC3\xA9", "\xE2\x82"};
  static char bytes[64];
  VocabPiece p[TOKENS];
  for (int i = 0; i < 64; i++) {
    bytes[i] = (char)(i < 60 ? 0x20 + i + (i >= 30 ? 33 : 0) : 0xC0 + i);
    p[i] = (VocabPiece){&bytes[i], 1, 0};
  }
  for (int i = 64; i < TOKENS; i++) p[i] = (VocabPiece){words[i % 6], strlen(words[i % 6]), 0};
  return vocab_new(p, TOKENS, NULL);
}

static void walk(const Gram *g) {
  Match *m = match_new(g, NULL);
  Vocab *v = vocab();
  Mask *k = v ? mask_new(v, NULL) : NULL;
  uint64_t bits[2];
  for (int step = 0; m && k && step < 12 && mask_fill(k, m, bits, NULL); step++) {
    int32_t next = -1;
    uint32_t before = m->state;
    for (int32_t i = 0; i < TOKENS; i++) {
      size_t n;
      const char *s = vocab_piece(v, i, &n);
      zaya_error err = {0};
      bool takes = n && match_accept(m, s, n, &err); // 0xFF is no text: never
      if (err.status == ZAYA_E_LIMIT) break;
      if (takes != (bits[i >> 6] >> (i & 63) & 1)) abort();
      m->state = before;
      if (takes && (next < 0 || (i * 7 + step) % 5 == 0)) next = i;
    }
    if (next < 0) break;
    if (match_rest(m) == GRAM_INF) abort(); // a dead end was kept
    size_t n;
    const char *s = vocab_piece(v, next, &n);
    if (!match_accept(m, s, n, NULL)) break;
  }
  mask_free(k);
  vocab_free(v);
  match_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  zaya_error err = {0};
  Gram *g = gbnf_parse((const char *)data, size, &err);
  if (!g && (err.status == ZAYA_OK || !err.message[0])) abort();
  if (g) walk(g);
  gram_free(g);
  return 0;
}
