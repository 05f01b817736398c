"""What stands under a table: data, images, threat model, definitions and paired comparisons.

Reads the table as data (see :mod:`runs.result_types`) and writes sentences; no terminal here.
"""

import re

from runs.budgets import at_budget, same_budget
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
    images = f"{pictures_note(threat)}, n = {threat['n']}"
    if threat.get("seed") is not None:
        images += f", seed {threat.get('seed')}"
    return [
        images,
        *source_notes(table),
        *attack_notes(threat),
        *table.get("notes", []),
        CAPTION,
        *pair_notes(table.get("paired", []), threat),
    ]


def pictures_note(threat: ThreatModel) -> str:
    """``CIFAR-100, test split``; of a folder its name, and how its pictures were resized."""
    name = threat.get("split", "test")
    split = f", {name} split" if name else ""
    size = threat.get("resize")
    resize = f", resized to {size}×{size}" if size else ""
    return f"{threat['data']}{split}{resize}"


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
        lines.append(f"{attack['name']}: {attack['text']}, {aim}")
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
