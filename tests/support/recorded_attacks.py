"""Two attack runs as their workers wrote them: spec, events, and the table of their results.

The first attacks the checkpoints of a study, the second its robust training at three ε. Events are
those of the attacks and of the sanity panel; times are in seconds from the first event.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from runs.result_types import Table, parse_result
from runs.spec import AttackSpec, parse_spec

RECORDED = Path(__file__).parents[1] / "runs" / "recorded" / "attack-runs.jsonl"


class RecordedAttack(NamedTuple):
    """An attack run: its id, spec, events in their order, and the table of its result."""

    id: str
    spec: AttackSpec
    events: list[Any]
    table: Table


@cache
def recorded_attacks() -> tuple[RecordedAttack, ...]:
    """The attacks on a study, and those at several ε."""
    return tuple(_read(json.loads(line)) for line in RECORDED.read_text().splitlines())


def _read(fields: dict[str, Any]) -> RecordedAttack:
    spec = parse_spec(fields["spec"])
    assert isinstance(spec, AttackSpec)
    result = parse_result({"state": "completed", **fields})
    assert result is not None
    table: Table = {"threat_model": result["threat_model"], "rows": result["rows"]}
    return RecordedAttack(fields["id"], spec, [{"v": 1, **e} for e in fields["events"]], table)
