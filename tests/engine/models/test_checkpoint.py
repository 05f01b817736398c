"""A model out of a checkpoint, and every file that is refused."""

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from engine.models.checkpoint import load_model
from engine.models.resnet import resnet18
from engine.training.callbacks.checkpointing import AtomicCheckpointIO
from lightning_checkpoint import CLASSES, WIDTH, content, module, names, shared, write
from runs.errors import NotFoundError, UserError


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
    assert f"was trained on {CLASSES} classes, but the data set has {classes}" in sentence


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
    weights: dict[str, Tensor] = own
    return weights


@pytest.mark.parametrize(
    "kind", ["another width", "another network", "a layer less", "a layer more"]
)
def test_another_architecture_is_refused(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "x.ckpt", {**content(), "state_dict": weights_of(kind)})
    assert f"does not fit a ResNet-18 of width {WIDTH}" in assert_refused(path)
