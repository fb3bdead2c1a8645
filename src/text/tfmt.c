// tfmt: "..." % args and "...".format(args): fields, widths, precisions, and Python's number formats
// as far as strings, integers and floats need them. See trt.h.
#include "text/trt.h"
#include "text/tuni.h"

#include <math.h>
#include <string.h>

typedef struct Spec {
  TStr *fill; // one character
  char align; // '<', '>', '^', '=', 0: by type
  char sign;  // '+', ' ', '-' or 0
  bool alt, comma, underscore;
  int64_t width, precision; // precision -1: none
  char type;
} Spec;

enum { MAX_PRECISION = 300 }; // of numbers

static void put_padded(TSb *sb, TStr *body, size_t sign_len, const Spec *s, char align) {
  int64_t more = s->width - (int64_t)body->n, left = 0;
  if (more < 0) more = 0;
  left = align == '<' ? 0 : align == '^' ? more / 2 : more;
  const char *fill = s->fill ? tstr_flat(sb->rt, s->fill) : " ";
  size_t fill_len = s->fill ? s->fill->len : 1;
  if (align == '=') tsb_sub(sb, body, 0, sign_len);
  tsb_fill(sb, fill, fill_len, T_TEMPLATE, (size_t)left);
  tsb_sub(sb, body, align == '=' ? sign_len : 0, body->len);
  tsb_fill(sb, fill, fill_len, T_TEMPLATE, (size_t)(more - left));
}

// Groups the integer digits of `digits` by three (four for 0x, 0b, 0o) into out.
static void group_digits(const char *digits, char mark, int by, char *out, size_t size) {
  size_t whole = strspn(digits, by == 3 ? "0123456789" : "0123456789abcdefABCDEF"), n = 0;
  for (size_t i = 0; i < whole && n + 2 < size; i++) {
    if (i && (whole - i) % (size_t)by == 0) out[n++] = mark;
    out[n++] = digits[i];
  }
  snprintf(out + n, size - n, "%s", digits + whole);
}

static void put_number(TSb *sb, bool negative, const char *prefix, const char *digits, const Spec *s,
                       uint8_t origin) {
  char grouped[1200], text[1300];
  bool decimal = !strchr("xXob", s->type) || !s->type;
  if (s->comma || s->underscore)
    group_digits(digits, s->comma ? ',' : '_', decimal ? 3 : 4, grouped, sizeof grouped);
  else
    snprintf(grouped, sizeof grouped, "%s", digits);
  const char *sign = negative ? "-" : s->sign == '+' ? "+" : s->sign == ' ' ? " " : "";
  snprintf(text, sizeof text, "%s%s%s", sign, prefix, grouped);
  TStr *body = tstr_new(sb->rt, text, strlen(text), origin);
  if (body) put_padded(sb, body, strlen(sign) + strlen(prefix), s, s->align ? s->align : '>');
}

static void put_int(TSb *sb, int64_t i, const Spec *s, uint8_t origin) {
  uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
  char digits[80] = "";
  const char *prefix = "";
  if (s->type == 'x' || s->type == 'X') {
    snprintf(digits, sizeof digits, s->type == 'x' ? "%llx" : "%llX", (unsigned long long)u);
    if (s->alt) prefix = s->type == 'x' ? "0x" : "0X";
  } else if (s->type == 'o') {
    snprintf(digits, sizeof digits, "%llo", (unsigned long long)u);
    if (s->alt) prefix = "0o";
  } else if (s->type == 'b') {
    int n = 0;
    for (uint64_t k = u; k > 1; k >>= 1) n++;
    for (int k = 0; k <= n; k++) digits[k] = (u >> (n - k) & 1) ? '1' : '0';
    if (s->alt) prefix = "0b";
  } else {
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)u);
  }
  char zeros[MAX_PRECISION + 80];
  size_t len = strlen(digits), want = s->precision > (int64_t)len ? (size_t)s->precision : len;
  memset(zeros, '0', want - len);
  memcpy(zeros + (want - len), digits, len + 1);
  put_number(sb, i < 0, prefix, zeros, s, origin);
}

static void put_float(TSb *sb, double f, const Spec *s, uint8_t origin) {
  char text[800];
  char type = s->type ? s->type : 'g';
  bool percent = type == '%';
  double v = fabs(percent ? f * 100 : f);
  int precision = s->precision < 0 ? 6 : (int)s->precision;
  if (isnan(f) || isinf(f)) {
    bool upper = type >= 'A' && type <= 'Z';
    snprintf(text, sizeof text, "%s", isnan(f) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf"));
  } else if (!s->type && s->precision < 0) {
    tval_float_repr(v, text);
  } else {
    switch (type) {
    case 'e': snprintf(text, sizeof text, s->alt ? "%#.*e" : "%.*e", precision, v); break;
    case 'E': snprintf(text, sizeof text, s->alt ? "%#.*E" : "%.*E", precision, v); break;
    case 'g':
    case 'n': snprintf(text, sizeof text, s->alt ? "%#.*g" : "%.*g", precision, v); break;
    case 'G': snprintf(text, sizeof text, s->alt ? "%#.*G" : "%.*G", precision, v); break;
    default: snprintf(text, sizeof text, s->alt ? "%#.*f" : "%.*f", precision, v); break;
    }
    size_t n = strlen(text); // format(3.0, '.3') is 3.0
    if (!s->type && strspn(text, "0123456789") == n) snprintf(text + n, sizeof text - n, ".0");
  }
  size_t end = strlen(text);
  if (percent) snprintf(text + end, sizeof text - end, "%%");
  put_number(sb, signbit(f) && !isnan(f), "", text, s, origin);
}

static void put_str(TSb *sb, TStr *text, const Spec *s) {
  if (text && s->precision >= 0 && (int64_t)text->n > s->precision)
    text = tstr_slice(sb->rt, text, 0, 1, s->precision);
  if (text) put_padded(sb, text, 0, s, s->align ? s->align : '<');
}

static bool number_ok(TRt *rt, const Spec *s) {
  if (s->precision <= MAX_PRECISION) return true;
  trt_fail(rt, ZAYA_E_LIMIT, "a number with more than %d decimals", MAX_PRECISION);
  return false;
}

// --- % -----------------------------------------------------------------------------------------

typedef struct Percent {
  TRt *rt;
  TStr *format;
  TVal args;
  size_t next; // positional argument
  size_t pos;
} Percent;

static bool next_arg(Percent *f, TVal *out) {
  if (f->args.type == T_TUPLE && f->next < f->args.l->n) {
    *out = f->args.l->at[f->next++];
    return true;
  }
  if (f->args.type != T_TUPLE && f->next == 0) {
    f->next = 1;
    *out = f->args;
    return true;
  }
  trt_type_error(f->rt, "not enough arguments for the format string");
  return false;
}

// "(name)" of %(name)s.
static bool named_arg(Percent *f, TVal *out) {
  const char *p = f->format->p;
  size_t begin = f->pos + 1, end = begin;
  for (int depth = 1; end < f->format->len; end++) {
    depth += (p[end] == '(') - (p[end] == ')');
    if (!depth) break;
  }
  if (end >= f->format->len || f->args.type != T_DICT) {
    trt_type_error(f->rt,
                   f->args.type == T_DICT ? "a format key that does not end" : "the format needs a dict");
    return false;
  }
  TPair *found = tdict_find(f->rt, f->args.d, tval_str(tstr_sub(f->rt, f->format, begin, end)));
  f->pos = end + 1;
  f->next = 1;
  if (!found) trt_fail(f->rt, ZAYA_E_INVALID, "the format names a key that is not there");
  if (found) *out = found->value;
  return found != NULL;
}

static int64_t read_number(TRt *rt, TStr *format, size_t *pos) {
  int64_t n = 0;
  while (*pos < format->len && format->p[*pos] >= '0' && format->p[*pos] <= '9' && n < INT32_MAX)
    n = n * 10 + (format->p[(*pos)++] - '0');
  if (n >= INT32_MAX) trt_fail(rt, ZAYA_E_LIMIT, "a width that is too large");
  return n;
}

static int64_t star_or_number(Percent *f) {
  if (f->pos >= f->format->len || f->format->p[f->pos] != '*') return read_number(f->rt, f->format, &f->pos);
  TVal v;
  f->pos++;
  return next_arg(f, &v) ? targs_int(f->rt, v, 0, "* in a format") : 0;
}

static void put_conversion(Percent *f, TSb *sb, TVal v, Spec *s, bool zero) {
  TRt *rt = f->rt;
  int64_t i;
  if (zero && !s->align) {
    s->align = '=';
    s->fill = tstr_lit(rt, "0");
  }
  char c = s->type;
  if (strchr("srac", c)) {
    if (s->align == '=') {
      s->align = '>';
      s->fill = NULL;
    }
    if (!s->align) s->align = '>';
    if (c == 'c' && v.type == T_INT) {
      if (v.i < 0 || v.i > 0x10FFFF || (v.i >= 0xD800 && v.i < 0xE000)) {
        trt_fail(rt, ZAYA_E_INVALID, "%%c with a number that is no character");
        return;
      }
      TSb one = tsb_new(rt);
      tsb_cp(&one, (uint32_t)v.i, v.origin);
      v = tval_str(tsb_done(&one));
    } else if (c == 'c' && !(v.type == T_STR && v.s->n == 1)) {
      trt_type_error(rt, "%%c needs a character");
      return;
    }
    TSb repr = tsb_new(rt);
    if (c == 'r' || c == 'a') tval_write_repr(rt, &repr, v);
    put_str(sb, c == 'r' || c == 'a' ? tsb_done(&repr) : tval_to_str(rt, v), s);
  } else if (v.type == T_UNDEF) {
    tval_use_undef(rt, v);
  } else if (!tval_is_number(v)) {
    trt_type_error(rt, "%%%c needs a number, not a '%s'", c, tval_type_name(v));
  } else if (strchr("diuxXo", c)) {
    if (v.type == T_FLOAT && (strchr("xXo", c) || !isfinite(v.f) || fabs(v.f) >= 9.2e18)) {
      trt_type_error(rt, "%%%c needs an integer", c);
      return;
    }
    if (!tval_as_index(v, &i)) i = (int64_t)v.f;
    s->type = strchr("diu", c) ? 'd' : c;
    if (number_ok(rt, s)) put_int(sb, i, s, v.origin);
  } else if (number_ok(rt, s)) {
    put_float(sb, tval_as_double(v), s, v.origin);
  }
}

static bool put_percent(Percent *f, TSb *sb) { // behind the '%'
  const char *p = f->format->p;
  size_t len = f->format->len;
  Spec s = {.precision = -1};
  TVal v = tval_none();
  bool named = f->pos < len && p[f->pos] == '(', zero = false;
  if (named && !named_arg(f, &v)) return false;
  for (; f->pos < len && p[f->pos] && strchr("-+ #0", p[f->pos]); f->pos++) {
    char c = p[f->pos];
    if (c == '-') s.align = '<';
    if (c == '+' || (c == ' ' && !s.sign)) s.sign = c;
    s.alt = s.alt || c == '#';
    zero = zero || c == '0';
  }
  s.width = star_or_number(f);
  if (s.width < 0) {
    s.align = '<';
    s.width = -s.width;
  }
  if (f->pos < len && p[f->pos] == '.') {
    f->pos++;
    s.precision = star_or_number(f);
  }
  while (f->pos < len && p[f->pos] && strchr("hlL", p[f->pos])) f->pos++;
  if (f->rt->failed) return false;
  if (f->pos >= len || !p[f->pos] || !strchr("sracdiuxXoeEfFgG%", p[f->pos])) {
    trt_fail(f->rt, ZAYA_E_INVALID, "a format character that is missing or not known");
    return false;
  }
  s.type = p[f->pos++];
  if (s.type == '%') return tsb_lit(sb, "%", tstr_origin_at(f->format, f->pos - 1));
  if (!named && !next_arg(f, &v)) return false;
  put_conversion(f, sb, v, &s, zero);
  return !f->rt->failed;
}

TVal tfmt_percent(TRt *rt, TStr *format, TVal args) {
  const char *p = tstr_flat(rt, format);
  Percent f = {.rt = rt, .format = format, .args = args};
  TSb sb = tsb_new(rt);
  while (format && f.pos < format->len && !rt->failed) {
    const char *hit = memchr(p + f.pos, '%', format->len - f.pos);
    size_t end = hit ? (size_t)(hit - p) : format->len;
    tsb_sub(&sb, format, f.pos, end);
    f.pos = end + (hit != NULL);
    if (hit && !put_percent(&f, &sb)) break;
  }
  bool rest =
      args.type == T_TUPLE ? f.next < args.l->n : f.next == 0 && args.type != T_DICT && args.type != T_LIST;
  if (rest && !rt->failed) return trt_type_error(rt, "not all arguments were used by the format string");
  return tval_str(tsb_done(&sb));
}

// --- format() ----------------------------------------------------------------------------------

typedef struct Format {
  TRt *rt;
  const TArgs *args;
  int64_t next; // automatic numbering; -1 once numbers are written out
} Format;

static bool format_text(Format *f, TSb *sb, TStr *s, int depth);

static TVal arg_value(Format *f, TStr *name) {
  bool digits = true;
  int64_t i = 0;
  for (size_t k = 0; k < name->len; k++) {
    digits = digits && name->p[k] >= '0' && name->p[k] <= '9' && i < 100000;
    if (digits) i = i * 10 + (name->p[k] - '0');
  }
  if (!digits) {
    for (size_t k = 0; k < f->args->n_kw; k++)
      if (tstr_equal(f->rt, f->args->kw[k].name, name)) return f->args->kw[k].value;
    return trt_fail(f->rt, ZAYA_E_INVALID, "format(): no argument '%.*s'",
                    name->len < 60 ? (int)name->len : 60, name->p);
  }
  bool automatic = name->len == 0;
  if (automatic ? f->next < 0 : f->next > 0)
    return trt_fail(f->rt, ZAYA_E_INVALID, "format(): automatic and written numbers do not mix");
  if (automatic)
    i = f->next++;
  else
    f->next = -1;
  if (i >= (int64_t)f->args->n)
    return trt_fail(f->rt, ZAYA_E_INVALID, "format(): argument %lld is missing", (long long)i);
  return f->args->pos[i];
}

// name, then .attr and [item].
static TVal field_value(Format *f, TStr *field) {
  size_t i = 0;
  while (i < field->len && field->p[i] != '.' && field->p[i] != '[') i++;
  TStr *head = tstr_new(f->rt, field->p, i, T_TEMPLATE);
  TVal v = head ? arg_value(f, head) : tval_none();
  while (i < field->len && !f->rt->failed) {
    bool attr = field->p[i] == '.';
    size_t begin = ++i;
    while (i < field->len && (attr ? field->p[i] != '.' && field->p[i] != '[' : field->p[i] != ']')) i++;
    TStr *key = tstr_new(f->rt, field->p + begin, i - begin, T_TEMPLATE);
    if (!key || !key->len || (!attr && i >= field->len))
      return trt_fail(f->rt, ZAYA_E_INVALID, "format(): a field that is not well formed");
    size_t pos = 0;
    int64_t index = attr || key->len > 9 ? 0 : read_number(f->rt, key, &pos);
    TVal k = pos == key->len ? tval_int(index) : tval_str(key);
    v = attr ? teval_attr(f->rt, v, key) : teval_item(f->rt, v, k);
    i += !attr;
  }
  return v;
}

static bool read_spec(TRt *rt, TStr *t, Spec *s) {
  const char *p = tstr_flat(rt, t);
  size_t i = 0, first = t->len ? tuni_seq_len((unsigned char)p[0]) : 0;
  *s = (Spec){.precision = -1};
  if (first && first < t->len && strchr("<>^=", p[first])) {
    s->fill = tstr_sub(rt, t, 0, first);
    s->align = p[first];
    i = first + 1;
  } else if (t->len && strchr("<>^=", p[0]) && p[0]) {
    s->align = p[0];
    i = 1;
  }
  if (i < t->len && (p[i] == '+' || p[i] == '-' || p[i] == ' ')) s->sign = p[i++];
  if (i < t->len && p[i] == '#') s->alt = i++ < t->len;
  if (i < t->len && p[i] == '0') {
    i++;
    if (!s->align) s->align = '=';
    if (!s->fill) s->fill = tstr_lit(rt, "0");
  }
  s->width = read_number(rt, t, &i);
  if (i < t->len && p[i] == ',') s->comma = i++ < t->len;
  if (i < t->len && p[i] == '_') s->underscore = i++ < t->len;
  if (i < t->len && p[i] == '.') {
    size_t before = ++i;
    s->precision = read_number(rt, t, &i);
    if (i == before) return false;
  }
  if (i < t->len) s->type = p[i++];
  return i == t->len && !rt->failed && (!s->type || strchr("sdbocxXeEfFgGn%", s->type));
}

static TVal bad_spec(TRt *rt, TVal v) {
  return trt_fail(rt, ZAYA_E_INVALID, "format(): a format that does not fit a '%s'", tval_type_name(v));
}

static void put_formatted(TRt *rt, TSb *sb, TVal v, TStr *spec) {
  Spec s;
  if (!spec->len) {
    tval_write(rt, sb, v);
    return;
  }
  if (!read_spec(rt, spec, &s) || !number_ok(rt, &s)) {
    bad_spec(rt, v);
    return;
  }
  bool int_type = s.type && strchr("dboxXn", s.type), float_type = s.type && strchr("eEfFgG%", s.type);
  int64_t i;
  if (v.type == T_STR) {
    bool zero = s.align == '=';
    if (zero && s.fill && tstr_is(rt, s.fill, "0") && !s.type) s.align = '<', zero = false;
    if (zero || (s.type && s.type != 's') || s.sign || s.comma || s.underscore)
      bad_spec(rt, v);
    else
      put_str(sb, v.s, &s);
  } else if (tval_as_index(v, &i) && !float_type && s.type != 's' && s.type != 'c' && s.precision < 0) {
    if (v.type == T_BOOL && !s.type)
      bad_spec(rt, v);
    else
      put_int(sb, i, &s, v.origin);
  } else if (tval_is_number(v) && !(int_type && s.type != 'n') && s.type != 's' && s.type != 'c') {
    put_float(sb, tval_as_double(v), &s, v.origin);
  } else {
    bad_spec(rt, v);
  }
}

// A replacement field between its braces: name!conversion:spec.
static bool put_field(Format *f, TSb *sb, TStr *body, int depth) {
  TRt *rt = f->rt;
  const char *p = tstr_flat(rt, body);
  size_t name_end = 0;
  for (bool bracket = false; name_end < body->len; name_end++) {
    char c = p[name_end];
    if (c == '[') bracket = true;
    if (c == ']') bracket = false;
    if (!bracket && (c == ':' || c == '!')) break;
  }
  TVal v = field_value(f, tstr_new(rt, p, name_end, T_TEMPLATE));
  size_t i = name_end;
  if (i < body->len && p[i] == '!' && !rt->failed) {
    char how = i + 1 < body->len ? p[i + 1] : '\0';
    if ((how != 'r' && how != 's' && how != 'a') || (i + 2 < body->len && p[i + 2] != ':')) {
      trt_fail(rt, ZAYA_E_INVALID, "format(): a conversion that is not !r or !s");
      return false;
    }
    TSb repr = tsb_new(rt);
    if (how != 's') tval_write_repr(rt, &repr, v);
    v = tval_str(how == 's' ? tval_to_str(rt, v) : tsb_done(&repr));
    i += 2;
  }
  TSb spec = tsb_new(rt);
  if (i < body->len && !format_text(f, &spec, tstr_sub(rt, body, i + 1, body->len), depth + 1)) return false;
  TStr *done = tsb_done(&spec);
  if (!rt->failed && done) put_formatted(rt, sb, v, done);
  return !rt->failed;
}

static bool format_text(Format *f, TSb *sb, TStr *s, int depth) {
  const char *p = tstr_flat(f->rt, s);
  if (depth > 2) return trt_fail(f->rt, ZAYA_E_INVALID, "format(): fields nested too deeply").b;
  for (size_t i = 0; s && i < s->len && trt_step(f->rt, 1);) {
    char c = p[i];
    if ((c == '{' || c == '}') && depth == 0 && i + 1 < s->len && p[i + 1] == c) {
      tsb_sub(sb, s, i, i + 1);
      i += 2;
    } else if (c == '{') {
      size_t end = i + 1;
      for (int open = 1; end < s->len; end++) {
        open += (p[end] == '{') - (p[end] == '}');
        if (!open) break;
      }
      if (end >= s->len) return trt_fail(f->rt, ZAYA_E_INVALID, "format(): a '{' without '}'").b;
      if (!put_field(f, sb, tstr_sub(f->rt, s, i + 1, end), depth)) return false;
      i = end + 1;
    } else if (c == '}') {
      return trt_fail(f->rt, ZAYA_E_INVALID, "format(): a '}' without '{'").b;
    } else {
      size_t end = i;
      while (end < s->len && p[end] != '{' && p[end] != '}') end++;
      tsb_sub(sb, s, i, end);
      i = end;
    }
  }
  return !f->rt->failed;
}

TVal tfmt_format(TRt *rt, TStr *format, const TArgs *args) {
  Format f = {.rt = rt, .args = args};
  TSb sb = tsb_new(rt);
  format_text(&f, &sb, format, 0);
  return tval_str(tsb_done(&sb));
}
