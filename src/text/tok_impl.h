// tok_impl: what the files of the tokenizer share. Nobody else includes this.
#pragma once

#include "base/jscan.h"
#include "text/tok.h"

#include <jansson.h>

enum {
  TOK_MAX_IDS = 1 << 22,    // far above any vocabulary: bounds what a wrong id can make us allocate
  TOK_MAX_ADDED_LEN = 4096, // bytes of one added token: bounds the work per position of a text
  TOK_MAX_STOPS = 16,
};

typedef struct TokStr { // a place in a pool
  uint32_t at, len;
} TokStr;

enum {
  PIECE_VOCAB = 1, // stands in the vocabulary
  PIECE_ADDED = 2,
  PIECE_BYTE = 4,
  PIECE_SPECIAL = 8,
  PIECE_CONTROL = 16,
};

typedef struct TokPiece {
  TokStr vocab;   // in `pool`: text in the vocabulary
  TokStr text;    // in `pool`: the same, or that of the added token which took the id over
  TokStr decoded; // in `bytes`
  uint32_t flags;
} TokPiece;

typedef struct TokSlot { // text to id, open addressing
  uint32_t hash;
  int32_t id;  // -1: free
  TokStr text; // repeated here: a look-up that misses the cache should miss it once
} TokSlot;

typedef struct TokMerge { // left + right -> id
  int32_t left, right, id;
} TokMerge;

typedef struct TokPair { // open addressing over merges
  uint64_t key;          // left << 32 | right; UINT64_MAX: free
  int32_t rank;
} TokPair;

typedef struct TokAdded {
  TokStr text; // in `pool`
  int32_t id;
  bool special, normalized, lstrip, rstrip, single_word;
} TokAdded;

typedef struct TokNode { // of a trie over bytes; -1: none
  int32_t child, sibling;
  int32_t added; // index of the added token that ends here
  uint8_t byte;
} TokNode;

typedef struct TokTrie {
  TokNode *nodes;
  size_t len, cap;
  int32_t root[256];
} TokTrie;

typedef struct TokReplace {
  Buf from, to;
} TokReplace;

typedef struct TokReplaces {
  TokReplace *items;
  size_t len;
} TokReplaces;

// The characters that stand side by side in some merge, as a filter by hash: two that are not in it are
// never merged over, so the text between them falls into parts that merge independently.
enum { TOK_FILTER_BITS = 20 };

struct zaya_tokenizer { // Tok
  char *name;           // the file, for messages
  // vocabulary
  Buf pool;
  TokPiece *pieces; // [n], by id
  size_t n, cap;
  TokSlot *slots;
  size_t slot_mask;
  // model
  TokMerge *merges; // by rank
  size_t n_merges, merges_cap;
  TokPair *pairs;
  size_t pair_mask;
  uint64_t *filter;     // 2^TOK_FILTER_BITS bits; NULL when the text cannot be cut
  int32_t *bmp;         // [65536] id of each character below U+10000, -1: none
  int32_t byte_id[256]; // with byte_fallback; -1: none
  int32_t unk;          // -1: none
  bool byte_fallback, fuse_unk, ignore_merges;
  // added tokens
  TokAdded *added;
  size_t n_added, added_cap;
  TokTrie raw, normalized; // matched in the text as given, and in the normalized text
  // pipeline
  TokReplaces normalizer;
  Buf split; // pre-tokenizer: pieces end behind this string; empty: no split
  zaya_ids before, after;
  TokReplaces decoder;
  bool decode_bytes;
  size_t strip; // at most so many `strip_char` are dropped at the start of a decoded text
  char strip_char;
  Buf bytes;
  // what the files beside it say
  int32_t bos;
  int32_t stops[TOK_MAX_STOPS];
  size_t n_stops;
};

static inline const char *tok_at(const Tok *t, TokStr s) { return t->pool.data + s.at; }

// tok_vocab
bool vocab_add(Tok *t, JStr text, int64_t id, zaya_error *err);
bool vocab_index(Tok *t, zaya_error *err); // after the last vocab_add
int32_t vocab_find(const Tok *t, const char *text, size_t len);
// The same in steps, so that several look-ups can wait for memory together.
uint32_t vocab_hash(const char *text, size_t len);
void vocab_prefetch(const Tok *t, uint32_t hash);
int32_t vocab_find_hashed(const Tok *t, const char *text, size_t len, uint32_t hash);
bool vocab_grow(Tok *t, size_t n, zaya_error *err); // at least n ids
bool vocab_pool(Tok *t, const char *text, size_t len, TokStr *out, zaya_error *err);

// tok_parts: the small parts, given as JSON text
json_t *parts_json(const char *name, const char *what, JStr text, zaya_error *err);
bool parts_normalizer(Tok *t, const json_t *j, zaya_error *err);
bool parts_pre_tokenizer(Tok *t, const json_t *j, zaya_error *err);
bool parts_post_processor(Tok *t, const json_t *j, zaya_error *err);
bool parts_decoder(Tok *t, const json_t *j, zaya_error *err);
size_t replaces_limit(size_t len); // what a text of `len` bytes may grow to
void replaces_free(TokReplaces *r);
// Appends `text` with every replacement made, one after the other.
bool replaces_apply(const TokReplaces *r, const char *text, size_t len, Buf *out, zaya_error *err);

// tok_added
bool added_parse(Tok *t, JScan *j, zaya_error *err);
bool added_index(Tok *t, zaya_error *err); // builds the tries; needs the normalizer
// Index of the longest added token at text[0..len) that `allowed` accepts (NULL: all), -1 when there is
// none; *match is its length.
typedef bool (*AddedFilter)(void *user, const TokAdded *a, size_t match);
int32_t added_longest(const Tok *t, const TokTrie *trie, const char *text, size_t len, AddedFilter allowed,
                      void *user, size_t *match);
void added_free(Tok *t);

// tok_bpe
bool bpe_index(Tok *t, zaya_error *err);

typedef struct BpeSymbol {
  int32_t id, rank; // rank of the merge with the next symbol; -1: none
  uint32_t prev, next, len;
} BpeSymbol;

typedef struct Bpe { // working memory of one encode call
  BpeSymbol *symbols;
  size_t n, cap;
  uint64_t *heap; // rank << 32 | symbol
  size_t heap_len, heap_cap;
  bool plain; // control tokens may not come out
} Bpe;

// Receives the ids of a text in order: `end` is where the piece ends in it.
typedef bool (*BpeEmit)(void *user, int32_t id, size_t end, zaya_error *err);
bool bpe_run(const Tok *t, Bpe *b, const char *text, size_t len, BpeEmit emit, void *user, zaya_error *err);
void bpe_free(Bpe *b);

// tok_decode
bool decode_index(Tok *t, zaya_error *err); // what every id decodes to

// tok_config
bool config_index(Tok *t, const char *dir, zaya_error *err); // dir may be NULL
