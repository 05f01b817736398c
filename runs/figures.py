"""Figures for a paper: training curves, the comparison table as bars, robust accuracy over ε.

Drawn with matplotlib, which is imported where a figure is drawn, and only there:
``pip install 'advtui[figures]'``. One column wide, fonts embedded, in the colours of Okabe & Ito
(2008), which readers with a colour vision deficiency can tell apart, and with markers and hatches
beside them.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

from runs.errors import UserError
from runs.footnotes import threat_note
from runs.result_types import Cell, Row, Table
from runs.results import compare, own_table, split_checkpoint
from runs.snapshot import read_snapshot
from runs.storage import writing
from runs.store import Run, Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Format = Literal["pdf", "svg", "pgf", "png"]
FORMATS: tuple[Format, ...] = get_args(Format)

COLUMN = (3.25, 2.2)
"""Width and height of a figure in inches: a column of a two-column paper."""
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
_MARKERS = "osD^vPX"
_HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++", "oo")
_STYLE = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "pdf.fonttype": 42,  # whole TrueType fonts, as publishers ask for
    "svg.fonttype": "path",
    "svg.hashsalt": "advtui",  # the same figure is the same file
    "figure.constrained_layout.use": True,
    "pgf.rcfonts": False,  # those of the paper
}


def write_figures(
    store: Store, words: Sequence[str], folder: Path, file_format: Format
) -> list[Path]:
    """Write the figures of runs; returns the files.

    ``curves-ID`` for each training that has ended an epoch; ``table`` for the comparison table;
    ``eps`` where an attack was evaluated at several ε.

    Args:
        store: of the home.
        words: name runs, as :func:`runs.results.compare` takes them.
        folder: is made if it is absent.
        file_format: pgf is for LaTeX (``\\input``), which measures the text and must be here.

    Raises:
        NotFoundError: a run doesn't exist.
        UserError: matplotlib, or LaTeX for pgf, is not installed; the runs have nothing to draw or
            can't stand in one table; or the folder can't be written.
    """
    style = {"pgf.texsystem": _tex()} if file_format == "pgf" else {}
    _matplotlib()
    runs = [store.find(split_checkpoint(word)[0]) for word in words]
    figures = {f"curves-{run.id}": curves_figure(run) for run in trainings_of(store, runs)}
    table = common_table(store, words, runs)
    if table is not None:
        figures["table"] = table_figure(table, hatched=file_format != "pgf")
        if any(len(cells) > 1 for row in table["rows"] for cells in row["attacks"].values()):
            figures["eps"] = eps_figure(table)
    if not figures:
        raise UserError(f"{', '.join(words)}: no epoch has ended and nothing was attacked")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in figures.items():
        path = folder / f"{name}.{file_format}"
        with _style(style), writing(path):
            figure.savefig(path, dpi=300, **_WITHOUT_DATE.get(file_format, {}))
        written.append(path)
    return written


_WITHOUT_DATE: dict[str, dict[str, Any]] = {
    "pdf": {"metadata": {"CreationDate": None}},
    "svg": {"metadata": {"Date": None}},
}


def curves_figure(run: Run) -> "Figure":
    """Accuracies of a training over its epochs, in percent."""
    epochs = read_snapshot(run).epochs
    with _drawn() as (figure, axes):
        for number, (key, label) in enumerate(_CURVES):
            points = [
                (event["epoch"] + 1, 100 * value)
                for event in epochs
                if isinstance(value := event["values"].get(key), int | float)
            ]
            if points:
                axes.plot(
                    *zip(*points, strict=True),
                    label=label,
                    color=COLOURS[number],
                    marker=_MARKERS[number],
                    markevery=max(1, len(points) // 8),
                )
        axes.set_xlabel("epoch")
        axes.set_ylabel("accuracy (%)")
        axes.set_ylim(bottom=0)
        axes.legend()
    return figure


_CURVES = (
    ("train_accuracy", "training batches"),
    ("val_accuracy", "validation, clean"),
    ("val_robust_accuracy", "validation, PGD"),
)


def table_figure(table: Table, *, hatched: bool = True) -> "Figure":
    """Clean and robust accuracy of each model, in percent, with 95 % Wilson intervals.

    Of an attack at several ε it takes the attack's own. LaTeX draws each dot of a hatch by itself,
    for minutes: without ``hatched`` there are colours alone.
    """
    rows = table["rows"]
    own = {attack["name"]: attack.get("eps") for attack in table["threat_model"]["attacks"]}
    names = list(dict.fromkeys(name for row in rows for name in row["attacks"]))
    with _drawn() as (figure, axes):
        width = 0.8 / (1 + len(names))
        for place, name in enumerate([None, *names]):
            bars = [_bar(row, name, own.get(name or "")) for row in rows]
            shown = [(number, bar) for number, bar in enumerate(bars) if bar is not None]
            values = [100 * value for _, (value, _, _) in shown]
            below = [100 * max(value - low, 0) for _, (value, low, _) in shown]
            above = [100 * max(high - value, 0) for _, (value, _, high) in shown]
            axes.bar(
                [number + (place - len(names) / 2) * width for number, _ in shown],
                values,
                width,
                yerr=(below, above),
                label="clean" if name is None else name,
                color=COLOURS[place % len(COLOURS)],
                hatch=_HATCHES[place % len(_HATCHES)] if hatched else None,
                edgecolor="white",
                linewidth=0,
                error_kw={"elinewidth": 0.8, "capsize": 1.5},
            )
        axes.set_xticks(range(len(rows)), [row["model"] for row in rows])
        axes.set_ylabel("accuracy (%)")
        axes.set_ylim(0, 100)
        figure.legend(ncols=3, loc="outside lower center")
        axes.set_title(threat_note(table["threat_model"]), fontsize=5, loc="left", wrap=True)
    return figure


def eps_figure(table: Table) -> "Figure":
    """Robust accuracy over ε, in percent, with 95 % Wilson intervals; ε in units of 1/255."""
    with _drawn() as (figure, axes):
        lines = [
            (row["model"], name, cells)
            for row in table["rows"]
            for name, cells in row["attacks"].items()
            if len(cells) > 1
        ]
        models = list(dict.fromkeys(model for model, _, _ in lines))
        attacks = list(dict.fromkeys(name for _, name, _ in lines))
        for model, name, cells in lines:
            points = [
                (255 * cell["eps"], *rates)
                for cell in cells
                if cell["eps"] is not None and (rates := _rates(cell)) is not None
            ]
            eps, values, lows, highs = zip(*points, strict=True)
            colour = COLOURS[models.index(model) % len(COLOURS)]
            axes.plot(
                eps,
                [100 * value for value in values],
                label=f"{model}, {name}" if len(attacks) > 1 else model,
                color=colour,
                marker=_MARKERS[models.index(model) % len(_MARKERS)],
                linestyle=("-", "--", ":", "-.")[attacks.index(name) % 4],
            )
            low, high = ([100 * value for value in end] for end in (lows, highs))
            axes.fill_between(eps, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.set_xlabel("ε (1/255)")
        axes.set_ylabel("robust accuracy (%)")
        axes.set_ylim(0, 100)
        axes.legend()
    return figure


def _bar(row: Row, name: str | None, own: Any) -> tuple[float, float, float] | None:
    """The height of a bar and its interval: of an attack, of clean images with None."""
    if name is None:
        value, interval = row["accuracy"], row["accuracy_ci95"]
        return None if value is None else (value, *(interval or (value, value)))
    cells = row["attacks"].get(name, [])
    if not cells:
        return None
    eps = own if isinstance(own, int | float) else cells[-1]["eps"]
    if eps is None:
        return _rates(cells[-1])
    return _rates(min(cells, key=lambda cell: abs((cell["eps"] or 0.0) - eps)))


def _rates(cell: Cell) -> tuple[float, float, float] | None:
    """Robust accuracy with its interval."""
    value, interval = cell["robust_accuracy"], cell["robust_ci95"]
    return None if value is None else (value, *(interval or (value, value)))


def trainings_of(store: Store, runs: Sequence[Run]) -> list[Run]:
    """The trainings among these runs and in their families that have ended an epoch."""
    found = {member.id: member for run in runs for member in store.family(run)}
    return [run for run in found.values() if run.kind == "train" and read_snapshot(run).epochs]


def common_table(store: Store, words: Sequence[str], runs: Sequence[Run]) -> Table | None:
    """The comparison table; None where nothing was attacked."""
    if len(words) == 1 and (alone := own_table(runs[0])) is not None:
        return alone
    try:
        return compare(store, words)
    except UserError:
        if len(words) > 1:
            raise
        return None


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError:
        raise UserError(
            "figures need matplotlib: pip install 'advtui[figures]', or pip install matplotlib"
        ) from None
    return matplotlib


def _tex() -> str:
    """A LaTeX that takes ε and ∞ as they are."""
    for name in ("xelatex", "lualatex"):
        if shutil.which(name):
            return name
    raise UserError("pgf needs xelatex or lualatex here, to measure text; pdf and svg need neither")


@contextmanager
def _style(more: Mapping[str, str] = MappingProxyType({})) -> Iterator[None]:
    with _matplotlib().rc_context({**_STYLE, **more}):
        yield


@contextmanager
def _drawn() -> "Iterator[tuple[Figure, Axes]]":
    """An empty figure and its axes, without a window."""
    _matplotlib()
    from matplotlib.figure import Figure

    with _style():
        figure = Figure(figsize=COLUMN)
        yield figure, figure.add_subplot()
