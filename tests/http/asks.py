"""Mixed requests whose answers are determined (greedy, or by a seed), and what an answer says."""

import json

from served import events

TOOL = {"name": "get_weather", "description": "Get the weather of a city."}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "Name of the city"}},
    "required": ["city"],
}
QUESTIONS = [
    "What is the capital of France? Answer with one word.",
    "What is 7 + 5?",
    "What is the weather in Berlin?",
    "My name is Anna. What is my name?",
    "Spell the word museum.",
    "Tell me something about the library.",
    "What is the capital of Spain?",
    "Write a Python function that adds two numbers.",
]
STORY = " ".join(f"There are {i} trees near station {i}." for i in range(14))


def chat(question, i):
    body = {"messages": [{"role": "user", "content": question}], "max_tokens": 32}
    if i % 3 == 0:
        body.update(temperature=0)
    else:
        body.update(temperature=1.0, seed=i)
    if i % 4 == 0:
        body["reasoning_effort"] = "none"
    if i % 5 == 0:
        body["tools"] = [{"type": "function", "function": {**TOOL, "parameters": SCHEMA}}]
    if i % 6 == 4:
        body["messages"].insert(0, {"role": "system", "content": STORY})
    if i % 7 == 2:
        body.update(n=2, temperature=1.0, seed=i)
    if i % 8 == 3 or i % 10 == 0:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    if i % 9 == 4:
        body.update(logprobs=True, top_logprobs=2)
    return "/v1/chat/completions", body


def completion(question, i):
    prompt = [question, STORY] if i % 4 == 1 else question
    return "/v1/completions", {"prompt": prompt, "max_tokens": 24, "temperature": 0.8, "seed": i}


def response(question, i):
    body = {"input": question, "max_output_tokens": 32, "temperature": 0.7, "seed": i, "store": i % 2 == 0}
    if i % 3 == 0:
        body["tools"] = [{"type": "function", **TOOL, "parameters": SCHEMA}]
    if i % 3 == 1:
        body["instructions"] = STORY
    return "/v1/responses", body


def message(question, i):
    body = {"messages": [{"role": "user", "content": question}], "max_tokens": 32, "temperature": 0}
    if i % 2:
        body["thinking"] = {"type": "enabled", "budget_tokens": 20}
    if i % 3 == 0:
        body["tools"] = [{**TOOL, "input_schema": SCHEMA}]
    return "/v1/messages", body


def mixed(n=32):
    """n requests of all kinds: (path, body)."""
    makers = [chat, response, chat, message, chat, completion]
    out = []
    for i in range(n):
        path, body = makers[i % len(makers)](QUESTIONS[i % len(QUESTIONS)], i)
        if i % 2:
            body["stream"] = True
        out.append((path, body))
    return out


# --- what an answer says: all that must not depend on what else runs ------------------------------------------


def _calls(calls):
    return [(c["function"]["name"], c["function"]["arguments"]) for c in calls or []]


def _chat_body(v):
    return [
        (
            c["message"].get("reasoning_content") or "",
            c["message"].get("content") or "",
            _calls(c["message"].get("tool_calls")),
            c["finish_reason"],
            json.dumps((c.get("logprobs") or {}).get("content")),
        )
        for c in v["choices"]
    ]


def _chat_stream(data):
    choices = {}
    last = None
    for _, text in events(data):
        last = text
        if text == "[DONE]":
            continue
        for c in json.loads(text)["choices"]:
            s = choices.setdefault(c["index"], ["", "", [], None, None])
            delta = c.get("delta") or {}
            s[0] += delta.get("reasoning_content") or ""
            s[1] += delta.get("content") or ""
            s[2] += _calls(delta.get("tool_calls"))
            s[3] = c.get("finish_reason") or s[3]
            if c.get("logprobs"):
                s[4] = (s[4] or []) + c["logprobs"]["content"]
    if last != "[DONE]":
        raise ValueError("the stream has no end")
    return [(*choices[i][:4], json.dumps(choices[i][4])) for i in sorted(choices)]


def _completion(data, stream):
    if not stream:
        return [(c["text"], c["finish_reason"]) for c in json.loads(data)["choices"]]
    choices = {}
    for _, t in events(data):
        if t != "[DONE]":
            for c in json.loads(t)["choices"]:
                text, finish = choices.get(c["index"], ("", None))
                choices[c["index"]] = text + (c.get("text") or ""), c.get("finish_reason") or finish
    return [choices[i] for i in sorted(choices)]


def _response(v):
    out = []
    for item in v["output"]:
        if item["type"] == "function_call":
            out.append((item["name"], item["arguments"]))
        else:
            out.append((item["type"], "".join(p["text"] for p in item["content"])))
    return out, v["status"], v["usage"]["output_tokens"]


def _response_stream(data):
    final, deltas, last = None, {}, None
    for name, text in events(data):
        v = json.loads(text)
        if name in ("response.output_text.delta", "response.reasoning_text.delta"):
            deltas[v["output_index"]] = deltas.get(v["output_index"], "") + v["delta"]
        last = name
        final = v.get("response", final)
    if last not in ("response.completed", "response.incomplete"):
        raise ValueError(f"the stream ends with {last}")
    says = _response(final)
    for i, text in deltas.items():
        if says[0][i][1] != text:
            raise ValueError("the pieces are not the whole")
    return says


def _message(v):
    blocks = []
    for b in v["content"]:
        value = b.get("text") or b.get("thinking") or json.dumps(b.get("input"))
        blocks.append((b["type"], b.get("name"), value))
    return blocks, v["stop_reason"], v["usage"]["output_tokens"]


def _message_stream(data):
    blocks, reason, tokens, last = [], None, None, None
    for name, text in events(data):
        v = json.loads(text)
        last = name
        if name == "content_block_start":
            blocks.append([v["content_block"]["type"], v["content_block"].get("name"), ""])
        elif name == "content_block_delta":
            d = v["delta"]
            blocks[v["index"]][2] += d.get("text") or d.get("thinking") or d.get("partial_json") or ""
        elif name == "message_delta":
            reason, tokens = v["delta"]["stop_reason"], v["usage"]["output_tokens"]
    if last != "message_stop":
        raise ValueError(f"the stream ends with {last}")
    for b in blocks:
        if b[0] == "tool_use":
            b[2] = json.dumps(json.loads(b[2]))
    return [tuple(b) for b in blocks], reason, tokens


def says(path, body, data):
    """What a complete answer says, the same for a stream and a body."""
    stream = bool(body.get("stream"))
    if path == "/v1/chat/completions":
        return _chat_stream(data) if stream else _chat_body(json.loads(data))
    if path == "/v1/completions":
        return _completion(data, stream)
    if path == "/v1/responses":
        return _response_stream(data) if stream else _response(json.loads(data))
    return _message_stream(data) if stream else _message(json.loads(data))
