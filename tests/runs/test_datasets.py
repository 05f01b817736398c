"""Whether a data set is there and whole."""

import dataclasses
import hashlib
from pathlib import Path

import pytest

from runs import datasets
from runs.datasets import DATASETS, check_data, data_folder, missing_files
from runs.errors import EXIT_NOT_FOUND, NotFoundError

FILES = {"train": b"pictures to learn from", "test": b"pictures to judge by", "meta": b"names"}


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR-100 as if its official files were these small ones."""
    md5 = tuple((name, hashlib.md5(content).hexdigest()) for name, content in FILES.items())
    small = dataclasses.replace(DATASETS["cifar100"], md5=md5)
    monkeypatch.setitem(datasets.DATASETS, "cifar100", small)


def lay_out(folder: Path) -> Path:
    place = folder / "cifar-100-python"
    place.mkdir(parents=True)
    for name, content in FILES.items():
        (place / name).write_bytes(content)
    return place


def refusal(home: Path, data_dir: Path) -> str:
    with pytest.raises(NotFoundError) as error:
        check_data("cifar100", home, str(data_dir))
    assert error.value.exit_code == EXIT_NOT_FOUND == 3
    assert "--data-dir" in str(error.value)
    return str(error.value)


@pytest.mark.usefixtures("official")
class TestCifar100:
    def test_is_whole_where_it_was_named(self, tmp_path: Path) -> None:
        lay_out(tmp_path / "elsewhere")

        assert check_data("cifar100", tmp_path / "home", str(tmp_path / "elsewhere")) is True

    def test_is_whole_in_the_home(self, tmp_path: Path) -> None:
        lay_out(tmp_path / "data")

        assert check_data("cifar100", tmp_path, None) is True

    def test_absent_from_the_home_it_may_be_fetched(self, tmp_path: Path) -> None:
        assert check_data("cifar100", tmp_path, None) is False
        assert not (tmp_path / "data").exists()

    def test_in_part_in_the_home_it_may_be_fetched(self, tmp_path: Path) -> None:
        (lay_out(tmp_path / "data") / "test").unlink()

        assert check_data("cifar100", tmp_path, None) is False
        assert missing_files("cifar100", tmp_path / "data") == ["test"]

    def test_a_named_folder_must_exist(self, tmp_path: Path) -> None:
        message = refusal(tmp_path, tmp_path / "nowhere")

        assert f"{tmp_path / 'nowhere'} does not exist" in message

    def test_a_named_folder_must_be_a_folder(self, tmp_path: Path) -> None:
        file = tmp_path / "archive.tar.gz"
        file.touch()

        assert str(file) in refusal(tmp_path, file)

    def test_a_named_folder_must_hold_it(self, tmp_path: Path) -> None:
        lay_out(tmp_path / "data")  # that the home has it does not help
        (tmp_path / "empty").mkdir()

        message = refusal(tmp_path, tmp_path / "empty")

        assert "CIFAR-100" in message
        assert "cifar-100-python/train is missing" in message

    def test_the_folder_itself_stands_for_the_one_above(self, tmp_path: Path) -> None:
        place = lay_out(tmp_path / "elsewhere")

        assert check_data("cifar100", tmp_path, str(place))

    @pytest.mark.parametrize("name", FILES)
    def test_a_truncated_file_is_found(self, tmp_path: Path, name: str) -> None:
        place = lay_out(tmp_path / "elsewhere")
        (place / name).write_bytes(FILES[name][:-1])

        message = refusal(tmp_path, tmp_path / "elsewhere")

        assert f"{place / name} is damaged" in message
        assert hashlib.md5(FILES[name]).hexdigest() in message

    def test_a_file_with_one_wrong_byte_is_found_in_the_home_too(self, tmp_path: Path) -> None:
        place = lay_out(tmp_path / "data")
        (place / "test").write_bytes(FILES["test"].replace(b"judge", b"fudge"))

        with pytest.raises(NotFoundError, match="is damaged or not the official file"):
            check_data("cifar100", tmp_path, None)

    def test_a_folder_in_a_files_place_is_missing(self, tmp_path: Path) -> None:
        place = lay_out(tmp_path / "elsewhere")
        (place / "meta").unlink()
        (place / "meta").mkdir()

        assert "cifar-100-python/meta is missing" in refusal(tmp_path, tmp_path / "elsewhere")


def test_digits_come_with_a_package(tmp_path: Path) -> None:
    assert check_data("digits", tmp_path, None) is True
    assert check_data("digits", tmp_path, str(tmp_path / "nowhere")) is True


def test_data_lie_where_the_user_says_else_in_the_home() -> None:
    assert data_folder(Path("/home"), None) == Path("/home/data")
    assert data_folder(Path("/home"), "/elsewhere") == Path("/elsewhere")


def test_the_md5s_are_those_that_torchvision_checks() -> None:
    torchvision = pytest.importorskip("torchvision.datasets")

    for name, theirs in (
        ("cifar100", torchvision.CIFAR100),
        ("cifar10", torchvision.CIFAR10),
    ):
        official = dict([*theirs.train_list, *theirs.test_list])
        official[theirs.meta["filename"]] = theirs.meta["md5"]
        assert dict(DATASETS[name].md5) == official
        assert DATASETS[name].folder == theirs.base_folder
