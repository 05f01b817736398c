"""The page of attacks as lines: a bar for each model and attack. Knows no widget."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.text import Text

from runs.budgets import at_budget
from runs.event_types import attack_is_over
from runs.remaining import attack_left_s
from runs.result_types import Cell, Row
from tui.render.bars import TO_COME, attack_bar, legend
from tui.render.lines import wrapped
from tui.render.palette import Palette
from tui.render.text import clean, duration, keeping_eps, percent
from tui.run_list.attack_rows import AttackRow, attack_rows
from tui.run_list.feed import RunFeed

STUDY_ROWS = ("Baseline", "Best clean", "Best robust")
"""The models of a study's attack run before it has begun."""
_LEAST_BAR = 8
_LEAST_NAME = 14
"""Cells of an attack; ``pgd-… ε 16/255`` needs them."""
_COLUMNS = {"images": 15, "success": 11, "speed": 14, "left": 10}
"""The columns behind the bar with their widths; images and speeds in tens of thousands fit."""
_EXPENDABLE = ("speed", "images")
"""The columns that a narrow screen lacks; the first goes first."""
_EXPLANATION = (
    "success: of the images classified correctly when clean, those that the attack has turned "
    "wrong (targeted: into the target class); ≥ while it goes on"
)


class _Layout(NamedTuple):
    """Cells of the model, of the attack and of the bar, and the columns behind the bar."""

    model: int
    attack: int
    bar: int
    columns: Sequence[str]


NOT_RECORDED = "not recorded"
"""Of what the result of a run does not tell, where no event is kept."""


class _Work(NamedTuple):
    """How many images an attack has done, and on how many of them it has succeeded."""

    done: float
    total: float
    successes: float
    speed: float | None
    """Images a second; None where it is not recorded."""
    left_s: float | None = None
    """Seconds that are left of an attack at work."""
    is_over: bool = True
    has_counts: bool = True
    """False where a result tells the share of successes alone; ``total`` is then 1."""


def attack_bars(
    feed: RunFeed, width: int, palette: Palette, outcome: Sequence[Row] | None = None
) -> Iterator[Text]:
    """The bars of a run's attacks, and below them what they mean.

    ``outcome``: of a run that is over the rows of its table; None while it goes on.
    """
    bars = list(bars_alone(feed, width, palette, outcome))
    if not bars:
        yield Text("no attack in this run", palette.dim)
        return
    yield from bars
    yield Text()
    yield Text.assemble(*legend(palette))
    yield from wrapped(Text(_EXPLANATION, palette.dim), width)


def bars_alone(
    feed: RunFeed, width: int, palette: Palette, outcome: Sequence[Row] | None = None
) -> Iterator[Text]:
    """A line for each model × attack × ε, also for those that have not started.

    The bar shows in two tones on how many images the attack has succeeded, and on how many not.
    Nothing for a run without attacks.
    """
    rows = [(row, _work(row, outcome or ())) for row in _rows(feed)]
    if not rows:
        return
    has_ended = feed.attack is not None and feed.attack.snapshot.ended is not None
    is_over = outcome is not None or has_ended
    layout = _layout(rows, width, is_over=is_over)
    gap = " " * (layout.bar + 2)
    titles = "".join(f"{title:>{_COLUMNS[title]}}" for title in layout.columns)
    yield Text(f"{'model':<{layout.model}}  {'attack':<{layout.attack}}{gap}{titles}", palette.dim)
    for row, work in rows:
        yield _line(row, work, layout, "not run" if is_over else "waiting", palette)


def _rows(feed: RunFeed) -> list[AttackRow]:
    member = feed.attack
    spec = member.run.raw_spec if member else feed.run.raw_spec.get("attack")
    labels = list(STUDY_ROWS) if feed.run.kind == "study" else []
    events = member.snapshot.attacks if member else {}
    return attack_rows(spec if isinstance(spec, dict) else {}, labels, events)


def _work(row: AttackRow, outcome: Sequence[Row]) -> _Work | None:
    """How far an attack is, from its event, else from the rows of a result; None without both."""
    event = row.event
    if event is not None and attack_is_over(event):
        return _Work(event["total"], event["total"], event["successes"], event["rate"])
    cell = _cell(row, outcome)
    if cell is not None and cell["success_rate"] is not None:
        return _of_cell(cell, cell["success_rate"])
    if event is None:
        return None
    done, total, successes, speed = (event[k] for k in ("done", "total", "successes", "rate"))
    return _Work(done, total, successes, speed, attack_left_s(event), is_over=False)


def _of_cell(cell: Cell, rate: float) -> _Work:
    total, seconds = cell.get("success_n"), cell.get("seconds")
    if total is None:
        return _Work(1, 1, rate, None, has_counts=False)
    return _Work(total, total, rate * total, total / seconds if seconds else None)


def _cell(row: AttackRow, outcome: Sequence[Row]) -> Cell | None:
    """The cell of a table that is about this model and attack, with several ε about this ε."""
    for one in outcome:
        for name, cells in one["attacks"].items() if one["model"] == row.model else ():
            for cell in cells:
                eps = cell["eps"]
                if row.attack == name or (eps is not None and row.attack == at_budget(name, eps)):
                    return cell
    return None


def _layout(
    rows: Sequence[tuple[AttackRow, _Work | None]], width: int, *, is_over: bool
) -> _Layout:
    """The columns that fit. A name is cut before its ε; the bar keeps :data:`_LEAST_BAR` cells."""
    longest = 24 if width >= 100 else 14
    model = max(min(max(len(clean(row.model)) for row, _ in rows), longest), 8)
    attack = max(min(max(len(clean(row.attack)) for row, _ in rows), 30), 8)
    columns = list(_COLUMNS)
    if is_over or all(work is not None and work.is_over for _, work in rows):
        columns.remove("left")

    def room() -> int:
        return width - model - attack - 4 - sum(_COLUMNS[column] for column in columns)

    for column in _EXPENDABLE:
        if room() < _LEAST_BAR:
            columns.remove(column)
        if room() < _LEAST_BAR:
            attack = max(attack - (_LEAST_BAR - room()), min(attack, _LEAST_NAME))
    return _Layout(model, attack, max(room(), _LEAST_BAR), columns)


def _line(
    row: AttackRow, work: _Work | None, layout: _Layout, without: str, palette: Palette
) -> Text:
    """The line of a row; ``without``: the word for an attack of which nothing is known."""
    line = Text.assemble(
        (f"{clean(row.model, layout.model):<{layout.model}}  ", palette.text),
        (f"{keeping_eps(row.attack, layout.attack):<{layout.attack}}  ", palette.dim),
    )
    if work is None:
        line.append(TO_COME * layout.bar, palette.faint)
        line.append(f"{without:>{_COLUMNS[layout.columns[0]]}}", palette.dim)
        return line
    tones = attack_bar(work.done, work.total, work.successes, layout.bar, palette)
    line.append_text(Text.assemble(*tones))
    texts = _texts(work)
    for column in layout.columns:
        style = palette.text if column in ("images", "success") else palette.dim
        line.append(f"{texts[column]:>{_COLUMNS[column]}}", style)
    return line


def _texts(work: _Work) -> dict[str, str]:
    rate = f"{percent(work.successes / work.total)} %" if work.total else "–"
    images = f"{work.done:,.0f}/{work.total:,.0f}"
    return {
        "images": images if work.has_counts else NOT_RECORDED,
        # The images still under attack may succeed as well: until then it is a lower bound.
        "success": rate if work.is_over else f"≥ {rate}",
        "speed": NOT_RECORDED if work.speed is None else f"{work.speed:,.0f} img/s",
        "left": "" if work.is_over else duration(work.left_s),
    }
