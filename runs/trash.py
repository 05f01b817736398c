"""The trash of a home: runs that were removed, until they are restored or deleted for good.

A run is moved there with its family, by a rename within the home: this needs no space, also on a
full disk. Knows no terminal.
"""

from collections.abc import Sequence

from runs.errors import NotFoundError, UserError
from runs.run_state import LIVE
from runs.storage import StorageError, sync_folder, writing
from runs.store import Run, Store, remove_folder


class Trash(Store):
    """The removed runs of a home; found, listed and read like others."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.home)
        self._origin = store
        self.folder = self.home / "trash"

    def put(self, run: Run) -> list[Run]:
        """Move a run with its family here; returns them as they were.

        Raises:
            UserError: one of them is at work, or can't be moved.
        """
        family = self._origin.family(run)
        refuse_living(family)
        refuse_needed(self._origin, family)
        _move(family, self)
        return family

    def restore(self, word: str) -> list[Run]:
        """Move a run, named as :meth:`Store.find` takes it, back with its family.

        Raises:
            NotFoundError: it is not in the trash.
            UserError: it can't be moved, or another run has its id.
        """
        try:
            run = self.find(word)
        except NotFoundError as error:
            raise NotFoundError(f"in the trash there is {error}") from None
        family = self.family(run)
        _move(family, self._origin)
        return [Run(self._origin.folder / member.id) for member in family]

    def empty(self) -> int:
        """Delete all runs of the trash; returns their number.

        Raises:
            UserError: one of them can't be deleted.
        """
        runs = self.runs()
        for run in runs:
            purge(run)
        return len(runs)


def removed_at(run: Run) -> float:
    """Unix seconds at which a run of the trash was moved there."""
    return run.path.stat().st_ctime


def refuse_living(runs: Sequence[Run]) -> None:
    """Refuse runs that wait or work.

    Raises:
        UserError: names the first of them.
    """
    for run in runs:
        if (how := _life(run)) is not None:
            raise UserError(f"{run.id} is {how}: stop it first")


def refuse_needed(store: Store, family: Sequence[Run]) -> None:
    """Refuse runs to which a run refers that waits or works.

    Raises:
        UserError: names the first of them.
    """
    for run, cited in citing(store, family):
        if (how := _life(run)) is not None:
            raise UserError(f"{run.id} refers to {cited.id} and is {how}: stop it first")


def _life(run: Run) -> str | None:
    """How a run is alive, in words; None where it is not."""
    state = run.state()
    if state == "unresponsive":
        return "unresponsive, and its worker lives"
    if state in LIVE:
        return state
    return "still carried out by a worker" if run.has_worker else None


def purge(run: Run) -> None:
    """Delete the folder of one run for good; of a linked one the link alone.

    Raises:
        UserError: it can't be deleted.
    """
    remove_folder(run.path)


def _move(family: Sequence[Run], target: Store) -> None:
    for run in family:
        if (target.folder / run.id).exists():
            raise UserError(f"{target.folder / run.id} exists already")
    with writing(target.folder):
        target.folder.mkdir(exist_ok=True)
    for run in family:
        try:
            with writing(target.folder / run.id):
                run.path.rename(target.folder / run.id)
        except StorageError as error:
            advice = "advtui rm --purge deletes it at once"
            raise UserError(f"{run.id} can't be moved ({error}): {advice}") from None
    sync_folder(target.folder)
    sync_folder(family[0].path.parent)


def citing(store: Store, family: Sequence[Run]) -> list[tuple[Run, Run]]:
    """The runs that refer to a run of ``family`` and are not part of it, each with that run.

    An attack run refers to the trainings whose checkpoints it attacks, a training to the one from
    whose weights it starts, a study to its children.
    """
    ids = {run.id: run for run in family}
    return [
        (run, ids[cited])
        for run in store.runs()
        if run.id not in ids
        for cited in dict.fromkeys(references(run, family))
        if cited in ids
    ]


def references(run: Run, others: Sequence[Run] = ()) -> list[str]:
    """The ids of the runs that a run refers to.

    Args:
        run: whose spec and result are read.
        others: runs that may be its children; those that it has reused are in its result.
    """
    listed = run.raw_spec.get("checkpoints") if run.kind == "attack" else None
    cited = [
        str(reference.get("run"))
        for reference in (listed if isinstance(listed, list) else [])
        if isinstance(reference, dict)
    ]
    if run.kind == "train" and (start := run.raw_spec.get("init")):
        name, colon, _ = str(start).partition(":")
        cited += [name] if colon and "/" not in name else []
    cited += [other.id for other in others if other.parent == run.id]
    children = (run.raw_result or {}).get("children") if run.kind == "study" else None
    if isinstance(children, dict):
        cited += map(str, children.values())
    return cited
