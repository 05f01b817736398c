"""``advtui doctor --bench``: how fast this machine is, and how long each preset takes on it.

Measured by the engine in a process of its own, for that needs torch.
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
from tui.commands.output import say, stdout_console
from tui.render.text import clean, duration

PASSES = {
    "forward": "forward",
    "attack": "forward + input gradient",
    "search": "forward + input gradient, not compiled",
    "descent": "training step",
}


def measure(device: str | None, threads: int | None, *, as_json: bool) -> None:
    """Measure for about half a minute and print it."""
    say("measuring; nothing else should work on this machine meanwhile …")
    words = [sys.executable, "-P", "-m", "engine.bench", "--device", device or "auto"]
    words += [] if threads is None else ["--threads", str(threads)]
    asked = subprocess.run(words, capture_output=True, text=True, check=False)
    if asked.returncode:
        last = (asked.stderr.strip().splitlines() or ["no reason given"])[-1]
        say(clean(last, 500))
        raise typer.Exit(asked.returncode if asked.returncode > 0 else EXIT_FAILED)
    found = json.loads(asked.stdout.splitlines()[-1])
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    console = stdout_console()
    threads_told = "" if found["device"] != "cpu" else f", {found['threads']} threads"
    console.print(
        Text(clean(f"{found['device_name']}{threads_told}, torch {found['torch']}", 200), "bold"),
        soft_wrap=True,
    )
    console.print(rates_table(found["passes"]))
    console.print(times_table(found["presets"]))
    console.print(Text("compiling and the sanity panels not counted", "dim"))


def rates_table(passes: list[dict[str, Any]]) -> Table:
    """One line for each kind of pass at each width."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("width")
    table.add_column("pass")
    for title in ("batch", "images/s", "TFLOP/s", "of a matrix product"):
        table.add_column(title, justify="right")
    for one in passes:
        for number, (name, told) in enumerate(PASSES.items()):
            if name == "search" and not one["compiled"]:
                continue  # the same
            rate = one["flops_per_second"][name]
            table.add_row(
                "" if number else _network(one),
                told,
                f"{one['images']}",
                f"{one['rates'][name]:,.0f}",
                f"{rate / 1e12:.3g}",
                f"{100 * rate / one['matmul_flops_per_second']:.0f} %",
            )
    return table


def _network(one: dict[str, Any]) -> str:
    """``64, bf16, silu, compiled``: the width, the precision, and what is unusual."""
    unusual = {"silu": one["activation"] == "silu", "compiled": one["compiled"]}
    return ", ".join([str(one["width"]), one["precision"], *(k for k, v in unusual.items() if v)])


def times_table(presets: dict[str, dict[str, float]]) -> Table:
    """How long each preset's study is going to take."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("preset")
    for title in ("baseline", "robust", "attacks", "study, about"):
        table.add_column(title, justify="right")
    table.add_column("what it is")
    for name, parts in presets.items():
        table.add_row(
            name,
            *(duration(parts[part]) for part in ("baseline", "robust", "attack")),
            duration(sum(parts.values())),
            Text(describe(name)),
        )
    return table
