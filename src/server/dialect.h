// dialect: an API's form: its requests to an Ask, answers to its bodies and events. Pure translation: no
// sockets, no engine. One file per dialect (dialect_chat.c, dialect_completions.c, responses.c, messages.c);
// the table is dialects.c. Depends on ask, answer, tok.
//
// Threads: parse runs on a worker, open..close of one request never at the same time, store functions
// anywhere.
#pragma once

#include "server/answer.h"
#include "server/ask.h"
#include "text/tok.h"

// What does not change from request to request.
typedef struct DialectEnv {
  const zaya_sampling *defaults;
  const Tok *tok;
  const char *model; // the name that the server gives its model
  void *store;       // what store_new made
  bool counting;     // the request only asks how long its prompt is: what an answer needs may be missing
} DialectEnv;

typedef struct ReplyHead {
  const char *id;                      // id_prefix and 24 random letters
  const char *model;                   // the server's name for it: every request is answered by the one model
  int64_t created;                     // seconds since 1970
  size_t prompt_tokens, cached_tokens; // cached: known once the answer has begun
} ReplyHead;

// A step of a streamed answer. Calls come whole, after CALL_DONE only (a malformed call must not be
// announced).
typedef enum ReplyKind {
  REPLY_REASONING, // text: the next piece; `begins`: of a new block
  REPLY_CONTENT, // text, and the tokens that it consists of where logprobs were asked for (n_tokens may be 0)
  REPLY_CALL,    // call `index` of the choice
} ReplyKind;

typedef struct ReplyEvent {
  ReplyKind kind;
  size_t choice;
  const char *text; // not empty
  size_t len;
  bool begins; // another part than the event before (of this choice): what was open is closed
  const AnswerCall *call;
  size_t index;
  const AnswerToken *tokens;
  size_t n_tokens;
} ReplyEvent;

typedef struct Dialect {
  const char *path;      // "/v1/chat/completions"
  const char *name;      // for logs and metrics: "chat"
  const char *id_prefix; // "chatcmpl-"

  // Takes a reference to body; *out is freed by the caller also on failure.
  bool (*parse)(const DialectEnv *env, json_t *body, Ask *out, AskFault *fault);
  // State of one answer. `ask`, `env` and head outlive it.
  void *(*open)(const DialectEnv *env, const Ask *ask, const ReplyHead *head, zaya_error *err);
  void (*close)(void *state);

  // Streaming: append whole server-sent events ("data: ...\n\n", "event: ..." lines where the dialect has
  // them).
  bool (*begin)(void *state, Buf *out, zaya_error *err); // cached_tokens is known
  bool (*event)(void *state, const ReplyEvent *event, Buf *out, zaya_error *err);
  // All choices are complete, none has failed: finish reasons, usage, [DONE].
  bool (*end)(void *state, const Answer *answers, size_t n, Buf *out, zaya_error *err);
  // Something failed after `begin`: an error in the stream's own form, and its end.
  bool (*fail)(void *state, const AskFault *fault, Buf *out, zaya_error *err);
  // Not streaming: the whole body. A new reference; NULL: out of memory.
  json_t *(*body)(void *state, const Answer *answers, size_t n, zaya_error *err);
  // The error body. A new reference.
  json_t *(*error)(const AskFault *fault);
  // {"input_tokens": n} for POST path + "/count_tokens" (messages) ; NULL: there is no such route.
  json_t *(*count)(size_t n_tokens);

  // What is kept between requests; all NULL where nothing is. Guarded by itself.
  void *(*store_new)(zaya_error *err);
  void (*store_free)(void *store);
  json_t *(*fetch)(void *store, const char *id); // GET path/id; NULL: not there
  json_t *(*drop)(void *store, const char *id);  // DELETE path/id: its body; NULL: not there
} Dialect;

extern const Dialect dialect_chat, dialect_completions, dialect_responses, dialect_messages;

// The dialects of this build, NULL behind the last (dialects.c).
extern const Dialect *const dialects[];

// "data: JSON\n\n", with "event: NAME\n" in front when `event` is not NULL. Takes `json` over, NULL counts as
// memory.
bool dialect_sse(Buf *out, const char *event, json_t *json, zaya_error *err);
// OpenAI's error object: {"error": {"message", "type", "param", "code"}}.
json_t *dialect_openai_error(const AskFault *fault);
// The text that the bytes of one token are, malformed ones as U+FFFD.
json_t *dialect_token_text(const Tok *tok, int32_t id);
// What is finite as it is, -9999 for the rest.
json_t *dialect_logprob(double logprob);
// [{"token", "logprob", "bytes", "top_logprobs": [..]}]
json_t *dialect_logprobs(const Tok *tok, const AnswerToken *tokens, size_t n);
// {"prompt_tokens", "completion_tokens", "total_tokens", .. details} of chat and completions.
json_t *dialect_usage(const ReplyHead *head, const Answer *answers, size_t n);
// "stop", "length" or "tool_calls".
const char *dialect_finish(const Answer *answer);
