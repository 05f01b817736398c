"""What stands under a table: data, images, threat model, definitions and paired comparisons.

Reads the table as data (see :mod:`runs.result_types`) and writes sentences; no terminal here.
"""

import re

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
    images = f"{pictures_note(threat)}, n = {threat['n']}, seed {threat.get('seed')}"
    return [
        images,
        *source_notes(table),
        *attack_notes(threat),
        CAPTION,
        *pair_notes(table.get("paired", [])),
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


def pair_notes(pairs: list[PairedRows]) -> list[str]:
    """A sentence for each pair of rows: which is more robust, by how much, and could it be chance.

    Of a pair's attacks it takes the one that leaves the fewest images to both, but not none; the
    others stand in the JSON.
    """
    strongest: dict[tuple[str, str], PairedRows] = {}
    for pair in sorted(pairs, key=_images_left):
        first, second = sorted((pair["one"], pair["other"]))
        strongest.setdefault((first, second), pair)
    return [
        f"{pair['one']} is {100 * (pair['difference'] or 0.0):.1f} points "
        f"({_signed(pair['ci95'][0])} to {_signed(pair['ci95'][1])}) more robust than "
        f"{pair['other']} under {pair['attack']}, p {_p(pair['p'])} (McNemar's exact test)"
        for pair in strongest.values()
    ]


def _images_left(pair: PairedRows) -> tuple[bool, int]:
    left = pair.get("withstood", 0)
    return left == 0, left


def _signed(share: float) -> str:
    return f"{100 * share:.1f}".replace("-", "−")


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
