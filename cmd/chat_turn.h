// chat_turn: the conversation goes to the engine and an answer comes back. Owns how a conversation becomes
// token ids and what is kept of an answer. Depends on chat, chat_view, chat_term.
#pragma once

#include "chat.h"

// Tokens of the conversation in front of an answer; with a message that begins with `begun` behind it, unless
// that is NULL. Fails when they leave no room for an answer; the error says the numbers and what helps.
bool chat_turn_count(const Chat *chat, const char *begun, size_t *n, zaya_error *err);
// Answers the last message, shows the answer as it comes and adds it to the conversation. False when it
// failed or was stopped before anything was said: the conversation is then as it was.
bool chat_turn_answer(Chat *chat, zaya_error *err);
// Lets the engine read what the next turn will begin with, while the user types; `begun` as above. Failing is
// no matter: the next turn reads it then.
void chat_turn_prepare(const Chat *chat, const char *begun);
