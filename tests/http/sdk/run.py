#!/usr/bin/env python3
"""Clients that others wrote (npm packages, curl) against a running server with zaya-nano. Skipped (77) where
node, npm or the packages cannot be had.

    run.py PROGRAM MODEL WORK_DIR [NAME ...]     NAME: openai, responses, anthropic, vercel, curl
"""

import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from served import Served  # noqa: E402


def skip(why):
    print(f"skipped: {why}")
    raise SystemExit(77)


def install(work):
    """The packages as package-lock.json has them, in `work`."""
    for tool in ("node", "npm"):
        if not shutil.which(tool):
            skip(f"{tool} is not installed")
    work.mkdir(parents=True, exist_ok=True)
    lock = (HERE / "package-lock.json").read_bytes()
    done = work / "installed.json"
    if not done.exists() or done.read_bytes() != lock:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, work / name)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        try:
            r = subprocess.run(command, cwd=work, timeout=240, capture_output=True, text=True)
        except subprocess.TimeoutExpired:
            skip("npm does not get the packages within four minutes")
        if r.returncode:
            skip(f"npm cannot get the packages: {r.stderr[-500:]}")
        done.write_bytes(lock)
    for script in HERE.glob("*.mjs"):  # beside node_modules, where imports look
        shutil.copy(script, work / script.name)


def main():
    program, model, work = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    names = sys.argv[4:] or ["openai", "responses", "anthropic", "vercel", "curl"]
    install(work)
    server = Served(program, model, "--api-key", "a-key", "--ctx", "4096")
    env = {**os.environ, "ZAYA_URL": f"http://127.0.0.1:{server.port}", "AI_SDK_LOG_WARNINGS": "false"}
    tests = [f"{name}.test.mjs" for name in names]
    command = ["node", "--test", "--test-concurrency=1", "--test-reporter=spec", *tests]
    result = subprocess.run(command, cwd=work, env=env)
    status = server.stop()
    if status != 0:
        raise SystemExit(f"the server ended with {status}:\n" + "".join(server.lines[-40:]))
    raise SystemExit(result.returncode)


if __name__ == "__main__":
    main()
