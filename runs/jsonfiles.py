"""Plain JSON files: values that JSON can hold, and files that are never seen half written."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

RUN_HEADER = "run"
"""Key under which a run's spec.json keeps id, creation time and parent; not part of the spec."""


def plain(value: Any) -> Any:
    """``value`` with NaN and infinities, which JSON has no word for, as None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def write_json(path: Path, value: Any) -> None:
    """Write an object; readers see the old file or the new."""
    text = json.dumps(plain(value), indent=2, ensure_ascii=False)
    with replacing(path) as stream:
        stream.write(f"{text}\n".encode())


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A stream beside ``path`` that is flushed and moved into place; on an error it is dropped."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None where the file is absent, unreadable or holds no object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
