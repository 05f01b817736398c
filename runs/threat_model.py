"""The threat model: PGD and its family, an attack of an evaluation, and their wording.

Specs are frozen and validated; unknown fields are refused by name. Images lie in [0, 1] and every
budget is in these units.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from runs.budgets import NORM_SIGNS, format_budget, norm_name, parse_budget
from runs.field_help import FIELD_HELP

Budget = Annotated[float, BeforeValidator(parse_budget), Field(ge=0)]


Norm = Literal["linf", "l2", "l1"]


AttackLoss = Literal["ce", "margin", "dlr"]


TargetRule = Literal["random", "least-likely", "next", "runner-up", "all"]


class Spec(BaseModel):
    """A frozen, keyword-only model that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class PGD(Spec):
    """Projected gradient descent (Madry et al. 2018, section 2.1) and its family.

    One step of length ε from the image itself is FGSM (Goodfellow et al. 2015); with momentum it
    is MI-FGSM (Dong et al. 2018). APGD (Croce & Hein 2020) uses norm, budget, steps, restarts and
    loss, and chooses step size and momentum itself.
    """

    norm: Norm = Field("linf", description=FIELD_HELP["norm"])
    eps: Budget = Field(8 / 255, description=FIELD_HELP["eps"])
    step_size: Budget = Field(2 / 255, description=FIELD_HELP["step_size"])
    steps: int = Field(10, ge=1, le=100_000, description=FIELD_HELP["steps"])
    restarts: int = Field(1, ge=1, le=1_000, description=FIELD_HELP["restarts"])
    random_start: bool = Field(True, description=FIELD_HELP["random_start"])
    loss: AttackLoss = Field("ce", description=FIELD_HELP["loss"])
    step_schedule: Literal["fixed", "cosine"] = Field(
        "fixed", description=FIELD_HELP["step_schedule"]
    )
    momentum: float = Field(0.0, ge=0, le=10, description=FIELD_HELP["pgd.momentum"])
    craft_mode: Literal["eval", "train"] = Field("eval", description=FIELD_HELP["craft_mode"])
    active_set: bool = Field(True, description=FIELD_HELP["active_set"])

    _norm = field_validator("norm", mode="before")(norm_name)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.norm == "linf" and self.eps > 1:
            meant = f"; {self.eps:g}/255 was probably meant" if self.eps <= 255 else ""
            raise ValueError(
                f"ε = {self.eps:g} is outside [0, 1]: ε is in pixels of [0, 1], not of 0–255{meant}"
            )
        if self.restarts > 1 and not self.random_start:
            raise ValueError("restarts above 1 need random_start: without it they are all equal")
        return self

    def describe(self, start: str | None = None, loss: str | None = None) -> str:
        """``PGD-20, L∞, ε = 8/255, step 2/255, 1 restart, random start, cross-entropy``.

        ``start`` and ``loss`` replace the wording where a recipe has its own.
        """
        cosine = ", falling as a cosine" if self.step_schedule == "cosine" else ""
        momentum = f", momentum {self.momentum:g}" if self.momentum else ""
        start = start or ("random start" if self.random_start else "start at the image")
        return (
            f"PGD-{self.steps}, {self.budget}, step {format_budget(self.step_size)}{cosine}"
            f"{momentum}, {self.effort(start, loss)}"
        )

    @property
    def budget(self) -> str:
        """``L∞, ε = 8/255``."""
        return f"{NORM_SIGNS[self.norm]}, ε = {format_budget(self.eps)}"

    def effort(self, start: str, loss: str | None = None) -> str:
        """``1 restart, random start, cross-entropy``."""
        restarts = "1 restart" if self.restarts == 1 else f"{self.restarts} restarts"
        return f"{restarts}, {start}, {loss or self.loss_words}"

    @property
    def loss_words(self) -> str:
        """``cross-entropy``."""
        return {"ce": "cross-entropy", "margin": "margin (CW)", "dlr": "DLR"}[self.loss]


class Attack(Spec):
    """One attack of an evaluation: its name, method, budget and targets."""

    name: str = Field(min_length=1, max_length=60, description=FIELD_HELP["attacks.name"])
    method: Literal["pgd", "apgd", "autoattack"] = Field(
        "pgd",
        description=FIELD_HELP["attacks.method"],
    )
    pgd: PGD = Field(description=FIELD_HELP["attacks.pgd"])
    targets: TargetRule | None = Field(None, description=FIELD_HELP["targets"])
    target_classes: int | None = Field(None, ge=1, description=FIELD_HELP["target_classes"])

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.target_classes is not None and self.targets != "all":
            raise ValueError("target_classes needs the target rule all")
        if self.method == "apgd" and (self.pgd.momentum or self.pgd.step_schedule != "fixed"):
            raise ValueError("APGD finds step size and momentum itself: set neither")
        if self.method == "autoattack" and self.targets is not None:
            raise ValueError("AutoAttack is untargeted: set no targets")
        return self

    def describe(self) -> str:
        """The attack in the field's words, without its targets."""
        pgd = self.pgd
        if self.method == "apgd":
            start = "random start" if pgd.random_start else "start at the image"
            return f"APGD-{pgd.steps}, {pgd.budget}, {pgd.effort(start)}"
        if self.method == "autoattack":
            return f"AutoAttack standard (APGD-CE, APGD-T, FAB-T, Square), {pgd.budget}"
        if self.is_fgsm:
            return f"FGSM, {pgd.budget}, {pgd.loss_words}"
        return pgd.describe()

    @property
    def is_fgsm(self) -> bool:
        """One step of length ε from the image itself (Goodfellow et al. 2015)."""
        pgd = self.pgd
        once = self.method == "pgd" and pgd.steps == 1 and not pgd.random_start
        return once and not pgd.momentum and pgd.step_size == pgd.eps


def standard_attacks(pgd: PGD) -> tuple[Attack, ...]:
    """The two attacks of the table: the same PGD with random targets, and untargeted."""
    return (
        Attack(name="pgd-targeted", pgd=pgd, targets="random"),
        Attack(name="pgd-untargeted", pgd=pgd),
    )


EVALUATION_PGD = PGD(steps=20)
