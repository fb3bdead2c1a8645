// fuzz_schema: any bytes as a JSON schema. What compiles writes one output, the shortest from some place on,
// and the check must find it valid.
#include "text/match.h"
#include "text/schema.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Some bytes by the input's choice, then the shortest way to the end.
static bool output(Match *m, const uint8_t *data, size_t size, Buf *out) {
  for (size_t step = 0; step < 3000; step++) {
    uint32_t best = 0, least = UINT32_MAX;
    if (match_can_end(m) && (step >= 40 || match_must_end(m))) return true;
    for (uint32_t i = 0; i < 256; i++) {
      uint8_t byte = (uint8_t)(i + (step < 40 && size ? data[step % size] : 0));
      uint32_t s = match_step(m, m->state, byte);
      if (m->failed != ZAYA_OK) return false;
      if (s == MATCH_DEAD || m->sets[s].rest >= least) continue;
      best = byte;
      least = m->sets[s].rest;
      if (step < 40) break;
    }
    char c = (char)best;
    if (least == UINT32_MAX) abort(); // a dead end
    if (!match_accept(m, &c, 1, NULL) || !buf_putc(out, c, NULL)) return false;
  }
  return false;
}

typedef struct Bytes {
  uint32_t state; // from all bytes: the first ones of mutated schemas hardly differ
  size_t left;
} Bytes;

static unsigned pick(Bytes *b, unsigned n) {
  if (!b->left) return 0;
  b->left--;
  b->state = b->state * 1664525u + 1013904223u;
  return (b->state >> 8) % n;
}

// A schema by the choice of the bytes; without any left the simplest.
static bool choose(Bytes *b, int depth, Buf *out) {
  static const char *const types[] = {"integer", "string", "boolean", "null", "number", "array", "object"};
  static const char *const patterns[] = {"a", "^[a-c]*$", "x{2,3}$", "^(ab|\\\\d)+", "[^a]"};
  switch (depth > 4 ? pick(b, 6) : pick(b, 12)) {
  default: return buf_printf(out, NULL, "{\"type\":\"%s\"}", types[pick(b, 7)]);
  case 1:
    return buf_printf(out, NULL, "{\"type\":\"integer\",\"minimum\":%u,\"maximum\":%u}", pick(b, 200),
                      pick(b, 250));
  case 2:
    return buf_printf(out, NULL, "{\"type\":\"number\",\"exclusiveMinimum\":-%u.%u,\"maximum\":%u.5}",
                      pick(b, 20), pick(b, 100), pick(b, 9));
  case 3:
    return buf_printf(out, NULL, "{\"minLength\":%u,\"maxLength\":%u,\"type\":[\"string\",\"null\"]}",
                      pick(b, 9), pick(b, 40));
  case 4:
    return buf_printf(out, NULL, "{\"type\":\"string\",\"pattern\":\"%s\",\"maxLength\":%u}",
                      patterns[pick(b, 5)], pick(b, 12));
  case 5: return buf_printf(out, NULL, "{\"enum\":[%u,\"a\",[true],{\"k\":%u}]}", pick(b, 9), pick(b, 9));
  case 6:
    return buf_printf(out, NULL, "{\"minItems\":%u,\"maxItems\":%u,\"items\":", pick(b, 3), pick(b, 5)) &&
           choose(b, depth + 1, out) && buf_puts(out, "}", NULL);
  case 7:
    return buf_puts(out, "{\"type\":\"array\",\"prefixItems\":[", NULL) && choose(b, depth + 1, out) &&
           buf_puts(out, "],\"items\":", NULL) && choose(b, depth + 1, out) && buf_puts(out, "}", NULL);
  case 8:
  case 9: {
    bool ok = buf_printf(
        out, NULL, "{\"type\":\"object\",\"required\":[\"%c\"],\"minProperties\":%u,\"properties\":{\"a\":",
        'a' + pick(b, 3), pick(b, 3));
    ok = ok && choose(b, depth + 1, out) && buf_puts(out, ",\"b\":", NULL) && choose(b, depth + 1, out);
    ok = ok && buf_puts(out, "},\"additionalProperties\":", NULL);
    return ok && (pick(b, 2) ? buf_puts(out, "false", NULL) : choose(b, depth + 1, out)) &&
           buf_puts(out, "}", NULL);
  }
  case 10:
  case 11:
    return buf_printf(out, NULL, "{\"%s\":[", (const char *const[]){"anyOf", "allOf", "oneOf"}[pick(b, 3)]) &&
           choose(b, depth + 1, out) && buf_puts(out, ",", NULL) && choose(b, depth + 1, out) &&
           buf_puts(out, "]}", NULL);
  }
}

static Schema *parse(const uint8_t *data, size_t size) {
  zaya_error err = {0};
  Schema *s = schema_parse((const char *)data, size, &err);
  if (s) return s;
  if (err.status == ZAYA_OK || !err.message[0]) abort();
  Bytes b = {2166136261u, size};
  for (size_t i = 0; i < size; i++) b.state = (b.state ^ data[i]) * 16777619u;
  Buf text = {0};
  if (choose(&b, 0, &text)) s = schema_parse(text.data, text.len, NULL);
  if (!s) abort();
  buf_free(&text);
  return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  zaya_error err = {0};
  Schema *s = parse(data, size);
  Gram *g = schema_compile(s, &err);
  Match *m = g ? match_new(g, NULL) : NULL;
  if (!g && (err.status == ZAYA_OK || !err.message[0])) abort();
  Buf out = {0};
  if (m && output(m, data, size, &out)) {
    zaya_error why = {0};
    if (!schema_validate(s, out.data, out.len, &why)) abort();
  }
  buf_free(&out);
  match_free(m);
  gram_free(g);
  schema_free(s);
  return 0;
}
