"""Makes text from files harmless for a terminal, and figures short for a person."""

import re
import time
from collections.abc import Mapping
from typing import Any

# C0 and C1 controls, characters that reorder or hide text, and halves of surrogate pairs.
_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def clean(text: object, limit: int = 300) -> str:
    """One harmless line: controls and bidirectional marks become ``·``, a long text is cut."""
    line = _HARMFUL.sub("·", str(text))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def escaped(text: str) -> str:
    r"""JSON in which what :func:`clean` replaces stands as ``\u009b``: the same value."""
    return text if text.isascii() and "\x7f" not in text else _IN_JSON.sub(_escape, text)


_IN_JSON = re.compile(f"(?!\n){_HARMFUL.pattern}")


def _escape(sign: re.Match[str]) -> str:
    return f"\\u{ord(sign[0]):04x}"


def cells(text: str) -> int:
    """The cells that a text without controls takes in a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def by_words(text: object, limit: int) -> str:
    """:func:`clean`, but a long text ends with a whole word, where its first one fits."""
    line = clean(text)
    if len(line) <= limit:
        return line
    end = line.rfind(" ", 0, limit - 1)
    return f"{line[:end]} …" if end > 0 else clean(line, limit)


def keeping_row(text: object, limit: int) -> str:
    """:func:`clean`, but a run's name is cut before the row: ``a long na…: Best robust``."""
    line = clean(text)
    name, colon, row = line.rpartition(": ")
    room = limit - len(colon) - len(row)
    return clean(line, limit) if room < 2 or not colon else f"{clean(name, room)}{colon}{row}"


_LEVEL = re.compile(r" ε \S+( \S+)?$")


def keeping_eps(text: object, limit: int) -> str:
    """:func:`clean`, but a name is cut before its ε and stage: ``pgd-untar… ε 16/255``."""
    line = clean(text)
    level = _LEVEL.search(line)
    if level is None or len(line) <= limit or level.end() - level.start() >= limit:
        return clean(line, limit)
    return clean(line[: level.start()], limit - (level.end() - level.start())) + level.group()


def duration(seconds: float | None) -> str:
    """``42 s``, ``3 m 05 s``, ``1 h 02 m``, ``2 d 03 h``; a dash for None."""
    if seconds is None:
        return "–"
    whole = max(0, round(seconds))
    for unit, size, below in (("d", 86_400, "h"), ("h", 3600, "m"), ("m", 60, "s")):
        if whole >= size:
            rest = whole % size // {"h": 3600, "m": 60, "s": 1}[below]
            return f"{whole // size} {unit} {rest:02d} {below}"
    return f"{whole} s"


def time_words(worked: float | None, waited: float | None, *, is_live: bool) -> str:
    """``took 36 s, waited 3 s``; of a live run ``working for 36 s``, or ``waiting for 3 s``.

    A wait below a second is left out, as is everything that is None.
    """
    waits = waited is not None and waited >= 1
    if worked is None:
        words = "waiting for" if is_live else "waited"
        return f"{words} {duration(waited)}" if waits else ""
    line = f"{'working for' if is_live else 'took'} {duration(worked)}"
    return f"{line}, waited {duration(waited)}" if waits else line


def speed(result: Mapping[str, Any]) -> str | None:
    """Speed of a training: ``5,120 images/s, 28.1 TFLOP/s, …``; None where it was not counted."""
    keys = ("images_per_second", "flops_per_second", "flop_utilisation")
    images, flops, share = (result.get(key) for key in keys)
    if not (
        isinstance(images, int | float)
        and isinstance(flops, int | float)
        and isinstance(share, int | float)
    ):
        return None
    words = f"{images:,.0f} images/s, {flops / 1e12:.3g} TFLOP/s, "
    words += f"{100 * share:.0f} % of a large matrix product"
    each = result.get("seconds_per_epoch")
    return f"{words}, {each:,.1f} s an epoch" if isinstance(each, int | float) else words


def ago(moment: float) -> str:
    """The time since a unix time, as :func:`duration` words it."""
    return duration(time.time() - moment)


def percent(share: float | None) -> str:
    """A share of 1 as ``61.5``; a dash for None."""
    return "–" if share is None else f"{100 * share:.1f}"


def megabytes(count: float) -> str:
    """Bytes as ``37.5 MB``."""
    return f"{count / 1e6:.1f} MB"


def short_ago(moment: float, now: float) -> str:
    """The time from a unix time to ``now``, in one unit: ``7 m``, ``3 h``, ``12 d``."""
    seconds = max(0, round(now - moment))
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def home_short(path: object) -> str:
    """A path with ``~`` for the user's home folder."""
    from pathlib import Path

    whole, own = str(path), str(Path.home())
    return "~" + whole[len(own) :] if whole == own or whole.startswith(own + "/") else whole


def run_count(number: int) -> str:
    """``1 run``, ``3 runs``."""
    return f"{number} run{'' if number == 1 else 's'}"
