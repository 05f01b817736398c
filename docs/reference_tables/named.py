"""What has a name: presets, attacks, recipes."""

import re
from collections.abc import Callable

from reference_tables.markdown import code, first_paragraph, part, table, text
from runs import attacks, presets, spec, threat_model


def preset_tables() -> str:
    """The presets side by side."""
    studies = {name: presets.preset(name) for name in presets.NAMES}
    lines: list[tuple[str, Callable[[spec.StudySpec], object]]] = [
        ("data set", lambda s: code(s.data)),
        ("width", lambda s: both(s, "width")),
        ("epochs: baseline, robust", lambda s: f"{s.baseline.epochs}, {s.robust.epochs}"),
        ("batch size", lambda s: both(s, "batch_size")),
        ("learning rate", lambda s: both(s, "lr")),
        ("recipe (robust)", lambda s: code(s.robust.recipe)),
        ("attack in training", lambda s: s.robust.crafting),
        ("AWP γ (robust)", lambda s: s.robust.awp_gamma or "none"),
        ("activation: baseline, robust", lambda s: both(s, "activation")),
        ("augmentation: baseline, robust", lambda s: both(s, "augmentation")),
        ("label smoothing: baseline, robust", lambda s: both(s, "label_smoothing")),
        ("EMA decay: baseline, robust", lambda s: both(s, "ema_decay")),
        ("attack in validation", lambda s: s.robust.validation.describe()),
        ("validation images a class", lambda s: both(s, "val_per_class")),
        ("precision", lambda s: code(s.precision)),
        ("attacks of the table", attacks_of),
        ("batch size of the attacks", lambda s: s.attack.batch_size),
        ("sanity panel", lambda s: code(s.attack.sanity)),
    ]
    names = [code(name) for name in studies]
    return part(
        table(
            ("Preset", "What it is"),
            [[code(name), text(presets.describe(name))] for name in studies],
        ),
        table(
            ("Field", *names),
            [[label, *(str(read(study)) for study in studies.values())] for label, read in lines],
        ),
    )


def both(study: spec.StudySpec, name: str) -> str:
    """A field of both trainings: once where they agree."""
    own = [getattr(training, name) for training in (study.baseline, study.robust)]
    shown = [code(given) if isinstance(given, str) else f"{given:g}" for given in own]
    return ", ".join(dict.fromkeys(shown))


def attacks_of(study: spec.StudySpec) -> str:
    """The attacks of the table: those of one threat model together."""
    names: dict[str, list[str]] = {}
    for attack in study.attack.attacks:
        names.setdefault(attack.describe(), []).append(code(attack.name))
    return "; ".join(f"{', '.join(named)}: {words}" for words, named in names.items())


def attack_table() -> str:
    """The attacks by name, under the default threat model."""
    rows = []
    for name, words in attacks.NAMES.items():
        attack = attacks.named_attack(name, threat_model.EVALUATION_PGD)
        targets: str = attack.targets or "untargeted"
        if attack.target_classes:
            targets += f", the {attack.target_classes} likeliest wrong classes"
        rows.append([code(name), text(words), text(attack.describe()), targets])
    return part(table(("Name", "What it is", "By default", "Targets"), rows))


def recipe_table() -> str:
    """The recipes: loss and paper, from the docstrings of their functions."""
    from engine.training.recipes import RECIPES

    rows = []
    for name, recipe in RECIPES.items():
        sentence = first_paragraph(recipe)
        paper = re.search(r"\(([^()]*\b\d{4}\b[^()]*)\)", sentence)
        loss = sentence.replace(paper[0], "") if paper else sentence
        loss = re.sub(r"\s+([.,])", r"\1", loss).rstrip(". ")
        rows.append([code(name), text(loss), text(paper[1]) if paper else ""])
    return part(table(("Name", "Loss", "Paper"), rows))
