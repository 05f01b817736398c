"""Attacks by name: each what its name says, under the threat model that it is given."""

import pytest

from runs.attacks import NAMES, named_attack
from runs.errors import UserError
from runs.overrides import override
from runs.spec import AttackSpec, CheckpointRef
from runs.threat_model import PGD, Attack

PGD_20 = PGD(norm="l2", eps=0.5, step_size=0.1, steps=20)


@pytest.mark.parametrize("name", list(NAMES))
def test_each_keeps_the_threat_model_and_reads_back(name: str) -> None:
    attack = named_attack(name, PGD_20)
    assert attack.name == name
    assert (attack.pgd.norm, attack.pgd.eps) == ("l2", 0.5)
    assert Attack.model_validate(attack.model_dump(mode="json")) == attack
    assert attack.describe()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fgsm", "FGSM, L∞, ε = 8/255, cross-entropy"),
        (
            "mi-fgsm",
            "PGD-10, L∞, ε = 8/255, step 0.8/255, momentum 1, 1 restart, start at the image, "
            "cross-entropy",
        ),
        ("pgd-dlr", "PGD-20, L∞, ε = 8/255, step 2/255, 1 restart, random start, DLR"),
        ("apgd-ce", "APGD-100, L∞, ε = 8/255, 1 restart, random start, cross-entropy"),
        ("apgd-targeted", "APGD-100, L∞, ε = 8/255, 1 restart, random start, DLR"),
    ],
)
def test_what_stands_under_the_table(name: str, text: str) -> None:
    assert named_attack(name, PGD(steps=20)).describe() == text


def test_a_cosine_step_is_told() -> None:
    told = PGD(steps=20, step_schedule="cosine").describe()
    assert told.startswith("PGD-20, L∞, ε = 8/255, step 2/255, falling as a cosine, 1 restart")


def test_the_targeted_apgd_tries_the_nine_likeliest() -> None:
    attack = named_attack("apgd-targeted", PGD_20)
    assert (attack.targets, attack.target_classes, attack.pgd.loss) == ("all", 9, "dlr")


def test_unknown_names_and_fields_that_do_not_go_together() -> None:
    with pytest.raises(UserError, match=r"unknown attack 'pdg': there are pgd-targeted, .*apgd-ce"):
        named_attack("pdg", PGD_20)
    with pytest.raises(ValueError, match="target_classes needs the target rule all"):
        Attack(name="a", pgd=PGD_20, targets="random", target_classes=3)
    with pytest.raises(ValueError, match="APGD finds step size and momentum itself"):
        Attack(name="a", method="apgd", pgd=PGD(momentum=1.0))


def spec_of(*names: str) -> AttackSpec:
    checkpoint = CheckpointRef(run="R", checkpoint="best_clean", label="Best clean")
    attacks = tuple(named_attack(name, PGD(steps=20)) for name in names)
    return AttackSpec(checkpoints=(checkpoint,), attacks=attacks)


def test_flags_leave_fgsm_what_it_is() -> None:
    changed = override(spec_of("fgsm", "pgd-untargeted"), {"steps": 50, "eps": "4/255"})
    fgsm, pgd = changed.attacks
    assert fgsm.is_fgsm
    assert fgsm.pgd.eps == 4 / 255
    assert (pgd.pgd.steps, pgd.pgd.eps, pgd.pgd.step_size) == (50, 4 / 255, 1 / 255)
