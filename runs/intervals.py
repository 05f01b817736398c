"""Rates with their intervals, and two rates on the same images."""

import math
from typing import TYPE_CHECKING, Any, TypedDict

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
    """The share of successes; None for no trials."""
    return successes / trials if trials else None


class Pairing(TypedDict):
    """Two models on the same images."""

    n: int
    only_one: int
    """Images that the first model alone withstands."""
    only_other: int
    """Images that the second model alone withstands."""
    difference: float | None
    """The first model's share of withstood images minus the second's."""
    ci95: tuple[float, float]
    """95 % interval of the difference (Agresti & Min 2005: Wald with ½ added to each count)."""
    p: float
    """Of McNemar's exact test, two-sided."""


def paired(one: "Flags", other: "Flags") -> Pairing:
    """Compare two models on the same images: who withstands more, and could it be chance?

    Args:
        one, other: bool (n,), whether each model withstands each image.

    Raises:
        ValueError: the arrays have different lengths.
    """
    if len(one) != len(other):
        raise ValueError(f"{len(one)} and {len(other)} images are not the same images")
    n = len(one)
    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    b, c, total = only_one + 0.5, only_other + 0.5, n + 2
    middle = (b - c) / total
    half = Z95 * math.sqrt(b + c - (b - c) ** 2 / total) / total
    return {
        "n": n,
        "only_one": only_one,
        "only_other": only_other,
        "difference": (only_one - only_other) / n if n else None,
        "ci95": (max(-1.0, middle - half), min(1.0, middle + half)),
        "p": mcnemar(only_one, only_other),
    }


def mcnemar(b: int, c: int) -> float:
    """Two-sided p of McNemar's exact test: 2·Σ_{k ≤ min(b, c)} C(b + c, k) / 2^(b + c), at most 1.

    The probability that b + c tosses of a fair coin are at least as uneven as b to c.
    """
    n = b + c
    total = ways = 1
    for k in range(1, min(b, c) + 1):
        ways = ways * (n - k + 1) // k  # C(n, k) from C(n, k − 1), in exact integers
        total += ways
    return min(1.0, 2 * total / (1 << n))
