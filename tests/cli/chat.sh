# zaya chat: through a pipe with the trained model, and on a terminal (tests/cli/chat_pty.py).
set -euo pipefail
zaya=$1 scratch=$3
source "$(dirname "$0")/helpers"
nano=$(cd "$(dirname "$0")/../../models/nano" && pwd)
export HOME=$scratch/home XDG_DATA_HOME= XDG_CACHE_HOME=
mkdir -p "$HOME"
chat() { "$zaya" chat -m "$nano" --thinking off --temp 0 "$@"; }
field() { python3 -c 'import json,sys; print(eval("[d"+sys.argv[1]+" for d in map(json.loads, sys.stdin)]"))' "$1"; }
refuses() { # PART INPUT: exit code 1, a line on stderr that holds PART, the conversation goes on
  local code=0 out
  out=$(printf "$2"'\nWhat is the capital of France?\n' | chat 2>"$scratch/stderr") || code=$?
  [ $code -eq 1 ] && grep -qF -- "$1" "$scratch/stderr" && [[ $out == *"The capital of France is Paris." ]] ||
    { echo "expected a failure with '$1', got $code:"; cat "$scratch/stderr"; echo "$out"; exit 1; }
}

# Plain answers, nothing else: not on stderr, not in the home folder.
is "The capital of France is Paris." "$(echo 'What is the capital of France?' | chat 2>"$scratch/quiet")"
[ ! -s "$scratch/quiet" ] || { cat "$scratch/quiet"; exit 1; }
is "" "$(find "$HOME" -type f)"
is "" "$(printf '\n  \n' | chat)"
is "The capital of France is Paris." "$(printf 'What is the capital of France?' | chat)" # no newline at the end

# The same conversation as zaya run has it.
printf '[{"role": "user", "content": "What is the capital of France?"}, {"role": "assistant", "content": "The capital of France is Paris."}, {"role": "user", "content": "And 2 plus 3?"}]' >"$scratch/chat.json"
two=$(printf 'What is the capital of France?\nAnd 2 plus 3?\n' | chat | tail -n 1)
is "$("$zaya" run -m "$nano" --messages "$scratch/chat.json" --thinking off --temp 0)" "$two"

# Messages of several lines: blocks, backslashes, a slash in front.
content() { python3 -c 'import json,sys; print(json.dumps([m["content"] for m in json.load(open(sys.argv[1]))["messages"] if m["role"] == "user"]))' "$1"; }
printf '"""\none\n/undo\n"""\ntwo\\\nthree\n//four\n"""five"""\n"""\nsix' | chat -n 3 --session "$scratch/lines.json" >/dev/null 2>&1
is '["one\n/undo", "two\nthree", "/four", "five"]' "$(content "$scratch/lines.json" | sed 's/, "\\"\\"\\"\\nsix"//')"
is 600 "$(stat -c %a "$scratch/lines.json")"

# Taking back: /undo, /retry with a seed, /edit.
is "[2, 2, 2]" "$(printf 'Hello.\n/undo\nHello.\n/undo\nHello.\n' | chat --session "$scratch/u.json" --json 2>/dev/null | field '["usage"]["prompt_tokens"] // d["usage"]["prompt_tokens"] * 2')"
is 2 "$(python3 -c 'import json,sys; print(len(json.load(open(sys.argv[1]))["messages"]))' "$scratch/u.json")"
printf 'Tell me a story.\n/retry 5\n/retry 5\n/retry 6\n' | "$zaya" chat -m "$nano" --temp 3 -n 30 --seed 5 --json >"$scratch/retry" 2>/dev/null
is "[5, 5, 5, 6]" "$(field '["seed"]' <"$scratch/retry")"
is "True False" "$(python3 -c 'import json,sys; a=[json.loads(l) for l in sys.stdin]; t=[x["reasoning"]+x["text"] for x in a]; print(t[0]==t[1]==t[2], t[2]==t[3])' <"$scratch/retry")"
is "The capital of France is Paris." "$(printf 'Hello.\n/edit What is the capital of France?\n' | chat | tail -n 1)"
printf 'Hello.\n/edit What is the capital of France?\n' | chat --session "$scratch/e.json" >/dev/null 2>&1
is '["What is the capital of France?"]' "$(content "$scratch/e.json")"

# Sessions: saved under a name, loaded in another program; what was read is not read again.
printf 'What is the capital of France?\n/save paris\n/set temperature 0.5\n/set seed 18446744073709551615\n/system Be brief.\n' | chat >/dev/null 2>&1
saved=$HOME/.local/share/zaya/sessions/paris.json
is "0.5 18446744073709551615 Be brief. off" "$(python3 -c 'import json,sys; s=json.load(open(sys.argv[1]))["settings"]; print(s["temperature"], s["seed"], s["system"], s["thinking"])' "$saved")"
printf '/load paris\n/history\n/set\n' | "$zaya" chat -m "$nano" >"$scratch/loaded" 2>/dev/null
grep -qx 'The capital of France is Paris.' "$scratch/loaded" && grep -q 'temperature  *0.5 ' "$scratch/loaded" && grep -q 'seed  *18446744073709551615 ' "$scratch/loaded"
[[ $(printf '/list\n' | chat) == *paris*"What is the capital of France?"* ]]
printf 'Hello.\n' | chat --session paris >/dev/null 2>&1
is 4 "$(python3 -c 'import json,sys; print(len(json.load(open(sys.argv[1]))["messages"]))' "$saved")"
is 700 "$(stat -c %a "$HOME/.local/share/zaya/sessions")"
is "" "$(find "$HOME" -name '*.json.*')" # nothing half-written

# What was read is not read again: not in the second turn, nor behind /undo, nor in another program that loads the
# session and has the folder. Keys and values of another precision are none of it.
used() { field '["usage"]["cached_tokens"] / d["usage"]["prompt_tokens"]'; } # the cached part of each prompt
mostly() { python3 -c 'import sys; p=eval(sys.argv[1]); assert [x > 0.9 for x in p] == eval(sys.argv[2]), p' "$@"; }
python3 -c 'print("Please remember this: " + "the quick brown fox jumps over the lazy dog and runs away. " * 60)' >"$scratch/story"
kept() { chat -n 30 --json --cache-dir "$scratch/kv" "$@" 2>/dev/null; }
mostly "$( (cat "$scratch/story"; printf 'What is the capital of France?\n/undo\nAnd 2 plus 3?\n/save fox\n') | kept | used)" "[False, True, True]"
[ -n "$(find "$scratch/kv" -name '*.zkv')" ]
mostly "$(printf '/load fox\nWhat is the capital of France?\n' | kept | used)" "[True]"
mostly "$(printf '/load fox\nWhat is the capital of France?\nHello.\n' | kept --kv q8 | used)" "[False, True]"
mostly "$(printf 'What is the capital of Italy?\n' | kept --kv q8 --session fox | used)" "[True]"
mostly "$(printf 'What is the capital of Spain?\n' | kept --session fox | used)" "[True]"
[[ $( (cat "$scratch/story"; printf 'Hello.\n/stats\n') | chat -n 5 2>/dev/null) =~ "last answer:   prompt "([0-9]+)" tokens, "([0-9]+)" of them cached" ]]
[ "${BASH_REMATCH[2]}" -gt $((BASH_REMATCH[1] * 9 / 10)) ]

# Conversations without a name that are saved in the same second have names of their own.
before=$(ls "$HOME/.local/share/zaya/sessions" | wc -l)
for i in 1 2 3 4 5 6 7 8; do
  (while [ ! -e "$scratch/go" ]; do sleep 0.01; done; echo '/save') | chat >/dev/null 2>"$scratch/auto.$i" &
done
touch "$scratch/go"
wait
is 8 "$(cat "$scratch"/auto.* | grep -o 'saved as auto-.*' | sort -u | wc -l)"
is $((before + 8)) "$(ls "$HOME/.local/share/zaya/sessions" | wc -l)"

# A file's text goes with the next message, fenced.
printf 'a\n```\nb' >"$scratch/note.txt"
printf '/file %s\nRead it.\n' "$scratch/note.txt" | chat --session "$scratch/f.json" -n 3 >/dev/null 2>&1
is "[\"File $scratch/note.txt:\\n\`\`\`\`\\na\\n\`\`\`\\nb\\n\`\`\`\`\\n\\nRead it.\"]" "$(content "$scratch/f.json")"

# A tool call, its result by hand.
tools=$(cd "$(dirname "$0")/../../examples" && pwd)/tools.json
printf 'What is the weather in Berlin?\n/result {"temperature": 12, "condition": "rain"}\n' | chat --tools "$tools" --session "$scratch/t.json" --json >"$scratch/calls" 2>/dev/null
is "['get_weather', None]" "$(field '["tool_calls"][0]["function"]["name"] if d["tool_calls"] else None' <"$scratch/calls")"
is "user assistant tool assistant" "$(python3 -c 'import json,sys; print(*[m["role"] for m in json.load(open(sys.argv[1]))["messages"]])' "$scratch/t.json")"

# Errors are told and lose nothing.
refuses "there is no command /nope" '/nope'
refuses "there is no setting 'heat'" '/set heat 3'
refuses "temperature: a number from 0 to 100" '/set temperature hot'
refuses "there is no session none" '/load none'
refuses "cannot be a session's name" '/save .up'
refuses "cannot be a session's name" '/save a b'
refuses "there is a session paris already" '/save paris'
refuses "No such file" '/file /none'
refuses "not a file" '/file /'
refuses "not a file" '/file /dev/zero'
refuses "nothing to take back" '/undo'
refuses "no question to ask again" '/retry'
refuses "no tool call waits" '/result 3'
refuses "not UTF-8" '\377'
refuses "not UTF-8" 'a\000b'
refuses "not JSON" "/tools $scratch/note.txt"
refuses "a budget is a number" '/thinking budget many'
head -c 20000 /dev/zero | tr '\0' 'x' >"$scratch/long.txt"
refuses "the context is full: with this message the conversation has" "/file $scratch/long.txt"
code=0
(cat "$scratch/long.txt"; printf '\nWhat is the capital of France?\n') | chat --json --session "$scratch/l.json" >"$scratch/out" 2>/dev/null || code=$?
is 1 $code
is "['limit exceeded', None]" "$(field '.get("error", {}).get("status")' <"$scratch/out")"
is '["What is the capital of France?"]' "$(content "$scratch/l.json")"

bad() { echo "$1" >"$scratch/bad.json"; fails 1 "$2" "$zaya" chat -m "$nano" --session "$scratch/bad.json"; }
bad '{' "bad.json: not a session: line"
bad '[]' "not a session of zaya chat"
bad '{"format": "zaya-chat", "version": 2}' "another version"
bad '{"format": "zaya-chat", "version": 1, "settings": {}, "messages": [{"role": "king", "content": ""}]}' "/messages/0/role"
bad '{"format": "zaya-chat", "version": 1, "settings": {}, "messages": [{"role": "user", "content": 3}]}' "/messages/0/content"
bad '{"format": "zaya-chat", "version": 1, "settings": {"top_p": 7}, "messages": []}' "/settings/top_p"
bad '{"format": "zaya-chat", "version": 1, "settings": {"tools": 7}, "messages": []}' "not a list of tools"
fails 2 "which model" "$zaya" chat
fails 2 "one of --session and --resume" "$zaya" chat -m "$nano" --session a --resume
fails 2 "--kv must be one of f16|q8, not 'q4'" "$zaya" chat -m "$nano" --kv q4
fails 1 "the exact path keeps its KV cache in float32" "$zaya" chat -m "$nano" --kv q8 --exact
fails 2 "--private writes nothing" "$zaya" chat -m "$nano" --private --session a
fails 1 "no such folder" "$zaya" chat -m "$scratch/none"
fails 1 "$scratch/none" "$zaya" chat -m "$nano" --tools "$scratch/none"

# A session that another program changed meanwhile is not overwritten.
cp "$saved" "$scratch/race.json"
(echo 'Good evening.'; while ! grep -q evening "$scratch/race.json"; do sleep 0.05; done; sleep 0.05; touch -d 2001-01-01 "$scratch/race.json"; echo 'Again.') |
  chat --session "$scratch/race.json" 2>"$scratch/stderr" >/dev/null || true
grep -q "changed by another program meanwhile" "$scratch/stderr"

"$zaya" synth "$scratch/tiny" --preset tiny >/dev/null 2>&1
python3 "$(dirname "$0")/chat_pty.py" "$zaya" "$nano" "$scratch/tiny" "$scratch"
