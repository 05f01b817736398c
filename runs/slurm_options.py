"""What a run asks of Slurm: fields of a spec, named as the options of ``sbatch`` are."""

import re
from typing import Annotated

from pydantic import Field, field_validator

from runs.field_help import FIELD_HELP
from runs.threat_model import Spec

Word = Annotated[str, Field(min_length=1, max_length=500, pattern=r'^[^\x00-\x1f\x7f"\\]+$')]
"""A value of a line of ``job.sh``: without control characters, quotes and backslashes."""

WARNING_S = 120
"""Seconds before the time limit at which a job is told to save; less where the limit is short."""
_UNITS = {0: (60,), 1: (60, 1), 2: (3600, 60, 1)}
_TIME = re.compile(r"^(?:(?P<days>\d{1,4})-)?(?P<rest>\d{1,6}(?::\d{1,2}){0,2})$")


def seconds_of(time: str) -> int | None:
    """Seconds of a time limit as Slurm reads it: ``90`` (minutes), ``1:30:00``, ``2-12``.

    None for ``UNLIMITED``.

    Raises:
        ValueError: it is none.
    """
    if time.lower() in ("unlimited", "infinite"):
        return None
    match = _TIME.match(time)
    if match is None:
        raise ValueError(f"{time!r} is no time limit: write e.g. 90 (minutes), 8:00:00 or 2-12")
    parts = [int(part) for part in match["rest"].split(":")]
    if match["days"] is not None:
        units: tuple[int, ...] = (3600, 60, 1)
        return int(match["days"]) * 86_400 + sum(n * u for n, u in zip(parts, units, strict=False))
    return sum(n * unit for n, unit in zip(parts, _UNITS[len(parts) - 1], strict=True))


class Slurm(Spec):
    """What the job of a run asks of Slurm. What is left out is left to Slurm."""

    partition: Word | None = Field(None, description=FIELD_HELP["slurm.partition"])
    account: Word | None = Field(None, description=FIELD_HELP["slurm.account"])
    time: Word | None = Field(None, description=FIELD_HELP["slurm.time"])
    gres: Word | None = Field(None, description=FIELD_HELP["slurm.gres"])
    cpus_per_task: int | None = Field(
        None, ge=1, le=100_000, description=FIELD_HELP["slurm.cpus_per_task"]
    )
    mem: Word | None = Field(None, description=FIELD_HELP["slurm.mem"])
    qos: Word | None = Field(None, description=FIELD_HELP["slurm.qos"])
    constraint: Word | None = Field(None, description=FIELD_HELP["slurm.constraint"])
    nodes: int = Field(1, ge=1, le=1024, description=FIELD_HELP["slurm.nodes"])
    requeues: int = Field(100, ge=0, le=10_000, description=FIELD_HELP["slurm.requeues"])
    args: tuple[Word, ...] = Field((), description=FIELD_HELP["slurm.args"])

    @field_validator("time")
    @classmethod
    def _is_time(cls, time: str | None) -> str | None:
        if time is not None:
            seconds_of(time)
        return time

    @field_validator("args")
    @classmethod
    def _are_options(cls, args: tuple[str, ...]) -> tuple[str, ...]:
        for argument in args:
            name = argument.partition("=")[0]
            if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
                raise ValueError(
                    f"{argument!r} is no option of sbatch: write KEY=VALUE, e.g. mail-type=END"
                )
            if name in OURS:
                raise ValueError(f"{name} is set by advtui: it can't be an argument for sbatch")
        return args

    @property
    def warning_s(self) -> int:
        """Seconds before the time limit at which the job is told to save."""
        limit = None if self.time is None else seconds_of(self.time)
        return WARNING_S if limit is None else max(1, min(WARNING_S, limit // 4))

    def ranks_per_node(self, devices: int) -> int:
        """Processes on each node, of one for each device.

        Raises:
            ValueError: the nodes can't share the devices.
        """
        if devices % self.nodes:
            more = -(-devices // self.nodes) * self.nodes
            raise ValueError(
                f"{devices} {'device' if devices == 1 else 'devices'} can't be shared by "
                f"{self.nodes} nodes: there is one process for each device, so use devices {more}"
            )
        return devices // self.nodes


OURS = (
    *("job-name", "output", "error", "open-mode", "signal", "requeue", "no-requeue", "nodes"),
    *("ntasks", "ntasks-per-node", "dependency", "wrap", "array", "parsable", "wait"),
    *("kill-on-invalid-dep",),
)
"""Options of ``sbatch`` on which the life of a run depends."""
