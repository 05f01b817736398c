"""What the keys do with several marked runs: one question, one notice, and the marks stay."""

from pathlib import Path

import pytest

from runs.store import Run
from screen_driver import Home, Screen, at, in_loop, opened
from tui.screens.dialogs import Choose, Write
from tui.screens.new_run import NewRunScreen


async def mark(screen: Screen, fixed: Home, *names: str) -> set[str]:
    for name in names:
        await at(screen, fixed, name)
        await screen.press("runs.mark")
    return {fixed.ids[name] for name in names}


@in_loop
async def test_stop_names_the_live_runs_and_counts_the_others(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        marked = await mark(screen, fixed, "running", "attacking", "queued", "failed", "study")
        await screen.press("run.stop")
        assert "Stop 3 runs?" in screen.text
        for name in ("running", "attacking", "queued"):
            assert fixed.ids[name] in screen.text
        assert "2 of the 5 marked runs are not live." in screen.text
        await screen.press("y")
        stopped = {name for name in fixed.ids if (fixed.run(name).path / "stop").exists()}
        assert stopped == {"running", "attacking", "queued"}
        assert screen.notices.count("\n") == 0
        assert "asked 3 runs to stop at their next step" in screen.notices
        assert screen.app.state.marked == marked


@in_loop
async def test_stop_says_where_none_of_the_marked_runs_is_live(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await mark(screen, fixed, "failed", "study")
        await screen.press("run.stop")
        assert (
            "the 2 marked runs are completed or failed: there is nothing to stop" in screen.notices
        )
        assert screen.name == "RunListScreen"


@in_loop
async def test_what_cannot_be_done_is_in_the_same_notice(
    fixed: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(run: Run) -> None:
        if run.id == fixed.ids["running"]:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tui.screens.actions.stop_and_resume.request_stop", refuse)
    async with opened(fixed.path) as screen:
        await mark(screen, fixed, "running", "queued")
        await screen.press("run.stop", "y")
        assert screen.notices.startswith("asked baseline (bb03) to stop at its next step; ")
        assert screen.notices.endswith("can't be written: Permission denied")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the runs for which a worker was started; none is."""
    ids: list[str] = []

    class Worker:
        def poll(self) -> int:
            return 0

    def start(run: Run) -> Worker:
        ids.append(run.id)
        return Worker()

    monkeypatch.setattr("tui.screens.actions.stop_and_resume.start", start)
    return ids


@in_loop
async def test_resume_takes_all_that_can_be_resumed(fixed: Home, started: list[str]) -> None:
    async with opened(fixed.path) as screen:
        marked = await mark(screen, fixed, "failed", "interrupted", "study")
        await screen.press("run.resume")
        assert isinstance(screen.app.screen, Choose)
        assert "Resume 2 runs?" in screen.text
        assert "1 of the 3 marked runs is completed, at work" in " ".join(screen.text.split())
        assert started == []
        await screen.press("y")
        assert set(started) == {fixed.ids["failed"], fixed.ids["interrupted"]}
        assert screen.notices == "resuming 2 runs"
        assert screen.app.state.marked == marked


@in_loop
async def test_a_study_resumes_its_own_children(fixed: Home, started: list[str]) -> None:
    for name in ("study", "robust"):
        (fixed.run(name).path / "result.json").unlink()
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "study")
        await screen.press("right")
        await mark(screen, fixed, "study", "robust")
        await screen.press("run.resume", "y")
        assert started == [fixed.ids["study"]]


@in_loop
async def test_an_attack_takes_the_marked_models(fixed: Home) -> None:
    async with opened(fixed.path, (200, 40)) as screen:
        marked = await mark(screen, fixed, "interrupted", "study", "attacking")
        assert "a attack 2" in screen.foot
        await screen.press("run.attack")
        form = screen.app.screen
        assert isinstance(form, NewRunScreen)
        assert form.request().what == "attack"
        assert set(form.request().models) == marked - {fixed.ids["attacking"]}


@in_loop
async def test_tags_are_added_and_removed(fixed: Home) -> None:
    fixed.run("failed").set_meta(tags=["old", "kept"])
    fixed.run("interrupted").set_meta(tags=["old", "night"])
    async with opened(fixed.path) as screen:
        marked = await mark(screen, fixed, "failed", "interrupted")
        await screen.press("run.tag")
        assert isinstance(screen.app.screen, Write)
        assert "Tags of 2 runs" in screen.text
        assert "-word removes it" in screen.text
        assert "all have #old" in screen.text
        await screen.press(*"+night", "space", *"-old", "enter")
        assert fixed.run("failed").meta["tags"] == ["kept", "night"]
        assert fixed.run("interrupted").meta["tags"] == ["night"]
        assert screen.notices == "+night -old: changed the tags of 2 of 2 runs"
        await screen.press("run.tag", *"kept", "enter")
        assert screen.notices.endswith("+kept: changed the tags of 1 of 2 runs")
        assert screen.app.state.marked == marked
        await screen.press("run.tag", "enter")
        assert screen.notices.count("\n") == 1  # nothing was asked for


@in_loop
async def test_a_note_is_added_to_those_that_are_there(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await mark(screen, fixed, "study", "failed")
        await screen.press("run.note", "enter")
        assert screen.notices == ""
        await screen.press("run.note", *"look", "enter")
        assert fixed.run("study").meta["note"] == "first complete study; look"
        assert fixed.run("failed").meta["note"] == "look"
        assert screen.notices == "added to the note of 2 runs"


@in_loop
async def test_export_joins_the_marked_runs_or_says_why_not(
    fixed: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened(fixed.path) as screen:
        marked = await mark(screen, fixed, "study", "interrupted")
        await screen.press("run.export")
        assert "table of 2 runs" in screen.text
        await screen.press("m")
        (written,) = tmp_path.glob("*.md")
        assert set(written.stem.split("-")[1:]) == {"aa01", "cc02"}
        assert "Best robust" in written.read_text()
        assert "copied the table of 2 runs" in screen.notices
        assert screen.app.state.marked == marked
        await screen.press("runs.unmark")
        await mark(screen, fixed, "failed", "interrupted")
        await screen.press("run.export", "m")
        assert "no evaluation yet" in screen.notices


@in_loop
async def test_marks_outlive_the_deletion_of_checkpoints(fixed: Home) -> None:
    for name in ("failed", "interrupted"):
        (fixed.run(name).path / "checkpoints").mkdir()
        (fixed.run(name).path / "checkpoints" / "last.ckpt").write_bytes(bytes(100))
    async with opened(fixed.path) as screen:
        marked = await mark(screen, fixed, "failed", "interrupted")
        await screen.press("run.delete", "down", "enter")
        assert screen.notices == "deleted the checkpoints of 2 runs"
        assert screen.app.state.marked == marked
