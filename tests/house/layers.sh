#!/usr/bin/env bash
# An include never points upward: base < format < kernels < model, text, engine < bundle, server < api.
# cmd/ includes the public header and its own headers only. Prints what breaks the rule; exit 1 if any.
set -euo pipefail
cd "${1:-.}"

rank() {
  case $1 in
    base) echo 0 ;; format) echo 1 ;; kernels) echo 2 ;; text) echo 3 ;; model) echo 3 ;;
    engine) echo 4 ;; bundle) echo 5 ;; server) echo 6 ;; api) echo 7 ;; *) echo unknown ;;
  esac
}

bad=0
for dir in src/*/; do
  layer=$(basename "$dir")
  own=$(rank "$layer")
  if [ "$own" = unknown ]; then echo "$dir: not a layer that tests/house/layers.sh knows"; bad=1; continue; fi
  while IFS=: read -r file line included; do
    target=${included%%/*}
    [ "$target" = zaya ] && continue
    other=$(rank "$target")
    if [ "$other" = unknown ] || [ "$other" -gt "$own" ] || { [ "$other" -eq "$own" ] && [ "$target" != "$layer" ]; }; then
      echo "$file:$line: $layer must not include $included"
      bad=1
    fi
  done < <(grep -nHoP '^\s*#\s*include\s*"\K[^"]+' "$dir"*.[ch] || true)
done
while IFS=: read -r file line included; do
  case $included in
    zaya/zaya.h) ;;
    */*) echo "$file:$line: cmd must not include $included"; bad=1 ;;
  esac
done < <(grep -nHoP '^\s*#\s*include\s*"\K[^"]+' cmd/*.[ch] || true)
[ $bad -eq 0 ] && echo "layers: in order"
exit $bad
