"""Boxes above a screen: a question with answers, and a line of input."""

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Click
from textual.screen import ModalScreen
from textual.widgets import Input

from tui.render.lines import wrapped
from tui.render.text import clean
from tui.render.themes import palette_of
from tui.widgets.error_boundary import ErrorBoundary
from tui.widgets.foot_line import FootLine, Hint
from tui.widgets.line_view import LineView

T = TypeVar("T")


class Dialog(ErrorBoundary, ModalScreen[T | None]):
    """A box in front of a screen; its result is None if escape or a click beside it closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", id="dialog.cancel"),
    ]

    @property
    def is_harmless(self) -> bool:
        """Whether a click beside the box, which may be a mistake, closes it."""
        return True

    def on_click(self, event: Click) -> None:
        """Close the box on a click beside it, but not on the second half of a double click."""
        is_beside = not self.query_one(".box").region.contains(event.screen_x, event.screen_y)
        if is_beside and self.is_harmless and event.chain == 1:
            self.action_cancel()

    def action_cancel(self) -> None:
        self.dismiss(None)


class Question(Dialog[str]):
    """A question with its answers, a line each, in a box as high as its lines."""

    def __init__(self, question: str, answers: Sequence[tuple[str, str]], about: Sequence[str]):
        """``answers`` holds results and their texts, ``about`` lines below the question."""
        super().__init__()
        self._question, self._answers, self._about = question, answers, about
        self._first = 0
        """The line of the first answer."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield LineView(self._lines, id="question")

    def _lines(self, width: int) -> list[Text]:
        palette = palette_of(self.app)
        lines = wrapped(Text(self._question, palette.title), width)
        for line in self._about:
            lines += wrapped(Text(clean(line, 200), palette.text), width, indent=2)
        lines.append(Text())
        self._first = len(lines)
        return [*lines, *(self._answer(number) for number in range(len(self._answers)))]

    def _answer(self, number: int) -> Text:  # noqa: ARG002
        """The line of an answer."""
        return Text()

    def on_click(self, event: Click) -> None:
        view = self.query_one("#question", LineView)
        at = event.get_content_offset(view)
        if at is not None:
            number = at.y + view.scroll_offset.y - self._first
            if 0 <= number < len(self._answers):
                self.answer_clicked(number, event.chain)

    def answer_clicked(self, number: int, chain: int) -> None:
        """An answer was clicked, the ``chain``-th time in a row."""


class Choose(Question):
    """A question with a key for each answer; the result is the chosen key."""

    def __init__(
        self, question: str, answers: Sequence[tuple[str, str]], *, about: Sequence[str] = ()
    ) -> None:
        """``answers`` holds keys and texts, ``about`` lines below the question."""
        super().__init__(question, [*answers, ("esc", "cancel")], about)
        for key, answer in answers:
            self._bindings.bind(key, f"answer({key!r})", answer)

    def _answer(self, number: int) -> Text:
        palette = palette_of(self.app)
        key, answer = self._answers[number]
        return Text.assemble((f"{key:>5}  ", palette.accent), (answer, palette.text))

    def answer_clicked(self, number: int, chain: int) -> None:  # noqa: ARG002
        is_cancel = number == len(self._answers) - 1
        self.dismiss(None if is_cancel else self._answers[number][0])

    def action_answer(self, key: str) -> None:
        self.dismiss(key)


class Pick(Question):
    """A question that destroys something: its answers are moved to with the arrows, enter confirms.

    No letter answers it, and it starts on "cancel". A click moves to an answer, and a second one
    confirms it; "cancel" needs only one. A click beside the box does nothing. The result is the
    word of the answer.
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
        super().__init__(question, [("", cancel), *answers], about)
        self._at = 0

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield LineView(self._lines, id="question")
            yield FootLine(self._hints, id="hint")

    def _hints(self) -> list[Hint]:
        return [
            Hint("↑ ↓", "choose", "move(1)", self),
            Hint("⏎", "confirm", "confirm", self),
            Hint("esc", "cancel", "cancel", self),
        ]

    @property
    def is_harmless(self) -> bool:
        return False

    def _answer(self, number: int) -> Text:
        palette = palette_of(self.app)
        is_at = number == self._at
        return Text.assemble(
            ("▌ " if is_at else "  ", palette.accent),
            (self._answers[number][1], f"bold {palette.text}" if is_at else palette.dim),
        )

    def answer_clicked(self, number: int, chain: int) -> None:
        is_second, is_cancel = number == self._at or chain > 1, number == 0
        self.action_move(number - self._at)
        if is_second or is_cancel:
            self.action_confirm()

    def action_move(self, by: int) -> None:
        self._at = min(max(self._at + by, 0), len(self._answers) - 1)
        self.query_one("#question", LineView).redraw()

    def action_confirm(self) -> None:
        self.dismiss(self._answers[self._at][0] or None)


class Write(Dialog[str]):
    """A line of input; enter returns it."""

    def __init__(self, title: str, value: str = "", hint: str = "") -> None:
        """``hint``: a line, or several, below the input."""
        super().__init__()
        self._title, self._value, self._hint = title, value, hint

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield LineView(self._titled, id="title")
            yield Input(self._value, compact=True, select_on_focus=False)
            yield LineView(self._hinted, id="hint")
            yield FootLine(self._keys, id="keys")

    def _titled(self, _: int) -> list[Text]:
        return [Text(self._title, palette_of(self.app).title)]

    def _hinted(self, width: int) -> list[Text]:
        dim = palette_of(self.app).dim
        return [
            line for text in self._hint.splitlines() for line in wrapped(Text(text, dim), width)
        ]

    def _keys(self) -> list[Hint]:
        return [Hint("⏎", "keep", "keep", self), Hint("esc", "cancel", "cancel", self)]

    @property
    def is_harmless(self) -> bool:
        """Nothing that was typed is lost by a mistake."""
        return self.query_one(Input).value == self._value

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_keep()

    def action_keep(self) -> None:
        """What enter does, for a click in the last line."""
        self.dismiss(self.query_one(Input).value)
