// state: sequences that share pages, branch, go back, are saved and adopted, against sequences of their own.
#include "test.h"

#include "api/handles.h"
#include "kernels/kern.h"

#include <pthread.h>

#define NANO_DIR ZAYA_TEST_DATA "/../models/nano"

enum { CAP = 900 };

static zaya_model *model;
static size_t V;
static int32_t text[2 * CAP];

static int setup(void **state) {
  (void)state;
  zaya_error err = {0};
  model = zaya_model_open(NANO_DIR, &(zaya_model_params){.n_threads = 1}, &err);
  if (!model) fail_msg("%s", err.message);
  V = (size_t)zaya_model_get_info(model).vocab_size;
  uint32_t x = 7;
  for (size_t i = 0; i < 2 * CAP; i++) {
    x = x * 1664525u + 1013904223u;
    text[i] = (int32_t)((x >> 8) % (uint32_t)V);
  }
  return 0;
}

static int teardown(void **state) {
  (void)state;
  zaya_model_close(model);
  return 0;
}

static zaya_session *session(void) {
  zaya_error err = {0};
  zaya_session *s = zaya_session_new(model, CAP, &err);
  if (!s) fail_msg("%s", err.message);
  return s;
}

static void feed(zaya_session *s, const int32_t *ids, size_t n, float *logits) {
  zaya_error err = {0};
  if (!zaya_session_feed(s, ids, n, logits ? ZAYA_LOGITS_LAST : ZAYA_LOGITS_NONE, logits, &err))
    fail_msg("%s", err.message);
}

// Goes on as a sequence that has never shared anything.
static void assert_sound(const zaya_session *s) {
  zaya_error err = {0};
  zaya_text saved = {0}, want = {0};
  zaya_session *fresh = session();
  if (s->state->len) feed(fresh, s->state->ids, s->state->len, NULL);
  assert_true(zaya_session_save(s, &saved, &err));
  assert_true(zaya_session_save(fresh, &want, &err));
  assert_int_equal(saved.len, want.len);
  assert_memory_equal(saved.data, want.data, want.len);
  zaya_text_free(&saved);
  zaya_text_free(&want);
  zaya_session_free(fresh);
}

enum { N_SESSIONS = 6, N_OPS = 72 };

typedef struct Walk {
  zaya_session *s[N_SESSIONS];
  zaya_checkpoint *mark[N_SESSIONS];
  uint32_t x;
} Walk;

static size_t pick(Walk *w, size_t n) {
  w->x = w->x * 1664525u + 1013904223u;
  return (w->x >> 8) % n;
}

static void drop_session(Walk *w, size_t i) {
  zaya_session_free(w->s[i]);
  zaya_checkpoint_free(w->mark[i]);
  w->mark[i] = NULL;
}

static void one_op(Walk *w) {
  const size_t i = pick(w, N_SESSIONS), j = pick(w, N_SESSIONS), len = w->s[i]->state->len;
  zaya_error err = {0};
  switch (pick(w, 8)) {
  case 0:
    if (i == j) break;
    drop_session(w, j);
    w->s[j] = zaya_session_clone(w->s[i], &err);
    break;
  case 1:
    zaya_checkpoint_free(w->mark[i]);
    w->mark[i] = zaya_session_checkpoint(w->s[i], &err);
    break;
  case 2:
    if (w->mark[i]) zaya_session_rewind(w->s[i], w->mark[i], NULL); // refused where the tokens are others
    break;
  case 3:
    if (pick(w, 4) == 0) zaya_session_reset(w->s[i]);
    break;
  case 4: {
    zaya_text saved = {0};
    assert_true(zaya_session_save(w->s[i], &saved, &err));
    assert_true(zaya_session_load(w->s[j], saved.data, saved.len, &err));
    zaya_text_free(&saved);
    break;
  }
  default: {
    const size_t n = 1 + pick(w, pick(w, 3) ? 20 : 300);
    if (n <= CAP - len) feed(w->s[i], text + pick(w, CAP), n, NULL);
  }
  }
}

static void branches_do_not_touch_each_other(void **state) {
  (void)state;
  Walk w = {.x = 99};
  for (size_t i = 0; i < N_SESSIONS; i++) w.s[i] = session();
  for (size_t op = 0; op < N_OPS; op++) {
    one_op(&w);
    if (op % 12 == 11)
      for (size_t i = 0; i < N_SESSIONS; i++) assert_sound(w.s[i]);
  }
  for (size_t i = 0; i < N_SESSIONS; i++) drop_session(&w, i);
}

static void clones_share_until_they_write(void **state) {
  (void)state;
  zaya_session *a = session();
  feed(a, text, KERN_BLOCK + 40, NULL);
  zaya_session *b = zaya_session_clone(a, NULL);
  assert_ptr_equal(a->state->pages[0], b->state->pages[0]);
  assert_ptr_equal(a->state->pages[1], b->state->pages[1]);
  Page *shared = a->state->pages[1];
  feed(a, text, 5, NULL); // at the page's end: goes on in place
  assert_ptr_equal(a->state->pages[1], shared);
  feed(b, text + 9, 5, NULL); // no longer the end: copies
  assert_ptr_not_equal(b->state->pages[1], shared);
  assert_ptr_equal(b->state->pages[0], a->state->pages[0]);
  assert_sound(a);
  assert_sound(b);
  zaya_checkpoint *mark = zaya_session_checkpoint(a, NULL);
  feed(a, text, 5, NULL);
  zaya_session *c = zaya_session_clone(a, NULL);
  assert_true(zaya_session_rewind(a, mark, NULL)); // c holds what comes behind
  feed(a, text + 30, 3, NULL);
  assert_ptr_not_equal(a->state->pages[1], c->state->pages[1]);
  assert_sound(a);
  assert_sound(c);
  zaya_checkpoint_free(mark);
  zaya_session_free(a);
  zaya_session_free(b);
  zaya_session_free(c);
}

// Marks inside a span hand out what a session that stops there holds; adopting it continues bitwise.
static void marks_are_the_states_in_between(void **state) {
  (void)state;
  enum { START = 3, SPAN = 500 };
  static const size_t after[] = {1, 2, 77, 253, 254, 499, 500};
  enum { N = sizeof after / sizeof *after };
  zaya_session *s = session();
  const size_t floats = state_cca_floats(&s->state->shape);
  float *cca = malloc(N * floats * sizeof *cca);
  SpanMark marks[N];
  for (size_t i = 0; i < N; i++) marks[i] = (SpanMark){.after = after[i], .cca = cca + i * floats};
  feed(s, text, START, NULL);
  zaya_error err = {0};
  const Span span = {.state = s->state, .ids = text + START, .n = SPAN, .marks = marks, .n_marks = N};
  if (!forward_step(&model->forward, &span, 1, (Trace){0}, &err)) fail_msg("%s", err.message);
  for (size_t i = 0; i < N; i++) {
    const size_t len = START + after[i];
    zaya_session *part = session();
    feed(part, text, i % 2 ? len / 2 : 0, NULL); // a part of its own, which is replaced from its last page on
    const size_t first = part->state->len / KERN_BLOCK, at = first * KERN_BLOCK;
    state_adopt(part->state, first, s->state->pages + first, text + at, len - at, marks[i].cca);
    assert_int_equal(part->state->len, len);
    assert_sound(part);
    feed(part, text + 700, 10, NULL);
    assert_sound(part);
    zaya_session_free(part);
  }
  assert_sound(s);
  free(cca);
  zaya_session_free(s);
}

// Clones in several threads at once: for the thread sanitizer above all.
static void *branch_main(void *arg) {
  zaya_session *s = arg;
  for (int i = 0; i < 20; i++) {
    zaya_error err = {0};
    zaya_session *b = zaya_session_clone(s, &err);
    feed(b, text + 11 * i, 7, NULL);
    feed(s, text + 5 * i, 3, NULL);
    zaya_session_free(b);
  }
  return NULL;
}

static void threads_may_branch(void **state) {
  (void)state;
  pthread_t threads[3];
  zaya_session *s[3] = {session()};
  feed(s[0], text, 300, NULL);
  for (int i = 1; i < 3; i++) s[i] = zaya_session_clone(s[0], NULL);
  for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, branch_main, s[i]), 0);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(s[i]->state->len, 360);
    assert_sound(s[i]);
    zaya_session_free(s[i]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(clones_share_until_they_write),
      cmocka_unit_test(branches_do_not_touch_each_other),
      cmocka_unit_test(marks_are_the_states_in_between),
      cmocka_unit_test(threads_may_branch),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
