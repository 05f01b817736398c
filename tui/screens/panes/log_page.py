"""The page of a run's log, as lines: what the run said, and the output of its workers.

Knows no widget.
"""

from collections.abc import Iterator

from rich.text import Text

from runs.store import Run
from tui.render.lines import wrapped
from tui.render.log_lines import log_tail, notice_lines, without_deprecations
from tui.render.palette import Palette
from tui.render.text import clean
from tui.run_list.feed import Member, RunFeed

LOG_LINES = 200
"""Lines of each worker's output."""
_LEVELS = {"warning": ("! ", "warn"), "error": ("✗ ", "bad")}
"""Mark and colour of a notice by its level."""


def log_page(feed: RunFeed, width: int, palette: Palette) -> Iterator[Text]:
    """What the run said: errors, warnings and notices; below them the output of its workers."""
    members = list(feed.members.values())
    said = {m.run: list(_said(m, width, palette)) for m in members}
    output = {m.run: list(_output(m.run, width, palette)) for m in members}
    for title, parts in (("", said), ("output of the worker", output)):
        for run, lines in parts.items():
            name = clean(f"{run.role or run.kind}  {run.id}") if len(members) > 1 else ""
            if lines and (title or name):
                yield Text("  ".join(word for word in (title, name) if word), palette.title)
            yield from lines
            if lines:
                yield Text()
    if not any((*said.values(), *output.values())):
        yield Text("the run has said nothing", palette.dim)


def _said(member: Member, width: int, palette: Palette) -> Iterator[Text]:
    """The error that ended a run, and its notices, the oldest first."""
    failure = member.run.failure
    message = failure["message"] if failure else None
    if message is not None:
        yield from wrapped(Text(clean(message, 2000), palette.bad), width)
    notices = [notice for notice in member.snapshot.notices if notice.get("message") != message]
    for notice, line in zip(notices, notice_lines(notices), strict=True):
        mark, colour = _LEVELS.get(str(notice.get("level")), ("", "text"))
        yield from wrapped(Text(mark + line, getattr(palette, colour)), width, indent=2)


def _output(run: Run, width: int, palette: Palette) -> Iterator[Text]:
    """The last lines of a worker's output, without what libraries say of their own future."""
    lines, left_out = without_deprecations(log_tail(run, LOG_LINES))
    for line in lines:
        yield from wrapped(Text(line, palette.text), width, indent=2)
    if left_out:
        notes = "1 deprecation note" if left_out == 1 else f"{left_out} deprecation notes"
        yield Text(f"{notes} of libraries left out; worker.log has all", palette.dim)
