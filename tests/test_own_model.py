"""A user's own network and pictures: found, loaded, tried out, attacked; and every refusal."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from engine.folders import picture_size, read_folder
from engine.own_model import load_own, read_weights, source
from runs.datasets import class_folders, dataset_of
from runs.errors import NotFoundError, UserError
from runs.spec import AttackSpec, ModelRef, parse_spec
from runs.store import Store
from support import TINY, Command
from tui.own_model import data_set, own_model, scale
from tui.pictures import half_blocks

CODE = """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.Linear(192, 10))

    def forward(self, images):
        return self.layers(images)

def make():
    return Small()

def broken():
    raise RuntimeError("no such luck")

def nothing():
    return 3

def pair():
    class Two(Small):
        def forward(self, images):
            return super().forward(images), 1
    return Two()

ready = make()

def ours():
    from engine.resnet import resnet18
    return resnet18(10, 8, (0.305,) * 3, (0.324,) * 3)
"""


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    """A folder with a package ``mynets`` in it, of a name that no other test imports."""
    package = tmp_path / f"code{abs(hash(str(tmp_path)))}"
    package.mkdir()
    (package / "small.py").write_text(CODE, encoding="utf-8")
    return package


def ref(nets: Path, name: str = "make", **more: object) -> ModelRef:
    fields = {"factory": f"{nets.name}.small:{name}", "folder": str(nets.parent), "label": "own"}
    return ModelRef.model_validate({**fields, **more})


def load(reference: ModelRef, classes: int = 10) -> nn.Module:
    return load_own(reference, classes=classes, size=(32, 32))


def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return {"layers.2.weight": torch.randn(10, 192), "layers.2.bias": torch.randn(10)}


def saved(folder: Path, how: str) -> Path:
    state = weights()
    path = folder / ("w.safetensors" if how == "safetensors" else "w.pt")
    if how == "safetensors":
        save_file(state, path)
    elif how == "plain":
        torch.save(state, path)
    elif how == "parallel":
        torch.save({f"module.{name}": value for name, value in state.items()}, path)
    elif how == "lightning":
        whole = {f"model.net.{name}": value for name, value in state.items()}
        torch.save({"state_dict": whole, "epoch": 3, "optimizer_states": [{"lr": 0.1}]}, path)
    elif how == "ema":
        torch.save({"model": state, "step": 7}, path)
    return path


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
        ("nothing", 10, UserError, "makes no torch.nn.Module but a int"),
        ("pair", 10, UserError, "must return a tensor of logits, not a tuple"),
        ("make", 7, UserError, "turns 2 pictures into 2 × 10 numbers, but the data set has 7"),
    ],
)
def test_a_factory_that_is_none_is_told(
    nets: Path, name: str, classes: int, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        load(ref(nets, name), classes)


def test_a_module_that_is_not_there_is_told_with_the_folder_that_was_looked_in(nets: Path) -> None:
    missing = ref(nets, factory=f"{nets.name}.large:make")
    with pytest.raises(NotFoundError, match=r"no module 'code\d+\.large' \(looked for in /"):
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
        (b"hello, this is no model", "w.pt", "damaged or no file of weights"),
        (b"", "w.pt", "damaged or no file of weights"),
        (b"PK\x03\x04 half an archive", "w.pt", "damaged or no file|is not a state dict"),
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
    told = source(ref(nets, weights=str(saved(nets, "plain")), mean=(0, 0, 0), std=(1, 1, 1)))
    assert len(told["sha256"]) == 64
    assert told["factory"].endswith("small:make")
    assert told["mean"] == [0.0, 0.0, 0.0]
    assert source(ref(nets))["sha256"] is None


# What the command line makes of its words


def test_the_row_of_an_own_model(nets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(nets.parent)
    made = own_model("a.b:make", saved(nets, "plain"), "cifar10", "cifar100")
    assert made.folder == str(nets.parent)
    assert made.label == "make (w)"
    assert made.mean == (0.4914, 0.4822, 0.4465)
    assert own_model("a.b:make", None, None, "cifar100").std is None


@pytest.mark.parametrize("factory", ["a.b", "a.b:", ":make", "a/b.py:make", "a.b:make()", "1a:b"])
def test_a_factory_is_a_module_and_a_name(factory: str) -> None:
    with pytest.raises(UserError, match=r"write package\.module:factory"):
        own_model(factory, None, None, "cifar100")


def test_scales() -> None:
    assert scale("0.5,0.4,0.3:0.1,0.2,0.3", "digits") == ((0.5, 0.4, 0.3), (0.1, 0.2, 0.3))
    assert scale("data", "digits") == ((0.305,) * 3, (0.324,) * 3)
    assert scale("imagenet", "digits")[0] == (0.485, 0.456, 0.406)
    for wrong in ("0.5", "a,b,c:d,e,f", "0.5,0.5:1,1", "0.5,0.5,0.5", "", "1,1,1:1,1,1:1,1,1"):
        with pytest.raises(UserError, match="write mean and std of the three channels"):
            scale(wrong, "digits")
    with pytest.raises(UserError, match="has no usual mean and std"):
        scale("data", "/some/folder")
    with pytest.raises(UserError, match="std must be above 0"):
        own_model("a:b", None, "0,0,0:1,0,1", "digits")


# Folders of class folders


def picture(path: Path, value: int, size: tuple[int, int] = (32, 32)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((size[1], size[0], 3), value, dtype=np.uint8)
    pixels[0, 0] = (255, 0, 7)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    for label in range(12):
        for n in range(3):
            picture(root / str(label) / f"{n}.png", 10 * label + n)
    (root / ".cache").mkdir()
    return root


def read(folder: Path, resize: int | None = None, limit: int | None = None):
    told: list[tuple[int, int]] = []
    found = read_folder(
        folder, resize=resize, limit=limit, progress=lambda done, total: told.append((done, total))
    )
    assert told[-1] == (len(told), len(told)) == (len(found[0]), len(found[0]))
    return found


def test_classes_that_are_numbers_stand_in_the_order_of_numbers(folder: Path) -> None:
    assert class_folders(folder) == [str(n) for n in range(12)]
    assert dataset_of(str(folder)).classes == 12
    pictures, classes = read(folder)
    assert classes == tuple(str(n) for n in range(12))
    assert pictures.images.shape == (36, 3, 32, 32)
    assert pictures.images[:, 2, 5, 5].tolist() == [10 * c + n for c in range(12) for n in range(3)]
    assert pictures.labels.tolist() == [n // 3 for n in range(36)]
    assert pictures.images[0, :, 0, 0].tolist() == [255, 0, 7]


def test_a_limit_reads_equally_many_a_class_and_no_others(folder: Path) -> None:
    (folder / "4" / "2.png").write_bytes(b"damaged, but not asked for")
    pictures, _ = read(folder, limit=24)
    assert pictures.labels.tolist() == [n // 2 for n in range(24)]
    assert pictures.indices.tolist() == [3 * c + n for c in range(12) for n in range(2)]


def test_names_stand_in_the_order_of_names_and_an_empty_class_keeps_its_place(
    tmp_path: Path,
) -> None:
    for label in ("zebra", "ant"):
        picture(tmp_path / label / "deep" / "x.jpg", 100)
    (tmp_path / "bee").mkdir()
    pictures, classes = read(tmp_path)
    assert classes == ("ant", "bee", "zebra")
    assert pictures.labels.tolist() == [0, 2]


def test_pictures_of_several_sizes_want_resize(folder: Path) -> None:
    picture(folder / "3" / "wide.png", 50, size=(80, 40))
    with pytest.raises(UserError, match=r"wide\.png has 80×40 pixels, .* have 32×32: .*--resize"):
        read(folder)
    pictures, _ = read(folder, resize=24)
    assert pictures.images.shape == (37, 3, 24, 24)
    assert picture_size(folder, None) == (32, 32)
    assert picture_size(folder, 24) == (24, 24)


def test_a_damaged_picture_is_told_by_name(folder: Path) -> None:
    (folder / "4" / "2.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"4/2\.png is no picture that can be read"):
        read(folder)


def test_a_folder_without_class_folders_or_pictures_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is no folder of class folders"):
        class_folders(tmp_path)
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
    with pytest.raises(NotFoundError, match="no pictures in the class folders"):
        read(tmp_path)
    with pytest.raises(UserError, match="neither cifar100, cifar10, digits nor a folder"):
        data_set(str(tmp_path / "absent"))
    with pytest.raises(UserError, match="absolute path"):
        parse_spec({"kind": "attack", "data": "relative/folder"})


def test_resize_is_for_folders_alone() -> None:
    with pytest.raises(ValueError, match="resize is for folders"):
        AttackSpec(data="cifar100", resize=64)


# The whole way


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """A home with a tiny training on the digits."""
    command = Command(tmp_path_factory.mktemp("trained"))
    done = command("train", "--mode", "baseline", *TINY, "--epochs", "12")
    assert done.returncode == 0, done.stderr
    return command


@pytest.mark.slow
def test_our_own_checkpoint_by_hand_gives_the_same_row(trained: Command, nets: Path) -> None:
    (run,) = [run for run in Store(trained.home).runs() if run.kind == "train"]
    file = run.checkpoint("best_clean")
    common = ("--limit", "120", "--eps", "16/255", "--steps", "5", "--threads", "1", "--json")
    common += ("--precision", "fp32")  # ours is attacked without its BatchNorm: bf16 rounds apart
    own = ("--model", f"{nets.name}.small:ours", "--weights", str(file), "--data", "digits")
    done = trained("attack", *own, *common, cwd=nets.parent)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout.splitlines()[-1])["rows"]
    known = trained("attack", f"{run.id}:best_clean", *common)
    (expected,) = json.loads(known.stdout.splitlines()[-1])["rows"]
    assert row["model"] == f"ours ({file.stem})"
    assert (row["run"], row["checkpoint"]) == (None, None)
    assert row["correct_k"] == expected["correct_k"] > 30
    for name, cell in row["attacks"].items():
        for count in ("success_k", "success_n", "robust_k"):  # one image's rounding at most
            assert cell[count] == pytest.approx(expected["attacks"][name][count], abs=1), name
    table = trained("compare", row["evaluation"]).stdout
    assert "small:ours with best_clean.ckpt (SHA-256 " in table
    both = json.loads(
        trained("compare", row["evaluation"], f"{run.id}:best_clean", "--format", "json").stdout
    )
    assert len(both["rows"]) == 2


@pytest.mark.slow
def test_a_network_and_a_folder_of_ones_own(trained: Command, nets: Path, folder: Path) -> None:
    for label in ("10", "11"):
        for file in (folder / label).iterdir():
            file.unlink()
        (folder / label).rmdir()
    words = ("--model", f"{nets.name}.small:make", "--weights", str(saved(nets, "safetensors")))
    more = ("--data", str(folder), "--resize", "40", "--steps", "2", "--threads", "1")
    done = trained("attack", *words, *more, cwd=nets.parent)
    assert done.returncode == 0, done.stderr
    assert "folder pictures, resized to 40×40, n = 30" in done.stdout
    assert "make (w)" in done.stdout
    seen = trained("examples", "@1", "--png", str(folder.parent / "seen.png"))
    assert seen.returncode == 0, seen.stderr
    assert (folder.parent / "seen.png").stat().st_size > 1000


@pytest.mark.parametrize("size", [(40, 40), (28, 28), (224, 224)])
def test_pictures_of_any_size_are_drawn_as_wide_as_cifars(size: tuple[int, int]) -> None:
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[: size[0] // 2] = (200, 100, 0)
    lines = half_blocks(pixels)
    assert [len(line) for line in lines] == [32] * 16
    shown = [line[5].style.color.triplet for line in lines]
    assert (tuple(shown[0]), tuple(shown[-1])) == ((200, 100, 0), (0, 0, 0))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--weights", "w.pt"), 2, "--weights needs --model"),
        (("--model", "nowhere"), 2, "write package.module:factory"),
        (("--model", "a:b", "--weights", "absent.pt"), 3, "absent.pt is no file"),
        (("--model", "a:b", "--data", "absent"), 2, "nor a folder of class folders"),
        (("--model", "json:loads", "--data", "digits"), 2, "json:loads() failed: TypeError"),
    ],
)
def test_refusals_on_the_command_line_leave_no_run(
    advtui: Command, words: tuple[str, ...], code: int, said: str, tmp_path: Path
) -> None:
    data = () if "--data" in words else ("--data", "digits")
    done = advtui("attack", *words, *data, cwd=tmp_path)
    assert done.returncode == code
    assert said in done.stderr or said in " ".join(done.stderr.split())
    assert not list(Store(advtui.home).runs())
