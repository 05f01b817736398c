"""A sweep of four points in Slurm: a job for each, one that gathers, and points added later."""

import json

import pytest

from advtui_process import TINY, Command
from private_slurm import PrivateSlurm
from runs.slurm_queue import job_of
from runs.store import Store
from slurm_runs import SLURM, only_run

pytestmark = pytest.mark.slow


def test_a_sweep_of_four_points(advtui: Command, slurm: PrivateSlurm) -> None:
    grid = ("--grid", "recipe=pgd-at,fast", "--seeds", "0,1", "--epochs", "1")
    told = advtui("sweep", *TINY, *grid, *SLURM, "--detach")
    assert told.returncode == 0, told.stderr
    store, sweep = Store(advtui.home), only_run(advtui)
    points = store.children(sweep)
    jobs = [job.job for point in points if (job := job_of(point.path)) is not None]
    own = job_of(sweep.path)
    assert own is not None
    assert len(jobs) == len(set(jobs)) == 4
    needed = slurm.run("scontrol", "show", "job", own.job)
    assert all(f"afterany:{job}" in needed for job in jobs)
    assert advtui("watch", sweep.id).returncode == 0
    table = json.loads(advtui("compare", sweep.id, "--json").stdout)
    assert [row["states"] for row in table["rows"]] == [["completed", "completed"]] * 2
    added = advtui("sweep", "--add", sweep.id, "--grid", "recipe=trades")
    assert added.returncode == 0, added.stderr
    assert "1 new point" in added.stderr
    assert "trades" in added.stdout
    assert len(store.children(sweep)) == 5
