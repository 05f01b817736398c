"""The attacks that ``--attack`` names, each under a given threat model."""

from runs.errors import UserError
from runs.threat_model import PGD, Attack, standard_attacks

NAMES = {
    "pgd-targeted": "PGD-20 towards random targets",
    "pgd-untargeted": "PGD-20",
    "pgd-margin": "PGD-20 on the margin loss (Carlini & Wagner)",
    "pgd-dlr": "PGD-20 on the DLR loss",
    "fgsm": "one step of length ε",
    "mi-fgsm": "10 steps of ε/10 with momentum 1",
    "apgd-ce": "Auto-PGD, 100 steps, cross-entropy",
    "apgd-dlr": "Auto-PGD, 100 steps, DLR loss",
    "apgd-targeted": "Auto-PGD, 100 steps, targeted DLR loss, the 9 likeliest wrong classes",
    "autoattack": "the standard AutoAttack, by its authors' own code",
}
APGD_STEPS = 100
"""Steps of APGD in AutoAttack."""
LIKELIEST = 9
"""Wrong classes that targeted APGD aims at in AutoAttack."""
AUTOATTACK_STAGES = ("apgd-ce", "apgd-t", "fab-t", "square")
"""The four attacks of AutoAttack, in order, by their names in its authors' code."""


def named_attack(name: str, pgd: PGD) -> Attack:
    """The named attack, with the norm, budget and step size of ``pgd``.

    Raises:
        UserError: the name is unknown; the message lists the names.
    """

    def changed(**changes: object) -> PGD:
        return PGD(**{**pgd.model_dump(), **changes})

    match name:
        case "pgd-targeted" | "pgd-untargeted":
            return next(attack for attack in standard_attacks(pgd) if attack.name == name)
        case "pgd-margin" | "pgd-dlr":
            return Attack(name=name, pgd=changed(loss=name.removeprefix("pgd-")))
        case "fgsm":
            once = changed(steps=1, step_size=pgd.eps, restarts=1, random_start=False)
            return Attack(name=name, pgd=once)
        case "mi-fgsm":
            steps = changed(
                steps=10, step_size=pgd.eps / 10, momentum=1.0, restarts=1, random_start=False
            )
            return Attack(name=name, pgd=steps)
        case "apgd-ce" | "apgd-dlr":
            search = changed(steps=APGD_STEPS, loss=name.removeprefix("apgd-"))
            return Attack(name=name, method="apgd", pgd=search)
        case "apgd-targeted":
            search = changed(steps=APGD_STEPS, loss="dlr")
            return Attack(
                name=name, method="apgd", pgd=search, targets="all", target_classes=LIKELIEST
            )
        case "autoattack":
            return Attack(name=name, method="autoattack", pgd=pgd)
        case _:
            raise UserError(f"unknown attack {name!r}: there are {', '.join(NAMES)}")
