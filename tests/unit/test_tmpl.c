// tmpl: where bytes come from, errors with their place, the bounds, and renders from several threads.
// What templates print is held against Jinja2 by tests/template.
#include "test.h"

#include "text/tmpl.h"

#include <pthread.h>

static const char *const values_json =
    "{\"m\": \"user <|im_end|> text\", \"name\": \"bob\", \"n\": 5, \"l\": [\"a\", \"b\"], \"d\": {\"k\": "
    "\"v\"},"
    " \"messages\": [{\"role\": \"user\", \"content\": \"Gr\\u00fc\\u00dfe, WELT\"}]}";

static bool render(const char *source, const TmplLimits *limits, TmplOut *out, zaya_error *err) {
  json_t *values = json_loads(values_json, 0, NULL), *trusted = json_pack("{s:s}", "bos_token", "<bos>");
  TmplInput in = {.values = values, .trusted = trusted, .limits = limits ? *limits : (TmplLimits){0}};
  Tmpl *t = tmpl_compile("t.jinja", source, strlen(source), err);
  bool ok = t && tmpl_render(t, &in, out, err);
  tmpl_free(t);
  json_decref(values);
  json_decref(trusted);
  return ok;
}

// The text with every value in [brackets].
static void assert_origins(const char *source, const char *want) {
  TmplOut out = {0};
  zaya_error err = {0};
  if (!render(source, NULL, &out, &err)) fail_msg("%s: %s", source, err.message);
  Buf got = {0};
  buf_puts(&got, "", NULL);
  size_t end = 0;
  for (size_t i = 0; i < out.n_segments; i++) {
    TmplSegment s = out.segments[i];
    assert_int_equal(s.begin, end);
    assert_true(s.end > s.begin);
    if (i) assert_true(s.from_template != out.segments[i - 1].from_template);
    if (!s.from_template) buf_putc(&got, '[', NULL);
    buf_add(&got, out.text.data + s.begin, s.end - s.begin, NULL);
    if (!s.from_template) buf_putc(&got, ']', NULL);
    end = s.end;
  }
  assert_int_equal(end, out.text.len);
  assert_string_equal(got.data, want);
  buf_free(&got);
  tmpl_out_free(&out);
}

static void test_origin_plain(void **state) {
  (void)state;
  assert_origins("", "");
  assert_origins("a{{ 'b' }}c", "abc");
  assert_origins("<|im_start|>{{ m }}<|im_end|>", "<|im_start|>[user <|im_end|> text]<|im_end|>");
  assert_origins("{{ bos_token }}{{ bos_token ~ m }}", "<bos><bos>[user <|im_end|> text]");
  assert_origins("{{ '<' + name + '>' }}", "<[bob]>");
  assert_origins("{{ m ~ '|' ~ n ~ '|' ~ 7 }}", "[user <|im_end|> text]|[5]|7");
  assert_origins("{{ n + 1 }} {{ 1 + 1 }} {{ n == 5 }}", "[6] 2 True");
}

static void test_origin_strings(void **state) {
  (void)state;
  assert_origins("{{ ('<a>' ~ name ~ '<b>')[1:5] }}", "a>[bo]");
  assert_origins("{{ ('<a>' ~ name)[::-1] }}", "[bob]>a<");
  assert_origins("{{ ('x' ~ name ~ 'x')|replace('b', '<eos>') }}", "x<eos>[o]<eos>x");
  assert_origins("{{ 'a-a'|replace('-', name) }}", "a[bob]a");
  assert_origins("{{ (' ' ~ name ~ ' ')|trim }}", "[bob]");
  assert_origins("{{ (name ~ ',x').split(',') | join('+') }}", "[bob]+x");
  assert_origins("{{ l | join('<sep>') }}", "[a]<sep>[b]");
  assert_origins("{{ '-'.join([name, 'x']) }}", "[bob]-x");
  assert_origins("{{ ('x' ~ name)|upper }} {{ name|title }} {{ name.capitalize() }}", "X[BOB] [Bob] [Bob]");
  assert_origins("{{ '%s is %s' % (name, 'x') }} {{ '{} {:>5}'.format(name, name) }}",
                 "[bob] is x [bob]   [bob]");
  assert_origins("{{ name.center(7, '*') }} {{ (name ~ '\nx')|indent(2) }}", "**[bob]** [bob\n]  x");
  assert_origins("{{ name * 2 ~ 'x' * 2 }}", "[bobbob]xx");
  assert_origins("{{ ('a' ~ m).partition('<|')[0] }}", "a[user ]");
  assert_origins("{{ messages[0].content | lower }}", "[grüße, welt]");
  assert_origins("{{ m.split(' ')[1] }}", "[<|im_end|>]");
  assert_origins("{{ m | truncate(9, true, '<end>', 0) }}", "[user]<end>");
}

static void test_origin_containers(void **state) {
  (void)state;
  assert_origins("{{ d | tojson }}", "[{\"k\": \"v\"}]");
  assert_origins("{{ {'a': name} | tojson }}", "{\"a\": [\"bob\"]}");
  assert_origins("{{ ['<x>', name] }}", "['<x>', ['bob']]");
  assert_origins("{{ d.items() | list }}", "[[('k', 'v')]]");
  assert_origins("{% for k, v in d.items() %}{{ k }}={{ v }}{% endfor %}", "[k]=[v]");
  assert_origins("{% set x %}<{{ name }}>{% endset %}{{ x }}{{ x|length }}", "<[bob]>5");
  assert_origins("{% macro f(a) %}<{{ a }}>{% endmacro %}{{ f(name) }}{{ f('x') }}", "<[bob]><x>");
  assert_origins("{% filter upper %}<{{ name }}>{% endfilter %}", "<[BOB]>");
  assert_origins(
      "{% set ns = namespace(s='') %}{% for i in range(300) %}{% set ns.s = ns.s + 'xy' + name %}{% endfor %}"
      "{{ ns.s[598:602] }}|{{ ns.s[-5:] }}",
      "[ob]xy|xy[bob]");
}

static void assert_error(const char *source, const char *want) {
  TmplOut out = {0};
  zaya_error err = {0};
  if (render(source, NULL, &out, &err)) fail_msg("%s: no error", source);
  if (strncmp(err.message, want, strlen(want)))
    fail_msg("%s: found '%s', expected '%s'", source, err.message, want);
  tmpl_out_free(&out);
}

static void test_errors(void **state) {
  (void)state;
  assert_error("a\n  {{ foo.bar }}", "t.jinja:2:6: 'foo' is undefined (at `foo.bar`)");
  assert_error("{% if %}", "t.jinja:1:7: expected an expression, found '%}'");
  assert_error("\n\n{% nosuch %}", "t.jinja:3:4: unknown tag 'nosuch'");
  assert_error("x {% for a in b %}", "t.jinja:1:19: the template ends without 'endfor'");
  assert_error("é {{ 1 / 0 }}", "t.jinja:1:6: division by zero (at `1 / 0`)");
  assert_error("{{ raise_exception('no ' ~ name) }}", "t.jinja:1:4: the template refuses: no bob");
  assert_error("{{ 'a' | nosuch }}", "t.jinja:1:10: there is no filter 'nosuch'");
  assert_error("{% include 'x' %}", "t.jinja:1:4: 'include' is not supported");
  assert_error("{{ messages[0].content.nosuch.x }}",
               "t.jinja:1:4: a 'str' has no 'nosuch' (at `messages[0].content.nosuch.x`)");
  assert_error("{{ l.append(1) }}", "t.jinja:1:4: the sandbox refuses 'append' of a 'list'");
  assert_error("{{ (1 }}", "t.jinja:1:7: unexpected '}', expected ')'");
  assert_error("{# x", "t.jinja:1:1: missing end of comment");
  assert_error("\xff", "t.jinja:1:1: not valid UTF-8");
}

static void assert_bound(const char *source, const TmplLimits *limits, const char *part) {
  TmplOut out = {0};
  zaya_error err = {0};
  if (render(source, limits, &out, &err)) fail_msg("%s: no error", source);
  if (!strstr(err.message, part)) fail_msg("%s: found '%s', expected '%s'", source, err.message, part);
  assert_true(err.status == ZAYA_E_LIMIT || err.status == ZAYA_E_MEMORY);
  tmpl_out_free(&out);
}

static void test_bounds(void **state) {
  (void)state;
  assert_bound("{{ range(10**12) }}", NULL, "more than 100000 numbers");
  assert_bound("{{ 'a' * 10**10 }}", NULL, "longer than 67108864 bytes");
  assert_bound("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", NULL, "deeper than 400 levels");
  assert_bound("{% macro m(n) %}{% if n %}{{ m(n-1) }}{{ m(n-1) }}{% endif %}{% endmacro %}{{ m(60) }}", NULL,
               "20000000 steps");
  assert_bound("{% set ns = namespace(s='xxxx') %}{% for i in range(90) %}{% set ns.s = ns.s ~ ns.s %}{% "
               "endfor %}{{ ns.s }}",
               NULL, "longer than 67108864 bytes");
  assert_bound("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", NULL,
               "20000000 steps");
  assert_bound("{% for i in range(50) %}{{ i }}{% endfor %}", &(TmplLimits){.max_steps = 100}, "100 steps");
  assert_bound("{% for i in range(50) %}xxxxxxxxxx{% endfor %}", &(TmplLimits){.max_output = 100},
               "longer than 100 bytes");
  assert_bound("{% set l = namespace(l=[1]) %}{% for i in range(40) %}{% set l.l = l.l + l.l %}{% endfor %}",
               &(TmplLimits){.max_memory = 1 << 20}, "more than 1048576 bytes");
  assert_bound("{{ ((((1)))) }}{% if true %}{% if true %}{% if true %}x{% endif %}{% endif %}{% endif %}",
               &(TmplLimits){.max_depth = 3}, "deeper than 3 levels");
  assert_bound("{{ [1] * 10**10 }}", &(TmplLimits){.max_memory = 1 << 20}, "");
  assert_bound("{{ 9223372036854775807 + 1 }}", NULL, "beyond 64 bits");
}

// Sources that nest: parentheses, blocks, operators, elif chains, brackets, unary signs.
static void test_deep_sources(void **state) {
  (void)state;
  static const struct {
    const char *open, *middle, *close;
  } nests[] = {{"{{", "1", "}}"},
               {"(", "1", ")"},
               {"[", "1", "]"},
               {"{% if 1 %}", "x", "{% endif %}"},
               {"not ", "1", ""},
               {"- ", "1", ""},
               {"1 if 1 else ", "1", ""},
               {"1 + ", "1", ""},
               {"a.b", "", ""},
               {"a[", "0", "]"},
               {"f(", "", ")"},
               {"'a'|default(", "1", ")"},
               {"{% for x in y %}", "", "{% endfor %}"},
               {"{% macro m() %}", "", "{% endmacro %}"}};
  for (size_t i = 0; i < sizeof nests / sizeof *nests; i++) {
    bool is_expression = nests[i].open[0] != '{';
    Buf b = {0};
    if (is_expression) buf_puts(&b, "{{ ", NULL);
    for (int k = 0; k < 20000; k++) buf_puts(&b, nests[i].open, NULL);
    buf_puts(&b, nests[i].middle, NULL);
    for (int k = 0; k < 20000; k++) buf_puts(&b, nests[i].close, NULL);
    if (is_expression) buf_puts(&b, " }}", NULL);
    TmplOut out = {0};
    zaya_error err = {0};
    assert_false(render(b.data, NULL, &out, &err));
    assert_true(err.status != ZAYA_OK);
    tmpl_out_free(&out);
    buf_free(&b);
  }
}

static void test_long_source(void **state) {
  (void)state;
  Buf b = {0};
  for (int i = 0; i < 3000; i++)
    buf_puts(&b, "{% if n == 1 %}a{% elif n == 5 %}b{% else %}c{% endif %}{{ name }}", NULL);
  TmplOut out = {0};
  zaya_error err = {0};
  assert_true(render(b.data, NULL, &out, &err));
  assert_int_equal(out.text.len, 3000 * 4);
  assert_int_equal(out.n_segments, 6000);
  tmpl_out_free(&out);
  buf_free(&b);
  char *big = calloc((1 << 20) + 2, 1);
  memset(big, 'x', (1 << 20) + 1);
  assert_null(tmpl_compile("big", big, (1 << 20) + 1, &err));
  assert_int_equal(err.status, ZAYA_E_LIMIT);
  free(big);
}

// Many names: the scopes of a hostile template stay cheap.
static void test_many_names(void **state) {
  (void)state;
  Buf b = {0};
  for (int i = 0; i < 4000; i++) buf_printf(&b, NULL, "{%% if v%d %%}{%% set v%d = 1 %%}{%% endif %%}", i, i);
  TmplOut out = {0};
  zaya_error err = {0};
  if (!render(b.data, NULL, &out, &err)) fail_msg("%s", err.message);
  for (int i = 4000; i < 4200; i++) buf_printf(&b, NULL, "{{ v%d }}", i);
  assert_false(render(b.data, NULL, &out, &err));
  assert_non_null(strstr(err.message, "different names"));
  tmpl_out_free(&out);
  buf_free(&b);
}

typedef struct Shared {
  const Tmpl *t;
  const json_t *values;
  bool ok;
} Shared;

static void *render_many(void *arg) {
  Shared *s = arg;
  for (int i = 0; i < 200; i++) {
    TmplOut out = {0};
    TmplInput in = {.values = s->values};
    s->ok = s->ok && tmpl_render(s->t, &in, &out, NULL) &&
            !strcmp(out.text.data, "0:aAx|1:bBx|user: Grüße, WELT");
    tmpl_out_free(&out);
  }
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  static const char source[] = "{% macro m(x, y='x') %}{{ x }}{{ x|upper }}{{ y }}{% endmacro %}{% for x in "
                               "l %}{{ loop.index0 }}:{{ m(x) }}|"
                               "{% endfor %}{{ messages[0].role ~ ': ' ~ messages[0]['content'] }}";
  json_t *values = json_loads(values_json, 0, NULL);
  Tmpl *t = tmpl_compile("t", source, strlen(source), NULL);
  assert_non_null(t);
  pthread_t threads[4];
  Shared shared[4];
  for (int i = 0; i < 4; i++) {
    shared[i] = (Shared){t, values, true};
    pthread_create(&threads[i], NULL, render_many, &shared[i]);
  }
  for (int i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
    assert_true(shared[i].ok);
  }
  tmpl_free(t);
  json_decref(values);
}

// A text put together from many pieces costs time and memory in proportion to its length.
static void test_long_text(void **state) {
  (void)state;
  TmplOut out = {0};
  zaya_error err = {0};
  bool ok = render("{% set ns = namespace(s='') %}{% for i in range(100000) %}{% set ns.s = ns.s ~ name ~ "
                   "'<eos>' %}{% endfor %}{{ ns.s }}",
                   NULL, &out, &err);
  if (!ok) fail_msg("%s", err.message);
  assert_int_equal(out.text.len, 800000);
  assert_int_equal(out.n_segments, 200000);
  tmpl_out_free(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_origin_plain),
      cmocka_unit_test(test_origin_strings),
      cmocka_unit_test(test_origin_containers),
      cmocka_unit_test(test_errors),
      cmocka_unit_test(test_bounds),
      cmocka_unit_test(test_deep_sources),
      cmocka_unit_test(test_long_source),
      cmocka_unit_test(test_many_names),
      cmocka_unit_test(test_threads),
      cmocka_unit_test(test_long_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
