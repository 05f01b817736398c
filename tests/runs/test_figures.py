"""Figures for a paper, drawn from runs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fixed_home import add_eps_curve, build
from runs.errors import UserError
from runs.figures import COLOURS, FORMATS, Format, curves_figure, table_figure, write_figures
from runs.presets import preset
from runs.results import own_table
from runs.snapshot import read_snapshot
from runs.store import Store

NEEDS = "not installed: pip install 'advtui[figures]'"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, str, str]:
    """A home with a study that has ended, and an attack run at several ε; their ids."""
    folder: Path = tmp_path_factory.mktemp("figures")
    ids = build(folder)
    eps = add_eps_curve(folder, ids)
    store = Store(folder)
    study = next(run for run in store.runs() if run.kind == "study" and own_table(run))
    return store, study.id, eps


@pytest.mark.parametrize("file_format", FORMATS)
def test_each_format_is_written(
    home: tuple[Store, str, str], tmp_path: Path, file_format: Format
) -> None:
    pytest.importorskip("matplotlib", reason=NEEDS)
    if file_format == "pgf" and not shutil.which("xelatex"):
        pytest.skip("no xelatex")
    store, study, _ = home
    written = write_figures(store, [study], tmp_path / "new" / "folder", file_format)
    trainings = [run for run in store.children(store.find(study)) if run.kind == "train"]
    names = {path.stem for path in written}
    assert names == {"table", *(f"curves-{run.id}" for run in trainings)}
    heads = {"pdf": b"%PDF", "svg": b"<?xml", "pgf": b"%% Creator: Matplotlib", "png": b"\x89PNG"}
    assert all(path.read_bytes().startswith(heads[file_format]) for path in written)
    if file_format == "pdf":  # whole TrueType fonts, and nothing that publishers refuse
        content = (tmp_path / "new" / "folder" / "table.pdf").read_bytes()
        assert b"/FontFile2" in content
        assert b"/Type3" not in content


def test_the_same_figures_are_the_same_files(home: tuple[Store, str, str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason=NEEDS)
    store, study, _ = home
    for file_format in ("pdf", "svg"):
        once, twice = (
            [path.read_bytes() for path in write_figures(store, [study], tmp_path / n, file_format)]
            for n in "ab"
        )
        assert once == twice


def test_bars_are_the_rates_of_the_table(home: tuple[Store, str, str]) -> None:
    pytest.importorskip("matplotlib", reason=NEEDS)
    store, study, _ = home
    table = own_table(store.find(study))
    assert table is not None
    (axes,) = table_figure(table).axes
    heights = [[bar.get_height() for bar in container] for container in axes.containers[1::2]]
    expected = [[row["accuracy"] for row in table["rows"]]] + [
        [row["attacks"][name][0]["robust_accuracy"] for row in table["rows"]]
        for name in table["rows"][0]["attacks"]
    ]
    assert heights == [[pytest.approx(100 * (rate or 0)) for rate in line] for line in expected]
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        row["model"] for row in table["rows"]
    ]


def test_curves_are_the_metrics_of_the_epochs(home: tuple[Store, str, str]) -> None:
    pytest.importorskip("matplotlib", reason=NEEDS)
    store, study, _ = home
    run = next(run for run in store.children(store.find(study)) if run.mode == "robust")
    (axes,) = curves_figure(run).axes
    by_label = {line.get_label(): line for line in axes.lines}
    drawn: Any = by_label["validation, PGD"].get_xydata()
    assert drawn.tolist() == [
        [event["epoch"] + 1, pytest.approx(100 * (event["values"]["val_robust_accuracy"] or 0))]
        for event in read_snapshot(run).epochs
    ]
    assert len({line.get_color() for line in axes.lines} & set(COLOURS)) == len(axes.lines)


def test_several_eps_give_a_curve(home: tuple[Store, str, str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason=NEEDS)
    store, _, eps = home
    assert {path.stem for path in write_figures(store, [eps], tmp_path, "svg")} == {"table", "eps"}


def test_pgf_without_latex_is_refused(
    home: tuple[Store, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(UserError, match="pgf needs xelatex or lualatex here"):
        write_figures(home[0], [home[1]], Path("unused"), "pgf")


def test_a_run_with_nothing_to_draw_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason=NEEDS)
    store = Store(tmp_path)
    empty = store.create(preset("demo"))
    with pytest.raises(UserError, match="no epoch has ended and nothing was attacked"):
        write_figures(store, [empty.id], tmp_path / "figures", "pdf")
    assert not (tmp_path / "figures").exists()


def test_without_matplotlib_the_line_that_installs_it_is_said(
    home: tuple[Store, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=re.escape("pip install 'advtui[figures]'")):
        write_figures(home[0], [home[1]], Path("unused"), "pdf")


def test_matplotlib_is_imported_where_a_figure_is_drawn() -> None:
    code = "import sys, runs.figures, tui.cli; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
