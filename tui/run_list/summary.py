"""What ``advtui runs`` says of each run: one object a run, as ``--json`` prints it.

Ended runs come from the home's index (:mod:`runs.run_index`), where it knows them.
"""

import time
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any

from runs.damage import unreadable_at_once, words
from runs.durations import Durations, durations_of
from runs.events import warnings_of
from runs.jsonfiles import read_json
from runs.result_types import Result
from runs.run_index import RunIndex
from runs.run_state import ENDED, LIVE
from runs.store import Run, Store
from tui.render.queue_text import queue_place
from tui.run_list.filter import MOST_DEPTH
from tui.run_list.row import figures, last_metrics, number

_VERSION = "summary 1"
"""Of the entries in the index: to be raised whenever :func:`summary` says something else."""


def summaries(store: Store, limit: int | None) -> list[dict[str, Any]]:
    """The newest ``limit`` runs that a person started, each followed by its children in order."""
    index = RunIndex(store.home, _VERSION, _is_summary)
    rows = index.entries(store.names(), summary)
    index.save()
    rows.sort(key=lambda row: (row["created"], row["id"]), reverse=True)
    ids = {row["id"] for row in rows}
    children: dict[str, list[dict[str, Any]]] = {}
    for row in reversed(rows):
        if row["parent"] in ids:
            children.setdefault(row["parent"], []).append(row)
    started = [row for row in rows if row["parent"] not in ids][:limit]
    return [member for row in started for member in _family(row, children)]


def _family(
    row: dict[str, Any], children: Mapping[str, list[dict[str, Any]]], depth: int = 0
) -> Iterator[dict[str, Any]]:
    """A run, then those below it, each followed by its own."""
    yield row
    for child in children.get(row["id"], []) if depth <= MOST_DEPTH else ():
        yield from _family(child, children, depth + 1)


def summary(run: Run) -> dict[str, Any]:
    """One run of ``advtui runs --json``."""
    result, state = run.result, run.state()
    worked, waited = durations_now(run, result, state)
    return {
        "id": run.id,
        "name": run.name,
        "kind": run.kind,
        "mode": run.mode,
        "state": state,
        "place": queue_place(run, state),
        "warnings": warnings_about(run, result),
        "last_sign": None if state in ENDED else run.last_sign,
        "host": (read_json(run.path / "launch.json") or {}).get("host"),
        "created": run.created,
        "parent": run.parent,
        "role": run.role,
        "data": run.data,
        "epochs": run.epochs,
        "tags": run.meta["tags"],
        "note": run.meta.get("note"),
        "working_seconds": round(worked, 3),
        "waiting_seconds": round(waited, 3),
        "metrics": last_metrics(run, result),
        "figures": _figures(run, result),
    }


def warnings_about(run: Run, result: Result | None) -> list[str]:
    """What casts doubt on the outcome of a run; without a result on what it has done so far."""
    found = warnings_of(run.events_path) if result is None else result.get("warnings", [])
    return [*words(unreadable_at_once(run, has_result=result is not None)), *found]


def _figures(run: Run, result: Result | None) -> dict[str, Any]:
    """Clean and robust accuracy, as in the list of the screen, and the split that they are of."""
    found = figures(run, result)
    known = found.clean is not None or found.robust is not None
    split = ("test" if found.on_test else "validation") if known else None
    eps = None if found.robust is None else found.budget.eps
    shares = {"clean": number(found.clean), "robust": number(found.robust)}
    return {**shares, "split": split, "eps": eps, "at": found.at}


def durations_now(run: Run, result: Result | None, state: str) -> Durations:
    """Working and waiting time over all attempts, up to now of a live run."""
    return durations_of(run, result, now=time.time() if state in LIVE else None)


_TEXT, _NUMBER, _NOTHING = str, (int, float), type(None)
_FIELDS: dict[str, Any] = {
    **dict.fromkeys(("id", "kind", "state", "place"), _TEXT),
    **dict.fromkeys(("name", "mode", "host", "parent", "role", "data", "note"), (str, _NOTHING)),
    **dict.fromkeys(("created", "working_seconds", "waiting_seconds"), _NUMBER),
    **dict.fromkeys(("last_sign", "epochs"), (int, float, _NOTHING)),
    **dict.fromkeys(("warnings", "tags"), list),
    **dict.fromkeys(("metrics", "figures"), dict),
}
_FIGURES: dict[str, Any] = {
    **dict.fromkeys(("clean", "robust", "eps"), (int, float, _NOTHING)),
    "split": (str, _NOTHING),
    "at": _TEXT,
}


_fields_of, _figures_of = itemgetter(*_FIELDS), itemgetter(*_FIGURES)
_seen: set[tuple[type, ...]] = set()
"""Types of the fields of summaries that were found right: most rows share those of another."""


def _is_summary(run_id: str, value: object) -> bool:
    """Whether a value of the index is one that :func:`summary` can return for a run."""
    if not isinstance(value, dict):
        return False
    try:
        fields, shares = _fields_of(value), _figures_of(value["figures"])
        types = (*map(type, fields), *map(type, shares), type(value["metrics"].get("epoch")))
        texts = value["warnings"] + value["tags"]
    except (KeyError, TypeError, AttributeError):
        return False
    if types not in _seen:
        expected = (*_FIELDS.values(), *_FIGURES.values(), (int, _NOTHING))
        if not all(issubclass(one, kind) for one, kind in zip(types, expected, strict=True)):
            return False
        _seen.add(types)
    return value["id"] == run_id and (not texts or all(isinstance(text, str) for text in texts))
