# zaya card: says what verify and smoke found, and nothing else.
set -euo pipefail
zaya=$1 golden=$2 scratch=$3
cd "$scratch"
die() { echo "$*"; exit 1; }
has() { grep -qF -- "$2" "$1" || die "$1 does not say '$2': $(cat "$1")"; }
lacks() { ! grep -qF -- "$2" "$1" || die "$1 says '$2'"; }
fails() { # PART COMMAND...: exit code 1 and PART on stderr
  local part=$1 code=0
  shift
  "$@" >/dev/null 2>stderr || code=$?
  [ $code -eq 1 ] && grep -qF -- "$part" stderr || die "expected failure with '$part', got $code: $(cat stderr)"
}

"$zaya" synth source -p tiny -l legacy >/dev/null
"$zaya" convert source My-Bundle --source-name Zyphra/ZAYA1-8B >/dev/null

# Every check of verify is a row, with verify's own words; the source's figures only with a source.
"$zaya" card My-Bundle -o - >card.md
[ "$(head -1 card.md)" = --- ] || die "no front matter"
has card.md "base_model: Zyphra/ZAYA1-8B"
has card.md "# My-Bundle"
lacks card.md "license:"
lacks card.md "Against the source"
has card.md "Not measured: there is no report of"
"$zaya" verify My-Bundle --json | tr -d '\n' | grep -o '"name": "[a-z-]*", *"status": "[a-z]*"' |
  sed 's/"name": "\([a-z-]*\)", *"status": "\([a-z]*\)"/\1 \2/' >checks
[ "$(wc -l <checks)" -gt 40 ] || die "no checks"
while read -r name status; do
  case $status in pass) word=pass ;; skip) word="not checked" ;; *) word="**fail**" ;; esac
  has card.md "| $name | $word |"
done <checks
bytes=$("$zaya" inspect My-Bundle --json | sed -n 's/.*"tensor_bytes": \([0-9]*\).*/\1/p')
has card.md "| bytes of tensors | $bytes "
has card.md "| experts | affine 4-bit g32 f16 | 9 | 27 |"

# With source, licence and a smoke report.
cat >My-Bundle/smoke.json <<'JSON'
{"report": "zaya smoke", "version": "0.1.0", "target": "My-Bundle", "passed": 1, "failed": 1, "cases": [
  {"name": "sum", "expectation": "4", "passed": true, "why": "", "seconds": 0.1, "outputs": ["4"]},
  {"name": "capital", "expectation": "Paris | not <b>", "passed": false, "why": "said Rome", "seconds": 0.1}]}
JSON
"$zaya" card My-Bundle --source source --license apache-2.0 --name "A | name"
has My-Bundle/README.md "license: apache-2.0"
has My-Bundle/README.md '# A \| name'
has My-Bundle/README.md "### Against the source"
has My-Bundle/README.md "exactly those of MLX's CPU quantizer"
has My-Bundle/README.md "1 of 2 cases passed"
has My-Bundle/README.md '| capital | **fail** | Paris \| not \<b\>: said Rome |'

# A card that is there is kept; another is written only when asked for.
fails "is there already" "$zaya" card My-Bundle
"$zaya" card My-Bundle --force
lacks My-Bundle/README.md "license:"
ls My-Bundle | grep -q 'tmp$' && die "a temporary file is left"

# A bundle that fails gets a card that says so, and exit code 1.
rm My-Bundle/tokenizer.json
fails "1 checks failed" "$zaya" card My-Bundle --force
has My-Bundle/README.md "**This bundle does not pass.**"
has My-Bundle/README.md "| tokenizer | **fail** |"

# Random weights are called that.
"$zaya" synth noise -p tiny >/dev/null
"$zaya" card noise -o - >noise.md
has noise.md "What it says is noise"
lacks noise.md "base_model:"

fails "config.json" "$zaya" card "$scratch"
fails "no licence" "$zaya" card noise --license 'x: y' -o -
echo '[]' >noise/smoke.json
fails "smoke.json" "$zaya" card noise -o -
