// turn: see turn.h.
#include "text/turn.h"

#include "base/error.h"
#include "text/tags.h"

#include <stdlib.h>
#include <string.h>

enum {
  MAX_BLANK = 8, // tokens of white space that an answer which must show something may begin with
  RESERVE = 256, // tokens kept for the answer behind a cut, where the turn has that many to spare
};

typedef enum Phase {
  FREE,      // no constraint
  MAY_THINK, // constrained, but a thinking block may still open first
  WAITING,   // for the thinking to end
  IN_FORCE,
} Phase;

typedef struct Seen { // a token of the past
  int32_t id;
  size_t n; // bytes
} Seen;

struct Turn {
  Out *out;
  Thinking thinking;
  char *note, *open, *close; // texts of note and tags
  TurnEncode encode;
  void *encode_user;
  zaya_ids end_ids, open_ids, close_ids; // close_ids: closing tag and the newlines behind it
  int32_t close_id;                      // first token of the closing tag alone
  bool close_is_one;                     // the tag is one token
  size_t open_blocks;                    // thinking blocks opened so far
  size_t spent;                          // tokens chosen while a block was open
  zaya_turn_counts counts;
  zaya_ids queue; // forced tokens, from `next` on
  size_t next;
  Phase phase;
  Constraint constraint;
  void *lead;       // MAY_THINK: the constraint's state behind the tokens of what may be an opening tag
  size_t n_lead;    // how many tokens these are
  bool lead_refuse; // the constraint refuses them
  bool lead_exact;  // they are the first of open_ids
  Seen seen[TAG_MAX_LEN];
  size_t n_seen; // in all; the last ones are kept
  char last;     // the last byte
  size_t blank;  // tokens of white space since the thinking, while nothing is visible
  bool ended;
};

// --- small questions ---------------------------------------------------------------------------

static bool is_blank(const char *p, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (p[i] != ' ' && p[i] != '\n' && p[i] != '\t' && p[i] != '\r') return false;
  return n > 0;
}

static bool is_end(const Turn *t, int32_t id) {
  for (size_t i = 0; i < t->end_ids.len; i++)
    if (t->end_ids.data[i] == id) return true;
  return false;
}

static bool forcing(const Turn *t) { return t->next < t->queue.len; }

static bool out_of_budget(const Turn *t) { return t->thinking.has_limit && t->spent >= t->thinking.limit; }

// Without budget left a block may open only if it is the first: it is closed at once, and the model goes on
// from an empty block as it was trained to when it is not to think.
static bool may_open(const Turn *t) { return !out_of_budget(t) || t->open_blocks == 0; }

// A budget must not end in an empty answer.
static bool must_show(const Turn *t) {
  bool budgeted = t->counts.cut || (t->thinking.has_limit && t->open_blocks);
  return budgeted && !out_visible(t->out);
}

static void *constraint_now(const Turn *t) {
  if (t->phase == IN_FORCE) return t->constraint.state;
  if (t->phase != MAY_THINK || t->lead_refuse) return NULL;
  return t->lead ? t->lead : t->constraint.state;
}

static bool constraint_can_end(const Turn *t) {
  void *state = constraint_now(t);
  return state && t->constraint.ops->can_end(state);
}

static bool end_allowed(const Turn *t) {
  if (forcing(t) || must_show(t)) return false;
  if (out_thinking(t->out)) return !t->thinking.has_limit && t->phase == FREE;
  return t->phase == FREE || constraint_can_end(t);
}

// How many of the last tokens make up exactly the last n bytes; 0 when none do.
static size_t tokens_of(const Turn *t, size_t n) {
  size_t bytes = 0, kept = t->n_seen < TAG_MAX_LEN ? t->n_seen : TAG_MAX_LEN;
  for (size_t k = 1; k <= kept && bytes < n; k++) {
    bytes += t->seen[(t->n_seen - k) % TAG_MAX_LEN].n;
    if (bytes == n) return k;
  }
  return 0;
}

bool turn_thinking(const Turn *t) { return out_thinking(t->out); }
bool turn_ended(const Turn *t) { return t->ended; }
zaya_turn_counts turn_counts(const Turn *t) { return t->counts; }
zaya_output_counts turn_output_counts(const Turn *t) { return out_counts(t->out); }

bool turn_likely(const float *probs, size_t n, int32_t id, float min_prob, size_t top_k) {
  if (id < 0 || (size_t)id >= n) return false;
  if (min_prob > 0 && probs[id] >= min_prob) return true;
  size_t better = 0;
  for (size_t i = 0; i < n && better < top_k; i++) better += probs[i] > probs[id];
  return better < top_k;
}

// --- closing the thinking ------------------------------------------------------------------------

static bool add_lines(Buf *b, size_t n, zaya_error *err) {
  for (; n; n--)
    if (!buf_putc(b, '\n', err)) return false;
  return true;
}

static bool queue_text(Turn *t, const Buf *text, zaya_error *err) {
  return text->len == 0 || t->encode(t->encode_user, text->data, text->len, &t->queue, err);
}

// The text that closes the block when the model is not writing the tag itself: note and tag on lines of their
// own for a hard cut; the tag right here for a soft one, which the model would have written itself.
static bool close_text(const Turn *t, bool hard, bool note, Buf *text, zaya_error *err) {
  char last = t->last;
  if (hard && note && t->note) {
    if (!buf_puts(text, t->note, err)) return false;
    if (text->len) last = text->data[text->len - 1];
  }
  if (hard && last != '\n' && !buf_putc(text, '\n', err)) return false;
  return buf_puts(text, t->close, err) && add_lines(text, t->thinking.close_lines, err);
}

// Queues the tokens that close the block here. A tag of several tokens that the model has begun is finished,
// with the tag's own tokens if it was begun with them. A tag that is one token is always given whole: bytes
// that only spell its beginning stay reasoning.
static bool begin_close(Turn *t, bool hard, zaya_error *err) {
  size_t n, len = strlen(t->close);
  const char *held = out_held(t->out, &n);
  Buf text = {0};
  bool ok;
  t->counts.cut = true;
  if (n && n < len && !memcmp(held, t->close, n) && !t->close_is_one) {
    size_t k = tokens_of(t, n);
    bool own = k && k < t->close_ids.len;
    for (size_t i = 0; own && i < k; i++)
      own = t->seen[(t->n_seen - k + i) % TAG_MAX_LEN].id == t->close_ids.data[i];
    if (own)
      ok = ids_append(&t->queue, t->close_ids.data + k, t->close_ids.len - k, err);
    else
      ok = buf_puts(&text, t->close + n, err) && add_lines(&text, t->thinking.close_lines, err) &&
           queue_text(t, &text, err);
  } else {
    ok = close_text(t, hard, t->spent > 0, &text, err) && queue_text(t, &text, err);
  }
  buf_free(&text);
  return ok && (forcing(t) || err_set(err, ZAYA_E_INVALID, "the closing tag has no tokens"));
}

bool turn_close(Turn *t, zaya_error *err) {
  if (!out_thinking(t->out)) return err_set(err, ZAYA_E_INVALID, "no thinking block is open to be closed");
  return forcing(t) || begin_close(t, false, err);
}

// --- before a token ------------------------------------------------------------------------------

bool turn_step(Turn *t, TurnStep *step, zaya_error *err) {
  *step = (TurnStep){0};
  if (t->ended) return err_set(err, ZAYA_E_INVALID, "the turn has ended");
  bool thinking = out_thinking(t->out);
  if (thinking && !forcing(t) && out_of_budget(t) && !begin_close(t, true, err)) return false;
  if (forcing(t)) {
    step->forced = true;
    step->id = t->queue.data[t->next];
    return true;
  }
  size_t held;
  out_held(t->out, &held);
  if (thinking && t->thinking.has_soft_limit && t->spent >= t->thinking.soft_limit && held == 0) {
    step->encourage = true;
    step->close_id = t->close_id;
    step->min_prob = t->thinking.soft_min_prob;
    step->top_k = t->thinking.soft_top_k;
  }
  step->constrained = t->phase == IN_FORCE || t->phase == MAY_THINK;
  step->end_allowed = end_allowed(t);
  bool closed_door = !thinking && t->phase == FREE && !may_open(t) && t->open_ids.len == 1;
  step->masked = step->constrained || !step->end_allowed || closed_door;
  return true;
}

static void mask_put(uint32_t *bits, size_t n_words, int32_t id, bool on) {
  if (id < 0 || (size_t)id / 32 >= n_words) return;
  if (on)
    mask_set(bits, id);
  else
    mask_clear(bits, id);
}

static bool mask_any(const uint32_t *bits, size_t n_words) {
  for (size_t i = 0; i < n_words; i++)
    if (bits[i]) return true;
  return false;
}

bool turn_mask(Turn *t, uint32_t *bits, size_t n_words, zaya_error *err) {
  if (t->ended || forcing(t))
    return err_set(err, ZAYA_E_INVALID, "there is no choice: the turn has ended or a token is forced");
  bool constrained = t->phase == IN_FORCE || t->phase == MAY_THINK;
  void *state = constraint_now(t);
  if (state) {
    if (!t->constraint.ops->fill_mask(state, bits, n_words, err)) return false;
  } else {
    memset(bits, constrained ? 0 : 0xFF, n_words * sizeof *bits);
  }
  if (t->phase == MAY_THINK && t->lead_exact) mask_put(bits, n_words, t->open_ids.data[t->n_lead], true);
  if (t->phase == FREE && !out_thinking(t->out) && !may_open(t) && t->open_ids.len == 1)
    mask_put(bits, n_words, t->open_ids.data[0], false);
  bool end = end_allowed(t);
  for (size_t i = 0; i < t->end_ids.len; i++) mask_put(bits, n_words, t->end_ids.data[i], end);
  if (mask_any(bits, n_words)) return true;
  // Complete, and nothing can follow: the end is all that is left, even for an answer of white space.
  if (constraint_can_end(t))
    for (size_t i = 0; i < t->end_ids.len; i++) mask_put(bits, n_words, t->end_ids.data[i], true);
  if (mask_any(bits, n_words)) return true;
  return err_set(err, ZAYA_E_INVALID, "no token can meet the constraint (%s)",
                 constrained ? t->constraint.ops->name : "none but the end tokens");
}

// Whether the constraint would take these bytes as the beginning of the answer.
static bool would_take(Turn *t, const char *p, size_t n, bool *ok, zaya_error *err) {
  void *copy = t->constraint.ops->clone(t->constraint.state, err);
  if (!copy) return false;
  zaya_error why = {0};
  *ok = t->constraint.ops->accept_bytes(copy, p, n, &why);
  t->constraint.ops->free(copy);
  return *ok || why.status == ZAYA_E_INVALID || err_set(err, why.status, "%s", why.message);
}

bool turn_allows(Turn *t, int32_t id, const char *bytes, size_t n, bool *ok, zaya_error *err) {
  *ok = true;
  if (forcing(t)) return true;
  if (is_end(t, id)) {
    *ok = end_allowed(t) || constraint_can_end(t);
    return true;
  }
  OutLook look = out_look(t->out, bytes, n);
  if (out_thinking(t->out)) {
    if (look.closes && look.opens)
      *ok = t->phase == FREE && !out_of_budget(t);
    else if (look.closes && t->phase == WAITING && look.behind < n)
      return would_take(t, bytes + look.behind, n - look.behind, ok, err);
    return true;
  }
  if (t->phase != FREE) return true;
  *ok = !(look.opens && !may_open(t)) && !(t->blank >= MAX_BLANK && must_show(t) && is_blank(bytes, n));
  return true;
}

// --- taking a token ------------------------------------------------------------------------------

static bool start_answer(Turn *t, zaya_error *err) {
  t->phase = IN_FORCE;
  return out_begin_constrained(t->out, err);
}

// The model ended its thinking by itself under a constraint, `lines` newlines included. What frames the
// answer is given, since the constraint would keep the model from writing it.
static bool frame_answer(Turn *t, size_t lines, zaya_error *err) {
  if (lines >= t->thinking.close_lines) return start_answer(t, err);
  Buf text = {0};
  bool ok = add_lines(&text, t->thinking.close_lines - lines, err) && queue_text(t, &text, err);
  buf_free(&text);
  return ok;
}

// MAY_THINK: the token was fed. Either a block has opened, or it still may, or the answer has begun.
static bool lead_token(Turn *t, int32_t id, zaya_error *err) {
  const ConstraintOps *ops = t->constraint.ops;
  size_t held;
  out_held(t->out, &held);
  if (out_thinking(t->out)) {
    t->phase = WAITING;
  } else if (held && tokens_of(t, held) == t->n_lead + 1) {
    t->lead_exact = t->lead_exact && t->n_lead + 1 < t->open_ids.len && t->open_ids.data[t->n_lead] == id;
    t->n_lead++;
    if (t->lead_refuse) return true;
    if (!t->lead && !(t->lead = ops->clone(t->constraint.state, err))) return false;
    zaya_error why = {0};
    t->lead_refuse = !ops->accept(t->lead, id, &why);
    return !t->lead_refuse || why.status == ZAYA_E_INVALID || err_set(err, why.status, "%s", why.message);
  } else {
    if (t->lead_refuse)
      return err_set(err, ZAYA_E_INVALID,
                     "token %d is not allowed: what was taken for a thinking block is none", id);
    if (t->lead) {
      ops->free(t->constraint.state);
      t->constraint.state = t->lead;
      t->lead = NULL;
    }
    return ops->accept(t->constraint.state, id, err) && start_answer(t, err);
  }
  ops->free(t->lead);
  t->lead = NULL;
  return true;
}

static bool feed(Turn *t, const char *bytes, size_t n, zaya_error *err) {
  if (n) t->last = bytes[n - 1];
  return out_feed(t->out, bytes, n, err);
}

// Counts a token that the parser has taken. `pending` tokens before it were held by the parser.
static void count(Turn *t, bool forced, bool was_thinking, bool opens, size_t pending) {
  t->open_blocks += opens;
  if (forced) {
    t->counts.forced++;
  } else if (was_thinking) {
    t->counts.thinking++;
    t->spent++;
  } else if (opens) { // its own tokens cost no budget, but were no answer
    t->counts.thinking += 1 + pending;
    t->counts.answer -= pending;
  } else {
    t->counts.answer++;
  }
}

static size_t lines_behind(const char *p, size_t n) {
  size_t lines = 0;
  while (lines < n && p[n - 1 - lines] == '\n') lines++;
  return lines;
}

// WAITING, and no block is open any more.
static bool thinking_over(Turn *t, bool forced, const char *bytes, size_t n, zaya_error *err) {
  if (forcing(t)) return true;
  return forced ? start_answer(t, err) : frame_answer(t, lines_behind(bytes, n), err);
}

// Feeds the token's bytes to parser and constraint, each its part.
static bool take(Turn *t, int32_t id, const char *bytes, size_t n, OutLook look, bool forced,
                 zaya_error *err) {
  if (t->phase == IN_FORCE)
    return t->constraint.ops->accept(t->constraint.state, id, err) && feed(t, bytes, n, err);
  bool answers = t->phase == WAITING && !forced && look.closes && !look.opens && look.behind < n;
  if (!answers) return feed(t, bytes, n, err);
  const char *rest = bytes + look.behind;
  size_t n_rest = n - look.behind;
  return feed(t, bytes, look.behind, err) &&
         t->constraint.ops->accept_bytes(t->constraint.state, rest, n_rest, err) && start_answer(t, err) &&
         feed(t, rest, n_rest, err);
}

static bool accept_end(Turn *t, zaya_error *err) {
  if (!end_allowed(t) && !constraint_can_end(t))
    return err_set(err, ZAYA_E_INVALID, "the turn may not end here");
  t->ended = true;
  return true;
}

bool turn_accept(Turn *t, int32_t id, const char *bytes, size_t n, zaya_error *err) {
  if (t->ended) return err_set(err, ZAYA_E_INVALID, "the turn has ended");
  bool forced = forcing(t);
  if (forced && id != t->queue.data[t->next])
    return err_set(err, ZAYA_E_INVALID, "token %d is forced, and %d came", t->queue.data[t->next], id);
  if (!forced && is_end(t, id)) return accept_end(t, err);
  bool was_thinking = out_thinking(t->out);
  size_t held;
  out_held(t->out, &held);
  size_t pending = was_thinking ? 0 : tokens_of(t, held);
  OutLook look = out_look(t->out, bytes, n);
  Phase before = t->phase;
  if (!take(t, id, bytes, n, look, forced, err)) return false;
  t->seen[t->n_seen++ % TAG_MAX_LEN] = (Seen){id, n};
  bool thinking = out_thinking(t->out);
  count(t, forced, was_thinking, look.opens, pending);
  t->blank = thinking ? 0 : t->blank + (!forced && is_blank(bytes, n));
  if (forced && ++t->next == t->queue.len) {
    t->queue.len = t->next = 0;
    if (thinking) return err_set(err, ZAYA_E_INVALID, "the forced tokens do not spell \"%s\"", t->close);
  }
  if (before == MAY_THINK && !lead_token(t, id, err)) return false;
  if (t->phase == WAITING && !thinking) return thinking_over(t, forced, bytes, n, err);
  return true;
}

bool turn_rest(Turn *t, const char *bytes, size_t n, zaya_error *err) {
  return n == 0 || feed(t, bytes, n, err);
}

bool turn_end(Turn *t, bool cut, zaya_error *err) {
  bool met = cut || t->phase == FREE || constraint_can_end(t);
  if (cut) out_cut(t->out);
  if (!out_end(t->out, err)) return false;
  return met || err_set(err, ZAYA_E_INVALID, "the output ended before it met its constraint (%s)",
                        t->constraint.ops->name);
}

// --- making one ----------------------------------------------------------------------------------

static bool copy_text(char **out, const char *text, zaya_error *err) {
  *out = strdup(text);
  return *out || err_memory(err, strlen(text), "a turn");
}

// What the tags are as tokens, and what a cut costs.
static bool encode_tags(Turn *t, size_t *cut_cost, zaya_error *err) {
  Buf text = {0};
  zaya_ids ids = {0};
  bool ok = t->encode(t->encode_user, t->open, strlen(t->open), &t->open_ids, err) &&
            t->encode(t->encode_user, t->close, strlen(t->close), &ids, err);
  if (ok && (ids.len == 0 || t->open_ids.len == 0))
    ok = err_set(err, ZAYA_E_INVALID, "the thinking tags have no tokens");
  if (ok) {
    t->close_id = ids.data[0];
    t->close_is_one = ids.len == 1;
    ok = buf_puts(&text, t->close, err) && add_lines(&text, t->thinking.close_lines, err) &&
         t->encode(t->encode_user, text.data, text.len, &t->close_ids, err);
  }
  ids.len = text.len = 0;
  ok = ok && close_text(t, true, true, &text, err) &&
       t->encode(t->encode_user, text.data, text.len, &ids, err);
  *cut_cost = ids.len;
  zaya_ids_free(&ids);
  buf_free(&text);
  return ok;
}

// Where the turn itself is limited, a budget leaves room for the cut and an answer.
static void fit_budget(Turn *t, size_t max_tokens, size_t cut_cost) {
  if (!t->thinking.has_limit || max_tokens == 0) return;
  size_t reserve = max_tokens / 4 < RESERVE ? max_tokens / 4 + 1 : RESERVE, keep = cut_cost + reserve;
  size_t most = max_tokens > keep ? max_tokens - keep : 0;
  if (t->thinking.limit > most) t->thinking.limit = most;
}

static bool set_thinking(Turn *t, const TurnParams *params, zaya_error *err) {
  OutTags tags = out_tags(&params->out.tags);
  t->thinking = params->thinking;
  if (!t->thinking.close_lines) t->thinking.close_lines = 2;
  if (!(t->thinking.soft_min_prob > 0) && !t->thinking.soft_top_k) t->thinking.soft_min_prob = 0.05f;
  if (!copy_text(&t->open, tags.think_open, err) || !copy_text(&t->close, tags.think_close, err))
    return false;
  const char *note = params->thinking.note;
  if (note && (strstr(note, t->open) || strstr(note, t->close)))
    return err_set(err, ZAYA_E_INVALID, "the note behind the thinking holds a thinking tag");
  if (note && *note && !copy_text(&t->note, note, err)) return false;
  t->thinking.note = NULL; // the caller's
  if (!t->encode) {
    if (t->thinking.has_limit || t->thinking.has_soft_limit || t->constraint.ops)
      return err_set(err, ZAYA_E_INVALID, "a thinking budget or a constraint needs an encoder for the tags");
    return true;
  }
  size_t cut_cost;
  if (!encode_tags(t, &cut_cost, err)) return false;
  fit_budget(t, params->max_tokens, cut_cost);
  return true;
}

Turn *turn_new(const TurnParams *params, zaya_error *err) {
  Turn *t = calloc(1, sizeof *t);
  if (!t) {
    Constraint lost = params->constraint;
    constraint_free(&lost);
    err_memory(err, sizeof *t, "a turn");
    return NULL;
  }
  t->constraint = params->constraint;
  t->encode = params->encode;
  t->encode_user = params->encode_user;
  t->last = '\n'; // a prompt ends its last line, or the tag that it opened
  t->lead_exact = true;
  t->open_blocks = params->out.thinking;
  if (!set_thinking(t, params, err)) goto fail;
  if (!ids_append(&t->end_ids, params->end_ids, params->n_end_ids, err)) goto fail;
  if (!(t->out = out_new(&params->out, params->fn, params->user, err))) goto fail;
  if (t->constraint.ops) {
    bool may_think = params->may_think && !(t->thinking.has_limit && t->thinking.limit == 0);
    t->phase = params->out.thinking ? WAITING : may_think ? MAY_THINK : IN_FORCE;
    if (t->phase == IN_FORCE && !start_answer(t, err)) goto fail;
  }
  return t;
fail:
  turn_free(t);
  return NULL;
}

void turn_free(Turn *t) {
  if (!t) return;
  if (t->constraint.ops) t->constraint.ops->free(t->lead);
  constraint_free(&t->constraint);
  zaya_ids_free(&t->end_ids);
  zaya_ids_free(&t->open_ids);
  zaya_ids_free(&t->close_ids);
  zaya_ids_free(&t->queue);
  free(t->note);
  free(t->open);
  free(t->close);
  out_free(t->out);
  free(t);
}
