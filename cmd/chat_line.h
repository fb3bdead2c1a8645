// chat_line: one line of input at a time, whole messages out of them. On a terminal lines are edited,
// remembered and completed (libedit); elsewhere, or where the program was built without it, they are just
// read. Owns the editor and the history file; knows nothing of what lines mean. Depends on chat_term.
#pragma once

#include "zaya/zaya.h"

#include <jansson.h>

typedef struct ChatLine ChatLine;

typedef enum ChatLineEvent {
  CHAT_LINE_TEXT,      // a message
  CHAT_LINE_INTERRUPT, // Ctrl-C; what was typed is gone: `out` is empty if there was nothing
  CHAT_LINE_END,       // Ctrl-D or the end of the input
  CHAT_LINE_FAILED,
} ChatLineEvent;

// Words that may stand where the cursor is, for `line` up to the cursor: an array of strings, the whole of
// each word. *start: where the word begins in `line`. NULL: none.
typedef json_t *(*ChatLineComplete)(void *user, const char *line, size_t *start);

typedef struct ChatLineParams {
  bool interactive;    // on a terminal
  bool colour;         // of the prompt
  const char *history; // file; NULL: none
  ChatLineComplete complete;
  void *user;
} ChatLineParams;

ChatLine *chat_line_new(const ChatLineParams *params, zaya_error *err);
void chat_line_free(ChatLine *line);
// The next message: a line; lines joined by a backslash at their end; or a block between lines that begin and
// end with three double quotes. Replaces `out`.
ChatLineEvent chat_line_read(ChatLine *line, zaya_text *out, zaya_error *err);
// The next message begins with this text, to be edited; false where lines are not edited.
bool chat_line_prefill(ChatLine *line, const char *text);
