"""Every screen, and every key that its help names."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from fixed_home import build
from runs.spec import StudySpec
from runs.store import Run, Store
from screens import COVERED, Screen, covers, in_loop, opened
from tui.app import AdvtuiApp, keys_of
from tui.screens.actions import RunActions
from tui.screens.base import HouseScreen
from tui.screens.compare import CompareScreen
from tui.screens.curves import CurvesPane
from tui.screens.dialogs import Choose, Dialog, Help, Write
from tui.screens.examples import ExamplesPane
from tui.screens.new import NewScreen
from tui.screens.run import PagePaper, RunScreen
from tui.screens.runs import RunsScreen
from tui.settings import Settings
from tui.widgets.form import Choice
from tui.widgets.runlist import RunList


class Home:
    """A fixed home whose present is the real one, and its runs by what they are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ids = build(path, now=time.time())

    def run(self, what: str) -> Run:
        return Run(self.path / "runs" / self.ids[what])


@pytest.fixture
def fixed(home: Path) -> Home:
    return Home(home)


async def at(screen: Screen, home: Home, what: str) -> None:
    """Move the cursor of the list to a run."""
    await screen.press("g")
    runlist = screen.app.screen.query_one(RunList)
    for _ in range(20):
        if runlist.current and runlist.current.id == home.ids[what]:
            return
        await screen.press("j")
    raise AssertionError(f"{what} is not in the list")


def current(screen: Screen) -> str:
    row = screen.app.screen.query_one(RunList).current
    return row.id if row else ""


# The list


@covers("list.down", "list.up", "list.first", "list.last", "list.page-down", "list.page-up")
async def test_moving_in_the_list(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        first = current(screen)
        assert first == fixed.ids["queued"]
        await screen.press("list.down")
        assert current(screen) == fixed.ids["attacking"]
        await screen.press("list.up")
        assert current(screen) == first
        await screen.press("list.last")
        assert current(screen) == fixed.ids["lost"]
        await screen.press("list.first")
        assert current(screen) == first
        await screen.press("list.page-down")
        assert current(screen) == fixed.ids["lost"]
        await screen.press("list.page-up")
        assert current(screen) == first
    return screen


@covers("list.fold", "list.unfold")
async def test_a_study_folds_its_children_under_it(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "study")
        assert fixed.ids["robust"][-4:] not in screen.text
        await screen.press("list.unfold")
        rows = screen.text.splitlines()
        place = next(n for n, line in enumerate(rows) if "▾ ✓ study" in line)
        assert [rows[place + n].split()[1] for n in (1, 2, 3)] == ["baseline", "robust", "attack"]
        await screen.press("list.down", "list.fold")  # from a child: its study folds
        assert current(screen) == fixed.ids["study"]
        assert "▸ ✓ study" in screen.text
    return screen


@in_loop
async def test_every_state_has_its_glyph_and_its_figures(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        text = screen.text
        for glyph in "◌●✓✗‖?":
            assert f" {glyph} " in text
        lines = text.splitlines()
        running = next(line for line in lines if "mixed at 4" in line)
        assert "7/20" in running
        assert "v " in running  # its figures are of the validation split
        study = next(line for line in lines if "✓ study" in line)
        assert "34.9 " in study  # the table's best robust row
        assert "19.9 " in study


@covers("runs.filter", "runs.clear")
async def test_filter_as_one_types(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await screen.press("runs.filter", *"mode:robust")
        assert current(screen) != fixed.ids["queued"]
        assert fixed.ids["queued"] not in [row.id for row, _ in _shown(screen)]
        before = [row.id for row, _ in _shown(screen)]
        await screen.press(*"zzz")
        assert "no run matches" in screen.text
        assert [row.id for row, _ in _shown(screen)] == before
        await screen.press("enter")
        assert not screen.app.screen.query_one("#filter", Input).display
        await screen.press("runs.clear")
        assert len(_shown(screen)) == 7
    return screen


def _shown(screen: Screen) -> Any:
    return screen.app.screen.query_one(RunList)._rows


@covers("runs.order", "runs.turn-order")
async def test_order_by_any_column(fixed: Home) -> Screen:
    async with opened(fixed.path, (200, 60)) as screen:
        for column in ("name", "state", "kind", "data", "progress", "clean", "robust", "took"):
            await screen.press("runs.order")
            assert f"by {column} ↓" in screen.text.splitlines()[0]
        before = [row.id for row, _ in _shown(screen)]
        await screen.press("runs.turn-order")
        assert "↑" in screen.text
        assert [row.id for row, _ in _shown(screen)] != before
        await screen.press("runs.turn-order", "runs.order")
        assert "age ↓" in screen.text
    return screen


@covers("runs.mark", "runs.unmark", "runs.compare")
async def test_mark_and_compare(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "study")
        await screen.press("runs.mark")
        assert screen.app.marked == {fixed.ids["study"]}
        assert "1 marked" in screen.text
        await screen.press("runs.unmark")
        assert not screen.app.marked
        await at(screen, fixed, "study")
        await screen.press("runs.mark", "runs.compare")
        assert screen.name == "CompareScreen"
        assert "Best robust" in screen.text
    return screen


@covers("runs.open", "screen.back")
async def test_open_and_back(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "running")
        await screen.press("runs.open")
        assert screen.name == "RunScreen"
        await screen.press("screen.back")
        assert screen.name == "RunsScreen"
        assert current(screen) == fixed.ids["running"]
    return screen


@covers("runs.new", "new.back")
async def test_new_opens_the_form(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await screen.press("runs.new")
        assert screen.name == "NewScreen"
        await screen.press("new.back")
        assert screen.name == "RunsScreen"
    return screen


# What can be done with a run


@covers("run.tag", "run.note", "dialog.cancel")
async def test_tags_and_note(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "running")
        await screen.press("run.tag")
        assert screen.name == "Write"
        await screen.press("end", "space", *"#night", "enter")
        assert fixed.run("running").meta["tags"] == ["mixed", "night"]
        await screen.press("run.note", *"look", "enter")
        assert fixed.run("running").meta["note"] == "look"
        await screen.settle()
        assert "#night" in screen.text
        await screen.press("run.note", *"never", "dialog.cancel")
        assert fixed.run("running").meta["note"] == "look"
    return screen


@covers("run.stop")
async def test_stop_asks_and_leaves_a_request(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "running")
        await screen.press("run.stop")
        assert screen.name == "Choose"
        await screen.press("escape")
        assert not (fixed.run("running").path / "stop").exists()
        await screen.press("run.stop", "y")
        assert (fixed.run("running").path / "stop").exists()
        await at(screen, fixed, "failed")
        await screen.press("run.stop")
        assert "nothing to stop" in screen.notices
    return screen


@covers("run.resume")
async def test_resume_starts_a_worker(fixed: Home, monkeypatch: pytest.MonkeyPatch) -> Screen:
    started: list[str] = []

    class Worker:
        def poll(self) -> int:
            return 0

    def start(run: Run) -> Worker:
        started.append(run.id)
        return Worker()

    monkeypatch.setattr("tui.screens.actions.start_worker", start)
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "study")
        await screen.press("run.resume")
        assert "nothing to resume" in screen.notices
        await at(screen, fixed, "interrupted")
        await screen.press("run.resume")
        assert started == [fixed.ids["interrupted"]]
    return screen


@covers("run.delete")
async def test_delete_asks_and_refuses_what_runs(fixed: Home) -> Screen:
    kept = fixed.run("failed").path / "checkpoints"
    kept.mkdir()
    (kept / "last.ckpt").write_bytes(bytes(2_000_000))
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "running")
        await screen.press("run.delete")
        assert screen.name == "RunsScreen"
        assert "stop it first" in screen.notices
        await at(screen, fixed, "failed")
        await screen.press("run.delete")
        assert "2.0 MB" in screen.text
        await screen.press("k")
        assert not kept.exists()
        assert fixed.run("failed").path.exists()
        await screen.press("run.delete", "escape")
        assert fixed.run("failed").path.exists()
        await screen.press("run.delete", "y")
        assert not fixed.run("failed").path.exists()
        await screen.settle()
        assert fixed.ids["failed"] not in screen.app.feed.rows
        await at(screen, fixed, "study")
        await screen.press("run.delete", "y")
        assert not fixed.run("robust").path.exists()
    return screen


@covers("run.export")
async def test_export_to_a_file(
    fixed: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Screen:
    monkeypatch.chdir(tmp_path)
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "study")
        for key, suffix, holds in (
            ("m", "md", "| Best robust |"),
            ("l", "tex", r"\toprule"),
            ("v", "csv", '"Best robust"'),
            ("j", "json", '"threat_model"'),
        ):
            await screen.press("run.export", key)
            assert holds in (tmp_path / f"advtui-aa01.{suffix}").read_text()
            assert screen.app.clipboard == (tmp_path / f"advtui-aa01.{suffix}").read_text()
        await at(screen, fixed, "failed")
        await screen.press("run.export", "m")
        assert "no evaluation yet" in screen.notices
    return screen


# A run's own screen


async def into(screen: Screen, home: Home, what: str) -> RunScreen:
    screen.app.open_run(home.ids[what])
    await screen.settle()
    shown = screen.app.screen
    assert isinstance(shown, RunScreen)
    return shown


PAGES = ("curves", "attacks", "table", "examples", "system", "log", "spec")


@covers(*(f"run.page-{name}" for name in PAGES))
async def test_pages_of_a_study(fixed: Home) -> Screen:
    holds = {
        "curves": "baseline",
        "attacks": "img/s",
        "table": "Wilson",
        "examples": "test image 12",
        "system": "H100",
        "log": "7 spec",
        "spec": "baseline.epochs",
    }
    async with opened(fixed.path) as screen:
        await into(screen, fixed, "study")
        for name in PAGES:
            await screen.press(f"run.page-{name}")
            assert holds[name] in screen.text, name
    return screen


@covers("run.next-page", "run.previous-page")
async def test_turning_pages(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        run = await into(screen, fixed, "running")
        for name in (*PAGES[1:], PAGES[0]):
            await screen.press("run.next-page")
            assert run.query_one(f"#{name}").display
        await screen.press("run.previous-page")
        assert run.query_one("#spec").display
    return screen


@in_loop
async def test_where_a_run_opens(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        for what, page in (
            ("running", "curves"),
            ("attacking", "attacks"),
            ("study", "table"),
            ("failed", "log"),
            ("lost", "log"),
        ):
            run = await into(screen, fixed, what)
            assert run.query_one(f"#{page}").display, what


@in_loop
async def test_a_failure_shows_its_error_and_its_log(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await into(screen, fixed, "failed")
        assert "✗ failed" in screen.text
        assert "CUDA out of memory" in screen.text
        assert "a batch of 4096 images goes in 2 parts" in screen.text
        assert "allocating" in screen.text


@in_loop
async def test_attack_bars_of_those_at_work_and_those_that_wait(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await into(screen, fixed, "attacking")
        lines = screen.text.splitlines()
        going = next(line for line in lines if "1,210/3,560" in line)
        assert "≥ 0.2 %" in going
        assert "1,840 img/s" in going
        assert going.rstrip().endswith("1 s")
        assert sum("waiting" in line for line in lines) == 3
        over = next(line for line in lines if "Baseline" in line and "pgd-targeted" in line)
        assert "92.2 %" in over
        assert "≥" not in over


@in_loop
async def test_what_comes_in_while_one_watches(fixed: Home) -> None:
    from runs.events import EventWriter

    async with opened(fixed.path) as screen:
        await into(screen, fixed, "attacking")
        writer = EventWriter(fixed.run("attacking").events_path)
        fields = {"model": "Best clean", "attack": "pgd-targeted", "total": 3560, "rate": 900.0}
        writer.write("attack", done=2000, successes=20, **fields)
        writer.close()
        screen.app._tick()
        await screen.settle()
        assert "2,000/3,560" in screen.text


@covers("run.copy")
async def test_copy_the_command(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await into(screen, fixed, "running")
        await screen.press("run.copy")
        path = fixed.run("running").path / "spec.json"
        assert screen.app.clipboard == f"advtui train --config {path}"
        assert (fixed.path / "copied.txt").read_text() == screen.app.clipboard
    return screen


@covers("run.overlay")
async def test_overlay_marked_runs(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await into(screen, fixed, "running")
        await screen.press("run.overlay")
        assert "mark runs" in screen.notices
        screen.app.marked = {fixed.ids["study"]}
        await screen.press("run.overlay")
        assert "baseline aa02" in screen.text
        assert "robust aa03" in screen.text
        await screen.press("run.overlay")
        assert "aa03" not in screen.text
    return screen


@covers("run.attack")
async def test_attack_from_the_run(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await into(screen, fixed, "robust")
        await screen.press("run.attack")
        form = screen.app.screen
        assert isinstance(form, NewScreen)
        asked = form.request()
        assert asked.what == "attack"
        assert list(asked.models) == [fixed.ids["robust"]]
    return screen


@covers("page.down", "page.up", "page.page-down", "page.page-up", "page.top", "page.bottom")
async def test_a_long_page_scrolls(fixed: Home) -> Screen:
    async with opened(fixed.path, (80, 24)) as screen:
        run = await into(screen, fixed, "study")
        await screen.press("7")
        page = run.query_one("#spec", PagePaper)
        for key, expected in (
            ("page.down", 1),
            ("page.up", 0),
            ("page.page-down", 10),
            ("page.page-up", 0),
        ):
            await screen.press(key)
            assert page.scroll_offset.y == expected, key
        await screen.press("page.bottom")
        assert page.scroll_offset.y == page.max_scroll_y > 0
        await screen.press("page.top")
        assert page.scroll_offset.y == 0
    return screen


# Curves


@covers("curves.left", "curves.right", "curves.clear")
async def test_the_crosshair_reads_values(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        run = await into(screen, fixed, "running")
        pane = run.query_one(CurvesPane)
        await screen.press("curves.right")
        assert "epoch 1" in screen.text
        await screen.press("curves.right")
        assert "epoch 2" in screen.text
        epochs = run.feed.trainings[0].snapshot.epochs
        second = next(event for event in epochs if event["epoch"] == 1)
        assert f"train {second['values']['train_loss']:.4g}" in screen.text
        await screen.press("curves.left")
        assert "epoch 1" in screen.text
        await screen.press("curves.clear")
        assert pane._cursor is None
        assert screen.name == "RunScreen"
        await screen.press("escape")
        assert screen.name == "RunsScreen"
    return screen


@covers("curves.zoom-in", "curves.zoom-out", "curves.pan-left", "curves.pan-right", "curves.whole")
async def test_zoom_and_pan(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        run = await into(screen, fixed, "robust")
        await screen.press("1")
        pane = run.query_one(CurvesPane)
        await screen.press("curves.zoom-in")
        assert pane._window == pytest.approx((8.25, 22.75))
        await screen.press("curves.pan-left")
        assert pane._window == pytest.approx((4.625, 19.125))
        await screen.press("curves.pan-right")
        assert pane._window == pytest.approx((8.25, 22.75))
        await screen.press("curves.zoom-out")
        assert pane._window is None
        await screen.press("curves.zoom-in", "curves.whole")
        assert pane._window is None
    return screen


@covers("curves.log", "curves.smoother", "curves.rougher", "curves.axis", "curves.chart")
async def test_log_smoothing_axis_and_chart(fixed: Home) -> Screen:
    async with opened(fixed.path, (80, 24)) as screen:
        await into(screen, fixed, "running")
        assert "loss" in screen.text
        await screen.press("curves.log")
        assert "loss log" in screen.text
        await screen.press("curves.smoother")
        assert "smoothed 0.5" in screen.text
        await screen.press("curves.rougher")
        assert "smoothed" not in screen.text
        assert "epoch " in screen.text.splitlines()[-2]
        await screen.press("curves.axis")
        assert "step " in screen.text.splitlines()[-2]
        await screen.press("curves.chart")
        assert "accuracy %" in screen.text
        await screen.press("curves.chart")
        assert "learning rate" in screen.text
    return screen


@in_loop
async def test_wide_screens_show_all_charts(fixed: Home) -> None:
    for size in ((120, 40), (200, 60)):
        async with opened(fixed.path, size) as screen:
            await into(screen, fixed, "running")
            for title in ("loss", "accuracy %", "learning rate"):
                assert title in screen.text
            # Beside them, where there is room, the other pages.
            assert ("no attack in this run" in screen.text) == (size == (200, 60))


# Pictures


@covers(
    *("examples.next", "examples.previous", "examples.model", "examples.model-back"),
    "examples.view",
)
async def test_pictures(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        run = await into(screen, fixed, "attack")
        await screen.press("4")
        assert run.query_one(ExamplesPane).has_focus
        assert "test image 12, a apple as seen by Baseline" in screen.text
        assert "pgd-targeted → bear" in screen.text
        assert "→ bear 72 % fooled" in screen.text
        assert screen.text.count("▀") >= 3 * 512
        await screen.press("examples.next")
        assert "test image 40, a aquarium fish" in screen.text
        await screen.press("examples.previous")
        assert "test image 12" in screen.text
        await screen.press("examples.model")
        assert "as seen by Best robust" in screen.text
        assert "→ apple 72 % holds" in screen.text
        await screen.press("examples.model-back")
        assert "as seen by Baseline" in screen.text
        await screen.press("examples.view")
        assert "→ bear 72 %" not in screen.text
    return screen


@in_loop
async def test_targeted_and_untargeted_stand_side_by_side_at_every_size(fixed: Home) -> None:
    for size in ((80, 24), (120, 40), (200, 60)):
        async with opened(fixed.path, size) as screen:
            await into(screen, fixed, "attack")
            await screen.press("4")
            head = next(line for line in screen.text.splitlines() if "pgd-targeted → bear" in line)
            assert "pgd-untargeted" in head


# Comparison


@covers(
    *("compare.table", "compare.curves", "compare.specs", "compare.poster"),
    *("compare.next-page", "compare.previous-page"),
)
async def test_compare(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        words = [fixed.ids["study"], fixed.ids["baseline"]]
        screen.app.push_screen(CompareScreen(words))
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
        assert "Wilson" in screen.text
        await screen.press("compare.previous-page", "compare.table")
        assert "Wilson" in screen.text
    return screen


@covers("compare.words")
async def test_compare_checkpoints_and_export_them(
    fixed: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Screen:
    monkeypatch.chdir(tmp_path)
    async with opened(fixed.path) as screen:
        screen.app.push_screen(CompareScreen([fixed.ids["study"]]))
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
        screen.app.push_screen(CompareScreen(words))
        await screen.settle()
        assert "61.80 ± 0.14" in screen.text  # 61.9 and 61.7
        assert "over 2 seeds: 0, 5" in screen.text
        assert "differ in seed" not in screen.text
        await screen.press("x", "m")
        (written,) = tmp_path.glob("advtui-*.md")
        assert "61.80 ± 0.14" in written.read_text()
        screen.app.push_screen(CompareScreen([fixed.ids["study"]]))
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
        screen.app.push_screen(CompareScreen([fixed.ids["robust"], fixed.ids["failed"]]))
        await screen.settle()
        await screen.press("3")
        lines = [line.split() for line in screen.text.splitlines()[3:-1] if line.strip()]
        assert lines == [["batch_size", "256", "4096"]]


# The form


@covers("form.next-choice", "form.choice-before", "new.next-field", "new.field-before")
async def test_the_form_shows_the_command(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await screen.press("n")
        form = screen.app.screen
        assert isinstance(form, NewScreen)
        await screen.press("form.next-choice")
        assert form.request().what == "train"
        await screen.press("form.choice-before")
        assert form.request().what == "study"
        await screen.press("new.next-field")
        assert form._field("preset").entry.has_focus
        await screen.press("new.field-before")
        assert form._field("what").entry.has_focus
        form._field("name").entry.value = "two words"
        form._field("eps").entry.value = "4/255"
        await screen.settle()
        assert "advtui study --preset demo --name 'two words' --eps 4/255" in screen.text
    return screen


@in_loop
async def test_the_form_takes_every_field_of_a_spec(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await screen.press("n")
        form = screen.app.screen
        assert isinstance(form, NewScreen)
        for key, value in (("preset", "strong"), ("awp", "yes"), ("activation", "relu")):
            choice = form._field(key).entry
            assert isinstance(choice, Choice)
            choice.set_options([value])
        form._field("sets").entry.value = "patience=5 augmentation=cutout 'robust.attack.loss=dlr"
        await screen.settle()
        form._field("sets").entry.value += "'"
        await screen.settle()
        told = (
            "advtui study --preset strong --awp --activation relu --set patience=5 --set "
            "augmentation=cutout --set robust.attack.loss=dlr"
        )
        assert told in " ".join(line.strip() for line in screen.text.splitlines())
        asked = form._spec_of(form.request())
        assert isinstance(asked, StudySpec)
        assert (asked.robust.patience, asked.robust.awp_gamma) == (5, 0.01)  # the preset's own γ
        assert (asked.baseline.patience, asked.baseline.awp_gamma) == (None, 0)
        assert asked.baseline.augmentation == asked.robust.augmentation == "cutout"
        assert (asked.robust.attack.loss, asked.robust.activation) == ("dlr", "relu")
        form._field("sets").entry.value = "patients=5"
        await screen.settle()
        assert "unknown field 'patients'; did you mean 'patience'?" in screen.text


@in_loop
async def test_the_form_speaks_the_sentences_of_the_command_line(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await screen.press("n")
        form = screen.app.screen
        assert isinstance(form, NewScreen)
        for key, value, sentence in (
            ("eps", "8", "8/255 was probably meant"),
            ("eps", "abc", "is not a number"),
            ("epochs", "-3", "epochs"),
            ("device", "gpu", "auto, cpu, cuda, cuda:N"),
        ):
            form._field(key).entry.value = value
            await screen.settle()
            assert sentence in " ".join(screen.text.split()), (key, value)
            await screen.press("ctrl+s")
            assert screen.name == "NewScreen"
            form._field(key).entry.value = ""


@pytest.mark.parametrize(
    ("filled", "command"),
    [
        ({"what": "study", "preset": "cpu"}, "advtui study --preset cpu"),
        (
            {"what": "train", "preset": "demo", "mode": "baseline", "epochs": "3", "tags": "a b"},
            "advtui train --preset demo --mode baseline --epochs 3 --tag a --tag b",
        ),
        (
            {"what": "train", "preset": "demo", "recipe": "mixed", "norm": "l2", "seed": "7"},
            "advtui train --preset demo --mode robust --recipe mixed --norm l2 --seed 7",
        ),
    ],
)
def test_the_command_asks_for_the_same_spec(
    fixed: Home, filled: dict[str, str], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that the form shows, given to the real command line, makes the form's spec."""
    import asyncio
    import shlex

    from tui import cli, seeds, session

    asked: list[Any] = []
    specs: list[Any] = []

    async def fill() -> None:
        async with opened(fixed.path) as screen:
            await screen.press("n")
            form = screen.app.screen
            assert isinstance(form, NewScreen)
            for key, value in filled.items():
                entry = form._field(key).entry
                if isinstance(entry, Choice):
                    entry._value = value
                    form._changed()
                else:
                    entry.value = value
            await screen.settle()
            specs.append(form._spec)
            assert form.request().command() == command

    asyncio.run(fill())
    for module in (session, seeds):  # an attack goes through the one, the others through both
        monkeypatch.setattr(module, "launch", lambda spec, *_, **__: asked.append(spec))
    cli.app(shlex.split(command)[1:], standalone_mode=False)
    assert asked == specs


@covers("new.start", "new.copy")
async def test_start_lands_on_the_run(fixed: Home, monkeypatch: pytest.MonkeyPatch) -> Screen:
    begun: list[tuple[Any, Any]] = []

    class Worker:
        def poll(self) -> int:
            return 0

    def begin(store: Store, spec: Any, tags: Any) -> tuple[Run, Worker]:
        begun.append((spec, tags))
        return store.create(spec), Worker()

    monkeypatch.setattr("tui.session.begin", begin)
    async with opened(fixed.path) as screen:
        await screen.press("n", "new.copy")
        assert screen.app.clipboard == "advtui study --preset demo"
        await screen.press("new.start")
        await screen.pilot.pause(0.2)
        await screen.settle()
        assert screen.name == "RunScreen"
        assert begun[0][0].kind == "study"
        assert len(begun) == 1
    return screen


@in_loop
async def test_an_attack_on_marked_runs(fixed: Home) -> None:
    kept = fixed.run("robust").path / "checkpoints"
    kept.mkdir()
    for name in ("best_clean", "best_robust", "last"):
        (kept / f"{name}.ckpt").touch()
    async with opened(fixed.path) as screen:
        screen.app.marked = {fixed.ids["robust"]}
        await screen.press("n", "right", "right")
        form = screen.app.screen
        assert isinstance(form, NewScreen)
        assert f"advtui attack {fixed.ids['robust']}" in " ".join(screen.text.split())
        assert "Best clean, Best robust: PGD-20" in screen.text
        form._field("models").entry.value = "nothing"
        await screen.settle()
        assert "no run 'nothing'" in screen.text


# Help, leaving, settings


@covers("app.help", "help.down", "help.up", "help.close")
async def test_help_names_the_keys_of_the_screen(fixed: Home) -> Screen:
    async with opened(fixed.path, (80, 24)) as screen:
        expected = keys_of(screen.app.screen)
        await screen.press("app.help")
        assert screen.name == "Help"
        seen = screen.text
        for _ in range(30):
            await screen.press("help.down")
            seen += screen.text
        for keys, told, binding_id in expected:
            assert told in seen
            assert binding_id in seen
            assert keys.split()[0] in seen
        await screen.press("help.up", "help.close")
        assert screen.name == "RunsScreen"
    return screen


def test_every_key_of_every_screen_is_pressed_by_some_test() -> None:
    ids = set()
    for owner in (
        *(AdvtuiApp, RunsScreen, RunScreen, CompareScreen, NewScreen, Help, Write, Choose),
        *(RunList, CurvesPane, ExamplesPane, PagePaper, Choice),
    ):
        for base in owner.__mro__:
            for binding in base.__dict__.get("BINDINGS", ()):
                if base.__module__.startswith("tui."):
                    assert binding.id, f"{base.__name__} binds {binding.key} without an id"
                    assert binding.description
                    ids.add(binding.id)
    assert ids - COVERED == {"app.leave"}  # pressed where a real terminal is left


def test_no_two_bindings_share_an_id() -> None:
    owners = (
        *(AdvtuiApp, HouseScreen, RunActions, RunsScreen, RunScreen, CompareScreen, NewScreen),
        *(Dialog, Help, RunList, CurvesPane, ExamplesPane, PagePaper, Choice),
    )
    ids = [binding.id for owner in owners for binding in owner.__dict__["BINDINGS"]]
    assert len(ids) == len(set(ids))


@in_loop
async def test_keys_and_theme_from_the_settings(fixed: Home) -> None:
    settings = Settings(theme="advtui-light", keys={"runs.new": "ctrl+n"})
    async with opened(fixed.path, settings=settings) as screen:
        assert screen.app.theme == "advtui-light"
        await screen.press("n")
        assert screen.name == "RunsScreen"
        await screen.press("ctrl+n")
        assert screen.name == "NewScreen"


@in_loop
async def test_settings_that_cannot_be_used_are_told(fixed: Home) -> None:
    settings = Settings(theme="no such", problem="config.toml: unknown setting 'x'")
    async with opened(fixed.path, settings=settings) as screen:
        assert "unknown theme" in screen.notices
        assert "unknown setting" in screen.notices


@pytest.mark.parametrize("theme", ["advtui-dark", "advtui-light", "advtui-plain", "ansi-dark"])
def test_every_theme_draws_every_screen(fixed: Home, theme: str) -> None:
    import asyncio

    async def look() -> None:
        async with opened(fixed.path, settings=Settings(theme=theme)) as screen:
            await into(screen, fixed, "study")
            for page in "1234567":
                await screen.press(page)
            await screen.press("escape", "n", "escape", "c", "escape", "question_mark")

    asyncio.run(look())


@in_loop
async def test_the_palette_offers_keys_and_themes(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        titles = {
            command.title: command for command in screen.app.get_system_commands(screen.app.screen)
        }
        assert "New run" in titles
        titles["Theme advtui-light"].callback()
        await screen.settle()
        assert screen.app.theme == "advtui-light"
        titles["New run"].callback()
        await screen.settle()
        assert screen.name == "NewScreen"


@in_loop
async def test_an_empty_home_says_how_to_begin(home: Path) -> None:
    async with opened(home) as screen:
        assert "No runs yet" in screen.text
        assert "advtui study --preset demo" in screen.text
        await screen.press("enter", "D", "S", "c", "x", "t")
        assert screen.name == "RunsScreen"


@in_loop
async def test_a_run_that_ends_elsewhere_is_told(fixed: Home) -> None:
    import json

    async with opened(fixed.path) as screen:
        result = {"state": "failed", "seconds": 3.0, "error": {"message": "no luck"}}
        (fixed.run("running").path / "result.json").write_text(json.dumps(result))
        screen.app._look_through_home()
        await screen.settle()
        screen.app._look_through_home()
        assert "mixed at 4 (bb01) failed: no luck" in screen.notices


@in_loop
async def test_an_error_of_its_own_becomes_a_notice(fixed: Home) -> None:
    async with opened(fixed.path) as screen:

        def broken() -> None:
            raise RuntimeError("[/foo] a fault")

        screen.app.screen.call_later(broken)
        await screen.settle()
        assert "RuntimeError: [/foo] a fault" in screen.notices
        assert "a fault" in (fixed.path / "ui-errors.log").read_text()
        await screen.press("n")
        assert screen.name == "NewScreen"
        screen.app.faults.clear()
