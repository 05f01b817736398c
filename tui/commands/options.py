"""The options that several commands share. Imports nothing but Typer: ``--help`` reads this."""

from pathlib import Path
from typing import Annotated

import typer


def complete_run(incomplete: str) -> list[tuple[str, str]]:
    """Ids and names of runs, for the shell."""
    from runs.store import Store

    found = []
    for number, run in enumerate(Store().runs()):
        told = f"{run.kind} {run.mode or ''} {run.name or ''}".strip()
        found.append((run.id, told))
        if run.name:
            found.append((run.name, run.id))
        if number >= 100:
            break
    return [(word, told) for word, told in found if word.startswith(incomplete)]


def complete_preset(incomplete: str) -> list[tuple[str, str]]:
    """Names of presets, for the shell."""
    from runs.presets import NAMES, describe

    return [(name, describe(name)) for name in NAMES if name.startswith(incomplete)]


def complete_attack(incomplete: str) -> list[tuple[str, str]]:
    """Names of attacks, for the shell."""
    from runs.attacks import NAMES

    return [(name, told) for name, told in NAMES.items() if name.startswith(incomplete)]


Home = Annotated[
    Path | None,
    typer.Option(help="Folder of the runs (default: $ADVTUI_HOME, else the user's data folder)."),
]
RunWord = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="An id, a unique prefix, a name, or @1 (the newest).",
        autocompletion=complete_run,
    ),
]
RunWords = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN…",
        help="Ids, unique prefixes, names, or @1 (the newest).",
        autocompletion=complete_run,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]

Preset = Annotated[
    str | None, typer.Option(help="demo, cpu, poster or strong.", autocompletion=complete_preset)
]
Config = Annotated[
    Path | None, typer.Option(help="A spec as TOML or JSON, such as a run's own spec.json.")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Any field of the spec, e.g. robust.weight_decay=1e-3, augmentation=cutout, "
        "patience=5, eps_warmup=0.1, swa_start=0.75, beta=6; repeatable.",
    ),
]
Name = Annotated[str | None, typer.Option(help="Free text.")]
Tag = Annotated[list[str] | None, typer.Option(help="Tag the run; repeatable.")]
Data = Annotated[str | None, typer.Option(help="cifar100, cifar10 or digits.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder that holds cifar-100-python/ (default: data in the home, downloaded)."
    ),
]
Seed = Annotated[int | None, typer.Option(help="Seed.")]
Seeds = Annotated[
    str | None,
    typer.Option(
        help="Several seeds, e.g. 0,1,2: a run for each, one after another (with --share side by "
        "side), then mean ± standard deviation."
    ),
]

Width = Annotated[int | None, typer.Option(help="Channels of the first stage; 64: ResNet-18.")]
Activation = Annotated[str | None, typer.Option(help="relu, or silu: smooth.")]
Awp = Annotated[
    bool | None,
    typer.Option(
        "--awp", help="Perturb the weights too (Wu et al. 2020); γ the preset's, else 0.005."
    ),
]
Epochs = Annotated[int | None, typer.Option(help="Epochs.")]
BatchSize = Annotated[int | None, typer.Option(help="Images a training step.")]
Lr = Annotated[float | None, typer.Option(help="Peak learning rate.")]
WeightDecay = Annotated[float | None, typer.Option(help="Weight decay.")]
Schedule = Annotated[str | None, typer.Option(help="onecycle or piecewise.")]
LabelSmoothing = Annotated[float | None, typer.Option(help="Label smoothing.")]
EmaDecay = Annotated[float | None, typer.Option(help="Moving average of the weights; 0: none.")]
ClipNorm = Annotated[float | None, typer.Option(help="Clip the gradient's norm.")]
Compile = Annotated[
    str | None,
    typer.Option(help="Compile the passes of training: auto (on a GPU), on or off."),
]
Profile = Annotated[
    bool | None,
    typer.Option("--profile", help="Write where the time of a step goes into the run's folder."),
]
TrainLimit = Annotated[int | None, typer.Option(help="Train on this many images only.")]

Norm = Annotated[str | None, typer.Option(help="linf or l2.")]
Eps = Annotated[
    str | None,
    typer.Option(help="Budget in pixels of [0, 1], e.g. 8/255. Alone it scales the step with it."),
]
StepSize = Annotated[str | None, typer.Option(help="Length of a step, e.g. 2/255.")]
Steps = Annotated[int | None, typer.Option(help="Steps of PGD.")]
Restarts = Annotated[int | None, typer.Option(help="Random restarts.")]
Loss = Annotated[str | None, typer.Option(help="ce, margin (CW) or dlr.")]
Limit = Annotated[int | None, typer.Option(help="Evaluate this many test images only.")]

Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads.")]
Precision = Annotated[str | None, typer.Option(help="auto, bf16 or fp32.")]
Share = Annotated[
    bool | None, typer.Option("--share", help="Don't wait for other runs on the device.")
]
Detach = Annotated[bool, typer.Option("--detach", help="Print the run's id and leave it running.")]
