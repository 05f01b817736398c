"""The line of a run's state and the page of its system, as lines. Knows no widget."""

from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from runs.event_types import StartedEvent, attack_is_over
from runs.store import Run
from tui.render.bars import bar
from tui.render.palette import Palette
from tui.render.progress import (
    STARTING,
    Work,
    attack_number,
    current_work,
    eta_text,
    fitted,
    stalled,
)
from tui.render.queue_text import place_text
from tui.render.text import clean, keeping_eps, short_ago, speed
from tui.run_list.feed import Member, RunFeed
from tui.run_list.row import attack_share, dicts, row_labels, training_share


def now_line(feed: RunFeed, state: str, trouble: str, width: int, palette: Palette) -> Text:
    """One line with the state of the run, its progress and its remaining time.

    ``trouble``: why it failed, or since when it gives no sign of life.
    """
    glyph, colour = palette.state(state)
    line = Text.assemble((f" {glyph} {state}", colour))
    if trouble:
        line.append(f"  {clean(trouble, max(width - line.cell_len - 2, 8))}", palette.bad)
        return line
    if state not in ("running", "queued"):
        return line
    member = feed.at_work
    snapshot = member.snapshot
    work = current_work(member.run, snapshot)
    reason = stalled(member.run, snapshot)
    if work is not None and state != "queued":  # a resumed run has worked before it waits again
        line.append_text(_work_line(work, reason, feed, width - line.cell_len, palette))
        return line
    if state == "queued" or snapshot.started is None:
        place = place_text(member.run, snapshot.heartbeat)
        line.append(f"  {place or STARTING}", palette.dim)
    elif (left := feed.left_s) is not None:  # a study between two children
        line.append(f"  {eta_text(feed.run, left)}", palette.dim)
    if reason:
        line.append(f"  {reason}", palette.warn)
    return line


def strip_line(feed: RunFeed, width: int, palette: Palette) -> Text:
    """The parts of a study at work; the line of its state has the ETA."""
    from tui.render.study_strip import study_strip

    snapshots = feed.snapshots
    study = snapshots[feed.run.id]
    return study_strip(feed.run.raw_spec, study, snapshots, width, palette, with_eta=False)


LEAST_BAR = 6
"""Cells of the shortest bar; where it has no room, there is none."""


def _work_line(work: Work, reason: str | None, feed: RunFeed, width: int, palette: Palette) -> Text:
    """Title, bar, percentage, pace, why it stalls, and the ETA, which is never cut.

    Bar and percentage are of the whole training or attack run, as in the list of runs. Where room
    is short, the pace goes first, then the bar, then the title's end.
    """
    share = _share_of_run(feed.at_work, work)
    work = work._replace(title=_numbered(feed.at_work, work.title))
    percentage = f" {100 * share:.0f} %  "
    words = eta_text(feed.run, feed.left_s)
    if reason:
        words = f"{reason}  {words}"
    elif work.text:
        room = width - cell_len(f"  {work.title} {percentage}") - LEAST_BAR
        words = fitted(f"{work.text}  {words}", room)
    room = width - cell_len(f"  {percentage}{words}")
    line = Text(f"  {keeping_eps(work.title, max(room, 1))}", palette.text)
    cells = min(40, room - cell_len(work.title) - 1)
    if cells >= LEAST_BAR:
        line.append_text(Text.assemble(" ", *bar(share, cells, palette)))
    line.append(percentage, palette.text)
    line.append(words, palette.warn if reason else palette.dim)
    return line


def _numbered(member: Member, title: str) -> str:
    """``3/6 Best clean pgd-targeted``: of an attack run the number of the attack at work."""
    if member.run.kind != "attack" or member.snapshot.progress is not None:
        return title
    spec = member.run.raw_spec
    number, count = attack_number(spec, member.snapshot, len(row_labels(spec)))
    return f"{number}/{count} {title}" if count > 1 else title


def _share_of_run(member: Member, work: Work) -> float:
    """Done share of a training or an attack run; of other work, as the sanity panel, of that."""
    progress = member.snapshot.progress
    if progress is not None and "epoch" in progress:
        return training_share(member.snapshot)
    if member.run.kind == "attack" and progress is None:
        return attack_share(member.run, member.snapshot)
    return work.done / max(work.total, 1)


def system_page(feed: RunFeed, now: float, width: int, palette: Palette) -> Iterator[Text]:
    """The host of the worker, and its load in the last ``system`` event."""
    reporting = [m for m in feed.members.values() if m.snapshot.system and m.run.kind != "study"]
    member = reporting[-1] if reporting else feed.at_work
    snapshot = member.snapshot
    system = snapshot.system
    for key, value in _host(snapshot.started):
        yield Text.assemble((f"{key:<13}", palette.dim), (clean(value, width), palette.text))
    if system is None:
        has_ended = member.snapshot.ended is not None or member.run.result is not None
        yet = "no load was reported" if has_ended else "the worker has not reported its load yet"
        yield Text(yet, palette.dim)
        return
    yield Text()
    age = now - system["t"]
    yield Text(f"{short_ago(system['t'], now)} ago" if age > 15 else "now", palette.dim)
    room = max(min(width - 46, 50), 10)
    yield _load("CPU", _share(system.get("cpu_percent"), 100), room, "", palette)
    used, total = system.get("memory_used"), system.get("memory_total")
    yield _load("memory", _share(used, total), room, _gigabytes(used, total), palette)
    if isinstance(system.get("worker_memory"), int | float):
        yield Text.assemble(
            (f"{'worker':<12}", palette.dim), (_gigabytes(system["worker_memory"]), palette.text)
        )
    yield Text.assemble(("throughput  ", palette.dim), (_throughput(member), palette.text))
    yield Text()
    gpus = dicts(system.get("gpus"))
    if not gpus:
        yield Text("no GPU on this machine: everything runs on the CPU", palette.text)
    for gpu in gpus:
        yield Text(clean(f"GPU {gpu.get('index')}  {gpu.get('name')}", width), palette.title)
        busy = _share(gpu.get("utilisation_percent"), 100)
        yield _load("  busy", busy, room, "", palette)
        used, total = gpu.get("memory_used"), gpu.get("memory_total")
        yield _load("  memory", _share(used, total), room, _gigabytes(used, total), palette)
        for label, key, unit in (("  temp.", "temperature_c", "°C"), ("  power", "power_w", "W")):
            if isinstance(gpu.get(key), int | float):
                yield Text.assemble(
                    (f"{label:<12}", palette.dim), (f"{gpu[key]:.0f} {unit}", palette.text)
                )


def _host(started: StartedEvent | None) -> Iterator[tuple[str, str]]:
    if started is None:
        return
    for key in ("host", "device", "device_name", "precision", "threads"):
        if started.get(key) not in (None, ""):
            yield key.replace("_", " "), str(started[key])
    versions = started.get("versions")
    if isinstance(versions, dict):
        yield "versions", "  ".join(f"{name} {version}" for name, version in versions.items())


def _throughput(member: Member) -> str:
    snapshot = member.snapshot
    result = member.run.result if snapshot.ended else None
    if result is not None and (average := speed(result)):
        return average
    running = [event for event in snapshot.attacks.values() if not attack_is_over(event)]
    if running:
        return f"{running[-1]['rate']:,.0f} attacked images/s"
    rate = snapshot.progress.get("rate") if snapshot.progress else None
    return "–" if rate is None else f"{rate:.2f} batches/s"


def _share(used: Any, total: Any) -> float | None:
    if isinstance(used, int | float) and isinstance(total, int | float) and total:
        return float(used / total)
    return None


def _gigabytes(*counts: Any) -> str:
    known = [f"{count / 1e9:.1f}" for count in counts if isinstance(count, int | float)]
    return f"{' of '.join(known)} GB" if known else ""


def _load(title: str, share: float | None, room: int, detail: str, palette: Palette) -> Text:
    if share is None:
        return Text.assemble((f"{title:<12}", palette.dim), ("–", palette.text))
    return Text.assemble(
        (f"{title:<12}", palette.dim),
        *bar(share, room, palette),
        (f" {100 * share:>3.0f} %  ", palette.text),
        (detail, palette.dim),
    )


def again(run: Run) -> str:
    """The command that starts a run with the same spec."""
    import shlex

    return f"advtui {run.kind} --config {shlex.quote(str(run.path / 'spec.json'))}"
