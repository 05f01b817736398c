"""What an attack run saved of single images: outcomes by class, and example images."""

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
from runs.jsonfiles import replacing
from runs.outcomes import FILE, ClassOutcome, Outcomes, per_class
from runs.permissions import for_the_user
from runs.store import Run, Store
from tui.commands.output import stdout_console
from tui.commands.plain_output import open_store, print_json, say
from tui.render.captions import captions, heading
from tui.render.half_blocks import GAP, WIDTH, Panel, beside, half_blocks
from tui.render.plain_table import plain_table
from tui.render.text import clean, percent

if TYPE_CHECKING:
    from PIL.Image import Image

SCALE = 4
"""Side of an image's pixel in the PNG file, in pixels."""
_SHEET_WIDTH = 21
"""Characters of Pillow's own font above an image of the PNG file, an arrow counted as one."""


def attack_run(store: Store, word: str) -> Run:
    """The attack run that a word names: an attack run, a study's, or the latest on a train run.

    Raises:
        NotFoundError: the run does not exist, or has not been attacked.
    """
    run = store.find(word)
    if run.kind == "attack":
        return run
    if run.kind == "study":
        attacks = [child for child in store.children(run) if child.kind == "attack"]
    else:
        attacks = [
            other for other in store.runs() if other.kind == "attack" and _has_row(other, run)
        ]
    if not attacks:
        raise NotFoundError(f"{word} has no evaluation yet: run advtui attack on it first")
    return attacks[0]


def _has_row(attack: Run, trained: Run) -> bool:
    result = attack.result
    return result is not None and any(
        row.get("run") == trained.id for row in result.get("rows", [])
    )


# Classes


def show_classes(
    word: str, home: Path | None, model: str | None, attack: str | None, *, as_json: bool
) -> None:
    """Print the outcomes of an attack run by class.

    As JSON all rows under all attacks, unless ``model`` and ``attack`` name one. As a table the
    last of these rows, under the strongest of these attacks on it.
    """
    run = attack_run(open_store(home), word)
    outcomes = Outcomes.load(run.path / FILE)
    pairs = [(m, a) for m, a in outcomes.attacked if model in (None, m) and attack in (None, a)]
    if not pairs:
        available = "; ".join(f"{m}: {a}" for m, a in outcomes.attacked)
        raise UserError(f"no such model and attack in {run.id}: there are {available}")
    if as_json:
        whole = [{"model": m, "attack": a, "classes": per_class(outcomes, m, a)} for m, a in pairs]
        print_json({"run": run.id, "per_class": whole})
        return
    # The strongest attack is the one that leaves the fewest images correct.
    of_last_row = [pair for pair in pairs if pair[0] == pairs[-1][0]]
    chosen = min(of_last_row, key=lambda pair: _robust_images(outcomes, *pair))
    console = stdout_console()
    console.print(Text(clean(f"{chosen[0]} under {chosen[1]}, the weakest class first", 200)))
    console.print(_class_table(per_class(outcomes, *chosen)))


def _robust_images(outcomes: Outcomes, model: str, attack: str) -> int:
    withstood = outcomes.withstood(model, attack)
    return 0 if withstood is None else int(withstood.sum())


def _class_table(classes: Sequence[ClassOutcome]) -> Table:
    table = plain_table(
        ("class", "left"),
        ("images", "right"),
        ("accuracy %", "right"),
        ("broken %", "right"),
        ("robust %", "right"),
        ("becomes", "left"),
    )
    evaluated = [row for row in classes if row["n"]]
    for row in sorted(evaluated, key=lambda row: (row["robust_accuracy"], row["accuracy"])):
        becomes = ", ".join(f"{clean(b['class'], 20)} ({b['k']})" for b in row["becomes"][:3])
        table.add_row(
            Text(clean(row["class"], 24)),
            str(row["n"]),
            percent(row["accuracy"]),
            percent(row["broken_rate"]),
            percent(row["robust_accuracy"]),
            Text(becomes, style="dim"),
        )
    return table


# Images


def show_examples(
    word: str, home: Path | None, model: str | None, count: int, png: Path | None
) -> None:
    """Print adversarial images in half-blocks, or write them to a PNG file."""
    run = attack_run(open_store(home), word)
    examples = Examples(run.path / "examples.npz")
    if model is not None and model not in examples.models:
        available = ", ".join(examples.models)
        raise UserError(f"no model {model!r} in {run.id}: there are {available}")
    models = [n for n, name in enumerate(examples.models) if model in (None, name)]
    shown = [
        (examples.models[m], examples.example(m, number))
        for number in range(min(count, examples.count))
        for m in models
    ]
    if not shown:
        raise NotFoundError(f"{run.id} has saved no images: attack again with --examples 12")
    if png is not None:
        with for_the_user(), replacing(png.resolve()) as stream:
            _sheet(shown).save(stream, "PNG")
        say(f"wrote {png}")
        return
    console = stdout_console()
    if console.color_system is None:
        raise UserError("images need a terminal with colours; --png FILE writes them")
    for name, example in shown:
        _print_example(console, name, example)


def _images_of(example: Example) -> list[Any]:
    """The images that :func:`tui.render.captions.captions` describes, in its order."""
    images = [example.clean]
    for attacked in example.attacked:
        images += [attacked.perturbation, attacked.image]
    return images


def _print_example(console: Console, model: str, example: Example) -> None:
    console.print(Text("".join(heading(example, model))), style="bold")
    across = max((console.width + GAP) // (WIDTH + GAP), 1)
    panels: list[Panel] = [
        ([Text(clean(line, WIDTH)) for line in caption.lines], half_blocks(image))
        for caption, image in zip(captions(example), _images_of(example), strict=True)
    ]
    for begin in range(0, len(panels), across):
        for line in beside(panels[begin : begin + across], Style.null()):
            if isinstance(line, Text):
                line.rstrip()
                console.print(line)
            else:
                console.print(Segments([*line, Segment.line()]), end="")
    console.print()


def _sheet(shown: Sequence[tuple[str, Example]]) -> "Image":
    """A row for each example: clean, then perturbation and adversarial image of each attack."""
    from PIL import Image, ImageDraw

    side, gap, text = WIDTH * SCALE, 12, 13
    across = max(len(_images_of(example)) for _, example in shown)
    row = side + 4 * text + 2 * gap
    sheet = Image.new("RGB", (across * (side + gap) + gap, len(shown) * row + gap), "white")
    draw = ImageDraw.Draw(sheet)
    for n, (model, example) in enumerate(shown):
        top = gap + n * row
        draw.text((gap, top), _latin("".join(heading(example, model))), fill="black")
        parts = zip(_images_of(example), captions(example, _SHEET_WIDTH), strict=True)
        for column, (pixels, caption) in enumerate(parts):
            left = gap + column * (side + gap)
            for line, words in enumerate(caption.lines, start=1):
                written = _latin(words)[: _SHEET_WIDTH + 1]
                draw.text((left, top + line * text), written, fill="black")
            large = Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(large, (left, top + 4 * text + 2))
    return sheet


def _latin(text: str) -> str:
    """The text in the characters of Pillow's own font."""
    plain = clean(text, 200)
    for sign, written in (("→", "->"), ("×", "x"), ("−", "-"), ("…", ".")):
        plain = plain.replace(sign, written)
    return plain.encode("latin-1", "replace").decode("latin-1")
