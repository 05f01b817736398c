"""JSON files: values that JSON can hold, never seen half written."""

import json
import math
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.jsonfiles import plain, read_json, remove_unfinished, write_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=15,
)


@given(VALUES)
def test_what_is_plain_fits_into_strict_json(value: Any) -> None:
    made = plain(value)

    assert json.loads(json.dumps(made, allow_nan=False)) == made


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, None),
        (-math.inf, None),
        (1.5, 1.5),
        (True, True),
        ({1: (math.inf, "x")}, {"1": [None, "x"]}),
        ({"a": {"b": [math.nan, {"c": 0}]}}, {"a": {"b": [None, {"c": 0}]}}),
    ],
)
def test_only_nan_and_infinities_are_lost(value: Any, expected: Any) -> None:
    assert plain(value) == expected


def test_a_file_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "meta.json"

    write_json(path, {"tags": ["ε", "x\ny"], "value": math.nan})

    assert read_json(path) == {"tags": ["ε", "x\ny"], "value": None}
    assert [entry.name for entry in tmp_path.iterdir()] == ["meta.json"]


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "meta.json"
    write_json(path, {"note": "x" * 1000})

    write_json(path, {"note": "y"})

    assert read_json(path) == {"note": "y"}


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "meta.json"
    write_json(path, {"note": "old"})

    with pytest.raises(TypeError):
        write_json(path, {"note": "new", "value": object()})

    assert read_json(path) == {"note": "old"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["meta.json"]


def test_what_a_killed_write_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (".last.ckpt.4242", ".best_clean.ckpt.1", "last.ckpt", ".hidden", ".x.nfs00a1"):
        (tmp_path / name).touch()
    remove_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".hidden",
        ".x.nfs00a1",
        "last.ckpt",
    ]
    remove_unfinished(tmp_path / "absent")


def test_the_file_is_on_the_disk_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    sync, replace = os.fsync, os.replace

    def noted_sync(file: int) -> None:
        order.append("fsync")
        sync(file)

    def noted_replace(source: Path, target: Path) -> None:
        order.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)

    write_json(tmp_path / "result.json", {})

    assert order[:2] == ["fsync", "replace"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"3", b"null", b'"text"', b"\xff\xfe", b'{"a": 1} more']
)
def test_what_is_no_object_reads_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "spec.json"
    path.write_bytes(content)

    assert read_json(path) is None


def test_what_is_no_file_reads_as_none(tmp_path: Path) -> None:
    assert read_json(tmp_path / "absent.json") is None
    assert read_json(tmp_path) is None


def test_a_busy_reader_sees_the_old_file_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "meta.json"
    write_json(path, {"number": -1, "text": ""})
    over = threading.Event()

    def write() -> None:
        for number in range(100):
            write_json(path, {"number": number, "text": f"{number}" * 5_000})
        over.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = []
    while not over.is_set():
        found = read_json(path)
        assert found is not None
        assert set(found["text"].replace(str(found["number"]), "")) == set()
        seen.append(found["number"])
    thread.join()

    assert seen == sorted(seen)
