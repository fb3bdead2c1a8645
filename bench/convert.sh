#!/usr/bin/env bash
# What a conversion of the full shapes costs, against reading the same bytes with dd. Needs 24 GB of disk.
#   bench/convert.sh build/release/zaya FOLDER [THREADS]
set -euo pipefail
zaya=$1 dir=$2 threads=${3:-$(nproc)}
mkdir -p "$dir"
[ -d "$dir/source" ] || "$zaya" synth "$dir/source" --layout legacy
rm -rf "$dir/out"

uptime
echo "dd:"
began=$(date +%s.%N)
for f in "$dir"/source/*.safetensors; do dd if="$f" of=/dev/null bs=4M status=none; done
awk -v a="$began" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f s\n", b - a }'
echo "convert, $threads threads:"
if [ -x /usr/bin/time ]; then
  measure=(/usr/bin/time -f '%e s wall, %U s user, %S s system, %M KiB peak resident')
else # without GNU time the peak is not shown
  TIMEFORMAT='%R s wall, %U s user, %S s system'
  measure=()
fi
time "${measure[@]}" "$zaya" convert "$dir/source" "$dir/out" -t "$threads"
uptime
