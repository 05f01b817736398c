"""Whether the files of a run still are what it recorded: sums, counts, and the runs it refers to.

It recounts a table from the outcomes of single images, and compares each checkpoint with the
SHA-256 that was noted when it was saved. It changes nothing, and can't tell what was wrong from the
beginning.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from runs.checksums import sha256_of
from runs.damage import unreadable
from runs.errors import NotFoundError, UserError
from runs.examples import FILE as EXAMPLES
from runs.examples import Examples
from runs.outcomes import FILE as OUTCOMES
from runs.outcomes import Outcomes, level_names
from runs.result_types import Result, Row, ThreatModel
from runs.run_state import LIVE
from runs.snapshot import Snapshot, read_snapshot
from runs.spec import AttackSpec
from runs.store import CHECKPOINTS, Run, Store
from runs.trash import references


@dataclass
class Verification:
    """What was found in one run."""

    run: str
    problems: list[str] = field(default_factory=list)
    """Sentences; empty where everything agrees."""
    checked: list[str] = field(default_factory=list)
    """What was compared and agrees, such as ``3 checkpoints``."""
    unchecked: list[str] = field(default_factory=list)
    """What could not be compared, and why."""

    @property
    def is_sound(self) -> bool:
        """Whether nothing disagrees."""
        return not self.problems


def verify(store: Store, run: Run) -> Verification:
    """Compare the files of a run with its record, and look for the runs that it refers to.

    Raises:
        UserError: the run is at work, so that its files change.
    """
    if (state := run.state()) in LIVE:
        raise UserError(f"{run.id} is {state}: verify it when it has ended")
    found = Verification(run.id)
    found.problems += [f"{name} can't be read" for name in unreadable(run)]
    try:
        spec = run.spec
    except UserError as error:
        if "spec.json can't be read" not in found.problems:
            found.problems.append(f"spec.json holds no spec of this version: {error}")
        return found
    snapshot, result = read_snapshot(run), run.result
    if result is None and state != "lost":
        found.problems.append("result.json holds no result")
    if spec.kind == "train":
        _checkpoints(run, snapshot, result, found)
    elif spec.kind == "attack":
        _table(run, spec, result, found)
    else:
        _study(store, run, result, found)
    _references(store, run, result, found)
    return found


def _checkpoints(run: Run, snapshot: Snapshot, result: Result | None, found: Verification) -> None:
    """Each checkpoint against its sum; the record of the result against that of the events."""
    recorded, sums = snapshot.checkpoints, snapshot.sums
    there = run.checkpoints()
    if recorded and not there:
        found.unchecked.append("its checkpoints were deleted")
    agreed = 0
    for name in CHECKPOINTS:
        path = run.checkpoint(name)
        if name not in there:
            if there and name in recorded:
                found.problems.append(f"{path.name} is missing")
        elif name not in sums:
            found.unchecked.append(f"{path.name}: no SHA-256 was noted")
        elif sha256_of(path) != sums[name]:
            found.problems.append(f"{path.name} differs from the file that was saved (SHA-256)")
        else:
            agreed += 1
    if agreed:
        found.checked.append(f"{agreed} checkpoint{'s' if agreed > 1 else ''}")
    if result is not None and result["state"] == "completed":
        kept = result.get("checkpoints", {})
        for name in sorted({*kept, *recorded}):
            if kept.get(name) != recorded.get(name):
                found.problems.append(f"result.json and the events differ about {name}.ckpt")


def _table(run: Run, spec: AttackSpec, result: Result | None, found: Verification) -> None:
    """The rows against a new count of the outcomes of single images."""
    rows = result.get("rows", []) if result is not None else []
    threat_model = result.get("threat_model") if result is not None else None
    if not rows or threat_model is None:
        return
    missing = {reference.label for reference in spec.references} - {row["model"] for row in rows}
    found.problems += [f"the table has no row {label}" for label in sorted(missing)]
    try:
        outcomes = Outcomes.load(run.path / OUTCOMES)
    except NotFoundError as error:
        found.problems.append(f"its table can't be counted again: {error}")
        return
    agreed = sum(_row(row, outcomes, threat_model, found) for row in rows)
    if agreed:
        found.checked.append(f"{agreed} counts of its table")
    if spec.examples and (run.path / EXAMPLES).exists():
        try:
            found.checked.append(f"{Examples(run.path / EXAMPLES).count} examples")
        except UserError as error:
            found.problems.append(str(error))


def _row(row: Row, outcomes: Outcomes, threat_model: ThreatModel, found: Verification) -> int:
    """Count a row again; the number of its counts that agree."""
    model, labels = row["model"], outcomes.labels
    if model not in outcomes.clean:
        found.problems.append(f"{OUTCOMES} knows nothing of the row {model}")
        return 0
    counts = [("right when clean", row.get("correct_k"), outcomes.clean[model] == labels)]
    names = iter(level_names(row, threat_model))
    for cells in row["attacks"].values():
        for cell, name in zip(cells, names, strict=False):
            withstood = outcomes.withstood(model, name)
            if withstood is None:
                found.problems.append(f"{OUTCOMES} knows nothing of {name} on {model}")
            else:
                counts.append((f"robust under {name}", cell.get("robust_k"), withstood))
    agreed = 0
    for what, told, which in counts:
        if (told, row.get("n")) == (int(which.sum()), len(labels)):
            agreed += 1
        else:
            found.problems.append(
                f"{model}: {told} of {row.get('n')} images {what} in the table, "
                f"{int(which.sum())} of {len(labels)} in {OUTCOMES}"
            )
    return agreed


def _study(store: Store, run: Run, result: Result | None, found: Verification) -> None:
    """The table of a study against that of its attack run."""
    if result is None or result["state"] != "completed":
        return
    attack = result.get("children", {}).get("attack")
    child = next((other for other in store.runs() if other.id == attack), None)
    if child is None:
        return  # named among the references
    own, mine = child.raw_result or {}, run.raw_result or {}
    if any(mine.get(field) != own.get(field) for field in ("rows", "threat_model", "sanity")):
        found.problems.append(f"its table is not that of its attack run {child.id}")
    else:
        found.checked.append("its table")


def _references(store: Store, run: Run, result: Result | None, found: Verification) -> None:
    """The runs that it refers to, and the checkpoints that it has attacked."""
    known = {other.id: other for other in store.runs()}
    cited = list(dict.fromkeys(references(run, store.children(run))))
    absent = [name for name in cited if name not in known]
    found.problems += [f"it refers to {name}, which is not in this home" for name in absent]
    if agreed := len(cited) - len(absent):
        found.checked.append(f"{agreed} reference{'s' if agreed > 1 else ''}")
    attacked = 0
    for row in result.get("rows", []) if result is not None and run.kind == "attack" else []:
        training, name = known.get(row.get("run") or ""), row.get("checkpoint")
        if training is None or name not in CHECKPOINTS:
            continue
        path = training.checkpoint(name)
        if not path.is_file():
            found.unchecked.append(f"{training.id}:{name} was deleted")
        elif "sha256" not in row:
            found.unchecked.append(f"{row['model']}: no SHA-256 of the checkpoint was noted")
        elif sha256_of(path) != row["sha256"]:
            found.problems.append(
                f"{row['model']}: {training.id}:{name} is not the file that was attacked"
            )
        else:
            attacked += 1
    if attacked:
        found.checked.append(f"{attacked} attacked checkpoint{'s' if attacked > 1 else ''}")


def verify_all(store: Store, runs: Sequence[Run]) -> list[Verification]:
    """Each run once, a study or sweep followed by its family."""
    family: dict[str, Run] = {}
    for run in runs:
        for member in store.family(run):
            family[member.id] = member
    return [verify(store, member) for member in family.values()]
