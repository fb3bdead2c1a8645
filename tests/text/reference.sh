#!/usr/bin/env bash
# Compares the tokenizer with the reference implementation, the npm package `tokenizers` of Hugging Face, on
# variants of the small tokenizer.json: flags of added tokens, normalizers, unknown characters, decoders.
# Exit 77 (skipped) without node, npm, a network, or a build of the package for this machine.
#   reference.sh ORACLE_TOK
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=$1
cache=${ZAYA_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/zaya-tests}/tokenizers
package=tokenizers@0.23.2
for tool in node npm; do
  command -v $tool >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done
if [ ! -f "$cache/node_modules/tokenizers/index.js" ]; then
  mkdir -p "$cache"
  timeout 240 npm install --prefix "$cache" --no-audit --no-fund --loglevel=error "$package" >/dev/null ||
    { echo "skipped: $package cannot be fetched"; exit 77; }
fi
node -e "require('$cache/node_modules/tokenizers')" 2>/dev/null ||
  { echo "skipped: $package does not run on this machine"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
node "$here/reference_cases.js" "$cache" "$here/../unit/data/tok/tokenizer.json" "$work"
status=0 n=0
for dir in "$work"/*/; do
  echo "$(basename "$dir"):"
  "$program" "$dir" "$dir/cases" || status=1
  n=$((n + 1))
done
[ $n -ge 10 ] || { echo "only $n variants"; exit 1; }
exit $status
