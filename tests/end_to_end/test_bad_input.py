"""Bad input gets one clear sentence, exit code 2 or 3, and leaves nothing half made."""

from pathlib import Path

import pytest

from advtui_process import Command, Finished
from runs.datasets import DATASETS

CASES = [
    (("study", "--preset", "nonsense"), 2, "unknown preset 'nonsense'"),
    (("train", "--mode", "sideways", "--preset", "demo"), 2, "unknown mode 'sideways'"),
    (("train", "--preset", "demo", "--set", "epoch=3"), 2, "did you mean 'epochs'"),
    (("study", "--preset", "demo", "--set", "robust.attak.steps=3"), 2, "robust.attak"),
    (("train", "--preset", "demo", "--eps", "8"), 2, "8/255 was probably meant"),
    (("study", "--preset", "demo", "--eps", "abc"), 2, "'abc' is not a number"),
    (("study", "--preset", "demo", "--eps", "-1/255"), 2, "negative"),
    (("train", "--preset", "demo", "--steps", "-3"), 2, "steps"),
    (("study", "--preset", "demo", "--steps", "-3"), 2, "steps"),
    (("train", "--preset", "demo", "--epochs", "many"), 2, "--epochs"),
    (("train", "--preset", "demo", "--mode", "baseline", "--recipe", "pgd-at"), 2, "standard"),
    (("train", "--preset", "demo", "--device", "tpu"), 2, "'tpu'"),
    (("train", "--preset", "demo", "--config", "absent.toml"), 3, "absent.toml"),
    (("resume", "@1", "--epochs", "40"), 2, "a training keeps its number of epochs"),
    (("attack", "@1"), 3, "no run @1"),
    (("attack", "--preset", "demo"), 2, "name at least one trained run"),
    (("show", "nobody"), 3, "no run 'nobody'"),
    (("compare", "@7"), 3, "no run @7"),
    (("watch",), 3, "no run @1"),
    (("frobnicate",), 2, "frobnicate"),
    (("study", "--preset", "poster", "--data-dir", "absent"), 3, "does not exist"),
]


def assert_refused(done: Finished, code: int, sentence: str, home: Path) -> None:
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("advtui: ")]
    assert len(told) == 1
    assert done.stdout == ""
    assert not list((home / "runs").glob("*")), "something was left behind"


@pytest.mark.parametrize(("words", "code", "sentence"), CASES, ids=lambda v: str(v)[:50])
def test_a_wrong_word_is_explained(
    advtui: Command, words: tuple[str, ...], code: int, sentence: str, tmp_path: Path
) -> None:
    assert_refused(advtui(*words, cwd=tmp_path), code, sentence, advtui.home)


def folder_of(tmp_path: Path, state: str) -> Path:
    folder = tmp_path / "data"
    (folder / "cifar-100-python").mkdir(parents=True)
    if state != "empty":
        for file, _ in DATASETS["cifar100"].md5:
            (folder / "cifar-100-python" / file).write_bytes(b"not the official bytes")
    return folder


@pytest.mark.parametrize(("state", "sentence"), [("empty", "is missing"), ("truncated", "MD5")])
def test_damaged_data_is_refused_before_a_run_is_made(
    advtui: Command, tmp_path: Path, state: str, sentence: str
) -> None:
    folder = folder_of(tmp_path, state)
    done = advtui("study", "--preset", "cpu", "--data-dir", str(folder))
    assert_refused(done, 3, sentence, advtui.home)


@pytest.mark.parametrize("kind", ["train", pytest.param("study", marks=pytest.mark.slow)])
def test_a_gpu_that_is_not_there_is_refused_by_the_worker_and_nothing_is_left(
    advtui: Command, kind: str
) -> None:
    done = advtui(kind, "--preset", "demo", "--device", "cuda:77")
    assert_refused(done, 2, "cuda:77", advtui.home)


def test_without_a_network_the_sentence_names_what_works(advtui: Command) -> None:
    advtui.env |= {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    done = advtui("train", "--preset", "cpu")
    assert_refused(done, 3, "--data-dir", advtui.home)
    assert "--preset demo" in done.stderr


def test_a_home_that_can_not_be_written_is_refused(advtui: Command) -> None:
    advtui.home.write_text("a file stands where the home should be")
    done = advtui("train", "--preset", "demo")
    assert done.returncode == 2
    assert "can't be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_checkpoint_that_does_not_fit_is_refused_with_its_path(advtui: Command) -> None:
    from runs.presets import preset
    from runs.store import Store

    run = Store(advtui.home).create(preset("demo").child("robust"))
    assert advtui("attack", run.id).returncode == 3  # no checkpoint yet
    run.checkpoint("best_robust").parent.mkdir()
    run.checkpoint("best_robust").write_bytes(b"not a checkpoint")
    done = advtui("attack", f"{run.id}:best_robust")
    assert done.returncode == 2
    assert "best_robust.ckpt is damaged or not a checkpoint" in done.stderr
    assert [found.id for found in Store(advtui.home).runs()] == [run.id]
