"""A sweep of 10,000 points in one home: how long its table, the list and a start take.

Prints the figures of the manual's page *scaling*: ``pytest -m slow -s
tests/benchmarks/test_sweep_home.py``. The runs are fabricated: their files are those of real ones.
"""

import json
import time
from pathlib import Path

import pytest

from advtui_process import Command
from runs.run_index import SETTLED_S
from runs.spec import SweepSpec
from runs.store import Run, Store
from runs.sweep_points import PointRuns, point_spec, points_of
from tiny_training import tiny

LRS, DECAYS, SEEDS = 100, 50, 2
TABLE_S, LIST_S, START_S = 30.0, 40.0, 60.0
"""Seconds that may pass at most: three times what was measured, for other work beside."""
CHECKPOINTS = ("best_clean", "best_robust", "last")


def fabricate(store: Store) -> Run:
    """A sweep whose 10,000 points are completed."""
    grid = {
        "lr": tuple(round(0.01 * (n + 1), 2) for n in range(LRS)),
        "weight_decay": tuple(1e-5 * (n + 1) for n in range(DECAYS)),
    }
    base = tiny(device="cpu")
    fields = {"data": "digits", "base": base, "grid": grid, "seeds": tuple(range(SEEDS))}
    spec = SweepSpec.model_validate(fields)
    sweep = store.create(spec)
    points, ids = points_of(sweep, spec), {}
    plain = point_spec(spec, points[0]).model_dump(mode="json")
    for number, point in enumerate(points):
        run = Run(store.folder / f"20261127-{number // 65536:06d}-robust-{number % 65536:04x}")
        run.path.mkdir()
        ids[point.key] = run.id
        header = {"id": run.id, "created": 1.7e9 + number, "parent": sweep.id, "role": "point"}
        own = {**plain, **point.values, "seed": point.seed, "name": point.title, "run": header}
        value = (number * 7919 % 10_000) / 10_000
        kept = {name: {"epoch": 1, "step": 8, "value": value} for name in CHECKPOINTS}
        result = {"v": 1, "kind": "train", "state": "completed", "val_images": 150}
        result |= {"checkpoints": kept, "working_seconds": 2.0, "waiting_seconds": 1.0}
        (run.path / "spec.json").write_text(json.dumps(own), encoding="utf-8")
        (run.path / "result.json").write_text(json.dumps(result), encoding="utf-8")
        event = {"v": 1, "t": 1.7e9 + number, "kind": "ended", "state": "completed", "seconds": 2}
        (run.path / "events.jsonl").write_text(json.dumps(event) + "\n", encoding="utf-8")
        (run.path / "checkpoints").mkdir()
        for name in CHECKPOINTS:
            run.checkpoint(name).touch()
    (sweep.path / "points.json").write_text(json.dumps({"runs": ids}), encoding="utf-8")
    (sweep.path / "result.json").write_text(
        json.dumps({"v": 1, "kind": "sweep", "state": "completed"}), encoding="utf-8"
    )
    return sweep


@pytest.mark.slow
def test_a_sweep_of_ten_thousand_points(tmp_path: Path) -> None:
    command = Command(tmp_path / "home")
    store = Store(command.home)
    store.folder.mkdir(parents=True)
    sweep = fabricate(store)

    time.sleep(SETTLED_S)  # else the index trusts no file
    listed, cold_s = command.timed("runs", "--json")
    _, warm_s = command.timed("runs", "--json")
    table, table_s = command.timed("compare", sweep.id, "--json")
    began = time.perf_counter()
    same = SweepSpec.model_validate({**sweep.spec.model_dump(), "name": "again"})
    again = store.create(same)
    runs = PointRuns(store, again, same)
    first = runs.run_of(points_of(again, same)[0])
    start_s = time.perf_counter() - began
    print(
        f"runs {cold_s:.1f} s, with its index {warm_s:.1f} s; table {table_s:.1f} s; "
        f"looking up equal runs {start_s:.1f} s"
    )
    assert len(json.loads(listed)) == 1 + LRS * DECAYS * SEEDS
    rows = json.loads(table)["rows"]
    assert len(rows) == LRS * DECAYS
    means = [row["best_robust"]["mean"] for row in rows]
    assert means == sorted(means, reverse=True)
    assert first.parent == sweep.id  # a completed point of the first sweep stands for it
    assert table_s < TABLE_S
    assert cold_s < LIST_S
    assert start_s < START_S
