// fuzz_regex: any bytes as a pattern and, behind the first line end, a text. The direct grammar and the
// product of automata must agree on it.
#include "text/match.h"
#include "text/regex.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// -1: a bound was hit.
static int takes(GramBuilder *b, GramExpr x, const char *text, size_t len) {
  uint32_t root = gram_rule(b, "root");
  gram_define(b, root, x);
  Gram *g = gram_compile(b, root, NULL);
  Match *m = g ? match_new(g, NULL) : NULL;
  zaya_error err = {0};
  int yes = m ? match_accept(m, text, len, &err) && match_can_end(m) : -1;
  if (err.status == ZAYA_E_LIMIT) yes = -1;
  match_free(m);
  gram_free(g);
  return yes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
  size_t n = end ? (size_t)(end - data) : size;
  const char *text = (const char *)data + n;
  zaya_error err = {0};
  Regex *r = regex_parse((const char *)data, n, true, &err);
  if (!r && (err.status == ZAYA_OK || !err.message[0])) abort();
  GramBuilder *b = r ? gram_builder_new(NULL) : NULL, *c = r ? gram_builder_new(NULL) : NULL;
  if (b && c) {
    const Regex *both[] = {r, r};
    GramExpr x;
    int direct = takes(b, regex_expr(r, b, REGEX_TEXT), text, size - n);
    if (regex_all(both, 2, 0, GRAM_INF, c, REGEX_TEXT, &x, NULL)) {
      int product = takes(c, x, text, size - n);
      if (direct >= 0 && product >= 0 && direct != product) abort();
    }
  }
  gram_builder_free(b);
  gram_builder_free(c);
  regex_free(r);
  return 0;
}
