# zaya convert killed at 20 moments spread over its run: nothing stands under the final name that is not
# whole, and resuming ends bit-identical to an undisturbed run.
set -euo pipefail
zaya=$1 golden=$2 scratch=$3
cd "$scratch"
die() { echo "$*" >&2; exit 1; }
convert=("$zaya" convert "$golden/A/legacy")
settings=(--shard-size 40000 --source-name x/y -t 2)

began=$(date +%s%N)
"${convert[@]}" whole "${settings[@]}" >/dev/null
took=$((($(date +%s%N) - began) / 1000)) # microseconds
RANDOM=7
killed=0
for try in $(seq 200); do
  [ $killed -lt 20 ] || break
  rm -rf part part.partial
  "${convert[@]}" part "${settings[@]}" >/dev/null 2>&1 &
  pid=$!
  us=$((took * (killed * 100 + RANDOM % 100) / 2200))
  sleep "$(printf '%d.%06d' $((us / 1000000)) $((us % 1000000)))"
  if kill -9 $pid 2>/dev/null; then
    killed=$((killed + 1))
  else # over already: the first run was a slow one
    took=$((took * 9 / 10))
  fi
  wait $pid 2>/dev/null || true
  if [ -e part ]; then # renamed just before: must be whole, but for the note about the run
    rm -rf copy && cp -r part copy && rm -f copy/convert.json
    diff -r whole copy >/dev/null || die "kill $try: a half bundle stands under its name"
  fi
  "${convert[@]}" part "${settings[@]}" --resume >log 2>&1 || die "kill $try: resume failed: $(cat log)"
  diff -r whole part || die "kill $try: resumed to something else"
  [ ! -e part.partial ] || die "kill $try: part.partial is left"
done
[ $killed -eq 20 ] || die "only $killed of 200 runs were hit"
