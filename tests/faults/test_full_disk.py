"""A real file system that is full: the commands say so, and go on once there is space."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from advtui_process import TINY, Command, Studied
from runs.store import Store


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB, in memory."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(folder: Path, leave: int) -> Path:
    """A file that takes all space of a file system but ``leave`` bytes."""
    filler = folder / "filler"
    filler.write_bytes(b"x" * (shutil.disk_usage(folder).free - leave))
    return filler


@pytest.mark.slow
def test_on_a_full_disk_a_training_fails_with_a_sentence_and_goes_on_once_there_is_space(
    small_disk: Path,
) -> None:
    advtui = Command(small_disk / "home")
    store = Store(advtui.home)
    advtui.home.mkdir()
    filler = fill(small_disk, 700_000)  # for the reserve and one checkpoint

    failed = advtui("train", "--mode", "robust", *TINY, "--width", "4", "--steps", "1", "--share")

    assert failed.returncode == 1, failed.stderr
    said = rf"failed: no space left on {small_disk}: 0\.\d MB needed, 0\.\d MB free"
    assert re.search(said, failed.stderr), failed.stderr
    assert "this run needs about" in failed.stderr
    [run] = store.runs()
    assert run.state() == "failed"
    assert not [path.name for path in run.path.rglob(".*")]
    assert "failed" in advtui("runs").stdout

    filler.unlink()
    resumed = advtui("resume", run.id)

    assert resumed.returncode == 0, resumed.stderr
    assert run.state() == "completed"


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(0, id="nothing"),
        pytest.param(8192, id="room for the spec alone", marks=pytest.mark.slow),
    ],
)
def test_on_a_full_disk_no_run_is_made(small_disk: Path, leave: int) -> None:
    advtui = Command(small_disk / "home")
    (advtui.home / "runs").mkdir(parents=True)
    fill(small_disk, leave)

    refused = advtui("train", "--mode", "robust", *TINY, "--share")

    assert refused.returncode == 1, refused.stderr
    assert f"no space left on {small_disk}" in refused.stderr
    assert Store(advtui.home).runs() == []


def test_pictures_that_find_no_space_are_refused_in_a_sentence(
    studied: Studied, small_disk: Path
) -> None:
    advtui, run, _, _ = studied
    fill(small_disk, 0)

    refused = advtui("examples", run.id, "--png", str(small_disk / "sheet.png"))

    assert refused.returncode == 1
    assert re.fullmatch(
        rf"advtui: no space left on {small_disk}: [\d.]+ MB free\n", refused.stderr
    ), refused.stderr
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_output_that_finds_no_space_is_refused_in_a_sentence(studied: Studied) -> None:
    advtui, run, _, _ = studied
    with Path("/dev/full").open("w") as full:
        refused = subprocess.run(
            advtui.arguments("show", run.id),
            env=advtui.env,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (refused.returncode, refused.stderr) == (1, "advtui: no space left for the output\n")
