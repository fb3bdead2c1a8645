"""Checkpoints and bundles on disk, read into and written from the weight dict of model.py."""
import json
import os
import re

import numpy as np
import torch

import quant
import safetensors_io as st
from model import Config, block_prefix

EXPERT_PARTS = {"fc1": "linear_fc1", "fc2": "linear_fc2"}


def read_config(folder):
    with open(os.path.join(folder, "config.json")) as f:
        return Config.from_json(json.load(f))


def load_legacy(folder):
    """A BF16 checkpoint in the legacy layout -> (config, float32 weights)."""
    cfg = read_config(folder)
    w = {k: torch.from_numpy(st.to_float32(v).copy()) for k, v in st.load_folder(folder).items()}
    for i in range(1, cfg.layers, 2):
        p = block_prefix(i) + "experts."
        for part, name in EXPERT_PARTS.items():
            w[p + part] = torch.stack([w.pop(f"{p}local_experts.{e}.{name}.weight") for e in range(cfg.experts)])
    return cfg, w


def legacy_tensors(cfg, w):
    """Weights -> {legacy key: ("BF16", bits)}."""
    out = {}
    for key, value in w.items():
        bits = st.bf16_bits(value.detach().cpu().numpy())
        stacked = re.fullmatch(r"(.*\.experts\.)(fc[12])", key)
        if stacked is None:
            out[key] = ("BF16", bits)
            continue
        for e in range(cfg.experts):
            out[f"{stacked[1]}local_experts.{e}.{EXPERT_PARTS[stacked[2]]}.weight"] = ("BF16", bits[e])
    return out


def load_bundle(folder):
    """An affine quantized bundle -> (config, its weights decoded to float32)."""
    cfg = read_config(folder)
    raw, w = st.load_folder(folder), {}
    for key, (dtype, array) in raw.items():
        base = key[:-len(".weight")] if key.endswith(".weight") else key
        if key.endswith(".scales") or (key.endswith(".biases") and key[:-7] + ".scales" in raw):
            continue
        if dtype == "U32":
            w[key] = torch.from_numpy(quant.decode(array, raw[base + ".scales"][1], raw[base + ".biases"][1]))
        else:
            w[key] = torch.from_numpy(st.to_float32((dtype, array)).copy())
    for i in range(1, cfg.layers, 2):
        p = block_prefix(i) + "experts."
        gate, up, down = (w.pop(f"{p}switch_mlp.{n}_proj.weight") for n in ("gate", "up", "down"))
        w[p + "fc1"], w[p + "fc2"] = torch.cat([gate, up], 1), down
    return cfg, w
