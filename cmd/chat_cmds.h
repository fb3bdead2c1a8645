// chat_cmds: the slash commands of a chat, from one table: help and completion come from it. Depends on chat,
// chat_turn.
#pragma once

#include "chat.h"

typedef enum ChatNext {
  CHAT_NEXT_READ,   // a message or a command
  CHAT_NEXT_ANSWER, // the last message wants an answer
  CHAT_NEXT_LEAVE,
} ChatNext;

// Runs a line that begins with a slash; failures are told and change nothing.
ChatNext chat_cmds_run(Chat *chat, const char *line);
// ChatLineComplete; `user` is the Chat.
json_t *chat_cmds_complete(void *user, const char *line, size_t *start);
// Says what the conversation is and lets the engine read it: at the start, and when another was loaded.
void chat_cmds_show(Chat *chat);
