"""Check model.py and quant.py against reference outputs of a small ZAYA.

usage: check_model.py SET    (a folder with legacy/, mxfp4/, golden.safetensors and golden.json)

Logits of the BF16 checkpoint and of the MXFP4 bundle must lie within 1e-4, every route must be equal, and the
bundle made from the checkpoint by quant.py must decode to the very values of the reference bundle.
"""
import json
import os
import sys

import torch

import checkpoint
import quant
import safetensors_io as st
from model import forward


def check_variant(cfg, w, golden, prompts, prefix):
    worst, wrong = 0.0, 0
    for n in range(prompts):
        key = f"{prefix}p{n}."
        tokens = torch.from_numpy(golden[key + "tokens"][1].copy()).long()
        with torch.no_grad():
            logits, routes = forward(cfg, w, tokens[None])
        worst = max(worst, float((logits[0] - torch.from_numpy(golden[key + "logits"][1].copy())).abs().max()))
        for j, (choice, _) in enumerate(routes):
            expected = torch.from_numpy(golden[f"{key}router{2 * j + 1}.choice"][1].copy())
            wrong += int((choice[0] != expected).sum())
    return worst, wrong


def main(folder):
    golden = st.load(os.path.join(folder, "golden.safetensors"))
    with open(os.path.join(folder, "golden.json")) as f:
        prompts = len(json.load(f)["prompts"])
    cfg, legacy = checkpoint.load_legacy(os.path.join(folder, "legacy"))
    _, bundle = checkpoint.load_bundle(os.path.join(folder, "mxfp4"))
    ok = True
    for prefix, w in (("bf16.", legacy), ("", bundle)):
        worst, wrong = check_variant(cfg, w, golden, prompts, prefix)
        print(f"{folder} {prefix or 'mxfp4.'} logits differ by at most {worst:.2e}, {wrong} routes differ")
        ok = ok and worst < 1e-4 and wrong == 0
    made = quant.bundle_weights(legacy)
    unequal = [k for k in bundle if not torch.equal(made[k], bundle[k])]
    print(f"{folder} quant.py: {len(bundle) - len(unequal)} of {len(bundle)} tensors equal to the bundle's", *unequal)
    return ok and not unequal


if __name__ == "__main__":
    sys.exit(0 if all([main(folder) for folder in sys.argv[1:]]) else 1)
