// fuzz_schema: any bytes as a JSON schema. What compiles writes one output, the shortest from some place on,
// and the check must find it valid.
#include "text/match.h"
#include "text/schema.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Some bytes by the input's choice, then the shortest way to the end.
static bool output(Match *m, const uint8_t *data, size_t size, Buf *out) {
  for (size_t step = 0; step < 3000; step++) {
    uint32_t best = 0, least = UINT32_MAX;
    if (match_can_end(m) && (step >= 40 || match_must_end(m))) return true;
    for (uint32_t i = 0; i < 256; i++) {
      uint8_t byte = (uint8_t)(i + (step < 40 && size ? data[step % size] : 0));
      uint32_t s = match_step(m, m->state, byte);
      if (m->failed != ZAYA_OK) return false;
      if (s == MATCH_DEAD || m->sets[s].rest >= least) continue;
      best = byte;
      least = m->sets[s].rest;
      if (step < 40) break;
    }
    char c = (char)best;
    if (least == UINT32_MAX) abort(); // a dead end
    if (!match_accept(m, &c, 1, NULL) || !buf_putc(out, c, NULL)) return false;
  }
  return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  zaya_error err = {0};
  Schema *s = schema_parse((const char *)data, size, &err);
  Gram *g = s ? schema_compile(s, &err) : NULL;
  Match *m = g ? match_new(g, NULL) : NULL;
  if (!g && (err.status == ZAYA_OK || !err.message[0])) abort();
  Buf out = {0};
  if (m && output(m, data, size, &out)) {
    zaya_error why = {0};
    if (!schema_validate(s, out.data, out.len, &why) && why.status == ZAYA_E_FORMAT) abort();
  }
  buf_free(&out);
  match_free(m);
  gram_free(g);
  schema_free(s);
  return 0;
}
