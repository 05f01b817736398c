"""What stands where in a drawn chart: the mouse finds what is seen, and hidden lines are not."""

from collections.abc import Sequence
from itertools import product

import pytest

from tui.charts.braille import Curve
from tui.charts.legend import HIDDEN, next_alone
from tui.charts.plot import GUTTER, Drawing, Plot, draw_plot
from tui.charts.training_curves import Series
from tui.render.palette import TERMINAL

POINTS = [(float(n), 10.0 * n) for n in range(1, 11)]


def alone(*names: str) -> list[Series]:
    """The lines of one run."""
    return [Series(name, Curve.of(POINTS), n, "●■▲"[n], key=name) for n, name in enumerate(names)]


def of_runs(*runs: str) -> list[Series]:
    """A clean and a robust line of each run."""
    return [
        Series(f"{run} {word}", Curve.of(POINTS), n, shapes[n], word, run, f"{run}/{word}")
        for n, run in enumerate(runs)
        for word, shapes in (("clean", "●■▲◆★"), ("robust", "○□△◇☆"))
    ]


def drawn(plot: Plot, width: int = 80, height: int = 16) -> tuple[Drawing, list[str]]:
    drawing = draw_plot(plot, width, height, TERMINAL)
    return drawing, ["".join(segment.text for segment in line) for line in drawing.lines]


def keys_of(drawing: Drawing, lines: Sequence[str], text: str) -> set[tuple[str, ...]]:
    """The keys in all cells of a text in the legend."""
    y = next(n for n, line in enumerate(lines) if text in line)
    x = lines[y].index(text)
    return {drawing.legend_at(column, y) for column in range(x, x + len(text))}


@pytest.mark.parametrize("width", [120, 56, 41])
def test_the_legend_of_one_run(width: int) -> None:
    lines = alone("train", "val clean", "val robust")
    drawing, text = drawn(Plot("accuracy %", lines), width)
    for line in lines:
        label = line.label if width != 56 else line.label.removeprefix("val ")
        assert keys_of(drawing, text, f"{line.marker} {label} 100") == {(line.key,)}
    assert keys_of(drawing, text, "accuracy %") == {()}
    assert drawing.legend_at(width - 1, 0) == ()


def test_the_legend_of_two_runs_also_by_run_and_by_value() -> None:
    drawing, text = drawn(Plot("accuracy %", of_runs("base", "night")), 60)
    assert keys_of(drawing, text, "■ night 100") == {("night/clean",)}
    assert keys_of(drawing, text, "□ 100") == {("night/robust",)}
    assert keys_of(drawing, text, "robust") == {("base/robust", "night/robust")}


def test_the_legend_of_many_runs_in_a_narrow_chart() -> None:
    names = ["base", "night", "third", "fourth", "fifth"]
    drawing, text = drawn(Plot("accuracy %", of_runs(*names)), 44)
    assert keys_of(drawing, text, "night") == {("night/clean", "night/robust")}
    assert keys_of(drawing, text, "△ 100") == {("third/robust",)}
    assert keys_of(drawing, text, "○ robust") == {tuple(f"{name}/robust" for name in names)}


def test_the_columns_of_the_plot_tell_their_x() -> None:
    drawing, text = drawn(Plot("loss", alone("train")))
    rows = range(len(drawing.head), len(text))
    for y in rows:
        assert drawing.x_at(GUTTER - 1, y) is None
        assert drawing.x_at(GUTTER, y) == pytest.approx(1.0, abs=0.05)
        assert drawing.x_at(79, y) == pytest.approx(10.0, abs=0.05)
    assert drawing.x_at(GUTTER + 20, 0) is None
    assert drawing.x_near(0) == drawing.x_at(GUTTER, rows[0])
    assert drawing.x_near(500) == drawing.x_at(79, rows[0])


@pytest.mark.parametrize("cursor", [1.0, 4.0, 7.0, 10.0])
def test_the_crosshair_stands_where_its_x_is_clicked(cursor: float) -> None:
    _, text = drawn(Plot("loss", alone("train"), cursor=cursor))
    column = next(line.index("│") for line in text[1:-2] if "│" in line)
    drawing, _ = drawn(Plot("loss", alone("train")))
    x = drawing.x_at(column, 5)
    assert x is not None
    assert round(x) == cursor


def test_a_hidden_line_is_in_the_legend_alone() -> None:
    lines = [*alone("low"), Series("high", Curve.of([(1, 5000), (10, 9000)]), 1, "■", key="high")]
    both, one = (drawn(Plot("loss", lines, hidden=frozenset(h)))[1] for h in ((), ("high",)))
    assert "■ high 9000" in both[0]
    assert f"{HIDDEN} high 9000" in one[0]
    assert "■" not in "".join(one)
    assert any("100" in line[:GUTTER] for line in one)  # the axis is that of what is seen
    assert not any("100" in line[:GUTTER].split() for line in both)


def test_where_all_lines_are_hidden_the_chart_says_how_they_come_back() -> None:
    drawing, text = drawn(Plot("loss", alone("train"), hidden=frozenset({"train"})))
    assert "a click in the legend shows them" in "".join(text)
    assert keys_of(drawing, text, f"{HIDDEN} train") == {("train",)}
    assert drawing.x_at(40, 8) is None


@pytest.mark.parametrize("size", product((1, 10, 25), (1, 4, 6)))
def test_no_place_in_a_chart_without_room_breaks_it(size: tuple[int, int]) -> None:
    drawing, _ = drawn(Plot("loss", alone("train")), *size)
    for x, y in product(range(30), range(8)):
        assert drawing.legend_at(x, y) in ((), ("train",))
        drawing.x_at(x, y)


def test_one_line_after_the_other_and_then_all() -> None:
    keys = ["a", "b", "c"]
    hidden: frozenset[str] = frozenset()
    seen = []
    for _ in range(4):
        hidden = next_alone(keys, hidden)
        seen.append("".join(key for key in keys if key not in hidden))
    assert seen == ["a", "b", "c", "abc"]
    assert next_alone(keys, {"b"}) == frozenset()  # hidden by the mouse: all come back
    assert next_alone(keys, set(keys)) == frozenset()
    assert next_alone(["a"], set()) == next_alone([], set()) == frozenset()
