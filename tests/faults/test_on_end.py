"""The command that tells of a run's end: once, with its facts, and never at its cost."""

from pathlib import Path

import pytest

from one_process import carry_out
from runs.on_end import run_on_end
from runs.presets import preset
from runs.store import Run, Store
from tiny_training import tiny


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command writes."""
    file, config = tmp_path / "told", tmp_path / "config.toml"
    words = " ".join(f"$ADVTUI_RUN_{key}" for key in ("ID", "NAME", "KIND", "STATE", "ERROR"))
    config.write_text(f"on_end = 'echo \"{words}\" >> {file}'\n")
    monkeypatch.setenv("ADVTUI_CONFIG", str(config))
    return file


def test_it_runs_once_with_the_facts_of_the_run(told: Path, tmp_path: Path) -> None:
    run = Store(tmp_path).create(tiny(epochs=1, name="night; rm -rf $HOME"))
    assert carry_out(run) == 0
    assert told.read_text().splitlines() == [f"{run.id} night; rm -rf $HOME train completed "]


def test_a_failed_run_tells_its_error(told: Path, tmp_path: Path) -> None:
    run = Store(tmp_path).create(tiny(epochs=1, batch_size=2000, train_limit=2000))
    assert carry_out(run) != 0
    (line,) = told.read_text().splitlines()
    assert line.startswith(f"{run.id} {run.id} train failed batch_size 2000 exceeds the")


def test_a_child_tells_nothing(told: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    child = store.create(tiny(), parent=store.create(preset("demo")).id, role="robust")
    assert run_on_end(child) is None
    assert not told.exists()


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("exit 3", "on_end ended with exit code 3: exit 3"),
        ("sleep 20", "on_end took longer than 0 s and was ended: sleep 20"),
        ("", None),
    ],
)
def test_its_failure_is_a_sentence_and_no_failure_of_the_run(
    command: str,
    sentence: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "config.toml").write_text(f'on_end = "{command}"\n')
    monkeypatch.setenv("ADVTUI_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setattr("runs.on_end.LONGEST_S", 0.3)
    run = Store(tmp_path).create(tiny())
    assert run_on_end(run) == sentence


@pytest.mark.parametrize("text", ["on_end = 7", "on_end = [", "\udc80", ""])
def test_a_damaged_setting_runs_nothing(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    monkeypatch.setenv("ADVTUI_CONFIG", str(tmp_path / "config.toml"))
    assert run_on_end(Run(Store(tmp_path).create(tiny()).path)) is None
