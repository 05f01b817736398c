"""Values as a line of blocks of eight heights. Pure, knows no colour."""

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(
    values: Sequence[float | None], width: int, limits: tuple[float, float] | None = None
) -> str:
    """The last ``width`` values, a cell for each; blank where a value is None.

    ``limits`` are the values of the lowest and the highest block; without them these are the least
    and the largest visible value. Empty where no visible value is a number.
    """
    visible = values[-max(width, 1) :]
    numbers = [value for value in visible if value is not None]
    if not numbers:
        return ""
    low, high = limits or (min(numbers), max(numbers))
    scale = 7.99 / (high - low) if high > low else 0.0
    return "".join(
        " " if value is None else BLOCKS[int(min(max((value - low) * scale, 0), 7.99))]
        for value in visible
    )
