"""What is asked of Slurm, and how its answers become the states of runs."""

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from engine.process.ranks import take_srun_place, tasks_per_node
from runs.events import EventWriter
from runs.file_clock import changed_at
from runs.interruption import record_interruption
from runs.job_script import job_script
from runs.slurm_options import Slurm, seconds_of
from runs.slurm_queue import GONE, UNKNOWN, JobRecord, JobState, Queue, job_of, record_job
from runs.store import Run, Store
from runs.worker_identity import LAUNCH_FILE
from tiny_training import tiny


class Answering:
    """A queue with the answer that a test gives."""

    def __init__(self) -> None:
        self.answer = JobState("PENDING", "Priority")

    def state(self, _job: JobRecord, *, fresh: bool = False) -> JobState:  # noqa: ARG002
        return self.answer


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Answering:
    answering = Answering()
    monkeypatch.setattr("runs.run_state.QUEUE", answering)
    return answering


@pytest.fixture
def job(store: Store) -> Run:
    run = store.create(tiny(device="cpu"))
    record_job(run.path, "4711")
    return run


def test_a_run_that_waits_in_slurm_is_queued_however_long(job: Run, queue: Answering) -> None:
    later = job.created + 3600
    assert job.state(later) == "queued"
    queue.answer = JobState(UNKNOWN)
    assert job.state(later) == "queued"
    queue.answer = JobState(GONE)
    assert job.state(later) == "lost"


def test_a_job_that_was_interrupted_is_queued_until_slurm_has_ended_it(
    job: Run, queue: Answering
) -> None:
    record_interruption(job)
    assert job.state() == "queued"
    for word in ("RUNNING", "CANCELLED", UNKNOWN):
        queue.answer = JobState(word)
        assert job.state() == "interrupted"


def test_a_silent_job_is_lost_only_when_slurm_says_so(job: Run, queue: Answering) -> None:
    EventWriter(job.events_path).write("started", attempt=1, resumed_from=None)
    (job.path / LAUNCH_FILE).write_text("{}", encoding="utf-8")
    later = time.time() + 120
    for word, state in (("RUNNING", "unresponsive"), (UNKNOWN, "unresponsive"), (GONE, "lost")):
        queue.answer = JobState(word)
        assert job.state(later) == state
    queue.answer = JobState("PENDING")
    assert job.state(later) == "queued"


def test_a_study_in_slurm_runs_from_its_first_child_on(store: Store, queue: Answering) -> None:
    child, study = (store.create(tiny(device="cpu")) for _ in range(2))
    record_job(study.path, "7", [child.id])
    queue.answer = JobState("PENDING", "Dependency")
    assert study.state(study.created + 3600) == "queued"
    (child.path / LAUNCH_FILE).write_text("{}", encoding="utf-8")
    assert study.state(study.created + 3600) == "running"


def test_one_call_answers_for_all_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    squeue = tmp_path / "squeue"
    squeue.write_text(
        f"#!/bin/sh\necho $* >> {calls}\n"
        "echo '1|PENDING|Priority|2026-11-27T10:00:00|a'\necho '2|RUNNING|None|N/A|b|c'\n",
        encoding="utf-8",
    )
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    queue = Queue()
    waiting = queue.state(JobRecord("a", "1", "me", ()))
    assert waiting == JobState("PENDING", "Priority", "2026-11-27 10:00:00")
    assert queue.state(JobRecord("b|c", "2", "me", ())).is_at_work
    assert queue.state(JobRecord("other", "1", "me", ())).word == GONE  # an id given out again
    assert queue.state(JobRecord("d", "9", "me", ())).word == GONE
    assert len(calls.read_text(encoding="utf-8").splitlines()) == 1
    squeue.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    assert queue.state(JobRecord("a", "1", "me", ()), fresh=True).is_waiting
    assert not queue.state(JobRecord("d", "9", "me", ())).is_known


def test_records_of_damaged_files_are_none(tmp_path: Path) -> None:
    for content in ("", "[]", '{"job": 1, "user": "me"}', '{"job": "x;y", "user": "me"}'):
        (tmp_path / "slurm.json").write_text(content, encoding="utf-8")
        assert job_of(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 5400), ("1:30", 90), ("1:30:00", 5400), ("2-12", 216_000), ("0-0:30", 1800)],
)
def test_time_limits_are_read_as_slurm_does(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


def test_the_warning_comes_early_enough_and_not_at_once() -> None:
    assert Slurm(time="8:00:00").warning_s == Slurm().warning_s == 120
    assert Slurm(time="1").warning_s == 15
    assert Slurm(time="UNLIMITED").warning_s == 120


@pytest.mark.parametrize(
    "fields",
    [
        {"time": "soon"},
        {"args": ("output=x",)},
        {"args": ("--mail-type=END",)},
        {"partition": 'a"b'},
        {"partition": "a\nb"},
        {"nodes": 0},
    ],
)
def test_what_would_break_the_script_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Slurm(**fields)


def test_the_script_is_shell_and_quotes_paths(tmp_path: Path) -> None:
    run = Store(tmp_path / "a home with 100% $HOME 'quotes'").create(tiny(device="cpu"))
    slurm = Slurm(partition="gpu", nodes=2, args=("mail-type=END", "exclusive"))
    text = job_script(run, slurm, 8, gpus=True, environment={"A": "b c"})
    checked = subprocess.run(["bash", "-n"], input=text, text=True, check=False)
    assert checked.returncode == 0
    options = [line.split(" ", 1)[1] for line in text.splitlines() if line.startswith("#SBATCH")]
    assert "--nodes=2" in options
    assert "--ntasks-per-node=4" in options
    assert '--gres="gpu:4"' in options
    assert "--exclusive" in options
    assert "100%%" in next(option for option in options if option.startswith("--output"))


def test_a_task_of_srun_learns_its_place_from_advtui_s_jobs_alone() -> None:
    slurm = {
        "SLURM_PROCID": "5",
        "SLURM_STEP_NUM_TASKS": "6",
        "SLURM_LOCALID": "1",
        "SLURM_NODEID": "2",
        "SLURM_STEP_TASKS_PER_NODE": "2(x3)",
        "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.7",
    }
    interactive = dict(slurm)
    take_srun_place(interactive)
    assert interactive == slurm
    ours = {**slurm, "ADVTUI_JOB": "4711"}
    take_srun_place(ours)
    assert (ours["RANK"], ours["WORLD_SIZE"]) == ("5", "6")
    assert (ours["LOCAL_RANK"], ours["LOCAL_WORLD_SIZE"]) == ("1", "2")
    assert (ours["MASTER_ADDR"], ours["MASTER_PORT"]) == ("10.0.0.7", "19711")
    single = {**slurm, "SLURM_STEP_NUM_TASKS": "1", "ADVTUI_JOB": "4711"}
    take_srun_place(single)
    assert "RANK" not in single
    assert tasks_per_node("2(x3),1") == [2, 2, 2, 1]


def test_events_of_another_host_count_by_the_file_system_s_clock(store: Store) -> None:
    run = store.create(tiny(device="cpu"))
    writer = EventWriter(run.events_path)
    writer.write("started", attempt=1, resumed_from=None)
    skewed = run.events_path.read_text(encoding="utf-8")
    now = time.time()
    for ahead in (-600, 600):  # seconds by which the other host's clock is wrong
        t = skewed.partition('"t": ')[2].partition(",")[0]
        shifted = skewed.replace(t, str(now + ahead))
        run.events_path.write_text(shifted, encoding="utf-8")
        (run.path / LAUNCH_FILE).write_text('{"host": "elsewhere"}', encoding="utf-8")
        assert Run(run.path).state(now) == "running"
        assert Run(run.path).state(now + 60) == "lost"
    changed = changed_at(run.events_path)
    assert changed == pytest.approx(now, abs=5)
