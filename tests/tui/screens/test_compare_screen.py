"""The comparison of runs: table, curves, specs, checkpoints, mean over seeds."""

import json
from pathlib import Path

import pytest
from textual.widgets import Input

from screen_driver import Home, Screen, covers, in_loop, opened


@covers(
    *("compare.table", "compare.curves", "compare.specs", "compare.poster"),
    *("compare.next-page", "compare.previous-page"),
)
async def test_compare(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        words = [fixed.ids["study"], fixed.ids["baseline"]]
        screen.app.open_comparison(words)
        await screen.settle()
        assert screen.text.count("Best robust") == 1
        await screen.press("compare.poster")
        assert "poster: Best robust" in screen.text
        assert "54.36" not in screen.text
        assert "without ε, steps or denominators" in screen.text
        await screen.press("compare.poster", "compare.curves")
        assert "robust aa03" in screen.text
        await screen.press("compare.specs")
        assert "kind" in screen.text
        await screen.press("compare.next-page")
        assert "more notes" in screen.text
        await screen.press("compare.previous-page", "compare.table")
        assert "more notes" in screen.text
    return screen


@covers("compare.words")
async def test_compare_checkpoints_and_export_them(
    fixed: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Screen:
    monkeypatch.chdir(tmp_path)
    async with opened(fixed.path) as screen:
        screen.app.open_comparison([fixed.ids["study"]])
        await screen.settle()
        word = f"{fixed.ids['robust']}:best_robust"
        await screen.press("compare.words")
        screen.app.screen.query_one(Input).value = word
        await screen.press("enter")
        assert "Best robust" in screen.text
        assert "Best clean" not in screen.text
        await screen.press("x", "m")
        assert "Best robust" in (tmp_path / "advtui-aa03.md").read_text()
        await screen.press("compare.words")
        screen.app.screen.query_one(Input).value = "@99"
        await screen.press("enter")
        assert "no run @99" in screen.text
    return screen


@in_loop
async def test_runs_that_differ_in_their_seed_alone_are_shown_as_a_mean(
    fixed: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [fixed.ids["attack"], second_seed(fixed)]
    async with opened(fixed.path) as screen:
        screen.app.open_comparison(words)
        await screen.settle()
        assert "61.80 ± 0.14" in screen.text  # 61.9 and 61.7
        assert "over 2 seeds: 0, 5" in screen.text
        assert "differ in seed" not in screen.text
        await screen.press("x", "m")
        (written,) = tmp_path.glob("advtui-*.md")
        assert "61.80 ± 0.14" in written.read_text()
        await screen.press("compare.poster")
        assert "poster: Best robust" in screen.text
        assert "45.36" in screen.text
        assert "without ε, steps or denominators" in screen.text
        await screen.press("compare.poster")
        assert "poster:" not in screen.text
        screen.app.open_comparison([fixed.ids["study"]])
        await screen.settle()
        assert "±" not in screen.text  # a single seed has no mean


def second_seed(fixed: Home) -> str:
    """The study's trainings and attack once more, as of the seed 5; the attack's id."""
    ids = {}
    result = json.dumps(fixed.run("attack").result)
    for what in ("baseline", "robust", "attack"):
        run = fixed.run(what)
        ids[what] = f"{run.id[:-4]}ff05"
        copy = run.path.with_name(ids[what])
        copy.mkdir()
        spec = {**run.raw_spec, "seed": 5, "run": {**run.raw_spec["run"], "id": ids[what]}}
        (copy / "spec.json").write_text(json.dumps(spec))
        result = result.replace(run.id, ids[what])
    other = json.loads(result)
    other["threat_model"]["seed"] = 5
    other["rows"][0]["accuracy"] = 0.617
    (fixed.path / "runs" / ids["attack"] / "result.json").write_text(json.dumps(other))
    return ids["attack"]


@in_loop
async def test_specs_show_only_what_differs(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        screen.app.open_comparison([fixed.ids["robust"], fixed.ids["failed"]])
        await screen.settle()
        await screen.press("3")
        lines = [line.split() for line in screen.lines[4:-1] if line]
        assert lines == [["batch_size", "256", "4096"]]


@in_loop
async def test_a_run_without_attacks_stands_beside_the_others_with_a_dash(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        screen.app.open_comparison([fixed.ids["study"], fixed.ids["running"]])
        await screen.settle()
        assert "Baseline" in screen.text
        (line,) = [line for line in screen.lines if line.startswith("mixed at 4: Best robust ")]
        assert line.split()[-1] == "–"
        assert "not attacked yet: mixed at 4: Best clean, mixed at 4: Best robust" in screen.text
