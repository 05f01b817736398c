"""How a spec words its threat model."""

from typing import Any

import pytest

from runs.spec import TrainSpec, parse_spec
from runs.threat_model import PGD


@pytest.mark.parametrize(
    ("pgd", "text"),
    [
        (
            PGD(steps=20),
            "PGD-20, L∞, ε = 8/255, step 2/255, 1 restart, random start, cross-entropy",
        ),
        (
            PGD(norm="l2", eps=0.5, step_size=0.1, restarts=3, loss="margin"),
            "PGD-10, L2, ε = 0.5, step 0.1, 3 restarts, random start, margin (CW)",
        ),
        (
            PGD(random_start=False, steps=1),
            "PGD-1, L∞, ε = 8/255, step 2/255, 1 restart, start at the image, cross-entropy",
        ),
    ],
)
def test_an_attack_describes_all_that_matters(pgd: PGD, text: str) -> None:
    assert pgd.describe() == text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, PGD().describe()),
        ({"recipe": "mixed", "attack": {"steps": 3}}, PGD(steps=3).describe()),
        ({"mode": "baseline", "recipe": "standard"}, "clean images alone"),
        (
            {"recipe": "fast", "attack": {"steps": 3}},
            "N-FGSM, L∞, ε = 8/255, noise up to 2 ε, cross-entropy",
        ),
        (
            {"recipe": "trades"},
            "PGD-10, L∞, ε = 8/255, step 2/255, 1 restart, Gaussian start, KL divergence",
        ),
    ],
)
def test_a_training_says_what_its_recipe_makes_of_the_attack(
    fields: dict[str, Any], text: str
) -> None:
    spec = parse_spec({"kind": "train", **fields})
    assert isinstance(spec, TrainSpec)
    assert spec.crafting == text
