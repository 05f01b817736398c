"""Output where the terminal's encoding is not UTF-8: ``✓`` as ``ok``, ``ε`` as ``eps``.

:func:`adapt` gives stdout and stderr an encoding of their own, the one place where a character that
the terminal lacks becomes another. A longer word takes its cells from the spaces behind it, so that
the columns of a table stay where they are.
"""

import codecs
import io
import re
import unicodedata
from typing import TextIO

_PREFIX = "advtui_"
_WORDS = {
    "✓": "ok",
    "✗": "x",
    "ε": "eps",
    "L∞": "Linf",
    "∞": "inf",
    "±": "+-",
    "×": "x",
    "÷": "/",
    "…": "...",
    "–": "-",
    "—": "-",
    "−": "-",
    "·": ".",
    "°": " deg",
    "½": "1/2",
    "′": "'",
    "“": '"',
    "”": '"',
    "„": '"',
    "«": '"',
    "»": '"',
    "‘": "'",
    "’": "'",
    "‹": "<",
    "›": ">",
    "→": "->",
    "←": "<-",
    "↑": "^",
    "↓": "v",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "‖": "|",
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "η": "eta",
    "κ": "kappa",
    "λ": "lambda",
    "μ": "mu",
    "π": "pi",
    "ρ": "rho",
    "Π": "Proj",
    "Σ": "sum",
    "∇": "grad ",
    "─": "-",
    "━": "=",
    "│": "|",
    "┃": "|",
    "┈": ".",
    "╌": "-",
    "┴": "+",
    "╭": "+",
    "╮": "+",
    "╰": "+",
    "╯": "+",
    "█": "#",
    "▀": "#",
    "▄": "#",
    "▌": "#",
    "▇": "#",
    "▆": "#",
    "▅": "#",
    "▃": "_",
    "▂": "_",
    "▁": "_",
    "■": "#",
    "□": "o",
    "▥": "#",
    "▮": "#",
    "▯": "-",
    "▲": "^",
    "△": "^",
    "▸": ">",
    "►": ">",
    "▻": ">",
    "▼": "v",
    "▽": "v",
    "▾": "v",
    "◄": "<",
    "◅": "<",
    "◆": "*",
    "◇": "o",
    "◈": "*",
    "○": "o",
    "◌": "o",
    "●": "*",
    "◐": "o",
    "★": "*",
    "☆": "*",
    "✪": "*",
    "⏎": "enter",
    "⁺": "+",
    "⁻": "-",
    "₊": "+",
    "₋": "-",
}
_LONGEST_FIRST = re.compile("L∞|.", re.DOTALL)
_BLANK_BRAILLE = "\u2800"


def adapt(*streams: TextIO) -> None:
    """Let each stream that can't hold UTF-8 write plain words for the characters that it lacks."""
    for stream in streams:
        encoding = stream.encoding or "ascii"
        if is_utf8(encoding) or not isinstance(stream, io.TextIOWrapper):
            continue
        codecs.register(_search)
        stream.reconfigure(encoding=_PREFIX + codecs.lookup(encoding).name.replace("-", "_"))


def is_utf8(encoding: str | None) -> bool:
    """Whether an encoding holds every character."""
    return (encoding or "").lower().replace("_", "-").startswith("utf")


def own_encoding(stream: TextIO) -> str:
    """The encoding of the terminal behind a stream, adapted or not."""
    return (stream.encoding or "ascii").lower().removeprefix(_PREFIX)


def _search(name: str) -> codecs.CodecInfo | None:
    if not name.startswith(_PREFIX):
        return None
    base = name.removeprefix(_PREFIX)
    inner = codecs.lookup(base)

    def encode(text: str, errors: str = "strict") -> tuple[bytes, int]:  # noqa: ARG001 (a codec's)
        return in_encoding(text, base).encode(base, "replace"), len(text)

    class Encoder(codecs.IncrementalEncoder):
        def encode(self, text: str, final: bool = False) -> bytes:  # noqa: ARG002 (a codec's)
            return encode(text)[0]

    return codecs.CodecInfo(
        encode,
        inner.decode,
        incrementalencoder=Encoder,
        incrementaldecoder=inner.incrementaldecoder,
        name=name,
    )


def in_encoding(text: str, encoding: str) -> str:
    """The text with plain words for the characters that ``encoding`` lacks."""
    if _holds(text, encoding):
        return text
    return "\n".join(_line(line, encoding) for line in text.split("\n"))


def _holds(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _line(line: str, encoding: str) -> str:
    """Each longer word takes the cells that it needs from the next two or more spaces."""
    pieces = []
    owed = 0
    for piece in re.split("( {2,})", line):
        if piece.startswith("  "):
            taken = min(owed, len(piece) - 1)
            owed -= taken
            pieces.append(piece[taken:])
            continue
        plain = _LONGEST_FIRST.sub(lambda found: _word(found[0], encoding), piece)
        owed += len(plain) - len(piece)
        pieces.append(plain)
    return "".join(pieces)


def _word(text: str, encoding: str) -> str:
    if _holds(text, encoding):
        return text
    if text in _WORDS:
        return _WORDS[text]
    if "\u2800" <= text <= "\u28ff":  # dots of a chart
        return " " if text == _BLANK_BRAILLE else "."
    simpler = unicodedata.normalize("NFKD", text)
    ascii_text = simpler.encode("ascii", "ignore").decode()
    return ascii_text or "?"
