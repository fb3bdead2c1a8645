// tfilt_str: filters on strings. Most take anything and work on its text, as Jinja's do. See trt.h.
#include "text/trt.h"
#include "text/tuni.h"

#include <string.h>

#define FILTER(name) static TVal name(TRt *rt, TVal v, const TArgs *args)

// Calls a method of str on the text of v.
static TVal method(TRt *rt, TVal v, const char *name, const TArgs *args) {
  TVal s = tval_str(tval_to_str(rt, v));
  const TMethodDef *m = rt->failed ? NULL : trt_find_method(s, tstr_lit(rt, name));
  return m ? m->fn(rt, s, args) : tval_none();
}

FILTER(f_upper) { return method(rt, v, "upper", args); }
FILTER(f_lower) { return method(rt, v, "lower", args); }
FILTER(f_capitalize) { return method(rt, v, "capitalize", args); }
FILTER(f_trim) { return method(rt, v, "strip", args); }

FILTER(f_center) {
  TVal a[1];
  if (!targs_bind(rt, "center", args, "width?", a)) return tval_none();
  if (a[0].type == T_MISSING) a[0] = tval_int(80);
  return method(rt, v, "center", &(TArgs){.pos = a, .n = 1});
}

FILTER(f_replace) {
  TVal a[3];
  if (!targs_bind(rt, "replace", args, "old,new,count?", a)) return tval_none();
  a[0] = tval_str(tval_to_str(rt, a[0]));
  a[1] = tval_str(tval_to_str(rt, a[1]));
  if (a[2].type == T_NONE) a[2].type = T_MISSING;
  return method(rt, v, "replace", &(TArgs){.pos = a, .n = a[2].type == T_MISSING ? 2 : 3});
}

// A word begins behind whitespace and -({[<.
FILTER(f_title) {
  TVal a[1];
  if (!targs_bind(rt, "title", args, "", a)) return tval_none();
  TStr *s = tval_to_str(rt, v);
  const char *p = tstr_flat(rt, s);
  TSb sb = tsb_new(rt);
  for (size_t i = 0; s && i < s->len && !rt->failed;) {
    size_t end = i;
    bool splits = false;
    for (bool first = true; end < s->len; first = false) {
      uint32_t cp;
      size_t n = tuni_decode(p + end, &cp);
      bool splitter = tuni_space(cp) || (cp < 0x80 && cp && strchr("-({[<", (int)cp));
      if (first) splits = splitter;
      if (splitter != splits) break;
      end += n;
    }
    size_t head = i + tuni_seq_len((unsigned char)p[i]);
    static const TArgs none = {0};
    tsb_str(&sb, method(rt, tval_str(tstr_sub(rt, s, i, head)), "upper", &none).s);
    tsb_str(&sb, method(rt, tval_str(tstr_sub(rt, s, head, end)), "lower", &none).s);
    i = end;
  }
  return tval_str(tsb_done(&sb));
}

FILTER(f_indent) {
  TVal a[3];
  static const TArgs none = {0};
  if (!targs_bind(rt, "indent", args, "width?,first?,blank?", a)) return tval_none();
  if (v.type == T_UNDEF) return tval_use_undef(rt, v);
  if (v.type != T_STR) return trt_type_error(rt, "indent needs a string, not a '%s'", tval_type_name(v));
  TSb pad = tsb_new(rt), sb = tsb_new(rt);
  if (a[0].type == T_STR)
    tsb_str(&pad, a[0].s);
  else {
    int64_t n = targs_int(rt, a[0], 4, "indent's width");
    tsb_fill(&pad, " ", 1, T_TEMPLATE, n > 0 ? (size_t)n : 0);
  }
  TStr *by = tsb_done(&pad);
  bool first = a[1].type != T_MISSING && tval_truth(rt, a[1]),
       blank = a[2].type != T_MISSING && tval_truth(rt, a[2]);
  TVal lines = method(rt, tval_str(tstr_concat(rt, v.s, tstr_lit(rt, "\n"))), "splitlines", &none);
  if (first) tsb_str(&sb, by);
  for (size_t i = 0; !rt->failed && i < lines.l->n; i++) {
    TStr *line = lines.l->at[i].s;
    if (i) tsb_lit(&sb, "\n", v.s->len ? tstr_origin_at(v.s, 0) : v.s->origin);
    if (i && (line->len || blank)) tsb_str(&sb, by);
    tsb_str(&sb, line);
  }
  return tval_str(tsb_done(&sb));
}

FILTER(f_truncate) {
  TVal a[4];
  if (!targs_bind(rt, "truncate", args, "length?,killwords?,end?,leeway?", a)) return tval_none();
  if (v.type == T_UNDEF) return tval_str(tstr_lit(rt, ""));
  if (v.type != T_STR) return trt_type_error(rt, "truncate needs a string, not a '%s'", tval_type_name(v));
  int64_t length = targs_int(rt, a[0], 255, "truncate's length"), leeway = 5;
  if (a[3].type != T_NONE) leeway = targs_int(rt, a[3], 5, "truncate's leeway");
  TStr *end = a[2].type == T_MISSING ? tstr_lit(rt, "...") : targs_str(rt, a[2], "truncate's end");
  if (rt->failed) return tval_none();
  if (length < (int64_t)end->n || leeway < 0)
    return trt_fail(rt, ZAYA_E_INVALID, "truncate: the length is too short");
  if ((int64_t)v.s->n <= length || (int64_t)v.s->n - length <= leeway) return v;
  TStr *head = tstr_slice(rt, v.s, 0, 1, length - (int64_t)end->n);
  if (a[1].type == T_MISSING || !tval_truth(rt, a[1])) {
    int64_t space = head ? tstr_find(rt, head, tstr_lit(rt, " "), 0, head->len, true) : -1;
    if (space >= 0) head = tstr_sub(rt, head, 0, (size_t)space);
  }
  return tval_str(tstr_concat(rt, head, end));
}

FILTER(f_wordcount) {
  TVal a[1];
  if (!targs_bind(rt, "wordcount", args, "", a)) return tval_none();
  TStr *s = tval_to_str(rt, v);
  const char *p = tstr_flat(rt, s);
  int64_t n = 0;
  bool inside = false;
  for (size_t i = 0; s && i < s->len;) {
    uint32_t cp;
    i += tuni_decode(p + i, &cp);
    bool word = cp == '_' || tuni_is(UNI_alpha, cp) || tuni_is(UNI_numeric, cp) || tuni_is(UNI_digit, cp);
    n += word && !inside;
    inside = word;
  }
  return tval_int(n);
}

FILTER(f_escape) {
  TVal a[1];
  if (!targs_bind(rt, "escape", args, "", a)) return tval_none();
  TStr *s = tval_to_str(rt, v);
  const char *p = tstr_flat(rt, s);
  TSb sb = tsb_new(rt);
  size_t plain = 0;
  for (size_t i = 0; s && i < s->len && !rt->failed; i++) {
    const char *hit = p[i] ? strchr("&<>'\"", p[i]) : NULL;
    static const char *const names[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    if (!hit) continue;
    tsb_sub(&sb, s, plain, i);
    tsb_lit(&sb, names[hit - strchr("&<>'\"", '&')], tstr_origin_at(s, i));
    plain = i + 1;
  }
  if (s) tsb_sub(&sb, s, plain, s->len);
  return tval_str(tsb_done(&sb));
}

FILTER(f_safe) {
  TVal a[1];
  return targs_bind(rt, "safe", args, "", a) ? tval_str(tval_to_str(rt, v)) : tval_none();
}

FILTER(f_format) {
  if (args->n && args->n_kw)
    return trt_fail(rt, ZAYA_E_INVALID, "format takes positional or keyword arguments, not both");
  TStr *s = tval_to_str(rt, v);
  TVal values;
  if (args->n_kw) {
    values = tval_dict(rt);
    for (size_t i = 0; i < args->n_kw && !rt->failed; i++)
      tdict_set(rt, values.d, tval_str(args->kw[i].name), args->kw[i].value);
  } else {
    values = tval_list(rt, T_TUPLE, args->n);
    for (size_t i = 0; i < args->n; i++) tval_push(rt, values, args->pos[i]);
  }
  return rt->failed ? tval_none() : tfmt_percent(rt, s, values);
}

FILTER(f_urlencode) {
  TVal a[1];
  if (!targs_bind(rt, "urlencode", args, "", a)) return tval_none();
  if (v.type == T_DICT || v.type == T_LIST || v.type == T_TUPLE)
    return trt_fail(rt, ZAYA_E_UNSUPPORTED, "urlencode of a '%s'", tval_type_name(v));
  TStr *s = tval_to_str(rt, v);
  const char *p = tstr_flat(rt, s);
  TSb sb = tsb_new(rt);
  for (size_t i = 0; s && i < s->len && !rt->failed; i++) {
    unsigned char c = (unsigned char)p[i];
    bool plain =
        (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c && strchr("-._~/", c));
    char text[4];
    snprintf(text, sizeof text, plain ? "%c" : "%%%02X", c);
    tsb_lit(&sb, text, tstr_origin_at(s, i));
  }
  return tval_str(tsb_done(&sb));
}

const TFilter tfilt_str_table[] = {
    {"upper", f_upper},
    {"lower", f_lower},
    {"capitalize", f_capitalize},
    {"title", f_title},
    {"trim", f_trim},
    {"center", f_center},
    {"replace", f_replace},
    {"indent", f_indent},
    {"truncate", f_truncate},
    {"wordcount", f_wordcount},
    {"escape", f_escape},
    {"e", f_escape},
    {"forceescape", f_escape},
    {"safe", f_safe},
    {"format", f_format},
    {"urlencode", f_urlencode},
    {0},
};
