"""The sanity panel as a Rich table. Data in, renderables out."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tui.render.text import clean


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
