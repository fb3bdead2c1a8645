// trt: a running template: its memory, budget and error, and the interface between the parts of the
// engine: values (tval), strings (tstr), operators (tops), evaluation (teval), statements (texec) and
// the tables of filters, tests, methods and functions.
// Errors stick: after the first, every function still returns some value, and loops stop because
// trt_step says no; so callers test `failed` only where work would be wasted.
#pragma once

#include "text/tast.h"

typedef struct TRt TRt;

typedef struct TFrame { // the variables of one entered scope
  struct TFrame *parent;
  TVal slots[];
} TFrame;

typedef struct TList {
  TVal *at;
  size_t n, cap;
  uint8_t view; // of T_VIEW: 'k', 'v' or 'i'
} TList;

typedef struct TPair {
  TVal key, value;
  uint64_t hash;
} TPair;

typedef struct TDict { // keeps the order of insertion
  TPair *at;
  size_t n, cap;
  uint32_t *index; // open addressing, entry number + 1; made when the dict grows
  size_t index_cap;
} TDict;

typedef struct TUndef { // what was not there, for the message of the first use that needs it
  const char *hint;
  const char *owner; // "dict object"; NULL: a variable
  TStr *name;
  bool unsafe; // refused by the sandbox
} TUndef;

typedef struct TRange {
  int64_t start, stop, step, n;
} TRange;

typedef struct TKw {
  TStr *name;
  TVal value;
} TKw;

typedef struct TArgs {
  TVal *pos;
  size_t n;
  TKw *kw;
  size_t n_kw;
} TArgs;

// Walks anything that can be walked. `next` of a generator may evaluate template code.
typedef struct TIter TIter;
struct TIter {
  bool (*next)(TRt *rt, TIter *it, TVal *out); // false at the end, or after a failure
  TVal source;                                 // what is walked
  TIter *inner;
  size_t i;
  TArgs args; // of a generating filter
  const void *fn;
  const TNode *node;
  TFrame *frame;
  const char *type_name; // "generator", "list_reverseiterator"
  bool flag, started;
};

typedef struct TMacro {
  const TNode *node;
  TFrame *frame; // where it was defined
} TMacro;

typedef struct TLoop {
  TIter *it;
  TVal source, before, current, after, changed;
  int64_t index0, length; // length -1: not known yet
  int depth0;
  const TNode *node; // recursive loops: the loop to run again
  TFrame *frame;
} TLoop;

typedef struct TMethod {
  TVal self;
  const struct TMethodDef *def;
} TMethod;

typedef struct TCycler { // also of T_JOINER
  TList *items;
  size_t pos;
  TVal sep;
  bool used;
} TCycler;

typedef TVal (*TFilterFn)(TRt *rt, TVal self, const TArgs *args);
typedef TVal (*TGlobalFn)(TRt *rt, const TArgs *args);
typedef struct TFilter {
  const char *name;
  TFilterFn fn;
} TFilter;
typedef struct TTest {
  const char *name;
  TFilterFn fn; // gives a bool
} TTest;
typedef struct TMethodDef {
  const char *name;
  TFilterFn fn; // NULL: changes the object, which the sandbox refuses
} TMethodDef;
typedef struct TGlobal {
  const char *name;
  TGlobalFn fn;
} TGlobal;

typedef struct TSb { // builds a string with its origins
  TRt *rt;
  char *p;
  uint8_t *mask; // NULL while all is `origin`
  size_t len, cap;
  uint8_t origin;
} TSb;

struct TRt {
  const Tmpl *t;
  Tmem mem;
  TmplLimits lim;
  zaya_error *err;
  bool failed;
  const TNode *at; // what is being evaluated, for errors
  uint64_t steps;
  int depth;
  TSb *out;
  TDict *context; // the caller's variables
  int64_t now;
};

// --- budget and errors -------------------------------------------------------------------------

// Counts work; false when the budget is used up or the template failed before.
bool trt_step(TRt *rt, uint64_t work);
TVal trt_fail(TRt *rt, zaya_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
TVal trt_type_error(TRt *rt, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void *trt_alloc(TRt *rt, size_t count, size_t size); // zeroed; NULL after the error was set
bool trt_enter(TRt *rt);                             // one level deeper; false: too deep
void trt_leave(TRt *rt);

// --- values ------------------------------------------------------------------------------------

static inline TVal tval_none(void) { return (TVal){.type = T_NONE}; }
static inline TVal tval_bool(bool b) { return (TVal){.type = T_BOOL, .b = b}; }
static inline TVal tval_int(int64_t i) { return (TVal){.type = T_INT, .i = i}; }
static inline TVal tval_float(double f) { return (TVal){.type = T_FLOAT, .f = f}; }
TVal tval_str(TStr *s); // NULL (a failed allocation) becomes none
TVal tval_list(TRt *rt, TType type, size_t cap);
TVal tval_dict(TRt *rt);
TVal tval_undef(TRt *rt, TStr *name);               // a variable
TVal tval_undef_of(TRt *rt, TVal owner, TVal name); // an attribute or element
TVal tval_undef_hint(TRt *rt, const char *hint);
TVal tval_use_undef(TRt *rt, TVal v); // fails with its message
bool tval_push(TRt *rt, TVal list, TVal item);
TVal tval_from_json(TRt *rt, const json_t *j, uint8_t origin, int depth);

const char *tval_type_name(TVal v); // as Python names it
bool tval_truth(TRt *rt, TVal v);
bool tval_is_number(TVal v); // bool, int, float
double tval_as_double(TVal v);
bool tval_as_index(TVal v, int64_t *out); // int and bool
bool tval_equal(TRt *rt, TVal a, TVal b);
// -1, 0, 1; fails for what has no order.
int tval_compare(TRt *rt, TVal a, TVal b, const char *op);
bool tval_contains(TRt *rt, TVal container, TVal item);
int64_t tval_len(TRt *rt, TVal v); // -1 after a failure
bool tval_has_len(TVal v);
TStr *tval_to_str(TRt *rt, TVal v); // str(); NULL after a failure
bool tval_write(TRt *rt, TSb *sb, TVal v);
bool tval_write_repr(TRt *rt, TSb *sb, TVal v);
size_t tval_float_repr(double f, char out[40]);

TPair *tdict_find(TRt *rt, const TDict *d, TVal key); // fails for what cannot be a key
TVal *tdict_find_str(TRt *rt, const TDict *d, const TStr *key);
bool tdict_set(TRt *rt, TDict *d, TVal key, TVal value);

// --- walking -----------------------------------------------------------------------------------

TIter *titer_of(TRt *rt, TVal v); // NULL after the error "... is not iterable"
bool titer_can(TVal v);
bool titer_next(TRt *rt, TIter *it, TVal *out);
TVal titer_generator(TRt *rt, TVal source, bool (*next)(TRt *, TIter *, TVal *), const TArgs *args);
TVal titer_list(TRt *rt, TVal v); // everything it gives, as a new list
TVal tval_slice(TRt *rt, TVal v, TVal start, TVal stop, TVal step);
TVal tval_range_at(const TRange *r, int64_t i);

// --- strings -----------------------------------------------------------------------------------

TStr *tstr_new(TRt *rt, const char *p, size_t len, uint8_t origin); // copies
TStr *tstr_view(TRt *rt, const char *p, size_t len, size_t n, uint8_t origin);
TStr *tstr_lit(TRt *rt, const char *s);  // as if written in the template
const char *tstr_flat(TRt *rt, TStr *s); // its bytes; "" after a failure
TStr *tstr_concat(TRt *rt, TStr *a, TStr *b);
TStr *tstr_sub(TRt *rt, TStr *s, size_t begin, size_t end);                 // bytes
TStr *tstr_slice(TRt *rt, TStr *s, int64_t start, int64_t step, int64_t n); // code points
TStr *tstr_at(TRt *rt, TStr *s, int64_t i);
size_t tstr_offset(TRt *rt, TStr *s, size_t index); // of a code point
bool tstr_equal(TRt *rt, TStr *a, TStr *b);
bool tstr_is(TRt *rt, TStr *s, const char *text);
int tstr_compare(TRt *rt, TStr *a, TStr *b);
// The byte offset of the first / last `needle` in [from, to), or -1.
int64_t tstr_find(TRt *rt, TStr *s, TStr *needle, size_t from, size_t to, bool last);

TSb tsb_new(TRt *rt);
bool tsb_add(TSb *sb, const char *p, size_t len, const uint8_t *mask, uint8_t origin);
bool tsb_lit(TSb *sb, const char *s, uint8_t origin);
bool tsb_cp(TSb *sb, uint32_t cp, uint8_t origin);
bool tsb_str(TSb *sb, TStr *s);
bool tsb_sub(TSb *sb, TStr *s, size_t begin, size_t end);
bool tsb_fill(TSb *sb, const char *p, size_t len, uint8_t origin, size_t times);
TStr *tsb_done(TSb *sb);
// For "%.*s" in an error: at most 60 bytes, which need no terminator.
#define TSTR_SHORT(rt, s) (int)((s)->len < 60 ? (s)->len : 60), tstr_flat(rt, s)
static inline uint8_t tstr_origin_at(const TStr *s, size_t byte) {
  return s->mask ? s->mask[byte] : s->origin;
}

// --- evaluation --------------------------------------------------------------------------------

TVal teval(TRt *rt, TFrame *f, const TNode *n);
TVal teval_filter_on(TRt *rt, TFrame *f, const TNode *n, TVal self); // the filters of a block
// A call with one more keyword argument: the caller of a call block.
TVal teval_call_with(TRt *rt, TFrame *f, const TNode *n, TKw extra);
TVal teval_attr(TRt *rt, TVal obj, TStr *name); // obj.name
TVal teval_item(TRt *rt, TVal obj, TVal key);   // obj[key]
TVal teval_call(TRt *rt, TVal fn, const TArgs *args);
TVal tops_binary(TRt *rt, TOp op, TVal a, TVal b);
TVal tops_negate(TRt *rt, TVal a, bool negative);
bool tops_compare(TRt *rt, TOp op, TVal a, TVal b);

bool texec_template(TRt *rt);
TVal texec_macro(TRt *rt, TMacro *m, const TArgs *args);
TVal texec_loop_call(TRt *rt, TLoop *loop, TVal items);
TFrame *texec_enter(TRt *rt, const TScope *scope, TFrame *parent);
bool texec_assign(TRt *rt, TFrame *f, const TNode *target, TVal v);
// One item for the loop: fills loop->current; false at the end.
bool texec_loop_next(TRt *rt, TLoop *loop);
TVal texec_loop_attr(TRt *rt, TLoop *loop, TStr *name);
TVal texec_loop_method(TRt *rt, TLoop *loop, const char *name, const TArgs *args);

// --- filters, tests, methods, functions --------------------------------------------------------

extern const TFilter tfilt_table[], tfilt_str_table[], tfilt_seq_table[]; // {0}-terminated
extern const TMethodDef tmeth_str_table[];
const TFilter *trt_find_filter(const TStr *name);
const TTest *trt_find_test(const TStr *name);
const TGlobal *trt_find_global(const TStr *name);
// NULL when values of this type have no such method.
const TMethodDef *trt_find_method(TVal self, const TStr *name);
TVal trt_filter_by_name(TRt *rt, TVal name, TVal self, const TArgs *args);
TVal trt_test_by_name(TRt *rt, TVal name, TVal self, const TArgs *args);

// Sorts arguments into out[] by the names in `spec`, "width,first?,blank?" ("?": may be missing, and
// then is T_MISSING). A name after '*' can only be given by keyword.
bool targs_bind(TRt *rt, const char *what, const TArgs *args, const char *spec, TVal *out);
int64_t targs_int(TRt *rt, TVal v, int64_t fallback, const char *what);
TStr *targs_str(TRt *rt, TVal v, const char *what);
TArgs targs_rest(const TArgs *args, size_t skip);

// tfmt: str % args, str.format, and Python's number formats.
TVal tfmt_percent(TRt *rt, TStr *format, TVal args);
TVal tfmt_format(TRt *rt, TStr *format, const TArgs *args);

// tjson: json.dumps.
typedef struct TJsonOptions {
  bool ascii, sort_keys, pretty;
  TStr *indent, *item_sep, *key_sep; // NULL: the default
} TJsonOptions;
TVal tjson_dump(TRt *rt, TVal v, const TJsonOptions *opt);
