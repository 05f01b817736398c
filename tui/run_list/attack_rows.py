"""The attacks of a run as rows: each model, under each attack, at each ε. Pure, knows no widget."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from runs.budgets import at_budget, same_budget
from runs.event_types import AttackEvent
from tui.run_list.row import dicts, number, row_labels

Events = Mapping[tuple[str, str], AttackEvent]
"""By (model, attack): the latest event, as :class:`runs.snapshot.Snapshot` holds them."""


class AttackRow(NamedTuple):
    """One model under one attack; with several ε at one of them."""

    model: str
    attack: str
    """With several ε or stages followed by these: ``pgd-untargeted ε 8/255``."""
    event: AttackEvent | None
    """The latest event; None for an attack that has not started."""


def attack_rows(spec: Mapping[str, Any], labels: list[str], events: Events) -> list[AttackRow]:
    """A row for each model and attack, also for those that have not started.

    With several ε an attack has a row for each ε, and none for all of them. The stages of
    AutoAttack follow it.

    Args:
        spec: of the attack run, as ``spec.json`` holds it.
        labels: the models, where the spec does not name them yet.
        events: of the attack run.
    """
    attacks = [str(attack.get("name")) for attack in dicts(spec.get("attacks"))]
    epsilons = _epsilons(spec)
    rows = dict[tuple[str, str], AttackEvent | None]()
    for model in row_labels(spec) or labels:
        for attack in attacks:
            for name, event in _levels(model, attack, epsilons, events):
                rows[model, name] = event
                stages = [
                    key for key in events if key[0] == model and key[1].startswith(f"{name} ")
                ]
                rows.update({key: events[key] for key in stages})
    for key, event in events.items():
        if not (epsilons and key[1] in attacks):
            rows.setdefault(key, event)
    return [AttackRow(model, attack, event) for (model, attack), event in rows.items()]


def _epsilons(spec: Mapping[str, Any]) -> list[float]:
    given = spec.get("epsilons")
    numbers = map(number, given) if isinstance(given, list) else ()
    return [eps for eps in numbers if eps is not None]


def _levels(
    model: str, attack: str, epsilons: list[float], events: Events
) -> Iterator[tuple[str, AttackEvent | None]]:
    """The attack at each ε with its event; an earlier attempt left one event for all ε."""
    whole = events.get((model, attack))
    if not epsilons:
        yield attack, whole
    for eps in epsilons:
        name = at_budget(attack, eps)
        yield name, events.get((model, name)) or _part(whole, name, eps)


def _part(whole: AttackEvent | None, name: str, eps: float) -> AttackEvent | None:
    """What an event of all ε tells of one of them."""
    levels = [] if whole is None else whole.get("cell", {"levels": []})["levels"]
    for level in levels:
        tally = level["tally"]
        if whole is not None and same_budget(level["eps"], eps):
            count = tally["correct"]
            rate = count / tally["seconds"] if tally["seconds"] > 0 else 0.0
            return {
                **whole,
                "attack": name,
                "done": count,
                "total": count,
                "successes": tally["successes"],
                "rate": rate,
            }
    return None
