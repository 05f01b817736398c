"""A home of 10,000 runs of which 100 are broken: every other run is listed."""

import json
import os
import random
import shutil
import time
from pathlib import Path

import pytest
from whole_home import copy_home

from advtui_process import Command
from damaged_files import FILES, damage
from runs.run_index import SETTLED_S
from runs.store import Store
from tui.run_list.feed import HomeFeed

RUNS, BROKEN = 10_000, 100
COLD_S, WARM_S = 15.0, 1.5
"""Seconds for ``advtui runs`` without an index, and with one over ``advtui --help``: three times
what was measured, because other work may run beside."""
FIRST_ROWS_S = 1.0
"""Seconds until the screen, which reads in slices, has the rows of its first page."""


def fill(home: Path, count: int) -> list[str]:
    """Copy the runs of a whole home until there are ``count``; returns their ids, sorted."""
    copy_home(home)
    originals = sorted((home / "runs").iterdir())
    for number in range(count - len(originals)):
        original = originals[number % len(originals)]
        copy = original.with_name(f"{original.name[:-4]}{number + 0x1000:04x}")
        copy.mkdir()
        for file in original.iterdir():
            if file.is_file():
                os.link(file, copy / file.name)  # quick; damage() unlinks before it writes
    return sorted(path.name for path in (home / "runs").iterdir())


@pytest.mark.slow
def test_every_other_run_is_listed(tmp_path: Path) -> None:
    home, rng = tmp_path / "home", random.Random(5)
    ids = fill(home, RUNS)
    broken = set(rng.sample(ids, BROKEN))
    for run_id in broken:
        damage(home / "runs" / run_id / rng.choice(FILES), rng)
    command = Command(home)

    time.sleep(SETTLED_S)  # else the index trusts no file
    cold, cold_s = command.timed("runs", "--json")
    warm, warm_s = command.timed("runs", "--json")
    table_s, help_s = (min(command.timed(word)[1] for _ in range(3)) for word in ("runs", "--help"))
    print(f"--json {cold_s:.2f}, then {warm_s:.2f} s; table {table_s:.2f}, --help {help_s:.2f} s")
    assert {row["id"] for row in json.loads(cold)} >= set(ids) - broken
    assert json.loads(warm) == json.loads(cold)
    assert cold_s < COLD_S
    assert table_s - help_s < WARM_S

    feed = HomeFeed(Store(home))
    began = time.perf_counter()
    while len(feed.rows) < 100:
        feed.step(0.01)
    assert time.perf_counter() - began < FIRST_ROWS_S
    while not feed.step(0.01):
        pass
    assert set(ids) - broken <= feed.rows.keys()
    assert all(not feed.rows[run_id].error.startswith("can't be read") for run_id in ids)
    shutil.rmtree(home)
