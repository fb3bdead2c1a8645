// eval: comparing distributions: log-likelihood of a text, divergence of two models, and the windows of a
// text that are scored. Sums in float64. Depends on base/.
#pragma once

#include "base/error.h"

// -log softmax(logits)[target]
double eval_nll(const float *logits, size_t n_vocab, int32_t target);
// KL(P || Q) of the distributions that two rows of logits mean, in nats; at least 0.
double eval_kl(const float *p, const float *q, size_t n_vocab);
int32_t eval_argmax(const float *logits, size_t n_vocab); // lowest id of equal ones

// Windows of a text of n_tokens, as llama.cpp's perplexity tool cuts them, so that figures compare.
// stride 0: windows of `ctx` tokens side by side, the second half of each scored. stride > 0: windows of
// ctx + stride / 2 tokens, one every `stride` tokens, the last `stride` of each scored.
typedef struct EvalPlan {
  size_t n_windows, window, step;
  size_t first, count; // of the tokens scored in a window: those behind positions [first, first + count)
} EvalPlan;

bool eval_plan(size_t n_tokens, size_t ctx, size_t stride, EvalPlan *out, zaya_error *err);

// Mean and its standard error, from running sums.
typedef struct EvalSum {
  double sum, squares;
  size_t n;
} EvalSum;

void eval_add(EvalSum *s, double x);
double eval_mean(const EvalSum *s);
double eval_error(const EvalSum *s); // of the mean
