// ask: what a request wants, in one form for all dialects, and why one is refused. Owns the form and the
// parts of reading it that dialects share; does not own any dialect's field names (dialect_*.c), sockets or
// the engine. Depends on base, ask_fields, Jansson.
#pragma once

#include "server/ask_fields.h"

typedef enum AskForm { ASK_TEXT, ASK_JSON_OBJECT, ASK_JSON_SCHEMA, ASK_REGEX, ASK_GRAMMAR } AskForm;
typedef enum AskTools { ASK_TOOLS_AUTO, ASK_TOOLS_NONE, ASK_TOOLS_REQUIRED, ASK_TOOLS_NAMED } AskTools;

// Made by ask_init, freed by ask_free. Borrowed pointers point into `body` or into what is owned here.
typedef struct Ask {
  json_t *body;         // the parsed request; owned
  json_t *messages;     // OpenAI chat messages, as text/chat takes them; NULL for a raw prompt. Owned
  json_t *tools;        // in OpenAI's form, [{"type": "function", "function": {..}}]; NULL: none. Owned
  json_t *kwargs;       // further variables of the template, without enable_thinking; NULL: none. Owned
  const json_t *prompt; // of a raw completion: a string or a list of ids, or a list of those (many_prompts)
  bool many_prompts;
  size_t n_prompts;

  zaya_think_mode thinking; // OFF: not even of the model's own accord (ask_think)
  zaya_thinking budget;

  AskTools tool_choice;
  const char *tool_name; // ASK_TOOLS_NAMED
  bool parallel_tools;

  AskForm form;
  char form_field[128]; // the field that asked for it, for errors of its schema or pattern
  const json_t *schema; // ASK_JSON_SCHEMA
  const char *pattern;  // ASK_REGEX, ASK_GRAMMAR

  zaya_sampling sampling; // starts as the bundle's defaults; sampling.bias points to `bias`
  zaya_bias *bias;        // owned
  bool has_seed;          // else the server draws one
  size_t max_tokens;      // 0: as many as fit
  const char **stops;     // owned array of borrowed strings
  size_t n_stops;
  size_t n;         // choices of a prompt, 1 to ASK_MAX_CHOICES
  int top_logprobs; // -1: none; 0: of the tokens drawn; more: and that many of the likeliest
  bool echo;        // raw completion: the prompt's text in front of the answer
  bool stream, include_usage;
} Ask;

enum { ASK_MAX_CHOICES = 16, ASK_MAX_PROMPTS = 256, ASK_MAX_STOPS = 64, ASK_MAX_LOGPROBS = 20 };

// Defaults: one choice, not streamed, tools auto and parallel. Takes a reference to `body`.
void ask_init(Ask *a, const zaya_sampling *defaults, json_t *body);
void ask_free(Ask *a);
// Prompt i of a raw completion.
const json_t *ask_prompt(const Ask *a, size_t i);

// --- shared reading: each takes fields as the object `f` has them, absent ones leave the Ask as it is
// ------------ temperature, top_p, top_k, min_p, repetition_penalty, presence_penalty, frequency_penalty,
// seed.
bool ask_read_sampling(const Fields *f, Ask *a);
// A string or a list of strings, none empty ("stop", "stop_sequences").
bool ask_read_stops(const Fields *f, const char *name, Ask *a);
// {"id": bias}, from -100 to 100.
bool ask_read_bias(const Fields *f, const char *name, Ask *a);
// Extensions that every dialect offers: thinking_budget, chat_template_kwargs, regex (or guided_regex),
// grammar (or guided_grammar).
bool ask_read_extras(const Fields *f, Ask *a);
// A JSON schema or an OpenAI response_format-like object: {"type": "text" | "json_object" | "json_schema",
// ..}; a schema lies in `json_schema.schema` (chat) or beside the type in `schema` (responses).
bool ask_read_format(const Fields *f, const char *name, Ask *a);
// Thinking on or off; off also closes a block that the model opens by itself.
void ask_think(Ask *a, bool on);
// At most so many tokens of thinking; from three quarters on it ends where the model is ready to.
void ask_budget(Ask *a, size_t tokens);
// "none", "minimal", "low", "medium", "high", "xhigh", "max": off, 256, 1024, 8192 and as long as it likes.
bool ask_read_effort(const Fields *f, const char *name, Ask *a);
// The tools as they are, in OpenAI's chat form: checked and kept. An empty list is none.
bool ask_take_tools(const Fields *f, json_t *tools, Ask *a);
// Whether a tool of that name is among the Ask's.
bool ask_has_tool(const Ask *a, const char *name);
