"""Writes schemas.json: schemas of rising difficulty, some written, the rest made by chance from a fixed seed.
usage: make_schemas.py > schemas.json"""
import json
import random
import sys


def obj(props, required=None, more=False, **kw):
    s = {"type": "object", "properties": props, "required": list(props) if required is None else required}
    if more is not None:
        s["additionalProperties"] = more
    return {**s, **kw}


STR, INT, NUM, BOOL, NULL = ({"type": t} for t in ("string", "integer", "number", "boolean", "null"))
TREE = {"$ref": "#/$defs/tree", "$defs": {"tree": obj({"value": INT, "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}})}}
LINKED = obj({"v": STR, "next": {"anyOf": [{"$ref": "#"}, NULL]}}, ["v"])
EXPR = {"$ref": "#/$defs/e", "$defs": {
    "e": {"oneOf": [{"$ref": "#/$defs/num"}, {"$ref": "#/$defs/op"}, {"$ref": "#/$defs/call"}]},
    "num": obj({"kind": {"const": "num"}, "value": NUM}),
    "op": obj({"kind": {"const": "op"}, "op": {"enum": ["+", "-", "*", "/"]}, "left": {"$ref": "#/$defs/e"}, "right": {"$ref": "#/$defs/e"}}),
    "call": obj({"kind": {"const": "call"}, "name": {"type": "string", "pattern": "^[a-z_][a-z0-9_]{0,15}$"}, "args": {"type": "array", "items": {"$ref": "#/$defs/e"}, "maxItems": 3}})}}

WRITTEN = [
    {}, True, STR, INT, NUM, BOOL, NULL, {"type": "array"}, {"type": "object"}, {"type": ["string", "null"]}, {"type": ["integer", "boolean"]},
    {"title": "t", "description": "d", "default": 1, "examples": [1], "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "integer"},
    {"enum": ["red", "green", "blue"]}, {"enum": [1, 2.5, "x", None, True, [1, {"a": "b"}], {"k": [], "l": {}}]}, {"const": "only"}, {"const": {"a": [1, 2]}},
    {"const": "q\"uo\\te\n\u0001é😀"}, {"enum": ["a", "ab", "abc", "b", ""]}, {"type": "string", "enum": ["a", 1, "b"]},
    {"type": "integer", "minimum": 0}, {"type": "integer", "minimum": 1, "maximum": 10}, {"type": "integer", "minimum": -20, "maximum": -3},
    {"type": "integer", "minimum": -105, "maximum": 1234567}, {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 2}, {"type": "integer", "maximum": 0},
    {"type": "integer", "minimum": 99, "maximum": 101}, {"type": "integer", "minimum": 0.5, "maximum": 3.5}, {"type": "integer", "minimum": 1000000000000},
    {"type": "integer", "multipleOf": 5}, {"type": "integer", "multipleOf": 7, "minimum": -30, "maximum": 100}, {"type": "integer", "multipleOf": 250, "minimum": 0, "maximum": 10000},
    {"type": "integer", "format": "int32"}, {"type": "integer", "format": "int64"},
    {"type": "number", "minimum": 0, "maximum": 1}, {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, {"type": "number", "minimum": -1.5, "maximum": 2.25},
    {"type": "number", "minimum": 0.1, "maximum": 0.125}, {"type": "number", "maximum": -0.001}, {"type": "number", "exclusiveMinimum": 99.99, "maximum": 100},
    {"type": "number", "minimum": 3.14159, "maximum": 3.1416}, {"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 1000}, {"type": "number", "multipleOf": 10, "maximum": 500, "minimum": -500},
    {"type": "number", "minimum": -90, "maximum": 90}, {"type": "number", "exclusiveMinimum": -0.5, "exclusiveMaximum": 0.5},
    {"type": "string", "minLength": 1}, {"type": "string", "maxLength": 5}, {"type": "string", "minLength": 3, "maxLength": 3}, {"type": "string", "minLength": 20, "maxLength": 200},
    {"type": "string", "pattern": "^[A-Z]{2}-\\d{4}$"}, {"type": "string", "pattern": "foo"}, {"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "z$"},
    {"type": "string", "pattern": "^(\\([0-9]{3}\\))?[0-9]{3}-[0-9]{4}$"}, {"type": "string", "pattern": "\\S", "maxLength": 20}, {"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 6},
    {"type": "string", "pattern": "^.*\"quoted\".*$", "maxLength": 40}, {"type": "string", "pattern": "^\\w+@\\w+\\.com$"}, {"type": "string", "pattern": "^$|^x{2,4}$"},
    {"type": "string", "pattern": "^[^\"\\\\]*$", "maxLength": 12}, {"type": "string", "pattern": "^[\\t\\n\"\\\\a]{1,8}$"},
    {"allOf": [{"type": "string", "pattern": "a"}, {"pattern": "b"}, {"maxLength": 10}]},
] + [{"type": "string", "format": f} for f in ("date", "time", "date-time", "duration", "uuid", "email", "hostname", "ipv4", "ipv6", "uri")] + [
    {"type": "string", "format": "date", "pattern": "^20"}, {"type": "string", "format": "email", "maxLength": 30},
    {"type": "array", "items": INT}, {"type": "array", "items": BOOL, "minItems": 2, "maxItems": 4}, {"type": "array", "items": STR, "maxItems": 0}, {"type": "array", "items": False},
    {"type": "array", "prefixItems": [STR, INT], "items": False}, {"type": "array", "prefixItems": [STR, INT], "minItems": 2, "items": BOOL, "maxItems": 5},
    {"type": "array", "prefixItems": [BOOL, BOOL, BOOL], "minItems": 1, "maxItems": 2}, {"type": "array", "items": {"type": "array", "items": {"type": "array", "items": INT}}},
    {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 20, "maxItems": 30}, {"type": "array", "items": [STR, INT], "additionalItems": False}, {"type": "array", "uniqueItems": False, "items": NULL, "maxItems": 3},
    obj({"name": STR, "age": INT}), obj({"a": INT, "b": INT, "c": INT}, []), obj({"a": INT, "b": INT, "c": INT}, ["b"]), obj({"a": INT, "b": STR}, ["a"], None), obj({"a": INT}, [], {"type": "boolean"}),
    obj({}, []), {"type": "object", "additionalProperties": INT}, {"type": "object", "additionalProperties": False}, {"type": "object", "required": ["x", "y"], "additionalProperties": INT},
    {"type": "object", "additionalProperties": STR, "minProperties": 1, "maxProperties": 3}, obj({"a": INT, "b": INT, "c": INT, "d": INT}, [], minProperties=2, maxProperties=3),
    obj({"a": INT, "b": INT}, ["a"], True, maxProperties=3), obj({"key": INT, "ke": INT, "keys": INT, "": INT, "é\"\n": INT}, [], {"type": "null"}), obj({"a": False, "b": INT}, ["b"]),
    obj({"address": obj({"street": STR, "city": STR, "zip": {"type": "string", "pattern": "^\\d{5}$"}}), "tags": {"type": "array", "items": STR, "maxItems": 5}}),
    {"properties": {"a": INT}}, {"required": ["a"]}, {"minLength": 3}, {"minimum": 5}, {"items": INT, "type": ["array", "integer"]},
    {"anyOf": [STR, INT]}, {"anyOf": [obj({"a": INT}), obj({"b": STR})]}, {"oneOf": [STR, INT, NULL]}, {"oneOf": [{"type": "integer", "maximum": 5}, {"type": "integer", "minimum": 6}]},
    {"oneOf": [obj({"kind": {"const": "a"}, "x": INT}), obj({"kind": {"const": "b"}, "y": STR}), obj({"kind": {"enum": ["c", "d"]}})]}, {"oneOf": [obj({"a": INT}), obj({"b": INT})]},
    {"allOf": [{"type": "object", "properties": {"a": INT}, "required": ["a"]}, {"properties": {"b": STR}, "required": ["b"]}, {"properties": {"a": {"minimum": 3}}}]},
    {"allOf": [INT, {"minimum": 3}, {"maximum": 9}]}, {"type": "object", "properties": {"k": {"type": "string"}}, "anyOf": [{"required": ["k"]}, {"required": ["l"]}], "additionalProperties": INT},
    {"allOf": [{"anyOf": [STR, INT]}, {"anyOf": [INT, BOOL]}]}, {"enum": ["a", "bb", "ccc"], "minLength": 2}, {"type": ["string", "integer"], "enum": ["a", 1, None]}, {"anyOf": [{"const": 1}, {"const": "x"}], "type": "string"},
    {"$ref": "#/$defs/a~1b", "$defs": {"a/b": INT}}, {"$ref": "#/definitions/x%20y", "definitions": {"x y": BOOL}}, {"$defs": {"p": {"type": "integer", "minimum": 1}}, **obj({"x": {"$ref": "#/$defs/p", "maximum": 9}, "y": {"$ref": "#/properties/x"}})},
    TREE, LINKED, EXPR, {"anyOf": [INT, {"type": "array", "items": {"$ref": "#"}}]},
    {"$defs": {"json": {"anyOf": [STR, NUM, BOOL, NULL, {"type": "array", "items": {"$ref": "#/$defs/json"}}, {"type": "object", "additionalProperties": {"$ref": "#/$defs/json"}}]}}, "$ref": "#/$defs/json"},
    obj({"%s%d" % (c, i): [INT, BOOL, STR, NULL][i % 4] for c in "abcdefgh" for i in range(5)}, ["a0", "h4"]), obj({"steps": {"type": "array", "items": obj({"explanation": STR, "output": STR}), "minItems": 1}, "final_answer": STR}),
    obj({"location": {"type": "string", "description": "City and country"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}, "days": {"type": "integer", "minimum": 1, "maximum": 14}}, ["location"]),
    obj({"id": {"type": "string", "format": "uuid"}, "created": {"type": "string", "format": "date-time"}, "price": {"type": "number", "minimum": 0, "multipleOf": 0.01}, "status": {"enum": ["new", "paid", "sent"]}, "note": {"type": ["string", "null"], "maxLength": 40}}),
    {"x-internal": {"a": 1}, "$comment": "c", "deprecated": True, "readOnly": False, "type": "boolean"},
]


def scalar(r):
    kind = r.randrange(12)
    lo = r.randint(-1000, 1000)
    if kind < 2:
        return r.choice([STR, INT, NUM, BOOL, NULL])
    if kind == 2:
        return {"type": "integer", "minimum": lo, "maximum": lo + r.choice([0, 1, 9, 100, 12345])}
    if kind == 3:
        step = r.choice([1, 10, 100, 1000])
        return {"type": "number", r.choice(["minimum", "exclusiveMinimum"]): lo / step, r.choice(["maximum", "exclusiveMaximum"]): (lo + r.randint(1, 500)) / step}
    if kind == 4:
        n = r.randint(0, 6)
        return {"type": "string", "minLength": n, "maxLength": n + r.choice([0, 1, 5, 50])}
    if kind == 5:
        return {"type": "string", "pattern": r.choice(["^[a-z]{%d,}$", "^\\d{%d}$", "[0-9]{%d}x", "^(ab|c){%d}", "^[^,;]{%d}$", "é{%d}$"]) % r.randint(1, 9)}
    if kind == 6:
        return {"enum": r.sample(["one", "two", "three", 1, 2, 3.5, None, True, "vier", "ünf"], r.randint(1, 6))}
    if kind == 7:
        return {"type": "string", "format": r.choice(["date", "time", "date-time", "uuid", "ipv4", "email"])}
    if kind == 8:
        return {"type": r.sample(["string", "integer", "boolean", "null", "number"], 2)}
    if kind == 9:
        return {"const": r.choice([0, -1, "k", "", False, None, 1.25])}
    if kind == 10:
        return {"type": "integer", "multipleOf": r.choice([2, 3, 10, 25]), "minimum": lo}
    return {"type": "string", "pattern": r.choice(["\\w", "^\\S+$", "[A-Z]", "\\d$"]), "maxLength": r.randint(3, 20)}


def schema(r, depth):
    if depth == 0 or r.random() < 0.25:
        return scalar(r)
    kind = r.randrange(9)
    if kind < 4:
        names = r.sample(["id", "name", "value", "kind", "x", "y", "items", "next", "a b", "größe", "data"], r.randint(1, 5))
        s = {"type": "object", "properties": {n: schema(r, depth - 1) for n in names}, "required": r.sample(names, r.randint(0, len(names)))}
        more = r.randrange(4)
        if more < 2:
            s["additionalProperties"] = False
        elif more == 2:
            s["additionalProperties"] = scalar(r)
        return s
    if kind < 6:
        s = {"type": "array", "items": schema(r, depth - 1)}
        if r.random() < 0.5:
            s["minItems"] = r.randint(0, 3)
            s["maxItems"] = s["minItems"] + r.randint(0, 3)
        if r.random() < 0.3:
            s["prefixItems"] = [scalar(r) for _ in range(r.randint(1, 3))]
        return s
    if kind == 6:
        return {"anyOf": [schema(r, depth - 1) for _ in range(r.randint(2, 3))]}
    if kind == 7:
        return {"oneOf": [{"type": "object", "properties": {"type": {"const": t}, "v": schema(r, depth - 1)}, "required": ["type", "v"]} for t in r.sample(["p", "q", "r", "s"], 2)]}
    a, b = schema(r, depth - 1), {"description": "joined"}
    return {"allOf": [a, b]}


def main():
    r = random.Random(2024)
    cases = [{"schema": s} for s in WRITTEN]
    for i in range(130):
        cases.append({"schema": schema(r, 1 + i // 45)})
    sys.stdout.write("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases) + "\n]\n")


if __name__ == "__main__":
    main()
