"""A screenshot of Textual as an SVG file that a browser opens and a line diff shows.

Rich writes the SVG for a web page: a class prefix that depends on the content, fonts from a server,
numbered classes for styles, and many elements in a line. :func:`plain_svg` keeps the picture and
drops these: each text and each background stands in a line of its own, with its style in it.
"""

import html
import re

CELL = 12.2
"""Width of a cell, in the units of Rich's SVG."""
BACKGROUND = re.compile(
    r'<rect fill="([^"]*)" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"'
    r' shape-rendering="crispEdges"/>'
)


def plain_svg(svg: str) -> str:
    """The SVG without what does not show; every cell keeps its text, style and background."""
    svg = re.sub(r"terminal-\d+-", "", svg)  # the prefix: a checksum of the whole picture
    svg = re.sub(r"\s*@font-face \{.*?\n    \}", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<clipPath id="line-\d+">.*?</clipPath>', "", svg, flags=re.DOTALL)
    svg = re.sub(r' clip-path="url\(#line-\d+\)"', "", svg)
    svg = re.sub(r"<text[^>]*>\s*</text>", "", svg)  # the ends of lines
    for name, style in re.findall(r"\.(r\d+) \{(.*?)\}", svg):
        svg = svg.replace(f'class="{name}"', _attributes(style))
    svg = re.sub(r"\.r\d+ \{.*?\}", "", svg)
    svg = _merged(svg)
    svg = re.sub(r"(?=<(?:rect|text)\b)", "\n", svg)
    lines = [line.rstrip() for line in svg.splitlines()]
    return "\n".join(line for line in lines if line) + "\n"


def text_of(svg: str) -> str:
    """The picture's text, line by line."""
    lines: dict[str, list[tuple[float, str]]] = {}
    for x, y, text in re.findall(r'<text[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>', svg):
        lines.setdefault(y, []).append((float(x), html.unescape(text)))
    rows = sorted(lines.items(), key=lambda item: float(item[0]))
    return "\n".join("".join(text for _, text in sorted(parts)) for _, parts in rows)


def _attributes(style: str) -> str:
    """CSS declarations as attributes of an element."""
    parts = [part.split(":") for part in style.split(";") if part.strip()]
    return " ".join(f'{name.strip()}="{value.strip()}"' for name, value in parts)


def _merged(svg: str) -> str:
    """The SVG with neighbouring backgrounds of one colour as one rectangle."""
    merged: list[tuple[str, str, str, int, int]] = []
    """Colour, y, height, first cell, cell after the last."""
    for colour, x, y, width, height in BACKGROUND.findall(svg):
        first = round(float(x) / CELL)
        end = first + round(float(width) / CELL)
        if merged and (*merged[-1][:3], merged[-1][4]) == (colour, y, height, first):
            first = merged.pop()[3]
        merged.append((colour, y, height, first, end))
    rects = [
        f'<rect fill="{colour}" x="{CELL * first:.5g}" y="{y}" width="{CELL * (end - first):.5g}"'
        f' height="{height}" shape-rendering="crispEdges"/>'
        for colour, y, height, first, end in merged
    ]
    found = list(BACKGROUND.finditer(svg))
    if not found:
        return svg
    return svg[: found[0].start()] + "".join(rects) + svg[found[-1].end() :]
