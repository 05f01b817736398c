"""The parts of a study in one line: what has ended, what is at work, and what is to come.

From a study's spec and the snapshots of its runs alone, so that the screen and the headless
commands show the same. Knows no file and no terminal.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.text import Text

from runs.remaining import left_s
from runs.snapshot import Snapshot
from tui.render.palette import Palette
from tui.render.progress import attack_number
from tui.render.text import duration

PARTS = {"baseline": "baseline", "robust": "robust", "attack": "attacks", "panel": "panel"}
"""The parts in their order, by role, and what the line calls them. The sanity panel belongs to
the attack run and has no run of its own."""
_WAITING = "·"
"""Stands for a part that is to come where there is no room for its name."""


_STARTING = "…"
"""The progress of a part at work before it is known."""
_ETA = "ETA 59 m 59 s"


class Part(NamedTuple):
    """One part of a study."""

    name: str
    state: str
    """As of a run (see :data:`tui.render.palette.STATES`); empty for a part that is to come."""
    progress: str = ""
    """Of a part at work: ``9/30``, of the panel ``1 of 3``; ``…`` before it is known."""


def study_strip(
    spec: Mapping[str, Any],
    study: Snapshot,
    members: Mapping[str, Snapshot],
    width: int,
    palette: Palette,
    *,
    with_eta: bool = True,
) -> Text:
    """``baseline ✓ ─ robust 9/30 ─ attacks ─ panel   study ETA 12 m 04 s``.

    In a narrow terminal the parts lose their names, but never the one at work. The ETA is never
    cut. A study that has ended has none.

    Args:
        spec: of the study, as ``spec.json`` holds it.
        study: its snapshot.
        members: the snapshots of its children by their ids.
        width: at most so many cells, if these suffice for the part at work and the ETA.
        palette: the styles.
        with_eta: whether the study's ETA stands behind its parts.
    """
    parts = study_parts(spec, study, members)
    eta = "" if study.ended or not with_eta else f"ETA {duration(left_s(spec, study, members))}"
    # Room for an ETA of minutes and seconds, so that the form stays while the ETA shrinks.
    reserve = max(len(_ETA) - len(eta), 0) if eta else 0
    for line in _lines(parts, eta, palette):
        if line.cell_len + reserve <= width:
            return line
    return line


def study_parts(
    spec: Mapping[str, Any], study: Snapshot, members: Mapping[str, Snapshot]
) -> list[Part]:
    """The parts of a study in their order, as :data:`PARTS` names them."""
    parts = []
    for role in ("baseline", "robust"):
        state, snapshot = _child(role, study, members)
        progress = _epochs(snapshot) if state == "running" else ""
        parts.append(Part(PARTS[role], state, progress))
    return [*parts, *_attack_parts(spec, *_child("attack", study, members))]


def _child(
    role: str, study: Snapshot, members: Mapping[str, Snapshot]
) -> tuple[str, Snapshot | None]:
    """The state of a child, empty before the study has started it, and its snapshot."""
    event = study.children.get(role)
    if event is None:
        return "", None
    snapshot = members.get(event["run"])
    # The study writes the end of a child a moment after the child itself.
    ended = snapshot.ended.get("state") if snapshot and snapshot.ended else None
    return ended or event["state"], snapshot


def _epochs(snapshot: Snapshot | None) -> str:
    """``9/30``: the epoch at work."""
    progress = snapshot.progress if snapshot else None
    if progress is None or "epoch" not in progress:
        return _STARTING
    return f"{progress['epoch'] + 1}/{progress.get('epochs') or '?'}"


def _attack_parts(spec: Mapping[str, Any], state: str, snapshot: Snapshot | None) -> list[Part]:
    """The attacks and the sanity panel, which are parts of one run."""
    attacks, panel = PARTS["attack"], PARTS["panel"]
    if state == "completed":
        return [Part(attacks, state), Part(panel, state)]
    progress = snapshot.progress if snapshot else None
    if progress is not None and progress["task"] == "sanity":
        done = f"{progress['done']:.0f} of {progress['total']:.0f}"
        return [Part(attacks, "completed"), Part(panel, state, done if state == "running" else "")]
    at_work = _attacks(spec, snapshot) if state == "running" else ""
    return [Part(attacks, state, at_work), Part(panel, "")]


def _attacks(spec: Mapping[str, Any], snapshot: Snapshot | None) -> str:
    """``3/6``: which of the attacks on all models is at work."""
    if snapshot is None or snapshot.started is None:
        return _STARTING
    attack = spec.get("attack")
    models = 3  # baseline, best clean, best robust
    number, total = attack_number(attack if isinstance(attack, dict) else {}, snapshot, models)
    return f"{number}/{total}" if total else _STARTING


def _lines(parts: Sequence[Part], eta: str, palette: Palette) -> Iterator[Text]:
    """The line in ever shorter forms."""
    named = [_named(part, palette) for part in parts]
    rule = Text.assemble((" ─ ", palette.faint))  # a style of its own would be that of the line
    short = [
        _named(part, palette) if part.state not in ("", "completed") else _glyph(part, palette)
        for part in parts
    ]
    at_work = [text for part, text in zip(parts, short, strict=True) if part.progress]
    if not eta:
        yield from (rule.join(named), Text(" ").join(named), Text(" ").join(short))
        return
    told = Text(eta, palette.text)
    yield rule.join(named).append("   study ", palette.dim).append_text(told)
    for texts, between in ((named, rule), (named, Text(" ")), (short, Text(" "))):
        yield between.join(texts).append("  ").append_text(told)
    yield Text(" ").join([*at_work, told])
    yield Text(eta, palette.text)


def _named(part: Part, palette: Palette) -> Text:
    """``baseline ✓``, ``robust 9/30``, ``attacks``."""
    if not part.state:
        return Text(part.name, palette.dim)
    if part.state == "running":
        return Text(f"{part.name} {part.progress}", f"bold {palette.accent}")
    glyph, style = palette.state(part.state)
    return Text.assemble((f"{part.name} ", palette.text), (glyph, style))


def _glyph(part: Part, palette: Palette) -> Text:
    """What remains of a part without its name."""
    if not part.state:
        return Text(_WAITING, palette.dim)
    return Text(*palette.state(part.state))
