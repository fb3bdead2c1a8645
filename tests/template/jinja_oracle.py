"""Jinja2 set up as Hugging Face's apply_chat_template does. Needs Debian's python3-jinja2."""
import datetime
import json

import jinja2
import jinja2.ext
import jinja2.sandbox
from jinja2 import nodes

NOW = datetime.datetime.fromtimestamp(1732369509, datetime.timezone.utc)  # as tests/template/run_cases.c


class Generation(jinja2.ext.Extension):
    """{% generation %} marks what the model wrote; rendering it changes nothing."""

    tags = {"generation"}

    def parse(self, parser):
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(lineno)

    def _render(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def compiled(template):
    """(template, None) or (None, error)."""
    try:
        return environment().from_string(template), None
    except Exception as e:  # whatever Python raises is an error of the template
        return None, f"{type(e).__name__}: {e}"


def render_compiled(pair, context):
    """(text, None) or (None, error)."""
    template, error = pair
    if error:
        return None, error
    try:
        return template.render(**context), None
    except Exception as e:
        return None, f"{type(e).__name__}: {e}"


def render(template, context):
    return render_compiled(compiled(template), context)
