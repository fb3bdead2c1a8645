// tok_decode: ids to text. What an id decodes to is worked out once, at load; only the start of the text
// (Strip) and characters made of several byte tokens need a state. Depends on tok_impl, utf8.
#include "base/error.h"
#include "base/utf8.h"
#include "text/tok_impl.h"

#include <string.h>

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// "<0xNN>": the byte; -1 for any other text.
static int byte_of(const char *s, size_t n) {
  if (n != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>') return -1;
  int high = hex_value(s[3]), low = hex_value(s[4]);
  return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool decode_index(Tok *t, zaya_error *err) {
  if (!buf_reserve(&t->bytes, t->pool.len, err)) return false;
  for (size_t id = 0; id < t->n; id++) {
    TokPiece *p = &t->pieces[id];
    if (!(p->flags & (PIECE_VOCAB | PIECE_ADDED))) continue;
    size_t at = t->bytes.len;
    if (!replaces_apply(&t->decoder, p->text.len ? tok_at(t, p->text) : "", p->text.len, &t->bytes, err))
      return false;
    if (t->bytes.len > UINT32_MAX)
      return err_set(err, ZAYA_E_LIMIT, "%s: the decoded pieces take more than 4 GiB", t->name);
    int byte = t->decode_bytes ? byte_of(t->bytes.data + at, t->bytes.len - at) : -1;
    if (byte >= 0) {
      t->bytes.len = at;
      if (!buf_putc(&t->bytes, (char)byte, err)) return false;
      p->flags |= PIECE_BYTE;
    }
    p->decoded = (TokStr){(uint32_t)at, (uint32_t)(t->bytes.len - at)};
  }
  return true;
}

TokDecoder tok_decoder(const Tok *t, unsigned flags) {
  return (TokDecoder){.tok = t, .flags = flags, .strip = t->strip};
}

// One byte of a character: keeps it until the character is whole or cannot become one.
static bool push_byte(TokDecoder *d, char byte, Buf *out, zaya_error *err) {
  char work[8];
  memcpy(work, d->held, d->n_held);
  size_t n = d->n_held;
  work[n++] = byte;
  size_t tail = utf8_incomplete_tail(work, n);
  if (!utf8_repair(out, work, n - tail, err)) return false;
  memcpy(d->held, work + n - tail, tail);
  d->n_held = tail;
  return true;
}

bool tok_decoder_push(TokDecoder *d, int32_t id, Buf *out, zaya_error *err) {
  size_t n;
  const char *s = tok_bytes(d->tok, id, &n);
  if (!s)
    return err_set(err, ZAYA_E_INVALID, "%s: there is no token with id %d (ids are below %zu)", d->tok->name,
                   id, d->tok->n);
  if ((d->flags & TOK_SKIP_SPECIAL) && tok_is_special(d->tok, id)) return true;
  for (; d->strip && n; s++, n--, d->strip--)
    if (*s != d->tok->strip_char) {
      d->strip = 0;
      break;
    }
  if (n == 0) return true;
  if (tok_is_byte(d->tok, id)) return push_byte(d, *s, out, err);
  return tok_decoder_flush(d, out, err) && buf_add(out, s, n, err);
}

bool tok_decoder_flush(TokDecoder *d, Buf *out, zaya_error *err) {
  if (!utf8_repair(out, d->held, d->n_held, err)) return false;
  d->n_held = 0;
  return true;
}

bool tok_decode(const Tok *t, const int32_t *ids, size_t n, unsigned flags, Buf *out, zaya_error *err) {
  TokDecoder d = tok_decoder(t, flags);
  for (size_t i = 0; i < n; i++)
    if (!tok_decoder_push(&d, ids[i], out, err)) return false;
  return tok_decoder_flush(&d, out, err);
}
