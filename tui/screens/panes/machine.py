"""The load of the machines at work, as lines with sparklines. Knows no widget."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from tui.render.palette import Palette
from tui.render.sparkline import sparkline
from tui.render.text import clean
from tui.run_list.machine_load import HISTORY_S, STEP_S, Gpu, Load, Machine

HISTORY_CELLS = HISTORY_S // STEP_S
_LABEL, _SHARE = 9, 6
"""Cells of a resource's name, and of its share in percent."""
FEW_GPUS = 2
NEARLY_FULL = 0.9
"""Share of a memory from which on its colour warns."""


def machine_lines(machines: Sequence[Machine], width: int, palette: Palette) -> Iterator[Text]:
    """Each machine: its processors and memory, and two lines, of many one, for each GPU."""
    for machine in machines:
        if len(machines) > 1:
            yield Text(clean(machine.host, width), palette.title)
        for load in (machine.cpu, machine.memory):
            yield _line(f"{load.name:<{_LABEL}}", load, width, palette)
        for gpu in machine.gpus:
            if len(machine.gpus) > FEW_GPUS:
                yield _gpu_line(gpu, width, palette)
                continue
            yield _line(f"{f'GPU {gpu.number}':<{_LABEL}}", gpu.busy, width, palette)
            yield _line(f"{'  memory':<{_LABEL}}", gpu.memory, width, palette)


def _line(label: str, load: Load, width: int, palette: Palette) -> Text:
    line = Text(label, palette.dim)
    detail = _gigabytes(load)
    line.append_text(_history(load, min(width - len(label) - _SHARE, HISTORY_CELLS), palette))
    if detail and line.cell_len + 2 + len(detail) <= width:
        line.append(f"  {detail}", palette.dim)
    return line


def _gpu_line(gpu: Gpu, width: int, palette: Palette) -> Text:
    """``GPU 0   ▇▇▇▇▇▇▇ 97 %  memory ▂▂▂▂▂▂ 13 %``."""
    label = f"{f'GPU {gpu.number}':<{_LABEL}}"
    between = "  memory "
    cells = min((width - len(label) - len(between)) // 2 - _SHARE, HISTORY_CELLS)
    line = Text(label, palette.dim)
    line.append_text(_history(gpu.busy, cells, palette))
    line.append(between, palette.dim)
    line.append_text(_history(gpu.memory, cells, palette))
    return line


def _history(load: Load, cells: int, palette: Palette) -> Text:
    """The sparkline behind a track as long as a whole history, and the last share."""
    share = load.share
    is_full = load.total is not None and share is not None and share >= NEARLY_FULL
    style = palette.warn if is_full else palette.bar
    values = sparkline(load.shares, cells, (0.0, 1.0)).lstrip()
    line = Text.assemble(("╌" * (cells - len(values)), palette.faint), (values, style))
    figure = "–" if share is None else f"{100 * share:.0f} %"
    return line.append(f"{figure:>{_SHARE}}", palette.text)


def _gigabytes(load: Load) -> str:
    if load.used is None or load.total is None:
        return ""
    return f"{load.used / 1e9:.1f} of {load.total / 1e9:.1f} GB"
