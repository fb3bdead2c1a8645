"""Write trained weights as a BF16 checkpoint in the legacy layout, with tokenizer, template and configs.

usage: export.py [--weights out/weights.pt] [--tokenizer out/tokenizer.json] [OUT]     (default OUT: out/checkpoint)
"""
import argparse
import json
import os
import shutil

import torch

import checkpoint
import safetensors_io as st

HERE = os.path.dirname(os.path.abspath(__file__))


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=False, indent=2)
        f.write("\n")


def tokenizer_config(description, context):
    rows = {str(t["id"]): {k: t[k] for k in ("content", "lstrip", "normalized", "rstrip", "single_word", "special")} for t in description["added_tokens"]}
    return {"add_bos_token": True, "add_eos_token": False, "added_tokens_decoder": rows, "bos_token": "<bos>", "eos_token": "<|im_end|>",
            "pad_token": "<pad>", "unk_token": "<unk>", "clean_up_tokenization_spaces": False, "model_max_length": context,
            "spaces_between_special_tokens": False, "tokenizer_class": "GemmaTokenizer"}


def special_tokens_map():
    names = {"bos_token": "<bos>", "eos_token": "<|im_end|>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return {k: {"content": v, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False} for k, v in names.items()}


def write_sidecars(out, tokenizer_path):
    for name in ("config.json", "generation_config.json", "chat_template.jinja"):
        shutil.copyfile(os.path.join(HERE, "files", name), os.path.join(out, name))
    with open(os.path.join(HERE, "files", "config.json")) as f:
        context = json.load(f)["max_position_embeddings"]
    with open(tokenizer_path, encoding="utf-8") as f:
        description = json.load(f)
    write_json(os.path.join(out, "tokenizer.json"), description)
    write_json(os.path.join(out, "tokenizer_config.json"), tokenizer_config(description, context))
    write_json(os.path.join(out, "special_tokens_map.json"), special_tokens_map())


def main():
    p = argparse.ArgumentParser()
    p.add_argument("out", nargs="?", default=os.path.join(HERE, "out", "checkpoint"))
    p.add_argument("--weights", default=os.path.join(HERE, "out", "weights.pt"))
    p.add_argument("--tokenizer", default=os.path.join(HERE, "out", "tokenizer.json"))
    args = p.parse_args()
    os.makedirs(args.out, exist_ok=True)
    write_sidecars(args.out, args.tokenizer)
    state = torch.load(args.weights, map_location="cpu")
    cfg = checkpoint.read_config(args.out)
    tensors = checkpoint.legacy_tensors(cfg, state.get("w", state))
    total = st.save(os.path.join(args.out, "model.safetensors"), tensors)
    write_json(os.path.join(args.out, "model.safetensors.index.json"),
               {"metadata": {"total_size": total}, "weight_map": {k: "model.safetensors" for k in sorted(tensors)}})
    print(f"{args.out}: {len(tensors)} tensors, {total / 1e6:.2f} MB, {total // 2 / 1e6:.2f} M parameters")


if __name__ == "__main__":
    main()
