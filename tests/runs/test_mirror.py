"""Runs in loggers, read back through the loggers' own readers."""

import importlib.util
import json
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fixed_home import build
from runs.errors import UserError
from runs.live_mirror import parse_places
from runs.mirror import Mirror, mirror_runs
from runs.mirror_content import Content, ContentReader, Point
from runs.mirror_writers import LOGGERS, _mlflow_name, mlflow_address
from runs.snapshot import read_snapshot
from runs.store import Run, Store

Read = tuple[str, int, float]
"""Name, step and value."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, dict[str, str]]:
    folder: Path = tmp_path_factory.mktemp("mirrors")
    return Store(folder), build(folder)


def from_tensorboard(folder: Path, content: Content) -> Counter[Read]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    place = folder / (content.group or "") / content.run
    found = EventAccumulator(str(place), size_guidance={"scalars": 0})
    found.Reload()
    return Counter(
        (name, scalar.step, scalar.value)
        for name in found.Tags()["scalars"]
        for scalar in found.Scalars(name)
    )


def from_mlflow(folder: Path, content: Content) -> Counter[Read]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=mlflow_address(folder))
    experiment = client.get_experiment_by_name("advtui")
    (run,) = client.search_runs([experiment.experiment_id], f"tags.`advtui.run` = '{content.run}'")
    assert run.data.params["run.kind"] == content.parameters["run.kind"]
    assert ("mlflow.parentRunId" in run.data.tags) == (content.group is not None)
    return Counter(
        (name, metric.step, metric.value)
        for name in run.data.metrics
        for metric in client.get_metric_history(run.info.run_id, name)
    )


def from_trackio(_: Path, content: Content) -> Counter[Read]:
    from trackio.sqlite_storage import SQLiteStorage

    return Counter(
        (name, line["step"], value)
        for line in SQLiteStorage.get_logs("advtui", content.run)
        for name, value in line.items()
        if name not in ("step", "timestamp")
    )


def wandb_records(content: bytes) -> Iterator[bytes]:
    """The records of an offline run: LevelDB's log format behind a head of seven bytes."""
    place, record = 7, b""
    while place + 7 <= len(content):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        length, kind = struct.unpack_from("<HB", content, place + 4)
        record += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


def from_wandb(folder: Path, content: Content) -> Counter[Read]:
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = (folder / "wandb").glob(f"offline-run-*/run-{content.run}.wandb")
    found: Counter[Read] = Counter()
    for data in wandb_records(file.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        values: dict[str, Any] = {
            item.key or "/".join(item.nested_key): json.loads(item.value_json)
            for item in record.history.item
        }
        for name in values:
            if "/" in name:
                axis = name.partition("/")[0]
                found[name, values.get(axis, 0), values[name]] += 1
    return found


READERS: dict[str, Callable[[Path, Content], Counter[Read]]] = {
    "tensorboard": from_tensorboard,
    "mlflow": from_mlflow,
    "wandb": from_wandb,
    "trackio": from_trackio,
}


def expected(logger: str, points: tuple[Point, ...]) -> Counter[Read]:
    import numpy as np

    name = _mlflow_name if logger == "mlflow" else str
    value = (lambda number: float(np.float32(number))) if logger == "tensorboard" else float
    has_step = logger != "wandb"
    return Counter(
        (name(p.name), p.step if has_step or p.name[:4] in ("epoc", "step") else 0, value(p.value))
        for p in points
    )


@pytest.mark.parametrize("logger", LOGGERS)
def test_a_study_mirrored_twice_is_there_once_with_the_figures_of_its_events(
    home: tuple[Store, dict[str, str]], logger: str
) -> None:
    if importlib.util.find_spec(logger) is None:
        pytest.skip(f"not installed: pip install 'advtui[{logger}]'")
    store, ids = home
    folder = store.home / "mirrors" / logger
    for _ in range(2):
        mirrored = mirror_runs(store, [ids["study"]], logger, folder)
    assert len(mirrored) == 4
    for run in mirrored:
        content = ContentReader(store, run).content()
        assert content.points
        assert READERS[logger](folder, content) == expected(logger, content.points)


def test_points_taken_back_by_a_resume_leave_the_logger(
    home: tuple[Store, dict[str, str]], tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard", reason="not installed: pip install 'advtui[tensorboard]'")
    store, ids = home
    run = Run(store.folder / ids["interrupted"])
    mirror = Mirror(store, run, "tensorboard", tmp_path)
    mirror.update()
    epochs = read_snapshot(run).epochs
    resumed = {"epoch": epochs[0]["epoch"], "step": epochs[0]["step"]}
    again = {**epochs[1], "values": {"val_accuracy": 0.5}}
    with run.events_path.open("a") as events:
        for event in (
            {
                "v": 1,
                "t": epochs[-1]["t"],
                "kind": "started",
                "attempt": 2,
                "resumed_from": resumed,
            },
            again,
        ):
            events.write(json.dumps(event) + "\n")
    mirror.update()
    mirror.close()
    content = ContentReader(store, run).content()
    assert from_tensorboard(tmp_path, content) == expected("tensorboard", content.points)
    assert [p.value for p in content.points if p.name == "epoch/val_accuracy"][1:] == [0.5]


def test_the_curves_are_those_of_the_events(home: tuple[Store, dict[str, str]]) -> None:
    store, ids = home
    run = store.find(ids["robust"])
    content = ContentReader(store, run).content()
    assert content.group == ids["study"]
    assert content.parameters["attack.eps"] == run.raw_spec["attack"]["eps"]
    for event in read_snapshot(run).epochs:
        for name, value in event["values"].items():
            assert value is not None
            assert Point(f"epoch/{name}", value, event["epoch"], event["t"]) in content.points


def test_a_logger_that_is_not_installed_is_told_with_the_line_that_installs_it(
    home: tuple[Store, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, ids = home
    monkeypatch.setitem(sys.modules, "mlflow", None)
    for asked in (
        lambda: mirror_runs(store, [ids["study"]], "mlflow", store.home / "none"),
        lambda: parse_places(["mlflow"], store.home),
    ):
        with pytest.raises(UserError, match=r"pip install 'advtui\[mlflow\]'"):
            asked()
    with pytest.raises(UserError, match="unknown logger 'excel': tensorboard"):
        mirror_runs(store, [ids["study"]], "excel", store.home / "none")
    assert not (store.home / "none").exists()
