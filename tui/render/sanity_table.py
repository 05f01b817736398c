"""The sanity panel as lines: first what a person must act on, then what passed."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from runs.result_types import SanityCheck, Verdict
from tui.render.lines import wrapped
from tui.render.palette import TERMINAL, Palette
from tui.render.text import clean

_VERDICTS: dict[Verdict, tuple[str, str, str]] = {
    "fail": ("✗", "bad", "failed"),
    "warn": ("!", "warn", "warned"),
    "pass": ("✓", "good", "passed"),
    "skipped": ("–", "dim", "skipped"),
}
"""In the order of the lines: the glyph of a verdict, its style in :class:`Palette`, its word."""
_ACT_ON: tuple[Verdict, ...] = ("fail", "warn")
_GAP = 3
"""Cells between two columns of checks."""


class SanityPanel:
    """A line for each check: ``✓ pixels in [0, 1] ··· 0 outside``.

    A check is named by what it expects. Failures and warnings come first, each with what was found
    instead and its advice. The others follow, those that passed in as many columns as fit.
    """

    def __init__(self, checks: Sequence[SanityCheck], palette: Palette = TERMINAL) -> None:
        self._checks, self._palette = checks, palette

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        yield self._summary()
        for check in self._of(*_ACT_ON):
            yield from self._urgent(check, width)
        yield from self._in_columns(self._of("pass"), width)
        for check in self._of("skipped"):
            yield from wrapped(self._skipped(check), width, indent=2)

    def _of(self, *verdicts: Verdict) -> list[SanityCheck]:
        return [c for verdict in verdicts for c in self._checks if c["verdict"] == verdict]

    def _summary(self) -> Text:
        """``sanity: 1 warned, 18 passed, 1 skipped``."""
        palette = self._palette
        counts = []
        for verdict, (_, field, word) in _VERDICTS.items():
            if count := len(self._of(verdict)):
                style = str(getattr(palette, field)) if verdict in _ACT_ON else palette.text
                counts.append(Text(f"{count} {word}", style))
        listed = Text(", ").join(counts) if counts else Text("no checks", palette.dim)
        return Text.assemble(("sanity: ", palette.title), listed)

    def _urgent(self, check: SanityCheck, width: int) -> Iterator[Text]:
        """``! expected: pixels in [0, 1]; found 3 outside``, and what to do."""
        line, figure = self._named(check, "expected: "), self._figure(check)
        if figure:
            line = Text.assemble(line, ("; found ", self._palette.dim), figure)
        yield from wrapped(line, width, indent=2)
        model, advice = (clean(check.get(key) or "", 300) for key in ("model", "advice"))
        if told := ": ".join(filter(None, (model, advice))):
            yield from wrapped(Text(f"  {told}", self._palette.text), width, indent=2)

    def _in_columns(self, checks: Sequence[SanityCheck], width: int) -> Iterator[Text]:
        """The checks from above, column by column."""
        parts = [(self._named(check), self._figure(check)) for check in checks]
        columns, widths = [parts], [_widest(parts)]
        for count in range(2, len(parts) + 1):
            rows = -(-len(parts) // count)
            more = [parts[n : n + rows] for n in range(0, len(parts), rows)]
            if sum(map(_widest, more)) + _GAP * (len(more) - 1) <= width:
                columns, widths = more, [_widest(column) for column in more]
        for across in zip_longest(*columns):
            cells = [
                self._joined(pair, min(cells, width))
                for pair, cells in zip(across, widths, strict=True)
                if pair is not None
            ]
            yield Text(" " * _GAP).join(cells)

    def _skipped(self, check: SanityCheck) -> Text:
        """``– not checked: Square finds nothing: --sanity full asks for it``."""
        line = self._named(check, "not checked: ")
        if advice := check.get("advice"):
            line.append(f": {clean(advice, 300)}", self._palette.dim)
        return line

    def _named(self, check: SanityCheck, before: str = "") -> Text:
        """The glyph and the name, which is what the check expects."""
        glyph, _, _ = _VERDICTS[check["verdict"]]
        return Text.assemble(
            (f"{glyph} ", self._style(check)),
            (before, self._palette.dim),
            (clean(check["check"], 60), self._own(check)),
        )

    def _figure(self, check: SanityCheck) -> Text:
        """The figure with its unit; empty without one."""
        value = check.get("value")
        if value is None:
            return Text()
        unit = clean(f" {check.get('unit') or ''}".rstrip(), 30)
        words = f"{value + 0.0:.3g}".replace("-", "−")
        return Text.assemble((words, self._own(check)), (unit, self._palette.dim))

    def _style(self, check: SanityCheck) -> str:
        """The style of the verdict."""
        return str(getattr(self._palette, _VERDICTS[check["verdict"]][1]))

    def _own(self, check: SanityCheck) -> str:
        """The style of the words: that of the verdict only where a person must act."""
        return self._style(check) if check["verdict"] in _ACT_ON else self._palette.text

    def _joined(self, parts: tuple[Text, Text], width: int) -> Text:
        """Name and figure in so many cells, with a leader between them."""
        name, figure = parts
        room = width - name.cell_len - figure.cell_len
        leader = f" {'·' * (room - 2)} " if room > 2 and figure else " " * max(room, 1)
        line = Text.assemble(name, (leader, self._palette.faint), figure)
        line.truncate(width, overflow="ellipsis")
        return line


def _widest(parts: Sequence[tuple[Text, Text]]) -> int:
    """Cells of the longest check, with a gap of two between name and figure."""
    return max((name.cell_len + 2 + figure.cell_len for name, figure in parts), default=0)
