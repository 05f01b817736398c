"""Commands that start runs: study, train, attack, resume."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tui.commands import options as o


def study(
    preset: o.Preset = None,
    config: o.Config = None,
    name: o.Name = None,
    tag: o.Tag = None,
    data: o.Data = None,
    data_dir: o.DataDir = None,
    seed: o.Seed = None,
    seeds: o.Seeds = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Recipe of the robust run: pgd-at, mixed, trades, mart or fast."),
    ] = None,
    awp: o.Awp = None,
    width: o.Width = None,
    activation: o.Activation = None,
    epochs: o.Epochs = None,
    batch_size: o.BatchSize = None,
    lr: o.Lr = None,
    weight_decay: o.WeightDecay = None,
    schedule: o.Schedule = None,
    label_smoothing: o.LabelSmoothing = None,
    ema_decay: o.EmaDecay = None,
    clip_norm: o.ClipNorm = None,
    train_limit: o.TrainLimit = None,
    compile: o.Compile = None,
    profile: o.Profile = None,
    norm: o.Norm = None,
    eps: o.Eps = None,
    step_size: o.StepSize = None,
    steps: o.Steps = None,
    restarts: o.Restarts = None,
    loss: o.Loss = None,
    limit: o.Limit = None,
    sanity: Annotated[
        str | None, typer.Option(help="Depth of the checks under the table: quick or full.")
    ] = None,
    reuse: Annotated[
        bool | None, typer.Option("--reuse", help="Use completed runs with the same spec.")
    ] = None,
    device: o.Device = None,
    threads: o.Threads = None,
    precision: o.Precision = None,
    share: o.Share = None,
    sets: o.Set = None,
    detach: o.Detach = False,
    as_json: o.Json = False,
    home: o.Home = None,
) -> None:
    """Baseline, robust, attacks, table: the whole thing.

    --norm and --eps reach trainings, validations and attacks alike; --step-size, --steps,
    --restarts and --loss the attacks of the table (for those of the training batches use
    --set robust.attack.steps=7, if the recipe takes steps).
    """
    from tui.commands.multi_seed import launch_each, parse_seeds
    from tui.spec_from_flags import study_spec

    flags = _flags(locals())
    chosen = parse_seeds(seeds, seed, sets)
    spec = study_spec(preset, config, sets, flags)
    launch_each(spec, chosen, home, tag, detach=detach, as_json=as_json)


def train(
    mode: Annotated[str | None, typer.Option(help="baseline or robust (default: robust).")] = None,
    preset: o.Preset = None,
    config: o.Config = None,
    name: o.Name = None,
    tag: o.Tag = None,
    data: o.Data = None,
    data_dir: o.DataDir = None,
    seed: o.Seed = None,
    seeds: o.Seeds = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="standard (baseline); pgd-at, mixed, trades, mart or fast (robust)."),
    ] = None,
    awp: o.Awp = None,
    width: o.Width = None,
    activation: o.Activation = None,
    epochs: o.Epochs = None,
    batch_size: o.BatchSize = None,
    lr: o.Lr = None,
    weight_decay: o.WeightDecay = None,
    schedule: o.Schedule = None,
    label_smoothing: o.LabelSmoothing = None,
    ema_decay: o.EmaDecay = None,
    clip_norm: o.ClipNorm = None,
    train_limit: o.TrainLimit = None,
    compile: o.Compile = None,
    profile: o.Profile = None,
    norm: o.Norm = None,
    eps: o.Eps = None,
    step_size: o.StepSize = None,
    steps: o.Steps = None,
    restarts: o.Restarts = None,
    loss: o.Loss = None,
    device: o.Device = None,
    threads: o.Threads = None,
    precision: o.Precision = None,
    share: o.Share = None,
    sets: o.Set = None,
    detach: o.Detach = False,
    as_json: o.Json = False,
    home: o.Home = None,
) -> None:
    """Train one model and keep its best clean, best robust and last checkpoint.

    --norm and --eps reach the attack of the training batches and that of the validation;
    --step-size, --steps, --restarts and --loss the former alone.
    """
    from tui.commands.multi_seed import launch_each, parse_seeds
    from tui.spec_from_flags import train_spec

    flags = _flags(locals())
    chosen = parse_seeds(seeds, seed, sets)
    spec = train_spec(mode, preset, config, sets, flags)
    launch_each(spec, chosen, home, tag, detach=detach, as_json=as_json)


def attack(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN[:CHECKPOINT]…",
            help="Trained runs; without a checkpoint their best ones.",
            autocompletion=o.complete_run,
        ),
    ] = None,
    attacks: Annotated[
        list[str] | None,
        typer.Option(
            "--attack",
            help="pgd-targeted, pgd-untargeted, pgd-margin, pgd-dlr, fgsm, mi-fgsm, apgd-ce, "
            "apgd-dlr, apgd-targeted or autoattack; repeatable (default: the first two).",
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
            help="A network of your own: what makes it, called without arguments. The package is "
            "looked for in the present folder too.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Its weights: safetensors, or a state dict."),
    ] = None,
    normalised: Annotated[
        str | None,
        typer.Option(
            metavar="MEAN,…:STD,…",
            help="It expects (pixel − mean) / std, pixels in [0, 1]; or cifar10, cifar100, "
            "imagenet, data (the data set's own).",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="cifar100, cifar10, digits, or a folder of class folders."),
    ] = None,
    resize: Annotated[
        int | None,
        typer.Option(help="A folder's pictures: shorter side to this, then the square centre."),
    ] = None,
    preset: o.Preset = None,
    config: o.Config = None,
    name: o.Name = None,
    tag: o.Tag = None,
    data_dir: o.DataDir = None,
    seed: o.Seed = None,
    norm: o.Norm = None,
    eps: Annotated[
        str | None,
        typer.Option(help="Budget, e.g. 8/255; several for a curve: 0,1/255,2/255,4/255,8/255."),
    ] = None,
    step_size: o.StepSize = None,
    steps: o.Steps = None,
    restarts: o.Restarts = None,
    loss: o.Loss = None,
    limit: o.Limit = None,
    batch_size: Annotated[int | None, typer.Option(help="Images attacked at once.")] = None,
    sanity: Annotated[
        str | None,
        typer.Option(help="Depth of the checks at the end: quick, or full (Square among them)."),
    ] = None,
    examples: Annotated[int | None, typer.Option(help="Pictures kept for viewing.")] = None,
    device: o.Device = None,
    threads: o.Threads = None,
    precision: o.Precision = None,
    share: o.Share = None,
    sets: o.Set = None,
    detach: o.Detach = False,
    as_json: o.Json = False,
    home: o.Home = None,
) -> None:
    """Attack trained models, or a network of your own, on the test split and print the table.

    The threat model is that of the run attacked, unless --preset, --config or a flag says
    otherwise.
    """
    from tui.commands.follow import launch
    from tui.commands.output import open_store
    from tui.spec_from_flags import attack_spec

    flags = _flags(locals())
    own = {"model": model, "weights": weights, "normalised": normalised}
    store = open_store(home)
    spec = attack_spec(store, words or [], attacks, targets, preset, config, sets, flags, own)
    launch(spec, home, tag, detach=detach, as_json=as_json)


def resume(
    run: o.RunWord, detach: o.Detach = False, as_json: o.Json = False, home: o.Home = None
) -> None:
    """Go on with an interrupted, failed or lost run where its last checkpoint stands."""
    from tui.commands.follow import resume_run

    resume_run(run, home, detach=detach, as_json=as_json)


_NOT_OF_THE_SPEC = (
    *("preset", "config", "tag", "sets", "detach", "as_json", "home"),  # of every command
    *("mode", "words", "attacks", "targets", "seeds"),  # handled by name
    *("model", "weights", "normalised"),
)


def _flags(given: dict[str, Any]) -> dict[str, Any]:
    """The flags that were used, by the spec's field names."""
    flags = {
        name: value
        for name, value in given.items()
        if name not in _NOT_OF_THE_SPEC and isinstance(value, str | int | float)
    }
    if given.get("data_dir") is not None:
        flags["data_dir"] = str(given["data_dir"].expanduser().absolute())
    return flags
