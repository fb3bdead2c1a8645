"""A validator for the supported part of JSON schema, written apart from the C one: valid(value, schema)."""
import datetime
import re
from fractions import Fraction
from urllib.parse import unquote


class Unsupported(Exception):
    pass


def type_of(v):
    if v is None:
        return {"null"}
    if isinstance(v, bool):
        return {"boolean"}
    if isinstance(v, int) or (isinstance(v, float) and v == int(v)):
        return {"integer", "number"}
    if isinstance(v, float):
        return {"number"}
    return {"string"} if isinstance(v, str) else {"array"} if isinstance(v, list) else {"object"}


def same(a, b):
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a == b


def ecma(pattern):
    """A pattern for Python's re: only the end anchor differs for the patterns in use."""
    return re.sub(r"(?<!\\)\$", r"\\Z", pattern)


def is_date(s):
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", s, re.A):
        return False
    if s.startswith("0000"):  # Python has no year 0; it would be a leap year
        s = "0004" + s[4:]
    try:
        datetime.date.fromisoformat(s)
        return True
    except ValueError:
        return False


def is_time(s):
    m = re.fullmatch(r"(\d\d):(\d\d):(\d\d)(\.\d+)?(Z|[+-](\d\d):(\d\d))", s, re.A)
    return bool(m) and int(m[1]) < 24 and int(m[2]) < 60 and int(m[3]) < 60 and (m[5] == "Z" or (int(m[6]) < 24 and int(m[7]) < 60))


def is_ipv4(s):
    p = s.split(".")
    return len(p) == 4 and all(re.fullmatch(r"0|[1-9]\d{0,2}", x, re.A) and int(x) < 256 for x in p)


def is_ipv6(s):
    if s.count("::") > 1 or ":::" in s:
        return False
    groups = [g for part in s.split("::") for g in part.split(":") if part]
    full = len(groups) <= 7 if "::" in s else len(groups) == 8
    return full and all(re.fullmatch(r"[0-9A-Fa-f]{1,4}", g) for g in groups)


LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
FORMATS = {
    "date": is_date,
    "time": is_time,
    "date-time": lambda s: len(s) > 11 and s[10] == "T" and is_date(s[:10]) and is_time(s[11:]),
    "duration": lambda s: bool(re.fullmatch(r"P(?!$)((\d+W)|(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?)", s, re.A)),
    "uuid": lambda s: bool(re.fullmatch(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", s)),
    "email": lambda s: bool(re.fullmatch(r"[^@\s\"]+@(%s\.)+%s" % (LABEL, LABEL), s)),
    "hostname": lambda s: bool(re.fullmatch(r"%s(\.%s)*" % (LABEL, LABEL), s)),
    "ipv4": is_ipv4,
    "ipv6": is_ipv6,
    "uri": lambda s: bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+", s)),
}


def resolve(ref, root):
    v = root
    for step in ref[2:].split("/") if ref != "#" else []:
        step = unquote(step).replace("~1", "/").replace("~0", "~")
        v = v[int(step)] if isinstance(v, list) else v[step]
    return v


def numbers(v, s):
    if v < s.get("minimum", v) or v > s.get("maximum", v):
        return False
    if "exclusiveMinimum" in s and v <= s["exclusiveMinimum"] or "exclusiveMaximum" in s and v >= s["exclusiveMaximum"]:
        return False
    if "multipleOf" in s and Fraction(repr(v)) % Fraction(repr(s["multipleOf"])) != 0:
        return False
    return s.get("format") != "int32" or -(2**31) <= v < 2**31


def strings(v, s):
    if not s.get("minLength", 0) <= len(v) <= s.get("maxLength", len(v)):
        return False
    if "pattern" in s and not re.search(ecma(s["pattern"]), v, re.A):
        return False
    return "format" not in s or s["format"] not in FORMATS or FORMATS[s["format"]](v)


def objects(v, s, root):
    if not s.get("minProperties", 0) <= len(v) <= s.get("maxProperties", len(v)):
        return False
    if any(k not in v for k in s.get("required", ())):
        return False
    props, other = s.get("properties", {}), s.get("additionalProperties", True)
    return all(valid(x, props.get(k, other) if k in props else other, root) for k, x in v.items())


def arrays(v, s, root):
    if not s.get("minItems", 0) <= len(v) <= s.get("maxItems", len(v)):
        return False
    items = s.get("items", True)
    prefix = items if isinstance(items, list) else s.get("prefixItems", [])
    rest = s.get("additionalItems", True) if isinstance(items, list) else items
    return all(valid(x, prefix[i] if i < len(prefix) else rest, root) for i, x in enumerate(v))


def valid(v, s, root=None):
    root = s if root is None else root
    if isinstance(s, bool):
        return s
    if "$ref" in s and not valid(v, resolve(s["$ref"], root), root):
        return False
    if "type" in s:
        types = [s["type"]] if isinstance(s["type"], str) else s["type"]
        if not type_of(v) & set(types):
            return False
    if "const" in s and not same(v, s["const"]) or "enum" in s and not any(same(v, x) for x in s["enum"]):
        return False
    if isinstance(v, str) and not strings(v, s):
        return False
    if isinstance(v, (int, float)) and not isinstance(v, bool) and not numbers(v, s):
        return False
    if isinstance(v, dict) and not objects(v, s, root) or isinstance(v, list) and not arrays(v, s, root):
        return False
    if not all(valid(v, x, root) for x in s.get("allOf", ())):
        return False
    if "anyOf" in s and not any(valid(v, x, root) for x in s["anyOf"]):
        return False
    return "oneOf" not in s or sum(valid(v, x, root) for x in s["oneOf"]) == 1
