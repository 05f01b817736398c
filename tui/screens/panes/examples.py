"""The pictures of an attack run: clean, perturbation, adversarial; targeted beside untargeted."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from runs.errors import NotFoundError
from runs.examples import Attacked, Example, Examples
from tui.render.half_blocks import GAP, WIDTH, Panel, beside, half_blocks
from tui.render.lines import Line, wrapped
from tui.render.text import clean
from tui.render.themes import palette_of
from tui.widgets.line_view import LineView


class ExamplesPane(LineView, can_focus=True):
    """One test image at a time, as a model sees it."""

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

    def open(self, path: Path | None) -> None:
        """Show the pictures in this file; reads it again only when it has changed."""
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

    def _lines(self, width: int) -> Iterator[Line]:
        palette = palette_of(self.app)
        examples = self._examples
        if examples is None or not examples.count or not examples.models:
            yield from wrapped(Text(clean(self._problem, 500), palette.dim), width)
            return
        model = self._model % len(examples.models)
        number = self._number % examples.count
        example = examples.example(model, number)
        yield Text.assemble(
            (f"{number + 1}/{examples.count}", palette.accent),
            (f"  test image {example.index}, a ", palette.dim),
            (clean(example.label, 40), palette.title),
            (" as seen by ", palette.dim),
            (clean(examples.models[model], 40), palette.title),
        )
        for row in self._arranged(example, width):
            yield from beside(row, self.rich_style)

    def _arranged(self, example: Example, width: int) -> list[list[Panel]]:
        own = self._clean(example)
        attacked = [self._attacked(one) for one in example.attacked]
        deltas = [self._delta(one) for one in example.attacked]
        views: list[list[list[Panel]]] = []
        across = (width + GAP) // (WIDTH + GAP)
        if across >= 1 + 2 * len(attacked):
            pairs = [panel for pair in zip(deltas, attacked, strict=True) for panel in pair]
            views.append([[own, *pairs]])
        elif across >= 1 + len(attacked):
            views.append([[own, *attacked], [_nothing(), *deltas]])
            views.append([[own, *deltas]])
        elif across >= 2:
            views += [[list(pair)] for pair in zip(attacked[::2], attacked[1::2], strict=False)]
            views += [[[own, one]] for one in attacked]
            views += [[[delta, one]] for delta, one in zip(deltas, attacked, strict=True)]
        else:
            views += [[[panel]] for panel in (own, *attacked, *deltas)]
        return views[self._view % len(views)] if views else []

    def _clean(self, example: Example) -> Panel:
        palette = palette_of(self.app)
        right = example.prediction == example.label
        told = f"→ {example.prediction} {100 * example.confidence:.0f} %"
        return [
            Text("clean", palette.title),
            Text(clean(told, WIDTH), palette.text if right else palette.bad),
        ], half_blocks(example.clean)

    def _attacked(self, one: Attacked) -> Panel:
        palette = palette_of(self.app)
        aim = f"{one.attack} → {one.target}" if one.target else one.attack
        sign = "fooled" if one.fooled else "holds"
        told = clean(f"→ {one.prediction}", WIDTH - 13)
        told += f" {100 * one.confidence:.0f} % {sign}"
        return [
            Text(clean(aim, WIDTH), palette.title),
            Text(told, palette.bad if one.fooled else palette.good),
        ], half_blocks(one.image)

    def _delta(self, one: Attacked) -> Panel:
        palette = palette_of(self.app)
        told = f"{one.attack} − clean, × {one.amplified:.0f}"
        return [Text(clean(told, WIDTH), palette.dim)], half_blocks(one.perturbation)

    def action_picture(self, by: int) -> None:
        self._number += by
        self.redraw()

    def action_model(self, by: int) -> None:
        self._model += by
        self.redraw()

    def action_view(self) -> None:
        self._view += 1
        self.redraw()


def _nothing() -> Panel:
    return [], []
