// answer: see answer.h.
#include "server/answer.h"

#include <stdlib.h>
#include <string.h>

void answer_free(Answer *a) {
  buf_free(&a->reasoning);
  buf_free(&a->content);
  for (size_t i = 0; i < a->n_calls; i++) {
    free(a->calls[i].id);
    free(a->calls[i].name);
    buf_free(&a->calls[i].arguments);
    buf_free(&a->calls[i].raw);
  }
  for (size_t i = 0; i < a->n_tokens; i++) free(a->tokens[i].top);
  free(a->calls);
  free(a->parts);
  free(a->tokens);
  *a = (Answer){0};
}

const char *answer_part_text(const Answer *a, const AnswerPart *part, size_t *len) {
  const Buf *b = part->kind == ANSWER_REASONING ? &a->reasoning : &a->content;
  *len = part->end - part->begin;
  return b->data ? b->data + part->begin : "";
}

size_t answer_thinking_tokens(const Answer *a) { return a->result.turn.thinking + a->result.turn.forced; }

size_t answer_tokens(const Answer *answers, size_t n) {
  size_t sum = 0;
  for (size_t i = 0; i < n; i++) sum += answers[i].result.tokens;
  return sum;
}

// The last part, if it is of this kind; else a new one that begins at `begin`.
static AnswerPart *part_for(Answer *a, AnswerPartKind kind, bool new_part, size_t begin, zaya_error *err) {
  if (!new_part && a->n_parts && a->parts[a->n_parts - 1].kind == kind) return &a->parts[a->n_parts - 1];
  if (!buf_grow((void **)&a->parts, &a->cap_parts, a->n_parts + 1, sizeof *a->parts, err)) return NULL;
  a->parts[a->n_parts] = (AnswerPart){.kind = kind, .begin = begin, .end = begin};
  return &a->parts[a->n_parts++];
}

bool answer_add_reasoning(Answer *a, bool begins, const char *text, size_t len, zaya_error *err) {
  if (begins && a->reasoning.len && !buf_puts(&a->reasoning, "\n\n", err)) return false;
  AnswerPart *part = part_for(a, ANSWER_REASONING, begins, a->reasoning.len, err);
  if (!part || !buf_add(&a->reasoning, text, len, err)) return false;
  part->end = a->reasoning.len;
  return true;
}

bool answer_add_content(Answer *a, const char *text, size_t len, zaya_error *err) {
  AnswerPart *part = part_for(a, ANSWER_CONTENT, false, a->content.len, err);
  if (!part || !buf_add(&a->content, text, len, err)) return false;
  part->end = a->content.len;
  return true;
}

bool answer_add_call(Answer *a, const char *id, const zaya_output_event *event, zaya_error *err) {
  if (!buf_grow((void **)&a->calls, &a->cap_calls, a->n_calls + 1, sizeof *a->calls, err)) return false;
  AnswerPart *part = part_for(a, ANSWER_CALL, true, 0, err);
  if (!part) return false;
  part->call = a->n_calls;
  AnswerCall *c = &a->calls[a->n_calls++];
  *c = (AnswerCall){.id = strdup(id), .name = strdup(event->name ? event->name : "")};
  if (!c->id || !c->name) return err_memory(err, strlen(id), "a tool call");
  return buf_add(&c->arguments, event->text, event->len, err) &&
         buf_add(&c->raw, event->raw ? event->raw : "", event->raw_len, err);
}

bool answer_add_token(Answer *a, int32_t id, double logprob, const zaya_logprob *top, size_t n_top,
                      zaya_error *err) {
  if (!buf_grow((void **)&a->tokens, &a->cap_tokens, a->n_tokens + 1, sizeof *a->tokens, err)) return false;
  AnswerToken *t = &a->tokens[a->n_tokens];
  *t = (AnswerToken){.id = id, .logprob = logprob, .n_top = n_top};
  if (n_top && !(t->top = malloc(n_top * sizeof *top)))
    return err_memory(err, n_top * sizeof *top, "log probabilities");
  if (n_top) memcpy(t->top, top, n_top * sizeof *top);
  a->n_tokens++;
  return true;
}
