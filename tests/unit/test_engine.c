// engine: many requests at once give what each gives alone; cancelling, limits, several answers, refusals.
#include "test.h"

#include "engines.h"

#include "base/clock.h"
#include "engine/plan.h"

#include <time.h>

enum { CROWD = 32 };

static Nano nano;

static int setup(void **state) {
  (void)state;
  nano = nano_open(1);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  nano_close(&nano);
  return 0;
}

// What a session of its own answers to the same request.
static void ask_session(Ask *a, size_t ctx) {
  zaya_error err = {0};
  zaya_session *s = zaya_session_new(nano.model, ctx, &err);
  Answer *out = a->out;
  zaya_constraint c = {.guide = (Guide *)(uintptr_t)a->guide};
  zaya_generate_params p = a->p;
  p.constraint = a->guide ? &c : NULL;
  out->events.open_kind = -1;
  collect_reset(&out->events);
  if (!zaya_generate(s, nano.tok, a->ids.data, a->ids.len, &p, collect_event, &out->events, &out->result,
                     &err))
    fail_msg("%s", err.message);
  zaya_session_free(s);
}

static void answers_as_a_session_does(void **state) {
  (void)state;
  const EngineParams p = nano_params(&nano);
  Engine *e = engine_start(&p);
  for (unsigned i = 0; i < CROWD; i++) {
    Ask alone = ask_mixed(&nano, i), run = ask_mixed(&nano, i);
    ask_session(&alone, p.ctx);
    ask_run(&run, e);
    if (run.out->error.status) fail_msg("%u: %s", i, run.out->error.message);
    assert_string_equal(run.out->events.log, alone.out->events.log);
    assert_int_equal(run.out->result.finish, alone.out->result.finish);
    assert_int_equal(run.out->result.tokens, alone.out->result.tokens);
    assert_int_equal(run.out->result.prompt_tokens, alone.out->result.prompt_tokens);
    assert_int_equal(run.out->taken.len, run.out->result.tokens);
    ask_free(&alone);
    ask_free(&run);
  }
  engine_free(e);
}

// All at once against one by one; others are cancelled in between.
static void check_crowd(const EngineParams *p, const Ask *alone) {
  static Ask crowd[CROWD], doomed[8];
  Engine *e = engine_start(p);
  for (unsigned i = 0; i < CROWD; i++) {
    crowd[i] = ask_mixed(&nano, i);
    ask_submit(&crowd[i], e);
    if (i % 4) continue;
    Ask *d = &doomed[i / 4];
    *d = ask_mixed(&nano, i + 1);
    d->n_choices = 1 + i % 3;
    if (i % 8) d->cancel_after = 2;
    ask_submit(d, e);
  }
  for (unsigned i = 0; i < 8; i += 2) ask_cancel(&doomed[i]);
  for (unsigned i = 0; i < CROWD; i++) {
    ask_wait(&crowd[i]);
    assert_same_answer(crowd[i].out, alone[i].out);
    ask_free(&crowd[i]);
  }
  for (unsigned i = 0; i < 8; i++) {
    ask_wait(&doomed[i]);
    ask_free(&doomed[i]);
  }
  engine_free(e);
}

static void a_crowd_answers_as_each_alone(void **state) {
  (void)state;
  static Ask alone[CROWD];
  EngineParams p = nano_params(&nano);
  Engine *e = engine_start(&p);
  for (unsigned i = 0; i < CROWD; i++) {
    alone[i] = ask_mixed(&nano, i);
    ask_run(&alone[i], e);
  }
  engine_free(e);
  static const size_t chunks[] = {1, 7, 64, 512};
  for (size_t k = 0; k < 4; k++) {
    p.chunk = chunks[k];
    p.parallel = 3 + 9 * k;
    check_crowd(&p, alone);
  }
  nano_close(&nano);
  nano = nano_open(2);
  p = nano_params(&nano);
  p.chunk = 33;
  p.parallel = 8;
  check_crowd(&p, alone);
  for (unsigned i = 0; i < CROWD; i++) ask_free(&alone[i]);
}

static void choices_share_the_prompt(void **state) {
  (void)state;
  EngineParams p = nano_params(&nano);
  p.parallel = 2; // fewer than choices
  Engine *e = engine_start(&p);
  Ask all = ask_ids(&nano, 5, 300);
  all.p.sampling.temperature = 1.5;
  all.p.sampling.seed = 100;
  all.n_choices = 5;
  ask_run(&all, e);
  EngineStats stats;
  engine_stats(e, &stats);
  assert_int_equal(stats.read_tokens, 300); // once
  size_t different = 0;
  for (size_t i = 0; i < 5; i++) {
    Ask one = ask_ids(&nano, 5, 300);
    one.p = all.p;
    one.p.sampling.seed = 100 + i;
    ask_run(&one, e);
    assert_same_answer(&all.out[i], one.out);
    different += strcmp(all.out[i].events.log, all.out[0].events.log) != 0;
    ask_free(&one);
  }
  assert_true(different > 0);
  ask_free(&all);
  engine_free(e);
}

static void cancelled_within_a_step(void **state) {
  (void)state;
  EngineParams p = nano_params(&nano);
  p.parallel = 1;
  Engine *e = engine_start(&p);
  Ask a = ask_ids(&nano, 1, 40), b = ask_ids(&nano, 2, 40), c = ask_ids(&nano, 3, 40);
  a.p.max_tokens = b.p.max_tokens = 900;
  a.p.sampling.temperature = b.p.sampling.temperature = 2;
  const zaya_bias never_end = {.id = zaya_tokenizer_stops(nano.tok, &(size_t){0})[0], .bias = -1e5};
  a.p.sampling.bias = &never_end, a.p.sampling.n_bias = 1;
  a.cancel_after = 3;
  ask_submit(&a, e);
  ask_submit(&b, e); // waits
  ask_submit(&c, e);
  ask_cancel(&b);
  ask_wait(&a);
  ask_wait(&b);
  ask_wait(&c);
  assert_int_equal(a.out->result.finish, ZAYA_FINISH_CANCELLED);
  assert_int_equal(a.out->tokens, 3);
  assert_int_equal(b.out->result.finish, ZAYA_FINISH_CANCELLED);
  assert_int_not_equal(c.out->result.finish, ZAYA_FINISH_CANCELLED);
  EngineStats stats;
  engine_stats(e, &stats);
  assert_int_equal(stats.cancelled, 2);
  assert_int_equal(stats.done, 1);
  assert_int_equal(stats.running + stats.waiting, 0);
  ask_free(&a);
  ask_free(&b);
  ask_free(&c);
  engine_free(e);
}

static void expect_refusal(Engine *e, Ask *a, EngineRefusal want, const char *word) {
  EngineRefusal why = ENGINE_ACCEPTED;
  zaya_error err = {0};
  assert_false(ask_try(a, e, &why, &err));
  assert_int_equal(why, want);
  if (!strstr(err.message, word)) fail_msg("'%s' does not say '%s'", err.message, word);
  ask_free(a);
}

static void bad_requests_are_refused(void **state) {
  (void)state;
  EngineParams p = nano_params(&nano);
  p.ctx = 64;
  Engine *e = engine_start(&p);
  Ask a = ask_empty();
  expect_refusal(e, &a, ENGINE_BAD_REQUEST, "empty");
  a = ask_ids(&nano, 1, 65);
  expect_refusal(e, &a, ENGINE_TOO_LONG, "65 tokens");
  a = ask_ids(&nano, 1, 6);
  a.ids.data[3] = 1 << 20;
  expect_refusal(e, &a, ENGINE_BAD_REQUEST, "number 4");
  a = ask_ids(&nano, 1, 6);
  a.p.sampling.top_p = 3;
  expect_refusal(e, &a, ENGINE_BAD_REQUEST, "top_p");
  a = ask_ids(&nano, 1, 6);
  a.n_choices = 0;
  expect_refusal(e, &a, ENGINE_BAD_REQUEST, "n: ");
  a = ask_ids(&nano, 1, 6);
  a.n_marks = 2, a.marks[0] = 4, a.marks[1] = 3;
  expect_refusal(e, &a, ENGINE_BAD_REQUEST, "marks");
  const char *const stops[] = {""};
  a = ask_ids(&nano, 1, 6);
  a.p.stops = stops, a.p.n_stops = 1;
  expect_refusal(e, &a, ENGINE_BAD_REQUEST, "stop");
  EngineStats stats;
  engine_stats(e, &stats);
  assert_int_equal(stats.refused, 7);
  a = ask_ids(&nano, 1, 64); // fills the context: one token is left to be drawn
  a.p.max_tokens = 0;
  ask_run(&a, e);
  assert_int_equal(a.out->result.tokens, 1);
  ask_free(&a);
  engine_free(e);
  p.ctx = 1 << 20;
  zaya_error err = {0};
  assert_null(engine_new(&p, &err));
  assert_int_equal(err.status, ZAYA_E_LIMIT);
}

static void limits_refuse(void **state) {
  (void)state;
  EngineParams p = nano_params(&nano);
  p.parallel = 1;
  p.queue = 2;
  Engine *e = engine_start(&p);
  Ask a = ask_ids(&nano, 1, 20), b = ask_ids(&nano, 2, 20), c = ask_ids(&nano, 3, 20);
  const zaya_bias never_end = {.id = zaya_tokenizer_stops(nano.tok, &(size_t){0})[0], .bias = -1e5};
  a.p.sampling.bias = &never_end, a.p.sampling.n_bias = 1;
  a.p.max_tokens = 900;
  b.n_choices = 2;
  ask_submit(&a, e);
  pthread_mutex_lock(&a.lock); // its events wait: it cannot end before the queue was full
  ask_submit(&b, e);
  expect_refusal(e, &c, ENGINE_QUEUE_FULL, "at most 3");
  pthread_mutex_unlock(&a.lock);
  ask_cancel(&a);
  ask_wait(&a);
  ask_wait(&b);
  assert_true(engine_drain(e, 60));
  c = ask_ids(&nano, 3, 20);
  expect_refusal(e, &c, ENGINE_STOPPING, "stopped");
  ask_free(&a);
  ask_free(&b);
  engine_free(e);
  p.kv_bytes = 1000;
  e = engine_start(&p);
  c = ask_ids(&nano, 3, 20);
  expect_refusal(e, &c, ENGINE_NO_MEMORY, "the limit is 1000");
  engine_free(e);
}

// A budget that holds one sequence at a time: the others wait, all are answered.
static void a_memory_limit_makes_them_wait(void **state) {
  (void)state;
  EngineParams p = nano_params(&nano);
  const StateShape shape = state_shape(nano.model->weights.config, KV_F16);
  p.kv_bytes = state_bytes(&shape, 40) * 3 / 2;
  Engine *e = engine_start(&p);
  Ask all[6];
  for (unsigned i = 0; i < 6; i++) {
    all[i] = ask_ids(&nano, i, 20);
    all[i].p.max_tokens = 20;
    ask_submit(&all[i], e);
  }
  for (unsigned i = 0; i < 6; i++) {
    ask_wait(&all[i]);
    ask_free(&all[i]);
  }
  EngineStats stats;
  engine_stats(e, &stats);
  assert_int_equal(stats.done, 6);
  for (size_t i = 2; i < 17; i++) assert_int_equal(stats.batch[i], 0);
  engine_free(e);
}

static void an_end_in_the_middle_cancels(void **state) {
  (void)state;
  const EngineParams p = nano_params(&nano);
  Engine *e = engine_start(&p);
  Ask all[8];
  for (unsigned i = 0; i < 8; i++) {
    all[i] = ask_ids(&nano, i, 200 + 100 * i);
    all[i].p.max_tokens = 400;
    ask_submit(&all[i], e);
  }
  assert_false(engine_drain(e, 0));
  engine_free(e);
  for (unsigned i = 0; i < 8; i++) {
    assert_int_equal(all[i].n_ended, 1);
    ask_free(&all[i]);
  }
}

static void rows_are_dealt_fairly(void **state) {
  (void)state;
  size_t rows[4];
  plan_rows((size_t[]){1000, 5, 1000}, 3, 64, 0, rows);
  assert_int_equal(rows[1], 5);
  assert_int_equal(rows[0] + rows[2], 59);
  assert_true(rows[0] >= 29 && rows[2] >= 29);
  plan_rows((size_t[]){3, 2}, 2, 512, 1, rows);
  assert_int_equal(rows[0], 3);
  assert_int_equal(rows[1], 2);
  size_t sum[4] = {0};
  for (size_t first = 0; first < 8; first++) { // one row a step: the turn goes round
    plan_rows((size_t[]){100, 100, 0, 100}, 4, 1, first, rows);
    for (size_t i = 0; i < 4; i++) sum[i] += rows[i];
  }
  assert_int_equal(sum[2], 0);
  assert_int_equal(sum[0] + sum[1] + sum[3], 8);
  for (size_t i = 0; i < 4; i += i ? 2 : 1) assert_true(sum[i] >= 2);
  plan_rows(NULL, 0, 10, 0, rows);
}

// An idle engine costs no processor time.
static void idles_without_work(void **state) {
  (void)state;
  const EngineParams p = nano_params(&nano);
  Engine *e = engine_start(&p);
  Ask a = ask_ids(&nano, 1, 20);
  ask_run(&a, e);
  ask_free(&a);
  engine_settle(e);
  nanosleep(&(struct timespec){.tv_nsec = 50000000},
            NULL); // the pool's threads look for work a little longer
  struct timespec before, after;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  const double used =
      (double)(after.tv_sec - before.tv_sec) + 1e-9 * (double)(after.tv_nsec - before.tv_nsec);
  assert_true(used < 0.02); // of processor time, not of the clock's
  engine_free(e);
}

static bool count_reading(void *user, size_t done, size_t total) {
  assert_true(done <= total);
  ++*(size_t *)user;
  return true;
}

static bool stop_reading(void *user, size_t done, size_t total) {
  return count_reading(user, done, total) && false;
}

static void the_public_engine_waits_for_its_answer(void **state) {
  (void)state;
  zaya_error err = {0};
  zaya_engine *e = zaya_engine_new(nano.model, nano.tok, &(zaya_engine_params){.parallel = 2}, &err);
  if (!e) fail_msg("%s", err.message);
  assert_int_equal(zaya_engine_context(e), 4096);
  for (unsigned i = 0; i < 12; i++) {
    Ask alone = ask_mixed(&nano, i);
    ask_session(&alone, 4096);
    Collect log = {.open_kind = -1};
    zaya_generate_result result;
    size_t readings = 0;
    zaya_constraint c = {.guide = (Guide *)(uintptr_t)alone.guide};
    zaya_generate_params p = alone.p;
    p.constraint = alone.guide ? &c : NULL;
    p.output.verbatim = false; // the engine knows it from the constraint
    zaya_engine_request r = {.prompt = alone.ids.data,
                             .n = alone.ids.len,
                             .marks = alone.marks,
                             .n_marks = alone.n_marks,
                             .params = &p,
                             .fn = collect_event,
                             .user = &log};
    collect_reset(&log);
    if (!zaya_engine_generate(e, &r, &result, &err)) fail_msg("%s", err.message);
    assert_string_equal(log.log, alone.out->events.log);
    assert_int_equal(result.tokens, alone.out->result.tokens);
    r.fn = NULL, r.user = &readings, r.reading = stop_reading;
    p.max_tokens = 100;
    assert_true(zaya_engine_generate(e, &r, &result, &err));
    assert_int_equal(result.finish, ZAYA_FINISH_CANCELLED);
    assert_int_equal(readings, 1);
    collect_free(&log);
    ask_free(&alone);
  }
  zaya_engine_settle(e);
  zaya_engine_free(e);
}

static void turns_begin_where_the_template_says(void **state) {
  (void)state;
  Ask a =
      ask_text(&nano, "[{\"role\":\"user\",\"content\":\"Hi <|im_start|>\"},"
                      "{\"role\":\"assistant\",\"content\":\"Yes\"},{\"role\":\"user\",\"content\":\"No\"}]");
  assert_int_equal(a.n_marks, 4); // three messages and the head of the answer; not what a user wrote
  for (size_t i = 0; i < a.n_marks; i++) {
    size_t len;
    const char *piece = zaya_tokenizer_piece(nano.tok, a.ids.data[a.marks[i]], &len);
    assert_int_equal(len, strlen("<|im_start|>"));
    assert_memory_equal(piece, "<|im_start|>", len);
  }
  assert_int_equal(zaya_tokenizer_turns(nano.tok, a.ids.data, a.ids.len, NULL, 0), 4);
  ask_free(&a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_are_dealt_fairly),
      cmocka_unit_test(answers_as_a_session_does),
      cmocka_unit_test(choices_share_the_prompt),
      cmocka_unit_test(cancelled_within_a_step),
      cmocka_unit_test(bad_requests_are_refused),
      cmocka_unit_test(limits_refuse),
      cmocka_unit_test(a_memory_limit_makes_them_wait),
      cmocka_unit_test(an_end_in_the_middle_cancels),
      cmocka_unit_test(idles_without_work),
      cmocka_unit_test(the_public_engine_waits_for_its_answer),
      cmocka_unit_test(turns_begin_where_the_template_says),
      cmocka_unit_test(a_crowd_answers_as_each_alone),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
