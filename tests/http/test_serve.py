#!/usr/bin/env python3
"""zaya serve against the trained nano model: every route, streams, errors, clients that leave, the end.

usage: test_serve.py ZAYA MODEL_DIR [name ...]
"""
import concurrent.futures
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import raw
from raw import events_of, read_reply

ZAYA, MODEL = sys.argv[1], sys.argv[2]
ASK = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "temperature": 0,
       "reasoning_effort": "none", "max_tokens": 40}
TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "Get the weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "Name of the city"}},
                   "required": ["city"]}}}]
WEATHER = {"messages": [{"role": "user", "content": "What is the weather in Berlin?"}], "tools": TOOLS,
           "temperature": 0, "reasoning_effort": "none", "max_tokens": 120}
# Never ends by itself: only so many tokens of any text.
LONG = {"prompt": "one two three", "max_tokens": 3000, "logit_bias": {}, "temperature": 1, "seed": 1,
        "regex": "([a-z]+ )*STOPHERE"}


class Server(raw.Server):
    def __init__(self, *args, model=MODEL, slow=False):
        super().__init__(ZAYA, model, *args, slow=slow)


class Chat(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server("--ctx", "4096", "--parallel", "4", "--log-text")

    @classmethod
    def tearDownClass(cls):
        code = cls.s.stop()
        assert code == 0, (code, cls.s.final[-3000:])

    def ask(self, **change):
        return self.s.json("POST", "/v1/chat/completions", {**ASK, **change})

    def refuse(self, status, field, path="/v1/chat/completions", **change):
        error = self.s.json("POST", path, {**ASK, **change}, status=status)["error"]
        self.assertEqual(error["param"], field, error)
        return error

    def test_first_line_says_what_it_takes(self):
        self.assertIn("context 4096 tokens", self.s.ready)
        self.assertIn("GiB", self.s.ready)

    def test_answer(self):
        v = self.ask()
        self.assertEqual(v["object"], "chat.completion")
        choice = v["choices"][0]
        self.assertIn("Paris", choice["message"]["content"])
        self.assertEqual(choice["finish_reason"], "stop")
        u = v["usage"]
        self.assertEqual(u["total_tokens"], u["prompt_tokens"] + u["completion_tokens"])
        self.assertNotIn("reasoning_content", choice["message"])

    def test_thinking(self):
        v = self.ask(reasoning_effort="high", max_tokens=300)
        m = v["choices"][0]["message"]
        self.assertTrue(m["reasoning_content"])
        self.assertGreater(v["usage"]["completion_tokens_details"]["reasoning_tokens"], 3)
        self.assertNotIn("think>", m["content"])
        off = self.ask(reasoning_effort=None, chat_template_kwargs={"enable_thinking": False})
        self.assertNotIn("reasoning_content", off["choices"][0]["message"])
        cut = self.ask(reasoning_effort=None, thinking_budget=4, max_tokens=300)
        self.assertLess(cut["usage"]["completion_tokens_details"]["reasoning_tokens"], 12)
        self.assertTrue(cut["choices"][0]["message"]["content"])

    def test_stream_is_the_same_answer(self):
        for change in ({}, {"reasoning_effort": "high", "max_tokens": 300}):
            whole = self.ask(**change)["choices"][0]
            events = self.s.stream("/v1/chat/completions", {**ASK, **change, "stream_options": {"include_usage": True}})
            self.assertEqual(events[0]["choices"][0]["delta"]["role"], "assistant")
            deltas = [e["choices"][0]["delta"] for e in events if e["choices"]]
            text = "".join(d.get("content") or "" for d in deltas)
            reasoning = "".join(d.get("reasoning_content") or "" for d in deltas)
            self.assertEqual(text, whole["message"]["content"])
            self.assertEqual(reasoning, whole["message"].get("reasoning_content", ""))
            self.assertEqual(events[-2]["choices"][0]["finish_reason"], "stop")
            self.assertEqual(events[-1]["choices"], [])
            self.assertGreater(events[-1]["usage"]["completion_tokens"], 0)
            self.assertTrue(all(e["usage"] is None for e in events[:-1]))
            self.assertEqual(len({e["id"] for e in events}), 1)

    def test_http_1_0(self):
        body = json.dumps({**ASK, "stream": True}).encode()
        status, headers, text = self.s.raw(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n" %
                                           len(body) + body)
        self.assertEqual(status, 200)
        self.assertNotIn("transfer-encoding", headers)
        self.assertTrue(text.endswith(b"data: [DONE]\n\n"))

    def test_expect_continue_and_chunked_body(self):
        body = json.dumps(ASK).encode()
        with self.s.connect() as s:
            s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                      b"Transfer-Encoding: chunked\r\n\r\n")
            self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 100"))
            for i in range(0, len(body), 50):
                s.sendall(b"%x\r\n%s\r\n" % (len(body[i:i + 50]), body[i:i + 50]))
            s.sendall(b"0\r\n\r\n")
            status, _, text = read_reply(s)
        self.assertEqual(status, 200)
        self.assertIn("Paris", json.loads(text)["choices"][0]["message"]["content"])

    def test_keep_alive(self):
        body = json.dumps(ASK).encode()
        with self.s.connect() as s:
            for _ in range(3):
                s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" %
                          len(body) + body)
                self.assertEqual(read_reply(s)[0], 200)

    def test_tools(self):
        for stream in (False, True):
            if stream:
                events = self.s.stream("/v1/chat/completions", WEATHER)
                calls = [c for e in events for c in e["choices"][0]["delta"].get("tool_calls", [])]
                finish = events[-1]["choices"][0]["finish_reason"]
            else:
                choice = self.s.json("POST", "/v1/chat/completions", WEATHER)["choices"][0]
                calls, finish = choice["message"]["tool_calls"], choice["finish_reason"]
                self.assertIsNone(choice["message"]["content"])
            self.assertEqual(finish, "tool_calls")
            self.assertEqual(len(calls), 1)
            self.assertEqual(calls[0]["function"]["name"], "get_weather")
            self.assertEqual(json.loads(calls[0]["function"]["arguments"])["city"], "Berlin")
        messages = WEATHER["messages"] + [
            {"role": "assistant", "content": None, "tool_calls": [{k: calls[0][k] for k in ("id", "type", "function")}]},
            {"role": "tool", "tool_call_id": calls[0]["id"], "content": '{"temperature": 17, "condition": "cloudy"}'}]
        v = self.s.json("POST", "/v1/chat/completions", {**WEATHER, "messages": messages})
        self.assertIn("17", v["choices"][0]["message"]["content"])

    def test_tool_choice(self):
        v = self.ask(tools=TOOLS, tool_choice="required", max_tokens=120)
        self.assertEqual(v["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "get_weather")
        v = self.ask(tools=TOOLS, tool_choice={"type": "function", "function": {"name": "get_weather"}}, max_tokens=120)
        self.assertEqual(v["choices"][0]["finish_reason"], "tool_calls")
        v = self.s.json("POST", "/v1/chat/completions", {**WEATHER, "tool_choice": "none"})
        self.assertNotIn("tool_calls", v["choices"][0]["message"])
        cut = self.s.json("POST", "/v1/chat/completions", {**WEATHER, "tool_choice": "required", "max_tokens": 8})
        self.assertNotIn("tool_calls", cut["choices"][0]["message"])
        self.assertEqual(cut["choices"][0]["finish_reason"], "length")
        self.refuse(400, "tool_choice", tool_choice="required")
        self.refuse(400, "tool_choice.function.name", tools=TOOLS,
                    tool_choice={"type": "function", "function": {"name": "nope"}})

    def test_tools_with_unknown_keywords(self):
        odd = json.loads(json.dumps(TOOLS))
        odd[0]["function"]["parameters"]["properties"]["city"]["not"] = {"const": "x"}
        v = self.s.json("POST", "/v1/chat/completions", {**WEATHER, "tools": odd})
        self.assertEqual(v["choices"][0]["finish_reason"], "tool_calls")
        odd[0]["function"]["strict"] = True
        error = self.s.json("POST", "/v1/chat/completions", {**WEATHER, "tools": odd}, status=400)["error"]
        self.assertIn("not", error["message"])
        self.assertEqual(error["param"], "tools")

    def test_forms(self):
        schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12},
                                                   "n": {"type": "integer", "minimum": 3, "maximum": 9}},
                  "required": ["city", "n"], "additionalProperties": False}
        v = self.ask(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}, max_tokens=100)
        got = json.loads(v["choices"][0]["message"]["content"])
        self.assertEqual(set(got), {"city", "n"})
        self.assertTrue(3 <= got["n"] <= 9)
        self.assertRegex(self.ask(regex="[A-C]{3}-[0-9]{2}")["choices"][0]["message"]["content"], r"^[A-C]{3}-[0-9]{2}$")
        self.assertIn(self.ask(grammar='root ::= "yes" | "no"')["choices"][0]["message"]["content"], ("yes", "no"))
        bad = {"type": "object", "properties": {"a": {"not": {}}}}
        error = self.refuse(400, "response_format.json_schema.schema",
                            response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": bad}})
        self.assertIn("not", error["message"])
        self.refuse(400, "regex", regex="(?=x)")

    FORM = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}, "sure": {"type": "boolean"}},
            "required": ["city", "sure"], "additionalProperties": False}

    def calls_or_form(self, **change):
        """(calls, content) of an answer that must be one of the two, streamed the same as whole."""
        body = {**WEATHER, "max_tokens": 400, "response_format":
                {"type": "json_schema", "json_schema": {"name": "x", "schema": self.FORM}}, **change}
        choice = self.s.json("POST", "/v1/chat/completions", body)["choices"][0]
        calls, content = choice["message"].get("tool_calls", []), choice["message"]["content"]
        deltas = [e["choices"][0]["delta"] for e in self.s.stream("/v1/chat/completions", body)]
        self.assertEqual("".join(d.get("content") or "" for d in deltas), content or "")
        self.assertEqual([c["function"] for d in deltas for c in d.get("tool_calls", [])], [c["function"] for c in calls])
        self.assertEqual("".join(d.get("reasoning_content") or "" for d in deltas), choice["message"].get("reasoning_content", ""))
        for call in calls:
            self.assertEqual(call["function"]["name"], "get_weather")
            self.assertIsInstance(json.loads(call["function"]["arguments"])["city"], str)
        if content:
            value = json.loads(content)
            self.assertEqual((set(value), type(value["city"]), type(value["sure"])), ({"city", "sure"}, str, bool))
        self.assertEqual(choice["finish_reason"], "tool_calls" if calls else "stop")
        self.assertNotEqual(bool(calls), bool(content))
        return len(calls), content

    def test_forms_beside_tools(self):
        tag = self.s.json("POST", "/tokenize", {"content": "<zyphra_tool_call>"})["tokens"]
        self.assertEqual(len(tag), 1)
        no_call = {"logit_bias": {str(tag[0]): -100}}
        for thinking in ({"reasoning_effort": "none"}, {"reasoning_effort": "high"},
                         {"reasoning_effort": None, "thinking_budget": 4}):
            for parallel in (True, False):
                more = {**thinking, "parallel_tool_calls": parallel}
                with self.subTest(more=more):
                    self.assertEqual(self.calls_or_form(**more), (1, None))
                    self.assertEqual(self.calls_or_form(**more, **no_call)[0], 0)
                    n = self.calls_or_form(**more, temperature=1.2, seed=5)[0]
                    self.assertTrue(n <= 1 or parallel)
            self.assertEqual(self.calls_or_form(**thinking, tool_choice="none")[0], 0)
            self.assertEqual(self.calls_or_form(**thinking, tool_choice="required")[1], None)
            self.assertEqual(self.calls_or_form(**thinking, tool_choice={"type": "function", "function":
                                                                         {"name": "get_weather"}})[1], None)
        for seed in range(6):
            self.calls_or_form(temperature=1.5, seed=seed, min_p=0, top_p=1)
        v = self.s.json("POST", "/v1/chat/completions", {**WEATHER, **no_call, "response_format": {"type": "json_object"}})
        self.assertTrue(v["choices"][0]["message"]["content"].startswith("{"))
        cut = self.s.json("POST", "/v1/chat/completions", {**WEATHER, "regex": "[a-z]+!", "max_tokens": 8})["choices"][0]
        self.assertEqual((cut["finish_reason"], cut["message"]["content"]), ("length", ""))  # a call that was cut
        for field, value, param in (("regex", "<?a", "regex"), ("regex", "(", "regex"), ("response_format", {"type": "json_schema",
                                    "json_schema": {"schema": {"not": {}}}}, "response_format.json_schema.schema")):
            for choice in ("auto", "required", "none"):
                if value != "<?a" or choice == "auto":
                    error = self.s.json("POST", "/v1/chat/completions", {**WEATHER, field: value, "tool_choice": choice},
                                        status=400)["error"]
                    self.assertEqual(error["param"], param)

    def test_forms_beside_tools_elsewhere(self):
        f = TOOLS[0]["function"]
        ask = {"input": "What is the weather in Berlin?", "temperature": 0, "reasoning": {"effort": "none"},
               "tools": [{"type": "function", **f}], "text": {"format": {"type": "json_schema", "name": "x", "schema": self.FORM}}}
        self.assertEqual([i["type"] for i in self.s.json("POST", "/v1/responses", ask)["output"]], ["function_call"])
        v = self.s.json("POST", "/v1/responses", {**ask, "tool_choice": "none"})
        self.assertIn("sure", json.loads(v["output"][0]["content"][0]["text"]))
        ask = {"messages": WEATHER["messages"], "temperature": 0, "max_tokens": 200,
               "output_config": {"format": {"type": "json_schema", "schema": self.FORM}},
               "tools": [{"name": f["name"], "input_schema": f["parameters"]}]}
        v = self.s.json("POST", "/v1/messages", ask)
        self.assertEqual(([b["type"] for b in v["content"]], v["stop_reason"]), (["tool_use"], "tool_use"))
        old = {k: v for k, v in ask.items() if k != "output_config"}
        v = self.s.json("POST", "/v1/messages", {**old, "output_format": ask["output_config"]["format"], "tool_choice": {"type": "none"}})
        self.assertIn("sure", json.loads(v["content"][0]["text"]))
        v = self.s.json("POST", "/v1/messages", {**ask, "tool_choice": {"type": "none"}})
        self.assertIn("sure", json.loads(v["content"][0]["text"]))
        self.assertEqual(v["stop_reason"], "end_turn")

    def test_logprobs(self):
        v = self.ask(logprobs=True, top_logprobs=3)
        content = v["choices"][0]["logprobs"]["content"]
        self.assertEqual("".join(t["token"] for t in content), v["choices"][0]["message"]["content"])
        for t in content:
            self.assertEqual(len(t["top_logprobs"]), 3)
            self.assertEqual(bytes(t["bytes"]).decode(), t["token"])
            self.assertAlmostEqual(t["logprob"], t["top_logprobs"][0]["logprob"])
        thought = self.ask(logprobs=True, reasoning_effort="high", max_tokens=300)["choices"][0]
        self.assertEqual("".join(t["token"] for t in thought["logprobs"]["content"]), thought["message"]["content"])
        events = self.s.stream("/v1/chat/completions", {**ASK, "logprobs": True})
        tokens = [t for e in events if e["choices"][0].get("logprobs") for t in e["choices"][0]["logprobs"]["content"]]
        self.assertEqual([t["token"] for t in tokens], [t["token"] for t in content])

    def test_stop_bias_choices_seed(self):
        self.assertEqual(self.ask(stop=" is")["choices"][0]["message"]["content"], "The capital of France")
        self.assertEqual(self.ask(stop=["zzz", " of France"])["choices"][0]["message"]["content"], "The capital")
        token = self.s.json("POST", "/tokenize", {"content": "The"})["tokens"][0]
        self.assertFalse(self.ask(logit_bias={str(token): -100})["choices"][0]["message"]["content"].startswith("The"))
        v = self.ask(n=3, temperature=1.5, seed=7)
        self.assertEqual([c["index"] for c in v["choices"]], [0, 1, 2])
        again = self.ask(n=3, temperature=1.5, seed=7)
        self.assertEqual([c["message"]["content"] for c in v["choices"]], [c["message"]["content"] for c in again["choices"]])
        alone = self.ask(temperature=1.5, seed=8)
        self.assertEqual(alone["choices"][0]["message"]["content"], v["choices"][1]["message"]["content"])
        self.assertEqual(self.ask(max_tokens=2)["choices"][0]["finish_reason"], "length")
        self.assertEqual(self.ask(max_tokens=None, max_completion_tokens=2)["usage"]["completion_tokens"], 2)

    def test_wrong_types_name_the_field(self):
        for field, value in (("temperature", "hot"), ("temperature", -1), ("top_p", 2), ("n", 0), ("n", 1.5),
                             ("stream", "yes"), ("stop", 5), ("stop", [""]), ("max_tokens", "x"), ("seed", "x"),
                             ("logit_bias", {"x": 1}), ("logit_bias", [1]), ("tools", {}), ("tool_choice", "maybe"),
                             ("response_format", "json"), ("reasoning_effort", "huge"), ("messages", "hi"),
                             ("messages", []), ("top_logprobs", 2), ("chat_template_kwargs", 1),
                             ("thinking_budget", -1), ("presence_penalty", "x"), ("functions", [{}]), ("model", 3)):
            with self.subTest(field=field, value=value):
                self.refuse(400, field, **{field: value})
        for messages, field in (([5], "messages[0]"), ([{"content": "x"}], "messages[0].role"),
                                ([{"role": "user", "content": 5}], "messages[0].content"),
                                ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
                                 "messages[0].content[0].type"),
                                ([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}],
                                 "messages[0].tool_calls[0].function.arguments")):
            with self.subTest(field=field):
                self.refuse(400, field, messages=messages)
        self.refuse(400, "tools[0].function.name", tools=[{"type": "function", "function": {}}])
        self.refuse(400, "modalities", modalities=["text", "audio"])
        self.refuse(400, "logit_bias", logit_bias={"99999999": 1})
        refused = self.refuse(400, "messages", messages=[{"role": "robot", "content": "x"}])  # by the template
        self.assertIn("robot", refused["message"])
        self.assertNotIn("/", refused["message"].split("(at")[0])  # no folder of the server's
        self.assertIn("Paris", self.ask(unheard_of={"a": 1}, user="me")["choices"][0]["message"]["content"])

    def test_content_parts_and_roles(self):
        v = self.ask(messages=[{"role": "developer", "content": "Answer shortly."},
                               {"role": "user", "content": [{"type": "text", "text": "What is the capital of France?"}]}])
        self.assertIn("Paris", v["choices"][0]["message"]["content"])

    def test_too_long(self):
        error = self.refuse(400, None, messages=[{"role": "user", "content": "word " * 5000}])
        self.assertEqual(error["code"], "context_length_exceeded")
        self.assertIn("4096", error["message"])

    def test_bad_bodies(self):
        for body in (b"", b"{", b"[]", b"null", b'"x"', b"{\"a\":1,}", b"\xff\xfe", b'{"messages": "\xff"}',
                     b"[" * 100000, b'{"a":' * 50000, b'{"model":"a","model":"b"}', b"{\"n\": 1e999}"):
            with self.subTest(body=body[:20]):
                status, _, text = self.s.call("POST", "/v1/chat/completions", body)
                self.assertEqual(status, 400)
                self.assertEqual(json.loads(text)["error"]["type"], "invalid_request_error")

    def test_deep_schema_is_refused(self):
        deep = {}
        for _ in range(190):
            deep = {"type": "array", "items": deep}
        status = self.s.call("POST", "/v1/chat/completions", {**ASK, "max_tokens": 5, "response_format": {
            "type": "json_schema", "json_schema": {"name": "x", "schema": deep}}})[0]
        self.assertIn(status, (200, 400))

    def test_paths_and_methods(self):
        for method, path, status in (("GET", "/nope", 404), ("POST", "/v1/nope", 404), ("GET", "/../etc/passwd", 404),
                                     ("GET", "/v1/chat/completions", 405), ("DELETE", "/health", 405),
                                     ("PUT", "/v1/models", 405), ("GET", "/tokenize", 405), ("BREW", "/props", 405),
                                     ("GET", "/v1/models/other", 404), ("HEAD", "/health", 200)):
            with self.subTest(path=path):
                code, headers, text = self.s.call(method, path) if method != "HEAD" else self.head(path)
                self.assertEqual(code, status, text)
                if status == 405:
                    self.assertTrue(headers["allow"])
                if status >= 400:
                    self.assertTrue(json.loads(text)["error"]["message"])

    def head(self, path):
        with self.s.connect() as s:
            s.sendall(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while piece := s.recv(4096):
                data += piece
        head, body = data.split(b"\r\n\r\n", 1)
        self.assertEqual(body, b"")
        return int(head.split()[1]), {}, body

    def test_small_routes(self):
        self.assertEqual(self.s.json("GET", "/health"), {"status": "ok"})
        models = self.s.json("GET", "/v1/models")["data"]
        name = models[0]["id"]
        self.assertEqual(self.s.json("GET", f"/v1/models/{name}")["id"], name)
        self.assertEqual(self.s.json("GET", "/props")["context_length"], 4096)
        v = self.s.json("POST", "/tokenize", {"content": "Grüße, 東京!"})
        self.assertEqual(v["count"], len(v["tokens"]))
        self.assertEqual(self.s.json("POST", "/detokenize", {"tokens": v["tokens"]})["content"], "Grüße, 東京!")
        pieces = self.s.json("POST", "/tokenize", {"content": "hello", "with_pieces": True})["tokens"]
        self.assertEqual("".join(p["piece"] for p in pieces), "hello")
        control = self.s.json("POST", "/tokenize", {"content": "<|im_end|>"})["count"]
        self.assertGreater(self.s.json("POST", "/tokenize", {"content": "<|im_end|>", "parse_special": False})["count"], control)
        self.s.json("POST", "/detokenize", {"tokens": [-1]}, status=400)
        self.s.json("POST", "/detokenize", {"tokens": [10**12]}, status=400)
        self.s.json("POST", "/tokenize", {"content": 5}, status=400)
        text = self.s.json("POST", "/apply-template", ASK)["prompt"]
        self.assertIn("What is the capital of France?", text)
        self.assertTrue(text.endswith("</think>\n\n"))

    def test_page(self):
        status, headers, text = self.s.call("GET", "/")
        self.assertEqual(status, 200)
        self.assertIn("content-security-policy", headers)
        self.assertIn(b"<html", text)
        self.assertEqual(self.s.call("GET", "/", headers={"If-None-Match": headers["etag"]})[0], 304)

    def test_completions(self):
        base = {"prompt": "The capital of", "max_tokens": 6, "temperature": 0, "logit_bias": {"1": -100, "106": -100}}
        v = self.s.json("POST", "/v1/completions", {**base, "logprobs": 2})
        choice = v["choices"][0]
        self.assertEqual(choice["finish_reason"], "length")
        self.assertEqual("".join(choice["logprobs"]["tokens"]), choice["text"])
        self.assertEqual(choice["logprobs"]["text_offset"][0], 0)
        events = self.s.stream("/v1/completions", base)
        self.assertEqual("".join(e["choices"][0]["text"] for e in events), choice["text"])
        echo = self.s.json("POST", "/v1/completions", {**base, "echo": True})["choices"][0]["text"]
        self.assertEqual(echo, base["prompt"] + choice["text"])
        ids = self.s.json("POST", "/tokenize", {"content": base["prompt"], "add_special": True})["tokens"]
        self.assertEqual(self.s.json("POST", "/v1/completions", {**base, "prompt": ids})["choices"][0]["text"], choice["text"])
        for field, value, param in (("prompt", None, 0), ("prompt", {}, 0), ("prompt", [1, "x"], 0), ("prompt", [], 0),
                                    ("prompt", ["a", []], "prompt[1]"), ("prompt", ["a", 5], "prompt[1]"),
                                    ("prompt", [[5], [5, -1]], "prompt[1]"), ("prompt", ["a", ""] + [[5, 999999]], "prompt[2]"),
                                    ("prompt", [[5], "word " * 5000], "prompt[1]"), ("prompt", ["a"] * 300, 0),
                                    ("prompt", ["a"] * 200, 0), ("prompt", [-5], 0), ("suffix", "x", 0), ("best_of", 3, 0),
                                    ("logprobs", 21, 0), ("logprobs", True, 0), ("echo", "x", 0), ("max_tokens", 0, 0)):
            with self.subTest(field=field, value=str(value)[:50]):
                error = self.s.json("POST", "/v1/completions", {**base, field: value}, status=400)["error"]
                self.assertEqual(error["param"], param or field)
                self.assertTrue(error["message"].startswith(error["param"]))
        self.assertEqual(self.s.json("POST", "/v1/completions", {**base, "echo": True, "logprobs": 1}, status=400)["error"]["param"],
                         "echo")
        self.assertEqual(self.s.json("POST", "/v1/completions", {**base, "suffix": "", "best_of": 1})["choices"][0]["text"],
                         choice["text"])
        self.assertEqual(self.s.call("POST", "/v1/completions", {**base, "prompt": [999999]})[0], 400)

    def test_lists_of_prompts(self):
        prompts = ["The capital of", "The museum", "one two three"]
        ids = [self.s.json("POST", "/tokenize", {"content": p, "add_special": True})["tokens"] for p in prompts]
        base = {"max_tokens": 7, "temperature": 1, "seed": 9, "n": 2, "logprobs": 1}
        def choices(v):
            return [(c["index"], c["text"], c["finish_reason"], str(c["logprobs"])) for c in v["choices"]]
        alone, usage = [], {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        for k, p in enumerate(prompts):
            v = self.s.json("POST", "/v1/completions", {**base, "prompt": p})
            alone += [(2 * k + c[0], *c[1:]) for c in choices(v)]
            usage = {name: usage[name] + v["usage"][name] for name in usage}
        for prompt in (prompts, ids, [prompts[0], *ids[1:]]):
            before = self.s.metrics()
            v = self.s.json("POST", "/v1/completions", {**base, "prompt": prompt})
            after = self.s.metrics()
            self.assertTrue(self.s.wait_metric("zaya_kv_bytes", 0))  # of what runs
            self.assertEqual(choices(v), alone)
            self.assertEqual({name: v["usage"][name] for name in usage}, usage)
            self.assertEqual(after["zaya_prompt_tokens_total"] - before["zaya_prompt_tokens_total"], usage["prompt_tokens"])
            self.assertEqual(after["zaya_cached_tokens_total"] - before["zaya_cached_tokens_total"],
                             v["usage"]["prompt_tokens_details"]["cached_tokens"])
            self.assertEqual(v["usage"]["prompt_tokens_details"]["cached_tokens"], usage["prompt_tokens"] - 3)  # were read before
        self.assertEqual(choices(self.s.json("POST", "/v1/completions", {**base, "prompt": [prompts[1]]})),
                         [(i - 2, *rest) for i, *rest in alone[2:4]])
        events = self.s.stream("/v1/completions", {**base, "prompt": prompts, "stream_options": {"include_usage": True}})
        texts, ends, offsets = [""] * 6, [None] * 6, [[] for _ in range(6)]
        for c in [c for e in events for c in e["choices"]]:
            texts[c["index"]] += c["text"]
            ends[c["index"]] = c["finish_reason"] or ends[c["index"]]
            offsets[c["index"]] += (c["logprobs"] or {"text_offset": []})["text_offset"]
        self.assertEqual([(i, t, e) for i, (t, e) in enumerate(zip(texts, ends))], [c[:3] for c in alone])
        self.assertTrue(all(o[0] == 0 and o == sorted(o) for o in offsets))
        self.assertEqual({name: events[-1]["usage"][name] for name in usage}, usage)
        del base["logprobs"]
        echoed = self.s.json("POST", "/v1/completions", {**base, "prompt": [ids[0], prompts[1]], "echo": True})["choices"]
        self.assertEqual([c["text"] for c in echoed], [("<bos>" if i < 2 else "") + prompts[i // 2] + alone[i][1] for i in range(4)])
        events = self.s.stream("/v1/completions", {**base, "prompt": [ids[0], prompts[1]], "echo": True})
        self.assertEqual(["".join(c["text"] for e in events for c in e["choices"] if c["index"] == i) for i in range(4)],
                         [c["text"] for c in echoed])
        del base["seed"]  # nobody wants the same twice
        same = self.s.json("POST", "/v1/completions", {**base, "prompt": ["The"] * 8, "temperature": 2, "max_tokens": 16})["choices"]
        self.assertGreater(len({c["text"] for c in same}), 4)  # of one seed there would be two

    def test_a_list_is_accepted_whole_or_not(self):
        s = Server("--parallel", "2", "--queue", "4", slow=True)
        try:
            long = {**LONG, "prompt": ["one", "two", "three"]}
            body = json.dumps({**long, "stream": True}).encode()
            c = s.connect()
            c.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            self.assertIn(b"200", c.recv(100))
            self.assertTrue(s.wait_metric("zaya_running", 2))
            for stream in (False, True):  # three of the four fit: none is answered
                code, headers, text = s.call("POST", "/v1/completions", {**long, "prompt": ["a", "b", "c", "d"], "stream": stream})
                self.assertEqual(code, 429, text)
                self.assertGreaterEqual(int(headers["retry-after"]), 1)
                self.assertIn("error", json.loads(text))
            self.assertTrue(s.wait_metric("zaya_waiting", 1))
            error = s.json("POST", "/v1/completions", {**long, "prompt": ["a"] * 7}, status=400)["error"]
            self.assertIn("at most 6", error["message"])
            c.close()  # ends all of it
            self.assertTrue(s.wait_metric("zaya_running", 0))
            self.assertTrue(s.wait_metric("zaya_waiting", 0))
            v = s.json("POST", "/v1/completions", {"prompt": ["a", "b", "c", "d", "e", "f"], "max_tokens": 2, "temperature": 0})
            self.assertEqual([c["index"] for c in v["choices"]], list(range(6)))
        finally:
            self.assertEqual(s.stop(), 0)

    def test_together(self):
        asks = [{**ASK, "seed": i, "temperature": 1, "max_tokens": 30} for i in range(12)]
        alone = [self.s.json("POST", "/v1/chat/completions", a)["choices"][0]["message"] for a in asks]
        def one(a):
            events = self.s.stream("/v1/chat/completions", a)
            return "".join(e["choices"][0]["delta"].get("content") or "" for e in events)
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            together = list(pool.map(one, asks))
        self.assertEqual(together, [m["content"] or "" for m in alone])

    def test_client_that_leaves_ends_its_work(self):
        s = Server(slow=True)
        try:
            for i, stream in enumerate((True, False)):
                body = json.dumps({**LONG, "stream": stream}).encode()
                c = s.connect()
                c.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                if stream:
                    self.assertIn(b"200", c.recv(100))
                self.assertTrue(s.wait_metric("zaya_running", 1))
                c.close()
                self.assertTrue(s.wait_metric("zaya_engine_cancelled_total", i + 1))
                self.assertTrue(s.wait_metric("zaya_running", 0))
        finally:
            self.assertEqual(s.stop(), 0)

    def settled(self):
        """Waits until nothing is being read any more, prepared prompts included."""
        before = None
        while (now := (self.s.metrics()["zaya_engine_read_tokens_total"], self.s.metrics()["zaya_running"])) != before:
            before = now
            time.sleep(0.3)

    def test_next_turn_reads_only_what_is_new(self):
        messages = [{"role": "user", "content": "My name is Anna. " + "The museum has 4 doors. " * 40}]
        for effort in ("none", "high"):
            first = self.ask(messages=messages, reasoning_effort=effort, max_tokens=200, seed=3)
            answer = first["choices"][0]["message"]["content"]
            self.settled()
            talk = messages + [{"role": "assistant", "content": answer}, {"role": "user", "content": "What is my name?"}]
            second = self.ask(messages=talk, reasoning_effort=effort)["usage"]
            new = second["prompt_tokens"] - second["prompt_tokens_details"]["cached_tokens"]
            self.assertLess(new, 25, second)  # the question and the head of the answer
            again = self.ask(messages=messages, reasoning_effort=effort, max_tokens=200, seed=3)
            self.assertEqual(again["choices"][0]["message"]["content"], answer)

    def test_call_in_history_is_the_text_that_was_written(self):
        first = self.s.json("POST", "/v1/chat/completions", WEATHER)
        call = first["choices"][0]["message"]["tool_calls"][0]
        self.settled()
        talk = WEATHER["messages"] + [{"role": "assistant", "content": "", "tool_calls": [call]},
                                      {"role": "tool", "tool_call_id": call["id"], "content": "17 degrees"}]
        u = self.s.json("POST", "/v1/chat/completions", {**WEATHER, "messages": talk})["usage"]
        self.assertGreaterEqual(u["prompt_tokens_details"]["cached_tokens"],
                                first["usage"]["prompt_tokens"] + first["usage"]["completion_tokens"] - 8, u)

    def test_pipelined_and_half_requests(self):
        with self.s.connect() as s:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
            data = b""
            while data.count(b'{"status":"ok"}') < 3:
                data += s.recv(4096)
        with self.s.connect() as s:
            s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{\"mess")
        with self.s.connect() as s:
            s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 garbage \r\n\r\n")
            s.recv(1000)
        self.assertEqual(self.s.json("GET", "/health"), {"status": "ok"})

    def test_pages_of_other_origins(self):
        status, _, text = self.s.call("POST", "/v1/chat/completions", ASK, {"Origin": "https://evil.example"})
        self.assertEqual(status, 403)
        self.assertIn(b"--cors", text)
        self.assertEqual(self.s.call("POST", "/v1/chat/completions", ASK,
                                     {"Origin": f"http://127.0.0.1:{self.s.port}"})[0], 200)
        self.assertEqual(self.s.call("GET", "/v1/models", None, {"Host": "evil.example"})[0], 403)

    def test_log_has_the_text_only_because_it_was_asked_for(self):
        self.ask(messages=[{"role": "user", "content": "a line that is logged\nsecond"}])
        time.sleep(0.2)
        lines = [l for l in self.s.errors().splitlines() if "a line that is logged" in l]
        self.assertTrue(lines)
        self.assertNotIn("\n", lines[0])


class Reuse(unittest.TestCase):
    """What was read is not read again, and that can be seen."""
    FIRST = [{"role": "system", "content": "Remember: " + "the quick brown fox jumps over the lazy dog. " * 100},
             {"role": "user", "content": "What is the capital of France?"}]

    def turn(self, s, messages):
        before = s.metrics()
        v = s.json("POST", "/v1/chat/completions", {**ASK, "messages": messages})
        after = s.metrics()
        prompt, cached = v["usage"]["prompt_tokens"], v["usage"]["prompt_tokens_details"]["cached_tokens"]
        for name, n in (("zaya_prompt_tokens_total", prompt), ("zaya_cached_tokens_total", cached)):
            self.assertEqual(after[name] - before[name], n, name)
        return prompt, cached, messages + [v["choices"][0]["message"]]

    def test_turns_and_restarts(self):
        more = {"role": "user", "content": "And of Italy?"}
        with tempfile.TemporaryDirectory() as dir:
            keep = ("--cache-dir", dir)
            s = Server(*keep)
            try:
                first, cached, messages = self.turn(s, self.FIRST)
                self.assertEqual(cached, 0)
                self.assertGreater(first, 500)
                _, cached, _ = self.turn(s, messages + [more])
                self.assertGreater(cached, first - 10)  # all but the beginning of the answer
            finally:
                self.assertEqual(s.stop(), 0)
            for args, low, high in ((keep, first - 10, 10**6), ((*keep, "--kv", "q8"), 0, 0),
                                    ((*keep, "--kv", "q8"), first - 10, 10**6), (keep, first - 10, 10**6), ((), 0, 0)):
                with self.subTest(args=args):
                    s = Server(*args)
                    try:
                        prompt, cached, _ = self.turn(s, messages + [more])
                        self.assertLess(cached, prompt)
                        self.assertTrue(low <= cached <= high, (low, cached, high))
                        self.assertEqual(s.metrics()["zaya_store_hits_total"] > 0, cached > 0)
                    finally:
                        self.assertEqual(s.stop(), 0)

    def raw(self, s, prompt, **more):
        v = s.json("POST", "/v1/completions", {"prompt": prompt, "max_tokens": 12, "temperature": 0, **more})
        return v["usage"]["prompt_tokens"], v["usage"]["prompt_tokens_details"]["cached_tokens"], v["choices"][0]["text"]

    def test_raw_prompts(self):
        plain, s = Server("--cache-ram", "0"), Server()
        def both(prompt):
            prompt_tokens, cached, text = self.raw(s, prompt)
            self.assertEqual(self.raw(plain, prompt), (prompt_tokens, 0, text))  # the same answer
            return prompt_tokens, cached, text
        try:
            for words in (1, 6, 30, 120):
                with self.subTest(words=words):
                    prompt = " ".join(f"The museum number {words * 1000 + i} has {i} doors." for i in range(words))
                    first, _, text = both(prompt)
                    before = s.metrics()["zaya_cached_tokens_total"]
                    self.assertEqual(both(prompt)[1], first - 1)
                    self.assertEqual(s.metrics()["zaya_cached_tokens_total"] - before, first - 1)
                    self.assertGreaterEqual(both(prompt + " And")[1], first - 1)
                    ids = s.json("POST", "/tokenize", {"content": prompt + text, "add_special": True})["tokens"]
                    self.assertGreaterEqual(both(ids + [300, 301, 302])[1], first + 8)
            examples = "".join(f"up {i} is down {i}; " for i in range(9))  # less than a page
            cached = [both(examples + word)[1] for word in ("left", "right", "in")]
            self.assertLess(cached[1], 30)
            self.assertGreater(cached[2], 60)  # all but the question
            # A conversation that a client renders by itself: it goes on behind an answer without its thinking.
            chat = "<|im_start|>user\n" + "The garden has 36 trees. " * 8 + "<|im_end|>\n"
            first, _, _ = both(chat + "<|im_start|>assistant\n<think>\n")
            self.assertGreater(both(chat + "<|im_start|>assistant\nYes.<|im_end|>\n<|im_start|>user\nOf what?")[1], first - 12)
        finally:
            self.assertEqual((s.stop(), plain.stop()), (0, 0))

    def test_bad_precision(self):
        p = subprocess.run([ZAYA, "serve", "-m", MODEL, "--kv", "q4"], capture_output=True, text=True, timeout=60)
        self.assertEqual(p.returncode, 2)
        self.assertIn("--kv must be one of f16|q8, not 'q4'", p.stderr)


class Slow(unittest.TestCase):
    """A model with room for prompts and answers that take long on any machine; what it says is noise."""
    CTX = 131072

    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory()
        small, cls.model = os.path.join(cls.dir.name, "small"), os.path.join(cls.dir.name, "wide")
        subprocess.run([ZAYA, "synth", small, "--preset", "tiny"], check=True, capture_output=True)
        with open(os.path.join(small, "config.json")) as f:
            config = json.load(f)
        config["max_position_embeddings"] = cls.CTX
        with open(os.path.join(small, "config.json"), "w") as f:
            json.dump(config, f)
        subprocess.run([ZAYA, "synth", cls.model, "--config", os.path.join(small, "config.json")], check=True, capture_output=True)
        cls.s = Server("--ctx", str(cls.CTX), "--parallel", "4", "--threads", "1", "--keep-alive", "1", model=cls.model)

    @classmethod
    def tearDownClass(cls):
        code = cls.s.stop()
        cls.dir.cleanup()
        assert code == 0, (code, cls.s.final[-3000:])

    def open(self, body, small=False):
        data = json.dumps({**body, "stream": True}).encode()
        c = socket.socket()
        if small:
            c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.settimeout(120)
        c.connect((self.s.host, self.s.port))
        c.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
        return c

    def test_comments_during_a_long_prompt(self):
        c = self.open({"prompt": [5 + i % 90 for i in range(self.CTX - 1000)], "max_tokens": 1})
        data = b""
        while len(re.findall(rb"^: reading \d+/\d+\n\n", data, re.M)) < 2:
            piece = c.recv(65536)
            self.assertTrue(piece, data)
            data += piece
        done = [int(n) for n in re.findall(rb": reading (\d+)/", data)]
        self.assertEqual(done, sorted(done))
        self.assertIn(b"/%d\n" % (self.CTX - 1000), data)
        self.assertNotIn(b"data:", data)
        self.answers()  # beside it
        cancelled = self.s.metrics()["zaya_engine_cancelled_total"]
        c.close()
        self.assertTrue(self.s.wait_metric("zaya_engine_cancelled_total", cancelled + 1))

    def test_a_client_that_does_not_read(self):
        cancelled = self.s.metrics()["zaya_engine_cancelled_total"]
        c = self.open({"prompt": "x", "max_tokens": self.CTX - 100, "regex": "([a-z]{1,9} ){1500}", "logprobs": 20, "n": 3},
                      small=True)
        self.assertIn(b"200", c.recv(100))
        self.assertTrue(self.s.wait_metric("zaya_running", 3))
        self.answers()
        self.assertTrue(self.s.wait_metric("zaya_engine_cancelled_total", cancelled + 3))
        self.assertTrue(self.s.wait_metric("zaya_running", 0))
        size = 0
        try:
            while piece := c.recv(65536):
                size += len(piece)
        except ConnectionError:
            pass
        c.close()
        self.assertLess(size, 16 << 20)
        end = time.time() + 30
        while "reads too slowly" not in self.s.errors() and time.time() < end:
            time.sleep(0.05)
        self.assertIn("cut: the client reads too slowly", self.s.errors())
        self.answers()

    def answers(self):
        v = self.s.json("POST", "/v1/completions", {"prompt": "a", "max_tokens": 3, "logit_bias": {}, "regex": "[a-z]{9}"})
        self.assertEqual(v["usage"]["completion_tokens"], 3)


class Limits(unittest.TestCase):
    def test_keys(self):
        with tempfile.NamedTemporaryFile("w") as f:
            f.write("# keys\nalpha\n\nbeta\n")
            f.flush()
            s = Server("--api-key-file", f.name, "--no-page")
            try:
                self.assertEqual(s.call("GET", "/health")[0], 200)
                for headers, status in (({}, 401), ({"Authorization": "Bearer alpha"}, 200), ({"x-api-key": "beta"}, 200),
                                        ({"Authorization": "Bearer alph"}, 401), ({"Authorization": "Bearer alphaa"}, 401),
                                        ({"Authorization": "Basic alpha"}, 401), ({"x-api-key": ""}, 401),
                                        ({"Authorization": "Bearer # keys"}, 401)):
                    code, reply, text = s.call("GET", "/v1/models", None, headers)
                    self.assertEqual(code, status, headers)
                    if status == 401:
                        self.assertEqual(json.loads(text)["error"]["type"], "authentication_error")
                self.assertEqual(s.call("POST", "/v1/chat/completions", ASK)[0], 401)
                self.assertEqual(s.call("GET", "/metrics")[0], 401)
                self.assertEqual(s.call("GET", "/")[0], 404)
                time.sleep(0.2)
                self.assertNotIn("capital of France", s.errors())
            finally:
                self.assertEqual(s.stop(), 0)

    def test_large_bodies(self):
        s = Server("--max-body", "20K")
        try:
            big = b'{"messages":[{"role":"user","content":"' + b"x" * 100000 + b'"}]}'
            self.assertEqual(s.call("POST", "/v1/chat/completions", big)[0], 413)
            with s.connect() as c:
                c.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
                c.sendall(b"18000\r\n" + b" " * 0x18000 + b"\r\n0\r\n\r\n")
                self.assertEqual(read_reply(c)[0], 413)
            self.assertEqual(s.json("GET", "/health"), {"status": "ok"})
        finally:
            self.assertEqual(s.stop(), 0)

    def test_full_queue(self):
        s = Server("--parallel", "1", "--queue", "1", slow=True)
        try:
            open_streams = []
            for _ in range(2):
                body = json.dumps({**LONG, "stream": True}).encode()
                c = s.connect()
                c.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                self.assertIn(b"200", c.recv(200))
                open_streams.append(c)
            code, headers, text = s.call("POST", "/v1/chat/completions", ASK)
            self.assertEqual(code, 429, text)
            self.assertGreaterEqual(int(headers["retry-after"]), 1)
            self.assertEqual(s.call("POST", "/v1/chat/completions", {**ASK, "n": 3})[0], 429)
            for c in open_streams:
                c.close()
            self.assertTrue(s.wait_metric("zaya_engine_cancelled_total", 2))
            self.assertEqual(s.call("POST", "/v1/chat/completions", ASK)[0], 200)
        finally:
            self.assertEqual(s.stop(), 0)

    def test_cors(self):
        s = Server("--cors", "https://app.example")
        try:
            origin = {"Origin": "https://app.example"}
            code, headers, _ = s.call("OPTIONS", "/v1/chat/completions", None,
                                      {**origin, "Access-Control-Request-Method": "POST"})
            self.assertEqual((code, headers["access-control-allow-origin"]), (204, "https://app.example"))
            code, headers, _ = s.call("POST", "/v1/chat/completions", ASK, origin)
            self.assertEqual((code, headers["access-control-allow-origin"]), (200, "https://app.example"))
            self.assertEqual(s.call("POST", "/v1/chat/completions", ASK, {"Origin": "https://other.example"})[0], 403)
        finally:
            self.assertEqual(s.stop(), 0)

    def test_json_log_is_reopened(self):
        with tempfile.TemporaryDirectory() as dir:
            path = os.path.join(dir, "log")
            s = Server("--log-format", "json", "--log-file", path, "--alias", "my-model")
            try:
                self.assertEqual(s.json("GET", "/v1/models")["data"][0]["id"], "my-model")
                s.call("GET", "/evil%0aline")
                time.sleep(0.2)
                os.rename(path, path + ".1")
                s.process.send_signal(signal.SIGHUP)
                end = time.time() + 20
                while not os.path.exists(path) and time.time() < end:
                    time.sleep(0.05)
                s.json("GET", "/health")
                time.sleep(0.2)
                for name, n in ((path + ".1", 2), (path, 1)):
                    with open(name) as f:
                        lines = [json.loads(line) for line in f]
                    self.assertEqual(len(lines), n)
                    self.assertTrue(all(line["status"] in (200, 404) for line in lines))
            finally:
                self.assertEqual(s.stop(), 0)

    def test_second_server_on_the_port(self):
        s = Server()
        try:
            p = subprocess.run([ZAYA, "serve", "-m", MODEL, "--port", str(s.port)], capture_output=True, text=True, timeout=60)
            self.assertEqual(p.returncode, 1)
            self.assertIn("listen", p.stderr)
        finally:
            self.assertEqual(s.stop(), 0)


class End(unittest.TestCase):
    def test_graceful(self):
        s = Server("--drain", "60")
        body = json.dumps({**ASK, "reasoning_effort": "high", "max_tokens": 300}).encode()
        c = s.connect()
        c.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        end = time.time() + 30
        while s.metrics()["zaya_running"] == 0 and s.metrics()["zaya_engine_done_total"] == 0 and time.time() < end:
            time.sleep(0.01)
        s.process.send_signal(signal.SIGTERM)
        status, headers, text = read_reply(c)
        self.assertEqual(status, 200)
        self.assertIn("Paris", json.loads(text)["choices"][0]["message"]["content"])
        c.close()
        self.assertEqual(s.stop(None), 0)

    def test_deadline(self):
        s = Server("--drain", "1", slow=True)
        body = json.dumps({**LONG, "stream": True}).encode()
        c = s.connect()
        c.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.assertTrue(s.wait_metric("zaya_running", 1))
        s.process.send_signal(signal.SIGTERM)
        text = read_reply(c)[2]
        self.assertIn(b"shutting down", text)
        c.close()
        self.assertEqual(s.stop(None), 0)

    def test_second_signal(self):
        s = Server("--drain", "600", slow=True)
        body = json.dumps({**LONG, "stream": True}).encode()
        c = s.connect()
        c.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.assertTrue(s.wait_metric("zaya_running", 1))
        s.process.send_signal(signal.SIGTERM)
        end = time.time() + 30
        while "stopping" not in s.errors() and time.time() < end:
            time.sleep(0.05)
        self.assertEqual(s.stop(signal.SIGINT), -signal.SIGINT)
        c.close()

    def test_random_disconnects_under_load(self):
        s = Server("--parallel", "4", "--queue", "40")
        def one(i):
            c = s.connect()
            body = json.dumps({**LONG, "stream": i % 2 == 0, "seed": i, "max_tokens": 60}).encode()
            c.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            c.settimeout(0.02 * (i % 9) + 0.001)
            try:
                c.recv(300)
            except OSError:
                pass
            c.close()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(one, range(60)))
        self.assertTrue(s.wait_metric("zaya_running", 0))
        self.assertTrue(s.wait_metric("zaya_waiting", 0))
        self.assertEqual(s.stop(), 0)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
