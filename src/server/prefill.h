// prefill: an Ask as token ids: rendered by the chat template, or a raw text. Owns where turns begin in it,
// calls as they were written once, and the prompt that will probably come next; does not own templates
// (text/chat). Depends on ask, answer, recall, chat.
#pragma once

#include "server/answer.h"
#include "server/ask.h"
#include "server/recall.h"
#include "text/chat.h"

typedef struct PromptEnv {
  const Tok *tok;
  const Chat *chat; // NULL: the bundle has no template
  Recall *recall;   // may be NULL
} PromptEnv;

typedef struct Prompt {
  zaya_ids ids;
  size_t *marks; // [n_marks] where turns begin
  size_t n_marks;
  bool thinks; // it ends in an open thinking block
} Prompt;

// The prompt of that number: 0, but for a list of them.
bool prefill_build(const PromptEnv *env, const Ask *ask, size_t number, Prompt *out, AskFault *fault);
// The text that an Ask's messages are rendered to, as /apply-template shows it.
bool prefill_text(const PromptEnv *env, const Ask *ask, Buf *out, AskFault *fault);
// The conversation with this answer, as far as it will look when something is said to it: up to the next
// turn. Thinking is gone from it. False where there is nothing to prepare.
bool prefill_next(const PromptEnv *env, const Ask *ask, const Answer *answer, Prompt *out);
void prefill_free(Prompt *p);
