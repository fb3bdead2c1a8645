// jnum: numbers within bounds, as grammar expressions over their decimal digits.
//
// Bounds are decimals with at most 15 digits behind the point, so that comparing digits and comparing the
// doubles that a reader makes of them come to the same. Integers have at most 15 digits (18 where a bound
// has more than 15), other numbers at most 15 before the point; numbers with a bound are written without an
// exponent. Depends on gram, Jansson.
#pragma once

#include "text/gram.h"

#include <jansson.h>

typedef __int128 JnumDec; // in units of 10^-15; beyond 10^18 it stops growing

#define JNUM_ONE   ((JnumDec)1000000000000000)
#define JNUM_LIMIT (JNUM_ONE * 1000000000000000000)

typedef struct JnumBound {
  bool set, open; // open: the bound itself is outside
  JnumDec value;
} JnumBound;

// The decimal that a JSON number stands for; false when it has more than 15 digits behind the point.
bool jnum_dec(const json_t *number, JnumDec *out);
// Integers in the bounds that are multiples of `mod` (1 to JNUM_MAX_MOD).
#define JNUM_MAX_MOD 100
GramExpr jnum_integer(GramBuilder *b, JnumBound lo, JnumBound hi, unsigned mod);
// Numbers in the bounds, with at most `fraction` digits behind the point (-1: as many as is sensible).
GramExpr jnum_number(GramBuilder *b, JnumBound lo, JnumBound hi, int fraction);
// Digits behind the point that a decimal needs.
int jnum_fraction(JnumDec d);
// The shortest text that reads back as the same double, as JSON writes a number that is no integer.
void jnum_print(double v, char out[40]);
