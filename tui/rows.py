"""The list of runs as data: a row a run, filtered, sorted, and folded into its study.

Reads a run's files and knows nothing of screens; the filter's language is explained in
:func:`parse_filter`.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from runs.events import last_events
from runs.snapshot import Snapshot
from runs.store import LIVE, Run
from tui.text import clean


@dataclass(frozen=True)
class Row:
    """What a list shows of one run; shares lie in [0, 1], times are unix seconds."""

    id: str
    name: str = ""
    kind: str = "unknown"
    mode: str = ""
    role: str = ""
    parent: str | None = None
    data: str = ""
    state: str = "lost"
    created: float = 0.0
    seconds: float | None = None
    progress: str = ""
    done: float | None = None
    """Share of the work done, where it is known."""
    clean: float | None = None
    robust: float | None = None
    on_test: bool = False
    """Whether ``clean`` and ``robust`` are of the test split, not of the validation split."""
    tags: tuple[str, ...] = ()
    note: str = ""
    error: str = ""

    @property
    def is_live(self) -> bool:
        return self.state in LIVE

    @property
    def title(self) -> str:
        """The run's own name, else what it is."""
        return self.name or self.role or self.mode or self.kind

    @property
    def what(self) -> str:
        """``train robust``, ``attack``, ``study``."""
        return f"{self.kind} {self.mode}".strip()


def read_row(run: Run, snapshot: Snapshot | None = None, now: float | None = None) -> Row:
    """The row of a run, from its files; ``snapshot`` spares reading a live run's events.

    What can't be read is told in the row: a foreign folder must not hide the others.
    """
    try:
        return _row(run, snapshot, time.time() if now is None else now)
    except Exception as error:
        return Row(run.id, error=clean(f"can't be read: {error!r}"))


def _row(run: Run, snapshot: Snapshot | None, now: float) -> Row:
    spec, result, meta = run.raw_spec, run.result or {}, run.meta
    state = run.state(now)
    clean_share, robust, on_test = _figures(run, result, snapshot)
    progress, done = _progress(run, result, snapshot)
    return Row(
        id=run.id,
        name=clean(run.name or "", 200),
        kind=clean(run.kind, 20),
        mode=clean(run.mode or "", 20),
        role=clean(run.role or "", 20),
        parent=run.parent if isinstance(run.parent, str) else None,
        data=clean(PurePath(str(spec.get("data") or "")).name, 20),  # a folder by its own name
        state=state,
        created=run.created,
        seconds=now - run.created if state in LIVE else number(result.get("seconds")),
        progress=clean(progress, 40),
        done=number(done),
        clean=number(clean_share),
        robust=number(robust),
        on_test=on_test,
        tags=tuple(clean(tag, 60) for tag in meta["tags"]),
        note=clean(meta.get("note") or "", 500),
        error=_error(result),
    )


def number(value: Any) -> float | None:
    """A finite number as a float; None for whatever else a file may hold."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        return None
    return float(value)


def dicts(value: Any) -> list[dict[str, Any]]:
    """The objects of what should be a list of them."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def last_metrics(run: Run) -> dict[str, Any]:
    """The values of a training's last whole epoch, with ``epoch``; {} where there is none."""
    if run.kind != "train":
        return {}
    if last := (run.result or {}).get("last"):
        return dict(last)
    for event in reversed(last_events(run.events_path, holding=_is_epoch)):
        if _is_epoch(event):
            return {"epoch": event["epoch"], **event["values"]}
    return {}


def _is_epoch(event: Mapping[str, Any]) -> bool:
    return (
        event["kind"] == "metric"
        and event.get("every") == "epoch"
        and isinstance(event.get("epoch"), int)
        and isinstance(event.get("values"), dict)
    )


def _figures(
    run: Run, result: Mapping[str, Any], snapshot: Snapshot | None
) -> tuple[float | None, float | None, bool]:
    """Clean and robust accuracy: of the table's last row, else of the last validation."""
    rows = result.get("rows")
    if isinstance(rows, list) and rows:
        cells = [
            cell
            for value in rows[-1].get("attacks", {}).values()
            for cell in (value if isinstance(value, list) else [value])
        ]
        found = [number(cell.get("robust_accuracy")) for cell in cells]
        robust = [share for share in found if share is not None]
        return rows[-1].get("accuracy"), min(robust, default=None), True
    if snapshot is not None and not result:
        last = snapshot.epochs[-1].get("values", {}) if snapshot.epochs else {}
    else:
        last = last_metrics(run)
    return last.get("val_accuracy"), last.get("val_robust_accuracy"), False


def _progress(
    run: Run, result: Mapping[str, Any], snapshot: Snapshot | None
) -> tuple[str, float | None]:
    if result.get("state") == "completed":
        epochs = run.raw_spec.get("epochs")
        return (f"{epochs}/{epochs}" if run.kind == "train" else "done"), 1.0
    if run.kind == "train":
        epochs = int(run.raw_spec.get("epochs") or 0)
        whole = snapshot.epochs[-1]["epoch"] + 1 if snapshot and snapshot.epochs else None
        if snapshot is None:
            whole = last_metrics(run).get("epoch", -1) + 1
        share = training_share(snapshot) if snapshot else (whole or 0) / max(epochs, 1)
        return f"{whole or 0}/{epochs}", share
    if run.kind == "attack" and snapshot is not None:
        share = attack_share(run, snapshot)
        return f"{100 * share:.0f} %", share
    return "", None


def training_share(snapshot: Snapshot) -> float:
    """Share of a training that is done, by its last progress event; in [0, 1]."""
    progress = snapshot.progress
    if not progress or not progress.get("epochs"):
        return 0.0
    within = progress["done"] / max(progress["total"], 1) if progress["task"] == "train" else 1.0
    return min(1.0, float((progress["epoch"] + within) / progress["epochs"]))


def attack_share(run: Run, snapshot: Snapshot) -> float:
    """Share of an attack run that is done, every model × attack counting alike; in [0, 1]."""
    spec = run.raw_spec
    labels = row_labels(spec)
    attacks = dicts(spec.get("attacks"))
    epsilons = spec.get("epsilons")
    levels = len(epsilons) if isinstance(epsilons, list) and epsilons else 1
    shares = [
        _pair_share(snapshot, label, attack, levels) for label in labels for attack in attacks
    ]
    return min(1.0, sum(shares) / max(len(shares), 1))


def row_labels(spec: Mapping[str, Any]) -> list[str]:
    """Labels of what an attack run attacks, from spec.json as it stands."""
    references = (*dicts(spec.get("checkpoints")), *dicts(spec.get("models")))
    return [str(one.get("label")) for one in references]


def _pair_share(snapshot: Snapshot, label: str, attack: Mapping[str, Any], levels: int) -> float:
    """By its own event, else by those of its parts: an ε of a curve, a stage of AutoAttack."""
    name = str(attack.get("name"))
    own = snapshot.attacks.get((label, name))
    if own is not None:
        return float(own["done"] / max(own["total"], 1))
    parts = [
        event["done"] / max(event["total"], 1)
        for (model, part), event in snapshot.attacks.items()
        if model == label and part.startswith(f"{name} ")
    ]
    expected = levels
    if attack.get("method") == "autoattack":
        from runs.attacks import AUTOATTACK_STAGES  # brings pydantic, which a list does not need

        expected *= len(AUTOATTACK_STAGES)
    return float(sum(parts)) / max(expected, len(parts))


def _error(result: Mapping[str, Any]) -> str:
    error = result.get("error")
    return clean(error.get("message", ""), 2000) if isinstance(error, dict) else ""


# Folding and sorting

Key = Callable[[Row], Any]

COLUMNS: dict[str, Key] = {
    "age": lambda row: -row.created,
    "name": lambda row: row.title.lower(),
    "state": lambda row: row.state,
    "kind": lambda row: row.what,
    "data": lambda row: row.data,
    "progress": lambda row: -(row.done or 0.0),
    "clean": lambda row: -(row.clean if row.clean is not None else -1.0),
    "robust": lambda row: -(row.robust if row.robust is not None else -1.0),
    "took": lambda row: -(row.seconds or 0.0),
}
"""What the list can be sorted by; the natural order of each puts the most interesting first."""


def arrange(
    rows: Iterable[Row],
    *,
    by: str = "age",
    reverse: bool = False,
    unfolded: Callable[[Row], bool] = lambda _: True,
) -> list[tuple[Row, int]]:
    """Rows in the list's order with their depth: what runs first, children under their study.

    A study that is at work counts as running; a child whose study is gone stands for itself.
    """
    every = {row.id: row for row in rows}
    children: dict[str, list[Row]] = {}
    top: list[Row] = []
    for row in every.values():
        if row.parent in every and row.parent != row.id and every[row.parent].parent not in every:
            children.setdefault(row.parent or "", []).append(row)
        else:
            top.append(row)
    top.sort(key=lambda row: row.id)  # ties stand still
    top.sort(key=COLUMNS[by], reverse=reverse)
    top.sort(key=lambda row: not row.is_live)
    arranged: list[tuple[Row, int]] = []
    for row in top:
        family = sorted(children.get(row.id, ()), key=lambda child: (child.created, child.id))
        arranged.append((_with_family(row, family), 0))
        if family and unfolded(row):
            arranged += [(child, 1) for child in family]
    return arranged


def _with_family(study: Row, family: Sequence[Row]) -> Row:
    """A study at work shows what its child at work does."""
    for child in family:
        if study.is_live and child.is_live and child.progress:
            return replace(study, progress=f"{child.title} {child.progress}", done=None)
    return study


# Filtering

Test = Callable[[Row], bool]

_FIGURES: dict[str, Key] = {
    "acc": lambda row: None if row.clean is None else 100 * row.clean,
    "robust": lambda row: None if row.robust is None else 100 * row.robust,
}
_WORDS: dict[str, Callable[[Row], Iterable[str]]] = {
    "mode": lambda row: [row.mode],
    "state": lambda row: [row.state],
    "kind": lambda row: [row.kind],
    "data": lambda row: [row.data],
    "name": lambda row: [row.name],
    "id": lambda row: [row.id],
    "tag": lambda row: row.tags,
}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    "=": lambda a, b: abs(a - b) < 0.05,
}


def parse_filter(text: str) -> Test:
    """The test that a filter's text stands for; all its terms must hold.

    ``word`` is looked for in id, name, kind, mode, data, state, tags and note; ``mode:robust``,
    ``state:``, ``kind:``, ``data:``, ``name:``, ``id:``, ``tag:`` in that field alone;
    ``acc>50``, ``robust<=20`` compare percentages; a leading ``-`` turns a term round.
    """
    tests = [_term(term) for term in text.split()]
    return lambda row: all(test(row) for test in tests)


def _term(term: str) -> Test:
    if len(term) > 1 and term.startswith("-"):
        test = _term(term[1:])
        return lambda row: not test(row)
    for sign, compare in _COMPARE.items():  # two-character signs come first
        field, found, bound = term.partition(sign)
        if found and field in _FIGURES:
            return _bound(_FIGURES[field], compare, bound)
    field, colon, wanted = term.partition(":")
    if colon and field in _WORDS:
        words = _WORDS[field]
        return lambda row: any(wanted.lower() in word.lower() for word in words(row))
    needle = term.lower()
    return lambda row: needle in _haystack(row)


def _bound(figure: Key, compare: Callable[[float, float], bool], text: str) -> Test:
    try:
        bound = float(text)
    except ValueError:  # still being typed
        return lambda _: True

    def test(row: Row) -> bool:
        value = figure(row)
        return value is not None and compare(value, bound)

    return test


def _haystack(row: Row) -> str:
    parts = (row.id, row.name, row.kind, row.mode, row.role, row.data, row.state, row.note)
    return " ".join((*parts, *row.tags)).lower()


def matching(rows: Sequence[Row], text: str) -> list[Row]:
    """The rows that match; a child brings its study along, a study its children."""
    test = parse_filter(text)
    if not text.strip():
        return list(rows)
    found = {row.id for row in rows if test(row)}
    parents = {row.parent for row in rows if row.id in found}
    return [row for row in rows if row.id in found or row.id in parents or row.parent in found]
