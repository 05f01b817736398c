"""A sweep here: carried out, stopped and resumed, enlarged, shown in every format."""

import json
from pathlib import Path

import pytest

from advtui_process import TINY, Command, result_of, wait_for
from runs.store import Store
from slurm_runs import only_run

SWEEP = ("sweep", *TINY, "--epochs", "1", "--grid", "recipe=pgd-at,fast")


@pytest.fixture
def advtui(tmp_path: Path) -> Command:
    return Command(tmp_path / "home")


def test_a_sweep_ends_with_its_table(advtui: Command) -> None:
    told = advtui(*SWEEP)
    assert told.returncode == 0, told.stderr
    sweep = only_run(advtui)
    assert "2 of 2 points completed" in told.stdout
    assert [row["seeds"] for row in result_of(sweep)["sweep"]["rows"]] == [[None], [None]]
    names = [child.name for child in Store(advtui.home).children(sweep)]
    assert names == ["recipe=pgd-at", "recipe=fast"]
    listed = json.loads(advtui("runs", "--json").stdout)
    assert [row["parent"] for row in listed] == [None, sweep.id, sweep.id]
    for form in ("markdown", "latex", "csv", "json"):
        assert "pgd-at" in advtui("compare", sweep.id, "--format", form).stdout
    again = advtui(*SWEEP)  # nothing is trained twice
    assert again.returncode == 0, again.stderr
    assert len(Store(advtui.home).runs()) == 4


@pytest.mark.slow
def test_a_stopped_sweep_goes_on_and_takes_more_points(advtui: Command) -> None:
    sweep_id = advtui(*SWEEP, "--epochs", "6", "--detach").stdout.strip()
    store = Store(advtui.home)
    sweep = store.find(sweep_id)
    wait_for(lambda: any(child.was_started for child in store.children(sweep)))
    assert advtui("stop", sweep_id).returncode == 0
    wait_for(lambda: sweep.state() == "interrupted")
    assert all(child.state() != "running" for child in store.children(sweep))
    resumed = advtui.start("resume", sweep_id)
    wait_for(lambda: sweep.state() == "running")
    added = advtui("sweep", "--add", sweep_id, "--grid", "lr=0.05", "--seeds", "1")
    assert added.returncode == 0, added.stderr
    out, told = resumed.communicate(timeout=200)
    assert resumed.returncode == 0, told
    assert "3 of 3 points completed" in out


@pytest.mark.slow
def test_a_sweep_of_studies_has_test_figures(advtui: Command) -> None:
    told = advtui("sweep", "--studies", *TINY, "--epochs", "1", "--limit", "20", "--seeds", "0,1")
    assert told.returncode == 0, told.stderr
    (row,) = result_of(only_run(advtui))["sweep"]["rows"]
    assert row["test_robust"]["n_seeds"] == 2
    assert "robust accuracy" in told.stdout


def test_a_point_that_fails_does_not_end_the_others(advtui: Command) -> None:
    told = advtui("sweep", *TINY, "--grid", "lr=100,0.05", "--set", "clip_norm=null")
    assert told.returncode == 1
    assert "1 of 2 points did not complete; the first: point" in told.stderr
    assert "1 of 2 points completed" in told.stdout
    states = [child.state() for child in Store(advtui.home).children(only_run(advtui))]
    assert sorted(states) == ["completed", "failed"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "name at least one --grid FIELD=A,B, or --seeds"),
        (("--grid", "recipe"), "write FIELD=A,B"),
        (("--grid", "lr=1", "--grid", "lr=2"), "it is given twice"),
        (("--grid", "recipe=standard,fast"), "recipe=standard: recipe 'standard' does not go"),
        (("--grid", "lr=0.1", "--limit", "5"), "--limit is of the attacks: add --studies"),
        (("--grid", "lr=0.1", "--partition", "x"), "--partition is for jobs of Slurm"),
        (("--grid", "lr=0.1", "--nodes", "2"), "--nodes is for jobs of Slurm"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_made(
    advtui: Command, words: tuple[str, ...], sentence: str
) -> None:
    told = advtui("sweep", *TINY, *words)
    assert told.returncode == 2
    assert sentence in told.stderr
    assert not Store(advtui.home).runs()
