"""`zaya pull` against a hub with faults: whatever happens, nothing corrupt stands under a final name.

usage: test_pull.py PATH_OF_ZAYA [unittest arguments]
"""
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import fake_hub
from fake_hub import COMMIT, Hub, times

ZAYA = None
FAST = ["--retry-delay", "0.02", "--timeout", "1"]


def make_files():
    rng = random.Random(4)
    return {
        "config.json": b'{"model_type": "zaya"}',
        "model-00001-of-00002.safetensors": rng.randbytes(3_000_001),
        "model-00002-of-00002.safetensors": rng.randbytes(700_003),
        "model.safetensors.index.json": b'{"weight_map": {}}',
        "tokenizer.json": rng.randbytes(50_000),
        "chat_template.jinja": b"{{ messages }}",
        "empty.txt": b"",
        "README.md": b"# a card\n",
        "LICENSE": b"as it is\n",
        "pytorch_model.bin": b"not wanted",
        "original/weights.safetensors": b"not wanted either",
    }


WANTED = 9
SHARD = "model-00001-of-00002.safetensors"


class PullCase(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="zaya-pull-")
        self.hubs = []
        self.hub = self.new_hub(make_files())

    def tearDown(self):
        for hub in self.hubs:
            hub.close()
        shutil.rmtree(self.home)

    def new_hub(self, files):
        hub = Hub(files)
        self.hubs.append(hub)
        return hub

    def env(self, **more):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith(("HF_", "HUGGINGFACE_", "XDG_")) and not k.lower().endswith("_proxy")}
        env.update(HOME=self.home, HF_HOME=self.home + "/hf", HF_ENDPOINT=self.hub.url, **more)
        return env

    def pull(self, *args, repo=None, env=None, limit=120, **kw):
        begun = time.monotonic()
        r = subprocess.run([ZAYA, "pull", repo or self.hub.repo, *FAST, *args], env=env or self.env(),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=limit, **kw)
        self.seconds = time.monotonic() - begun
        self.assertIn(r.returncode, (0, 1, 2), r.stderr)
        self.check_nothing_corrupt()
        return r

    def assert_pulled(self, r, fetched=None):
        self.assertEqual(r.returncode, 0, r.stderr)
        folder = r.stdout.strip()
        names = sorted(os.path.relpath(os.path.join(d, f), folder) for d, _, fs in os.walk(folder) for f in fs)
        self.assertEqual(names, sorted(p for p in self.hub.files
                                       if "/" not in p and not p.endswith(".bin")))
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                self.assertEqual(f.read(), self.hub.files[name], name)
        self.assert_no_partials()
        return folder

    def assert_failed(self, r, *words):
        self.assertEqual(r.returncode, 1, r.stderr)
        for word in words:
            self.assertIn(word, r.stderr)
        self.assertNotIn("ref", os.listdir(self.repo_dir()) if os.path.isdir(self.repo_dir()) else [])
        self.assertFalse(os.path.exists(self.repo_dir() + "/refs/main"), "a failed pull must not resolve")

    def assert_no_partials(self):
        for d, _, files in os.walk(self.home):
            for f in files:
                self.assertFalse(f.endswith((".incomplete", ".tmp")), f)

    def repo_dir(self):
        return self.home + "/hf/hub/models--" + self.hub.repo.replace("/", "--")

    def check_nothing_corrupt(self):
        """Every file under a final name is what its name promises."""
        blobs = self.repo_dir() + "/blobs"
        for name in os.listdir(blobs) if os.path.isdir(blobs) else []:
            if name.endswith(".incomplete"):
                continue
            with open(os.path.join(blobs, name), "rb") as f:
                data = f.read()
            oid = hashlib.sha256(data).hexdigest() if len(name) == 64 else fake_hub.git_oid(data)
            self.assertEqual(name, oid, "a corrupt blob")
        for root in (self.repo_dir() + "/snapshots/" + COMMIT, self.home + "/to"):
            for d, _, files in os.walk(root):
                for f in files:
                    path = os.path.join(d, f)
                    rel = os.path.relpath(path, root)
                    if not rel.endswith(".incomplete"):
                        with open(path, "rb") as g:
                            self.assertEqual(g.read(), self.hub.files[rel], "a corrupt " + rel)

    def partial_bytes(self):
        blob = self.repo_dir() + "/blobs/" + hashlib.sha256(self.hub.files[SHARD]).hexdigest()
        return os.path.getsize(blob + ".incomplete") if os.path.exists(blob + ".incomplete") else 0

    def requests(self, name):
        return [entry for entry in self.hub.log if entry[0].endswith("/" + name)]


class Plain(PullCase):
    def test_cache_layout(self):
        folder = self.assert_pulled(self.pull())
        self.assertEqual(folder, self.repo_dir() + "/snapshots/" + COMMIT)
        with open(self.repo_dir() + "/refs/main") as f:
            self.assertEqual(f.read(), COMMIT)
        link = os.readlink(folder + "/" + SHARD)
        self.assertEqual(link, "../../blobs/" + hashlib.sha256(self.hub.files[SHARD]).hexdigest())
        self.assertEqual(os.readlink(folder + "/config.json"),
                         "../../blobs/" + fake_hub.git_oid(self.hub.files["config.json"]))
        self.assertEqual(len(os.listdir(self.repo_dir() + "/blobs")), WANTED)

    def test_second_pull_fetches_nothing(self):
        self.assert_pulled(self.pull())
        self.hub.log.clear()
        r = self.pull("--json")
        out = json.loads(r.stdout)
        self.assertEqual(out["bytes_fetched"], 0)
        self.assertEqual(out["commit"], COMMIT)
        self.assertEqual(len(out["files"]), WANTED)
        self.assertTrue(all(path.startswith("/api/") for path, _, _ in self.hub.log))
        self.assertEqual(r.stderr, "")

    def test_quiet_in_a_pipe(self):
        r = self.pull("--quiet")
        self.assert_pulled(r)
        self.assertEqual(r.stderr, "")

    def test_to_a_folder(self):
        to = self.home + "/to"
        self.assertEqual(self.assert_pulled(self.pull("--to", to)), to)
        self.assertFalse(os.path.exists(self.home + "/hf"))
        self.hub.log.clear()
        damaged = bytearray(self.hub.files["tokenizer.json"])
        damaged[7] ^= 1
        with open(to + "/tokenizer.json", "wb") as f:
            f.write(damaged)
        self.assert_pulled(self.pull("--to", to + "/"))
        self.assertEqual(len(self.requests("tokenizer.json")), 1)  # found by its hash, and replaced
        self.assertEqual(len(self.requests(SHARD)), 0)

    def test_all_files(self):
        r = self.pull("--all")
        self.assertEqual(r.returncode, 0, r.stderr)
        folder = r.stdout.strip()
        with open(folder + "/original/weights.safetensors", "rb") as f:
            self.assertEqual(f.read(), b"not wanted either")
        self.assertTrue(os.readlink(folder + "/original/weights.safetensors").startswith("../../../blobs/"))
        self.assertTrue(os.path.exists(folder + "/pytorch_model.bin"))

    def test_pages(self):
        self.hub.page_size = 3
        self.assert_pulled(self.pull())
        self.assertEqual(sum("/tree/" in path for path, _, _ in self.hub.log), 4)

    def test_revision(self):
        self.assert_pulled(self.pull("--revision", "refs/pr/1"))
        with open(self.repo_dir() + "/refs/refs/pr/1") as f:
            self.assertEqual(f.read(), COMMIT)
        self.assertFalse(os.path.exists(self.repo_dir() + "/refs/main"))

    def test_revision_behind_at(self):
        self.assert_pulled(self.pull(repo=self.hub.repo + "@" + COMMIT))
        self.assertFalse(os.path.exists(self.repo_dir() + "/refs"))

    def test_hub_cache_variable(self):
        r = self.pull(env=self.env(HF_HUB_CACHE=self.home + "/elsewhere"))
        self.assertTrue(self.assert_pulled(r).startswith(self.home + "/elsewhere/models--org--zaya-test/"))

    def test_old_link_is_replaced(self):
        folder = self.repo_dir() + "/snapshots/" + COMMIT
        os.makedirs(folder)
        os.symlink("../../blobs/nothing", folder + "/config.json")
        self.assert_pulled(self.pull())


class Faults(PullCase):
    def test_dropped_connections_are_resumed(self):
        self.hub.faults[SHARD] = times(3, fake_hub.drop_after(400_000))
        self.assert_pulled(self.pull())
        ranges = [r for _, r, _ in self.requests(SHARD)]
        self.assertEqual(len(ranges), 4)
        self.assertIsNone(ranges[0])
        self.assertTrue(all(r and r != "bytes=0-" for r in ranges[1:]), ranges)

    def test_endless_drops_end(self):
        self.hub.faults[SHARD] = fake_hub.drop_after(1000)
        r = self.pull("--retries", "3")
        self.assert_failed(r, SHARD, "gave up after 4 attempts")
        self.assertEqual(len(self.requests(SHARD)), 4)

    def test_long_downloads_may_drop_often(self):
        self.hub.faults[SHARD] = fake_hub.drop_after(1_200_000)  # more than what counts as progress
        self.assert_pulled(self.pull("--retries", "0", "--timeout", "60"))

    def test_wrong_hash(self):
        for name in (SHARD, "tokenizer.json", "config.json"):
            with self.subTest(name):
                shutil.rmtree(self.home + "/hf", ignore_errors=True)
                self.hub.faults = {name: fake_hub.damaged}
                r = self.pull()
                self.assert_failed(r, name, "damaged", "SHA-256" if name in self.hub.lfs else "git object id")
        self.hub.faults = {}
        self.assert_pulled(self.pull())

    def test_wrong_hash_once(self):
        self.hub.faults[SHARD] = times(1, fake_hub.damaged)
        self.assert_pulled(self.pull())

    def test_damaged_partial_file(self):
        blob = self.repo_dir() + "/blobs/" + hashlib.sha256(self.hub.files[SHARD]).hexdigest()
        for junk in (b"x" * 1000, b"x" * len(self.hub.files[SHARD]), b"x" * (len(self.hub.files[SHARD]) + 5)):
            with self.subTest(len(junk)):
                shutil.rmtree(self.home + "/hf", ignore_errors=True)
                os.makedirs(os.path.dirname(blob))
                with open(blob + ".incomplete", "wb") as f:
                    f.write(junk)
                self.assert_pulled(self.pull())

    def test_whole_partial_file_needs_no_request(self):
        blob = self.repo_dir() + "/blobs/" + hashlib.sha256(self.hub.files[SHARD]).hexdigest()
        os.makedirs(os.path.dirname(blob))
        with open(blob + ".incomplete", "wb") as f:
            f.write(self.hub.files[SHARD])
        self.assert_pulled(self.pull())
        self.assertEqual(self.requests(SHARD), [])

    def test_server_without_ranges(self):
        self.hub.faults[SHARD] = self.first_drop_then(fake_hub.no_ranges)
        self.assert_pulled(self.pull())

    def test_server_with_wrong_ranges(self):
        self.hub.faults[SHARD] = self.first_drop_then(fake_hub.wrong_range)
        self.assert_pulled(self.pull())

    def test_server_that_refuses_ranges(self):
        self.hub.faults[SHARD] = self.first_drop_then(fake_hub.refuse_ranges)
        self.assert_pulled(self.pull())

    @staticmethod
    def first_drop_then(fault):
        drop = times(1, fake_hub.drop_after(100_000))
        return lambda h, data: drop(h, data) or fault(h, data)

    def test_lying_length(self):
        liars = {
            "shorter, all sent": fake_hub.announce(lambda d: len(d) - 10),
            "longer": fake_hub.announce(lambda d: len(d) + 10),
            "none, short body": fake_hub.announce(None, lambda d: d[:-10]),
            "none, long body": fake_hub.announce(None, lambda d: d + b"x" * 10),
        }
        for what, fault in liars.items():
            with self.subTest(what):
                self.hub.faults[SHARD] = fault
                self.assert_failed(self.pull("--retries", "2"), SHARD)
        self.hub.faults = {SHARD: fake_hub.announce(None)}  # no length, the right body
        self.assert_pulled(self.pull())

    def test_slow_drip_arrives(self):
        self.hub.faults["tokenizer.json"] = fake_hub.drip(15, 0.1)
        self.assert_pulled(self.pull())

    def test_silence_is_noticed_and_resumed(self):
        self.hub.faults[SHARD] = times(1, fake_hub.hang(600))
        self.assert_pulled(self.pull())

    def test_silent_hub_ends(self):
        def silent(h, data):
            time.sleep(600)
            return True
        self.hub.faults["api"] = silent
        self.assert_failed(self.pull("--retries", "1"), "no data from 127.0.0.1")

    def test_retry_after_5xx(self):
        for code in (500, 502, 503):
            self.hub.faults = {"api": times(2, fake_hub.status(code)), SHARD: times(2, fake_hub.status(code))}
            self.assert_pulled(self.pull())
            shutil.rmtree(self.home + "/hf")

    def test_5xx_for_ever(self):
        self.hub.faults["api"] = fake_hub.status(500, message="the database is gone")
        self.assert_failed(self.pull("--retries", "2"), "500", "the database is gone", "gave up after 3 attempts")
        self.assertEqual(len(self.hub.log), 3)

    def test_429_waits_as_asked(self):
        self.hub.faults["api"] = times(1, fake_hub.status(429, {"Retry-After": "1"}))
        r = self.pull()
        self.assert_pulled(r)
        self.assertIn("slow down", r.stderr)
        self.assertGreaterEqual(self.seconds, 1.0)  # a pause that the hub asked for, not a speed

    def test_429_for_too_long(self):
        self.hub.faults["api"] = fake_hub.status(429, {"Retry-After": "86400"})
        self.assert_failed(self.pull(), "429", "86400 s")
        self.assertEqual(len(self.hub.log), 1)

    def test_refusals_are_final(self):
        cases = [(401, "", "set HF_TOKEN"), (403, "GatedRepo", "accept the terms"),
                 (404, "RepoNotFound", "no such repository"), (404, "EntryNotFound", "no such file"),
                 (400, "", "400"), (418, "", "418")]
        for code, error_code, words in cases:
            for place in ("api", SHARD):
                with self.subTest(code=code, place=place):
                    self.hub.log.clear()
                    self.hub.faults = {place: fake_hub.status(code, error_code=error_code, message="said the hub")}
                    self.assert_failed(self.pull("-j", "1"), words, "said the hub")
                    self.assertEqual(len([e for e in self.hub.log if place == "api" or e[0].endswith(SHARD)]), 1)

    def test_unknown_revision(self):
        self.assert_failed(self.pull("--revision", "nowhere"), "no such revision", "org/zaya-test@nowhere")

    def test_no_network(self):
        env = self.env()
        env["HF_ENDPOINT"] = "http://127.0.0.1:1"
        self.assert_failed(self.pull(env=env), "no connection to 127.0.0.1", "network")
        env["HF_ENDPOINT"] = "http://hub.invalid"
        self.assert_failed(self.pull(env=env), "cannot find the address of hub.invalid")

    def test_disk_that_is_too_small(self):
        self.hub.list_as[SHARD] = {"lfs": {"oid": "a" * 64, "size": 1 << 60}}
        self.assert_failed(self.pull(), "not enough room")
        self.assertEqual(self.requests(SHARD), [])

    def test_disk_that_fills_up(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        r = self.pull(preexec_fn=limit, restore_signals=False)
        self.assert_failed(r, "cannot write", ".incomplete")
        self.assert_pulled(self.pull())

    def test_nonsense_from_the_api(self):
        def body(text):
            def run(h, data):
                if "/tree/" not in h.path:
                    return False
                h.send_response(200)
                h.send_header("Content-Length", str(len(text)))
                h.end_headers()
                h.wfile.write(text)
                return True
            return run
        for text in (b"", b"{", b"<html>", b"{}", b"[1]", b"null", b"[{}]", b"\xff\xfe", b"[" * 100000,
                     b'[{"type": "file", "path": "a.json"}]',
                     b'[{"type": "file", "path": "a.json", "size": -1, "oid": "' + b"0" * 40 + b'"}]',
                     b'[{"type": "file", "path": "a.json", "size": 1e400, "oid": "' + b"0" * 40 + b'"}]',
                     b'[{"type": "file", "path": "a.json", "size": 3, "oid": "../../../evil"}]',
                     b"[]"):
            with self.subTest(text[:60]):
                self.hub.faults["api"] = body(text)
                self.assert_failed(self.pull())

    def test_killed_at_any_moment(self):
        self.hub.faults[SHARD] = fake_hub.drip(30, 0.02)
        rng = random.Random(9)
        for round in range(12):
            self.hub.log.clear()
            p = subprocess.Popen([ZAYA, "pull", self.hub.repo, *FAST], env=self.env(), stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
            while round % 2 and p.poll() is None and not self.requests(SHARD):
                time.sleep(0.01)
            time.sleep(rng.uniform(0.0, 0.3))
            while round == 11 and p.poll() is None and not self.partial_bytes():
                time.sleep(0.01)
            p.kill()
            p.wait()
            self.check_nothing_corrupt()
        there = self.partial_bytes()
        self.assertGreater(there, 0)
        self.hub.log.clear()
        self.assert_pulled(self.pull())
        self.assertEqual(self.requests(SHARD)[0][1], "bytes=%d-" % there)

    def test_two_at_once(self):
        more = threading.Event()
        self.hub.faults[SHARD] = fake_hub.in_halves(more)
        first = subprocess.Popen([ZAYA, "pull", self.hub.repo, "--timeout", "100"], env=self.env(),
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while first.poll() is None and not self.requests(SHARD):
            time.sleep(0.01)
        r = self.pull()
        more.set()
        self.assertEqual(r.returncode, 1)
        self.assertIn("another program is fetching it", r.stderr)
        out, errors = first.communicate(timeout=100)
        self.assertEqual(first.returncode, 0, errors)
        self.assert_pulled(self.pull())


class Trust(PullCase):
    def test_token_reaches_the_hub(self):
        self.hub.token = "hf_secret"
        self.assert_failed(self.pull(), "401", "set HF_TOKEN")
        self.assert_failed(self.pull(env=self.env(HF_TOKEN="hf_wrong")), "refuses the token")
        self.assert_pulled(self.pull(env=self.env(HF_TOKEN="hf_secret")))
        shutil.rmtree(self.home + "/hf")
        os.makedirs(self.home + "/hf")
        with open(self.home + "/hf/token", "w") as f:
            f.write("hf_secret\n")
        self.assert_pulled(self.pull())

    def test_hub_text_is_cleaned(self):
        self.hub.token = "hf_secret"
        self.assertNotIn("\x1b", self.pull().stderr)

    def test_token_stays_at_home(self):
        cdn = self.new_hub(make_files())
        self.hub.redirect_to = cdn.url  # another port is another host
        self.assert_pulled(self.pull(env=self.env(HF_TOKEN="hf_secret")))
        self.assertTrue(self.hub.log and all(auth == "Bearer hf_secret" for _, _, auth in self.hub.log))
        self.assertEqual(len(cdn.log), 3)
        self.assertTrue(all(auth is None for _, _, auth in cdn.log), cdn.log)

    def test_redirects_are_resumed_from_the_hub(self):
        cdn = self.new_hub(make_files())
        self.hub.redirect_to = cdn.url
        cdn.faults[SHARD] = times(2, fake_hub.drop_after(300_000))
        self.assert_pulled(self.pull())
        self.assertEqual(len(self.requests(SHARD)), 3)  # a signed address may have expired: ask again

    def test_expired_address(self):
        cdn = self.new_hub(make_files())
        self.hub.redirect_to = cdn.url
        cdn.faults[SHARD] = times(1, fake_hub.status(403, message="Request has expired"))
        self.assert_pulled(self.pull())

    def test_redirect_to_itself_keeps_the_token(self):
        self.hub.redirect_to = self.hub.url
        self.assert_pulled(self.pull(env=self.env(HF_TOKEN="hf_secret")))
        self.assertTrue(all(auth == "Bearer hf_secret" for _, _, auth in self.hub.log))

    def test_page_link_to_another_host(self):
        other = self.new_hub(make_files())
        self.hub.page_size = 3

        def elsewhere(h, data):
            if "/tree/" not in h.path:
                return False
            h.send_response(200)
            h.send_header("Link", '<%s%s>; rel="next"' % (other.url, h.path))
            h.send_header("Content-Length", "2")
            h.end_headers()
            h.wfile.write(b"[]")
            return True
        self.hub.faults["api"] = elsewhere
        self.assert_pulled(self.pull(env=self.env(HF_TOKEN="hf_secret")))
        self.assertTrue(other.log and all(auth is None for _, _, auth in other.log))

    def test_redirects_in_circles_and_astray(self):
        for url, words in ((self.hub.url + "/%s/resolve/%s/%s" % (self.hub.repo, COMMIT, SHARD), "circles"),
                           ("file:///etc/hostname", "neither https nor http"),
                           ("ftp://127.0.0.1/x", "neither https nor http")):
            with self.subTest(url):
                self.hub.faults[SHARD] = fake_hub.redirect(url)
                self.assert_failed(self.pull(), words)

    def test_signature_is_not_shown(self):
        cdn = self.new_hub(make_files())
        self.hub.redirect_to = cdn.url
        cdn.faults[SHARD] = fake_hub.status(500)
        r = self.pull("--retries", "1", env=self.env(HF_TOKEN="hf_secret"))
        self.assert_failed(r, SHARD)
        self.assertNotIn("secret", r.stderr)

    def test_unsafe_names(self):
        for name in ("../evil.json", "/etc/evil.json", "a/../../evil.json", "a//b.json", "./a.json", "a/.",
                     "..", "", "x\ny.json", "a\\b.json", "\x1b[2J.json", "x" * 300 + ".json"):
            with self.subTest(name):
                self.hub.extra_entries = [{"type": "file", "path": name, "size": 1, "oid": "0" * 40}]
                r = self.pull("--to", self.home + "/to")
                self.assert_failed(r, "unsafe file name")
                self.assertNotIn("\x1b", r.stderr)
                self.assertFalse(os.path.exists(self.home + "/evil.json"))

    def test_a_name_listed_twice(self):
        self.hub.extra_entries = [{"type": "file", "path": "config.json", "size": 1, "oid": "0" * 40}]
        self.assert_failed(self.pull(), "twice")

    def test_bad_arguments(self):
        for repo in ("", "a/b/c", "../x", "org/..", "org/na me", "org/", "/x", "org--x/y", "org/.x", "a" * 200):
            with self.subTest(repo):
                self.assertEqual(self.pull(repo=repo or "@").returncode, 1)
        self.assertEqual(self.pull("--revision", "../x").returncode, 1)
        self.assertEqual(self.pull("--retries", "-2").returncode, 2)
        self.assertEqual(self.pull("--revision", "a", repo="org/x@b").returncode, 2)
        env = self.env()
        env["HF_ENDPOINT"] = "ftp://somewhere"
        self.assert_failed(self.pull(env=env), "must start with https://")
        self.assert_failed(self.pull(env=self.env(HF_TOKEN="a\nX-Evil: 1")), "characters that no token has")
        self.assertEqual(self.hub.log, [])


if __name__ == "__main__":
    ZAYA = sys.argv.pop(1)
    unittest.main()
