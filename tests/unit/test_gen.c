// gen: answers driven by a scripted model, whose logits always point at the next token of a text.
#include "test.h"

#include "collect.h"
#include "engine/gen.h"

#define DATA ZAYA_TEST_DATA "/unit/data/tok"
enum { V = 400 }; // more than the tokenizer knows: the rest is padding

static Tok *tok;

static int setup(void **state) {
  (void)state;
  zaya_error err = {0};
  tok = tok_open(DATA, &err);
  if (!tok) fail_msg("%s", err.message);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  tok_close(tok);
  return 0;
}

// What a run gave: its events, the tokens taken and how it ended.
typedef struct Run {
  Collect events;
  zaya_ids taken;
  zaya_generate_result result;
  zaya_error err;
  bool ok;
} Run;

static void run_free(Run *r) {
  collect_free(&r->events);
  zaya_ids_free(&r->taken);
}

static zaya_generate_params greedy(void) {
  zaya_generate_params p = {.sampling = zaya_sampling_default()};
  p.sampling.temperature = 0;
  return p;
}

// The model would write `text` and then its end token; padding ids look even likelier. Every step that the
// generation does not follow the script moves the script on all the same.
static Run play_in(size_t room, const zaya_generate_params *p, const char *text, size_t stop_at) {
  Run r = {.events = {.open_kind = -1, .stop_at = stop_at}};
  zaya_ids script = {0};
  const GenParams gp = {
      .tok = tok, .n_vocab = V, .p = *p, .room = room, .fn = collect_event, .user = &r.events};
  collect_reset(&r.events);
  assert_true(tok_encode(tok, text, strlen(text), TOK_CONTROL, &script, NULL));
  Gen *g = gen_new(&gp, &r.err);
  bool done = false;
  r.ok = g != NULL;
  for (size_t at = 0; r.ok && !done; at++) {
    float logits[V] = {0};
    int32_t id;
    for (int i = 330; i < V; i++) logits[i] = 50;
    logits[at < script.len ? script.data[at] : 320] = 20;
    r.ok = gen_next(g, logits, &id, &done, &r.err);
    if (r.ok) assert_true(id >= 0 && tok_has(tok, id));
    zaya_ids *taken = &r.taken;
    taken->data = realloc(taken->data, (taken->len + 1) * sizeof id);
    taken->data[taken->len++] = id;
    assert_true(at < 200);
  }
  if (g) gen_result(g, &r.result);
  gen_free(g);
  zaya_ids_free(&script);
  return r;
}

static Run play(const zaya_generate_params *p, const char *text, size_t stop_at) {
  return play_in(0, p, text, stop_at);
}

static void expect(const zaya_generate_params *p, const char *text, const char *events, zaya_finish finish) {
  Run r = play(p, text, 0);
  if (!r.ok) fail_msg("%s: %s", text, r.err.message);
  assert_string_equal(r.events.log, events);
  assert_int_equal(r.result.finish, finish);
  assert_int_equal(r.result.tokens, r.taken.len);
  run_free(&r);
}

static void ends_with_the_turn(void **state) {
  (void)state;
  const zaya_generate_params p = greedy();
  expect(&p, "hello world", "C(hello world) .", ZAYA_FINISH_STOP);
  expect(&p, "é世", "C(é世) .", ZAYA_FINISH_STOP);
  expect(&p, "", ".", ZAYA_FINISH_STOP);
}

static void parses_thinking(void **state) {
  (void)state;
  zaya_generate_params p = greedy();
  expect(&p, "<think>\nab\n</think>\n\nhello", "R0(ab) D0 C(hello) .", ZAYA_FINISH_STOP);
  p.output.thinking = true; // opened by the prompt
  expect(&p, "ab\n</think>\n\nhello", "R0(ab) D0 C(hello) .", ZAYA_FINISH_STOP);
}

static void a_plain_continuation_keeps_every_tag(void **state) {
  (void)state;
  zaya_generate_params p = greedy();
  p.output.plain = true;
  expect(&p, "<think>\nab\n</think>\n\nhello", "C(<think>\nab\n</think>\n\nhello) .", ZAYA_FINISH_STOP);
}

static void stops_before_a_string(void **state) {
  (void)state;
  zaya_generate_params p = greedy();
  const char *stops[] = {"wor", "zzz"};
  p.stops = stops;
  p.n_stops = 2;
  expect(&p, "hello world", "C(hello ) .", ZAYA_FINISH_STRING);
  expect(&p, "hello zz", "C(hello zz) .", ZAYA_FINISH_STOP); // what was held comes out
  expect(&p, "<think>\nworld\n</think>\n\nhe", "R0(world) D0 C(he) .",
         ZAYA_FINISH_STOP); // not in the thinking
}

static void limits_cut(void **state) {
  (void)state;
  zaya_generate_params p = greedy();
  p.max_tokens = 3;
  Run r = play(&p, "hello a b c d", 0);
  assert_true(r.ok);
  assert_int_equal(r.result.finish, ZAYA_FINISH_LENGTH);
  assert_int_equal(r.taken.len, 3);
  assert_non_null(strstr(r.events.log, "C(hello"));
  run_free(&r);
  // Inside a character: its bytes are not lost.
  p.max_tokens = 1;
  expect(&p, "\xF0\x9F\x98\x80", "C(\xEF\xBF\xBD) .", ZAYA_FINISH_LENGTH);
}

static void a_budget_closes_the_thinking(void **state) {
  (void)state;
  zaya_generate_params p = greedy();
  p.output.thinking = true;
  p.thinking = (zaya_thinking){.has_limit = true, .limit = 4};
  Run r = play(&p, "a b c d e f g h i j k l m n o p q r s t", 0);
  if (!r.ok) fail_msg("%s", r.err.message);
  assert_true(r.result.turn.cut);
  assert_int_equal(r.result.turn.thinking, 4);
  assert_true(r.result.turn.forced > 0);
  assert_int_equal(r.result.turn.thinking + r.result.turn.forced + r.result.turn.answer + 1, r.result.tokens);
  assert_non_null(strstr(r.events.log, "D0 C("));
  run_free(&r);
}

// The context ends before the budget does: there still is an answer.
static void a_budget_fits_the_context(void **state) {
  (void)state;
  zaya_generate_params p = greedy();
  p.output.thinking = true;
  p.thinking = (zaya_thinking){.has_limit = true, .limit = 1000};
  Run r =
      play_in(40, &p, "a b c d e f g h i j k l m n o p q r s t a b c d e f g h i j k l m n o p q r s t", 0);
  if (!r.ok) fail_msg("%s", r.err.message);
  assert_int_equal(r.result.finish, ZAYA_FINISH_LENGTH);
  assert_int_equal(r.result.tokens, 40);
  assert_true(r.result.turn.answer > 5);
  assert_non_null(strstr(r.events.log, "D0 C("));
  run_free(&r);
}

static void the_receiver_can_cancel(void **state) {
  (void)state;
  const zaya_generate_params p = greedy();
  Run r = play(&p, "hello world hello world", 2);
  assert_true(r.ok);
  assert_int_equal(r.result.finish, ZAYA_FINISH_CANCELLED);
  assert_int_equal(r.events.events, 2);
  run_free(&r);
}

static void bad_settings_are_refused(void **state) {
  (void)state;
  zaya_generate_params p = greedy();
  p.sampling.top_p = 7;
  Run r = play(&p, "a", 0);
  assert_false(r.ok);
  assert_int_equal(r.err.status, ZAYA_E_INVALID);
  run_free(&r);
  p = greedy();
  const char *stops[] = {""};
  p.stops = stops;
  p.n_stops = 1;
  r = play(&p, "a", 0);
  assert_false(r.ok);
  run_free(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ends_with_the_turn),
      cmocka_unit_test(parses_thinking),
      cmocka_unit_test(a_plain_continuation_keeps_every_tag),
      cmocka_unit_test(stops_before_a_string),
      cmocka_unit_test(limits_cut),
      cmocka_unit_test(a_budget_closes_the_thinking),
      cmocka_unit_test(a_budget_fits_the_context),
      cmocka_unit_test(the_receiver_can_cancel),
      cmocka_unit_test(bad_settings_are_refused),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
