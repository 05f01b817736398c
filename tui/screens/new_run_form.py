"""The form of a new run as data: its fields, the command it stands for, the defaults it shows.

Pure. Knows no widget; the specs come from :mod:`tui.spec_from_flags`, as those of the command line.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runs.attacks import NAMES as ATTACKS
from runs.attacks import named_attack
from runs.budgets import format_budget
from runs.field_help import FIELD_HELP
from runs.overrides import OF_ROBUST
from runs.presets import NAMES, describe
from runs.spec import ROBUST_RECIPES, AttackSpec, Job, StudySpec, TrainSpec
from runs.store import Store
from runs.threat_model import PGD
from tui.spec_from_flags import attack_spec, study_spec, train_spec

AnySpec = TrainSpec | AttackSpec | StudySpec

KINDS = ("study", "train", "attack")
WITH_TRAINING = ("study", "train")
RECIPES = ("", *ROBUST_RECIPES)
STANDARD_ATTACKS = ("pgd-targeted", "pgd-untargeted")
"""Chosen at first; the command takes them where none is named."""
NOT_FLAGS = ("what", "preset", "mode", "models", "attacks", "targets", "tags", "sets")
"""Fields that :class:`Request` holds by themselves."""


@dataclass(frozen=True)
class FormField:
    """A field of the form, and the kinds of run that have it."""

    key: str
    label: str
    kinds: Sequence[str] = KINDS
    options: Sequence[str] | None = None
    """The words to choose from, an empty one for the default; None: the user writes."""
    own_help: str | None = None
    """Its help, where the form asks for something else than the field of a spec."""
    several: bool = False
    """Whether more than one of the options can be chosen."""

    @property
    def help(self) -> str:
        """At most 32 cells, which a terminal of 80 columns has beside the value."""
        if self.own_help is not None:
            return self.own_help
        return FIELD_HELP.get(f"study.{self.key}", FIELD_HELP[self.key]).removesuffix(".")


def help_line(field: FormField, at: str) -> str:
    """The help of a field in a whole line, with what the word ``at`` means that it shows now."""
    sentence = FIELD_HELP.get(f"study.{field.key}") or FIELD_HELP.get(field.key, "")
    words = field.own_help if field.own_help is not None else sentence
    meaning = ""
    if field.key == "preset" and at in NAMES:
        meaning = f"{at}: {describe(at)}"
    elif field.key == "attacks":
        meaning = f"{at}: {ATTACKS.get(at, '')}"
    return " ".join(f"{part.removesuffix('.')}." for part in (meaning, words) if part)


FIELDS = (
    FormField("what", "kind of run", options=KINDS, own_help="Study: trainings, then attacks"),
    FormField("preset", "preset", WITH_TRAINING, NAMES, own_help="Starting point"),
    FormField("mode", "mode", ("train",), ("robust", "baseline")),
    FormField("models", "models", ("attack",), own_help="Ids, names, @1, RUN:best_robust"),
    FormField(
        *("attacks", "attacks", ("attack",)),
        options=tuple(ATTACKS),
        own_help="Space chooses one or several",
        several=True,
    ),
    FormField(
        *("targets", "targets", ("attack",)),
        options=("", "random", "least-likely", "next", "runner-up"),
    ),
    FormField("name", "name"),
    FormField("tags", "tags", own_help="Words, separated by blanks"),
    FormField("data", "data", WITH_TRAINING, ("", "cifar100", "cifar10", "digits")),
    FormField("data_dir", "data folder"),
    FormField("recipe", "recipe", WITH_TRAINING, RECIPES),
    FormField("awp", "AWP", WITH_TRAINING, ("", "yes")),
    FormField("activation", "activation", WITH_TRAINING, ("", "relu", "silu")),
    FormField("arch", "network", WITH_TRAINING, own_help="E.g. wrn-28-10, timm:NAME"),
    FormField("width", "model width", WITH_TRAINING, own_help="Channels of the first stage"),
    FormField("epochs", "epochs", WITH_TRAINING),
    FormField("batch_size", "batch size", WITH_TRAINING),
    FormField("lr", "learning rate", WITH_TRAINING),
    FormField("norm", "norm", options=("", "linf", "l2", "l1")),
    FormField("eps", "ε"),
    FormField("step_size", "step size", own_help="Empty: follows ε"),
    FormField("steps", "steps"),
    FormField("restarts", "restarts"),
    FormField("loss", "attack loss", options=("", "ce", "margin", "dlr")),
    FormField("limit", "test images", ("study", "attack")),
    FormField("seed", "seed"),
    FormField("device", "device"),
    FormField("threads", "CPU threads"),
    FormField("launcher", "launcher", options=("", "slurm"), own_help="Here, or a job of Slurm"),
    FormField("partition", "partition", own_help="Of Slurm; empty: its default"),
    FormField("time", "time limit", own_help="8:00:00; it then requeues"),
    FormField("gres", "resources", own_help="E.g. gpu:1; empty: a GPU if any"),
    FormField("sets", "other fields", own_help="FIELD=VALUE …, e.g. patience=5"),
)


OF_SLURM = ("partition", "time", "gres")
"""Fields that a job of Slurm alone has."""


def is_asked(field: FormField, values: Mapping[str, str]) -> bool:
    """Whether a field belongs to what the values of all fields ask for."""
    has_job = field.key not in OF_SLURM or values["launcher"] == "slurm"
    return values["what"] in field.kinds and has_job


@dataclass(frozen=True)
class Request:
    """What the form asks for: the kind of run, and the arguments of the command line."""

    what: str
    preset: str
    mode: str
    models: Sequence[str]
    attacks: Sequence[str]
    """By name; the standard two need not be named on the command line."""
    targets: str
    tags: Sequence[str]
    sets: Sequence[str]
    flags: dict[str, str]

    @classmethod
    def of(cls, values: Mapping[str, str]) -> "Request":
        """From the values of all fields, an empty one for the default."""
        what = values["what"]
        flags = {
            field.key: values[field.key]
            for field in FIELDS
            if is_asked(field, values) and field.key not in NOT_FLAGS and values[field.key]
        }
        if "data_dir" in flags:
            flags["data_dir"] = str(Path(flags["data_dir"]).expanduser().absolute())
        return cls(
            what=what,
            preset=values["preset"],
            mode=values["mode"],
            models=values["models"].split(),
            attacks=values["attacks"].split(),
            targets=values["targets"],
            tags=values["tags"].replace("#", " ").split(),
            sets=_shell_words(values["sets"]),
            flags=flags,
        )

    def command(self) -> str:
        """The ``advtui`` command that asks for the same."""
        words = ["advtui", self.what]
        if self.what == "attack":
            words += self.models
            for name in self._named_attacks or ():
                words += ["--attack", name]
            if self.targets:
                words += ["--targets", self.targets]
        else:
            words += ["--preset", self.preset]
        if self.what == "train":
            words += ["--mode", self.mode]
        for key, value in self.flags.items():
            words += [f"--{key.replace('_', '-')}", *([] if key == "awp" else [value])]
        for item in self.sets:
            words += ["--set", item]
        for tag in self.tags:
            words += ["--tag", tag]
        return shlex.join(words)

    @property
    def _named_attacks(self) -> Sequence[str] | None:
        return None if set(self.attacks) == set(STANDARD_ATTACKS) else self.attacks

    def spec(self, store: Store) -> AnySpec:
        """The spec that the command makes.

        Raises:
            UserError: as the command does.
        """
        flags: dict[str, Any] = dict(self.flags)
        if self.what == "attack":
            attacks, targets = self._named_attacks, self.targets or None
            return attack_spec(store, self.models, attacks, targets, None, None, self.sets, flags)
        if self.what == "train":
            return train_spec(self.mode, self.preset, None, self.sets, flags)
        return study_spec(self.preset, None, self.sets, flags)


def _shell_words(text: str) -> list[str]:
    """Split as a shell does; at blanks alone while a quotation is not closed."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def default_text(spec: AnySpec, key: str) -> str:
    """The value of a field in ``spec``, for a field of the form that is empty."""
    if key == "awp":
        trained = spec.robust if isinstance(spec, StudySpec) else spec
        return "yes" if getattr(trained, "awp_gamma", 0) else "no"
    values: list[Any] = []
    if key in PGD.model_fields:
        values = [getattr(pgd, key) for pgd in _pgds(spec)]
    elif isinstance(spec, StudySpec) and key not in Job.model_fields:
        parts = (spec.robust,) if key in OF_ROBUST else (spec.baseline, spec.robust)
        values = [getattr(part, key) for part in parts if hasattr(part, key)]
        values = values or [getattr(spec.attack, key, None)]
    elif key == "targets" and isinstance(spec, AttackSpec):
        values = [attack.targets for attack in spec.attacks if attack.targets]
    elif key in type(spec).model_fields:
        values = [getattr(spec, key)]
    unique = list(dict.fromkeys(values))
    if key in ("eps", "step_size"):
        unique = [format_budget(value) for value in unique]
    text = " / ".join("" if value is None else str(value) for value in unique)
    if key in OF_SLURM and spec.slurm is not None:
        return str(getattr(spec.slurm, key) or "")
    return text or _NOTHING.get(key, "")


_NOTHING = {
    "limit": "all",
    "threads": "all cores",
    "data_dir": "in the home",
    "launcher": "here",
}
"""What an empty field means whose value in the spec is none."""


def _pgds(spec: AnySpec) -> list[PGD]:
    if isinstance(spec, TrainSpec):
        return [named_attack("fgsm", spec.attack).pgd if spec.recipe == "fast" else spec.attack]
    attacks = spec.attack.attacks if isinstance(spec, StudySpec) else spec.attacks
    return [attack.pgd for attack in attacks]
