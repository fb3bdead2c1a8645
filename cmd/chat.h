// chat: what the parts of `zaya chat` share: the running chat, and how it speaks to its user. Depends on
// chat_talk, chat_set, chat_store, chat_line.
#pragma once

#include "chat_line.h"
#include "chat_set.h"
#include "chat_store.h"
#include "chat_talk.h"
#include "zaya/zaya.h"

#include <stdio.h>

typedef struct Chat {
  const char *dir;  // the bundle
  const char *name; // as it was asked for
  zaya_tokenizer *tok;
  zaya_model *model;
  zaya_engine *engine;
  zaya_chat *format; // the chat template
  bool interactive, json, colour;
  ChatSet set;
  ChatTalk talk;
  ChatStore store;
  ChatLine *line;
  bool autosave;  // conversations without a name are saved too
  json_t *before; // the messages as they were, should the answer that is wanted fail; or NULL
  bool restore;   // they come back however it fails, not only when it does not fit
  char *files;    // text of files that goes with the next message, or NULL
  bool editing;   // the next message replaces the last one
  bool failed;    // an answer or a command failed
  size_t n_turns; // answers given
  zaya_generate_result last, total;
  size_t context_used; // tokens of the conversation, by the last answer
  uint64_t last_seed;
} Chat;

// A line of information: on the terminal, else on standard error.
void chat_say(const Chat *chat, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// What was asked for with a command: on standard output, but in JSON mode on standard error.
FILE *chat_out(const Chat *chat);
// "zaya chat: message" on standard error; remembers that something failed. Returns false.
bool chat_fail(Chat *chat, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool chat_fail_error(Chat *chat, const zaya_error *err);

// Adds a message, with the files that go with it, behind the conversation; `edit`: in the place of the last
// one. What was there is kept in chat->before.
bool chat_ask(Chat *chat, const char *text, size_t len, bool edit, zaya_error *err);
void chat_drop_files(Chat *chat);
// Saves the conversation, if it has a session or is to have one. A failure is told.
void chat_keep(Chat *chat);
// Prints the conversation from message `from` on.
void chat_print(const Chat *chat, size_t from, FILE *out);
