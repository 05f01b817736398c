"""Perturbation budgets as the field writes them: ``8/255``.

A budget is a float in the units of an image, whose pixels lie in [0, 1]. This module converts text
to such floats and back; the spec checks their range.
"""

import math

NORM_SIGNS = {"linf": "L∞", "l2": "L2", "l1": "L1"}
"""The sign of each norm by its name in a spec."""


def parse_budget(text: str | int | float) -> float:
    """``"8/255"``, ``"0.031"`` or a number, as a finite float.

    Raises:
        ValueError: the text is neither a number nor a fraction of two numbers.
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise ValueError(f"{text!r} is not a number; write 8/255 or 0.031")
    try:
        if isinstance(text, str):
            numerator, slash, denominator = text.partition("/")
            value = float(numerator) / float(denominator) if slash else float(numerator)
        else:
            value = float(text)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise ValueError(f"{text!r} is not a number; write 8/255 or 0.031") from None
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number; write 8/255 or 0.031")
    return value


def norm_name(text: object) -> object:
    """``linf`` for ``Linf``, ``L∞`` and ``l-inf``; ``l2`` and ``l1`` alike; any other as it is."""
    if not isinstance(text, str):
        return text
    plain = text.lower().replace("-", "").replace("_", "").replace("∞", "inf")
    return {"inf": "linf", "l₂": "l2", "l₁": "l1"}.get(
        plain, plain if plain in NORM_SIGNS else text
    )


def format_budget(value: float) -> str:
    """A budget as text that :func:`parse_budget` reads: in 255ths, or as a short decimal."""
    of_255 = round(value * 255, 1)
    is_short = of_255 != int(of_255) and float(f"{value:.3g}") == value
    if 0 < of_255 <= 255 and not is_short and math.isclose(value * 255, of_255, rel_tol=1e-6):
        return f"{of_255:g}/255"
    return f"{value:.6g}"


def norm_and_eps(norm: str | None, eps: float) -> str:
    """``L∞ 8/255``; ``ε 8/255`` where the norm is not known."""
    return f"{NORM_SIGNS.get(norm or '', 'ε')} {format_budget(eps)}"


def at_budget(attack: str, eps: float) -> str:
    """The name of an attack at one of several ε: ``pgd-untargeted ε 8/255``."""
    return f"{attack} ε {format_budget(eps)}"


def same_budget(left: object, right: object) -> bool:
    """Whether two values of a file are the same ε; False where one of them is no number."""
    if not (isinstance(left, int | float) and isinstance(right, int | float)):
        return False
    return math.isclose(left, right, rel_tol=1e-6)
