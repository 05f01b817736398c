"""What an attack run has kept of single images: its pictures, and where each class breaks."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.segment import Segment, Segments
from rich.style import Style
from rich.table import Table
from rich.text import Text

from runs.errors import NotFoundError, UserError
from runs.examples import Example, Examples
from runs.outcomes import FILE, Outcomes, per_class
from runs.store import Run, Store
from tui.commands.output import open_store, say, stdout_console
from tui.render.captions import (
    adversarial_caption,
    clean_caption,
    heading,
    perturbation_caption,
)
from tui.render.half_blocks import GAP, WIDTH, Panel, beside, half_blocks
from tui.render.plain_table import plain_table
from tui.render.text import clean, percent

if TYPE_CHECKING:
    from PIL.Image import Image

SCALE = 4
"""Pixels of a written picture for each pixel of an image."""


def attack_run(store: Store, word: str) -> Run:
    """The attack run that a word means: itself, a study's, or the latest on a trained run.

    Raises:
        NotFoundError: there is no such run, or nothing has attacked it.
    """
    run = store.find(word)
    if run.kind == "attack":
        return run
    if run.kind == "study":
        found = [child for child in store.children(run) if child.kind == "attack"]
    else:
        found = [
            other
            for other in store.runs()
            if other.kind == "attack"
            and any(row.get("run") == run.id for row in (other.result or {}).get("rows", []))
        ]
    if not found:
        raise NotFoundError(f"{word} has no evaluation yet: run advtui attack on it first")
    return found[0]


# Classes


def show_classes(
    word: str, home: Path | None, model: str | None, attack: str | None, *, as_json: bool
) -> None:
    """Print where the models of an attack run break, class by class."""
    run = attack_run(open_store(home), word)
    outcomes = Outcomes.load(run.path / FILE)
    pairs = [(m, a) for m, a in outcomes.attacked if model in (None, m) and attack in (None, a)]
    if not pairs:
        told = "; ".join(f"{m}: {a}" for m, a in outcomes.attacked)
        raise UserError(f"no such model and attack in {run.id}: there are {told}")
    if as_json:
        whole = [{"model": m, "attack": a, "classes": per_class(outcomes, m, a)} for m, a in pairs]
        print(json.dumps({"run": run.id, "per_class": whole}, indent=2, ensure_ascii=False))
        return
    # By itself the last row under the attack that leaves least of it.
    last = [pair for pair in pairs if pair[0] == pairs[-1][0]]
    chosen = min(last, key=lambda pair: _left(outcomes, *pair))
    console = stdout_console()
    console.print(Text(clean(f"{chosen[0]} under {chosen[1]}, the weakest class first", 200)))
    console.print(_class_table(per_class(outcomes, *chosen)))


def _left(outcomes: Outcomes, model: str, attack: str) -> int:
    withstood = outcomes.withstood(model, attack)
    return 0 if withstood is None else int(withstood.sum())


def _class_table(found: Sequence[dict[str, Any]]) -> Table:
    table = plain_table(
        ("class", "left"),
        ("images", "right"),
        ("accuracy %", "right"),
        ("broken %", "right"),
        ("robust %", "right"),
        ("becomes", "left"),
    )
    seen = [one for one in found if one["n"]]
    for one in sorted(seen, key=lambda one: (one["robust_accuracy"], one["accuracy"])):
        becomes = ", ".join(f"{clean(b['class'], 20)} ({b['k']})" for b in one["becomes"][:3])
        table.add_row(
            Text(clean(one["class"], 24)),
            str(one["n"]),
            percent(one["accuracy"]),
            percent(one["broken_rate"]),
            percent(one["robust_accuracy"]),
            Text(becomes, style="dim"),
        )
    return table


# Pictures


def show_examples(
    word: str, home: Path | None, model: str | None, count: int, png: Path | None
) -> None:
    """Print adversarial pictures in half-blocks, or write them as a PNG."""
    run = attack_run(open_store(home), word)
    examples = Examples(run.path / "examples.npz")
    if model is not None and model not in examples.models:
        told = ", ".join(examples.models)
        raise UserError(f"no model {model!r} in {run.id}: there are {told}")
    models = [n for n, name in enumerate(examples.models) if model in (None, name)]
    shown = [
        (examples.models[m], examples.example(m, number))
        for number in range(min(count, examples.count))
        for m in models
    ]
    if not shown:
        raise NotFoundError(f"{run.id} has kept no pictures")
    if png is not None:
        _picture(shown).save(png)
        say(f"wrote {png}")
        return
    console = stdout_console()
    if console.color_system is None:
        raise UserError("pictures need a terminal with colours; --png FILE writes them")
    for name, example in shown:
        _print_example(console, name, example)


def _captions(example: Example) -> list[tuple[str, str]]:
    """The two lines above each of :func:`_pictures_of`."""
    captions = [clean_caption(example)]
    for attacked in example.attacked:
        captions += [perturbation_caption(attacked), adversarial_caption(attacked)]
    return [(caption.title, caption.detail) for caption in captions]


def _pictures_of(example: Example) -> list[Any]:
    shown = [example.clean]
    for attacked in example.attacked:
        shown += [attacked.perturbation, attacked.image]
    return shown


def _print_example(console: Console, model: str, example: Example) -> None:
    console.print(
        Text("".join(heading(example, model))),
        style="bold",
    )
    across = max((console.width + GAP) // (WIDTH + GAP), 1)
    panels: list[Panel] = [
        ([Text(clean(part, WIDTH)) for part in told], half_blocks(picture))
        for told, picture in zip(_captions(example), _pictures_of(example), strict=True)
    ]
    for begin in range(0, len(panels), across):
        for line in beside(panels[begin : begin + across], Style.null()):
            if isinstance(line, Text):
                line.rstrip()
                console.print(line)
            else:
                console.print(Segments([*line, Segment.line()]), end="")
    console.print()


def _picture(shown: Sequence[tuple[str, Example]]) -> "Image":
    """All examples below each other, each a row of clean, perturbation, adversarial…"""
    from PIL import Image, ImageDraw

    side, gap, text = WIDTH * SCALE, 12, 14
    across = max(len(_pictures_of(example)) for _, example in shown)
    row = side + 3 * text + 2 * gap
    sheet = Image.new("RGB", (across * (side + gap) + gap, len(shown) * row + gap), "white")
    draw = ImageDraw.Draw(sheet)
    for n, (model, example) in enumerate(shown):
        top = gap + n * row
        draw.text((gap, top), _latin("".join(heading(example, model))), fill="black")
        parts = zip(_pictures_of(example), _captions(example), strict=True)
        for column, (pixels, told) in enumerate(parts):
            left = gap + column * (side + gap)
            for line, words in enumerate(told, start=1):
                draw.text((left, top + line * text), _latin(words)[:22], fill="black")
            large = Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(large, (left, top + 3 * text + 2))
    return sheet


def _latin(text: str) -> str:
    """What Pillow's own font can write."""
    plain = clean(text, 200).replace("→", "->").replace("×", "x").replace("−", "-")
    return plain.encode("latin-1", "replace").decode("latin-1")
