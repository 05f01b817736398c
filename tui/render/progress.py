"""The wording of a run's events: lines that stay, progress bars, remaining time.

The headless commands and the screen share it. Knows no terminal.
"""

from runs.errors import UserError
from runs.events import Event
from runs.snapshot import Snapshot
from runs.store import Run
from tui.render.text import duration, megabytes, percent


def label(run: Run) -> str:
    """What the run is called in a line: its mode, else its kind."""
    return run.role or run.mode or run.kind


def telling(run: Run, event: Event) -> str | None:
    """The line for an event that is worth one for ever; None for the others."""
    match event["kind"]:
        case "started" if "device" in event:
            resumed = event.get("resumed_from")
            on_cpu = event["device"] == "cpu"
            how = f"{event['threads']} threads" if on_cpu else event["device_name"]
            return f"{label(run)}: {run.id} on {event['device']}, {event['precision']}, {how}" + (
                f", from epoch {resumed['epoch'] + 1}" if resumed else ""
            )
        case "metric" if event.get("every") == "epoch":
            return epoch_line(run, event)
        case "attack" if "cell" in event:
            rate = event["successes"] / event["total"] if event["total"] else None
            return (
                f"{event['model']}: {event['attack']} succeeded on {event['successes']} of "
                f"{event['total']} images ({percent(rate)} %)"
            )
        case "log":
            return f"{label(run)}: {event.get('message')}"
    return None


def epoch_line(run: Run, event: Event) -> str:
    """``robust  epoch 3/9  loss 3.4124  clean  31.2 %  robust  17.0 %  3 m 45 s``: 80 columns."""
    values = event["values"]
    epochs = run.raw_spec.get("epochs", "?")
    return (
        f"{label(run)}  epoch {event['epoch'] + 1:>{len(str(epochs))}}/{epochs}"
        f"  loss {_number(values.get('train_loss'))}"
        f"  clean {percent(values.get('val_accuracy')):>5} %"
        f"  robust {percent(values.get('val_robust_accuracy')):>5} %"
        f"  {duration(values.get('seconds'))}"
    )


def _downloaded(progress: Event) -> str:
    return f"{megabytes(progress['done'])} of {megabytes(progress['total'])}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def bars(run: Run, snapshot: Snapshot) -> list[tuple[str, float, float, str]]:
    """Title, done, total and what stands beside it, for each bar of a run at work."""
    found: list[tuple[str, float, float, str]] = []
    progress = snapshot.progress
    if progress and progress["task"] == "download":
        found.append(("download", progress["done"], progress["total"], _downloaded(progress)))
    elif progress and isinstance(progress.get("epoch"), int):
        epochs = int(progress.get("epochs") or 1)
        share = progress["done"] / max(progress["total"], 1)
        training = progress["task"] == "train"
        whole = progress["epoch"] + (share if training else 1)
        found.append(
            (
                f"{label(run)} epoch {progress['epoch'] + 1}/{epochs}",
                whole,
                epochs,
                f"ETA {duration(left_s(progress))}",
            )
        )
        rate = progress.get("rate")
        speed = f"{rate:.1f} batches/s" if rate else ""
        found.append((f"  {progress['task']}", progress["done"], progress["total"], speed))
    for (model, attack), event in snapshot.attacks.items():
        # Of those still under attack nobody knows: no share is told before the end.
        told = f"{event['successes']:,} of {event['total']:,}  {event['rate']:.0f} img/s"
        if "cell" not in event:
            told += f"  ETA {duration(left_s(event))}"
        found.append((f"{model} {attack}", event["done"], event["total"], told))
    if progress and progress["task"] in ("reading", "sanity"):
        told = f"{progress['done']:,} of {progress['total']:,} {progress.get('unit') or ''}"
        found.append((progress["task"], progress["done"], progress["total"], told))
    return found


def left_s(event: Event) -> float | None:
    """Seconds to the end of a training, as the worker reckons in its ``progress`` events; to that
    of one attack, by its speed so far."""
    left = event.get("eta_s")
    if event["kind"] == "attack":
        to_do, rate = event["total"] - event["done"], event["rate"]
        left = to_do / rate if rate > 0 else None
    return left if isinstance(left, int | float) and 0 <= left < 1e9 else None


def trains_on(run: Run) -> str | None:
    """What the adversarial images of a training, or of a study's, are made with."""
    from runs.spec import AttackSpec, StudySpec  # pydantic: not for every list of runs

    try:
        spec = run.spec
    except UserError:
        return None
    if isinstance(spec, AttackSpec):
        return None
    return (spec.robust if isinstance(spec, StudySpec) else spec).crafting


def waiting(run: Run, snapshot: Snapshot) -> str | None:
    """Why nothing moves, where nothing does."""
    beat = snapshot.heartbeat
    if not beat or snapshot.ended:
        return None
    if beat.get("phase") == "queued" and snapshot.started is None and run.kind != "study":
        return f"{label(run)}: starting, or waiting for the device"
    if beat.get("stalled_s", 0) > 60 and run.kind != "study":
        return f"{label(run)}: no progress for {duration(beat['stalled_s'])}"
    return None
