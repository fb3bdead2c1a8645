// chat_edit: editing of a line on a terminal, by libedit. Owns the editor and its history. Depends on
// chat_line's types and chat_term. Only in programs built with libedit (ZAYA_WITH_EDIT).
#pragma once

#include "chat_line.h"

typedef struct ChatEdit ChatEdit;

ChatEdit *chat_edit_new(const ChatLineParams *params, zaya_error *err);
void chat_edit_free(ChatEdit *edit);
// Appends a line, which holds newlines where they were pasted or typed with Alt-Enter; none at its end.
// `more`: it goes on with what came before.
ChatLineEvent chat_edit_read(ChatEdit *edit, bool more, zaya_text *out, zaya_error *err);
void chat_edit_prefill(ChatEdit *edit, const char *text);
// Remembers a message and writes the history file.
void chat_edit_remember(ChatEdit *edit, const char *text);
