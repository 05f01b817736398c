"""``advtui doctor``: what is installed and available, and what to do about what is missing.

torch is imported in a separate process: a broken torch is then a finding, not a crash.
"""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import typer
from rich.text import Text

import runs
import tui
from runs.datasets import DATASETS, check_data, data_folder
from runs.errors import EXIT_FAILED, UserError
from runs.slurm_queue import Partition, SlurmError, is_installed, partitions, version
from runs.store import Store
from tui.commands.output import stdout_console
from tui.commands.plain_output import open_store, print_json
from tui.render.plain_ascii import is_utf8, own_encoding
from tui.render.text import clean

Finding = dict[str, Any]

_ASK_TORCH = """
import json, torch
report = {"version": torch.__version__, "cuda": torch.version.cuda,
          "threads": torch.get_num_threads(), "gpus": []}
if torch.cuda.is_available():
    for n in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(n)
        report["gpus"].append({"name": torch.cuda.get_device_name(n), "free": free, "total": total,
                               "bf16": torch.cuda.is_bf16_supported(including_emulation=False)})
print(json.dumps(report))
"""


def examine(home: Path | None, data_dir: Path | None, *, as_json: bool) -> None:
    """Print all findings; the exit code is 1 where one of them prevents a run."""
    store = open_store(home)
    findings = [
        _python(),
        _packages(),
        *_torch(),
        *_data(store, data_dir),
        _home(store),
        _slurm(),
        _terminal(),
    ]
    if as_json:
        print_json(findings)
    else:
        console = stdout_console()
        marks = {"ok": ("✓", "green"), "note": ("·", "yellow"), "bad": ("✗", "red")}
        for finding in findings:
            mark, style = marks[finding["verdict"]]
            head = Text.assemble((f"{mark} ", style), (f"{finding['what']:<9}", "bold"), " ")
            console.print(head + Text(clean(finding["found"], 500)), soft_wrap=True)
            if finding["advice"]:
                advice = clean(finding["advice"], 500)
                console.print(Text(f"            → {advice}"), soft_wrap=True)
    if any(finding["verdict"] == "bad" for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def _finding(what: str, verdict: str, fact: str, advice: str | None = None) -> Finding:
    return {"what": what, "verdict": verdict, "found": fact, "advice": advice}


def _python() -> Finding:
    return _finding("python", "ok", f"{platform.python_version()} at {sys.executable}")


def _packages() -> Finding:
    """Whether ``runs`` is ours: in a shared environment the package of PyPI overwrites it."""
    ours = Path(tui.__file__).parent.parent
    if Path(runs.__file__).parent.parent != ours:
        return _finding(
            "packages",
            "bad",
            f"'runs' comes from {Path(runs.__file__).parent}, not from advtui",
            "another package has the same name: install advtui in an environment of its own "
            "(pipx install, or uv tool install)",
        )
    try:
        version = importlib.metadata.version("advtui")
    except importlib.metadata.PackageNotFoundError:
        version = "(not installed)"
    return _finding("packages", "ok", f"advtui {version} at {ours}")


def _torch() -> list[Finding]:
    asked = subprocess.run(
        [sys.executable, "-P", "-c", _ASK_TORCH],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if asked.returncode:
        last = (asked.stderr.strip().splitlines() or ["no reason given"])[-1]
        advice = "install torch and torchvision again"
        return [_finding("torch", "bad", f"can't be imported: {last}", advice)]
    torch = json.loads(asked.stdout.strip().splitlines()[-1])
    build = f"CUDA {torch['cuda']}" if torch["cuda"] else "without CUDA"
    findings = [
        _finding("torch", "ok", f"{torch['version']} ({build}), {torch['threads']} CPU threads")
    ]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    hidden = "" if visible is None else f" (CUDA_VISIBLE_DEVICES={visible!r})"
    if not torch["gpus"]:
        driver = shutil.which("nvidia-smi")
        advice = (
            "a driver is installed, but torch can't use it: check nvidia-smi and the CUDA version"
            if driver
            else "runs use the CPU: --preset demo or --preset cpu"
        )
        return [*findings, _finding("gpu", "note", f"torch sees none{hidden}", advice)]
    for number, gpu in enumerate(torch["gpus"]):
        memory = f"{gpu['free'] / 2**30:.0f} of {gpu['total'] / 2**30:.0f} GiB free"
        bf16 = "bf16" if gpu["bf16"] else "no bf16"
        findings.append(
            _finding(f"cuda:{number}", "ok", f"{gpu['name']}, {memory}, {bf16}{hidden}")
        )
    return findings


def _slurm() -> Finding:
    """The cluster that this machine belongs to: its partitions with their nodes and GPUs."""
    if not is_installed():
        return _finding("slurm", "ok", "not installed: runs work on this machine")
    try:
        found = [version(), *(_partition(part) for part in partitions())]
    except SlurmError as error:
        return _finding("slurm", "note", str(error), "runs work on this machine meanwhile")
    return _finding("slurm", "ok", "; ".join(found))


def _partition(part: Partition) -> str:
    """``gpu (default): 4 nodes of 64 cores and gpu:8, up to 2-00:00:00``."""
    default = " (default)" if part.is_default else ""
    gpus = f" and {part.resources}" if part.resources else ""
    nodes = f"{part.nodes} {'node' if part.nodes == '1' else 'nodes'}"
    limit = "" if part.limit == "infinite" else f", up to {part.limit}"
    state = "" if part.state == "up" else f", {part.state}"
    return f"{part.name}{default}: {nodes} of {part.cpus} cores{gpus}{limit}{state}"


def _data(store: Store, data_dir: Path | None) -> list[Finding]:
    findings = []
    named = str(data_dir) if data_dir else None
    for name, dataset in DATASETS.items():
        folder = data_folder(store.home, named)
        try:
            # Without --data-dir a data set may be absent; with it, the folder need hold only one.
            is_complete = check_data(name, store.home, None if dataset.folder is None else named)
        except UserError as error:
            damaged = dataset.folder and (folder / dataset.folder).is_dir()
            findings.append(_finding("data", "bad" if damaged else "note", str(error)))
            continue
        if dataset.folder is None:
            findings.append(_finding("data", "ok", f"{dataset.title}: comes with scikit-learn"))
        elif is_complete:
            findings.append(_finding("data", "ok", f"{dataset.title}: complete, in {folder}"))
        else:
            advice = "the first run downloads it (170 MB), or name a folder with --data-dir"
            findings.append(_finding("data", "note", f"{dataset.title}: not in {folder}", advice))
    return findings


def _home(store: Store) -> Finding:
    count = len(store.runs())
    place = next(p for p in (store.home, *store.home.parents) if p.exists())
    free = shutil.disk_usage(place).free
    fact = f"{store.home}: {count} runs, {free / 2**30:.0f} GiB free"
    if not place.is_dir() or not os.access(place, os.W_OK):
        return _finding("home", "bad", f"{fact}; not writable", "set ADVTUI_HOME or --home")
    if free < 2 * 2**30:
        return _finding("home", "note", fact, "a run of full width saves 400 MB of checkpoints")
    return _finding("home", "ok", fact)


def _terminal() -> Finding:
    if not sys.stdout.isatty():
        return _finding("terminal", "note", "stdout is not a terminal: output is plain text")
    size = shutil.get_terminal_size()
    encoding = own_encoding(sys.stdout)
    fact = f"{os.environ.get('TERM', 'TERM not set')}, {size.columns}×{size.lines}, {encoding}"
    if not is_utf8(encoding):
        return _finding("terminal", "note", fact, "set a UTF-8 locale: bars need it")
    return _finding("terminal", "ok", fact)
