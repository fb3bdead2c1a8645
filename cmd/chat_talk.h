// chat_talk: a conversation as a list of messages, and what can be done with one: ask, answer, take back.
// Owns the messages (Jansson, as in OpenAI's chat completions, without a system message). Knows nothing of
// models, files or terminals.
#pragma once

#include "zaya/zaya.h"

#include <jansson.h>

typedef struct ChatTalk {
  json_t *messages;
} ChatTalk;

bool chat_talk_init(ChatTalk *talk, zaya_error *err);
void chat_talk_free(ChatTalk *talk);
void chat_talk_clear(ChatTalk *talk);
// Takes the reference to `messages`, when it is a list of messages as it should be; the error names the
// place.
bool chat_talk_set(ChatTalk *talk, json_t *messages, zaya_error *err);

// Adds a question. One that was not answered is replaced.
bool chat_talk_ask(ChatTalk *talk, const char *text, size_t len, zaya_error *err);
// Adds an answer; `calls` (may be NULL) is an array of tool calls and is taken over.
bool chat_talk_answer(ChatTalk *talk, const zaya_text *content, const zaya_text *reasoning, json_t *calls,
                      zaya_error *err);
// Adds the result of the first tool call of the last answer that has none yet. False: there is none.
bool chat_talk_result(ChatTalk *talk, const char *text, zaya_error *err);
// Tool calls of the last answer without a result.
size_t chat_talk_calls_open(const ChatTalk *talk);

bool chat_talk_empty(const ChatTalk *talk);
bool chat_talk_unanswered(const ChatTalk *talk); // the last message waits for an answer
// The last question; NULL: none.
const char *chat_talk_question(const ChatTalk *talk);
// The reasoning of the last answer; NULL: none.
const char *chat_talk_reasoning(const ChatTalk *talk);
// Takes back the last question and all behind it. False: there is none.
bool chat_talk_undo(ChatTalk *talk);
// Takes back the last answer (with its calls and their results, down to the question). False: no question.
bool chat_talk_rewind(ChatTalk *talk);
// JSON for the chat template, with a system message in front (may be NULL); to be freed.
char *chat_talk_json(const ChatTalk *talk, const char *system, zaya_error *err);
