"""Spellings that mean one thing are taken; what can't be done is refused before a run is made."""

import hashlib
import importlib.util
import shutil
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from command_in_process import advtui
from whole_home import copy_home

from class_folders import write_class_folders
from engine.data.datasets import ensure_data
from engine.models.user_model import load_user_model
from own_network import CODE
from runs import datasets
from runs.attacks import named_attack
from runs.checks import check_request
from runs.datasets import check_data, data_folder
from runs.errors import NotFoundError, UserError
from runs.overrides import override
from runs.presets import preset
from runs.spec import AttackSpec
from runs.store import Store
from runs.threat_model import EVALUATION_PGD, PGD
from tui.spec_from_flags import train_spec
from tui.user_model_flags import data_set, own_model, scale


@pytest.mark.parametrize("text", ["linf", "Linf", "LINF", "L∞", "l∞", "l-inf", "L_inf", "inf"])
def test_linf_in_every_spelling(text: str) -> None:
    assert PGD.model_validate({"norm": text}).norm == "linf"


@pytest.mark.parametrize("text", ["l2", "L2", "L-2"])
def test_l2_in_every_spelling_has_its_usual_budget(text: str) -> None:
    loose, exact = (override(preset("demo"), {"norm": norm}) for norm in (text, "l2"))
    assert loose.robust.attack.norm == "l2"
    assert loose == exact


@pytest.mark.parametrize("text", ["cifar100", "CIFAR100", "cifar-100", "CIFAR-100", "Cifar_100"])
def test_a_data_set_in_every_spelling(text: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert data_set(text) == "cifar100"
    assert override(preset("demo"), {"data": text}).data == "cifar100"
    assert scale(text, "digits") == scale("cifar100", "digits")


def test_a_folder_of_such_a_name_is_a_folder(tmp_path: Path, monkeypatch: Any) -> None:
    write_class_folders(tmp_path / "CIFAR-100")
    monkeypatch.chdir(tmp_path)
    assert data_set("CIFAR-100") == str(tmp_path / "CIFAR-100")


def test_one_mean_is_that_of_all_channels() -> None:
    assert scale("0.5:0.25", "digits") == ((0.5,) * 3, (0.25,) * 3)
    assert scale("0.5:0.1,0.2,0.3", "digits") == ((0.5,) * 3, (0.1, 0.2, 0.3))


@pytest.mark.parametrize(
    ("given", "meant"),
    [("LATEX", "latex"), ("md", "markdown"), ("Markdown", "markdown"), ("tex", "latex")],
)
def test_a_format_in_every_spelling(tmp_path: Path, given: str, meant: str) -> None:
    ids = copy_home(tmp_path)
    loose, exact = (
        advtui(tmp_path, "compare", ids["study"], "--format", name) for name in (given, meant)
    )
    assert loose == exact
    assert loose.code == 0


def test_an_unknown_format_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    ids = copy_home(tmp_path)
    answer = advtui(tmp_path, "compare", ids["study"], "--format", "html")
    assert answer.code == 2
    assert "'html': there are table, markdown, latex, csv, json" in answer.stderr


def test_normalized_is_normalised(tmp_path: Path) -> None:
    for flag in ("--normalized", "--normalised"):
        answer = advtui(tmp_path, "attack", flag, "imagenet")
        assert "--normalised needs --model" in answer.stderr


@pytest.mark.parametrize(
    "file", ["./nets/wide.py", "nets/wide.py", "ABSOLUTE", "outside/pack/w.py"]
)
def test_a_network_may_be_named_by_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    inside, outside = tmp_path / "work" / "nets" / "wide.py", tmp_path / "outside" / "pack" / "w.py"
    for path in (inside, outside):
        path.parent.mkdir(parents=True)
        path.write_text(CODE, encoding="utf-8")
    (outside.parent / "__init__.py").touch()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(sys, "path", [*sys.path])
    given = {"ABSOLUTE": str(inside), "outside/pack/w.py": str(outside)}.get(file, file)
    model = own_model(f"{given}:make", None, None, "digits")
    expected = ("pack.w:make", str(tmp_path / "outside"))
    if file != "outside/pack/w.py":
        expected = ("nets.wide:make", str(tmp_path / "work"))
    assert (model.factory, model.folder) == expected


def test_a_network_of_a_file_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wide_of_a_file.py").write_text(CODE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    model = own_model("./wide_of_a_file.py:make", None, None, "digits")
    assert not load_user_model(model, classes=10, size=(32, 32)).training


def test_a_file_that_is_absent_is_told() -> None:
    with pytest.raises(NotFoundError, match=r"there is no file \./absent\.py"):
        own_model("./absent.py:make", None, None, "digits")


def test_a_config_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(b"\xef\xbb\xbf" + b'data = "digits"\nepochs = 3\n')
    assert train_spec(None, None, path, None, {}).epochs == 3


@pytest.mark.parametrize("name", ["run.yaml", "run.yml", "run.YAML"])
def test_a_config_in_yaml_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("data: digits\n", encoding="utf-8")
    with pytest.raises(UserError, match="is YAML: write it as TOML or JSON"):
        train_spec(None, None, path, None, {})


@pytest.fixture
def small_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a CIFAR-100 of a few bytes, packed too, whose sums are the official ones."""
    own = tmp_path / "data" / "cifar-100-python"
    own.mkdir(parents=True)
    sums = []
    for name in ("train", "test", "meta"):
        (own / name).write_bytes(name.encode())
        sums.append((name, hashlib.md5(name.encode()).hexdigest()))
    archive = own.parent / "cifar-100-python.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(own, "cifar-100-python")
    small = replace(
        datasets.DATASETS["cifar100"],
        md5=tuple(sums),
        archive_md5=hashlib.md5(archive.read_bytes()).hexdigest(),
    )
    monkeypatch.setitem(datasets.DATASETS, "cifar100", small)
    return own.parent


def test_the_folder_of_the_data_set_itself_is_understood(small_cifar: Path, home: Path) -> None:
    assert check_data("cifar100", home, str(small_cifar / "cifar-100-python"))
    assert data_folder(home, str(small_cifar / "cifar-100-python")) == small_cifar


def test_a_folder_with_the_archive_alone_is_unpacked(small_cifar: Path, home: Path) -> None:
    shutil.rmtree(small_cifar / "cifar-100-python")
    assert not check_data("cifar100", home, str(small_cifar))
    ensure_data("cifar100", home, str(small_cifar), mock.Mock())
    assert (small_cifar / "cifar-100-python.tar.gz").is_file()
    assert check_data("cifar100", home, str(small_cifar))


def test_a_damaged_archive_is_told(small_cifar: Path, home: Path) -> None:
    shutil.rmtree(small_cifar / "cifar-100-python")
    (small_cifar / "cifar-100-python.tar.gz").write_bytes(b"half")
    with pytest.raises(NotFoundError, match=r"tar\.gz is damaged or not the official file"):
        check_data("cifar100", home, str(small_cifar))


def attack_on(tmp_path: Path, name: str, classes: int) -> AttackSpec:
    folder = tmp_path / f"pictures{classes}"
    for number in range(classes):
        (folder / f"class{number}").mkdir(parents=True)
    attack = named_attack(name, EVALUATION_PGD)
    return AttackSpec.model_validate({"data": str(folder), "attacks": [attack]})


@pytest.mark.parametrize(
    ("name", "classes", "sentence"),
    [
        ("pgd-dlr", 2, "the DLR loss needs at least 3 classes, the data have 2"),
        ("apgd-dlr", 2, "the DLR loss needs at least 3 classes, the data have 2"),
        ("apgd-targeted", 3, "the targeted DLR loss needs at least 4 classes, the data have 3"),
        ("autoattack", 3, "AutoAttack needs at least 4 classes, the data have 3"),
    ],
)
def test_a_loss_of_more_classes_is_refused_before_a_run_is_made(
    tmp_path: Path, name: str, classes: int, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        check_request(attack_on(tmp_path, name, classes), tmp_path)
    if name in ("pgd-dlr", "apgd-dlr"):
        check_request(attack_on(tmp_path, name, 3), tmp_path)


def test_autoattack_that_is_not_installed_is_refused_before_a_run_is_made(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runs.launch import begin

    spec = attack_on(tmp_path, "autoattack", 5)
    monkeypatch.setattr(importlib.util, "find_spec", mock.Mock(return_value=None))
    with pytest.raises(UserError, match="AutoAttack is not installed: pip install"):
        begin(Store(home), spec, [])
    assert Store(home).runs() == []
