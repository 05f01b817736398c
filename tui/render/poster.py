"""The figures printed on the poster that this study reproduces, as rows below a table."""

from collections.abc import Collection

from runs.formats import percent
from tui.render.rate_table import Level, ModelRates, Rate

NOTE = (
    "poster: “Securing image classifiers against adversarial attacks: a study on CIFAR-100”, "
    "whose figures this study reproduces; printed without ε, steps or denominators (CIFAR-100, "
    "ResNet-18), for orientation only"
)
_ATTACKS = ("pgd-targeted", "pgd-untargeted")
_PRINTED = (
    ("Baseline", 0.6857, (0.7614, 0.7545)),
    ("Best clean", 0.4733, (0.1750, 0.6088)),
    ("Best robust", 0.4536, (0.2192, 0.5544)),
)
"""Model, accuracy, and success of the targeted and of the untargeted attack."""


def poster_rows(attacks: Collection[str]) -> list[ModelRates]:
    """The poster's rows under the attacks of a table, with an empty line above the first."""
    return [
        ModelRates(
            f"poster: {model}",
            _rate(accuracy),
            {
                name: [Level(None, _rate(success), Rate("–"))]
                for name, success in zip(_ATTACKS, successes, strict=True)
                if name in attacks
            },
            is_dim=True,
            begins_section=n == 0,
        )
        for n, (model, accuracy, successes) in enumerate(_PRINTED)
    ]


def _rate(share: float) -> Rate:
    return Rate(percent(share), share=share)
