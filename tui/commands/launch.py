"""Commands that start runs: study, train, attack, resume."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Unpack

import typer

from tui.commands import options as o

if TYPE_CHECKING:
    from runs.spec import StudySpec, TrainSpec


@o.with_shared_options
def study(
    preset: o.Preset = None,
    config: o.Config = None,
    recipe: Annotated[
        str | None, o.field("study.recipe", ": pgd-at, mixed, trades, mart or fast")
    ] = None,
    limit: o.Limit = None,
    sanity: Annotated[str | None, o.field("sanity")] = None,
    reuse: Annotated[bool | None, o.field("reuse", "", "--reuse")] = None,
    **shared: Unpack[o.TrainingOptions],
) -> None:
    """Train a baseline and a robust model, attack both, print a table.

    --norm and --eps apply to trainings, validations and attacks alike. --step-size, --steps,
    --restarts and --loss apply to the attacks of the table; for the attack of the training batches
    use --set robust.attack.steps=7, if the recipe takes steps.
    """
    from tui.commands.multi_seed import parse_seeds
    from tui.spec_from_flags import study_spec

    flags = _flags(shared, recipe=recipe, limit=limit, sanity=sanity, reuse=reuse)
    seeds = parse_seeds(shared["seeds"], shared["seed"], shared["sets"])
    spec = study_spec(_preset(preset, config, flags), config, shared["sets"], flags)
    _launch_each(spec, seeds, shared)


@o.with_shared_options
def train(
    mode: Annotated[str | None, o.field("mode", "; default: robust")] = None,
    preset: o.Preset = None,
    config: o.Config = None,
    recipe: Annotated[str | None, o.field("recipe")] = None,
    **shared: Unpack[o.TrainingOptions],
) -> None:
    """Train one model; keep its best clean, best robust and last state.

    --norm and --eps apply to the attack of the training batches and to that of the validation.
    --step-size, --steps, --restarts and --loss apply to the attack of the training batches alone.
    """
    from tui.commands.multi_seed import parse_seeds
    from tui.spec_from_flags import train_spec

    flags = _flags(shared, recipe=recipe)
    seeds = parse_seeds(shared["seeds"], shared["seed"], shared["sets"])
    spec = train_spec(mode, _preset(preset, config, flags), config, shared["sets"], flags)
    _launch_each(spec, seeds, shared)


@o.with_shared_options
def sweep(
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=A,B",
            help="Values of a field; of several grids all combinations; repeatable.",
        ),
    ] = None,
    studies: Annotated[
        bool, typer.Option("--studies", help="Whole studies in the place of trainings.")
    ] = False,
    add: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Add --grid and --seeds to this sweep, also while it is at work.",
            autocompletion=o.complete_run,
        ),
    ] = None,
    mode: Annotated[str | None, o.field("mode", "; default: robust")] = None,
    preset: o.Preset = None,
    config: o.Config = None,
    recipe: Annotated[str | None, o.field("recipe")] = None,
    limit: o.Limit = None,
    **shared: Unpack[o.TrainingOptions],
) -> None:
    """Train over a grid of settings and seeds; rank them in a table.

    The grid takes any field of a training (or of a study, with --studies), as --set does: recipe,
    awp_gamma, robust.weight_decay. The table is sorted by robust accuracy on the validation split.
    A completed run with an equal spec takes the place of a new one.
    """
    from runs.errors import UserError
    from tui.commands.follow import start_and_follow
    from tui.commands.multi_seed import parse_seeds
    from tui.commands.sweep import add_to_sweep
    from tui.spec_from_flags import parse_grid, study_spec, sweep_spec, train_spec

    flags = _flags(shared, recipe=recipe, limit=limit)
    seeds = parse_seeds(shared["seeds"], shared["seed"], shared["sets"])
    detach, as_json, home = shared["detach"], shared["as_json"], shared["home"]
    if add is not None:
        if flags or shared["sets"] or studies or mode or preset or config:
            raise UserError("--add takes only --grid and --seeds: the rest is that of the sweep")
        add_to_sweep(add, parse_grid(grid), seeds or (), home, detach=detach, as_json=as_json)
        return
    if not grid and not seeds:
        raise UserError("name at least one --grid FIELD=A,B, or --seeds")
    base: TrainSpec | StudySpec
    if studies:
        if mode is not None:
            raise UserError("--mode is of one training: a study has both")
        base = study_spec(_preset(preset, config, flags), config, shared["sets"], flags)
    else:
        if limit is not None:
            raise UserError("--limit is of the attacks: add --studies")
        base = train_spec(mode, _preset(preset, config, flags), config, shared["sets"], flags)
    spec = sweep_spec(base, grid, seeds)
    logs = shared["log"] or ()
    start_and_follow(spec, home, shared["tag"], detach=detach, as_json=as_json, logs=logs)


@o.with_shared_options
def attack(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN[:CHECKPOINT]…",
            help="Trained runs; without a checkpoint, their best checkpoints.",
            autocompletion=o.complete_run,
        ),
    ] = None,
    attacks: Annotated[
        list[str] | None,
        typer.Option(
            "--attack",
            help="pgd-targeted, pgd-untargeted, pgd-margin, pgd-dlr, fgsm, mi-fgsm, apgd-ce, "
            "apgd-dlr, apgd-targeted or autoattack; several as A,B (default: the first two).",
            autocompletion=o.complete_attack,
        ),
    ] = None,
    targets: Annotated[
        str | None, typer.Option(help="Target rule: random, least-likely, next, runner-up or all.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="PACKAGE.MODULE:FACTORY",
            help="Your own network: a function without arguments that returns it. Python also "
            "looks for the package in the current folder. FILE.py:FACTORY names a file.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Weights of --model: safetensors, or a state dict."),
    ] = None,
    normalised: Annotated[
        str | None,
        typer.Option(
            "--normalised",
            "--normalized",
            metavar="MEAN,…:STD,…",
            help="Input of --model: (pixel − mean) / std, pixels in [0, 1]; or the name cifar10, "
            "cifar100, digits, imagenet or data (that of the data set).",
        ),
    ] = None,
    data: Annotated[str | None, o.field("attack.data")] = None,
    resize: Annotated[int | None, o.field("resize")] = None,
    preset: o.Preset = None,
    config: o.Config = None,
    limit: o.Limit = None,
    batch_size: Annotated[int | None, o.field("attack.batch_size")] = None,
    eot: Annotated[int | None, o.field("eot", "; 1: none")] = None,
    corruptions: Annotated[Path | None, o.field("corruptions")] = None,
    sanity: Annotated[str | None, o.field("sanity")] = None,
    examples: Annotated[int | None, o.field("examples")] = None,
    eps: Annotated[
        str | None, o.field("eps", ", e.g. 8/255; several for a curve, e.g. 0,2/255,4/255,8/255")
    ] = None,
    **shared: Unpack[o.AttackOptions],
) -> None:
    """Attack trained models, or your own network, on the test split.

    The threat model is that of the attacked run, unless --preset, --config or an option sets
    another.
    """
    from tui.commands.follow import start_and_follow
    from tui.commands.plain_output import open_store
    from tui.spec_from_flags import attack_spec

    flags = _flags(
        shared,
        data=data,
        resize=resize,
        limit=limit,
        batch_size=batch_size,
        eot=eot,
        corruptions=corruptions,
        sanity=sanity,
        examples=examples,
        eps=eps,
    )
    own = {"model": model, "weights": weights, "normalised": normalised}
    store = open_store(shared["home"])
    spec = attack_spec(
        store, words or [], attacks, targets, preset, config, shared["sets"], flags, own
    )
    start_and_follow(
        spec,
        shared["home"],
        shared["tag"],
        detach=shared["detach"],
        as_json=shared["as_json"],
        logs=shared["log"] or (),
    )


@o.with_shared_options
def resume(
    run: o.RunWord,
    epochs: Annotated[
        int | None, typer.Option(help="Refused: why a training can't get more epochs.")
    ] = None,
    device: o.Device = None,
    devices: Annotated[
        int | None, typer.Option(help="Devices of the trainings, from now on.")
    ] = None,
    threads: o.Threads = None,
    detach: o.Detach = False,
    as_json: o.Json = False,
    home: o.Home = None,
    **launching: Unpack[o.Launching],
) -> None:
    """Continue an interrupted, failed or lost run.

    The run continues from its last checkpoint. With --device, --devices or --threads it continues
    elsewhere; another number of devices or threads changes rounding. A run of Slurm is handed in
    again; --launcher here or slurm moves it, with all that the job asks for.
    """
    from tui.commands.follow import resume_and_follow

    if epochs is not None:
        from runs.errors import UserError

        raise UserError(
            "a training keeps its number of epochs: both schedules of the learning rate follow the "
            f"planned length. Start a new one: advtui train --epochs {epochs}"
        )
    from tui.slurm_flags import with_slurm

    place = {"device": device, "devices": devices, "threads": threads, **launching}
    asked = with_slurm({key: value for key, value in place.items() if value is not None})
    resume_and_follow(run, home, asked, detach=detach, as_json=as_json)


_OF_THE_COMMAND = ("tag", "seeds", "sets", "log", "detach", "as_json", "home")
"""Shared options that are not fields of a spec."""


def _flags(shared: Mapping[str, Any], **own: object) -> dict[str, Any]:
    """The options that were used, by the names of the spec's fields."""
    flags: dict[str, Any] = {}
    for name, value in {**shared, **own}.items():
        if name in ("data_dir", "generated", "corruptions") and isinstance(value, Path):
            flags[name] = str(value.expanduser().absolute())
        elif name == "init" and isinstance(value, str):
            flags[name] = _start_weights(shared, value)
        elif name not in _OF_THE_COMMAND and value is not None:
            flags[name] = value
    return flags


def _start_weights(shared: Mapping[str, Any], word: str) -> str:
    from tui.commands.plain_output import open_store
    from tui.user_model_flags import start_weights

    return start_weights(open_store(shared["home"]), word)


def _preset(preset: str | None, config: Path | None, flags: Mapping[str, Any]) -> str | None:
    """The preset that was named; where neither it nor a config was, the announced default."""
    if preset is not None or config is not None:
        return preset
    from tui.commands.plain_output import say
    from tui.spec_from_flags import default_preset

    default = default_preset(str(flags.get("device", "auto")))
    say(f"preset {default.name} ({default.reason}); --preset names another")
    return default.name


def _launch_each(
    spec: "TrainSpec | StudySpec", seeds: Sequence[int] | None, shared: o.TrainingOptions
) -> None:
    from tui.commands.multi_seed import launch_each

    launch_each(
        spec,
        seeds,
        shared["home"],
        shared["tag"],
        detach=shared["detach"],
        as_json=shared["as_json"],
        logs=shared["log"] or (),
    )
