# zaya tokenize: both ways, as text and as JSON, with a folder that holds the tokenizer only.
set -euo pipefail
zaya=$1 scratch=$3
model=$(cd "$(dirname "$0")/../unit/data/tok" && pwd)

source "$(dirname "$0")/helpers"

is "2 299 304" "$(printf 'hello world' | "$zaya" tokenize -m "$model")"
is "299 304" "$(printf 'hello world' | "$zaya" tokenize -m "$model" --no-bos)"
is "2" "$("$zaya" tokenize -m "$model" </dev/null)"
is "320" "$(printf '<|im_end|>' | "$zaya" tokenize -m "$model" --no-bos)"
is "318 269 273 291 265 274 264 290 289" "$(printf '<|im_end|>' | "$zaya" tokenize -m "$model" --no-bos --plain)"
is "<bos>hello world" "$(echo '2, 299 304' | "$zaya" tokenize -m "$model" --decode)"
is "hello world" "$(echo '[2,299,304]' | "$zaya" tokenize -m "$model" --decode --skip-special)"
is '{"count":2,"text":"é\n"}' "$(echo 293 287 | "$zaya" tokenize -m "$model" --decode --json)"
is '{"count":3,"tokens":[{"id":2,"piece":"<bos>","begin":0,"end":0,"special":true},{"id":261,"piece":"a","begin":0,"end":1,"special":false},{"id":304,"piece":"▁world","begin":1,"end":7,"special":false}]}' \
  "$(printf 'a world' | "$zaya" tokenize -m "$model" --json)"
text='A 世é <tool>x
 wordy'
is "$text" "$(printf '%s' "$text" | "$zaya" tokenize -m "$model" --no-bos | "$zaya" tokenize -m "$model" --decode)"

fails 2 "-m DIR is missing" "$zaya" tokenize
fails 1 "tokenizer.json: cannot open" "$zaya" tokenize -m "$scratch"
head -c 3000 "$model/tokenizer.json" >"$scratch/tokenizer.json"
fails 1 "found the end of the file" "$zaya" tokenize -m "$scratch"
fails 1 "there is no token with id 9999" "$zaya" tokenize -m "$model" --decode < <(echo 9999)
fails 1 "expected token ids on standard input, found 'two'" "$zaya" tokenize -m "$model" --decode < <(echo 1 two)
