#!/usr/bin/env bash
# What a reviewer's eye should not be spent on: formatting and clang-tidy over every source file.
#   scripts/lint.sh [file.c ...]
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in clang-format clang-tidy; do
  command -v $tool >/dev/null || { echo "scripts/lint.sh needs $tool (Debian: apt-get install $tool)" >&2; exit 1; }
done
[ -f build/ci/compile_commands.json ] || cmake --preset ci -G Ninja >/dev/null
files=("$@")
[ ${#files[@]} -gt 0 ] || mapfile -t files < <(git ls-files 'src/*.c' 'cmd/*.c')
mapfile -t all < <(git ls-files '*.c' '*.h')
clang-format --dry-run -Werror "${all[@]}"
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p build/ci 2>/dev/null
echo "lint: ${#files[@]} files in order"
