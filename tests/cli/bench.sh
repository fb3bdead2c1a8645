#!/usr/bin/env bash
# zaya bench: runs to its end on a small model, in words and as JSON, with the limits beside the rates.
set -euo pipefail
zaya=$1 golden=$2 scratch=$3

"$zaya" bench -m "$golden/A/mxfp4" -p 16,40 -n 4 -d 0,20 -b 1,3 -t 1,2 -r 2 --parts >"$scratch/text"
[ "$(grep -c '% of the limit' "$scratch/text")" -eq 12 ]
grep -q 'output head' "$scratch/text"
"$zaya" bench -m "$golden/A/mxfp4" -p 16 -n 2 -d 0 -t 1 -r 1 --json >"$scratch/json"
python3 - "$scratch/json" <<'PY'
import json, sys
root = json.load(open(sys.argv[1]))
run = root["threads"][0]
assert run["threads"] == 1 and run["limits"]["read_bytes"] > 0 and run["limits"]["int8_ops"] > 0
kinds = [(r["kind"], r["depth"], r["batch"]) for r in run["runs"]]
assert kinds == [("prompt", 16, 1), ("generation", 0, 1)], kinds
for r in run["runs"]:
    assert 0 < r["min"] <= r["median"] <= r["max"] and r["share_of_limit"] > 0
    assert r["parts"]["output head"]["bytes"] > 0
PY
if "$zaya" bench -m "$golden/A/mxfp4" -p 16,x 2>"$scratch/err"; then exit 1; fi
grep -q -- '--prompt' "$scratch/err"
if "$zaya" bench 2>"$scratch/err"; then exit 1; fi
grep -q 'which model' "$scratch/err"
