#!/usr/bin/env python3
"""Structured output end to end: `zaya run --json-schema` with a model of random weights, over every schema; and
the same beside tools, where an answer is either calls of them or of the schema.

    random_model.py ZAYA SCHEMAS.json SCRATCH [COUNT]

What the model writes is noise, so what is valid is the constraint's doing. An answer that stops must be valid;
one that a limit of tokens cut must say so. COUNT schemas spread over the list (default: all).
"""
import json
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check

LIMIT = 3000
EITHER = 3  # of so many schemas one is tried beside tools, too
TOOLS = [
    {"name": "get_weather", "parameters": {"type": "object", "required": ["city"], "properties": {
        "city": {"enum": ["Berlin", "Paris"]}, "days": {"type": "integer", "minimum": 1, "maximum": 14}}}},
    {"name": "now", "parameters": {"type": "object", "properties": {}}},
]


def fits(call):
    tool = [t for t in TOOLS if t["name"] == call["name"]]
    return bool(tool) and check.valid(call["arguments"], {**tool[0]["parameters"], "additionalProperties": False})


def judge(answer, schema):
    """Whether an answer that has ended is what it may be: calls, all of them right, or one valid value."""
    if answer["tool_calls"]:
        return not answer["text"] and all(fits(c) for c in answer["tool_calls"])
    try:
        return check.valid(json.loads(answer["text"]), schema)
    except ValueError:
        return False


def main():
    zaya, schemas, scratch = sys.argv[1], json.load(open(sys.argv[2])), pathlib.Path(sys.argv[3])
    count = int(sys.argv[4]) if len(sys.argv) > 4 else len(schemas)
    model, file = scratch / "model", scratch / "schema.json"
    scratch.mkdir(parents=True, exist_ok=True)
    if not model.exists():
        subprocess.run([zaya, "synth", model, "--preset", "tiny", "--json"], check=True, capture_output=True)
    tools = scratch / "tools.json"
    tools.write_text(json.dumps([{"type": "function", "function": t} for t in TOOLS]))
    done = cut = bad = calls = data = 0
    every = range(0, len(schemas), max(1, len(schemas) // count))
    for i, beside in [(i, False) for i in every] + [(i, True) for i in every[::EITHER]]:
        schema = schemas[i]["schema"]
        file.write_text(json.dumps(schema))
        more = ["--tools", tools, "--tool-choice", "auto", "--temp", "3"] if beside else []
        run = subprocess.run([zaya, "run", "-m", model, "-p", "x", "--thinking", "off", "--json-schema", file, "-n", str(LIMIT),
                              "--seed", str(i), "-t", "1", "--json", *more], capture_output=True, encoding="utf-8", timeout=300)
        if run.returncode:
            bad += 1
            print("schema %d %s: %s" % (i, json.dumps(schema), run.stderr.strip()))
            continue
        answer = json.loads(run.stdout)
        if answer["finish_reason"] == "length":
            cut += 1
            continue
        ok = judge(answer, schema)
        done += ok
        calls += beside and len(answer["tool_calls"]) > 0
        data += beside and not answer["tool_calls"]
        if not ok or answer["finish_reason"] != "stop":
            bad += 1
            print("schema %d %s: %s: %r %s" % (i, json.dumps(schema), answer["finish_reason"], answer["text"], answer["tool_calls"]))
    print("%d valid, %d cut at %d tokens, %d wrong; beside tools %d calls and %d values" % (done, cut, LIMIT, bad, calls, data))
    return 1 if bad or done < 0.8 * (done + cut) or not calls or not data else 0


if __name__ == "__main__":
    sys.exit(main())
