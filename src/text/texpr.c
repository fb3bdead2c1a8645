// texpr: expressions, with Jinja's precedence: conditional, or, and, not, comparison, + -, ~, * / // %,
// **, unary, postfix, filters and tests. See tparse.h.
#include "text/tparse.h"
#include "text/trt.h"

#include <string.h>

static TNode *parse_unary(Parse *p, bool with_filter);

static TNode *binary(Parse *p, TKind kind, TNode *a, TNode *b, uint32_t pos) {
  TNode *n = a && b ? tparse_node(p, kind, pos) : NULL;
  if (!n) return NULL;
  n->a = a;
  n->b = b;
  return tparse_close(p, n) ? n : NULL;
}

// A left-associative level: `ops` are pairs of the spelling and the TOp.
typedef struct OpName {
  const char *text;
  TOp op;
} OpName;

static TNode *parse_level(Parse *p, const OpName *ops, TNode *(*next)(Parse *)) {
  TNode *left = next(p);
  while (left) {
    const OpName *o = ops;
    while (o->text && !tparse_is_op(p, o->text)) o++;
    if (!o->text) return left;
    p->tok++;
    TNode *right = next(p);
    left = binary(p, N_BINARY, left, right, left->pos);
    if (left) left->op = (uint8_t)o->op;
  }
  return NULL;
}

static TNode *parse_full_unary(Parse *p) { return parse_unary(p, true); }

static TNode *parse_pow(Parse *p) {
  static const OpName ops[] = {{"**", OP_POW}, {0}};
  return parse_level(p, ops, parse_full_unary);
}

static TNode *parse_math2(Parse *p) {
  static const OpName ops[] = {{"*", OP_MUL}, {"/", OP_DIV}, {"//", OP_FLOORDIV}, {"%", OP_MOD}, {0}};
  return parse_level(p, ops, parse_pow);
}

static TNode *parse_concat(Parse *p) {
  TNode *first = parse_math2(p);
  if (!first || !tparse_is_op(p, "~")) return first;
  TNode *n = tparse_node(p, N_CONCAT, first->pos);
  if (!n || !tparse_add(p, n, &n->items, first)) return NULL;
  while (tparse_skip_op(p, "~")) {
    TNode *item = parse_math2(p);
    if (!item || !tparse_add(p, n, &n->items, item)) return NULL;
  }
  return n;
}

static TNode *parse_math1(Parse *p) {
  static const OpName ops[] = {{"+", OP_ADD}, {"-", OP_SUB}, {0}};
  return parse_level(p, ops, parse_concat);
}

// The comparison operator here, taken; -1 if there is none.
static int skip_compare_op(Parse *p) {
  static const OpName ops[] = {{"==", OP_EQ}, {"!=", OP_NE}, {"<", OP_LT}, {"<=", OP_LE},
                               {">", OP_GT},  {">=", OP_GE}, {0}};
  for (const OpName *o = ops; o->text; o++)
    if (tparse_skip_op(p, o->text)) return (int)o->op;
  if (tparse_skip_name(p, "in")) return OP_IN;
  if (tparse_is_name(p, "not") && p->tok[1].type == TK_NAME && p->tok[1].len == 2 &&
      !memcmp(p->tok[1].p, "in", 2)) {
    p->tok += 2;
    return OP_NOTIN;
  }
  return -1;
}

static TNode *parse_compare(Parse *p) {
  TNode *left = parse_math1(p), *n = NULL;
  while (left) {
    uint32_t pos = p->tok->pos;
    int op = skip_compare_op(p);
    if (op < 0) return n ? n : left;
    if (!n) {
      n = tparse_node(p, N_COMPARE, left->pos);
      if (!n) return NULL;
      n->a = left;
    }
    TNode *o = tparse_node(p, N_OPERAND, pos);
    if (!o) return NULL;
    o->op = (uint8_t)op;
    o->a = parse_math1(p);
    if (!o->a || !tparse_close(p, o) || !tparse_add(p, n, &n->items, o) || !tparse_close(p, n)) return NULL;
  }
  return NULL;
}

static TNode *parse_not(Parse *p) {
  if (!tparse_is_name(p, "not")) return parse_compare(p);
  if (!tparse_enter(p)) return NULL;
  TNode *n = tparse_node(p, N_NOT, p->tok->pos);
  p->tok++;
  if (n) n->a = parse_not(p);
  tparse_leave(p);
  return n && n->a && tparse_close(p, n) ? n : NULL;
}

static TNode *parse_words(Parse *p, const char *word, TKind kind, TNode *(*next)(Parse *)) {
  TNode *left = next(p);
  while (left && tparse_is_name(p, word)) {
    uint32_t pos = p->tok->pos;
    p->tok++;
    left = binary(p, kind, left, next(p), pos);
  }
  return left;
}

static TNode *parse_and(Parse *p) { return parse_words(p, "and", N_AND, parse_not); }
static TNode *parse_or(Parse *p) { return parse_words(p, "or", N_OR, parse_and); }

// Jinja checks filter names inside a conditional only when they are reached, and here the first
// operand is read before the `if` is seen: mark what was read.
static void soften(TNode *n) {
  if (!n) return;
  if (n->kind == N_FILTER || n->kind == N_TEST) n->flag = true;
  TNode *kids[] = {n->a, n->b, n->c};
  for (size_t i = 0; i < 3; i++) soften(kids[i]);
  for (size_t i = 0; i < n->items.n; i++) soften(n->items.at[i]);
}

TNode *texpr_parse(Parse *p, bool with_cond) {
  if (!tparse_enter(p)) return NULL;
  TNode *e = parse_or(p);
  while (e && with_cond && tparse_is_name(p, "if")) {
    TNode *n = tparse_node(p, N_COND, e->pos);
    p->tok++;
    if (!n) {
      e = NULL;
      break;
    }
    n->b = e;
    n->a = parse_or(p);
    bool ok = n->a != NULL;
    if (ok && tparse_skip_name(p, "else")) {
      n->c = texpr_parse(p, true);
      ok = n->c != NULL;
    }
    e = ok && tparse_close(p, n) ? n : NULL;
    soften(e);
  }
  tparse_leave(p);
  return e;
}

TStr *texpr_identifier(Parse *p, uint32_t *id) {
  if (p->tok->type != TK_NAME) {
    tparse_unexpected(p, "a name");
    return NULL;
  }
  TStr *s = tast_intern(p->t, p->tok->p, p->tok->len, id, p->err);
  if (s) p->tok++;
  return s;
}

static TNode *constant(Parse *p, uint32_t pos, TVal v) {
  TNode *n = tparse_node(p, N_CONST, pos);
  if (n) n->value = v;
  return n;
}

static TNode *parse_name(Parse *p) {
  uint32_t pos = p->tok->pos;
  static const struct {
    const char *word;
    TVal value;
  } words[] = {{"true", {.type = T_BOOL, .b = true}},
               {"True", {.type = T_BOOL, .b = true}},
               {"false", {.type = T_BOOL}},
               {"False", {.type = T_BOOL}},
               {"none", {.type = T_NONE}},
               {"None", {.type = T_NONE}}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (tparse_skip_name(p, words[i].word)) return constant(p, pos, words[i].value);
  TNode *n = tparse_node(p, N_NAME, pos);
  if (n) n->name = texpr_identifier(p, &n->name_id);
  return n && n->name ? n : NULL;
}

static TNode *parse_strings(Parse *p) { // neighbours join
  TToken *first = p->tok;
  size_t len = 0;
  while (p->tok->type == TK_STRING) len += p->tok++->len;
  char *text = tmem_alloc(&p->t->mem, len + 1);
  if (!text) {
    err_memory(p->err, len, "a string of a template");
    return NULL;
  }
  size_t n = 0;
  for (TToken *k = first; k < p->tok; n += k++->len)
    if (k->len) memcpy(text + n, k->p, k->len);
  TStr *s = tast_str(p->t, text, len, p->err);
  return s ? constant(p, first->pos, (TVal){.type = T_STR, .s = s}) : NULL;
}

// [a, b,] and {k: v,}.
static TNode *parse_display(Parse *p, TKind kind, const char *close) {
  TNode *n = tparse_node(p, kind, p->tok->pos);
  p->tok++;
  while (n && !tparse_is_op(p, close)) {
    if (n->items.n && !tparse_expect_op(p, ",")) return NULL;
    if (tparse_is_op(p, close)) break;
    TNode *item = texpr_parse(p, true);
    if (!item || !tparse_add(p, n, &n->items, item)) return NULL;
    if (kind != N_DICT) continue;
    TNode *value = tparse_expect_op(p, ":") ? texpr_parse(p, true) : NULL;
    if (!value || !tparse_add(p, n, &n->items, value)) return NULL;
  }
  if (!n || !tparse_expect_op(p, close)) return NULL;
  return n;
}

static TNode *parse_primary(Parse *p) {
  TToken *k = p->tok;
  switch (k->type) {
  case TK_NAME: return parse_name(p);
  case TK_STRING: return parse_strings(p);
  case TK_INT: p->tok++; return constant(p, k->pos, (TVal){.type = T_INT, .i = k->i});
  case TK_FLOAT: p->tok++; return constant(p, k->pos, (TVal){.type = T_FLOAT, .f = k->f});
  default: break;
  }
  if (tparse_skip_op(p, "(")) {
    TNode *n = texpr_tuple(p, TUPLE_FULL, NULL, true);
    return n && tparse_expect_op(p, ")") ? n : NULL;
  }
  if (tparse_is_op(p, "[")) return parse_display(p, N_LIST, "]");
  if (tparse_is_op(p, "{")) return parse_display(p, N_DICT, "}");
  tparse_unexpected(p, "an expression");
  return NULL;
}

static bool at_tuple_end(const Parse *p, const char *end_name) {
  return p->tok->type == TK_VAR_END || p->tok->type == TK_BLOCK_END || tparse_is_op(p, ")") ||
         (end_name && tparse_is_name(p, end_name));
}

TNode *texpr_tuple(Parse *p, TupleMode mode, const char *end_name, bool parenthesised) {
  uint32_t pos = p->tok->pos;
  TNode *tuple = tparse_node(p, N_TUPLE, pos), *only = NULL;
  bool is_tuple = false, first = true;
  while (tuple) {
    if (!first && !tparse_expect_op(p, ",")) return NULL;
    if (at_tuple_end(p, end_name)) break;
    TNode *e = mode == TUPLE_TARGET ? parse_primary(p) : texpr_parse(p, mode == TUPLE_FULL);
    if (!e || !tparse_add(p, tuple, &tuple->items, e)) return NULL;
    only = e;
    first = false;
    if (!tparse_is_op(p, ",")) break;
    is_tuple = true;
  }
  if (!tuple) return NULL;
  if (!is_tuple && only) return only;
  if (!is_tuple && !parenthesised) {
    tparse_unexpected(p, "an expression");
    return NULL;
  }
  return tuple;
}

// One of the comma-separated things in [ ]: an expression or a slice.
static TNode *parse_subscript_item(Parse *p) {
  uint32_t pos = p->tok->pos;
  TNode *parts[3] = {0};
  bool ends = tparse_is_op(p, ":");
  if (!ends) {
    parts[0] = texpr_parse(p, true);
    if (!parts[0] || !tparse_is_op(p, ":")) return parts[0];
  }
  for (int i = 1; i < 3 && tparse_skip_op(p, ":"); i++) {
    if (tparse_is_op(p, ":") || tparse_is_op(p, "]") || tparse_is_op(p, ",")) continue;
    parts[i] = texpr_parse(p, true);
    if (!parts[i]) return NULL;
  }
  TNode *n = tparse_node(p, N_SLICE, pos);
  if (!n) return NULL;
  n->a = parts[0];
  n->b = parts[1];
  n->c = parts[2];
  return tparse_close(p, n) ? n : NULL;
}

static TNode *parse_subscript(Parse *p, TNode *target) {
  uint32_t pos = target->pos;
  p->tok++;
  TNode *only = NULL, *tuple = NULL;
  while (!tparse_is_op(p, "]")) {
    if (only && !tparse_expect_op(p, ",")) return NULL;
    TNode *item = parse_subscript_item(p);
    if (!item) return NULL;
    if (only && !tuple) {
      tuple = tparse_node(p, N_TUPLE, pos);
      if (!tuple || !tparse_add(p, tuple, &tuple->items, only)) return NULL;
    }
    if (tuple && !tparse_add(p, tuple, &tuple->items, item)) return NULL;
    only = item;
  }
  p->tok++;
  if (!only) only = tparse_node(p, N_TUPLE, pos); // x[]: an empty tuple
  return binary(p, N_ITEM, target, tuple ? tuple : only, pos);
}

static TNode *parse_dot(Parse *p, TNode *target) {
  uint32_t pos = target->pos;
  p->tok++;
  if (p->tok->type == TK_INT) return binary(p, N_ITEM, target, parse_primary(p), pos);
  TNode *n = tparse_node(p, N_ATTR, pos);
  if (!n) return NULL;
  n->a = target;
  n->name = texpr_identifier(p, &n->name_id);
  return n->name && tparse_close(p, n) ? n : NULL;
}

static bool bad_call(Parse *p) {
  return tast_error(p->t, p->tok->pos, ZAYA_E_FORMAT, p->err, "invalid syntax for the arguments of a call");
}

// ( ... ) into n->items (positional, then N_KEYWORD), n->b (*args) and n->c (**kwargs).
static bool parse_args(Parse *p, TNode *n) {
  if (!tparse_expect_op(p, "(")) return false;
  bool first = true, keywords = false;
  while (!tparse_is_op(p, ")")) {
    if (!first) {
      if (!tparse_expect_op(p, ",")) return false;
      if (tparse_is_op(p, ")")) break;
    }
    first = false;
    bool star = tparse_is_op(p, "*"), stars = tparse_is_op(p, "**");
    if (star || stars) {
      if (n->c || (star && n->b)) return bad_call(p);
      p->tok++;
      TNode *e = texpr_parse(p, true);
      if (!e) return false;
      if (star)
        n->b = e;
      else
        n->c = e;
      continue;
    }
    TNode *item;
    if (p->tok->type == TK_NAME && p->tok[1].type == TK_OP && !strcmp(p->tok[1].op, "=")) {
      if (n->c) return bad_call(p);
      keywords = true;
      item = tparse_node(p, N_KEYWORD, p->tok->pos);
      if (!item || !(item->name = texpr_identifier(p, &item->name_id))) return false;
      p->tok++;
      item->a = texpr_parse(p, true);
      if (!item->a || !tparse_close(p, item)) return false;
    } else {
      if (n->b || n->c || keywords) return bad_call(p);
      item = texpr_parse(p, true);
    }
    if (!item || !tparse_add(p, n, &n->items, item)) return false;
  }
  return tparse_expect_op(p, ")") && tparse_close(p, n);
}

static TNode *parse_call(Parse *p, TNode *target) {
  TNode *n = tparse_node(p, N_CALL, target->pos);
  if (!n) return NULL;
  n->a = target;
  return parse_args(p, n) ? n : NULL;
}

static TNode *parse_postfix(Parse *p, TNode *n) {
  while (n) {
    if (tparse_is_op(p, "."))
      n = parse_dot(p, n);
    else if (tparse_is_op(p, "["))
      n = parse_subscript(p, n);
    else if (tparse_is_op(p, "("))
      n = parse_call(p, n);
    else
      break;
  }
  return n;
}

// Reads a.b.c as one name: filters and tests of extensions are called so.
static bool parse_dotted(Parse *p, TNode *n) {
  n->name = texpr_identifier(p, &n->name_id);
  while (n->name && tparse_skip_op(p, ".")) n->name = texpr_identifier(p, &n->name_id);
  return n->name != NULL;
}

TNode *texpr_filters(Parse *p, TNode *target, bool at_name) {
  while (at_name || tparse_is_op(p, "|")) {
    if (!at_name) p->tok++;
    at_name = false;
    TNode *n = tparse_node(p, N_FILTER, p->tok->pos);
    if (!n || !parse_dotted(p, n)) return NULL;
    n->a = target;
    n->flag = p->soft;
    n->fn = trt_find_filter(n->name);
    if (tparse_is_op(p, "(") ? !parse_args(p, n) : !tparse_close(p, n)) return NULL;
    target = n;
  }
  return target;
}

static bool starts_test_argument(const Parse *p) {
  switch (p->tok->type) {
  case TK_STRING:
  case TK_INT:
  case TK_FLOAT: return true;
  case TK_NAME: return !tparse_is_name(p, "else") && !tparse_is_name(p, "or") && !tparse_is_name(p, "and");
  default: return tparse_is_op(p, "[") || tparse_is_op(p, "{");
  }
}

static TNode *parse_test(Parse *p, TNode *target) {
  uint32_t pos = p->tok->pos;
  p->tok++;
  bool negated = tparse_skip_name(p, "not");
  TNode *n = tparse_node(p, N_TEST, pos);
  if (!n || !parse_dotted(p, n)) return NULL;
  n->a = target;
  n->flag = p->soft;
  n->fn = trt_find_test(n->name);
  if (tparse_is_op(p, "(")) {
    if (!parse_args(p, n)) return NULL;
  } else if (starts_test_argument(p)) {
    if (tparse_is_name(p, "is")) {
      tast_error(p->t, p->tok->pos, ZAYA_E_FORMAT, p->err, "tests cannot be chained with 'is'");
      return NULL;
    }
    TNode *arg = parse_postfix(p, parse_primary(p));
    if (!arg || !tparse_add(p, n, &n->items, arg)) return NULL;
  }
  if (!tparse_close(p, n)) return NULL;
  if (!negated) return n;
  TNode *no = tparse_node(p, N_NOT, pos);
  if (!no) return NULL;
  no->a = n;
  return tparse_close(p, no) ? no : NULL;
}

static TNode *parse_unary(Parse *p, bool with_filter) {
  if (!tparse_enter(p)) return NULL;
  TNode *n;
  if (tparse_is_op(p, "-") || tparse_is_op(p, "+")) {
    n = tparse_node(p, tparse_is_op(p, "-") ? N_NEG : N_POS, p->tok->pos);
    p->tok++;
    if (n) n->a = parse_unary(p, false);
    if (n && (!n->a || !tparse_close(p, n))) n = NULL;
  } else {
    n = parse_primary(p);
  }
  n = parse_postfix(p, n);
  while (n && with_filter) {
    if (tparse_is_op(p, "|"))
      n = texpr_filters(p, n, false);
    else if (tparse_is_name(p, "is"))
      n = parse_test(p, n);
    else if (tparse_is_op(p, "("))
      n = parse_call(p, n);
    else
      break;
  }
  tparse_leave(p);
  return n;
}
