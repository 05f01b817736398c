"""The pictures of an attack run: clean image, perturbation, adversarial image."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

from rich.text import Text
from textual.binding import Binding, BindingType

from runs.errors import NotFoundError
from runs.examples import Attacked, Example, Examples
from tui.render.captions import (
    Caption,
    adversarial_caption,
    clean_caption,
    heading,
    perturbation_caption,
)
from tui.render.half_blocks import GAP, WIDTH, Panel, beside, half_blocks
from tui.render.lines import Line, wrapped
from tui.render.text import clean
from tui.render.themes import palette_of
from tui.widgets.line_view import LineView


class _View(NamedTuple):
    """Rows of panels, and which of the attacks they show, where that is not all of them."""

    rows: list[list[Panel]]
    part: str = ""


def _part(first: int, shown: int, count: int) -> str:
    """``attack 1 of 2``, ``attacks 1–2 of 3``; ``first`` is counted from 0."""
    last = min(first + shown, count)
    numbers = f"{last}" if last == first + 1 else f"{first + 1}–{last}"
    return f"attack{'s' if last > first + 1 else ''} {numbers} of {count}"


class ExamplesPane(LineView, can_focus=True):
    """One test image at a time, under one model: clean and under each attack."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "picture(1)", "next picture", id="examples.next"),
        Binding("left,h", "picture(-1)", "previous picture", show=False, id="examples.previous"),
        Binding("down,j", "model(1)", "next model", id="examples.model"),
        Binding("up,k", "model(-1)", "previous model", show=False, id="examples.model-back"),
        Binding("v", "view", "view", id="examples.view"),
    ]

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(self._lines, id=id)
        self.set_classes(classes or "")
        self._path: Path | None = None
        self._stamp = 0
        self._examples: Examples | None = None
        self._problem = "no attack in this run, hence no pictures"
        self._number = self._model = self._view = 0
        self._views = 1
        """How many views the width has."""

    def open(self, path: Path | None) -> None:
        """Show the pictures of this file; read it again only if it has changed."""
        try:
            stamp = path.stat().st_mtime_ns if path else 0
        except OSError:
            stamp = 0
        if (path, stamp) == (self._path, self._stamp):
            return
        self._path, self._stamp, self._examples = path, stamp, None
        if path is not None:
            try:
                self._examples = Examples(path)
            except NotFoundError as error:
                self._problem = f"{error}: they come at the end of an attack run"
        self.redraw()
        self.refresh_bindings()

    def _lines(self, width: int) -> Iterator[Line]:
        palette = palette_of(self.app)
        examples = self._examples
        if examples is None or not examples.count or not examples.models:
            yield from wrapped(Text(clean(self._problem, 500), palette.dim), width)
            return
        model = self._model % len(examples.models)
        number = self._number % examples.count
        example = examples.example(model, number)
        image, label, under, name = heading(example, examples.models[model])
        yield Text.assemble(
            (f"{number + 1}/{examples.count}", palette.accent),
            (f"  {image}", palette.dim),
            (label, palette.title),
            (under, palette.dim),
            (name, palette.title),
        )
        views = self._arranged(example, width)
        self._views = len(views)
        if not views:
            return
        view = views[self._view % len(views)]
        for row in view.rows:
            yield from beside(row, self.rich_style)
        if view.part:
            yield Text(view.part, palette.dim)

    def _arranged(self, example: Example, width: int) -> list[_View]:
        """The views that ``v`` shows in turn; the width decides which there are.

        Where not all attacks have room, each view has those that stand beside the clean image.
        """
        original = self._clean(example)
        attacked = [self._adversarial(picture) for picture in example.attacked]
        deltas = [self._perturbation(picture) for picture in example.attacked]
        across = (width + GAP) // (WIDTH + GAP)
        if across >= 1 + 2 * len(attacked):
            pairs = [panel for pair in zip(deltas, attacked, strict=True) for panel in pair]
            return [_View([[original, *pairs]])]
        if across >= 1 + len(attacked):
            pictures = [[original, *attacked], [_NO_PANEL, *deltas]]
            return [_View(pictures), _View([[original, *deltas]])]
        count = len(attacked)
        if across < 2:
            parts = [f"attack {n + 1} of {count}" for n in range(count)]
            titles = ["", *parts, *(f"perturbation of {part}" for part in parts)]
            panels = [original, *attacked, *deltas]
            return [_View([[panel]], title) for panel, title in zip(panels, titles, strict=True)]
        return [
            _View(
                [[original, *panels[first : first + across - 1]]], _part(first, across - 1, count)
            )
            for panels in (attacked, deltas)
            for first in range(0, count, across - 1)
        ]

    def _clean(self, example: Example) -> Panel:
        palette = palette_of(self.app)
        style = palette.text if example.is_correct else palette.bad
        return self._titled(clean_caption(example), style), half_blocks(example.clean)

    def _adversarial(self, attacked: Attacked) -> Panel:
        palette = palette_of(self.app)
        styles = {
            "holds": palette.good,
            "fooled": palette.bad,
            "hit": palette.bad,
            "missed, but wrong": palette.warn,
            "wrong when clean": palette.dim,
        }
        caption = adversarial_caption(attacked)
        return self._titled(caption, styles[attacked.verdict]), half_blocks(attacked.image)

    def _titled(self, caption: Caption, style: str) -> list[Text]:
        title = Text(caption.title, palette_of(self.app).title)
        return [title, *(Text(line, style) for line in caption.details)]

    def _perturbation(self, attacked: Attacked) -> Panel:
        caption = perturbation_caption(attacked)
        line = Text(", ".join(caption.lines), palette_of(self.app).dim)
        return [line], half_blocks(attacked.perturbation)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Without a second picture, model or view there is nothing to change to."""
        if self._examples is None:
            return False
        counts = {"picture": self._examples.count, "model": len(self._examples.models)}
        return {**counts, "view": self._views}.get(action, 0) > 1

    def action_picture(self, by: int) -> None:
        self._number += by
        self.redraw()

    def action_model(self, by: int) -> None:
        self._model += by
        self.redraw()

    def action_view(self) -> None:
        self._view += 1
        self.redraw()


_NO_PANEL: Panel = ([], [])
