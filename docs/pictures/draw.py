"""Draw the README's pictures from a real home: ``python docs/pictures/draw.py HOME STUDY``.

Each is the screen as Textual exports it, at 120×36; STUDY is a study's id, or ``@1``. While it is
at work this draws the list of runs alone, and once it is completed the pages of its runs.
"""

import asyncio
import sys
from pathlib import Path

from runs.run_state import LIVE
from runs.store import Run, Store
from tui.app import AdvtuiApp
from tui.settings import Settings

FOLDER = Path(__file__).parent


async def draw(home: Path, run: Run | None, keys: list[str], name: str) -> None:
    """The screen of a run, else the list, after some keys, as ``name``.svg beside this script."""
    app = AdvtuiApp(Store(home), Settings())
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause(2.5)  # two passes over the home: then the load of the machine is known
        if run is not None:
            app.open_run(run.id)
            await pilot.pause(0.5)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.2)
        await pilot.pause(0.5)
        (FOLDER / f"{name}.svg").write_text(app.export_screenshot(title="advtui"))


def main() -> None:
    home = Path(sys.argv[1])
    store = Store(home)
    study = store.find(sys.argv[2])
    if study.state() in LIVE:
        asyncio.run(draw(home, None, [], "dashboard"))
        return
    robust = next(child for child in store.children(study) if child.role == "robust")
    asyncio.run(draw(home, robust, ["1"], "curves"))
    asyncio.run(draw(home, study, ["3"], "table"))
    asyncio.run(draw(home, study, ["4"], "examples"))


if __name__ == "__main__":
    main()
