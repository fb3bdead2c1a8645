"""Accuracy on held-out phrasings, for a checkpoint and for the bundle made from it.

usage: evaluate.py CHECKPOINT --bundle BUNDLE --zaya PROGRAM [--count N]

An answer is right when greedy decoding gives exactly the expected answer; what was thought before it is free. A
second figure counts only what is right word for word, thoughts included: since every expected token must then be
the most likely one after the expected tokens before it, one pass over prompt and answer decides that. Only where
thoughts differ from the expected ones has the answer to be generated: `zaya run` does that.
"""
import argparse
import json
import os
import subprocess
import tempfile

import torch
import torch.nn.functional as F

import checkpoint
from batches import by_length, pad
from data import mix
from model import forward
from tokenizer import Tokenizer

BUDGET = 8192


def encode_last(tok, d, thinking):
    """(ids, mask of the last answer alone)"""
    prompt, completion = mix.split(d, thinking)
    head, tail = tok.encode(prompt), tok.encode(completion)
    return head + tail, [0] * len(head) + [1] * len(tail)


@torch.no_grad()
def exact_answers(cfg, w, tok, dialogues):
    """One boolean per dialogue."""
    rows = [encode_last(tok, d, thinking) + (i,) for i, (d, thinking) in enumerate(dialogues)]
    right = [False] * len(rows)
    for group in by_length(rows, BUDGET):
        tokens, mask, _ = pad([r[:2] for r in group])
        keep = torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], 1)
        logits, _ = forward(cfg, w, tokens, keep)
        wrong = torch.zeros_like(keep)
        wrong[keep] = logits.argmax(-1) != tokens[mask]
        for row, bad in zip(group, wrong.any(1).tolist()):
            right[row[2]] = not bad
    return right


def generated_answer(zaya, folder, d):
    """(content, calls as text) of the greedy answer to a dialogue, with thinking on."""
    messages = [{k: v for k, v in m.items() if v is not None} for m in d.messages[:-1]]
    with tempfile.TemporaryDirectory() as place:
        command = [zaya, "run", "-m", folder, "--json", "--thinking", "on", "--temp", "0", "-n", "400", "-t", "1"]
        for name, value in (("messages", messages), ("tools", d.tools)):
            if value:
                with open(os.path.join(place, name), "w") as f:
                    json.dump(value, f)
                command += ["--" + name, f.name]
        answer = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return answer["text"].strip(), [(c["name"], c["arguments"]) for c in answer["tool_calls"]]


def answer_is_right(zaya, folder, d):
    last = d.messages[-1]
    calls = [(c["function"]["name"], c["function"]["arguments"]) for c in last.get("tool_calls") or []]
    return generated_answer(zaya, folder, d) == ((last["content"] or "").strip(), calls)


def right_answers(dialogues, word_for_word, zaya, folder):
    """One boolean per dialogue: the answer alone counts."""
    return [exact or (thinking and answer_is_right(zaya, folder, d)) for exact, (d, thinking) in zip(word_for_word, dialogues)]


@torch.no_grad()
def divergence(cfg, a, b, tok, dialogues):
    """Mean KL(a || b) of the next-token distributions in nats, over all tokens and over answers; top-1 agreement."""
    total, answers, same, n, m = 0.0, 0.0, 0, 0, 0
    for group in by_length([encode_last(tok, d, t) for d, t in dialogues], BUDGET):
        tokens, mask, real = pad(group)
        la, lb = (F.log_softmax(forward(cfg, w, tokens, real)[0], -1) for w in (a, b))
        kl = (la.exp() * (la - lb)).sum(-1)
        answer = torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], 1)[real]
        total, answers = total + float(kl.sum()), answers + float(kl[answer].sum())
        same, n, m = same + int((la.argmax(-1) == lb.argmax(-1)).sum()), n + len(kl), m + int(answer.sum())
    return total / n, answers / m, same / n


@torch.no_grad()
def routing(cfg, w, tok, dialogues):
    """Share of tokens on each route, [layers][E + 1]; the last is the skip route."""
    counts = torch.zeros(cfg.layers // 2, cfg.experts + 1)
    for group in by_length([encode_last(tok, d, t) for d, t in dialogues], BUDGET):
        tokens, _, real = pad(group)
        for j, (choice, _) in enumerate(forward(cfg, w, tokens, real & False)[1]):
            counts[j] += torch.bincount(choice[real], minlength=cfg.experts + 1)
    return (counts / counts.sum(1, keepdim=True)).tolist()


def report_accuracy(cfg, variants, tok, zaya, count, seed):
    """variants: name -> (weights, folder)"""
    heads = [h for v in variants for h in (v, v + " word for word")]
    print("| family | " + " | ".join(heads) + " |\n|---|" + "---|" * len(heads))
    for family in mix.FAMILIES:
        tests, shares = mix.test_dialogues(seed, family, count), []
        for w, folder in variants.values():
            exact = exact_answers(cfg, w, tok, tests)
            shares += [sum(right_answers(tests, exact, zaya, folder)) / count, sum(exact) / count]
        print(f"| {family} | " + " | ".join(f"{100 * s:.1f} %" for s in shares) + " |", flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("checkpoint")
    p.add_argument("--bundle", required=True, help="the bundle converted from it")
    p.add_argument("--zaya", required=True, help="the program that generates where thoughts differ")
    p.add_argument("--count", type=int, default=400, help="dialogues per family")
    p.add_argument("--seed", default="test")
    args = p.parse_args()
    cfg, w = checkpoint.load_legacy(args.checkpoint)
    packed = checkpoint.load_bundle(args.bundle)[1]
    tok = Tokenizer.load(os.path.join(args.checkpoint, "tokenizer.json"))
    report_accuracy(cfg, {"BF16": (w, args.checkpoint), "MXFP4": (packed, args.bundle)}, tok, args.zaya, args.count, args.seed)
    mixed = [d for f in mix.FAMILIES for d in mix.test_dialogues(args.seed, f, 30)]
    kl, answer_kl, same = divergence(cfg, w, packed, tok, mixed)
    print(f"\nKL(BF16 || MXFP4): mean {kl:.4f} over all tokens, {answer_kl:.5f} over answers; top-1 agreement {100 * same:.2f} %\n")
    print("| layer | " + " | ".join(f"expert {e}" for e in range(cfg.experts)) + " | skip |\n|---|" + "---|" * (cfg.experts + 1))
    for j, shares in enumerate(routing(cfg, packed, tok, mixed)):
        print(f"| {2 * j + 1} | " + " | ".join(f"{100 * s:.1f} %" for s in shares) + " |")


if __name__ == "__main__":
    main()
