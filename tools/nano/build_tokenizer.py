"""Train the tokenizer on the generated dialogues and write tokenizer.json.   usage: build_tokenizer.py [OUT]"""
import json
import os
import sys

from data import mix
from tokenizer import SPACE, Tokenizer, train

VOCAB = 1984          # config.json pads it to 2016, as the real model's vocabulary is padded
DIALOGUES = 12000


def main(path):
    texts = ["".join(mix.split(d, thinking)) for d, thinking in mix.training_dialogues("tokenizer", DIALOGUES)]
    description = train(texts, VOCAB)
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(description, f, ensure_ascii=False, indent=1)
    tok = Tokenizer(description)
    ids = [tok.encode(t) for t in texts[:2000]]
    for text, encoded in zip(texts, ids):
        whole = [i for part in tok.split.split(text) if part for i in ([tok.added[part]] if part in tok.added else tok.bpe(part.replace(" ", SPACE)))]
        assert encoded == whole and tok.decode(encoded) == text, text
    print(f"{tok.size} tokens, {sum(map(len, texts[:2000])) / sum(map(len, ids)):.2f} characters per token, {sum(map(len, ids)) / len(ids):.0f} tokens per dialogue")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "out/tokenizer.json")
