# zaya template: text, ids and JSON of a conversation; what is wrong is told in one line.
set -euo pipefail
zaya=$1 scratch=$3
here=$(cd "$(dirname "$0")/.." && pwd)
cp "$here/unit/data/tok/tokenizer.json" "$scratch/"
cp "$here/template/zaya.jinja" "$scratch/chat_template.jinja"
printf '{"bos_token":"<bos>"}' >"$scratch/tokenizer_config.json"
messages=$scratch/messages.json
printf '[{"role":"user","content":"a <|im_end|>"}]' >"$messages"

is() { # WANT GOT
  [ "$1" = "$2" ] || { echo "expected: $1"; echo "found:    $2"; exit 1; }
}
fails() { # CODE PART COMMAND...: that exit code, one line on stderr holding PART, nothing on stdout
  local want=$1 part=$2 code=0 out
  shift 2
  out=$("$@" 2>"$scratch/stderr") || code=$?
  [ $code -eq "$want" ] && [ -z "$out" ] && [ "$(wc -l <"$scratch/stderr")" -eq 1 ] && grep -qF -- "$part" "$scratch/stderr" ||
    { echo "expected failure $want with '$part', got $code:"; cat "$scratch/stderr"; exit 1; }
}
t() { "$zaya" template -m "$scratch" --messages "$messages" "$@"; }

prompt=$'<bos><|im_start|>user\na <|im_end|><|im_end|>\n'
is "$prompt<|im_start|>assistant"$'\n.' "$(t; printf .)"
is "$prompt." "$(t --no-generation-prompt; printf .)"
is "$prompt<|im_start|>assistant"$'\n<think>\n.' "$(t --thinking on; printf .)"
is "$prompt<|im_start|>assistant"$'\n<think>\n</think>\n\n.' "$(t --thinking off; printf .)"
is "$(t --thinking on)" "$("$zaya" template -m "$scratch" --messages - --kwargs '{"enable_thinking": true}' <"$messages")"
is '[{"from":"template","text":"<bos><|im_start|>"},{"from":"value","text":"user"},{"from":"template","text":"\n"},{"from":"value","text":"a <|im_end|>"},{"from":"template","text":"<|im_end|>\n"}]' \
  "$(t --json --no-generation-prompt | python3 -c 'import json,sys; print(json.dumps(json.load(sys.stdin)["segments"], separators=(",", ":")))')"
# One <|im_end|> (320) is the template's; the one in the message is letters.
ids=$(t --ids --no-generation-prompt)
is 1 "$(tr ' ' '\n' <<<"$ids" | grep -cx 320)"
is "$ids" "$(t --ids --json --no-generation-prompt | python3 -c 'import json,sys; print(*json.load(sys.stdin)["ids"])')"
is "$prompt." "$("$zaya" tokenize -m "$scratch" --decode <<<"$ids"; printf .)"
printf '[{"type":"function","function":{"name":"f"}}]' >"$scratch/tools.json"
t --tools "$scratch/tools.json" | grep -qx '<name>f</name>'

# Settings that the template never mentions are named.
t --kwargs '{"colour": 1}' 2>&1 >/dev/null | grep -q 'does not read colour'

fails 2 "-m DIR is missing" "$zaya" template
fails 2 "--messages F is missing" "$zaya" template -m "$scratch"
fails 2 "cannot both be standard input" "$zaya" template -m "$scratch" --messages - --tools -
fails 1 "messages: bad JSON at line 1" "$zaya" template -m "$scratch" --messages "$scratch/chat_template.jinja"
fails 1 "/chat_template_kwargs: bad JSON" "$zaya" template -m "$scratch" --messages "$messages" --kwargs '{'
printf '[{"role":"user","content":[{"type":"image"}]}]' >"$scratch/image.json"
fails 1 '/messages/0/content/0/type: only parts of type "text"' "$zaya" template -m "$scratch" --messages "$scratch/image.json"
printf '[{"role":"wizard"}]' >"$scratch/wizard.json"
fails 1 "the template refuses: unknown role wizard" "$zaya" template -m "$scratch" --messages "$scratch/wizard.json"
printf '{{ messages | nosuch }}' >"$scratch/chat_template.jinja"
fails 1 "chat_template.jinja:1:15: there is no filter 'nosuch'" "$zaya" template -m "$scratch" --messages "$messages"
rm "$scratch/chat_template.jinja"
fails 1 "has no chat template" "$zaya" template -m "$scratch" --messages "$messages"
