"""Sixty hostile names and files: none executes, none leaves the home, each has its sentence."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_in_process import Answer, advtui
from whole_home import copy_home

from engine.models.checkpoint import read_checkpoint
from runs.errors import UserError
from runs.store import Store
from tui.run_list.feed import RunFeed
from tui.run_list.row import read_row

NAMES = (
    *("..", ".", "/", "../..", "../../secret", "/etc/passwd", "a/b", "runs/../..", "~", "~root"),
    *("\0", "a\0b", "-x", "--", "--help", "@0", "@-1", "@" + "9" * 20, "@" + "9" * 5000, "@１"),
    *("@1:..", "@1:last/../../x", "@1:\0", "x" * 5000, "\x1b]0;owned\x07", "\x9b2J", "\u202eevil"),
    *("\udc80", "%s%n", "{0.__class__}", "$(touch owned)", "`touch owned`", "*", "[a", "\\"),
)
"""As the name of a run, given to a command."""
COMMANDS = (("show",), ("compare",), ("rm", "--yes"), ("export", "-o", "ARCHIVE"), ("stop",))


class Owned:
    """A pickle that leaves a file behind when it is read."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self._mark,)


def harmless(answer: Answer) -> bool:
    text = answer.stdout + answer.stderr
    signs = "\x1b\x9b\x07\0\u202e\udc80"
    words = ("Traceback", "unexpected ")
    return not any(part in text for part in (*signs, *words))


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:24])
def test_a_hostile_name_names_no_run(name: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    copy_home(home)
    before = sorted(path for path in tmp_path.rglob("*"))
    for first, *rest in COMMANDS:
        words = [str(tmp_path / "x.tar.gz") if word == "ARCHIVE" else word for word in rest]
        answer = advtui(home, first, *words, "--", name)
        assert answer.code == 3, answer
        assert "no run" in answer.stderr
        assert answer.stdout == ""
        assert harmless(answer), answer
    assert sorted(path for path in tmp_path.rglob("*")) == before


TEXTS = {
    "an escape": "\x1b]52;c;b3duZWQ=\x07",
    "a control of one byte": "\x9b2J",
    "a mark of direction": "\u202egnp.exe",
    "half of a pair": "\ud800",
    "markup": "[@click=app.quit]quit[/] [/foo]",
    "a very long text": "x" * 100_000,
    "a path": "../../../etc/passwd",
    "a text with NUL": "a\0b",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("place", ["name", "tag"])
def test_a_hostile_text_of_a_file_is_shown_harmless(place: str, text: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    run = home / "runs" / copy_home(home)["robust"]
    if place == "name":
        spec = json.loads((run / "spec.json").read_text())
        (run / "spec.json").write_text(json.dumps({**spec, "name": text}))
    else:
        (run / "meta.json").write_text(json.dumps({"tags": [text], "note": text}))
    for words in (("runs",), ("runs", "--json"), ("show", run.name), ("show", run.name, "--json")):
        answer = advtui(home, *words)
        assert answer.code == 0, answer
        assert harmless(answer), answer
        assert run.name in answer.stdout
    row = read_row(Store(home).find(run.name))
    assert not row.error
    assert "\x1b" not in row.name + row.note


def _child(run: str) -> dict[str, Any]:
    return {"v": 1, "t": 1.0, "kind": "child", "run": run, "role": "robust", "state": "running"}


@pytest.mark.parametrize("path", ["../../secret", "/etc", "..", ".", "", "a\0b"])
def test_a_child_never_leads_out_of_the_home(path: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    study = home / "runs" / copy_home(home)["study"]
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "spec.json").write_text('{"kind": "train", "name": "secret"}')
    with (study / "events.jsonl").open("a") as stream:
        stream.write(json.dumps(_child(path)) + "\n")
    feed = RunFeed(Store(home).find(study.name))
    feed.read()
    folders = {member.run.path.parent for member in feed.members.values()}
    assert folders == {home / "runs"}
    for words in (("show", study.name), ("logs", study.name)):
        answer = advtui(home, *words)
        assert answer.code == 0, answer
        assert harmless(answer), answer
        assert "secret" not in answer.stdout.replace("../../secret", "")


@pytest.mark.parametrize("content", ["pickle", "torch.save", "text", "empty"])
def test_a_checkpoint_executes_nothing(content: str, tmp_path: Path) -> None:
    mark, path = tmp_path / "owned", tmp_path / "last.ckpt"
    if content == "pickle":
        path.write_bytes(pickle.dumps(Owned(mark)))
    elif content == "torch.save":
        torch.save({"state_dict": Owned(mark)}, path)
    else:
        path.write_bytes(b"" if content == "empty" else b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UserError):
        read_checkpoint(path)
    assert not mark.exists()


@pytest.mark.parametrize("file", ["outcomes.npz", "examples.npz"])
@pytest.mark.parametrize("form", ["npz", "pickle"])
def test_arrays_execute_nothing(file: str, form: str, tmp_path: Path) -> None:
    home, mark = tmp_path / "home", tmp_path / "owned"
    attack = home / "runs" / copy_home(home)["attack"]
    if form == "npz":
        with np.load(attack / file) as kept:
            arrays = {name: kept[name] for name in kept.files}
        np.savez(attack / file, **{**arrays, "classes": np.array([Owned(mark)], dtype=object)})
    else:
        (attack / file).write_bytes(pickle.dumps(Owned(mark)))
    words = ("classes", attack.name) if file == "outcomes.npz" else ("examples", attack.name)
    answer = advtui(home, *words)
    assert answer.code == 3, answer
    assert harmless(answer), answer
    assert not mark.exists()


def test_the_table_has_sixty_entries() -> None:
    assert len(NAMES) + 2 * len(TEXTS) + 6 + 4 + 4 >= 60
