#!/usr/bin/env bash
# The outputs of walks.py before ajv, an independent validator from npm. Exits with 77 (skipped) where node or
# npm's packages cannot be had.
#   ajv.sh SCHEMA_WALK SCHEMAS.json WORK_DIR
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
walk=$1 schemas=$2 work=$3
command -v node >/dev/null && command -v npm >/dev/null || { echo "skipped: there is no node and npm here"; exit 77; }
mkdir -p "$work"
if [ ! -d "$work/node_modules/ajv-formats" ]; then
  timeout 60 npm install --prefix "$work" --no-audit --no-fund --ignore-scripts --silent ajv@8 ajv-formats@3 >/dev/null 2>&1 ||
    { echo "skipped: npm cannot fetch ajv"; exit 77; }
fi
python3 -B "$here/walks.py" "$walk" "$schemas" "$work/outputs.json"
node "$here/ajv.cjs" "$work/node_modules" "$work/outputs.json"
