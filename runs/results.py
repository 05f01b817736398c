"""What came of an evaluation: counts, rates with intervals, and the comparison table as data."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from runs.errors import NotFoundError, UserError
from runs.intervals import rate, wilson
from runs.outcomes import compare_pairs
from runs.store import CHECKPOINTS, Run, Store

Row = dict[str, Any]
"""One model of the table; see :func:`row`."""
NO_PART_OF_THE_THREAT = ("precision",)
"""Fields of a threat model that rows of one table may differ in."""


def attack_cell(
    *, eps: float, n: int, correct: int, successes: int, robust: int, **more: Any
) -> dict[str, Any]:
    """One attack on one model, as counts and rates.

    Args:
        eps: budget, in pixels of [0, 1].
        n: evaluated images.
        correct: images classified correctly when clean: the denominator of success.
        successes: of these, the images that the attack turned wrong (untargeted) or into the
            target class (targeted).
        robust: of these, the images that were still classified correctly.
    """
    return {
        "eps": eps,
        "success_k": successes,
        "success_n": correct,
        "success_rate": rate(successes, correct),
        "success_ci95": wilson(successes, correct),
        "robust_k": robust,
        "robust_accuracy": rate(robust, n),
        "robust_ci95": wilson(robust, n),
        **more,
    }


def row(
    *,
    model: str,
    run: str | None,
    checkpoint: str | None,
    n: int,
    correct: int,
    attacks: dict[str, Any],
    evaluation: str | None = None,
    source: dict[str, Any] | None = None,
) -> Row:
    """One model of the comparison table: clean accuracy and its attacks by name.

    ``evaluation`` is the id of the attack run that has counted, and keeps the outcomes of single
    images. ``source`` tells of a network that advtui did not train, which has neither ``run`` nor
    ``checkpoint``: its factory, weights, their SHA-256, the normalisation that it expects.
    """
    return {
        "model": model,
        "run": run,
        "checkpoint": checkpoint,
        "n": n,
        "correct_k": correct,
        "accuracy": rate(correct, n),
        "accuracy_ci95": wilson(correct, n),
        "attacks": attacks,
        "evaluation": evaluation,
        **({} if source is None else {"source": source}),
    }


def table(threat_model: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """The comparison table as data."""
    return {"threat_model": threat_model, "rows": list(rows)}


def compare(store: Store, words: Iterable[str]) -> dict[str, Any]:
    """The table of the runs named: a study stands for its rows, an attack run for its own, a
    train run for its best checkpoints' latest attacks, ``RUN:checkpoint`` for that one.

    ``paired`` holds what the outcomes of single images tell of each two rows
    (:func:`runs.outcomes.compare_pairs`).

    Raises:
        NotFoundError: a run doesn't exist or has not been attacked.
        UserError: the runs were attacked under different threat models or on different images.
    """
    parts = tables(store, words)
    first_word, first = parts[0]
    for word, part in parts[1:]:
        difference = first_difference(
            first["threat_model"], part["threat_model"], NO_PART_OF_THE_THREAT
        )
        if difference:
            hint = " (compare --mean averages over seeds)" if difference == "seed" else ""
            raise UserError(
                f"{word} and {first_word} can't stand in one table: they differ in {difference}"
                f"{hint}"
            )
    rows: dict[tuple[str, str], Row] = {}
    for _, part in parts:
        for one in part["rows"]:
            # A network of other making is its label in the run that has attacked it.
            identity = (one["run"] or one["evaluation"], one["checkpoint"] or one["model"])
            rows.setdefault(identity, one)
    data = table(first["threat_model"], list(rows.values()))
    return {**data, "paired": compare_pairs(store.folder, data["rows"])}


def tables(store: Store, words: Iterable[str]) -> list[tuple[str, dict[str, Any]]]:
    """What each word stands for (see :func:`compare`): at least one (word, table).

    Raises:
        NotFoundError: a run doesn't exist or has not been attacked.
        UserError: there are no words.
    """
    parts: list[tuple[str, dict[str, Any]]] = []
    for word in words:
        name, checkpoint = split_checkpoint(word)
        run = store.find(name)
        found = _tables_of(store, run, checkpoint)
        if not found:
            raise NotFoundError(
                f"{word} has no evaluation yet ({run.kind}, {run.state()}): "
                f"run advtui attack on it first"
            )
        parts += [(word, part) for part in found]
    if not parts:
        raise UserError("name at least one run to compare")
    return parts


def first_difference(
    one: dict[str, Any], other: dict[str, Any], besides: Collection[str] = ()
) -> str | None:
    """The first key, in alphabetical order, in which two objects differ, ``besides`` these; of
    nested objects a dotted path (``attack.steps``); None where they agree."""
    for key in sorted((one.keys() | other.keys()) - set(besides)):
        mine, its = one.get(key), other.get(key)
        if isinstance(mine, dict) and isinstance(its, dict):
            if inner := first_difference(mine, its):
                return f"{key}.{inner}"
        elif mine != its:
            return key
    return None


def _tables_of(store: Store, run: Run, checkpoint: str | None) -> list[dict[str, Any]]:
    result = run.result
    if run.kind != "train":
        if not result or "rows" not in result:
            return []
        rows = [r for r in result["rows"] if checkpoint in (None, r["checkpoint"])]
        return [table(result["threat_model"], rows)] if rows else []
    wanted = [checkpoint] if checkpoint else default_checkpoints(run.mode)
    found = []
    for name in wanted:
        for attack in store.runs():  # newest first
            own = attack.result if attack.kind == "attack" else None
            rows = [
                r
                for r in (own or {}).get("rows", [])
                if (r["run"], r["checkpoint"]) == (run.id, name)
            ]
            if own and rows:
                found.append(table(own["threat_model"], rows))
                break
    return found


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
