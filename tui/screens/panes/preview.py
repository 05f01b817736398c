"""The preview beside the run list: a run's state, its curves as sparklines, its spec in short."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from rich.text import Text

from runs.budgets import format_budget
from runs.event_types import MetricEvent
from runs.events import epoch_metrics
from runs.store import Run
from tui.render.lines import wrapped
from tui.render.palette import Palette
from tui.render.text import clean, percent, short_ago, time_words
from tui.run_list.row import Row, dicts, number, row_labels
from tui.shared_state import SharedState

_BLOCKS = "▁▂▃▄▅▆▇█"


def preview(state: SharedState, row: Row, width: int, palette: Palette) -> Iterator[Text]:
    """The preview's lines, at most ``width`` cells wide."""
    glyph, colour = palette.state(row.state)
    yield Text()
    yield Text(clean(row.title, width), palette.title)
    yield Text.assemble(
        (f"{glyph} {row.state}", colour), (f"  {row.place or row.progress}", palette.dim)
    )
    yield Text(clean(row.id), palette.dim)
    age = f"{short_ago(row.created, state.clock())} ago"
    times = time_words(row.seconds, row.waited, is_live=row.is_live)
    yield from wrapped(Text(f"{age}, {times}" if times else age, palette.dim), width)
    if row.tags:
        yield Text(clean(" ".join(f"#{tag}" for tag in row.tags), width), palette.accent)
    if row.note:
        yield from wrapped(Text(clean(row.note, 400), palette.text), width)
    if row.error:
        yield Text()
        yield from wrapped(Text(clean(row.error, 600), palette.bad), width)
    yield Text()
    run = state.run(row.id)
    yield from _figures(run, row, width, palette)
    yield Text()
    spec = run.raw_spec
    for key, value in facts(spec):
        line = Text.assemble((f"{key:<10}", palette.dim), (clean(value, 200), palette.text))
        yield from wrapped(line, width, indent=10)


def _figures(run: Run, row: Row, width: int, palette: Palette) -> Iterator[Text]:
    split = "test" if row.on_test else "val"
    if row.clean is not None or row.robust is not None:
        yield Text.assemble(
            (f"{'clean':<10}", palette.dim), (f"{percent(row.clean):>5} %", palette.text),
            (f"   {'robust':<7}", palette.dim), (f"{percent(row.robust):>5} %", palette.text),
            (f"   {split}", palette.dim),
        )  # fmt: skip
    if row.at:
        yield Text(f"{'':<10}robust at ε = {row.at}", palette.dim)
    if row.kind != "train":
        return
    epochs = _epochs(run.events_path)
    for label, key, colour in (
        ("val clean", "val_accuracy", 1),
        ("val robust", "val_robust_accuracy", 2),
        ("train loss", "train_loss", 0),
    ):
        values = [event["values"].get(key) for event in epochs]
        line = sparkline(values, width - 18)
        if line:
            last = next(v for v in map(number, reversed(values)) if v is not None)
            figure = percent(last) if key.endswith("accuracy") else f"{last:.3f}"
            yield Text.assemble(
                (f"{label:<10} ", palette.dim),
                (line, palette.series_style(colour)),
                (f" {figure}", palette.text),
            )


def _epochs(path: Path) -> list[MetricEvent]:
    """The events of whole epochs; read again only when the file has grown."""
    try:
        return _epochs_at(path, path.stat().st_size)
    except OSError:
        return []


@lru_cache(maxsize=16)
def _epochs_at(path: Path, _: int) -> list[MetricEvent]:
    return epoch_metrics(path)


def sparkline(values: list[Any], width: int) -> str:
    """The last ``width`` values as blocks of eight heights; a blank where a value is no number."""
    visible = values[-max(width, 1) :]
    numbers = [v for v in map(number, visible) if v is not None]
    if not numbers:
        return ""
    low, high = min(numbers), max(numbers)
    scale = 7.99 / (high - low) if high > low else 0.0
    return "".join(
        " " if v is None else _BLOCKS[int((v - low) * scale)] for v in map(number, visible)
    )


def facts(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The main fields of a spec, as pairs of name and value, from spec.json without validation."""
    for key in ("data", "recipe", "width", "epochs", "batch_size", "lr", "seed", "device", "limit"):
        if spec.get(key) is not None:
            yield key, str(spec[key])
    if spec.get("kind") == "train" and spec.get("mode") != "baseline":
        yield "attack", pgd_in_short(spec.get("attack"))
    for attack in dicts(spec.get("attacks")):
        yield "attack", f"{attack.get('name')}: {pgd_in_short(attack.get('pgd'))}"
    for label in row_labels(spec):
        yield "model", label
    for role in ("baseline", "robust"):
        child = spec.get(role)
        if isinstance(child, dict):
            size = f"width {child.get('width')}, {child.get('epochs')} epochs"
            yield role, f"{child.get('recipe')}, {size}"


def pgd_in_short(pgd: Any) -> str:
    """``PGD-20 L∞ 8/255``."""
    if not isinstance(pgd, dict):
        return "?"
    eps = pgd.get("eps")
    budget = format_budget(eps) if isinstance(eps, int | float) else "?"
    norm = {"linf": "L∞", "l2": "L2"}.get(str(pgd.get("norm")), "?")
    return f"PGD-{pgd.get('steps')} {norm} {budget}"
