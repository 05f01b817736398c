"""What stands under a table: data, images, threat model, definitions and paired comparisons.

Reads the table as data (see :mod:`runs.result_types`) and writes sentences; no terminal here.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

from runs.architectures import ARCHITECTURES
from runs.budgets import at_budget, format_budget, norm_and_eps, same_budget
from runs.corruptions import corruption_note
from runs.result_types import PairedRows, Source, Table, ThreatModel

DEFINITIONS = (
    "success: of the images classified correctly when clean, the share that the attack turns "
    "into the target class (targeted) or wrong (untargeted); robust: share of all images "
    "classified correctly both clean and attacked"
)
CAPTION = f"{DEFINITIONS}; ranges are 95 % Wilson intervals"


def footnotes(table: Table) -> list[str]:
    """All footnotes of a comparison table, a line each."""
    threat = table["threat_model"]
    return [
        images_note(threat),
        *network_notes(table),
        *generated_notes(table),
        *source_notes(table),
        *corruption_note(table["rows"]),
        *attack_notes(threat),
        *same_notes(table),
        *table.get("notes", []),
        CAPTION,
        *pair_notes(pairs_of_different(table), threat),
    ]


def images_note(threat: ThreatModel) -> str:
    """``CIFAR-100, test split, n = 10000, seed 0``."""
    note = pictures_note(threat)
    if threat["n"]:  # of a live run on a folder it is not known yet
        note += f", n = {threat['n']}"
    seed = threat.get("seed")
    return note if seed is None else f"{note}, seed {seed}"


def threat_note(threat: ThreatModel) -> str:
    """The threat model in one line, for a reader who has folded the other footnotes.

    ``CIFAR-100, test split, n = 10000, seed 0; PGD-20, L∞, ε = 8/255, step 2/255, …``, at several ε
    ``ε = 0 to 32/255, step 0.25 ε``. Of attacks that differ it names the budgets alone.
    """
    attacks = threat["attacks"]
    epsilons = threat.get("epsilons")
    texts = dict.fromkeys(_at_all_eps(attack, epsilons).partition(";")[0] for attack in attacks)
    has_levels = epsilons or any(attack.get("epsilons") for attack in attacks)
    if len(texts) == 1 and (not has_levels or _EPS in next(iter(texts))):
        return f"{images_note(threat)}; {next(iter(texts))}"
    budgets = dict.fromkeys(_budget(attack, epsilons) for attack in attacks)
    count = "1 attack" if len(attacks) == 1 else f"{len(attacks)} attacks"
    known = [budget for budget in budgets if budget]
    at = f" at {' and '.join(known)}" if known else ""
    return f"{images_note(threat)}; {count}{at}" if attacks else images_note(threat)


_EPS = "ε = "
"""Before the ε in the description of an attack."""


def _at_all_eps(attack: Mapping[str, Any], epsilons: list[float] | None) -> str:
    """An attack's description; of several ε with all of them in the place of its own.

    A table's threat model keeps the attack's own ε and the step there; the step is the same share
    of each ε.
    """
    text, own, step = str(attack["text"]), attack.get("eps"), attack.get("step_size")
    levels = attack.get("epsilons") or epsilons
    if not levels or not isinstance(own, int | float):
        return text
    ends = dict.fromkeys(format_budget(eps) for eps in (levels[0], levels[-1]))
    text = text.replace(f"{_EPS}{format_budget(own)}", f"{_EPS}{' to '.join(ends)}", 1)
    if isinstance(step, int | float) and own > 0:
        text = text.replace(f"step {format_budget(step)}", f"step {step / own:.3g} ε", 1)
    return text


def _budget(attack: Mapping[str, Any], epsilons: list[float] | None) -> str:
    """``L∞ 8/255``, ``L∞ 0 to 32/255``; empty where a source does not say."""
    if "eps" not in attack:
        return ""
    levels = attack.get("epsilons") or epsilons
    budget = norm_and_eps(attack.get("norm"), levels[0] if levels else attack["eps"])
    return f"{budget} to {format_budget(levels[-1])}" if levels and len(levels) > 1 else budget


def same_notes(table: Table) -> list[str]:
    """``Best robust is the same checkpoint as Best clean (epoch 30)``, a line each.

    Where other rows have the name too, the training follows: ``(epoch 30 of …-robust-3f9a)``.
    """
    models = [row["model"] for row in table["rows"]]
    notes = []
    for same in table.get("same_checkpoints", []):
        of = f" of {same['run']}" if models.count(same["model"]) > 1 else ""
        notes.append(
            f"{same['model']} is the same checkpoint as {same['same_as']} "
            f"(epoch {same['epoch'] + 1}{of})"
        )
    return notes


def pairs_of_different(table: Table) -> list[PairedRows]:
    """The pairs of rows without those whose checkpoint stands in a row above.

    A pair names its models alone: where several rows share a name, all their pairs stay.
    """
    models = [row["model"] for row in table["rows"]]
    repeated = {
        same["model"]
        for same in table.get("same_checkpoints", [])
        if models.count(same["model"]) == 1
    }
    return [p for p in table.get("paired", []) if not {p["one"], p["other"]} & repeated]


def pictures_note(threat: ThreatModel) -> str:
    """``CIFAR-100, test split``; of a folder its name, and how its pictures were resized."""
    name = threat.get("split", "test")
    split = f", {name} split" if name else ""
    size = threat.get("resize")
    resize = f", resized to {size}×{size}" if size else ""
    return f"{threat['data']}{split}{resize}"


def network_notes(table: Table) -> list[str]:
    """The architecture of the trainings, a line each; the full ResNet-18 needs none."""
    return [
        f"{models}: {network}"
        for network, models in _models_by(table, "network")
        if network != ARCHITECTURES["resnet18"].title
    ]


def generated_notes(table: Table) -> list[str]:
    """``Best clean, Best robust: trained with 1,000,000 generated images (…)``, a line each."""
    return [f"{models}: trained with {words}" for words, models in _models_by(table, "generated")]


def _models_by(table: Table, key: Literal["network", "generated"]) -> list[tuple[str, str]]:
    """The values of a key of the rows, each with the names of its models."""
    models: dict[str, list[str]] = {}
    for row in table["rows"]:
        if key in row:
            models.setdefault(row[key], []).append(row["model"])
    return [(value, ", ".join(labels)) for value, labels in models.items()]


def source_notes(table: Table) -> list[str]:
    """The networks that advtui did not train, a line each."""
    return [f"{row['model']}: {_source(row['source'])}" for row in table["rows"] if "source" in row]


def attack_notes(threat: ThreatModel) -> list[str]:
    """The attacks of a threat model, a line each."""
    lines = []
    for attack in threat["attacks"]:
        aim = f"targets: {attack['targets']}" if attack["targets"] else "untargeted"
        if count := attack.get("target_classes"):
            aim += f" (of the {count} likeliest)"
        text = _at_all_eps(attack, threat.get("epsilons"))
        lines.append(f"{attack['name']}: {text}, {aim}")
    return lines


def _source(source: Source) -> str:
    """``nets.wide:make with wide.safetensors (SHA-256 3fa9…), normalised input (mean …)``."""
    text = source["factory"]
    if source["weights"]:
        file = re.split(r"[/\\]", source["weights"])[-1]
        text += f" with {file} (SHA-256 {str(source['sha256'])[:16]}…)"
    if source["mean"]:
        mean, std = (
            " ".join(f"{value:g}" for value in values or ())
            for values in (source["mean"], source["std"])
        )
        text += f", normalised input (mean {mean}, std {std})"
    return text


def pair_notes(pairs: list[PairedRows], threat: ThreatModel) -> list[str]:
    """A sentence for each pair of rows: which is more robust, by how much, and could it be chance.

    Of a pair's attacks it takes the one that leaves the fewest images to both, but not none; the
    others stand in the JSON. Of an attack at several ε it takes the attack's own ε; where that is
    not among them, there is a sentence for each ε above 0.
    """
    levels = _levels(threat)
    strongest: dict[tuple[str, str], dict[float, PairedRows]] = {}
    for pair in sorted(pairs, key=_images_left):
        eps = levels.get(pair["attack"], _OWN)
        if eps is not None:
            first, second = sorted((pair["one"], pair["other"]))
            strongest.setdefault((first, second), {}).setdefault(eps, pair)
    return [_pair_note(pair) for by_eps in strongest.values() for _, pair in sorted(by_eps.items())]


_OWN = 0.0
"""Stands for an attack's own ε: of all attacks there, one sentence is enough."""


def _levels(threat: ThreatModel) -> dict[str, float | None]:
    """The names of attacks at several ε: to the ε, to :data:`_OWN`, or to None for no sentence."""
    levels: dict[str, float | None] = {}
    for attack in threat["attacks"]:
        own = attack.get("eps")
        epsilons = attack.get("epsilons") or threat.get("epsilons") or []
        is_own = [same_budget(own, eps) for eps in epsilons]
        for eps, chosen in zip(epsilons, is_own, strict=True):
            others = None if any(is_own) else eps or None
            levels[at_budget(attack["name"], eps)] = _OWN if chosen else others
    return levels


def _pair_note(pair: PairedRows) -> str:
    return (
        f"{pair['one']} is {100 * (pair['difference'] or 0.0):.1f} points "
        f"({_signed(pair['ci95'][0])} to {_signed(pair['ci95'][1])}) more robust than "
        f"{pair['other']} under {pair['attack']}, p {_p(pair['p'])} (McNemar's exact test)"
    )


def _images_left(pair: PairedRows) -> tuple[bool, int]:
    left = pair.get("withstood", 0)
    return left == 0, left


def _signed(share: float) -> str:
    return f"{100 * share:.1f}".replace("-", "−")


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
