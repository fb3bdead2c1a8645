// recall: tool calls as the model wrote them, by their id, so that a call that comes back in the history is
// rendered as the very text that was generated (and its tokens are the ones that the prefix cache holds). Any
// thread may use it. Depends on lru, Jansson.
#pragma once

#include "base/buf.h"

#include <jansson.h>

typedef struct Recall Recall;

Recall *recall_new(zaya_error *err);
void recall_free(Recall *r);
// `raw` is a call in its frame; arguments: a JSON object as text.
void recall_put(Recall *r, const char *id, const char *name, const char *arguments, const char *raw,
                size_t raw_len);
// The raw text of a message's tool call, if it is the one that was put: the same id, name and arguments.
// False: not known; *raw is then empty.
bool recall_find(Recall *r, const json_t *tool_call, Buf *raw);
