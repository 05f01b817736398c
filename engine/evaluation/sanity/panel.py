"""The sanity panel at the end of an attack run: probes the models, asks the trainings, judges."""

import time
from collections.abc import Sequence
from typing import Any

from engine.evaluation.attack_progress import REPORT_EVERY_S
from engine.evaluation.model_under_attack import ModelUnderAttack
from engine.evaluation.sanity.checks import (
    Check,
    Observed,
    TrainingHistory,
    attack_checks,
    model_checks,
    training_checks,
)
from engine.evaluation.sanity.probes import Prober, Probes, base_attack
from engine.process.stop_signal import StopSignal
from runs.errors import NotFoundError
from runs.events import EventWriter
from runs.formats import cells
from runs.snapshot import read_snapshot
from runs.spec import AttackSpec, CheckpointRef
from runs.store import Run
from runs.threat_model import Attack


def sanity_panel(
    run: Run,
    spec: AttackSpec,
    attackers: Sequence[ModelUnderAttack],
    observed: Sequence[Observed],
    rows: Sequence[dict[str, Any]],
    events: EventWriter,
    stop: StopSignal,
) -> list[Check]:
    """All checks of an attack run, in the order in which they are shown.

    Raises:
        StopRequested: a stop was asked for.
    """
    progress = _Progress(events, len(attackers), stop)
    prober = Prober(base_attack(spec), spec.sanity, progress.beat)
    probes: list[Probes] = []
    for attacker in _baseline_first(run, spec, attackers):
        progress.tell(len(probes))
        probes.append(prober.probe(attacker))
    progress.tell(len(probes))
    ce_alone = all(_climbs_ce(attack) for attack in spec.attacks if attack.targets is None)
    return [
        *attack_checks(observed, rows),
        *model_checks(
            probes,
            ce_alone=ce_alone and not any(attack.targets == "all" for attack in spec.attacks),
            full=spec.sanity == "full",
            margins=_margins(spec, rows),
        ),
        *training_checks(_courses(run, spec)),
    ]


class _Progress:
    """``progress`` events of the probing, twice a second, that a slow model is not taken for a
    hung one."""

    def __init__(self, events: EventWriter, total: int, stop: StopSignal) -> None:
        self._events, self._total, self._stop = events, total, stop
        self._done, self._at = 0, 0.0

    def tell(self, done: int) -> None:
        """So many models are through."""
        self._done, self._at = done, time.monotonic()
        self._events.write(
            "progress", task="sanity", done=done, total=self._total, unit="models", rate=None
        )

    def beat(self) -> None:
        """Called at every step of an attack.

        Raises:
            StopRequested: a stop was asked for.
        """
        self._stop.check()
        if time.monotonic() - self._at >= REPORT_EVERY_S:
            self.tell(self._done)


def _climbs_ce(attack: Attack) -> bool:
    return attack.method != "autoattack" and attack.pgd.loss == "ce"


def _margins(spec: AttackSpec, rows: Sequence[dict[str, Any]]) -> dict[str, tuple[float, int]]:
    """By model, where the run has attacked with the margin loss in the probe's stead: robust
    accuracy under cross-entropy minus that under margin, at the last ε; and the images."""
    base = base_attack(spec)
    other = base.pgd.model_copy(update={"loss": "margin"})
    twin = next((a for a in spec.attacks if a.targets is None and a.pgd == other), None)
    if twin is None or twin.method != "pgd" or base.name not in [a.name for a in spec.attacks]:
        return {}
    return {
        row["model"]: (
            cells(row["attacks"][base.name])[-1]["robust_accuracy"]
            - cells(row["attacks"][twin.name])[-1]["robust_accuracy"],
            row["n"],
        )
        for row in rows
    }


def _baseline_first(
    run: Run, spec: AttackSpec, attackers: Sequence[ModelUnderAttack]
) -> list[ModelUnderAttack]:
    """The plainly trained model first: its adversarial images are shown to the others."""
    modes = [
        _run_of(run, reference).mode if isinstance(reference, CheckpointRef) else None
        for reference in spec.references
    ]
    order = sorted(range(len(attackers)), key=lambda n: modes[n] != "baseline")
    return [attackers[n] for n in order]


def _courses(run: Run, spec: AttackSpec) -> list[TrainingHistory]:
    """The adversarial trainings behind the rows, where their events are still there."""
    courses = []
    for reference in spec.checkpoints:
        trained = _run_of(run, reference)
        if trained.mode != "robust":
            continue
        try:
            snapshot = read_snapshot(trained)
        except NotFoundError:
            continue
        values = [event["values"] for event in snapshot.epochs]
        kept = snapshot.checkpoints.get(reference.checkpoint, {}).get("epoch")
        courses.append(
            TrainingHistory(
                reference.label,
                kept=len(values) if kept is None else kept,
                pgd=[one["val_robust_accuracy"] for one in values],
                fgsm=[one.get("val_fgsm_accuracy") for one in values],
            )
        )
    return courses


def _run_of(run: Run, reference: CheckpointRef) -> Run:
    return Run(run.path.parent / reference.run)
