"""Safetensors files with numpy alone. A tensor is (dtype name, array); BF16 is carried as its uint16 bits."""
import json
import os
import struct

import numpy as np

DTYPES = {"U8": np.uint8, "F16": np.float16, "BF16": np.uint16, "I32": np.int32, "U32": np.uint32, "F32": np.float32, "I64": np.int64}


def bf16_bits(x):
    """float32 array -> BF16 bits, rounded to nearest even."""
    u = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    return ((u + ((u >> 16) & 1) + np.uint32(0x7FFF)) >> 16).astype(np.uint16)


def to_float32(tensor):
    dtype, array = tensor
    if dtype == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32)


def save(path, tensors):
    """Write {name: (dtype name, array)}; wider types first, then by name. Returns the tensor bytes."""
    order = sorted(tensors, key=lambda k: (-tensors[k][1].itemsize, k))
    head, offset = {}, 0
    for name in order:
        dtype, array = tensors[name]
        head[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            f.write(np.ascontiguousarray(tensors[name][1]).tobytes())
    return offset


def load(path):
    with open(path, "rb") as f:
        head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        body = f.read()
    head.pop("__metadata__", None)
    out = {}
    for name, m in head.items():
        begin, end = m["data_offsets"]
        out[name] = (m["dtype"], np.frombuffer(body[begin:end], dtype=DTYPES[m["dtype"]]).reshape(m["shape"]))
    return out


def load_folder(folder):
    """All tensors of a checkpoint or bundle, in one file or in the shards that its index names."""
    index = os.path.join(folder, "model.safetensors.index.json")
    if not os.path.exists(index):
        return load(os.path.join(folder, "model.safetensors"))
    with open(index) as f:
        shards = sorted(set(json.load(f)["weight_map"].values()))
    out = {}
    for shard in shards:
        out.update(load(os.path.join(folder, shard)))
    return out
