"""A user's own network: imported, loaded with its weights, tried out; and every refusal."""

import pickle
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import nn

from engine.attacks.pgd import pgd
from engine.models.batchnorm_folding import Folded
from engine.models.resnet import PictureClassifier
from engine.models.user_model import load_user_model, read_weights, user_model_source
from own_network import ref, saved, weights
from runs.errors import NotFoundError, UserError
from runs.spec import ModelRef
from runs.threat_model import PGD


def load(reference: ModelRef, classes: int = 10) -> nn.Module:
    return load_user_model(reference, classes=classes, size=(32, 32))


@pytest.mark.parametrize("how", ["safetensors", "plain", "parallel", "lightning", "ema"])
def test_weights_come_in_whatever_a_training_script_has_wrapped_them(nets: Path, how: str) -> None:
    model = load(ref(nets, weights=str(saved(nets, how))))
    own = weights()
    images = torch.rand(4, 3, 32, 32)
    pooled = nn.functional.adaptive_avg_pool2d(images, 8).flatten(1)
    expected = pooled @ own["layers.2.weight"].T + own["layers.2.bias"]
    assert not model.training
    torch.testing.assert_close(model(images), expected)


def test_a_network_that_expects_normalised_input_gets_it(nets: Path) -> None:
    file = str(saved(nets, "plain"))
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    images = torch.rand(4, 3, 32, 32)
    by_hand = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    plain, scaled = load(ref(nets, weights=file)), load(ref(nets, weights=file, mean=mean, std=std))
    torch.testing.assert_close(scaled(images), plain(by_hand))


def test_a_network_may_be_an_instance_with_weights_of_its_own(nets: Path) -> None:
    assert load(ref(nets, "ready"))(torch.rand(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "classes", "error", "said"),
    [
        ("absent", 10, NotFoundError, r"small\.py\) has no 'absent'"),
        ("broken", 10, UserError, r"small:broken\(\) failed: RuntimeError: no such luck"),
        ("nothing", 10, UserError, "returns an object of type int; a torch.nn.Module is expected"),
        ("pair", 10, UserError, "must return a tensor of logits, not a tuple"),
        ("make", 7, UserError, "returns 2 × 10 logits for 2 RGB images, but the data set has 7"),
        ("even", 10, UserError, "even batches only .it gets float32, any number of images"),
        ("on_a_gpu", 10, UserError, "no NVIDIA driver .* must not name a device: --device chooses"),
    ],
)
def test_a_factory_that_is_none_is_told(
    nets: Path, name: str, classes: int, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        load(ref(nets, name), classes)


@pytest.mark.parametrize(
    "name", ["scripted", "traced", "frozen", "partly_scripted", "double", "squeezed"]
)
def test_a_network_of_an_unusual_kind_can_be_attacked(nets: Path, name: str) -> None:
    model = cast(PictureClassifier, load(ref(nets, name)))
    images, labels = torch.rand(5, 3, 32, 32), torch.arange(5)
    copy = Folded(model).network
    for count in (1, 2, 5):
        assert model(images[:count]).shape == (count, 10)
        attack = PGD(steps=2, eps=0.5, random_start=False)
        found = pgd(copy, images[:count], labels[:count], attack, keep="last")
        assert 0 < (found - images[:count]).abs().max() <= 0.5 + 1e-6
    torch.testing.assert_close(copy(images), model(images))


def test_a_module_that_is_not_there_is_told_with_the_folder_that_was_looked_in(nets: Path) -> None:
    missing = ref(nets, factory=f"{nets.name}.large:make")
    with pytest.raises(NotFoundError, match=r"no module 'code\d+\.large' \(searched in /"):
        load(missing)


def test_an_import_that_fails_inside_is_not_taken_for_a_missing_module(nets: Path) -> None:
    (nets / "needs.py").write_text("import no_such_package_at_all\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"can't be imported: ModuleNotFoundError: .*at_all"):
        load(ref(nets, factory=f"{nets.name}.needs:make"))


def test_the_folder_shadows_nothing(nets: Path, tmp_path: Path) -> None:
    (tmp_path / "colorsys.py").write_text("make = None\n", encoding="utf-8")
    with pytest.raises(NotFoundError, match=r"lib/python.*colorsys\.py\) has no 'make'"):
        load(ref(nets, factory="colorsys:make"))


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("/tmp/advtui-was-run"),)  # type: ignore[return-value]


@pytest.mark.parametrize("how", ["pickle", "torch", "module"])
def test_a_pickle_with_code_is_refused_with_a_sentence_and_never_run(
    tmp_path: Path, how: str
) -> None:
    path, trace = tmp_path / "w.pt", Path("/tmp/advtui-was-run")
    trace.unlink(missing_ok=True)
    if how == "pickle":
        path.write_bytes(pickle.dumps({"w": Evil()}))
    else:
        torch.save({"w": Evil()} if how == "torch" else nn.Linear(2, 2), path)
    with pytest.raises(UserError, match=r"is not a state dict: it holds Python objects"):
        read_weights(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"hello, this is no model", "w.pt", "damaged or not a file of weights"),
        (b"", "w.pt", "damaged or not a file of weights"),
        (b"PK\x03\x04 half an archive", "w.pt", "damaged or not a file|is not a state dict"),
        (b"\xff" * 40, "w.safetensors", "not a safetensors file"),
    ],
)
def test_a_file_that_holds_no_weights_is_told(
    tmp_path: Path, content: bytes, name: str, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said):
        read_weights(tmp_path / name)


def test_tensors_without_names_are_no_state_dict(tmp_path: Path) -> None:
    torch.save([torch.zeros(3)], tmp_path / "w.pt")
    with pytest.raises(UserError, match="holds no state dict"):
        read_weights(tmp_path / "w.pt")
    with pytest.raises(NotFoundError, match="can't be read: No such file"):
        read_weights(tmp_path / "absent.pt")


def test_weights_of_another_network_are_told_with_what_differs(nets: Path) -> None:
    torch.save({"layers.2.weight": torch.zeros(10, 192)}, nets / "w.pt")
    with pytest.raises(UserError, match=r"does not fit code\d+\.small:make: .*layers\.2\.bias"):
        load(ref(nets, weights=str(nets / "w.pt")))


def test_the_table_can_tell_which_weights_they_were(nets: Path) -> None:
    told = user_model_source(
        ref(nets, weights=str(saved(nets, "plain")), mean=(0, 0, 0), std=(1, 1, 1))
    )
    assert len(told["sha256"]) == 64
    assert told["factory"].endswith("small:make")
    assert told["mean"] == [0.0, 0.0, 0.0]
    assert user_model_source(ref(nets))["sha256"] is None
