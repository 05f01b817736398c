"""Runs use a device in the order of their creation, whoever comes first and whoever is killed."""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

import runs
from advtui_process import TINY, Command, wait_for
from engine.process.device_queue import POLL_S, DeviceQueue, Place
from engine.process.stop_signal import StopRequested, StopSignal
from runs.events import last_events
from runs.launch import request_stop, start_worker
from runs.presets import preset
from runs.snapshot import read_snapshot
from runs.spec import AttackSpec, StudySpec, TrainSpec
from runs.store import Run, Store

DEMO = preset("demo")
WORKER = """
import sys, time
from pathlib import Path
from engine.process.device_queue import DeviceQueue
from runs.store import Run

folder, seconds, log = Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])
def note(word):
    with log.open("a") as stream:
        stream.write(f"{word} {folder.name}\\n")
queue = DeviceQueue(Run(folder), on_gpu=False, on_place=lambda place: None, check_stop=lambda: None)
with queue.first_free(sys.argv[4:] or ["cpu"]) as name:
    note(f"begins {time.time()} {name}")
    time.sleep(seconds)
    note(f"ends {time.time()} {name}")
queue.release()
"""
"""A run that needs one of some devices for some seconds."""
STUDY = """
import subprocess, sys
from pathlib import Path
from engine.process.device_queue import DeviceQueue
from runs.presets import preset
from runs.store import Run, Store

folder, worker = Path(sys.argv[1]), sys.argv[4]
queue = DeviceQueue(Run(folder), on_gpu=False, on_place=lambda place: None, check_stop=lambda: None)
for role in ("baseline", "robust", "attack"):
    store = Store(folder.parents[1])
    child = store.create(preset("demo").child(role), parent=folder.name, role=role)
    command = [sys.executable, "-c", worker, str(child.path), *sys.argv[2:4]]
    subprocess.run(command, check=True)
queue.release()
"""
"""A study: three children in turn, each created when the one before it has ended."""


class Workers:
    """Processes that queue for the device of one home."""

    def __init__(self, home: Path, log: Path) -> None:
        self.store, self.log = Store(home), log
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        root = Path(runs.__file__).parents[1]
        self._environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONSAFEPATH": "1"}

    def create(self, spec: TrainSpec | AttackSpec | StudySpec) -> Run:
        return self.store.create(spec)

    def start(self, run: Run, seconds: float = 0.05, names: Sequence[str] = ()) -> None:
        code = [STUDY, str(run.path), str(seconds), str(self.log), WORKER]
        if run.kind != "study":
            code = [WORKER, *code[1:4], *names]
        command = [sys.executable, "-c", *code]
        self._processes[run.id] = subprocess.Popen(command, env=self._environment)

    def kill(self, run: Run) -> None:
        self._processes[run.id].send_signal(signal.SIGKILL)
        self._processes[run.id].wait()

    def wait(self) -> None:
        for process in self._processes.values():
            process.wait(60)

    def waiting(self) -> int:
        """How many tickets there are."""
        return len(list((self.store.home / "locks").glob("queue-*/[!.]*.ticket")))

    def began(self) -> list[str]:
        """The runs in the order in which they got the device; a child as its study."""
        if not self.log.exists():
            return []
        lines = [line.split() for line in self.log.read_text().splitlines()]
        ids = [run_id for word, _, _, run_id in lines if word == "begins"]
        return [Run(self.store.folder / run_id).parent or run_id for run_id in ids]


@pytest.fixture
def workers(home: Path, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(home, tmp_path / "log")
    yield workers
    for process in workers._processes.values():
        process.kill()


class Stop:
    """A stop request that a test gives and takes back."""

    requested = False

    def check(self) -> None:
        if self.requested:
            raise StopRequested


def queue_of(
    run: Run, places: list[Place | None] | None = None, stop: Stop | None = None
) -> DeviceQueue:
    return DeviceQueue(
        run,
        on_gpu=False,
        on_place=(places if places is not None else []).append,
        check_stop=(stop or Stop()).check,
    )


class Waiting(Stop):
    """Gives up after the first look at the queue."""

    def __init__(self) -> None:
        self.looks = 0

    def check(self) -> None:
        self.looks += 1
        if self.looks > 1:
            raise StopRequested


def gives_up(run: Run, device: str = "cpu", places: list[Place | None] | None = None) -> None:
    """The run has to wait for the device."""
    queue = queue_of(run, places, Waiting())
    with pytest.raises(StopRequested), queue.device(device):
        pytest.fail("it is not its turn")
    queue.release()


def fill(workers: Workers) -> tuple[Run, list[Run]]:
    """A run that holds the device, and 12 runs and 2 studies that wait, started in any order."""
    holder = workers.create(DEMO.child("baseline"))
    workers.start(holder, seconds=600)
    wait_for(workers.began)
    kinds = ["train"] * 12
    kinds.insert(3, "study")
    kinds.insert(9, "study")
    created = [workers.create(DEMO if kind == "study" else DEMO.child("robust")) for kind in kinds]
    scrambled = created.copy()
    random.Random(7).shuffle(scrambled)
    for run in scrambled:
        workers.start(run)
    # A study has a ticket of its own, and its first child another one.
    wait_for(lambda: workers.waiting() == 1 + 12 + 2 * 2)
    return holder, created


def test_runs_and_studies_get_the_device_in_the_order_of_their_creation(workers: Workers) -> None:
    holder, created = fill(workers)

    workers.kill(holder)
    workers.wait()

    expected = [[run.id] * (3 if run.kind == "study" else 1) for run in created]
    assert workers.began()[1:] == [run_id for ids in expected for run_id in ids]
    assert workers.waiting() == 0


def test_killed_waiters_and_holders_neither_block_nor_reorder_the_others(workers: Workers) -> None:
    holder, created = fill(workers)
    killed = [created[0], created[6]]
    for run in killed:
        workers.kill(run)

    workers.kill(holder)
    workers.wait()

    left = [run for run in created if run not in killed]
    expected = [[run.id] * (3 if run.kind == "study" else 1) for run in left]
    assert workers.began()[1:] == [run_id for ids in expected for run_id in ids]


def test_a_waiting_run_knows_its_place_and_who_is_before_it(workers: Workers) -> None:
    first, study, third = (workers.create(spec) for spec in (DEMO.child("robust"), DEMO, DEMO))
    child = workers.store.create(DEMO.child("baseline"), parent=study.id, role="baseline")
    queues = {run.id: queue_of(run) for run in (first, study, child, third)}
    fourth = workers.create(DEMO.child("baseline"))

    def place() -> Place | None:
        places: list[Place | None] = []
        gives_up(fourth, places=places)
        return places[-1]

    assert place() == Place(3, third.id)  # a study with its child counts once
    queues[first.id].release()
    assert place() == Place(2, third.id)
    queues[third.id].release()
    assert place() == Place(1, study.id)
    queues[child.id].release()
    queues[study.id].release()
    queue = queue_of(fourth)
    with queue.device("cpu"):
        assert not queue._ahead("cpu")
    queue.release()


def test_a_study_keeps_its_device_between_its_children(workers: Workers) -> None:
    study, stranger = workers.create(DEMO), workers.create(DEMO.child("robust"))
    of_study = queue_of(study)
    child = workers.store.create(DEMO.child("baseline"), parent=study.id, role="baseline")
    of_child = queue_of(child)
    with of_child.device("cpu"):
        pass
    of_child.release()

    gives_up(stranger)  # the study has more to do
    of_stranger = queue_of(stranger)
    with of_stranger.device("cuda-GPU-1"):  # another device is free
        pass
    of_study.release()
    of_stranger.release()


def test_a_run_that_was_asked_to_stop_takes_no_device_that_becomes_free(workers: Workers) -> None:
    run = workers.create(DEMO)
    stop = Stop()
    queue = queue_of(run, stop=stop)
    stop.requested = True  # as the run before it, whose end frees the device

    with pytest.raises(StopRequested), queue.device("cpu"):
        pytest.fail("it was asked to stop")
    queue.release()


def test_who_is_behind_the_next_waits_before_it_imports_torch(workers: Workers) -> None:
    created = [workers.create(DEMO) for _ in range(3)]
    stop = Stop()
    queues = [queue_of(run, stop=stop) for run in created]

    for queue in queues[:2]:
        queue.wait_before_import(1)
    stop.requested = True
    with pytest.raises(StopRequested):
        queues[2].wait_before_import(1)
    queues[2].wait_before_import(2)
    for queue in queues:
        queue.release()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"gpu": 1}'])
def test_a_damaged_ticket_blocks_nobody_once_its_worker_has_ended(
    workers: Workers, content: bytes
) -> None:
    first, run = workers.create(DEMO), workers.create(DEMO)
    queue = queue_of(first)
    queue._path.write_bytes(content)
    places: list[Place | None] = []
    gives_up(run, places=places)
    assert places == [Place(1, first.id)]

    queue.release()

    second = queue_of(run)
    with second.device("cpu"):
        pass
    second.release()


def test_a_worker_that_waits_is_queued_says_its_place_and_stops_when_asked(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(runs.__file__).parents[1]))
    first, second, run = (workers.create(DEMO) for _ in range(3))
    before = [queue_of(first), queue_of(second)]
    worker = start_worker(run)

    def heartbeat() -> dict[str, object]:
        beats = [e for e in last_events(run.events_path) if e["kind"] == "heartbeat"]
        return dict(json.loads(json.dumps(beats[-1]))) if beats else {}

    wait_for(lambda: heartbeat().get("place") == 2)
    assert heartbeat()["behind"] == second.id
    assert run.state() == "queued"
    before[0].release()
    before[0] = before[1]
    wait_for(lambda: heartbeat().get("place") == 1)
    request_stop(run)
    assert worker.wait(30) == 130
    assert run.state() == "interrupted"
    before[1].release()


def test_a_run_that_shares_takes_no_ticket(workers: Workers) -> None:
    from engine.attempt import _queue

    spec = DEMO.model_copy(update={"share": True})
    run = workers.create(spec)
    report: Callable[[Place | None], None] = lambda _: None  # noqa: E731

    with _queue(run, spec, StopSignal(run), report) as queue:
        assert queue is None
    assert workers.waiting() == 0


def intervals(log: Path) -> list[tuple[float, float, str, str]]:
    """Begin, end, device and run of each, by their begins."""
    began: dict[str, float] = {}
    found = []
    for word, at, name, run_id in map(str.split, log.read_text().splitlines()):
        if word == "begins":
            began[run_id] = float(at)
        else:
            found.append((began[run_id], float(at), name, run_id))
    return sorted(found)


SLOTS = ("cpu-0", "cpu-1")


def known(workers: Workers) -> set[str]:
    """The runs that have a ticket, or have had the device."""
    tickets = (workers.store.home / "locks").glob("queue-*/[!.]*.ticket")
    return {*workers.began(), *(path.name.split("~")[3] for path in tickets)}


def test_runs_that_may_use_several_devices_take_the_first_that_frees(workers: Workers) -> None:
    created = [workers.create(DEMO.child("robust")) for _ in range(6)]
    holder = queue_of(created[0])
    with holder.first_free(SLOTS):  # until all are in the queue
        for run in created[1:]:
            workers.start(run, 0.4, SLOTS)
            wait_for(lambda: known(workers) >= {run.id})  # noqa: B023 (called here and now)
    holder.release()
    workers.wait()
    worked = intervals(workers.log)
    begins = {run_id: begin for begin, _, _, run_id in worked}
    assert begins.keys() == {run.id for run in created[1:]}
    for earlier, later in itertools.pairwise(created[1:]):
        # Of two that may begin, the later one may be the first to look.
        assert begins[earlier.id] < begins[later.id] + 2 * POLL_S
    assert {name for _, _, name, _ in worked} == set(SLOTS)
    for name in SLOTS:  # one at a time on each
        own = [(begin, end) for begin, end, used, _ in worked if used == name]
        assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(own))


@pytest.mark.slow
def test_no_slot_is_idle_while_a_run_waits(workers: Workers) -> None:
    """Eight runs of five seconds on two slots: less than 5 % of the time between two of them."""
    for run in [workers.create(DEMO.child("robust")) for _ in range(8)]:
        workers.start(run, 5.0, SLOTS)
    workers.wait()
    worked = intervals(workers.log)
    assert len(worked) == 8
    for name in SLOTS:
        own = [(begin, end) for begin, end, used, _ in worked if used == name]
        gaps = sum(begin - end for (_, end), (begin, _) in itertools.pairwise(own))
        assert gaps < 0.05 * (own[-1][1] - own[0][0])


def test_a_run_for_any_device_leaves_the_one_that_an_earlier_run_waits_for(
    store: Store,
) -> None:
    runs_ = [store.create(DEMO.child("robust")) for _ in range(4)]
    first, second, bound, any_ = map(queue_of, runs_)
    with ExitStack() as held:
        held.enter_context(first.first_free(SLOTS))
        blocking = held.enter_context(ExitStack())
        blocking.enter_context(second.device("cpu-1"))
        stop = Waiting()
        bound._check_stop = stop.check
        with pytest.raises(StopRequested), bound.device("cpu-1"):
            pass
        bound._update(device="cpu-1", is_working=False)  # it still waits
        blocking.close()
        second.release()
        any_._check_stop = Waiting().check
        with pytest.raises(StopRequested), any_.first_free(SLOTS):
            pass
    first.release()
    any_._check_stop = Stop().check
    with any_.first_free(SLOTS) as name:
        assert name == "cpu-0"
    for queue in (bound, any_):
        queue.release()


@pytest.mark.slow
def test_a_study_trains_side_by_side_on_two_slots(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its table is that of one that trains one after the other."""
    monkeypatch.setenv("ADVTUI_CPU_SLOTS", "2")
    command, tables = Command(home), []
    for more in ((), ("--set", "parallel=false")):
        done = command("study", *TINY, "--train-limit", "640", "--limit", "40", *more)
        assert done.returncode == 0, done.stderr
        tables.append(done.stdout)
        study = next(run for run in Store(home).runs() if run.kind == "study")
        times = {}
        for child in Store(home).children(study):
            snapshot = read_snapshot(child)
            assert snapshot.started is not None
            assert snapshot.ended is not None
            times[child.role] = (snapshot.started["t"], snapshot.ended["t"])
        overlap = times["baseline"][1] - times["robust"][0]
        assert (overlap > 0) == (not more)
        assert times["attack"][0] > max(times["baseline"][1], times["robust"][1])
    assert tables[0] == tables[1]
