"""How often a promise was tried and kept: kills, signals, suspensions, races.

    python -P tests/faults/counts.py kills --count 200 --seed 1

Workers are forked from this process, which has imported torch and uses no thread of it: a worker
starts in a tenth of a second. Prints one JSON object: what was tried, and each case that went
wrong. Knows nothing of pytest; ``test_counts.py`` tries a few of each.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import engine.process.child_at_work
from engine import worker as _everything_that_a_worker_imports  # noqa: F401
from engine.attempt import carry_out_attempt
from engine.process.signals import hold_signals
from engine.training import trainer as _the_rest  # noqa: F401
from runs.interruption import STOP_FILE
from runs.launch import worker_pid
from runs.overrides import override
from runs.presets import preset
from runs.snapshot import read_snapshot
from runs.spec import AnySpec, AttackSpec, CheckpointRef, StudySpec, TrainSpec
from runs.store import Run, Store, remove_folder

SMALL = {"epochs": 3, "width": 4, "train_limit": 256, "batch_size": 32, "val_per_class": 3}
PATIENCE_S = 120.0
"""A worker that takes longer has gone wrong."""


class Forked:
    """A worker that was forked from this process; what a study needs of a ``subprocess.Popen``."""

    def __init__(self, run: Run) -> None:
        (run.path / STOP_FILE).unlink(missing_ok=True)
        self.returncode: int | None = None
        self.peak = 0
        """Largest resident memory, as the system counts it; once the worker has ended."""
        self.pid = os.fork()
        if self.pid == 0:
            _carry_out(run)

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status, used = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
                self.peak = used.ru_maxrss
        return self.returncode

    def wait(self, seconds: float = PATIENCE_S) -> int | None:
        """The exit code; None where it takes longer."""
        until = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        return self.returncode

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()


def _carry_out(run: Run) -> None:
    """The forked process: the worker of a run, as ``python -P -m engine`` has it."""
    code = 70
    try:
        os.setsid()
        hold_signals()
        log = os.open(run.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stderr = open(2, "w", closefd=False, buffering=1)  # noqa: SIM115
        setattr(engine.process.child_at_work, "start_worker", Forked)  # noqa: B010
        code = carry_out_attempt([str(run.path)])
    finally:
        os._exit(code)


@dataclass
class Count:
    """What was tried, and what went wrong."""

    tried: int = 0
    wrong: list[str] = field(default_factory=list)

    def case(self, what: str, problem: str | None) -> None:
        self.tried += 1
        if problem:
            self.wrong.append(f"{what}: {problem}")
        print(f"{self.tried} {what} {problem or 'as promised'}", file=sys.stderr, flush=True)


def _robust() -> TrainSpec:
    spec = preset("demo").child("robust")
    assert isinstance(spec, TrainSpec)
    return override(spec, {**SMALL, "steps": 2, "threads": 1, "ema_decay": 0.9, "share": True})


def _study() -> StudySpec:
    demo = preset("demo")
    small = {"epochs": 2, "width": 4, "train_limit": 128, "batch_size": 32, "val_per_class": 3}
    return demo.model_copy(
        update={
            "share": True,
            "threads": 1,
            "baseline": override(demo.baseline, small),
            "robust": override(demo.robust, {**small, "steps": 1}),
            "attack": override(demo.attack, {"limit": 60, "steps": 5, "batch_size": 16}),
        }
    )


def _attack(training: Run) -> AttackSpec:
    child = preset("demo").child("attack")
    assert isinstance(child, AttackSpec)
    names = ("best_clean", "best_robust")
    references = tuple(
        CheckpointRef(run=training.id, checkpoint=name, label=name) for name in names
    )
    small = override(child, {"limit": 120, "batch_size": 16, "steps": 10, "share": True})
    return small.model_copy(update={"checkpoints": references, "threads": 1})


def outcome(store: Store, run: Run) -> Any:
    """What must not depend on what happened on the way: weights, table, metrics of the epochs."""
    family = [run, *store.children(run)]
    told: dict[str, Any] = {}
    for member in family:
        key = member.role or member.kind
        result = member.raw_result or {}
        told[key] = {
            "state": result.get("state"),
            "rows": _without(result.get("rows"), "seconds", "run", "evaluation", "sha256"),
            "sanity": result.get("sanity"),
            "checkpoints": result.get("checkpoints"),
            "weights": {name: _weights(member.checkpoint(name)) for name in member.checkpoints()},
            "epochs": [
                (event["step"], _without(event["values"], "seconds"))
                for event in read_snapshot(member).epochs
            ],
        }
    return told


def _without(value: Any, *keys: str) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, *keys) for key, item in value.items() if key not in keys}
    return [_without(item, *keys) for item in value] if isinstance(value, list) else value


def _weights(path: Path) -> str:
    content = torch.load(path, weights_only=True)
    total = hashlib.sha256()
    for part in ("state_dict", "current_model_state"):
        for name, tensor in sorted(content.get(part, {}).items()):
            total.update(name.encode() + tensor.numpy().tobytes())
    return total.hexdigest()


def difference(one: Any, other: Any, path: str = "") -> str | None:
    """Where two outcomes differ first; None where they are equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            if found := difference(one.get(key), other.get(key), f"{path}.{key}"):
                return found
        return None
    return None if one == other else f"{path}: {one!r:.200} instead of {other!r:.200}"


def kills(count: int, rng: random.Random, home: Path) -> Count:
    """SIGKILL at random moments of training, attack and study; each is resumed to its end."""
    store, counted = Store(home), Count()
    specs: dict[str, tuple[AnySpec, Any, float]] = {}
    training = store.create(_robust())
    kinds: dict[str, Callable[[], AnySpec]] = {
        "train": _robust,
        "attack": lambda: _attack(training),
        "study": _study,
    }
    for kind, make in kinds.items():
        run = training if kind == "train" else store.create(make())
        began = time.monotonic()
        if Forked(run).wait() != 0:
            raise SystemExit(f"{kind} does not end by itself: {run.log_path}")
        specs[kind] = (run.spec, outcome(store, run), time.monotonic() - began)
    for number in range(count):
        kind = ("train", "study", "attack")[number % 3]
        spec, expected, seconds = specs[kind]
        run = store.create(spec)
        times = rng.choice((1, 1, 2, 3))
        told = []
        for _ in range(times):
            forked = Forked(run)
            moment = rng.uniform(0.0, 1.02 * seconds)
            if forked.wait(moment) is not None:
                break  # it had ended
            told.append(f"{moment:.2f} s {_kill(store, run, forked, rng)}")
        problem = _resumed(store, run, expected)
        counted.case(f"{kind} killed {' then '.join(told) or 'after its end'}", problem)
        if problem is None:
            for member in (run, *store.children(run)):
                remove_folder(member.path)
    return counted


def _kill(store: Store, run: Run, forked: Forked, rng: random.Random) -> str:
    """Kill the worker, of a study also or only that of its child; say which."""
    children = [pid for child in store.children(run) if (pid := worker_pid(child)) is not None]
    who = rng.choice(("worker", "child", "both")) if children else "worker"
    if who in ("child", "both"):
        for pid in children:
            os.kill(pid, signal.SIGKILL)
    if who in ("worker", "both"):
        forked.kill()
    else:
        forked.wait()
    return who


def _resumed(store: Store, run: Run, expected: Any) -> str | None:
    """Resume until the run is completed; what is wrong with what it ends with."""
    for _ in range(4):
        if run.state() == "completed":
            return difference(outcome(store, run), expected)
        if Forked(run).wait() is None:
            return f"a resumed run takes longer than {PATIENCE_S:.0f} s"
    return f"not completed after four resumes: {run.state()}, {run.failure}"


SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)


def signals(count: int, rng: random.Random, home: Path) -> Count:
    """Signals at random moments: a stop within 20 s that can be resumed; SIGHUP changes nothing."""
    store, counted = Store(home), Count()
    spec = _robust()
    whole = store.create(spec)
    began = time.monotonic()
    Forked(whole).wait()
    seconds, expected = time.monotonic() - began, outcome(store, whole)
    for number in range(count):
        signal_ = SIGNALS[number % len(SIGNALS)]
        run = store.create(spec)
        forked = Forked(run)
        moment = rng.uniform(0.0, seconds)
        if forked.wait(moment) is None:
            os.kill(forked.pid, signal_)
        sent = time.monotonic()
        code = forked.wait(PATIENCE_S)
        took, problem = time.monotonic() - sent, None
        if signal_ is signal.SIGHUP:
            problem = None if run.state() == "completed" else f"ended as {run.state()}"
        elif run.state() not in ("interrupted", "completed") or took > 20:
            problem = f"exit code {code} after {took:.1f} s: {run.state()}"
        problem = problem or _resumed(store, run, expected)
        counted.case(f"{signal_.name} at {moment:.2f} s", problem)
    return counted


def commands(count: int, rng: random.Random, home: Path) -> Count:
    """Signals to the command that follows a run: a stop within 20 s, or a run that goes on."""
    store, counted = Store(home), Count()
    whole = store.create(_robust())
    Forked(whole).wait()
    expected = outcome(store, whole)
    words = ("train", "--config", str(whole.path / "spec.json"), "--share")
    for number in range(count):
        signal_, known = SIGNALS[number % len(SIGNALS)], set(store.names())
        command = subprocess.Popen(
            [sys.executable, "-P", "-m", "tui", *words],
            env={**os.environ, "ADVTUI_HOME": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + PATIENCE_S
        while not (new := set(store.names()) - known) and time.monotonic() < until:
            time.sleep(0.02)
        moment = rng.uniform(0.2, 10.0)
        time.sleep(moment)
        command.send_signal(signal_)
        sent = time.monotonic()
        code = command.wait(PATIENCE_S)
        took, run = time.monotonic() - sent, store.find(new.pop())
        while run.has_worker and time.monotonic() < until:
            time.sleep(0.05)
        problem = f"the command takes {took:.1f} s" if took > 20 else None
        goes_on = signal_ is signal.SIGHUP
        if run.state() not in (("completed",) if goes_on else ("interrupted", "completed")):
            problem = problem or f"exit code {code}: {run.state()}"
        problem = problem or _resumed(store, run, expected)
        counted.case(f"command, {signal_.name} at {moment:.2f} s", problem)
    return counted


def races(count: int, rng: random.Random, home: Path) -> Count:
    """Two workers of one run at once: one has it, and the other says who does."""
    store, counted = Store(home), Count()
    spec = _robust()
    for _ in range(count):
        run = store.create(spec)
        first = Forked(run)
        time.sleep(rng.choice((0.0, 0.0, rng.uniform(0, 0.2))))
        pair = (first, Forked(run))
        until = time.monotonic() + PATIENCE_S
        while all(one.poll() is None for one in pair) and time.monotonic() < until:
            time.sleep(0.02)
        lost = [one for one in pair if one.poll() is not None]
        problem = None
        winner = next((one for one in pair if one.poll() is None), None)
        log = run.log_path.read_text()
        if len(lost) != 1 or winner is None or lost[0].returncode != 1:
            problem = f"{len(lost)} of two ended: {[one.returncode for one in pair]}"
        elif f"is being carried out by process {winner.pid} on " not in log:
            problem = f"the loser does not name the winner {winner.pid}: {log[-300:]}"
        for one in pair:
            one.kill()
        counted.case("two workers", problem)
        remove_folder(run.path)
    return counted


def suspensions(count: int, rng: random.Random, home: Path) -> Count:
    """Workers suspended for 45 s: unresponsive, neither removed nor started twice; then awake."""
    from runs.errors import UserError
    from runs.launch import request_stop

    store, counted = Store(home), Count()
    spec = override(_robust(), {"epochs": 400})
    pairs = []
    for _ in range(count):
        run = store.create(spec)
        forked = Forked(run)
        until = time.monotonic() + PATIENCE_S
        while not run.checkpoint("last").is_file() and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(rng.uniform(0.0, 0.3))
        os.kill(forked.pid, signal.SIGSTOP)
        pairs.append((run, forked, time.monotonic()))
    for number, (run, forked, since) in enumerate(pairs):
        time.sleep(max(0.0, since + 45 - time.monotonic()))
        problem = None if run.state() == "unresponsive" else f"it is {run.state()}"
        try:
            store.delete(run)
            problem = problem or "it was deleted"
        except UserError:
            pass
        second = Forked(run)
        if second.wait() != 1:
            problem = problem or f"a second worker ended with {second.returncode}"
        if number % 2:
            request_stop(run)
        os.kill(forked.pid, signal.SIGCONT)
        if number % 2:
            if forked.wait(20) is None or run.state() != "interrupted":
                problem = problem or f"woken after a stop it is {run.state()}"
        else:
            time.sleep(1.5)
            if run.state() != "running" or forked.poll() is not None:
                problem = problem or f"woken it is {run.state()}"
        forked.kill()
        counted.case("suspended 45 s", problem)
    return counted


def memory(count: int, rng: random.Random, home: Path) -> Count:  # noqa: ARG001 (nothing is drawn)
    """Runs one after another with a screen attached: its memory, and that of the workers, is flat.

    After the third run neither grows by more than 5 %.
    """
    sys.path.append(str(Path(__file__).parents[1] / "support"))
    import psutil

    from real_terminal import Terminal

    store, counted = Store(home), Count()
    with contextlib.closing(Terminal(home)) as terminal:
        screen = psutil.Process(terminal.process.pid)
        terminal.read(3.0)
        resident, peaks = [], []
        for number in range(count):
            run = store.create(_robust())
            forked = Forked(run)
            while forked.poll() is None:
                terminal.read(0.2)
            terminal.read(2.0)
            resident.append(screen.memory_info().rss)
            peaks.append(forked.peak)
            problem = None if run.state() == "completed" else f"it is {run.state()}"
            for what, values in (("screen", resident), ("worker", peaks)):
                if number > 2 and values[-1] > 1.05 * values[2]:
                    problem = problem or f"{what}: {values[2]} then {values[-1]}"
            counted.case(f"screen {resident[-1] / 2**20:.1f} MiB", problem)
    return counted


WHAT = {
    "kills": kills,
    "signals": signals,
    "commands": commands,
    "races": races,
    "suspensions": suspensions,
    "memory": memory,
}


@contextmanager
def _home(named: str | None) -> Iterator[Path]:
    if named:
        yield Path(named)
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--home")
    given = parser.parse_args()
    torch.set_num_threads(1)
    began = time.monotonic()
    with _home(given.home) as home:
        counted = WHAT[given.what](given.count, random.Random(given.seed), home)
    print(
        json.dumps(
            {
                "what": given.what,
                "seed": given.seed,
                "tried": counted.tried,
                "as_promised": counted.tried - len(counted.wrong),
                "wrong": counted.wrong,
                "seconds": round(time.monotonic() - began),
            }
        )
    )


if __name__ == "__main__":
    main()
