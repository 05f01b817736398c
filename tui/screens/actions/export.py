"""Export the comparison table of runs to a file and to the clipboard."""

from collections.abc import Callable, Sequence
from pathlib import Path

from runs.errors import UserError
from runs.permissions import for_the_user
from tui.screens.base import AppScreen
from tui.screens.dialogs import Choose

EXPORTS = (
    ("m", "Markdown", "markdown", "md"),
    ("l", "LaTeX (booktabs)", "latex", "tex"),
    ("v", "CSV", "csv", "csv"),
    ("j", "JSON", "json", "json"),
)


def export(
    screen: AppScreen, words: Sequence[str], table: Callable[[Sequence[str], str], str]
) -> None:
    """Ask for a format, then write the table.

    Args:
        words: the runs, named as ``advtui compare`` takes them.
        table: the text of their table in a format, or a UserError that says why there is none.
    """

    def answered(answer: str | None) -> None:
        for key, _, format_, suffix in EXPORTS:
            if key == answer:
                try:
                    _write(screen, words, table(words, format_), suffix)
                except UserError as error:
                    screen.tell(str(error), "warning")

    whose = f" of {len(words)} runs" if len(words) > 1 else ""
    question = f"Export the comparison table{whose}: to a file, and copied."
    answers = [(key, format_name) for key, format_name, _, _ in EXPORTS]
    screen.app.push_screen(Choose(question, answers), answered)


def _write(screen: AppScreen, words: Sequence[str], text: str, suffix: str) -> None:
    name = f"advtui-{'-'.join(word.split(':')[0][-4:] for word in words)[:60]}.{suffix}"
    whose = f" the table of {len(words)} runs" if len(words) > 1 else ""
    screen.app.copy_to_clipboard(text)
    for folder in (Path.cwd(), screen.state.store.home):
        try:
            with for_the_user():
                (folder / name).write_text(text, encoding="utf-8", errors="replace")
        except OSError:
            continue
        screen.tell(f"copied{whose}, and written to {folder / name}")
        return
    screen.tell(f"copied{whose}; no folder could be written", "warning")
