"""A series of numbers as a line of blocks. Knows no terminal and no run."""

from collections.abc import Sequence
from typing import Any

_BLOCKS = "▁▂▃▄▅▆▇█"
_LARGEST = 1e15
"""What exceeds it is no measurement, and as a range it would overflow."""


def sparkline(values: Sequence[Any], width: int, limits: tuple[float, float] | None = None) -> str:
    """The last ``width`` values as blocks of eight heights; a blank where a value is no number.

    ``limits`` are the values of the lowest and the highest block; without them these are the least
    and the largest visible value. Empty where no visible value is a number.
    """
    visible = [_number(value) for value in values[-max(width, 1) :]]
    numbers = [value for value in visible if value is not None]
    if not numbers:
        return ""
    low, high = limits or (min(numbers), max(numbers))
    scale = 7.99 / (high - low) if high > low else 0.0
    return "".join(
        " " if value is None else _BLOCKS[int(min(max((value - low) * scale, 0.0), 7.99))]
        for value in visible
    )


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < _LARGEST else None
