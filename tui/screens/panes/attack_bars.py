"""The page of attacks as lines: a bar for each model and attack. Knows no widget."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.text import Text

from runs.event_types import AttackEvent, attack_is_over
from runs.remaining import attack_left_s
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
_COLUMNS = {"images": 15, "success": 11, "speed": 12, "left": 10}
"""The columns behind the bar with their widths; the images in tens of thousands fit."""
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


def attack_bars(feed: RunFeed, width: int, palette: Palette) -> Iterator[Text]:
    """The bars of a run's attacks, and below them what they mean."""
    bars = list(bars_alone(feed, width, palette))
    if not bars:
        yield Text("no attack in this run; a starts one", palette.dim)
        return
    yield from bars
    yield Text()
    yield Text.assemble(*legend(palette))
    yield from wrapped(Text(_EXPLANATION, palette.dim), width)


def bars_alone(feed: RunFeed, width: int, palette: Palette) -> Iterator[Text]:
    """A line for each model × attack × ε, also for those that have not started.

    The bar shows in two tones on how many images the attack has succeeded, and on how many not.
    Nothing for a run without attacks.
    """
    rows = _rows(feed)
    if not rows:
        return
    layout = _layout(rows, width)
    gap = " " * (layout.bar + 2)
    titles = "".join(f"{title:>{_COLUMNS[title]}}" for title in layout.columns)
    yield Text(f"{'model':<{layout.model}}  {'attack':<{layout.attack}}{gap}{titles}", palette.dim)
    has_ended = feed.attack is not None and feed.attack.snapshot.ended is not None
    for row in rows:
        yield _line(row, layout, "not run" if has_ended else "waiting", palette)


def _rows(feed: RunFeed) -> list[AttackRow]:
    member = feed.attack
    spec = member.run.raw_spec if member else feed.run.raw_spec.get("attack")
    labels = list(STUDY_ROWS) if feed.run.kind == "study" else []
    events = member.snapshot.attacks if member else {}
    return attack_rows(spec if isinstance(spec, dict) else {}, labels, events)


def _layout(rows: Sequence[AttackRow], width: int) -> _Layout:
    """The columns that fit. A name is cut before its ε; the bar keeps :data:`_LEAST_BAR` cells."""
    model = max(min(max(len(clean(row.model)) for row in rows), 24 if width >= 100 else 14), 8)
    attack = max(min(max(len(clean(row.attack)) for row in rows), 30), 8)
    columns = list(_COLUMNS)
    if all(row.event is not None and attack_is_over(row.event) for row in rows):
        columns.remove("left")

    def room() -> int:
        return width - model - attack - 4 - sum(_COLUMNS[column] for column in columns)

    for column in _EXPENDABLE:
        if room() < _LEAST_BAR:
            columns.remove(column)
        if room() < _LEAST_BAR:
            attack = max(attack - (_LEAST_BAR - room()), min(attack, _LEAST_NAME))
    return _Layout(model, attack, max(room(), _LEAST_BAR), columns)


def _line(row: AttackRow, layout: _Layout, without: str, palette: Palette) -> Text:
    """The line of a row; ``without``: the word for an attack that has no event."""
    line = Text.assemble(
        (f"{clean(row.model, layout.model):<{layout.model}}  ", palette.text),
        (f"{keeping_eps(row.attack, layout.attack):<{layout.attack}}  ", palette.dim),
    )
    event = row.event
    if event is None:
        line.append(TO_COME * layout.bar, palette.faint)
        line.append(f"{without:>{_COLUMNS[layout.columns[0]]}}", palette.dim)
        return line
    done = event["total"] if attack_is_over(event) else event["done"]
    tones = attack_bar(done, event["total"], event["successes"], layout.bar, palette)
    line.append_text(Text.assemble(*tones))
    texts = _texts(event)
    for column in layout.columns:
        style = palette.text if column in ("images", "success") else palette.dim
        line.append(f"{texts[column]:>{_COLUMNS[column]}}", style)
    return line


def _texts(event: AttackEvent) -> dict[str, str]:
    over = attack_is_over(event)
    rate = f"{percent(event['successes'] / event['total'])} %" if event["total"] else "–"
    return {
        "images": f"{event['done']:,.0f}/{event['total']:,.0f}",
        # The images still under attack may succeed as well: until then it is a lower bound.
        "success": rate if over else f"≥ {rate}",
        "speed": f"{event['rate']:,.0f} img/s",
        "left": "" if over else duration(attack_left_s(event)),
    }
