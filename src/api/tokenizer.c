// tokenizer: the public tokenizer and decoder over text/tok.
#include "base/error.h"
#include "text/tok.h"

#include <stdlib.h>

struct zaya_decoder {
  TokDecoder decoder;
};

// The public enums and structs are those of text/tok under other names.
_Static_assert((int)ZAYA_ENCODE_TEMPLATE == (int)TOK_TEMPLATE && (int)ZAYA_ENCODE_CONTROL == (int)TOK_CONTROL,
               "flags");
_Static_assert((int)ZAYA_DECODE_SKIP_SPECIAL == (int)TOK_SKIP_SPECIAL, "flags");

zaya_tokenizer *zaya_tokenizer_open(const char *dir, zaya_error *err) { return tok_open(dir, err); }

void zaya_tokenizer_close(zaya_tokenizer *t) { tok_close(t); }

size_t zaya_tokenizer_count(const zaya_tokenizer *t) { return tok_count(t); }

const char *zaya_tokenizer_piece(const zaya_tokenizer *t, int32_t id, size_t *len) {
  return tok_piece(t, id, len);
}

const char *zaya_tokenizer_bytes(const zaya_tokenizer *t, int32_t id, size_t *len) {
  return tok_bytes(t, id, len);
}

int32_t zaya_tokenizer_id(const zaya_tokenizer *t, const char *piece, size_t len) {
  return tok_id(t, piece, len);
}

bool zaya_tokenizer_is_special(const zaya_tokenizer *t, int32_t id) { return tok_is_special(t, id); }

bool zaya_tokenizer_is_control(const zaya_tokenizer *t, int32_t id) { return tok_is_control(t, id); }

int32_t zaya_tokenizer_bos(const zaya_tokenizer *t) { return tok_bos(t); }

const int32_t *zaya_tokenizer_stops(const zaya_tokenizer *t, size_t *n) { return tok_stops(t, n); }

bool zaya_tokenizer_encode(const zaya_tokenizer *t, const char *text, size_t len, unsigned flags,
                           zaya_ids *ids, zaya_error *err) {
  return tok_encode(t, text, len, flags, ids, err);
}

bool zaya_tokenizer_encode_segments(const zaya_tokenizer *t, const zaya_segment *segments, size_t n,
                                    unsigned flags, zaya_ids *ids, zaya_tokens *tokens, zaya_error *err) {
  return tok_encode_segments(t, segments, n, flags, ids, tokens, err);
}

bool zaya_tokenizer_decode(const zaya_tokenizer *t, const int32_t *ids, size_t n, unsigned flags,
                           zaya_text *out, zaya_error *err) {
  return tok_decode(t, ids, n, flags, out, err);
}

zaya_decoder *zaya_decoder_new(const zaya_tokenizer *t, unsigned flags, zaya_error *err) {
  zaya_decoder *d = malloc(sizeof *d);
  if (!d)
    err_memory(err, sizeof *d, "a decoder");
  else
    d->decoder = tok_decoder(t, flags);
  return d;
}

void zaya_decoder_free(zaya_decoder *d) { free(d); }

bool zaya_decoder_push(zaya_decoder *d, int32_t id, zaya_text *out, zaya_error *err) {
  return tok_decoder_push(&d->decoder, id, out, err);
}

bool zaya_decoder_flush(zaya_decoder *d, zaya_text *out, zaya_error *err) {
  if (!tok_decoder_flush(&d->decoder, out, err)) return false;
  d->decoder = tok_decoder(d->decoder.tok, d->decoder.flags);
  return true;
}
