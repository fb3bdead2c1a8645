// answer: one choice of an answer, gathered from the engine's events; the same for all dialects. Owns the
// pieces in their order; does not own their form (dialects) or how they came about. Depends on base/buf.
//
// A call is here only when it is whole: malformed and truncated ones are counted, and never handed out.
#pragma once

#include "base/buf.h"
#include "base/error.h"

typedef struct AnswerCall {
  char *id; // "call_" and 24 random letters; the same in stream and body
  char *name;
  Buf arguments; // a JSON object
  Buf raw;       // as the model wrote it
} AnswerCall;

typedef struct AnswerToken { // one token of the content, with its log probabilities
  int32_t id;
  double logprob;
  zaya_logprob *top; // [n_top], best first
  size_t n_top;
} AnswerToken;

typedef enum AnswerPartKind { ANSWER_REASONING, ANSWER_CONTENT, ANSWER_CALL } AnswerPartKind;

// A run of the answer: bytes [begin, end) of `reasoning` or of `content`, or a call.
typedef struct AnswerPart {
  AnswerPartKind kind;
  size_t begin, end;
  size_t call; // index in `calls`
} AnswerPart;

typedef enum AnswerEnd {
  ANSWER_STOP,      // the model ended its turn
  ANSWER_STRING,    // a stop string; which one: stop_string
  ANSWER_LENGTH,    // max_tokens, or the context is full
  ANSWER_CALLS,     // it ended with tool calls
  ANSWER_CANCELLED, // by a shutdown; the client is gone in all other cases
  ANSWER_FAILED,    // error
} AnswerEnd;

typedef struct Answer {
  Buf reasoning; // blocks joined by an empty line
  Buf content;
  AnswerCall *calls;
  size_t n_calls, cap_calls;
  AnswerPart *parts; // in the order in which they were written
  size_t n_parts, cap_parts;
  AnswerToken *tokens; // of the content; with logprobs asked for only
  size_t n_tokens, cap_tokens;
  size_t n_bad; // malformed or truncated calls
  bool done;
  AnswerEnd end;
  const char *stop_string;     // ANSWER_STRING: borrowed from the Ask; NULL where it is not known
  zaya_generate_result result; // counts: result.tokens, result.turn.thinking + result.turn.forced, ..
  zaya_error error;            // ANSWER_FAILED
} Answer;

void answer_free(Answer *a);
// Text of a part.
const char *answer_part_text(const Answer *a, const AnswerPart *part, size_t *len);
// Tokens spent on thinking.
size_t answer_thinking_tokens(const Answer *a);
// Tokens of all choices.
size_t answer_tokens(const Answer *answers, size_t n);

// --- gathering: what job.c calls
// ----------------------------------------------------------------------------
// begins: of a new block.
bool answer_add_reasoning(Answer *a, bool begins, const char *text, size_t len, zaya_error *err);
bool answer_add_content(Answer *a, const char *text, size_t len, zaya_error *err);
// event: ZAYA_OUTPUT_CALL_DONE.
bool answer_add_call(Answer *a, const char *id, const zaya_output_event *event, zaya_error *err);
bool answer_add_token(Answer *a, int32_t id, double logprob, const zaya_logprob *top, size_t n_top,
                      zaya_error *err);
