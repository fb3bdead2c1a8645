// engine, prefix cache: what is read once is not read again, and nobody can tell but by the counts.
#include "test.h"

#include "engines.h"

#include "kernels/kern.h"

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

static EngineParams cached(void) {
  EngineParams p = nano_params(&nano);
  p.cache_bytes = 64 << 20;
  p.ctx = 2048;
  return p;
}

// The same without a cache, in an engine of its own.
static void assert_as_without(Ask *a, size_t ctx) {
  EngineParams p = nano_params(&nano);
  p.ctx = ctx;
  Engine *e = engine_start(&p);
  Ask plain = ask_empty();
  plain.p = a->p;
  plain.guide = a->guide;
  plain.n_logprobs = a->n_logprobs;
  plain.n_choices = a->n_choices;
  ids_append(&plain.ids, a->ids.data, a->ids.len, NULL);
  ask_run(&plain, e);
  for (size_t i = 0; i < a->n_choices; i++) assert_same_answer(&a->out[i], &plain.out[i]);
  ask_free(&plain);
  engine_free(e);
}

static EngineStats stats_of(const Engine *e) {
  EngineStats s;
  engine_stats(e, &s);
  assert_int_equal(s.prompt_tokens, s.cached_tokens + s.read_tokens);
  return s;
}

// The prompt and the answer of `a`, and more behind them.
static Ask go_on(const Ask *a, uint32_t seed, size_t n) {
  Ask b = ask_ids(&nano, seed, n), all = ask_empty();
  ids_append(&all.ids, a->ids.data, a->ids.len, NULL);
  ids_append(&all.ids, a->out->taken.data, a->out->taken.len, NULL);
  ids_append(&all.ids, b.ids.data, b.ids.len, NULL);
  ask_free(&b);
  return all;
}

static void a_second_turn_reads_what_is_new(void **state) {
  (void)state;
  const EngineParams p = cached();
  Engine *e = engine_start(&p);
  Ask first = ask_ids(&nano, 1, 300);
  first.p.max_tokens = 30;
  ask_run(&first, e);
  assert_int_equal(first.out->result.cached_tokens, 0);
  Ask second = go_on(&first, 2, 40);
  ask_run(&second, e);
  // All but the token that was drawn last and never fed.
  assert_int_equal(second.out->result.cached_tokens, 300 + first.out->taken.len - 1);
  assert_int_equal(second.out->cached, second.out->result.cached_tokens);
  Ask third = go_on(&second, 3, 180); // over the next page's end
  ask_run(&third, e);
  assert_int_equal(third.out->result.cached_tokens, second.ids.len + second.out->taken.len - 1);
  assert_as_without(&second, p.ctx);
  assert_as_without(&third, p.ctx);
  const EngineStats s = stats_of(e);
  assert_int_equal(s.cache_hits, 2);
  assert_int_equal(s.cache_misses, 1);
  assert_int_equal(s.cached_tokens, second.out->cached + third.out->cached);
  ask_free(&first);
  ask_free(&second);
  ask_free(&third);
  engine_free(e);
}

static void the_same_prompt_again_reads_little(void **state) {
  (void)state;
  const EngineParams p = cached();
  Engine *e = engine_start(&p);
  Ask a = ask_ids(&nano, 1, 290), b = ask_ids(&nano, 1, 290), c = ask_ids(&nano, 1, 290);
  b.p.sampling.temperature = 1.3; // regenerated
  c.no_cache = true;
  ask_run(&a, e);
  ask_run(&b, e);
  ask_run(&c, e);
  assert_int_equal(b.out->cached, 289);
  assert_int_equal(c.out->cached, 0);
  assert_as_without(&b, p.ctx);
  assert_same_answer(a.out, c.out);
  ask_free(&a);
  ask_free(&b);
  ask_free(&c);
  engine_free(e);
}

// Without turns: every length, within a page and at its end, again and longer.
static void raw_prompts_of_any_length_hit(void **state) {
  (void)state;
  static const size_t lengths[] = {2, 20, 33, 255, 256, 257, 270, 512, 530};
  const EngineParams p = cached();
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    const size_t n = lengths[i];
    Engine *e = engine_start(&p);
    Ask a = ask_ids(&nano, 1, n), again = ask_ids(&nano, 1, n), longer = ask_ids(&nano, 1, n);
    Ask more = ask_ids(&nano, 9, 25);
    ids_append(&longer.ids, more.ids.data, more.ids.len, NULL);
    ask_run(&a, e);
    ask_run(&again, e);
    ask_run(&longer, e);
    Ask further = go_on(&longer, 10, 5);
    ask_run(&further, e);
    assert_int_equal(again.out->cached, n - 1);
    assert_true(longer.out->cached >= n - 1 && longer.out->cached <= n);
    assert_int_equal(further.out->cached, longer.ids.len + longer.out->taken.len - 1);
    assert_as_without(&again, p.ctx);
    assert_as_without(&longer, p.ctx);
    assert_as_without(&further, p.ctx);
    ask_free(&a);
    ask_free(&again);
    ask_free(&longer);
    ask_free(&more);
    ask_free(&further);
    engine_free(e);
  }
}

// Examples and then a question, with no mark between them: the second shows where they part.
static void the_third_of_a_kind_hits_the_fork(void **state) {
  (void)state;
  static const size_t shared[] = {40, 200, 256, 300, 600};
  const EngineParams p = cached();
  for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
    Engine *e = engine_start(&p);
    for (uint32_t k = 0; k < 3; k++) {
      Ask a = ask_ids(&nano, 1, shared[i]), question = ask_ids(&nano, 20 + k, 15);
      question.ids.data[0] = (int32_t)(40 + k); // they part here and not later
      ids_append(&a.ids, question.ids.data, question.ids.len, NULL);
      ask_run(&a, e);
      const size_t page = shared[i] / KERN_BLOCK * KERN_BLOCK;
      assert_int_equal(a.out->cached, k == 0 ? 0 : k == 1 ? page : shared[i]);
      assert_as_without(&a, p.ctx);
      ask_free(&a);
      ask_free(&question);
    }
    engine_free(e);
  }
}

#define SYSTEM                                                                                               \
  "{\"role\":\"system\",\"content\":\"You are a helpful assistant. Answer in short sentences, be polite, "   \
  "never guess, and say so when you do not know a thing that you are asked about.\"},"
#define USER(text) "{\"role\":\"user\",\"content\":\"" text "\"}"
#define SAYS(text) "{\"role\":\"assistant\",\"content\":\"" text "\"}"

static void chats_share_what_they_have_in_common(void **state) {
  (void)state;
  const EngineParams p = cached();
  Engine *e = engine_start(&p);
  Ask chats[] = {
      ask_text(&nano, "[" SYSTEM USER("What is the sky made of, and why is it blue today?") "]"),
      ask_text(&nano, "[" SYSTEM USER("Tell me a story about a cat.") "]"),           // the system prompt
      ask_text(&nano, "[" SYSTEM USER("Tell me a story about a dog and a cat.") "]"), // edited last message
      ask_text(&nano, "[" SYSTEM USER("Tell me a story about a cat.") "," SAYS("Once upon a time.") "," USER(
                          "Go on.") "]"),
      ask_text(&nano, "[" SYSTEM USER("Tell me a story about a cat.") "," SAYS("Once upon a time.") "," USER(
                          "Stop it!") "]"), // branches off in the third turn
  };
  size_t n = sizeof chats / sizeof *chats;
  for (size_t i = 0; i < n; i++) {
    ask_run(&chats[i], e);
    // What a branch can use: the beginning of the turn in which it differs.
    size_t want = 0;
    for (size_t k = 0; k < i; k++)
      for (size_t m = 0; m < chats[i].n_marks && m < chats[k].n_marks; m++)
        if (chats[i].marks[m] == chats[k].marks[m] &&
            !memcmp(chats[i].ids.data, chats[k].ids.data, chats[i].marks[m] * sizeof(int32_t)) &&
            chats[i].marks[m] > want)
          want = chats[i].marks[m];
    if (i) assert_true(want > 20);
    assert_true(chats[i].out->cached >= want);
    assert_true(chats[i].out->cached < chats[i].ids.len);
    assert_as_without(&chats[i], p.ctx);
  }
  assert_true(chats[4].out->cached > chats[1].ids.len - 10); // the turns before are all there
  for (size_t i = 0; i < n; i++) ask_free(&chats[i]);
  engine_free(e);
}

static void the_crowd_cannot_tell(void **state) {
  (void)state;
  static Ask alone[CROWD], crowd[2][CROWD];
  EngineParams p = nano_params(&nano);
  p.parallel = 6;
  Engine *e = engine_start(&p);
  for (unsigned i = 0; i < CROWD; i++) {
    alone[i] = ask_mixed(&nano, i);
    ask_submit(&alone[i], e);
  }
  for (unsigned i = 0; i < CROWD; i++) ask_wait(&alone[i]);
  engine_free(e);
  static const size_t chunks[] = {7, 64, 512};
  for (size_t k = 0; k < 3; k++) {
    p.chunk = chunks[k];
    p.cache_bytes = k == 1 ? 2 << 20 : 64 << 20; // the smaller one has to forget all the time
    e = engine_start(&p);
    for (unsigned round = 0; round < 2; round++) {
      for (unsigned i = 0; i < CROWD; i++) {
        crowd[round][i] = ask_mixed(&nano, i);
        crowd[round][i].n_choices = 1 + (i % 10 == 9);
        ask_submit(&crowd[round][i], e);
        Ask *doomed = &crowd[1][CROWD - 1 - i];
        if (round == 0 && i % 4 == 1) {
          *doomed = ask_mixed(&nano, i + 1);
          doomed->cancel_after = 1 + i % 3;
          ask_submit(doomed, e);
        }
      }
      for (unsigned i = 0; i < CROWD; i++) {
        ask_wait(&crowd[round][i]);
        assert_same_answer(crowd[round][i].out, alone[i].out);
        ask_free(&crowd[round][i]);
        if (round == 0 && i % 4 == 1) {
          ask_wait(&crowd[1][CROWD - 1 - i]);
          ask_free(&crowd[1][CROWD - 1 - i]);
        }
      }
    }
    const EngineStats s = stats_of(e);
    assert_true(s.cache_hits > CROWD / 2);
    assert_true(s.cache_bytes <= p.cache_bytes);
    if (k == 1) assert_true(s.cache_evicted > 0);
    engine_free(e);
  }
  for (unsigned i = 0; i < CROWD; i++) ask_free(&alone[i]);
}

// Several with one long prefix that come together: it is read once.
static void twins_wait_for_the_first(void **state) {
  (void)state;
  EngineParams p = cached();
  p.parallel = 8;
  Engine *e = engine_start(&p);
  Ask all[4];
  for (size_t i = 0; i < 4; i++) {
    Ask tail = ask_ids(&nano, (uint32_t)i + 10, 20);
    all[i] = ask_ids(&nano, 1, 2 * KERN_BLOCK);
    ids_append(&all[i].ids, tail.ids.data, 20, NULL);
    ask_free(&tail);
    ask_submit(&all[i], e);
  }
  for (size_t i = 0; i < 4; i++) ask_wait(&all[i]);
  const EngineStats s = stats_of(e);
  assert_int_equal(s.read_tokens, 2 * KERN_BLOCK + 4 * 20);
  for (size_t i = 0; i < 4; i++) {
    assert_as_without(&all[i], p.ctx);
    ask_free(&all[i]);
  }
  engine_free(e);
}

static void a_prepared_prompt_is_there(void **state) {
  (void)state;
  const EngineParams p = cached();
  Engine *e = engine_start(&p);
  zaya_error err = {0};
  Ask a = ask_ids(&nano, 1, 300), longer = ask_ids(&nano, 1, 330), other = ask_ids(&nano, 2, 290);
  assert_true(engine_prepare(e, a.ids.data, a.ids.len, NULL, 0, &err));
  engine_settle(e);
  ask_run(&longer, e);
  assert_int_equal(longer.out->cached, 300);
  assert_as_without(&longer, p.ctx);
  assert_true(engine_prepare(e, other.ids.data, other.ids.len, (size_t[]){100}, 1, &err));
  ask_run(&a, e);                       // comes first
  assert_int_equal(a.out->cached, 299); // the same prompt: all but its last token
  engine_settle(e);
  ask_run(&other, e);
  assert_int_equal(other.out->cached, 289);
  int32_t bad[3] = {1, -5, 2};
  assert_true(engine_prepare(e, bad, 3, NULL, 0, &err)); // a wrong guess is no failure
  engine_settle(e);
  for (uint32_t i = 0; i < 40; i++) assert_true(engine_prepare(e, a.ids.data + i, 260, NULL, 0, &err));
  ask_free(&a);
  ask_free(&longer);
  ask_free(&other);
  engine_free(e); // with work left
}

static void a_budget_is_kept(void **state) {
  (void)state;
  EngineParams p = cached();
  const StateShape shape = state_shape(nano.model->weights.config, KV_F16);
  const uint64_t cca = state_cca_floats(&shape) * sizeof(float);
  p.cache_bytes = 3 * (state_page_bytes(&shape) + cca);
  Engine *e = engine_start(&p);
  for (uint32_t i = 0; i < 6; i++) {
    Ask a = ask_ids(&nano, i, 270), b = ask_ids(&nano, i, 280);
    a.p.max_tokens = b.p.max_tokens = 4;
    ask_run(&a, e);
    assert_true(stats_of(e).cache_bytes <= p.cache_bytes);
    ask_run(&b, e); // the newest is still there
    assert_true(b.out->cached >= 256);
    ask_free(&a);
    ask_free(&b);
  }
  assert_true(stats_of(e).cache_evicted > 0);
  Ask old = ask_ids(&nano, 0, 270);
  old.p.max_tokens = 4;
  ask_run(&old, e);
  assert_int_equal(old.out->cached, 0);
  assert_as_without(&old, p.ctx);
  ask_free(&old);
  engine_free(e);
  p.cache_bytes = 1000; // holds nothing at all
  e = engine_start(&p);
  for (uint32_t i = 0; i < 2; i++) {
    Ask a = ask_ids(&nano, 1, 270);
    a.p.max_tokens = 4;
    ask_run(&a, e);
    assert_int_equal(a.out->cached, 0);
    ask_free(&a);
  }
  engine_free(e);
}

// A short prompt that comes behind long ones is answered before they are read, whatever the clock says.
static void a_short_prompt_overtakes_long_ones(void **state) {
  (void)state;
  EngineParams p = cached();
  p.parallel = 4;
  p.cache_bytes = 0;
  Engine *e = engine_start(&p);
  size_t clock = 0;
  Ask writer = ask_ids(&nano, 9, 10), longs[2], small = ask_ids(&nano, 5, 30);
  writer.p.max_tokens = 1000;
  writer.p.sampling.temperature = 1;
  size_t n_stops;
  const int32_t *stops = zaya_tokenizer_stops(nano.tok, &n_stops);
  zaya_bias never_end[8];
  for (size_t i = 0; i < n_stops && i < 8; i++) never_end[i] = (zaya_bias){.id = stops[i], .bias = -1e5};
  writer.p.sampling.bias = never_end, writer.p.sampling.n_bias = n_stops;
  writer.n_choices = 1;
  ask_submit(&writer, e); // so that prompts are read in chunks
  ask_wait_tokens(&writer, 1);
  for (uint32_t i = 0; i < 2; i++) {
    longs[i] = ask_ids(&nano, 20 + i, 500);
    longs[i].clock = &clock;
    longs[i].p.max_tokens = 3;
    ask_submit(&longs[i], e);
  }
  small.clock = &clock;
  small.p.max_tokens = 3;
  ask_submit(&small, e);
  ask_wait(&small);
  ask_wait(&longs[0]);
  ask_wait(&longs[1]);
  assert_int_equal(small.ended_at, 1);
  // Both long ones went on side by side: 64 rows a step, shared.
  assert_true(longs[0].out->readings >= 500 / 64 && longs[1].out->readings >= 500 / 64);
  ask_cancel(&writer);
  ask_wait(&writer);
  ask_free(&writer);
  ask_free(&small);
  ask_free(&longs[0]);
  ask_free(&longs[1]);
  engine_free(e);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_second_turn_reads_what_is_new),
      cmocka_unit_test(the_same_prompt_again_reads_little),
      cmocka_unit_test(raw_prompts_of_any_length_hit),
      cmocka_unit_test(the_third_of_a_kind_hits_the_fork),
      cmocka_unit_test(chats_share_what_they_have_in_common),
      cmocka_unit_test(twins_wait_for_the_first),
      cmocka_unit_test(a_prepared_prompt_is_there),
      cmocka_unit_test(a_budget_is_kept),
      cmocka_unit_test(a_short_prompt_overtakes_long_ones),
      cmocka_unit_test(the_crowd_cannot_tell),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
