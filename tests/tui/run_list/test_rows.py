"""The list of runs as data: filter, order, folds."""

import json
from pathlib import Path
from typing import Any

import pytest

from fixed_home import add_eps_curve, build
from runs.attacks import named_attack
from runs.snapshot import Snapshot
from runs.spec import AttackSpec, CheckpointRef, TrainSpec
from runs.store import Run, Store
from runs.threat_model import PGD
from tui.run_list.filter import COLUMNS, arrange, matching, parse_filter
from tui.run_list.row import Row, attack_share, read_row

BASE = Row("20260101-000000-baseline-0001", kind="train", mode="baseline", data="cifar100",
           state="completed", created=100, clean=0.62, robust=0.0)  # fmt: skip
ROBUST = Row("20260101-000100-robust-0002", kind="train", mode="robust", data="cifar100",
             name="Mixed at 4", state="running", created=200, clean=0.35, robust=0.2,
             tags=("mixed", "night"), note="with flips")  # fmt: skip
STUDY = Row("20260101-000200-study-0003", kind="study", data="digits", state="running", created=300)
CHILD = Row("20260101-000201-robust-0004", kind="train", mode="robust", role="robust",
            parent=STUDY.id, state="running", created=301, progress="3/10")  # fmt: skip
OTHER = Row("20260101-000300-attack-0005", kind="attack", state="failed", created=400)
ROWS = [BASE, ROBUST, STUDY, CHILD, OTHER]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ROWS),
        ("mixed", [ROBUST]),
        ("MIXED", [ROBUST]),
        ("flips", [ROBUST]),
        ("mode:robust", [ROBUST, STUDY, CHILD]),
        ("mode:robust state:running -kind:study", [ROBUST, STUDY, CHILD]),
        ("state:failed", [OTHER]),
        ("kind:train data:cifar", [BASE, ROBUST]),
        ("acc>50", [BASE]),
        ("acc>=62", [BASE]),
        ("acc<50", [ROBUST]),
        ("robust<=20", [BASE, ROBUST]),
        ("robust=20", [ROBUST]),
        ("acc>", ROWS),
        ("tag:night", [ROBUST]),
        ("tag:none", []),
        ("-mixed kind:train -robust", [BASE]),
        ("kind:study", [STUDY, CHILD]),
        ("[/foo]", []),
    ],
)
def test_filter(text: str, expected: list[Row]) -> None:
    assert matching(ROWS, text) == expected


def test_a_filter_being_typed_never_raises() -> None:
    for text in ("mode:robust acc>5.5 tag:x -y robust<=", "acc>=", ":", "-", "--", "acc>x", "=="):
        for end in range(len(text) + 1):
            parse_filter(text[:end])(BASE)


def test_running_ones_come_first_then_the_newest() -> None:
    order = [row.id[-4:] for row, depth in arrange(ROWS) if depth == 0]
    assert order == ["0003", "0002", "0005", "0001"]


def test_children_follow_their_study_and_fold() -> None:
    assert [(row.id[-4:], depth) for row, depth in arrange(ROWS)][:2] == [("0003", 0), ("0004", 1)]
    folded = arrange(ROWS, unfolded=lambda _: False)
    assert CHILD not in [row for row, _ in folded]


def test_a_study_at_work_tells_what_its_child_does() -> None:
    assert arrange(ROWS)[0][0].progress == "robust 3/10"


def test_a_child_without_its_study_stands_for_itself() -> None:
    assert (CHILD, 0) in arrange([BASE, CHILD])


@pytest.mark.parametrize("by", list(COLUMNS))
def test_every_column_orders_and_turns_round(by: str) -> None:
    rows = [BASE, OTHER]
    one = [row.id for row, _ in arrange(rows, by=by)]
    other = [row.id for row, _ in arrange(rows, by=by, reverse=True)]
    assert sorted(one) == sorted(other)
    if COLUMNS[by](BASE) != COLUMNS[by](OTHER):
        assert one == other[::-1]


def test_best_robust_first() -> None:
    rows = [BASE, Row("x", state="completed", robust=0.3), Row("y", state="lost")]
    assert [row.id for row, _ in arrange(rows, by="robust")] == ["x", BASE.id, "y"]


@pytest.mark.parametrize(
    ("names", "epsilons", "done", "share"),
    [
        (["pgd-untargeted", "fgsm"], (), {}, 0.0),
        (["pgd-untargeted", "fgsm"], (), {"pgd-untargeted": 10}, 0.5),
        (["pgd-untargeted", "fgsm"], (), {"pgd-untargeted": 10, "fgsm": 5}, 0.75),
        (["autoattack"], (), {"autoattack apgd-ce": 10, "autoattack apgd-t": 5}, 0.375),
        (["autoattack"], (), {"autoattack apgd-ce": 10, "autoattack": 10}, 1.0),
        (["pgd-untargeted"], (0.0, 0.01), {"pgd-untargeted ε 0": 10}, 0.5),
    ],
)
def test_the_share_of_an_attack_run_counts_stages_and_levels_as_parts(
    tmp_path: Path, names: list[str], epsilons: Any, done: dict[str, int], share: float
) -> None:
    spec = AttackSpec(
        checkpoints=(CheckpointRef(run="R", checkpoint="last", label="M"),),
        attacks=tuple(named_attack(name, PGD()) for name in names),
        epsilons=epsilons,
    )
    run = Store(tmp_path).create(spec)
    snapshot = Snapshot()
    for attack, count in done.items():
        snapshot.apply(
            {"v": 1, "t": 1.0, "kind": "attack", "model": "M", "attack": attack, "done": count,
             "total": 10, "successes": 0, "rate": 1.0}
        )  # fmt: skip
    assert attack_share(run, snapshot) == pytest.approx(share)


def test_a_curve_shows_the_robust_accuracy_of_its_own_eps(tmp_path: Path) -> None:
    ids = build(tmp_path)
    curve = read_row(Run(tmp_path / "runs" / add_eps_curve(tmp_path, ids)))
    usual = read_row(Run(tmp_path / "runs" / ids["attack"]))
    assert (curve.at, usual.at) == ("", "")
    result = Run(tmp_path / "runs" / curve.id).result
    assert result is not None
    every = [cell for cells in result["rows"][-1]["attacks"].values() for cell in cells]
    at_8 = min(cell["robust_accuracy"] or 0.0 for cell in every if cell["eps"] == 8 / 255)
    assert curve.robust == at_8 > min(cell["robust_accuracy"] or 0.0 for cell in every)


def test_another_eps_is_marked(tmp_path: Path) -> None:
    pgd = PGD(eps=16 / 255)
    run = Store(tmp_path).create(TrainSpec(attack=pgd, validation=pgd))
    values = {"val_accuracy": 0.5, "val_robust_accuracy": 0.1}
    result = {"state": "completed", "last": {"epoch": 0, **values}}
    (run.path / "result.json").write_text(json.dumps(result))
    found = read_row(Run(run.path))
    assert (found.robust, found.at) == (0.1, "16/255")
