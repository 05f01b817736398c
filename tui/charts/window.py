"""The range of x that a chart shows: zooming and panning within the whole. Pure."""

Window = tuple[float, float]
"""From the first x that is shown to the last."""
DEEPEST = 10_000
"""The whole is at most so many times as wide as a window."""


def zoomed(window: Window | None, whole: Window, factor: float, at: float) -> Window | None:
    """The window with its width multiplied by ``factor``; ``at`` keeps its place on the screen.

    None stands for the whole, for the given window as for the returned one.
    """
    low, high = window or whole
    if high <= low or (factor < 1 and (high - low) * factor < (whole[1] - whole[0]) / DEEPEST):
        return window
    at = min(max(at, low), high)
    return _within(at - (at - low) * factor, at + (high - at) * factor, whole)


def panned(window: Window | None, whole: Window, share: float) -> Window | None:
    """The window moved by a share of its width; the whole does not move."""
    if window is None:
        return None
    by = (window[1] - window[0]) * share
    return _within(window[0] + by, window[1] + by, whole)


def _within(low: float, high: float, whole: Window) -> Window | None:
    """The window moved into the whole; None where it is as wide."""
    first, last = whole
    if high - low >= last - first:
        return None
    if low < first:
        low, high = first, first + (high - low)
    if high > last:
        low, high = last - (high - low), last
    return low, high
