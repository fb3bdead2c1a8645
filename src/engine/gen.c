// gen: see gen.h.
#include "engine/gen.h"

#include "text/stop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct Gen {
  GenParams params;
  Turn *turn;
  Sampler *sampler;
  TokDecoder decoder;
  Stop *stop;            // NULL without stop strings
  Buf text;              // content on its way out
  const uint32_t *known; // [words] ids of the tokenizer
  uint32_t *own_known;   // the same where it is this generation's
  uint32_t *mask;        // [words] what may be drawn now
  float *probs;          // [n_vocab], only where the turn asks for them
  size_t n_words, n_tokens;
  bool done, cancelled;
  zaya_finish finish;
};

static bool encode(void *user, const char *text, size_t n, zaya_ids *out, zaya_error *err) {
  return tok_encode(user, text, n, TOK_CONTROL, out, err);
}

// Hands an event to the user; remembers a refusal.
static bool emit(Gen *g, const zaya_output_event *event) {
  if (g->cancelled) return false;
  if (g->params.fn && !g->params.fn(g->params.user, event)) g->cancelled = true;
  return !g->cancelled;
}

static bool emit_content(Gen *g, const char *text, size_t len) {
  return len == 0 || emit(g, &(zaya_output_event){.kind = ZAYA_OUTPUT_CONTENT, .text = text, .len = len});
}

static bool hit_stop(const Gen *g) { return g->stop && stop_found(g->stop) >= 0; }

// Events of the parser: content passes the stop strings, anything else first lets out what they hold.
static bool on_event(void *user, const zaya_output_event *event) {
  Gen *g = user;
  if (!g->stop) return emit(g, event);
  if (stop_found(g->stop) >= 0) return event->kind != ZAYA_OUTPUT_END || emit(g, event);
  buf_clear(&g->text);
  bool ok = event->kind == ZAYA_OUTPUT_CONTENT ? stop_feed(g->stop, event->text, event->len, &g->text, NULL)
                                               : stop_flush(g->stop, &g->text, NULL);
  ok = ok && emit_content(g, g->text.data, g->text.len);
  return ok && (event->kind == ZAYA_OUTPUT_CONTENT || emit(g, event));
}

static bool new_turn(Gen *g, zaya_error *err) {
  const zaya_generate_params *p = &g->params.p;
  size_t n_stops;
  TurnParams t = {.out = p->output,
                  .fn = on_event,
                  .user = g,
                  .thinking = p->thinking,
                  .encode = encode,
                  .encode_user = (void *)(uintptr_t)g->params.tok,
                  .max_tokens = p->max_tokens,
                  .constraint = g->params.constraint,
                  .may_think = !p->output.plain};
  t.end_ids = tok_stops(g->params.tok, &n_stops);
  t.n_end_ids = n_stops;
  g->turn = turn_new(&t, err);
  return g->turn != NULL;
}

void gen_known(const Tok *tok, size_t n_vocab, uint32_t *mask) {
  memset(mask, 0, MASK_WORDS(n_vocab) * sizeof *mask);
  for (size_t i = 0; i < n_vocab; i++)
    if (tok_has(tok, (int32_t)i)) mask_set(mask, (int32_t)i);
}

static bool new_masks(Gen *g, zaya_error *err) {
  g->n_words = MASK_WORDS(g->params.n_vocab);
  g->mask = calloc(g->n_words, sizeof *g->mask);
  g->known = g->params.known;
  if (!g->known) g->known = g->own_known = calloc(g->n_words, sizeof *g->own_known);
  if (!g->known || !g->mask) return err_memory(err, g->n_words * 4, "a token mask");
  if (g->own_known) gen_known(g->params.tok, g->params.n_vocab, g->own_known);
  return true;
}

Gen *gen_new(const GenParams *params, zaya_error *err) {
  Gen *g = calloc(1, sizeof *g);
  if (!g) {
    Constraint c = params->constraint;
    constraint_free(&c);
    err_memory(err, sizeof *g, "a generation");
    return NULL;
  }
  g->params = *params;
  // The context limits the turn as max_tokens does, so that a thinking budget leaves room for the answer.
  size_t *limit = &g->params.p.max_tokens;
  if (params->room && (*limit == 0 || params->room < *limit)) *limit = params->room;
  g->decoder = tok_decoder(params->tok, 0);
  bool ok = new_turn(g, err) && new_masks(g, err);
  if (ok && params->p.n_stops) ok = (g->stop = stop_new(params->p.stops, params->p.n_stops, err)) != NULL;
  if (ok) ok = (g->sampler = sampler_new(&params->p.sampling, params->n_vocab, err)) != NULL;
  if (ok) return g;
  gen_free(g);
  return NULL;
}

void gen_free(Gen *g) {
  if (!g) return;
  turn_free(g->turn);
  sampler_free(g->sampler);
  stop_free(g->stop);
  buf_free(&g->text);
  free(g->own_known);
  free(g->mask);
  free(g->probs);
  free(g);
}

bool gen_prompt(Gen *g, const int32_t *ids, size_t n, zaya_error *err) {
  for (size_t i = 0; i < n; i++)
    if (!sampler_accept(g->sampler, ids[i], false, err)) return false;
  return true;
}

// Whether the closing tag is likely enough for the soft limit; by the model's own probabilities.
static bool close_is_likely(Gen *g, const float *logits, const TurnStep *step, bool *likely,
                            zaya_error *err) {
  const size_t V = g->params.n_vocab;
  if (!g->probs && !(g->probs = malloc(V * sizeof *g->probs)))
    return err_memory(err, V * sizeof *g->probs, "probabilities");
  float max = logits[0];
  double sum = 0;
  for (size_t i = 1; i < V; i++) max = logits[i] > max ? logits[i] : max;
  for (size_t i = 0; i < V; i++) sum += g->probs[i] = expf(logits[i] - max);
  for (size_t i = 0; i < V; i++) g->probs[i] = (float)(g->probs[i] / sum);
  *likely = turn_likely(g->probs, V, step->close_id, step->min_prob, step->top_k);
  return true;
}

// The text that token `id` adds, without taking it: the decoder's state is copied.
static bool peek_text(const Gen *g, int32_t id, TokDecoder *decoder, Buf *text, zaya_error *err) {
  *decoder = g->decoder;
  buf_clear(text);
  return tok_decoder_push(decoder, id, text, err);
}

static bool fill_mask(Gen *g, const TurnStep *step, zaya_error *err) {
  if (!step->masked) {
    memcpy(g->mask, g->known, g->n_words * sizeof *g->mask);
    return true;
  }
  if (!turn_mask(g->turn, g->mask, g->n_words, err)) return false;
  for (size_t i = 0; i < g->n_words; i++) g->mask[i] &= g->known[i];
  return true;
}

// Draws until the turn agrees: what a token's text would do cannot always be seen before.
static bool draw(Gen *g, const float *logits, const TurnStep *step, int32_t *id, zaya_error *err) {
  Buf text = {0};
  TokDecoder decoder;
  bool fits = false, ok = fill_mask(g, step, err);
  while (ok && !fits) {
    ok = sampler_next(g->sampler, logits, g->mask, id, err) && peek_text(g, *id, &decoder, &text, err) &&
         turn_allows(g->turn, *id, text.data ? text.data : "", text.len, &fits, err);
    if (ok && !fits) mask_clear(g->mask, *id);
  }
  buf_free(&text);
  return ok;
}

bool gen_choose(Gen *g, const float *logits, int32_t *id, zaya_error *err) {
  TurnStep step;
  if (!turn_step(g->turn, &step, err)) return false;
  if (!step.forced && step.encourage) {
    bool likely = false;
    if (!close_is_likely(g, logits, &step, &likely, err)) return false;
    if (likely && (!turn_close(g->turn, err) || !turn_step(g->turn, &step, err))) return false;
  }
  *id = step.id;
  return step.forced || draw(g, logits, &step, id, err);
}

static bool accept(Gen *g, int32_t id, zaya_error *err) {
  Buf text = {0};
  bool ok = sampler_accept(g->sampler, id, true, err) && tok_decoder_push(&g->decoder, id, &text, err) &&
            turn_accept(g->turn, id, text.data ? text.data : "", text.len, err);
  buf_free(&text);
  g->n_tokens++;
  return ok;
}

bool gen_stop(Gen *g, zaya_finish why, zaya_error *err) {
  if (g->done) return true;
  g->done = true;
  g->finish = why;
  zaya_error local = {0};
  Buf rest = {0};
  bool ok = tok_decoder_flush(&g->decoder, &rest, &local) &&
            turn_rest(g->turn, rest.data, rest.len, &local) &&
            turn_end(g->turn, why != ZAYA_FINISH_STOP, &local);
  buf_free(&rest);
  if (g->cancelled || hit_stop(g)) return true; // the events were stopped on purpose
  if (!ok) err_set(err, local.status, "%s", local.message);
  return ok;
}

bool gen_next(Gen *g, const float *logits, int32_t *id, bool *done, zaya_error *err) {
  return gen_choose(g, logits, id, err) && gen_take(g, *id, done, err);
}

bool gen_take(Gen *g, int32_t id, bool *done, zaya_error *err) {
  zaya_error local = {0};
  bool ok = accept(g, id, &local);
  if (!ok && !g->cancelled) return err_set(err, local.status, "%s", local.message);
  if (g->cancelled)
    ok = gen_stop(g, ZAYA_FINISH_CANCELLED, err);
  else if (turn_ended(g->turn))
    ok = gen_stop(g, ZAYA_FINISH_STOP, err);
  else if (hit_stop(g))
    ok = gen_stop(g, ZAYA_FINISH_STRING, err);
  else if (g->params.p.max_tokens && g->n_tokens >= g->params.p.max_tokens)
    ok = gen_stop(g, ZAYA_FINISH_LENGTH, err);
  *done = g->done;
  return ok;
}

void gen_result(const Gen *g, zaya_generate_result *out) {
  out->finish = g->finish;
  out->stop_string = hit_stop(g) ? (size_t)stop_found(g->stop) : 0;
  out->tokens = g->n_tokens;
  out->turn = turn_counts(g->turn);
  out->output = turn_output_counts(g->turn);
}
