// fuzz_tok_load: any bytes as tokenizer.json. What is taken must encode and decode without fault.
#include "text/tok.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char text[] = "hello  world <tool>x \n\n\xC3\xA9\xFF word<|im_end|>aaaaab";
  zaya_error err = {0};
  Tok *t = tok_parse("fuzz", (const char *)data, size, &err);
  if (!t) {
    if (err.status == ZAYA_OK || !err.message[0] || strchr(err.message, '\n')) abort(); // a refusal says why
    return 0;
  }
  zaya_ids ids = {0};
  zaya_text out = {0};
  TokSegment cut[2] = {{text, 14, true}, {text + 14, sizeof text - 15, false}};
  bool ok = tok_encode(t, text, sizeof text - 1, TOK_TEMPLATE | TOK_CONTROL, &ids, NULL) &&
            tok_encode_segments(t, cut, 2, 0, &ids, NULL, NULL);
  for (size_t i = 0; i < ids.len; i++)
    if (!tok_has(t, ids.data[i])) abort();
  if (ok && !tok_decode(t, ids.data, ids.len, 0, &out, NULL)) abort();
  zaya_ids_free(&ids);
  zaya_text_free(&out);
  tok_close(t);
  return 0;
}
