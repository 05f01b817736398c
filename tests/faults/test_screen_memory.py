"""A screen that is closed leaves nothing behind: no events, no snapshots, no drawn lines."""

import gc
from collections import Counter
from pathlib import Path

from fixed_home import build
from screen_driver import Screen, in_loop, opened

TIMES = 20
HELD = ("RunDetailScreen", "CompareScreen", "RunFeed", "Snapshot", "Member", "Strip", "StylesCache")
"""Classes whose objects a closed screen could leave behind."""


def live_objects() -> Counter[str]:
    """The number of live objects of each class of ``HELD``, and of events of metrics."""
    gc.collect()
    found: Counter[str] = Counter()
    for one in gc.get_objects():
        name = type(one).__name__
        if name in HELD:
            found[name] += 1
        elif type(one) is dict and one.get("kind") == "metric":
            found["metric"] += 1
    return found


async def open_and_close(screen: Screen, run_id: str) -> None:
    screen.app.open_run(run_id)
    await screen.settle()
    assert screen.name == "RunDetailScreen"
    await screen.press("screen.back")
    assert screen.name == "RunListScreen"


@in_loop
async def test_a_run_that_is_opened_and_closed_twenty_times_leaves_nothing(home: Path) -> None:
    run_ids = sorted(build(home).values())
    async with opened(home) as screen:
        for run_id in run_ids:
            await open_and_close(screen, run_id)
        before = live_objects()
        for number in range(TIMES):
            await open_and_close(screen, run_ids[number % len(run_ids)])
        after = live_objects()

    more = {name: after[name] - before[name] for name in (*HELD, "metric")}
    # One closed screen may still wait for its collection; a leak is an object and more for each.
    assert all(count < TIMES for count in more.values()), more


@in_loop
async def test_the_curves_of_a_comparison_are_forgotten_in_the_list(home: Path) -> None:
    run_ids = build(home)
    async with opened(home) as screen:
        screen.app.open_comparison([run_ids["robust"]])
        await screen.settle()
        await screen.press("compare.curves")
        assert screen.app.state.snapshots._members
        await screen.press("screen.back")
        assert screen.name == "RunListScreen"
        assert not screen.app.state.snapshots._members
