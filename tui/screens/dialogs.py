"""Boxes above a screen: a question with keys as answers, a line of input, the help."""

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from tui.render.lines import wrapped
from tui.render.text import clean
from tui.render.themes import palette_of
from tui.widgets.error_boundary import ErrorBoundary
from tui.widgets.line_view import LineView

T = TypeVar("T")


class Dialog(ErrorBoundary, ModalScreen[T | None]):
    """A box in front of a screen; its result is None if escape closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", id="dialog.cancel"),
    ]

    def action_cancel(self) -> None:
        self.dismiss(None)


class Question(Dialog[str]):
    """A question with its answers, in a box as high as its lines."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield LineView(self._lines)

    def on_resize(self) -> None:
        view = self.query_one(LineView)
        view.styles.height = len(self._lines(max(min(self.size.width, 76) - 6, 20)))

    def _lines(self, width: int) -> list[Text]:  # noqa: ARG002
        return []


class Choose(Question):
    """A question with a key for each answer; the result is the chosen key."""

    def __init__(self, question: str, answers: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._question, self._answers = question, answers
        for key, answer in answers:
            self._bindings.bind(key, f"answer({key!r})", answer)

    def _lines(self, width: int) -> list[Text]:
        palette = palette_of(self.app)
        lines = wrapped(Text(self._question, palette.text), width)
        lines.append(Text())
        for key, answer in [*self._answers, ("esc", "cancel")]:
            lines.append(Text.assemble((f"{key:>5}  ", palette.accent), (answer, palette.text)))
        return lines

    def action_answer(self, key: str) -> None:
        self.dismiss(key)


class Pick(Question):
    """A question that destroys something: its answers are moved to with the arrows, enter confirms.

    No letter answers it, and it starts on "cancel". The result is the word of the answer.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "down", show=False, id="pick.down"),
        Binding("up,k", "move(-1)", "up", show=False, id="pick.up"),
        Binding("enter", "confirm", "confirm", id="pick.confirm"),
    ]

    def __init__(
        self,
        question: str,
        answers: Sequence[tuple[str, str]],
        *,
        about: Sequence[str] = (),
        cancel: str = "cancel",
    ) -> None:
        """``answers`` holds words and their texts, ``about`` lines below the question."""
        super().__init__()
        self._question, self._about = question, about
        self._answers = [("", cancel), *answers]
        self._at = 0

    def _lines(self, width: int) -> list[Text]:
        palette = palette_of(self.app)
        lines = wrapped(Text(self._question, palette.title), width)
        for line in self._about:
            lines += wrapped(Text(clean(line, 200), palette.text), width, indent=2)
        lines.append(Text())
        for number, (_, answer) in enumerate(self._answers):
            is_at = number == self._at
            lines.append(
                Text.assemble(
                    ("▌ " if is_at else "  ", palette.accent),
                    (answer, f"bold {palette.text}" if is_at else palette.dim),
                )
            )
        return [*lines, Text(), Text("↑ ↓ choose   ⏎ confirm   esc cancel", palette.dim)]

    def action_move(self, by: int) -> None:
        self._at = min(max(self._at + by, 0), len(self._answers) - 1)
        self.query_one(LineView).redraw()

    def action_confirm(self) -> None:
        self.dismiss(self._answers[self._at][0] or None)


class Write(Dialog[str]):
    """A line of input; enter returns it."""

    def __init__(self, title: str, value: str = "", hint: str = "") -> None:
        super().__init__()
        self._title, self._value, self._hint = title, value, hint

    def compose(self) -> ComposeResult:
        palette = palette_of(self.app)
        with Vertical(classes="box"):
            yield LineView(lambda _: [Text(self._title, palette.title)], id="title")
            yield Input(self._value, compact=True, select_on_focus=False)
            yield LineView(lambda _: [Text(self._hint, palette.dim)], id="hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value)


class Help(Dialog[None]):
    """The keys of the screen behind it, as they are bound now."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,q", "cancel", "close", show=False, id="help.close"),
        Binding("down,j", "scroll(1)", "down", show=False, id="help.down"),
        Binding("up,k", "scroll(-1)", "up", show=False, id="help.up"),
    ]

    def __init__(self, title: str, keys: Sequence[tuple[str, str, str]]) -> None:
        """``keys`` holds keys, their description and the id of their binding."""
        super().__init__()
        self._title, self._keys = title, keys

    def compose(self) -> ComposeResult:
        with Vertical(classes="box tall"):
            yield LineView(self._lines)

    def _lines(self, width: int) -> list[Text]:
        palette = palette_of(self.app)
        lines = [Text(self._title, palette.title), Text()]
        for keys, description, binding_id in self._keys:
            lines.append(
                Text.assemble(
                    (f"{keys:>18}  ", palette.accent),
                    (f"{description:<{max(width - 44, 20)}}", palette.text),
                    (f" {binding_id}", palette.faint if width < 60 else palette.dim),
                )
            )
        lines += [Text(), Text("The words at the right name keys in config.toml.", palette.dim)]
        return lines

    def action_scroll(self, by: int) -> None:
        self.query_one(LineView).scroll_relative(y=by, animate=False)
