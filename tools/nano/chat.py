"""Rendering conversations with the chat template, under Hugging Face's Jinja settings."""
import json
import os

from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "files", "chat_template.jinja")


def _raise(message):
    raise TemplateError(message)


def _compile():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    env.filters["tojson"] = lambda x: json.dumps(x, ensure_ascii=False)
    env.globals["raise_exception"] = _raise
    with open(TEMPLATE, encoding="utf-8") as f:
        return env.from_string(f.read())


_template = _compile()


def render(messages, tools=None, thinking=None, prompt=True):
    """The text of a conversation; with `prompt`, up to where the model goes on. thinking None: not said."""
    extra = {} if thinking is None else {"enable_thinking": thinking}
    return _template.render(messages=messages, tools=tools, add_generation_prompt=prompt, bos_token="<bos>", eos_token="<|im_end|>", **extra)


def call_text(name, arguments):
    """One tool call as the model writes it."""
    rows = "".join(f"<parameter={k}>\n{v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)}\n</parameter>\n" for k, v in arguments.items())
    return f"<zyphra_tool_call>\n<function={name}>\n{rows}</function>\n</zyphra_tool_call>"
