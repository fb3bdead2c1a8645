#!/usr/bin/env python3
"""Writes tests/template/cases/*.json: templates, contexts, and what Jinja2 makes of them. The templates
stand below, by construct. Run after adding one; `--check` only compares what is stored with Jinja2 now.
"""
import json
import pathlib
import sys

sys.dont_write_bytecode = True
try:
    import jinja_oracle
except ImportError:
    print("skipped: python3-jinja2 is not installed")
    sys.exit(77)

CASES = pathlib.Path(__file__).parent / "cases"
CONTEXT = {
    "s": "Hello, World", "empty": "", "n": 7, "neg": -3, "f": 2.5, "t": True, "no": False, "none": None,
    "l": [3, 1, 2], "words": ["apple", "Banana", "cherry"], "nested": [[1, 2], [3, 4]],
    "d": {"b": 2, "a": 1, "C": 3}, "deep": {"x": {"y": {"z": "end"}}},
    "users": [{"name": "ann", "age": 30, "ok": True}, {"name": "Bob", "age": 25}, {"name": "cy", "age": 30, "ok": False}],
    "messages": [{"role": "system", "content": "sys"}, {"role": "user", "content": "hi"},
                 {"role": "assistant", "content": "yo"}, {"role": "user", "content": "bye"}],
    "u": "Grüße, 世界! 😀", "html": "<a href=\"x\">&'</a>", "lines": "one\ntwo\n\nthree", "tabs": "a\tb",
    "big": 9007199254740993, "items_key": {"items": [1], "keys": 5, "get": "g"},
}

GROUPS = {
    "output": r"""
plain text
{{ s }}|{{ n }}|{{ neg }}|{{ f }}|{{ t }}|{{ no }}|{{ none }}|{{ missing }}
{{ l }}|{{ d }}|{{ words }}|{{ nested }}|{{ users }}
{{ [] }}{{ {} }}{{ () }}{{ (1,) }}{{ (1, 2) }}{{ [none, true, 1.0, 'x'] }}
{{ "it's" }}{{ ["it's"] }}{{ ['say "x"'] }}{{ ['both \' and "'] }}
{{ ['\n\t\r\\\x00\x7f\x9f', 'é', '世', '😀', '\u200b', '\xa0', '\u2028'] }}
{{ 1.0 }}|{{ 1e16 }}|{{ 1e15 }}|{{ 1.5e-5 }}|{{ 0.0001 }}|{{ 1e22 }}|{{ 123456789.123 }}|{{ 0.1 + 0.2 }}|{{ 1e300 * 10 }}|{{ -0.0 }}|{{ 5e-324 }}
{{ 100 }}|{{ 0x1F }}|{{ 0b101 }}|{{ 0o17 }}|{{ 1_000 }}|{{ 1_0.5 }}|{{ 00 }}
{{ 1e400 }}|{{ -1e400 }}
{{ 'a' 'b' "c" }}
{{ "\x41\u00e9\U0001F600\101\q\'" }}
{{ d.items() }}|{{ d.keys() }}|{{ d.values() }}
{{ range(3) }}|{{ range(1, 10, 3) }}|{{ range(0, 10, 4) }}|{{ range(10)[2:8:4] }}|{{ range(10)[::-1] }}|{{ range(10)[5:2] }}|{{ range(9223372036854775806, 9223372036854775807, 2) }}|{{ namespace(a=1) }}
{{- s -}} x {{- s }} y {{ s -}} z
{{ }}
{{
{{ 1 + }}
{{ s s }}
{{ 'unclosed }}
{{ (1 }}
{{ 1) }}
{{ [1} }}
{{ {'a': {'b': {}}} }}
{{ 1 2 }}
{{ $ }}
{{ s ; n }}
{{ true }} {{ True }} {{ false }} {{ False }} {{ none }} {{ None }}
{{ 007 }}
{{ 1.e5 }}
{{ 1if t else 2 }}
a }} b %} c #} d
{{ '{{' }}{{ '%}' }}{{ "}}" }}
{% print s, n %}|{% print 1 %}
{{ s, n }}
{{ big }}|{{ big + 1 }}
{{ 'x' if f }}|{{ 'x' if no }}|
""",
    "whitespace": r"""
a\n{% if t %}\nb\n{% endif %}\nc\n
a\n  {% if t %}\n  b\n  {% endif %}\nc
a  {% if t %} b {% endif %}  c
a\n  {{ s }}\n  b
  {%- if t %} x {%- endif %}
a \n {%- if t -%} \n x \n {%- endif -%} \n b
a\n   {%+ if t %}x{% endif %}
a\n {% if t +%}\nx{% endif +%}\n\ny
{# comment #}\nx\n  {# c #}\ny {# c #} z
{#- c -#}  \n x
a  {#- c #} b {# c -#}   c
{# multi\nline #}x
{# unclosed
x{# {{ s }} {% if %} #}y
\n\n{{ s }}\n\n
{{ s }}\n
{{ s }}\n\n\n
\r\na\r\nb\rc\r\n
{% for i in l %}\n  {{ i }}\n{% endfor %}\nend
{% for i in l -%}\n  {{ i }}\n{%- endfor %}\nend
   {% set x = 1 %}   \n{{ x }}
\t{% set x = 1 %}\n{{ x }}
{% set x = 1 %}\n\n{{ x }}
{{- ' a ' -}}
x\u00a0{%- if t %}y{% endif %}
x\n\u00a0{% if t %}y{% endif %}
{% raw %}{{ not }} {% this %} {# that #}{% endraw %}
{%- raw -%}  {{ a }}  {%- endraw -%}  b
  {% raw %}\n x\n  {% endraw %}\ny
a {%- raw %} b {% endraw %} c
{% raw %} unclosed
{% raw %}{% endraw x %}{% endraw %}
{%raw%}x{%endraw%}
{% if t %}{% raw %}x{% endraw %}{% endif %}
{{s}}{{n}}
{%if t%}x{%endif%}
{%\n if\n t\n %}x{%\n endif %}
{{\n s\n}}
a{% if t %}\n{% endif %}b
a{{ s }}\nb
x {{- 1 }} {{ 2 -}} y
-{%- if t -%}-{%- endif -%}-
{% if t %}   {% if t %}  a  {% endif %}   {% endif %}
  {{ s }}
    {% if t %}a{% endif %}\n    {% if t %}b{% endif %}\n
{{ 1 -}}\n\n\n2
1\n\n\n{{- 2 }}
{% if t -%}\n\n a {% endif %}
""",
    "expressions": r"""
{{ 1 + 2 * 3 }}|{{ (1 + 2) * 3 }}|{{ 2 ** 3 ** 2 }}|{{ -2 ** 2 }}|{{ 7 // 2 }}|{{ -7 // 2 }}|{{ 7 % 3 }}|{{ -7 % 3 }}|{{ 7 % -3 }}
{{ 7 / 2 }}|{{ 6 / 2 }}|{{ 7.5 // 2 }}|{{ -7.5 // 2 }}|{{ 7.5 % 2 }}|{{ -7.5 % 2 }}|{{ 2 ** -1 }}|{{ 2 ** 0.5 }}|{{ 0 ** 0 }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 1 % 0 }}
{{ 1.0 / 0 }}
{{ 0.0 ** -1 }}
{{ 'a' + 'b' }}|{{ [1] + [2] }}|{{ (1,) + (2,) }}|{{ 'ab' * 3 }}|{{ 3 * 'ab' }}|{{ [1, 2] * 2 }}|{{ 'a' * -1 }}|{{ true + true }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ none + 1 }}
{{ [1] + (1,) }}
{{ 'a' - 'b' }}
{{ s + missing }}
{{ missing + s }}
{{ missing * 2 }}
{{ 1 ~ 2 ~ 'x' ~ none ~ true ~ [1] ~ missing }}
{{ 'a' ~ 1 + 2 }}|{{ 1 + 2 ~ 'a' }}|{{ 2 * 3 ~ 4 }}
{{ 1 < 2 }}|{{ 2 <= 2 }}|{{ 3 > 4 }}|{{ 4 >= 4 }}|{{ 1 == 1.0 }}|{{ 1 != 2 }}|{{ true == 1 }}|{{ 'a' < 'b' }}|{{ 'a' < 'B' }}
{{ 1 < 2 < 3 }}|{{ 1 < 3 < 2 }}|{{ 1 == 1 == 1 }}|{{ 3 > 2 > 1 }}|{{ 1 < 2 in [2] }}
{{ [1, 2] < [1, 3] }}|{{ (1,) < (1, 2) }}|{{ [1, 2] == [1, 2] }}|{{ {'a': 1} == {'a': 1.0} }}|{{ [1] == (1,) }}
{{ 1 < 'a' }}
{{ none < 1 }}
{{ missing < 1 }}
{{ missing == missing }}|{{ missing == none }}|{{ missing != 1 }}|{{ none == none }}|{{ missing == other }}
{{ 'ell' in s }}|{{ 'x' not in s }}|{{ 1 in l }}|{{ 9 in l }}|{{ 'a' in d }}|{{ 1 in d }}|{{ 2 in (1, 2) }}|{{ 'a' in missing }}
{{ 1 in 'abc' }}
{{ missing in 'abc' }}
{{ missing in l }}|{{ missing in d }}|{{ none in [none] }}
{{ [1] in d }}
{{ 1 in 5 }}
{{ not t }}|{{ not no }}|{{ not empty }}|{{ not missing }}|{{ not not 1 }}|{{ not 1 == 2 }}
{{ t and s }}|{{ no and s }}|{{ empty or 'dflt' }}|{{ s or 'x' }}|{{ none or missing or 0 }}|{{ 1 and 2 or 3 }}|{{ 0 or 1 and 2 }}
{{ t or missing.x }}|{{ no and missing.x }}
{{ 'yes' if t else 'no' }}|{{ 'yes' if no else 'no' }}|{{ 1 if no else 2 if no else 3 }}|{{ ('x' if no) ~ 'y' }}
{{ ('x' if no).foo }}
{{ s[0] }}|{{ s[-1] }}|{{ s[99] }}|{{ l[0] }}|{{ l[-1] }}|{{ l[9] }}|{{ d['a'] }}|{{ d['zz'] }}|{{ d.a }}|{{ d.zz }}|{{ nested[1][0] }}
{{ s[1:3] }}|{{ s[:5] }}|{{ s[7:] }}|{{ s[-5:] }}|{{ s[::2] }}|{{ s[::-1] }}|{{ s[5:1:-1] }}|{{ s[10:5] }}|{{ s[:] }}|{{ s[100:] }}|{{ s[-100:3] }}
{{ l[1:] }}|{{ l[::-1] }}|{{ l[:-1] }}|{{ l[-2:] }}|{{ (1, 2, 3)[1:] }}|{{ range(10)[2:8:3] }}|{{ l[none:none] }}|{{ l[true:] }}
{{ u[0:6] }}|{{ u[-1] }}|{{ u[::-1] }}|{{ u[7:9] }}|{{ u|length }}
{{ l['x'] }}|{{ s['x'] }}|{{ s.x }}|{{ none.x }}|{{ n.x }}|{{ f['x'] }}|
{{ l[1.5] }}|{{ l[true] }}|{{ d[1] }}|
{{ l['1':] }}
{{ l[::0] }}
{{ missing[0] }}
{{ missing.x }}
{{ missing[1:] }}
{% set q = none %}{{ q[1:] }}
{{ d[1:] }}
{{ n[0] }}|{{ none['x'] }}|
{{ deep.x.y.z }}|{{ deep['x']['y'].z }}|{{ deep.x.q }}|{{ (deep.x.q) is defined }}
{{ deep.q.z }}
{{ l.0 }}|{{ nested.1.0 }}|{{ l.1 + 1 }}
{{ d[[1]] }}
{{ -n }}|{{ +n }}|{{ - -n }}|{{ -f }}|{{ -t }}|{{ +t }}
{{ -s }}
{{ -missing }}
{{ -1|abs }}|{{ (-1)|abs }}|{{ -neg|abs }}
{{ 2 ** 62 }}|{{ 2 ** 10 }}|{{ (-2) ** 3 }}|{{ 10 ** 18 }}|{{ (-1) ** 5 }}
{{ {'a': 1, 'a': 2} }}|{{ {1: 'x', '1': 'y', none: 'z'} }}|{{ {1: 'a', true: 'b', 1.0: 'c'} }}|{{ {(1, 2): 3} }}
{{ {[1]: 2} }}
{{ {'a': 1}['a'] }}|{{ {'a': 1}.a }}|{{ [1, 2][1] }}|{{ (1, 2)[0] }}|{{ 'abc'[1] }}|{{ 'abc'.upper() }}
{{ [1, 2,] }}|{{ {'a': 1,} }}|{{ (1, 2,) }}
{{ items_key['items'] }}|{{ items_key['keys'] }}|{{ items_key.get('get') }}
{{ 1 is defined and 2 is defined }}|{{ not x is defined }}|{{ x is not defined }}|{{ 1 if x is defined else 2 }}
{{ 1 == 2 or 3 }}|{{ 1 if 1 == 1 and 2 == 2 else 0 }}
{{ s is string and s|length > 3 }}|{{ s|length + 1 }}|{{ (s|length) * 2 }}
{{ 1.5 // 0.5 }}|{{ 5 % 2.5 }}|{{ 1e308 * 10 }}
{{ 3.0 }}|{{ 3.0 == 3 }}|{{ 3 // 2.0 }}|{{ 10 ** -2 }}
{{ (2, 1) > (1, 2) }}|{{ 'Z' < 'a' }}|{{ '' < 'a' }}|{{ 'é' > 'z' }}
{{ [] == [] }}|{{ [] or 'e' }}|{{ {} or 'e' }}|{{ 0 or 'e' }}|{{ 0.0 or 'e' }}|{{ range(0) or 'e' }}
{{ users[0].name }}|{{ users[-1]['name'] }}|{{ users[1].ok }}|{{ users[1].ok is defined }}
{{ messages[1:]|length }}|{{ messages[-1].role == 'user' }}|{{ messages[0]['role'] != 'system' }}
{{ foo() }}
{{ s() }}
{{ none() }}
{{ s.foo() }}
{{ d.foo() }}
{{ s.__class__ }}|
{{ s.__class__.__mro__ }}
{{ d['__class__'] }}|
{{ (1, 2)['x'] }}|{{ 'a'['b'] }}|
{{ not }}
{{ a.b. }}
{{ a[ }}
{{ a[] }}
{{ l[0, 1] }}|
{{ 1 if }}
{{ x is }}
{{ x | }}
{{ 5|foo }}
{{ 5 is foo }}
{{ 1 < }}
{{ 'a' in }}
{{ .5 }}
{{ ~1 }}
{{ 1 === 2 }}
{{ a b }}
{{ a = 1 }}
{{ true.x }}|
{{ 'a' 1 }}
{{ "a" ~ }}
{{ f ** 2 }}|{{ f // 1 }}|{{ f % 1 }}|{{ n // f }}
{{ 'a' is in 'abc' }}|{{ 1 is in l }}
{{ l is in [[3, 1, 2]] }}
""",
    "for": r"""
{% for x in l %}{{ x }}{% endfor %}
{% for x in l %}{{ x }}{% else %}none{% endfor %}|{% for x in [] %}{{ x }}{% else %}none{% endfor %}
{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}
{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }};{% endfor %}
{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }};{% endfor %}
{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}
{% for x in l %}{{ loop.cycle() }}{% endfor %}
{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }} {% endfor %}
{% for x in [1, 2] %}{% for y in [3, 4] %}{{ loop.index }}{{ loop.depth }}{% endfor %}{{ loop.index }}{{ loop.depth0 }}{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
{% for k in d %}{{ k }}{% endfor %}|{% for k in d.keys() %}{{ k }}{% endfor %}|{% for v in d.values() %}{{ v }}{% endfor %}
{% for k, v in d|items %}{{ k }}={{ v }};{% endfor %}
{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}
{% for a, b in nested %}{{ a }}{{ b }};{% endfor %}
{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for (a, b) in nested %}{{ a }}{{ b }}{% endfor %}
{% for a, b in [1, 2] %}{{ a }}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}
{% for a, b in [(1,)] %}{{ a }}{% endfor %}
{% for c in 'héy' %}[{{ c }}]{% endfor %}
{% for x in missing %}x{% else %}else{% endfor %}
{% for x in none %}x{% endfor %}
{% for x in 5 %}x{% endfor %}
{% for x in true %}x{% endfor %}
{% for x in missing.y %}x{% endfor %}
{% for x in l if x > 1 %}{{ loop.index }}:{{ x }}/{{ loop.length }};{% endfor %}
{% for x in l if x > 100 %}x{% else %}none{% endfor %}
{% for x in l if x > 1 %}{{ loop.last }}{% endfor %}
{% for m in messages if m.role == 'user' %}{{ m.content }}{% if not loop.last %},{% endif %}{% endfor %}
{% for x in range(5) %}{% if x == 3 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in range(5) %}{% if x is odd %}{% continue %}{% endif %}{{ x }}{% endfor %}
{% for x in l %}{% continue %}{% else %}else{% endfor %}
{% for x in l %}{% break %}{% else %}else{% endfor %}
{% for x in l %}{% if loop.last %}{% break %}{% endif %}{{ x }}{% else %}else{% endfor %}
{% break %}
{% continue %}
{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}
{% for x in l %}{% set y %}a{% break %}{% endset %}{{ y }}{% endfor %}|
{% for x in l %}{% with %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endwith %}{% endfor %}
{% for x in l recursive %}{{ x }}{% endfor %}
{% for x in [1, [2, [3]]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}@{{ loop.depth }}{% endif %}{% endfor %}
{% for x in l %}{{ loop(x) }}{% endfor %}
{% for x in l %}{{ loop }}{% endfor %}
{% for x in range(3)|reverse %}{{ x }}{% endfor %}|{% for x in l|reverse %}{{ loop.length }}{% endfor %}
{% for x in l|sort %}{{ x }}{% endfor %}
{% for x in l|select('odd') %}{{ loop.index }}/{{ loop.length }}{{ x }}{% endfor %}
{% for x in l|map('string') %}{{ loop.last }}{{ loop.nextitem }};{% endfor %}
{% set g = l|map('string') %}{% for x in g %}{{ x }}{% endfor %}|{% for x in g %}{{ x }}{% else %}gone{% endfor %}
{% for x in l %}{% set x = x + 1 %}{{ x }}{% endfor %}
{% for x in l %}{% for x in 'ab' %}{{ x }}{% endfor %}{{ x }}{% endfor %}
{% for loop in l %}{% endfor %}
{% for x in l %}{% set loop = 1 %}{% endfor %}
{% for x in l %}{% endfor %}{{ x }}
{% for x in l %}{{ loop.foo }}{% endfor %}|
{% for x in l %}{{ loop.index + loop.missing }}{% endfor %}
{% for x in l
{% for x in l %}
{% for in l %}{% endfor %}
{% for x l %}{% endfor %}
{% for x in %}{% endfor %}
{% for 1 in l %}{% endfor %}
{% for x.y in l %}{% endfor %}
{% endfor %}
{% for x in l %}{% endif %}
{% for x in 1, 2, 3 %}{{ x }}{% endfor %}
{% for x in l if x > 1 else 5 %}{% endfor %}
{% for x in (l if t else []) %}{{ x }}{% endfor %}
{% for x in l %}{% if loop.index0 == 1 %}{% set ns = 1 %}{% endif %}{{ ns }}{% endfor %}
{% for a in [1] %}{% for b in [2] %}{% for c in [3] %}{{ a }}{{ b }}{{ c }}{{ loop.depth }}{% endfor %}{% endfor %}{% endfor %}
{% for m in messages %}{{ loop.index0 }}{{ m['role'][0] }}{% if (m.role == 'user') != (loop.index0 % 2 == 1) %}!{% endif %}{% endfor %}
{% for m in messages[::-1] %}{{ m.content }}{% endfor %}|{% for m in messages[1:] %}{{ m.content }}{% endfor %}
{% for x in l %}{% if loop.first %}{{ loop.length }}{% endif %}{% endfor %}
{% for x in 'ab' %}{% for y in loop.nextitem or 'z' %}{{ y }}{% endfor %}{% endfor %}
{% for i in range(3) %}{% for j in range(i) %}{{ i }}{{ j }} {% else %}- {% endfor %}{% endfor %}
{% for x in {'a': 1}.items() %}{{ x }}{{ x[0] }}{% endfor %}
{% for x in [1, 2, 3] %}{% if x == 2 %}{% set q = 'found' %}{% endif %}{% endfor %}[{{ q }}]
{% for x in l %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}
{% for x in range(4) if x % 2 == 0 %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% set ns = namespace(stop=false) %}{% for x in l if not ns.stop %}{{ x }}{% set ns.stop = true %}{% endfor %}
{% for x in l %}{{ x }}{% endfor x %}
{% for item in nested recursive %}{{ loop(item) if item is iterable else item }}{% endfor %}
""",
    "scopes": r"""
{% set x = 1 %}{{ x }}{% set x = 2 %}{{ x }}
{% set x = 1 %}{% if t %}{% set x = 2 %}{% endif %}{{ x }}
{% set x = 1 %}{% for i in l %}{% set x = i %}{% endfor %}{{ x }}
{% set x = 1 %}{% for i in l %}{{ x }}{% set x = x + i %}{{ x }};{% endfor %}{{ x }}
{% if no %}{% set s = 'new' %}{% endif %}{{ s }}
{% if t %}{% set s = 'new' %}{% endif %}{{ s }}
{% if no %}{% set s = 'a' %}{% else %}{% set q = 'b' %}{% endif %}{{ s }}{{ q }}
{% if no %}{% set s = 'a' %}{% elif no %}{% set s = 'b' %}{% else %}{% set s = 'c' %}{% endif %}{{ s }}
{% if no %}{% set s = 'a' %}{% elif no %}{% set s = 'b' %}{% endif %}{{ s }}
{{ s }}{% set s = 'new' %}{{ s }}
{% for i in [1] %}{{ s }}{% endfor %}{% set s = 'late' %}{{ s }}
{% for i in [1, 2] %}{% if loop.index == 2 %}{{ s }}{% endif %}{% set s = 'in' %}{% endfor %}{{ s }}
{% for i in [1] %}{% if no %}{% set s = 'in' %}{% endif %}{{ s }}{% endfor %}
{% for i in [1] %}{% set s = 'in' %}{% endfor %}{{ s }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}|{% set (c, e) = [3, 4] %}{{ c }}{{ e }}|{% set p, = [5] %}{{ p }}
{% set a, b = 1 %}
{% set a, b = 1, 2, 3 %}
{% set x = 1, 2 %}{{ x }}
{% set x = 1 if no %}[{{ x }}]{{ x is defined }}
{% set ns = namespace() %}{% set ns.a = 1 %}{{ ns.a }}|{{ ns.b }}|{{ ns }}
{% set ns = namespace(a=1, b='x') %}{% for i in l %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{{ ns['b'] }}
{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}
{% set ns = namespace([('a', 1)]) %}{{ ns.a }}
{% set ns = namespace(1, 2) %}
{% set x = {} %}{% set x.a = 1 %}
{% set q.a = 1 %}
{% set ns = namespace(l=[]) %}{% set ns.l = ns.l + [1] %}{% set ns.l = ns.l + [2] %}{{ ns.l }}
{% set ns = namespace(items=3) %}{{ ns.items }}
{% set x %}block {{ s }}{% endset %}{{ x }}|{{ x|length }}
{% set x | upper %}abc{% endset %}{{ x }}
{% set x | replace('a', 'b') | upper %}aca{% endset %}{{ x }}
{% set x %}{% set y = 1 %}{{ y }}{% endset %}{{ x }}{{ y }}
{% set x %}{{ s }}{% set s = 'in' %}{{ s }}{% endset %}{{ x }}{{ s }}
{% set ns = namespace() %}{% set ns.b %}text{% endset %}{{ ns.b }}
{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}
{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}
{% set a = 5 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}
{% with a, b = (1, 2) %}{{ a }}{{ b }}{% endwith %}
{% with a %}{% endwith %}
{% macro m() %}{{ s }}{% set s = 'in' %}{{ s }}{% endmacro %}{{ m() }}{{ s }}
{% macro m() %}{{ g }}{% endmacro %}{% set g = 'later' %}{{ m() }}
{% macro m() %}{{ q }}{% endmacro %}{% for q in l %}{{ m() }}{% endfor %}
{% for q in l %}{% macro m() %}{{ q }}{% endmacro %}{{ m() }}{% endfor %}
{% if t %}{% macro m() %}x{% endmacro %}{% endif %}{{ m() }}
{{ m() }}{% macro m() %}x{% endmacro %}
{% for i in l %}{% set outer = i %}{% for j in [1] %}{{ outer }}{% set outer = 'j' %}{{ outer }}{% endfor %}{{ outer }};{% endfor %}
{% set x = 'a' %}{% for i in [1, 2] %}{% if i == 1 %}{% set x = 'b' %}{% endif %}{{ x }}{% endfor %}{{ x }}
{% set x = x %}{{ x is defined }}
{% set x = s ~ '!' %}{{ x }}
{% set messages = messages[1:] %}{{ messages|length }}
{% if messages[0].role == 'system' %}{% set sys = messages[0].content %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}{{ sys }}{{ rest|length }}
{% set range = 5 %}{{ range }}
{{ range is defined }}{{ namespace is defined }}{{ dict is defined }}{{ raise_exception is defined }}{{ strftime_now is defined }}{{ lipsum2 is defined }}
{% set true = 1 %}
{% set none = 1 %}
{% set 1 = 2 %}
{% set x %}
{% set x
{% set = 1 %}
{% set x y %}{% endset %}
{% set a.b.c = 1 %}
{% set a['b'] = 1 %}
{% filter upper %}abc {{ s }}{% endfilter %}
{% filter replace('a', 'b')|upper %}aca{% endfilter %}
{% filter upper %}{% set q = 'x' %}{{ q }}{% endfilter %}{{ q }}
{% filter nosuch %}{% endfilter %}
{% filter trim %}  {% for x in l %}{{ x }} {% endfor %}  {% endfilter %}|
{% generation %}gen {{ s }}{% endgeneration %}
{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% set q = 1 %}{% endgeneration %}{{ q }}{% endif %}{% endfor %}
{% generation %}{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}{% endgeneration %}
{% generation %}
{% set a = 1 %}{% if t %}{% if t %}{% set a = 2 %}{% endif %}{{ a }}{% endif %}{{ a }}
{% if no %}{% if t %}{% set s = 2 %}{% endif %}{% endif %}{{ s }}
{% for i in [1] %}{% if t %}{% set s = 2 %}{% else %}{{ s }}{% endif %}{{ s }}{% endfor %}{{ s }}
{% for i in [1] %}{% for j in [1] %}{{ s }}{% endfor %}{% set s = 1 %}{{ s }}{% endfor %}
{% set f1 %}{% for x in l %}{{ x }}{% endfor %}{% endset %}{{ f1 }}{{ f1 == '312' }}
""",
    "if": r"""
{% if t %}a{% endif %}|{% if no %}a{% endif %}|{% if no %}a{% else %}b{% endif %}|{% if no %}a{% elif t %}b{% else %}c{% endif %}
{% if no %}a{% elif no %}b{% elif no %}c{% else %}d{% endif %}
{% if missing %}a{% else %}b{% endif %}|{% if missing is defined and missing.x %}a{% else %}b{% endif %}
{% if missing.x %}a{% endif %}
{% if empty %}a{% elif none %}b{% elif 0 %}c{% elif [] %}d{% elif {} %}e{% else %}f{% endif %}
{% if s and n and l and d and f %}all{% endif %}
{% if not (t and no) %}x{% endif %}
{% if t %}{% if no %}a{% else %}b{% endif %}{% endif %}
{% if 1, 2 %}x{% endif %}
{% if t
{% if t %}
{% if %}{% endif %}
{% if t %}{% else %}{% else %}{% endif %}
{% if t %}{% endfor %}
{% elif %}
{% else %}
{% endif %}
{% if t %}a{% else if no %}b{% endif %}
{% if t then %}a{% endif %}
{% if x is defined %}a{% else %}b{% endif %}
{% if no %}{{ 1|nosuch }}{% endif %}ok
{% if t %}{{ 1|nosuch }}{% endif %}
{{ (1|nosuch) if no else 2 }}
{{ 2 if t else (1 is nosuch) }}
{% if no %}{% for x in l %}{{ x|nosuch }}{% endfor %}{% endif %}
{{ 1|nosuch }}
{% if messages|length > 3 and messages[0].role in ['system', 'developer'] %}ok{% endif %}
{% if 'a' == 'a' == 'a' %}x{% endif %}
{% if s is string is true %}{% endif %}
{% if l is iterable and l is not string and l is not mapping %}ok{% endif %}
{% include 'x' %}
{% import 'x' as y %}
{% from 'x' import y %}
{% extends 'x' %}
{% do l %}
{% nosuch %}
{% if t %}x{% endif y %}
{% %}
{% 1 %}
{%
""",
    "macros": r"""
{% macro m() %}x{% endmacro %}{{ m() }}{{ m() }}
{% macro m(a, b) %}[{{ a }}|{{ b }}]{% endmacro %}{{ m(1, 2) }}{{ m(1) }}{{ m() }}{{ m(b=1) }}{{ m(b=1, a=2) }}
{% macro m(a, b=2, c='x') %}[{{ a }}|{{ b }}|{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c=4) }}
{% macro m(a, b=a) %}[{{ a }}|{{ b }}]{% endmacro %}{{ m(1) }}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}
{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}{{ m() }}
{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}body {{ s }}{% endcall %}
{% macro m() %}{{ caller('x') }}{% endmacro %}{% call(a) m() %}[{{ a }}]{% endcall %}
{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b=5) m() %}[{{ a }}{{ b }}]{% endcall %}
{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}
{% macro m() %}{% if caller %}c{% else %}n{% endif %}{% endmacro %}{{ m() }}{% call m() %}{% endcall %}
{% macro m() %}x{% endmacro %}{% call m() %}b{% endcall %}
{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}{{ m(none) }}
{% macro m(a) %}{{ a.x }}{% endmacro %}{{ m() }}
{% macro fact(n) %}{% if n <= 1 %}1{% else %}{{ n * fact(n - 1)|int }}{% endif %}{% endmacro %}{{ fact(10) }}
{% macro outer() %}{% macro inner() %}i{% endmacro %}o{{ inner() }}{% endmacro %}{{ outer() }}
{% macro m(x) %}{% for i in x %}{{ i }}{% endfor %}{% endmacro %}{{ m(l) }}{{ m([4, 5]) }}
{% macro m(x) %}  {{ x }}  {% endmacro %}[{{ m(1)|trim }}]
{% macro m() %}a{% endmacro %}{{ m() ~ 'b' }}{{ m()|upper }}{{ m() == 'a' }}{{ m()|length }}
{{ m }}{% macro m() %}{% endmacro %}{{ m }}{{ m.name }}
{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*[1, 2]) }}{{ m(**{'a': 3, 'b': 4}) }}{{ m(5, *[6]) }}{{ m(*[7], **{'b': 8}) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(*5) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(**5) }}
{% macro m(a=1, b) %}{% endmacro %}
{% macro m(a, a) %}{% endmacro %}x
{% macro %}{% endmacro %}
{% macro m %}{% endmacro %}
{% macro m( %}{% endmacro %}
{% macro m() %}
{% macro m(1) %}{% endmacro %}
{% call 5 %}{% endcall %}
{% call m %}{% endcall %}
{% macro m(caller) %}{{ caller() }}{% endmacro %}
{% macro m(caller=none) %}{{ caller() if caller else 'no' }}{% endmacro %}{{ m() }}{% call m() %}y{% endcall %}
{% macro m(kwargs) %}{{ kwargs }}{% endmacro %}{{ m(1) }}
{% macro m(a, b=[]) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, [2]) }}
{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}bb{% endmacro %}{{ a() }}
{% macro m(role, content) -%}\n<{{ role }}>{{ content }}</{{ role }}>\n{%- endmacro %}{{ m('u', s) }}
{% macro list() %}{% for x in l %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(i) list() %}<{{ i }}>{% endcall %}
{% set m = 5 %}{% macro m() %}x{% endmacro %}{{ m() }}
{% macro m() %}{{ varargs|length }}{% endmacro %}{{ m(1, 2) }}
{% macro render(v, depth=0) %}{% if v is mapping %}{% for k, w in v.items() %}{{ '  ' * depth }}{{ k }}:{{ render(w, depth + 1) }};{% endfor %}{% else %}{{ v }}{% endif %}{% endmacro %}{{ render(deep) }}
{{ f(a for a in b) }}
{{ range(1, a=2) }}
{{ d.get('a', 1, 2) }}
{{ dict(a=1, b=2) }}{{ dict({'x': 1}, y=2) }}{{ dict([('a', 1)]) }}
{{ range() }}
{{ range('a') }}
{{ range(3, 0, -1)|list }}{{ range(0)|list }}{{ range(2, 5)|list }}{{ range(0, 10, 5)|list }}
{{ range(1, 5, 0) }}
{{ range(100001) }}
{{ range(100000)|length }}
{{ range(1.5) }}
{{ raise_exception('boom') }}
{{ raise_exception() }}
{{ strftime_now('%Y-%m-%d') }}|{{ strftime_now('%d %b %Y') }}|{{ strftime_now('%H:%M:%S %B %A') }}|{{ strftime_now('') }}
{{ strftime_now() }}
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.reset() }}{{ c.next() }}
{% set j = joiner('; ') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}|{% set k = joiner() %}{{ k() }}{{ k() }}
{{ cycler() }}
{{ m(a=1, 2) }}
{{ m(*a, *b) }}
{{ m(**a, *b) }}
{{ m(1,,2) }}
{{ s.upper(1) }}
""",
    "filters_values": r"""
{{ missing|default('x') }}|{{ none|default('x') }}|{{ none|default('x', true) }}|{{ ''|default('x', boolean=true) }}|{{ s|default('x') }}|{{ missing|d('y') }}|{{ missing|default }}|{{ deep.x.q|default('z') }}
{{ 5|string }}|{{ none|string }}|{{ l|string }}|{{ true|string|upper }}|{{ missing|string }}
{{ s|length }}|{{ l|count }}|{{ d|length }}|{{ missing|length }}|{{ u|length }}|{{ range(5)|length }}|{{ ''|length }}
{{ 5|length }}
{{ none|length }}
{{ (l|map('string'))|length }}
{{ -5|abs }}|{{ (-5)|abs }}|{{ (-2.5)|abs }}|{{ true|abs }}
{{ 'x'|abs }}
{{ '5'|int }}|{{ '5.7'|int }}|{{ 'x'|int }}|{{ 'x'|int(9) }}|{{ '0x1f'|int(0, 16) }}|{{ 'ff'|int(base=16) }}|{{ '101'|int(0, 2) }}|{{ 5.9|int }}|{{ -5.9|int }}|{{ none|int }}|{{ l|int }}|{{ true|int }}|{{ ' 42 '|int }}|{{ '1_000'|int }}|{{ '-7'|int }}|{{ '+7'|int }}|{{ ''|int }}|{{ '1e3'|int }}|{{ '0x10'|int(0, 0) }}|{{ '٣'|int }}
{{ missing|int }}
{{ '5'|float }}|{{ '5.5'|float }}|{{ 'x'|float }}|{{ 'x'|float(1.5) }}|{{ 5|float }}|{{ none|float }}|{{ '1e3'|float }}|{{ ' 2.5 '|float }}|{{ 'inf'|float }}|{{ '-Infinity'|float }}|{{ 'nan'|float }}|{{ '0x1'|float }}|{{ '1_0.5'|float }}
{{ missing|float }}
{{ 'inf'|float|int }}
{{ 2.567|round }}|{{ 2.567|round(2) }}|{{ 2.5|round }}|{{ 3.5|round }}|{{ 2.1|round(method='ceil') }}|{{ 2.9|round(method='floor') }}|{{ 2.567|round(1, 'ceil') }}|{{ 42|round }}|{{ 1234|round(-2) }}|{{ 1250|round(-2) }}|{{ 1350|round(-2) }}|{{ 42.55|round(1) }}|{{ 2.675|round(2) }}|{{ 1234.5|round(-2) }}|{{ true|round }}
{{ 2.5|round(method='x') }}
{{ 'a'|round }}
{{ l|tojson }}|{{ d|tojson }}|{{ s|tojson }}|{{ none|tojson }}|{{ true|tojson }}|{{ 1.0|tojson }}|{{ u|tojson }}|{{ html|tojson }}|{{ 1e400|tojson }}|{{ (1, 2)|tojson }}|{{ []|tojson }}|{{ {}|tojson }}
{{ d|tojson(indent=2) }}|{{ nested|tojson(indent=4) }}|{{ []|tojson(indent=2) }}|{{ {'a': {}}|tojson(indent=1) }}|{{ d|tojson(indent=0) }}|{{ d|tojson(indent='--') }}
{{ d|tojson(separators=(',', ':')) }}|{{ nested|tojson(separators=(', ', ': '), indent=2) }}|{{ d|tojson(separators=[';', '=']) }}
{{ d|tojson(sort_keys=true) }}|{{ {'b': {'z': 1, 'a': 2}, 'a': 3}|tojson(sort_keys=True, indent=2) }}
{{ u|tojson(ensure_ascii=true) }}|{{ u|tojson(ensure_ascii=False) }}|{{ 'é\x7f\u2028'|tojson(true) }}
{{ '\n\r\t\b\f\x00\x1f\x7f"\\/'|tojson }}
{{ {1: 2, none: 3, true: 4, 2.5: 5}|tojson }}
{{ {(1, 2): 3}|tojson }}
{{ missing|tojson }}
{{ {'a': missing}|tojson }}
{{ range(3)|tojson }}
{{ (l|map('string'))|tojson }}
{{ d|tojson(foo=1) }}
{{ {'b': 1, 2: 3}|tojson(sort_keys=true) }}
{{ messages|tojson }}|{{ users[0]|tojson(indent=2) }}
{{ 0|filesizeformat }}|{{ 1|filesizeformat }}|{{ 999|filesizeformat }}|{{ 1000|filesizeformat }}|{{ 1048576|filesizeformat(true) }}|{{ 123456789|filesizeformat }}
{{ html|e }}|{{ html|escape }}|{{ html|safe }}|{{ html|forceescape }}|{{ none|e }}|{{ 5|safe }}
{{ 'a b&c/d?é'|urlencode }}
{{ s|attr('upper') is defined }}|{{ d|attr('a') }}|{{ d|attr('items') is callable }}
{{ [1]|pprint }}
{{ s|upper|lower|title }}
{{ 5|default(1)|string|length }}
{{ 1|string ~ 2|string }}
{{ missing|default(missing2)|default('z') }}
{{ missing|upper }}|{{ missing|trim }}|{{ missing|list }}|{{ missing|join }}|{{ missing|first is defined }}|{{ missing|last is defined }}|{{ missing|sum }}|{{ missing|sort }}|{{ missing|unique|list }}|{{ missing|reverse|list }}|{{ missing|map('upper')|list }}|{{ missing|select|list }}|{{ missing|items|list }}|{{ missing|replace('a', 'b') }}|{{ missing|e }}|{{ missing|title }}|{{ missing|wordcount }}|{{ missing|truncate }}
{{ s|default }}|{{ 0|default('x', true) }}|{{ no|default(1) }}
{{ default(5) }}
{{ s|upper() }}|{{ s|upper(1) }}
{{ s|replace }}
{{ d|items|list }}|{{ 5|items|list }}
{{ none|items|list }}
{{ 3.7|int ~ 'x' }}|{{ '3' * 3|int }}|{{ '7'|int + 1 }}
""",
    "filters_strings": r"""
{{ 'hello wORLD'|upper }}|{{ 'Hello'|lower }}|{{ 'hello wORLD'|capitalize }}|{{ 'hello wORLD foo-bar (baz) [x] {y} <z>'|title }}|{{ "it's ok"|title }}
{{ 'straße ÉCOLE ŁÓDŹ ΑΣ σΣ ßa ǆ İ ŉ ﬁ'|upper }}|{{ 'straße ÉCOLE ŁÓDŹ ΑΣ ΑΣΣ Σ ΣΑ İ'|lower }}|{{ 'éCOLE ßx ǆ привет МИР'|title }}|{{ 'éCOLE'|capitalize }}|{{ 'ǆabc'|capitalize }}
{{ 5|upper }}|{{ none|upper }}|{{ l|upper }}|{{ true|lower }}
{{ '  x  '|trim }}|{{ 'xxaxx'|trim('x') }}|{{ '\n\t x \u00a0\u3000'|trim }}|{{ 'abcba'|trim('ab') }}|{{ 5|trim }}|{{ none|trim }}|{{ ' x '|trim(none) }}
{{ 'aXbXc'|replace('X', '-') }}|{{ 'aXbXc'|replace('X', '-', 1) }}|{{ 'abc'|replace('', '-') }}|{{ 'abc'|replace('', '-', 2) }}|{{ 'aaa'|replace('aa', 'b') }}|{{ 'abc'|replace('z', 'y') }}|{{ 505|replace(5, 6) }}|{{ 'é世'|replace('世', 'x') }}|{{ 'abc'|replace('b', none) }}|{{ 'aaa'|replace('a', 'b', 0) }}|{{ ''|replace('', 'x') }}
{{ 'a'|center(5) }}|{{ 'ab'|center(5) }}|{{ 'abc'|center(6) }}|{{ 'abcdef'|center(3) }}|{{ 'x'|center|length }}
{{ lines|indent }}|{{ lines|indent(2) }}|{{ lines|indent(2, true) }}|{{ lines|indent(2, first=true, blank=true) }}|{{ lines|indent('> ') }}|{{ ''|indent }}|{{ 'a\n'|indent }}|{{ 'a\r\nb\x0bc'|indent(1) }}
{{ 5|indent }}
{{ 'a very long text here'|truncate(10) }}|{{ 'a very long text here'|truncate(10, true) }}|{{ 'a very long text here'|truncate(10, false, '..') }}|{{ 'short'|truncate(10) }}|{{ 'just over it'|truncate(10) }}|{{ 'just over it'|truncate(10, leeway=0) }}|{{ 'abcdefghijklmnop'|truncate(10, leeway=0) }}
{{ 'x'|truncate(2) }}
{{ 'one two  three'|wordcount }}|{{ 'héllo wörld_x'|wordcount }}|{{ ''|wordcount }}
{{ '%s is %d'|format('x', 5) }}|{{ '%(a)s'|format(a=1) }}|{{ '%s' % 'x' }}|{{ '%s %s' % ('a', 1) }}|{{ '%d%%' % 50 }}|{{ '%5d|%-5d|%05d|%+d' % (1, 2, 3, 4) }}|{{ '%.2f|%8.3f|%e|%g' % (1.234, 2.5, 12345.678, 0.00001) }}|{{ '%x|%X|%o|%#x' % (255, 255, 8, 255) }}|{{ '%r|%s' % ('x', 'x') }}|{{ '%c%c' % (65, 'b') }}|{{ '%10s|%-10s|%.2s' % ('ab', 'cd', 'efg') }}|{{ '%s' % none }}|{{ '%s' % [1, 2] }}|{{ '%(x)d' % {'x': 3} }}
{{ '%*d|%-*d|%.*f' % (5, 42, 5, 42, 2, 3.14159) }}|{{ '% d|% d' % (5, -5) }}|{{ '%i|%u' % (3.9, 4) }}|{{ '%5.1f%%' % 12.345 }}|{{ '%s' % ((1, 2),) }}|{{ 'x' % () }}|{{ 'x' % {} }}|{{ 'x' % [] }}
{{ '%s' % () }}
{{ '%s %s' % 'a' }}
{{ '%s' % ('a', 'b') }}
{{ '%d' % 'x' }}
{{ '%z' % 1 }}
{{ '%' % 1 }}
{{ '%(a)s' % 1 }}
{{ '%(a)s' % {} }}
{{ '%s' % missing }}|{{ '%s'|format(missing) }}|
{{ '%d' % missing }}
{{ '%s'|format(1, a=2) }}
{{ 'abc'|reverse }}|{{ u|reverse }}|{{ 'abc'|first }}|{{ 'abc'|last }}|{{ 'abc'|list }}|{{ ''|first is defined }}|{{ 'cab'|sort }}|{{ 'abc'|join('-') }}|{{ 'aab'|unique|join }}|{{ 'abc'|max }}|{{ 'abc'|min }}
{{ 'ABC'|lower == 'abc' }}|{{ s|lower|replace(' ', '_') }}|{{ s|replace('o', '0')|upper }}
{{ 'x'|foo }}
{{ '<b>'|e|upper }}|{{ '<'|e ~ '<' }}
{{ ' a '|trim|length }}|{{ (' a ' ~ s)|trim }}
{{ 'a,b'|list|length }}|{{ '日本語'|list }}
{{ 'abc'|string|upper }}|{{ ('%s' % 'é')|length }}
""",
    "filters_sequences": r"""
{{ l|sort }}|{{ l|sort(reverse=true) }}|{{ words|sort }}|{{ words|sort(case_sensitive=true) }}|{{ ['b', 'A', 'c', 'B']|sort }}|{{ ['b', 'A', 'c', 'B']|sort(true) }}|{{ [[2, 1], [1, 2]]|sort }}|{{ d|sort }}
{{ users|sort(attribute='age')|map(attribute='name')|list }}|{{ users|sort(attribute='age', reverse=true)|map(attribute='name')|list }}|{{ users|sort(attribute='age,name')|map(attribute='name')|list }}|{{ users|sort(attribute='name')|map(attribute='name')|join(',') }}|{{ nested|sort(attribute=1, reverse=true) }}|{{ nested|sort(attribute='0') }}
{{ [1, 'a']|sort }}
{{ [none, 1]|sort }}
{{ [1, 2.5, true]|sort }}
{{ users|sort(attribute='nope') }}
{{ d|dictsort }}|{{ d|dictsort(true) }}|{{ d|dictsort(by='value') }}|{{ d|dictsort(reverse=true) }}|{{ d|dictsort(false, 'value', true) }}
{{ d|dictsort(by='x') }}
{{ l|dictsort }}
{{ l|reverse|list }}|{{ range(3)|reverse|list }}|{{ (1, 2)|reverse|list }}|{{ d|reverse|list }}
{{ 5|reverse }}
{{ l|first }}|{{ l|last }}|{{ []|first is defined }}|{{ []|last is defined }}|{{ d|first }}|{{ range(5)|last }}|{{ l|map('string')|first }}|{{ users|first }}|{{ d|last }}
{{ (l|map('string'))|last }}
{{ 5|first }}
{{ none|last }}
{{ ([]|first).x }}
{{ l|join }}|{{ l|join(', ') }}|{{ l|join(1) }}|{{ users|join(', ', attribute='name') }}|{{ users|map(attribute='age')|join('+') }}|{{ [none, true, missing, 1.5]|join('|') }}|{{ d|join(',') }}|{{ []|join('x') }}
{{ 5|join }}
{{ l|list }}|{{ d|list }}|{{ 'ab'|list }}|{{ range(3)|list }}|{{ (1, 2)|list }}|{{ d.items()|list }}|{{ d.values()|list }}
{{ 5|list }}
{{ l|min }}|{{ l|max }}|{{ words|max }}|{{ words|min }}|{{ users|max(attribute='age') }}|{{ users|min(attribute='age') }}|{{ []|max is defined }}|{{ ['a', 'B']|max }}|{{ ['a', 'B']|max(true) }}
{{ [1, 'a']|max }}
{{ l|sum }}|{{ users|sum(attribute='age') }}|{{ []|sum }}|{{ l|sum(start=10) }}|{{ [1.5, 2]|sum }}|{{ nested|sum(start=[]) }}
{{ words|sum }}
{{ [3, 1, 3, 2, 1]|unique|list }}|{{ ['a', 'A', 'b']|unique|list }}|{{ ['a', 'A']|unique(true)|list }}|{{ users|unique(attribute='age')|map(attribute='name')|list }}|{{ [1, 1.0, true]|unique|list }}
{{ [[1]]|unique|list }}
{{ range(7)|batch(3)|list }}|{{ range(7)|batch(3, 'x')|list }}|{{ range(7)|slice(3)|list }}|{{ range(7)|slice(3, 'x')|list }}|{{ []|batch(2)|list }}|{{ []|slice(2)|list }}
{{ l|map('string')|list }}|{{ words|map('upper')|join }}|{{ users|map(attribute='name')|list }}|{{ users|map(attribute='ok', default='?')|list }}|{{ users|map(attribute='ok')|list }}|{{ nested|map(attribute=0)|list }}|{{ nested|map('first')|list }}|{{ nested|map('join', '-')|list }}|{{ users|map(attribute='name')|map('upper')|list }}|{{ words|map('replace', 'a', 'o')|list }}|{{ [deep]|map(attribute='x.y.z')|list }}|{{ words|map('length')|sum }}
{{ l|map|list }}
{{ l|map('nosuch')|list }}
{{ l|map('nosuch') is defined }}
{{ l|map(attribute='a', x=1)|list }}
{{ 5|map('string')|list }}
{{ 0|map('string')|list }}|{{ none|map('string')|list }}|{{ ''|select|list }}
{{ l|select('odd')|list }}|{{ l|reject('odd')|list }}|{{ l|select('>', 1)|list }}|{{ l|select('gt', 1)|list }}|{{ [0, 1, '', none, 'a']|select|list }}|{{ [0, 1, '', none, 'a']|reject|list }}|{{ l|select('in', [1, 2])|list }}|{{ words|select('equalto', 'apple')|list }}|{{ [1, 'a', 2.5]|select('string')|list }}|{{ l|select('divisibleby', 2)|list }}
{{ l|select('nosuch')|list }}
{{ users|selectattr('ok')|map(attribute='name')|list }}|{{ users|rejectattr('ok')|map(attribute='name')|list }}|{{ users|selectattr('age', 'equalto', 30)|map(attribute='name')|list }}|{{ users|selectattr('age', '==', 25)|list|length }}|{{ users|rejectattr('age', 'gt', 26)|list|length }}|{{ users|selectattr('ok', 'defined')|list|length }}|{{ messages|selectattr('role', 'eq', 'user')|map(attribute='content')|join('|') }}|{{ messages|selectattr('role', 'in', ['system', 'user'])|list|length }}
{{ users|selectattr|list }}
{{ messages|selectattr('a.b')|list }}
{{ (messages|selectattr('role', 'equalto', 'none')|list)|length == 0 }}|{{ 'y' if messages|selectattr('role', 'equalto', 'none') else 'n' }}|{{ (messages|selectattr('role', 'equalto', 'system')|first).content }}|{{ messages|selectattr('role', 'equalto', 'x')|first is defined }}
{{ users|groupby('age') }}|{% for g, us in users|groupby('age') %}{{ g }}:{{ us|map(attribute='name')|join(',') }};{% endfor %}|{{ users|groupby('ok', default='?')|list|length }}|{{ [{'k': 'b'}, {'k': 'A'}, {'k': 'a'}]|groupby('k') }}
{% for g in users|groupby('age') %}{{ g[0] }}{{ g[1]|length }}{% endfor %}
{{ l|sort|first }}|{{ (l|sort)[0] }}|{{ l|sort|join(',') }}|{{ l|map('string')|sort|join }}
{{ d|items|list }}|{{ d|items|map('first')|list }}|{{ d.items()|sort|list }}|{{ d.items()|map(attribute=0)|join }}
{{ l|length > 2 and l|first == 3 }}
{{ [1, 2]|contains(1) }}
{{ users|map(attribute='nope')|list|length }}|{{ users|map(attribute='nope')|map('default', 'q')|list }}
{{ [[1, 2], [3]]|map('sum')|list }}|{{ [1, 2, 3]|map('string')|map('int')|sum }}
{{ l|batch(2)|map('join', '')|join('|') }}
{{ messages|map(attribute='role')|unique|list }}|{{ messages|map(attribute='role')|list|last }}
{{ messages|rejectattr('role', 'equalto', 'system')|list|length }}|{{ messages|selectattr('content', 'string')|list|length }}
""",
    "methods": r"""
{{ s.upper() }}|{{ s.lower() }}|{{ s.title() }}|{{ s.capitalize() }}|{{ s.swapcase() }}|{{ "they're ok".title() }}|{{ 'ß'.casefold() }}
{{ ' x '.strip() }}|{{ ' x '.lstrip() }}|{{ ' x '.rstrip() }}|{{ 'xyx'.strip('x') }}|{{ '\n a\n'.strip('\n') }}|{{ 'abc'.lstrip('ab') }}|{{ 'abc'.rstrip('cb') }}|{{ 'x'.strip(none) }}|{{ 'ééaé'.strip('é') }}
{{ ' x '.strip(1) }}
{{ s.split() }}|{{ s.split(',') }}|{{ 'a,b,c'.split(',', 1) }}|{{ 'a  b c'.split(' ') }}|{{ ' a  b '.split() }}|{{ ''.split() }}|{{ ''.split(',') }}|{{ 'a<sep>b'.split('<sep>')[-1] }}|{{ 'a b c d'.split(none, 2) }}|{{ 'a b c d '.split(maxsplit=1) }}|{{ 'abc'.split('x') }}
{{ 'a,b,c'.rsplit(',', 1) }}|{{ 'a b  c '.rsplit() }}|{{ ' a b  c '.rsplit(none, 1) }}|{{ 'aXXbXXc'.rsplit('XX') }}|{{ 'aaa'.rsplit('aa', 1) }}|{{ 'x y z'.rsplit(' ', maxsplit=1) }}
{{ 'x'.split('') }}
{{ lines.splitlines() }}|{{ 'a\r\nb\rc\x0b\x0c\x1cd\u2028e'.splitlines() }}|{{ lines.splitlines(true) }}|{{ ''.splitlines() }}|{{ 'a\n'.splitlines() }}
{{ s.startswith('Hell') }}|{{ s.startswith('ell', 1) }}|{{ s.endswith('ld') }}|{{ s.startswith(('x', 'H')) }}|{{ s.endswith(('x', 'y')) }}|{{ ''.startswith('') }}|{{ s.startswith('l', -3) }}|{{ s.endswith('o', 0, 5) }}|{{ 'a'.startswith('', 5) }}|{{ 'a'.startswith('', 1) }}
{{ s.startswith(1) }}
{{ s.startswith(['a']) }}
{{ s.replace('l', 'L') }}|{{ s.replace('l', 'L', 1) }}|{{ 'aaa'.replace('a', '') }}|{{ 'abc'.replace('', '.') }}
{{ s.replace('a') }}
{{ s.replace('a', 1) }}
{{ s.find('o') }}|{{ s.rfind('o') }}|{{ s.find('zz') }}|{{ s.index('W') }}|{{ s.count('l') }}|{{ s.find('o', 5) }}|{{ s.find('o', 5, 7) }}|{{ 'aaaa'.count('aa') }}|{{ 'abc'.count('') }}|{{ u.find('世') }}|{{ ''.find('') }}|{{ 'abc'.rfind('') }}|{{ 'abc'.find('', 3) }}|{{ 'abc'.find('', 4) }}|{{ u.rfind('!') }}|{{ 'abcabc'.rindex('b') }}
{{ s.index('zz') }}
{{ 'abc'.isalpha() }}{{ ''.isalpha() }}{{ 'ab1'.isalnum() }}{{ '12'.isdigit() }}{{ '²'.isdigit() }}{{ '²'.isdecimal() }}{{ '½'.isnumeric() }}{{ ' \n'.isspace() }}{{ 'abc'.islower() }}{{ 'ABC'.isupper() }}{{ 'Abc Def'.istitle() }}{{ 'Abc def'.istitle() }}{{ 'é世'.isalpha() }}{{ 'abc'.isascii() }}{{ 'é'.isascii() }}{{ 'a\n'.isprintable() }}{{ '1a'.islower() }}{{ '1'.isupper() }}{{ 'x y'.isalpha() }}
{{ '-'.join(['a', 'b']) }}|{{ ''.join('abc') }}|{{ ', '.join(d) }}|{{ 'x'.join([]) }}
{{ ','.join([1]) }}
{{ 'a=b=c'.partition('=') }}|{{ 'a=b=c'.rpartition('=') }}|{{ 'abc'.partition('=') }}|{{ 'abc'.rpartition('=') }}
{{ 'abc'.partition('') }}
{{ 'x'.ljust(3) }}|{{ 'x'.rjust(3, '.') }}|{{ 'x'.center(4, '*') }}|{{ 'xx'.center(5, '*') }}|{{ '42'.zfill(5) }}|{{ '-42'.zfill(5) }}|{{ '+4'.zfill(1) }}|{{ 'a\tbc\td'.expandtabs(4) }}|{{ 'a\tb'.expandtabs() }}|{{ 'é'.ljust(3, '世') }}
{{ 'x'.ljust(3, 'ab') }}
{{ 'prefix-x'.removeprefix('prefix-') }}|{{ 'x.txt'.removesuffix('.txt') }}|{{ 'abc'.removeprefix('x') }}|{{ 'abc'.removesuffix('') }}
{{ '{} {}'.format(1, 'a') }}|{{ '{0}{1}{0}'.format('a', 'b') }}|{{ '{x}'.format(x=5) }}|{{ '{{}}'.format() }}|{{ '{:>5}|{:<5}|{:^5}'.format('a', 'b', 'c') }}|{{ '{:05d}|{:+d}|{:,}|{:x}|{:#x}|{:b}|{:o}'.format(42, 42, 1234567, 255, 255, 5, 8) }}|{{ '{:.2f}|{:8.3f}|{:e}|{:g}|{:%}|{:.1%}'.format(3.14159, 2.5, 12345.6, 0.0001, 0.5, 0.256) }}|{{ '{!r}'.format('a') }}|{{ '{0[a]}|{0[b]}'.format(d) }}|{{ '{:{}}|'.format('a', 5) }}|{{ '{:*^7}'.format('x') }}|{{ '{}'.format(none) }}|{{ '{:_}'.format(1000000) }}|{{ '{:.3}'.format('abcdef') }}|{{ '{:,.2f}'.format(1234567.891) }}|{{ '{}'.format(l) }}
{{ '{}'.format() }}
{{ '{'.format() }}
{{ '}'.format() }}
{{ '{x}'.format() }}
{{ '{} {0}'.format(1) }}
{{ '{:d}'.format('x') }}
{{ '{:s}'.format(5) }}
{{ '{:q}'.format(5) }}
{{ d.get('a') }}|{{ d.get('zz') }}|{{ d.get('zz', 'dflt') }}|{{ d.keys()|list }}|{{ d.values()|list }}|{{ d.items()|list }}|{{ d.copy() }}|{{ d.keys()|length }}|{{ 'a' in d.keys() }}|{{ 1 in d.values() }}|{{ ('a', 1) in d.items() }}
{{ d.get() }}
{{ d.get([1]) }}
{{ d.update({'x': 1}) }}
{{ d.pop('a') }}
{{ d.clear() }}
{{ d.setdefault('a', 1) }}
{{ d.update is defined }}|{{ l.append is defined }}|{{ l.append }}
{{ l.append(1) }}
{{ l.extend([1]) }}
{{ l.insert(0, 1) }}
{{ l.remove(1) }}
{{ l.reverse() }}
{{ l.sort() }}
{{ l.index(1) }}|{{ l.count(3) }}|{{ (1, 2, 1).count(1) }}|{{ (1, 2).index(2) }}|{{ l.copy() }}
{{ l.index(99) }}
{{ d.keys()[0] }}|{{ d.items()[0] is defined }}
{{ d.keys() == d.keys() }}|{{ d.keys()|first }}|{{ d.items()|first }}
{{ (s.split(',')|last).strip() }}|{{ s.split(',')[0].upper() }}|{{ s.upper().lower().title() }}
{{ 'a</think>b'.split('</think>')[-1].lstrip('\n') }}|{{ '</think>' in 'a</think>b' }}|{{ ('x</think>\n\ny'.split('</think>')|last)|trim }}
{{ s['upper']() }}|{{ d['get']('a') }}
{{ s.nosuch }}|
{{ 5.upper() }}
{{ none.get('x') }}
{{ l.get(0) }}
""",
    "tests": r"""
{{ s is defined }}{{ q is defined }}{{ none is defined }}{{ q is undefined }}{{ s is not defined }}
{{ none is none }}{{ s is none }}{{ q is none }}{{ s is not none }}{{ 0 is none }}
{{ true is boolean }}{{ 1 is boolean }}{{ true is true }}{{ 1 is true }}{{ false is false }}{{ none is false }}{{ q is boolean }}
{{ 1 is integer }}{{ true is integer }}{{ 1.0 is integer }}{{ 1.0 is float }}{{ 1 is float }}{{ 1 is number }}{{ true is number }}{{ 1.5 is number }}{{ '1' is number }}
{{ s is string }}{{ 1 is string }}{{ q is string }}{{ l is string }}
{{ d is mapping }}{{ l is mapping }}{{ s is mapping }}{{ namespace() is mapping }}
{{ l is iterable }}{{ s is iterable }}{{ d is iterable }}{{ 5 is iterable }}{{ none is iterable }}{{ q is iterable }}{{ range(3) is iterable }}{{ (l|map('string')) is iterable }}{{ true is iterable }}
{{ l is sequence }}{{ s is sequence }}{{ d is sequence }}{{ 5 is sequence }}{{ none is sequence }}{{ (1,) is sequence }}{{ range(3) is sequence }}{{ (l|map('string')) is sequence }}{{ d.items() is sequence }}
{{ range is callable }}{{ s is callable }}{{ s.upper is callable }}{{ q is callable }}{{ none is callable }}
{{ 3 is odd }}{{ 3 is even }}{{ 4 is even }}{{ -3 is odd }}{{ 0 is even }}{{ 6 is divisibleby 3 }}{{ 7 is divisibleby(3) }}{{ 2.0 is even }}
{{ 'a' is odd }}
{{ none is even }}
{{ q is odd }}
{{ 1 is eq 1 }}{{ 1 is equalto 2 }}{{ 1 is ne 2 }}{{ 1 is lt 2 }}{{ 1 is lessthan 2 }}{{ 1 is gt 0 }}{{ 1 is greaterthan 0 }}{{ 1 is ge 1 }}{{ 1 is le 1 }}{{ 1 is == 1 }}
{{ 1 is eq 1 }}{{ 1 is eq(1.0) }}{{ s is eq 'x' }}{{ 'a' is in ['a'] }}{{ 'a' is not in ['a'] }}{{ 1 is sameas 1 }}{{ none is sameas none }}{{ true is sameas true }}{{ d is sameas d }}{{ [] is sameas [] }}{{ true is sameas 1 }}
{{ 'abc' is lower }}{{ 'ABC' is upper }}{{ 'aBc' is lower }}{{ 5 is upper }}{{ '' is lower }}
{{ 'upper' is filter }}{{ 'nosuch' is filter }}{{ 'defined' is test }}{{ 'nosuch' is test }}
{{ 'x' is escaped }}
{{ 1 is lt 'a' }}
{{ 1 is in 5 }}
{{ s is nosuch }}
{{ s is defined() }}{{ s is string() }}
{{ s is divisibleby }}
{{ not s is none }}{{ s is not none and n is number }}{{ (s is none) or t }}
{{ s is string and d is mapping }}{{ s is string or q.x }}
{{ s is eq s ~ '' }}
{{ s is eq 'Hello' ~ ', World' }}
{{ n is divisibleby 7 and t }}
{{ n is eq 7 if t else 8 }}
{{ 'a' is string if t else 'b' }}
{{ messages[0].content is string }}{{ messages[0].tool_calls is defined }}{{ messages[0]['content'] is not none }}
{{ users[1].ok is defined and users[1].ok }}|{{ users[0].ok is defined and users[0].ok is true }}
{{ tools is defined and tools is not none }}|{{ tools is iterable and tools|length > 0 }}|{{ (tools is none) }}
{{ x is not not none }}
{{ d.a is number }}{{ d['a'] is eq 1 }}{{ l[0] is odd }}{{ s[0] is upper }}
{{ s is defined and is none }}
{{ 1 is number + 1 }}
{{ 5 is gt 3 == true }}
""",
    "chat": r"""
{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}
{%- set ns = namespace(last=-1) -%}{%- for m in messages -%}{%- if m.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}{{ ns.last }}
{%- for index in range(messages|length - 1, -1, -1) -%}{{ messages[index].content }},{%- endfor -%}
{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{{ content.strip() }};{% endfor %}
{%- macro render_extra(d, skip) -%}{%- for k, v in d|items if k not in skip -%}<{{ k }}>{{ v|tojson if v is mapping or (v is sequence and v is not string) else v|string }}</{{ k }}>{%- endfor -%}{%- endmacro -%}{{ render_extra(users[0], ['name']) }}{{ render_extra({'a': [1, 2], 'b': {'c': none}, 'e': 1.5}, []) }}
{%- for m in messages -%}{%- if m.content is string -%}{{ m.content }}{%- else -%}{%- for part in m.content -%}{{ part.text }}{%- endfor -%}{%- endif -%}{%- endfor -%}
{% set tool_call = {'name': 'f', 'arguments': {'a': 1, 'b': 'x'}} %}{{ '{"name": "' + tool_call.name + '", "arguments": ' }}{{ tool_call.arguments | tojson }}{{ '}' }}
{% set content = '<think>r</think>answer' %}{% if '</think>' in content %}{% set reasoning = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}{% set content = content.split('</think>')[-1].lstrip('\n') %}{% endif %}{{ reasoning }}|{{ content }}
{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join(' ') }}
{%- if not date_string is defined %}{%- set date_string = strftime_now('%d %b %Y') %}{%- endif %}{{ date_string }}
{% if tools is none or not tools %}no tools{% endif %}
{% set ns = namespace(is_first=true, out='') %}{% for m in messages %}{% if ns.is_first %}{% set ns.is_first = false %}{% else %}{% set ns.out = ns.out + '\n\n' %}{% endif %}{% set ns.out = ns.out + m.content %}{% endfor %}{{ ns.out }}
{{ '\n'.join(messages|map(attribute='content')|list) }}
{%- for k in (users[0].keys() | list | sort) %}{{ k }}:{{ users[0][k] }};{% endfor %}
{{ 'x' if (messages|last).role == 'user' and not (messages|last).tool_calls else 'y' }}
{{ (messages[-1].content|string).split(' ')[-1]|trim|capitalize }}
{% for message in messages %}{% if message.role not in ['user', 'assistant'] and not loop.first %}{{ raise_exception('bad role ' ~ message.role) }}{% endif %}{% endfor %}fine
""",
    "bounds": r"""
{{ 'a' * 10**10 }}
{{ range(10**12) }}
{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}
{% for i in range(100000) %}{% for j in range(100000) %}{% for k in range(100000) %}{% endfor %}{% endfor %}{% endfor %}
{% set ns = namespace(s='x') %}{% for i in range(64) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s|length }}
{{ 9223372036854775807 + 1 }}
{{ 99999999999999999999 }}
{{ 2 ** 64 }}
{{ 'x'.ljust(10**12) }}
{{ [1] * 10**10 }}
{{ '%999999999999d' % 1 }}
{{ '{:999999999}'.format(1) }}
""",
}


def unescape(text):
    """One template a line: \\n, \\t, \\r, \\uXXXX in the whitespace group stand for the characters."""
    return text.encode("ascii", "backslashreplace").decode("unicode-escape")


# What Jinja2 takes and the engine refuses on purpose; the case expects an error.
REFUSED = {
    "bounds", # every one: Python would build it, or run for hours
}
# Cases where Python shows an address or depends on its internals.
SKIPPED = ("object at 0x", "built-in method", "<function", "<bound method")


def build(group, text):
    cases = []
    for i, line in enumerate(text.strip("\n").split("\n")):
        template = unescape(line) if group == "whitespace" else line
        case = {"name": f"{group}.{i + 1}", "template": template}
        if group in REFUSED:
            case["error"] = True
        else:
            expected, error = jinja_oracle.render(template, json.loads(json.dumps(CONTEXT)))
            if error:
                case["error"] = True
            elif any(s in expected for s in SKIPPED):
                print(f"{case['name']}: skipped, the output depends on Python: {template}", file=sys.stderr)
                continue
            else:
                case["expected"] = expected
        cases.append(case)
    return cases


def main():
    check, bad = "--check" in sys.argv, 0
    CASES.mkdir(exist_ok=True)
    for group, text in GROUPS.items():
        path = CASES / f"{group}.json"
        data = json.dumps({"context": CONTEXT, "cases": build(group, text)}, ensure_ascii=False, indent=1) + "\n"
        if check:
            same = path.exists() and json.loads(path.read_text()) == json.loads(data)
            bad += not same
            if not same:
                print(f"{path.name}: what is stored is not what Jinja2 gives", file=sys.stderr)
        else:
            path.write_text(data)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
