"""A bundle as Python objects: read, changed, written back consistently. Standard library only."""
import json
import os
import shutil
import struct

SIZES = {"U8": 1, "F16": 2, "BF16": 2, "F32": 4, "U32": 4}
JSON_FILES = ("config", "jang_config", "generation_config", "tokenizer_config", "special_tokens_map")
INDEX = "model.safetensors.index.json"


class Tensor:
    def __init__(self, dtype, shape, data):
        self.dtype, self.shape, self.data = dtype, list(shape), bytearray(data)

    def resize(self, dtype, shape):
        """Another type and shape, the bytes cut or filled up."""
        n = SIZES[dtype]
        for s in shape:
            n *= s
        data = bytes(self.data[:n]).ljust(n, b"\x11")
        self.dtype, self.shape, self.data = dtype, list(shape), bytearray(data)


def read_shard(path):
    with open(path, "rb") as f:
        n, = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(n))
        body = f.read()
    return {k: Tensor(t["dtype"], t["shape"], body[t["data_offsets"][0]:t["data_offsets"][1]])
            for k, t in header.items() if k != "__metadata__"}


def write_shard(path, tensors):
    header, at = {}, 0
    names = sorted(tensors, key=lambda k: (-SIZES[tensors[k].dtype], k))
    for k in names:
        t = tensors[k]
        header[k] = {"dtype": t.dtype, "shape": t.shape, "data_offsets": [at, at + len(t.data)]}
        at += len(t.data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for k in names:
            f.write(tensors[k].data)


class Folder:
    """`shards` is a list of {key: Tensor}; `json` the small JSON files; `files` all others as bytes."""

    def __init__(self, path):
        self.json, self.files, self.shards = {}, {}, []
        self.texts = {}  # of the JSON files as they were: written again where nothing was changed
        self.index_changes = []  # functions that change the index before it is written
        for name in sorted(os.listdir(path)):
            full = os.path.join(path, name)
            if name.endswith(".safetensors"):
                self.shards.append(read_shard(full))
            elif name[:-5] in JSON_FILES and name.endswith(".json"):
                with open(full) as f:
                    self.texts[name[:-5]] = f.read()
                self.json[name[:-5]] = json.loads(self.texts[name[:-5]])
            elif name == INDEX:
                with open(full) as f:
                    self.metadata = json.load(f)["metadata"]
            else:
                with open(full, "rb") as f:
                    self.files[name] = f.read()

    def split(self):
        """Two shards, with a triple that straddles them."""
        keys = sorted(self.shards[0])
        cut = keys.index("model.layers.3.zaya_block.experts.switch_mlp.up_proj.scales")
        self.shards = [{k: self.shards[0][k] for k in keys[:cut]}, {k: self.shards[0][k] for k in keys[cut:]}]
        return self

    def shard_of(self, key):
        return next(s for s in self.shards if key in s)

    def __getitem__(self, key):
        return self.shard_of(key)[key]

    def __setitem__(self, key, tensor):
        self.shards[0][key] = tensor

    def keys(self):
        return [k for s in self.shards for k in s]

    def drop(self, key):
        del self.shard_of(key)[key]

    def names(self):
        n = len(self.shards)
        return ["model-%05d-of-%05d.safetensors" % (i + 1, n) for i in range(n)]

    def write(self, path):
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        total = 0
        for name, tensors in zip(self.names(), self.shards):
            write_shard(os.path.join(path, name), tensors)
            total += os.path.getsize(os.path.join(path, name))
        index = {"metadata": dict(self.metadata, total_size=total),
                 "weight_map": {k: name for name, s in zip(self.names(), self.shards) for k in s}}
        for change in self.index_changes:
            change(index)
        for name, value in list(self.json.items()) + [(INDEX[:-5], index)]:
            with open(os.path.join(path, name + ".json"), "w") as f:
                text = self.texts.get(name)
                f.write(text if text and json.loads(text) == value else json.dumps(value))
        for name, data in self.files.items():
            with open(os.path.join(path, name), "wb") as f:
                f.write(data)
