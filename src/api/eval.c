// eval: zaya_perplexity and zaya_compare: models read a text window by window.
#include "engine/eval.h"

#include "api/handles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// One model at work on the windows.
typedef struct Reader {
  zaya_session *session;
  float *logits; // [window, V]
} Reader;

static bool reader_open(Reader *r, zaya_model *m, size_t window, zaya_error *err) {
  const size_t V = (size_t)zaya_model_get_info(m).vocab_size;
  r->session = zaya_session_new(m, window, err);
  if (!r->session) return false;
  r->logits = malloc(window * V * sizeof *r->logits);
  return r->logits || err_memory(err, window * V * sizeof *r->logits, "the logits of a window");
}

static void reader_close(Reader *r) {
  zaya_session_free(r->session);
  free(r->logits);
}

// Reads window `w`; its first token gives way to <bos>.
static bool read_window(Reader *r, const EvalPlan *plan, const int32_t *ids, size_t w, int32_t bos,
                        zaya_error *err) {
  const int32_t *at = ids + w * plan->step, first = bos >= 0 ? bos : at[0];
  zaya_session_reset(r->session);
  const size_t V = (size_t)r->session->model->weights.config->vocab;
  return zaya_session_feed(r->session, &first, 1, ZAYA_LOGITS_ALL, r->logits, err) &&
         zaya_session_feed(r->session, at + 1, plan->window - 1, ZAYA_LOGITS_ALL, r->logits + V, err);
}

static bool tell(const zaya_eval_params *p, size_t done, size_t total, double value, zaya_error *err) {
  if (!p->progress || p->progress(p->user, done, total, value)) return true;
  return err_set(err, ZAYA_E_CANCELLED, "cancelled");
}

bool zaya_perplexity(zaya_model *model, const int32_t *ids, size_t n, const zaya_eval_params *p,
                     zaya_perplexity_result *out, zaya_error *err) {
  EvalPlan plan;
  Reader r = {0};
  EvalSum nll = {0};
  if (!eval_plan(n, p->ctx, p->stride, &plan, err)) return false;
  bool ok = reader_open(&r, model, plan.window, err);
  const size_t V = (size_t)model->weights.config->vocab;
  for (size_t w = 0; ok && w < plan.n_windows; w++) {
    ok = read_window(&r, &plan, ids, w, p->bos, err);
    for (size_t j = plan.first; ok && j < plan.first + plan.count; j++)
      eval_add(&nll, eval_nll(r.logits + j * V, V, ids[w * plan.step + j + 1]));
    ok = ok && tell(p, w + 1, plan.n_windows, exp(eval_mean(&nll)), err);
  }
  reader_close(&r);
  if (!ok) return false;
  const double ppl = exp(eval_mean(&nll));
  *out = (zaya_perplexity_result){.perplexity = ppl,
                                  .error = eval_error(&nll) * ppl,
                                  .nll = eval_mean(&nll),
                                  .n_scored = nll.n,
                                  .n_windows = plan.n_windows};
  return true;
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// Running sums of a comparison.
typedef struct Comparison {
  EvalSum kl, nll_a, nll_b;
  double *values; // every divergence, for the percentiles
  size_t same_top;
} Comparison;

static void compare_row(Comparison *c, const float *a, const float *b, size_t V, int32_t target) {
  const double kl = eval_kl(a, b, V);
  c->values[c->kl.n] = kl;
  eval_add(&c->kl, kl);
  eval_add(&c->nll_a, eval_nll(a, V, target));
  eval_add(&c->nll_b, eval_nll(b, V, target));
  c->same_top += eval_argmax(a, V) == eval_argmax(b, V);
}

static double percentile(const double *sorted, size_t n, double share) {
  const size_t i = (size_t)(share * (double)(n - 1) + 0.5);
  return sorted[i < n ? i : n - 1];
}

static void summarise(Comparison *c, zaya_compare_result *out) {
  const size_t n = c->kl.n;
  qsort(c->values, n, sizeof *c->values, by_value);
  *out = (zaya_compare_result){.kl_mean = eval_mean(&c->kl),
                               .kl_error = eval_error(&c->kl),
                               .kl_median = percentile(c->values, n, 0.5),
                               .kl_p90 = percentile(c->values, n, 0.9),
                               .kl_p99 = percentile(c->values, n, 0.99),
                               .kl_max = c->values[n - 1],
                               .top1_agreement = (double)c->same_top / (double)n,
                               .perplexity_a = exp(eval_mean(&c->nll_a)),
                               .perplexity_b = exp(eval_mean(&c->nll_b)),
                               .n_scored = n};
}

bool zaya_compare(zaya_model *a, zaya_model *b, const int32_t *ids, size_t n, const zaya_eval_params *p,
                  zaya_compare_result *out, zaya_error *err) {
  const size_t V = (size_t)a->weights.config->vocab;
  EvalPlan plan;
  Reader ra = {0}, rb = {0};
  Comparison c = {0};
  if (b->weights.config->vocab != a->weights.config->vocab)
    return err_set(err, ZAYA_E_INVALID,
                   "the models have vocabularies of %d and %d tokens: nothing to compare",
                   a->weights.config->vocab, b->weights.config->vocab);
  if (!eval_plan(n, p->ctx, p->stride, &plan, err)) return false;
  c.values = malloc(plan.n_windows * plan.count * sizeof *c.values);
  bool ok = c.values || err_memory(err, plan.n_windows * plan.count * sizeof *c.values, "divergences");
  ok = ok && reader_open(&ra, a, plan.window, err) && reader_open(&rb, b, plan.window, err);
  for (size_t w = 0; ok && w < plan.n_windows; w++) {
    ok = read_window(&ra, &plan, ids, w, p->bos, err) && read_window(&rb, &plan, ids, w, p->bos, err);
    for (size_t j = plan.first; ok && j < plan.first + plan.count; j++)
      compare_row(&c, ra.logits + j * V, rb.logits + j * V, V, ids[w * plan.step + j + 1]);
    ok = ok && tell(p, w + 1, plan.n_windows, eval_mean(&c.kl), err);
  }
  if (ok) summarise(&c, out);
  reader_close(&ra);
  reader_close(&rb);
  free(c.values);
  return ok;
}
