"""Hands runs to Slurm: a run is a job, a study a chain of jobs, each after those that it needs.

No process waits for the chain: Slurm starts each job when its time has come. The job of a study
comes last and gathers what its children have left.
"""

import contextlib
import stat
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from runs.errors import UserError
from runs.interruption import STOP_FILE, record_interruption
from runs.job_script import PROBE_FILE, SCRIPT_FILE, job_script
from runs.run_state import LIVE
from runs.slurm_queue import (
    GONE,
    QUEUE,
    JobRecord,
    SlurmError,
    ask_slurm,
    has_gpus,
    is_installed,
    record_job,
)
from runs.spec import StudySpec, SweepSpec
from runs.storage import writing
from runs.store import Run, Store, discard
from runs.study_children import ROLES, Role, child_spec, existing_or_new_child
from runs.sweep_points import PointRuns, points_of

if TYPE_CHECKING:
    from runs.spec import AnySpec


CANCEL_S = 60.0
"""Seconds that Slurm has to end a job that is cancelled."""


class Submission:
    """The jobs of one request; if one is refused, all are taken back.

    Args:
        environment: variables of the workers.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._jobs: list[str] = []
        self._made: list[Run] = []
        self._with_gpus: dict[str | None, bool] = {}

    def submit(self, run: Run) -> str:
        """Hand a run to Slurm, a study with all children that are not completed; its job's id.

        Raises:
            SlurmError: Slurm refuses a job; none remains, and no new child.
            UserError: the run's spec can't be read, or a file can't be written.
        """
        try:
            spec = run.spec
            if isinstance(spec, StudySpec):
                return self._study(run, spec)
            if isinstance(spec, SweepSpec):
                return self._sweep(run, spec)
            return self._job(run, spec)
        except BaseException:
            self._take_back()
            raise

    def _study(self, study: Run, spec: StudySpec) -> str:
        store = Store(study.home)
        children: dict[Role, Run] = {}
        jobs: dict[Role, str] = {}
        before = {child.id for child in store.children(study)}
        for role in ROLES:
            wanted = child_spec(spec, role, children)
            child = existing_or_new_child(store, study, role, wanted, reuse=spec.reuse)
            if child.id not in before and child.parent == study.id:
                self._made.append(child)
            needed = list(jobs.values()) if role == "attack" else []
            if (job := self._child(study, child, needed)) is not None:
                jobs[role] = job
            children[role] = child
        after = [f"afterany:{':'.join(jobs.values())}"] if jobs else []
        return self._job(study, spec, after, list(children.values()))

    def _sweep(self, sweep: Run, spec: SweepSpec) -> str:
        runs = PointRuns(Store(sweep.home), sweep, spec)
        self._made = runs.new
        jobs, members = [], []
        for point in points_of(sweep, spec):
            member = runs.run_of(point)
            members.append(member)
            if (job := self._child(sweep, member, [])) is not None:
                jobs.append(job)
        if (old := sweep.job) is not None and sweep.state() in LIVE:
            ask_slurm("scancel", old.job)  # it would gather too early
        after = [f"afterany:{':'.join(jobs)}"] if jobs else []
        return self._job(sweep, spec, after, members)

    def _child(self, parent: Run, child: Run, needed: Sequence[str]) -> str | None:
        """The id of the last job of a child; None where it needs none.

        It is an old one where that still waits or works.

        ``needed``: jobs that must have succeeded before.
        """
        state = child.state()
        if state == "completed":
            return None
        if state in LIVE and (job := child.job) is not None:
            return job.job
        if place := parent.place:
            child.set_place(place)
        spec = child.spec
        if isinstance(spec, StudySpec):
            return self._study(child, spec)
        after = [f"afterok:{':'.join(needed)}", "--kill-on-invalid-dep=yes"] if needed else []
        return self._job(child, spec, after)

    def _job(
        self, run: Run, spec: "AnySpec", after: Sequence[str] = (), children: Sequence[Run] = ()
    ) -> str:
        """Write a run's ``job.sh``, hand it in, and note the job's id."""
        slurm = spec.slurm
        assert slurm is not None
        devices = spec.devices
        is_gatherer = spec.kind in ("study", "sweep")
        gpus = not is_gatherer and slurm.gres is None and self._wants_gpus(spec)
        if is_gatherer:
            devices, slurm = 1, slurm.model_copy(update={"gres": None, "nodes": 1})
        script = run.path / SCRIPT_FILE
        text = job_script(run, slurm, devices, gpus=gpus, environment=self._environment)
        with writing(script):
            for name in (STOP_FILE, PROBE_FILE):
                (run.path / name).unlink(missing_ok=True)
            script.write_text(text, encoding="utf-8")
            script.chmod(script.stat().st_mode | stat.S_IXUSR)
        dependency = [f"--dependency={after[0]}", *after[1:]] if after else []
        said = ask_slurm("sbatch", "--parsable", *dependency, str(script), patience_s=30.0)
        job = said.strip().partition(";")[0]
        if not job.isdecimal():
            raise SlurmError(f"Slurm gave no number of a job: {said.strip()[:200]!r}")
        self._jobs.append(job)
        record_job(run.path, job, [child.id for child in children])
        return job

    def _wants_gpus(self, spec: "AnySpec") -> bool:
        """Whether a job that names no resources is to have a GPU for each process."""
        partition = None if spec.slurm is None else spec.slurm.partition
        if spec.device == "auto" and partition not in self._with_gpus:
            self._with_gpus[partition] = has_gpus(partition)
        return spec.device.startswith("cuda") or (
            spec.device == "auto" and self._with_gpus[partition]
        )

    def _take_back(self) -> None:
        for job in self._jobs:
            with contextlib.suppress(SlurmError):
                ask_slurm("scancel", job)
        for run in self._made:
            discard(run)


def stop_job(run: Run, *, at_once: bool = False) -> None:
    """Ask the worker of a run in Slurm to stop at its next step; take a job that waits back.

    Of a study, its own job goes first: it would gather too early. With ``at_once`` a job that works
    is cancelled, which leaves its worker only the seconds that Slurm grants.

    Raises:
        SlurmError: Slurm does not answer.
    """
    job = run.job
    assert job is not None
    state = QUEUE.state(job, fresh=True)
    if not state.is_known:
        raise SlurmError(f"Slurm does not answer: {run.id} can't be stopped now")
    if state.is_waiting:
        ask_slurm("scancel", job.job)
        record_interruption(run)
    elif state.is_at_work:
        ask_slurm("scancel", *([] if at_once else ["--signal=TERM"]), job.job)
    for child in reversed(_handed_in_for(run, job)):
        if child.job is not None and child.state() in LIVE:
            stop_job(child, at_once=at_once)


def _handed_in_for(run: Run, job: JobRecord) -> list[Run]:
    """The children whose jobs were handed in with a run's; not those that it has reused."""
    named = [Run(run.path.parent / child) for child in job.children]
    return [child for child in named if child.parent == run.id]


def end_job(run: Run) -> bool:
    """Cancel a run's job and those of its family, and let all of them be interrupted.

    Returns:
        Whether the job has ended within :data:`CANCEL_S`.

    Raises:
        SlurmError: Slurm does not answer.
    """
    job = run.job
    assert job is not None
    stop_job(run, at_once=True)
    deadline = time.monotonic() + CANCEL_S
    while not (ended := QUEUE.state(job, fresh=True).has_ended) and time.monotonic() < deadline:
        time.sleep(1.0)
    _interrupt(run, job)
    return ended


def _interrupt(run: Run, job: JobRecord) -> None:
    """Record that a run and those below it were interrupted, where no worker of them lives."""
    record_interruption(run)
    for child in _handed_in_for(run, job):
        if child.job is None:
            record_interruption(child)
        else:
            _interrupt(child, child.job)


def why_job_left_nothing(run: Run) -> str | None:
    """What became of the job of a run without a result, as a sentence without a subject.

    None of a run that was not given to Slurm, or whose job still waits or works.
    """
    job = run.job
    if job is None:
        return None
    if not (state := QUEUE.state(job)).has_ended:
        return None
    if not (run.path / PROBE_FILE).exists() and state.word not in ("CANCELLED", GONE):
        return (
            f"the nodes of Slurm do not see the home {run.home}: job {job.job} left no sign there. "
            "Choose a folder of a shared file system with --home or ADVTUI_HOME"
        )
    if state.word == GONE:
        return f"its job {job.job} is no longer in Slurm"
    told = f" ({state.reason})" if state.reason else ""
    return f"Slurm ended its job {job.job}: {state.word}{told}"


def check_slurm() -> None:
    """Refuse a run for Slurm where no job can be handed in.

    Raises:
        UserError: there is no ``sbatch``.
    """
    if not is_installed():
        raise UserError(
            "launcher slurm: there is no sbatch on this machine. Start it on a login node of the "
            "cluster, or leave the launcher out"
        )
