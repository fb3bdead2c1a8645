# zaya convert: the reference checkpoints become the reference bundles bit for bit; other formats open; bad
# sources, full disks and taken names are refused without leaving anything that looks like a bundle.
set -euo pipefail
zaya=$1 golden=$2 scratch=$3
cd "$scratch"

die() { echo "$*" >&2; exit 1; }
fails() { # PART COMMAND...
  local part=$1 code=0
  shift
  "$@" >stdout 2>stderr || code=$?
  [ $code -eq 1 ] && [ ! -s stdout ] && [ "$(wc -l <stderr)" -eq 1 ] && grep -qF -- "$part" stderr ||
    { cat stdout stderr; die "expected failure with '$part', got exit code $code"; }
}

# The reference bundles were cut at half of all tensor bytes.
declare -A half=([A]=1000906 [C]=738117)
for model in A C; do
  for layout in legacy native; do
    "$zaya" convert "$golden/$model/$layout" out --shard-size ${half[$model]} --source-name Zyphra/ZAYA1-8B >log
    grep -q "152 keys in 2 shards" log || die "$(cat log)"
    [ ! -e out.partial ] && [ ! -e out/convert.json ] || die "something was left behind"
    for f in model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json \
             jang_config.json; do
      cmp "out/$f" "$golden/$model/mxfp4/$f" || die "$model/$layout: $f differs"
    done
    # config.json holds the same numbers: everything inspect derives from it is the same.
    diff <("$zaya" inspect out --json | grep -v '"path"') \
         <("$zaya" inspect "$golden/$model/mxfp4" --json | grep -v '"path"') || die "$model/$layout: config differs"
    rm -r out
  done
done

# One thread or several, the bits are the same.
"$zaya" convert "$golden/C/native" one -t 1 >/dev/null
"$zaya" convert "$golden/C/native" four -t 4 >/dev/null
diff -r one four || die "the number of threads shows"

# Dry run: nothing is written.
"$zaya" convert "$golden/C/native" dry --dry-run --json | grep -q '"keys": 152' || die "dry run"
[ ! -e dry ] && [ ! -e dry.partial ] || die "dry run wrote something"

# Other formats: what inspect finds is what was asked for.
check_format() { # EXPECTED OPTIONS...
  local expected=$1
  shift
  "$zaya" convert "$golden/A/legacy" fmt "$@" >/dev/null
  "$zaya" inspect fmt >text
  grep -q "^experts *$expected " text || { cat text; die "expected experts as $expected"; }
  ! grep note: text | grep -v -e tokenizer.json -e 'chat template' || die "notes on a fresh bundle"
  "$zaya" logits -m fmt --ids 2,5,9 --last >/dev/null || die "$expected does not run"
  rm -r fmt
}
for bits in 2 3 5 6 8; do check_format "affine $bits-bit g32 f16" --bits $bits; done
check_format "affine 4-bit g64 f16" --group-size 64
check_format "affine 4-bit g128 f16" --group-size 128 --embed-bits 6
for mode in mxfp4 mxfp8 nvfp4; do check_format $mode --mode $mode; done
"$zaya" convert "$golden/A/legacy" metal --quantizer mlx-metal >/dev/null
! cmp -s metal/model-00001-of-00001.safetensors one/model-00001-of-00001.safetensors || die "metal rounds alike"

# The tokenizer's files are copied; a missing template is filled in.
cp -r "$golden/C/legacy" src && chmod -R u+w src
printf '{"a": "ä", "model_max_length": 1e30}' >src/tokenizer_config.json
printf '{{ "x" }}\nä' >src/chat_template.jinja
printf '{"version": "1.0"}' >src/tokenizer.json
printf 'not copied' >src/notes.txt
"$zaya" convert src side >/dev/null
cmp src/tokenizer.json side/tokenizer.json
cmp src/chat_template.jinja side/chat_template.jinja
[ ! -e side/notes.txt ] || die "a stranger was copied"
grep -qF '"chat_template": "{{ \"x\" }}\nä"' side/tokenizer_config.json || die "template not filled in"
printf '{"chat_template": "own"}' >src/tokenizer_config.json
"$zaya" convert src side2 >/dev/null
cmp src/tokenizer_config.json side2/tokenizer_config.json

# Refusals.
fails "exists already" "$zaya" convert "$golden/C/legacy" side
fails "exists already" "$zaya" convert "$golden/A/legacy" side --resume
fails "is quantized already" "$zaya" convert "$golden/C/mxfp4" bad
fails "cannot be cut into groups of 64" "$zaya" convert "$golden/C/legacy" bad --group-size 64
fails "no such quantization: 7 bits" "$zaya" convert "$golden/C/legacy" bad --bits 7
fails "config.json: cannot open" "$zaya" convert nowhere bad
fails "cannot create" "$zaya" convert "$golden/C/legacy" no/such/folder
touch file.partial
fails "not a folder" "$zaya" convert "$golden/C/legacy" file --resume
mkdir other.partial && touch other.partial/x
fails "resume it or remove it" "$zaya" convert "$golden/C/legacy" other
fails "not left by a conversion" "$zaya" convert "$golden/C/legacy" other --resume
code=0
"$zaya" convert "$golden/C/legacy" bad --mode nvfp4 --bits 3 2>/dev/null || code=$?
[ $code -eq 2 ] || die "--bits with nvfp4: exit code $code"

# An infinity as the last value of a shard names the tensor; nothing that looks like a bundle is left.
shard=src/model-00002-of-00002.safetensors
size=$(stat -c %s $shard)
printf '\x80\x7f' | dd of=$shard bs=1 seek=$((size - 2)) conv=notrunc 2>/dev/null
fails "inf at [" "$zaya" convert src bad
[ ! -e bad ] && [ ! -e bad.partial/config.json ] || die "a half bundle was left"
rm -r bad.partial
truncate -s $((size - 100)) $shard
fails "truncated?" "$zaya" convert src bad
[ ! -e bad.partial ] || die "a refused source left a folder"

# A write that fails (here: files may not grow past 140 KiB, which the experts do) says so, and the rest is
# taken up.
small=(--shard-size 20000 --bits 8)
(trap '' XFSZ; ulimit -f 140; fails "File too large" "$zaya" convert "$golden/C/legacy" full "${small[@]}")
[ ! -e full ] || die "a half bundle was left"
"$zaya" convert "$golden/C/legacy" full "${small[@]}" --resume >log
grep -q "taken up" log || die "nothing was taken up: $(cat log)"
"$zaya" convert "$golden/C/legacy" undisturbed "${small[@]}" >/dev/null
diff -r full undisturbed || die "resumed differently"
"$zaya" convert "$golden/C/legacy" full "${small[@]}" --resume | grep -q "complete already" || die "not seen"

# Resuming with other settings or another source is refused.
(trap '' XFSZ; ulimit -f 140; fails "File too large" "$zaya" convert "$golden/C/legacy" set "${small[@]}")
fails "other settings or from another source" "$zaya" convert "$golden/C/legacy" set "${small[@]}" --embed-bits 6 --resume
fails "other settings or from another source" "$zaya" convert "$golden/C/native" set "${small[@]}" --resume

# Calibration on a text: the same keys and sizes, less error; resumed runs agree with undisturbed ones.
"$zaya" synth tiny --preset tiny --layout native >/dev/null
"$zaya" convert tiny plain >/dev/null
"$zaya" convert tiny better --calibrate "$golden/../text/multilingual.txt" >log
grep -Eq '^attention .*\(-[0-9.]+ %\)' log && grep -Eq '^experts .*\(-[0-9.]+ %\)' log || die "no gain: $(cat log)"
diff <("$zaya" inspect plain --tensors | tail -n +2) <("$zaya" inspect better --tensors | tail -n +2) || die "other keys"
! cmp -s plain/model-00001-of-00001.safetensors better/model-00001-of-00001.safetensors || die "calibration did nothing"
echo too short >short.txt
fails "needs 64 tokens or more" "$zaya" convert tiny bad2 --calibrate short.txt
fails "absent.txt" "$zaya" convert tiny bad2 --calibrate absent.txt
fails "tokenizer.json" "$zaya" convert "$golden/C/legacy" bad2 --calibrate "$golden/../text/multilingual.txt"
[ ! -e bad2 ] && [ ! -e bad2.partial ] || die "a refused calibration left a folder"
code=0
"$zaya" convert tiny bad2 --mode mxfp8 --calibrate short.txt 2>/dev/null || code=$?
[ $code -eq 2 ] || die "--calibrate with mxfp8: exit code $code"
