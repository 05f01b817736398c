"""Checkpoints: how they reach the disk, which are kept, and a model out of one."""

import functools
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from engine.checkpoints import (
    AtomicCheckpointIO,
    Averaging,
    EqualAveraging,
    Patience,
    keepers,
    load_model,
    moving_average,
    read_checkpoint,
)
from engine.classifier import Classifier
from engine.resnet import resnet18
from engine.training import _averaging
from runs.errors import NotFoundError, UserError
from runs.spec import TrainSpec

CLASSES, WIDTH = 4, 2


def module() -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        spec = TrainSpec(data="digits", width=WIDTH)
        return Classifier(spec, CLASSES, [0.4, 0.5, 0.6], [0.2, 0.25, 0.3], steps=1)


shared = functools.cache(module)  # of which nobody changes anything


def content(**identity: Any) -> dict[str, Any]:
    """What Lightning writes for a network, as far as it is needed to build it again."""
    source = shared()
    return {
        "state_dict": dict(source.state_dict()),
        "hyper_parameters": {**dict(source.hparams), **identity},
    }


def write(path: Path, what: Any) -> Path:
    torch.save(what, path)
    return path


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


# --- loading ---------------------------------------------------------------------------------


def test_a_checkpoint_of_lightning_gives_the_network_back_in_eval_mode(tmp_path: Path) -> None:
    source = module()
    with torch.no_grad():
        source.network(torch.rand(8, 3, 32, 32))  # BatchNorm statistics other than the first
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        plugins=[AtomicCheckpointIO()],
        default_root_dir=tmp_path,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.strategy.connect(source)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    assert names(tmp_path) == ["last.ckpt"]

    model, whole = load_model(tmp_path / "last.ckpt", classes=CLASSES)
    assert whole["global_step"] == 0
    assert not any(part.training for part in model.modules())
    images = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(model(images), source.network.eval()(images))


def test_the_activation_is_that_of_the_training_and_relu_where_a_checkpoint_tells_none(
    tmp_path: Path,
) -> None:
    spec = dict(shared().hparams["spec"])
    assert spec.pop("activation") == "relu"
    for identity, expected in (
        ({"spec": {**spec, "activation": "silu"}}, nn.SiLU),
        ({"spec": spec}, nn.ReLU),  # from before there was a choice
    ):
        model, _ = load_model(write(tmp_path / "x.ckpt", content(**identity)), classes=CLASSES)
        kinds = {type(part) for part in model.modules()} & {nn.SiLU, nn.ReLU}
        assert kinds == {expected}


def test_a_missing_checkpoint_is_not_found(tmp_path: Path) -> None:
    for absent in (tmp_path / "none.ckpt", tmp_path):
        with pytest.raises(NotFoundError, match="there is no checkpoint"):
            load_model(absent, classes=CLASSES)


def zipped() -> bytes:
    stream = io.BytesIO()
    torch.save(content(), stream)
    return stream.getvalue()


def assert_refused(path: Path, classes: int = CLASSES) -> str:
    with pytest.raises(UserError) as caught:
        load_model(path, classes=classes)
    assert not isinstance(caught.value, NotFoundError)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path} ")
    assert "\n" not in sentence
    assert len(sentence) < 600
    return sentence


GARBAGE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "half a checkpoint": lambda: zipped()[: len(zipped()) // 2],
    "all but its end": lambda: zipped()[:-100],
    "zeros": lambda: bytes(1000),
    "html": lambda: b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "a git-lfs pointer": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "a zip of something else": lambda: b"PK\x05\x06" + bytes(18),
    "noise": lambda: bytes(range(255, 0, -1)) * 4,
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_garbage_file_is_refused_with_a_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.ckpt"
    path.write_bytes(GARBAGE[kind]())
    assert "damaged or not a checkpoint" in assert_refused(path)


ESCAPING = {
    "IndexError": b".",
    "struct.error": b"My",
    "KeyError": b"hello, world",
    "UnicodeDecodeError": b"X\x04\x00\x00\x00\xff\xff\xff\xff.",
}


@pytest.mark.parametrize("kind", ESCAPING)
def test_garbage_that_trips_the_unpickler_is_refused_with_a_sentence(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "x.ckpt"
    path.write_bytes(ESCAPING[kind])
    assert "damaged or not a checkpoint" in assert_refused(path)


class Bomb:
    """A pickle that runs code when it is opened."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("kind", ["zip", "pickle", "among weights"])
def test_code_in_a_checkpoint_is_refused_and_never_run(tmp_path: Path, kind: str) -> None:
    marker, path = tmp_path / "ran", tmp_path / "x.ckpt"
    if kind == "zip":
        torch.save(Bomb(marker), path)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Bomb(marker), protocol=2))
    else:
        torch.save({**content(), "callbacks": {"x": Bomb(marker)}}, path)
    assert "damaged or not a checkpoint" in assert_refused(path)
    assert not marker.exists()
    torch.load(path, weights_only=False) if kind != "pickle" else pickle.loads(path.read_bytes())
    assert marker.is_dir()  # the bomb would have gone off


@pytest.mark.parametrize(
    "what",
    [
        {"state_dict": {}},
        {"hyper_parameters": {}},
        {"weights": torch.zeros(2)},
        [1, 2],
        torch.zeros(2),
        "text",
    ],
    ids=["no identity", "no weights", "other keys", "a list", "a tensor", "text"],
)
def test_a_file_of_another_programme_is_refused(tmp_path: Path, what: Any) -> None:
    assert "not a checkpoint of advtui" in assert_refused(write(tmp_path / "x.ckpt", what))


@pytest.mark.parametrize(
    "identity",
    [
        {"classes": None},
        {"classes": "many"},
        {"spec": {}},
        {"spec": None},
        {"spec": {"width": "wide"}},
        {"mean": None},
    ],
    ids=str,
)
def test_a_checkpoint_without_its_identity_is_refused(
    tmp_path: Path, identity: dict[str, Any]
) -> None:
    path = write(tmp_path / "x.ckpt", content(**identity))
    assert "not a checkpoint of advtui" in assert_refused(path)


@pytest.mark.parametrize(
    "damage",
    [
        {"hyper_parameters": {"mean": [0.5]}},
        {"hyper_parameters": {"mean": ["a", "b", "c"]}},
        {"hyper_parameters": {"spec": {"width": -1}}},
        {"hyper_parameters": {"spec": {"width": float("inf")}}},
        {"state_dict": [1, 2]},
        {"state_dict": {1: torch.zeros(2)}},
    ],
    ids=str,
)
def test_an_identity_that_builds_no_network_is_refused_with_a_sentence(
    tmp_path: Path, damage: dict[str, Any]
) -> None:
    what = content(**damage.get("hyper_parameters", {}))
    if "state_dict" in damage:
        what["state_dict"] = damage["state_dict"]
    assert_refused(write(tmp_path / "x.ckpt", what))


@pytest.mark.parametrize("classes", [2, 3, 100])
def test_another_number_of_classes_is_refused(tmp_path: Path, classes: int) -> None:
    sentence = assert_refused(write(tmp_path / "x.ckpt", content()), classes)
    assert f"tells {CLASSES} classes apart, but the data set has {classes}" in sentence


def weights_of(kind: str) -> dict[str, Tensor]:
    own = content()["state_dict"]
    if kind == "a layer less":
        own.pop("network.network.layer3.0.conv1.weight")
    elif kind == "a layer more":
        own["network.network.extra.weight"] = torch.zeros(2)
    elif kind == "another width":
        other = resnet18(CLASSES, WIDTH + 1, [0.5] * 3, [0.25] * 3).state_dict()
        own = {f"network.{name}": value for name, value in other.items()}
    else:
        small = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, CLASSES)).state_dict()
        own = {f"network.network.{name}": value for name, value in small.items()}
    return own


@pytest.mark.parametrize(
    "kind", ["another width", "another network", "a layer less", "a layer more"]
)
def test_another_architecture_is_refused(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "x.ckpt", {**content(), "state_dict": weights_of(kind)})
    assert f"does not fit a ResNet-18 of width {WIDTH}" in assert_refused(path)


# --- writing ---------------------------------------------------------------------------------


def test_a_checkpoint_is_written_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    for step in (1, 2):  # the second replaces the first
        AtomicCheckpointIO().save_checkpoint({**content(), "global_step": step}, path)
        assert read_checkpoint(path)["global_step"] == step
        assert names(path.parent) == ["last.ckpt"]


class Unpicklable:
    def __reduce__(self) -> tuple[Any, ...]:
        raise OSError("no space left on device")


@pytest.mark.parametrize("before", [None, 1], ids=["the first", "a later one"])
@pytest.mark.parametrize("failing", ["save", "fsync", "replace"])
def test_a_failed_write_leaves_the_old_checkpoint_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int | None, failing: str
) -> None:
    path = tmp_path / "last.ckpt"
    if before is not None:
        AtomicCheckpointIO().save_checkpoint({**content(), "global_step": before}, path)
    new: dict[str, Any] = {**content(), "global_step": 2}

    def fail(*_: Any) -> None:
        raise OSError("no space left on device")

    if failing == "save":
        new["callbacks"] = Unpicklable()
    else:
        monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="no space left"):
        AtomicCheckpointIO().save_checkpoint(new, path)
    assert names(tmp_path) == ([] if before is None else ["last.ckpt"])
    if before is not None:
        assert read_checkpoint(path)["global_step"] == before


def test_the_target_is_whole_at_every_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({**content(), "global_step": 1}, path)
    seen = []
    save = torch.save

    def watch(what: Any, stream: Any) -> None:
        seen.append(read_checkpoint(path)["global_step"])
        save(what, stream)
        seen.append(read_checkpoint(path)["global_step"])

    monkeypatch.setattr(torch, "save", watch)
    AtomicCheckpointIO().save_checkpoint({**content(), "global_step": 2}, path)
    assert seen == [1, 1]


# --- keeping ---------------------------------------------------------------------------------

CLEAN = [0.1, 0.5, 0.4, 0.5, 0.3]
ROBUST = [0.1, 0.2, 0.2, 0.4, 0.3]


class Climbing(pl.LightningModule):
    """One weight, which grows by one a step; metrics as told."""

    def __init__(self) -> None:
        super().__init__()
        self.save_hyperparameters({"of": "a test"})
        self.weight = nn.Parameter(torch.zeros(()))
        self.validated: list[float] = []

    def training_step(self, part: Tensor, batch_idx: int) -> Tensor:  # noqa: ARG002
        return -self.weight

    def validation_step(self, part: Tensor, batch_idx: int) -> None:  # noqa: ARG002
        self.validated.append(self.weight.item())
        self.log("val_accuracy", CLEAN[self.current_epoch], batch_size=1)
        self.log("val_robust_accuracy", ROBUST[self.current_epoch], batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


def fit(folder: Path, callbacks: list[pl.Callback], steps: int = 1) -> Climbing:
    climbing = Climbing()
    loader = torch.utils.data.DataLoader(torch.zeros(steps), batch_size=1)  # type: ignore[arg-type]
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=len(CLEAN),
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(climbing, loader, loader)
    return climbing


@pytest.mark.filterwarnings("ignore:.*num_workers.*", "ignore:.*dirpath.*")
def test_the_best_clean_the_best_robust_and_the_last_epoch_are_kept(tmp_path: Path) -> None:
    fit(tmp_path, [*keepers(tmp_path)])
    found = {path.stem: read_checkpoint(path) for path in tmp_path.iterdir()}
    assert set(found) == {"best_clean", "best_robust", "last"}
    # Weights after an epoch are its number plus one; the earlier of two equals stays.
    weights = {name: float(what["state_dict"]["weight"]) for name, what in found.items()}
    assert weights == {"best_clean": 2.0, "best_robust": 4.0, "last": 5.0}


@pytest.mark.filterwarnings("ignore:.*num_workers.*", "ignore:.*dirpath.*")
@pytest.mark.parametrize(("epochs", "ended"), [(1, 3), (2, 5)])
def test_a_training_ends_when_robust_accuracy_has_not_risen_for_so_long(
    tmp_path: Path, epochs: int, ended: int
) -> None:
    climbing = fit(tmp_path, [Patience(epochs), *keepers(tmp_path)])
    assert climbing.weight.item() == ended  # one step an epoch
    assert read_checkpoint(tmp_path / "last.ckpt")["epoch"] == ended - 1
    assert "callbacks" in read_checkpoint(tmp_path / "best_robust.ckpt")


@pytest.mark.filterwarnings("ignore:.*num_workers.*", "ignore:.*dirpath.*")
@pytest.mark.parametrize("decay", [0.05, 0.5, 0.999])
def test_checkpoints_hold_the_warmed_up_moving_average(tmp_path: Path, decay: float) -> None:
    keeping = keepers(tmp_path)
    climbing = fit(tmp_path, [moving_average(decay), *keeping], steps=3)
    saved = read_checkpoint(tmp_path / "last.ckpt")["state_dict"]["weight"]
    average = None
    for n in range(15):
        now = n + 1.0
        if average is None:
            average = now
        else:
            own = min(decay, (1 + n) / (10 + n))
            average = own * average + (1 - own) * now
    assert float(saved) == pytest.approx(average, rel=1e-5)
    assert climbing.weight.item() == pytest.approx(average, rel=1e-5)


@pytest.mark.filterwarnings("ignore:.*num_workers.*", "ignore:.*dirpath.*")
@pytest.mark.parametrize("first", [0, 2, 4])
def test_equal_averaging_keeps_the_mean_of_the_weights_of_its_epochs(
    tmp_path: Path, first: int
) -> None:
    climbing = fit(tmp_path, [EqualAveraging(first, 3), *keepers(tmp_path)], steps=3)
    ends = [3.0, 6.0, 9.0, 12.0, 15.0]  # weights at the ends of the epochs
    means = [
        end if epoch < first else sum(ends[first : epoch + 1]) / (epoch + 1 - first)
        for epoch, end in enumerate(ends)
    ]
    assert climbing.weight.item() == pytest.approx(means[-1])
    validated = {epoch: climbing.validated[3 * epoch] for epoch in range(5)}
    assert list(validated.values()) == pytest.approx(means)  # what is validated is what is kept
    kept = {path.stem: read_checkpoint(path) for path in tmp_path.iterdir()}
    for name, epoch in (("best_clean", 1), ("best_robust", 3), ("last", 4)):
        assert kept[name]["epoch"] == epoch
        assert float(kept[name]["state_dict"]["weight"]) == pytest.approx(means[epoch])
        assert float(kept[name]["current_model_state"]["weight"]) == ends[epoch]


def test_the_best_score_is_remembered_where_the_home_has_moved(tmp_path: Path) -> None:
    before, now = tmp_path / "before", tmp_path / "now"
    best, _, _ = keepers(before)
    best.best_model_score = best.kth_value = torch.tensor(0.7)
    kept = str(before / "best_clean.ckpt")
    best.best_model_path = best.kth_best_model_path = kept
    best.best_k_models = {kept: torch.tensor(0.7)}
    moved, _, last = keepers(now)
    moved.load_state_dict(best.state_dict())
    here = str(now / "best_clean.ckpt")
    assert (moved.best_model_path, moved.kth_best_model_path) == (here, here)
    assert moved.best_k_models == {here: 0.7}
    assert not moved.check_monitor_top_k(cast(Any, FakeTrainer()), torch.tensor(0.6))
    assert moved.check_monitor_top_k(cast(Any, FakeTrainer()), torch.tensor(0.8))
    last.load_state_dict(keepers(before)[2].state_dict())  # nothing kept yet
    assert last.last_model_path == ""


class FakeTrainer:
    """What a keeper asks of the trainer: whether several processes agree."""

    class strategy:
        @staticmethod
        def reduce_boolean_decision(decision: bool) -> bool:
            return decision


@pytest.mark.parametrize(
    ("share", "epochs", "first"), [(0.29, 100, 29), (0.57, 100, 57), (0.5, 5, 3), (0.0, 4, 0)]
)
def test_weights_are_averaged_after_the_share_of_epochs_that_was_asked_for(
    share: float, epochs: int, first: int
) -> None:
    (averaging,) = _averaging(TrainSpec(swa_start=share, epochs=epochs), 3)
    assert isinstance(averaging, Averaging)
    assert [averaging._share(n) for n in (first, first + 1)] == [1, 0.5]
