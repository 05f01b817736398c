"""A folder of class folders as a data set."""

from pathlib import Path

import pytest

from class_folders import picture
from engine.data.image_folder import picture_size, read_folder
from engine.data.pictures import Pictures
from runs.datasets import class_folders, dataset_of
from runs.errors import NotFoundError, UserError
from runs.spec import AttackSpec, parse_spec
from tui.user_model_flags import data_set


def read(
    folder: Path, resize: int | None = None, limit: int | None = None
) -> tuple[Pictures, tuple[str, ...]]:
    told: list[tuple[int, int]] = []
    found = read_folder(
        folder, resize=resize, limit=limit, progress=lambda done, total: told.append((done, total))
    )
    assert told[-1] == (len(told), len(told)) == (len(found[0]), len(found[0]))
    return found


def test_classes_that_are_numbers_stand_in_the_order_of_numbers(picture_folder: Path) -> None:
    assert class_folders(picture_folder) == [str(n) for n in range(12)]
    assert dataset_of(str(picture_folder)).classes == 12
    pictures, classes = read(picture_folder)
    assert classes == tuple(str(n) for n in range(12))
    assert pictures.images.shape == (36, 3, 32, 32)
    assert pictures.images[:, 2, 5, 5].tolist() == [10 * c + n for c in range(12) for n in range(3)]
    assert pictures.labels.tolist() == [n // 3 for n in range(36)]
    assert pictures.images[0, :, 0, 0].tolist() == [255, 0, 7]


def test_a_limit_reads_equally_many_a_class_and_no_others(picture_folder: Path) -> None:
    (picture_folder / "4" / "2.png").write_bytes(b"damaged, but not asked for")
    pictures, _ = read(picture_folder, limit=24)
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


def test_pictures_of_several_sizes_want_resize(picture_folder: Path) -> None:
    picture(picture_folder / "3" / "wide.png", 50, size=(80, 40))
    with pytest.raises(UserError, match=r"wide\.png has 80×40 pixels, .* have 32×32: .*--resize"):
        read(picture_folder)
    pictures, _ = read(picture_folder, resize=24)
    assert pictures.images.shape == (37, 3, 24, 24)
    assert picture_size(picture_folder, None) == (32, 32)
    assert picture_size(picture_folder, 24) == (24, 24)


def test_a_damaged_picture_is_told_by_name(picture_folder: Path) -> None:
    (picture_folder / "4" / "2.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"4/2\.png can't be read as an image"):
        read(picture_folder)


def test_a_folder_without_class_folders_or_pictures_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="class folders; at least two are needed"):
        class_folders(tmp_path)
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
    with pytest.raises(NotFoundError, match="no images in the class folders"):
        read(tmp_path)
    with pytest.raises(UserError, match="neither cifar100, cifar10, digits nor a folder"):
        data_set(str(tmp_path / "absent"))
    with pytest.raises(UserError, match="absolute path"):
        parse_spec({"kind": "attack", "data": "relative/folder"})


def test_resize_is_for_folders_alone() -> None:
    with pytest.raises(ValueError, match="resize is for folders"):
        AttackSpec(data="cifar100", resize=64)
