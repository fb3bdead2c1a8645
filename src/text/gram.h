// gram: grammars for constrained decoding. A builder takes rules made of expressions over bytes and
// code points; compiling gives an immutable, byte-level recursive transition network that any number
// of matchers (match.h) share, also across threads.
//
// Owns: expressions, their limits, the compiled form and its analysis (what can be empty, what can
// never end, left recursion). Does not own: any notation (gbnf, regex, schema, calls build on it) and
// the running of a grammar (match). Depends on base.
//
// Everything hostile ends in an error with ZAYA_E_LIMIT or ZAYA_E_INVALID: too many rules or nodes,
// left recursion, a root that matches nothing.
#pragma once

#include "base/buf.h"
#include "base/error.h"

#include <stdatomic.h>

#define GRAM_INF       UINT32_MAX // no upper bound of a repetition; a length that is never reached
#define GRAM_MAX_RULES 32768u     // rules, the hidden ones of long repetitions included
#define GRAM_MAX_EXPRS (1u << 20) // expressions of a builder
#define GRAM_MAX_NODES (1u << 20) // nodes of the compiled form
#define GRAM_MAX_NEST  400u       // expressions within one another, in one rule

// --- building --------------------------------------------------------------------------------------

typedef struct GramBuilder GramBuilder;
typedef uint32_t GramExpr; // 0: building failed; every function passes it on, gram_compile reports it

typedef struct GramRange { // code points lo..hi, both included
  uint32_t lo, hi;
} GramRange;

GramBuilder *gram_builder_new(zaya_error *err);
void gram_builder_free(GramBuilder *b);
// The failure that the builder holds, if any: copied to `err`; true when there is none.
bool gram_builder_ok(const GramBuilder *b, zaya_error *err);

GramExpr gram_empty(GramBuilder *b); // matches the empty text
GramExpr gram_never(GramBuilder *b); // matches nothing at all
GramExpr gram_bytes(GramBuilder *b, const void *data, size_t len);
GramExpr gram_text(GramBuilder *b, const char *s);
// One code point out of (or, with `negate`, none of) the ranges, in any order; surrogates never match.
GramExpr gram_set(GramBuilder *b, const GramRange *ranges, size_t n, bool negate);
GramExpr gram_cat(GramBuilder *b, const GramExpr *parts, size_t n);
GramExpr gram_cat2(GramBuilder *b, GramExpr x, GramExpr y);
GramExpr gram_cat3(GramBuilder *b, GramExpr x, GramExpr y, GramExpr z);
GramExpr gram_alt(GramBuilder *b, const GramExpr *parts, size_t n);
GramExpr gram_alt2(GramBuilder *b, GramExpr x, GramExpr y);
GramExpr gram_repeat(GramBuilder *b, GramExpr x, uint32_t min, uint32_t max); // max may be GRAM_INF
GramExpr gram_opt(GramBuilder *b, GramExpr x);
// One of `n` literals, common prefixes shared.
GramExpr gram_literals(GramBuilder *b, const Buf *texts, size_t n);

// Declares a rule (defined now or later); the name is for messages. A use of it is an expression.
uint32_t gram_rule(GramBuilder *b, const char *name);
void gram_define(GramBuilder *b, uint32_t rule, GramExpr x);
bool gram_defined(const GramBuilder *b, uint32_t rule);
GramExpr gram_use(GramBuilder *b, uint32_t rule);

// --- the compiled form -------------------------------------------------------------------------------

typedef enum GramOp {
  GRAM_RET,   // end of the rule; always node 0
  GRAM_BYTES, // one byte of sets[arg], then next
  GRAM_CALL,  // rule arg, then next
  GRAM_LOOP,  // loops[arg], then next
  GRAM_SPLIT, // next or arg
} GramOp;

typedef struct GramNode {
  uint8_t op;
  uint8_t tail; // of a call: nothing follows in this rule, so that no frame is needed
  uint32_t next, arg;
} GramNode;

typedef struct GramSet { // a set of bytes
  uint64_t bits[4];
} GramSet;

typedef struct GramLoop { // body{min,max}: counted at run time; the body is never empty where max is finite
  uint32_t body, min, max;
} GramLoop;

typedef struct GramRule {
  uint32_t start;      // first node
  uint32_t end, first; // nodes [first, end) belong to it
} GramRule;

typedef struct Gram {
  atomic_uint refs;
  GramNode *nodes;
  uint32_t *min_len; // [n_nodes] bytes of the shortest way from there to the end of the rule
  GramSet *sets;
  GramLoop *loops;
  GramRule *rules;
  uint32_t n_nodes, n_sets, n_loops, n_rules, root;
} Gram;

// Compiles what the builder holds, `root` being the start. The builder stays usable and stays the caller's.
Gram *gram_compile(const GramBuilder *b, uint32_t root, zaya_error *err);
Gram *gram_ref(const Gram *g); // one more owner
void gram_free(Gram *g);       // one owner less

static inline bool gram_set_has(const GramSet *s, uint8_t byte) {
  return s->bits[byte >> 6] >> (byte & 63) & 1;
}

// --- what gram_compile.c sees of a builder -------------------------------------------------------------

typedef enum GramKind {
  GRAM_X_NONE,
  GRAM_X_EMPTY,
  GRAM_X_BYTES,
  GRAM_X_SET,
  GRAM_X_CAT,
  GRAM_X_ALT,
  GRAM_X_REPEAT,
  GRAM_X_RULE
} GramKind;

typedef struct GramX {
  uint8_t kind;
  bool loops; // holds a repetition without end or a counted one, or a rule
  uint16_t depth;
  uint32_t off, n; // BYTES: text; SET: ranges; CAT, ALT: children; REPEAT, RULE: off is the child or the rule
  uint32_t min, max;
  uint32_t size; // nodes that emitting it takes, roughly
} GramX;

typedef struct GramDef {
  char *name;
  GramExpr x; // 0 until defined
} GramDef;

struct GramBuilder {
  zaya_error err;
  GramX *x;
  uint32_t n_x, cap_x;
  GramExpr *kids;
  uint32_t n_kids, cap_kids;
  GramRange *ranges;
  uint32_t n_ranges, cap_ranges;
  Buf text;
  GramDef *defs;
  uint32_t n_defs, cap_defs;
};

// Whether x{min,max} is written out, copy by copy (else its rounds are counted).
static inline bool gram_unrolls(uint32_t min, uint32_t max) {
  return (max == GRAM_INF ? min + 1 : max) <= 16;
}
// Whether a copy is the code of x (else a call of it).
static inline bool gram_copies(uint32_t min, uint32_t max, uint32_t size) {
  return (uint64_t)(max == GRAM_INF ? min + 1 : max) * size <= 512;
}
