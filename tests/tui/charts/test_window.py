"""Zooming and panning: what the mouse points at stays, and nothing leaves the whole."""

import pytest

from tui.charts.window import Window, panned, zoomed

WHOLE = (0.0, 100.0)


@pytest.mark.parametrize("at", [10.0, 25.0, 50.0, 99.0])
def test_what_is_zoomed_at_keeps_its_place(at: float) -> None:
    window = zoomed(None, WHOLE, 0.5, at)
    assert window is not None
    low, high = window
    assert high - low == pytest.approx(50.0)
    assert (at - low) / 50.0 == pytest.approx(at / 100.0)


@pytest.mark.parametrize(
    ("window", "factor", "at", "expected"),
    [
        ((20.0, 60.0), 0.5, 0.0, (20.0, 40.0)),  # left of the window: its end stays
        ((20.0, 60.0), 2.0, 60.0, (0.0, 80.0)),  # moved into the whole
        ((40.0, 90.0), 1.25, 40.0, (37.5, 100.0)),
        ((20.0, 60.0), 3.0, 40.0, None),  # as wide as the whole
        (None, 1.25, 40.0, None),
    ],
)
def test_zoom(window: Window | None, factor: float, at: float, expected: Window | None) -> None:
    assert zoomed(window, WHOLE, factor, at) == pytest.approx(expected)


def test_zoom_ends_where_a_window_would_be_a_point() -> None:
    window: Window | None = None
    for _ in range(200):
        window = zoomed(window, WHOLE, 0.8, 30.0)
    assert window is not None
    assert 0.01 <= window[1] - window[0] <= 0.0125
    assert zoomed(None, (3.0, 3.0), 0.8, 3.0) is None


@pytest.mark.parametrize(
    ("window", "share", "expected"),
    [
        ((20.0, 60.0), 0.25, (30.0, 70.0)),
        ((20.0, 60.0), -1.0, (0.0, 40.0)),
        ((20.0, 60.0), 2.0, (60.0, 100.0)),
        (None, 0.25, None),
    ],
)
def test_pan(window: Window | None, share: float, expected: Window | None) -> None:
    assert panned(window, WHOLE, share) == expected
