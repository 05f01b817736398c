"""The options that hand a run to Slurm, and their defaults in the settings file."""

from pathlib import Path
from typing import Any

import pytest

from runs.errors import UserError
from tui.slurm_flags import with_slurm
from tui.spec_from_flags import study_spec, train_spec


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a settings file that does not exist yet."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("ADVTUI_CONFIG", str(path))
    return path


def test_without_the_launcher_nothing_changes() -> None:
    assert with_slurm({"epochs": 3}) == {"epochs": 3}
    assert with_slurm({"launcher": "here"}) == {"slurm": None}


def test_options_become_the_field_and_win_over_the_settings(settings: Path) -> None:
    settings.write_text('[slurm]\npartition = "gpu"\ntime = "5"\n', encoding="utf-8")
    flags = {"launcher": "slurm", "time": "7", "slurm_arg": ["mail-type=END"], "epochs": 3}
    found = with_slurm(flags)
    asked = {"partition": "gpu", "time": "7", "args": ["mail-type=END"]}
    assert found == {"epochs": 3, "slurm": asked}
    spec = train_spec("robust", "demo", None, None, flags)
    assert spec.slurm is not None
    assert (spec.slurm.partition, spec.slurm.time) == ("gpu", "7")
    study = study_spec("demo", None, None, {"launcher": "slurm"})
    assert study.child("attack").slurm == study.slurm


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"nodes": 2}, "--nodes is for jobs of Slurm: add --launcher slurm"),
        ({"cpus_per_task": 2}, "--cpus-per-task is for jobs of Slurm"),
        ({"slurm_arg": ["x=1"]}, "--slurm-arg is for jobs of Slurm"),
        ({"launcher": "pbs"}, "--launcher pbs: here or slurm"),
    ],
)
def test_an_option_without_its_launcher_is_refused(flags: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        with_slurm(flags)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("slurm = 3", r"slurm in the settings file .* is no table"),
        ("[slurm]\nnode = 3", r"has no 'node'"),
        ("[slurm", "can't be read"),
    ],
)
def test_settings_that_can_t_be_used_are_named(settings: Path, content: str, sentence: str) -> None:
    settings.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=sentence):
        with_slurm({"launcher": "slurm"})


def test_nodes_that_can_t_share_the_devices_say_what_to_use() -> None:
    flags = {"launcher": "slurm", "nodes": 2, "devices": 3}
    with pytest.raises(UserError, match=r"3 devices can't be shared by 2 nodes.*so use devices 4"):
        train_spec("robust", "demo", None, None, flags)
    with pytest.raises(UserError, match="batch_size 64 can't be shared by 3 devices: use 63 or 66"):
        study_spec("demo", None, None, {"devices": 3})


def test_without_sbatch_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from runs.launch import begin
    from runs.store import Store

    monkeypatch.setenv("PATH", str(tmp_path))
    spec = train_spec("robust", "demo", None, None, {"launcher": "slurm"})
    store = Store(tmp_path / "home")
    with pytest.raises(UserError, match="launcher slurm: there is no sbatch on this machine"):
        begin(store, spec, ())
    assert not store.runs()
