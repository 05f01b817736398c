"""Rates, intervals, and which rows a word stands for."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from runs.errors import NotFoundError, UserError
from runs.intervals import rate, wilson
from runs.jsonfiles import write_json
from runs.results import (
    attack_cell,
    compare,
    default_checkpoints,
    row,
    row_label,
    table,
)
from runs.store import Run, Store

# Rates


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_wilsons(counts: tuple[int, int]) -> None:
    k, n = counts
    theirs = binomtest(k, n).proportion_ci(confidence_level=0.95, method="wilson")

    assert wilson(k, n) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_rate_and_stays_within_0_and_1(counts: tuple[int, int]) -> None:
    low, high = wilson(*counts) or (2, -1)
    share = rate(*counts)

    assert share is not None
    assert 0 <= low <= share <= high <= 1


def test_no_trials_have_no_rate_and_no_interval() -> None:
    assert rate(0, 0) is None
    assert wilson(0, 0) is None


def test_a_cell_counts_success_among_the_correct_and_robust_among_all() -> None:
    cell = attack_cell(eps=0.1, n=200, correct=100, successes=30, robust=60, seconds=1.5)

    assert (cell["success_k"], cell["success_n"], cell["success_rate"]) == (30, 100, 0.3)
    assert (cell["robust_k"], cell["robust_accuracy"]) == (60, 0.3)
    assert cell["success_ci95"] == wilson(30, 100)
    assert cell["robust_ci95"] == wilson(60, 200)
    assert (cell["eps"], cell["seconds"]) == (0.1, 1.5)


def test_a_model_that_is_never_right_has_no_success_rate() -> None:
    cell = attack_cell(eps=0.1, n=200, correct=0, successes=0, robust=0)

    assert cell["success_rate"] is None
    assert cell["success_ci95"] is None
    assert cell["robust_accuracy"] == 0


def test_a_row_has_the_documented_keys() -> None:
    made = row(model="M", run="R", checkpoint="last", n=200, correct=150, attacks={})

    assert made == {
        "model": "M",
        "run": "R",
        "checkpoint": "last",
        "n": 200,
        "correct_k": 150,
        "accuracy": 0.75,
        "accuracy_ci95": wilson(150, 200),
        "attacks": {},
        "evaluation": None,
    }


# Compare

ROBUST, BASELINE = "20261122-184001-robust-0000", "20261122-184002-baseline-0000"
STUDY = "20261122-184000-study-0000"


def threat(**changes: Any) -> Any:
    attack = {"name": "pgd-untargeted", "text": "PGD-20", "targets": None, "eps": 8 / 255}
    common = {"data": "CIFAR-100", "split": "test", "n": 100, "seed": 0, "precision": "fp32"}
    return {**common, "attacks": [attack], **changes}


def one(run: str, checkpoint: str, correct: int = 50) -> Any:
    cell: Any = attack_cell(eps=8 / 255, n=100, correct=correct, successes=0, robust=correct)
    return row(
        model=f"{run[-4:]} {checkpoint}",
        run=run,
        checkpoint=checkpoint,
        n=100,
        correct=correct,
        attacks={"pgd-untargeted": cell},
    )


def add(
    store: Store,
    run_id: str,
    *,
    kind: str = "train",
    rows: list[Any] | None = None,
    state: str = "completed",
    threat_model: Any = None,
    **fields: Any,
) -> Run:
    run = Run(store.folder / run_id)
    run.path.mkdir(parents=True)
    mode = run_id.split("-")[2] if kind == "train" else None
    parent = fields.pop("parent", None)
    header = {"id": run_id, "created": float(run_id[9:15]), "parent": parent}
    write_json(run.path / "spec.json", {"kind": kind, "mode": mode, **fields, "run": header})
    result: dict[str, Any] = {"v": 1, "state": state}
    if rows is not None:
        result |= table(threat_model or threat(), rows)
    write_json(run.path / "result.json", result)
    return run


def keys(data: Any) -> list[tuple[str, str, int]]:
    return [(r["run"], r["checkpoint"], r["correct_k"]) for r in data["rows"]]


def test_a_study_stands_for_its_rows(store: Store) -> None:
    rows = [one(BASELINE, "best_clean"), one(ROBUST, "best_clean"), one(ROBUST, "best_robust")]
    study = add(store, STUDY, kind="study", rows=rows)

    data = compare(store, [study.id])

    assert keys(data) == keys({"rows": rows})
    assert data["threat_model"] == threat()
    assert data["rows"][0]["accuracy"] == 0.5


def test_an_attack_run_stands_for_its_own_rows(store: Store) -> None:
    add(store, ROBUST)
    add(store, "20261122-184005-attack-0000", kind="attack", rows=[one(ROBUST, "last", 7)])
    add(store, "20261122-184006-attack-1111", kind="attack", rows=[one(ROBUST, "last", 8)])

    assert keys(compare(store, ["20261122-184005"])) == [(ROBUST, "last", 7)]


def test_a_train_run_stands_for_the_latest_attack_of_each_of_its_best_checkpoints(
    store: Store,
) -> None:
    add(store, ROBUST)
    both = [one(ROBUST, "best_clean", 1), one(ROBUST, "best_robust", 2), one(ROBUST, "last", 3)]
    add(store, "20261122-184005-attack-0000", kind="attack", rows=both)
    later = [one(BASELINE, "best_robust", 9), one(ROBUST, "best_robust", 4)]
    add(store, "20261122-184006-attack-1111", kind="attack", rows=later)

    assert keys(compare(store, [ROBUST])) == [
        (ROBUST, "best_clean", 1),
        (ROBUST, "best_robust", 4),
    ]


def test_an_older_attack_under_another_threat_model_does_not_stand_in_the_way(
    store: Store,
) -> None:
    add(store, ROBUST)
    rows = [one(ROBUST, "best_clean", 1), one(ROBUST, "best_robust", 2)]
    older, newer = "20261122-184005-attack-0000", "20261122-184006-attack-1111"
    add(store, older, kind="attack", rows=rows, threat_model=threat(n=50))
    add(store, newer, kind="attack", rows=rows)

    assert compare(store, [ROBUST])["threat_model"] == threat()


def test_a_baseline_stands_for_its_best_clean_checkpoint(store: Store) -> None:
    add(store, BASELINE)
    rows = [one(BASELINE, "best_robust", 1), one(BASELINE, "best_clean", 2)]
    add(store, "20261122-184005-attack-0000", kind="attack", rows=rows)

    assert keys(compare(store, [BASELINE])) == [(BASELINE, "best_clean", 2)]
    assert default_checkpoints("baseline") == ["best_clean"]
    assert default_checkpoints("robust") == ["best_clean", "best_robust"]


def test_an_attack_that_failed_is_not_the_latest(store: Store) -> None:
    add(store, ROBUST)
    add(store, "20261122-184005-attack-0000", kind="attack", rows=[one(ROBUST, "best_clean", 1)])
    add(store, "20261122-184006-attack-1111", kind="attack", state="failed")

    assert keys(compare(store, [ROBUST])) == [(ROBUST, "best_clean", 1)]


@pytest.mark.parametrize("word", [ROBUST, "mine", "20261122-184005", "@1"])
def test_a_checkpoint_after_a_colon_stands_for_that_one(store: Store, word: str) -> None:
    add(store, ROBUST, name="mine")
    rows = [one(ROBUST, "best_clean", 1), one(ROBUST, "last", 2)]
    add(store, "20261122-184005-attack-0000", kind="attack", rows=rows)

    assert keys(compare(store, [f"{word}:last"])) == [(ROBUST, "last", 2)]


def test_a_name_may_hold_a_colon(store: Store) -> None:
    add(store, ROBUST, name="lr:0.1")
    add(store, "20261122-184005-attack-0000", kind="attack", rows=[one(ROBUST, "best_clean", 1)])

    assert keys(compare(store, ["lr:0.1"])) == [(ROBUST, "best_clean", 1)]
    assert keys(compare(store, ["lr:0.1:best_clean"])) == [(ROBUST, "best_clean", 1)]


def test_words_are_taken_in_order_and_a_model_stands_once(store: Store) -> None:
    add(store, ROBUST)
    rows = [one(BASELINE, "best_clean", 1), one(ROBUST, "best_clean", 2)]
    add(store, STUDY, kind="study", rows=rows)
    add(store, "20261122-184005-attack-0000", kind="attack", rows=[one(ROBUST, "best_clean", 3)])

    assert keys(compare(store, [STUDY, ROBUST])) == [
        (BASELINE, "best_clean", 1),
        (ROBUST, "best_clean", 2),
    ]
    assert keys(compare(store, [ROBUST, STUDY])) == [
        (ROBUST, "best_clean", 3),
        (BASELINE, "best_clean", 1),
    ]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"n": 50}, "n is 100 and 50"),
        ({"data": "CIFAR-10"}, "data is CIFAR-100 and CIFAR-10"),
        ({"split": None}, "split is test and not set"),
        ({"resize": 32}, "resize is not set and 32"),
    ],
)
def test_runs_on_other_test_images_are_refused_with_what_differs(
    store: Store, changes: dict[str, Any], difference: str
) -> None:
    add(store, STUDY, kind="study", rows=[one(BASELINE, "best_clean")])
    other = "20261122-184005-attack-0000"
    add(
        store,
        other,
        kind="attack",
        rows=[one(ROBUST, "best_clean")],
        threat_model=threat(**changes),
    )

    with pytest.raises(UserError) as error:
        compare(store, [STUDY, other])

    assert str(error.value) == (
        f"{STUDY} and {other} can't stand in one table: they were evaluated on different test "
        f"images ({difference})"
    )
    assert error.value.exit_code == 2


def test_precision_alone_keeps_no_runs_apart(store: Store) -> None:
    add(store, STUDY, kind="study", rows=[one(BASELINE, "best_clean")])
    other = "20261122-184005-attack-0000"
    rows = [one(ROBUST, "best_clean")]
    add(store, other, kind="attack", rows=rows, threat_model=threat(precision="bf16"))

    assert len(compare(store, [STUDY, other])["rows"]) == 2


def test_the_end_of_an_id_names_a_checkpoint_too(store: Store) -> None:
    add(store, ROBUST[:-4] + "3f9a")
    rows = [one(ROBUST[:-4] + "3f9a", "best_clean", 1)]
    add(store, "20261122-184005-attack-0000", kind="attack", rows=rows)

    assert len(compare(store, ["3f9a:best_clean"])["rows"]) == 1


@pytest.mark.parametrize(
    ("run_id", "kind", "word"),
    [
        (ROBUST, "train", ROBUST),
        (ROBUST, "train", f"{ROBUST}:best_clean"),
        (STUDY, "study", STUDY),
        ("20261122-184005-attack-0000", "attack", "@1"),
    ],
)
def test_a_run_without_evaluation_is_said_to_have_none(
    store: Store, run_id: str, kind: str, word: str
) -> None:
    add(store, run_id, kind=kind, state="interrupted")

    with pytest.raises(NotFoundError) as error:
        compare(store, [word])

    assert f"{word} has no evaluation yet ({kind}, interrupted)" in str(error.value)


def test_a_checkpoint_without_evaluation_is_said_to_have_none(store: Store) -> None:
    add(store, STUDY, kind="study", rows=[one(BASELINE, "best_clean")])

    with pytest.raises(NotFoundError, match=f"{STUDY}:last has no evaluation yet"):
        compare(store, [f"{STUDY}:last"])


def test_a_run_that_is_not_there_is_said_to_be_missing(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no run 'nobody'"):
        compare(store, ["nobody:last"])


def test_no_words_are_refused_in_a_sentence(store: Store) -> None:
    with pytest.raises(UserError):
        compare(store, [])


# Labels


@pytest.mark.parametrize(
    ("run_id", "checkpoint", "label"),
    [
        (BASELINE, "best_clean", "Baseline"),
        (ROBUST, "best_clean", "Best clean"),
        (ROBUST, "best_robust", "Best robust"),
        (ROBUST, "last", "Robust last"),
        (BASELINE, "best_robust", "Baseline best robust"),
    ],
)
def test_rows_are_named_as_on_the_poster_with_a_runs_own_name(
    store: Store, run_id: str, checkpoint: str, label: str
) -> None:
    plain = add(store, run_id)
    named = add(store, run_id[:-4] + "1111", name="mine")
    child = add(store, run_id[:-4] + "2222", name="mine", parent=STUDY)

    assert row_label(plain, checkpoint) == label
    assert row_label(named, checkpoint) == f"mine: {label}"
    assert row_label(child, checkpoint) == label
