"""`zaya verify` on deliberately broken bundles: each fails the one check that is meant for it.

usage: test_verify.py PATH_OF_ZAYA [unittest arguments]
"""
import copy
import hashlib
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

from folder import INDEX, Folder, Tensor

ZAYA = None
BASE = {}  # name -> folder; made once
ATTN = "model.layers.0.self_attn."
MOE = "model.layers.1.zaya_block."
GATE = MOE + "experts.switch_mlp.gate_proj."
BREAKS = []  # (check, what is wrong, function, base)


def breaks(check, what, base="bundle"):
    def add(fn):
        BREAKS.append((check, what, fn, base))
        return fn
    return add


def run(*args):
    return subprocess.run([ZAYA, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)


def f16(x):
    return struct.pack("<e", x)


# Functions get a Folder to change and may return a function that changes the written folder.

# --- files ---------------------------------------------------------------------------------------


@breaks("config", "a head count that does not fit")
def _(b):
    b.json["config"]["cca_num_q_heads"] = 7


@breaks("config", "a variant that is not supported")
def _(b):
    b.json["config"]["moe_router_topk"] = 2


@breaks("jang-config", "another weight format")
def _(b):
    b.json["jang_config"]["weight_format"] = "mxtq"


@breaks("jang-config", "no jang_config.json")
def _(b):
    del b.json["jang_config"]


@breaks("headers", "a shard cut short")
def _(b):
    def cut(path):
        name = path + "/" + b.names()[0]
        os.truncate(name, os.path.getsize(name) - 1)
    return cut


@breaks("headers", "a header that is no JSON")
def _(b):
    def scribble(path):
        with open(path + "/" + b.names()[1], "r+b") as f:
            f.seek(9)
            f.write(b"}}}}")
    return scribble


@breaks("index", "an index that is no JSON")
def _(b):
    def cut(path):
        os.truncate(path + "/" + INDEX, 100)
    return cut


@breaks("index", "no index")
def _(b):
    return lambda path: os.remove(path + "/" + INDEX)


@breaks("index", "a shard outside the folder")
def _(b):
    key = b.keys()[0]
    return lambda path: rewrite_json(path, INDEX, lambda i: i["weight_map"].__setitem__("x", "../evil.safetensors"))


def rewrite_json(path, name, change):
    with open(path + "/" + name) as f:
        value = json.load(f)
    change(value)
    with open(path + "/" + name, "w") as f:
        json.dump(value, f)


@breaks("shards", "a shard that the index does not know")
def _(b):
    def add(path):  # named so that the numbering stays whole, with the keys that the index expects
        rewrite_json(path, INDEX, lambda i: [i["weight_map"].pop(k) for k in list(b.shards[1])])
    return add


@breaks("shard-names", "a gap in the numbers")
def _(b):
    def rename(path):
        old, new = b.names()[1], "model-00003-of-00003.safetensors"
        first = "model-00001-of-00003.safetensors"
        os.rename(path + "/" + old, path + "/" + new)
        os.rename(path + "/" + b.names()[0], path + "/" + first)

        def change(i):
            for k, v in i["weight_map"].items():
                i["weight_map"][k] = new if v == old else first
        rewrite_json(path, INDEX, change)
    return rename


@breaks("index-keys", "a key in another shard than the index says")
def _(b):
    key = list(b.shards[0])[5]
    b.index_changes.append(lambda i: i["weight_map"].__setitem__(key, b.names()[1]))


@breaks("index-keys", "a key that no shard has")
def _(b):
    b.index_changes.append(lambda i: i["weight_map"].__setitem__("model.nothing", b.names()[1]))


@breaks("index-keys", "a key that the index leaves out")
def _(b):
    key = list(b.shards[0])[5]
    b.index_changes.append(lambda i: i["weight_map"].pop(key))


@breaks("duplicates", "a key in two shards")
def _(b):
    key = list(b.shards[0])[5]
    b.shards[1][key] = copy.deepcopy(b.shards[0][key])


@breaks("total-size", "a wrong total")
def _(b):
    b.index_changes.append(lambda i: i["metadata"].__setitem__("total_size", 12345))


@breaks("index-format", "another format in the index")
def _(b):
    b.metadata["format"] = "mxfp8"


@breaks("leftovers", "a file of an interrupted download")
def _(b):
    b.files["model-00001-of-00002.safetensors.incomplete"] = b"half"


# --- the model -----------------------------------------------------------------------------------


@breaks("layout", "a layout that is not what is there")
def _(b):
    b.json["config"]["zaya_expert_layout"] = "fused"


@breaks("layout", "no experts at all")
def _(b):
    for key in [k for k in b.keys() if "switch_mlp" in k]:
        b.drop(key)


@breaks("local-experts", "an expert of the source is left")
def _(b):
    b[MOE + "experts.local_experts.0.linear_fc2.weight"] = Tensor("BF16", [192, 160], b"\x11\x3c" * 192 * 160)


@breaks("stacked-experts", "one expert too few")
def _(b):
    for part in ("weight", "scales", "biases"):
        t = b[GATE + part]
        t.resize(t.dtype, [4] + t.shape[1:])


@breaks("stacked-experts", "experts in rows instead of in front")
def _(b):
    for part in ("weight", "scales", "biases"):
        t = b[GATE + part]
        t.resize(t.dtype, [t.shape[0] * t.shape[1], t.shape[2]])


@breaks("missing-keys", "a norm is missing")
def _(b):
    b.drop("model.layers.2.input_norm.weight")


@breaks("missing-keys", "biases are missing")
def _(b):
    b.drop(ATTN + "o_proj.biases")


@breaks("missing-keys", "scales and biases are missing")
def _(b):
    b.drop(ATTN + "o_proj.scales")
    b.drop(ATTN + "o_proj.biases")


@breaks("unexpected-keys", "a tensor that no ZAYA has")
def _(b):
    b["model.layers.0.self_attn.k_norm.weight"] = Tensor("F16", [4], f16(1.0) * 4)


@breaks("unexpected-keys", "a layer too many")
def _(b):
    b["model.layers.6.input_norm.weight"] = Tensor("F16", [192], f16(1.0) * 192)


@breaks("shapes", "a norm of another width")
def _(b):
    b["model.layers.2.input_norm.weight"].resize("F16", [190])


@breaks("shapes", "integers for floats")
def _(b):
    t = b[MOE + "router.rmsnorm_eda.weight"]
    t.resize("U8", t.shape)


@breaks("shapes", "scales for other groups")
def _(b):
    t = b[ATTN + "qkv.linear_q.scales"]
    t.resize("F16", [t.shape[0], 5])


@breaks("shapes", "biases of another shape than the scales")
def _(b):
    t = b[ATTN + "qkv.linear_q.biases"]
    t.resize("F16", [t.shape[0], 3])


@breaks("quantization", "config.json says other bits")
def _(b):
    b.json["config"]["quantization"]["bits"] = 8


@breaks("quantization", "jang_config.json says another group size")
def _(b):
    b.json["jang_config"]["quantization"]["group_size"] = 64


@breaks("quantization", "config.json says another mode")
def _(b):
    b.json["config"]["quantization"]["mode"] = "mxfp4"


@breaks("uniform", "one projection in 8 bits")
def _(b):
    t = b["model.layers.2.self_attn.o_proj.weight"]
    t.resize("U32", [t.shape[0], t.shape[1] * 2])
    t.data[:] = os.urandom(len(t.data))


@breaks("head", "a head though it is tied")
def _(b):
    b["lm_head.weight"] = Tensor("F16", [1024, 192], f16(0.5) * 1024 * 192)


@breaks("head", "no head though it is not tied")
def _(b):
    b.json["config"]["tie_word_embeddings"] = False


@breaks("sidecar", "a sidecar that nothing needs")
def _(b):
    b.files["jangtq_runtime.safetensors"] = struct.pack("<Q", 8) + b"{}      "


# --- JANGTQ ----------------------------------------------------------------------------------------


@breaks("sidecar", "no sidecar though it is needed", "jangtq")
def _(b):
    del b.files["jangtq_runtime.safetensors"]


@breaks("sidecar", "a codebook is missing", "jangtq")
def _(b):
    b.files["jangtq_runtime.safetensors"] = sidecar(leave_out="codebook.160.2")


@breaks("sidecar", "signs of another length", "jangtq")
def _(b):
    b.files["jangtq_runtime.safetensors"] = sidecar(cut="signs.192.42")


@breaks("shapes", "packed columns of another width", "jangtq")
def _(b):
    t = b[GATE + "tq_packed"]
    t.resize("U32", t.shape[:2] + [t.shape[2] + 1])


@breaks("missing-keys", "norms are missing", "jangtq")
def _(b):
    b.drop(GATE + "tq_norms")


def sidecar(leave_out=None, cut=None):
    header, body = {}, b""
    for d in (160, 192):
        for name, n in (("signs.%d.42" % d, d), ("codebook.%d.2" % d, 4)):
            if name == leave_out:
                continue
            n -= name == cut
            header[name] = {"dtype": "F32", "shape": [n], "data_offsets": [len(body), len(body) + 4 * n]}
            body += struct.pack("<f", 1.0) * n
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def to_jangtq(b):
    """The experts in 2 bits a code, 16 to a word. What they decode to does not matter here."""
    for key in [k for k in b.keys() if "switch_mlp" in k]:
        t = b[key]
        if key.endswith(".weight"):
            shard, base = b.shard_of(key), key[:-len("weight")]
            E, out, cols = t.shape[0], t.shape[1], t.shape[2] * 8
            shard[base + "tq_packed"] = Tensor("U32", [E, out, cols // 16], os.urandom(E * out * cols // 4))
            shard[base + "tq_norms"] = Tensor("F16", [E, out], f16(0.9) * E * out)
            shard[base + "tq_bits"] = Tensor("U8", [1], b"\x02")
        b.drop(key)
    b.files["jangtq_runtime.safetensors"] = sidecar()
    b.json["config"]["weight_format"] = b.json["jang_config"]["weight_format"] = "mxtq"
    b.metadata["format"] = "jangtq"
    return b


# --- values ------------------------------------------------------------------------------------------


@breaks("finite", "an infinite scale")
def _(b):
    b[GATE + "scales"].data[100:102] = f16(float("inf"))


@breaks("finite", "a bias that is no number")
def _(b):
    b["model.embed_tokens.biases"].data[0:2] = f16(float("nan"))


@breaks("finite", "a norm weight that is no number")
def _(b):
    b["model.final_norm.weight"].data[-2:] = f16(float("nan"))


@breaks("scale-range", "an absurd scale")
def _(b):
    b[GATE + "scales"].data[100:102] = f16(30000.0)


@breaks("scale-range", "an absurd bias")
def _(b):
    b[ATTN + "o_proj.biases"].data[0:2] = f16(-60000.0)


@breaks("scale-range", "most scales are zero")
def _(b):
    t = b[GATE + "scales"]
    n = len(t.data) * 3 // 4 // 2 * 2
    t.data[:n] = bytes(n)


@breaks("float-range", "an absurd weight of a router")
def _(b):
    b[MOE + "router.down_proj.weight"].data[0:2] = f16(50000.0)


@breaks("zero-tensors", "codes of zeros")
def _(b):
    t = b[ATTN + "o_proj.weight"]
    t.data[:] = bytes(len(t.data))


@breaks("zero-tensors", "scales of zeros")
def _(b):
    t = b[ATTN + "o_proj.scales"]
    t.data[:] = struct.pack("<H", 0x8002) * (len(t.data) // 2)


@breaks("zero-tensors", "a norm of zeros")
def _(b):
    t = b["model.layers.2.input_norm.weight"]
    t.data[:] = bytes(len(t.data))


@breaks("distinct-experts", "an expert twice")
def _(b):
    t = b[GATE + "weight"]
    n = len(t.data) // t.shape[0]
    t.data[3 * n:4 * n] = t.data[n:2 * n]


# --- text --------------------------------------------------------------------------------------------


@breaks("tokenizer", "no tokenizer")
def _(b):
    del b.files["tokenizer.json"]


@breaks("tokenizer", "a tokenizer cut short")
def _(b):
    b.files["tokenizer.json"] = b.files["tokenizer.json"][:5000]


@breaks("tokenizer-config", "a pad token that is none")
def _(b):
    b.json["tokenizer_config"]["pad_token"] = "<nothing>"


@breaks("tokenizer-config", "no tokenizer_config.json")
def _(b):
    del b.json["tokenizer_config"]


@breaks("vocab", "more ids than rows")
def _(b):
    t = json.loads(b.files["tokenizer.json"])
    t["added_tokens"].append({"id": 1024, "content": "<more>", "single_word": False, "lstrip": False,
                              "rstrip": False, "normalized": False, "special": True})
    b.files["tokenizer.json"] = json.dumps(t).encode()


@breaks("template", "no template")
def _(b):
    del b.files["chat_template.jinja"]
    del b.json["tokenizer_config"]["chat_template"]


@breaks("template", "a template with a mistake")
def _(b):
    text = b.files["chat_template.jinja"].decode().replace("{%- endfor -%}", "", 1)
    b.files["chat_template.jinja"] = text.encode()
    b.json["tokenizer_config"]["chat_template"] = text


@breaks("template", "a template that loses the message")
def _(b):
    text = b.files["chat_template.jinja"].decode().replace("{{ m.content or '' }}", "")
    b.files["chat_template.jinja"] = text.encode()
    b.json["tokenizer_config"]["chat_template"] = text


@breaks("template-copy", "two templates")
def _(b):
    b.json["tokenizer_config"]["chat_template"] += " "


@breaks("stop-tokens", "the files end on different tokens")
def _(b):
    b.json["generation_config"]["eos_token_id"] = [5]


@breaks("stop-tokens", "eos 1 where turns end with 106, as was once published")
def _(b):
    b.json["config"]["eos_token_id"] = b.json["generation_config"]["eos_token_id"] = 1


@breaks("stop-tokens", "no eos")
def _(b):
    del b.json["config"]["eos_token_id"], b.json["generation_config"]["eos_token_id"]


@breaks("generation-config", "a negative temperature")
def _(b):
    b.json["generation_config"]["temperature"] = -1


@breaks("generation-config", "a file that is no JSON")
def _(b):
    del b.json["generation_config"]
    b.files["generation_config.json"] = b"{"


@breaks("capabilities", "the files differ")
def _(b):
    b.json["jang_config"]["capabilities"]["supports_tools"] = False


@breaks("capabilities", "no tools, says the config; the template takes them")
def _(b):
    for name in ("config", "jang_config"):
        b.json[name]["capabilities"]["supports_tools"] = False


@breaks("capabilities", "the wrong parser")
def _(b):
    for name in ("config", "jang_config"):
        b.json[name]["capabilities"]["tool_parser"] = "hermes"


# --- against the source ------------------------------------------------------------------------------


@breaks("source-shape", "a source of another shape", "converted")
def _(b):
    b.json["config"]["rope_theta"] = 1e6


@breaks("source-coverage", "a source tensor that is not in the bundle", "converted-strange")
def _(b):
    pass


@breaks("source-floats", "one value of a norm", "converted")
def _(b):
    b["model.layers.2.input_norm.weight"].data[10:12] = f16(1.25)


@breaks("source-error", "a tensor in another's place", "converted")
def _(b):
    for part in ("weight", "scales", "biases"):
        shard = b.shard_of(ATTN + "qkv.val_proj1." + part)
        other = b["model.layers.2.self_attn.qkv.val_proj1." + part]
        shard[ATTN + "qkv.val_proj1." + part] = copy.deepcopy(other)


@breaks("source-codes", "one code of one group", "converted")
def _(b):
    b[GATE + "weight"].data[77] ^= 1


@breaks("source-files", "another tokenizer", "converted")
def _(b):
    b.files["tokenizer.json"] += b"\n"


class Verify(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.mkdtemp(prefix="zaya-verify-")
        s = cls.scratch

        def do(*args):
            r = run(*args)
            assert r.returncode == 0, r.stderr
        do("synth", s + "/synth", "--preset", "tiny", "--seed", "5")
        do("synth", s + "/source", "--preset", "tiny", "--layout", "legacy")
        do("convert", s + "/source", s + "/conv")
        Folder(s + "/synth").split().write(s + "/bundle")
        to_jangtq(Folder(s + "/synth").split()).write(s + "/jangtq")
        Folder(s + "/conv").write(s + "/converted")
        shutil.copytree(s + "/converted", s + "/converted-strange")
        strange = Folder(s + "/source")
        strange["model.layers.0.self_attn.extra.weight"] = Tensor("BF16", [4], b"\x80\x3f" * 4)
        strange.write(s + "/source-strange")
        cls.sources = {"converted": s + "/source", "converted-strange": s + "/source-strange"}

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.scratch)

    def verify(self, path, *args):
        r = run("verify", path, "--json", *args)
        self.assertEqual(r.stderr, "")
        report = json.loads(r.stdout)
        self.assertEqual(r.returncode, 0 if report["ok"] else 1)
        self.assertEqual(report["passed"] + report["failed"] + report["skipped"], len(report["checks"]))
        return report

    def source_of(self, base):
        return ["--source", self.sources[base]] if base in self.sources else []

    def failed(self, report):
        return {c["name"]: c["detail"] for c in report["checks"] if c["status"] == "fail"}

    def test_sound_bundles_pass(self):
        for base in ("synth", "bundle", "jangtq", "converted", "conv", "source"):
            with self.subTest(base):
                report = self.verify(self.scratch + "/" + base, *self.source_of(base))
                self.assertEqual(self.failed(report), {})
        passed = {c["name"] for c in self.verify(self.scratch + "/converted", *self.source_of("converted"))["checks"]
                  if c["status"] == "pass"}
        self.assertTrue({"source-shape", "source-coverage", "source-floats", "source-error", "source-codes",
                         "source-files"} <= passed)

    def test_each_fault_fails_its_check(self):
        self.assertGreaterEqual(len(BREAKS), 40)
        for check, what, fn, base in BREAKS:
            with self.subTest(check + ": " + what):
                b = Folder(self.scratch + "/" + base) if base != "jangtq" else to_jangtq(
                    Folder(self.scratch + "/synth").split())
                path = self.scratch + "/broken"
                after = fn(b)
                b.write(path)
                if after:
                    after(path)
                failed = self.failed(self.verify(path, *self.source_of(base)))
                self.assertEqual(list(failed), [check], failed)
                self.assertTrue(failed[check], "it does not say what is wrong")

    def test_every_check_has_a_fault(self):
        report = self.verify(self.scratch + "/bundle")
        names = {c["name"] for c in report["checks"]}
        # "opens" is the net under the others; "hashes" has a test of its own.
        self.assertEqual(names - {"opens", "hashes"}, {check for check, _, _, _ in BREAKS})

    def test_missing_shard(self):
        path = self.scratch + "/broken"
        b = Folder(self.scratch + "/bundle")
        b.write(path)
        os.remove(path + "/" + b.names()[0])
        failed = self.failed(self.verify(path))
        self.assertEqual(list(failed), ["shards"], failed)

    def test_quantizers(self):
        for mode, words in (("mlx-cpu", "CPU"), ("mlx-metal", "Metal")):
            out = self.scratch + "/" + mode
            r = run("convert", self.scratch + "/source", out, "--quantizer", mode)
            self.assertEqual(r.returncode, 0, r.stderr)
            report = self.verify(out, "--source", self.scratch + "/source")
            detail = next(c["detail"] for c in report["checks"] if c["name"] == "source-codes")
            self.assertIn("exactly those of MLX's %s quantizer" % words, detail)
            self.assertEqual(self.failed(report), {})
            errors = {c["name"]: c["relative_error"] for c in report["classes"]}
            self.assertTrue(0.05 < errors["experts"] < 0.12, errors)

    def test_other_modes(self):
        for mode in ("mxfp4", "mxfp8", "nvfp4"):
            out = self.scratch + "/mode-" + mode
            r = run("convert", self.scratch + "/source", out, "--mode", mode)
            self.assertEqual(r.returncode, 0, r.stderr)
            report = self.verify(out, "--source", self.scratch + "/source")
            self.assertEqual(self.failed(report), {})

    def test_hashes(self):
        path = self.scratch + "/hashed"
        Folder(self.scratch + "/bundle").write(path)
        sums = path + "/SHA256SUMS"
        self.assertTrue(self.verify(path, "--hash")["ok"])
        with open(sums) as f:
            lines = f.read().splitlines()
        self.assertEqual([line.split("  ")[1] for line in lines],
                         sorted(n for n in os.listdir(path) if n != "SHA256SUMS"))
        for line in lines:
            hex_sum, name = line.split("  ")
            with open(path + "/" + name, "rb") as f:
                self.assertEqual(hashlib.sha256(f.read()).hexdigest(), hex_sum)
        self.assertTrue(self.verify(path, "--hash")["ok"])
        with open(path + "/chat_template.jinja", "ab") as f:
            f.write(b"{# #}")
        self.assertEqual(list(self.failed(self.verify(path, "--hash"))), ["template-copy", "hashes"])
        os.remove(path + "/chat_template.jinja")
        self.assertEqual(list(self.failed(self.verify(path, "--hash"))), ["hashes"])
        with open(sums, "w") as f:
            f.write("nonsense\n")
        self.assertEqual(list(self.failed(self.verify(path, "--hash"))), ["hashes"])
        os.remove(sums)
        os.remove(path + "/tokenizer.json")
        self.assertFalse(self.verify(path, "--hash")["ok"])
        self.assertFalse(os.path.exists(sums), "sums written for a bundle with failures")

    def test_random_damage(self):
        """Whatever the bytes: a report, never a crash."""
        rng = random.Random(11)
        source, path = self.scratch + "/synth", self.scratch + "/damaged"
        names = sorted(os.listdir(source))
        for _ in range(40):
            shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(source, path)
            name = path + "/" + rng.choice(names)
            with open(name, "rb") as f:
                data = bytearray(f.read())
            for _ in range(rng.choice((1, 3, 30))):
                data[rng.randrange(min(len(data), 20000))] = rng.randrange(256)
            if rng.random() < 0.2:
                del data[rng.randrange(len(data)):]
            with open(name, "wb") as f:
                f.write(data)
            self.verify(path)

    def test_no_folder(self):
        r = run("verify", self.scratch + "/nothing")
        self.assertEqual((r.returncode, r.stdout), (1, ""))
        self.assertIn("nothing", r.stderr)
        r = run("verify", self.scratch + "/bundle", "--source", self.scratch + "/nothing")
        self.assertEqual(r.returncode, 1)
        self.assertIn("fail  source-shape", r.stdout)

    def test_empty_folder(self):
        path = self.scratch + "/empty"
        os.makedirs(path)
        self.assertIn("shards", self.failed(self.verify(path)))


if __name__ == "__main__":
    ZAYA = os.path.abspath(sys.argv.pop(1))
    unittest.main()
