"""What a screen asks of the app: to open another screen, to show a notice, to copy a text.

Opening a screen is a typed message, since only the app knows all screens; with it no screen
imports another. Post it to the app (``self.app.post_message``): it arrives also when the sender
closes meanwhile. A notice and a copy are functions over Textual's own ``App``. They need no class
of this package, they act at once, and they work while no screen is there to send a message.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from textual.app import App
from textual.message import Message

from tui.render.text import clean

Severity = Literal["information", "warning", "error"]


class OpenRun(Message):
    """Open the screen of one run."""

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id


class OpenComparison(Message):
    """Open the comparison of runs and checkpoints, named as ``advtui compare`` takes them."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = names


class OpenNewRun(Message):
    """Open the form of a new run.

    ``run_ids`` are the models that an attack run is offered; ``kind`` is the kind of run that the
    form shows first.
    """

    def __init__(self, run_ids: Sequence[str], kind: str = "study") -> None:
        super().__init__()
        self.run_ids, self.kind = run_ids, kind


def show_notice(app: App[Any], text: str, severity: Severity = "information") -> None:
    """Show a notice; control characters and markup in ``text`` have no effect."""
    timeout_s = 8 if severity == "information" else 15
    app.notify(clean(text, 400), severity=severity, timeout=timeout_s, markup=False)


def copy_text(app: App[Any], text: str, name: str, folder: Path) -> None:
    """Copy to the terminal's clipboard (OSC 52), and to ``folder``/copied.txt for other terminals.

    ``name`` is what the notice calls the text.
    """
    app.copy_to_clipboard(text)
    path = folder / "copied.txt"
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
        show_notice(app, f"copied {name}; also in {path}")
    except OSError:
        show_notice(app, f"copied {name}")
