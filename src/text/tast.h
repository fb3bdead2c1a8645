// tast: the compiled form of a template: nodes, scopes, and the value type that constants share with
// the running template. Written by tparse and tscope, read-only afterwards.
#pragma once

#include "text/tmem.h"
#include "text/tmpl.h"

// --- values ------------------------------------------------------------------------------------

typedef enum TType {
  T_MISSING, // no such variable: never leaves a variable slot
  T_UNDEF,
  T_NONE,
  T_BOOL,
  T_INT,
  T_FLOAT,
  T_STR,
  T_LIST,
  T_TUPLE,
  T_DICT,
  T_VIEW, // dict.keys(), .values(), .items()
  T_RANGE,
  T_ITER, // generators, reversed(): can be walked once
  T_SLICE,
  T_NS,
  T_MACRO,
  T_LOOP,
  T_METHOD,
  T_GLOBAL,
  T_CYCLER,
  T_JOINER,
} TType;

// Where bytes come from. A string that mixes both has a mask, one TOrigin per byte.
enum { T_TEMPLATE = 0, T_VALUE = 1, T_MIXED = 2 };

typedef struct TStr {  // valid UTF-8
  size_t len;          // bytes
  size_t n;            // code points
  const char *p;       // NULL: a rope of left and right, flattened on demand
  const uint8_t *mask; // T_MIXED only
  struct TStr *left, *right;
  uint8_t origin;
} TStr;

typedef struct TVal {
  uint8_t type;   // TType
  uint8_t origin; // of scalars and of what is made from a container's outline
  union {
    bool b;
    int64_t i;
    double f;
    TStr *s;
    struct TList *l; // T_LIST, T_TUPLE, T_VIEW
    struct TDict *d; // T_DICT, T_NS
    struct TUndef *u;
    struct TRange *r;
    struct TIter *it;
    struct TMacro *m;
    struct TLoop *loop;
    struct TMethod *meth;
    struct TCycler *cyc;
    const struct TGlobal *g;
  };
} TVal;

// --- nodes -------------------------------------------------------------------------------------

typedef enum TKind {
  // expressions
  N_CONST,   // value
  N_NAME,    // name; hops, slot
  N_TUPLE,   // items
  N_LIST,    // items
  N_DICT,    // items: key, value, key, value ...
  N_COND,    // b if a else c (c may be NULL)
  N_OR,      // a or b
  N_AND,     // a and b
  N_NOT,     // not a
  N_NEG,     // -a
  N_POS,     // +a
  N_BINARY,  // a op b
  N_CONCAT,  // items joined by ~
  N_COMPARE, // a, then items: N_OPERAND
  N_OPERAND, // op, a
  N_ATTR,    // a.name
  N_ITEM,    // a[b]
  N_SLICE,   // a:b:c, each may be NULL
  N_CALL,    // a(...)
  N_FILTER,  // a|name(...); a NULL: what the block rendered
  N_TEST,    // a is name(...)
  N_KEYWORD, // name=a, among the items of the three above; b and c there: *b, **c
  N_NSREF,   // name.attr as the target of a set
  // statements
  N_DATA,        // value
  N_PRINT,       // a
  N_IF,          // items: N_BRANCH
  N_BRANCH,      // if a (NULL: else); items
  N_FOR,         // a in b if c: items; else: more. `flag`: recursive. test: the target again, for c
  N_SET,         // a = b
  N_SETBLOCK,    // a, b: filter or NULL, items
  N_MACRO,       // name, more: N_PARAM, items
  N_PARAM,       // name; a: default or NULL
  N_CALLBLOCK,   // a: call (NULL: a generation block), more: N_PARAM, items
  N_FILTERBLOCK, // a: filter, items
  N_WITH,        // more: N_SET, items
  N_BREAK,
  N_CONTINUE,
} TKind;

typedef enum TOp {
  OP_ADD,
  OP_SUB,
  OP_MUL,
  OP_DIV,
  OP_FLOORDIV,
  OP_MOD,
  OP_POW,
  OP_EQ,
  OP_NE,
  OP_LT,
  OP_LE,
  OP_GT,
  OP_GE,
  OP_IN,
  OP_NOTIN,
} TOp;

typedef struct TNode TNode;

typedef struct TNodes {
  TNode **at;
  size_t n, cap;
} TNodes;

// What a scope does to its variables when it is entered.
typedef enum TLoadKind { LOAD_NONE, LOAD_PARAM, LOAD_UNDEFINED, LOAD_ALIAS, LOAD_RESOLVE } TLoadKind;

typedef struct TLoad {
  uint8_t kind;
  int hops, slot; // LOAD_ALIAS: whose value
  TStr *name;     // LOAD_RESOLVE: which variable of the caller
} TLoad;

typedef struct TScope {
  int n_slots;
  TLoad *loads; // [n_slots]
} TScope;

struct TNode {
  uint8_t kind; // TKind
  uint8_t op;   // TOp
  bool flag;
  bool captured;  // N_FOR: a macro in the body may keep the variables of a round
  uint16_t depth; // of the tree below
  uint32_t pos;   // byte offset in the source
  TNode *a, *b, *c;
  TNodes items, more;
  TStr *name, *attr;
  uint32_t name_id; // of `name`, for the scopes
  TVal value;
  int hops, slot;                                        // N_NAME, N_NSREF, N_MACRO: where the variable lives
  TNode *test_target;                                    // N_FOR
  TScope *scope, *scope2, *scope3;                       // body; N_FOR: else, test
  int caller_slot, kwargs_slot, varargs_slot, loop_slot; // -1: not used
  const void *fn; // N_FILTER, N_TEST: what was found in the tables; NULL: an error when it is reached
};

struct Tmpl {
  Tmem mem;
  char *name;
  const char *src; // newlines normalised
  size_t src_len;
  TNodes body;
  TScope *scope;
  TStr **names; // interned; the index is the id
  uint32_t n_names, cap_names;
};

typedef struct TParams TParams;

// Fails at an offset of the source with "name:line:column: ... in `construct`".
bool tast_error(const Tmpl *t, uint32_t pos, zaya_status status, zaya_error *err, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
TNode *tast_node(Tmpl *t, TKind kind, uint32_t pos, zaya_error *err);
bool tast_push(Tmpl *t, TNodes *list, TNode *node, zaya_error *err);
// A constant string of the template.
TStr *tast_str(Tmpl *t, const char *p, size_t len, zaya_error *err);
// The one TStr of this identifier, and its id.
TStr *tast_intern(Tmpl *t, const char *p, size_t len, uint32_t *id, zaya_error *err);

// tparse and tscope: the passes of tmpl_compile.
bool tparse_template(Tmpl *t, zaya_error *err);
bool tscope_resolve(Tmpl *t, zaya_error *err);

enum {
  TAST_MAX_SOURCE = 1 << 20, // bytes of a template
  TAST_MAX_DEPTH = 200,      // nested constructs
  TAST_MAX_NAMES = 4096,     // different identifiers
};
