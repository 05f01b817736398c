"""From flags, presets and config files to a spec."""

import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from runs.attacks import named_attack
from runs.budgets import parse_budget
from runs.errors import NotFoundError, UserError
from runs.overrides import override
from runs.presets import preset as named_preset
from runs.results import default_checkpoints, row_label, split_checkpoint
from runs.spec import AWP_GAMMA, AttackSpec, CheckpointRef, StudySpec, TrainSpec, parse_spec
from runs.store import Run, Store
from runs.threat_model import EVALUATION_PGD, standard_attacks
from tui.commands.output import say
from tui.user_model_flags import data_set, own_model


def study_spec(
    preset: str | None, config: Path | None, sets: Sequence[str] | None, flags: dict[str, Any]
) -> StudySpec:
    """The spec of ``advtui study``.

    Raises:
        UserError: an unknown preset or field, a value out of range, an unreadable config.
    """
    base = _from_config(config, "study")
    if base is None:
        base = named_preset(preset or _default_preset(flags))
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
    base = _from_config(config, "train")
    if base is None:
        if mode not in (None, "baseline", "robust"):
            raise UserError(f"unknown mode {mode!r}: baseline or robust")
        whole = named_preset(preset or _default_preset(flags))
        base = whole.child("baseline" if mode == "baseline" else "robust")
    elif mode is not None:
        flags = {"mode": mode, **flags}
    assert isinstance(base, TrainSpec)
    return override(base, {**_with_gamma(flags, base), **_parse_sets(sets)})


def _with_gamma(flags: dict[str, Any], base: TrainSpec) -> dict[str, Any]:
    """``awp`` as the γ that it stands for: that of the preset, if it has one."""
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
    """The spec of ``advtui attack``: the words' checkpoints under their own threat model.

    ``own`` holds ``model``, ``weights`` and ``normalised`` of a user's own network.

    Raises:
        NotFoundError: a run or checkpoint doesn't exist.
        UserError: as :func:`study_spec`; or the runs differ in data or threat model.
    """
    base = _from_config(config, "attack")
    references, runs = _references(store, words)
    for flag in ("weights", "normalised"):
        if own.get(flag) and not own.get("model"):
            raise UserError(f"--{flag} needs --model: say whose")
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
    there = {attack.name: attack for attack in base.attacks}
    pgd = base.attacks[-1].pgd
    wanted = dict.fromkeys(attacks or there)
    chosen = [there.get(name) or named_attack(name, pgd) for name in wanted]
    if targets is not None:
        chosen = [
            attack.model_copy(update={"targets": targets}) if attack.targets else attack
            for attack in chosen
        ]
    base = base.model_copy(update={"attacks": tuple(chosen)})
    if "," in str(flags.get("eps", "")):
        flags = {**flags, "epsilons": _epsilons(str(flags["eps"]))}
        del flags["eps"]
    return override(base, {**flags, **_parse_sets(sets)})


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
    specs = [run.spec for run in runs]
    threats = {
        (spec.validation.norm, spec.validation.eps, spec.validation.step_size)
        for spec in specs
        if isinstance(spec, TrainSpec)
    }
    if len(threats) > 1 and not {"norm", "eps"} <= flags.keys():
        raise UserError(
            "the runs were trained for different threat models: say --norm and --eps for all"
        )
    if not threats:
        return AttackSpec()
    norm, eps, step_size = threats.pop()
    pgd = EVALUATION_PGD.model_copy(update={"norm": norm, "eps": eps, "step_size": step_size})
    return AttackSpec(attacks=standard_attacks(pgd))


def _references(store: Store, words: Sequence[str]) -> tuple[tuple[CheckpointRef, ...], list[Run]]:
    references: list[CheckpointRef] = []
    runs: list[Run] = []
    for word in words:
        name, checkpoint = split_checkpoint(word)
        run = _find(store, name)
        if run.kind == "study":
            trained = [child for child in store.children(run) if child.kind == "train"]
        else:
            trained = [run]
        if not trained or any(one.kind != "train" for one in trained):
            raise UserError(f"{word} is no trained run but of kind {run.kind}")
        for one in trained:
            for wanted in [checkpoint] if checkpoint else default_checkpoints(one.mode):
                if wanted not in one.checkpoints():
                    raise _no_checkpoint(one, wanted)
                label = row_label(one, wanted)
                references.append(CheckpointRef(run=one.id, checkpoint=wanted, label=label))
            runs.append(one)
    data = {run.raw_spec.get("data") for run in runs}
    if len(data) > 1:
        raise UserError(
            f"the runs were trained on different data: {', '.join(sorted(map(str, data)))}"
        )
    return _distinct(references), runs


def _find(store: Store, name: str) -> Run:
    """As ``store.find``; a word that ends in no checkpoint's name is explained."""
    try:
        return store.find(name)
    except NotFoundError:
        head, colon, tail = name.rpartition(":")
        if not colon:
            raise
        raise _no_checkpoint(store.find(head), tail) from None


def _no_checkpoint(run: Run, name: str) -> NotFoundError:
    there = ", ".join(run.checkpoints()) or "none yet"
    return NotFoundError(f"{run.id} has no checkpoint {name!r}: {there}")


def _distinct(references: Sequence[CheckpointRef]) -> tuple[CheckpointRef, ...]:
    """Rows must be told apart: equal labels get their run's id."""
    labels = [reference.label for reference in references]
    return tuple(
        reference.model_copy(update={"label": f"{reference.label} ({reference.run[-4:]})"})
        if labels.count(reference.label) > 1
        else reference
        for reference in references
    )


def _from_config(path: Path | None, kind: str) -> TrainSpec | AttackSpec | StudySpec | None:
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8")
        fields = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise NotFoundError(f"config {path} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"config {path} is no valid {path.suffix or 'TOML'}: {error}") from None
    if not isinstance(fields, dict):
        raise UserError(f"config {path} holds no table of fields")
    found = fields.setdefault("kind", kind)
    if found != kind:
        raise UserError(f"config {path} describes a {found} run, not a {kind} run")
    return parse_spec(fields)


def _parse_sets(sets: Sequence[str] | None) -> dict[str, Any]:
    parsed = {}
    for item in sets or ():
        field, equals, value = item.partition("=")
        if not equals or not field:
            raise UserError(f"--set {item!r}: write FIELD=VALUE, e.g. weight_decay=1e-3")
        try:
            parsed[field.strip()] = json.loads(value)
        except ValueError:
            parsed[field.strip()] = value.strip()
    return parsed


def _default_preset(flags: dict[str, Any]) -> str:
    device = str(flags.get("device", "auto"))
    chosen = "poster" if device != "cpu" and has_gpu() else "cpu"
    why = "a CUDA GPU is here" if chosen == "poster" else "no CUDA GPU is in use"
    say(f"preset {chosen} ({why}); --preset names another")
    return chosen


def has_gpu() -> bool:
    """Whether NVML sees a GPU that CUDA_VISIBLE_DEVICES doesn't hide; imports no torch."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    import pynvml

    try:
        pynvml.nvmlInit()
        return bool(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return False
