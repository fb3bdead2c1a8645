// tlex: see tlex.h. Two modes, as in Jinja: text up to the next tag, and the inside of a tag. Owns
// whitespace control ({%- -%} {%+ +%}, trim_blocks, lstrip_blocks), raw blocks and comments.
#include "text/tlex.h"
#include "base/utf8.h"

#include "text/tuni.h"

#include <stdlib.h>
#include <string.h>

typedef struct Lex {
  Tmpl *t;
  TTokens *out;
  zaya_error *err;
  const char *s;
  size_t len, pos;
  bool line_starting;           // the last thing read ended in a newline, or nothing was read
  char closers[TAST_MAX_DEPTH]; // brackets to be closed
  size_t n_closers;
} Lex;

static TToken *add(Lex *l, TTok type, size_t pos) {
  TTokens *o = l->out;
  if (o->n == o->cap) {
    size_t cap = o->cap ? o->cap * 2 : 256;
    TToken *at = tmem_grow(&l->t->mem, o->at, o->cap * sizeof *at, cap * sizeof *at);
    if (!at) {
      err_memory(l->err, cap * sizeof *at, "a template's tokens");
      return NULL;
    }
    o->at = at;
    o->cap = cap;
  }
  TToken *k = &o->at[o->n++];
  *k = (TToken){.type = type, .pos = (uint32_t)pos};
  return k;
}

static bool fail(Lex *l, size_t pos, const char *what) {
  return tast_error(l->t, (uint32_t)pos, ZAYA_E_FORMAT, l->err, "%s", what);
}

static bool at(const Lex *l, size_t pos, const char *what) {
  size_t n = strlen(what);
  return l->len - pos >= n && !memcmp(l->s + pos, what, n);
}

static size_t skip_space(const Lex *l, size_t pos) {
  while (pos < l->len) {
    uint32_t cp;
    size_t n = tuni_decode(l->s + pos, &cp);
    if (!tuni_space(cp)) break;
    pos += n;
  }
  return pos;
}

// The end of [begin, end) without trailing whitespace.
static size_t rstrip(const Lex *l, size_t begin, size_t end) {
  while (end > begin) {
    size_t p = end - 1;
    while (p > begin && ((unsigned char)l->s[p] & 0xC0) == 0x80) p--;
    uint32_t cp;
    tuni_decode(l->s + p, &cp);
    if (!tuni_space(cp)) break;
    end = p;
  }
  return end;
}

// Where the text [begin, end) in front of a tag ends, after whitespace control.
static size_t trim_before(const Lex *l, size_t begin, size_t end, char sign, bool is_var) {
  if (sign == '-') return rstrip(l, begin, end);
  if (sign == '+' || is_var) return end;
  size_t line = end;
  while (line > begin && l->s[line - 1] != '\n') line--;
  bool at_line_start = line > begin || l->line_starting;
  // Only whitespace between the start of the line and the tag goes away.
  return at_line_start && line < end && rstrip(l, line, end) == line ? line : end;
}

static bool add_data(Lex *l, size_t begin, size_t end) {
  if (begin == end) return true;
  TToken *k = add(l, TK_DATA, begin);
  if (!k) return false;
  k->p = l->s + begin;
  k->len = end - begin;
  return true;
}

static void advance(Lex *l, size_t pos) {
  l->line_starting = pos > l->pos ? l->s[pos - 1] == '\n' : l->line_starting;
  l->pos = pos;
}

// The end of a tag that closes with "%}", "#}" or "}}" at `pos`: 0 if it does not close there.
// A block or comment eats one newline (trim_blocks), "-" eats all whitespace.
static size_t close_tag(const Lex *l, size_t pos, const char *close, bool is_var) {
  char c = pos < l->len ? l->s[pos] : '\0';
  if (c == '-' && at(l, pos + 1, close)) return skip_space(l, pos + 3);
  if (c == '+' && !is_var && at(l, pos + 1, close)) return pos + 3;
  if (!at(l, pos, close)) return 0;
  pos += 2;
  return !is_var && pos < l->len && l->s[pos] == '\n' ? pos + 1 : pos;
}

// The sign behind an opening delimiter.
static char sign_at(const Lex *l, size_t pos) {
  return pos < l->len && (l->s[pos] == '-' || l->s[pos] == '+') ? l->s[pos] : '\0';
}

// {% raw %} at pos: returns the offset behind it, or 0.
static size_t raw_begin(const Lex *l, size_t pos) {
  size_t p = pos + 2;
  if (sign_at(l, p)) p++;
  p = skip_space(l, p);
  if (!at(l, p, "raw")) return 0;
  p = skip_space(l, p + 3);
  if (at(l, p, "-%}")) return skip_space(l, p + 3);
  return at(l, p, "%}") ? p + 2 : 0;
}

static bool lex_raw(Lex *l, size_t tag) {
  size_t begin = l->pos;
  for (size_t p = begin; p + 2 <= l->len; p++) {
    if (!at(l, p, "{%")) continue;
    char sign = sign_at(l, p + 2);
    size_t q = skip_space(l, p + 2 + (sign != 0));
    if (!at(l, q, "endraw")) continue;
    size_t end = close_tag(l, skip_space(l, q + 6), "%}", false);
    if (!end) continue;
    if (!add_data(l, begin, trim_before(l, begin, p, sign, false))) return false;
    advance(l, end);
    return true;
  }
  return fail(l, tag, "missing end of raw block");
}

static bool lex_comment(Lex *l, size_t tag) {
  for (size_t p = l->pos; p < l->len; p++) {
    size_t end = close_tag(l, p, "#}", false);
    if (!end) continue;
    advance(l, end);
    return true;
  }
  return fail(l, tag, "missing end of comment");
}

static bool is_name_char(unsigned char c) {
  return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 0x80;
}

static bool is_digit(const Lex *l, size_t p) { return p < l->len && l->s[p] >= '0' && l->s[p] <= '9'; }

// Behind digits that single underscores may separate; pos itself if there are none.
static size_t skip_digits(const Lex *l, size_t p) {
  while (is_digit(l, p) || (l->s[p] == '_' && is_digit(l, p + 1) && is_digit(l, p - 1))) p++;
  return p;
}

static int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = (char)(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

// 0x, 0o, 0b. Returns false without an error when there is none here.
static bool lex_radix(Lex *l, bool *failed) {
  char c = l->pos + 1 < l->len && l->s[l->pos] == '0' ? (char)(l->s[l->pos + 1] | 0x20) : '\0';
  int base = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;
  size_t p = l->pos + 2;
  if (base && p < l->len && l->s[p] == '_') p++;
  if (!base || p >= l->len || digit_of(l->s[p]) >= base) return false;
  int64_t v = 0;
  for (; p < l->len; p++) {
    if (l->s[p] == '_' && p + 1 < l->len && digit_of(l->s[p + 1]) < base) continue;
    if (digit_of(l->s[p]) >= base) break;
    if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit_of(l->s[p]), &v)) {
      *failed = true;
      return fail(l, l->pos, "an integer beyond 64 bits");
    }
  }
  TToken *k = add(l, TK_INT, l->pos);
  *failed = !k;
  if (!k) return false;
  k->i = v;
  advance(l, p);
  return true;
}

static bool lex_number(Lex *l) {
  bool failed = false;
  if (lex_radix(l, &failed)) return true;
  if (failed) return false;
  size_t begin = l->pos, p = skip_digits(l, begin);
  bool is_float = false;
  bool after_dot = begin > 0 && l->s[begin - 1] == '.'; // a.0.1 has no float in it
  if (!after_dot && p < l->len && l->s[p] == '.' && is_digit(l, p + 1)) {
    p = skip_digits(l, p + 1);
    is_float = true;
  }
  if (!after_dot && p < l->len && (l->s[p] | 0x20) == 'e') {
    size_t q = p + 1;
    if (q < l->len && (l->s[q] == '+' || l->s[q] == '-')) q++;
    if (is_digit(l, q)) {
      p = skip_digits(l, q);
      is_float = true;
    }
  }
  char text[64];
  size_t n = 0;
  for (size_t i = begin; i < p; i++) {
    if (l->s[i] == '_') continue;
    if (n + 1 == sizeof text) return fail(l, begin, "a number with too many digits");
    text[n++] = l->s[i];
  }
  text[n] = '\0';
  // As in Python, 007 is no integer: Jinja reads 0, 0 and 7, which no expression allows.
  if (!is_float && n > 1 && text[0] == '0' && strspn(text, "0") != n)
    return fail(l, begin, "leading zeros in an integer");
  TToken *k = add(l, is_float ? TK_FLOAT : TK_INT, begin);
  if (!k) return false;
  if (is_float) {
    k->f = strtod(text, NULL);
  } else {
    for (size_t i = 0; i < n; i++)
      if (__builtin_mul_overflow(k->i, 10, &k->i) || __builtin_add_overflow(k->i, text[i] - '0', &k->i))
        return fail(l, begin, "an integer beyond 64 bits");
  }
  advance(l, p);
  return true;
}

// One escape behind the backslash at s[*i]; writes UTF-8 and returns its length, or -1.
static int unescape(Lex *l, size_t *i, size_t end, char out[4]) {
  char c = l->s[*i + 1];
  static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
  const char *hit = memchr(from, c, sizeof from - 1);
  if (hit) {
    out[0] = to[hit - from];
    *i += 2;
    return 1;
  }
  if (c == '\n') { // a continued line
    *i += 2;
    return 0;
  }
  uint32_t cp = 0;
  int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (digits) {
    for (int k = 0; k < digits; k++) {
      size_t p = *i + 2 + (size_t)k;
      if (p >= end || digit_of(l->s[p]) > 15) return -1;
      cp = cp << 4 | (uint32_t)digit_of(l->s[p]);
    }
    *i += 2 + (size_t)digits;
  } else if (c >= '0' && c <= '7') {
    size_t p = *i + 1;
    for (; p < end && p < *i + 4 && l->s[p] >= '0' && l->s[p] <= '7'; p++)
      cp = cp << 3 | (uint32_t)(l->s[p] - '0');
    *i = p;
  } else if (c == 'N') {
    return -1;
  } else { // unknown: the backslash stays
    out[0] = '\\';
    *i += 1;
    return 1;
  }
  if (cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF)) return -1;
  return (int)utf8_put(cp, out);
}

static bool lex_string(Lex *l) {
  size_t begin = l->pos + 1, end = begin;
  char quote = l->s[l->pos];
  while (end < l->len && l->s[end] != quote) end += l->s[end] == '\\' ? 2 : 1;
  if (end >= l->len) return fail(l, l->pos, "a string that does not end");
  TToken *k = add(l, TK_STRING, l->pos);
  char *text = k ? tmem_alloc(&l->t->mem, end - begin + 4) : NULL;
  if (!text) return err_memory(l->err, end - begin, "a string of a template");
  size_t n = 0;
  for (size_t i = begin; i < end;) {
    if (l->s[i] != '\\') {
      text[n++] = l->s[i++];
      continue;
    }
    char utf8[4];
    int len = unescape(l, &i, end, utf8);
    if (len < 0) return fail(l, i, "an escape sequence that is wrong, a surrogate, or not supported (\\N)");
    memcpy(text + n, utf8, (size_t)len);
    n += (size_t)len;
  }
  k->p = text;
  k->len = n;
  advance(l, end + 1);
  return true;
}

static bool track_bracket(Lex *l, char c) {
  if (c == '(' || c == '[' || c == '{') {
    if (l->n_closers == sizeof l->closers)
      return tast_error(l->t, (uint32_t)l->pos, ZAYA_E_LIMIT, l->err, "more than %d nested brackets",
                        TAST_MAX_DEPTH);
    l->closers[l->n_closers++] = c == '(' ? ')' : c == '[' ? ']' : '}';
  } else if (c == ')' || c == ']' || c == '}') {
    if (!l->n_closers) return tast_error(l->t, (uint32_t)l->pos, ZAYA_E_FORMAT, l->err, "unexpected '%c'", c);
    char expected = l->closers[--l->n_closers];
    if (expected != c)
      return tast_error(l->t, (uint32_t)l->pos, ZAYA_E_FORMAT, l->err, "unexpected '%c', expected '%c'", c,
                        expected);
  }
  return true;
}

static bool lex_operator(Lex *l) {
  static const char *const two[] = {"//", "**", "==", "!=", ">=", "<="};
  for (size_t i = 0; i < sizeof two / sizeof *two; i++) {
    if (!at(l, l->pos, two[i])) continue;
    TToken *k = add(l, TK_OP, l->pos);
    if (!k) return false;
    memcpy(k->op, two[i], 3);
    advance(l, l->pos + 2);
    return true;
  }
  char c = l->s[l->pos];
  if (!c || !strchr("+-/*%~[](){}><=.:|,;", c))
    return tast_error(l->t, (uint32_t)l->pos, ZAYA_E_FORMAT, l->err, "unexpected character '%.*s'",
                      (int)tuni_seq_len((unsigned char)c), l->s + l->pos);
  TToken *k = track_bracket(l, c) ? add(l, TK_OP, l->pos) : NULL;
  if (!k) return false;
  k->op[0] = c;
  advance(l, l->pos + 1);
  return true;
}

// The inside of {{ }} or {% %}, with its end.
static bool lex_tag(Lex *l, bool is_var, size_t tag) {
  l->n_closers = 0;
  for (;;) {
    size_t end = l->n_closers ? 0 : close_tag(l, l->pos, is_var ? "}}" : "%}", is_var);
    if (end) {
      if (!add(l, is_var ? TK_VAR_END : TK_BLOCK_END, l->pos)) return false;
      advance(l, end);
      return true;
    }
    size_t p = skip_space(l, l->pos);
    if (p > l->pos) {
      advance(l, p);
      continue;
    }
    if (p >= l->len) return fail(l, tag, is_var ? "'{{' without '}}'" : "'{%' without '%}'");
    unsigned char c = (unsigned char)l->s[p];
    bool ok = true;
    if (is_digit(l, p)) {
      ok = lex_number(l);
    } else if (is_name_char(c)) {
      TToken *k = add(l, TK_NAME, p);
      size_t q = p;
      while (q < l->len && is_name_char((unsigned char)l->s[q])) q++;
      ok = k != NULL;
      if (ok) {
        k->p = l->s + p;
        k->len = q - p;
        advance(l, q);
      }
    } else {
      ok = c == '\'' || c == '"' ? lex_string(l) : lex_operator(l);
    }
    if (!ok) return false;
  }
}

// Text up to the next tag, and the tag.
static bool lex_text(Lex *l) {
  size_t begin = l->pos, p = begin;
  while (p < l->len && !(l->s[p] == '{' && p + 1 < l->len && strchr("{%#", l->s[p + 1]) && l->s[p + 1])) p++;
  if (p >= l->len) {
    l->pos = l->len;
    return add_data(l, begin, l->len);
  }
  char kind = l->s[p + 1], sign = sign_at(l, p + 2);
  size_t raw = kind == '%' ? raw_begin(l, p) : 0;
  if (!add_data(l, begin, trim_before(l, begin, p, sign, kind == '{'))) return false;
  advance(l, raw ? raw : p + 2 + (sign != 0));
  if (raw) return lex_raw(l, p);
  if (kind == '#') return lex_comment(l, p);
  if (!add(l, kind == '{' ? TK_VAR_BEGIN : TK_BLOCK_BEGIN, p)) return false;
  return lex_tag(l, kind == '{', p);
}

bool tlex_run(Tmpl *t, TTokens *out, zaya_error *err) {
  Lex l = {.t = t, .out = out, .err = err, .s = t->src, .len = t->src_len, .line_starting = true};
  while (l.pos < l.len)
    if (!lex_text(&l)) return false;
  return add(&l, TK_EOF, l.len) != NULL;
}
