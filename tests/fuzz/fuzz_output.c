// fuzz_output: any bytes as a model's output, cut in two ways: the events must be the same, every byte
// accounted for, and the arguments of a whole call an object. The first two bytes choose the options and
// the cuts.
#include "../unit/collect.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const tools = "[{\"name\":\"f\",\"parameters\":{\"properties\":{\"s\":{\"type\":"
                                 "\"string\"},\"i\":{\"type\":\"integer\"},"
                                 "\"u\":{\"anyOf\":[{\"type\":\"boolean\"},{\"type\":[\"null\",\"string\"]},{"
                                 "\"$ref\":\"#/properties/i\"}]}},"
                                 "\"additionalProperties\":{\"type\":\"array\"}}}]";

static bool check_event(void *user, const zaya_output_event *e) {
  if (e->kind == ZAYA_OUTPUT_CALL_DONE) {
    json_t *args = json_loadb(e->text, e->len, JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
    if (!json_is_object(args)) abort();
    json_decref(args);
  }
  return collect_event(user, e);
}

static zaya_output_counts parse(Collect *c, uint8_t flags, const char *s, size_t n, uint8_t cuts) {
  zaya_output_params params = {.tools = flags & 1 ? tools : NULL,
                               .thinking = flags & 2,
                               .verbatim = flags & 4,
                               .or_calls = flags & 32,
                               .max_call_bytes = flags & 8 ? 40 : 0};
  if (flags & 16)
    params.tags =
        (zaya_output_tags){.think_open = "aab", .think_close = "ab", .call_open = "b>", .call_close = "\n-"};
  collect_reset(c);
  zaya_output *o = zaya_output_new(&params, check_event, c, NULL);
  if (!o) abort();
  uint32_t random = cuts * 2654435761u + 1;
  for (size_t at = 0, len; at < n; at += len) {
    random = random * 1664525u + 1013904223u;
    len = cuts == 0 ? n : cuts == 1 ? 1 : 1 + (random >> 16) % (cuts % 16 + 1);
    if (len > n - at) len = n - at;
    if (!zaya_output_feed(o, s + at, len, NULL)) abort();
    zaya_output_counts k = zaya_output_get_counts(o);
    if (k.reasoning + k.content + k.calls + k.markup + k.held != at + len) abort();
  }
  if (!zaya_output_end(o, NULL)) abort();
  zaya_output_counts k = zaya_output_get_counts(o);
  if (k.reasoning + k.content + k.calls + k.markup != n || k.held) abort();
  if (!(flags & 8) && k.calls != c->raw_bytes) abort();
  zaya_output_free(o);
  return k;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  Collect whole = {0}, cut = {0};
  const char *s = (const char *)data + 2;
  zaya_output_counts a = parse(&whole, data[0], s, size - 2, 0);
  zaya_output_counts b = parse(&cut, data[0], s, size - 2, data[1] ? data[1] : 1);
  if (whole.len != cut.len || memcmp(whole.log, cut.log, whole.len) || memcmp(&a, &b, sizeof a)) abort();
  collect_free(&whole);
  collect_free(&cut);
  return 0;
}
