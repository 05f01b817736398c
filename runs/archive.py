"""Runs in one file, to carry them to another home: a tar archive of ``runs/ID/…`` and a manifest.

The manifest comes first and names each file with its size and SHA-256. An archive is foreign: on
import nothing is taken that the manifest does not name, that differs from it, or that is no file of
a run. Knows no terminal.
"""

import hashlib
import json
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal

from runs.checksums import sha256_of
from runs.errors import NotFoundError, UserError
from runs.jsonfiles import RUN_ID, read_json, replacing
from runs.permissions import for_the_user
from runs.storage import sync_folder, writing
from runs.store import CHECKPOINTS, Run, Store
from runs.trash import references, refuse_living

Kept = Literal["best", "all", "none"]
"""Which checkpoints an archive holds, besides those that its attack runs refer to."""

_MANIFEST = "manifest.json"
_VERSION = 1
_TEXTS = ("spec.json", "result.json", "events.jsonl")
"""Files in which runs refer to runs by their ids."""
_FILES = (*_TEXTS, "meta.json", "worker.log", "outcomes.npz", "examples.npz")
_MEMBER = re.compile(
    rf"runs/(?P<run>{RUN_ID})/(?P<file>{'|'.join(map(re.escape, _FILES))}"
    rf"|checkpoints/(?:{'|'.join(CHECKPOINTS)})\.ckpt)"
)
_LARGEST_MANIFEST = 64_000_000
_SLICE = 1024 * 1024


def export_runs(store: Store, runs: Sequence[Run], path: Path, kept: Kept = "best") -> list[Run]:
    """Write an archive of runs, of their children and of all runs that they refer to.

    Returns:
        The runs in the archive.

    Raises:
        UserError: a run is at work, or the file can't be written.
    """
    whole = with_references(store, runs)
    refuse_living(whole)
    files = {
        f"runs/{run.id}/{name}": run.path / name
        for run in whole
        for name in _names(run, whole, kept)
    }
    manifest = {
        "format": "advtui runs",
        "v": _VERSION,
        "files": {
            name: {"size": f.stat().st_size, "sha256": sha256_of(f)} for name, f in files.items()
        },
    }
    with for_the_user(), replacing(path.resolve()) as stream, _tar(stream, path, "w") as archive:
        content = json.dumps(manifest, indent=2).encode()
        entry = tarfile.TarInfo(_MANIFEST)
        entry.size = len(content)
        archive.addfile(entry, BytesIO(content))
        for name, file in files.items():
            archive.add(file, name, recursive=False)
    return whole


def with_references(store: Store, runs: Sequence[Run]) -> list[Run]:
    """The runs with their children, and all runs of the store to which any of these refers."""
    known = {run.id: run for run in store.runs()}
    found: dict[str, Run] = {}
    waiting = list(runs)
    while waiting:
        run = waiting.pop(0)
        if run.id not in found:
            found[run.id] = run
            waiting += [child for child in known.values() if child.parent == run.id]
            waiting += [known[cited] for cited in references(run) if cited in known]
    return list(found.values())


def _names(run: Run, whole: Sequence[Run], kept: Kept) -> Iterator[str]:
    """The files of a run that go into an archive of the runs ``whole``."""
    chosen = {"best": {"best_clean", "best_robust"}, "all": set(CHECKPOINTS), "none": set()}[kept]
    attacks = [other.raw_spec.get("checkpoints") for other in whole if other.kind == "attack"]
    chosen |= {
        str(reference.get("checkpoint"))
        for listed in attacks
        for reference in (listed if isinstance(listed, list) else [])
        if isinstance(reference, dict) and reference.get("run") == run.id
    }
    for name in (*_FILES, *(f"checkpoints/{name}.ckpt" for name in CHECKPOINTS if name in chosen)):
        if (run.path / name).is_file():
            yield name


def import_runs(store: Store, path: Path) -> dict[str, Run]:
    """Take over all runs of an archive. A run whose id exists gets another; references follow.

    Returns:
        The run for each id of the archive.

    Raises:
        NotFoundError: there is no such file.
        UserError: the archive is damaged, was changed, or holds what is no file of a run; nothing
            is taken over.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no archive {path}")
    beside = store.home / f".import-{os.getpid()}"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        try:
            with path.open("rb") as stream, _tar(stream, path, "r") as archive:
                ids = _unpack(archive, path, beside)
        except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
            raise UserError(f"{path} is damaged or not an archive of advtui: {error}") from None
        names = _new_ids(store, ids)
        _rename(beside, {old: new for old, new in names.items() if old != new})
        return _take_over(store, beside, names)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def _tar(stream: BinaryIO, path: Path, mode: Literal["r", "w"]) -> Iterator[tarfile.TarFile]:
    """A tar archive, compressed as the name of its file says.

    Raises:
        UserError: this Python does not know the compression.
    """
    known = {".tar.gz": "gz", ".tgz": "gz", ".tar.zst": "zst"}
    kind = next((kind for suffix, kind in known.items() if path.name.endswith(suffix)), None)
    if kind is None:
        raise UserError(f"{path.name}: name the archive .tar.gz or .tar.zst")
    try:
        archive = tarfile.open(fileobj=stream, mode=f"{mode}:{kind}")  # type: ignore[call-overload] # noqa: SIM115
    except tarfile.CompressionError:
        raise UserError(f"{path.name}: .{kind} needs Python 3.14 or newer; use .tar.gz") from None
    with archive:
        yield archive


def _unpack(archive: tarfile.TarFile, path: Path, target: Path) -> list[str]:
    """Check and write all files of an archive below ``target``; returns the ids of its runs.

    Raises:
        UserError: a file is missing, unknown, or differs from the manifest.
    """
    first = archive.next()
    manifest = _manifest(archive, first)
    if manifest is None:
        raise UserError(f"{path} is not an archive of advtui: it does not begin with a manifest")
    expected = dict(manifest)
    while (entry := archive.next()) is not None:
        if not entry.isfile() or _MEMBER.fullmatch(entry.name) is None:
            raise UserError(f"{path} holds {entry.name!r}, which is no file of a run")
        facts = expected.pop(entry.name, None)
        content = archive.extractfile(entry)
        if facts is None or content is None:
            raise UserError(f"{path} holds {entry.name}, which its manifest does not name")
        if entry.size != facts["size"] or _write(content, target / entry.name) != facts["sha256"]:
            raise UserError(f"{path}: {entry.name} differs from its checksum in the manifest")
    if not manifest:
        raise UserError(f"{path} holds no runs")
    if expected:
        raise UserError(f"{path}: {next(iter(expected))} is missing")
    ids = list(dict.fromkeys(name.split("/")[1] for name in manifest))
    for run_id in ids:
        if not read_json(target / "runs" / run_id / "spec.json"):
            raise UserError(f"{path}: {run_id} has no readable spec.json")
    return ids


def _manifest(archive: tarfile.TarFile, entry: tarfile.TarInfo | None) -> dict[str, Any] | None:
    """The files that a manifest names, with their facts; None where ``entry`` is no manifest."""
    if entry is None or entry.name != _MANIFEST or entry.size > _LARGEST_MANIFEST:
        return None
    content = archive.extractfile(entry)
    try:
        value = json.loads(content.read()) if content else None
    except (ValueError, RecursionError):
        return None
    files = value.get("files") if isinstance(value, dict) and value.get("v") == _VERSION else None
    if not isinstance(files, dict) or not all(isinstance(facts, dict) for facts in files.values()):
        return None
    return {name: {"size": f.get("size"), "sha256": f.get("sha256")} for name, f in files.items()}


def _write(content: IO[bytes], target: Path) -> str:
    """Write a file and return its SHA-256."""
    digest = hashlib.sha256()
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as stream:
            while part := content.read(_SLICE):
                digest.update(part)
                stream.write(part)
            stream.flush()
            os.fsync(stream.fileno())
    return digest.hexdigest()


def _new_ids(store: Store, ids: Sequence[str]) -> dict[str, str]:
    """The id that each run gets: its own, or one with other digits if the home has it already."""
    taken = {*ids, *(run.id for run in store.runs())}
    names = {}
    for run_id in ids:
        names[run_id] = run_id
        if (store.folder / run_id).exists():
            while names[run_id] in taken:
                names[run_id] = f"{run_id[:-4]}{os.urandom(2).hex()}"
            taken.add(names[run_id])
    return names


def _rename(folder: Path, names: dict[str, str]) -> None:
    """Give unpacked runs their new ids, in all files in which runs refer to runs."""
    if not names:
        return
    old = re.compile(b"|".join(re.escape(name.encode()) for name in names))
    for run in (folder / "runs").iterdir():
        for name in _TEXTS:
            if (run / name).is_file():
                with (run / name).open("rb") as source, replacing(run / name) as target:
                    for line in source:
                        target.write(old.sub(lambda match: names[match[0].decode()].encode(), line))
    for before, after in names.items():
        (folder / "runs" / before).rename(folder / "runs" / after)


def _take_over(store: Store, folder: Path, names: dict[str, str]) -> dict[str, Run]:
    """Move unpacked runs into the home; all of them or none."""
    moved: dict[str, Run] = {}
    try:
        with writing(store.folder):
            store.folder.mkdir(parents=True, exist_ok=True)
            for old, new in names.items():
                (folder / "runs" / new).rename(store.folder / new)
                moved[old] = Run(store.folder / new)
            sync_folder(store.folder)
    except BaseException:
        for run in moved.values():
            shutil.rmtree(run.path, ignore_errors=True)
        raise
    return moved
