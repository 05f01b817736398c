"""Output of the commands without Rich: lines, JSON, and the home that they are about."""

import json
import sys
from pathlib import Path

from runs.jsonfiles import plain
from runs.store import Store
from tui.render.plain_ascii import is_utf8
from tui.render.text import clean, escaped


def say(text: str) -> None:
    """Print a line for a person, on stderr."""
    print(clean(text, 2000), file=sys.stderr, flush=True)


def print_json(value: object, *, indent: int | None = 2) -> None:
    """Print a value as JSON, the same in every encoding: ``indent`` None in one line.

    Infinities, which JSON lacks, are null; what a terminal may obey is escaped.
    """
    in_ascii = not is_utf8(sys.stdout.encoding)
    text = json.dumps(plain(value), indent=indent, ensure_ascii=in_ascii)
    print(escaped(text), flush=True)


def print_formatted(text: str, format_: str) -> None:
    """Print a table in one of its formats; JSON says the same in every encoding."""
    if format_ == "json" and not is_utf8(sys.stdout.encoding):
        text = json.dumps(json.loads(text), indent=2) + "\n"
    print(escaped(text) if format_ == "json" else text, end="")


def open_store(home: Path | None) -> Store:
    """The home named by the option, else by the environment, else the default home."""
    return Store(home.expanduser() if home else None)
