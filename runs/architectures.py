"""The networks that advtui builds itself: their names, sizes and sources. Imports no torch."""

import re
from collections.abc import Callable
from dataclasses import dataclass

TIMM = "timm:"
"""What the name of a network of timm begins with."""


@dataclass(frozen=True)
class Architecture:
    """A network of ours, for images of 32×32 pixels."""

    title: str
    full_width: int
    """Channels of the first stage in the paper."""
    parameters: Callable[[int, int], int]
    """Their number, of a width and a number of classes."""


def _resnet18(width: int, classes: int) -> int:
    """He et al. 2016; each convolution has a BatchNorm."""

    def convolution(kernel: int, before: int, after: int) -> int:
        return kernel * kernel * before * after + 2 * after

    count, before = convolution(3, 3, width), width
    for after in (width, 2 * width, 4 * width, 8 * width):
        count += convolution(3, before, after) + 3 * convolution(3, after, after)
        if before != after:
            count += convolution(1, before, after)
        before = after
    return count + (8 * width + 1) * classes


def _preactivated(stem: int, widths: tuple[int, ...], blocks: int, classes: int) -> int:
    """He et al. 2016b: a BatchNorm before each 3×3 convolution, and one behind the last block."""
    count, before = 27 * stem, stem
    for after in widths:
        for _ in range(blocks):
            count += 2 * before + 9 * before * after + 2 * after + 9 * after * after
            if before != after:
                count += before * after
            before = after
    return count + 2 * before + (before + 1) * classes


def _preactresnet18(width: int, classes: int) -> int:
    return _preactivated(width, (width, 2 * width, 4 * width, 8 * width), 2, classes)


def _wide_resnet(depth: int) -> Callable[[int, int], int]:
    def parameters(width: int, classes: int) -> int:
        return _preactivated(16, (width, 2 * width, 4 * width), (depth - 4) // 6, classes)

    return parameters


ARCHITECTURES: dict[str, Architecture] = {
    "resnet18": Architecture("ResNet-18", 64, _resnet18),
    "preactresnet18": Architecture("PreActResNet-18", 64, _preactresnet18),
    "wrn-28-10": Architecture("WRN-28-10", 160, _wide_resnet(28)),
    "wrn-34-10": Architecture("WRN-34-10", 160, _wide_resnet(34)),
}
"""The networks by their names; the first is the default."""

FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
"""``package.module:name`` of a user's own network."""
_OF_TIMM = re.compile(r"timm:\w[\w.-]*")


def checked_arch(name: str) -> str:
    """The name of a network of ours, ``timm:NAME``, or ``package.module:factory``.

    Raises:
        ValueError: it is none of these.
    """
    if name in ARCHITECTURES or _OF_TIMM.fullmatch(name) or FACTORY.fullmatch(name):
        return name
    raise ValueError(
        f"{name!r} is neither {', '.join(ARCHITECTURES)} nor timm:NAME nor package.module:factory"
    )


def network_words(arch: str, width: int) -> str:
    """``WRN-28-10``, ``ResNet-18 of width 16``, ``nets.wide:make``."""
    known = ARCHITECTURES.get(arch)
    if known is None:
        return arch
    return known.title if width == known.full_width else f"{known.title} of width {width}"
