// zaya.h: the public interface of libzaya, the runtime and toolkit for ZAYA1 models.
//
// Conventions
//  - Handles are opaque; whoever gets one from a *_open / *_new function frees it with the matching
//    *_close / *_free (NULL is allowed there).
//  - A fallible function returns false or NULL and fills its last argument, a zaya_error (may be
//    NULL; must be zero-initialised or cleared before use: the first failure wins).
//  - The library never prints, never exits and keeps no global mutable state. Different handles may
//    be used from different threads; one handle from one thread at a time, unless said otherwise.
//  - Strings are UTF-8. Token ids are int32_t. Sizes are in bytes unless said otherwise.
#ifndef ZAYA_H
#define ZAYA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(ZAYA_BUILDING) && defined(__GNUC__)
#define ZAYA_API __attribute__((visibility("default")))
#else
#define ZAYA_API
#endif

// The version of the library, "major.minor.patch".
ZAYA_API const char *zaya_version(void);

// ---------------------------------------------------------------------------------------------
// Errors
// ---------------------------------------------------------------------------------------------

#define ZAYA_STATUS_LIST(X)                                                                                  \
  X(OK, "ok")                                                                                                \
  X(E_INVALID, "invalid argument")                                                                           \
  X(E_IO, "input/output error")                                                                              \
  X(E_FORMAT, "malformed data")                                                                              \
  X(E_UNSUPPORTED, "not supported")                                                                          \
  X(E_MEMORY, "out of memory")                                                                               \
  X(E_LIMIT, "limit exceeded")                                                                               \
  X(E_CANCELLED, "cancelled")                                                                                \
  X(E_NETWORK, "network error")

typedef enum zaya_status {
#define ZAYA_STATUS_ENUM(name, text) ZAYA_##name,
  ZAYA_STATUS_LIST(ZAYA_STATUS_ENUM)
#undef ZAYA_STATUS_ENUM
} zaya_status;

// The outcome of a call: a status, and one line that names the file, the tensor, what was expected
// and what was found.
typedef struct zaya_error {
  zaya_status status;
  char message[1020];
} zaya_error;

ZAYA_API const char *zaya_status_name(zaya_status status);
ZAYA_API void zaya_error_clear(zaya_error *err);

// ---------------------------------------------------------------------------------------------
// Growable buffers that the library fills and the caller frees. Zero-initialise before first use;
// functions append to what is there.
// ---------------------------------------------------------------------------------------------

typedef struct zaya_text { // NUL-terminated behind its `len` bytes, once it holds anything
  char *data;
  size_t len, cap;
} zaya_text;

typedef struct zaya_ids { // token ids
  int32_t *data;
  size_t len, cap;
} zaya_ids;

typedef struct zaya_token { // a token and the bytes of the text that it stands for
  int32_t id;
  size_t begin, end;
} zaya_token;

typedef struct zaya_tokens {
  zaya_token *data;
  size_t len, cap;
} zaya_tokens;

ZAYA_API void zaya_text_free(zaya_text *text);
ZAYA_API void zaya_ids_free(zaya_ids *ids);
ZAYA_API void zaya_tokens_free(zaya_tokens *tokens);

// ---------------------------------------------------------------------------------------------
// Tokenizer: tokenizer.json of a folder. Read-only: any number of threads may use one handle
// ---------------------------------------------------------------------------------------------

typedef struct zaya_tokenizer zaya_tokenizer;

// Opens `dir`/tokenizer.json and, when they are there, tokenizer_config.json, special_tokens_map.json,
// generation_config.json, config.json and chat_template.jinja beside it (no model is needed). Parts of
// the file that are not implemented fail with ZAYA_E_UNSUPPORTED and are named.
ZAYA_API zaya_tokenizer *zaya_tokenizer_open(const char *dir, zaya_error *err);
ZAYA_API void zaya_tokenizer_close(zaya_tokenizer *tokenizer);

ZAYA_API size_t zaya_tokenizer_count(const zaya_tokenizer *tokenizer); // ids are below it
// The text of an id as it stands in the file ("▁the", "<0x0A>"); NULL when there is none.
ZAYA_API const char *zaya_tokenizer_piece(const zaya_tokenizer *tokenizer, int32_t id, size_t *len);
// The bytes that an id decodes to (" the", "\n"); NULL when there is no such id.
ZAYA_API const char *zaya_tokenizer_bytes(const zaya_tokenizer *tokenizer, int32_t id, size_t *len);
// The id of a piece; -1 when there is none.
ZAYA_API int32_t zaya_tokenizer_id(const zaya_tokenizer *tokenizer, const char *piece, size_t len);
// Marked as special in the file.
ZAYA_API bool zaya_tokenizer_is_special(const zaya_tokenizer *tokenizer, int32_t id);
// Special, named as such by the files beside it, or markup of the chat template: never comes from text
// that is encoded without ZAYA_ENCODE_CONTROL.
ZAYA_API bool zaya_tokenizer_is_control(const zaya_tokenizer *tokenizer, int32_t id);
ZAYA_API int32_t zaya_tokenizer_bos(const zaya_tokenizer *tokenizer); // -1: none
// The ids that end a text.
ZAYA_API const int32_t *zaya_tokenizer_stops(const zaya_tokenizer *tokenizer, size_t *n);

enum {
  ZAYA_ENCODE_TEMPLATE = 1, // put what the post-processor adds around it (<bos>)
  ZAYA_ENCODE_CONTROL = 2,  // control tokens in the text are recognised; without it they are plain text
};

// A run of text, and whether control tokens in it are recognised: template text, as against what a user
// wrote.
typedef struct zaya_segment {
  const char *text;
  size_t len;
  bool control;
} zaya_segment;

// Appends the ids of `text`. Malformed UTF-8 counts as U+FFFD. On failure `ids` is as it was.
ZAYA_API bool zaya_tokenizer_encode(const zaya_tokenizer *tokenizer, const char *text, size_t len,
                                    unsigned flags, zaya_ids *ids, zaya_error *err);
// Appends the ids of the segments' texts set behind one another, with the places they came from (`ids` or
// `tokens` may be NULL). A control token is recognised where it lies whole in segments that allow it; all
// else is encoded as the joined text would be. Of `flags` only ZAYA_ENCODE_TEMPLATE counts.
ZAYA_API bool zaya_tokenizer_encode_segments(const zaya_tokenizer *tokenizer, const zaya_segment *segments,
                                             size_t n, unsigned flags, zaya_ids *ids, zaya_tokens *tokens,
                                             zaya_error *err);

enum { ZAYA_DECODE_SKIP_SPECIAL = 1 };

// Appends the text of `ids`: always valid UTF-8 (bytes that are not become U+FFFD).
ZAYA_API bool zaya_tokenizer_decode(const zaya_tokenizer *tokenizer, const int32_t *ids, size_t n,
                                    unsigned flags, zaya_text *out, zaya_error *err);

// The same id by id: each push appends whole characters only and holds an incomplete one back. The
// tokenizer must outlive it.
typedef struct zaya_decoder zaya_decoder;
ZAYA_API zaya_decoder *zaya_decoder_new(const zaya_tokenizer *tokenizer, unsigned flags, zaya_error *err);
ZAYA_API void zaya_decoder_free(zaya_decoder *decoder);
ZAYA_API bool zaya_decoder_push(zaya_decoder *decoder, int32_t id, zaya_text *out, zaya_error *err);
// At the end of the text: an incomplete character becomes U+FFFD. The decoder is then as new.
ZAYA_API bool zaya_decoder_flush(zaya_decoder *decoder, zaya_text *out, zaya_error *err);

// ---------------------------------------------------------------------------------------------
// Sampler: one token id out of logits
// ---------------------------------------------------------------------------------------------

typedef struct zaya_bias {
  int32_t id;
  double bias; // added to the logit
} zaya_bias;

// How a token is drawn, in this order: bias, penalties, mask, temperature, min_p, top_k, top_p. Each of the
// last three cuts what the one before left; at least the likeliest token stays.
typedef struct zaya_sampling {
  double temperature;        // 0: the likeliest token, of equal ones the lowest id
  int top_k;                 // 0: off
  double top_p;              // the fewest tokens that hold this share of the probability; 1: off
  double min_p;              // at least this share of the likeliest token's probability; 0: off
  double repetition_penalty; // of tokens of prompt and output: divides a positive logit, multiplies others;
                             // 1: off
  double presence_penalty;   // subtracted from the logit of each token of the output
  double frequency_penalty;  // subtracted as often as the token is in the output
  uint64_t seed;             // the same seed, logits and settings give the same tokens on every machine
  const zaya_bias *bias;     // must live as long as the sampler; NULL: none
  size_t n_bias;
} zaya_sampling;

// What this family of models was tuned with: temperature 1, top_p 0.95, min_p 1e-5, the rest off.
ZAYA_API zaya_sampling zaya_sampling_default(void);
// The same as `dir`/generation_config.json changes it, if there is one (do_sample false: temperature 0).
// Settings of the file that change sampling and are not implemented are named in `ignored` (may be NULL),
// with commas between them.
ZAYA_API bool zaya_sampling_read(const char *dir, zaya_sampling *out, zaya_text *ignored, zaya_error *err);

typedef struct zaya_logprob {
  int32_t id;
  double logprob; // natural logarithm of its probability under the logits as they are
} zaya_logprob;

typedef struct zaya_sampler zaya_sampler;

// For logits of `n_vocab` tokens. Settings out of range fail with ZAYA_E_INVALID.
ZAYA_API zaya_sampler *zaya_sampler_new(const zaya_sampling *params, size_t n_vocab, zaya_error *err);
ZAYA_API void zaya_sampler_free(zaya_sampler *sampler);
// Tells the sampler of a token of the prompt or the output, for the penalties.
ZAYA_API bool zaya_sampler_accept(zaya_sampler *sampler, int32_t id, bool output, zaya_error *err);
// Draws an id. `mask` holds a bit per id (bit id & 31 of word id >> 5), set where the token is allowed;
// NULL allows all. -INFINITY excludes a token. NaN or +INFINITY, and no token left, are errors. The drawn
// token is not accepted by itself.
ZAYA_API bool zaya_sampler_next(zaya_sampler *sampler, const float *logits, const uint32_t *mask, int32_t *id,
                                zaya_error *err);
// Log probabilities under the logits as they are: of `id` in *chosen, and of the `n_top` likeliest tokens,
// best first, in `top` (fewer than n_top where the vocabulary is smaller: the rest have id -1).
ZAYA_API bool zaya_logprobs(const float *logits, size_t n_vocab, int32_t id, double *chosen, size_t n_top,
                            zaya_logprob *top, zaya_error *err);

// ---------------------------------------------------------------------------------------------
// Chat templates: a folder's own template renders a conversation (docs/templates.md). Every byte of
// the prompt knows whether the template wrote it or it came in with the request: only what the
// template wrote is searched for control tokens. Read-only: any number of threads may use one handle
// ---------------------------------------------------------------------------------------------

typedef struct zaya_chat zaya_chat;

// chat_template.jinja of the folder, else chat_template of its tokenizer_config.json (a text, or a list
// of named ones: "tool_use" serves requests with tools, "default" all others); the special tokens from
// tokenizer_config.json and special_tokens_map.json. A folder without a template fails with
// ZAYA_E_UNSUPPORTED: none is made up.
ZAYA_API zaya_chat *zaya_chat_open(const char *dir, zaya_error *err);
// The same from memory. `name` is for messages; `special`: JSON object {"bos_token": "<bos>", ...} or NULL.
ZAYA_API zaya_chat *zaya_chat_compile(const char *name, const char *text, size_t len, const char *special,
                                      zaya_error *err);
ZAYA_API void zaya_chat_close(zaya_chat *chat);
// Whether the template (the one for requests with tools, or without) mentions a variable at all: one that
// it does not mention has no effect.
ZAYA_API bool zaya_chat_uses(const zaya_chat *chat, bool with_tools, const char *variable);

typedef enum zaya_think_mode { ZAYA_THINK_AUTO, ZAYA_THINK_ON, ZAYA_THINK_OFF } zaya_think_mode;

// JSON texts as in OpenAI's chat completions; errors name the place by its JSON pointer.
typedef struct zaya_chat_params {
  const char *messages;      // list of messages
  const char *tools;         // list of tools, or NULL
  const char *kwargs;        // object: further variables of the template (chat_template_kwargs), or NULL
  zaya_think_mode thinking;  // enable_thinking; AUTO: not set, the template decides
  bool no_generation_prompt; // end behind the last message, without the head of the answer
  const int64_t *now;        // seconds since 1970 for strftime_now; NULL: the clock
} zaya_chat_params;

typedef struct zaya_prompt {
  zaya_text text;
  zaya_segment *segments; // cover the text, in order; `control`: written by the template
  size_t n_segments;
} zaya_prompt;

// Fills `out`, which is freed with zaya_prompt_free. What the template itself refuses (raise_exception)
// fails with ZAYA_E_INVALID and its message.
ZAYA_API bool zaya_chat_render(const zaya_chat *chat, const zaya_chat_params *params, zaya_prompt *out,
                               zaya_error *err);
// Appends the prompt's ids (`ids` or `tokens` may be NULL). The tokenizer adds nothing around it: a <bos>
// is the template's to write.
ZAYA_API bool zaya_prompt_encode(const zaya_prompt *prompt, const zaya_tokenizer *tokenizer, zaya_ids *ids,
                                 zaya_tokens *tokens, zaya_error *err);
ZAYA_API void zaya_prompt_free(zaya_prompt *prompt);

// ---------------------------------------------------------------------------------------------
// Model: a bundle or checkpoint folder, opened and mapped; read-only and shared by its sessions
// ---------------------------------------------------------------------------------------------

typedef struct zaya_model zaya_model;

typedef struct zaya_model_params {
  int n_threads; // threads that compute, the caller's included; 0: one per available core
  bool exact;    // float32 throughout, for checking; else int8 activations and float16 KV (docs/numerics.md)
  bool kv_q8;    // KV cache in int8, a scale for each head's vector: half the memory, a little less exact
} zaya_model_params;

// What the model is. Symbols as in docs/architecture.md.
typedef struct zaya_model_info {
  const char *layout;       // "switch_mlp", "legacy" or "native"
  const char *format;       // of the linear layers: "affine 4-bit g32", "bf16", ...
  int n_layers;             // attention and MoE layers counted one by one (80 for ZAYA1-8B)
  int hidden_size;          // H
  int n_heads, n_kv_heads;  // Nq, Nk
  int head_dim;             // D
  int rotary_dim;           // R
  int expert_width;         // I
  int n_experts;            // E, without the skip route
  int router_width;         // P
  int vocab_size;           // V
  int max_position;         // the context the model was made for, in tokens
  uint64_t n_params;        // all parameters
  uint64_t n_params_active; // parameters that one token uses, without the embedding
  uint64_t tensor_bytes;    // bytes of tensors in the folder
  uint64_t token_bytes;     // bytes of weights that one generated token reads, output head included
  uint64_t token_ops;  // operations of one prompt token (a multiply-add is two), without head and attention
  int n_threads;       // threads in use
  const char *kernels; // the processor rung in use: "amx", "avx512", "avxvnni", "avx2", "neon", "scalar". The
                       // environment variable ZAYA_CPU, read when a model is opened, asks for another one
} zaya_model_info;

// Opens the folder `dir` (bundle, legacy or native checkpoint). `params` may be NULL.
ZAYA_API zaya_model *zaya_model_open(const char *dir, const zaya_model_params *params, zaya_error *err);
ZAYA_API void zaya_model_close(zaya_model *model);
ZAYA_API zaya_model_info zaya_model_get_info(const zaya_model *model);
// Things that are odd but not fatal (what config.json says against what the tensors are), one line
// each; NULL behind the last.
ZAYA_API const char *zaya_model_note(const zaya_model *model, size_t i);

// ---------------------------------------------------------------------------------------------
// Session: one sequence. Owns its KV cache and the CCA state (conv_state and prev_hs) together:
// neither is ever kept, copied or restored without the other. Many sessions may share one model;
// calls that compute are serialised on the model's threads.
// ---------------------------------------------------------------------------------------------

typedef struct zaya_session zaya_session;
typedef struct zaya_checkpoint zaya_checkpoint;

// Receives traced tensors (float32, row-major): name as "layers.3.hidden", shape of `ndim` sizes.
typedef void (*zaya_trace_fn)(void *user, const char *name, const float *data, int ndim, const size_t *shape);

typedef enum zaya_logits_mode {
  ZAYA_LOGITS_NONE, // no logits wanted
  ZAYA_LOGITS_LAST, // [V], of the last token fed
  ZAYA_LOGITS_ALL,  // [n, V]
} zaya_logits_mode;

// A sequence of at most `max_tokens`; says in the error what the memory would have been.
ZAYA_API zaya_session *zaya_session_new(zaya_model *model, size_t max_tokens, zaya_error *err);
ZAYA_API void zaya_session_free(zaya_session *session);
// Bytes a session of `max_tokens` needs, before it is made.
ZAYA_API size_t zaya_session_bytes(const zaya_model *model, size_t max_tokens);
ZAYA_API size_t zaya_session_length(const zaya_session *session); // tokens fed so far
ZAYA_API size_t zaya_session_capacity(const zaya_session *session);

// Feeds `n` tokens. The numbers do not depend on how the ids are cut into calls, nor on the number
// of threads: bit for bit. `logits` may be NULL with ZAYA_LOGITS_NONE. On failure the session is as
// it was before the call.
ZAYA_API bool zaya_session_feed(zaya_session *session, const int32_t *ids, size_t n, zaya_logits_mode mode,
                                float *logits, zaya_error *err);
// Traces every later feed, in pieces of consecutive tokens: layers.i.hidden [n, H] (the block's output),
// layers.i.residual [n, H] (the stream after the layer's merge), layers.i.route [n] (E means skip) and
// layers.i.route_prob [n]. NULL stops it.
ZAYA_API void zaya_session_trace(zaya_session *session, zaya_trace_fn fn, void *user);
// Hands the present state out: layers.i.conv_state [2, C] (older first), layers.i.prev_hs [H].
ZAYA_API void zaya_session_trace_state(zaya_session *session, zaya_trace_fn fn, void *user);

// One of several sequences that zaya_feed_many takes on together; fields as in zaya_session_feed.
typedef struct zaya_feed {
  zaya_session *session;
  const int32_t *ids;
  size_t n;
  zaya_logits_mode mode;
  float *logits;
} zaya_feed;

// Feeds several sessions of one model at once: layers read their weights once for all. Every session gets
// the bits it would get alone. On failure some sessions may have moved on; their lengths tell.
ZAYA_API bool zaya_feed_many(zaya_feed *feeds, size_t n_feeds, zaya_error *err);

ZAYA_API void zaya_session_reset(zaya_session *session);
ZAYA_API zaya_session *zaya_session_clone(const zaya_session *session, zaya_error *err);
// A checkpoint remembers the length and the CCA state there; rewinding to it is exact as long as the
// session still holds the same first tokens (it refuses when it knows that it does not).
ZAYA_API zaya_checkpoint *zaya_session_checkpoint(const zaya_session *session, zaya_error *err);
ZAYA_API void zaya_checkpoint_free(zaya_checkpoint *checkpoint);
ZAYA_API bool zaya_session_rewind(zaya_session *session, const zaya_checkpoint *checkpoint, zaya_error *err);
// Saves the whole state to `out`; loading refuses a buffer that is damaged or belongs to a model of
// another shape. A loaded session continues bitwise as the saved one would have.
ZAYA_API bool zaya_session_save(const zaya_session *session, zaya_text *out, zaya_error *err);
ZAYA_API bool zaya_session_load(zaya_session *session, const void *data, size_t len, zaya_error *err);

// ---------------------------------------------------------------------------------------------
// Measuring: where time goes, and what the machine could do
// ---------------------------------------------------------------------------------------------

#define ZAYA_PART_LIST(X)                                                                                    \
  X(PROJECTIONS, "projections") /* q, k, v and o */                                                          \
  X(CONV, "convolutions")       /* with norms and rotation of heads, and the state */                        \
  X(ATTENTION, "attention")                                                                                  \
  X(ROUTER, "router")                                                                                        \
  X(EXPERTS, "experts")                                                                                      \
  X(HEAD, "output head")                                                                                     \
  X(STREAM, "embedding, residual stream")

typedef enum zaya_part {
#define ZAYA_PART_ENUM(name, text) ZAYA_PART_##name,
  ZAYA_PART_LIST(ZAYA_PART_ENUM)
#undef ZAYA_PART_ENUM
      ZAYA_PARTS
} zaya_part;

typedef struct zaya_profile {
  double seconds[ZAYA_PARTS]; // of wall time
  uint64_t bytes[ZAYA_PARTS]; // of weights and KV that had to be read
  uint64_t steps, tokens;
  double waiting; // seconds of those that the calling thread waited for the others
} zaya_profile;

ZAYA_API const char *zaya_part_name(zaya_part part);
// Switches the profile of a model on or off; switching it on clears it.
ZAYA_API void zaya_model_profile(zaya_model *model, bool on);
ZAYA_API zaya_profile zaya_model_get_profile(const zaya_model *model);

// The kernels that this processor can run, fastest first ("amx", "avx512", "avxvnni", "avx2", "neon",
// "scalar"); NULL behind the last. And those that a model opened now would run: the first, or what ZAYA_CPU
// asks for.
ZAYA_API const char *zaya_kernels_available(size_t i);
ZAYA_API const char *zaya_kernels_chosen(zaya_error *err);

// Fills an empty session with n tokens of noise instead of computing them: for measuring how fast generation
// is behind them. What the model says then means nothing.
ZAYA_API bool zaya_session_fill(zaya_session *session, size_t n, zaya_error *err);

// The limits of the machine with the threads and the kernels of a model.
typedef struct zaya_limits {
  double read_bytes;  // bytes a second, reading a buffer larger than the caches
  double int8_ops;    // operations a second of the instructions that multiply codes
  double float32_ops; // operations a second, fused multiply-add
} zaya_limits;

// Takes about `seconds`, and 1 GiB of memory. The best of several rounds: what else runs counts as noise.
ZAYA_API bool zaya_model_limits(zaya_model *model, double seconds, zaya_limits *out, zaya_error *err);

// ---------------------------------------------------------------------------------------------
// Output: what a model writes, split while it is written into reasoning, content and tool calls
// (docs/output.md has the rules). Text may be cut anywhere, inside characters and tags too: the
// events put together are the same.
// ---------------------------------------------------------------------------------------------

typedef struct zaya_output zaya_output;

// The markup; NULL for ZAYA's own, shown here. A name and ">" follow `function` and `parameter`.
typedef struct zaya_output_tags {
  const char *think_open;    // <think>
  const char *think_close;   // </think>
  const char *call_open;     // <zyphra_tool_call>
  const char *call_close;    // </zyphra_tool_call>
  const char *result_open;   // <zyphra_tool_response>: never shown
  const char *result_close;  // </zyphra_tool_response>
  const char *function;      // <function=
  const char *function_end;  // </function>
  const char *parameter;     // <parameter=
  const char *parameter_end; // </parameter>
} zaya_output_tags;

typedef struct zaya_output_params {
  zaya_output_tags tags;
  const char *tools;     // JSON array of the request's tools, whose schemas type the arguments; may be NULL
  bool thinking;         // the prompt has opened a thinking block (zaya_output_prompt_thinks)
  bool verbatim;         // the answer is data (constrained by a schema): no tag is looked for in it
  bool or_calls;         // with verbatim: unless it begins with a tool call, then calls are all it holds
  bool plain;            // a text is continued, not a turn written: no tag at all is looked for
  size_t max_call_bytes; // a longer tool call is malformed; 0: 8 MiB
} zaya_output_params;

typedef enum zaya_output_kind {
  ZAYA_OUTPUT_REASONING,      // text: the next piece of reasoning of block `index`
  ZAYA_OUTPUT_REASONING_DONE, // block `index` is complete (`truncated`: the output ended inside it)
  ZAYA_OUTPUT_CONTENT,        // text: the next piece of the answer
  ZAYA_OUTPUT_CALL,           // call `index` of function `name` begins
  ZAYA_OUTPUT_CALL_ARGUMENTS, // text: the next piece of its arguments, as JSON
  ZAYA_OUTPUT_CALL_DONE,      // text: all its arguments, a JSON object; raw; known, mistyped
  ZAYA_OUTPUT_CALL_BAD,       // a malformed or truncated call. text: why; raw; name NULL if it never began
  ZAYA_OUTPUT_END,            // the last event
} zaya_output_kind;

// Pointers are valid during the callback. Text is UTF-8 (malformed bytes become U+FFFD) and
// NUL-terminated.
typedef struct zaya_output_event {
  zaya_output_kind kind;
  const char *text;
  size_t len;
  size_t index;     // of the reasoning block or of the call, from 0
  const char *name; // of the function
  const char *raw;  // the call as the model wrote it, byte for byte
  size_t raw_len;
  bool known;      // `name` is one of the tools
  size_t mistyped; // arguments that are not of their schema's type; given as if there were no schema
  bool truncated;  // by the end of the output
} zaya_output_event;

// Returns false to stop: the feeding call then fails with ZAYA_E_CANCELLED.
typedef bool (*zaya_output_fn)(void *user, const zaya_output_event *event);

// Where every byte went: fed = reasoning + content + calls + markup + held.
typedef struct zaya_output_counts {
  uint64_t fed;
  uint64_t reasoning, content; // bytes shown, as the model wrote them
  uint64_t calls;              // bytes of calls, their tags included
  uint64_t markup;             // think tags, stray tags, framing newlines: shown nowhere
  uint64_t held;               // not decided yet; 0 at the end
  size_t n_blocks;             // reasoning blocks that are not empty
  size_t n_calls, n_bad;       // whole calls; malformed or truncated ones
} zaya_output_counts;

// How long a model may think in its turn. All zero: as long as it likes.
typedef struct zaya_thinking {
  bool has_limit;      // hard limit, in tokens: then the closing tag is forced. 0 forbids thinking
  bool has_soft_limit; // from here on the block is closed as soon as its closing tag is likely
  size_t limit, soft_limit;
  const char *note;    // said before a forced closing tag; NULL: nothing
  size_t close_lines;  // newlines behind a forced closing tag; 0: 2, as ZAYA's template has it
  float soft_min_prob; // likely: at least this probable, or
  size_t soft_top_k;   // fewer than so many tokens are more probable; both 0: 0.05 and off
} zaya_thinking;

// The tokens of a turn, each counted once; the end token in none of them.
typedef struct zaya_turn_counts {
  size_t thinking; // chosen by the model, in thinking blocks, their tags included
  size_t forced;   // given: note, closing tag and newlines of a cut
  size_t answer;   // the rest
  bool cut;        // the thinking was closed by the budget
} zaya_turn_counts;

ZAYA_API zaya_output *zaya_output_new(const zaya_output_params *params, zaya_output_fn fn, void *user,
                                      zaya_error *err);
ZAYA_API void zaya_output_free(zaya_output *output);
ZAYA_API bool zaya_output_feed(zaya_output *output, const char *text, size_t len, zaya_error *err);
// The output is complete: settles what is held and reports a truncated call.
ZAYA_API bool zaya_output_end(zaya_output *output, zaya_error *err);
ZAYA_API zaya_output_counts zaya_output_get_counts(const zaya_output *output);
// Whether a prompt ends inside a thinking block that it opened in the turn to be written, which begins
// behind the last `turn` ("<|im_start|>" when NULL). `tags` may be NULL.
ZAYA_API bool zaya_output_prompt_thinks(const zaya_output_tags *tags, const char *turn, const char *prompt,
                                        size_t len);

// ---------------------------------------------------------------------------------------------
// Inspect: what a folder is, without loading it. Headers and small JSON files are read, no tensor.
// ---------------------------------------------------------------------------------------------

typedef struct zaya_tensor_class {
  const char *name;           // "embedding", "attention", "experts", "routers", "norms", ...
  const char *format;         // "affine 4-bit g32 f16", "bf16", ...; "mixed" when its tensors differ
  size_t n_tensors, n_keys;   // tensors of the model; keys in the files (a quantized one has several)
  uint64_t n_params, n_bytes; // bytes of all keys
} zaya_tensor_class;

typedef struct zaya_tensor_info {
  const char *name, *dtype, *shard;
  int ndim;
  size_t shape[8];
  uint64_t n_bytes;
} zaya_tensor_info;

typedef struct zaya_token_info {
  const char *role; // "bos", "eos", "pad", "unk"
  int id;           // -1: unknown
  const char *text; // NULL: unknown
} zaya_token_info;

typedef struct zaya_inspection {
  zaya_model_info model;
  bool tied_head;
  double rope_theta;
  float norm_eps;
  uint64_t file_bytes; // of the shards
  size_t n_shards;
  uint64_t kv_bytes_per_token; // of a 16-bit KV cache
  uint64_t kv_bytes_full;      // the same for the full context
  uint64_t state_bytes;        // conv_state and prev_hs of a sequence, float32
  const zaya_tensor_class *classes;
  size_t n_classes;
  const zaya_tensor_info *tensors; // by name
  size_t n_tensors;
  const zaya_token_info *tokens; // eos may occur several times
  size_t n_tokens;
  const char *const *notes; // what is odd, one line each
  size_t n_notes;
} zaya_inspection;

ZAYA_API zaya_inspection *zaya_inspect(const char *dir, zaya_error *err);
ZAYA_API void zaya_inspection_free(zaya_inspection *inspection);

// ---------------------------------------------------------------------------------------------
// Convert: a BF16, F16 or F32 checkpoint (legacy or native) to the published bundle layout
// ---------------------------------------------------------------------------------------------

typedef enum zaya_quant_mode {
  ZAYA_QUANT_AFFINE, // what the published bundle named MXFP4 holds: scale and bias per group
  ZAYA_QUANT_MXFP4,  // E2M1 codes, a power of two per 32 inputs
  ZAYA_QUANT_MXFP8,  // E4M3 codes, a power of two per 32 inputs
  ZAYA_QUANT_NVFP4,  // E2M1 codes, an E4M3 scale per 16 inputs
} zaya_quant_mode;

typedef struct zaya_convert_params { // zero-initialised: the published bundle
  zaya_quant_mode mode;              // of the linear layers; embedding and head are affine always
  int bits;                          // affine: 2, 3, 4, 5, 6 or 8; 0: 4
  int group_size;                    // affine: 32, 64 or 128; 0: 32
  int embed_bits;                    // 0: 8
  bool metal_rounding;               // round as MLX's Metal kernel does instead of its CPU code
  uint64_t shard_bytes;              // a shard is closed once its tensors reach it; 0: 1 000 000 000
  int n_threads;                     // 0: one per available core
  bool dry_run;                      // plan and check only: nothing is written
  bool resume;                       // take up an interrupted conversion
  const char *source_name;           // "Zyphra/ZAYA1-8B", for jang_config.json; NULL: from the path
  // Token ids of a text. With them the source runs over the text first, and the scales and biases of
  // affine layers are chosen for the least output error on inputs like those. NULL: plain rounding.
  const int32_t *calibration_ids;
  size_t n_calibration_ids;
  // Called now and then from the calling thread: tokens while `phase` is "calibrating", bytes of the
  // source while it is "converting". False stops with ZAYA_E_CANCELLED. May be NULL.
  bool (*progress)(void *user, const char *phase, uint64_t done, uint64_t total);
  void *user;
} zaya_convert_params;

// Errors of the outputs W x over inputs x that the calibration did not see, for a part of the rows.
typedef struct zaya_convert_gain {
  double mse_plain, mse_calibrated; // mean squared error of an output
  double power;                     // mean square of an output
  uint64_t n;                       // outputs compared; 0: nothing was
} zaya_convert_gain;

typedef struct zaya_convert_result {
  zaya_convert_gain attention, experts; // with calibration only, of the shards written in this run
  size_t n_keys, n_shards;
  size_t n_reused;       // shards that an interrupted conversion had finished
  uint64_t tensor_bytes; // of the bundle
  uint64_t source_bytes; // of the source's tensors
  bool already_there;    // resume: the bundle was complete
} zaya_convert_result;

// Writes to the folder OUT.partial, which is renamed to `out` when all is there: nothing half-written
// ever stands under `out`. Peak memory is some tens of MB per thread. `params` and `result` may be NULL.
ZAYA_API bool zaya_convert(const char *source, const char *out, const zaya_convert_params *params,
                           zaya_convert_result *result, zaya_error *err);

// ---------------------------------------------------------------------------------------------
// Constraints: answers that cannot be but of a form (docs/structured-output.md): a JSON schema, a regular
// expression, a grammar, calls of given tools
// ---------------------------------------------------------------------------------------------

// What the tokens of a tokenizer spell, ordered for masks. Made once per tokenizer (some tenths of a
// second, some 15 MB for 262144 tokens); read-only: any number of threads may use it. Constraints
// keep what they need of it: it may be freed before them, and so may the tokenizer.
typedef struct zaya_vocabulary zaya_vocabulary;
ZAYA_API zaya_vocabulary *zaya_vocabulary_new(const zaya_tokenizer *tokenizer, zaya_error *err);
ZAYA_API void zaya_vocabulary_free(zaya_vocabulary *vocabulary);

// Compiled and read-only: any number of sequences and threads may use one at a time.
typedef struct zaya_constraint zaya_constraint;

// JSON schema, draft 2020-12. What is not supported fails with ZAYA_E_UNSUPPORTED and a message that names
// its JSON pointer; nothing is ignored but annotations.
ZAYA_API zaya_constraint *zaya_constraint_from_schema(const zaya_vocabulary *vocabulary, const char *schema,
                                                      size_t len, zaya_error *err);
// A regular expression that the whole answer matches.
ZAYA_API zaya_constraint *zaya_constraint_from_regex(const zaya_vocabulary *vocabulary, const char *pattern,
                                                     size_t len, zaya_error *err);
// A grammar in GBNF; errors name line and column.
ZAYA_API zaya_constraint *zaya_constraint_from_gbnf(const zaya_vocabulary *vocabulary, const char *grammar,
                                                    size_t len, zaya_error *err);

typedef enum zaya_tool_choice {
  ZAYA_TOOL_AUTO,     // text, then perhaps calls: only valid ones
  ZAYA_TOOL_REQUIRED, // at least one call
} zaya_tool_choice;

typedef struct zaya_tools_params {
  const char *tools; // JSON array as in OpenAI's requests
  zaya_tool_choice choice;
  const char *name;      // the one tool that may be called; NULL: any
  bool parallel;         // several calls may follow one another
  zaya_output_tags tags; // as for the output; NULL: ZAYA's own
} zaya_tools_params;

ZAYA_API zaya_constraint *zaya_constraint_from_tools(const zaya_vocabulary *vocabulary,
                                                     const zaya_tools_params *params, zaya_error *err);
// Either calls or data: `tools` with ZAYA_TOOL_REQUIRED, `form` one of the others. Both stay the caller's and
// may be freed. A form whose answers may begin with "<" is refused: they could not be told from calls.
ZAYA_API zaya_constraint *zaya_constraint_either(const zaya_constraint *tools, const zaya_constraint *form,
                                                 zaya_error *err);
ZAYA_API void zaya_constraint_free(zaya_constraint *constraint);

// Whether a finished text is of the form; the error says where it is not. Schemas are checked apart from
// the grammar, on the parsed value.
ZAYA_API bool zaya_constraint_check(const zaya_constraint *constraint, const char *text, size_t len,
                                    zaya_error *err);

// ---------------------------------------------------------------------------------------------
// Generation: the answer to a prompt, as events (see Output)
// ---------------------------------------------------------------------------------------------

typedef struct zaya_generate_params {
  zaya_sampling sampling;
  size_t max_tokens;        // of the answer, its thinking included; 0: until the context is full
  const char *const *stops; // stop strings: the answer's text ends before the first that it holds
  size_t n_stops;
  zaya_output_params output; // tools, whether the prompt opened a thinking block, ...
  zaya_thinking thinking;    // the budget
  // On the answer behind the thinking; NULL: none. The answer then ends only when it is complete and valid.
  // But for tools, the answer's text is taken as it is: no markup is looked for in it.
  const zaya_constraint *constraint;
} zaya_generate_params;

typedef enum zaya_finish {
  ZAYA_FINISH_STOP,      // the model ended its turn
  ZAYA_FINISH_STRING,    // a stop string
  ZAYA_FINISH_LENGTH,    // max_tokens, or the context is full
  ZAYA_FINISH_CANCELLED, // the callback returned false
} zaya_finish;

typedef struct zaya_generate_result {
  zaya_finish finish;
  size_t stop_string;           // ZAYA_FINISH_STRING: which of `stops`
  size_t prompt_tokens, tokens; // tokens drawn, the end token included
  size_t cached_tokens;         // of the prompt's, those that an engine's prefix cache saved from being read
  zaya_turn_counts turn;        // where they went
  zaya_output_counts output;    // where their bytes went
  double prompt_seconds, seconds;
} zaya_generate_result;

ZAYA_API zaya_generate_params zaya_generate_params_default(void);
ZAYA_API const char *zaya_finish_name(zaya_finish finish); // "stop", "stop_string", "length", "cancelled"

// Feeds the prompt to the session and generates. `fn` may be NULL; when it returns false the generation
// ends with ZAYA_FINISH_CANCELLED, which is no failure. The session then holds the prompt and all tokens
// drawn but the last.
ZAYA_API bool zaya_generate(zaya_session *session, const zaya_tokenizer *tokenizer, const int32_t *prompt,
                            size_t n, const zaya_generate_params *params, zaya_output_fn fn, void *user,
                            zaya_generate_result *result, zaya_error *err);

// ---------------------------------------------------------------------------------------------
// Engine: many answers at once from one model, and a prefix cache: what was read for one prompt is not
// read again for another that begins the same way. Any number of threads may use one engine
// ---------------------------------------------------------------------------------------------

typedef struct zaya_engine zaya_engine;

typedef struct zaya_engine_params { // zero-initialised: defaults
  size_t ctx;               // tokens of one sequence; 0: 32768, or the model's context if that is less
  size_t parallel;          // answers written at the same time; 0: 8
  size_t queue;             // answers that may wait; 0: 64
  uint64_t cache_bytes;     // of the prefix cache; 0: 1 GiB
  bool no_cache;            // no prefix cache
  const char *cache_dir;    // folder that keeps it on disk, for other runs and processes; NULL: none
  uint64_t cache_dir_bytes; // of that folder at most; 0: 4 GiB
} zaya_engine_params;

// Model and tokenizer must outlive the engine. Sessions of the model may be used beside it; they take turns
// with its steps. `params` may be NULL.
ZAYA_API zaya_engine *zaya_engine_new(zaya_model *model, const zaya_tokenizer *tokenizer,
                                      const zaya_engine_params *params, zaya_error *err);
// Cancels what is still being written; no call may be on its way.
ZAYA_API void zaya_engine_free(zaya_engine *engine);

typedef struct zaya_engine_request {
  const int32_t *prompt;
  size_t n;
  const size_t *marks; // positions where a later prompt may branch off, ascending: beginnings of turns
                       // (zaya_tokenizer_turns). The state there is kept; may be NULL
  size_t n_marks;
  const zaya_generate_params *params;
  zaya_output_fn fn; // called on the engine's thread while the caller waits: must not block. May be NULL
  void *user;
  bool (*reading)(void *user, size_t done,
                  size_t total); // the same, over the prompt; false cancels. May be NULL
} zaya_engine_request;

// Blocks until the answer is complete: the tokens are those of zaya_generate with a session of `ctx` tokens.
// When a callback returns false the generation ends with ZAYA_FINISH_CANCELLED, which is no failure. `result`
// may be NULL; its prompt_seconds begin when the prompt leaves the queue.
ZAYA_API bool zaya_engine_generate(zaya_engine *engine, const zaya_engine_request *request,
                                   zaya_generate_result *result, zaya_error *err);
// A prompt that will probably come: read into the cache while nothing else runs.
ZAYA_API bool zaya_engine_prepare(zaya_engine *engine, const int32_t *prompt, size_t n, const size_t *marks,
                                  size_t n_marks, zaya_error *err);
// Waits until nothing runs, what was prepared is read and the cache folder is written.
ZAYA_API void zaya_engine_settle(zaya_engine *engine);
ZAYA_API size_t zaya_engine_context(const zaya_engine *engine);
// Where turns begin in a prompt: writes the positions of up to `cap` turn-opening tokens, returns how many
// there are.
ZAYA_API size_t zaya_tokenizer_turns(const zaya_tokenizer *tokenizer, const int32_t *ids, size_t n,
                                     size_t *marks, size_t cap);

// ---------------------------------------------------------------------------------------------
// Server: a model behind HTTP, for clients of OpenAI's and Anthropic's APIs (docs/server.md)
// ---------------------------------------------------------------------------------------------

typedef struct zaya_server zaya_server;

typedef struct zaya_server_params { // zero-initialised: defaults
  zaya_engine_params engine;
  const char *host;            // address or name to listen on; NULL: 127.0.0.1
  int port;                    // 0: any free one, told by zaya_server_url
  const char *name;            // the model's name for clients; NULL: the folder's
  const char *const *api_keys; // one of these is asked for; without any, none is
  size_t n_api_keys;
  const char *cors;       // origin whose pages may use the server, "*": any; NULL: only its own page
  size_t max_body;        // bytes of a request; 0: 16 MiB
  int idle_seconds;       // a client may be silent while it sends or should read; 0: 60
  int keep_alive_seconds; // a silent stream gets a comment; 0: 5
  bool no_page;           // no chat page at /
  const char *log_path;   // NULL: stderr
  bool log_json;          // the log as JSON objects, one a line
  bool log_text;          // the log holds what is asked and answered
} zaya_server_params;

// Listens, and answers on threads of its own until it is stopped. `dir` is the model's folder, for tokenizer,
// chat template and sampling defaults. The model must outlive the server; others may use it beside it.
// ZAYA_E_UNSUPPORTED when built without libmicrohttpd. `params` may be NULL.
ZAYA_API zaya_server *zaya_server_new(zaya_model *model, const char *dir, const zaya_server_params *params,
                                      zaya_error *err);
ZAYA_API const char *zaya_server_url(const zaya_server *server);  // "http://127.0.0.1:8080"
ZAYA_API const char *zaya_server_name(const zaya_server *server); // of the model
ZAYA_API size_t zaya_server_context(const zaya_server *server);   // tokens of one conversation
// Bytes that sequences and prefix cache take at most, beside the weights.
ZAYA_API uint64_t zaya_server_bytes(const zaya_server *server);
// Opens the log file again, after it was moved away.
ZAYA_API bool zaya_server_reopen_log(zaya_server *server, zaya_error *err);
// Takes no new requests, gives those at work `seconds`, cancels the rest, and returns when all is quiet.
ZAYA_API void zaya_server_stop(zaya_server *server, double seconds);
ZAYA_API void zaya_server_free(zaya_server *server);

// ---------------------------------------------------------------------------------------------
// Evaluation: how well a model knows a text, and how far two models are apart
// ---------------------------------------------------------------------------------------------

typedef struct zaya_eval_params {
  size_t ctx;    // tokens of a window
  size_t stride; // 0: windows side by side, their second half scored; else as llama.cpp's --ppl-stride
  int32_t bos;   // takes the place of each window's first token; -1: none
  // After every window: the perplexity or the mean divergence so far. False cancels. May be NULL.
  bool (*progress)(void *user, size_t done, size_t total, double value);
  void *user;
} zaya_eval_params;

typedef struct zaya_perplexity_result {
  double perplexity, error; // exp of the mean negative log-likelihood; its standard error
  double nll;               // nats a token
  size_t n_scored, n_windows;
} zaya_perplexity_result;

// Perplexity as llama.cpp's tool defines it, so that figures compare.
ZAYA_API bool zaya_perplexity(zaya_model *model, const int32_t *ids, size_t n, const zaya_eval_params *params,
                              zaya_perplexity_result *out, zaya_error *err);

// KL(A || B) in nats over the distributions of the next token.
typedef struct zaya_compare_result {
  double kl_mean, kl_error, kl_median, kl_p90, kl_p99, kl_max;
  double top1_agreement; // share of positions with the same likeliest token
  double perplexity_a, perplexity_b;
  size_t n_scored;
} zaya_compare_result;

// A is the reference. Both must have the same vocabulary.
ZAYA_API bool zaya_compare(zaya_model *a, zaya_model *b, const int32_t *ids, size_t n,
                           const zaya_eval_params *params, zaya_compare_result *out, zaya_error *err);

// ---------------------------------------------------------------------------------------------
// Tensor files
// ---------------------------------------------------------------------------------------------

typedef struct zaya_tensor {
  const char *name;
  const char *dtype; // as safetensors spells it: "F32", "I32", ...
  int ndim;          // at most 8
  const size_t *shape;
  const void *data;
} zaya_tensor;

// Writes tensors as a safetensors file: under another name first, renamed when whole.
ZAYA_API bool zaya_tensors_save(const char *path, const zaya_tensor *tensors, size_t n, zaya_error *err);

// ---------------------------------------------------------------------------------------------
// Hub: bundles fetched from a Hugging Face compatible hub, and found again in its cache
// ---------------------------------------------------------------------------------------------

typedef struct zaya_pull_progress {
  uint64_t bytes_done, bytes_total; // of the wanted files, what was there already included
  uint64_t bytes_fetched;           // that came over the network in this call
  size_t files_done, files_total;   // 0 of 0 while the list is being fetched
  const char *note;                 // why a request is tried again, or NULL; valid during the call
} zaya_pull_progress;

// Called several times a second; false stops the download (ZAYA_E_CANCELLED; it can be resumed).
typedef bool (*zaya_pull_fn)(void *user, const zaya_pull_progress *progress);

typedef struct zaya_pull_params {
  const char *revision; // branch, tag or commit; NULL: "main"
  const char *to;       // a plain folder; NULL: the cache that other tools share
  const char *endpoint; // NULL: HF_ENDPOINT, else https://huggingface.co
  const char *token;    // NULL: HF_TOKEN, else the token file in HF_HOME; "": none
  bool all;             // every file of the repository, not only what a bundle consists of
  int connections;      // files fetched at the same time; 0: 4
  int retries;          // attempts after the first that brought nothing new; -1: 5
  double retry_delay;   // seconds before the first retry, doubled each time up to 60; 0: 1
  double timeout;       // seconds without data after which a connection counts as dead; 0: 30
  zaya_pull_fn progress;
  void *user;
} zaya_pull_params;

typedef struct zaya_pull_file {
  char *path; // in the repository
  uint64_t size;
  bool fetched; // false: was there already
} zaya_pull_file;

typedef struct zaya_pull_result {
  char *dir;       // the folder to open
  char commit[41]; // what the revision stands for
  zaya_pull_file *files;
  size_t n_files;
  uint64_t bytes_total, bytes_fetched;
} zaya_pull_result;

// Fetches `repo` ("org/name"). Every file is checked against the size and the hash that the hub lists
// before it gets its final name; what is there already is kept, partial files (".incomplete") are
// resumed. The token goes to the endpoint's own scheme, host and port only.
// ZAYA_E_UNSUPPORTED when built without libcurl.
ZAYA_API bool zaya_pull(const char *repo, const zaya_pull_params *params, zaya_pull_result *result,
                        zaya_error *err);
ZAYA_API void zaya_pull_result_free(zaya_pull_result *result);

// The folder that `name_or_dir` means, put into *dir: a folder's path as it is; else "org/name" or
// "org/name@revision" in the hub cache (HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub).
// Never touches the network; the error says how to get what is missing.
ZAYA_API bool zaya_resolve_model(const char *name_or_dir, zaya_text *dir, zaya_error *err);

// ---------------------------------------------------------------------------------------------
// Synth: a folder of a model's true shapes with random weights
// ---------------------------------------------------------------------------------------------

typedef struct zaya_synth_params {
  const char *preset; // "zaya1-8b" (also when NULL) or "tiny"
  const char *config; // path of a config.json to take the shapes from instead; NULL: the preset
  const char *layout; // "mxfp4" (also when NULL), "legacy" or "native"
  uint64_t seed;      // legacy and native of one seed hold the same weights, mxfp4 others
  int n_threads;      // 0: one per available core; the bytes do not depend on it
  bool (*progress)(void *user, uint64_t done, uint64_t total); // tensor bytes; false stops
  void *user;
} zaya_synth_params;

typedef struct zaya_synth_result {
  size_t n_keys, n_shards;
  uint64_t tensor_bytes, file_bytes; // of the shards
} zaya_synth_result;

// Writes the folder `out`, which must be empty or not there: shards, index, config, tokenizer, chat
// template. Nothing stands under `out` before all is there. The weights are scaled so that activations
// stay sane and routes spread; what such a model says is noise. `params`, `result` may be NULL.
ZAYA_API bool zaya_synth(const char *out, const zaya_synth_params *params, zaya_synth_result *result,
                         zaya_error *err);

// ---------------------------------------------------------------------------------------------
// Verify: everything that can be checked of a bundle, and, with its source, that it is what was made
// ---------------------------------------------------------------------------------------------

typedef enum zaya_check_status { ZAYA_CHECK_PASS, ZAYA_CHECK_FAIL, ZAYA_CHECK_SKIP } zaya_check_status;

typedef struct zaya_check {
  const char *name;  // "missing-keys"
  const char *about; // what holds when it passes
  zaya_check_status status;
  char *detail; // what failed and how many more, why it was skipped, or what was found; may be empty
} zaya_check;

typedef struct zaya_verify_class { // tensors of one kind against the source
  const char *name;                // "attention", "experts", ...
  uint64_t tensors;
  double max_error, rms_error;
  double relative_error; // root of the errors' squares over the weights' squares
} zaya_verify_class;

typedef struct zaya_verification {
  zaya_check *checks;
  size_t n_checks, n_passed, n_failed, n_skipped;
  zaya_verify_class classes[8]; // with a source
  size_t n_classes;
} zaya_verification;

typedef struct zaya_verify_params {
  const char *source; // the checkpoint that the bundle was made from; NULL: none
  bool hash;          // compare with SHA256SUMS, or write it when there is none and nothing failed
  int n_threads;      // 0: one per available core
  bool (*progress)(void *user, uint64_t done, uint64_t total, const char *check); // false stops
  void *user;
} zaya_verify_params;

// Runs every check. NULL only when the checks could not be run (no such folder, memory): a bundle that
// fails them gives a report. `params` may be NULL.
ZAYA_API zaya_verification *zaya_verify(const char *dir, const zaya_verify_params *params, zaya_error *err);
ZAYA_API void zaya_verification_free(zaya_verification *report);

// ---------------------------------------------------------------------------------------------
// Card: a bundle's model card from what was measured
// ---------------------------------------------------------------------------------------------

typedef struct zaya_card_params {
  const char *name;    // title; NULL: the folder's name
  const char *license; // for the front matter; NULL: none is named
} zaya_card_params;

// Appends the card (Markdown with Hugging Face front matter) of the folder that `inspection` and
// `verification` describe. Reads config.json, jang_config.json and, where it is there, smoke.json.
// `params` may be NULL.
ZAYA_API bool zaya_card(const char *dir, const zaya_inspection *inspection,
                        const zaya_verification *verification, const zaya_card_params *params, zaya_text *out,
                        zaya_error *err);

#ifdef __cplusplus
}
#endif
#endif
