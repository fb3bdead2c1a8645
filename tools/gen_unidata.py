#!/usr/bin/env python3
"""Writes src/text/tuni_data.c: the Unicode facts that Python's string methods use, taken from the Python
that runs this. Ranges are [first, last]; case maps are runs of equal distance and step.

    tools/gen_unidata.py > src/text/tuni_data.c
"""
import unicodedata

LAST = 0x110000
SURROGATES = range(0xD800, 0xE000)


def code_points():
    return (c for c in range(LAST) if c not in SURROGATES)


def ranges(pred):
    out = []
    for c in code_points():
        if not pred(chr(c)):
            continue
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def print_rows(name, ctype, rows, per_line):
    print(f"const {ctype} {name}[] = {{")
    for i in range(0, len(rows), per_line):
        print("    " + " ".join(rows[i:i + per_line]))
    print("};")
    print(f"const size_t {name}_len = sizeof {name} / sizeof {name}[0];\n")


def print_ranges(name, pred):
    print_rows(name, "UniRange", [f"{{0x{a:x}, 0x{b:x}}}," for a, b in ranges(pred)], 6)


def case_map(name, fn):
    """Runs (first, last, step, delta); what maps to several code points stands in a second table."""
    single = [(c, ord(fn(chr(c))) - c) for c in code_points() if len(fn(chr(c))) == 1 and fn(chr(c)) != chr(c)]
    runs = []
    for c, d in single:
        if runs:
            first, last, step, delta = runs[-1]
            if d == delta and ((step == 0 and c - last <= 2) or (step and c - last == step)):
                runs[-1] = (first, c, step or c - last, delta)
                continue
        runs.append((c, c, 0, d))
    print_rows(f"uni_{name}", "UniCase", [f"{{0x{a:x}, 0x{b:x}, {s or 1}, {d}}}," for a, b, s, d in runs], 4)
    special = [(c, fn(chr(c))) for c in code_points() if len(fn(chr(c))) > 1]
    rows = []
    for c, s in special:
        rows.append(f"{{0x{c:x}, {{{', '.join(hex(ord(x)) for x in s)}}}}},")
    print_rows(f"uni_{name}_special", "UniSpecial", rows, 4)


def is_cased(s):
    return unicodedata.category(s) in ("Lu", "Ll", "Lt") or s.islower() or s.isupper()


def is_case_ignorable(s):
    # What str.lower() skips when it looks for a final sigma, found by asking it.
    return ("A" + s + "\u03a3").lower()[-1] == "\u03c2" and not is_cased(s)


print("// tuni_data: tables for tuni.c. Written by tools/gen_unidata.py"
      f" from Unicode {unicodedata.unidata_version}; not edited by hand.")
print("#include \"text/tuni.h\"\n")
print("// clang-format off")
print_ranges("uni_unprintable", lambda s: not s.isprintable())
print_ranges("uni_alpha", str.isalpha)
print_ranges("uni_numeric", str.isnumeric)
print_ranges("uni_digit", str.isdigit)
print_ranges("uni_decimal", str.isdecimal)
print_ranges("uni_lowercase", str.islower)
print_ranges("uni_uppercase", str.isupper)
print_ranges("uni_titlecase", lambda s: unicodedata.category(s) == "Lt")
print_ranges("uni_case_ignorable", is_case_ignorable)
case_map("to_upper", str.upper)
case_map("to_lower", str.lower)
case_map("to_title", str.title)
case_map("to_folded", str.casefold)
print("// clang-format on")
