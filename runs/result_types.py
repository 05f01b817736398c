"""What came of a run: ``result.json``, the comparison table, and their parts as types.

Inside the program an attack's cells are always a list, one for each ε. In a file and in printed
JSON an attack with one ε is a single object instead: :func:`parse_result` reads both forms, and
:func:`file_rows` writes them.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NotRequired, TypedDict

from runs.json_types import INVALID, parser

Verdict = Literal["pass", "warn", "fail", "skipped"]
Interval = tuple[float, float]
"""Lower and upper bound of a share, in [0, 1]."""


class Cell(TypedDict):
    """One attack on one model at one ε, as counts and shares of 1."""

    eps: float | None
    """Budget, in pixels of [0, 1]; None where a source does not say."""
    success_k: NotRequired[int]
    success_n: NotRequired[int]
    success_rate: float | None
    success_ci95: Interval | None
    robust_k: NotRequired[int]
    robust_accuracy: float | None
    robust_ci95: Interval | None
    seconds: NotRequired[float]
    progress: NotRequired[float | None]
    """In the table of a live run, of an attack that has not ended: the done share of it, in
    [0, 1]; None while it waits. No result holds it."""


class Corruptions(TypedDict):
    """Accuracy of one model on corrupted images; see :mod:`runs.corruptions`."""

    n: int
    """Images of each corruption at each severity."""
    mean_accuracy: float
    """Over all corruptions and severities."""
    accuracy: dict[str, list[float]]
    """By corruption, at severity 1 to 5."""


class Source(TypedDict):
    """A network that advtui did not train."""

    factory: str
    weights: str | None
    sha256: str | None
    mean: list[float] | None
    std: list[float] | None


class Row(TypedDict):
    """One model of the comparison table."""

    model: str
    run: NotRequired[str | None]
    checkpoint: NotRequired[str | None]
    sha256: NotRequired[str]
    """Of the checkpoint's file when it was attacked, in hexadecimal."""
    network: NotRequired[str]
    """Architecture of a training, in words: ``ResNet-18 of width 16``."""
    generated: NotRequired[str]
    """In words: ``1,000,000 generated images (1m.npz, 70 % of each batch)``."""
    n: NotRequired[int]
    correct_k: NotRequired[int]
    accuracy: float | None
    accuracy_ci95: Interval | None
    corruptions: NotRequired[Corruptions]
    attacks: dict[str, list[Cell]]
    evaluation: NotRequired[str | None]
    """Id of the attack run that counted, and that keeps the outcomes of single images."""
    source: NotRequired[Source]


class AttackDescription(TypedDict):
    """One attack of a threat model: its wording, and the fields of its PGD."""

    name: str
    text: str
    method: NotRequired[str]
    targets: str | None
    target_classes: NotRequired[int | None]
    epsilons: NotRequired[list[float]]
    """In a table of several evaluations: where this attack was evaluated at several ε."""


class ThreatModel(TypedDict):
    """What stands under a table."""

    data: str
    split: NotRequired[str | None]
    resize: NotRequired[int]
    n: int
    seed: NotRequired[int]
    precision: NotRequired[str]
    epsilons: NotRequired[list[float]]
    """Where each attack was evaluated at several ε."""
    attacks: list[AttackDescription]


class PairedRows(TypedDict):
    """Two models on the same images, under one attack; see :func:`runs.intervals.paired`."""

    attack: str
    one: str
    """The more robust model."""
    other: str
    withstood: NotRequired[int]
    n: int
    only_one: int
    only_other: int
    difference: float | None
    ci95: Interval
    p: float


class SameCheckpoint(TypedDict):
    """A row whose checkpoint is that of a row above it; see :mod:`runs.same_checkpoint`."""

    run: str
    """The training, with ``checkpoint`` the identity of the row: models may share a name."""
    checkpoint: str
    model: str
    same_as: str
    """Model of the row above."""
    epoch: int
    """Counted from 0."""


class Table(TypedDict):
    """The comparison table."""

    threat_model: ThreatModel
    rows: list[Row]
    paired: NotRequired[list[PairedRows]]
    same_checkpoints: NotRequired[list[SameCheckpoint]]
    notes: NotRequired[list[str]]
    """In a table of several evaluations: what a reader must know of them."""


class SanityCheck(TypedDict):
    """One check of the sanity panel: the worst figure of all models."""

    check: str
    verdict: Verdict
    value: float | None
    unit: NotRequired[str]
    model: NotRequired[str | None]
    advice: NotRequired[str | None]


class KeptCheckpoint(TypedDict):
    """What a checkpoint of a training holds."""

    epoch: int
    step: int
    monitor: NotRequired[str | None]
    value: NotRequired[float | None]


class Failure(TypedDict):
    """Why a run failed."""

    message: str
    exit_code: NotRequired[int]


class Result(TypedDict):
    """``result.json``: the state a run ended in, and the fields of its kind."""

    state: str
    """``completed``, ``failed`` or ``interrupted``."""
    kind: NotRequired[str]
    attempt: NotRequired[int]
    seconds: NotRequired[float]
    """Duration of the last attempt, waiting included."""
    working_seconds: NotRequired[float]
    """Over all attempts; see :mod:`runs.durations`."""
    waiting_seconds: NotRequired[float]
    error: NotRequired[Failure]
    warnings: NotRequired[list[str]]
    """What casts doubt on the outcome, of all attempts; of a study also of its children."""
    # A training
    mode: NotRequired[str]
    epochs: NotRequired[int]
    steps: NotRequired[int]
    train_images: NotRequired[int]
    generated_images: NotRequired[int]
    val_images: NotRequired[int]
    fit_seconds: NotRequired[float]
    train_seconds: NotRequired[float]
    warm_up_seconds: NotRequired[float]
    seconds_per_epoch: NotRequired[float | None]
    images: NotRequired[int]
    images_per_second: NotRequired[float]
    flops: NotRequired[float]
    flops_per_second: NotRequired[float]
    matmul_flops_per_second: NotRequired[float]
    flop_utilisation: NotRequired[float]
    last: NotRequired[dict[str, float | None]]
    checkpoints: NotRequired[dict[str, KeptCheckpoint]]
    # A training or an attack run
    precision: NotRequired[str]
    # An attack run or a study
    threat_model: NotRequired[ThreatModel]
    rows: NotRequired[list[Row]]
    paired: NotRequired[list[PairedRows]]
    sanity: NotRequired[list[SanityCheck]]
    children: NotRequired[dict[str, str]]
    """Role to id, of a study."""


def parse_result(value: dict[str, Any]) -> Result | None:
    """The object of a ``result.json`` as the program knows it; None where it is no result.

    A damaged part is left out (see :func:`runs.json_types.parser`).
    """
    rows = value.get("rows")
    if isinstance(rows, list):
        value = {**value, "rows": [_with_lists(row) for row in rows]}
    result = parser(Result)(value)
    return None if result is INVALID else result


def _with_lists(row: Any) -> Any:
    attacks = row.get("attacks") if isinstance(row, dict) else None
    if not isinstance(attacks, dict):
        return row
    cells = {name: cell if isinstance(cell, list) else [cell] for name, cell in attacks.items()}
    return {**row, "attacks": cells}


def file_rows(rows: Iterable[Any], threat_model: ThreatModel) -> list[dict[str, Any]]:
    """Rows of a table as a file holds them: an attack with one ε is an object, not a list.

    Args:
        rows: of :class:`Row`, or of another kind with ``attacks``.
        threat_model: of the table; with ``epsilons`` every attack stays a list.
    """
    return [
        {
            **row,
            "attacks": {
                name: cells if is_curve(cells, threat_model) else cells[0]
                for name, cells in row["attacks"].items()
            },
        }
        for row in rows
    ]


def is_curve(cells: Sequence[object], threat_model: ThreatModel) -> bool:
    """Whether an attack's cells are a list in a file too: it was asked for at several ε."""
    return bool(threat_model.get("epsilons")) or len(cells) != 1
