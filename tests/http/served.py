"""A running `zaya serve` for tests: started on a free port, watched, stopped."""

import atexit
import http.client
import json
import re
import signal
import subprocess
import threading
import time


class Served:
    def __init__(self, program, model, *args, env=None):
        command = [program, "serve", "-m", model, "--host", "127.0.0.1", "--port", "0", *args]
        self.lines = []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
        atexit.register(self.process.kill)  # a test that fails leaves nothing behind; harmless once it has ended
        self.port = None
        ready = threading.Event()
        self.drain = threading.Thread(target=self._drain, args=(ready,), daemon=True)
        self.drain.start()
        if not ready.wait(120) or self.port is None:
            self.process.kill()
            raise SystemExit("the server did not start:\n" + "".join(self.lines))

    def _drain(self, ready):
        for line in self.process.stdout:
            line = line.decode("utf-8", "replace")
            self.lines.append(line)
            del self.lines[:-2000]
            found = self.port is None and re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found.group(1))
                ready.set()
        ready.set()

    def connect(self, timeout=400):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, timeout=400):
        """(status, headers, body as bytes)"""
        c = self.connect(timeout)
        try:
            data = None if body is None else json.dumps(body).encode()
            c.request(method, path, data, {"Content-Type": "application/json"} if data else {})
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def resident(self):
        """Bytes of resident memory, files that are mapped not counted."""
        with open(f"/proc/{self.process.pid}/status") as f:
            return sum(int(line.split()[1]) for line in f if line.startswith("RssAnon")) * 1024

    def stop(self, seconds=60):
        """Ends it in order; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise SystemExit("the server does not end:\n" + "".join(self.lines[-20:]))
        self.drain.join(10)
        return self.process.returncode


def events(data):
    """The events of a stream: (event or None, data) each; comments are left out."""
    for block in data.decode().split("\n\n"):
        name, text = None, []
        for line in block.split("\n"):
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                text.append(line[6:])
            elif line and not line.startswith(":"):
                raise ValueError(f"not an event: {line!r}")
        if text:
            yield name, "\n".join(text)


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return condition()
