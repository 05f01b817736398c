"""What a report is about: the runs named, their trainings, evaluations and common table."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from runs.errors import NotFoundError
from runs.figures import common_table
from runs.result_types import Row, Table
from runs.results import split_checkpoint
from runs.store import Run, Store


@dataclass(frozen=True)
class Content:
    """The runs of a report, as far as they exist."""

    named: list[Run]
    trainings: list[Run]
    """Of the families of the named runs, and those that a named attack run has attacked."""
    evaluations: list[Run]
    """Attack runs: of the families, and those from which the table has its rows."""
    table: Table | None


def gather(store: Store, words: Sequence[str]) -> Content:
    """Find the runs of a report.

    Raises:
        NotFoundError: a run doesn't exist.
        UserError: the runs were evaluated on different images.
    """
    named = list(
        {(run := store.find(split_checkpoint(word)[0])).id: run for word in words}.values()
    )
    family = {member.id: member for run in named for member in store.family(run)}
    try:
        table = common_table(store, words, named)
    except NotFoundError:  # none of several runs has been attacked
        table = None
    cited = [_runs_of(row) for row in table["rows"]] if table else []
    for run_id in chain.from_iterable(cited):
        if run_id not in family and (store.folder / run_id / "spec.json").is_file():
            family[run_id] = Run(store.folder / run_id)
    return Content(
        named=named,
        trainings=[run for run in family.values() if run.kind == "train"],
        evaluations=[run for run in family.values() if run.kind == "attack"],
        table=table,
    )


def _runs_of(row: Row) -> list[str]:
    """The training and the attack run of a row, where they are known."""
    return [run_id for run_id in (row.get("run"), row.get("evaluation")) if run_id]


def label(run: Run) -> str:
    """The name of a run, else its role or mode and the end of its id."""
    return run.name or f"{run.role or run.mode or run.kind} {run.id[-4:]}"
