"""The table of a run at work, for a reader that draws it again and again.

What does not change while the run goes on is read from its files once.
"""

from typing import TYPE_CHECKING

from runs.attack_table import attack_spec_of, partial_table
from runs.errors import NotFoundError
from runs.result_types import Row, SameCheckpoint, Table
from runs.same_checkpoint import same_checkpoints
from runs.snapshot import Snapshot
from runs.store import Run

if TYPE_CHECKING:  # only a run with attacks needs validation, and so pydantic
    from runs.spec import AttackSpec


class LiveTable:
    """Makes the tables of runs that have no result yet; see :mod:`runs.attack_table`."""

    def __init__(self) -> None:
        self._specs: dict[str, AttackSpec | None] = {}
        self._same: dict[str, list[SameCheckpoint]] = {}

    def of(self, run: Run, snapshot: Snapshot, *, is_live: bool = True) -> Table | None:
        """The table as far as its attacks have come; None for a run without attacks.

        Args:
            run: an attack run, or a study that has none yet.
            snapshot: of the attack run; an empty one before it exists.
            is_live: whether the attacks that have not ended are still to come.
        """
        if run.id not in self._specs:
            self._specs[run.id] = attack_spec_of(run)
        spec = self._specs[run.id]
        if spec is None:
            return None
        try:
            table = partial_table(spec, snapshot, evaluation=run.id, is_live=is_live)
        except NotFoundError:  # a folder of pictures that is on another machine
            return None
        if same := self._same_of(run, table["rows"]):
            table["same_checkpoints"] = same
        return table

    def _same_of(self, run: Run, rows: list[Row]) -> list[SameCheckpoint]:
        if run.kind == "study":  # its trainings go on
            return []
        if run.id not in self._same:
            self._same[run.id] = same_checkpoints(run.path.parent, rows)
        return self._same[run.id]
