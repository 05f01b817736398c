"""The comparison of runs: table, curves, specs, checkpoints, mean over seeds."""

import json
from pathlib import Path

import pytest
from textual.widgets import Input

from screen_driver import Home, Screen, covers, in_loop, opened
from tui.widgets.scroll_page import ScrollPage
from tui.widgets.table_page import TablePage


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
        assert "baseline aa02" in screen.text
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
async def test_a_study_stands_for_its_runs_of_the_other_kind(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        for others, head in (
            (["robust"], ["baseline", "aa02", "robust", "aa03"]),
            ([], ["baseline", "aa02", "robust", "aa03"]),
            (["queued"], ["baseline", "aa02", "robust", "aa03", "baseline", "bb03"]),
            (["attacking"], ["attack", "aa04", "attack", "bb02"]),
        ):
            screen.app.open_comparison([fixed.ids[what] for what in ("study", *others)])
            await screen.settle()
            await screen.press("compare.specs")
            page = screen.app.screen.query_one("#specs", ScrollPage).text.splitlines()
            assert page[0].split() == head
        assert "two runs are needed" not in screen.text


@in_loop
async def test_the_head_has_the_titles_of_the_runs(fixed: Home) -> None:
    words = [fixed.ids["study"], f"{fixed.ids['robust']}:last", "mixed at 4", "@99"]
    async with opened(fixed.path) as screen:
        screen.app.open_comparison(words)
        await screen.settle()
        head = screen.lines[0]
        assert head.startswith("Compare  study aa01  robust aa03:last  mixed at 4 bb01  @99")


@in_loop
async def test_the_foot_offers_the_poster_on_the_page_of_the_table_alone(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        screen.app.open_comparison([fixed.ids["study"], fixed.ids["robust"]])
        await screen.settle()
        assert "p poster's figures" in screen.foot
        assert "1 table" not in screen.foot  # the line of tabs says so
        for page in "23":
            await screen.press(page, "p")
            assert "poster" not in screen.foot
            assert "poster:" not in screen.text
        await screen.press("1")
        assert "p poster's figures" in screen.foot


@in_loop
async def test_the_rows_of_the_poster_stand_apart(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        screen.app.open_comparison([fixed.ids["study"]])
        await screen.settle()
        await screen.press("p")
        page = screen.app.screen.query_one("#table", TablePage)
        lines = page.text.splitlines()
        first = next(n for n, line in enumerate(lines) if line.startswith("poster: Baseline"))
        assert lines[first - 1] == ""
        styles = {s.style.color for s in page._strips[first] if s.text.strip() and s.style}
        assert len(styles) == 1
        assert styles != {s.style.color for s in page._strips[first - 3] if s.style}
        assert "a study on CIFAR-100" in screen.words


@in_loop
async def test_a_run_without_attacks_stands_beside_the_others_with_a_dash(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        screen.app.open_comparison([fixed.ids["study"], fixed.ids["running"]])
        await screen.settle()
        assert "Baseline" in screen.text
        (line,) = [line for line in screen.lines if line.startswith("mixed at 4: Best robust ")]
        assert line.split()[-1] == "–"
        assert "not attacked yet: mixed at 4: Best clean, mixed at 4: Best robust" in screen.text
