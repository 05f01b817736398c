"""From the words of the command line to a spec."""

from pathlib import Path

import pytest

from runs.attacks import NAMES
from runs.errors import NotFoundError, UserError
from runs.presets import preset
from runs.store import Store
from tui import spec_from_flags
from tui.spec_from_flags import attack_spec, default_preset, study_spec, train_spec


@pytest.mark.parametrize(
    ("gpu", "device", "name"),
    [
        (True, "auto", "poster"),
        (True, "cpu", "cpu"),
        (False, "auto", "cpu"),
        (False, "cuda", "cpu"),
    ],
)
def test_the_default_preset_is_poster_on_a_gpu_else_cpu(
    gpu: bool,
    device: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(spec_from_flags, "has_gpu", lambda: gpu)
    flags = {"device": device}

    assert default_preset(device).name == name
    assert "GPU" in default_preset(device).reason
    assert study_spec(None, None, None, flags).robust.width == preset(name).robust.width
    assert train_spec(None, None, None, None, flags).width == preset(name).robust.width
    assert capsys.readouterr() == ("", "")  # the command announces it, not this module


def test_an_attack_run_is_no_model_to_attack(tmp_path: Path) -> None:
    store = Store(tmp_path)
    attack = store.create(preset("demo").attack)

    with pytest.raises(UserError) as refusal:
        attack_spec(store, [attack.id], None, None, None, None, None, {})

    assert str(refusal.value) == f"{attack.id} is an attack run; a train run is expected"


def test_a_study_that_has_not_trained_yet_is_explained(tmp_path: Path) -> None:
    store = Store(tmp_path)
    study = store.create(preset("demo"))

    with pytest.raises(UserError, match="is a study without a train run"):
        attack_spec(store, [study.id], None, None, None, None, None, {})


def test_a_checkpoint_that_is_missing_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = store.create(preset("demo").child("robust"))

    with pytest.raises(NotFoundError, match="has no checkpoint 'best_clean'; available: none yet"):
        attack_spec(store, [run.id], None, None, None, None, None, {})


@pytest.mark.parametrize("name", NAMES)
def test_an_attack_is_added_by_its_name(name: str) -> None:
    own = {"model": "nets.wide:make"}

    spec = attack_spec(Store(Path()), [], [name], None, None, None, None, {}, own)

    assert [attack.name for attack in spec.attacks] == [name]
