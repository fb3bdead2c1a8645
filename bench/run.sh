#!/usr/bin/env bash
# What produced the figures of docs/performance.md:
#   bench/run.sh ZAYA BUNDLE [busy]
# With "busy", one thread by its own time (bench/cputime.c), for a machine that others use too.
set -euo pipefail
zaya=$1 bundle=$2 mode=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
[ -d "$bundle" ] || "$zaya" synth "$bundle"
"$zaya" inspect --cpu
if [ "$mode" = busy ]; then
  shim=$(mktemp -d)
  trap 'rm -r "$shim"' EXIT
  cc -O2 -shared -fPIC "$here/cputime.c" -o "$shim/cputime.so"
  export LD_PRELOAD=$shim/cputime.so
  "$zaya" bench -m "$bundle" -p 16,512 -n 12 -d 0 -b 1,8 -t 1 -r 1 --parts
  ZAYA_CPU=avx2 "$zaya" bench -m "$bundle" -p 128,512 -n 8 -d 0 -t 1 -r 1
else
  "$zaya" bench -m "$bundle" -p 16,128,512,2048 -n 48 -d 0,4096 -b 1,4,8 -t 2,1 -r 3 --parts
  "$zaya" bench -m "$bundle" -p 16 -n 48 -d 16384,32768 -b 1 -t 2 -r 2
  # Between the fastest, which ran above, and the scalar truth.
  rungs=$("$zaya" inspect --cpu | sed -n 's/^kernels available: *[^ ]*\(.*\)scalar$/\1/p' | tr -d ,)
  for rung in $rungs; do
    ZAYA_CPU=$rung "$zaya" bench -m "$bundle" -p 128,512,2048 -n 48 -d 0 -b 1,8 -t 2 -r 2
  done
fi
