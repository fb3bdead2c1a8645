// schema_parts: what the files of schema share. Only they include it.
#pragma once

#include "text/schema.h"

#include "text/jnum.h"

enum { // JSON types, as a set
  TYPE_NULL = 1,
  TYPE_BOOLEAN = 2,
  TYPE_INTEGER = 4,
  TYPE_FRACTION = 8, // a number that is no integer
  TYPE_NUMBER = TYPE_INTEGER | TYPE_FRACTION,
  TYPE_STRING = 16,
  TYPE_ARRAY = 32,
  TYPE_OBJECT = 64,
  TYPE_ANY = 127,
};

enum { DONE_ANYOF = 1, DONE_ONEOF = 2 }; // a branch was chosen: it stands beside as a part of its own

typedef struct Part { // one schema of a conjunction
  json_t *schema;     // an object
  const char *at;     // its JSON pointer, of the arena
  unsigned done;
  size_t from; // the part that led here by $ref, allOf or a branch, and one; 0: none
} Part;

typedef struct Parts { // a conjunction: a value must be valid for all
  Part *p;
  size_t n, cap;
  bool never; // one of them is `false`
} Parts;

typedef struct Arena { // texts that live as long as a compilation or a check
  char **texts;
  size_t n, cap;
} Arena;

typedef struct Reader {
  json_t *root;
  Arena arena;
  zaya_error *err;
} Reader;

// --- schema_read -----------------------------------------------------------------------------------------

void reader_free(Reader *r);
const char *reader_text(Reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// `at` with "/key" behind it, escaped as JSON pointers are.
const char *reader_at(Reader *r, const char *at, const char *key);
const char *reader_index(Reader *r, const char *at, size_t i);
// Sets the error "schema <at>/<key>: what"; returns false.
bool reader_fail(Reader *r, const char *at, const char *key, const char *what);

// The keywords of one schema object are known and of the right kind.
bool read_keywords(Reader *r, const json_t *schema, const char *at);
// What a reference refers to.
json_t *read_ref(Reader *r, const json_t *ref, const char *at, const char **target_at);
unsigned read_types(const json_t *schema); // of `type`, TYPE_ANY without
unsigned type_of(const json_t *value);
// A count (minLength and the like); `otherwise` when it is absent. At most GRAM_INF - 1.
uint32_t read_count(const json_t *schema, const char *key, uint32_t otherwise);
// Characters of a string.
size_t read_length(const json_t *string);
bool read_equal(const json_t *a, const json_t *b); // 1 and 1.0 are equal
// The pattern of a format, NULL for one that is not supported; "" for one that strings always have.
const char *read_format(const char *name);

bool parts_add(Reader *r, Parts *list, json_t *schema, const char *at, unsigned done);
// The same for what part `from` leads to; an error when that leads back to itself without end.
bool parts_follow(Reader *r, Parts *list, json_t *schema, const char *at, size_t from);
Parts parts_copy(Reader *r, const Parts *list);
// Adds what the parts' references and allOf stand for, until nothing is new.
bool parts_expand(Reader *r, Parts *list);
void parts_free(Parts *list);
// The conjunction for a member of that name: of every part, its property or what it says of others.
bool parts_property(Reader *r, const Parts *list, const char *name, Parts *out);
bool parts_others(Reader *r, const Parts *list, Parts *out); // names that no part lists
bool parts_item(Reader *r, const Parts *list, size_t i, Parts *out);
size_t parts_prefix(const Parts *list);                        // items with a schema of their own
json_t *schema_prefix(const json_t *schema, const char **key); // prefixItems, or items as an array
bool parts_required(const Parts *list, const char *name);
unsigned parts_types(const Parts *list);
const json_t *parts_values(const Parts *list, const Part **from); // an enum, or an array of the const

// --- schema_check ------------------------------------------------------------------------------------------

// Whether the value is valid for every part; *ok is false when that could not be found out.
bool parts_valid(Reader *r, const Parts *list, const json_t *value, bool *ok);

// --- grammars
// ------------------------------------------------------------------------------------------------

typedef struct Pending { // a rule whose conjunction is still to be compiled
  uint32_t rule;
  Parts parts; // as given: the key
  uint64_t hash;
} Pending;

typedef enum MakerMode {
  MAKER_JSON,
  MAKER_CALL, // JSON in a tool call: no raw "</" and no raw "<z", so that no tag is in it
  MAKER_RAW,  // strings only, as they stand in a tool call: without quotes, else the same
} MakerMode;

typedef struct Maker {
  Reader r;
  GramBuilder *b;
  MakerMode mode;
  Pending *rules; // all that were asked for, those from `next` on still to be compiled
  size_t n_rules, cap_rules, next;
  GramExpr blank;  // what may stand behind , and :
  uint32_t string; // rules made on first use; 0 until then
  bool has_string;
} Maker;

// The values of a conjunction, in a builder that the caller owns; takes the list over.
bool maker_expr(GramBuilder *b, json_t *root, Parts *list, MakerMode mode, GramExpr *out, zaya_error *err);
// A use of the rule for a conjunction; takes the list over.
bool maker_use(Maker *m, Parts *list, GramExpr *out);
// False, with the error, for a text that must not stand in a tool call.
bool maker_fits(Maker *m, const char *text);
bool make_object(Maker *m, const Parts *list, GramExpr *out);
bool make_array(Maker *m, const Parts *list, GramExpr *out);
bool make_string(Maker *m, const Parts *list, GramExpr *out);
bool make_number(Maker *m, const Parts *list, bool integer, GramExpr *out);
bool make_value(Maker *m, const json_t *value, GramExpr *out); // exactly this value
bool number_bounds(Reader *r, const Parts *list, JnumBound *lo, JnumBound *hi);
