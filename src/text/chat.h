// chat: a folder's chat templates, and a conversation rendered with them: OpenAI-style messages, tools
// and options -> the prompt's text with the origin of every byte -> ids. Checks what comes in and names
// the place by its JSON pointer. Never makes a template up. Owns the special tokens that templates get
// (bos_token, ...); does not own the tokenizer. A Chat is read-only: threads may render at once.
// Depends on tmpl, tok.
#pragma once

#include "text/tmpl.h"
#include "text/tok.h"

typedef struct zaya_chat Chat;

// chat_template.jinja of the folder, else chat_template of tokenizer_config.json: a text, or a list of
// named ones of which "tool_use" serves requests with tools and "default" all others.
Chat *chat_open(const char *dir, zaya_error *err);
// From memory. `special`: object of special tokens, {"bos_token": "<bos>", ...}, or NULL.
Chat *chat_compile(const char *name, const char *text, size_t len, const json_t *special, zaya_error *err);
void chat_close(Chat *c);
// Whether the template for requests with / without tools mentions a variable.
bool chat_uses(const Chat *c, bool with_tools, const char *variable);

typedef struct ChatRequest {
  const json_t *messages;   // array
  const json_t *tools;      // array or NULL
  const json_t *kwargs;     // object or NULL: further variables of the template
  zaya_think_mode thinking; // enable_thinking; AUTO leaves it to the template
  bool no_generation_prompt;
  const int64_t *now; // for strftime_now; NULL: the clock
  TmplLimits limits;
} ChatRequest;

bool chat_render(const Chat *c, const ChatRequest *r, TmplOut *out, zaya_error *err);

// Appends the ids of a rendered prompt: control tokens are recognised in the template's text alone.
bool chat_encode(const Tok *t, const TmplOut *prompt, zaya_ids *ids, zaya_error *err);
// The prompt's segments as the tokenizer takes them (they point into its text); freed with free().
zaya_segment *chat_segments(const TmplOut *prompt, zaya_error *err);
