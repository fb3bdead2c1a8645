#!/usr/bin/env bash
# Installs what is missing, builds with warnings as errors and runs the whole test suite.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/deps.sh test
cmake --preset ci -G Ninja >/dev/null
cmake --build --preset ci
ctest --preset ci -j "$(nproc)" "$@"
