"""A user's own network and pictures through the command."""

import json
from pathlib import Path

import pytest

from advtui_process import TINY, Command
from own_network import saved
from runs.store import Store


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
    common: tuple[str, ...] = (
        "--limit",
        "120",
        "--eps",
        "16/255",
        "--steps",
        "5",
        "--threads",
        "1",
        "--json",
    )
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
def test_a_network_and_a_folder_of_ones_own(
    trained: Command, nets: Path, picture_folder: Path
) -> None:
    for label in ("10", "11"):
        for file in (picture_folder / label).iterdir():
            file.unlink()
        (picture_folder / label).rmdir()
    words = ("--model", f"{nets.name}.small:make", "--weights", str(saved(nets, "safetensors")))
    more = ("--data", str(picture_folder), "--resize", "40", "--steps", "2", "--threads", "1")
    done = trained("attack", *words, *more, cwd=nets.parent)
    assert done.returncode == 0, done.stderr
    assert "folder pictures, resized to 40×40, n = 30" in done.stdout
    assert "make (w)" in done.stdout
    seen = trained("examples", "@1", "--png", str(picture_folder.parent / "seen.png"))
    assert seen.returncode == 0, seen.stderr
    assert (picture_folder.parent / "seen.png").stat().st_size > 1000


def test_a_network_of_ones_own_is_trained_and_attacked(advtui: Command, nets: Path) -> None:
    words = ("--model", f"{nets.name}.small:normed", "--recipe", "trades")
    tiny = ("--data", "digits", "--threads", "1", "--train-limit", "64", "--batch-size", "32")
    done = advtui("train", "--mode", "robust", *words, *tiny, "--epochs", "1", cwd=nets.parent)
    assert done.returncode == 0, done.stderr
    done = advtui("attack", "@1", "--limit", "20", "--threads", "1")  # from another folder
    assert done.returncode == 0, done.stderr
    assert f": {nets.name}.small:normed" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--arch", "resnet81"), 2, "neither resnet18, preactresnet18"),
        (("--arch", "resnet18", "--model", "a:b"), 2, "both name the network: give one"),
        (("--model", "absent.py:make"), 3, "there is no file absent.py"),
        (("--model", "json:loads"), 2, "json:loads() failed: TypeError"),
        (("--model", "nowhere:make"), 3, "there is no module 'nowhere'"),
        (("--init", "absent.pt"), 3, "--init absent.pt: there is no such file"),
        (("--init", "nobody:best_clean"), 3, "no run 'nobody'"),
        (("--model", "a:b", "--activation", "silu"), 2, "activation is for advtui's own networks"),
    ],
)
def test_a_network_that_can_not_be_trained_leaves_no_run(
    advtui: Command, words: tuple[str, ...], code: int, said: str, tmp_path: Path
) -> None:
    done = advtui("train", "--mode", "robust", "--data", "digits", *words, cwd=tmp_path)
    assert done.returncode == code
    assert said in " ".join(done.stderr.split())
    assert not list(Store(advtui.home).runs())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--weights", "w.pt"), 2, "--weights needs --model"),
        (("--model", "nowhere"), 2, "write package.module:factory"),
        (("--model", "a:b", "--weights", "absent.pt"), 3, "absent.pt: there is no such file"),
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
