// buf: see buf.h.
#include "base/buf.h"

#include "base/error.h"
#include "base/size.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool buf_grow(void **data, size_t *cap, size_t need, size_t size, zaya_error *err) {
  if (need <= *cap) return true;
  size_t n = *cap ? *cap : 64;
  while (n < need)
    if (!size_mul(n, 2, &n)) return err_memory(err, need, "a buffer");
  size_t bytes;
  if (!size_mul(n, size, &bytes)) return err_memory(err, need, "a buffer");
  void *p = realloc(*data, bytes);
  if (!p) return err_memory(err, bytes, "a buffer");
  *data = p;
  *cap = n;
  return true;
}

bool buf_reserve(Buf *b, size_t extra, zaya_error *err) {
  size_t need;
  if (!size_add(b->len, extra, &need) || !size_add(need, 1, &need)) return err_memory(err, extra, "a buffer");
  void *data = b->data;
  if (!buf_grow(&data, &b->cap, need, 1, err)) return false;
  b->data = data;
  return true;
}

bool buf_add(Buf *b, const void *data, size_t len, zaya_error *err) {
  if (!buf_reserve(b, len, err)) return false;
  if (len) memcpy(b->data + b->len, data, len);
  b->len += len;
  b->data[b->len] = '\0';
  return true;
}

bool buf_puts(Buf *b, const char *s, zaya_error *err) { return buf_add(b, s, strlen(s), err); }

bool buf_putc(Buf *b, char c, zaya_error *err) { return buf_add(b, &c, 1, err); }

bool buf_printf(Buf *b, zaya_error *err, const char *fmt, ...) {
  va_list args, again;
  va_start(args, fmt);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, fmt, args);
  va_end(args);
  bool ok = n >= 0 && buf_reserve(b, (size_t)n, err);
  if (ok) {
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
    b->len += (size_t)n;
  }
  va_end(again);
  return ok;
}

void buf_clear(Buf *b) {
  b->len = 0;
  if (b->data) b->data[0] = '\0';
}

void buf_free(Buf *b) {
  free(b->data);
  *b = (Buf){0};
}

bool buf_read_file(Buf *b, const char *path, size_t limit, zaya_error *err) {
  FILE *f = fopen(path, "rb");
  if (!f) return err_errno(err, errno, "%s: cannot open", path);
  bool ok = true;
  while (ok) {
    ok = buf_reserve(b, 1 << 16, err);
    if (!ok) break;
    size_t n = fread(b->data + b->len, 1, 1 << 16, f);
    b->len += n;
    b->data[b->len] = '\0';
    if (b->len > limit) {
      ok = err_set(err, ZAYA_E_LIMIT, "%s: larger than the limit of %zu bytes", path, limit);
    } else if (n == 0) {
      if (ferror(f)) ok = err_errno(err, errno, "%s: cannot read", path);
      break;
    }
  }
  fclose(f);
  return ok;
}

bool ids_append(zaya_ids *a, const int32_t *ids, size_t n, zaya_error *err) {
  size_t need;
  if (!size_add(a->len, n, &need)) return err_memory(err, n, "token ids");
  void *data = a->data;
  if (!buf_grow(&data, &a->cap, need, sizeof *ids, err)) return false;
  a->data = data;
  if (n) memcpy(a->data + a->len, ids, n * sizeof *ids);
  a->len = need;
  return true;
}

bool tokens_add(zaya_tokens *a, zaya_token token, zaya_error *err) {
  void *data = a->data;
  if (!buf_grow(&data, &a->cap, a->len + 1, sizeof token, err)) return false;
  a->data = data;
  a->data[a->len++] = token;
  return true;
}

bool ids_add(zaya_ids *a, int32_t id, zaya_error *err) { return ids_append(a, &id, 1, err); }

void zaya_text_free(zaya_text *text) {
  if (text) buf_free(text);
}

void zaya_tokens_free(zaya_tokens *tokens) {
  if (!tokens) return;
  free(tokens->data);
  *tokens = (zaya_tokens){0};
}

void zaya_ids_free(zaya_ids *ids) {
  if (!ids) return;
  free(ids->data);
  *ids = (zaya_ids){0};
}
