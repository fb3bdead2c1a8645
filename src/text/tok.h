// tok: the tokenizer of a folder: BPE as Hugging Face's tokenizer.json describes it. What is in the file
// and not implemented here is refused by name. A Tok is read-only once opened: any number of threads may
// use it. Owns vocabulary, merges, added tokens and which ids end a text; does not own the chat format.
// Split over tok_load (the file), tok_parts (its small parts), tok_config (the files beside it),
// tok_vocab (text to id), tok_added (added tokens in text), tok_bpe (merging), tok_encode, tok_decode.
// Depends on base/.
#pragma once

#include "base/buf.h"

typedef struct zaya_tokenizer Tok;

// Opens `dir`/tokenizer.json. tokenizer_config.json, special_tokens_map.json, generation_config.json,
// config.json and chat_template.jinja beside it are read when they are there.
Tok *tok_open(const char *dir, zaya_error *err);
// The same from memory, without the files beside it; `name` is for messages. For tests.
Tok *tok_parse(const char *name, const char *json, size_t len, zaya_error *err);
void tok_close(Tok *t);

// --- ids ----------------------------------------------------------------------------------------
size_t tok_count(const Tok *t); // ids are below it; there may be holes
bool tok_has(const Tok *t, int32_t id);
// The text of an id as it stands in the file ("▁the", "<0x0A>", "<|im_end|>"); NULL when there is none.
const char *tok_piece(const Tok *t, int32_t id, size_t *len);
// The bytes that an id decodes to (" the", "\n", "<|im_end|>"); NULL when there is no such id.
const char *tok_bytes(const Tok *t, int32_t id, size_t *len);
// The id of a piece, -1 when there is none.
int32_t tok_id(const Tok *t, const char *piece, size_t len);
bool tok_is_byte(const Tok *t, int32_t id);    // stands for one byte
bool tok_is_added(const Tok *t, int32_t id);   // matched in text before BPE
bool tok_is_special(const Tok *t, int32_t id); // marked so in the file: left out by TOK_SKIP_SPECIAL
// May not come from plain text: special ones, those that the files beside name as special (eos, pad, ..)
// and added tokens in brackets that the chat template writes (<zyphra_tool_call>, <think>, ..).
bool tok_is_control(const Tok *t, int32_t id);
int32_t tok_bos(const Tok *t); // -1 when there is none
// The ids that end a text: eos of every file, and <eos> and <|im_end|> where they are added tokens.
const int32_t *tok_stops(const Tok *t, size_t *n);
bool tok_is_stop(const Tok *t, int32_t id);

// --- text to ids --------------------------------------------------------------------------------
enum {
  TOK_TEMPLATE = 1, // put what the post-processor adds around it (<bos>)
  TOK_CONTROL = 2,  // control tokens in the text are recognised; without it they are plain text
};

typedef zaya_segment TokSegment;

// Appends the ids of `text`. Malformed UTF-8 counts as U+FFFD.
bool tok_encode(const Tok *t, const char *text, size_t len, unsigned flags, zaya_ids *out, zaya_error *err);
// Appends the ids of the segments' texts set behind one another. The segments say only where control
// tokens may be recognised: one is, if it lies whole in segments with `control` set; all else, pieces
// that reach across a boundary included, is encoded as the text in one run would be, so that a chat
// prompt without control text in its messages has the ids of the rendered text. Only TOK_TEMPLATE counts
// in `flags`. `ids` or `tokens` may be NULL; tokens tile the text: each begins where the last one ended
// (offsets in bytes of the joined text as given; the bytes of one character may share a place).
bool tok_encode_segments(const Tok *t, const TokSegment *segments, size_t n, unsigned flags, zaya_ids *ids,
                         zaya_tokens *tokens, zaya_error *err);

// --- ids to text --------------------------------------------------------------------------------
enum { TOK_SKIP_SPECIAL = 1 };

// Appends the text of `ids`; always valid UTF-8.
bool tok_decode(const Tok *t, const int32_t *ids, size_t n, unsigned flags, Buf *out, zaya_error *err);

// The same id by id: what is appended is always whole characters.
typedef struct TokDecoder {
  const Tok *tok;
  unsigned flags;
  size_t strip; // characters at the start that the decoder may still drop
  char held[4]; // an incomplete character
  size_t n_held;
} TokDecoder;

TokDecoder tok_decoder(const Tok *t, unsigned flags);
bool tok_decoder_push(TokDecoder *d, int32_t id, Buf *out, zaya_error *err);
// At the end: an incomplete character becomes U+FFFD.
bool tok_decoder_flush(TokDecoder *d, Buf *out, zaya_error *err);
