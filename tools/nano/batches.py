"""Dialogues to padded batches: rows of similar length, at most a given number of tokens together."""
import torch

from data import mix


def pad(rows, pad_id=0):
    """[(ids, mask)] -> tokens [B, T], mask [B, T], real [B, T]"""
    length = max(len(ids) for ids, _ in rows)
    tokens = torch.full((len(rows), length), pad_id)
    mask, real = torch.zeros(len(rows), length, dtype=torch.bool), torch.zeros(len(rows), length, dtype=torch.bool)
    for i, (ids, m) in enumerate(rows):
        tokens[i, :len(ids)] = torch.tensor(ids)
        mask[i, :len(ids)] = torch.tensor(m, dtype=torch.bool)
        real[i, :len(ids)] = True
    return tokens, mask, real


def by_length(rows, budget):
    """Rows sorted by length and cut so that a padded batch holds at most `budget` tokens (or one row)."""
    groups, group = [], []
    for row in sorted(rows, key=lambda r: len(r[0])):
        if group and (len(group) + 1) * len(row[0]) > budget:
            groups.append(group)
            group = []
        group.append(row)
    return groups + [group] if group else groups


def training_batches(tok, rng, seed, budget, longest, chunk=1500):
    """Endless stream of padded batches of fresh dialogues, deterministic by seed."""
    number = 0
    while True:
        rows = [mix.encode(tok, d, thinking) for d, thinking in mix.training_dialogues(f"train {seed} {number}", chunk)]
        groups = by_length([r for r in rows if len(r[0]) <= longest], budget)
        rng.shuffle(groups)
        for group in groups:
            yield pad(group)
        number += 1
