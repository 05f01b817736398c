"""``advtui`` within this process: a tenth of the time of a process of its own."""

import io
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from tui.__main__ import main


class Hung(BaseException):
    """A command took too long; no ``except Exception`` of the code holds it up."""


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    stdout: str
    stderr: str


def advtui(home: Path, *words: str, seconds: float = 30.0, encoding: str = "utf-8") -> Answer:
    """Run the command over a home; more than ``seconds`` raise :class:`Hung`."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2))
    with (
        mock.patch.object(sys, "argv", ["advtui", *words]),
        mock.patch.dict("os.environ", {"ADVTUI_HOME": str(home), "COLUMNS": "120"}),
        mock.patch.object(sys, "stdout", out),
        mock.patch.object(sys, "stderr", err),
        at_most(seconds),
    ):
        try:
            code = main()
        except SystemExit as stopped:
            code = int(stopped.code or 0)
    return Answer(code, _text(out, encoding), _text(err, encoding))


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Interrupt the block, also one that waits in the system, after so many seconds."""

    def interrupt(*_: object) -> None:
        raise Hung(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _text(stream: io.TextIOWrapper, encoding: str) -> str:
    stream.flush()
    content = stream.buffer
    assert isinstance(content, io.BytesIO)
    return content.getvalue().decode(encoding)
