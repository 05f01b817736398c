"""Time of two or more ways to do the same, in turns, so that a disturbed moment hits them all."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall time on a GPU; on a CPU time of this process, which other processes add little to."""
    if device.type == "cpu":
        began = time.process_time()
        work()
        return time.process_time() - began
    torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def ratios(
    first: Callable[[], object],
    others: Mapping[str, Callable[[], object]],
    device: torch.device,
    turns: int,
) -> dict[str, float]:
    """How many times as long as ``first`` the others take: medians over the turns.

    Each turn does all of them, in an order that changes from turn to turn.
    """
    taken: dict[str, list[float]] = {name: [] for name in others}
    every = {"": first, **others}
    for work in every.values():
        work()  # warm up
    for turn in range(turns):
        order = list(every) if turn % 2 else list(reversed(every))
        now = {name: seconds(every[name], device) for name in order}
        for name in others:
            taken[name].append(now[name] / now[""])
    return {name: statistics.median(values) for name, values in taken.items()}


@contextmanager
def one_thread() -> Iterator[None]:
    """Waiting threads spin, and their time would count."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
