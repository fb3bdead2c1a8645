"""Structured output, three ways: every output of a noisy model under masks is valid; valid values written in the
documented spelling are accepted; damaged ones are not, and the check agrees with check.py on every value.
usage: walks.py SCHEMA_WALK SCHEMAS.json [OUTPUTS-FOR-AJV.json]"""
import json
import random
import re
import sys

import check
from patterns import run

PER_SCHEMA = 6


def number_in(r, s):
    lows = [s[k] for k in ("minimum", "exclusiveMinimum") if k in s]
    highs = [s[k] for k in ("maximum", "exclusiveMaximum") if k in s]
    lo = max(lows) if lows else min(highs + [0]) - 50
    hi = min(highs) if highs else max(lo, 0) + 2000
    return r.choice([lo, hi, round(r.uniform(lo, hi), r.randint(0, 3)), r.randint(int(lo), max(int(hi), int(lo)) + 1)])


def text(r, s):
    if "format" in s:
        return r.choice({"date": ["2024-02-29", "1999-12-31"], "time": ["23:59:59Z", "00:00:00.25+01:30"], "date-time": ["2024-02-29T12:00:00Z"],
                         "uuid": ["123e4567-e89b-12d3-a456-426614174000"], "email": ["a.b+c@ex-ample.co.uk", "a@b.c"], "hostname": ["a.b-c.de", "x"],
                         "ipv4": ["0.0.0.0", "255.10.9.1"], "ipv6": ["::", "::1", "2001:db8::ff", "1:2:3:4:5:6:7:8"],
                         "uri": ["https://a.b/c?d=e#f", "ftp://x"], "duration": ["P1Y2M3D", "PT5M", "P3W", "P1DT12H"]}[s["format"]])
    if "pattern" in s:
        n = re.search(r"\{(\d)\}|\{(\d),\}", s["pattern"])
        n = int(n[1] or n[2]) if n else 3
        return r.choice(["a" * n, "7" * n, "7" * n + "x", "ab" * n, "é" * n, "Zz9", "foo", "AB-1234", "555-1234", "u@v.com", "z", "xx", "a\t", "", 'a "quoted" b', "20", "b a", "X1"])
    n = r.randint(s.get("minLength", 0), min(s.get("maxLength", 12), s.get("minLength", 0) + 12))
    return "".join(r.choice("abcXYZ 019_-é日😀\"\\\n\t/") for _ in range(n))


def instance(r, s, root, depth=0):
    """A value that probably is valid, in the documented order; the caller checks."""
    if s is True or s == {}:
        return r.choice([1, "a", None, True, [1, "b"], {"k": {}}])
    if s is False:
        return None
    for key in ("anyOf", "oneOf"):
        if key in s:
            return instance(r, {**{k: v for k, v in s.items() if k != key}, **r.choice([x for x in s[key] if isinstance(x, dict)])}, root, depth)
    if "$ref" in s:
        return instance(r, {**check.resolve(s["$ref"], root), **{k: v for k, v in s.items() if k != "$ref"}}, root, depth)
    if "allOf" in s:
        merged = {k: v for k, v in s.items() if k != "allOf"}
        for x in s["allOf"]:
            for k, v in x.items():
                merged[k] = {**merged[k], **v} if k == "properties" and k in merged else merged.get(k, []) + v if k == "required" else v
        return instance(r, merged, root, depth)
    if "const" in s or "enum" in s:
        return s["const"] if "const" in s else r.choice(s["enum"])
    types = s.get("type", ["string", "integer", "object"])
    t = r.choice(types) if isinstance(types, list) else types
    if t == "null" or t == "boolean":
        return None if t == "null" else r.random() < 0.5
    if t == "integer" or t == "number":
        v = number_in(r, s)
        v = v // s["multipleOf"] * s["multipleOf"] if s.get("multipleOf", 0) >= 1 else v
        return int(v) if t == "integer" or v == int(v) else v
    if t == "string":
        return text(r, s)
    if t == "array":
        items, prefix = s.get("items", {}), s.get("prefixItems", [])
        if isinstance(items, list):
            prefix, items = items, s.get("additionalItems", {})
        lo = s.get("minItems", 0)
        n = r.randint(lo, min(s.get("maxItems", lo + 3), lo + 3)) if depth < 6 else lo
        return [instance(r, prefix[i] if i < len(prefix) else items, root, depth + 1) for i in range(n)]
    out = {}
    for k, v in s.get("properties", {}).items():
        if k in s.get("required", ()) or r.random() < (0.6 if depth < 6 else 0):
            out[k] = instance(r, v, root, depth + 1)
    more = s.get("additionalProperties", {})
    for k in [k for k in s.get("required", ()) if k not in out] + ([r.choice(["zz", "\"q\"", "ké", "na"])] if more is not False and r.random() < 0.4 else []):
        if k not in s.get("properties", {}):
            out[k] = instance(r, more, root, depth + 1)
    return out


def written(v):
    return [json.dumps(v, ensure_ascii=False, separators=x) for x in ((",", ":"), (", ", ": "))]


def damaged(r, t):
    i = r.randrange(len(t) + 1)
    return r.choice([t[:i], t[:i] + r.choice("01x\",{}[] -.é") + t[i:], t[:i] + t[i + 1 :], t[:i] + r.choice("19aZ\"e") + t[i + 1 :], " " + t, t + "0"])


def parse(t):
    def refuse(_):
        raise ValueError

    try:
        return True, json.loads(t, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False, None


def walks(walk, path, schemas, problems, keep):
    lines = run(walk, "walk", schemas, "%d" % 11, "%d" % PER_SCHEMA)
    for line in lines:
        s = schemas[line["case"]]["schema"]
        if "error" in line:
            problems.append("schema %s: %s" % (json.dumps(s), line["error"]))
            continue
        ok, v = parse(line["text"])
        keep.append({"schema": s, "text": line["text"]})
        if not ok or not check.valid(v, s):
            problems.append("schema %s: the output %r is not valid" % (json.dumps(s), line["text"]))
    return len(lines)


def acceptance(walk, schemas, problems):
    r = random.Random(5)
    cases, good = [], 0
    for c in schemas:
        s, texts = c["schema"], []
        for _ in range(25):
            v = instance(r, s, s)
            texts += [(t, check.valid(v, s)) for t in written(v)]
        texts += [(damaged(r, t), False) for t, _ in list(texts) for _ in range(2)]
        cases.append({"schema": s, "texts": [t for t, _ in texts], "good": {t for t, g in texts if g}})
    lines = run(walk, "accept", [{k: v for k, v in c.items() if k != "good"} for c in cases])
    for line in lines:
        c = cases[line["case"]]
        if "error" in line:
            problems.append("schema %s: %s" % (json.dumps(c["schema"]), line["error"]))
            continue
        t = line["text"]
        ok, v = parse(t)
        ok = ok and check.valid(v, c["schema"])
        good += t in c["good"]
        if t in c["good"] and not line["takes"]:
            problems.append("schema %s: the grammar refuses the valid %s" % (json.dumps(c["schema"]), t))
        if line["takes"] and not ok:
            problems.append("schema %s: the grammar takes the invalid %s" % (json.dumps(c["schema"]), t))
        # Numbers beyond what all readers hold aside; of e-mail addresses and URIs fewer forms are known here.
        beyond = re.search(r"e[+-]?\d{3}|\d{19}|\\ud[89ab]", t, re.I)
        stricter = ok and re.search(r'"format": "(email|uri)"', json.dumps(c["schema"]))
        if line["valid"] != ok and not beyond and not stricter:
            problems.append("schema %s: the check says %s of %s" % (json.dumps(c["schema"]), line["valid"], t))
    return len(lines), good


def main():
    schemas = json.load(open(sys.argv[2], encoding="utf-8"))
    problems, keep = [], []
    n = walks(sys.argv[1], sys.argv[2], schemas, problems, keep)
    tried, good = acceptance(sys.argv[1], schemas, problems)
    for p in problems[:40]:
        print(p)
    print("%d schemas, %d outputs of noise, %d texts tried (%d valid ones accepted), %d problems" % (len(schemas), n, tried, good, len(problems)))
    if len(sys.argv) > 3:
        json.dump(keep, open(sys.argv[3], "w", encoding="utf-8"))
    return 1 if problems or len(schemas) < 200 or n < 200 * PER_SCHEMA or good < 4000 else 0


if __name__ == "__main__":
    sys.exit(main())
