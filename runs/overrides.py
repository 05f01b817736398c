"""Apply flags to the spec of a preset or a config. One flag may change several fields.

``norm`` and ``eps`` change the whole threat model: in a train run the attack of the training
batches and that of the validation, in a study also every attack of the evaluation. ``steps``,
``step_size``, ``restarts`` and ``loss`` change the attack that the run is about: in a train run
that of the training batches, in an attack run or a study those of the evaluation.
"""

import re
from collections.abc import Mapping
from typing import Any, overload

from runs.architectures import ARCHITECTURES
from runs.budgets import norm_name, parse_budget
from runs.errors import UserError
from runs.spec import AttackSpec, StudySpec, SweepSpec, TrainSpec, parse_spec
from runs.threat_model import Attack

THREAT = ("norm", "eps")
STEPS = ("step_size", "steps", "restarts")
OWN = (*STEPS, "loss")
_STEP_FIELDS = (*STEPS, "step_schedule", "momentum", "random_start")
OF_ROBUST = (
    *("recipe", "beta", "fast_noise", "mixed_clean", "mixed_targeted"),
    *("awp_gamma", "eps_warmup", "patience"),
)
"""Fields of adversarial training: in a study they change the robust training alone."""
_BOTH_TRAININGS = frozenset(TrainSpec.model_fields) - frozenset(AttackSpec.model_fields)
_FIXED_STEPS = {"standard": "takes no steps", "fast": "takes one step of length ε"}
_NEEDS = {
    "mixed_clean": ("recipe", "mixed"),
    "mixed_targeted": ("recipe", "mixed"),
    "fast_noise": ("recipe", "fast"),
    "cutout_size": ("augmentation", "cutout"),
    "warmup": ("schedule", "onecycle"),
}
"""Fields of a training that have an effect only where another field has this value."""
_USUAL_EPS = {"linf": 8 / 255, "l2": 128 / 255, "l1": 12.0}
"""The usual budgets on CIFAR."""


@overload
def override(spec: TrainSpec, changes: Mapping[str, Any]) -> TrainSpec: ...
@overload
def override(spec: AttackSpec, changes: Mapping[str, Any]) -> AttackSpec: ...
@overload
def override(spec: StudySpec, changes: Mapping[str, Any]) -> StudySpec: ...
def override(
    spec: TrainSpec | AttackSpec | StudySpec, changes: Mapping[str, Any]
) -> TrainSpec | AttackSpec | StudySpec:
    """A new spec: ``spec`` with ``changes`` applied.

    A key is a field of the spec, a dotted path (``robust.attack.steps``), or a word of the module's
    docstring. In a study a field of training (``epochs``, ``width``) changes both trainings, a
    field of adversarial training (``recipe``, ``patience``) the robust one, and a field of
    evaluation (``limit``) the attack.

    Raises:
        UserError: an unknown field, a value out of range, or a field that would change nothing;
            the message has a sentence for each.
    """
    fields = spec.model_dump(mode="json")
    if "norm" in changes:
        changes = {**changes, "norm": norm_name(changes["norm"])}
    threat = {key: changes[key] for key in THREAT if key in changes}
    own = {key: changes[key] for key in (*THREAT, *OWN) if key in changes}
    of_the_run = [id(pgd) for pgd in _own_pgds(fields)]
    for pgd in _all_pgds(fields):
        _change_pgd(pgd, own if id(pgd) in of_the_run else threat)
    for key, value in changes.items():
        if key not in own:
            for path in _paths(spec, key):
                _put(fields, path, value)
    if "arch" in changes and "width" not in changes:
        _keep_full(spec, fields)
    if fields.get("kind") != spec.kind:
        raise UserError(f"the kind of a {spec.kind} run can't be changed")
    changed = parse_spec(fields)
    assert not isinstance(changed, SweepSpec)
    _refuse_idle(changed, changes)
    return changed


def _keep_full(spec: TrainSpec | AttackSpec | StudySpec, fields: dict[str, Any]) -> None:
    """Let a network of full width be replaced by another of full width."""
    if isinstance(spec, StudySpec):
        reached = [(spec.baseline, fields["baseline"]), (spec.robust, fields["robust"])]
    else:
        reached = [(spec, fields)] if isinstance(spec, TrainSpec) else []
    for training, place in reached:
        before, after = ARCHITECTURES.get(training.arch), ARCHITECTURES.get(str(place["arch"]))
        if before is not None and after is not None and training.width == before.full_width:
            place["width"] = after.full_width


def _refuse_idle(spec: TrainSpec | AttackSpec | StudySpec, changes: Mapping[str, Any]) -> None:
    """Refuse changes of fields that have no effect on the trainings that they reach."""
    if isinstance(spec, AttackSpec):
        return
    reached: dict[str, tuple[TrainSpec, ...]]
    if isinstance(spec, TrainSpec):
        reached, attack, own = {"": (spec,)}, "attack.", set(STEPS)
    else:  # plain words for steps mean those of its evaluation
        both = (spec.baseline, spec.robust)
        reached = {"": both, "baseline.": both[:1], "robust.": both[1:]}
        attack, own = "robust.attack.", set()
    own |= {attack + key for key in _STEP_FIELDS}
    for prefix, trainings in reached.items():
        for field, (owner, value) in _NEEDS.items():
            idle = all(getattr(training, owner) != value for training in trainings)
            if prefix + field in changes and idle:
                raise UserError(f"{prefix}{field} needs {owner} {value!r}: set that too")
        idle = all(training.generated is None for training in trainings)
        if f"{prefix}generated_share" in changes and idle:
            raise UserError(f"{prefix}generated_share needs generated images: set generated too")
    recipe = (spec if isinstance(spec, TrainSpec) else spec.robust).recipe
    start = f"{attack}random_start"
    if recipe == "trades" and start in changes:
        raise UserError(f"{start}: recipe 'trades' starts at Gaussian noise around the image")
    if recipe in _FIXED_STEPS and (idle_keys := sorted(own & set(changes))):
        key, steps = idle_keys[0], _FIXED_STEPS[recipe]
        raise UserError(f"{key}: recipe {recipe!r} {steps}; recipe 'pgd-at' has this setting")


def _paths(spec: TrainSpec | AttackSpec | StudySpec, key: str) -> list[list[str]]:
    if "." in key or not isinstance(spec, StudySpec) or key in StudySpec.model_fields:
        return [key.split(".")]
    if key in OF_ROBUST:
        return [["robust", key]]
    # A batch size is that of training: an evaluation's outcome does not depend on its own.
    if key in _BOTH_TRAININGS or key == "batch_size":
        return [["baseline", key], ["robust", key]]
    return [["attack", key]] if key in AttackSpec.model_fields else [[key]]


def _put(fields: dict[str, Any], path: list[str], value: Any) -> None:
    place: Any = fields
    for number, part in enumerate(path):
        last = number == len(path) - 1
        if isinstance(place, list) and re.fullmatch("[0-9]+", part) and int(part) < len(place):
            key: Any = int(part)
        elif isinstance(place, dict) and (last or part in place):
            key = part
        else:
            raise UserError(f"unknown field {'.'.join(path[: number + 1])!r}")
        if last:
            place[key] = value
        place = place[key]


def _own_pgds(fields: dict[str, Any]) -> list[dict[str, Any]]:
    if fields["kind"] == "train":
        return [fields["attack"]]
    # FGSM is one step of length ε, whatever the others do.
    return [
        attack["pgd"] for attack in _attacks(fields) if not Attack.model_validate(attack).is_fgsm
    ]


def _all_pgds(fields: dict[str, Any]) -> list[dict[str, Any]]:
    if fields["kind"] == "train":
        return [fields["attack"], fields["validation"]]
    evaluation = [attack["pgd"] for attack in _attacks(fields)]
    if fields["kind"] == "attack":
        return evaluation
    return [*_all_pgds(fields["baseline"]), *_all_pgds(fields["robust"]), *evaluation]


def _attacks(fields: dict[str, Any]) -> list[dict[str, Any]]:
    evaluation = fields if fields["kind"] == "attack" else fields["attack"]
    return list(evaluation["attacks"])


def _change_pgd(pgd: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Change one attack in place; ``eps`` without ``step_size`` keeps the step's share of ε."""
    changes = dict(changes)
    before = pgd["eps"]
    share = pgd["step_size"] / before if before else 0.25
    if changes.get("norm", pgd["norm"]) != pgd["norm"] and "eps" not in changes:
        changes["eps"] = _USUAL_EPS.get(changes["norm"], 8 / 255)
    pgd.update(changes)
    if "eps" in changes and "step_size" not in changes:
        try:
            pgd["step_size"] = parse_budget(changes["eps"]) * share
        except ValueError as error:
            raise UserError(f"--eps: {error}") from None
        if pgd["step_size"] < 0:
            raise UserError(f"--eps: {changes['eps']} is negative; a budget is 0 or more")
