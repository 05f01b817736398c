"""The comparison table as data: counts, rates with intervals, and the rows of several runs."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runs.errors import NotFoundError, UserError
from runs.intervals import rate, wilson
from runs.joined_table import Part, join, other_images
from runs.result_types import Cell, Corruptions, Row, Source, Table, ThreatModel
from runs.same_checkpoint import same_checkpoints
from runs.store import CHECKPOINTS, Run, Store


def attack_cell(
    *,
    eps: float,
    n: int,
    correct: int,
    successes: int,
    robust: int,
    seconds: float | None = None,
) -> Cell:
    """One attack on one model at one ε, as counts and rates.

    Args:
        eps: budget, in pixels of [0, 1].
        n: evaluated images.
        correct: images classified correctly when clean: the denominator of success.
        successes: of these, the images that the attack turned wrong (untargeted) or into the
            target class (targeted).
        robust: of these, the images that were still classified correctly.
        seconds: duration of the attack.
    """
    cell: Cell = {
        "eps": eps,
        "success_k": successes,
        "success_n": correct,
        "success_rate": rate(successes, correct),
        "success_ci95": wilson(successes, correct),
        "robust_k": robust,
        "robust_accuracy": rate(robust, n),
        "robust_ci95": wilson(robust, n),
    }
    if seconds is not None:
        cell["seconds"] = seconds
    return cell


def row(
    *,
    model: str,
    run: str | None,
    checkpoint: str | None,
    n: int,
    correct: int,
    attacks: dict[str, list[Cell]],
    evaluation: str | None = None,
    sha256: str | None = None,
    network: str | None = None,
    generated: str | None = None,
    source: Source | None = None,
    corruptions: Corruptions | None = None,
) -> Row:
    """One model of the comparison table: clean accuracy and its attacks by name.

    Args:
        model: name of the row.
        run, checkpoint: the training and its checkpoint; None for a user's own network.
        n: evaluated images.
        correct: images classified correctly when clean.
        attacks: by the attack's name, a cell for each ε.
        evaluation: id of the attack run, which keeps the outcomes of single images.
        sha256: of the checkpoint's file.
        network: architecture of a training, in words.
        generated: its generated images, in words.
        source: of a network that advtui did not train.
        corruptions: accuracy on corrupted images.
    """
    counted: Row = {
        "model": model,
        "run": run,
        "checkpoint": checkpoint,
        "n": n,
        "correct_k": correct,
        "accuracy": rate(correct, n),
        "accuracy_ci95": wilson(correct, n),
        "attacks": attacks,
        "evaluation": evaluation,
    }
    if sha256 is not None:
        counted["sha256"] = sha256
    if network is not None:
        counted["network"] = network
    if generated is not None:
        counted["generated"] = generated
    if source is not None:
        counted["source"] = source
    if corruptions is not None:
        counted["corruptions"] = corruptions
    return counted


def table(threat_model: ThreatModel, rows: Sequence[Row]) -> Table:
    """The comparison table as data."""
    return {"threat_model": threat_model, "rows": list(rows)}


def compare(store: Store, words: Iterable[str]) -> Table:
    """The table of the runs named: a study stands for its rows, an attack run for its own, a
    train run for its best checkpoints' latest attacks, ``RUN:checkpoint`` for that one.

    Each attack has its own column (see :mod:`runs.joined_table`). A training without any attack
    has a row without figures. ``paired`` holds what the outcomes of single images tell of each two
    rows (:func:`runs.outcomes.compare_pairs`), ``same_checkpoints`` the rows that are about one
    checkpoint (:mod:`runs.same_checkpoint`), ``notes`` what a reader of the joined table must know.

    Raises:
        NotFoundError: a run doesn't exist, or none of the runs has been attacked.
        UserError: the runs were evaluated on different images.
    """
    named = [(word, *_named(store, word)) for word in words]
    parts: list[Part] = []
    for word, run, checkpoint in named:
        own_tables = _tables_of(store, run, checkpoint)
        parts += [Part(word, part["threat_model"], part["rows"]) for part in own_tables]
        if not own_tables:
            parts.append(Part(word, None, _rows_without_attack(run, checkpoint)))
    evaluated = [(part.word, part.threat_model) for part in parts if part.threat_model is not None]
    if not evaluated:
        tables(store, [word for word, _, _ in named])  # raises
    first_word, first = evaluated[0]
    for word, threat in evaluated[1:]:
        if difference := other_images(first, threat):
            raise UserError(
                f"{first_word} and {word} can't stand in one table: they were evaluated on "
                f"different test images ({difference})"
            )
    trained = {run.id for _, run, _ in named if run.kind == "train"}
    return _with_same(store.folder, join(store.folder, parts, _evaluations_of(store, trained)))


def own_table(run: Run) -> Table | None:
    """The table in the result of an attack run or of a study; None where there is none."""
    result = run.result
    if result is None or "threat_model" not in result or "rows" not in result:
        return None
    own: Table = {"threat_model": result["threat_model"], "rows": result["rows"]}
    if "paired" in result:
        own["paired"] = result["paired"]
    return _with_same(run.path.parent, own)


def _with_same(folder: Path, found: Table) -> Table:
    same = same_checkpoints(folder, found["rows"])
    return {**found, "same_checkpoints": same} if same else found


def _named(store: Store, word: str) -> tuple[Run, str | None]:
    name, checkpoint = split_checkpoint(word)
    return store.find(name), checkpoint


def _rows_without_attack(run: Run, checkpoint: str | None) -> list[Row]:
    """The rows that an attack on the run would give; a single one where that is not known."""
    labels: list[tuple[str | None, str]] = [(None, run.name or f"{run.kind} {run.id[-4:]}")]
    if run.kind == "train":
        wanted = [checkpoint] if checkpoint else default_checkpoints(run.mode)
        labels = [(name, row_label(run, name)) for name in wanted]
    return [
        row(model=label, run=run.id, checkpoint=name, n=0, correct=0, attacks={})
        for name, label in labels
    ]


def _evaluations_of(store: Store, trainings: Collection[str]) -> Iterator[Table]:
    """All attacks on these trainings, the newest first, each as the rows of these trainings."""
    for attack in store.runs() if trainings else ():
        result = attack.result if attack.kind == "attack" else None
        if result is not None and "threat_model" in result:
            rows = [entry for entry in result.get("rows", []) if entry.get("run") in trainings]
            yield table(result["threat_model"], rows)


def tables(store: Store, words: Iterable[str]) -> list[tuple[str, Table]]:
    """The tables that each word stands for (see :func:`compare`): at least one (word, table).

    Raises:
        NotFoundError: a run doesn't exist or has not been attacked.
        UserError: there are no words.
    """
    parts: list[tuple[str, Table]] = []
    for word in words:
        run, checkpoint = _named(store, word)
        own_tables = _tables_of(store, run, checkpoint)
        if not own_tables:
            raise NotFoundError(
                f"{word} has no evaluation yet ({run.kind}, {run.state()}): "
                f"run advtui attack on it first"
            )
        parts += [(word, part) for part in own_tables]
    if not parts:
        raise UserError("name at least one run to compare")
    return parts


def first_difference(
    left: Mapping[str, Any], right: Mapping[str, Any], except_for: Collection[str] = ()
) -> str | None:
    """The first key, in alphabetical order, in which two objects differ; None where they agree.

    Of nested objects it is a dotted path (``attack.steps``). Keys of ``except_for`` may differ.
    """
    for key in sorted((left.keys() | right.keys()) - set(except_for)):
        left_value, right_value = left.get(key), right.get(key)
        if isinstance(left_value, dict) and isinstance(right_value, dict):
            if inner := first_difference(left_value, right_value):
                return f"{key}.{inner}"
        elif left_value != right_value:
            return key
    return None


def _tables_of(store: Store, run: Run, checkpoint: str | None) -> list[Table]:
    if run.kind == "train":
        wanted = [checkpoint] if checkpoint else default_checkpoints(run.mode)
        latest = (_latest_attack(store, run, name) for name in wanted)
        return [found for found in latest if found is not None]
    result = run.result
    if result is None or "threat_model" not in result:
        return []
    rows = [
        entry
        for entry in result.get("rows", [])
        if checkpoint is None or checkpoint == entry.get("checkpoint")
    ]
    return [table(result["threat_model"], rows)] if rows else []


def _latest_attack(store: Store, run: Run, checkpoint: str) -> Table | None:
    """The rows of a checkpoint in the newest attack run on it."""
    for attack in store.runs():  # newest first
        result = attack.result if attack.kind == "attack" else None
        if result is None or "threat_model" not in result:
            continue
        rows = [
            entry
            for entry in result.get("rows", [])
            if (entry.get("run"), entry.get("checkpoint")) == (run.id, checkpoint)
        ]
        if rows:
            return table(result["threat_model"], rows)
    return None


def split_checkpoint(word: str) -> tuple[str, str | None]:
    """``RUN:checkpoint`` as its parts; a name may hold colons of its own."""
    name, colon, tail = word.rpartition(":")
    return (name, tail) if colon and tail in CHECKPOINTS else (word, None)


def default_checkpoints(mode: str | None) -> list[str]:
    """What ``attack RUN`` attacks: the baseline's best clean, the robust run's two best."""
    return ["best_clean"] if mode == "baseline" else ["best_clean", "best_robust"]


def row_label(run: Run, checkpoint: str) -> str:
    """The row's name: as on the poster, with the run's own name where it has one."""
    label = model_label(run.mode, checkpoint)
    return f"{run.name}: {label}" if run.name and run.parent is None else label


def model_label(mode: str | None, checkpoint: str) -> str:
    """What the checkpoint of any such training is called on the poster."""
    standard = {
        ("baseline", "best_clean"): "Baseline",
        ("robust", "best_clean"): "Best clean",
        ("robust", "best_robust"): "Best robust",
    }
    words = checkpoint.replace("_", " ")
    return standard.get((mode or "", checkpoint), f"{(mode or '').title()} {words}")
