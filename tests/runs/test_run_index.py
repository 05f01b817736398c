"""The index of a home says what the files say, or nothing."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_in_process import advtui
from whole_home import copy_home

from damaged_files import FILES, damage
from runs import run_index
from runs.jsonfiles import write_json
from runs.locks import FileLock
from runs.run_index import FILE, RunIndex
from runs.store import Run, Store
from tui.run_list.summary import summaries, summary


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index of few runs, whose files may be as young as they are in a test."""
    monkeypatch.setattr(run_index, "FEWEST", 1)
    monkeypatch.setattr(run_index, "SETTLED_S", 0.0)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    copy_home(tmp_path / "home")
    return tmp_path / "home"


def listed(home: Path) -> list[dict[str, Any]]:
    return summaries(Store(home), None)


def afresh(home: Path) -> list[dict[str, Any]]:
    """The same without any index."""
    kept = (home / FILE).read_bytes() if (home / FILE).exists() else None
    (home / FILE).unlink(missing_ok=True)
    rows = listed(home)
    if kept is not None:
        (home / FILE).write_bytes(kept)
    return rows


def without_age(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    live = ("queued", "running")
    return [{**row, "working_seconds": 0} if row["state"] in live else row for row in rows]


def assert_as_the_files_say(home: Path) -> None:
    assert without_age(listed(home)) == without_age(afresh(home))


def test_ended_runs_come_from_the_index(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = listed(home)
    read: list[str] = []

    def counted(run: Run) -> dict[str, Any]:
        read.append(run.id)
        return summary(run)

    monkeypatch.setattr("tui.run_list.summary.summary", counted)
    assert without_age(listed(home)) == without_age(first)
    states = {row["id"]: row["state"] for row in first}
    assert states
    assert {states[run_id] for run_id in read} <= {"queued", "running", "unresponsive"}


@pytest.mark.parametrize("seed", range(6))
def test_whatever_changes_it_says_what_the_files_say(home: Path, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(4):
        listed(home)
        run = rng.choice(Store(home).runs())
        change = rng.randrange(6)
        if change == 0:
            damage(run.path / rng.choice(FILES), rng)
        elif change == 1:
            run.set_meta(tags=[f"tag{rng.randrange(9)}"], note="new")
        elif change == 2:  # in place, of the same size, with its old time
            path = run.path / "result.json"
            if path.is_file():
                status = path.stat()
                path.write_bytes(path.read_bytes().replace(b"completed", b"failed   "))
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        elif change == 3:
            (run.path / "result.json").unlink(missing_ok=True)
        elif change == 4:
            write_json(run.path / "result.json", {"v": 1, "state": "interrupted"})
        else:
            run.path.rename(run.path.with_name(run.id[:-4] + "beef"))
        assert_as_the_files_say(home)


def test_a_lost_run_that_a_worker_takes_is_lost_no_more(home: Path) -> None:
    lost = next(row["id"] for row in listed(home) if row["state"] == "lost")
    run = Run(home / "runs" / lost)
    with FileLock(run.lock_path):
        assert {row["id"]: row["state"] for row in listed(home)}[lost] == "unresponsive"


def test_a_file_that_changed_a_moment_ago_is_not_trusted(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_index, "SETTLED_S", 60.0)
    run = next(run for run in Store(home).runs() if run.state() == "completed")
    run.set_meta(tags=["young"])
    index = RunIndex(home, "1", lambda *_: True)
    index.entries([run.id], summary)
    assert run.id not in index._entries


HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "cut": b'["summary 1", "0"]\n{"2026',
    "no object": b"7\n7",
    "deep": b"[" * 100_000,
    "bytes": bytes(range(256)) * 20,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_damaged_index_is_no_index(home: Path, what: str) -> None:
    expected = without_age(afresh(home))
    (home / FILE).write_bytes(HOSTILE[what])
    assert without_age(listed(home)) == expected


@pytest.mark.parametrize(
    "entry",
    [None, 7, [], [[], 7], [[], {}], [[], {"state": "completed"}], "x", [[], {"id": "../.."}]],
)
def test_entries_that_are_none_are_not_used(home: Path, entry: Any) -> None:
    expected = without_age(afresh(home))
    listed(home)
    version = json.loads((home / FILE).read_text().partition("\n")[0])[0]
    entries = {run.id: entry for run in Store(home).runs()}
    text = json.dumps(entries)
    (home / FILE).write_text(f"{json.dumps([version, run_index._sum(text)])}\n{text}")
    assert without_age(listed(home)) == expected
    assert advtui(home, "runs").code == 0


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_left_alone(home: Path, kind: str) -> None:
    expected = without_age(afresh(home))
    (home / FILE).unlink(missing_ok=True)
    (home / FILE).mkdir() if kind == "folder" else os.mkfifo(home / FILE)
    assert without_age(listed(home)) == expected


def test_a_home_that_can_not_be_written_is_listed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = without_age(afresh(home))
    (home / FILE).unlink(missing_ok=True)

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    assert without_age(listed(home)) == expected


def test_many_processes_at_once_harm_nothing(home: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom runs import run_index\n"
        "run_index.FEWEST, run_index.SETTLED_S = 1, 0.0\n"
        "from runs.store import Store\nfrom tui.run_list.summary import summaries\n"
        "home = Path(sys.argv[1])\n"
        "for _ in range(20):\n"
        "    (home / run_index.FILE).unlink(missing_ok=True)\n"
        "    assert summaries(Store(home), None)\n"
    )
    expected = without_age(afresh(home))
    processes = [subprocess.Popen([sys.executable, "-P", "-c", code, str(home)]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert without_age(listed(home)) == expected


def test_many_runs_are_read_in_several_processes(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = without_age(afresh(home))
    (home / FILE).unlink(missing_ok=True)
    monkeypatch.setattr(run_index, "MANY", 1)
    assert without_age(listed(home)) == expected
    monkeypatch.undo()
    assert (home / FILE).exists()


def test_few_runs_need_no_index(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_index, "FEWEST", 1000)
    (home / FILE).unlink(missing_ok=True)
    listed(home)
    assert not (home / FILE).exists()
