// responses_read: requests of POST /v1/responses (responses.c) as an Ask: items in, chat messages out. Owns
// that API's names in requests; does not own its answers. Depends on dialect, history, turns.
#pragma once

#include "server/dialect.h"
#include "server/history.h"

// As Dialect.parse; env->store is a History of records {"items": [..], ..}. The body's `input` becomes the
// list of all items of the conversation, those of the previous response in front.
bool responses_parse(const DialectEnv *env, json_t *body, Ask *a, AskFault *fault);
