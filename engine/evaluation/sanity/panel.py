"""The sanity panel at the end of an attack run: probe the models, read the trainings, judge both.

Knows nothing about limits and advice.
"""

import time
from collections.abc import Sequence

from engine.evaluation.attack_progress import REPORT_EVERY_S
from engine.evaluation.model_under_attack import ModelUnderAttack
from engine.evaluation.sanity.checks import (
    TrainingHistory,
    attack_checks,
    model_checks,
    training_checks,
)
from engine.evaluation.sanity.probes import Prober, Probes, base_attack
from engine.process.run_context import RunContext
from runs.event_types import ObservedExtremes
from runs.result_types import Row, SanityCheck
from runs.snapshot import read_snapshot
from runs.spec import AttackSpec, CheckpointRef
from runs.store import Run
from runs.threat_model import Attack

LATE = 0.1
"""A model that takes longer than those before it is expected to take this share longer still."""


def sanity_panel(
    context: RunContext,
    spec: AttackSpec,
    models: Sequence[ModelUnderAttack],
    observed: Sequence[ObservedExtremes],
    rows: Sequence[Row],
) -> list[SanityCheck]:
    """All checks of an attack run, in the order in which they are shown.

    Args:
        context: of the attack run.
        spec: of the attack run.
        models: the attacked models, in the order of ``spec.references``.
        observed: extremes of each attack on each model at each ε.
        rows: of the comparison table.

    Raises:
        StopRequested: a stop was requested.
    """
    run = context.run
    progress = _Progress(context, len(models))
    prober = Prober(base_attack(spec), spec.sanity, progress.beat)
    probes: list[Probes] = []
    for model in _baseline_first(run, spec, models):
        progress.report(len(probes))
        probes.append(prober.probe(model))
    progress.report(len(probes))
    ce_alone = all(_maximises_ce(attack) for attack in spec.attacks if attack.targets is None)
    return [
        *attack_checks(observed, rows),
        *model_checks(
            probes,
            ce_alone=ce_alone and not any(attack.targets == "all" for attack in spec.attacks),
            full=spec.sanity == "full",
            margins=_margins(spec, rows),
        ),
        *training_checks(_histories(run, spec)),
    ]


class _Progress:
    """``progress`` events of the probing, twice a second, so that a slow probe shows no hang."""

    def __init__(self, context: RunContext, total: int) -> None:
        self._events, self._stop, self._total = context.events, context.stop, total
        self._done, self._reported_at = 0, 0.0
        self._began = self._done_at = time.monotonic()

    def report(self, done: int) -> None:
        """Write an event now. ``done``: the number of models that are probed."""
        now = time.monotonic()
        if done > self._done:
            self._done, self._done_at = done, now
        self._reported_at = now
        each, left = None, None
        if done == self._total:
            left = 0.0
        elif done:
            each = (self._done_at - self._began) / done
            spent = now - self._done_at
            left = each * (self._total - done - 1) + max(each - spent, LATE * spent)
        self._events.write(
            "progress",
            task="sanity",
            done=done,
            total=self._total,
            unit="models",
            rate=None if each is None else 1 / each,
            eta_s=None if left is None else round(left, 1),
        )

    def beat(self) -> None:
        """Call at every step of an attack.

        Raises:
            StopRequested: a stop was requested.
        """
        self._stop.check()
        if time.monotonic() - self._reported_at >= REPORT_EVERY_S:
            self.report(self._done)


def _maximises_ce(attack: Attack) -> bool:
    return attack.method != "autoattack" and attack.pgd.loss == "ce"


def _margins(spec: AttackSpec, rows: Sequence[Row]) -> dict[str, tuple[float, int]]:
    """By how much the margin loss is stronger, from the run's own attacks.

    For each model, by label: robust accuracy under cross-entropy minus that under the margin loss,
    at the last ε, and the number of images. Empty where the run did not attack with both losses; a
    probe measures the difference then.
    """
    base = base_attack(spec)
    with_margin = base.pgd.model_copy(update={"loss": "margin"})
    twin = next((a for a in spec.attacks if a.targets is None and a.pgd == with_margin), None)
    if twin is None or twin.method != "pgd" or base.name not in [a.name for a in spec.attacks]:
        return {}
    gaps = {}
    for row in rows:
        by_ce, by_margin = (
            row["attacks"][name][-1]["robust_accuracy"] for name in (base.name, twin.name)
        )
        if by_ce is not None and by_margin is not None:
            gaps[row["model"]] = (by_ce - by_margin, row.get("n", 0))
    return gaps


def _baseline_first(
    run: Run, spec: AttackSpec, models: Sequence[ModelUnderAttack]
) -> list[ModelUnderAttack]:
    """Baselines first: the adversarial images of the first model are transferred to the others."""
    modes = [
        _run_of(run, reference).mode if isinstance(reference, CheckpointRef) else None
        for reference in spec.references
    ]
    order = sorted(range(len(models)), key=lambda n: modes[n] != "baseline")
    return [models[n] for n in order]


def _histories(run: Run, spec: AttackSpec) -> list[TrainingHistory]:
    """The adversarial trainings behind the rows, from their events."""
    histories = []
    for reference in spec.checkpoints:
        training = _run_of(run, reference)
        if training.mode != "robust":
            continue
        snapshot = read_snapshot(training)
        epochs = [event["values"] for event in snapshot.epochs]
        checkpoint = snapshot.checkpoints.get(reference.checkpoint)
        histories.append(
            TrainingHistory(
                reference.label,
                checkpoint_epoch=len(epochs) if checkpoint is None else checkpoint["epoch"],
                pgd=[epoch.get("val_robust_accuracy") or 0.0 for epoch in epochs],
                fgsm=[epoch.get("val_fgsm_accuracy") for epoch in epochs],
            )
        )
    return histories


def _run_of(run: Run, reference: CheckpointRef) -> Run:
    return Run(run.path.parent / reference.run)
