#!/usr/bin/env bash
# Runs one suite of the chat page: modules (node alone), page (Chromium and a scripted server) or real (Chromium and
# `zaya serve`). Exit 77, with the reason, where what it needs is not there.
#   page.sh SUITE PAGE_FILE ZAYA
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
suite=$1
export PAGE_FILE=$2 ZAYA=$3 MODEL=$here/../../models/nano TOOLS=$here/../../examples/tools.json

skip() { echo "skipped: $1"; exit 77; }
command -v node >/dev/null || skip "node is not installed"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || skip "node is older than 20"
if [ "$suite" != modules ]; then
  found=
  for path in "${CHROMIUM:-}" /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome; do
    [ -n "$path" ] && [ -x "$path" ] && found=$path
  done
  [ -n "$found" ] || skip "there is no Chromium (Debian: apt-get install chromium; or CHROMIUM=path)"
  if ! cmp -s "$here/package-lock.json" "$here/node_modules/.lock"; then
    command -v npm >/dev/null || skip "npm is not installed"
    timeout 120 npm ci --prefix "$here" --no-audit --no-fund --ignore-scripts --loglevel=error >/dev/null ||
      skip "npm cannot fetch playwright-core"
    cp "$here/package-lock.json" "$here/node_modules/.lock"
  fi
fi
cd "$here"
exec node --test --test-timeout=540000 "$suite.test.mjs"
