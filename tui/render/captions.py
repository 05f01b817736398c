"""Captions of an attack run's pictures, for the screen and for ``advtui examples``.

Each caption has two lines: what the picture shows, and what the model predicts for it or by how
much a perturbation is amplified. Knows no terminal, no colour and no image array.
"""

from dataclasses import dataclass

from runs.examples import Attacked, Example
from tui.render.half_blocks import WIDTH
from tui.render.text import clean

_PREDICTION = WIDTH - len(" 100 % fooled")
"""Cells that are left for the predicted class."""
_DIFFERENCE = WIDTH - len(", × 10000")
"""Cells of the title of a perturbation; the screen joins its two lines with a comma."""


@dataclass(frozen=True)
class Caption:
    """The two lines above a picture; each has at most ``half_blocks.WIDTH`` cells."""

    title: str
    detail: str


def heading(example: Example, model: str) -> tuple[str, str, str, str]:
    """The line above an image's pictures; of its four parts the second and last are names."""
    names = clean(example.label, 40), clean(model, 40)
    return f"test image {example.index}, a ", names[0], " as seen by ", names[1]


def clean_caption(example: Example) -> Caption:
    """The caption of the unperturbed image."""
    return Caption("clean", _prediction(example.prediction, example.confidence))


def perturbation_caption(attacked: Attacked) -> Caption:
    """The caption of adversarial minus clean."""
    return Caption(clean(f"{attacked.attack} − clean", _DIFFERENCE), f"× {attacked.amplified:.0f}")


def adversarial_caption(attacked: Attacked) -> Caption:
    """The caption of the adversarial image, with whether the attack reached its aim."""
    title = f"{attacked.attack} → {attacked.target}" if attacked.target else attacked.attack
    outcome = "fooled" if attacked.fooled else "holds"
    prediction = _prediction(attacked.prediction, attacked.confidence)
    return Caption(clean(title, WIDTH), f"{prediction} {outcome}")


def _prediction(name: str, confidence: float) -> str:
    return f"{clean(f'→ {name}', _PREDICTION)} {100 * confidence:.0f} %"
