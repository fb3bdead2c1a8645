// jstr: see jstr.h.
#include "text/jstr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const GramRange raw_ranges[] = {{0x20, 0x21}, {0x23, 0x5B}, {0x5D, 0x10FFFF}};

// The letter of a short escape, or 0.
static char short_escape(uint32_t c) {
  switch (c) {
  case '"':
  case '\\': return (char)c;
  case '\b': return 'b';
  case '\f': return 'f';
  case '\n': return 'n';
  case '\r': return 'r';
  case '\t': return 't';
  default: return 0;
  }
}

// Writes the plain escape of a character that needs one; returns its length.
static size_t plain_escape(char out[8], uint32_t c) {
  char s = short_escape(c);
  if (s) {
    out[0] = '\\';
    out[1] = s;
    return 2;
  }
  return (size_t)snprintf(out, 8, "\\u%04x", (unsigned)c);
}

static GramExpr hex_digits(GramBuilder *b, uint32_t n) {
  static const GramRange hex[] = {{'0', '9'}, {'A', 'F'}, {'a', 'f'}};
  return gram_repeat(b, gram_set(b, hex, 3, false), n, n);
}

static GramExpr one_of(GramBuilder *b, const char *chars) {
  GramRange r[32];
  size_t n = 0;
  for (; chars[n] && n < 32; n++) r[n] = (GramRange){(unsigned char)chars[n], (unsigned char)chars[n]};
  return gram_set(b, r, n, false);
}

// Four hexadecimal digits: a code unit that is no surrogate and not zero.
static GramExpr unit(GramBuilder *b) {
  GramExpr alts[5];
  alts[0] = gram_cat2(b, one_of(b, "123456789abcefABCEF"), hex_digits(b, 3));
  alts[1] = gram_cat3(b, one_of(b, "dD"), one_of(b, "01234567"), hex_digits(b, 2));
  alts[2] = gram_cat3(b, gram_text(b, "0"), one_of(b, "123456789abcdefABCDEF"), hex_digits(b, 2));
  alts[3] = gram_cat3(b, gram_text(b, "00"), one_of(b, "123456789abcdefABCDEF"), hex_digits(b, 1));
  alts[4] = gram_cat2(b, gram_text(b, "000"), one_of(b, "123456789abcdefABCDEF"));
  return gram_alt(b, alts, 5);
}

static GramExpr surrogate_pair(GramBuilder *b) {
  GramExpr parts[] = {one_of(b, "dD"), one_of(b, "89abAB"),   hex_digits(b, 2), gram_text(b, "\\u"),
                      one_of(b, "dD"), one_of(b, "cdefCDEF"), hex_digits(b, 2)};
  return gram_cat(b, parts, 7);
}

static GramExpr any_escape(GramBuilder *b) {
  GramExpr hex = gram_cat2(b, gram_text(b, "u"), gram_alt2(b, unit(b), surrogate_pair(b)));
  return gram_cat2(b, gram_text(b, "\\"), gram_alt2(b, one_of(b, "\"\\/bfnrt"), hex));
}

GramExpr jstr_free_char(GramBuilder *b) {
  return gram_alt2(b, gram_set(b, raw_ranges, 3, false), any_escape(b));
}

GramExpr jstr_free_char_no_lt(GramBuilder *b) {
  static const GramRange raw[] = {{0x20, 0x21}, {0x23, '<' - 1}, {'<' + 1, 0x5B}, {0x5D, 0x10FFFF}};
  return gram_alt2(b, gram_set(b, raw, 4, false), any_escape(b));
}

GramExpr jstr_free_no_tags(GramBuilder *b) {
  static const GramRange behind[] = {{0x20, 0x21},    {0x23, '/' - 1}, {'/' + 1, '<' - 1},
                                     {'<' + 1, 0x5B}, {0x5D, 'z' - 1}, {'z' + 1, 0x10FFFF}};
  GramExpr next = gram_alt2(b, gram_set(b, behind, 6, false), any_escape(b));
  GramExpr lt = gram_cat2(b, gram_repeat(b, gram_text(b, "<"), 1, GRAM_INF), next);
  GramExpr body = gram_repeat(b, gram_alt2(b, jstr_free_char_no_lt(b), lt), 0, GRAM_INF);
  return gram_cat2(b, body, gram_repeat(b, gram_text(b, "<"), 0, GRAM_INF));
}

static bool in_ranges(const GramRange *r, size_t n, uint32_t c) {
  for (size_t i = 0; i < n && r[i].lo <= c; i++)
    if (c <= r[i].hi) return true;
  return false;
}

GramExpr jstr_set(GramBuilder *b, const GramRange *ranges, size_t n) {
  GramRange *raw = malloc((n + 3) * 2 * sizeof *raw);
  if (!raw) return err_memory(&b->err, n * sizeof *raw, "a class"), 0;
  size_t n_raw = 0;
  for (size_t i = 0; i < n; i++) // each range without ", \ and the control characters
    for (size_t j = 0; j < 3; j++) {
      uint32_t lo = ranges[i].lo > raw_ranges[j].lo ? ranges[i].lo : raw_ranges[j].lo;
      uint32_t hi = ranges[i].hi < raw_ranges[j].hi ? ranges[i].hi : raw_ranges[j].hi;
      if (lo <= hi && n_raw < (n + 3) * 2) raw[n_raw++] = (GramRange){lo, hi};
    }
  Buf escapes[34] = {0};
  size_t n_escapes = 0;
  bool ok = true;
  for (uint32_t c = 1; c <= '\\' && ok; c++) {
    if ((c >= 0x20 && c != '"' && c != '\\') || !in_ranges(ranges, n, c)) continue;
    char text[8];
    ok = buf_add(&escapes[n_escapes++], text, plain_escape(text, c), &b->err);
  }
  GramExpr x = gram_set(b, raw, n_raw, false);
  if (ok && n_escapes)
    x = n_raw ? gram_alt2(b, x, gram_literals(b, escapes, n_escapes)) : gram_literals(b, escapes, n_escapes);
  for (size_t i = 0; i < n_escapes; i++) buf_free(&escapes[i]);
  free(raw);
  return ok ? x : 0;
}

bool jstr_quote(Buf *out, const char *text, size_t len, zaya_error *err) {
  bool ok = buf_putc(out, '"', err);
  for (size_t i = 0; i < len && ok; i++) {
    unsigned char c = (unsigned char)text[i];
    char s[8];
    if (c < 0x20 || c == '"' || c == '\\')
      ok = buf_add(out, s, plain_escape(s, c), err);
    else
      ok = buf_putc(out, (char)c, err);
  }
  return ok && buf_putc(out, '"', err);
}

// --- any string but some -----------------------------------------------------------------------------------

typedef struct Name {
  const char *text;
  size_t len;
} Name;

static int name_order(const void *a, const void *b) {
  const Name *x = a, *y = b;
  size_t n = x->len < y->len ? x->len : y->len;
  int c = n ? memcmp(x->text, y->text, n) : 0;
  return c ? c : x->len < y->len ? -1 : x->len > y->len;
}

// Decodes one character of valid UTF-8.
static uint32_t code_point(const char *s, size_t *n) {
  unsigned char c = (unsigned char)s[0];
  *n = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
  uint32_t v = *n == 1 ? c : c & (0x7Fu >> *n);
  for (size_t i = 1; i < *n; i++) v = v << 6 | ((unsigned char)s[i] & 0x3F);
  return v;
}

// Takes one code point out of sorted ranges, of which there may then be one more.
static size_t without(GramRange *r, size_t n, uint32_t c) {
  for (size_t i = 0; i < n; i++) {
    if (c < r[i].lo || c > r[i].hi) continue;
    GramRange above = {c + 1, r[i].hi};
    if (r[i].lo < c) {
      r[i].hi = c - 1;
      if (above.lo > above.hi) return n;
      memmove(r + i + 2, r + i + 1, (n - i - 1) * sizeof *r);
      r[i + 1] = above;
      return n + 1;
    }
    r[i] = above; // perhaps empty, which gram_set leaves out
    return n;
  }
  return n;
}

// A rule for what may follow the first `at` bytes that the names names[0..n) share, so that the whole is none
// of them, closing quote included. `rest` is any characters and the quote.
static uint32_t other_rule(GramBuilder *b, const Name *names, size_t n, size_t at, GramExpr rest,
                           bool no_lt) {
  uint32_t rule = gram_rule(b, "another name");
  GramExpr *alts = malloc((n + 2) * sizeof *alts);
  GramRange *other = malloc((n + 2) * sizeof *other);
  if (!alts || !other || !gram_builder_ok(b, NULL)) {
    free(alts);
    free(other);
    err_memory(&b->err, n * sizeof *alts, "names");
    return rule;
  }
  size_t n_alts = 0, n_other = 0, i = 0;
  uint32_t from = 0;
  while (i < n && names[i].len == at) i++;
  if (!i) alts[n_alts++] = gram_text(b, "\"");
  while (i < n) { // UTF-8 sorts by code point
    size_t size, j = i + 1;
    uint32_t c = code_point(names[i].text + at, &size);
    while (j < n && names[j].len >= at + size && !memcmp(names[j].text + at, names[i].text + at, size)) j++;
    GramRange one = {c, c};
    alts[n_alts++] = gram_cat2(b, jstr_set(b, &one, 1),
                               gram_use(b, other_rule(b, names + i, j - i, at + size, rest, no_lt)));
    if (c > from) other[n_other++] = (GramRange){from, c - 1};
    from = c + 1;
    i = j;
  }
  if (from <= 0x10FFFF) other[n_other++] = (GramRange){from, 0x10FFFF};
  if (no_lt) n_other = without(other, n_other, '<');
  alts[n_alts++] = gram_cat2(b, jstr_set(b, other, n_other), rest);
  gram_define(b, rule, gram_alt(b, alts, n_alts));
  free(alts);
  free(other);
  return rule;
}

GramExpr jstr_other(GramBuilder *b, const char *const *texts, const size_t *lens, size_t n, bool no_lt) {
  static const GramRange most[] = {{0, '<' - 1}, {'<' + 1, 0x10FFFF}}, all = {0, 0x10FFFF};
  uint32_t rest = gram_rule(b, "any characters");
  GramExpr any = gram_repeat(b, no_lt ? jstr_set(b, most, 2) : jstr_set(b, &all, 1), 0, GRAM_INF);
  gram_define(b, rest, gram_cat2(b, any, gram_text(b, "\"")));
  if (!n) return gram_cat2(b, gram_text(b, "\""), gram_use(b, rest));
  Name *names = malloc(n * sizeof *names);
  if (!names) return err_memory(&b->err, n * sizeof *names, "names"), 0;
  size_t longest = 0;
  for (size_t i = 0; i < n; i++) {
    names[i] = (Name){texts[i], lens[i]};
    if (lens[i] > longest) longest = lens[i];
  }
  qsort(names, n, sizeof *names, name_order);
  uint32_t rule = 0;
  if (longest > 4096)
    err_set(&b->err, ZAYA_E_LIMIT, "a property name of more than 4096 bytes");
  else
    rule = other_rule(b, names, n, 0, gram_use(b, rest), no_lt);
  free(names);
  return gram_cat2(b, gram_text(b, "\""), gram_use(b, rule));
}
