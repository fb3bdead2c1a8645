// jnum: see jnum.h.
#include "text/jnum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRACTION 15 // digits behind the point of a JnumDec
#define PLACES   34 // digits of JNUM_LIMIT

void jnum_print(double v, char out[40]) {
  for (int precision = 1; precision <= 17; precision++) {
    snprintf(out, 40, "%.*g", precision, v);
    if (strtod(out, NULL) == v) break;
  }
  if (strpbrk(out, ".eE")) return;
  size_t n = strlen(out);
  memcpy(out + n, ".0", 3);
}

bool jnum_dec(const json_t *number, JnumDec *out) {
  if (json_is_integer(number)) {
    JnumDec v = (JnumDec)json_integer_value(number) * JNUM_ONE;
    *out = v > JNUM_LIMIT ? JNUM_LIMIT : v < -JNUM_LIMIT ? -JNUM_LIMIT : v;
    return true;
  }
  char text[40];
  double real = json_real_value(number);
  JnumDec v = 0;
  int exponent = FRACTION, behind = 0;
  if (real >= 1e18 || real <= -1e18) return *out = real > 0 ? JNUM_LIMIT : -JNUM_LIMIT, true;
  jnum_print(real, text);
  for (const char *p = text + (real < 0); *p; p++) {
    if (*p == 'e') {
      exponent += atoi(p + 1);
      break;
    }
    if (*p == '.') {
      behind = 1;
    } else if (*p >= '0' && *p <= '9') {
      v = v * 10 + (*p - '0');
      exponent -= behind;
    }
  }
  for (; exponent > 0 && v; exponent--) v *= 10;
  for (; exponent < 0 && v; exponent++) {
    if (v % 10) return false;
    v /= 10;
  }
  *out = real < 0 ? -v : v;
  return true;
}

int jnum_fraction(JnumDec d) {
  int n = FRACTION;
  if (d < 0) d = -d;
  while (n && d % 10 == 0) {
    d /= 10;
    n--;
  }
  return n;
}

// --- digits --------------------------------------------------------------------------------------------

// The numbers between two magnitudes that have a given count of digits before the point, digit by
// digit from the left. While the digits so far equal those of a bound, that bound still binds.
typedef struct Digits {
  GramBuilder *b;
  int whole, fraction; // digits before and at most behind the point
  bool lo_open, hi_open;
  uint8_t lo[PLACES + 1], hi[PLACES + 1];
  unsigned mod;
  GramExpr known[PLACES + 2][2][2][JNUM_MAX_MOD]; // by place, lower binds, upper binds, remainder
} Digits;

static GramExpr digit_range(GramBuilder *b, int lo, int hi) {
  GramRange r = {(uint32_t)('0' + lo), (uint32_t)('0' + hi)};
  return gram_set(b, &r, 1, false);
}

static bool zeros_from(const uint8_t *digits, int at, int end) {
  while (at < end && !digits[at]) at++;
  return at >= end;
}

static bool may_stop(const Digits *d, int at, bool lo, bool hi, unsigned rem) {
  int end = d->whole + d->fraction;
  if (at < d->whole || rem) return false;
  if (lo && (!zeros_from(d->lo, at, end) || d->lo_open)) return false;
  return !(hi && zeros_from(d->hi, at, end) && d->hi_open);
}

static GramExpr rest(Digits *d, int at, bool lo, bool hi, unsigned rem);

// The digits from..to at place `at`, all followed by the same.
static GramExpr step(Digits *d, int at, int from, int to, bool lo, bool hi, unsigned rem) {
  unsigned next = d->mod > 1 ? (rem * 10 + (unsigned)from) % d->mod : 0;
  return gram_cat2(d->b, digit_range(d->b, from, to), rest(d, at + 1, lo, hi, next));
}

static GramExpr rest_alts(Digits *d, int at, bool lo, bool hi, unsigned rem) {
  GramExpr alts[12];
  size_t n = 0;
  int from = lo ? d->lo[at] : 0, to = hi ? d->hi[at] : 9;
  if (at == 0 && d->whole > 1 && from == 0) from = 1, lo = false;
  for (int x = from; x <= to;) {
    bool on_lo = lo && x == d->lo[at], on_hi = hi && x == to;
    int last = x; // digits on no bound go together, unless their remainders differ
    if (!on_lo && !on_hi && d->mod <= 1) last = hi ? to - 1 : to;
    alts[n++] = step(d, at, x, last, on_lo, on_hi, rem);
    x = last + 1;
  }
  GramExpr x = gram_alt(d->b, alts, n);
  return at == d->whole ? gram_cat2(d->b, gram_text(d->b, "."), x) : x;
}

static GramExpr rest(Digits *d, int at, bool lo, bool hi, unsigned rem) {
  GramExpr *known = &d->known[at][lo][hi][rem];
  if (*known) return *known;
  bool more = at < d->whole + d->fraction, stop = may_stop(d, at, lo, hi, rem);
  uint32_t rule = 0;
  if (d->mod > 1) { // many ways lead here: one rule, so that they share it
    rule = gram_rule(d->b, "digits");
    *known = gram_use(d->b, rule);
  }
  GramExpr x = more ? rest_alts(d, at, lo, hi, rem) : 0;
  if (more && stop)
    x = gram_opt(d->b, x);
  else if (!more)
    x = stop ? gram_empty(d->b) : gram_never(d->b);
  if (d->mod > 1)
    gram_define(d->b, rule, x);
  else
    *known = x;
  return *known;
}

static int whole_digits(JnumDec v) {
  int n = 1;
  for (v /= JNUM_ONE; v >= 10; v /= 10) n++;
  return n;
}

// Digits of `v` with `whole` places before the point and `fraction` behind.
static void put_digits(uint8_t *out, JnumDec v, int whole, int fraction) {
  for (int i = 0; i < FRACTION - fraction; i++) v /= 10;
  for (int i = whole + fraction; i-- > 0; v /= 10) out[i] = (uint8_t)(v % 10);
}

// Magnitudes lo..hi (0 <= lo); never when the range is empty.
static GramExpr magnitudes(GramBuilder *b, JnumBound lo, JnumBound hi, int fraction, unsigned mod) {
  if (lo.value > hi.value || (lo.value == hi.value && (lo.open || hi.open))) return gram_never(b);
  Digits *d = malloc(sizeof *d);
  if (!d) return err_memory(&b->err, sizeof *d, "a number"), 0;
  GramExpr alts[PLACES];
  size_t n = 0;
  int least = whole_digits(lo.value), most = whole_digits(hi.value);
  for (int whole = least; whole <= most; whole++) {
    memset(d, 0, sizeof *d);
    d->b = b;
    d->whole = whole;
    d->fraction = fraction;
    d->mod = mod;
    d->lo_open = lo.open;
    d->hi_open = hi.open;
    put_digits(d->lo, lo.value, whole, fraction);
    put_digits(d->hi, hi.value, whole, fraction);
    alts[n++] = rest(d, 0, whole == least, whole == most, 0);
  }
  free(d);
  return gram_alt(b, alts, n);
}

// Both signs. The bounds are set.
static GramExpr both_signs(GramBuilder *b, JnumBound lo, JnumBound hi, int fraction, unsigned mod) {
  GramExpr up = gram_never(b), down = gram_never(b);
  JnumBound zero = {.set = true}, below = {.set = true, .open = true}; // there is no -0
  if (hi.value >= 0) up = magnitudes(b, lo.value >= 0 ? lo : zero, hi, fraction, mod);
  if (lo.value < 0) {
    JnumBound near = hi.value < 0 ? hi : below, far = lo;
    near.value = -near.value;
    far.value = -far.value;
    down = gram_cat2(b, gram_text(b, "-"), magnitudes(b, near, far, fraction, mod));
  }
  return gram_alt2(b, up, down);
}

GramExpr jnum_integer(GramBuilder *b, JnumBound lo, JnumBound hi, unsigned mod) {
  // 15 digits, which a double holds too, and all readers therefore; 18 where a bound is beyond them.
  JnumDec safe = 1000000000000000 * JNUM_ONE, end = safe - JNUM_ONE;
  bool beyond = (lo.set && (lo.value >= safe || lo.value <= -safe)) ||
                (hi.set && (hi.value >= safe || hi.value <= -safe));
  if (beyond) end = JNUM_LIMIT - JNUM_ONE;
  if (!lo.set || lo.value < -end) lo = (JnumBound){.set = true, .value = -end};
  if (!hi.set || hi.value > end) hi = (JnumBound){.set = true, .value = end};
  // To whole numbers inside, none open.
  JnumDec part = lo.value % JNUM_ONE;
  if (part)
    lo.value += part > 0 ? JNUM_ONE - part : -part;
  else if (lo.open)
    lo.value += JNUM_ONE;
  part = hi.value % JNUM_ONE;
  if (part)
    hi.value -= part < 0 ? JNUM_ONE + part : part;
  else if (hi.open)
    hi.value -= JNUM_ONE;
  lo.open = hi.open = false;
  return both_signs(b, lo, hi, 0, mod);
}

// Any number, with an exponent perhaps, that a reader can hold.
static GramExpr any_number(GramBuilder *b) {
  GramExpr digit = digit_range(b, 0, 9);
  GramExpr whole =
      gram_alt2(b, gram_text(b, "0"), gram_cat2(b, digit_range(b, 1, 9), gram_repeat(b, digit, 0, 14)));
  GramExpr fraction = gram_opt(b, gram_cat2(b, gram_text(b, "."), gram_repeat(b, digit, 1, 15)));
  GramRange e[] = {{'E', 'E'}, {'e', 'e'}}, sign[] = {{'+', '+'}, {'-', '-'}};
  GramExpr power = gram_cat3(b, gram_set(b, e, 2, false), gram_opt(b, gram_set(b, sign, 2, false)),
                             gram_repeat(b, digit, 1, 2));
  GramExpr parts[] = {gram_opt(b, gram_text(b, "-")), whole, fraction, gram_opt(b, power)};
  return gram_cat(b, parts, 4);
}

GramExpr jnum_number(GramBuilder *b, JnumBound lo, JnumBound hi, int fraction) {
  if (!lo.set && !hi.set && fraction < 0) return any_number(b);
  JnumDec end = 1000000000000000 * JNUM_ONE; // 15 digits
  JnumDec low = lo.value < 0 ? -lo.value : lo.value, high = hi.value < 0 ? -hi.value : hi.value;
  if (fraction < 0) { // near a bound, no more digits than a double can tell apart
    int whole = whole_digits(low > high ? low : high);
    fraction = whole > 15 ? 0 : whole < 5 ? 10 : 15 - whole;
    if (lo.set && jnum_fraction(low) > fraction) fraction = jnum_fraction(low);
    if (hi.set && jnum_fraction(high) > fraction) fraction = jnum_fraction(high);
  }
  if (!lo.set || lo.value <= -end) lo = (JnumBound){.set = true, .open = true, .value = -end};
  if (!hi.set || hi.value >= end) hi = (JnumBound){.set = true, .open = true, .value = end};
  return both_signs(b, lo, hi, fraction, 1);
}
