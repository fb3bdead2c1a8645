"""A Hugging Face compatible hub on the loopback interface, with faults to order. Standard library only."""
import hashlib
import json
import socket
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def git_oid(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub:
    """One hub. `files` maps paths to bytes; `lfs` says which are LFS files; faults change its ways."""

    def __init__(self, files, lfs=("safetensors", "tokenizer.json")):
        self.repo = "org/zaya-test"
        self.files = files
        self.lfs = {p for p in files if p.endswith(lfs)}
        self.log = []  # (path, Range header or None, Authorization header or None)
        self.faults = {}  # file path or "api" -> function(handler, data) -> True when it has answered
        self.redirect_to = None  # base address of a delivery network for LFS files
        self.page_size = 1000
        self.extra_entries = []  # further rows of the tree, as they are
        self.list_as = {}  # path -> changes to its row of the tree
        self.token = None  # requests to the API need it
        self.lock = threading.Lock()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                hub.answer(self)

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # clients that go away are part of the tests

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # --- answers ---------------------------------------------------------------------------------

    def answer(self, h):
        path = urllib.parse.unquote(urllib.parse.urlsplit(h.path).path)
        with self.lock:
            self.log.append((path, h.headers.get("Range"), h.headers.get("Authorization")))
        resolve = "/%s/resolve/%s/" % (self.repo, COMMIT)
        if path.startswith("/api/"):
            self.answer_api(h, path)
        elif path.startswith(resolve) or path.startswith("/cdn/"):
            self.answer_file(h, path[len(resolve):] if path.startswith(resolve) else path[5:],
                             path.startswith(resolve))
        else:
            self.send_error(h, 404, "RepoNotFound", "Repository not found")

    def answer_api(self, h, path):
        fault = self.faults.get("api")
        if fault and fault(h, b""):
            return
        if self.token and h.headers.get("Authorization") != "Bearer " + self.token:
            return self.send_error(h, 401, "GatedRepo" if h.headers.get("Authorization") else "RepoNotFound",
                                   "Access is restricted.\x1b[31m")
        base = "/api/models/%s/" % self.repo
        if not path.startswith(base):
            return self.send_error(h, 404, "RepoNotFound", "Repository not found")
        if path.startswith(base + "revision/"):
            if path[len(base) + 9:] not in ("main", "refs/pr/1", COMMIT):
                return self.send_error(h, 404, "RevisionNotFound", "Invalid rev id")
            return self.send_json(h, {"id": self.repo, "sha": COMMIT, "siblings": []})
        rows = [{"type": "directory", "path": "original", "oid": "0" * 40, "size": 0}]
        for p, data in self.files.items():
            row = {"type": "file", "path": p, "size": len(data), "oid": git_oid(data)}
            if p in self.lfs:
                row["oid"] = "f" * 40
                row["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            row.update(self.list_as.get(p, {}))
            rows.append(row)
        rows += self.extra_entries
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(h.path).query)
        start = int(query.get("cursor", ["0"])[0])
        headers = {}
        if start + self.page_size < len(rows):
            headers["Link"] = '<%s%s?recursive=true&cursor=%d>; rel="next"' % (self.url, path, start + self.page_size)
        self.send_json(h, rows[start:start + self.page_size], headers)

    def answer_file(self, h, name, at_hub):
        if name not in self.files:
            return self.send_error(h, 404, "EntryNotFound", "Entry not found")
        if at_hub and self.redirect_to and name in self.lfs:
            h.send_response(302)
            h.send_header("Location", self.redirect_to + "/cdn/" + urllib.parse.quote(name) + "?signature=secret")
            h.send_header("Content-Length", "0")
            h.end_headers()
            return
        data = self.files[name]
        fault = self.faults.get(name)
        if fault and fault(h, data):
            return
        self.send_range(h, data)

    @staticmethod
    def start_of(h):
        value = h.headers.get("Range")
        return int(value[len("bytes="):].split("-")[0]) if value else 0

    def send_range(self, h, data):
        start = self.start_of(h)
        if start:
            if start >= len(data):
                return self.send_error(h, 416, "", "Range not satisfiable")
            h.send_response(206)
            h.send_header("Content-Range", "bytes %d-%d/%d" % (start, len(data) - 1, len(data)))
        else:
            h.send_response(200)
        h.send_header("Content-Length", str(len(data) - start))
        h.end_headers()
        h.wfile.write(data[start:])

    def send_json(self, h, value, headers=None):
        body = json.dumps(value).encode()
        h.send_response(200)
        for k, v in (headers or {}).items():
            h.send_header(k, v)
        h.send_header("Content-Type", "application/json")
        h.send_header("Content-Length", str(len(body)))
        h.end_headers()
        h.wfile.write(body)

    @staticmethod
    def send_error(h, status, code="", message="", headers=None):
        body = json.dumps({"error": message}).encode()
        h.send_response(status)
        for k, v in (headers or {}).items():
            h.send_header(k, v)
        if code:
            h.send_header("X-Error-Code", code)
            h.send_header("X-Error-Message", message)
        h.send_header("Content-Length", str(len(body)))
        h.end_headers()
        h.wfile.write(body)


# --- faults: each makes a function(handler, data) ------------------------------------------------------


def times(n, fault):
    """Only the first n requests suffer."""
    left = [n]
    lock = threading.Lock()

    def run(h, data):
        with lock:
            left[0] -= 1
            hit = left[0] >= 0
        return hit and fault(h, data)
    return run


def status(code, headers=None, message="", error_code=""):
    def run(h, data):
        Hub.send_error(h, code, error_code, message, headers)
        return True
    return run


def cut(h):
    """Ends the connection without a word."""
    h.close_connection = True
    try:
        h.wfile.flush()
        h.connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def drop_after(n):
    """Honest headers, n bytes, then the connection is gone."""
    def run(h, data):
        start = Hub.start_of(h)
        h.send_response(206 if start else 200)
        if start:
            h.send_header("Content-Range", "bytes %d-%d/%d" % (start, len(data) - 1, len(data)))
        h.send_header("Content-Length", str(len(data) - start))
        h.end_headers()
        h.wfile.write(data[start:start + n])
        cut(h)
        return True
    return run


def announce(length, body=None):
    """A Content-Length that lies; None: none at all, the connection's end is the body's end."""
    def run(h, data):
        sent = data if body is None else body(data)
        h.send_response(200)
        if length is not None:
            h.send_header("Content-Length", str(length(data)))
        h.send_header("Connection", "close")
        h.end_headers()
        h.wfile.write(sent)
        cut(h)
        return True
    return run


def damaged(h, data):
    """The right length, one bit wrong."""
    hub_data = bytearray(data)
    hub_data[len(data) // 2] ^= 1
    start = Hub.start_of(h)
    h.send_response(206 if start else 200)
    if start:
        h.send_header("Content-Range", "bytes %d-%d/%d" % (start, len(data) - 1, len(data)))
    h.send_header("Content-Length", str(len(data) - start))
    h.end_headers()
    h.wfile.write(bytes(hub_data[start:]))
    return True


def no_ranges(h, data):
    """Always the whole file."""
    h.send_response(200)
    h.send_header("Content-Length", str(len(data)))
    h.end_headers()
    h.wfile.write(data)
    return True


def wrong_range(h, data):
    """Another range than was asked for."""
    if not h.headers.get("Range"):
        return False
    h.send_response(206)
    h.send_header("Content-Range", "bytes %d-%d/%d" % (1, len(data) - 1, len(data)))
    h.send_header("Content-Length", str(len(data) - 1))
    h.end_headers()
    h.wfile.write(data[1:])
    return True


def refuse_ranges(h, data):
    if not h.headers.get("Range"):
        return False
    Hub.send_error(h, 416, "", "Range not satisfiable")
    return True


def drip(pieces, pause):
    """The file in pieces, with pauses."""
    def run(h, data):
        start = Hub.start_of(h)
        rest = data[start:]
        h.send_response(206 if start else 200)
        if start:
            h.send_header("Content-Range", "bytes %d-%d/%d" % (start, len(data) - 1, len(data)))
        h.send_header("Content-Length", str(len(rest)))
        h.end_headers()
        step = max(1, -(-len(rest) // pieces))
        for i in range(0, len(rest), step):
            h.wfile.write(rest[i:i + step])
            h.wfile.flush()
            time.sleep(pause)
        return True
    return run


def hang(seconds):
    """Headers and half the data, then silence."""
    def run(h, data):
        start = Hub.start_of(h)
        h.send_response(206 if start else 200)
        if start:
            h.send_header("Content-Range", "bytes %d-%d/%d" % (start, len(data) - 1, len(data)))
        h.send_header("Content-Length", str(len(data) - start))
        h.end_headers()
        h.wfile.write(data[start:start + (len(data) - start) // 2])
        h.wfile.flush()
        time.sleep(seconds)
        cut(h)
        return True
    return run


def in_halves(event):
    """Half the file, and the rest when the event is set."""
    def run(h, data):
        h.send_response(200)
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        h.wfile.write(data[:len(data) // 2])
        h.wfile.flush()
        event.wait(90)
        h.wfile.write(data[len(data) // 2:])
        return True
    return run


def redirect(url):
    def run(h, data):
        h.send_response(302)
        h.send_header("Location", url)
        h.send_header("Content-Length", "0")
        h.end_headers()
        return True
    return run
