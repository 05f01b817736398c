"""What the checkpoints of a training hold, told by the files themselves.

A worker may be killed between the writing of a checkpoint and of its event, so events alone are no
record. Knows nothing about how checkpoints are written.
"""

from collections.abc import Mapping
from typing import Any

from engine.models.checkpoint import read_checkpoint
from runs.checksums import sha256_of
from runs.errors import UserError
from runs.events import EventWriter
from runs.result_types import KeptCheckpoint
from runs.snapshot import read_snapshot
from runs.store import Run

MONITORS = {"best_clean": "val_accuracy", "best_robust": "val_robust_accuracy"}
"""The metric whose highest value decides which epoch each of these checkpoints holds."""


def kept_checkpoint(name: str, content: Mapping[str, Any]) -> KeptCheckpoint:
    """What a checkpoint of this name holds, from its content.

    The value of its metric is in the state of the callback that saved it.
    """
    monitor, value = MONITORS.get(name), None
    for state in content.get("callbacks", {}).values():
        if monitor is not None and isinstance(state, dict) and state.get("monitor") == monitor:
            value = float(state["best_model_score"])
    return {
        "epoch": int(content["epoch"]),
        "step": int(content["global_step"]),
        "monitor": monitor,
        "value": value,
    }


def settle_record(run: Run, events: EventWriter) -> dict[str, KeptCheckpoint]:
    """What the run's checkpoints hold; of what its events say differently, it writes an event.

    A damaged checkpoint is left out.
    """
    record: dict[str, KeptCheckpoint] = {}
    for name in run.checkpoints():
        try:
            content = read_checkpoint(run.checkpoint(name), facts_only=True)
            record[name] = kept_checkpoint(name, content)
        except (UserError, KeyError, TypeError, ValueError):
            continue
    told = read_snapshot(run).checkpoints if record else {}
    for name, kept in record.items():
        if told.get(name) != kept:
            sha256 = sha256_of(run.checkpoint(name))
            events.write("checkpoint", name=name, **kept, sha256=sha256)
    return record
