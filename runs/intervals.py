"""Rates with their intervals, and two rates on the same images."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Flags = np.ndarray[Any, np.dtype[np.bool_]]

Z95 = 1.959963984540054


def wilson(successes: int, trials: int) -> tuple[float, float] | None:
    """The 95 % score interval of a proportion (Wilson 1927); None for no trials."""
    if trials == 0:
        return None
    share = successes / trials
    z2 = Z95**2 / trials
    centre = (share + z2 / 2) / (1 + z2)
    half = Z95 / (1 + z2) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return low, high


def rate(successes: int, trials: int) -> float | None:
    """successes / trials; None for no trials."""
    return successes / trials if trials else None


def mean_and_std(values: Sequence[float]) -> tuple[float | None, float | None]:
    """The mean and the sample standard deviation (divisor n − 1).

    No value has no mean, and fewer than two have no standard deviation: None.
    """
    n = len(values)
    if n == 0:
        return None, None
    mean = math.fsum(values) / n
    if n == 1:
        return mean, None
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))


def paired(one: "Flags", other: "Flags") -> dict[str, Any]:
    """Two models on the same images: who withstands more, and whether chance could have done it.

    Args:
        one, other: bool (n,), whether each withstands each image.

    Returns:
        ``n``; ``only_one`` and ``only_other``, the images that a single one of them withstands;
        ``difference``, the first's share minus the second's; ``ci95`` of it (Agresti & Min 2005:
        Wald with ½ added to each of the four counts); ``p``, of McNemar's exact test.

    Raises:
        ValueError: of different lengths.
    """
    if len(one) != len(other):
        raise ValueError(f"{len(one)} and {len(other)} images are not the same images")
    n = len(one)
    b, c = int((one & ~other).sum()), int((other & ~one).sum())
    more, less, total = b + 0.5, c + 0.5, n + 2
    middle = (more - less) / total
    half = Z95 * math.sqrt(more + less - (more - less) ** 2 / total) / total
    return {
        "n": n,
        "only_one": b,
        "only_other": c,
        "difference": (b - c) / n if n else None,
        "ci95": (max(-1.0, middle - half), min(1.0, middle + half)),
        "p": mcnemar(b, c),
    }


def mcnemar(b: int, c: int) -> float:
    """Two-sided p of McNemar's exact test: of b + c fair coins, as uneven as b to c or more."""
    n, few = b + c, min(b, c)
    if n == 0:
        return 1.0
    # Exact integers: C(n, k) from C(n, k − 1).
    ways = term = 1
    for k in range(1, few + 1):
        term = term * (n - k + 1) // k
        ways += term
    return float(min(1.0, _ratio(2 * ways, n)))


def _ratio(ways: int, n: int) -> float:
    """ways / 2ⁿ, where both may be far beyond floats."""
    shift = max(ways.bit_length() - 60, 0)
    return math.ldexp(ways >> shift, shift - n)
