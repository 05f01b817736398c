"""Runs, tables and curves as pandas frames."""

import subprocess
import sys
from pathlib import Path

import pytest

from fixed_home import build
from runs.errors import UserError
from runs.frames import curves_frame, runs_frame, table_frame
from runs.results import compare
from runs.snapshot import read_snapshot
from runs.store import Store

NEEDS_PANDAS = "not installed: pip install 'advtui[pandas]'"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, dict[str, str]]:
    folder: Path = tmp_path_factory.mktemp("frames")
    return Store(folder), build(folder)


def test_each_run_is_a_row_with_the_fields_of_its_spec(
    home: tuple[Store, dict[str, str]],
) -> None:
    pytest.importorskip("pandas", reason=NEEDS_PANDAS)
    store, _ = home
    frame = runs_frame(store)
    assert list(frame.index) == [run.id for run in store.runs()]
    for run in store.runs():
        line = frame.loc[run.id]
        assert (line["kind"], line["state"]) == (run.kind, str(run.state()))
        if run.kind == "train":
            assert line["spec.epochs"] == run.raw_spec["epochs"]
            assert line["spec.attack.eps"] == run.raw_spec["attack"]["eps"]
        kept = (run.raw_result or {}).get("checkpoints", {})
        if "best_robust" in kept:
            assert line["val_robust_accuracy"] == kept["best_robust"]["value"]
    assert frame["val_robust_accuracy"].notna().any()
    assert str(frame["created"].dtype).endswith("UTC]")


def test_each_cell_of_a_table_is_a_row(home: tuple[Store, dict[str, str]]) -> None:
    pytest.importorskip("pandas", reason=NEEDS_PANDAS)
    store, _ = home
    study = next(run for run in store.runs() if run.kind == "study" and run.state() == "completed")
    frame, table = table_frame(store, [study.id]), compare(store, [study.id])
    cells = [
        (row["model"], name, cell["eps"], cell["robust_accuracy"], row["accuracy"])
        for row in table["rows"]
        for name, of_attack in row["attacks"].items()
        for cell in of_attack
    ]
    columns = ["model", "attack", "eps", "robust", "accuracy"]
    assert list(frame[columns].itertuples(index=False, name=None)) == cells
    assert (frame["robust_low"] <= frame["robust"]).all()
    assert (frame["robust"] <= frame["robust_high"]).all()
    assert frame.attrs["threat_model"]["attacks"]


def test_the_curves_of_a_training(home: tuple[Store, dict[str, str]]) -> None:
    pytest.importorskip("pandas", reason=NEEDS_PANDAS)
    store, _ = home
    run = next(run for run in store.runs() if run.kind == "train" and run.mode == "robust")
    frame = curves_frame(run)
    events = read_snapshot(run).epochs
    assert list(frame.index) == [event["epoch"] for event in events]
    assert list(frame["val_accuracy"]) == [event["values"]["val_accuracy"] for event in events]


def test_an_empty_home_is_an_empty_frame(tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason=NEEDS_PANDAS)
    assert len(runs_frame(Store(tmp_path))) == 0


def test_without_pandas_the_line_that_installs_it_is_said(
    home: tuple[Store, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match=r"pip install 'advtui\[pandas\]'"):
        runs_frame(home[0])


def test_the_library_needs_neither_torch_nor_a_terminal() -> None:
    code = (
        "import sys, runs.frames, runs.store, runs.results\n"
        "print([name for name in ('torch', 'textual', 'rich', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
