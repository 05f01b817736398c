"""What can be done with a run from the list: tag, note, stop, resume, delete, export."""

from pathlib import Path

import pytest

from runs.jsonfiles import write_json
from runs.store import Run, Store
from runs.trash import Trash
from screen_driver import Home, Screen, at, covers, in_loop, opened
from tui.widgets.line_view import LineView


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
        assert f"Stop mixed at 4  {fixed.ids['running']}?" in screen.text
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

    monkeypatch.setattr("tui.screens.actions.stop_and_resume.start", start)
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "study")
        await screen.press("run.resume")
        assert "nothing to resume" in screen.notices
        await at(screen, fixed, "interrupted")
        await screen.press("run.resume")
        assert started == [fixed.ids["interrupted"]]
    return screen


@covers("run.delete", "pick.up", "pick.down", "pick.confirm")
async def test_delete_asks_and_refuses_what_runs(fixed: Home) -> Screen:
    kept = fixed.run("failed").path / "checkpoints"
    kept.mkdir()
    (kept / "last.ckpt").write_bytes(bytes(2_000_000))
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "running")
        await screen.press("run.delete")
        assert screen.name == "RunListScreen"
        assert "stop it first" in screen.notices
        await at(screen, fixed, "failed")
        await screen.press("run.delete")
        assert "2.0 MB" in screen.text
        await screen.press(*"ykndc", "enter")  # no letter answers; it starts on cancel
        assert screen.name == "RunListScreen"
        assert kept.exists()
        await screen.press("run.delete", "pick.down", "pick.confirm")
        assert not kept.exists()
        assert fixed.run("failed").path.exists()
        await screen.press("run.delete", "pick.down", "escape")
        await screen.press("run.delete", "pick.down", "pick.up", "pick.confirm")
        assert fixed.run("failed").path.exists()
        await screen.press("run.delete", "pick.down", "pick.confirm")
        assert not fixed.run("failed").path.exists()
        await screen.settle()
        assert fixed.ids["failed"] not in screen.app.state.feed.rows
        await at(screen, fixed, "study")
        await screen.press("run.delete")
        assert "refers to" in screen.text
        await screen.press("down", "enter")
        assert "stop it first" in screen.notices  # an attack on its trainings is at work
        assert fixed.run("robust").path.exists()
        write_json(fixed.run("attacking").path / "result.json", {"v": 1, "state": "interrupted"})
        await screen.press("run.delete", "down", "enter")
        assert not fixed.run("robust").path.exists()
        assert (fixed.path / "trash" / fixed.ids["robust"]).exists()
    return screen


@in_loop
async def test_delete_takes_the_marked_runs_and_names_them_before_their_ids(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        for what in ("failed", "interrupted"):
            await at(screen, fixed, what)
            await screen.press("runs.mark")
        await at(screen, fixed, "study")
        await screen.press("run.delete")
        assert "Delete 2 marked runs?" in screen.text
        assert f"robust  {fixed.ids['failed']}" in screen.text
        assert fixed.ids["study"] not in screen.app.screen.query_one(LineView).text
        await screen.press("down", "enter")
        assert not fixed.run("failed").path.exists()
        assert not fixed.run("interrupted").path.exists()
        assert fixed.run("study").path.exists()
        assert "moved 2 runs to the trash" in screen.notices
        await at(screen, fixed, "running")
        await screen.press("runs.mark")
        await at(screen, fixed, "study")
        await screen.press("runs.mark", "run.delete")
        assert "mixed at 4 (bb01) is running: stop it first" in screen.notices
        assert fixed.run("study").path.exists()


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


@covers("runs.trash")
async def test_the_trash_restores_a_run_and_can_be_emptied(fixed: Home) -> Screen:
    run, store = fixed.run("failed"), Store(fixed.path)
    async with opened(fixed.path) as screen:
        await screen.press("runs.trash")
        assert "the trash is empty" in screen.notices
        Trash(store).put(run)
        await screen.press("runs.trash")
        assert screen.name == "Pick"
        assert f"({run.id[-4:]}), removed" in screen.text
        await screen.press("down", "enter")
        assert f"restored {run.id}" in screen.notices
        assert run.path.is_dir()
        Trash(store).put(run)
        await screen.press("runs.trash", "down", "down", "enter")
        assert "Delete 1 run of the trash for good?" in screen.text
        await screen.press("enter")  # it starts on cancel
        assert len(Trash(store).runs()) == 1
        await screen.press("runs.trash", "down", "down", "enter", "down", "enter")
        assert "emptied the trash" in screen.notices
        assert Trash(store).runs() == []
    return screen
