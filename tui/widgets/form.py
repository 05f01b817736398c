"""The lines of a form: a label, a value to write or to choose, and a help text."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from tui.render.themes import palette_of
from tui.widgets.error_boundary import ErrorBoundary
from tui.widgets.line_view import LineView

ARROW = 2
"""Cells of an arrow beside a choice, with its blank."""


class Choice(ErrorBoundary, Widget, can_focus=True):
    """A choice of words: ``‹ robust ›``; the empty word stands for the default."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l,space", "turn(1)", "next choice", id="form.next-choice"),
        Binding("left,h", "turn(-1)", "choice before", show=False, id="form.choice-before"),
    ]

    class Changed(Message):
        """Another word was chosen."""

    def __init__(self, options: Sequence[str], value: str) -> None:
        super().__init__()
        self._options = list(options)
        self._value = value if value in options else self._options[0]
        self._default = ""
        self._end = 0
        """The column behind the right arrow, as it was drawn."""

    @property
    def value(self) -> str:
        return self._value

    def set_options(self, options: Sequence[str]) -> None:
        """Replace the words; the value stays if it is among them."""
        if list(options) != self._options:
            self._options = list(options)
            self._value = self._value if self._value in options else self._options[0]
            self.refresh()

    def set_default(self, default: str) -> None:
        """Set the text that is shown for the empty word."""
        if default != self._default:
            self._default = default
            self.refresh()

    @property
    def at(self) -> str:
        """The word that the field shows now."""
        return self._value or self._default

    def render(self) -> Text:
        palette = palette_of(self.app)
        arrows = palette.accent if self.has_focus else palette.dim
        value = (self._value, palette.text) if self._value else (self._default, palette.dim)
        line = Text.assemble(("‹ ", arrows), value, (" ›", arrows))
        self._end = line.cell_len
        return line

    def action_turn(self, by: int) -> None:
        at = self._options.index(self._value)
        self._value = self._options[(at + by) % len(self._options)]
        self.refresh()
        self.post_message(self.Changed())

    def on_click(self, event: Click) -> None:
        """The left arrow turns back, the right one forward; all else is :meth:`word_clicked`."""
        event.stop()
        at = event.get_content_offset(self)
        if at is not None and at.x < ARROW:
            self.action_turn(-1)
        elif at is not None and self._end - ARROW <= at.x < self._end:
            self.action_turn(1)
        else:
            self.word_clicked()

    def word_clicked(self) -> None:
        """A click beside the arrows."""
        self.action_turn(1)


class MultiChoice(Choice):
    """Words of which several can be chosen: ``‹ ✓ fgsm › 2 chosen``; at least one stays chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "choose", "choose it or not", id="form.choose"),
    ]

    def __init__(self, options: Sequence[str], chosen: str) -> None:
        super().__init__(options, "")
        self._chosen = set(chosen.split()) & set(options)
        self._value = next((word for word in options if word in self._chosen), options[0])

    @property
    def value(self) -> str:
        """The chosen words in the order of the options, with blanks between them."""
        return " ".join(word for word in self._options if word in self._chosen)

    @property
    def at(self) -> str:
        return self._value

    def render(self) -> Text:
        palette = palette_of(self.app)
        arrows = palette.accent if self.has_focus else palette.dim
        is_chosen = self._value in self._chosen
        line = Text.assemble(
            ("‹ ", arrows),
            ("✓ " if is_chosen else "· ", palette.accent if is_chosen else palette.dim),
            (self._value, palette.text if is_chosen else palette.dim),
            (" ›", arrows),
        )
        self._end = line.cell_len
        return line.append(f" {len(self._chosen)}/{len(self._options)}", palette.dim)

    def word_clicked(self) -> None:
        self.action_choose()

    def action_choose(self) -> None:
        toggled = self._chosen ^ {self._value}
        self._chosen = toggled or self._chosen
        self.refresh()
        self.post_message(self.Changed())


class Field(ErrorBoundary, Widget):
    """A line of the form."""

    def __init__(
        self,
        key: str,
        label: str,
        hint: str,
        *,
        options: Sequence[str] | None = None,
        value: str = "",
        several: bool = False,
    ) -> None:
        """``several``: more than one of the options can be chosen."""
        super().__init__(id=f"field-{key}")
        self.key = key
        self._label, self._hint = label, hint
        self.entry: Choice | Input
        if options is None:
            self.entry = Input(value, compact=True, select_on_focus=False)
        elif several:
            self.entry = MultiChoice(options, value)
        else:
            self.entry = Choice(options, value)

    def compose(self) -> ComposeResult:
        label = LineView(lambda _: [Text(self._label, palette_of(self.app).dim)])
        label.add_class("label")
        hint = LineView(lambda _: [Text(self._hint, palette_of(self.app).dim)])
        hint.add_class("hint")
        label.can_focus = hint.can_focus = False
        yield label
        yield self.entry
        yield hint

    def on_click(self) -> None:
        """A click on the label or the help goes to the value."""
        self.entry.focus()

    @property
    def value(self) -> str:
        """The written or chosen text; empty for the default."""
        return self.entry.value.strip()

    def set_default(self, default: str) -> None:
        """Set the text that is shown for an empty value."""
        if isinstance(self.entry, Choice):
            self.entry.set_default(default)
        elif self.entry.placeholder != default:
            self.entry.placeholder = default
