"""Logits and routes of 20 prompts, as PyTorch computes them in float32, for a runtime to compare with.

usage: export_reference.py CHECKPOINT_OR_BUNDLE OUT_FOLDER

Writes OUT_FOLDER/reference.safetensors and reference.json. For each prompt p0 .. p19: `tokens` I32 [T] (the prompt
and a greedy answer), `positions` I32 [N], `logits` F32 [N, V] at those positions, `routes` I32 [MoE layers, T]
(E is the skip route). No prompt is kept that has a near-tie of routes or of the greedy tokens.
"""
import json
import os
import sys

import numpy as np
import torch

import chat
import checkpoint
import safetensors_io as st
from data import mix
from model import block_prefix, forward
from tokenizer import Tokenizer

PROMPTS, ANSWER, POSITIONS, LONGEST = 20, 24, 8, 320
ROUTE_MARGIN, TOKEN_MARGIN = 1e-4, 1e-2
FIXED = [("What is 2+2? Answer with only the number.", False), ("What is the capital of France? Answer with one word.", False),
         ("What is 37 + 48?", True), ("Who are you?", False)]


def prompts():
    """Texts: the fixed ones, then held-out dialogues of every family in turn."""
    for question, thinking in FIXED:
        yield chat.render([{"role": "user", "content": question}], None, thinking)
    tests = {f: mix.test_dialogues("reference", f, 40) for f in mix.FAMILIES}
    for i in range(40):
        for f in mix.FAMILIES:
            yield mix.split(*tests[f][i])[0]


def greedy(cfg, w, ids, stop):
    """The prompt with up to ANSWER tokens behind it, and the smallest lead of a chosen token over the next one."""
    ids, lead = list(ids), float("inf")
    for _ in range(ANSWER):
        logits = forward(cfg, w, torch.tensor([ids]))[0][0, -1]
        best = logits.topk(2)
        lead = min(lead, float(best.values[0] - best.values[1]))
        ids.append(int(best.indices[0]))
        if ids[-1] in stop:
            break
    return ids, lead


def route_margin(w, routes):
    """The smallest lead of a chosen route over the next one."""
    margin = float("inf")
    for j, (_, prob) in enumerate(routes):
        best = (prob + w[block_prefix(2 * j + 1) + "router.balancing_biases"]).topk(2, -1).values
        margin = min(margin, float((best[..., 0] - best[..., 1]).min()))
    return margin


@torch.no_grad()
def main(folder, out):
    with open(os.path.join(folder, "config.json")) as f:
        bundled = "quantization" in json.load(f)
    cfg, w = (checkpoint.load_bundle if bundled else checkpoint.load_legacy)(folder)
    tok = Tokenizer.load(os.path.join(folder, "tokenizer.json"))
    tensors, notes = {}, []
    for text in prompts():
        ids = tok.encode(text)
        if len(notes) == PROMPTS or len(ids) > LONGEST:
            continue
        ids, lead = greedy(cfg, w, ids, (1, 106))
        logits, routes = forward(cfg, w, torch.tensor([ids]))
        margin = route_margin(w, routes)
        if margin < ROUTE_MARGIN or lead < TOKEN_MARGIN:
            continue
        positions = sorted({0, len(tok.encode(text)) - 1, *np.linspace(1, len(ids) - 2, POSITIONS - 2).round().astype(int).tolist()})
        p = f"p{len(notes)}."
        tensors[p + "tokens"] = ("I32", np.array(ids, dtype=np.int32))
        tensors[p + "positions"] = ("I32", np.array(positions, dtype=np.int32))
        tensors[p + "logits"] = ("F32", logits[0, positions].numpy())
        tensors[p + "routes"] = ("I32", torch.stack([c[0] for c, _ in routes]).int().numpy())
        notes.append({"text": text, "prompt_tokens": len(tok.encode(text)), "answer": tok.decode(ids[len(tok.encode(text)):]),
                      "route_margin": round(margin, 6), "token_margin": round(lead, 4)})
    os.makedirs(out, exist_ok=True)
    size = st.save(os.path.join(out, "reference.safetensors"), tensors)
    with open(os.path.join(out, "reference.json"), "w", encoding="utf-8") as f:
        json.dump({"what": "zaya-nano in PyTorch, float32", "prompts": notes}, f, ensure_ascii=False, indent=1)
        f.write("\n")
    print(f"{len(notes)} prompts, {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:])
