"""The section of example pictures: clean and attacked, with what the model takes them for."""

import base64
import io
from collections.abc import Iterator
from typing import Any

from runs.errors import NotFoundError
from runs.examples import FILE, Examples
from runs.store import Run
from tui.report.content import Content, label
from tui.report.html import Html, joined, section, tag

_PER_MODEL = 4
_LARGEST = 96
"""Side in pixels beyond which a picture is made smaller."""


def pictures(content: Content) -> Html | None:
    """A few images of each model: clean, and under each attack."""
    return section("pictures", "Pictures", *(p for run in content.evaluations for p in _of(run)))


def _of(run: Run) -> Iterator[Html]:
    try:
        examples = Examples(run.path / FILE)
    except NotFoundError:
        return
    for number, model in enumerate(examples.models):
        rows = [_row(examples, number, place) for place in range(min(_PER_MODEL, examples.count))]
        if rows:
            title = f"{label(run)}: {model}" if run.parent is None else model
            yield joined(
                [tag("h3", title), tag("div", joined(rows, "\n"), class_="examples")], "\n"
            )


def _row(examples: Examples, model: int, place: int) -> Html:
    found = examples.example(model, place)
    figures = [
        _figure(
            found.clean,
            "clean",
            found.label,
            found.prediction,
            found.confidence,
            "right" if found.is_correct else "wrong when clean",
        )
    ]
    figures += [
        _figure(
            a.image,
            a.attack + (f" → {a.target}" if a.target else ""),
            found.label,
            a.prediction,
            a.confidence,
            a.verdict,
        )
        for a in found.attacked
    ]
    return tag("div", *figures, class_="example")


def _figure(
    pixels: Any, how: str, label_: str, predicted: str, confidence: float, verdict: str
) -> Html:
    alt = f"{label_}, {how}: taken for {predicted}, {verdict}"
    height, width = pixels.shape[:2]
    words = joined(
        [how, tag("br"), tag("b", predicted), tag("br"), f"{100 * confidence:.0f} %, {verdict}"]
    )
    picture = tag(
        "img",
        src=data_uri(pixels),
        alt=alt,
        width=min(width, _LARGEST),
        height=min(height, _LARGEST),
    )
    return tag("figure", picture, tag("figcaption", words))


def data_uri(pixels: Any) -> str:
    """A picture uint8 (H, W, 3) as a PNG in a data URI."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((_LARGEST, _LARGEST))
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
