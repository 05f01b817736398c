"""Some kills, signals, races and suspensions with each run of the slow tests; more by hand.

The manual has the counts that were reached: ``tests/faults/counts.py``.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

COUNTS = Path(__file__).with_name("counts.py")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "count"),
    [
        ("kills", 9),
        ("signals", 8),
        ("commands", 4),
        ("races", 6),
        ("suspensions", 2),
        ("memory", 6),
    ],
)
def test_it_is_as_promised_each_time(what: str, count: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", str(COUNTS), what, "--count", str(count), "--home", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["wrong"] == []
    assert told["tried"] == told["as_promised"] == count
