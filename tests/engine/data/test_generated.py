"""Generated images: what is read of a file, and their share of each batch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.data.datamodule import PicturesOnDevice
from engine.data.datasets import DataSplits
from engine.data.generated import GeneratedImages, unpacked
from failing_disk import FailingDisk
from one_process import carry_out
from runs.errors import EXIT_NOT_FOUND, UserError
from runs.spec import TrainSpec
from runs.storage import StorageError
from runs.store import Store
from tiny_training import tiny

COUNT = 50


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "made.npz"
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
    np.savez_compressed(path, image=images, label=rng.integers(0, 10, COUNT))
    return path


def quiet(done: int, total: int) -> None:
    assert 0 < done <= total


def test_a_batch_is_a_function_of_seed_epoch_and_number(file: Path, tmp_path: Path) -> None:
    generated = GeneratedImages(unpacked(file, tmp_path, quiet), 1_000)
    assert len(generated) == COUNT
    batch = generated.drawn(20, 0, 3, 4)
    assert torch.equal(batch.indices, generated.drawn(20, 0, 3, 4).indices)
    for other in ((1, 3, 4), (0, 2, 4), (0, 3, 5)):
        assert not torch.equal(batch.indices, generated.drawn(20, *other).indices)


def test_images_and_labels_are_those_of_the_file(file: Path, tmp_path: Path) -> None:
    batch = GeneratedImages(unpacked(file, tmp_path, quiet), 1_000).drawn(20, 0, 0, 0)
    source = np.load(file)
    places = batch.indices.numpy() - 1_000
    assert np.array_equal(batch.images.permute(0, 2, 3, 1).numpy(), source["image"][places])
    assert np.array_equal(batch.labels.numpy(), source["label"][places])


def test_a_file_is_unpacked_once_and_again_when_it_changes(file: Path, tmp_path: Path) -> None:
    folder = unpacked(file, tmp_path, quiet)
    written = (folder / "image.npy").stat().st_mtime_ns
    assert (unpacked(file, tmp_path, quiet) / "image.npy").stat().st_mtime_ns == written
    (folder / "image.npy").write_bytes(b"half")
    unpacked(file, tmp_path, quiet)
    assert len(GeneratedImages(folder, 0)) == COUNT
    np.savez(file, image=np.zeros((3, 32, 32, 3), np.uint8), label=np.zeros(3, np.int64))
    assert len(GeneratedImages(unpacked(file, tmp_path, quiet), 0)) == 3


def test_no_space_is_told_with_what_is_needed(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FailingDisk(tmp_path / "cache", (("write", ".image.npy"), 0), short=True)
    with disk.mounted(monkeypatch), pytest.raises(StorageError, match=r"0\.2 MB needed"):
        unpacked(file, tmp_path, quiet)
    assert len(GeneratedImages(unpacked(file, tmp_path, quiet), 0)) == COUNT


def test_a_damaged_file_is_refused(file: Path, tmp_path: Path) -> None:
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 99] = bytes(99)
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"made\.npz is damaged"):
        unpacked(file, tmp_path, quiet)


def test_each_batch_has_its_share_of_generated_images(
    file: Path, tmp_path: Path, digits: DataSplits
) -> None:
    official = len(digits.train)
    generated = GeneratedImages(unpacked(file, tmp_path, quiet), official)
    spec = TrainSpec(
        data="digits", batch_size=50, generated=str(file), generated_share=0.7, augment=False
    )
    data = PicturesOnDevice(digits.train, digits.test, spec, flips=False, generated=generated)
    assert len(data.train_dataloader()) == official // 50
    images, labels, indices = data._train_batch(epoch=1, number=2)
    drawn = indices >= official
    assert images.shape == (50, 3, 32, 32)
    assert int(drawn.sum()) == spec.generated_per_batch == 35
    assert torch.equal(labels[~drawn], digits.train.labels[indices[~drawn]])
    assert torch.equal(
        labels[drawn], torch.from_numpy(np.load(file)["label"])[indices[drawn] - official]
    )


def test_a_file_that_is_gone_when_the_worker_begins_is_told(file: Path, tmp_path: Path) -> None:
    run = Store(tmp_path / "home").create(tiny(epochs=1, threads=1, generated=str(file)))
    file.unlink()
    assert carry_out(run) == EXIT_NOT_FOUND
    result = run.result
    assert result is not None
    assert "there is no file" in result["error"]["message"]
