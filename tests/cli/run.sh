# zaya run: a random model, so what it says is noise; that it says the same thing again is not.
set -euo pipefail
zaya=$1 scratch=$3
m=$scratch/tiny
"$zaya" synth "$m" --preset tiny 2>/dev/null >/dev/null

source "$(dirname "$0")/helpers"
field() { python3 -c 'import json,sys; d=json.load(sys.stdin); print(eval("d"+sys.argv[1]))' "$1"; }

# The same seed, the same text: whatever the threads, from -p, a file or standard input, --json or not.
one=$("$zaya" run -m "$m" -p 'Say something.' -n 40 --seed 7 -t 1 2>"$scratch/quiet")
[ -n "$one" ] || { echo "no text"; exit 1; }
[ ! -s "$scratch/quiet" ] || { echo "chatter in a pipe:"; cat "$scratch/quiet"; exit 1; }
is "$one" "$("$zaya" run -m "$m" -p 'Say something.' -n 40 --seed 7 -t 2)"
echo 'Say something.' >"$scratch/question"
is "$one" "$("$zaya" run -m "$m" -f "$scratch/question" -n 40 --seed 7)"
is "$one" "$("$zaya" run -m "$m" -n 40 --seed 7 <"$scratch/question")"
echo '[{"role": "user", "content": "Say something."}]' >"$scratch/chat.json"
is "$one" "$("$zaya" run -m "$m" --messages "$scratch/chat.json" -n 40 --seed 7)"
"$zaya" run -m "$m" -p 'Say something.' -n 40 --seed 7 --json >"$scratch/json"
is "$one" "$(field '["text"]' <"$scratch/json")"
is 7 "$(field '["seed"]' <"$scratch/json")"

# Limits, stop strings, greedy, raw, exact.
is "3 length" "$("$zaya" run -m "$m" --raw -p abc -n 3 --temp 0 --json | field '["usage"]["completion_tokens"], d["finish_reason"]' | tr -d "(),'")"
raw=$("$zaya" run -m "$m" --raw -p abc -n 30 --temp 0 --exact)
is "$raw" "$("$zaya" run -m "$m" --raw -p abc -n 30 --top-k 1 --seed 3 --exact)"
stop=$("$zaya" run -m "$m" --raw -p abc -n 30 --temp 0 --exact --stop "${raw:4:2}" --json)
is stop_string "$(field '["finish_reason"]' <<<"$stop")"
is "${raw%%"${raw:4:2}"*}" "$(field '["text"]' <<<"$stop")"
is True "$("$zaya" run -m "$m" -p x --thinking on --think-budget 5 -n 60 --seed 1 --json | field '["usage"]["reasoning_tokens"] >= 5')"

# The form of an answer: the model is noise, the form is met all the same.
form() { "$zaya" run -m "$m" -p x --thinking off --seed 3 -n 2000 "$@"; }
[[ $(form --regex '[a-c]{3}-[0-9]{1,4}') =~ ^[a-c]{3}-[0-9]{1,4}$ ]] || { echo "no match"; exit 1; }
echo 'root ::= "yes" | "no"' >"$scratch/yes.gbnf"
[[ $(form --grammar "$scratch/yes.gbnf") =~ ^(yes|no)$ ]] || { echo "neither yes nor no"; exit 1; }
echo '[{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}}]' >"$scratch/tools"
is "f int" "$(form --tools "$scratch/tools" --tool-choice f --json | field '["tool_calls"][0]["name"] + " " + type(d["tool_calls"][0]["arguments"]["n"]).__name__')"
echo '{"type": "string", "foo": 1}' >"$scratch/schema"
fails 1 "/foo" "$zaya" run -m "$m" -p x --json-schema "$scratch/schema"
fails 2 "give one of --json-schema" "$zaya" run -m "$m" -p x --json-schema a --regex b
fails 2 "needs --tools" "$zaya" run -m "$m" -p x --tool-choice auto

fails 2 "which model" "$zaya" run -p x
fails 2 "--temp must be a number" "$zaya" run -m "$m" -p x --temp hot
fails 2 "give one of -p, -f and --messages" "$zaya" run -m "$m" -p x -f y
fails 2 "--raw knows no chat format" "$zaya" run -m "$m" --raw -p x --system y
fails 2 "unexpected argument 'stray'" "$zaya" run -m "$m" -p x stray
fails 1 "no such folder" "$zaya" run -m "$scratch/none" -p x
fails 1 "$scratch/none" "$zaya" run -m "$m" -f "$scratch/none"
fails 1 "not UTF-8" "$zaya" run -m "$m" -f <(printf '\xff\xfe')
fails 1 "the context is full" "$zaya" run -m "$m" -p 'a long question' --ctx 8
echo '{"role": "user"}' >"$scratch/bad.json"
fails 1 "messages" "$zaya" run -m "$m" --messages "$scratch/bad.json"
rm "$m/chat_template.jinja" && echo '{}' >"$m/tokenizer_config.json"
fails 1 "template" "$zaya" run -m "$m" -p x
