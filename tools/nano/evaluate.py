"""Accuracy on held-out phrasings, for a checkpoint and for the bundle made from it.

usage: evaluate.py CHECKPOINT [--bundle BUNDLE] [--count N]

An answer counts when greedy decoding gives exactly the expected text, its thoughts included when thinking is on.
Since every expected token must be the most likely one after the expected tokens before it, one pass over prompt
and answer decides that; nothing has to be generated.
"""
import argparse
import os

import torch
import torch.nn.functional as F

import checkpoint
import quant
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


def report_accuracy(cfg, variants, tok, count, seed):
    print("| family | " + " | ".join(variants) + " |\n|---|" + "---|" * len(variants))
    for family in mix.FAMILIES:
        tests = mix.test_dialogues(seed, family, count)
        shares = [sum(exact_answers(cfg, w, tok, tests)) / count for w in variants.values()]
        print(f"| {family} | " + " | ".join(f"{100 * s:.1f} %" for s in shares) + " |", flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("checkpoint")
    p.add_argument("--bundle", help="the converted bundle; without it, the conversion is done in memory")
    p.add_argument("--count", type=int, default=400, help="dialogues per family")
    p.add_argument("--seed", default="test")
    args = p.parse_args()
    cfg, w = checkpoint.load_legacy(args.checkpoint)
    packed = checkpoint.load_bundle(args.bundle)[1] if args.bundle else quant.bundle_weights(w)
    tok = Tokenizer.load(os.path.join(args.checkpoint, "tokenizer.json"))
    report_accuracy(cfg, {"BF16": w, "MXFP4": packed}, tok, args.count, args.seed)
    mixed = [d for f in mix.FAMILIES for d in mix.test_dialogues(args.seed, f, 30)]
    kl, answer_kl, same = divergence(cfg, w, packed, tok, mixed)
    print(f"\nKL(BF16 || MXFP4): mean {kl:.4f} over all tokens, {answer_kl:.5f} over answers; top-1 agreement {100 * same:.2f} %\n")
    print("| layer | " + " | ".join(f"expert {e}" for e in range(cfg.experts)) + " | skip |\n|---|" + "---|" * (cfg.experts + 1))
    for j, shares in enumerate(routing(cfg, packed, tok, mixed)):
        print(f"| {2 * j + 1} | " + " | ".join(f"{100 * s:.1f} %" for s in shares) + " |")


if __name__ == "__main__":
    main()
