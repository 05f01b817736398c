"""The text pages of a run, as lines: attacks, system, log, spec. Knows no widget."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from runs.event_types import StartedEvent
from runs.store import Run
from tui.render.lines import wrapped
from tui.render.log_lines import log_tail, notice_lines
from tui.render.palette import Palette
from tui.render.progress import STARTING, current_work, left_s, stalled, trains_on
from tui.render.queue_text import place_text
from tui.render.text import clean, duration, percent, short_ago, speed
from tui.run_list.feed import Member, RunFeed
from tui.run_list.row import dicts, row_labels

STUDY_ROWS = ("Baseline", "Best clean", "Best robust")
LOG_LINES = 200


def bar(share: float, width: int, palette: Palette) -> list[tuple[str, str]]:
    """A progress bar that needs no colour: the done share is a thick line."""
    full = round(min(max(share, 0.0), 1.0) * width)
    return [("━" * full, palette.bar), ("╌" * (width - full), palette.faint)]


def now_line(feed: RunFeed, state: str, error: str, width: int, palette: Palette) -> Text:
    """One line with the state of the run, its progress and its remaining time."""
    glyph, colour = palette.state(state)
    line = Text.assemble((f" {glyph} {state}", colour))
    if error:
        line.append(f"  {clean(error, max(width - line.cell_len - 2, 8))}", palette.bad)
        return line
    if state not in ("running", "queued"):
        return line
    member = feed.at_work
    snapshot = member.snapshot
    work = current_work(member.run, snapshot)
    if work is not None:
        share = work.done / max(work.total, 1)
        room = max(min(40, width - line.cell_len - len(work.title) - len(work.text) - 14), 6)
        line.append(f"  {work.title} ", palette.text)
        line.append(Text.assemble(*bar(share, room, palette)))
        line.append(f" {100 * share:.0f} %  ", palette.text)
        line.append(work.text, palette.dim)
    elif state == "queued" or snapshot.started is None:
        place = place_text(member.run, snapshot.heartbeat)
        line.append(f"  {place or STARTING}", palette.dim)
    if reason := stalled(member.run, snapshot):
        line.append(f"  {reason}", palette.warn)
    return line


def attack_bars(feed: RunFeed, width: int, palette: Palette) -> Iterator[Text]:
    """A line for each model × attack, also for those that have not started."""
    member = feed.attack
    events = member.snapshot.attacks if member else {}
    pairs = list(dict.fromkeys([*_pairs(feed, member), *events]))
    if not pairs:
        yield Text("no attack in this run; a starts one", palette.dim)
        return
    names = max(min(max(len(clean(m)) for m, _ in pairs), 24 if width >= 100 else 14), 8)
    tall = max(min(max(len(clean(a)) for _, a in pairs), 20), 8)
    room = max(width - names - tall - 56, 8)
    head = f"{'model':<{names}}  {'attack':<{tall}}  {'':<{room}}{'images':>15}{'success':>11}"
    yield Text(f"{head}{'speed':>12}{'left':>10}", palette.dim)
    for model, attack in pairs:
        event = events.get((model, attack))
        line = Text.assemble(
            (f"{clean(model, names):<{names}}  ", palette.text),
            (f"{clean(attack, tall):<{tall}}  ", palette.dim),
        )
        if event is None:
            line.append(Text.assemble(*bar(0.0, room, palette)))
            line.append(f"{'waiting':>15}", palette.dim)
            yield line
            continue
        total, has_ended = max(event["total"], 1), "cell" in event
        share = 1.0 if has_ended else event["done"] / total
        line.append(Text.assemble(*bar(share, room, palette)))
        line.append(f"{event['done']:>7,.0f}/{event['total']:,.0f}".rjust(15), palette.text)
        rate = f"{percent(event['successes'] / total)} %" if event["total"] else "–"
        # The images still under attack may succeed as well: until then it is a lower bound.
        line.append(f"{rate if has_ended else '≥ ' + rate:>11}", palette.text)
        line.append(f"{event['rate']:>6,.0f} img/s".rjust(12), palette.dim)
        line.append(f"{'' if has_ended else duration(left_s(event)):>10}", palette.dim)
        yield line
    yield Text()
    yield from wrapped(
        Text(
            "success: of the images classified correctly when clean, those that the attack has "
            "turned wrong (targeted: into the target class); ≥ while it goes on",
            palette.dim,
        ),
        width,
    )


def _pairs(feed: RunFeed, member: Member | None) -> list[tuple[str, str]]:
    spec = member.run.raw_spec if member else feed.run.raw_spec.get("attack")
    if not isinstance(spec, dict):
        return []
    attacks = [str(attack.get("name")) for attack in dicts(spec.get("attacks"))]
    labels = row_labels(spec)
    if not labels and feed.run.kind == "study":
        labels = list(STUDY_ROWS)
    return [(label, attack) for label in labels for attack in attacks]


def system_page(feed: RunFeed, now: float, width: int, palette: Palette) -> Iterator[Text]:
    """The host of the worker, and its load in the last ``system`` event."""
    reporting = [m for m in feed.members.values() if m.snapshot.system and m.run.kind != "study"]
    member = reporting[-1] if reporting else feed.at_work
    snapshot = member.snapshot
    system = snapshot.system
    for key, value in _host(snapshot.started):
        yield Text.assemble((f"{key:<12}", palette.dim), (clean(value, width), palette.text))
    if system is None:
        yield Text("the worker has not reported its load yet", palette.dim)
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
    running = [event for event in snapshot.attacks.values() if "cell" not in event]
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


def log_page(feed: RunFeed, width: int, palette: Palette) -> Iterator[Text]:
    """Each member's error, its notices, and the last lines of its worker's output."""
    many = len(feed.members) > 1
    for member in feed.members.values():
        run = member.run
        notices = member.snapshot.notices
        lines = log_tail(run, LOG_LINES)
        result = run.result
        error = None if result is None else result.get("error")
        if many and (lines or notices or error):
            yield Text(clean(f"{run.role or run.kind}  {run.id}"), palette.title)
        if error:
            yield from wrapped(Text(clean(error["message"], 2000), palette.bad), width)
        for notice, line in zip(notices, notice_lines(notices), strict=True):
            colour = palette.warn if notice.get("level") == "warning" else palette.text
            yield from wrapped(Text(line, colour), width, indent=2)
        if not (lines or notices or many):
            yield Text("its worker has written nothing", palette.dim)
        for line in lines:
            yield from wrapped(Text(line, palette.text), width, indent=2)


def again(run: Run) -> str:
    """The command that starts a run with the same spec."""
    import shlex

    return f"advtui {run.kind} --config {shlex.quote(str(run.path / 'spec.json'))}"


def spec_page(run: Run, width: int, palette: Palette) -> Iterator[Text]:
    """The command that starts the same run again, and every field of the spec."""
    yield Text("Again, from a shell (C copies it)", palette.dim)
    user_folder = f" {Path.home()}/"  # outside quotes the shell expands ~
    yield from wrapped(
        Text(clean(again(run).replace(user_folder, " ~/"), 1000), palette.accent), width, indent=4
    )
    yield Text()
    if crafting := trains_on(run):
        yield from wrapped(Text(clean(f"Trains on {crafting}", 300), palette.text), width, indent=2)
        yield Text()
    flat = list(flattened(run.raw_spec))
    room = min(max((len(key) for key, _ in flat), default=8), 40)
    for key, value in flat:
        line = Text.assemble((f"{clean(key, room):<{room}}  ", palette.dim), (value, palette.text))
        yield from wrapped(line, width, indent=room + 2)


def flattened(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A spec's fields as dotted paths with their values as text, without the run's header."""
    from runs.budgets import format_budget

    for key, value in fields.items():
        path = f"{prefix}{key}"
        if path == "run":
            continue
        if isinstance(value, dict):
            yield from flattened(value, f"{path}.")
        elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            for number, item in enumerate(value):
                yield from flattened(item, f"{path}.{number}.")
        elif key in ("eps", "step_size") and isinstance(value, int | float):
            yield path, format_budget(value)
        else:
            yield path, clean("–" if value is None else value, 300)


def differences(specs: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """The fields in which the specs differ, each with its values in the order of the specs."""
    flat = [dict(flattened(spec)) for spec in specs]
    keys = dict.fromkeys(key for fields in flat for key in fields)
    rows = [(key, [fields.get(key, "") for fields in flat]) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1]
