"""SHA-256 sums of files."""

import hashlib
from pathlib import Path

from runs.regular_files import open_regular


def sha256_of(path: Path) -> str:
    """The sum of a regular file, in hexadecimal.

    Raises:
        OSError: it can't be read.
    """
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
