"""Patterns against Python's re: written ones and random ones, over strings near to and far from them.
usage: patterns.py SCHEMA_WALK"""
import json
import random
import re
import signal
import subprocess
import sys
import tempfile

WRITTEN = r"""
a|ab*c
^a|b$
^(a|b)$
^(?:a|bc)+$
(^a$)|(^b+$)
^$
^$|^a
a{2}
^a{2,}$
^a{0,3}b{1,2}$
^(a|b){2,4}c?$
^[a-c]+$
^[^a-c]*$
[a-]
^[\w.-]+@[\w-]+\.\w{2,4}$
^\d{3}-\d{4}$
^\D+$
^\W$
\s
^\S+(\s\S+)*$
^.$
^.+?b$
^(ab)*?$
^a.c$
^\.\*\+\?\(\)\[\]\{\}\^\$\|\\\/$
^[.*+?()\[\]{}^$|\\/-]+$
^\x41é\t?$
^(?P<x>a)b$
^((a)(b(c)))$
^a{,3}$
^x{1,b}$
^(a*)*$
^(a?){3}$
^(a?){0,40}$
^(a|aa){3,6}$
^[a-z]{20,40}$
^(?:[a-z]\d){1,30}$
^-?(0|[1-9]\d*)(\.\d+)?$
^#[0-9a-fA-F]{6}$
^(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$
^[A-Z]{2}\d{2}[A-Z0-9]{1,30}$
^\[.*\]$
^"[^"\\]*(\\.[^"\\]*)*"$
^[^\s@]+@[^\s@]+$
^日本?$
^[一-龥]+$
^[😀-😎]$
|a
^(|a)b$
^(a|)$
()
^[\d\-x]+$
^[\]]$
^[\^a]$
[^\d]$
^a]b}$
""".strip("\n").split("\n")
REFUSED = {
    r"a(?=b)": ("offset 2", "lookahead"), r"(?!a)b": ("offset 1", "lookahead"), r"(?<=a)b": ("offset 1", "lookbehind"),
    r"(?<!a)b": ("offset 1", "lookbehind"), r"\bfoo": ("offset 0", "word boundar"), r"a\B": ("offset 1", "word boundar"),
    r"(a)\1": ("offset 3", "backreference"), r"(?<n>a)\k<n>": ("offset 7", "backreference"), r"\p{L}": ("offset 0", "Unicode propert"),
    r"a^b": ("offset 1", "anchor"), r"a$b": ("offset 1", "anchor"), r"(a": ("offset 0", "parenthes"), r"a)": ("offset 1", ") without"),
    r"[a": ("offset 2", "bracket"), r"[b-a]": ("offset 1", "backwards"), r"*a": ("offset 0", "nothing to repeat"),
    r"a**": ("offset 2", "nothing to repeat"), r"a++": ("offset 2", "possessive"), r"a{3,2}": ("offset 1", "minimum"),
    r"\q": ("offset 0", "unknown escape"), r"\u12": ("offset 4", "hexadecimal"), r"(?i)a": ("offset 1", "not supported"),
    "a\\": ("offset 1", "backslash"), r"\01": ("offset 0", "octal"), r"\ud800": ("offset 2", "surrogate"),
    r"a{2000000}": ("offset 1", "1000000"), "(" * 200 + ")" * 200: ("offset", "too deep"),
}
ATOMS = ["a", "b", "c", "[ab]", "[^a]", "[a-c]", r"\d", r"\w", ".", "(a|b)", "(?:ab|c)", "é", "[é-ü]", r"\.", "x", "😀"]
QUANTIFIERS = ["", "", "", "*", "+", "?", "{2}", "{1,}", "{0,2}", "{1,3}", "*?", "+?"]
LETTERS = "aabbccdx01 .-é😀\n"


def random_pattern(r, depth=0):
    def piece():
        if depth < 3 and r.random() < 0.25:
            return "(" + random_pattern(r, depth + 1) + ")"
        return r.choice(ATOMS)

    alts = ["".join(piece() + r.choice(QUANTIFIERS) for _ in range(r.randint(0 if depth else 1, 4))) for _ in range(r.choice([1, 1, 1, 2, 3]))]
    if depth == 0:
        alts = [r.choice(["", "^"]) + x + r.choice(["", "$"]) for x in alts]
    return "|".join(alts)


def strings_for(r, pattern):
    out = {"", "a", "b", "ab", "abc", "\n", "é", "😀", "aaaa", "a.b", "1.5", "日本"}
    plain = re.sub(r"[\\^$*+?(){}|]", "", pattern)
    for _ in range(40):
        out.add("".join(r.choice(LETTERS) for _ in range(r.randint(0, 8))))
        if plain:
            out.add("".join(r.choice(plain) for _ in range(r.randint(1, 30))))
            i = r.randrange(len(plain))
            out.add(plain[i : i + r.randint(1, 12)])
    return sorted(out)


def python_of(pattern, contains):
    p = re.sub(r"((?:\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\\[$])*)\$", lambda m: m[1] + r"\Z", pattern)
    p = p.replace("^a]b}", r"^a\]b\}")
    if p.startswith("^a{,3}"):  # plain characters there
        p = r"^a\{,3\}\Z"
    if not contains:  # both ends are tied already: anchors change nothing
        p = "(?:" + p + r")\Z"
        return lambda s: re.match(p, s, re.A) is not None
    return lambda s: re.search(p, s, re.A) is not None


class Slow(Exception):
    pass


def on_alarm(*_):
    raise Slow


def judge(want, text):
    """What re says, None when it backtracks for too long (in its own time: others may keep the machine busy)."""
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.2)
        answer = want(text)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        return answer
    except Slow:
        return None


def run(walk, mode, cases, *more):
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as f:
        json.dump(cases, f)
        f.flush()
        out = subprocess.run([walk, mode, f.name, *more], capture_output=True, encoding="utf-8", timeout=600)
        if out.returncode:
            sys.exit("%s\nschema_walk failed: %d" % (out.stderr, out.returncode))
    return [json.loads(x) for x in out.stdout.splitlines()]


def main():
    r = random.Random(7)
    patterns = WRITTEN + [random_pattern(r) for _ in range(600)]
    cases = []
    for p in patterns:
        ecma = p.replace("(?P<", "(?<")
        modes = [True, False] if "^" not in p[1:] and "$" not in p[:-1] else [True]
        for contains in modes:
            cases.append({"pattern": ecma, "contains": contains, "texts": strings_for(r, p), "python": p})
    bad = n = 0
    matched = 0
    slow = set()  # patterns on which re hangs
    signal.signal(signal.SIGVTALRM, on_alarm)
    judges = [python_of(c["python"], c["contains"]) for c in cases]
    for line in run(sys.argv[1], "regex", cases):
        c = cases[line["case"]]
        n += 1
        if line["case"] in slow:
            continue
        want = None if "error" in line else judge(judges[line["case"]], line["text"])
        if want is None and "error" not in line:
            slow.add(line["case"])
            continue
        matched += bool(want)
        if "error" in line or line["takes"] != want:
            bad += 1
            print("pattern %r contains %s: %s, re says %s" % (c["pattern"], c["contains"], line, want))
    refused = [{"pattern": p, "contains": True, "texts": [""]} for p in REFUSED]
    for line in run(sys.argv[1], "regex", refused):
        p = refused[line["case"]]["pattern"]
        if "error" not in line or not all(x in line["error"] for x in REFUSED[p]):
            bad += 1
            print("pattern %r: %s, wanted an error with %s" % (p, line, REFUSED[p]))
    print("%d patterns, %d strings (%d match), %d refusals, %d wrong, %d patterns too slow for re" % (len(cases), n, matched, len(refused), bad, len(slow)))
    return 1 if bad or n < 20000 or matched < 1000 or len(slow) > 60 else 0


if __name__ == "__main__":
    sys.exit(main())
