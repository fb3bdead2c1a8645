"""A BPE tokenizer of Gemma 3's kind: its trainer, its files, and an encoder with Hugging Face's semantics."""
import functools
import heapq
import json
import re
from collections import Counter

SPACE = "\u2581"
SPECIAL = {0: "<pad>", 1: "<eos>", 2: "<bos>", 3: "<unk>", 4: "<mask>", 105: "<|im_start|>", 106: "<|im_end|>"}
MARKUP = {101: "<zyphra_tool_call>", 102: "</zyphra_tool_call>", 103: "<zyphra_tool_response>", 104: "</zyphra_tool_response>",
          107: "\n", 108: "\n\n", 109: "\n\n\n", 110: "<think>", 111: "</think>"}
UNUSED = range(5, 101)
FIRST_BYTE = 112
# Runs of spaces are merged before anything else, so that indentation comes out the same everywhere.
SPACE_RUNS = [(1, 1), (2, 2), (2, 1), (4, 4), (4, 1), (4, 2), (4, 3), (8, 8), (8, 4)]
# No merge crosses these pieces, and none can: a merged token starts with a space, a letter or a mark, and goes on
# in letters only or in marks only. Digits stay single.
PIECE = re.compile(f"{SPACE}?[^\\W\\d_]+|\\d|{SPACE}?[^\\w\\s{SPACE}]+|{SPACE}|.", re.DOTALL)


def _merge(symbols, left, right):
    out, i = [], 0
    while i < len(symbols):
        if i + 1 < len(symbols) and symbols[i] == left and symbols[i + 1] == right:
            out.append(left + right)
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return out


def learn_merges(counts, limit):
    """The `limit` best merges over {piece: count}; most frequent first, ties by text."""
    words = [(list(piece), n) for piece, n in sorted(counts.items()) if len(piece) > 1]
    merges = []
    while len(merges) < limit:
        pairs = Counter()
        for symbols, n in words:
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += n
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], p))
        if pairs[best] < 2:
            break
        merges.append(best)
        words = [(_merge(s, *best) if best[0] in s else s, n) for s, n in words]
        words = [(s, n) for s, n in words if len(s) > 1]
    return merges


def added_tokens():
    rows = {**SPECIAL, **MARKUP, **{i: f"<unused{i - UNUSED.start}>" for i in UNUSED}}
    return [{"id": i, "content": rows[i], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": i in SPECIAL} for i in sorted(rows)]


def train(texts, vocab_limit):
    """tokenizer.json as a dict, with at most vocab_limit entries."""
    added = added_tokens()
    split = re.compile("|".join(re.escape(t["content"]) for t in sorted(added, key=lambda t: -len(t["content"]))))
    counts = Counter()
    for text in texts:
        for part in split.split(text):
            counts.update(PIECE.findall(part.replace(" ", SPACE)))
    chars = sorted(set("".join(counts)) | {SPACE} | {chr(c) for c in range(33, 127)})
    vocab = {t["content"]: t["id"] for t in added}
    for token in [f"<0x{b:02X}>" for b in range(256)] + chars:
        vocab.setdefault(token, len(vocab))
    merges = [(SPACE * a, SPACE * b) for a, b in SPACE_RUNS]
    merges += learn_merges(counts, vocab_limit - len(vocab) - len(merges))
    for left, right in merges:
        vocab.setdefault(left + right, len(vocab))
    return describe(added, vocab, merges)


def describe(added, vocab, merges):
    bos = {"SpecialToken": {"id": "<bos>", "type_id": 0}}
    first, second = ({"Sequence": {"id": s, "type_id": t}} for s, t in (("A", 0), ("B", 1)))
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
        "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
        "post_processor": {"type": "TemplateProcessing", "single": [bos, first],
                           "pair": [bos, first, {"SpecialToken": {"id": "<bos>", "type_id": 1}}, second],
                           "special_tokens": {"<bos>": {"id": "<bos>", "ids": [2], "tokens": ["<bos>"]}}},
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                                                     {"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                  "vocab": vocab, "merges": [list(m) for m in merges]},
    }


class Tokenizer:
    def __init__(self, description):
        model = description["model"]
        self.vocab = model["vocab"]
        self.size = max(self.vocab.values()) + 1
        self.ranks = {tuple(m): i for i, m in enumerate(model["merges"])}
        self.added = {t["content"]: t["id"] for t in description["added_tokens"]}
        self.special = {t["id"] for t in description["added_tokens"] if t["special"]}
        self.split = re.compile("(" + "|".join(re.escape(t) for t in sorted(self.added, key=len, reverse=True)) + ")")
        self.text = {i: t for t, i in self.vocab.items()}
        self._piece = functools.lru_cache(maxsize=None)(lambda piece: tuple(self.bpe(piece)))

    @staticmethod
    def load(path):
        with open(path, encoding="utf-8") as f:
            return Tokenizer(json.load(f))

    def bpe(self, text):
        """Ids of a normalized text: merges applied lowest rank first, leftmost among equals."""
        symbols = list(text)
        after, before = list(range(1, len(symbols) + 1)), list(range(-1, len(symbols) - 1))
        heap = [(self.ranks[p], i) for i, p in enumerate(zip(symbols, symbols[1:])) if p in self.ranks]
        heapq.heapify(heap)
        while heap:
            rank, i = heapq.heappop(heap)
            j = after[i] if symbols[i] is not None else len(symbols)
            if j >= len(symbols) or self.ranks.get((symbols[i], symbols[j])) != rank:
                continue
            symbols[i], symbols[j] = symbols[i] + symbols[j], None
            after[i] = after[j]
            if after[j] < len(symbols):
                before[after[j]] = i
            for left, right in ((before[i], i), (i, after[i])):
                if left >= 0 and right < len(symbols) and (symbols[left], symbols[right]) in self.ranks:
                    heapq.heappush(heap, (self.ranks[(symbols[left], symbols[right])], left))
        return [i for s in symbols if s is not None for i in self._ids(s)]

    def _ids(self, symbol):
        if symbol in self.vocab:
            return [self.vocab[symbol]]
        return [self.vocab[f"<0x{b:02X}>"] for b in symbol.encode("utf-8")]

    def encode(self, text):
        """Ids of a text, added tokens matched first; no <bos> is put in front."""
        ids = []
        for part in self.split.split(text):
            if part in self.added:
                ids.append(self.added[part])
            elif part:
                ids.extend(self._encode_plain(part.replace(" ", SPACE)))
        return ids

    def _encode_plain(self, text):
        if SPACE * 2 in text:
            return self.bpe(text)
        return [i for piece in PIECE.findall(text) for i in self._piece(piece)]

    def decode(self, ids, skip_special=False):
        data = b""
        for i in ids:
            token = self.text.get(i, "")
            if skip_special and i in self.special:
                continue
            if re.fullmatch("<0x[0-9A-F]{2}>", token):
                data += bytes([int(token[3:5], 16)])
            else:
                data += token.replace(SPACE, " ").encode("utf-8")
        return data.decode("utf-8", errors="replace")
