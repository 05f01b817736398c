"""Runs carried to another home in an archive: all of them, unchanged, or none."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from advtui_process import Command, Studied
from runs.archive import export_runs, import_runs, with_references
from runs.errors import NotFoundError, UserError
from runs.jsonfiles import write_json
from runs.spec import AttackSpec, CheckpointRef
from runs.store import Run, Store
from tiny_training import tiny


@pytest.fixture
def archived(store: Store, tmp_path: Path) -> tuple[Path, list[Run]]:
    """A training and an attack run on it, exported by naming the attack run alone."""
    training = store.create(tiny(name="night"))
    write_json(training.path / "result.json", {"v": 1, "kind": "train", "state": "completed"})
    training.events_path.write_text('{"v": 1, "t": 1.0, "kind": "started", "attempt": 1}\n')
    (training.path / "checkpoints").mkdir()
    for name in ("best_clean", "best_robust", "last"):
        training.checkpoint(name).write_bytes(name.encode())
    reference = CheckpointRef(run=training.id, checkpoint="last", label="Last")
    attack = store.create(AttackSpec(data="digits", checkpoints=(reference,)))
    rows = [{"model": "Last", "run": training.id, "checkpoint": "last", "evaluation": attack.id}]
    write_json(
        attack.path / "result.json",
        {"v": 1, "kind": "attack", "state": "completed", "rows": rows},
    )
    path = tmp_path / "runs.tar.gz"
    return path, export_runs(store, [attack], path, "none")


def test_what_an_attack_run_refers_to_comes_along(
    archived: tuple[Path, list[Run]], tmp_path: Path
) -> None:
    path, [attack, training] = archived
    other = Store(tmp_path / "other")

    taken = import_runs(other, path)

    assert {old: run.id for old, run in taken.items()} == {r.id: r.id for r in (attack, training)}
    there = taken[training.id]
    assert there.checkpoints() == ["last"]  # the one that was attacked
    for name in ("spec.json", "result.json", "events.jsonl", "checkpoints/last.ckpt"):
        assert (there.path / name).read_bytes() == (training.path / name).read_bytes()
    assert [path.name for path in other.home.iterdir()] == ["runs"]


@pytest.mark.parametrize(
    ("kept", "names"),
    [("best", ["best_clean", "best_robust"]), ("all", ["best_clean", "best_robust", "last"])],
)
def test_checkpoints_are_chosen(
    kept: Any, names: list[str], archived: tuple[Path, list[Run]], store: Store, tmp_path: Path
) -> None:
    _, [_, training] = archived
    export_runs(store, [training], tmp_path / "one.tgz", kept)
    [there] = import_runs(Store(tmp_path / "other"), tmp_path / "one.tgz").values()
    assert there.checkpoints() == names


def test_a_run_that_the_home_has_is_renamed_and_the_references_follow(
    archived: tuple[Path, list[Run]], store: Store
) -> None:
    path, [attack, training] = archived

    taken = import_runs(store, path)

    assert len(store.runs()) == 4
    copy, source = taken[attack.id], taken[training.id]
    assert copy.id != attack.id
    assert source.id != training.id
    assert copy.raw_spec["checkpoints"][0]["run"] == source.id
    assert copy.raw_spec["run"]["id"] == copy.id
    assert (copy.raw_result or {})["rows"][0]["evaluation"] == copy.id
    assert with_references(store, [copy]) == [copy, source]


def test_a_live_run_is_not_exported(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="queued: stop it first"):
        export_runs(store, [store.create(tiny())], tmp_path / "x.tar.gz")
    assert not (tmp_path / "x.tar.gz").exists()


# Archives that were changed

Members = dict[str, bytes]


def rewrite(path: Path, change: Callable[[Members], object]) -> None:
    """Write an archive again, with other members."""
    with tarfile.open(path) as archive:
        members = {
            entry.name: content.read()
            for entry in archive
            if (content := archive.extractfile(entry)) is not None
        }
    change(members)
    with tarfile.open(path, "w:gz") as archive:
        for name, changed in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(changed)
            archive.addfile(entry, io.BytesIO(changed))


def named(members: Members, suffix: str) -> str:
    return next(name for name in members if name.endswith(suffix))


def change_a_result(members: Members) -> None:
    name = named(members, "result.json")
    members[name] = members[name].replace(b"completed", b"interrupt")


def leave_out_a_result(members: Members) -> None:
    del members[named(members, "result.json")]


def add_a_file(members: Members) -> None:
    members[named(members, "spec.json").replace("spec.json", "meta.json")] = b"{}"


def add(path_in_archive: str) -> Callable[[Members], None]:
    """A member that leaves, with an entry in the manifest."""

    def change(members: Members) -> None:
        manifest = json.loads(members["manifest.json"])
        facts = {"size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
        manifest["files"][path_in_archive] = facts
        members["manifest.json"] = json.dumps(manifest).encode()
        members[path_in_archive] = b"x"

    return change


def drop_the_manifest(members: Members) -> None:
    del members["manifest.json"]


CHANGES: dict[str, tuple[Callable[[Members], None], str]] = {
    "a changed result": (change_a_result, "differs from its checksum"),
    "a missing file": (leave_out_a_result, "is missing"),
    "a file more": (add_a_file, "which its manifest does not name"),
    "a path upwards": (add("runs/../../evil"), "no file of a run"),
    "an absolute path": (add("/tmp/evil"), "no file of a run"),
    "another file of a run": (add("runs/20261122-184005-robust-3f9a/lock"), "no file of a run"),
    "no manifest": (drop_the_manifest, "does not begin with a manifest"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_archive_is_refused_and_nothing_is_taken(
    what: str, archived: tuple[Path, list[Run]], tmp_path: Path
) -> None:
    path, _ = archived
    change, reason = CHANGES[what]
    rewrite(path, change)
    other = Store(tmp_path / "deep" / "other")
    with pytest.raises(UserError, match=reason):
        import_runs(other, path)
    assert other.runs() == []
    assert not list(tmp_path.rglob("evil"))
    assert not list(tmp_path.rglob(".import-*"))


def test_a_link_is_no_file_of_a_run(archived: tuple[Path, list[Run]], tmp_path: Path) -> None:
    path, [attack, _] = archived
    with tarfile.open(path) as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        content = manifest.read()
    with tarfile.open(path, "w:gz") as archive:
        first = tarfile.TarInfo("manifest.json")
        first.size = len(content)
        archive.addfile(first, io.BytesIO(content))
        link = tarfile.TarInfo(f"runs/{attack.id}/spec.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(UserError, match="no file of a run"):
        import_runs(Store(tmp_path / "other"), path)


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", gzip.compress(b"no tar", mtime=0), None],
    ids=["empty", "text", "gzip", "absent"],
)
def test_what_is_no_archive_is_refused(
    content: bytes | None, archived: tuple[Path, list[Run]], tmp_path: Path
) -> None:
    path, _ = archived
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(UserError, match=r"damaged or not an archive|does not begin"):
        import_runs(Store(tmp_path / "other"), path)
    assert not (tmp_path / "other").exists() or Store(tmp_path / "other").runs() == []


def test_an_absent_archive_and_an_unknown_kind(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        import_runs(store, tmp_path / "absent.tar.gz")
    for name in ("runs.zip", "runs"):
        with pytest.raises(UserError, match=r"\.tar\.gz"):
            export_runs(store, [], tmp_path / name)


def test_zstandard_is_used_or_refused_in_a_sentence(store: Store, tmp_path: Path) -> None:
    run = store.create(tiny())
    write_json(run.path / "result.json", {"v": 1, "kind": "train", "state": "completed"})
    path = tmp_path / "runs.tar.zst"
    if hasattr(tarfile.TarFile, "zstopen"):
        export_runs(store, [run], path)
        assert len(import_runs(Store(tmp_path / "other"), path)) == 1
    else:
        with pytest.raises(UserError, match=r"zst needs Python 3\.14 or newer; use \.tar\.gz"):
            export_runs(store, [run], path)
        assert list(tmp_path.glob("*runs.tar.zst*")) == []


def test_a_study_prints_the_same_table_in_another_home(studied: Studied, tmp_path: Path) -> None:
    here, study, _, _ = studied
    there = Command(tmp_path / "there")
    file = tmp_path / "study.tar.gz"

    packed = here("export", study.id, "-o", str(file))
    assert packed.returncode == 0, packed.stderr
    assert packed.stdout == f"{file}\n"
    taken = there("import", str(file))

    assert taken.returncode == 0, taken.stderr
    assert len(taken.stdout.split()) == 4
    for words in (("compare", study.id), ("compare", study.id, "--format", "json")):
        assert there(*words).stdout == here(*words).stdout
    again = there("import", str(file))
    assert again.returncode == 0, again.stderr
    renamed = next(i for i in again.stdout.split() if "-study-" in i)
    assert there("compare", renamed).stdout == here("compare", study.id).stdout
