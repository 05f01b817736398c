"""One run for each of several seeds: start all, follow them in turn, print the mean.

All workers are started at once, each in its own session: all seeds survive a dropped terminal. They
use the device in the order of the seeds (:mod:`engine.process.device_queue`); with ``share`` none
waits.
"""

import contextlib
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import RenderableType

from runs.checks import check_request
from runs.errors import UserError
from runs.launch import create_and_start, request_stop
from runs.live_mirror import Place, parse_places
from runs.overrides import override
from runs.result_types import file_rows
from runs.seeds import mean_over_seeds, trainings_over_seeds
from runs.spec import StudySpec, TrainSpec
from runs.store import Run, Store
from tui.commands.follow import failure, report_end, show, start_and_follow, stopping
from tui.commands.live_view import make_view
from tui.commands.output import print_result, stdout_console
from tui.commands.plain_output import open_store, print_json, say
from tui.render.seed_table import mean_comparison, trainings

Begun = list[tuple[Run, subprocess.Popen[bytes] | None]]
"""Runs with their workers; None of a run in Slurm."""


def parse_seeds(
    text: str | None, seed: int | None, sets: Sequence[str] | None
) -> tuple[int, ...] | None:
    """``0,1,2`` as numbers; None where --seeds was not used.

    Raises:
        UserError: the text is no list of different seeds in [0, 2³¹), or --seed is given too.
    """
    if text is None:
        return None
    if seed is not None or any(item.partition("=")[0].strip() == "seed" for item in sets or ()):
        raise UserError("--seed and --seeds exclude each other: give only one")
    parts = [part.strip() for part in text.split(",")]
    if not any(parts):
        raise UserError("--seeds names no seed: write e.g. --seeds 0,1,2")
    for part in parts:
        if not re.fullmatch("[0-9]{1,10}", part) or int(part) >= 2**31:
            raise UserError(f"--seeds {text}: {part!r} is no whole number from 0 to {2**31 - 1}")
    seeds = tuple(int(part) for part in parts)
    for number in seeds:
        if seeds.count(number) > 1:
            raise UserError(f"--seeds {text}: {number} stands there more than once")
    return seeds


def launch_each(
    spec: TrainSpec | StudySpec,
    seeds: Sequence[int] | None,
    home: Path | None,
    tags: Sequence[str] | None,
    *,
    detach: bool,
    as_json: bool,
    logs: Sequence[str] = (),
) -> None:
    """Start a run for each seed and follow them to their ends; without seeds a single run.

    Raises:
        UserError: a worker refused its run before it started; the runs not started are deleted.
        typer.Exit: with the exit code of the first run that was not completed.
    """
    if seeds is None:
        start_and_follow(spec, home, tags, detach=detach, as_json=as_json, logs=logs)
        return
    store = open_store(home)
    group = f"seeds-{os.urandom(2).hex()}"
    places = parse_places(logs, store.home)
    specs = [_with_seed(spec, seed) for seed in seeds]
    begun = _begin(store, specs, [*(tags or ()), group], places)
    say(f"{len(begun)} runs with the tag {group}")
    if detach:
        for run, _ in begun:
            print(run.id)
        return
    if not as_json:
        in_slurm = any(worker is None for _, worker in begun)
        stays = "Ctrl-C leaves them in Slurm; advtui stop takes them back"
        say(stays if in_slurm else "Ctrl-C stops them all at their next step")
    try:
        codes = _follow(store, begun, as_json=as_json)
    except KeyboardInterrupt:
        if any(worker is not None for _, worker in begun):
            raise
        say("detached; the runs continue")
        raise typer.Exit(0) from None
    _conclude(store, [run for run, _ in begun], group, as_json=as_json)
    raise typer.Exit(next((code for code in codes if code), 0))


def _with_seed(spec: TrainSpec | StudySpec, seed: int) -> TrainSpec | StudySpec:
    name = f"{spec.name} seed {seed}" if spec.name else None
    return override(spec, {"seed": seed, "name": name})


def _begin(
    store: Store,
    specs: Sequence[TrainSpec | StudySpec],
    tags: Sequence[str],
    places: Sequence[Place],
) -> Begun:
    """Start all runs; if one cannot start, stop and delete the others."""
    check_request(specs[0], store.home)
    begun: Begun = []
    try:
        for spec in specs:
            begun.append(create_and_start(store, spec, tags, places))
    except BaseException:
        _withdraw(store, begun)
        raise
    return begun


def _withdraw(store: Store, begun: Begun) -> None:
    """Stop and delete the runs that have not started to work."""
    waiting = [(run, worker) for run, worker in begun if not run.was_started]
    for run, _ in waiting:
        if run.result is None:
            request_stop(run)
    for run, worker in waiting:
        if worker is not None:
            worker.wait()
        if not run.was_started:
            with contextlib.suppress(UserError):  # one that exited without a result counts as live
                store.delete(run)


def _follow(store: Store, begun: Begun, *, as_json: bool) -> list[int]:
    """Show the runs one after another; returns their exit codes.

    Raises:
        UserError: a worker refused its run before it started, as those of other seeds would.
    """
    codes = []
    with stopping([run for run, worker in begun if worker is not None]) as asked:
        for run, worker in begun:
            if not as_json:
                say(f"{run.id}: seed {run.raw_spec['seed']}")
            code = show(run, worker, make_view(run, as_json=as_json), asked)
            refusal = failure(run)
            if refusal and not run.was_started:
                _withdraw(store, begun)
                raise UserError(refusal["message"], exit_code=code)
            if as_json:
                print_result(run, as_json=True)
            report_end(run, code, worker)
            codes.append(code)
    return codes


def _conclude(store: Store, runs: Sequence[Run], group: str, *, as_json: bool) -> None:
    """Print the table over the completed seeds; as JSON together with the state of every seed."""
    completed = [run for run in runs if run.state() == "completed"]
    shown: RenderableType | None = None
    data: dict[str, object] = {}
    if completed and runs[0].kind == "train":
        seed_table = trainings_over_seeds(completed)
        shown, data = trainings(seed_table), {**seed_table}
    elif completed:
        means = mean_over_seeds(store, [run.id for run in completed])
        shown = mean_comparison(means)
        data = {**means, "rows": file_rows(means["rows"], means["threat_model"])}
    if as_json:
        members = [{"run": r.id, "seed": r.raw_spec["seed"], "state": r.state()} for r in runs]
        whole = {"tag": group, "members": members, **data}
        print_json(whole, indent=None)
        return
    if shown is None:
        return
    stdout_console().print(shown)
    if len(completed) < len(runs):
        say(f"{len(completed)} of {len(runs)} seeds completed; the table covers only these")
    if runs[0].kind != "train":
        say(f"print it again: advtui compare --mean {' '.join(run.id for run in completed)}")
