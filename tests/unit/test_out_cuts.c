// out, properties: random transcripts, cut in every way, give the same events; what the events must be is
// said by a second parser that sees the whole text at once and looks back and forth in it as it likes.
#include "test.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "collect.h"
#include "text/arg.h"
#include "text/out.h"

static const char *const tools = "[{\"name\":\"f\",\"parameters\":{\"properties\":{\"s\":{\"type\":"
                                 "\"string\"},\"i\":{\"type\":\"integer\"},"
                                 "\"o\":{\"type\":\"object\"}}}}]";

// --- the second parser -----------------------------------------------------------------------------

enum { T_OPEN, T_CLOSE, C_OPEN, C_CLOSE, R_OPEN, R_CLOSE, F_END, P_END, F, P, TAGS };

static const char *const tag_text[TAGS] = {"<think>",
                                           "</think>",
                                           "<zyphra_tool_call>",
                                           "</zyphra_tool_call>",
                                           "<zyphra_tool_response>",
                                           "</zyphra_tool_response>",
                                           "</function>",
                                           "</parameter>",
                                           "<function=",
                                           "<parameter="};

enum {
  IN_CONTENT = 1 << T_OPEN | 1 << T_CLOSE | 1 << C_OPEN | 1 << C_CLOSE | 1 << R_OPEN | 1 << R_CLOSE,
  IN_THINK = 1 << T_OPEN | 1 << T_CLOSE,
  IN_CALL = 1 << C_OPEN | 1 << C_CLOSE | 1 << F_END | 1 << P_END | 1 << F | 1 << P
};

typedef struct Ref {
  const char *s;
  size_t n;
  Collect log;
  ArgTools *tools;
  size_t calls, bad, begun, blocks;
  uint64_t reasoning, content, call_bytes;
  bool shown;      // some content was
  size_t gap;      // longest run of newlines next to markup since
  bool after_call; // no text since the last call
} Ref;

// Which tag of the set begins at i; -1: none.
static int tag_at(const Ref *r, size_t i, int set) {
  for (int t = 0; t < TAGS; t++) {
    size_t len = strlen(tag_text[t]);
    if ((set >> t & 1) && r->n - i >= len && !memcmp(r->s + i, tag_text[t], len)) return t;
  }
  return -1;
}

// Where the first tag of the set begins at or behind i; n when there is none.
static size_t find_tag(const Ref *r, size_t i, int set) {
  while (i < r->n && tag_at(r, i, set) < 0) i++;
  return i;
}

static size_t skip_space(const Ref *r, size_t i) {
  while (i < r->n && strchr(" \t\r\n", r->s[i]) && r->s[i]) i++;
  return i;
}

// Whether the text from i to the end is the beginning of a tag.
static bool ends_in_tag(const Ref *r, size_t i, int set) {
  for (int t = 0; t < TAGS; t++)
    if ((set >> t & 1) && r->n - i < strlen(tag_text[t]) && !memcmp(r->s + i, tag_text[t], r->n - i))
      return true;
  return false;
}

static void put(Ref *r, zaya_output_event e) {
  if (!e.text) e.text = "";
  collect_event(&r->log, &e);
}

static void put_text(Ref *r, zaya_output_kind kind, size_t index, const char *p, size_t n) {
  Buf clean = {0};
  utf8_repair(&clean, p, n, NULL);
  if (n) put(r, (zaya_output_event){.kind = kind, .index = index, .text = clean.data, .len = clean.len});
  buf_free(&clean);
}

// A stretch of text of a channel, [from, to), that ends at markup or (last) at the end of the output.
static void stretch(Ref *r, zaya_output_kind kind, size_t from, size_t to, bool *shown, size_t *gap,
                    bool last) {
  size_t a = from, b = to;
  while (a < b && r->s[a] == '\n') a++;
  if (a - from > *gap) *gap = a - from;
  if (a == b) return;
  uint64_t *count = kind == ZAYA_OUTPUT_CONTENT ? &r->content : &r->reasoning;
  if (*shown) {
    for (size_t i = 0; i < *gap; i++) put_text(r, kind, r->blocks, "\n", 1);
    *count += *gap;
  }
  while (b > a && r->s[b - 1] == '\n') b--;
  *gap = to - b;
  if (last) b = to;
  put_text(r, kind, r->blocks, r->s + a, b - a);
  *count += b - a;
  *shown = true;
}

// A thinking block whose text begins at i; returns where the answer goes on.
static size_t ref_think(Ref *r, size_t i) {
  bool shown = false;
  size_t gap = 0;
  for (;;) {
    size_t j = find_tag(r, i, IN_THINK);
    stretch(r, ZAYA_OUTPUT_REASONING, i, j, &shown, &gap, false);
    if (j < r->n && tag_at(r, j, IN_THINK) == T_OPEN) {
      i = j + strlen(tag_text[T_OPEN]);
      continue;
    }
    if (shown)
      put(r, (zaya_output_event){
                 .kind = ZAYA_OUTPUT_REASONING_DONE, .index = r->blocks++, .truncated = j == r->n});
    return j < r->n ? j + strlen(tag_text[T_CLOSE]) : j;
  }
}

typedef struct RefCall {
  size_t raw;     // where its text begins
  char name[300]; // "" before it is known
  Buf args;
  size_t mistyped, n; // n: parameters
  char seen[64][64];  // their names
} RefCall;

static size_t call_ends(Ref *r, RefCall *c, size_t end, bool bad, bool truncated) {
  zaya_output_event e = {.kind = bad ? ZAYA_OUTPUT_CALL_BAD : ZAYA_OUTPUT_CALL_DONE,
                         .index = r->begun - (c->name[0] != 0),
                         .name = c->name[0] ? c->name : NULL,
                         .raw = r->s + c->raw,
                         .raw_len = end - c->raw,
                         .known = arg_tool_known(r->tools, c->name),
                         .mistyped = c->mistyped,
                         .truncated = truncated};
  if (!bad) {
    buf_putc(&c->args, '}', NULL);
    e.text = c->args.data;
    e.len = c->args.len;
  }
  put(r, e);
  buf_free(&c->args);
  r->call_bytes += end - c->raw;
  r->bad += bad;
  r->calls += !bad;
  r->after_call = true;
  return end;
}

// It went wrong at i: the call lasts to its closing tag, to the next call or to the end.
static size_t call_fails(Ref *r, RefCall *c, size_t i) {
  size_t end = find_tag(r, i, 1 << C_OPEN | 1 << C_CLOSE);
  bool truncated = end == r->n;
  if (!truncated && tag_at(r, end, 1 << C_CLOSE) == C_CLOSE) end += strlen(tag_text[C_CLOSE]);
  return call_ends(r, c, end, true, truncated);
}

// A name from i to its ">": its end, and the trimmed name; SIZE_MAX when it is none, with *wrong where.
static size_t ref_name(const Ref *r, size_t i, char name[300], size_t *wrong) {
  size_t tag = find_tag(r, i, IN_CALL), end = i;
  while (end < tag && r->s[end] != '>') end++;
  *wrong = end;
  if (end == tag) return SIZE_MAX;
  size_t a = i, b = end;
  while (a < b && r->s[a] == ' ') a++;
  while (b > a && r->s[b - 1] == ' ') b--;
  snprintf(name, 300, "%.*s", (int)(b - a), r->s + a);
  bool fine = a < b && utf8_valid_prefix(name, b - a) == b - a;
  for (size_t k = a; k < b; k++)
    fine = fine && (unsigned char)r->s[k] >= 0x20 && r->s[k] != '<' && r->s[k] != 0x7F;
  *wrong = end + 1;
  return fine ? end + 1 : SIZE_MAX;
}

// Where the value that begins at i ends; SIZE_MAX when it does not, with the call's end in *wrong.
static size_t value_ends(const Ref *r, size_t i, size_t *wrong) {
  int depth = 0;
  for (;; i++) {
    i = find_tag(r, i, 1 << C_OPEN | 1 << C_CLOSE | 1 << P_END);
    *wrong = i;
    if (i == r->n) return SIZE_MAX;
    int tag = tag_at(r, i, IN_CALL);
    if (tag == C_CLOSE && depth == 0) return SIZE_MAX;
    depth += (tag == C_OPEN) - (tag == C_CLOSE);
    if (tag != P_END || depth) continue;
    size_t next = skip_space(r, i + strlen(tag_text[P_END]));
    if (next < r->n && tag_at(r, next, 1 << P | 1 << F_END | 1 << C_CLOSE) >= 0) return i;
  }
}

static void ref_value(Ref *r, RefCall *c, const char *name, size_t from, size_t to) {
  if (from < to && r->s[from] == '\n') from++;
  if (from < to && r->s[to - 1] == '\n') to--;
  bool typed;
  buf_printf(&c->args, NULL, "%s\"%s\":", c->n > 1 ? "," : "", name);
  arg_value(arg_types(r->tools, c->name, name), r->s + from, to - from, &c->args, &typed, NULL);
  c->mistyped += !typed;
}

// A call whose text begins at `raw` and whose function's name begins at i.
static size_t ref_function(Ref *r, size_t raw, size_t i) {
  RefCall c = {.raw = raw};
  char name[300];
  size_t wrong, next = ref_name(r, i, name, &wrong);
  if (next == SIZE_MAX) return call_fails(r, &c, wrong);
  strcpy(c.name, name);
  put(r, (zaya_output_event){.kind = ZAYA_OUTPUT_CALL,
                             .index = r->begun++,
                             .name = name,
                             .known = arg_tool_known(r->tools, name)});
  buf_putc(&c.args, '{', NULL);
  for (;;) { // parameters
    i = skip_space(r, next);
    int tag = i < r->n ? tag_at(r, i, IN_CALL) : -1;
    if (tag == C_CLOSE) return call_ends(r, &c, i + strlen(tag_text[C_CLOSE]), false, false);
    if (tag == F_END) break;
    if (tag != P) return call_fails(r, &c, i);
    next = ref_name(r, i + strlen(tag_text[P]), name, &wrong);
    if (next == SIZE_MAX) return call_fails(r, &c, wrong);
    for (size_t k = 0; k < c.n; k++)
      if (!strcmp(c.seen[k], name)) return call_fails(r, &c, next);
    snprintf(c.seen[c.n++ % 64], 64, "%.60s", name);
    size_t end = value_ends(r, next, &wrong);
    if (end == SIZE_MAX) return call_fails(r, &c, wrong);
    ref_value(r, &c, name, next, end);
    next = end + strlen(tag_text[P_END]);
  }
  i = skip_space(r, i + strlen(tag_text[F_END]));
  int tag = i < r->n ? tag_at(r, i, IN_CALL) : -1;
  if (tag == C_CLOSE) return call_ends(r, &c, i + strlen(tag_text[C_CLOSE]), false, false);
  if (i == r->n || (tag < 0 && ends_in_tag(r, i, IN_CALL))) return call_ends(r, &c, r->n, false, false);
  if (tag != F && tag != C_OPEN) return call_fails(r, &c, i);
  call_ends(r, &c, i, false, false);
  return tag == F ? ref_function(r, i, i + strlen(tag_text[F])) : i;
}

static size_t ref_call(Ref *r, size_t raw) {
  size_t i = skip_space(r, raw + strlen(tag_text[C_OPEN]));
  if (i < r->n && tag_at(r, i, 1 << F) == F) return ref_function(r, raw, i + strlen(tag_text[F]));
  RefCall c = {.raw = raw};
  return call_fails(r, &c, i);
}

static void reference(Ref *r, bool thinking) {
  size_t i = thinking ? ref_think(r, 0) : 0;
  while (i < r->n) {
    // Behind a call the inner closing tags are stray, until there is text.
    int set = IN_CONTENT;
    if (r->after_call) {
      size_t j = skip_space(r, i);
      if (j < r->n && tag_at(r, j, 1 << F_END | 1 << P_END) >= 0) set |= 1 << F_END | 1 << P_END;
    }
    size_t j = find_tag(r, i, set);
    int tag = j < r->n ? tag_at(r, j, set) : -1;
    size_t half = j; // a call's opening tag that the output cuts off
    if (tag < 0)
      for (half = i; half < r->n; half++)
        if (ends_in_tag(r, half, 1 << C_OPEN) && (r->n - half) * 2 > strlen(tag_text[C_OPEN])) break;
    if (skip_space(r, i) < half) r->after_call = false;
    stretch(r, ZAYA_OUTPUT_CONTENT, i, half, &r->shown, &r->gap, half == r->n);
    if (tag < 0) {
      RefCall c = {.raw = half};
      if (half < r->n) call_ends(r, &c, r->n, true, true);
      break;
    }
    i = tag == C_OPEN ? ref_call(r, j) : j + strlen(tag_text[tag]);
    if (tag == T_OPEN) i = ref_think(r, i);
  }
  put(r, (zaya_output_event){.kind = ZAYA_OUTPUT_END});
}

// --- transcripts -----------------------------------------------------------------------------------

static uint32_t seed = 1;

static size_t below(size_t n) {
  seed ^= seed << 13;
  seed ^= seed >> 17;
  seed ^= seed << 5;
  return seed % n;
}

#define PICK(list) list[below(sizeof list / sizeof *list)]

static void add_value(Buf *b) {
  static const char *const values[] = {"",
                                       "1",
                                       "x y",
                                       "{\"k\": [1, \"v\"]}",
                                       "\n",
                                       "\n\nline\nline\n",
                                       "<",
                                       "</para",
                                       "a < b",
                                       "\"q\"\\",
                                       "\xE4\xBD\xA0",
                                       "\xF0\x9F\x98\x80",
                                       "\xE2\x82",
                                       "<think>t</think>",
                                       "</parameter> tail",
                                       "</parameter></parameter>",
                                       "<parameter=z>",
                                       "<function=f>",
                                       "</function>",
                                       "<zyphra_tool_call>in</zyphra_tool_call>",
                                       "null",
                                       "-1.50"};
  for (size_t k = 1 + below(2); k > 0; k--) buf_puts(b, PICK(values), NULL);
}

// A call, with a part left out or added now and then.
static void add_call(Buf *b, bool broken) {
  static const char *const names[] = {"f", "f", "g", " f ", "search_web", "", "a b", "x\ny", "\xC3\xA9"};
  static const char *const params[] = {"s", "i", "o", "any", " s ", "two words", ""};
  static const char *const spaces[] = {"\n", "\n", "", " \n\t", "\r\n"};
  static const char *const junk[] = {
      "x", "</parameter>", "</function>", "<function=h>", "<zyphra_tool_call>", "<parameter=q>"};
#define PART(...)                                                                                            \
  do {                                                                                                       \
    if (!broken || below(6)) buf_printf(b, NULL, __VA_ARGS__);                                               \
    if (broken && below(8) == 0) buf_puts(b, PICK(junk), NULL);                                              \
    buf_puts(b, PICK(spaces), NULL);                                                                         \
  } while (0)
  PART("<zyphra_tool_call>");
  PART("<function=%s>", broken ? PICK(names) : names[below(5) % 3]);
  for (size_t k = below(4), n = k; k > 0; k--) {
    PART("<parameter=%s>", broken ? PICK(params) : params[(n - k) % 4]);
    add_value(b);
    PART("</parameter>");
  }
  PART("</function>");
  PART("</zyphra_tool_call>");
#undef PART
}

static void transcript(Buf *b, size_t pieces) {
  static const char *const texts[] = {"Hello",       "a < b",
                                      " ",           "\n",
                                      "\n\n",        "<",
                                      "</",          "</thi",
                                      "<think",      "<thinker>",
                                      "<zyphra",     "<zyphra_tool_",
                                      "<function",   "<function=f>",
                                      "</function>", "</parameter>",
                                      "caf\xC3\xA9", "\xE2\x82\xAC",
                                      "\xE2\x82",    "\x82",
                                      "\xFF",        "```\n<b>\n```",
                                      "<<"};
  buf_clear(b);
  for (size_t k = pieces; k > 0; k--) {
    size_t what = below(20);
    if (what < 9)
      buf_puts(b, PICK(texts), NULL);
    else if (what < 16)
      buf_puts(b, tag_text[below(what < 14 ? 4 : TAGS)], NULL);
    else if (what < 18)
      add_call(b, false);
    else
      add_call(b, true);
  }
}

// --- comparing -------------------------------------------------------------------------------------

typedef struct Parsed {
  Collect log;
  zaya_output_counts counts;
} Parsed;

// Feeds s in pieces that end at the cuts (ascending).
static void parse(Parsed *p, const char *s, size_t n, bool thinking, const size_t *cuts, size_t n_cuts) {
  collect_reset(&p->log);
  OutParams params = {.tools = tools, .thinking = thinking};
  zaya_error err = {0};
  Out *o = out_new(&params, collect_event, &p->log, &err);
  size_t at = 0;
  for (size_t k = 0; k <= n_cuts; k++) {
    size_t to = k < n_cuts ? cuts[k] : n;
    char *exact = malloc(to - at + 1); // so that a read past the piece is seen
    memcpy(exact, s + at, to - at);
    if (!out_feed(o, exact, to - at, &err)) fail_msg("%s", err.message);
    free(exact);
    at = to;
    zaya_output_counts c = out_counts(o);
    assert_int_equal(c.reasoning + c.content + c.calls + c.markup + c.held, at);
  }
  if (!out_end(o, &err)) fail_msg("%s", err.message);
  p->counts = out_counts(o);
  out_free(o);
}

static void same(const Parsed *a, const Parsed *b, const char *text) {
  if (strcmp(a->log.log, b->log.log))
    fail_msg("cut changes the events of\n%s\n%s\n%s", text, a->log.log, b->log.log);
  assert_memory_equal(&a->counts, &b->counts, sizeof a->counts);
}

static void against_reference(const Buf *b, bool thinking) {
  Parsed p = {.log.brief = true};
  parse(&p, b->data, b->len, thinking, NULL, 0);
  Ref r = {.s = b->data, .n = b->len, .tools = arg_tools_new(tools, NULL), .log.brief = true};
  collect_reset(&r.log);
  reference(&r, thinking);
  if (strcmp(p.log.log, r.log.log))
    fail_msg("text:\n%s\nparser:\n%s\nreference:\n%s", b->data, p.log.log, r.log.log);
  assert_int_equal(p.counts.reasoning, r.reasoning);
  assert_int_equal(p.counts.content, r.content);
  assert_int_equal(p.counts.calls, r.call_bytes);
  assert_int_equal(p.counts.markup, b->len - r.reasoning - r.content - r.call_bytes);
  assert_int_equal(p.counts.held, 0);
  assert_int_equal(p.counts.n_calls, r.calls);
  assert_int_equal(p.counts.n_bad, r.bad);
  assert_int_equal(p.counts.n_blocks, r.blocks);
  arg_tools_free(r.tools);
  collect_free(&r.log);
  collect_free(&p.log);
}

static void the_reference_agrees(void **state) {
  (void)state;
  Buf b = {0};
  size_t calls = 0, bytes = 0;
  for (int k = 0; k < 20000; k++) {
    transcript(&b, 1 + below(12));
    if (!b.len) continue;
    against_reference(&b, below(2));
    calls += strstr(b.data, "<function=") != NULL;
    bytes += b.len;
  }
  assert_true(calls > 5000 && bytes > 500000); // the transcripts are what they should be
  buf_free(&b);
}

static void every_way_of_cutting_short_ones(void **state) {
  (void)state;
  Buf b = {0};
  Parsed whole = {0}, cut = {0};
  size_t pairs = 0;
  for (int k = 0; k < 400; k++) {
    do transcript(&b, 1 + below(5));
    while (b.len < 2 || b.len > 90);
    bool thinking = below(2);
    parse(&whole, b.data, b.len, thinking, NULL, 0);
    for (size_t i = 0; i <= b.len; i++)
      for (size_t j = i; j <= b.len; j++, pairs++) { // i == j: one cut, and an empty piece
        parse(&cut, b.data, b.len, thinking, (size_t[]){i, j}, 2);
        same(&whole, &cut, b.data);
      }
  }
  assert_true(pairs > 100000);
  collect_free(&whole.log);
  collect_free(&cut.log);
  buf_free(&b);
}

static void random_cuts_of_long_ones(void **state) {
  (void)state;
  Buf b = {0};
  Parsed whole = {0}, cut = {0};
  static size_t cuts[100000];
  for (int k = 0; k < 600; k++) {
    transcript(&b, 20 + below(60));
    bool thinking = below(2);
    parse(&whole, b.data, b.len, thinking, NULL, 0);
    for (int way = 0; way < 6; way++) {
      size_t n = 0, step = way ? 1 + below(1u << (2 * way)) : 1; // way 0: byte by byte
      for (size_t at = 0; at < b.len && n < sizeof cuts / sizeof *cuts; at += way ? 1 + below(step) : 1)
        cuts[n++] = at;
      parse(&cut, b.data, b.len, thinking, cuts, n);
      same(&whole, &cut, b.data);
    }
  }
  collect_free(&whole.log);
  collect_free(&cut.log);
  buf_free(&b);
}

// The receiver that only counts: what is held back stays small, whatever comes.
static bool ignore(void *user, const zaya_output_event *e) {
  size_t *most = user;
  bool piece = e->kind == ZAYA_OUTPUT_REASONING || e->kind == ZAYA_OUTPUT_CONTENT;
  if (piece && e->len > *most) *most = e->len;
  return true;
}

// Inputs that a careless parser takes quadratic time or memory for: these are 2 MB each.
static void hostile_runs_are_linear(void **state) {
  (void)state;
  static const struct {
    const char *head, *part;
  } cases[] = {{"", "<"},
               {"", "\n"},
               {"", "<think"},
               {"x", "\n</think>"},
               {"<think>", "</thin"},
               {"<think>", "\n<think>\n"},
               {"", "<zyphra_tool_call>"},
               {"", "<zyphra_tool_call></zyphra_tool_call>"},
               {"<zyphra_tool_call><function=f><parameter=s>", "</parameter>"},
               {"<zyphra_tool_call><function=f><parameter=s>", "\n"},
               {"<zyphra_tool_call><function=f><parameter=s>", "</parameter>\n "},
               {"<zyphra_tool_call><function=f><parameter=s>", "<zyphra_tool_call>"},
               {"<zyphra_tool_call><function=f><parameter=s>", "\xE2"},
               {"<zyphra_tool_call><function=f>", "<parameter=i>1</parameter>"},
               {"<zyphra_tool_call><function=f></function>", "<function=f></function>"},
               {"", "\xF0\x9F"}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    size_t most = 0, len = strlen(cases[k].part);
    OutParams params = {.tools = tools};
    Out *o = out_new(&params, ignore, &most, NULL);
    assert_true(out_feed(o, cases[k].head, strlen(cases[k].head), NULL));
    for (size_t i = 0; i < 2000000 / len; i++)
      for (size_t at = 0; at < len; at += 2)
        assert_true(out_feed(o, cases[k].part + at, len - at < 2 ? 1 : 2, NULL));
    assert_true(out_end(o, NULL));
    zaya_output_counts c = out_counts(o);
    assert_int_equal(c.reasoning + c.content + c.calls + c.markup, c.fed);
    assert_true(most < 200000); // also where a run of newlines of any length is let go
    out_free(o);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_reference_agrees),
      cmocka_unit_test(every_way_of_cutting_short_ones),
      cmocka_unit_test(random_cuts_of_long_ones),
      cmocka_unit_test(hostile_runs_are_linear),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
