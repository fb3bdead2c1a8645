// turn: budget, parser and constraint in step. The tokenizer is a list of pieces, the model a script or a
// random choice; thinking tags are one token in one vocabulary and several in the other.
#include "test.h"

#include "base/buf.h"
#include "collect.h"
#include "text/turn.h"

// --- a tokenizer ---------------------------------------------------------------------------------

#define COMMON                                                                                               \
  "<end>", "a", "b", "so", " ", "\n", "\n\n", "<", ">", "</", "think", "</th", "ink>", ">\n", ">\n\n{", "{", \
      "}", "1", "<th", ".</", "x</think", "ink>{", "ink>a", " note", "<zyphra_tool_call>",                   \
      "</zyphra_tool_call>", "<function=", "</function>", "f", "\xE2", "\x82\xAC", "", "/", "t", "h", "i",   \
      "n", "k", "ink><think>", "zyphra_tool_call>", "function=", "function>", "unction=", "unction>"

static const char *const several[] = {COMMON, NULL}; // "</think>" is "</", "think", ">"
static const char *const one[] = {COMMON, "<think>", "</think>", NULL};
enum { END = 0, VOCAB_MAX = 64 };

typedef const char *const *Vocab;

static int32_t vocab_size(Vocab v) {
  int32_t n = 0;
  while (v[n]) n++;
  return n;
}

static int32_t id_of(Vocab v, const char *piece) {
  for (int32_t i = 0; v[i]; i++)
    if (!strcmp(v[i], piece)) return i;
  fail_msg("no token \"%s\"", piece);
  return -1;
}

// The longest piece, but for those that cut a tag in an odd place: only a model writes them. As with BPE,
// what comes before matters: "think" at the beginning of a text is letters.
static bool encode(void *user, const char *text, size_t n, zaya_ids *out, zaya_error *err) {
  Vocab v = user;
  for (const char *begin = text; n;) {
    int32_t best = -1;
    size_t len = 0;
    for (int32_t i = 1; v[i]; i++) {
      size_t k = strlen(v[i]);
      if (text == begin && !strcmp(v[i], "think")) continue;
      bool odd = strstr(v[i], "</th") || strstr(v[i], "ink>") || strstr(v[i], ">\n") || !strcmp(v[i], "<th");
      bool tag = !strcmp(v[i], "<think>") || !strcmp(v[i], "</think>");
      if (k > len && k <= n && !memcmp(v[i], text, k) && (!odd || tag)) best = i, len = k;
    }
    if (best < 0) fail_msg("cannot encode \"%s\"", text);
    if (!ids_add(out, best, err)) return false;
    text += len;
    n -= len;
  }
  return true;
}

// --- a constraint: the answer is one of these texts ----------------------------------------------

typedef struct Choice {
  Vocab vocab;
  const char *const *texts; // NULL behind the last
  char done[64];
} Choice;

static bool choice_fits(const Choice *c, const char *more, size_t n, bool whole) {
  size_t len = strlen(c->done);
  for (size_t i = 0; c->texts[i]; i++) {
    const char *t = c->texts[i];
    if (strlen(t) >= len + n && !memcmp(t, c->done, len) && !memcmp(t + len, more, n) &&
        (!whole || !t[len + n]))
      return true;
  }
  return false;
}

static bool choice_mask(void *state, uint32_t *bits, size_t n_words, zaya_error *err) {
  (void)err;
  Choice *c = state;
  memset(bits, 0, n_words * sizeof *bits);
  for (int32_t i = 1; c->vocab[i]; i++)
    if (c->vocab[i][0] && choice_fits(c, c->vocab[i], strlen(c->vocab[i]), false)) mask_set(bits, i);
  return true;
}

static bool choice_bytes(void *state, const char *p, size_t n, zaya_error *err) {
  Choice *c = state;
  if (!choice_fits(c, p, n, false) || strlen(c->done) + n >= sizeof c->done) {
    if (err) err->status = ZAYA_E_INVALID;
    return false;
  }
  memcpy(c->done + strlen(c->done), p, n); // the rest is zero
  return true;
}

static bool choice_accept(void *state, int32_t id, zaya_error *err) {
  Choice *c = state;
  return choice_bytes(c, c->vocab[id], strlen(c->vocab[id]), err);
}

static bool choice_can_end(const void *state) { return choice_fits(state, "", 0, true); }

static void *choice_clone(const void *state, zaya_error *err) {
  (void)err;
  Choice *copy = malloc(sizeof *copy);
  memcpy(copy, state, sizeof *copy);
  return copy;
}

static const ConstraintOps choice_ops = {"choice",       choice_mask,  choice_accept, choice_bytes,
                                         choice_can_end, choice_clone, free};

static Constraint choice(Vocab v, const char *const *texts) {
  Choice *c = calloc(1, sizeof *c);
  c->vocab = v;
  c->texts = texts;
  return (Constraint){&choice_ops, c};
}

// --- a run -----------------------------------------------------------------------------------------

typedef struct Run {
  Vocab vocab;
  Turn *turn;
  Collect events;
  Buf text; // all bytes
  zaya_error err;
} Run;

static const int32_t ends[] = {END};

static void begin(Run *r, Vocab v, TurnParams p) {
  *r = (Run){.vocab = v};
  collect_reset(&r->events);
  p.fn = collect_event;
  p.user = &r->events;
  p.encode = encode;
  p.encode_user = (void *)v;
  p.end_ids = ends;
  p.n_end_ids = 1;
  r->turn = turn_new(&p, &r->err);
  if (!r->turn) fail_msg("%s", r->err.message);
}

static void take(Run *r, int32_t id) {
  const char *piece = r->vocab[id];
  if (!turn_accept(r->turn, id, piece, strlen(piece), &r->err)) fail_msg("\"%s\": %s", piece, r->err.message);
  if (!turn_ended(r->turn)) buf_puts(&r->text, piece, NULL);
}

static TurnStep step(Run *r) {
  TurnStep s;
  if (!turn_step(r->turn, &s, &r->err)) fail_msg("%s", r->err.message);
  return s;
}

// Takes what is forced; returns it as text.
static const char *forced(Run *r) {
  static char text[256];
  size_t from = r->text.len;
  while (step(r).forced) take(r, step(r).id);
  snprintf(text, sizeof text, "%s", r->text.len ? r->text.data + from : "");
  return text;
}

// The model says these tokens ('|' between them); none may be forced before one of them.
static void say(Run *r, const char *tokens) {
  char list[512];
  snprintf(list, sizeof list, "%s", tokens);
  for (char *p = list, *end; p; p = end) {
    end = strchr(p, '|');
    if (end) *end++ = '\0';
    assert_false(step(r).forced);
    int32_t id = id_of(r->vocab, p);
    bool ok;
    assert_true(turn_allows(r->turn, id, p, strlen(p), &ok, &r->err));
    if (!ok) fail_msg("\"%s\" is refused", p);
    take(r, id);
  }
}

static bool masked(Run *r, int32_t id) {
  uint32_t bits[MASK_WORDS(VOCAB_MAX)];
  if (!step(r).masked) return false;
  if (!turn_mask(r->turn, bits, MASK_WORDS(VOCAB_MAX), &r->err)) fail_msg("%s", r->err.message);
  return !mask_get(bits, id);
}

static bool refused(Run *r, const char *piece) {
  bool ok;
  assert_true(turn_allows(r->turn, id_of(r->vocab, piece), piece, strlen(piece), &ok, &r->err));
  return !ok;
}

static void finish(Run *r, const char *events) {
  if (!turn_end(r->turn, !turn_ended(r->turn), &r->err)) fail_msg("%s", r->err.message);
  if (events) assert_string_equal(r->events.log, events);
  zaya_output_counts k = turn_output_counts(r->turn);
  assert_int_equal(k.fed, r->text.len);
  turn_free(r->turn);
  collect_free(&r->events);
  buf_free(&r->text);
}

static TurnParams budget(size_t limit) {
  return (TurnParams){.out = {.thinking = true}, .thinking = {.has_limit = true, .limit = limit}};
}

// --- the budget ------------------------------------------------------------------------------------

static void hard_limit_closes_with_the_real_tokens(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    Run r;
    begin(&r, i ? one : several, budget(3));
    say(&r, "so|a|b");
    assert_string_equal(forced(&r), "\n</think>\n\n");
    zaya_turn_counts k = turn_counts(r.turn);
    assert_int_equal(k.thinking, 3);
    assert_int_equal(k.forced, i ? 3 : 5); // newline, tag, newlines
    assert_int_equal(k.answer, 0);
    assert_true(k.cut);
    // Never an empty answer: the end is masked until something visible was said.
    assert_true(masked(&r, END) && !step(&r).end_allowed);
    say(&r, " ");
    assert_true(masked(&r, END));
    assert_false(turn_accept(r.turn, END, "", 0, NULL));
    say(&r, "b");
    assert_false(masked(&r, END));
    take(&r, END);
    assert_int_equal(turn_counts(r.turn).answer, 2);
    finish(&r, "R0(soab) D0 C( b) .");
  }
}

static void notes_are_said_before_a_hard_cut(void **state) {
  (void)state;
  TurnParams p = budget(1);
  p.thinking.note = "\n\n note";
  Run r;
  begin(&r, several, p);
  say(&r, "so");
  assert_string_equal(forced(&r), "\n\n note\n</think>\n\n");
  finish(&r, "R0(so\n\n note) D0 .");
  // Not where nothing was thought, nor where the thoughts end with a line.
  p.thinking.limit = 0;
  begin(&r, several, p);
  assert_string_equal(forced(&r), "</think>\n\n");
  finish(&r, ".");
  p = budget(2);
  begin(&r, one, p);
  say(&r, "so|\n");
  assert_string_equal(forced(&r), "</think>\n\n");
  finish(&r, "R0(so) D0 .");
  p.thinking.note = "a</think>";
  p.encode = encode;
  p.fn = collect_event;
  assert_null(turn_new(&p, NULL));
}

static void tags_being_written_are_finished(void **state) {
  (void)state;
  Run r;
  begin(&r, several, budget(2)); // with the tag's own tokens
  say(&r, "so|</");
  assert_true(step(&r).forced);
  assert_int_equal(step(&r).id, id_of(several, "think"));
  assert_string_equal(forced(&r), "think>\n\n");
  finish(&r, "R0(so) D0 .");
  begin(&r, several, budget(2)); // the tag begins inside a token
  say(&r, "so|.</");
  assert_string_equal(forced(&r), "think>\n\n");
  finish(&r, "R0(so.) D0 .");
  begin(&r, several, budget(2)); // other tokens than the tag's own
  say(&r, "so|</th");
  assert_string_equal(forced(&r), "ink>\n\n");
  finish(&r, "R0(so) D0 .");
  begin(&r, several, budget(2)); // all but its last byte
  say(&r, "so|x</think");
  assert_string_equal(forced(&r), ">\n\n");
  finish(&r, "R0(sox) D0 .");
  // A tag that is one token is given whole; what only looks like its beginning is reasoning.
  begin(&r, one, budget(2));
  say(&r, "so|</th");
  assert_string_equal(forced(&r), "\n</think>\n\n");
  finish(&r, "R0(so</th) D0 .");
  // The beginning of an opening tag is none of a closing one.
  begin(&r, several, budget(2));
  say(&r, "so|<th");
  assert_string_equal(forced(&r), "\n</think>\n\n");
  finish(&r, "R0(so<th) D0 .");
}

static void models_that_close_in_time_are_left_alone(void **state) {
  (void)state;
  Run r;
  begin(&r, several, budget(4)); // at the very step of the limit
  say(&r, "so|</|think|>");
  assert_false(step(&r).forced);
  assert_false(turn_counts(r.turn).cut);
  assert_true(masked(&r, END));
  say(&r, "\n\n|a");
  assert_false(masked(&r, END));
  take(&r, END);
  assert_int_equal(turn_counts(r.turn).thinking, 4);
  finish(&r, "R0(so) D0 C(a) .");
  begin(&r, several, budget(2)); // and goes on in the same token
  say(&r, "so|</th");
  assert_string_equal(forced(&r), "ink>\n\n");
  finish(&r, NULL);
  begin(&r, several, budget(3));
  say(&r, "so|</th|ink>a");
  assert_int_equal(turn_counts(r.turn).answer, 0);
  assert_false(masked(&r, END));
  finish(&r, "R0(so) D0 C(a) .");
}

static void budget_0_forbids_thinking(void **state) {
  (void)state;
  Run r;
  begin(&r, one, budget(0));
  assert_string_equal(forced(&r), "</think>\n\n"); // the prompt had "<think>\n": as the template renders it
  assert_int_equal(turn_counts(r.turn).thinking, 0);
  say(&r, "a");
  finish(&r, "C(a) .");
  // Not opened by the prompt: the model may begin a block, which is closed at once, and no other.
  TurnParams p = budget(0);
  p.out.thinking = false;
  begin(&r, one, p);
  assert_false(step(&r).masked);
  say(&r, "<think>");
  assert_string_equal(forced(&r), "\n</think>\n\n");
  assert_true(masked(&r, id_of(one, "<think>")));
  assert_true(refused(&r, "<think>"));
  say(&r, "a");
  assert_true(masked(&r, id_of(one, "<think>")));
  finish(&r, "C(a) .");
  // No thinking at all: nothing is forced, and the model may even say nothing.
  begin(&r, one, p);
  assert_false(masked(&r, END));
  say(&r, "a");
  take(&r, END);
  finish(&r, "C(a) .");
}

static void blocks_opened_again_do_not_outlive_the_budget(void **state) {
  (void)state;
  Run r;
  begin(&r, several, budget(5));
  say(&r, "so|</|think|>|a|<|think|>|b"); // a second block: one token left
  zaya_turn_counts k = turn_counts(r.turn);
  assert_int_equal(k.thinking, 4 + 3 + 1); // the opening tag is thinking, and costs no budget
  assert_int_equal(k.answer, 1);
  assert_string_equal(forced(&r), "\n</think>\n\n");
  say(&r, "a|<|think");
  assert_true(refused(&r, ">") && refused(&r, ">\n"));
  say(&r, "a");
  assert_false(refused(&r, "<"));
  // An engine that does not ask: closed at once all the same.
  take(&r, id_of(several, "<"));
  take(&r, id_of(several, "think"));
  take(&r, id_of(several, ">"));
  assert_string_equal(forced(&r), "\n</think>\n\n");
  take(&r, END);
  finish(&r, "R0(so) D0 C(a) R1(b) D1 C(\n\na<thinka) .");
}

// A token that closes the block and opens the next one.
static void blocks_that_touch(void **state) {
  (void)state;
  Run r;
  begin(&r, several, budget(3));
  say(&r, "so|</th|ink><think>");
  assert_string_equal(forced(&r), "\n</think>\n\n");
  assert_int_equal(turn_counts(r.turn).thinking, 3);
  finish(&r, "R0(so) D0 .");
  TurnParams p = {.out = {.thinking = true, .verbatim = true},
                  .constraint = choice(several, (const char *[]){"a", NULL})};
  begin(&r, several, p);
  say(&r, "so|</th");
  assert_true(refused(&r, "ink><think>"));
  say(&r, "ink>");
  finish(&r, NULL);
}

static void blank_answers_end(void **state) {
  (void)state;
  Run r;
  begin(&r, several, budget(0));
  forced(&r);
  for (int i = 0; i < 8; i++) say(&r, " ");
  assert_true(refused(&r, " ") && refused(&r, "\n\n"));
  say(&r, "|<|a| "); // bytes still to come, and text
  finish(&r, "C(        <a ) .");
}

static void the_end_waits_for_the_budget(void **state) {
  (void)state;
  Run r;
  begin(&r, several, budget(3));
  say(&r, "so");
  assert_true(masked(&r, END)); // an answer must follow
  finish(&r, "R0(so) T0 .");
  TurnParams free_to_think = {.out = {.thinking = true}};
  begin(&r, several, free_to_think);
  assert_false(step(&r).masked);
  take(&r, END);
  finish(&r, ".");
}

static void soft_limit_encourages(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    Vocab v = i ? one : several;
    TurnParams p = {.out = {.thinking = true}, .thinking = {.has_soft_limit = true, .soft_limit = 2}};
    Run r;
    begin(&r, v, p);
    say(&r, "so");
    assert_false(step(&r).encourage);
    say(&r, "a");
    TurnStep s = step(&r);
    assert_true(s.encourage && !s.forced);
    assert_int_equal(s.close_id, id_of(v, i ? "</think>" : "</"));
    assert_true(s.min_prob > 0);
    say(&r, "b|<");
    assert_false(step(&r).encourage); // a tag may be under way
    say(&r, "b");
    assert_true(step(&r).encourage);
    assert_true(turn_close(r.turn, &r.err) && turn_close(r.turn, &r.err));
    assert_string_equal(forced(&r), "</think>\n\n");
    assert_true(masked(&r, END));
    assert_false(turn_close(r.turn, NULL));
    say(&r, "a");
    assert_false(masked(&r, END));
    finish(&r, "R0(soab<b) D0 C(a) .");
  }
}

static void likely_tokens(void **state) {
  (void)state;
  static const float probs[] = {0.5f, 0.2f, 0.2f, 0.06f, 0.04f};
  assert_true(turn_likely(probs, 5, 3, 0.05f, 0));
  assert_false(turn_likely(probs, 5, 4, 0.05f, 0));
  assert_true(turn_likely(probs, 5, 4, 0.05f, 5));
  assert_false(turn_likely(probs, 5, 4, 0, 4));
  assert_true(turn_likely(probs, 5, 2, 0, 2)); // as likely as the second
  assert_false(turn_likely(probs, 5, 1, 0, 1));
  assert_true(turn_likely(probs, 5, 0, 0, 1));
  assert_false(turn_likely(probs, 5, 0, 0, 0));
  assert_false(turn_likely(probs, 5, 5, 0.01f, 5) || turn_likely(probs, 5, -1, 0.01f, 5));
}

static void budgets_leave_room_in_a_limited_turn(void **state) {
  (void)state;
  TurnParams p = budget(1000);
  p.max_tokens = 40; // 4 for the cut ("</", "think", ">", "\n\n"), 11 for the answer
  Run r;
  begin(&r, several, p);
  for (int i = 0; i < 25; i++) say(&r, "a");
  assert_string_equal(forced(&r), "\n</think>\n\n");
  finish(&r, NULL);
  p.max_tokens = 3;
  begin(&r, several, p);
  assert_string_equal(forced(&r), "</think>\n\n");
  finish(&r, ".");
}

static void forced_tokens_must_come(void **state) {
  (void)state;
  Run r;
  begin(&r, several, budget(0));
  assert_true(step(&r).forced);
  uint32_t bits[2];
  assert_false(turn_mask(r.turn, bits, 2, NULL));
  zaya_error err = {0};
  assert_false(turn_accept(r.turn, id_of(several, "a"), "a", 1, &err));
  assert_non_null(strstr(err.message, "is forced"));
  finish(&r, NULL);
}

// --- with a constraint -----------------------------------------------------------------------------

static const char *const object[] = {"{1}", "{}", NULL};

static void constraints_start_after_the_thinking(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    Vocab v = i ? one : several;
    TurnParams p = {.out = {.thinking = true, .verbatim = true}, .constraint = choice(v, object)};
    Run r;
    begin(&r, v, p);
    assert_true(masked(&r, END));
    assert_false(masked(&r, id_of(v, "a")));
    assert_false(step(&r).constrained);
    say(&r, i ? "so|</think>" : "so|</|think|>");
    assert_string_equal(forced(&r), "\n\n"); // the mask would keep the model from its own
    assert_true(step(&r).constrained);
    assert_true(masked(&r, id_of(v, "a")) && masked(&r, END) && !masked(&r, id_of(v, "{")));
    say(&r, "{");
    assert_false(turn_accept(r.turn, END, "", 0, NULL));
    say(&r, "}");
    assert_true(step(&r).end_allowed);
    take(&r, END);
    finish(&r, "R0(so) D0 C({}) .");
  }
}

static void tokens_that_end_the_thinking_and_go_on(void **state) {
  (void)state;
  Run r;
  TurnParams p = {.out = {.thinking = true, .verbatim = true}, .constraint = choice(several, object)};
  begin(&r, several, p);
  say(&r, "so|</th");
  assert_true(refused(&r, "ink>a"));
  assert_false(refused(&r, "ink>{"));
  say(&r, "ink>{");
  assert_true(step(&r).constrained);
  say(&r, "1|}");
  take(&r, END);
  finish(&r, "R0(so) D0 C({1}) .");
  p.constraint = choice(several, object);
  begin(&r, several, p);
  say(&r, "</|think|>\n\n{|}");
  finish(&r, "C({}) .");
  p.constraint = choice(several, object);
  begin(&r, several, p);
  say(&r, "</|think|>\n");
  assert_string_equal(forced(&r), "\n"); // the second one
  finish(&r, ".");
}

static void cuts_and_constraints_stay_in_step(void **state) {
  (void)state;
  TurnParams p = budget(2);
  p.out.verbatim = true;
  p.constraint = choice(several, object);
  Run r;
  begin(&r, several, p);
  say(&r, "so|</th");
  assert_string_equal(forced(&r), "ink>\n\n");
  say(&r, "{|1|}");
  take(&r, END);
  finish(&r, "R0(so) D0 C({1}) .");
}

static void constrained_models_may_think_first(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    Vocab v = i ? one : several;
    TurnParams p = {.out = {.verbatim = true}, .may_think = true, .constraint = choice(v, object)};
    Run r;
    begin(&r, v, p);
    assert_false(masked(&r, id_of(v, i ? "<think>" : "<")) || masked(&r, id_of(v, "{")));
    assert_true(masked(&r, id_of(v, "a")) && masked(&r, END));
    if (!i) {
      say(&r, "<");
      assert_true(masked(&r, id_of(v, "{")) && !masked(&r, id_of(v, "think")));
      say(&r, "think|>");
    } else {
      say(&r, "<think>");
    }
    assert_false(step(&r).constrained);
    say(&r, i ? "a|</think>" : "a|</|think|>");
    assert_string_equal(forced(&r), "\n\n");
    assert_true(masked(&r, id_of(v, i ? "<think>" : "<")));
    say(&r, "{|}");
    finish(&r, "R0(a) D0 C({}) .");
    // Or answer at once.
    p.constraint = choice(v, object);
    begin(&r, v, p);
    say(&r, "{");
    assert_true(masked(&r, id_of(v, i ? "<think>" : "<")));
    say(&r, "}");
    finish(&r, "C({}) .");
    // Unless thinking is forbidden.
    p.constraint = choice(v, object);
    p.thinking = (Thinking){.has_limit = true};
    begin(&r, v, p);
    assert_true(masked(&r, id_of(v, i ? "<think>" : "<")));
    finish(&r, ".");
  }
}

// The constraint itself allows texts that begin like the tag.
static void answers_that_look_like_thinking(void **state) {
  (void)state;
  static const char *const texts[] = {"<tha", "<think", "<", "<think>{}", NULL};
  static const struct {
    const char *said, *events;
  } cases[] = {{"<|think", "C(<think) ."}, {"<th|a", "C(<tha) ."}, {"<", "C(<) ."}, {"<|think|>", "."}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    TurnParams p = {.out = {.verbatim = true}, .may_think = true, .constraint = choice(several, texts)};
    Run r;
    begin(&r, several, p);
    say(&r, cases[i].said);
    bool thinking = turn_thinking(r.turn);
    assert_int_equal(thinking, i == 3);
    assert_int_equal(masked(&r, END), thinking);
    if (!thinking) take(&r, END);
    finish(&r, cases[i].events);
  }
}

static void constrained_tool_calls_are_parsed(void **state) {
  (void)state;
  static const char *const call[] = {"<zyphra_tool_call><function=f></function></zyphra_tool_call>", NULL};
  TurnParams p = budget(1);
  p.constraint = choice(several, call);
  Run r;
  begin(&r, several, p);
  say(&r, "so");
  assert_string_equal(forced(&r), "\n</think>\n\n");
  say(&r, "<zyphra_tool_call>|<function=|f|>|</function>|</zyphra_tool_call>");
  take(&r, END);
  finish(
      &r,
      "R0(so) D0 K0(f) A0({}) E0(f|0|0|{}|<zyphra_tool_call><function=f></function></zyphra_tool_call>) .");
}

#define EMPTY_CALL "<zyphra_tool_call><function=f></function></zyphra_tool_call>"
static const char *const call_or_object[] = {"{}", "{1}", EMPTY_CALL, NULL};

// Calls or data: whichever begins behind the thinking, or without any, is what comes.
static void calls_or_data_behind_the_thinking(void **state) {
  (void)state;
  for (int thinks = 0; thinks < 3; thinks++) // the prompt opens a block; the model does; nobody does
    for (int calls = 0; calls < 2; calls++) {
      TurnParams p = {.out = {.verbatim = true, .or_calls = true, .thinking = thinks == 0},
                      .may_think = true,
                      .constraint = choice(several, call_or_object)};
      Run r;
      begin(&r, several, p);
      if (thinks == 1) say(&r, "<|think|>");
      if (thinks < 2) {
        say(&r, "so|</|think|>");
        assert_string_equal(forced(&r), "\n\n");
      }
      if (calls) {
        assert_true(masked(&r, END));
        say(&r, "<zyphra_tool_call>");
        assert_true(masked(&r, END));
        say(&r, "<function=|f|>|</function>|</zyphra_tool_call>");
      } else {
        say(&r, "{|}");
      }
      take(&r, END);
      Buf want = {0};
      buf_printf(&want, NULL, "%s%s.", thinks < 2 ? "R0(so) D0 " : "",
                 calls ? "K0(f) A0({}) E0(f|0|0|{}|" EMPTY_CALL ") " : "C({}) ");
      finish(&r, want.data);
      buf_free(&want);
    }
}

// A limit falls where the model has written most of an opening tag of several tokens.
static void a_limit_inside_an_opening_tag_shows_nothing_of_it(void **state) {
  (void)state;
  for (int constrained = 0; constrained < 2; constrained++) {
    TurnParams p = {.out = {.verbatim = constrained}, .may_think = true};
    if (constrained) p.constraint = choice(several, object);
    Run r;
    begin(&r, several, p);
    say(&r, "<|think");
    finish(&r, ".");
  }
}

static void answers_must_meet_their_constraint(void **state) {
  (void)state;
  for (int cut = 0; cut < 2; cut++) {
    TurnParams p = {.out = {.verbatim = true}, .constraint = choice(several, object)};
    Run r;
    begin(&r, several, p);
    say(&r, "{");
    assert_int_equal(turn_end(r.turn, cut, &r.err), cut);
    if (!cut) assert_non_null(strstr(r.err.message, "choice"));
    assert_string_equal(r.events.log, "C({) .");
    turn_free(r.turn);
    collect_free(&r.events);
    buf_free(&r.text);
  }
  // One that no token can meet.
  static const char *const never[] = {"?", NULL};
  TurnParams p = {.out = {.verbatim = true}, .constraint = choice(several, never)};
  Run r;
  begin(&r, several, p);
  uint32_t bits[2];
  assert_false(turn_mask(r.turn, bits, 2, &r.err));
  assert_non_null(strstr(r.err.message, "no token can meet"));
  finish(&r, ".");
  // One that is met by nothing visible ends, rather than never.
  static const char *const nothing[] = {" ", NULL};
  p = budget(0);
  p.out.verbatim = true;
  p.constraint = choice(several, nothing);
  begin(&r, several, p);
  forced(&r);
  say(&r, " ");
  assert_false(masked(&r, END));
  take(&r, END);
  finish(&r, "C( ) .");
}

// --- any model -------------------------------------------------------------------------------------

static uint32_t next_random(uint32_t *seed) {
  *seed ^= *seed << 13;
  *seed ^= *seed >> 17;
  return *seed ^= *seed << 5;
}

static const char *const anything[] = {"{1}", "{}", "<think>{}", "<a", " ", NULL};

static TurnParams random_params(Vocab v, uint32_t *seed) {
  TurnParams p = {0};
  p.out.thinking = next_random(seed) % 2;
  p.may_think = next_random(seed) % 2;
  p.thinking.has_limit = next_random(seed) % 3 > 0;
  p.thinking.limit = next_random(seed) % 12;
  p.thinking.has_soft_limit = next_random(seed) % 3 == 0;
  p.thinking.soft_limit = next_random(seed) % 8;
  if (next_random(seed) % 3 == 0) p.thinking.note = next_random(seed) % 2 ? " note" : "\n so\n";
  if (next_random(seed) % 4 == 0) p.max_tokens = 1 + next_random(seed) % 60;
  if (next_random(seed) % 2) {
    p.out.verbatim = true;
    p.out.or_calls = next_random(seed) % 2;
    p.constraint = choice(v, p.out.or_calls ? call_or_object : next_random(seed) % 2 ? object : anything);
  }
  return p;
}

// A token that may come next; tags are what it likes best.
static int32_t choose(Run *r, TurnStep s, uint32_t *seed) {
  static const char *const liked[] = {
      "<", "</", "think", ">", "</th", "ink>", "<think>", "</think>", "{", "}", "<zyphra_tool_call>"};
  uint32_t bits[MASK_WORDS(VOCAB_MAX)];
  memset(bits, 0xFF, sizeof bits);
  if (s.masked && !turn_mask(r->turn, bits, MASK_WORDS(VOCAB_MAX), &r->err)) fail_msg("%s", r->err.message);
  int32_t n = vocab_size(r->vocab);
  for (int tries = 0; tries < 10000; tries++) {
    int32_t id = (int32_t)(next_random(seed) % (uint32_t)n);
    if (next_random(seed) % 2) {
      const char *piece = liked[next_random(seed) % (sizeof liked / sizeof liked[0])];
      for (int32_t i = 0; i < n; i++)
        if (!strcmp(r->vocab[i], piece)) id = i;
    }
    bool ok;
    if (!mask_get(bits, id)) continue;
    if (!turn_allows(r->turn, id, r->vocab[id], strlen(r->vocab[id]), &ok, &r->err))
      fail_msg("%s", r->err.message);
    if (ok) return id;
  }
  fail_msg("no token is allowed behind \"%s\"", r->text.data ? r->text.data : "");
  return -1;
}

static void random_turn(uint32_t seed) {
  Vocab v = next_random(&seed) % 2 ? one : several;
  TurnParams p = random_params(v, &seed);
  Run r;
  begin(&r, v, p);
  size_t tokens = 0, chosen_thinking = 0;
  bool cut_before = false;
  for (; tokens < 80 && !turn_ended(r.turn); tokens++) {
    TurnStep s = step(&r);
    if (!s.forced && s.encourage && next_random(&seed) % 2) {
      assert_true(turn_close(r.turn, &r.err));
      s = step(&r);
      assert_true(s.forced);
    }
    if (turn_thinking(r.turn) && !s.forced) chosen_thinking++;
    take(&r, s.forced ? s.id : choose(&r, s, &seed));
    // Nothing is forced for ever, and the budget holds.
    if (p.thinking.has_limit) assert_true(chosen_thinking <= p.thinking.limit);
    cut_before = turn_counts(r.turn).cut;
  }
  zaya_turn_counts k = turn_counts(r.turn);
  assert_int_equal(k.thinking + k.forced + k.answer + turn_ended(r.turn), tokens);
  bool ended = turn_ended(r.turn);
  if (!turn_end(r.turn, !ended, &r.err)) fail_msg("%s", r.err.message);
  zaya_output_counts c = turn_output_counts(r.turn);
  assert_int_equal(c.reasoning + c.content + c.calls + c.markup, r.text.len);
  if (ended && cut_before && !p.constraint.ops) assert_non_null(strpbrk(r.events.log, "CK"));
  if (p.constraint.ops && ended) { // the content is one of the texts, exactly
    const char *content = strstr(r.events.log, "C("),
               *call = strstr(r.events.log, "E0(f|0|0|{}|" EMPTY_CALL ") .");
    assert_true(!content == !!call && (!call || p.out.or_calls));
    const size_t n_calls = turn_output_counts(r.turn).n_calls, n_bad = turn_output_counts(r.turn).n_bad;
    assert_true(n_calls == !!call && n_bad == 0);
    if (call) content = "C({}) ."; // as good as
    const char *const *t = anything;
    while (*t && strncmp(content + 2, *t, strlen(*t))) t++;
    assert_non_null(*t);
    assert_int_equal(call ? c.calls : c.content, call ? strlen(EMPTY_CALL) : strlen(*t));
    assert_string_equal(content + 2 + strlen(*t), ") .");
  }
  if (!p.constraint.ops) { // the same as the parser alone makes of the text
    Collect alone = {0};
    collect_reset(&alone);
    Out *o = out_new(&p.out, collect_event, &alone, NULL);
    if (!ended) out_cut(o);
    assert_true(out_feed(o, r.text.data ? r.text.data : "", r.text.len, NULL) && out_end(o, NULL));
    assert_string_equal(alone.log, r.events.log);
    out_free(o);
    collect_free(&alone);
  }
  turn_free(r.turn);
  collect_free(&r.events);
  buf_free(&r.text);
}

static void any_model_stays_in_step(void **state) {
  (void)state;
  for (uint32_t seed = 1; seed <= 20000; seed++) random_turn(seed * 2654435761u);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hard_limit_closes_with_the_real_tokens),
      cmocka_unit_test(notes_are_said_before_a_hard_cut),
      cmocka_unit_test(tags_being_written_are_finished),
      cmocka_unit_test(models_that_close_in_time_are_left_alone),
      cmocka_unit_test(budget_0_forbids_thinking),
      cmocka_unit_test(blocks_opened_again_do_not_outlive_the_budget),
      cmocka_unit_test(blocks_that_touch),
      cmocka_unit_test(blank_answers_end),
      cmocka_unit_test(the_end_waits_for_the_budget),
      cmocka_unit_test(soft_limit_encourages),
      cmocka_unit_test(likely_tokens),
      cmocka_unit_test(budgets_leave_room_in_a_limited_turn),
      cmocka_unit_test(forced_tokens_must_come),
      cmocka_unit_test(constraints_start_after_the_thinking),
      cmocka_unit_test(tokens_that_end_the_thinking_and_go_on),
      cmocka_unit_test(cuts_and_constraints_stay_in_step),
      cmocka_unit_test(constrained_models_may_think_first),
      cmocka_unit_test(answers_that_look_like_thinking),
      cmocka_unit_test(constrained_tool_calls_are_parsed),
      cmocka_unit_test(calls_or_data_behind_the_thinking),
      cmocka_unit_test(a_limit_inside_an_opening_tag_shows_nothing_of_it),
      cmocka_unit_test(answers_must_meet_their_constraint),
      cmocka_unit_test(any_model_stays_in_step),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
