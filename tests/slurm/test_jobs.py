"""Runs as jobs of a real Slurm: trainings, studies, and requests that it refuses."""

import json
from pathlib import Path

import pytest

from advtui_process import TINY, Command, result_of, wait_for
from private_slurm import PrivateSlurm
from runs.results import compare
from runs.slurm_queue import job_of
from runs.store import Store
from slurm_runs import SLURM, assert_equal_weights, only_run

pytestmark = pytest.mark.slow

STUDY = ("study", *TINY, "--limit", "20", "--sanity", "quick")


def test_a_training_is_a_job_and_ends_as_one_here_does(advtui: Command) -> None:
    told = advtui("train", *TINY, *SLURM, "--time", "10")
    assert told.returncode == 0, told.stderr
    run = only_run(advtui)
    job = job_of(run.path)
    assert job is not None
    assert f"{run.id} is job {job.job} of Slurm" in told.stderr
    assert f"queued in Slurm (job {job.job}" in told.stderr
    script = (run.path / "job.sh").read_text(encoding="utf-8")
    assert '#SBATCH --time="10"' in script
    assert "#SBATCH --signal=B:USR1@120" in script
    here = Command(advtui.home.with_name("here"))
    assert here("train", *TINY).returncode == 0
    assert_equal_weights(run, only_run(here))


def test_two_tasks_on_two_nodes_train_one_network(advtui: Command) -> None:
    told = advtui("train", *TINY, *SLURM, "--nodes", "2", "--devices", "2")
    assert told.returncode == 0, told.stderr
    run = only_run(advtui)
    assert "--nodes=2" in (run.path / "job.sh").read_text(encoding="utf-8")
    assert result_of(run)["state"] == "completed"
    here = Command(advtui.home.with_name("here"))
    assert here("train", *TINY, "--devices", "2").returncode == 0
    assert_equal_weights(run, only_run(here))


def test_a_study_is_a_chain_of_jobs(advtui: Command, slurm: PrivateSlurm) -> None:
    study_id = advtui(*STUDY, *SLURM, "--detach").stdout.strip()
    study = Store(advtui.home).find(study_id)
    children = {child.role: child for child in Store(advtui.home).children(study)}
    jobs = {role: job.job for role, run in children.items() if (job := job_of(run.path))}
    assert list(children) == ["baseline", "robust", "attack"]
    needed = slurm.run("scontrol", "show", "job", jobs["attack"])
    assert f"afterok:{jobs['baseline']}" in needed
    assert f"afterok:{jobs['robust']}" in needed
    watched = advtui("watch", study_id)
    assert watched.returncode == 0, watched.stderr
    assert "Best robust" in watched.stdout
    assert study.state() == "completed"
    result = result_of(study)
    assert result["children"] == {role: child.id for role, child in children.items()}
    seconds = [result_of(child)["working_seconds"] for child in children.values()]
    assert result["working_seconds"] == pytest.approx(sum(seconds), abs=0.01)
    assert len(compare(Store(advtui.home), [study_id])["rows"]) == 3


def test_a_study_whose_training_fails_names_it_and_attacks_nothing(advtui: Command) -> None:
    told = advtui(*STUDY, *SLURM, "--set", "robust.lr=100", "--set", "robust.clip_norm=null")
    study = only_run(advtui)
    children = {child.role: child for child in Store(advtui.home).children(study)}
    assert told.returncode == 1, told.stderr
    assert study.state() == "failed"
    assert str(children["robust"].id) in told.stderr
    assert not children["attack"].was_started


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--partition", "nope"), "Slurm says: invalid partition specified: nope"),
        (("--nodes", "2"), "so use devices 2"),
        (("--time", "soon"), "'soon' is no time limit"),
        (("--slurm-arg", "output=x"), "output is set by advtui"),
        (("--gres", "tpu:1"), "Slurm says: Invalid generic resource"),
    ],
)
def test_what_slurm_would_refuse_leaves_no_run(
    advtui: Command, flags: tuple[str, ...], sentence: str
) -> None:
    for what in (("train", *TINY), STUDY):
        told = advtui(*what, *SLURM, *flags)
        assert told.returncode in (1, 2)
        (line,) = [line for line in told.stderr.splitlines() if line.startswith("advtui: ")]
        assert line.count(sentence) == 1
    assert not Store(advtui.home).runs()


def test_a_home_that_the_nodes_do_not_see_is_told_and_leaves_no_run(
    advtui: Command, slurm: PrivateSlurm
) -> None:
    slurm.run("scontrol", "update", "nodename=node[1-2]", "state=drain", "reason=test")
    process = advtui.start("train", *TINY, *SLURM)
    wait_for(lambda: slurm.squeue())
    elsewhere = advtui.home.with_name("elsewhere")
    (advtui.home / "runs").rename(elsewhere)  # what a node sees that has another file system
    slurm.run("scontrol", "update", "nodename=node[1-2]", "state=resume")
    wait_for(lambda: not slurm.squeue())
    elsewhere.rename(advtui.home / "runs")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"the nodes of Slurm do not see the home {advtui.home}" in told
    assert not Store(advtui.home).runs()


def test_doctor_tells_what_it_found(advtui: Command) -> None:
    findings = json.loads(advtui("doctor", "--json").stdout)
    (found,) = [finding for finding in findings if finding["what"] == "slurm"]
    assert found["verdict"] == "ok"
    assert "debug (default): 2 nodes of 2 cores and gpu:2, up to 1:00:00" in found["found"]


def test_defaults_stand_in_the_settings_file(advtui: Command, tmp_path: Path) -> None:
    settings = tmp_path / "config.toml"
    settings.write_text('[slurm]\npartition = "urgent"\ntime = "5"\n', encoding="utf-8")
    advtui.env["ADVTUI_CONFIG"] = str(settings)
    run_id = advtui("train", *TINY, *SLURM, "--time", "7", "--detach").stdout.strip()
    asked = Store(advtui.home).find(run_id).raw_spec["slurm"]
    assert (asked["partition"], asked["time"]) == ("urgent", "7")
