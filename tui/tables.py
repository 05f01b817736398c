"""Rich tables: the comparison, the runs, the checkpoints. Data in, renderables out."""

from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from runs.budgets import format_budget
from runs.formats import attack_names, cells, column_title, footnotes, percent
from tui.text import ago, clean
from tui.text import percent as short_percent

STATE_LOOK = {
    "queued": ("◌", "yellow"),
    "running": ("●", "cyan"),
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "interrupted": ("‖", "yellow"),
    "lost": ("?", "red"),
}


def plain_table(*columns: tuple[str, str]) -> Table:
    """An airy table; columns are (title, justify)."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for title, justify in columns:
        table.add_column(Text(title), justify=justify, no_wrap=title != "model")  # type: ignore[arg-type]
    return table


def comparison(data: dict[str, Any]) -> RenderableType:
    """The comparison table with its footnotes."""
    return Group(comparison_table(data), comparison_notes(data))


def comparison_table(data: dict[str, Any]) -> RenderableType:
    """The comparison table, each figure over its interval, without its footnotes.

    A column pair an attack where that has room, else, or with several ε, a line each.
    """
    several = any(len(cells(v)) > 1 for row in data["rows"] for v in row["attacks"].values())
    return _long(data) if several else Fitting(_wide(data), _long(data))


def comparison_notes(data: dict[str, Any]) -> RenderableType:
    """What stands under the comparison table: the threat model and the definitions."""
    return Group(*(Text(clean(note, 1000), style="dim") for note in footnotes(data)))


class Fitting:
    """The first renderable where it has room, else the second."""

    def __init__(self, first: Table, second: Table) -> None:
        self._first, self._second = first, second

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        needed = Measurement.get(console, options.update(max_width=10_000), self._first).minimum
        yield self._first if needed <= options.max_width else self._second


def _wide(data: dict[str, Any]) -> Table:
    names = attack_names(data)
    table = plain_table(("model", "left"), ("accuracy\n%", "right"))
    for name in names:
        title = clean(column_title(name), 24)
        table.add_column(Text(f"{title}\nsuccess %"), justify="right")
        table.add_column(Text(f"{title}\nrobust %"), justify="right")
    for row in data["rows"]:
        line: list[RenderableType] = [
            Text(clean(row["model"], 40)),
            _figure(row["accuracy"], row["accuracy_ci95"]),
        ]
        for name in names:
            found = cells(row["attacks"][name]) if name in row["attacks"] else []
            for kind, bounds in _KINDS:
                line.append(_figure(found[0][kind], found[0][bounds]) if found else Text("–"))
        table.add_row(*line)
    return table


_KINDS = (("success_rate", "success_ci95"), ("robust_accuracy", "robust_ci95"))


def _long(data: dict[str, Any]) -> Table:
    table = plain_table(
        ("model", "left"), ("attack", "left"), ("success %", "right"), ("robust %", "right")
    )
    for row in data["rows"]:
        model = Text(clean(row["model"], 40))
        table.add_row(
            model, Text("none", style="dim"), "", _beside(row["accuracy"], row["accuracy_ci95"])
        )
        for name in row["attacks"]:
            found = cells(row["attacks"][name])
            for cell in found:
                title = clean(column_title(name), 24)
                if len(found) > 1:
                    title += f", ε {format_budget(cell['eps'])}"
                figures = [_beside(cell[kind], cell[bounds]) for kind, bounds in _KINDS]
                table.add_row("", Text(title), *figures)
    return table


def _beside(value: float | None, bounds: list[float] | None) -> Text:
    figure = Text(percent(value))
    if bounds:
        figure.append(f"  {f'{100 * bounds[0]:.1f}–{100 * bounds[1]:.1f}':>10}", style="dim")
    return figure


def _figure(value: float | None, bounds: list[float] | None) -> Text:
    figure = Text(percent(value))
    if bounds:
        figure.append(f"\n{100 * bounds[0]:.1f}–{100 * bounds[1]:.1f}", style="dim")
    return figure


def sanity(checks: list[dict[str, Any]]) -> RenderableType:
    """The sanity panel: a line a check with its figure; what to do under those that don't pass."""
    counts = [
        (sum(check["verdict"] == v for check in checks), word) for v, (word, _) in _SAID.items()
    ]
    told = ", ".join(f"{count} {word}" for count, word in counts if count)
    table = Table.grid(padding=(0, 2, 0, 0))
    for check in checks:
        _, style = _SAID[check["verdict"]]
        value = check.get("value")
        figure = "" if value is None else f"{value + 0.0:.3g} {check.get('unit') or ''}"
        name = Text(clean(check["check"], 60))
        if check.get("advice"):
            whose = f"{check['model']}: " if check.get("model") else ""
            name.append(f"\n{clean(whose + check['advice'], 300)}", style="dim")
        verdict = Text("skip" if check["verdict"] == "skipped" else check["verdict"], style=style)
        table.add_row(verdict, Text(clean(figure, 30), style=style), name)
    return Group(Text(f"sanity: {told or 'no checks'}"), table)


_SAID = {
    "pass": ("passed", "dim"),
    "warn": ("warned", "yellow"),
    "fail": ("failed", "bold red"),
    "skipped": ("skipped", "dim"),
}


def kept_checkpoints(result: dict[str, Any]) -> RenderableType:
    """What a training has kept: validation figures, hence not those of the comparison."""
    table = plain_table(
        ("checkpoint", "left"), ("epoch", "right"), ("monitored", "left"), ("validation %", "right")
    )
    for name, kept in result.get("checkpoints", {}).items():
        table.add_row(
            clean(name),
            str(kept["epoch"] + 1),
            clean(kept["monitor"] or ""),
            percent(kept["value"]) if kept["value"] is not None else "",
        )
    return table


def state_text(state: str) -> Text:
    """The state with its glyph: colour is never the only sign."""
    glyph, style = STATE_LOOK[state]
    return Text(f"{glyph} {state}", style=style)


def run_list(rows: list[dict[str, Any]]) -> RenderableType:
    """The runs of a home, children indented under their study."""
    table = plain_table(
        ("id", "left"),
        ("state", "left"),
        ("name", "left"),
        ("data", "left"),
        ("epoch", "right"),
        ("clean %", "right"),
        ("robust %", "right"),
        ("age", "right"),
    )
    for row in rows:
        metrics = row["metrics"]
        epoch = "" if metrics.get("epoch") is None else f"{metrics['epoch'] + 1}/{row['epochs']}"
        tags = "".join(f" #{tag}" for tag in row["tags"])
        table.add_row(
            Text(("  " if row["parent"] else "") + row["id"]),
            state_text(row["state"]),
            Text(clean((row["name"] or "") + tags, 24)),
            Text(clean(row["data"] or "", 12)),
            Text(epoch),
            Text(short_percent(metrics.get("val_accuracy")) if epoch else ""),
            Text(short_percent(metrics.get("val_robust_accuracy")) if epoch else ""),
            Text(ago(row["created"])),
        )
    return table
