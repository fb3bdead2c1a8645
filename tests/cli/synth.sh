# zaya synth: shapes, counts, sameness across threads and layouts, and what it refuses.
set -euo pipefail
zaya=$1 golden=$2 scratch=$3
cd "$scratch"

die() { echo "$*"; exit 1; }
fails() { # PART COMMAND...: exit code 1 and PART on stderr
  local part=$1 code=0
  shift
  "$@" >/dev/null 2>stderr || code=$?
  [ $code -eq 1 ] && grep -qF -- "$part" stderr || die "expected failure with '$part', got $code: $(cat stderr)"
}
same() { diff -r "$1" "$2" >/dev/null || die "$1 and $2 differ"; }

# The same bytes whatever the number of threads; others with another seed.
"$zaya" synth one -p tiny -t 1 >/dev/null
"$zaya" synth three -p tiny -t 3 >/dev/null
same one three
"$zaya" synth other -p tiny --seed 7 >/dev/null
cmp -s one/model-00001-of-00001.safetensors other/model-00001-of-00001.safetensors && die "the seed has no effect"
[ -e one.incomplete ] && die "one.incomplete is left"

# Legacy and native of one seed are the same model, to the last bit of its logits.
ids=2,105,300,400,401,402,403,404,405,999,1000
for layout in legacy native; do
  "$zaya" synth $layout -p tiny -l $layout --seed 3 >/dev/null
  "$zaya" logits -m $layout --ids $ids --json >$layout.json
done
diff legacy.json native.json >/dev/null || die "legacy and native compute other logits"

# Every layout is one that inspect finds nothing odd in.
for dir in one legacy native; do
  "$zaya" inspect $dir >inspect.txt
  grep -q '^note:' inspect.txt && die "inspect notes on $dir: $(grep '^note:' inspect.txt)"
done

# Shapes from a config file: the keys are those of the reference bundle of that config.
for model in A C; do
  "$zaya" synth config$model --config "$golden/$model/mxfp4/config.json" >/dev/null
  for dir in config$model "$golden/$model/mxfp4"; do
    "$zaya" inspect $dir --tensors | sed -n '/^model\./p' | sed 's/ *model-[0-9of-]*\.safetensors//' >>keys.$model.$(basename $dir)
  done
  [ "$(grep -c . keys.$model.mxfp4)" -gt 100 ] || die "no list of tensors"
  diff keys.$model.config$model keys.$model.mxfp4 || die "other tensors than the reference of $model"
done

# The tokenizer says back what it was given, and knows every id of the vocabulary.
text='Round trip: the quick brown fox, 12 + 30 = 42; Zürich 東京 🙂'
[ "$(printf %s "$text" | "$zaya" tokenize -m one --no-bos | "$zaya" tokenize -m one -d)" = "$text" ] || die "round trip"
seq 0 1023 | "$zaya" tokenize -m one -d >/dev/null || die "an id of the vocabulary has no text"
fails "1024" "$zaya" tokenize -m one -d <<<1024

# Refusals leave nothing behind.
fails "not empty" "$zaya" synth one -p tiny
sed 's/"vocab_size": 640/"vocab_size": 300/' "$golden/A/mxfp4/config.json" >small.json
fails "vocab_size 300" "$zaya" synth small --config small.json
sed 's/"hidden_size": 256/"hidden_size": 250/' "$golden/A/mxfp4/config.json" >odd.json
fails "group size" "$zaya" synth odd --config odd.json
fails "no/such/config.json" "$zaya" synth none --config no/such/config.json
(ulimit -f 100; trap '' XFSZ; fails "cannot write" "$zaya" synth full -p tiny)
for name in small odd none full; do
  [ ! -e $name ] && [ ! -e $name.incomplete ] || die "$name is left behind"
done
# What a killed run has left does not stop the next.
mkdir killed.incomplete
echo half >killed.incomplete/model-00001-of-00009.safetensors
"$zaya" synth killed -p tiny >/dev/null
same one killed
