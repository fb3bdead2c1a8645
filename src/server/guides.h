// guides: the constraint that a request asks for, compiled once per text and kept for the next request. Owns
// the vocabulary's use and the cache; does not own grammars (text/guide). Any thread may use it. Depends on
// ask, lru, guide.
#pragma once

#include "server/ask.h"
#include "text/guide.h"

typedef struct Guides Guides;

typedef enum GuideUse {
  GUIDE_NONE,   // the answer is free
  GUIDE_TEXT,   // the answer is data of a form: no markup is looked for (OutParams.verbatim)
  GUIDE_CALLS,  // text and calls
  GUIDE_EITHER, // calls, or data of a form (OutParams.verbatim and or_calls)
} GuideUse;

Guides *guides_new(const Tok *tok, zaya_error *err);
void guides_free(Guides *g);
// What holds for the Ask's answer; *out is counted up for the caller (guide_free), NULL with GUIDE_NONE.
//
// Tools: their schemas hold where all of them can be compiled. A tool whose schema is not supported is an
// error where it asks for `strict`; else its arguments are free, while names and the calls' form still hold.
// With a form of the answer and tool_choice "auto" the answer is calls or data of that form; with "required"
// or a name it is calls. tool_choice "none" leaves the tools in the prompt and keeps calls out of the answer.
bool guides_find(Guides *g, const Ask *ask, Guide **out, GuideUse *use, AskFault *fault);
