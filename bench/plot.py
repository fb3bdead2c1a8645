#!/usr/bin/env python3
"""Bars of `zaya bench --json` as an SVG: tokens/s of every run, beside what the limits of its own run allow.

    bench/plot.py OUT.svg RUN.json [RUN.json ...]
"""
import json
import sys
from html import escape

ROW, LEFT, WIDTH, TOP = 22, 290, 420, 50


def rows(paths):
    """(label, tokens/s, tokens/s that the limits allow) of all runs."""
    for path in paths:
        with open(path, encoding="utf-8") as f:
            report = json.load(f)
        for group in report["threads"]:
            for run in group["runs"]:
                at = "prompt of %d" % run["depth"] if run["kind"] == "prompt" else (
                    "generation at %d, batch %d" % (run["depth"], run["batch"]))
                threads = group["threads"]
                label = "%s, %s x %d" % (at, group["kernels"], threads)
                # the share belongs to the fastest repeat
                yield label, run["median"], run["max"] / run["share_of_limit"]


def bar(y, width, colour):
    return '<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>' % (LEFT, y, width, ROW - 6, colour)


def svg(data):
    most = max(limit for _, _, limit in data)
    height = TOP + ROW * len(data) + 10
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">'
           % (LEFT + WIDTH + 120, height),
           '<rect width="100%" height="100%" fill="white"/>',
           '<text x="10" y="20" font-size="14">tokens a second: median (blue), and what the limits measured in the '
           'same run allow (grey)</text>',
           '<text x="10" y="38" fill="#666">square roots, so that small and large bars can both be seen</text>']
    for i, (label, speed, limit) in enumerate(data):
        y = TOP + ROW * i
        out.append('<text x="%d" y="%d" text-anchor="end">%s</text>' % (LEFT - 8, y + 12, escape(label)))
        end = WIDTH * (limit / most) ** 0.5
        out.append(bar(y, end, "#dddddd"))
        out.append(bar(y, WIDTH * (speed / most) ** 0.5, "#3b75af"))
        out.append('<text x="%.1f" y="%d">%.1f of %.0f</text>' % (LEFT + end + 6, y + 12, speed, limit))
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    data = list(rows(sys.argv[2:]))
    if not data:
        sys.exit("plot.py: no runs in these files")
    with open(sys.argv[1], "w", encoding="utf-8") as f:
        f.write(svg(data))


main()
