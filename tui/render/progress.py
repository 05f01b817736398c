"""The wording of a run's events: lines that stay, progress bars, remaining time.

The headless commands and the screen share it. Knows no terminal.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rich.cells import cell_len

from runs.budgets import format_budget
from runs.errors import UserError
from runs.event_types import AttackEvent, Event, MetricEvent, ProgressEvent, attack_is_over
from runs.remaining import attack_left_s, reported_left_s
from runs.snapshot import Snapshot
from runs.store import Run
from tui.render.queue_text import place_text, queued_words, slurm_place
from tui.render.text import clean, duration, keeping_eps, megabytes, percent

STARTING = "starting, or waiting for the device"
COUNTED = ("reading", "corruptions", "sanity")
"""Tasks beside the attacks that have a bar of their own."""
AFTER_ATTACKS = ("corruptions", "sanity")
"""Tasks that begin when attacks have ended: of all models, or of one."""
STALLED_S = 60
"""A run without progress for so long is reported as stalled."""


class Work(NamedTuple):
    """A progress bar: its title, what is done of the total, and the text beside it.

    The parts of the text are two spaces apart, the most important one last.
    """

    title: str
    done: float
    total: float
    text: str
    successes: float | None = None
    """Of an attack: the images on which it has succeeded so far."""


def fitted(text: str, room: int) -> str:
    """The last parts of a :class:`Work`'s text that fit; the very last one, the ETA, always."""
    parts = text.split("  ")
    while len(parts) > 1 and cell_len("  ".join(parts)) > room:
        parts.pop(0)
    return "  ".join(parts)


def label(run: Run) -> str:
    """The run's name in a line: its role, else its mode, else its kind; a sweep's point by name."""
    own = run.name if run.role == "point" else run.role
    return own or run.mode or run.kind


ANY_WIDTH = 10_000


def event_line(run: Run, event: Event, width: int = ANY_WIDTH) -> str | None:
    """The line that reports an event for good; None for an event that has none.

    In a narrow terminal the line of an epoch has no loss, and that of an attack fewer words.
    """
    match event["kind"]:
        case "started" if "device" in event:
            resumed = event.get("resumed_from")
            on_cpu = event["device"] == "cpu"
            count = event.get("threads", "?")
            threads = f"{count} thread{'' if count == 1 else 's'}"
            how = threads if on_cpu else event.get("device_name")
            facts = (event["device"], event.get("precision"), how)
            start = f", from epoch {resumed['epoch'] + 1}" if resumed else ""
            return f"{label(run)}: {run.id} on {', '.join(filter(None, facts))}{start}"
        case "metric" if event.get("every") == "epoch":
            line = epoch_line(run, event)
            return line if cell_len(line) <= width else epoch_line(run, event, loss=False)
        case "attack" if "cell" in event:
            rate = event["successes"] / event["total"] if event["total"] else None
            levels = event["cell"]["levels"]
            at = f" at ε {format_budget(levels[-1]['eps'])}" if len(levels) > 1 else ""
            counts = f"{event['successes']} of {event['total']}"
            line = f"{event['model']}: {event['attack']}{at} succeeded on {counts} images"
            if cell_len(f"{line} (100.0 %)") > width:
                line = f"{event['model']}: {event['attack']}{at} {counts}"
            return f"{line} ({percent(rate)} %)"
        case "log":
            mark = "! " if event.get("level") == "warning" else ""
            return f"{mark}{label(run)}: {event.get('message')}"
    return None


def epoch_line(run: Run, event: MetricEvent, *, loss: bool = True) -> str:
    """``robust  epoch 3/9  loss 3.4124  clean  31.2 %  robust  17.0 %  3 m 45 s``: 80 columns."""
    values = event["values"]
    epochs = run.epochs or "?"
    with_loss = f"  loss {_number(values.get('train_loss'))}" if loss else ""
    return (
        f"{label(run)}  epoch {event['epoch'] + 1:>{len(str(epochs))}}/{epochs}{with_loss}"
        f"  clean {percent(values.get('val_accuracy')):>5} %"
        f"  robust {percent(values.get('val_robust_accuracy')):>5} %"
        f"  {duration(values.get('seconds'))}"
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def bars(run: Run, snapshot: Snapshot) -> list[Work]:
    """The bars of a running run: a training has a bar for all epochs and a bar for this epoch.

    Of an attack run those of the attacks at work.
    """
    progress = snapshot.progress
    shown: list[Work] = []
    if progress is not None:
        shown += _training_bars(run, progress)
    at_work = (event for event in snapshot.attacks.values() if not attack_is_over(event))
    shown += [_attack_bar(event) for event in at_work]
    if progress is not None and progress["task"] in COUNTED:
        shown.append(_counted(progress))
    return shown


def current_work(run: Run, snapshot: Snapshot) -> Work | None:
    """A single bar for the current task of a run, with its pace and without an ETA.

    None where no task has reported progress.
    """
    progress = snapshot.progress
    if progress is not None and progress["task"] in AFTER_ATTACKS:
        return _counted(progress)._replace(text=_count(progress))
    running = [event for event in snapshot.attacks.values() if not attack_is_over(event)]
    if run.kind == "attack" and running:
        event = running[-1]
        title = keeping_eps(f"{event['model']} {event['attack']}", 40)
        return Work(title, event["done"], event["total"], f"{event['rate']:,.0f} img/s")
    if progress is None:
        return None
    epoch = _epoch_title(run, progress)
    if epoch is None:
        return _counted(progress)._replace(text=_count(progress))
    title = epoch if progress["task"] == "train" else f"{epoch} {clean(progress['task'], 20)}"
    return Work(title, progress["done"], progress["total"], training_pace(progress))


def eta_text(run: Run, left: float | None) -> str:
    """``ETA 3 m 37 s``, of a study ``study ETA 3 m 37 s``; a dash before a rate is known."""
    return f"{'study ' if run.kind == 'study' else ''}ETA {duration(left)}"


def _counted(progress: ProgressEvent) -> Work:
    """The bar of a task that counts models, images or bytes."""
    text = _count(progress)
    if left_s(progress) is not None and progress["done"] < progress["total"]:
        text += f"  {_eta(progress)}"
    title = _TITLES.get(progress["task"])
    return Work(title or clean(progress["task"], 20), progress["done"], progress["total"], text)


_TITLES = {
    "sanity": "sanity panel",
    "reading": "reading images",
    "corruptions": "corrupted images",
}


def _count(progress: ProgressEvent) -> str:
    """``1 of 3 models``."""
    if is_of_bytes(progress):
        return bytes_text(progress)
    counts = f"{progress['done']:,} of {progress['total']:,}"
    return f"{counts} {progress.get('unit') or ''}".strip()


def _training_bars(run: Run, progress: ProgressEvent) -> list[Work]:
    done, total = progress["done"], progress["total"]
    if is_of_bytes(progress):
        return [Work(clean(progress["task"], 20), done, total, bytes_text(progress))]
    title = _epoch_title(run, progress)
    if title is None:
        return []
    share = done / max(total, 1) if progress["task"] == "train" else 1
    epochs = progress.get("epochs") or 1
    return [
        Work(title, progress["epoch"] + share, epochs, _eta(progress)),
        Work(f"  {progress['task']}", done, total, training_pace(progress)),
    ]


def _epoch_title(run: Run, progress: ProgressEvent) -> str | None:
    """``robust epoch 3/9``; None for a task that is no part of an epoch."""
    if not isinstance(progress.get("epoch"), int):
        return None
    return f"{clean(label(run), 20)} epoch {progress['epoch'] + 1}/{progress.get('epochs') or 1}"


def _attack_bar(event: AttackEvent) -> Work:
    # Success is a count until the attack has ended: images still under attack may yet fall.
    counts = f"{event['successes']:,} of {event['total']:,}"
    text = f"{counts}  {event['rate']:,.0f} img/s  {_eta(event)}"
    title = f"{event['model']} {event['attack']}"
    return Work(title, event["done"], event["total"], text, event["successes"])


def training_pace(progress: ProgressEvent) -> str:
    """``2.0 batches/s``; empty where the rate is unknown."""
    rate = progress.get("rate")
    return f"{rate:.1f} batches/s" if rate else ""


def _eta(event: ProgressEvent | AttackEvent) -> str:
    return f"ETA {duration(left_s(event))}"


def is_of_bytes(progress: ProgressEvent) -> bool:
    """Whether a task counts bytes: a download, or the unpacking of a file."""
    return progress.get("unit") == "bytes"


def bytes_text(progress: ProgressEvent) -> str:
    """``37.5 MB of 169.0 MB``."""
    return f"{megabytes(progress['done'])} of {megabytes(progress['total'])}"


def left_s(event: ProgressEvent | AttackEvent) -> float | None:
    """Seconds to the end of a training, of the panel, or of one attack on one model, else None."""
    return attack_left_s(event) if event["kind"] == "attack" else reported_left_s(event)


def trains_on(run: Run) -> str | None:
    """The attack on the training batches, of a study on those of its robust run; else None."""
    from runs.spec import (  # imports pydantic: too slow for a list of runs
        AttackSpec,
        StudySpec,
        SweepSpec,
    )

    try:
        spec = run.spec
    except UserError:
        return None
    if isinstance(spec, SweepSpec):
        spec = spec.base
    if isinstance(spec, AttackSpec):
        return None
    return (spec.robust if isinstance(spec, StudySpec) else spec).crafting


def waiting(run: Run, snapshot: Snapshot) -> str | None:
    """Why a run makes no progress; None where it makes some, or has ended."""
    beat = snapshot.heartbeat
    if run.job is not None and run.state() == "queued":
        return f"{label(run)}: {queued_words(slurm_place(run))}"
    if not beat or snapshot.ended:
        return None
    if place := place_text(run, beat):
        return f"{label(run)}: {queued_words(place)}"
    if beat.get("phase") == "queued" and snapshot.started is None and run.kind != "study":
        return f"{label(run)}: {STARTING}"
    if reason := stalled(run, snapshot):
        return f"{label(run)}: {reason}"
    return None


def stalled(run: Run, snapshot: Snapshot) -> str | None:
    """``no progress for 2 m 05 s``; None below a minute, and for a study, which only waits."""
    seconds = snapshot.heartbeat.get("stalled_s", 0) if snapshot.heartbeat else 0
    if run.kind == "study" or seconds <= STALLED_S:
        return None
    return f"no progress for {duration(seconds)}"


def attack_number(spec: Mapping[str, Any], snapshot: Snapshot, models: int) -> tuple[int, int]:
    """Which attack on which model is at work, from 1, and how many there are; 0 of 0 for none.

    An attack counts once, however many ε or stages it has.

    Args:
        spec: of an attack run, as ``spec.json`` holds it.
        snapshot: of that run.
        models: number of models that are attacked.
    """
    listed = spec.get("attacks")
    entries = listed if isinstance(listed, list) else []
    names = {entry.get("name") for entry in entries if isinstance(entry, dict)}
    total = models * len(names)
    over = sum(
        name in names and attack_is_over(event) for (_, name), event in snapshot.attacks.items()
    )
    return min(over + 1, total), total
