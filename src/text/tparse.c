// tparse: statements. Builds the tree; names are bound to variables afterwards (tscope). See tparse.h.
#include "text/tparse.h"
#include "text/trt.h"

#include <string.h>

bool tparse_is_op(const Parse *p, const char *op) { return p->tok->type == TK_OP && !strcmp(p->tok->op, op); }

bool tparse_is_name(const Parse *p, const char *name) {
  return p->tok->type == TK_NAME && p->tok->len == strlen(name) && !memcmp(p->tok->p, name, p->tok->len);
}

bool tparse_skip_op(Parse *p, const char *op) {
  bool yes = tparse_is_op(p, op);
  p->tok += yes;
  return yes;
}

bool tparse_skip_name(Parse *p, const char *name) {
  bool yes = tparse_is_name(p, name);
  p->tok += yes;
  return yes;
}

static void describe(const TToken *k, char *out, size_t size) {
  switch (k->type) {
  case TK_EOF: snprintf(out, size, "the end of the template"); break;
  case TK_DATA: snprintf(out, size, "text"); break;
  case TK_VAR_BEGIN: snprintf(out, size, "'{{'"); break;
  case TK_VAR_END: snprintf(out, size, "'}}'"); break;
  case TK_BLOCK_BEGIN: snprintf(out, size, "'{%%'"); break;
  case TK_BLOCK_END: snprintf(out, size, "'%%}'"); break;
  case TK_NAME: snprintf(out, size, "'%.*s'", k->len < 40 ? (int)k->len : 40, k->p); break;
  case TK_STRING: snprintf(out, size, "a string"); break;
  case TK_INT:
  case TK_FLOAT: snprintf(out, size, "a number"); break;
  case TK_OP: snprintf(out, size, "'%s'", k->op); break;
  }
}

bool tparse_unexpected(Parse *p, const char *expected) {
  char found[64];
  describe(p->tok, found, sizeof found);
  return tast_error(p->t, p->tok->pos, ZAYA_E_FORMAT, p->err, "expected %s, found %s", expected, found);
}

bool tparse_expect_op(Parse *p, const char *op) {
  if (tparse_skip_op(p, op)) return true;
  char expected[8];
  snprintf(expected, sizeof expected, "'%s'", op);
  return tparse_unexpected(p, expected);
}

static bool expect(Parse *p, TTok type, const char *what) {
  if (p->tok->type != type) return tparse_unexpected(p, what);
  p->tok++;
  return true;
}

TNode *tparse_node(Parse *p, TKind kind, uint32_t pos) { return tast_node(p->t, kind, pos, p->err); }

static bool too_deep(Parse *p, uint32_t pos) {
  return tast_error(p->t, pos, ZAYA_E_LIMIT, p->err, "nested deeper than %d levels", TAST_MAX_DEPTH);
}

bool tparse_enter(Parse *p) { return ++p->depth <= TAST_MAX_DEPTH || too_deep(p, p->tok->pos); }
void tparse_leave(Parse *p) { p->depth--; }

static bool deepen(Parse *p, TNode *n, const TNode *child) {
  if (child && child->depth + 1 > n->depth) n->depth = (uint16_t)(child->depth + 1);
  return n->depth <= TAST_MAX_DEPTH || too_deep(p, n->pos);
}

bool tparse_close(Parse *p, TNode *n) {
  return deepen(p, n, n->a) && deepen(p, n, n->b) && deepen(p, n, n->c);
}

bool tparse_add(Parse *p, TNode *parent, TNodes *list, TNode *child) {
  return deepen(p, parent, child) && tast_push(p->t, list, child, p->err);
}

static bool parse_body(Parse *p, TNode *owner, TNodes *list, const char *const *ends);

// --- assignment targets ------------------------------------------------------------------------

static bool check_target(Parse *p, TNode *n) {
  if (n->kind == N_NAME || n->kind == N_NSREF) return true;
  if (n->kind != N_TUPLE) return tast_error(p->t, n->pos, ZAYA_E_FORMAT, p->err, "cannot assign to this");
  for (size_t i = 0; i < n->items.n; i++)
    if (!check_target(p, n->items.at[i])) return false;
  return true;
}

static TNode *parse_target(Parse *p, bool with_namespace, const char *end_name) {
  TNode *n;
  if (with_namespace && p->tok->type == TK_NAME && p->tok[1].type == TK_OP && !strcmp(p->tok[1].op, ".")) {
    n = tparse_node(p, N_NSREF, p->tok->pos);
    if (!n || !(n->name = texpr_identifier(p, &n->name_id))) return NULL;
    p->tok++;
    uint32_t id;
    if (!(n->attr = texpr_identifier(p, &id))) return NULL;
  } else {
    n = texpr_tuple(p, TUPLE_TARGET, end_name, false);
  }
  return n && check_target(p, n) ? n : NULL;
}

// --- statements --------------------------------------------------------------------------------

static const char *const no_names[] = {NULL};

static bool block_end(Parse *p) { return expect(p, TK_BLOCK_END, "'%}'"); }

static bool finish(Parse *p, TNode *n, const char *const *ends) { // the body, and its end tag's name
  if (!block_end(p) || !parse_body(p, n, &n->items, ends)) return false;
  p->tok++;
  return true;
}

static TNode *parse_for(Parse *p, TNode *n) {
  bool soft = p->soft;
  n->a = parse_target(p, false, "in");
  if (!n->a) return NULL;
  if (!tparse_skip_name(p, "in")) {
    tparse_unexpected(p, "'in'");
    return NULL;
  }
  if (!(n->b = texpr_tuple(p, TUPLE_NO_COND, "recursive", false))) return NULL;
  p->soft = false; // what follows is a scope of its own
  if (tparse_skip_name(p, "if") && !(n->c = texpr_parse(p, true))) return NULL;
  n->flag = tparse_skip_name(p, "recursive");
  static const char *const ends[] = {"endfor", "else", NULL};
  static const char *const last[] = {"endfor", NULL};
  int loops = p->loops;
  p->loops = n->flag ? 1 : loops + 1;
  if (!tparse_close(p, n) || !block_end(p) || !parse_body(p, n, &n->items, ends)) return NULL;
  p->loops = n->flag ? 0 : loops;
  if (tparse_skip_name(p, "else") && (!block_end(p) || !parse_body(p, n, &n->more, last))) return NULL;
  p->tok++;
  p->loops = loops;
  p->soft = soft;
  return n;
}

static TNode *parse_if(Parse *p, TNode *n) {
  static const char *const ends[] = {"elif", "else", "endif", NULL};
  static const char *const last[] = {"endif", NULL};
  bool soft = p->soft;
  p->soft = true;
  for (bool is_else = false; !is_else;) {
    TNode *branch = tparse_node(p, N_BRANCH, p->tok->pos);
    if (!branch) return NULL;
    if (!(branch->a = texpr_tuple(p, TUPLE_NO_COND, NULL, false))) return NULL;
    if (!tparse_close(p, branch) || !block_end(p) || !parse_body(p, branch, &branch->items, ends))
      return NULL;
    if (!tparse_add(p, n, &n->items, branch)) return NULL;
    if (tparse_skip_name(p, "elif")) continue;
    is_else = tparse_is_name(p, "else");
    p->tok++;
    if (!is_else) break;
    branch = tparse_node(p, N_BRANCH, p->tok->pos);
    if (!branch || !block_end(p) || !parse_body(p, branch, &branch->items, last)) return NULL;
    if (!tparse_add(p, n, &n->items, branch)) return NULL;
    p->tok++;
  }
  p->soft = soft;
  return n;
}

static TNode *parse_set(Parse *p, TNode *n) {
  if (!(n->a = parse_target(p, true, NULL))) return NULL;
  if (tparse_skip_op(p, "=")) {
    n->b = texpr_tuple(p, TUPLE_FULL, NULL, false);
    return n->b && tparse_close(p, n) ? n : NULL;
  }
  n->kind = N_SETBLOCK;
  bool soft = p->soft;
  p->soft = false;
  if (tparse_is_op(p, "|") && !(n->b = texpr_filters(p, NULL, false))) return NULL;
  static const char *const ends[] = {"endset", NULL};
  if (!tparse_close(p, n) || !finish(p, n, ends)) return NULL;
  p->soft = soft;
  return n;
}

// (a, b=1) of a macro or a call block.
static bool parse_signature(Parse *p, TNode *n) {
  if (!tparse_expect_op(p, "(")) return false;
  bool defaults = false;
  while (!tparse_is_op(p, ")")) {
    if (n->more.n && !tparse_expect_op(p, ",")) return false;
    TNode *param = tparse_node(p, N_PARAM, p->tok->pos);
    if (!param || !(param->name = texpr_identifier(p, &param->name_id))) return false;
    for (size_t i = 0; i < n->more.n; i++)
      if (n->more.at[i]->name_id == param->name_id)
        return tast_error(p->t, param->pos, ZAYA_E_FORMAT, p->err, "two parameters with the name '%s'",
                          param->name->p);
    if (tparse_skip_op(p, "=")) {
      defaults = true;
      if (!(param->a = texpr_parse(p, true)) || !tparse_close(p, param)) return false;
    } else if (defaults) {
      return tast_error(p->t, param->pos, ZAYA_E_FORMAT, p->err,
                        "a parameter without default behind one with default");
    }
    if (!tparse_add(p, n, &n->more, param)) return false;
  }
  return tparse_expect_op(p, ")");
}

// A function body of its own: break and continue do not reach out of it.
static TNode *parse_function(Parse *p, TNode *n, const char *end) {
  const char *const ends[] = {end, NULL};
  int loops = p->loops;
  bool soft = p->soft;
  p->loops = 0;
  p->soft = false;
  if (!finish(p, n, ends)) return NULL;
  p->loops = loops;
  p->soft = soft;
  return n;
}

static TNode *parse_macro(Parse *p, TNode *n) {
  if (!(n->name = texpr_identifier(p, &n->name_id)) || !parse_signature(p, n)) return NULL;
  return parse_function(p, n, "endmacro");
}

static TNode *parse_call_block(Parse *p, TNode *n) {
  if (tparse_is_op(p, "(") && !parse_signature(p, n)) return NULL;
  uint32_t pos = p->tok->pos;
  if (!(n->a = texpr_parse(p, true)) || !tparse_close(p, n)) return NULL;
  if (n->a->kind != N_CALL) {
    tast_error(p->t, pos, ZAYA_E_FORMAT, p->err, "expected a call");
    return NULL;
  }
  return parse_function(p, n, "endcall");
}

static TNode *parse_generation(Parse *p, TNode *n) { return parse_function(p, n, "endgeneration"); }

static TNode *parse_filter_block(Parse *p, TNode *n) {
  static const char *const ends[] = {"endfilter", NULL};
  bool soft = p->soft;
  p->soft = false;
  if (!(n->a = texpr_filters(p, NULL, true)) || !tparse_close(p, n) || !finish(p, n, ends)) return NULL;
  p->soft = soft;
  return n;
}

static TNode *parse_with(Parse *p, TNode *n) {
  static const char *const ends[] = {"endwith", NULL};
  while (p->tok->type != TK_BLOCK_END) {
    if (n->more.n && !tparse_expect_op(p, ",")) return NULL;
    TNode *set = tparse_node(p, N_SET, p->tok->pos);
    if (!set || !(set->a = texpr_tuple(p, TUPLE_TARGET, NULL, false)) || !check_target(p, set->a))
      return NULL;
    if (!tparse_expect_op(p, "=") || !(set->b = texpr_parse(p, true))) return NULL;
    if (!tparse_close(p, set) || !tparse_add(p, n, &n->more, set)) return NULL;
  }
  bool soft = p->soft;
  p->soft = false;
  if (!finish(p, n, ends)) return NULL;
  p->soft = soft;
  return n;
}

static TNode *parse_loop_control(Parse *p, TNode *n) {
  if (p->loops) return n;
  tast_error(p->t, n->pos, ZAYA_E_FORMAT, p->err, "'%s' outside of a loop",
             n->kind == N_BREAK ? "break" : "continue");
  return NULL;
}

// {% print a, b %}: an N_BRANCH without condition that holds the outputs.
static TNode *parse_print(Parse *p, TNode *n) {
  TNode *always = tparse_node(p, N_BRANCH, n->pos);
  if (!always) return NULL;
  while (p->tok->type != TK_BLOCK_END) {
    if (always->items.n && !tparse_expect_op(p, ",")) return NULL;
    TNode *out = tparse_node(p, N_PRINT, p->tok->pos);
    if (!out || !(out->a = texpr_parse(p, true)) || !tparse_close(p, out)) return NULL;
    if (!tparse_add(p, always, &always->items, out)) return NULL;
  }
  return tparse_add(p, n, &n->items, always) ? n : NULL;
}

static const struct {
  const char *tag;
  TKind kind;
  TNode *(*parse)(Parse *, TNode *);
} statements[] = {
    {"for", N_FOR, parse_for},
    {"if", N_IF, parse_if},
    {"set", N_SET, parse_set},
    {"macro", N_MACRO, parse_macro},
    {"call", N_CALLBLOCK, parse_call_block},
    {"filter", N_FILTERBLOCK, parse_filter_block},
    {"with", N_WITH, parse_with},
    {"break", N_BREAK, parse_loop_control},
    {"continue", N_CONTINUE, parse_loop_control},
    {"generation", N_CALLBLOCK, parse_generation},
    {"print", N_IF, parse_print},
};

// Jinja knows these, and a chat template has no use for them.
static const char *const refused[] = {"include", "import", "from", "extends", "block", "autoescape", NULL};

static TNode *parse_statement(Parse *p) {
  uint32_t pos = p->tok->pos;
  if (p->tok->type != TK_NAME) {
    tparse_unexpected(p, "the name of a tag");
    return NULL;
  }
  for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
    if (!tparse_skip_name(p, statements[i].tag)) continue;
    TNode *n = tparse_node(p, statements[i].kind, pos);
    if (!n || !tparse_enter(p)) return NULL;
    n = statements[i].parse(p, n);
    tparse_leave(p);
    return n;
  }
  for (size_t i = 0; refused[i]; i++) {
    if (!tparse_is_name(p, refused[i])) continue;
    tast_error(p->t, pos, ZAYA_E_UNSUPPORTED, p->err, "'%s' is not supported: a chat template stands alone",
               refused[i]);
    return NULL;
  }
  tast_error(p->t, pos, ZAYA_E_FORMAT, p->err, "unknown tag '%.*s'", p->tok->len < 40 ? (int)p->tok->len : 40,
             p->tok->p);
  return NULL;
}

// Reads up to {% and one of `ends`, which becomes the current token; without ends, to the end.
static bool parse_body(Parse *p, TNode *owner, TNodes *list, const char *const *ends) {
  uint32_t begin = p->tok->pos;
  for (;;) {
    TToken *k = p->tok;
    TNode *n = NULL;
    if (k->type == TK_EOF) {
      if (!ends[0]) return true;
      return tast_error(p->t, begin, ZAYA_E_FORMAT, p->err,
                        "the template ends without '%s' for the block opened here", ends[0]);
    } else if (k->type == TK_DATA) {
      p->tok++;
      n = tparse_node(p, N_DATA, k->pos);
      TStr *s = n ? tast_str(p->t, k->p, k->len, p->err) : NULL;
      if (!s) return false;
      n->value = (TVal){.type = T_STR, .s = s};
    } else if (k->type == TK_VAR_BEGIN) {
      p->tok++;
      n = tparse_node(p, N_PRINT, p->tok->pos);
      if (!n || !(n->a = texpr_tuple(p, TUPLE_FULL, NULL, false)) || !tparse_close(p, n)) return false;
      if (!expect(p, TK_VAR_END, "'}}'")) return false;
    } else {
      p->tok++;
      for (size_t i = 0; ends[i]; i++)
        if (tparse_is_name(p, ends[i])) return true;
      n = parse_statement(p);
      if (!n || !block_end(p)) return false;
    }
    if (!(owner ? tparse_add(p, owner, list, n) : tast_push(p->t, list, n, p->err))) return false;
  }
}

bool tparse_template(Tmpl *t, zaya_error *err) {
  TTokens tokens = {0};
  if (!tlex_run(t, &tokens, err)) return false;
  Parse p = {.t = t, .err = err, .tok = tokens.at};
  return parse_body(&p, NULL, &t->body, no_names);
}
