"""JSON files: values that JSON can hold, and files that no reader sees half written."""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from runs.regular_files import open_regular
from runs.storage import sync_folder, writing

RUN_ID = r"\d{8}-\d{6}-[a-z]+-[0-9a-f]{4}"
"""Pattern of a run's id, which is the name of its folder: ``20261122-184001-robust-9f3c``."""
RUN_HEADER = "run"
"""Key of the id, creation time, parent and role in spec.json; not a field of the spec."""


def plain(value: Any) -> Any:
    """``value`` as JSON in UTF-8 can hold it.

    NaN and infinities become None. Bytes of an argument that the locale could not decode are read
    as UTF-8; halves of surrogate pairs become question marks.
    """
    if isinstance(value, str):
        return value if value.isascii() else _in_utf8(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _in_utf8(text: str) -> str:
    try:
        content = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        content = text.encode("utf-8", "replace")
    return content.decode("utf-8", "replace")


def write_json(path: Path, value: Any) -> None:
    """Replace a file by an object; a reader sees the old file or the new one."""
    content = f"{json.dumps(plain(value), indent=2, ensure_ascii=False)}\n".encode()
    with replacing(path, len(content)) as stream:
        stream.write(content)


@contextmanager
def replacing(path: Path, size: int | None = None) -> Iterator[BinaryIO]:
    """A stream whose content replaces ``path`` atomically: the one way to replace a file.

    The content is written to a file beside it, flushed to the disk and renamed. After an error the
    old file stays.

    Args:
        path: the file to replace.
        size: of the content in bytes, where that is known.

    Raises:
        StorageError: the file can't be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path, size):
        try:
            with beside.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(beside, path)
            sync_folder(path.parent)
        finally:
            with suppress(OSError):  # it would hide the error
                beside.unlink(missing_ok=True)


def remove_unfinished(folder: Path, *, but_of: str = "") -> None:
    """Remove what a killed :func:`replacing` left in a folder and below it.

    Args:
        folder: in which no other process replaces files.
        but_of: the name of a file that others may replace meanwhile.
    """
    for path in folder.rglob(".*"):
        match = re.fullmatch(r"\.(.+)\.\d+", path.name)
        if match and match[1] != but_of:
            with suppress(OSError):  # it only takes space
                path.unlink()


def read_json(path: Path) -> dict[str, Any] | None:
    """The object of a JSON file; None if the file is absent, unreadable or holds something else."""
    try:
        with open_regular(path) as stream:
            text = stream.read().decode()
        value = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def flattened(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A spec's fields as dotted paths with their values, without the run's header."""
    for key, value in fields.items():
        path = f"{prefix}{key}"
        if path == RUN_HEADER:
            continue
        if isinstance(value, dict):
            yield from flattened(value, f"{path}.")
        elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            for number, item in enumerate(value):
                yield from flattened(item, f"{path}.{number}.")
        else:
            yield path, value
