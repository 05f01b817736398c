"""From flags, presets and config files to a spec.

Reads files and asks NVML for GPUs; prints nothing.
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import ValidationError

from runs.attacks import named_attack
from runs.budgets import parse_budget
from runs.errors import NotFoundError, UserError
from runs.gpus import visible_gpus
from runs.overrides import override
from runs.presets import preset as named_preset
from runs.results import default_checkpoints, row_label, split_checkpoint
from runs.spec import (
    AWP_GAMMA,
    AnySpec,
    AttackSpec,
    CheckpointRef,
    Job,
    StudySpec,
    SweepSpec,
    TrainSpec,
    parse_spec,
)
from runs.store import Run, Store
from runs.threat_model import EVALUATION_PGD, Attack, standard_attacks
from tui.slurm_flags import with_slurm
from tui.user_model_flags import data_set, own_model, with_network


def study_spec(
    preset: str | None, config: Path | None, sets: Sequence[str] | None, flags: dict[str, Any]
) -> StudySpec:
    """The spec of ``advtui study``; without ``preset`` and ``config`` from the default preset.

    Raises:
        UserError: an unknown preset or field, a value out of range, an unreadable config.
    """
    flags = with_network(with_slurm(flags))
    base = _from_config(config, "study")
    if base is None:
        base = _preset(preset, flags)
    assert isinstance(base, StudySpec)
    return override(base, {**_with_gamma(flags, base.robust), **_parse_sets(sets)})


def train_spec(
    mode: str | None,
    preset: str | None,
    config: Path | None,
    sets: Sequence[str] | None,
    flags: dict[str, Any],
) -> TrainSpec:
    """The spec of ``advtui train``; raises as :func:`study_spec` does."""
    flags = with_network(with_slurm(flags))
    base = _from_config(config, "train")
    if base is None:
        if mode not in (None, "baseline", "robust"):
            raise UserError(f"unknown mode {mode!r}: baseline or robust")
        study = _preset(preset, flags)
        base = study.child("baseline" if mode == "baseline" else "robust")
    elif mode is not None:
        flags = {"mode": mode, **flags}
    assert isinstance(base, TrainSpec)
    return override(base, {**_with_gamma(flags, base), **_parse_sets(sets)})


def sweep_spec(
    base: TrainSpec | StudySpec, grid: Sequence[str] | None, seeds: Sequence[int] | None
) -> SweepSpec:
    """The spec of ``advtui sweep``: variations of a training or of a study.

    The name of the base is that of the sweep, and its place (device, threads, …) too.

    Raises:
        UserError: an item of the grid is not written as FIELD=A,B.
    """
    shared = {name: getattr(base, name) for name in Job.model_fields}
    try:
        return SweepSpec(
            **{**shared, "retries": max(base.retries, 1)},
            base=base.model_copy(update={"name": None}),
            grid=parse_grid(grid),
            seeds=tuple(seeds or ()),
        )
    except ValidationError as error:
        reasons = [str(item.get("ctx", {}).get("error", item["msg"])) for item in error.errors()]
        raise UserError("; ".join(reasons)) from None


def parse_grid(items: Sequence[str] | None) -> dict[str, tuple[Any, ...]]:
    """``recipe=pgd-at,trades`` as a field and its values.

    Raises:
        UserError: an item is written otherwise, or names a field twice.
    """
    grid: dict[str, tuple[Any, ...]] = {}
    for item in items or ():
        name, equals, values = item.partition("=")
        name = name.strip()
        parts = [part.strip() for part in values.split(",")]
        if not equals or not name or not all(parts):
            raise UserError(f"--grid {item!r}: write FIELD=A,B, e.g. recipe=pgd-at,trades")
        if name in grid:
            raise UserError(f"--grid {name}: it is given twice; write all its values in one")
        grid[name] = tuple(_value(part) for part in parts)
    return grid


def _value(text: str) -> Any:
    """A value as JSON has it, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _with_gamma(flags: dict[str, Any], base: TrainSpec) -> dict[str, Any]:
    """Replace ``awp`` by ``awp_gamma``: the preset's γ, or the default where the preset has 0."""
    others = {name: value for name, value in flags.items() if name != "awp"}
    return {"awp_gamma": base.awp_gamma or AWP_GAMMA, **others} if flags.get("awp") else others


def attack_spec(
    store: Store,
    words: Sequence[str],
    attacks: Sequence[str] | None,
    targets: str | None,
    preset: str | None,
    config: Path | None,
    sets: Sequence[str] | None,
    flags: dict[str, Any],
    own: Mapping[str, Any] = MappingProxyType({}),
) -> AttackSpec:
    """The spec of ``advtui attack``: checkpoints under the threat model of their own training.

    ``words`` name runs or checkpoints. ``own`` holds ``model``, ``weights`` and ``normalised`` of a
    user's own network.

    Raises:
        NotFoundError: a run or checkpoint does not exist.
        UserError: as :func:`study_spec`; or the runs differ in data or threat model.
    """
    flags = with_slurm(flags)
    base = _from_config(config, "attack")
    references, runs = _references(store, words)
    for flag in ("weights", "normalised"):
        if own.get(flag) and not own.get("model"):
            raise UserError(f"--{flag} needs --model: name the network")
    if base is None and not references and not own.get("model"):
        raise UserError("name at least one trained run to attack, e.g. advtui attack @1")
    if base is None:
        base = _inherited(runs, flags) if preset is None else named_preset(preset).attack
        first = runs[0].spec if runs else base
        base = base.model_copy(update={"data": first.data, "data_dir": first.data_dir})
    assert isinstance(base, AttackSpec)
    if references:
        base = base.model_copy(update={"checkpoints": references})
    if "data" in flags:
        flags = {**flags, "data": data_set(flags["data"])}
    base = _with_own(base, own, flags.get("data", base.data))
    base = base.model_copy(update={"attacks": _chosen_attacks(base, attacks, targets)})
    if "," in str(flags.get("eps", "")):
        flags = {**flags, "epsilons": _epsilons(str(flags["eps"]))}
        del flags["eps"]
    return override(base, {**flags, **_parse_sets(sets)})


def _chosen_attacks(
    base: AttackSpec, names: Sequence[str] | None, targets: str | None
) -> tuple[Attack, ...]:
    """The attacks of these names (none: those of ``base``), targeted by the rule ``targets``.

    A word may hold several names: ``pgd-margin,apgd-ce``.
    """
    of_base = {attack.name: attack for attack in base.attacks}
    pgd = base.attacks[-1].pgd
    words = [part.strip() for word in names or () for part in word.split(",")]
    chosen = [
        of_base.get(name) or named_attack(name, pgd) for name in dict.fromkeys(words or of_base)
    ]
    if targets is None:
        return tuple(chosen)
    return tuple(
        attack.model_copy(update={"targets": targets}) if attack.targets else attack
        for attack in chosen
    )


def _with_own(base: AttackSpec, own: Mapping[str, Any], data: str) -> AttackSpec:
    if not own.get("model"):
        return base
    model = own_model(own["model"], own.get("weights"), own.get("normalised"), data)
    return base.model_copy(update={"models": (model,)})


def _epsilons(text: str) -> list[float]:
    """``0,1/255,8/255`` as budgets, in ascending order."""
    try:
        return sorted({parse_budget(part.strip()) for part in text.split(",") if part.strip()})
    except ValueError as error:
        raise UserError(f"--eps: {error}") from None


def _inherited(runs: Sequence[Run], flags: dict[str, Any]) -> AttackSpec:
    """The standard attacks under the threat model that the runs were validated under."""
    specs = [run.spec for run in runs]
    threat_models = {
        (spec.validation.norm, spec.validation.eps, spec.validation.step_size)
        for spec in specs
        if isinstance(spec, TrainSpec)
    }
    if len(threat_models) > 1 and not {"norm", "eps"} <= flags.keys():
        raise UserError(
            "the runs were trained for different threat models: set --norm and --eps for all"
        )
    if not threat_models:
        return AttackSpec()
    norm, eps, step_size = threat_models.pop()
    pgd = EVALUATION_PGD.model_copy(update={"norm": norm, "eps": eps, "step_size": step_size})
    return AttackSpec(attacks=standard_attacks(pgd))


def _references(store: Store, words: Sequence[str]) -> tuple[tuple[CheckpointRef, ...], list[Run]]:
    """The checkpoints that the words name, and their runs; a study means its trainings."""
    references: list[CheckpointRef] = []
    runs: list[Run] = []
    for word in words:
        run_name, checkpoint = split_checkpoint(word)
        run = _find(store, run_name)
        if run.kind == "study":
            trained = [child for child in store.children(run) if child.kind == "train"]
        else:
            trained = [run]
        if run.kind == "study" and not trained:
            raise UserError(f"{word} is a study without a train run: let it train first")
        for training in trained:
            if training.kind != "train":
                article = "an" if run.kind[0] in "aeiou" else "a"
                raise UserError(f"{word} is {article} {run.kind} run; a train run is expected")
            for name in [checkpoint] if checkpoint else default_checkpoints(training.mode):
                if name not in training.checkpoints():
                    raise _no_checkpoint(training, name)
                label = row_label(training, name)
                references.append(CheckpointRef(run=training.id, checkpoint=name, label=label))
            runs.append(training)
    data = {run.data for run in runs}
    if len(data) > 1:
        raise UserError(
            f"the runs were trained on different data: {', '.join(sorted(map(str, data)))}"
        )
    return _distinct(references), runs


def _find(store: Store, name: str) -> Run:
    """As ``store.find``; explains a word whose part after the last colon is no checkpoint."""
    try:
        return store.find(name)
    except NotFoundError:
        head, colon, tail = name.rpartition(":")
        if not colon:
            raise
        raise _no_checkpoint(store.find(head), tail) from None


def _no_checkpoint(run: Run, name: str) -> NotFoundError:
    available = ", ".join(run.checkpoints()) or "none yet"
    return NotFoundError(f"{run.id} has no checkpoint {name!r}; available: {available}")


def _distinct(references: Sequence[CheckpointRef]) -> tuple[CheckpointRef, ...]:
    """The references with different labels: equal labels get the end of their run's id."""
    labels = [reference.label for reference in references]
    return tuple(
        reference.model_copy(update={"label": f"{reference.label} ({reference.run[-4:]})"})
        if labels.count(reference.label) > 1
        else reference
        for reference in references
    )


def _from_config(path: Path | None, kind: str) -> AnySpec | None:
    if path is None:
        return None
    if path.suffix.lower() in (".yaml", ".yml"):
        raise UserError(
            f"config {path} is YAML: write it as TOML or JSON, e.g. a run's own spec.json"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
        fields = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise NotFoundError(f"config {path} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"config {path} is not valid {path.suffix or 'TOML'}: {error}") from None
    if not isinstance(fields, dict):
        raise UserError(f"config {path} holds no table of fields")
    described = fields.setdefault("kind", kind)
    if described != kind:
        raise UserError(f"config {path} describes a {described} run, not a {kind} run")
    return parse_spec(fields)


def _parse_sets(sets: Sequence[str] | None) -> dict[str, Any]:
    parsed = {}
    for item in sets or ():
        field, equals, value = item.partition("=")
        if not equals or not field:
            raise UserError(f"--set {item!r}: write FIELD=VALUE, e.g. weight_decay=1e-3")
        parsed[field.strip()] = _value(value.strip())
    return parsed


class DefaultPreset(NamedTuple):
    """The preset of a run for which none was named."""

    name: str
    reason: str


def default_preset(device: str = "auto") -> DefaultPreset:
    """``poster`` where the run uses a CUDA GPU, else ``cpu``."""
    if device != "cpu" and has_gpu():
        return DefaultPreset("poster", "a CUDA GPU is available")
    return DefaultPreset("cpu", "no CUDA GPU is in use")


def _preset(name: str | None, flags: Mapping[str, Any]) -> StudySpec:
    return named_preset(name or default_preset(str(flags.get("device", "auto"))).name)


def has_gpu() -> bool:
    """Whether NVML sees a GPU that CUDA_VISIBLE_DEVICES doesn't hide; imports no torch."""
    return visible_gpus() > 0
