// eval: see eval.h.
#include "engine/eval.h"

#include <math.h>

// log(sum(exp(x)))
static double log_sum(const float *x, size_t n) {
  double max = x[0], sum = 0;
  for (size_t i = 1; i < n; i++) max = x[i] > max ? x[i] : max;
  for (size_t i = 0; i < n; i++) sum += exp((double)x[i] - max);
  return max + log(sum);
}

double eval_nll(const float *logits, size_t n_vocab, int32_t target) {
  return log_sum(logits, n_vocab) - (double)logits[target];
}

double eval_kl(const float *p, const float *q, size_t n_vocab) {
  const double zp = log_sum(p, n_vocab), zq = log_sum(q, n_vocab);
  double kl = 0;
  for (size_t i = 0; i < n_vocab; i++) {
    const double lp = (double)p[i] - zp;
    kl += exp(lp) * (lp - ((double)q[i] - zq));
  }
  return kl > 0 ? kl : 0;
}

int32_t eval_argmax(const float *logits, size_t n_vocab) {
  size_t best = 0;
  for (size_t i = 1; i < n_vocab; i++)
    if (logits[i] > logits[best]) best = i;
  return (int32_t)best;
}

bool eval_plan(size_t n_tokens, size_t ctx, size_t stride, EvalPlan *out, zaya_error *err) {
  if (ctx < 4 || stride >= ctx)
    return err_set(err, ZAYA_E_INVALID,
                   "windows of %zu tokens every %zu: a window needs 4 tokens and more than its stride", ctx,
                   stride);
  EvalPlan p;
  if (stride == 0) {
    p = (EvalPlan){.n_windows = n_tokens / ctx, .window = ctx, .step = ctx, .first = ctx / 2};
    p.count = ctx - 1 - p.first;
  } else {
    const size_t window = ctx + stride / 2;
    p = (EvalPlan){.window = window, .step = stride, .first = window - stride - 1, .count = stride};
    if (n_tokens > window) p.n_windows = (n_tokens - window + stride - 1) / stride;
  }
  if (n_tokens < 2 * ctx || p.n_windows == 0)
    return err_set(err, ZAYA_E_INVALID, "the text has %zu tokens; windows of %zu need at least %zu", n_tokens,
                   ctx, 2 * ctx);
  *out = p;
  return true;
}

void eval_add(EvalSum *s, double x) {
  s->sum += x;
  s->squares += x * x;
  s->n++;
}

double eval_mean(const EvalSum *s) { return s->n ? s->sum / (double)s->n : 0; }

double eval_error(const EvalSum *s) {
  if (s->n < 2) return 0;
  const double mean = eval_mean(s), variance = s->squares / (double)s->n - mean * mean;
  return variance > 0 ? sqrt(variance / (double)(s->n - 1)) : 0;
}
