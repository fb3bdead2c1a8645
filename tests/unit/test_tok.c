// tok: the small tokenizer of tests/unit/data/tok against a slow merger, its parts, and what is refused.
#include "test.h"

#include "base/buf.h"
#include "base/jscan.h"
#include "base/utf8.h"
#include "text/tok.h"

#include <sys/stat.h>
#include <unistd.h>

#define DATA ZAYA_TEST_DATA "/unit/data/tok"

static Buf file; // the small tokenizer.json
static Tok *small;

static int setup(void **state) {
  (void)state;
  zaya_error err = {0};
  assert_true(buf_read_file(&file, DATA "/tokenizer.json", 1 << 20, &err));
  small = tok_open(DATA, &err);
  if (!small) fail_msg("%s", err.message);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  tok_close(small);
  buf_free(&file);
  return 0;
}

// The file with the first `from` replaced by `to`.
static Buf edited(const char *from, const char *to) {
  Buf out = {0};
  const char *at = strstr(file.data, from);
  if (!at) fail_msg("the file has no %s", from);
  buf_add(&out, file.data, (size_t)(at - file.data), NULL);
  buf_puts(&out, to, NULL);
  buf_puts(&out, at + strlen(from), NULL);
  return out;
}

static Tok *parse_edited(const char *from, const char *to) {
  Buf b = edited(from, to);
  zaya_error err = {0};
  Tok *t = tok_parse("edited", b.data, b.len, &err);
  if (!t) fail_msg("%s", err.message);
  buf_free(&b);
  return t;
}

// The pieces of a text, with bars between them.
static void assert_pieces(const Tok *t, const char *text, unsigned flags, const char *want) {
  zaya_ids ids = {0};
  Buf got = {0};
  assert_true(tok_encode(t, text, strlen(text), flags, &ids, NULL));
  buf_puts(&got, "", NULL);
  for (size_t i = 0; i < ids.len; i++) {
    size_t n;
    const char *piece = tok_piece(t, ids.data[i], &n);
    assert_non_null(piece);
    if (i) buf_putc(&got, '|', NULL);
    buf_add(&got, piece, n, NULL);
  }
  assert_string_equal(got.data, want);
  buf_free(&got);
  zaya_ids_free(&ids);
}

static void encodes_by_rank(void **state) {
  (void)state;
  assert_pieces(small, "", TOK_CONTROL, "");
  assert_pieces(small, "hello world", TOK_CONTROL, "hello|▁world");
  assert_pieces(small, "hello the", TOK_CONTROL | TOK_TEMPLATE, "<bos>|hello|▁|t|he");
  assert_pieces(small, "aaaaa", TOK_CONTROL, "aaaa|a");
  assert_pieces(small, "aaaaaa", TOK_CONTROL, "aaaa|aa");
  assert_pieces(small, "     ", TOK_CONTROL, "▁▁▁▁|▁");
  assert_pieces(small, "é世x", TOK_CONTROL, "é世|x");
  assert_pieces(small, "A世é", TOK_CONTROL, "<0x41>|世|é");
  assert_pieces(small, "a\xF0\x9F\x98\x80", TOK_CONTROL, "a|<0xF0>|<0x9F>|<0x98>|<0x80>");
}

// Malformed UTF-8: one U+FFFD for each maximal part, as the Encoding Standard cuts them.
static void repairs_malformed_text(void **state) {
  (void)state;
#define BAD "<0xEF>|<0xBF>|<0xBD>"
  assert_pieces(small, "a\xFFz", TOK_CONTROL, "a|" BAD "|z");
  assert_pieces(small, "\xE2\x96", TOK_CONTROL, BAD);
  assert_pieces(small, "\xED\xA0\x80", TOK_CONTROL, BAD "|" BAD "|" BAD);
  assert_pieces(small, "\xF0\x9F\x98z", TOK_CONTROL, BAD "|z");
  assert_pieces(small, "\xC0\xAF", TOK_CONTROL, BAD "|" BAD);
#undef BAD
}

static void finds_added_tokens(void **state) {
  (void)state;
  unsigned c = TOK_CONTROL;
  assert_pieces(small, "a<tool>xb<tool>b", c, "a|<tool>x|b|<tool>|b");
  assert_pieces(small, "<tool<tool>", c, "<|t|o|o|l|<tool>");
  assert_pieces(small, "\n\n\n", c, "\n\n|\n");
  assert_pieces(small, "a \n <strip>\t x", c, "a|<strip>|x");
  assert_pieces(small, "<strip><strip>", c, "<strip>|<strip>");
  assert_pieces(small, "a word wordy _word word", c, "a|▁|word|▁wor|d|y|▁|_|w|or|d|▁|word");
  assert_pieces(small, "a\xC3\xA9word", c, "a|é|w|or|d"); // é is a letter
  assert_pieces(small, "a<n n>", c, "a|<n n>");           // found once it is normalized
  assert_pieces(small, "a<n▁n>", c, "a|<n n>");
  assert_pieces(small, "a<|im_end|>b", c, "a|<|im_end|>|b");
  assert_pieces(small, "a<|im_end|>b", 0, "a|<||i|m|_|e|n|d|||>|b");
  assert_pieces(small, "a<tool>b", 0, "a|<tool>|b"); // not a control token
}

// --- a slow merger ------------------------------------------------------------------------------

static uint64_t seed = 88172645463325252u;
static uint32_t next_random(uint32_t n) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (uint32_t)(seed >> 33) % n;
}

static int rank_of(const char *(*merges)[2], int n, const char *a, const char *b) {
  for (int i = 0; i < n; i++)
    if (!strcmp(merges[i][0], a) && !strcmp(merges[i][1], b)) return i;
  return n;
}

// Looks for the best pair anew after each merge: quadratic, and plainly the definition.
static void slow_encode(const Tok *t, const char *(*merges)[2], int n_merges, const char *text,
                        zaya_ids *out) {
  char symbols[128][64];
  int n = 0;
  for (const char *p = text; *p; n++) {
    uint32_t cp;
    size_t len = utf8_next(p, strlen(p), &cp);
    snprintf(symbols[n], sizeof symbols[n], "%.*s", (int)len, p);
    p += len;
  }
  for (;;) {
    int best = n_merges, at = 0;
    for (int i = 0; i + 1 < n; i++) {
      int rank = rank_of(merges, n_merges, symbols[i], symbols[i + 1]);
      if (rank < best) {
        best = rank;
        at = i;
      }
    }
    if (best == n_merges) break;
    memcpy(symbols[at] + strlen(symbols[at]), symbols[at + 1], strlen(symbols[at + 1]) + 1);
    memmove(symbols[at + 1], symbols[at + 2], sizeof symbols[0] * (size_t)(n - at - 2));
    n--;
  }
  for (int i = 0; i < n; i++) ids_add(out, tok_id(t, symbols[i], strlen(symbols[i])), NULL);
}

static void equals_the_slow_merger(void **state) {
  (void)state;
  static const char *merges[][2] = {{"a", "a"},  {"h", "e"},   {"l", "l"},   {"he", "ll"}, {"hell", "o"},
                                    {"▁", "w"},  {"o", "r"},   {"▁w", "or"}, {"l", "d"},   {"▁wor", "ld"},
                                    {"t", "h"},  {"th", "e"},  {"▁", "the"}, {"aa", "aa"}, {"aa", "a"},
                                    {"é", "世"}, {"\n", "\n"}, {"▁", "▁"},   {"▁▁", "▁▁"}, {"a", "b"},
                                    {"b", "a"},  {"ab", "ab"}, {"ba", "b"},  {"<", "|"}};
  static const char *const bits[] = {"a",  "a",   "b", "h",  "e", "l",  "o", "w", "or",
                                     "ld", "the", "▁", "▁▁", "é", "世", "<", "|"};
  for (int round = 0; round < 5000; round++) {
    Buf text = {0};
    zaya_ids got = {0}, want = {0};
    buf_puts(&text, "", NULL);
    for (uint32_t n = next_random(30); n > 0; n--) buf_puts(&text, bits[next_random(17)], NULL);
    slow_encode(small, merges, 24, text.data, &want);
    assert_true(tok_encode(small, text.data, text.len, 0, &got, NULL));
    assert_int_equal(got.len, want.len);
    if (got.len) assert_memory_equal(got.data, want.data, got.len * sizeof *got.data);
    buf_free(&text);
    zaya_ids_free(&got);
    zaya_ids_free(&want);
  }
}

// --- segments -----------------------------------------------------------------------------------

static void assert_segments(const TokSegment *s, size_t n, const char *want) {
  zaya_tokens tokens = {0};
  Buf got = {0};
  assert_true(tok_encode_segments(small, s, n, 0, NULL, &tokens, NULL));
  for (size_t i = 0; i < tokens.len; i++) {
    size_t len;
    const char *piece = tok_piece(small, tokens.data[i].id, &len);
    buf_printf(&got, NULL, "%s%.*s:%zu", i ? " " : "", (int)len, piece, tokens.data[i].end);
  }
  assert_string_equal(got.data, want);
  buf_free(&got);
  zaya_tokens_free(&tokens);
}

static void control_only_from_whole_control_segments(void **state) {
  (void)state;
  TokSegment chat[] = {
      {"<|im_start|>he", 14, true}, {"llo<|im_end|> w", 15, false}, {"orld<|im_end|>", 14, true}};
  assert_segments(
      chat, 3,
      "<|im_start|>:12 hello:17 <|:19 i:20 m:21 _:22 e:23 n:24 d:25 |:26 >:27 ▁world:33 <|im_end|>:43");
  TokSegment parts[] = {{"<|im_", 5, true},  {"end|>", 5, false}, {"<|im", 4, false}, {"_end|>", 6, true},
                        {"<|im_e", 6, true}, {"", 0, false},      {"nd|>", 4, true}};
  assert_segments(
      parts, 7,
      "<|:2 i:3 m:4 _:5 e:6 n:7 d:8 |:9 >:10 <|:12 i:13 m:14 _:15 e:16 n:17 d:18 |:19 >:20 <|im_end|>:30");
  TokSegment spaces[] = {
      {"a ", 2, false}, {" <n", 3, true}, {" n>", 3, false}, {"\n", 1, true}, {"\n", 1, false}};
  assert_segments(spaces, 5, "a:1 ▁▁:3 <n n>:8 \n\n:10");
}

// However a text without control tokens is cut and marked, its ids are those of the whole; with them, a
// plain segment never yields one.
static void cuts_change_nothing(void **state) {
  (void)state;
  static const char *const bits[] = {"hello",   " world", "<|im_", "end|>", "<|im_end|>", "\n",
                                     "\n\n",    "<tool>", " ",     "é",     "\xC3",       "<bos>",
                                     "<strip>", "word",   "<n n>", "aa"};
  for (int round = 0; round < 3000; round++) {
    Buf text = {0};
    TokSegment s[8];
    size_t n = 1 + next_random(8), starts[9] = {0};
    bool risky = round % 2;
    for (size_t i = 0; i < n; i++) {
      for (uint32_t k = next_random(5); k > 0; k--) {
        const char *bit = bits[next_random(16)];
        if (risky || !strchr("<e", *bit) || !strcmp(bit, "<tool>")) buf_puts(&text, bit, NULL);
      }
      starts[i + 1] = text.len;
    }
    buf_puts(&text, "", NULL);
    bool all_plain = next_random(2);
    for (size_t i = 0; i < n; i++)
      s[i] = (TokSegment){text.data + starts[i], starts[i + 1] - starts[i], !all_plain && next_random(2)};
    zaya_ids whole = {0}, cut = {0};
    zaya_tokens tokens = {0};
    assert_true(tok_encode(small, text.data, text.len, TOK_CONTROL, &whole, NULL));
    assert_true(tok_encode_segments(small, s, n, 0, &cut, &tokens, NULL));
    assert_int_equal(cut.len, tokens.len);
    if (!risky) {
      assert_int_equal(cut.len, whole.len);
      if (cut.len) assert_memory_equal(cut.data, whole.data, cut.len * sizeof *cut.data);
    }
    size_t end = 0;
    for (size_t i = 0; i < tokens.len; i++) {
      assert_int_equal(tokens.data[i].id, cut.data[i]);
      assert_int_equal(tokens.data[i].begin, end);
      end = tokens.data[i].end;
      if (!tok_is_control(small, cut.data[i])) continue;
      for (size_t k = 0; k < n; k++)
        if (!s[k].control && s[k].len) assert_true(starts[k] >= end || starts[k + 1] <= tokens.data[i].begin);
    }
    assert_int_equal(end, text.len);
    buf_free(&text);
    zaya_ids_free(&whole);
    zaya_ids_free(&cut);
    zaya_tokens_free(&tokens);
  }
}

// --- decoding -----------------------------------------------------------------------------------

static int32_t byte_id(int byte) { return 4 + byte; }

static void decoder_holds_back_half_characters(void **state) {
  (void)state;
  Buf out = {0};
  TokDecoder d = tok_decoder(small, 0);
  const uint8_t smile[] = {0xF0, 0x9F, 0x98, 0x80};
  for (int i = 0; i < 4; i++) {
    assert_int_equal(out.len, 0);
    assert_true(tok_decoder_push(&d, byte_id(smile[i]), &out, NULL));
  }
  assert_string_equal(out.data, "\xF0\x9F\x98\x80");
  buf_clear(&out);
  assert_true(tok_decoder_push(&d, byte_id(0xE2), &out, NULL)); // never completed
  assert_true(tok_decoder_push(&d, byte_id(0x96), &out, NULL));
  assert_int_equal(out.len, 0);
  assert_true(tok_decoder_push(&d, tok_id(small, "▁the", 6), &out, NULL));
  assert_string_equal(out.data, "\xEF\xBF\xBD the");
  assert_true(tok_decoder_push(&d, byte_id(0xC3), &out, NULL));
  assert_true(tok_decoder_push(&d, byte_id(0xC3), &out, NULL));
  assert_true(tok_decoder_push(&d, byte_id(0xFF), &out, NULL));
  assert_string_equal(out.data, "\xEF\xBF\xBD the\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  buf_clear(&out);
  assert_true(tok_decoder_push(&d, byte_id(0xC3), &out, NULL));
  assert_true(tok_decoder_flush(&d, &out, NULL));
  assert_true(tok_decoder_flush(&d, &out, NULL));
  assert_string_equal(out.data, "\xEF\xBF\xBD");
  buf_free(&out);
}

// Random byte tokens: the text is what utf8_repair makes of the bytes, however it arrives.
static void decodes_any_bytes(void **state) {
  (void)state;
  static const uint8_t likely[] = {0x41, 0x80, 0x9F, 0xA0, 0xBF, 0xC3, 0xE0,
                                   0xE2, 0xED, 0xEF, 0xF0, 0xF4, 0xFF};
  for (int round = 0; round < 5000; round++) {
    Buf bytes = {0}, want = {0}, got = {0};
    zaya_ids ids = {0};
    for (uint32_t n = 1 + next_random(12); n > 0; n--) {
      uint8_t c = likely[next_random(sizeof likely)];
      buf_putc(&bytes, (char)c, NULL);
      ids_add(&ids, byte_id(c), NULL);
    }
    utf8_repair(&want, bytes.data, bytes.len, NULL);
    assert_true(tok_decode(small, ids.data, ids.len, 0, &got, NULL));
    assert_string_equal(got.data, want.data);
    assert_int_equal(utf8_valid_prefix(got.data, got.len), got.len);
    buf_free(&bytes);
    buf_free(&want);
    buf_free(&got);
    zaya_ids_free(&ids);
  }
}

static void decodes_pieces(void **state) {
  (void)state;
  int32_t ids[] = {2, tok_id(small, "hello", 5), tok_id(small, "▁world", 8), tok_id(small, "<|im_end|>", 10)};
  Buf out = {0};
  zaya_error err = {0};
  assert_true(tok_decode(small, ids, 4, 0, &out, &err));
  assert_string_equal(out.data, "<bos>hello world<|im_end|>");
  buf_clear(&out);
  assert_true(tok_decode(small, ids, 4, TOK_SKIP_SPECIAL, &out, &err));
  assert_string_equal(out.data, "hello world");
  int32_t wrong[] = {-1, (int32_t)tok_count(small), INT32_MAX};
  for (int i = 0; i < 3; i++) {
    zaya_error_clear(&err);
    assert_false(tok_decode(small, &wrong[i], 1, 0, &out, &err));
    assert_non_null(strstr(err.message, "no token with id"));
  }
  buf_free(&out);
  Tok *t =
      parse_edited("{\"type\": \"Fuse\"}", "{\"type\": \"Fuse\"}, {\"type\": \"Strip\", \"content\": \" \", "
                                           "\"start\": 1, \"stop\": 0}");
  int32_t spaces[] = {tok_id(t, "▁▁", 6), tok_id(t, "▁the", 6), tok_id(t, "▁the", 6)};
  assert_true(tok_decode(t, spaces, 3, 0, &out, &err));
  assert_string_equal(out.data, "  the the");
  buf_clear(&out);
  assert_true(tok_decode(t, spaces + 1, 2, 0, &out, &err));
  assert_string_equal(out.data, "the the");
  buf_free(&out);
  tok_close(t);
}

// --- variants of the file -----------------------------------------------------------------------

static void honours_the_models_flags(void **state) {
  (void)state;
  Tok *t = parse_edited("\"ignore_merges\": false", "\"ignore_merges\": true");
  assert_pieces(t, "<0x41>", 0, "<0x41>"); // the whole text is a piece
  tok_close(t);
  t = parse_edited("\"byte_fallback\": true", "\"byte_fallback\": false");
  assert_pieces(t, "aXYa Z", 0, "a|<unk>|a|▁|<unk>");
  assert_pieces(t, "XYZ", 0, "<unk>");
  tok_close(t);
  t = parse_edited("\"fuse_unk\": true, \"byte_fallback\": true",
                   "\"fuse_unk\": false, \"byte_fallback\": false");
  assert_pieces(t, "aXYa", 0, "a|<unk>|<unk>|a");
  tok_close(t);
  t = parse_edited(
      "\"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"▁\"}",
      "\"normalizer\": null"); // the pre-tokenizer then has spaces to split at
  assert_pieces(t, "a  b", 0, "a|<0x20>|<0x20>|b");
  tok_close(t);
  t = parse_edited("[\"a\", \"a\"], [\"h\", \"e\"]", "\"a a\", \"h e\"");
  assert_pieces(t, "aahello", 0, "aa|hello");
  tok_close(t);
}

static void merges_byte_pieces_by_id(void **state) {
  (void)state;
  Buf one = edited("\"<pad>\": 0", "\"<0x41><0x42>\": 330, \"<pad>\": 0");
  Buf keep = file;
  file = one;
  Tok *t = parse_edited("[\"<\", \"|\"]", "[\"<\", \"|\"], [\"<0x41>\", \"<0x42>\"]");
  assert_pieces(t, "xABAy", 0, "x|<0x41><0x42>|<0x41>|y");
  tok_close(t);
  file = keep;
  buf_free(&one);
}

static void merges_may_come_before_the_vocabulary(void **state) {
  (void)state;
  const char *vocab = strstr(file.data, "\"vocab\""), *merges = strstr(file.data, "\"merges\"");
  int vocab_len = (int)(strstr(vocab, "},") + 1 - vocab),
      merges_len = (int)(strstr(merges, "\n    ]") + 6 - merges);
  Buf b = {0};
  buf_add(&b, file.data, (size_t)(vocab - file.data), NULL);
  buf_printf(&b, NULL, "%.*s, %.*s}}", merges_len, merges, vocab_len, vocab);
  zaya_error err = {0};
  Tok *t = tok_parse("turned", b.data, b.len, &err);
  if (!t) fail_msg("%s", err.message);
  assert_pieces(t, "hello world", 0, "hello|▁world");
  tok_close(t);
  buf_free(&b);
}

// --- what is refused ----------------------------------------------------------------------------

static const struct {
  const char *from, *to, *message; // the message must contain this
} refused[] = {
    {"\"type\": \"BPE\"", "\"type\": \"Unigram\"", "model.type: expected \"BPE\", found \"Unigram\""},
    {"\"type\": \"BPE\", ", "", "model.type is missing"},
    {"\"dropout\": null", "\"dropout\": 0.1", "model.dropout: 0.1 is not implemented"},
    {"\"end_of_word_suffix\": null", "\"end_of_word_suffix\": \"</w>\"", "model.end_of_word_suffix"},
    {"\"dropout\": null", "\"novelty\": 1", "model.novelty: 1 is not implemented"},
    {"\"version\"", "\"novelty\"", "'novelty' is not implemented"},
    {"\"type\": \"Replace\"", "\"type\": \"NFC\"", "normalizer: NFC is not implemented"},
    {"{\"String\": \" \"}, \"content\"", "{\"Regex\": \" \"}, \"content\"",
     "normalizer: a pattern of kind \"Regex\""},
    {"{\"String\": \" \"}, \"content\"", "{\"String\": \"\"}, \"content\"",
     "normalizer.pattern.String: is empty"},
    {"\"content\": \"▁\"", "\"content\": 7", "normalizer.content: expected a string"},
    {"\"Split\"", "\"ByteLevel\"", "pre_tokenizer: ByteLevel is not implemented"},
    {"MergedWithPrevious", "Isolated", "pre_tokenizer: Isolated is not implemented"},
    {"\"invert\": false", "\"invert\": true", "pre_tokenizer: \"invert\" is not implemented"},
    {"TemplateProcessing", "RobertaProcessing", "post_processor: RobertaProcessing is not implemented"},
    {"\"ids\": [2]", "\"ids\": [9999]", "post_processor: '<bos>' has an id that is not in the tokenizer"},
    {"\"ids\": [2]", "\"ids\": 2", "post_processor: special_tokens has no ids for '<bos>'"},
    {"{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}",
     "{\"Sequence\": {\"id\": \"A\"}}, {\"Sequence\": {\"id\": \"A\"}}",
     "post_processor: a template other than"},
    {"{\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}", "{\"type\": \"ByteLevel\"}",
     "decoder: ByteLevel at place 2"},
    {"{\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}",
     "{\"type\": \"Fuse\"}, {\"type\": \"ByteFallback\"}", "decoder: ByteFallback at place 3"},
    {"\"decoder\": {\"type\": \"Sequence\"", "\"decoder\": {\"kind\": \"Sequence\"",
     "decoder: expected an object with a \"type\""},
    {"\"b\": 262", "\"b\": 261", "id 261 stands for both"},
    {"\"b\": 262", "\"a\": 999", "'a' stands there twice"},
    {"\"b\": 262", "\"b\": -1", "id -1 of 'b' is not within"},
    {"\"b\": 262", "\"b\": 99999999", "id 99999999 of 'b' is not within"},
    {"\"b\": 262", "\"b\": 9999999999999999999999", "expected a whole number of moderate size"},
    {"\"b\": 262", "\"b\": 2.5", "expected a whole number"},
    {"\"b\": 262", "\"b\": \"262\"", "expected a whole number, found '\"'"},
    {"\"b\": 262", "\"\\uD800\": 262", "a surrogate escape stands alone"},
    {"\"b\": 262", "\"\xFF\": 262", "expected a character of a string"},
    {"\"b\": 262", "\"b\": 262,", "expected a string"},
    {"\"unk_token\": \"<unk>\"", "\"unk_token\": \"<nix>\"",
     "model.unk_token: '<nix>' is not in the vocabulary"},
    {"\"unk_token\": \"<unk>\", \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null,\n    "
     "\"fuse_unk\": true, \"byte_fallback\": true",
     "\"byte_fallback\": false", "neither unk_token nor byte_fallback"},
    {"\"byte_fallback\": true", "\"byte_fallback\": 1", "expected true or false, found '1'"},
    {"[\"a\", \"a\"]", "[\"a\", \"ö\"]", "model.merges: entry 0: 'ö' is not in the vocabulary"},
    {"[\"a\", \"a\"]", "[\"a\", \"z\"]", "model.merges: entry 0: 'az' is not in the vocabulary"},
    {"[\"a\", \"a\"]", "[\"a\"]", "model.merges: entry 0: expected two pieces"},
    {"[\"a\", \"a\"]", "[\"a\", \"a\", \"a\"]", "model.merges: entry 0: expected two pieces"},
    {"[\"a\", \"a\"]", "\"a a a\"", "model.merges: entry 0: expected two pieces and one space"},
    {"[\"a\", \"a\"]", "\" a\"", "model.merges: entry 0: '' is not in the vocabulary"},
    {"[\"a\", \"a\"]", "7", "expected an array, found '7'"},
    {"\"merges\": [", "\"merges\": [[", "expected a string, found '['"},
    {"\"vocab\": {", "\"vocab\": [", "expected an object, found '['"},
    {"\"id\": 319", "\"id\": 320", "id 320 '<|im_end|>' is there twice"},
    {"\"id\": 319", "\"id\": 1e3", "expected a whole number"},
    {"\"id\": 319", "\"id\": 8388608", "id 8388608 is not within"},
    {"\"id\": 319", "\"idea\": 319", "added_tokens: 'idea' is not implemented"},
    {"\"id\": 311", "\"id\": 400", "has id 311 in model.vocab"},
    {"\"content\": \"<|im_start|>\"", "\"content\": \"\"", "a content of 0 bytes"},
    {"\"content\": \"<|im_start|>\", ", "", "expected an id and a content"},
    {"\"content\": \"<|im_start|>\"", "\"content\": \"<|im_end|>\"", "has the text of another added token"},
    {"\"lstrip\": false", "\"lstrip\": 0", "expected true or false"},
    {"\"truncation\": null",
     "\"truncation\": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
     "nested more than"},
};

static void refuses_by_name(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    Buf b = edited(refused[i].from, refused[i].to);
    zaya_error err = {0};
    Tok *t = tok_parse("FILE", b.data, b.len, &err);
    if (t || strncmp(err.message, "FILE: ", 6) || !strstr(err.message, refused[i].message))
      fail_msg("%s -> %s\n  want %s\n  got  %s", refused[i].from, refused[i].to, refused[i].message,
               t ? "a tokenizer" : err.message);
    buf_free(&b);
  }
}

static void refuses_every_cut(void **state) {
  (void)state;
  size_t whole = strlen(file.data) - 1; // without the last newline
  for (size_t n = 0; n < whole; n++) {
    char *copy = malloc(n ? n : 1); // its own size, so that reading past it is noticed
    assert_non_null(copy);
    memcpy(copy, file.data, n);
    zaya_error err = {0};
    assert_null(tok_parse("FILE", copy, n, &err));
    assert_int_equal(err.status, ZAYA_E_FORMAT);
    free(copy);
  }
}

static void an_added_token_may_take_an_id_over(void **state) {
  (void)state;
  Tok *t = parse_edited("\"id\": 319", "\"id\": 297");
  size_t n;
  const char *piece = tok_piece(t, 297, &n);
  assert_int_equal(n, strlen("<|im_start|>"));
  assert_memory_equal(piece, "<|im_start|>", n);
  assert_int_equal(tok_id(t, "<|im_start|>", n), 297);
  tok_close(t);
}

// --- the files beside it ------------------------------------------------------------------------

typedef struct Dir {
  char path[64];
} Dir;

static Dir make_dir(void) {
  Dir d = {"/tmp/zaya-tok-XXXXXX"};
  assert_non_null(mkdtemp(d.path));
  return d;
}

static void put(const Dir *d, const char *name, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", d->path, name);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

static void remove_dir(const Dir *d) {
  static const char *const names[] = {
      "tokenizer.json",         "tokenizer_config.json", "special_tokens_map.json",
      "generation_config.json", "config.json",           "chat_template.jinja"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", d->path, names[i]);
    unlink(path);
  }
  rmdir(d->path);
}

static void stops_come_from_every_file(void **state) {
  (void)state;
  Dir d = make_dir();
  put(&d, "tokenizer.json", file.data);
  put(&d, "tokenizer_config.json",
      "{\"bos_token\": {\"content\": \"<bos>\"}, \"eos_token\": \"<tool>\","
      "\"added_tokens_decoder\": {\"0\": {}}, \"pad_token\": null}");
  put(&d, "special_tokens_map.json", "{\"additional_special_tokens\": [\"<strip>\", {\"content\": \"a\"}]}");
  put(&d, "generation_config.json", "{\"eos_token_id\": [1, 261], \"bos_token_id\": 0}");
  put(&d, "config.json", "{\"eos_token_id\": 262}");
  put(&d, "chat_template.jinja", "{{ '<tool>x' }} <n n> word \n\n");
  zaya_error err = {0};
  Tok *t = tok_open(d.path, &err);
  if (!t) fail_msg("%s", err.message);
  size_t n;
  const int32_t *stops = tok_stops(t, &n);
  static const int32_t want[] = {321, 1, 261, 262, 320}; // <tool>, <eos>, a, b, <|im_end|>
  assert_int_equal(n, 5);
  assert_memory_equal(stops, want, sizeof want);
  assert_int_equal(tok_bos(t), 2);
  assert_true(tok_is_control(t, 323) && !tok_is_special(t, 323)); // <strip>, by special_tokens_map.json
  assert_true(tok_is_control(t, 325));                            // <n n>, by the chat template
  assert_false(tok_is_control(t, 322));                           // <tool>x: no brackets
  assert_false(tok_is_control(t, 324));                           // word: likewise
  assert_false(tok_is_control(t, 311));                           // a blank line
  assert_pieces(t, "a<tool>y", 0, "<0x61>|<|t|o|o|l|>|y");        // 'a' is a control token here
  tok_close(t);
  remove_dir(&d);
}

static void refuses_wrong_files_beside(void **state) {
  (void)state;
  static const struct {
    const char *name, *text, *message;
  } wrong[] = {
      {"tokenizer_config.json", "{\"eos_token\": \"<nix>\"}",
       "tokenizer_config.json: eos_token: '<nix>' is not in"},
      {"tokenizer_config.json", "{\"eos_token\": 7}", "eos_token: expected a token"},
      {"tokenizer_config.json", "{\"eos_token\": ", "tokenizer_config.json: line 1"},
      {"special_tokens_map.json", "[", "special_tokens_map.json: line 1"},
      {"generation_config.json", "{\"eos_token_id\": 400}",
       "eos_token_id: expected an id of the tokenizer (0..325), found 400"},
      {"generation_config.json", "{\"eos_token_id\": [1, \"x\"]}", "found \"x\""},
      {"config.json", "{\"bos_token_id\": -2}", "config.json: bos_token_id: expected an id"},
      {"config.json", "", "config.json: line"},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    Dir d = make_dir();
    put(&d, "tokenizer.json", file.data);
    put(&d, wrong[i].name, wrong[i].text);
    zaya_error err = {0};
    Tok *t = tok_open(d.path, &err);
    if (t || !strstr(err.message, wrong[i].message))
      fail_msg("%s: %s", wrong[i].message, t ? "opened" : err.message);
    remove_dir(&d);
  }
  Dir d = make_dir();
  zaya_error err = {0};
  assert_null(tok_open(d.path, &err));
  assert_non_null(strstr(err.message, "tokenizer.json: cannot open"));
  remove_dir(&d);
}

// --- base ---------------------------------------------------------------------------------------

static bool json_ok(const char *text) {
  JScan j;
  jscan_init(&j, "x", text, strlen(text));
  bool ok = jscan_skip(&j, NULL, NULL) && jscan_finish(&j, NULL);
  jscan_free(&j);
  return ok;
}

static void json_is_read_strictly(void **state) {
  (void)state;
  static const char *const good[] = {"0",
                                     "-0.5e+3",
                                     "\"\\u00e9\\uD83D\\uDE00\\n\"",
                                     "[]",
                                     "{}",
                                     "[1, [2], {\"a\": null}]",
                                     " true ",
                                     "{\"a\": 1, \"a\": 2}"};
  static const char *const bad[] = {"",
                                    "01",
                                    "-",
                                    "1.",
                                    ".5",
                                    "1e",
                                    "+1",
                                    "tru",
                                    "nul",
                                    "[1,]",
                                    "[,1]",
                                    "[1 2]",
                                    "{\"a\"}",
                                    "{\"a\": 1,}",
                                    "{a: 1}",
                                    "{\"a\" 1}",
                                    "\"",
                                    "\"\\x\"",
                                    "\"\\u12\"",
                                    "\"\\uD800\"",
                                    "\"\\uDC00\"",
                                    "\"\\uD800\\u0041\"",
                                    "\"\t\"",
                                    "\"\xC3\"",
                                    "[1}",
                                    "1 2",
                                    "'a'",
                                    "NaN"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    if (!json_ok(good[i])) fail_msg("refused: %s", good[i]);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (json_ok(bad[i])) fail_msg("taken: %s", bad[i]);
}

static void utf8_goes_both_ways(void **state) {
  (void)state;
  char s[4];
  uint32_t cp;
  for (uint32_t c = 0; c < 0x110000; c++) {
    size_t n = utf8_put(c, s);
    bool surrogate = c >= 0xD800 && c < 0xE000;
    size_t got = utf8_next(s, n, &cp);
    assert_true(surrogate ? cp == UTF8_BAD && got == 1 : cp == c && got == n);
    if (surrogate) continue;
    assert_true(utf8_prev(s, n, &cp) == n && cp == c);
    for (size_t k = 1; k < n; k++) assert_int_equal(utf8_incomplete_tail(s, k), k);
    assert_int_equal(utf8_incomplete_tail(s, n), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(encodes_by_rank),
      cmocka_unit_test(repairs_malformed_text),
      cmocka_unit_test(finds_added_tokens),
      cmocka_unit_test(equals_the_slow_merger),
      cmocka_unit_test(control_only_from_whole_control_segments),
      cmocka_unit_test(cuts_change_nothing),
      cmocka_unit_test(decoder_holds_back_half_characters),
      cmocka_unit_test(decodes_any_bytes),
      cmocka_unit_test(decodes_pieces),
      cmocka_unit_test(honours_the_models_flags),
      cmocka_unit_test(merges_byte_pieces_by_id),
      cmocka_unit_test(merges_may_come_before_the_vocabulary),
      cmocka_unit_test(refuses_by_name),
      cmocka_unit_test(refuses_every_cut),
      cmocka_unit_test(an_added_token_may_take_an_id_over),
      cmocka_unit_test(stops_come_from_every_file),
      cmocka_unit_test(refuses_wrong_files_beside),
      cmocka_unit_test(json_is_read_strictly),
      cmocka_unit_test(utf8_goes_both_ways),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
