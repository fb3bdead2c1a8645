// tparse: what the two halves of the parser share: expressions (texpr.c) and statements (tparse.c).
// Depends on tlex.
#pragma once

#include "text/tlex.h"

typedef struct Parse {
  Tmpl *t;
  zaya_error *err;
  TToken *tok; // the current one
  int depth;
  bool soft; // inside if or a conditional: an unknown filter is an error only when it is reached
  int loops; // enclosing loops of this function body, for break and continue
} Parse;

// How far a tuple without parentheses may go.
typedef enum TupleMode { TUPLE_FULL, TUPLE_NO_COND, TUPLE_TARGET } TupleMode;

bool tparse_is_op(const Parse *p, const char *op);
bool tparse_is_name(const Parse *p, const char *name);
bool tparse_skip_op(Parse *p, const char *op);
bool tparse_skip_name(Parse *p, const char *name);
bool tparse_expect_op(Parse *p, const char *op);
// Fails at the current token: "expected X, found Y".
bool tparse_unexpected(Parse *p, const char *expected);
TNode *tparse_node(Parse *p, TKind kind, uint32_t pos);
bool tparse_add(Parse *p, TNode *parent, TNodes *list, TNode *child);
bool tparse_enter(Parse *p); // one level deeper
void tparse_leave(Parse *p);
// Sets the depth of a node from its operands; false when the tree is too deep.
bool tparse_close(Parse *p, TNode *n);

// NULL on failure.
TNode *texpr_parse(Parse *p, bool with_cond);
TNode *texpr_tuple(Parse *p, TupleMode mode, const char *end_name, bool parenthesised);
// Behind a '|' (or at its name, when `at_name`): a chain of filters on `target` (may be NULL).
TNode *texpr_filters(Parse *p, TNode *target, bool at_name);
// Takes an identifier; NULL on failure.
TStr *texpr_identifier(Parse *p, uint32_t *id);
