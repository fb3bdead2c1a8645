"""A running `zaya serve` spoken to byte by byte, for tests of what a client library would hide."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time


class Server:
    def __init__(self, program, model, *args, slow=False):
        """slow: with the scalar kernels, so that long answers take seconds on the fastest machine"""
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        env = {**os.environ, "ZAYA_CPU": "scalar"} if slow else None
        self.process = subprocess.Popen([program, "serve", "-m", model, "--port", "0", *args],
                                        stdout=subprocess.PIPE, stderr=self.log, text=True, env=env)
        line = self.process.stdout.readline()
        match = re.search(r"http://([0-9.]+):(\d+)", line)
        if not match:
            raise AssertionError(f"no URL in {line!r}: {self.errors()}")
        self.ready = line
        self.host, self.port = match.group(1), int(match.group(2))
        self.url = match.group(0)

    def errors(self):
        self.log.seek(0)
        return self.log.read()

    def connect(self):
        return socket.create_connection((self.host, self.port), timeout=120)

    def raw(self, data):
        """Sends bytes, reads until the server closes or the reply is whole."""
        with self.connect() as s:
            s.sendall(data)
            return read_reply(s)

    def call(self, method, path, body=None, headers=None):
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = {"Host": f"127.0.0.1:{self.port}", "Content-Length": str(len(data)), "Connection": "close"}
        lines.update(headers or {})
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n"
        return self.raw(head.encode() + data)

    def json(self, method, path, body=None, headers=None, status=200):
        code, reply_headers, text = self.call(method, path, body, headers)
        assert code == status, (code, text[:500])
        return json.loads(text)

    def stream(self, path, body, headers=None):
        code, reply_headers, text = self.call("POST", path, {**body, "stream": True}, headers)
        assert code == 200, (code, text[:500])
        assert reply_headers["content-type"].startswith("text/event-stream")
        return events_of(text)

    def metrics(self):
        values = {}
        for line in self.call("GET", "/metrics")[2].decode().splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values

    def wait_metric(self, name, value, seconds=60):
        end = time.time() + seconds
        while time.time() < end:
            if self.metrics().get(name) == value:
                return True
            time.sleep(0.05)
        return False

    def stop(self, signum=signal.SIGTERM):
        if signum and self.process.poll() is None:
            self.process.send_signal(signum)
        code = self.process.wait(timeout=120)
        self.process.stdout.close()
        self.final = self.errors()
        self.log.close()
        return code


def read_reply(s):
    """Status, headers, body of one reply."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = s.recv(65536)
        if not piece:
            raise ConnectionError(f"closed after {data!r}")
        data += piece
        if data.startswith(b"HTTP/1.1 100"):
            data = data.split(b"\r\n\r\n", 1)[1] if b"\r\n\r\n" in data else data
    head, body = data.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
    status = int(lines[0].split()[1])
    if "content-length" in headers:
        while len(body) < int(headers["content-length"]):
            piece = s.recv(65536)
            if not piece:
                break
            body += piece
    elif status not in (204, 304):
        while not (headers.get("transfer-encoding") == "chunked" and body.endswith(b"0\r\n\r\n")):
            piece = s.recv(65536)
            if not piece:
                break
            body += piece
        if headers.get("transfer-encoding") == "chunked":
            body = unchunk(body)
    return status, headers, body


def unchunk(data):
    out = b""
    while data:
        size, data = data.split(b"\r\n", 1)
        n = int(size, 16)
        out, data = out + data[:n], data[n + 2:]
        if n == 0:
            break
    return out


def events_of(text):
    events = []
    for block in text.decode().split("\n\n"):
        for line in block.split("\n"):
            if line.startswith("data: ") and line != "data: [DONE]":
                events.append(json.loads(line[6:]))
    return events
