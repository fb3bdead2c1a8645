# zaya inspect: the text and the JSON of the reference folders, and what is said about bad ones.
set -euo pipefail
zaya=$1 golden=$2 scratch=$3
here=$(dirname "$0")

same() { # NAME COMMAND...: the output is that of expected/NAME
  diff -u "$here/expected/$1" <("${@:2}") || { echo "output differs from expected/$1"; exit 1; }
}
fails() { # PART COMMAND...: exit code 1, one line on stderr holding PART, nothing on stdout
  local part=$1 code=0 out
  shift
  out=$("$@" 2>"$scratch/stderr") || code=$?
  [ $code -eq 1 ] && [ -z "$out" ] && [ "$(wc -l <"$scratch/stderr")" -eq 1 ] && grep -qF -- "$part" "$scratch/stderr" ||
    { echo "expected failure with '$part', got $code:"; cat "$scratch/stderr"; exit 1; }
}

cd "$golden"
same inspect-A-mxfp4.txt "$zaya" inspect A/mxfp4
same inspect-C-native.txt "$zaya" inspect C/native --tensors
same inspect-A-legacy.json "$zaya" inspect A/legacy --json

# The processor: scalar is everywhere and last; asking for it chooses it; asking for nonsense fails.
"$zaya" inspect --cpu | grep -qE '^kernels available: .*scalar$'
ZAYA_CPU=scalar "$zaya" inspect --cpu | grep -qE '^kernels chosen: +scalar$'
ZAYA_CPU=scalar "$zaya" inspect --cpu --json | grep -q '"chosen": "scalar"'
ZAYA_CPU=abacus fails "ZAYA_CPU=abacus" "$zaya" inspect --cpu

mkdir "$scratch/empty"
fails "config.json: cannot open" "$zaya" inspect "$scratch/empty"
cp -r A/mxfp4 "$scratch/cut"
chmod -R u+w "$scratch/cut"
truncate -s 100000 "$scratch/cut/model-00001-of-00002.safetensors"
fails "model-00001-of-00002.safetensors: tensor" "$zaya" inspect "$scratch/cut"
code=0
"$zaya" inspect >/dev/null 2>&1 || code=$?
[ $code -eq 2 ] || { echo "no folder: exit code $code"; exit 1; }
