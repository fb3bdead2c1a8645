"""Train zaya-nano from scratch.

usage: train.py [--out DIR] [--tokens N] [--seed N] [--workers N] [--resume]

On a CPU each worker is a process with one thread and its own stream of dialogues; they average their gradients.

Writes DIR/state.pt (to resume from) and, at the end, DIR/weights.pt. The schedule follows the tokens seen: a short
warm-up, a constant rate, a decay to zero; from QUANT_FROM on the forward pass runs on the weights that the MXFP4
bundle will hold, in most steps, so that checkpoint and bundle end up answering alike.
"""
import argparse
import json
import os
import random
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F

import evaluate
import quant
from batches import training_batches
from data import mix
from model import Config, block_prefix, forward, init_weights
from muon import Optimizer
from tokenizer import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
BATCH = 2560            # tokens of one pass, padding included
LONGEST = 2048
STEP_PASSES = 2         # passes of one step, all workers together
PEAK_RATE = 5e-3
WARM, DECAY_FROM, QUANT_FROM = 0.02, 0.4, 0.85
QUANT_SHARE = 0.75
OTHER_WEIGHT, OTHER_SHARE = 0.2, 0.2     # tokens that the assistant did not write: weight, and share of them learnt from
BALANCE_RATE = 0.004


def rate_at(progress):
    if progress < WARM:
        return PEAK_RATE * progress / WARM
    if progress < DECAY_FROM:
        return PEAK_RATE
    return PEAK_RATE * max(0.01, (1 - progress) / (1 - DECAY_FROM))


def loss_of(cfg, w, batch, generator):
    """(weighted loss, its weight, loss over answers, route counts [layers, E + 1])"""
    tokens, mask, real = batch
    answer = mask[:, 1:]
    keep = real[:, 1:] & (answer | (torch.rand(answer.shape, generator=generator).to(answer.device) < OTHER_SHARE))
    logits, routes = forward(cfg, w, tokens[:, :-1], keep)
    weight = torch.where(answer[keep], 1.0, OTHER_WEIGHT)
    losses = F.cross_entropy(logits, tokens[:, 1:][keep], reduction="none")
    counts = torch.stack([torch.bincount(c[real[:, :-1]], minlength=cfg.experts + 1) for c, _ in routes])
    return (losses * weight).sum(), weight.sum(), losses.detach()[answer[keep]].sum() / answer.sum(), counts


@torch.no_grad()
def balance(cfg, w, counts, rate):
    """Aux-loss-free balancing: lift the choice of routes that get too few tokens, lower the others."""
    for j, row in enumerate(counts):
        share = row / row.sum() * (cfg.experts + 1)
        w[block_prefix(2 * j + 1) + "router.balancing_biases"] += rate * (1 - share).clamp(-1, 1)


def average(tensors):
    """Mean over all workers, in place."""
    flat = torch.cat([t.reshape(-1) for t in tensors])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for t, part in zip(tensors, flat.split([t.numel() for t in tensors])):
        t.copy_(part.view_as(t))


class Run:
    def __init__(self, args, rank):
        self.args, self.rank = args, rank
        self.passes = STEP_PASSES // args.workers
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        with open(os.path.join(HERE, "files", "config.json")) as f:
            self.cfg = Config.from_json(json.load(f))
        self.tok = Tokenizer.load(os.path.join(args.out, "tokenizer.json"))
        self.w = {k: v.to(self.device) for k, v in init_weights(self.cfg, args.seed).items()}
        self.opt = Optimizer(self.w)
        self.seen, self.step, self.seconds = 0, 0, 0.0
        if args.resume:
            self.load()
        for k, v in self.w.items():
            v.requires_grad_(not k.endswith("balancing_biases"))
        self.tests = {f: mix.test_dialogues("watch", f, 20) for f in mix.FAMILIES}

    def path(self, name):
        return os.path.join(self.args.out, name)

    def save(self):
        state = {"w": {k: v.detach().cpu() for k, v in self.w.items()}, "opt": self.opt.state(), "seen": self.seen, "step": self.step, "seconds": self.seconds}
        torch.save(state, self.path("state.tmp"))
        os.replace(self.path("state.tmp"), self.path("state.pt"))

    def load(self):
        state = torch.load(self.path("state.pt"), map_location=self.device)
        self.w.update(state["w"])
        self.opt.load(state["opt"])
        self.seen, self.step, self.seconds = state["seen"], state["step"], state["seconds"]

    def take_step(self, stream, rng, generator):
        progress = self.seen / self.args.tokens
        quantized = progress >= QUANT_FROM and rng.random() < QUANT_SHARE
        counts, loss, seen = 0, 0.0, 0
        w = quant.straight_through(self.w) if quantized else self.w
        for _ in range(self.passes):
            batch = tuple(x.to(self.device) for x in next(stream))
            part, weight, answer_loss, routed = loss_of(self.cfg, w, batch, generator)
            (part / (weight * self.passes)).backward()
            counts, loss = counts + routed.float(), loss + float(answer_loss) / self.passes
            seen += int(batch[2].sum())
        counts, loss = self.share(counts, loss, seen)
        rate = rate_at(progress)
        torch.nn.utils.clip_grad_norm_([v for v in self.w.values() if v.requires_grad], 1.0)
        self.opt.step(rate)
        balance(self.cfg, self.w, counts, BALANCE_RATE * rate / PEAK_RATE)
        self.step += 1
        return loss, counts

    def share(self, counts, loss, seen):
        """Average gradients and figures over the workers; counts the tokens seen."""
        if self.args.workers > 1:
            for v in self.w.values():
                if v.requires_grad and v.grad is None:
                    v.grad = torch.zeros_like(v)
            figures = torch.tensor([loss, float(seen)])
            average([v.grad for v in self.w.values() if v.requires_grad] + [counts, figures])
            loss, seen = float(figures[0]), round(float(figures[1]) * self.args.workers)
        self.seen += seen
        return counts, loss

    def watch(self, loss, counts):
        w = {k: v.detach() for k, v in self.w.items()}
        if self.seen / self.args.tokens >= QUANT_FROM:
            w = quant.bundle_weights(w)
        marks = {f: sum(evaluate.exact_answers(self.cfg, w, self.tok, t)) / len(t) for f, t in self.tests.items()}
        shares = counts / counts.sum(1, keepdim=True)
        print(f"   held-out {' '.join(f'{f} {100 * m:.0f}' for f, m in marks.items())} | routes {shares.min():.3f}..{shares.max():.3f} skip {shares[:, -1].mean():.3f}", flush=True)

    def train(self):
        place = f"{self.args.seed} {self.step} {self.rank}"
        rng, generator = random.Random(f"{self.args.seed} {self.step}"), torch.Generator().manual_seed(self.args.seed + self.step + self.rank)
        stream = training_batches(self.tok, random.Random(place), place, BATCH, LONGEST)
        started, before = time.time(), self.seconds
        mean = None
        while self.seen < self.args.tokens:
            loss, counts = self.take_step(stream, rng, generator)
            mean = loss if mean is None else 0.95 * mean + 0.05 * loss
            self.seconds = before + time.time() - started
            if self.rank:
                continue
            if self.step % 20 == 0:
                print(f"step {self.step} tokens {self.seen / 1e6:.2f}M loss {mean:.4f} {self.seconds:.0f}s", flush=True)
            if self.step % 50 == 0:
                self.save()
            if self.step % 150 == 0:
                self.watch(loss, counts)
        if self.rank:
            return
        self.save()
        self.watch(loss, counts)
        torch.save({k: v.detach().cpu() for k, v in self.w.items()}, self.path("weights.pt"))


def work(rank, args):
    torch.set_num_threads(1 if args.workers > 1 else args.threads)
    if args.workers > 1:
        dist.init_process_group("gloo", init_method=f"file://{os.path.abspath(args.out)}/meeting-point", rank=rank, world_size=args.workers)
    Run(args, rank).train()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", default=os.path.join(HERE, "out"))
    p.add_argument("--tokens", type=int, default=12_000_000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--workers", type=int, choices=[1, 2], default=1 if torch.cuda.is_available() else 2)
    p.add_argument("--threads", type=int, default=2, help="threads of a single worker")
    p.add_argument("--resume", action="store_true")
    args = p.parse_args()
    meeting_point = os.path.join(args.out, "meeting-point")
    if os.path.exists(meeting_point):
        os.remove(meeting_point)
    if args.workers == 1:
        work(0, args)
    else:
        mp.spawn(work, (args,), nprocs=args.workers)


if __name__ == "__main__":
    main()
