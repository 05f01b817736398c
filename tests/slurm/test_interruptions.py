"""What Slurm and people do to jobs: stops, time limits, preemption, dead nodes, a silent Slurm."""

import time
from collections.abc import Callable, Sequence
from functools import cache

import pytest

from advtui_process import TINY, Command, Finished, result_of, wait_for
from private_slurm import PrivateSlurm
from runs.snapshot import read_snapshot
from runs.store import Run, Store
from slurm_runs import SLURM, assert_equal_weights, only_run

pytestmark = pytest.mark.slow

LONG = ("train", *TINY, "--epochs", "400", "--set", "checkpoint_minutes=0.02")
"""A training of more than a minute, which is saved every second."""
MIDDLING = ("train", *TINY, "--epochs", "25")

Uncut = Callable[[Sequence[str]], Run]


def handed_in(advtui: Command, *words: str) -> Run:
    told: Finished = advtui(*words, *SLURM, "--detach")
    assert told.returncode == 0, told.stderr
    return Store(advtui.home).find(told.stdout.strip())


def at_work(run: Run, epochs: int = 1) -> Run:
    """The run, once it has trained so many epochs."""
    wait_for(lambda: len(read_snapshot(run).epochs) >= epochs)
    return run


def followed_to_its_end(advtui: Command, slurm: PrivateSlurm, run: Run) -> Finished:
    """What ``advtui watch`` says of a run whose job may be requeued."""
    process = advtui.start("watch", run.id)
    until = time.monotonic() + 420
    while process.poll() is None and time.monotonic() < until:
        slurm.hurry()
        time.sleep(0.5)
    out, told = process.communicate(timeout=10)
    return Finished(process.args, process.returncode, out, told)


@pytest.fixture(scope="module")
def uncut(tmp_path_factory: pytest.TempPathFactory) -> Uncut:
    """The same training, carried out here without an interruption, once for all that need it."""

    @cache
    def carried_out(words: Sequence[str]) -> Run:
        here = Command(tmp_path_factory.mktemp("here"))
        assert here(*words).returncode == 0
        return only_run(here)

    return carried_out


def queue_is_held(slurm: PrivateSlurm) -> None:
    slurm.run("scontrol", "update", "nodename=node[1-2]", "state=drain", "reason=test")


def test_stop_takes_a_job_that_waits_back(advtui: Command, slurm: PrivateSlurm) -> None:
    queue_is_held(slurm)
    run = handed_in(advtui, *LONG)
    wait_for(lambda: slurm.squeue())
    listed = advtui("runs").stdout
    assert "queued in Slurm (job " in listed
    assert advtui("stop", run.id).returncode == 0
    wait_for(lambda: not slurm.squeue())
    assert run.state() == "interrupted"


def test_stop_lets_a_job_at_work_save_and_resume_hands_it_in_again(
    advtui: Command, uncut: Uncut
) -> None:
    run = at_work(handed_in(advtui, *MIDDLING))
    assert advtui("stop", run.id).returncode == 0
    wait_for(lambda: run.state() == "interrupted")
    before = len(read_snapshot(run).epochs)
    assert before < 25
    resumed = advtui("resume", run.id)
    assert resumed.returncode == 0, resumed.stderr
    assert "is job " in resumed.stderr
    assert_equal_weights(run, uncut(MIDDLING))


def test_a_stopped_study_leaves_no_job(advtui: Command, slurm: PrivateSlurm) -> None:
    study = handed_in(advtui, "study", *TINY, "--epochs", "400", "--limit", "20")
    children = {child.role: child for child in Store(advtui.home).children(study)}
    at_work(children["baseline"])
    assert study.state() == "running"
    assert advtui("stop", study.id).returncode == 0
    wait_for(lambda: not slurm.squeue())
    assert study.state() == "interrupted"
    assert {child.state() for child in children.values()} == {"interrupted"}


def test_stop_by_force_cancels_the_job(advtui: Command, slurm: PrivateSlurm) -> None:
    run = at_work(handed_in(advtui, *LONG))
    told = advtui("stop", "--force", run.id)
    assert told.returncode == 0, told.stderr
    assert f"{run.id} is interrupted" in told.stderr
    assert run.state() == "interrupted"
    assert not slurm.squeue()


def test_the_time_limit_cuts_nothing(advtui: Command, slurm: PrivateSlurm, uncut: Uncut) -> None:
    words = (*TINY, "--epochs", "40")
    run = handed_in(advtui, "train", *words, "--time", "1")
    watched = followed_to_its_end(advtui, slurm, run)
    assert watched.returncode == 0, watched.stderr
    assert result_of(run)["attempt"] > 1, "the limit of a minute has not been reached"
    assert "queued in Slurm" in watched.stderr
    assert_equal_weights(run, uncut(("train", *words)))


def test_a_job_cancelled_by_hand_is_interrupted(advtui: Command, slurm: PrivateSlurm) -> None:
    run = at_work(handed_in(advtui, *LONG))
    job = run.job
    assert job is not None
    slurm.run("scancel", job.job)
    wait_for(lambda: run.state() not in ("running", "queued"))
    assert run.state() == "interrupted"
    waiting = handed_in(advtui, *LONG, "--slurm-arg", "hold")
    wait_for(lambda: slurm.squeue())
    held = waiting.job
    assert held is not None
    slurm.run("scancel", held.job)
    assert f"Slurm ended its job {held.job}: CANCELLED" in advtui("watch", waiting.id).stderr


def test_a_preempted_job_goes_on_where_it_was(
    advtui: Command, slurm: PrivateSlurm, uncut: Uncut
) -> None:
    run = at_work(handed_in(advtui, *MIDDLING, "--slurm-arg", "exclusive"))
    slurm.run(
        *("sbatch", "-N2", "--exclusive", "--partition=urgent"), "-o", "/dev/null", "--wrap=sleep 4"
    )
    wait_for(lambda: run.state() == "queued")
    watched = followed_to_its_end(advtui, slurm, run)
    assert watched.returncode == 0, watched.stderr
    assert result_of(run)["attempt"] == 2
    assert_equal_weights(run, uncut(MIDDLING))


def test_a_node_that_dies_costs_no_more_than_the_last_checkpoint(
    advtui: Command, slurm: PrivateSlurm, uncut: Uncut
) -> None:
    run = at_work(handed_in(advtui, *MIDDLING, "--set", "checkpoint_minutes=0.02"), 3)
    node = (run.path / "job-node").read_text(encoding="utf-8").split()[1]
    slurm.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    watched = followed_to_its_end(advtui, slurm, run)
    assert watched.returncode == 0, watched.stderr
    assert result_of(run)["attempt"] == 2
    assert (run.path / "job-node").read_text(encoding="utf-8").split()[1] != node
    assert_equal_weights(run, uncut(MIDDLING))


def test_states_do_not_flap_while_slurm_does_not_answer(
    advtui: Command, slurm: PrivateSlurm
) -> None:
    working = at_work(handed_in(advtui, *LONG))
    waiting = handed_in(advtui, *LONG, "--slurm-arg", "hold")
    assert (working.state(), waiting.state()) == ("running", "queued")
    slurm.stop_controller()
    try:
        seen = set()
        until = time.monotonic() + 20
        while time.monotonic() < until:
            seen.add((working.state(), waiting.state()))
            time.sleep(0.5)
        shown = advtui("show", waiting.id).stdout
    finally:
        slurm.start_controller()
    assert seen == {("running", "queued")}
    assert "Slurm does not answer" in shown
    wait_for(lambda: slurm.squeue())
    assert (working.state(), waiting.state()) == ("running", "queued")
