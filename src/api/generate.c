// generate: zaya_generate: one session, one answer.
#include "api/constraint.h"
#include "api/handles.h"
#include "engine/gen.h"

#include <stdlib.h>
#include <time.h>

zaya_generate_params zaya_generate_params_default(void) {
  return (zaya_generate_params){.sampling = zaya_sampling_default()};
}

const char *zaya_finish_name(zaya_finish finish) {
  static const char *const names[] = {"stop", "stop_string", "length", "cancelled"};
  return (size_t)finish < sizeof names / sizeof *names ? names[finish] : "unknown";
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// Draws until the answer is complete, which it is at the latest when the context is full.
static bool answer(zaya_session *s, Gen *g, float *logits, zaya_error *err) {
  bool done = false;
  for (;;) {
    int32_t id;
    if (!gen_next(g, logits, &id, &done, err)) return false;
    if (done) return true;
    if (!zaya_session_feed(s, &id, 1, ZAYA_LOGITS_LAST, logits, err)) return false;
  }
}

// Starts the constraint that the parameters name.
static bool constrain(GenParams *gp, zaya_error *err) {
  const zaya_constraint *c = gp->p.constraint;
  if (!c) return true;
  gp->p.output.verbatim = c->data;
  gp->p.output.or_calls = c->calls;
  return guide_start(c->guide, &gp->constraint, err);
}

bool zaya_generate(zaya_session *s, const zaya_tokenizer *tokenizer, const int32_t *prompt, size_t n,
                   const zaya_generate_params *params, zaya_output_fn fn, void *user,
                   zaya_generate_result *result, zaya_error *err) {
  const size_t V = (size_t)zaya_model_get_info(s->model).vocab_size;
  zaya_generate_result ignored;
  if (!result) result = &ignored;
  *result = (zaya_generate_result){.prompt_tokens = n};
  if (n == 0) return err_set(err, ZAYA_E_INVALID, "the prompt is empty");
  float *logits = malloc(V * sizeof *logits);
  if (!logits) return err_memory(err, V * sizeof *logits, "logits");
  // The last token of an answer is not fed: one more than what is free.
  const size_t free_tokens = zaya_session_capacity(s) - zaya_session_length(s);
  GenParams gp = {.tok = tokenizer,
                  .n_vocab = V,
                  .p = *params,
                  .room = free_tokens >= n ? free_tokens - n + 1 : 0,
                  .fn = fn,
                  .user = user};
  Gen *g = constrain(&gp, err) ? gen_new(&gp, err) : NULL;
  const double start = seconds();
  bool ok =
      g && gen_prompt(g, prompt, n, err) && zaya_session_feed(s, prompt, n, ZAYA_LOGITS_LAST, logits, err);
  result->prompt_seconds = seconds() - start;
  ok = ok && answer(s, g, logits, err);
  result->seconds = seconds() - start - result->prompt_seconds;
  if (ok) gen_result(g, result);
  gen_free(g);
  free(logits);
  return ok;
}
