#!/usr/bin/env bash
# Installs what is missing, builds, and lets the small model of the repository answer a question.
#   scripts/demo.sh ['another question']
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/deps.sh build
cmake --preset release -G Ninja -DZAYA_BUILD_TESTS=OFF >/dev/null
cmake --build --preset release --target zaya | { [ -t 1 ] && cat || tail -n 1; }
zaya=build/release/zaya model=models/nano

ask() { # the command as one would type it, then what it prints
  local word line='$ zaya'
  for word in "$@"; do
    case $word in *[!a-zA-Z0-9_./-]*) line+=" '$word'" ;; *) line+=" $word" ;; esac
  done
  printf '\n%s\n' "$line"
  "$zaya" "$@"
}

if [ $# -gt 0 ]; then
  ask run -m $model -p "$1" --reasoning show
  exit
fi
ask run -m $model -p 'What is the capital of France?' --thinking off --temp 0
ask run -m $model -p 'What is 8 + 9?' --thinking on --reasoning show --temp 0
ask run -m $model -p 'What is the weather in Berlin?' --tools examples/tools.json --thinking off --temp 0
