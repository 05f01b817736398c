"""Writers of runs into loggers, each through the logger's own library.

A library is imported where its writer is made, and only there. A run that a logger has already is
replaced, or continued where it holds nothing else: it is never there twice. The module knows
nothing about the files of a run.
"""

import contextlib
import importlib.util
import os
import re
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from runs.errors import UserError
from runs.mirror_content import Content, Point

LOGGERS = ("tensorboard", "mlflow", "wandb", "trackio")
PROJECT = "advtui"
"""Name of the experiment or project in the logger."""
MLFLOW_BATCH = 1000
"""Metrics that MLflow takes at once."""


class Writer(Protocol):
    """One run in a logger."""

    def begin(self, content: Content) -> None:
        """Make the run with its parameters, in the place of what the logger has of it."""

    def add(self, points: Sequence[Point]) -> None:
        """Append points."""

    def end(self, state: str) -> None:
        """Note how the run ended, and close it."""


def check_logger(name: str) -> None:
    """Refuse a logger that is unknown or not installed; its library is not imported.

    Raises:
        UserError: with the line that installs it.
    """
    if name not in LOGGERS:
        raise UserError(f"unknown logger {name!r}: {', '.join(LOGGERS)}")
    if importlib.util.find_spec(name) is None:
        raise UserError(f"{name} is not installed: pip install 'advtui[{name}]'")


def writer(name: str, folder: Path) -> Writer:
    """A writer for one run.

    Args:
        name: of :data:`LOGGERS`.
        folder: of the logger; it is made where it is absent.

    Raises:
        UserError: the logger is unknown or not installed, or the folder can't be made.
    """
    check_logger(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} can't be made: {error.strerror}") from None
    kinds: dict[str, Callable[[Path], Writer]] = {
        "tensorboard": TensorBoardWriter,
        "mlflow": MlflowWriter,
        "wandb": WandbWriter,
        "trackio": TrackioWriter,
    }
    return kinds[name](folder)


def opening(name: str, folder: Path) -> str:
    """The command that opens what is in the folder."""
    place = str(folder)
    return {
        "tensorboard": f"tensorboard --logdir '{place}'",
        "mlflow": f"mlflow ui --backend-store-uri '{mlflow_address(folder)}'",
        "wandb": f"wandb sync '{place}'/wandb/offline-run-*",
        "trackio": f"TRACKIO_DIR='{place}' trackio show --project {PROJECT}",
    }[name]


def mlflow_address(folder: Path) -> str:
    """The store of MLflow in a folder: a file of SQLite."""
    return f"sqlite:///{folder / 'mlflow.db'}"


class TensorBoardWriter:
    """Event files, in a folder for each run; children lie in the folder of their group."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._make, self._folder = EventFileWriter, folder
        self._open: Any = None

    def begin(self, content: Content) -> None:
        from tensorboard.plugins.hparams import summary_v2

        place = self._folder / (content.group or "") / content.run
        for old in place.glob("events.out.tfevents.*"):
            old.unlink()
        self._open = self._make(str(place))
        parameters = summary_v2.hparams_pb(_simple(content.parameters), trial_id=content.run)
        self._write(parameters, 0, None)

    def add(self, points: Sequence[Point]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        for point in points:
            value = Summary.Value(tag=point.name, simple_value=point.value)
            self._write(Summary(value=[value]), point.step, point.t)
        self._open.flush()

    def end(self, state: str) -> None:  # noqa: ARG002 (TensorBoard keeps no state of a run)
        self._open.close()

    def _write(self, summary: Any, step: int, t: float | None) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        event = Event(summary=summary, step=step)
        event.wall_time = datetime.now(UTC).timestamp() if t is None else t
        self._open.add_event(event)


class MlflowWriter:
    """Runs of the experiment ``advtui`` in a file of SQLite; children have their group as parent.

    A run that holds only points of the content is continued; any other is deleted, which MLflow
    undoes with ``mlflow runs restore``.
    """

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient(tracking_uri=mlflow_address(folder))
        known = self._client.get_experiment_by_name(PROJECT)
        self._experiment = (
            self._client.create_experiment(PROJECT, (folder / "artifacts").as_uri())
            if known is None
            else known.experiment_id
        )
        self._run, self._there = "", set[tuple[str, float, int, int]]()

    def begin(self, content: Content) -> None:
        wanted = {_mlflow_metric(point) for point in content.points}
        old = self._known(content.run)
        self._there = set() if old is None else self._points_of(old)
        if old is not None and not self._there <= wanted:
            self._client.delete_run(old.info.run_id)
            old, self._there = None, set()
        if old is not None:
            self._run = old.info.run_id
            self._client.set_terminated(self._run, "RUNNING")
            return
        tags = {"mlflow.runName": content.run, "advtui.run": content.run}
        if content.group is not None:
            tags["advtui.group"] = content.group
            if (above := self._known(content.group)) is not None:
                tags["mlflow.parentRunId"] = above.info.run_id
        self._run = self._client.create_run(self._experiment, tags=tags).info.run_id
        from mlflow.entities import Param

        params = [Param(_mlflow_name(k), str(v)[:6000]) for k, v in content.parameters.items()]
        for begin in range(0, len(params), 100):
            self._client.log_batch(self._run, params=params[begin : begin + 100])

    def add(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        keys = dict.fromkeys(map(_mlflow_metric, points))
        new = [Metric(*key[:2], key[3], key[2]) for key in keys if key not in self._there]
        for begin in range(0, len(new), MLFLOW_BATCH):
            self._client.log_batch(self._run, metrics=new[begin : begin + MLFLOW_BATCH])

    def end(self, state: str) -> None:
        words = {"completed": "FINISHED", "interrupted": "KILLED"}
        self._client.set_tag(self._run, "advtui.state", state)
        self._client.set_terminated(self._run, words.get(state, "FAILED"))

    def _known(self, run: str) -> Any:
        found = self._client.search_runs([self._experiment], f"tags.`advtui.run` = '{run}'")
        return found[0] if found else None

    def _points_of(self, run: Any) -> set[tuple[str, float, int, int]]:
        return {
            (metric.key, metric.value, metric.step, metric.timestamp)
            for name in run.data.metrics
            for metric in self._client.get_metric_history(run.info.run_id, name)
        }


def _mlflow_name(name: str) -> str:
    """A name with no character that MLflow refuses."""
    return re.sub(r"[^\w\-. /]", "_", name, flags=re.ASCII)


def _mlflow_metric(point: Point) -> tuple[str, float, int, int]:
    """Name, value, step and milliseconds."""
    return _mlflow_name(point.name), point.value, point.step, int(1000 * point.t)


class WandbWriter:
    """Offline runs, in a folder for each; ``wandb sync`` sends them. Needs no account.

    The curves have their own steps: ``epoch`` and ``step``.
    """

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self._wandb, self._folder = wandb, folder
        self._run: Any = None

    def begin(self, content: Content) -> None:
        for old in (self._folder / "wandb").glob(f"offline-run-*-{content.run}"):
            shutil.rmtree(old)
        quiet = {"silent": True, "console": "off", "x_disable_stats": True, "disable_git": True}
        self._run = self._wandb.init(
            project=PROJECT,
            id=content.run,
            name=content.run,
            group=content.group,
            dir=str(self._folder),
            mode="offline",
            config=content.parameters,
            reinit="create_new",  # several runs at once: a study and its children
            settings=self._wandb.Settings(**quiet, x_save_requirements=False, x_disable_meta=True),
        )
        for axis in ("epoch", "step"):
            self._run.define_metric(f"{axis}/*", step_metric=axis)

    def add(self, points: Sequence[Point]) -> None:
        for point in points:
            axis = point.name.partition("/")[0]
            place = {axis: point.step} if axis in ("epoch", "step") else {}
            self._run.log({point.name: point.value, "_timestamp": point.t, **place})

    def end(self, state: str) -> None:
        self._run.summary["state"] = state
        self._run.finish(exit_code=0 if state == "completed" else 1)


class TrackioWriter:
    """Runs of the project ``advtui`` in trackio's folder; nothing leaves the machine."""

    def __init__(self, folder: Path) -> None:
        os.environ["TRACKIO_DIR"] = str(folder)  # read where trackio is imported
        with contextlib.redirect_stdout(None):
            from trackio import utils
            from trackio.sqlite_storage import SQLiteStorage
        if Path(utils.TRACKIO_DIR) != folder:
            raise UserError(f"this process writes to trackio in {utils.TRACKIO_DIR} already")
        self._storage: Any = SQLiteStorage
        self._run, self._config = "", dict[str, Any]()

    def begin(self, content: Content) -> None:
        self._storage.delete_run(PROJECT, content.run)
        group = {} if content.group is None else {"_Group": content.group}
        self._run, self._config = content.run, {**content.parameters, **group}

    def add(self, points: Sequence[Point]) -> None:
        if points:
            self._storage.bulk_log(
                PROJECT,
                self._run,
                [{point.name: point.value} for point in points],
                steps=[point.step for point in points],
                timestamps=[datetime.fromtimestamp(p.t, UTC).isoformat() for p in points],
                config=self._config,
            )

    def end(self, state: str) -> None:
        """Nothing is open; trackio keeps no state of a run."""


def _simple(parameters: dict[str, Any]) -> dict[str, Any]:
    """Values as TensorBoard takes them: numbers, texts and truth values."""
    simple = (bool, int, float, str)
    return {k: v if isinstance(v, simple) else str(v) for k, v in parameters.items()}
