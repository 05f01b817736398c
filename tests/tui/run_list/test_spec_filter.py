"""The filter's terms on fields of a run's spec, on rows and on a run's file."""

from pathlib import Path

import pytest

from runs.spec import TrainSpec
from runs.store import Store
from tui.run_list.filter import matching, parse_filter
from tui.run_list.row import Row, read_row
from tui.run_list.spec_filter import spec_test

SPEC = {
    "recipe": "trades",
    "awp_gamma": 0.005,
    "ema": True,
    "patience": None,
    "attack": {"eps": 8 / 255, "steps": 10},
    "attacks": [{"name": "pgd-targeted"}],
}


@pytest.mark.parametrize(
    ("term", "holds"),
    [
        ("cfg.awp_gamma>0.001", True),
        ("cfg.awp_gamma>0.005", False),
        ("cfg.awp_gamma>=0.005", True),
        ("cfg.awp_gamma<5e-3", False),
        ("cfg.awp_gamma=0.005", True),
        ("cfg.awp_gamma=0.0051", False),
        ("cfg.attack.eps=8/255", True),
        ("cfg.attack.eps<8/255", False),
        ("cfg.attack.steps<=10", True),
        ("cfg.recipe=TRADES", True),
        ("cfg.recipe=trade", False),
        ("cfg.recipe:trade", True),
        ("cfg.recipe>1", False),
        ("cfg.ema=true", True),
        ("cfg.ema>0", False),
        ("cfg.patience=null", True),
        ("cfg.patience<5", False),
        ("cfg.attacks.0.name:targeted", True),
        ("cfg.attacks.1.name:targeted", False),
        ("cfg.nothing=0", False),
        ("-cfg.nothing=0", True),
    ],
)
def test_a_term_compares_a_field_of_the_spec(term: str, holds: bool) -> None:
    assert parse_filter(term)(Row("a", spec=SPEC)) is holds


@pytest.mark.parametrize("term", ["cfg.recipe=", "cfg.awp_gamma>", "cfg.awp_gamma>0.0x"])
def test_a_term_that_is_still_typed_hides_no_run(term: str) -> None:
    assert parse_filter(term)(Row("a", spec=SPEC))


@pytest.mark.parametrize("term", ["acc>50", "cfg.", "cfg.recipe", "recipe=trades"])
def test_other_terms_are_left_to_the_filter(term: str) -> None:
    assert spec_test(term) is None


@pytest.mark.parametrize("bound", ["1/0", "9" * 50, "nan", "1/2/3"])
def test_a_strange_bound_raises_nothing(bound: str) -> None:
    for sign in ("=", ">", ":"):
        parse_filter(f"cfg.awp_gamma{sign}{bound}")(Row("a", spec={"awp_gamma": 10**400}))


def test_a_matching_child_keeps_its_study() -> None:
    rows = [
        Row("study", kind="study"),
        Row("on", parent="study", spec={"awp_gamma": 0.005}),
        Row("off", parent="study", spec={"awp_gamma": 0.0}),
    ]
    assert [row.id for row in matching(rows, "cfg.awp_gamma>0.001")] == ["study", "on"]


def test_a_row_of_the_home_has_the_spec_of_its_file(tmp_path: Path) -> None:
    spec = TrainSpec(kind="train", mode="robust", recipe="trades", awp_gamma=0.005)
    row = read_row(Store(tmp_path).create(spec))
    assert parse_filter("cfg.awp_gamma>0.001 cfg.recipe=trades")(row)
    assert not parse_filter("cfg.awp_gamma>0.005")(row)
