"""``job.sh``: the batch script with which a run is carried out in Slurm.

It lies in the run's folder and is written to be read: what is asked of Slurm, a probe of the home,
the worker under ``srun``, and the return into the queue before the time limit.
"""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from runs.errors import EXIT_INTERRUPTED
from runs.store import Run

if TYPE_CHECKING:
    from runs.slurm_options import Slurm

SCRIPT_FILE = "job.sh"
PROBE_FILE = "job-node"
"""Written by the job, first of all: its id and its node. Without it the node has another home."""
LAST_TASK_S = 120
"""Seconds that the tasks have to end once one has ended: rank 0 saves and writes the result."""

_BODY = """
run={run}
echo "$SLURM_JOB_ID $SLURMD_NODENAME" > "$run/{probe}" || exit 1  # this node sees the home

export ADVTUI_JOB="$SLURM_JOB_ID"
export OMP_NUM_THREADS="${{OMP_NUM_THREADS:-${{SLURM_CPUS_PER_TASK:-1}}}}"
{environment}

# Before the time limit Slurm sends USR1 to this script alone: the worker saves and ends, and the
# job goes back into the queue.
warned= again=
trap 'again=yes; [ -e "$run/stop" ] || {{ warned=yes; kill -USR1 "$worker" 2>/dev/null; }}' USR1
trap 'again=yes; kill -TERM "$worker" 2>/dev/null' TERM

srun --wait={wait} {python} -P -m engine "$run" &
worker=$!
wait "$worker"; code=$?
while [ -n "$again" ]; do again=; wait "$worker"; code=$?; done  # a signal ends a wait
if [ -n "$warned" ] && [ "$code" -eq {interrupted} ] \\
    && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {requeues} ]; then
  scontrol requeue "$SLURM_JOB_ID" && sleep 60
fi
exit "$code"
"""


def job_script(
    run: Run, slurm: "Slurm", devices: int, *, gpus: bool, environment: dict[str, str]
) -> str:
    """The text of ``job.sh``.

    Args:
        run: to carry out.
        slurm: what it asks of Slurm.
        devices: processes of the run, one for each device.
        gpus: whether to ask for a GPU for each process, where ``slurm.gres`` asks for nothing.
        environment: variables of the worker.

    Raises:
        ValueError: the nodes can't share the devices.
    """
    per_node = slurm.ranks_per_node(devices)
    lines = [f"#SBATCH {option}" for option in _options(run, slurm, per_node, gpus=gpus)]
    body = _BODY.format(
        run=shlex.quote(str(run.path)),
        probe=PROBE_FILE,
        environment="\n".join(f"export {k}={shlex.quote(v)}" for k, v in environment.items()),
        wait=LAST_TASK_S,
        python=shlex.quote(sys.executable),
        interrupted=EXIT_INTERRUPTED,
        requeues=slurm.requeues,
    )
    about = f"# Carries out the run {run.id} of advtui; advtui resume hands it in again."
    return "\n".join(["#!/bin/bash", *lines, about, body.lstrip("\n")])


def _options(run: Run, slurm: "Slurm", per_node: int, *, gpus: bool) -> Iterator[str]:
    yield f"--job-name={run.id}"
    yield f'--output="{_pattern(run.log_path)}"'
    yield "--open-mode=append"
    yield "--requeue"
    yield f"--signal=B:USR1@{slurm.warning_s}"
    yield f"--nodes={slurm.nodes}"
    yield f"--ntasks-per-node={per_node}"
    gres = slurm.gres or (f"gpu:{per_node}" if gpus else None)
    named = {
        "partition": slurm.partition,
        "account": slurm.account,
        "time": slurm.time,
        "gres": gres,
        "cpus-per-task": slurm.cpus_per_task,
        "mem": slurm.mem,
        "qos": slurm.qos,
        "constraint": slurm.constraint,
    }
    yield from (f'--{name}="{value}"' for name, value in named.items() if value is not None)
    for argument in slurm.args:
        name, equals, value = argument.partition("=")
        yield f'--{name}="{value}"' if equals else f"--{name}"


def _pattern(path: Path) -> str:
    """A path in which Slurm replaces nothing."""
    return str(path).replace("%", "%%")
