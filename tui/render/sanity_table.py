"""The sanity panel as a Rich table. Data in, renderables out."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from runs.result_types import SanityCheck, Verdict
from tui.render.text import clean


def sanity(checks: Sequence[SanityCheck]) -> RenderableType:
    """The sanity panel: a line for each check with its figure, and its advice below it."""
    counts = [
        (sum(check["verdict"] == verdict for check in checks), word)
        for verdict, (word, _) in _VERDICTS.items()
    ]
    summary = ", ".join(f"{count} {word}" for count, word in counts if count)
    table = Table.grid(padding=(0, 2, 0, 0))
    for check in checks:
        _, style = _VERDICTS[check["verdict"]]
        value = check.get("value")
        figure = "" if value is None else f"{value + 0.0:.3g} {check.get('unit') or ''}"
        name = Text(clean(check["check"], 60))
        if advice := check.get("advice"):
            model = f"{check['model']}: " if check.get("model") else ""
            name.append(f"\n{clean(model + advice, 300)}", style="dim")
        verdict = Text("skip" if check["verdict"] == "skipped" else check["verdict"], style=style)
        table.add_row(verdict, Text(clean(figure, 30), style=style), name)
    return Group(Text(f"sanity: {summary or 'no checks'}"), table)


_VERDICTS: dict[Verdict, tuple[str, str]] = {
    "pass": ("passed", "dim"),
    "warn": ("warned", "yellow"),
    "fail": ("failed", "bold red"),
    "skipped": ("skipped", "dim"),
}
"""The word for a verdict in the summary, and its style."""
