"""The options that several commands share. Imports nothing but Typer: ``--help`` reads this."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypedDict, get_args, get_type_hints

import typer

from runs.field_help import FIELD_HELP


def complete_run(incomplete: str) -> list[tuple[str, str]]:
    """Ids and names of the newest 100 runs, for the shell.

    Those that start with the word; without any, those that contain it, such as the end of an id.
    """
    from itertools import islice

    from runs.store import Store

    words = []
    for run in islice(Store().runs(), 100):
        words.append((run.id, f"{run.kind} {run.mode or ''} {run.name or ''}".strip()))
        if run.name:
            words.append((run.name, run.id))
    started = [(word, meaning) for word, meaning in words if word.startswith(incomplete)]
    return started or [(word, meaning) for word, meaning in words if incomplete in word]


def complete_preset(incomplete: str) -> list[tuple[str, str]]:
    """Names of presets, for the shell."""
    from runs.presets import NAMES, describe

    return [(name, describe(name)) for name in NAMES if name.startswith(incomplete)]


def complete_attack(incomplete: str) -> list[tuple[str, str]]:
    """Names of attacks, for the shell."""
    from runs.attacks import NAMES

    return [(name, meaning) for name, meaning in NAMES.items() if name.startswith(incomplete)]


def field(key: str, more: str = "", *flags: str, **settings: Any) -> Any:
    """An option with the help of a field of the spec; ``more`` stands before the period."""
    return typer.Option(*flags, help=f"{FIELD_HELP[key].removesuffix('.')}{more}.", **settings)


def row_option(default: str) -> Any:
    """The option that names a model; ``default`` says which models a command shows without it."""
    return typer.Option(help=f"Name of a row of the table, e.g. 'Baseline' (default: {default}).")


# One option or argument

Home = Annotated[
    Path | None,
    typer.Option(help="Folder of the runs (default: $ADVTUI_HOME, else the user's data folder)."),
]
RunWord = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="An id, a unique part of it, a name, or @1 (the newest).",
        autocompletion=complete_run,
    ),
]
RunWords = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN…",
        help="Ids, unique parts of them, names, or @1 (the newest).",
        autocompletion=complete_run,
    ),
]
Model = Annotated[str | None, row_option("all")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Detach = Annotated[bool, typer.Option("--detach", help="Print the run's id; do not follow it.")]

Preset = Annotated[str | None, field("preset", autocompletion=complete_preset)]
Config = Annotated[
    Path | None, typer.Option(help="A spec as TOML or JSON, e.g. a run's own spec.json.")
]
DataDir = Annotated[
    Path | None,
    field(
        "data_dir",
        ", e.g. the parent of cifar-100-python/ (default: data/ in the home)",
    ),
]
Limit = Annotated[int | None, field("limit")]
Device = Annotated[str | None, field("device")]
Threads = Annotated[int | None, field("threads")]


# Options of the commands that start a run. Typer passes all of them; a dictionary holds them.


_SLURM: dict[str, Any] = {"rich_help_panel": "Slurm"}


class Naming(TypedDict):
    """What a run is called, what it reads, and its seed."""

    name: Annotated[str | None, field("name")]
    tag: Annotated[list[str] | None, field("tag")]
    data_dir: DataDir
    seed: Annotated[int | None, field("seed")]


class Training(TypedDict):
    """How a model is trained."""

    data: Annotated[str | None, field("data")]
    seeds: Annotated[
        str | None,
        typer.Option(
            help="Several seeds, e.g. 0,1,2: a run for each, one after another (with --share all "
            "at once), then mean ± standard deviation."
        ),
    ]
    awp: Annotated[
        bool | None, field("awp", "; γ is the preset's, else 0.005 (Wu et al. 2020)", "--awp")
    ]
    arch: Annotated[str | None, field("arch")]
    model: Annotated[
        str | None,
        typer.Option(help="Your own network: package.module:factory, or FILE.py:factory."),
    ]
    init: Annotated[str | None, field("init")]
    width: Annotated[int | None, field("width")]
    activation: Annotated[str | None, field("activation")]
    epochs: Annotated[int | None, field("epochs")]
    batch_size: Annotated[int | None, field("batch_size")]
    lr: Annotated[float | None, field("lr")]
    weight_decay: Annotated[float | None, field("weight_decay")]
    schedule: Annotated[str | None, field("schedule")]
    label_smoothing: Annotated[float | None, field("label_smoothing")]
    ema_decay: Annotated[float | None, field("ema_decay")]
    clip_norm: Annotated[float | None, field("clip_norm")]
    train_limit: Annotated[int | None, field("train_limit")]
    generated: Annotated[Path | None, field("generated")]
    generated_share: Annotated[float | None, field("generated_share")]
    compile: Annotated[str | None, field("compile")]
    profile: Annotated[bool | None, field("profile", "", "--profile")]
    eps: Annotated[
        str | None,
        field("eps", ", e.g. 8/255; scales the step size too, unless --step-size is given"),
    ]


class Perturbation(TypedDict):
    """How PGD perturbs an image; the budget is an option of each command."""

    norm: Annotated[str | None, field("norm")]
    step_size: Annotated[str | None, field("step_size", ", e.g. 2/255")]
    steps: Annotated[int | None, field("steps")]
    restarts: Annotated[int | None, field("restarts")]
    loss: Annotated[str | None, field("loss")]


class Execution(TypedDict):
    """Where a run works, any other field, and what the command prints."""

    device: Device
    devices: Annotated[int | None, field("devices")]
    threads: Threads
    precision: Annotated[str | None, field("precision")]
    share: Annotated[bool | None, field("share", "", "--share")]
    sets: Annotated[
        list[str] | None,
        field(
            "set",
            ", e.g. robust.weight_decay=1e-3, augmentation=cutout, patience=5, eps_warmup=0.1, "
            "swa_start=0.75, beta=6; repeatable",
            "--set",
            metavar="FIELD=VALUE",
        ),
    ]
    log: Annotated[
        list[str] | None,
        typer.Option(
            "--log",
            metavar="LOGGER[:DIR]",
            help="Mirror the run as it works: tensorboard, mlflow, wandb or trackio; repeatable.",
        ),
    ]
    detach: Detach
    as_json: Json
    home: Home


class Launching(TypedDict):
    """Whether a run works here or is a job of Slurm, and what the job asks for."""

    launcher: Annotated[str | None, field("launcher", **_SLURM)]
    partition: Annotated[str | None, field("slurm.partition", **_SLURM)]
    account: Annotated[str | None, field("slurm.account", **_SLURM)]
    time: Annotated[str | None, field("slurm.time", **_SLURM)]
    gres: Annotated[str | None, field("slurm.gres", **_SLURM)]
    cpus_per_task: Annotated[int | None, field("slurm.cpus_per_task", **_SLURM)]
    mem: Annotated[str | None, field("slurm.mem", **_SLURM)]
    qos: Annotated[str | None, field("slurm.qos", **_SLURM)]
    constraint: Annotated[str | None, field("slurm.constraint", **_SLURM)]
    nodes: Annotated[int | None, field("slurm.nodes", **_SLURM)]
    requeues: Annotated[int | None, field("slurm.requeues", **_SLURM)]
    slurm_arg: Annotated[
        list[str] | None,
        field("slurm.args", " (mail-type=END); repeatable", metavar="KEY=VALUE", **_SLURM),
    ]


class TrainingOptions(Naming, Training, Perturbation, Execution, Launching):
    """What ``study`` and ``train`` share."""


class AttackOptions(Naming, Perturbation, Execution, Launching):
    """What ``attack`` shares with them."""


def with_shared_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace ``**shared: Unpack[Options]`` of a command by one parameter for each option.

    Typer reads the new signature. A caller may leave options out: None, or False for a flag whose
    type is ``bool``.
    """
    signature = inspect.signature(command)
    hints = get_type_hints(command, include_extras=True)
    *own, last = signature.parameters.values()
    (options,) = get_args(hints.pop(last.name))
    shared = get_type_hints(options, include_extras=True)
    defaults = {name: False if get_args(hint)[0] is bool else None for name, hint in shared.items()}

    @functools.wraps(command)
    def spelled_out(*arguments: Any, **given: Any) -> None:
        command(*arguments, **{**defaults, **given})

    parameters = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=hint
        )
        for name, hint in shared.items()
    ]
    spelled_out.__annotations__ = {**hints, **shared}
    spelled_out.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*own, *parameters]
    )
    return spelled_out
