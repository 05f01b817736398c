"""The sections of a report without figures: question, recipe, environment, how to run it again."""

import json
from datetime import UTC, datetime

from runs.architectures import network_words
from runs.datasets import dataset_of
from runs.errors import UserError
from runs.snapshot import read_snapshot
from runs.spec import AttackSpec, StudySpec, SweepSpec, TrainSpec
from runs.store import Run
from tui.report.content import Content, label
from tui.report.html import Column, Html, joined, section, table, tag


def head(content: Content) -> Html:
    """Title, and a line for each run: kind, id, time and state."""
    title = ", ".join(label(run) for run in content.named)
    lines = []
    for run in content.named:
        when = datetime.fromtimestamp(run.created, UTC).strftime("%-d %B %Y, %H:%M UTC")
        lines.append(
            tag(
                "p", f"{run.kind} ", tag("code", run.id), f" · {when} · {run.state()}", class_="run"
            )
        )
        if note := run.meta.get("note"):
            lines.append(tag("p", note, class_="note"))
    return tag(
        "header",
        tag("p", "Adversarial robustness report", class_="kicker"),
        tag("h1", title),
        *lines,
    )


def question(content: Content) -> Html | None:
    """What was asked, from the specs."""
    asked = []
    for run in content.named:
        try:
            sentences = _asked(run)
        except UserError:  # a spec of another version
            continue
        asked.append(
            tag("p", tag("b", f"{label(run)}: ") if len(content.named) > 1 else None, sentences)
        )
    return section("question", "Question", *asked)


def _asked(run: Run) -> str:
    spec = run.spec
    data = dataset_of(spec.data).title
    match spec:
        case StudySpec():
            return (
                f"How robust does {_network(spec.robust)} become on {data} when it is trained with "
                f"{spec.robust.recipe} for {_epochs(spec.robust)}, beside the same data learned "
                f"from clean images for {_epochs(spec.baseline)}? {_attacked(spec.attack)}"
            )
        case TrainSpec():
            return (
                f"How accurate and how robust does {_network(spec)} become on {data} in "
                f"{_epochs(spec)} of {spec.recipe} ({spec.crafting})? Each epoch is measured on "
                f"{spec.val_per_class} images of each class, held out of the training set."
            )
        case AttackSpec():
            models = ", ".join(reference.label for reference in spec.references)
            return f"How many test images of {data} do these models withstand: {models}? " + (
                _attacked(spec)
            )
        case SweepSpec():
            grid = "; ".join(f"{name} {', '.join(map(str, v))}" for name, v in spec.grid.items())
            return (
                f"Which setting of a {spec.base.kind} gives the most robust network: {grid}? "
                f"Each is carried out with {max(len(spec.seeds), 1)} seeds."
            )


def _attacked(spec: AttackSpec) -> str:
    ways = dict.fromkeys(attack.describe() for attack in spec.attacks)
    names = ", ".join(attack.name for attack in spec.attacks)
    return f"The models are attacked with {names} ({'; '.join(ways)})."


def _network(spec: TrainSpec) -> str:
    return f"a {network_words(spec.arch, spec.width)}"


def _epochs(spec: TrainSpec) -> str:
    return "1 epoch" if spec.epochs == 1 else f"{spec.epochs} epochs"


_RECIPE = (
    *("data", "mode", "recipe", "arch", "width", "activation", "init", "epochs", "batch_size"),
    *("lr", "momentum", "weight_decay", "schedule", "label_smoothing", "ema_decay", "swa_start"),
    *("awp_gamma", "beta", "augment", "augmentation", "val_per_class", "train_limit", "seed"),
)


def recipe(content: Content) -> Html | None:
    """The trainings side by side: recipe, network, schedule."""
    runs = [run for run in content.trainings if run.raw_spec]
    if not runs:
        return None
    rows: list[list[object]] = []
    for key in _RECIPE:
        values = [run.raw_spec.get(key) for run in runs]
        if any(value not in (None, False, 0.0) for value in values):
            rows.append([key.replace("_", " "), *("–" if v is None else str(v) for v in values)])
    rows.append(["trains on", *(_crafting(run) for run in runs)])
    columns = [Column("field"), *(Column(label(run)) for run in runs)]
    return section("recipe", "Recipe and network", table(columns, rows, "Recipes of the trainings"))


def _crafting(run: Run) -> str:
    try:
        spec = run.spec
    except UserError:
        return "–"
    return spec.crafting if isinstance(spec, TrainSpec) else "–"


def environment(content: Content) -> Html | None:
    """Device, precision and versions with which the runs worked."""
    rows = []
    for run in (*content.trainings, *content.evaluations):
        started = read_snapshot(run).started
        if started is None:
            continue
        versions = started.get("versions") or {}
        listed = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
        device = started.get("device_name") or started.get("device") or "–"
        rows.append(
            [
                label(run),
                device,
                started.get("precision") or "–",
                started.get("threads") or "–",
                listed or "–",
            ]
        )
    columns = [Column(n) for n in ("run", "device", "precision", "threads", "versions")]
    whole = table(columns, rows, "Where the runs worked") if rows else ""
    return section("environment", "Environment", whole)


def again(content: Content) -> Html | None:
    """The commands that carry the runs out again, with their specs."""
    parts = []
    for run in content.named:
        if not run.raw_spec:
            continue
        file = f"{run.id}.json"
        spec = json.dumps(run.raw_spec, indent=1, ensure_ascii=False)
        parts.append(
            joined(
                [
                    tag("pre", tag("code", f"advtui {run.kind} --config {file}")),
                    tag(
                        "details",
                        tag("summary", "The file ", tag("code", file)),
                        tag("pre", tag("code", spec)),
                    ),
                ],
                "\n",
            )
        )
    words = "Save the specification below under its name, and run the command beside it."
    return section("again", "Run it again", tag("p", words) if parts else None, *parts)
