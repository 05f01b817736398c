# ruff: noqa: ARG001 - all ways take the same arguments
"""Ways in which a file of a run's folder may not be what its worker wrote."""

import json
import os
import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILES = (
    *("spec.json", "meta.json", "result.json", "launch.json"),
    *("events.jsonl", "worker.log", "lock", "outcomes.npz", "examples.npz"),
)
"""The files that a reader of a run opens."""
JUNK: tuple[Any, ...] = (
    None,
    True,
    "",
    "\udc80 half of a pair",
    "\x1b[2J\x1b]0;owned\x07",
    "x" * 10_000,
    "../../../etc/passwd",
    -1,
    0,
    10**400,
    1e308,
    float("inf"),
    float("nan"),
    [],
    ["a", 1, None],
    {},
    {"state": "completed"},
)
"""Values of other types and sizes than expected."""


def damage(file: Path, rng: random.Random) -> str:
    """Damage a file in one way; returns what was done."""
    ways = OBJECTS if rng.random() < 0.5 or file.suffix not in (".json", ".jsonl") else VALUES
    way = rng.choice(ways)
    content = file.read_bytes() if file.is_file() else b"{}"
    if file.is_file():
        file.unlink()
    way(file, content, rng)
    return f"{way.__name__} {file.name}"


Way = Callable[[Path, bytes, random.Random], object]


def a_pipe(file: Path, content: bytes, rng: random.Random) -> None:
    os.mkfifo(file)


def a_socket(file: Path, content: bytes, rng: random.Random) -> None:
    here = Path.cwd()
    os.chdir(file.parent)  # the path of a socket has a length of its own
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(file.name)
    finally:
        os.chdir(here)


def a_folder(file: Path, content: bytes, rng: random.Random) -> None:
    file.mkdir()


def a_device(file: Path, content: bytes, rng: random.Random) -> None:
    file.symlink_to(rng.choice(["/dev/zero", "/dev/full", "/dev/tty", "/dev/stdin"]))


def a_link_to_itself(file: Path, content: bytes, rng: random.Random) -> None:
    file.symlink_to(file.name)


def absent(file: Path, content: bytes, rng: random.Random) -> None:
    pass


def unreadable(file: Path, content: bytes, rng: random.Random) -> None:
    file.write_bytes(content)
    file.chmod(0)


def noise(file: Path, content: bytes, rng: random.Random) -> None:
    file.write_bytes(rng.randbytes(rng.choice([1, 100, 5000])))


def cut_short(file: Path, content: bytes, rng: random.Random) -> None:
    file.write_bytes(content[: rng.randrange(len(content) + 1)])


def flipped(file: Path, content: bytes, rng: random.Random) -> None:
    damaged = bytearray(content or b"\0")
    for _ in range(rng.choice([1, 10])):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    file.write_bytes(damaged)


def nested(file: Path, content: bytes, rng: random.Random) -> None:
    file.write_bytes(b'{"a":' * 100_000 + b"\n")


def in_utf16(file: Path, content: bytes, rng: random.Random) -> None:
    file.write_bytes(content.decode("utf-8", "replace").encode("utf-16"))


def of_another_type(file: Path, content: bytes, rng: random.Random) -> None:
    file.write_text(json.dumps(rng.choice(JUNK)) + "\n", encoding="utf-8")


def with_junk(file: Path, content: bytes, rng: random.Random) -> None:
    """Some values of some objects are replaced."""
    lines = content.decode().splitlines() if file.suffix == ".jsonl" else [content.decode()]
    changed = set(rng.sample(range(len(lines)), min(len(lines), rng.choice([1, 3]))))
    texts = []
    for number, line in enumerate(lines):
        value = json.loads(line)
        if number in changed:
            value = _replaced(value, rng)
        texts.append(json.dumps(value))
    file.write_text("\n".join(texts) + "\n", encoding="utf-8")


def _replaced(value: Any, rng: random.Random) -> Any:
    """A copy in which one value, at any depth, is another."""
    inside = list(value.items()) if isinstance(value, dict) else []
    inside += list(enumerate(value)) if isinstance(value, list) else []
    if not inside or rng.random() < 0.15:
        return rng.choice(JUNK)
    place, part = rng.choice(inside)
    copy = value.copy()
    copy[place] = _replaced(part, rng)
    return copy


OBJECTS: tuple[Way, ...] = (
    *(a_pipe, a_socket, a_folder, a_device, a_link_to_itself, absent),
    *(unreadable, noise, cut_short, flipped),
)
VALUES: tuple[Way, ...] = (nested, in_utf16, of_another_type, *[with_junk] * 6)
