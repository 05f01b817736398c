"""Captions of an attack run's pictures, for the screen and for ``advtui examples``.

Each caption has a title, and below it what the model predicts for the picture and what came of the
attack, or by how much a perturbation is amplified. Knows no terminal, no colour and no image array.
"""

from dataclasses import dataclass

from rich.cells import cell_len

from runs.examples import Attacked, Example, Verdict
from tui.render.half_blocks import WIDTH
from tui.render.text import clean

_DIFFERENCE = WIDTH - len(", × 10000")
"""Cells of the title of a perturbation; the screen joins its two lines with a comma."""


@dataclass(frozen=True)
class Caption:
    """The lines above a picture: the title, then one or two lines of details."""

    title: str
    details: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """All lines, from above."""
        return (self.title, *self.details)


def heading(example: Example, model: str) -> tuple[str, str, str, str]:
    """The line above an image's pictures; of its four parts the second and last are names."""
    names = clean(example.label, 40), clean(model, 40)
    return f"test image {example.index}, a ", names[0], " as seen by ", names[1]


def captions(example: Example, width: int = WIDTH) -> list[Caption]:
    """Of the clean image, then of the perturbation and the adversarial image of each attack."""
    shown = [clean_caption(example, width)]
    for attacked in example.attacked:
        shown += [perturbation_caption(attacked), adversarial_caption(attacked, width)]
    return shown


def clean_caption(example: Example, width: int = WIDTH) -> Caption:
    """The caption of the unperturbed image; a misclassified one says so."""
    outcome: Verdict | None = None if example.is_correct else "wrong when clean"
    return Caption("clean", _details(example.prediction, example.confidence, outcome, width))


def perturbation_caption(attacked: Attacked) -> Caption:
    """The caption of adversarial minus clean."""
    title = clean(f"{attacked.attack} − clean", _DIFFERENCE)
    return Caption(title, (f"× {attacked.amplified:.0f}",))


def adversarial_caption(attacked: Attacked, width: int = WIDTH) -> Caption:
    """The caption of the adversarial image, with what came of the attack on it."""
    title = f"{attacked.attack} → {attacked.target}" if attacked.target else attacked.attack
    details = _details(attacked.prediction, attacked.confidence, attacked.verdict, width)
    return Caption(clean(title, width), details)


def _details(
    predicted: str, confidence: float, outcome: Verdict | None, width: int
) -> tuple[str, ...]:
    """``→ bear 72 % hit``; the outcome in a line of its own where ``width`` is short of cells."""
    name = clean(f"→ {predicted}", width - len(" 100 %"))
    prediction = f"{name} {100 * confidence:.0f} %"
    if outcome is None:
        return (prediction,)
    together = f"{prediction} {outcome}"
    return (together,) if cell_len(together) <= width else (prediction, outcome)
