"""The table of an attack run, from its spec and its attacks: whole, or as far as it has come.

The worker builds its result from the same functions, so that a finished cell of a partial table is
that of the final table. Knows no file and counts nothing itself.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from runs.datasets import DATASETS, dataset_of
from runs.errors import UserError
from runs.event_types import AttackEvent, AttackOutcome
from runs.remaining import STAGES
from runs.result_types import Cell, Table, ThreatModel
from runs.results import attack_cell, default_checkpoints, model_label, row
from runs.snapshot import Snapshot
from runs.store import Run

if TYPE_CHECKING:  # a table is drawn where nothing needs validation, and so no pydantic
    from runs.spec import AttackSpec
    from runs.threat_model import Attack

_CURVE = (
    "; here at each ε shown, the step the same share of it, from the points found at the ε below"
)
"""Appended to the description of an attack that is evaluated at several ε.

``compare`` puts two runs into one table only if their threat models are equal, and this text is a
part of them: another wording would separate new runs from older runs.
"""


def threat_model(spec: "AttackSpec", n: int, precision: str | None) -> ThreatModel:
    """The threat model of a table over ``n`` images: data, attacks and precision, as plain JSON.

    Raises:
        NotFoundError: the data are a folder that is absent.
    """
    threat: ThreatModel = {
        "data": dataset_of(spec.data).title,
        "split": "test" if spec.data in DATASETS else None,
        "n": n,
        "seed": spec.seed,
        "attacks": [
            {
                "name": attack.name,
                "text": attack.describe() + _passes(spec) + (_CURVE if spec.epsilons else ""),
                "method": attack.method,
                "targets": attack.targets,
                "target_classes": attack.target_classes,
                **attack.pgd.model_dump(mode="json"),  # type: ignore[typeddict-item]
            }
            for attack in spec.attacks
        ],
    }
    if precision is not None:
        threat["precision"] = precision
    if spec.resize:
        threat["resize"] = spec.resize
    if spec.epsilons:
        threat["epsilons"] = list(spec.epsilons)
    return threat


def _passes(spec: "AttackSpec") -> str:
    """How the answers of a randomised network are combined; empty where there is one pass."""
    if spec.eot == 1:
        return ""
    return f", EoT: mean gradient and majority vote of {spec.eot} passes, clean and attacked alike"


def attack_cells(outcome: AttackOutcome, n: int) -> list[Cell]:
    """The cells of an attack that has ended, one for each ε, over ``n`` images."""
    return [
        attack_cell(
            eps=level["eps"],
            n=n,
            correct=level["tally"]["correct"],
            successes=level["tally"]["successes"],
            robust=level["tally"]["robust"],
            seconds=level["tally"]["seconds"],
        )
        for level in outcome["levels"]
    ]


def attack_spec_of(run: Run) -> "AttackSpec | None":
    """The spec of an attack run, of a study that of its attack run; None of any other run.

    None also where this version can't read the spec.
    """
    from runs.spec import AttackSpec, StudySpec

    try:
        spec = run.spec
    except UserError:
        return None
    attack = spec.child("attack") if isinstance(spec, StudySpec) else spec
    return attack if isinstance(attack, AttackSpec) else None


def partial_table(
    spec: "AttackSpec",
    snapshot: Snapshot,
    *,
    evaluation: str | None = None,
    is_live: bool = True,
) -> Table:
    """The table of an attack run that has no result yet.

    A cell of an attack that has not ended has no rates, and of a live run ``progress``. The
    accuracy of a model is known from the first event of an attack on it. A spec without models, as
    that of a study, has the rows of a study.

    Args:
        spec: of the attack run.
        snapshot: of the attack run; an empty one before it exists.
        evaluation: id of the attack run.
        is_live: whether the attacks that have not ended are still to come.

    Raises:
        NotFoundError: the data are a folder that is absent.
    """
    n = _images(spec, snapshot)
    goes_on = is_live and snapshot.ended is None
    rows = []
    for label, run, checkpoint in _models(spec):
        events = {name: e for (model, name), e in snapshot.attacks.items() if model == label}
        # All attacks have the images that are classified correctly when clean; a later stage of
        # AutoAttack has fewer.
        correct = max((int(event["total"]) for event in events.values()), default=None)
        attacks = {
            attack.name: _cells_so_far(spec, attack, events, n, goes_on=goes_on)
            for attack in spec.attacks
        }
        known = correct is not None
        rows.append(
            row(
                model=label,
                run=run,
                checkpoint=checkpoint,
                n=n if known else 0,
                correct=correct or 0,
                attacks=attacks,
                evaluation=evaluation,
            )
        )
    precision = snapshot.started.get("precision") if snapshot.started else None
    return {"threat_model": threat_model(spec, n, precision), "rows": rows}


def _models(spec: "AttackSpec") -> Iterator[tuple[str, str | None, str | None]]:
    """Label, training and checkpoint of each row; of a user's own network only the label."""
    for reference in spec.checkpoints:
        yield reference.label, reference.run, reference.checkpoint
    for model in spec.models:
        yield model.label, None, None
    if not spec.references:
        for mode in ("baseline", "robust"):
            for checkpoint in default_checkpoints(mode):
                yield model_label(mode, checkpoint), None, checkpoint


def _images(spec: "AttackSpec", snapshot: Snapshot) -> int:
    """The number of images to evaluate; 0 until the pictures of a folder have been read."""
    if spec.data not in DATASETS:
        return snapshot.pictures
    whole = DATASETS[spec.data].test_images
    return whole if spec.limit is None else min(spec.limit, whole)


def _cells_so_far(
    spec: "AttackSpec",
    attack: "Attack",
    events: dict[str, AttackEvent],
    n: int,
    *,
    goes_on: bool,
) -> list[Cell]:
    """The cells of an attack on a model, one for each ε; ``events``: of this model by name."""
    whole = events.get(attack.name)
    if whole is not None and "cell" in whole:
        return attack_cells(whole["cell"], n)
    found = []
    for level in spec.levels(attack):
        cell: Cell = {
            "eps": level.pgd.eps,
            "success_rate": None,
            "success_ci95": None,
            "robust_accuracy": None,
            "robust_ci95": None,
        }
        if goes_on:
            cell["progress"] = _progress(spec.level_name(level), events)
        found.append(cell)
    return found


def _progress(name: str, events: dict[str, AttackEvent]) -> float | None:
    """The done share of an attack at one ε, in [0, 1]; None while it waits.

    AutoAttack reports its stages alone: each has the share of its forward passes.
    """
    if name in events:
        return _share(events[name])
    stages = [
        (passes, _share(events[f"{name} {stage}"]))
        for stage, passes in STAGES.items()
        if f"{name} {stage}" in events
    ]
    if not stages:
        return None
    return sum(passes * share for passes, share in stages) / sum(STAGES.values())


def _share(event: AttackEvent) -> float:
    return min(max(event["done"] / max(event["total"], 1), 0.0), 1.0)
