"""Runs, tables and curves as pandas frames, for notebooks.

pandas is imported where a frame is made, and only there: ``pip install 'advtui[pandas]'``.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runs.errors import UserError
from runs.jsonfiles import flattened
from runs.results import compare, own_table
from runs.snapshot import read_snapshot
from runs.store import Run, Store

if TYPE_CHECKING:
    from pandas import DataFrame

_FACTS = ("kind", "name", "mode", "role", "parent")


def runs_frame(store: Store) -> "DataFrame":
    """All runs of a home, newest first, indexed by their ids.

    Columns: ``kind``, ``name``, ``mode``, ``role``, ``parent``, ``state``, ``created`` (UTC),
    ``seconds`` (None while a run is at work), ``tags``; ``val_accuracy`` and
    ``val_robust_accuracy`` of the best clean and best robust checkpoint, shares of the validation
    split; and each field of the specs under its path: ``spec.robust.attack.eps``.

    Raises:
        UserError: pandas is not installed.
    """
    pandas = _pandas()
    frame = pandas.DataFrame([_run_fields(run) for run in store.runs()])
    return frame.set_index("id") if len(frame) else frame


def table_frame(store: Store, words: Iterable[str]) -> "DataFrame":
    """The comparison table of runs, as ``advtui compare`` takes them: a row for each model, attack
    and ε.

    Columns: ``model``, ``run``, ``checkpoint``, ``n`` (images), ``accuracy``, ``attack``, ``eps``
    (pixels of [0, 1]), ``success``, ``robust``; each rate is a share of 1, and has its 95 % Wilson
    interval in ``…_low`` and ``…_high``. What each attack is, the frame's ``attrs`` say under
    ``threat_model``.

    Raises:
        NotFoundError, UserError: as :func:`runs.results.compare`; pandas is not installed.
    """
    pandas = _pandas()
    named = list(words)
    alone = own_table(store.find(named[0])) if len(named) == 1 else None
    table = alone if alone is not None else compare(store, named)
    lines: list[dict[str, Any]] = []
    for row in table["rows"]:
        model = {
            **{key: row.get(key) for key in ("model", "run", "checkpoint", "n")},
            **_rate("accuracy", row["accuracy"], row["accuracy_ci95"]),
        }
        lines += [
            {
                **model,
                "attack": attack,
                "eps": cell["eps"],
                **_rate("success", cell["success_rate"], cell["success_ci95"]),
                **_rate("robust", cell["robust_accuracy"], cell["robust_ci95"]),
            }
            for attack, cells in row["attacks"].items()
            for cell in cells
        ]
    frame = pandas.DataFrame(lines)
    frame.attrs["threat_model"] = table["threat_model"]
    return frame


def curves_frame(run: Run) -> "DataFrame":
    """The metrics of a training's epochs, indexed by the epoch: losses, accuracies (shares of 1),
    learning rate.

    Raises:
        UserError: pandas is not installed.
    """
    pandas = _pandas()
    lines = [
        {"epoch": event["epoch"], "step": event["step"], **event["values"]}
        for event in read_snapshot(run).epochs
    ]
    frame = pandas.DataFrame(lines)
    return frame.set_index("epoch") if len(frame) else frame


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise UserError(
            "frames need pandas: pip install 'advtui[pandas]', or pip install pandas"
        ) from None
    return pandas


def _run_fields(run: Run) -> dict[str, Any]:
    result = run.result
    kept: Mapping[str, Any] = {} if result is None else result.get("checkpoints", {})
    best = {name: kept[name].get("value") if name in kept else None for name in _BEST.values()}
    return {
        "id": run.id,
        **{fact: getattr(run, fact) for fact in _FACTS},
        "state": str(run.state()),
        "created": datetime.fromtimestamp(run.created, UTC),
        "seconds": None if result is None else result.get("seconds"),
        "tags": tuple(run.meta["tags"]),
        **{figure: best[name] for figure, name in _BEST.items()},
        **{f"spec.{path}": value for path, value in flattened(run.raw_spec)},
    }


_BEST = {"val_accuracy": "best_clean", "val_robust_accuracy": "best_robust"}


def _rate(name: str, value: float | None, interval: Any) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}
