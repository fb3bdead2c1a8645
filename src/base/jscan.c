// jscan: see jscan.h.
#include "base/jscan.h"

#include "base/error.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

void jscan_init(JScan *j, const char *name, const char *text, size_t len) {
  *j = (JScan){.name = name, .begin = text, .p = text, .end = text + len};
}

void jscan_free(JScan *j) {
  buf_free(&j->scratch[0]);
  buf_free(&j->scratch[1]);
}

bool jscan_fail(const JScan *j, zaya_error *err, const char *fmt, ...) {
  char message[512];
  va_list args;
  va_start(args, fmt);
  vsnprintf(message, sizeof message, fmt, args);
  va_end(args);
  size_t line = 1;
  const char *start = j->begin;
  for (const char *p = j->begin; p < j->p; p++)
    if (*p == '\n') {
      line++;
      start = p + 1;
    }
  return err_set(err, ZAYA_E_FORMAT, "%s: line %zu, column %zu: %s", j->name, line,
                 (size_t)(j->p - start) + 1, message);
}

// "expected WHAT, found ...", at the present place.
static bool expected(const JScan *j, zaya_error *err, const char *what) {
  if (j->p >= j->end) return jscan_fail(j, err, "expected %s, found the end of the file", what);
  uint8_t c = (uint8_t)*j->p;
  if (c > 0x20 && c < 0x7F) return jscan_fail(j, err, "expected %s, found '%c'", what, c);
  return jscan_fail(j, err, "expected %s, found byte 0x%02X", what, c);
}

static void skip_space(JScan *j) {
  const char *p = j->p;
  while (p < j->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
  j->p = p;
}

char jscan_peek(JScan *j) {
  skip_space(j);
  return j->p < j->end ? *j->p : 0;
}

bool jscan_enter(JScan *j, char open, zaya_error *err) {
  if (jscan_peek(j) != open) return expected(j, err, open == '{' ? "an object" : "an array");
  if (j->depth == JSCAN_MAX_DEPTH)
    return jscan_fail(j, err, "nested more than %d levels deep", JSCAN_MAX_DEPTH);
  j->close[j->depth++] = open == '{' ? '}' : ']';
  j->p++;
  j->fresh = true;
  return true;
}

int jscan_next(JScan *j, zaya_error *err) {
  char close = j->close[j->depth - 1], c = jscan_peek(j);
  if (c == close) {
    j->p++;
    j->depth--;
    j->fresh = false;
    return 0;
  }
  if (!j->fresh) {
    if (c != ',') {
      expected(j, err, close == '}' ? "',' or '}'" : "',' or ']'");
      return -1;
    }
    j->p++;
  }
  j->fresh = false;
  return 1;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex4(JScan *j, uint32_t *out, zaya_error *err) {
  uint32_t v = 0;
  for (int i = 0; i < 4; i++, j->p++) {
    int d = j->p < j->end ? hex_digit(*j->p) : -1;
    if (d < 0) return expected(j, err, "four hexadecimal digits");
    v = v << 4 | (uint32_t)d;
  }
  *out = v;
  return true;
}

// \uXXXX or a surrogate pair of two, at the digits of the first.
static bool unicode_escape(JScan *j, Buf *out, zaya_error *err) {
  uint32_t cp = 0, low = 0;
  if (!hex4(j, &cp, err)) return false;
  if (cp >= 0xD800 && cp < 0xE000) {
    if (cp >= 0xDC00 || j->end - j->p < 2 || j->p[0] != '\\' || j->p[1] != 'u')
      return jscan_fail(j, err, "a surrogate escape stands alone");
    j->p += 2;
    if (!hex4(j, &low, err)) return false;
    if (low < 0xDC00 || low > 0xDFFF) return jscan_fail(j, err, "a surrogate escape stands alone");
    cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
  }
  char bytes[4];
  return buf_add(out, bytes, utf8_put(cp, bytes), err);
}

static bool escape(JScan *j, Buf *out, zaya_error *err) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  j->p++; // the backslash
  if (j->p < j->end && *j->p == 'u') {
    j->p++;
    return unicode_escape(j, out, err);
  }
  const char *at = j->p < j->end && *j->p ? strchr(from, *j->p) : NULL;
  if (!at) return expected(j, err, "an escape");
  j->p++;
  return buf_putc(out, to[at - from], err);
}

// Moves over plain characters of a string, up to a quote, a backslash or what may not stand there.
static void plain_run(JScan *j) {
  const char *p = j->p;
  while (p < j->end) {
    uint8_t c = (uint8_t)*p;
    if (c == '"' || c == '\\' || c < 0x20) break;
    if (c < 0x80) {
      p++;
      continue;
    }
    uint32_t cp;
    size_t len = utf8_next(p, (size_t)(j->end - p), &cp);
    if (cp == UTF8_BAD) break;
    p += len;
  }
  j->p = p;
}

bool jscan_string(JScan *j, JStr *out, zaya_error *err) {
  if (jscan_peek(j) != '"') return expected(j, err, "a string");
  const char *start = ++j->p;
  plain_run(j);
  j->fresh = false;
  if (j->p < j->end && *j->p == '"') { // no escapes: the text itself
    *out = (JStr){start, (size_t)(j->p - start)};
    j->p++;
    return true;
  }
  Buf *b = &j->scratch[j->turn ^= 1];
  buf_clear(b);
  for (;;) {
    if (!buf_add(b, start, (size_t)(j->p - start), err)) return false;
    if (j->p >= j->end) return expected(j, err, "the end of a string");
    if (*j->p == '"') break;
    if (*j->p != '\\') return expected(j, err, "a character of a string (UTF-8, no control characters)");
    if (!escape(j, b, err)) return false;
    start = j->p;
    plain_run(j);
  }
  j->p++;
  *out = (JStr){b->data, b->len};
  return true;
}

bool jscan_key(JScan *j, JStr *key, zaya_error *err) {
  if (!jscan_string(j, key, err)) return false;
  if (jscan_peek(j) != ':') return expected(j, err, "':'");
  j->p++;
  return true;
}

static bool digits(JScan *j, zaya_error *err) {
  const char *start = j->p;
  while (j->p < j->end && *j->p >= '0' && *j->p <= '9') j->p++;
  return j->p > start || expected(j, err, "a digit");
}

// Moves over a number; *whole says whether it has neither fraction nor exponent.
static bool number(JScan *j, bool *whole, zaya_error *err) {
  if (j->p < j->end && *j->p == '-') j->p++;
  if (j->p < j->end && *j->p == '0')
    j->p++;
  else if (!digits(j, err))
    return false;
  *whole = true;
  if (j->p < j->end && *j->p == '.') {
    *whole = false;
    j->p++;
    if (!digits(j, err)) return false;
  }
  if (j->p < j->end && (*j->p | 0x20) == 'e') {
    *whole = false;
    j->p++;
    if (j->p < j->end && (*j->p == '+' || *j->p == '-')) j->p++;
    if (!digits(j, err)) return false;
  }
  j->fresh = false;
  return true;
}

bool jscan_int(JScan *j, int64_t *out, zaya_error *err) {
  char c = jscan_peek(j);
  if (c != '-' && (c < '0' || c > '9')) return expected(j, err, "a whole number");
  const char *start = j->p;
  bool whole, negative = c == '-';
  if (!number(j, &whole, err)) return false;
  uint64_t v = 0;
  for (const char *p = start + negative; whole && p < j->p; p++) {
    v = v * 10 + (uint64_t)(*p - '0');
    whole = v <= (uint64_t)INT64_MAX / 10 - 1;
  }
  if (!whole) {
    j->p = start;
    return jscan_fail(j, err, "expected a whole number of moderate size");
  }
  *out = negative ? -(int64_t)v : (int64_t)v;
  return true;
}

static bool word(JScan *j, const char *text) {
  size_t n = strlen(text);
  if ((size_t)(j->end - j->p) < n || memcmp(j->p, text, n) != 0) return false;
  j->p += n;
  j->fresh = false;
  return true;
}

bool jscan_bool(JScan *j, bool *out, zaya_error *err) {
  char c = jscan_peek(j);
  *out = c == 't';
  return word(j, c == 't' ? "true" : "false") || expected(j, err, "true or false");
}

static bool skip_members(JScan *j, char open, zaya_error *err) {
  if (!jscan_enter(j, open, err)) return false;
  int more;
  while ((more = jscan_next(j, err)) > 0) {
    JStr key;
    if (open == '{' && !jscan_key(j, &key, err)) return false;
    if (!jscan_skip(j, NULL, err)) return false;
  }
  return more == 0;
}

bool jscan_skip(JScan *j, JStr *span, zaya_error *err) {
  char c = jscan_peek(j);
  const char *start = j->p;
  bool ok, whole;
  JStr s;
  switch (c) {
  case '{':
  case '[': ok = skip_members(j, c, err); break;
  case '"': ok = jscan_string(j, &s, err); break;
  case 't': ok = word(j, "true") || expected(j, err, "a value"); break;
  case 'f': ok = word(j, "false") || expected(j, err, "a value"); break;
  case 'n': ok = word(j, "null") || expected(j, err, "a value"); break;
  default: ok = c == '-' || (c >= '0' && c <= '9') ? number(j, &whole, err) : expected(j, err, "a value");
  }
  if (ok && span) *span = (JStr){start, (size_t)(j->p - start)};
  return ok;
}

bool jscan_finish(JScan *j, zaya_error *err) {
  skip_space(j);
  return j->p == j->end || expected(j, err, "the end of the file");
}
