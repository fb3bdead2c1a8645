// turns: a conversation put together as chat messages, out of the blocks or items in which other APIs give
// it: what one role says in several pieces becomes one message. Owns the messages under construction; does
// not own any API's names (messages.c, responses.c). Depends on ask_fields, base/buf.
//
// Pieces of an assistant's text follow one another as they were generated; pieces of others stand on lines
// of their own. Linear in what goes in.
#pragma once

#include "base/buf.h"
#include "server/ask_fields.h"

typedef struct Turns { // zero-initialised: empty
  json_t *messages;    // the finished ones
  const char *role;    // of the open one, a literal; NULL: none is open
  Buf text, reasoning;
  json_t *calls; // of an assistant; NULL: none
  bool failed;   // for want of memory
} Turns;

// A piece of text of `role` ("system", "user", "assistant").
void turns_text(Turns *t, const char *role, const json_t *text);
// What an assistant thought before what follows.
void turns_reasoning(Turns *t, const json_t *text);
// An assistant's call; `arguments`: an object, or the text of one.
void turns_call(Turns *t, const json_t *id, const json_t *name, json_t *arguments);
// A tool's result. `is_error` is said in front of the text.
void turns_result(Turns *t, const json_t *id, const Buf *text, bool is_error);
// What comes next does not continue the open message.
void turns_break(Turns *t);
// The messages, a new reference; false: out of memory, said in `fault`.
bool turns_finish(Turns *t, json_t **messages, AskFault *fault);
void turns_free(Turns *t);

// The string under `name`, which must be there; NULL: refused.
const json_t *turns_string(const Fields *f, const char *name);
