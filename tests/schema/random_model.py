#!/usr/bin/env python3
"""Structured output end to end: `zaya run --json-schema` with a model of random weights, over every schema.

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


def main():
    zaya, schemas, scratch = sys.argv[1], json.load(open(sys.argv[2])), pathlib.Path(sys.argv[3])
    count = int(sys.argv[4]) if len(sys.argv) > 4 else len(schemas)
    model, file = scratch / "model", scratch / "schema.json"
    scratch.mkdir(parents=True, exist_ok=True)
    if not model.exists():
        subprocess.run([zaya, "synth", model, "--preset", "tiny", "--json"], check=True, capture_output=True)
    done = cut = bad = 0
    for i in range(0, len(schemas), max(1, len(schemas) // count)):
        schema = schemas[i]["schema"]
        file.write_text(json.dumps(schema))
        run = subprocess.run([zaya, "run", "-m", model, "-p", "x", "--thinking", "off", "--json-schema", file, "-n", str(LIMIT),
                              "--seed", str(i), "-t", "1", "--json"], capture_output=True, encoding="utf-8", timeout=300)
        if run.returncode:
            bad += 1
            print("schema %d %s: %s" % (i, json.dumps(schema), run.stderr.strip()))
            continue
        answer = json.loads(run.stdout)
        if answer["finish_reason"] == "length":
            cut += 1
            continue
        try:
            value = json.loads(answer["text"])
        except ValueError as e:
            value, ok = str(e), False
        else:
            ok = check.valid(value, schema)
        done += ok
        if not ok or answer["finish_reason"] != "stop":
            bad += 1
            print("schema %d %s: %s: %r" % (i, json.dumps(schema), answer["finish_reason"], answer["text"]))
    print("%d valid, %d cut at %d tokens, %d wrong" % (done, cut, LIMIT, bad))
    return 1 if bad or done < 0.8 * (done + cut) else 0


if __name__ == "__main__":
    sys.exit(main())
