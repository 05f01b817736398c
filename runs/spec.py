"""The specs: what a train run, an attack run or a study is asked to do.

Specs are frozen and validated; unknown fields are refused by name; they are stored as plain JSON.
A spec says *what*, never *how*: no function of this module does any work.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from runs.architectures import ARCHITECTURES, FACTORY, TIMM, checked_arch
from runs.budgets import at_budget
from runs.datasets import dataset_name
from runs.errors import UserError
from runs.field_help import FIELD_HELP
from runs.jsonfiles import RUN_HEADER, RUN_ID
from runs.slurm_options import Slurm
from runs.spec_errors import explain
from runs.threat_model import EVALUATION_PGD, PGD, Attack, Budget, Spec, standard_attacks

DataName = Literal["cifar100", "cifar10", "digits"]


def _named_or_folder(data: str) -> str:
    if data not in get_args(DataName) and not PurePath(data).is_absolute():
        known = ", ".join(get_args(DataName))
        raise ValueError(f"{data!r} is neither {known} nor the absolute path of a folder")
    return data


Data = Annotated[str, AfterValidator(_named_or_folder)]
"""A named data set, or the absolute path of a folder of class folders."""

Channels = tuple[float, float, float]

Mode = Literal["baseline", "robust"]

Recipe = Literal["standard", "pgd-at", "mixed", "trades", "mart", "fast"]

ROBUST_RECIPES: tuple[str, ...] = get_args(Recipe)[1:]
"""Recipes that go with mode robust; ``standard`` goes with baseline."""

AWP_GAMMA = 0.005
"""The γ of ``--awp`` where a preset has none: of TRADES-AWP in the code of Wu et al. (2020)."""

Activation = Literal["relu", "silu"]

CheckpointName = Literal["best_clean", "best_robust", "last"]

Precision = Literal["auto", "bf16", "fp32"]

Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda|cuda:[0-9]+)$")]


def _either(names: Sequence[str]) -> str:
    """``a, b or c``."""
    return " or ".join(", ".join(names).rsplit(", ", 1))


class Job(Spec):
    """The fields of every kind of run."""

    name: str | None = Field(None, min_length=1, max_length=200, description=FIELD_HELP["name"])
    device: Device = Field("auto", description=FIELD_HELP["device"])
    devices: int = Field(1, ge=1, le=1024, description=FIELD_HELP["devices"])
    threads: int | None = Field(None, ge=1, le=1024, description=FIELD_HELP["threads"])
    precision: Precision = Field("auto", description=FIELD_HELP["precision"])
    share: bool = Field(False, description=FIELD_HELP["share"])
    seed: int = Field(0, ge=0, lt=2**31, description=FIELD_HELP["seed"])
    stall_minutes: float = Field(
        15.0, gt=0, allow_inf_nan=False, description=FIELD_HELP["stall_minutes"]
    )
    on_stall: Literal["report", "stop"] = Field("report", description=FIELD_HELP["on_stall"])
    retries: int = Field(0, ge=0, le=100, description=FIELD_HELP["retries"])
    data: Data = Field("cifar100", description=FIELD_HELP["attack.data"])
    data_dir: str | None = Field(None, description=FIELD_HELP["data_dir"])
    slurm: Slurm | None = Field(None, description=FIELD_HELP["slurm"])

    _data_name = field_validator("data", mode="before")(dataset_name)

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if self.devices > 1 and ":" in self.device:
            raise ValueError(f"device {self.device} is one device: with devices use cuda or cpu")
        if self.slurm is not None:
            self.slurm.ranks_per_node(self.devices)
        return self


class TrainSpec(Job):
    """One training run of a network, plain (baseline) or adversarial (robust)."""

    kind: Literal["train"] = "train"
    data: DataName = Field("cifar100", description=FIELD_HELP["data"])
    mode: Mode = Field("robust", description=FIELD_HELP["mode"])
    recipe: Recipe = Field("pgd-at", description=FIELD_HELP["recipe"])
    mixed_clean: float = Field(1 / 3, ge=0, le=1, description=FIELD_HELP["mixed_clean"])
    mixed_targeted: float = Field(1 / 3, ge=0, le=1, description=FIELD_HELP["mixed_targeted"])
    beta: float | None = Field(
        None,
        ge=0,
        le=1000,
        description=FIELD_HELP["beta"],
    )
    fast_noise: float = Field(2.0, ge=0, le=100, description=FIELD_HELP["fast_noise"])
    awp_gamma: float = Field(0.0, ge=0, le=1, description=FIELD_HELP["awp_gamma"])
    arch: Annotated[str, AfterValidator(checked_arch)] = Field(
        "resnet18", max_length=300, description=FIELD_HELP["arch"]
    )
    arch_folder: str | None = Field(None, description=FIELD_HELP["arch_folder"])
    width: int = Field(64, ge=1, le=1024, description=FIELD_HELP["width"])
    activation: Activation = Field("relu", description=FIELD_HELP["activation"])
    init: str | None = Field(None, max_length=4096, description=FIELD_HELP["init"])
    epochs: int = Field(30, ge=1, le=100_000, description=FIELD_HELP["epochs"])
    batch_size: int = Field(128, ge=2, le=65_536, description=FIELD_HELP["batch_size"])
    lr: float = Field(0.2, gt=0, le=100, description=FIELD_HELP["lr"])
    momentum: float = Field(0.9, ge=0, lt=1, description=FIELD_HELP["momentum"])
    weight_decay: float = Field(5e-4, ge=0, le=1, description=FIELD_HELP["weight_decay"])
    schedule: Literal["onecycle", "piecewise"] = Field(
        "onecycle", description=FIELD_HELP["schedule"]
    )
    warmup: float = Field(0.25, gt=0, lt=1, description=FIELD_HELP["warmup"])
    label_smoothing: float = Field(0.0, ge=0, lt=1, description=FIELD_HELP["label_smoothing"])
    ema_decay: float = Field(0.0, ge=0, lt=1, description=FIELD_HELP["ema_decay"])
    swa_start: float | None = Field(None, ge=0, lt=1, description=FIELD_HELP["swa_start"])
    clip_norm: float | None = Field(
        None, gt=0, allow_inf_nan=False, description=FIELD_HELP["clip_norm"]
    )
    augment: bool = Field(True, description=FIELD_HELP["augment"])
    augmentation: Literal["basic", "cutout", "trivial"] = Field(
        "basic", description=FIELD_HELP["augmentation"]
    )
    cutout_size: int = Field(8, ge=1, le=32, description=FIELD_HELP["cutout_size"])
    attack: PGD = Field(PGD(), description=FIELD_HELP["train.attack"])
    eps_warmup: float = Field(0.0, ge=0, le=1, description=FIELD_HELP["eps_warmup"])
    validation: PGD = Field(PGD(), description=FIELD_HELP["validation"])
    val_per_class: int = Field(20, ge=1, le=2500, description=FIELD_HELP["val_per_class"])
    compile: Literal["auto", "on", "off"] = Field("auto", description=FIELD_HELP["compile"])
    profile: bool = Field(False, description=FIELD_HELP["profile"])
    checkpoint_minutes: float = Field(
        10.0, gt=0, allow_inf_nan=False, description=FIELD_HELP["checkpoint_minutes"]
    )
    patience: int | None = Field(None, ge=1, description=FIELD_HELP["patience"])
    train_limit: int | None = Field(None, ge=2, description=FIELD_HELP["train_limit"])
    generated: str | None = Field(None, max_length=4096, description=FIELD_HELP["generated"])
    generated_share: float = Field(0.7, gt=0, lt=1, description=FIELD_HELP["generated_share"])

    @property
    def crafting(self) -> str:
        """The attack on the images of a training batch, in the field's words."""
        attack = self.attack
        match self.recipe:
            case "standard":
                return "clean images alone"
            case "fast":
                noise = f"noise up to {self.fast_noise:g} ε"
                return f"N-FGSM, {attack.budget}, {noise}, {attack.loss_words}"
            case "trades":
                return attack.describe("Gaussian start", "KL divergence")
        return attack.describe()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.mode == "baseline") != (self.recipe == "standard"):
            fitting = "standard" if self.mode == "baseline" else _either(ROBUST_RECIPES)
            raise ValueError(
                f"recipe {self.recipe!r} does not go with mode {self.mode!r}: use {fitting}"
            )
        if self.mixed_clean + self.mixed_targeted > 1:
            raise ValueError("mixed_clean + mixed_targeted exceed 1: nothing is left to untargeted")
        if self.augmentation != "basic" and not self.augment:
            raise ValueError(f"augmentation {self.augmentation} follows crop and flip: set augment")
        if self.patience is not None and self.mode == "baseline":
            raise ValueError("patience waits for robust accuracy: it goes with mode robust")
        if self.eps_warmup and self.mode == "baseline":
            raise ValueError("eps_warmup is for adversarial images: it goes with mode robust")
        if self.validation.craft_mode != "eval":
            raise ValueError("the validation attacks the network in eval mode: craft_mode eval")
        if self.swa_start is not None and self.ema_decay:
            raise ValueError("swa_start and ema_decay both average weights: set ema_decay 0")
        if self.swa_start is not None and self.swa_start * self.epochs > self.epochs - 1:
            raise ValueError(
                f"swa_start {self.swa_start:g} of {self.epochs} epochs leaves none to average"
            )
        if self.train_limit is not None and self.train_limit < self.batch_size:
            raise ValueError(
                f"batch_size {self.batch_size} exceeds train_limit {self.train_limit}: lower the "
                "one or raise the other"
            )
        if self.generated is not None and not PurePath(self.generated).is_absolute():
            raise ValueError(f"generated {self.generated!r} is no absolute path of a file")
        if self.generated is not None and not 0 < self.generated_per_batch < self.batch_size:
            raise ValueError(
                f"generated_share {self.generated_share:g} of batch_size {self.batch_size} leaves "
                "no generated or no other image"
            )
        self.check_devices()
        self._check_recipe()
        self._check_network()
        return self

    @property
    def generated_per_batch(self) -> int:
        """Generated images in each batch."""
        if self.generated is None:
            return 0
        return round(self.generated_share * self.batch_size)

    @property
    def init_run(self) -> "CheckpointRef | None":
        """The checkpoint from whose weights it starts; None without one, and of a file."""
        found = re.fullmatch(rf"({RUN_ID}):(\w+)", self.init or "")
        if found is None or found[2] not in get_args(CheckpointName):
            return None
        return CheckpointRef.model_validate({"run": found[1], "checkpoint": found[2], "label": ""})

    @model_validator(mode="before")
    @classmethod
    def _full_width(cls, fields: Any) -> Any:
        """Where no width is said, that of the literature."""
        if isinstance(fields, dict) and "width" not in fields:
            known = ARCHITECTURES.get(str(fields.get("arch")))
            return fields if known is None else {**fields, "width": known.full_width}
        return fields

    def _check_network(self) -> None:
        if (
            self.init is not None
            and self.init_run is None
            and not PurePath(self.init).is_absolute()
        ):
            raise ValueError(
                f"init {self.init!r} is neither RUN:checkpoint nor the absolute path of a file"
            )
        if self.arch_folder is not None and (":" not in self.arch or self.arch.startswith(TIMM)):
            raise ValueError(f"arch_folder is for a network of your own, not for {self.arch}")
        if ":" in self.arch and self.activation != "relu":
            raise ValueError(f"activation is for advtui's own networks, not for {self.arch}")

    def check_devices(self) -> None:
        """Refuse devices that can't share the batch or the nodes.

        Raises:
            ValueError: with what to use instead.
        """
        left = self.batch_size % self.devices
        if left:
            lower, higher = self.batch_size - left, self.batch_size - left + self.devices
            use = f"{lower} or {higher}" if lower else f"{higher}"
            raise ValueError(
                f"batch_size {self.batch_size} can't be shared by {self.devices} devices: use {use}"
            )

    def _check_recipe(self) -> None:
        recipe, attack = self.recipe, self.attack
        if self.beta is not None and recipe not in ("trades", "mart"):
            raise ValueError(f"beta is the weight of a KL term: recipe {recipe!r} has none")
        if recipe == "trades" and attack.loss != "ce":
            raise ValueError(f"trades climbs the KL divergence, not {attack.loss}: set loss ce")
        if recipe == "fast" and attack.norm == "l1":
            raise ValueError("fast takes one step under L∞ or L2: for l1 use recipe pgd-at")
        if recipe == "trades" and attack.restarts > 1:
            raise ValueError("trades begins beside the image, once: set restarts 1")


class CheckpointRef(Spec):
    """A checkpoint of a run, with the label of its row in the table."""

    run: str = Field(description=FIELD_HELP["checkpoints.run"])
    checkpoint: CheckpointName = Field(description=FIELD_HELP["checkpoints.checkpoint"])
    label: str = Field(max_length=300, description=FIELD_HELP["label"])

    @property
    def file(self) -> str:
        """Its path below the home: ``runs/ID/checkpoints/best_clean.ckpt``."""
        return f"runs/{self.run}/checkpoints/{self.checkpoint}.ckpt"


class ModelRef(Spec):
    """A network that advtui did not train, with the label of its row in the table.

    The network maps RGB pictures (N, 3, H, W) to logits (N, classes).
    """

    factory: str = Field(
        pattern=f"^{FACTORY.pattern}$",
        description=FIELD_HELP["models.factory"],
    )
    folder: str | None = Field(None, description=FIELD_HELP["models.folder"])
    weights: str | None = Field(None, description=FIELD_HELP["models.weights"])
    mean: Channels | None = Field(None, description=FIELD_HELP["models.mean"])
    std: Channels | None = Field(None, description=FIELD_HELP["models.std"])
    label: str = Field(min_length=1, max_length=300, description=FIELD_HELP["label"])

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std go together: say both or neither")
        if self.std is not None and not all(0 < value < float("inf") for value in self.std):
            raise ValueError("std must be above 0 in every channel")
        return self


class AttackSpec(Job):
    """One attack run: attacks on checkpoints, or on a user's own networks, on the test split."""

    kind: Literal["attack"] = "attack"
    checkpoints: tuple[CheckpointRef, ...] = Field((), description=FIELD_HELP["checkpoints"])
    models: tuple[ModelRef, ...] = Field((), description=FIELD_HELP["models"])
    attacks: tuple[Attack, ...] = Field(
        standard_attacks(EVALUATION_PGD), description=FIELD_HELP["attacks"]
    )
    epsilons: tuple[Budget, ...] = Field((), description=FIELD_HELP["epsilons"])
    limit: int | None = Field(None, ge=1, description=FIELD_HELP["limit"])
    resize: int | None = Field(
        None,
        ge=8,
        le=1024,
        description=FIELD_HELP["resize"],
    )
    batch_size: int = Field(512, ge=1, le=65_536, description=FIELD_HELP["attack.batch_size"])
    eot: int = Field(1, ge=1, le=1000, description=FIELD_HELP["eot"])
    corruptions: str | None = Field(None, max_length=4096, description=FIELD_HELP["corruptions"])
    sanity: Literal["quick", "full"] = Field("quick", description=FIELD_HELP["sanity"])
    examples: int = Field(12, ge=0, le=256, description=FIELD_HELP["examples"])

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [attack.name for attack in self.attacks]
        if not names:
            raise ValueError("at least one attack is needed")
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two attacks are called {name!r}: names must differ")
        labels = [reference.label for reference in self.references]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"two rows are called {label!r}: labels must differ")
        if self.resize is not None and self.data in get_args(DataName):
            raise ValueError(f"resize is for folders: the pictures of {self.data} are 32×32")
        if self.eot > 1 and any(attack.method == "autoattack" for attack in self.attacks):
            raise ValueError(
                "the standard AutoAttack is for networks without randomness: "
                "with eot use apgd-ce and apgd-targeted"
            )
        if self.corruptions is not None and not PurePath(self.corruptions).is_absolute():
            raise ValueError(f"corruptions {self.corruptions!r} is no absolute path of a folder")
        if list(self.epsilons) != sorted(set(self.epsilons)):
            raise ValueError("epsilons must ascend: each begins at the points found below it")
        for attack in self.attacks:
            for level in self.levels(attack):
                PGD.model_validate(level.pgd.model_dump())  # an ε out of range is told
        return self

    @property
    def references(self) -> "tuple[CheckpointRef | ModelRef, ...]":
        """The models under attack, in the order of the rows."""
        return (*self.checkpoints, *self.models)

    def levels(self, attack: Attack) -> tuple[Attack, ...]:
        """The attack at each ε; the step size keeps its share of ε."""
        if not self.epsilons:
            return (attack,)
        share = attack.pgd.step_size / attack.pgd.eps if attack.pgd.eps else 0.25
        return tuple(
            attack.model_copy(
                update={"pgd": attack.pgd.model_copy(update={"eps": eps, "step_size": share * eps})}
            )
            for eps in self.epsilons
        )

    def level_name(self, level: Attack) -> str:
        """``pgd-untargeted``, with several ε ``pgd-untargeted ε 8/255``."""
        return at_budget(level.name, level.pgd.eps) if self.epsilons else level.name


class StudySpec(Job):
    """A study: three child runs, baseline, robust and attack, in order.

    The children take their job fields (device, threads, data, seed, …) from the study.
    """

    kind: Literal["study"] = "study"
    data: DataName = Field("cifar100", description=FIELD_HELP["data"])
    baseline: TrainSpec = Field(description=FIELD_HELP["study.baseline"])
    robust: TrainSpec = Field(description=FIELD_HELP["study.robust"])
    attack: AttackSpec = Field(description=FIELD_HELP["study.attack"])
    reuse: bool = Field(False, description=FIELD_HELP["reuse"])
    retries: int = Field(1, ge=0, le=100, description=FIELD_HELP["retries"])
    parallel: bool = Field(True, description=FIELD_HELP["parallel"])

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.baseline.mode != "baseline" or self.robust.mode != "robust":
            raise ValueError("a study's baseline must have mode baseline, its robust mode robust")
        for training in (self.baseline, self.robust):
            training.model_copy(update={"devices": self.devices}).check_devices()
        return self

    def child(self, role: Literal["baseline", "robust", "attack"]) -> TrainSpec | AttackSpec:
        """The spec of one child, with the study's job fields.

        Without its ``retries``: they are for what a study starts, and a preset's part is also taken
        by itself.
        """
        own: TrainSpec | AttackSpec = getattr(self, role)
        of_the_study = Job.model_fields.keys() - {"name", "retries"}
        shared = {field: getattr(self, field) for field in of_the_study}
        return own.model_copy(update=shared)


GridValue = str | int | float | bool | None


class SweepSpec(Job):
    """A sweep: a training or a study for each combination of a grid's values, and for each seed.

    Its runs (points) take their place (device, threads, Slurm, …) from the sweep.
    """

    kind: Literal["sweep"] = "sweep"
    base: Annotated[TrainSpec | StudySpec, Field(discriminator="kind")] = Field(
        description=FIELD_HELP["sweep.base"]
    )
    grid: dict[str, tuple[GridValue, ...]] = Field({}, description=FIELD_HELP["sweep.grid"])
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field(
        (), description=FIELD_HELP["sweep.seeds"]
    )
    reuse: bool = Field(True, description=FIELD_HELP["sweep.reuse"])
    retries: int = Field(1, ge=0, le=100, description=FIELD_HELP["retries"])

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, values in self.grid.items():
            if not values:
                raise ValueError(f"grid {name} has no value: write {name}=A,B")
            if name == "seed":
                raise ValueError("grid seed: write --seeds, over which the table averages")
            if name in Job.model_fields and name != "precision":
                raise ValueError(f"grid {name}: all points of a sweep share it")
        return self


AnySpec = Annotated[TrainSpec | AttackSpec | StudySpec | SweepSpec, Field(discriminator="kind")]


_ADAPTER: TypeAdapter[TrainSpec | AttackSpec | StudySpec | SweepSpec] = TypeAdapter(AnySpec)


def parse_spec(fields: Mapping[str, Any]) -> TrainSpec | AttackSpec | StudySpec | SweepSpec:
    """Build the spec that plain JSON or TOML describes.

    Raises:
        UserError: with a sentence for each field that is unknown, missing or out of range.
    """
    plain = {key: value for key, value in fields.items() if key != RUN_HEADER}
    try:
        return _ADAPTER.validate_python(plain)
    except ValidationError as error:
        raise UserError(explain(error, _field_names())) from None


def _field_names() -> set[str]:
    parts = (PGD, Attack, CheckpointRef, ModelRef, Slurm)
    kinds = (*parts, TrainSpec, AttackSpec, StudySpec, SweepSpec)
    return {name for kind in kinds for name in kind.model_fields}


PLACE = ("name", "device", "devices", "threads", "share", "data_dir", "slurm")
"""Fields that say under which name and where a run computes."""
WATCH = ("checkpoint_minutes", "stall_minutes", "on_stall", "retries", "parallel")
"""Fields that say how often a run is saved, and what is done where it hangs or is killed."""
MAY_DIFFER = (*PLACE, *WATCH, "compile", "profile")
"""Fields of the spec in which two runs may differ and still count as equal. ``device``,
``devices``, ``threads`` and ``compile`` change rounding, so the figures may differ slightly."""


def outcome_fields(spec: AnySpec) -> dict[str, Any]:
    """The fields of a spec that decide what comes of the run, as JSON."""
    fields = spec.model_dump(mode="json", exclude={*MAY_DIFFER, "reuse"})
    if isinstance(spec, StudySpec):
        for role in ("baseline", "robust", "attack"):
            fields[role] = outcome_fields(spec.child(role))
    return fields
