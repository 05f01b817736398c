"""A training in somebody's interactive Slurm job is a training like any other."""

import os
from pathlib import Path

import pytest

from tiny_training import carried_out, tiny

INTERACTIVE_JOB = {
    "SLURM_JOB_ID": "4711",
    "SLURM_JOBID": "4711",
    "SLURM_JOB_NAME": "lab",
    "SLURM_NTASKS": "4",
    "SLURM_NPROCS": "4",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
    "SLURM_NNODES": "2",
    "SLURM_NODELIST": "node[1-2]",
    "SLURM_STEP_NUM_TASKS": "1",
}


def test_the_variables_of_a_job_change_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in INTERACTIVE_JOB.items():
        monkeypatch.setenv(name, value)
    _, result = carried_out(home, tiny(recipe="standard", mode="baseline", epochs=1))
    assert result["epochs"] == 1


@pytest.mark.filterwarnings("error:.*srun")
def test_srun_on_the_path_brings_no_warning(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text("#!/bin/sh\n", encoding="utf-8")
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{srun.parent}{os.pathsep}{os.environ['PATH']}")
    _, result = carried_out(home, tiny(recipe="standard", mode="baseline", epochs=1))
    assert result["epochs"] == 1
