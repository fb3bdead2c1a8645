#!/usr/bin/env python3
"""Many clients at once, well and badly behaved, against a running server.

    load.py PROGRAM MODEL [--seconds 10] [--clients 64] [--server-arg ARG ...]

1. Each of 32 mixed requests is answered alone, by a server without a cache.
2. All 32 at once, by a server that has seen nothing, and again where it has all in its cache: every answer is
   the one from before.
3. For so many seconds: clients that ask, that leave in the middle, send nonsense, half a request or too much.
   Every complete answer is the one from before. The server lives, and its memory stops growing.
"""

import argparse
import json
import random
import socket
import sys
import threading
import time

import asks
from served import Served, wait_until

MAX_BODY = 1 << 20  # of the server under load
BEGAN = time.monotonic()


def say(text):
    print(f"load: {time.monotonic() - BEGAN:5.1f} s: {text}", flush=True)


def fail(text):
    raise SystemExit(f"load: {text}")


def ask(server, path, body):
    """(status, what the answer says)"""
    status, headers, data = server.request("POST", path, body)
    if status == 200:
        return status, asks.says(path, body, data)
    if status == 429 and not headers.get("Retry-After"):
        fail("a 429 without Retry-After")
    return status, data


def ended(server):
    status = server.stop()
    if status != 0:
        fail(f"the server ended with {status}:\n" + "".join(server.lines[-80:]))


def alone(program, model, requests, args):
    server = Served(program, model, "--cache-ram", "0", *args)
    out = []
    for path, body in requests:
        status, said = ask(server, path, body)
        if status != 200:
            fail(f"{path} {body}: {status} {said}")
        out.append(said)
    ended(server)
    return out


def at_once(server, requests, want, what):
    got = [None] * len(requests)

    def one(i):
        try:
            got[i] = ask(server, *requests[i])
        except Exception as e:  # noqa: BLE001: said below
            got[i] = (0, repr(e))

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(requests))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for i, (status, said) in enumerate(got):
        if status != 200 or said != want[i]:
            fail(f"{what}: {requests[i]}\n  alone   {want[i]}\n  at once {status} {said}")
    say(f"{len(requests)} at once, {what}: each as alone")


class Load:
    def __init__(self, server, requests, want, seconds, clients):
        self.server, self.requests, self.want = server, requests, want
        self.end = time.monotonic() + seconds
        self.counts = {}
        self.errors = []
        self.mu = threading.Lock()
        self.clients = clients

    def count(self, what):
        with self.mu:
            self.counts[what] = self.counts.get(what, 0) + 1

    def complain(self, text):
        with self.mu:
            self.errors.append(text)

    # --- kinds of clients -------------------------------------------------------------------------------

    def polite(self, rng):
        i = rng.randrange(len(self.requests))
        status, said = ask(self.server, *self.requests[i])
        if status == 429:
            self.count("told to come back")
            time.sleep(rng.random() * 0.2)
        elif status != 200:
            self.complain(f"{self.requests[i]}: {status} {said}")
        elif said != self.want[i]:
            self.complain(f"{self.requests[i]}\n  alone {self.want[i]}\n  now   {said}")
        else:
            self.count("answered")

    def raw(self, method, path, body, length=None):
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
        s = socket.create_connection(("127.0.0.1", self.server.port), timeout=300)
        s.sendall(head.encode() + body)
        return s

    def leaver(self, rng):
        """Goes away: at once, after a while, or after the first bytes."""
        path, body = self.requests[rng.randrange(len(self.requests))]
        body = {**body, "stream": rng.random() < 0.7}
        s = self.raw("POST", path, json.dumps(body).encode())
        how = rng.randrange(3)
        if how == 1:
            time.sleep(rng.random() * 0.3)
        elif how == 2:
            s.settimeout(2)
            try:
                s.recv(rng.choice([1, 200, 5000]))
            except TimeoutError:
                pass  # its patience is over
        if rng.random() < 0.5:  # a reset instead of an orderly end
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()
        self.count("left")

    def nonsense(self, rng):
        path = rng.choice(["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/completions"])
        body = rng.choice(
            [
                b"",
                b"{",
                b"[]",
                b"\xff\xfe\x00",
                b'{"messages": 5, "input": {}, "prompt": {}, "max_tokens": 1}',
                b'{"messages": [{"content": "x"}], "input": [{"type": 1}], "prompt": -1, "max_tokens": 1}',
                b'{"a": ' * 5000,
                b'{"temperature": 1e999, "messages": [{"role": "user", "content": "x"}], "input": 1, "max_tokens": 1}',
                b'{"messages": [{"role": "user", "content": "x"}], "input": "x", "prompt": "x", "max_tokens": -1, "max_output_tokens": -1}',
            ]
        )
        self.refused(self.raw("POST", path, body), (400,), "nonsense refused")

    def too_large(self, rng):
        s = self.raw("POST", "/v1/chat/completions", b'{"messages": "', MAX_BODY * rng.choice([2, 100]))
        try:
            s.sendall(b"x" * rng.randrange(1, 3 * MAX_BODY))
        except OSError:
            pass  # refused before all was sent
        self.refused(s, (413,), "too large, refused", reset_ok=True)

    def refused(self, s, statuses, what, reset_ok=False):
        data = b""
        try:
            while b"\r\n" not in data:
                piece = s.recv(4096)
                if not piece:
                    break
                data += piece
        except ConnectionResetError:
            pass
        s.close()
        if not data and reset_ok:
            self.count(what + " by closing")
            return
        status = data.split(b" ")[1:2]
        if not status or int(status[0]) not in statuses:
            self.complain(f"{what}: expected {statuses}, got {data[:300]!r}")
        else:
            self.count(what)

    def half(self, rng):
        """Sends the beginning of a request, waits, leaves."""
        text = b'POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{"messages": [{"role": '
        s = socket.create_connection(("127.0.0.1", self.server.port), timeout=300)
        s.sendall(text[: rng.randrange(1, len(text))])
        time.sleep(rng.random() * 0.5)
        s.close()
        self.count("half a request")

    def looker(self, rng):
        path = rng.choice(["/health", "/metrics", "/v1/models", "/props", "/", "/nothing", "/v1/responses/resp_none"])
        status, _, data = self.server.request("GET", path)
        want = 404 if "no" in path.rsplit("/", 1)[-1] else 200
        if status != want:
            self.complain(f"GET {path}: {status} {data[:200]}")
        else:
            self.count("looked")

    # --- all of them --------------------------------------------------------------------------------------

    def client(self, number):
        rng = random.Random(number)
        kinds = [self.polite] * 8 + [self.leaver] * 4 + [self.nonsense, self.too_large, self.half, self.looker]
        while time.monotonic() < self.end and not self.errors:
            kind = rng.choice(kinds)
            try:
                kind(rng)
            except Exception as e:  # noqa: BLE001: a test failure
                self.complain(f"{kind.__name__}: {e!r}")

    def run(self):
        threads = [threading.Thread(target=self.client, args=(i,)) for i in range(self.clients)]
        began = time.monotonic()
        samples = []
        for t in threads:
            t.start()
        while any(t.is_alive() for t in threads):
            if self.server.process.poll() is not None:
                fail("the server is gone:\n" + "".join(self.server.lines[-40:]))
            samples.append((time.monotonic() - began, self.server.resident()))
            time.sleep(0.25)
        for t in threads:
            t.join()
        if self.errors:
            fail(self.errors[0])
        return samples


def peak(samples, begin, end):
    last = samples[-1][0]
    return max(r for t, r in samples if begin * last <= t <= end * last)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("model")
    p.add_argument("--seconds", type=float, default=10)
    p.add_argument("--clients", type=int, default=64)
    p.add_argument("--sanitized", action="store_true", help="a build whose memory says nothing")
    p.add_argument("--server-arg", action="append", default=[])
    a = p.parse_args()
    requests = asks.mixed()
    args = ["--ctx", "2048", "--parallel", "8", "--max-body", str(MAX_BODY), *a.server_arg]
    want = alone(a.program, a.model, requests, args)
    say(f"{len(requests)} answered alone")
    server = Served(a.program, a.model, "--queue", "64", "--cache-ram", "24M", *args)
    at_once(server, requests, want, "nothing in the cache")
    at_once(server, requests, want, "all in the cache")

    load = Load(server, requests, want, a.seconds, a.clients)
    samples = load.run()
    say(f"{a.clients} clients: {json.dumps(load.counts)}")
    # All work of clients that left is given up, and the server answers as before.
    def idle():
        text = server.request("GET", "/metrics")[2].decode()
        now = {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if line and line[0] != "#"}
        return all(v == 0 for k, v in now.items() if k in ("zaya_running", "zaya_waiting"))

    if not wait_until(idle, 60):
        fail("requests of clients that left are still being worked on")
    at_once(server, requests, want, "after the load")
    early, late = peak(samples, 0.4, 0.7), peak(samples, 0.7, 1)
    say(f"resident {samples[0][1] >> 20} MiB at first, {early >> 20} then, {late >> 20} at last")
    if late > early * 1.1 + (16 << 20) and not a.sanitized:
        fail("resident memory keeps growing")
    for kind in ("answered", "left", "nonsense refused"):
        if not load.counts.get(kind):
            fail(f"no client was '{kind}': the load was too short to say anything")
    ended(server)


if __name__ == "__main__":
    main()
