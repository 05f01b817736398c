"""The children of a study: which they are, and which runs take their places."""

from collections.abc import Mapping
from typing import Literal, get_args

from runs.errors import UserError
from runs.results import default_checkpoints, row_label
from runs.spec import AttackSpec, CheckpointRef, StudySpec, TrainSpec, outcome_fields
from runs.store import Run, Store

Role = Literal["baseline", "robust", "attack"]
ROLES: tuple[Role, ...] = get_args(Role)


def child_spec(spec: StudySpec, role: Role, before: Mapping[Role, Run]) -> TrainSpec | AttackSpec:
    """What the child of a role is asked to do; the attack is on the models of those ``before``."""
    own = spec.child(role).model_copy(update={"retries": spec.retries})
    if isinstance(own, AttackSpec):
        return own.model_copy(update={"checkpoints": _references(before)})
    return own


def existing_or_new_child(
    store: Store, study: Run, role: Role, spec: TrainSpec | AttackSpec, *, reuse: bool
) -> Run:
    """The run for a role: the existing child, else (``reuse``) an equal run, else a new run.

    An equal run is completed, has the checkpoints that the study attacks, and its spec is equal.
    """
    existing = [child for child in store.children(study) if child.role == role]
    if existing:
        return existing[-1]
    if reuse and (equal := equal_run(store, spec)) is not None:
        return equal
    return store.create(spec, parent=study.id, role=role)


def equal_run(store: Store, spec: TrainSpec | AttackSpec | StudySpec) -> Run | None:
    """A completed run of the home whose outcome stands for that of ``spec``; None without one."""
    for other in store.runs():
        if other.kind == spec.kind and is_reusable(other) and _is_same(other, spec):
            return other
    return None


def _references(children: Mapping[Role, Run]) -> tuple[CheckpointRef, ...]:
    """The checkpoints to attack, in the order of the table's rows."""
    return tuple(
        CheckpointRef(run=child.id, checkpoint=name, label=row_label(child, name))
        for child in children.values()
        for name in default_checkpoints(child.mode)
    )


def is_reusable(run: Run) -> bool:
    """Whether a run is completed and has the checkpoints that :func:`_references` names."""
    if run.state() != "completed":
        return False
    return run.kind != "train" or set(default_checkpoints(run.mode)) <= set(run.checkpoints())


def _is_same(other: Run, spec: TrainSpec | AttackSpec | StudySpec) -> bool:
    """Whether a run's spec is equal, apart from :data:`runs.spec.MAY_DIFFER`.

    A field that did not exist when the run was made has its default. A spec that this version can't
    read equals no other.
    """
    try:
        return outcome_fields(other.spec) == outcome_fields(spec)
    except UserError:
        return False
