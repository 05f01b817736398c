"""``advtui doctor --bench``: the machine's speed, and the time of each preset on it.

The engine measures in its own process, because measuring needs torch.
"""

import json
import subprocess
import sys
from typing import Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from runs.errors import EXIT_FAILED
from runs.presets import describe
from tui.commands.output import stdout_console
from tui.commands.plain_output import print_json, say
from tui.render.text import clean, duration

PASSES = {
    "forward": "forward",
    "attack": "forward + input gradient",
    "search": "forward + input gradient, not compiled",
    "descent": "training step",
}


def measure(device: str | None, threads: int | None, *, as_json: bool) -> None:
    """Measure for about half a minute and print the figures."""
    say("measuring for half a minute; other programs on this machine distort the figures …")
    words = [sys.executable, "-P", "-m", "engine.bench", "--device", device or "auto"]
    words += [] if threads is None else ["--threads", str(threads)]
    measured = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    if measured.returncode:
        last = (measured.stderr.strip().splitlines() or ["no reason given"])[-1]
        say(clean(last, 500))
        raise typer.Exit(measured.returncode if measured.returncode > 0 else EXIT_FAILED)
    report = json.loads(measured.stdout.splitlines()[-1])
    if as_json:
        print_json(report)
        return
    console = stdout_console()
    on_threads = "" if report["device"] != "cpu" else f", {report['threads']} threads"
    head = f"{report['device_name']}{on_threads}, torch {report['torch']}"
    console.print(Text(clean(head, 200), "bold"), soft_wrap=True)
    console.print(rates_table(report["passes"]))
    console.print(times_table(report["presets"]))
    console.print(Text("without compiling and without the sanity panels", "dim"))


def rates_table(passes: list[dict[str, Any]]) -> Table:
    """A line for each kind of pass at each width."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("width")
    table.add_column("pass")
    for title in ("batch", "images/s", "TFLOP/s", "of a matrix product"):
        table.add_column(title, justify="right")
    for network in passes:
        for number, (name, words) in enumerate(PASSES.items()):
            if name == "search" and not network["compiled"]:
                continue  # the same pass as "attack"
            rate = network["flops_per_second"][name]
            table.add_row(
                "" if number else _network(network),
                words,
                f"{network['images']}",
                f"{network['rates'][name]:,.0f}",
                f"{rate / 1e12:.3g}",
                f"{100 * rate / network['matmul_flops_per_second']:.0f} %",
            )
    return table


def _network(network: dict[str, Any]) -> str:
    """``64, bf16, silu, compiled``: width, precision, and the options that are not the default."""
    options = {"silu": network["activation"] == "silu", "compiled": network["compiled"]}
    used = [name for name, is_used in options.items() if is_used]
    return ", ".join([str(network["width"]), network["precision"], *used])


def times_table(presets: dict[str, dict[str, float]]) -> Table:
    """The expected time of each preset's study and of its parts."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("preset")
    for title in ("baseline", "robust", "attacks", "study, about"):
        table.add_column(title, justify="right")
    table.add_column("contents")
    for name, parts in presets.items():
        table.add_row(
            name,
            *(duration(parts[part]) for part in ("baseline", "robust", "attack")),
            duration(sum(parts.values())),
            Text(describe(name)),
        )
    return table
