#!/usr/bin/env python3
"""How fast `zaya serve` is beside `zaya bench` for the same batches (docs/performance.md, Server).

    bench/serve.py ZAYA BUNDLE [--threads N] [--rounds 3] [--tokens 32] [--batches 1,4,8,16] [--prompt 512] [--port P]

For every batch: so many clients stream at once, each from a prompt of its own of 16 tokens. `generation` counts
the tokens that came while all of them were generating; `first token` is the client's time. A machine's speed changes
while it is measured: each batch is followed at once by `zaya bench` of the same batch, in rounds, and the ratios are
those of neighbours. What is shown is the median of the rounds, in brackets the least and the most.
Then one client with a message of about 512 tokens that the server has not read (miss), and the same again (hit).
With --port a server that runs already is asked (start it with --parallel 16).
"""

import argparse
import http.client
import json
import pathlib
import random
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "http"))
from served import Served  # noqa: E402

NO_END = {"1": -100, "106": -100}  # so that a model of random weights goes on


def stream(port, prompt, tokens, sampling, start, out, i):
    """Times at which tokens came, since the request was sent."""
    chat = isinstance(prompt, str)
    body = {
        **({"messages": [{"role": "user", "content": prompt}]} if chat else {"prompt": prompt}),
        "max_tokens": tokens,
        **sampling,
        "seed": i,
        "logit_bias": NO_END,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    c.connect()
    start.wait()
    sent = time.perf_counter()
    c.request("POST", "/v1/chat/completions" if chat else "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    r = c.getresponse()
    came = [(time.perf_counter(), line) for line in r]  # read afterwards: the client has no core of its own
    times, usage = [], None
    for at, line in came:
        if not line.startswith(b"data: {"):
            continue
        v = json.loads(line[6:])
        usage = v.get("usage") or usage
        choice = v["choices"][0] if v["choices"] else {}
        delta = choice.get("delta") or choice
        if delta.get("text") or delta.get("content") or delta.get("reasoning_content"):
            times.append(at)
    c.close()
    if r.status != 200 or not usage:
        raise SystemExit(f"serve.py: HTTP {r.status}")
    out[i] = (sent, times, usage)


def run(port, prompts, tokens, sampling):
    out = [None] * len(prompts)
    start = threading.Barrier(len(prompts))
    threads = [
        threading.Thread(target=stream, args=(port, p, tokens, sampling, start, out, i)) for i, p in enumerate(prompts)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if None in out:
        raise SystemExit("serve.py: a request failed")
    return out


def measure(port, prompts, tokens, sampling):
    got = run(port, prompts, tokens, sampling)
    begin, end = max(times[0] for _, times, _ in got), min(times[-1] for _, times, _ in got)
    inside = sum(begin < t <= end for _, times, _ in got for t in times)
    firsts = sorted(times[0] - sent for sent, times, _ in got)
    total = sum(usage["completion_tokens"] for _, _, usage in got)
    wall = max(times[-1] for _, times, _ in got) - min(sent for sent, _, _ in got)
    return {
        "parallel": len(prompts),
        "generation": inside / (end - begin) if end > begin else 0,
        "overall": total / wall,
        "first_median": firsts[len(firsts) // 2],
        "first_max": firsts[-1],
        "prompt": got[0][2]["prompt_tokens"],
        "cached": got[0][2].get("prompt_tokens_details", {}).get("cached_tokens", 0),
    }


def plain(zaya, bundle, batch, tokens, threads):
    """What `zaya bench` says of generation at this batch: tokens/s."""
    command = [zaya, "bench", "-m", bundle, "-p", "16", "-n", str(tokens), "-d", "0", "-b", str(batch), "-r", "1", "--json"]
    if threads:
        command += ["-t", str(threads)]
    r = subprocess.run(command, capture_output=True, text=True, check=True)
    return next(v["median"] for v in json.loads(r.stdout)["threads"][0]["runs"] if v["kind"] == "generation")


def spread(values, form):
    values = sorted(values)
    return f"{statistics.median(values):{form}} ({values[0]:{form}} to {values[-1]:{form}})"


def table(rounds, batches):
    """rounds: of each, by batch, what measure() found, with "bench", the rate without HTTP, where it was measured."""
    print("| parallel | generation, tokens/s | to `zaya bench` | to the first batch | overall | first token, s | longest, s |")
    print("|---|---|---|---|---|---|---|")
    for n in batches:
        got = [r[n] for r in rounds]
        first = [r[batches[0]]["generation"] for r in rounds]
        ratio = spread([v["generation"] / v["bench"] for v in got], ".2f") if "bench" in got[0] else "not measured"
        print(
            f"| {n} | {spread([v['generation'] for v in got], '.1f')} | {ratio} | "
            f"{spread([v['generation'] / f for v, f in zip(got, first)], '.2f')} | {spread([v['overall'] for v in got], '.1f')} | "
            f"{spread([v['first_median'] for v in got], '.2f')} | {max(v['first_max'] for v in got):.2f} |"
        )


def main():
    p = argparse.ArgumentParser()
    p.add_argument("zaya")
    p.add_argument("bundle")
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--tokens", type=int, default=32)
    p.add_argument("--batches", default="1,4,8,16")
    p.add_argument("--prompt", type=int, default=512)
    p.add_argument("--temperature", type=float, default=1)
    p.add_argument("--top-k", type=int, default=0, help="0: all. Random weights leave nearly every token likely; a trained model does not")
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--no-bench", action="store_true", help="leave `zaya bench` out")
    a = p.parse_args()
    server = None
    if not a.port:
        args = ["--parallel", "16", "--ctx", "4096"]
        if a.threads:
            args += ["--threads", str(a.threads)]
        server = Served(a.zaya, a.bundle, *args)
    port = a.port or server.port
    rng = random.Random(time.time_ns())  # prompts that no server has read

    def ids(n):
        return [rng.randrange(1000, 100000) for _ in range(n)]

    sampling = {"temperature": a.temperature, "top_k": a.top_k}
    run(port, [ids(16)], 4, sampling)  # what is touched for the first time
    batches = [int(n) for n in a.batches.split(",")]
    rounds = []
    for k in range(a.rounds):
        rounds.append({})
        for n in batches:
            r = rounds[-1][n] = measure(port, [ids(16) for _ in range(n)], a.tokens, sampling)
            if not a.no_bench:
                r["bench"] = plain(a.zaya, a.bundle, n, a.tokens, a.threads)
            print(f"round {k + 1}, batch of {n}: {r['generation']:.1f} tokens/s, `zaya bench` {r.get('bench', 0):.1f}", file=sys.stderr)
    table(rounds, batches)
    long = " ".join(str(rng.randrange(100, 1000)) for _ in range(a.prompt // 4))  # a number is four tokens
    miss, hit = measure(port, [long], 4, sampling), measure(port, [long], 4, sampling)
    if server:
        server.stop()
    for name, r in (("miss", miss), ("hit", hit)):
        print(f"message of {r['prompt']} tokens, {name}: first token after {r['first_max']:.3f} s, {r['cached']} tokens cached")


if __name__ == "__main__":
    main()
