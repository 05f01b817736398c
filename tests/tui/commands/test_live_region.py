"""Lines at the bottom of a terminal: what an emulated terminal shows, and what is sent to it."""

import io
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest
from rich.console import Console
from rich.segment import Segment
from rich.text import Text

from tui.commands.live_region import LiveRegion

pyte = pytest.importorskip("pyte", reason="pyte emulates the terminal")

WIDTH, HEIGHT = 30, 8


class Emulated:
    """A console whose output an emulated terminal shows."""

    def __init__(self) -> None:
        self._file = io.StringIO()
        self.console = Console(
            width=WIDTH,
            height=HEIGHT,
            file=self._file,
            force_terminal=True,
            _environ={"TERM": "xterm"},
        )
        self._screen = pyte.Screen(WIDTH, HEIGHT)
        self._stream = pyte.Stream(self._screen)

    def take(self) -> str:
        """What was sent since the last call; the terminal shows it now."""
        sent = self._file.getvalue()
        self._file.seek(0)
        self._file.truncate()
        self._stream.feed(sent.replace("\n", "\r\n"))
        return sent

    @property
    def shown(self) -> list[str]:
        self.take()
        lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def cursor_is_hidden(self) -> bool:
        self.take()
        return bool(self._screen.cursor.hidden)


@pytest.fixture
def terminal() -> Emulated:
    return Emulated()


@pytest.fixture
def region(terminal: Emulated) -> Iterator[LiveRegion]:
    with LiveRegion(terminal.console) as entered:
        yield entered


def lines(*texts: str) -> list[Text]:
    return [Text(text) for text in texts]


def test_only_changed_lines_are_sent_again(terminal: Emulated, region: LiveRegion) -> None:
    region.draw(lines("head", "one", "two", "three"))
    assert terminal.shown == ["head", "one", "two", "three"]
    region.draw(lines("head", "one", "2", "three"))
    sent = terminal.take()
    assert "2" in sent
    assert not any(word in sent for word in ("head", "one", "three"))
    assert terminal.shown == ["head", "one", "2", "three"]
    region.draw(lines("head", "one", "2", "three"))
    assert terminal.take() == ""


def test_more_or_fewer_lines_are_drawn_anew(terminal: Emulated, region: LiveRegion) -> None:
    region.draw(lines("a", "b"))
    region.draw(lines("a", "b", "c"))
    assert terminal.shown == ["a", "b", "c"]
    region.draw(lines("d"))
    assert terminal.shown == ["d"]
    region.draw([])
    assert terminal.shown == []


def test_what_is_printed_stands_above(terminal: Emulated) -> None:
    with LiveRegion(terminal.console) as region:
        region.draw([Text("bar"), [Segment("se"), Segment("gments")]])
        terminal.console.print("an epoch")
        print("a notice", file=sys.stderr)
        assert terminal.shown == ["an epoch", "a notice", "bar", "segments"]
        region.draw(lines("bar", "changed"))
        assert terminal.shown == ["an epoch", "a notice", "bar", "changed"]


def test_lines_as_wide_as_the_terminal_keep_their_places(
    terminal: Emulated, region: LiveRegion
) -> None:
    region.draw(lines("x" * WIDTH, "y" * WIDTH, "z"))
    region.draw(lines("u" * WIDTH, "y" * WIDTH, "w"))
    assert terminal.shown == ["u" * WIDTH, "y" * WIDTH, "w"]


def test_a_scrolled_terminal_keeps_what_was_printed(terminal: Emulated, region: LiveRegion) -> None:
    for n in range(12):
        region.draw(lines(f"bar {n}", "end"))
        terminal.console.print(f"line {n}")
    assert terminal.shown == [*(f"line {n}" for n in range(7, 12)), "bar 11", "end"]


def test_it_leaves_nothing_behind(terminal: Emulated) -> None:
    before = sys.stderr
    with suppress(KeyboardInterrupt), LiveRegion(terminal.console) as region:
        region.draw(lines("a", "b"))
        terminal.console.print("stays")
        assert terminal.cursor_is_hidden
        raise KeyboardInterrupt
    assert terminal.shown == ["stays"]
    assert not terminal.cursor_is_hidden
    assert sys.stderr is before
