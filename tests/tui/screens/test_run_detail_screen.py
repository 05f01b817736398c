"""A run's own screen: its pages, what comes in meanwhile, its examples."""

from typing import Any

from screen_driver import Home, Screen, covers, in_loop, into, opened
from tui.screens.new_run import NewRunScreen
from tui.screens.panes.examples import ExamplesPane
from tui.widgets.scroll_page import ScrollPage

PAGES = ("curves", "attacks", "table", "examples", "system", "log", "spec")


@covers(*(f"run.page-{name}" for name in PAGES))
async def test_pages_of_a_study(fixed: Home) -> Screen:
    holds = {
        "curves": "baseline",
        "attacks": "img/s",
        "table": "more notes",
        "examples": "test image 12",
        "system": "H100",
        "log": "7 spec",
        "spec": "baseline.name",
    }
    async with opened(fixed.path) as screen:
        await into(screen, fixed, "study")
        for name in PAGES:
            await screen.press(f"run.page-{name}")
            assert holds[name] in screen.text, name
    return screen


@covers("run.next-page", "run.previous-page")
async def test_turning_pages(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        run = await into(screen, fixed, "running")
        for name in (*PAGES[1:], PAGES[0]):
            await screen.press("run.next-page")
            assert run.query_one(f"#{name}").display
        await screen.press("run.previous-page")
        assert run.query_one("#spec").display
    return screen


@in_loop
async def test_where_a_run_opens(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        for what, page in (
            ("running", "curves"),
            ("attacking", "attacks"),
            ("study", "table"),
            ("failed", "log"),
            ("lost", "log"),
        ):
            run = await into(screen, fixed, what)
            assert run.query_one(f"#{page}").display, what


@in_loop
async def test_a_failure_shows_its_error_and_its_log(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await into(screen, fixed, "failed")
        assert "✗ failed" in screen.text
        assert "CUDA out of memory" in screen.text
        assert "a batch of 4096 images goes in 2 parts" in screen.text
        assert "allocating" in screen.text


@in_loop
async def test_the_log_shows_first_what_the_run_said_and_no_deprecation_notes(fixed: Home) -> None:
    note = "/venv/lib/python3.11/site-packages/lightning/x.py:21: y is deprecated, use z instead."
    with fixed.run("failed").log_path.open("a") as stream:
        stream.write(f"{note}\n")
    async with opened(fixed.path) as screen:
        screen.app.open_run(fixed.ids["failed"])
        await screen.settle()
        text = screen.text
        assert "! " in text
        assert text.index("91 GB") < text.index("out of memory: a batch") < text.index("allocating")
        assert text.index("out of memory: a batch") < text.index("output of the worker")
        assert "deprecated" not in text
        assert "1 deprecation note of libraries left out" in text


@in_loop
async def test_a_narrow_spec_page_wraps_by_words(fixed: Home) -> None:
    async with opened(fixed.path, (60, 100)) as screen:
        screen.app.open_run(fixed.ids["attack"])
        await screen.settle()
        await screen.press("7")
        lines = [line.strip() for line in screen.text.splitlines()]
        assert any(line.startswith("attacks.1.pgd.step_schedule  fixed") for line in lines)
        assert any(line.startswith("attacks.1.pgd.active_set") for line in lines)


@in_loop
async def test_attack_bars_of_those_at_work_and_those_that_wait(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await into(screen, fixed, "attacking")
        lines = screen.lines
        going = next(line for line in lines if "1,210/3,560" in line)
        assert "≥ 0.2 %" in going
        assert "1,840 img/s" in going
        assert going.endswith("1 s")
        assert sum("waiting" in line for line in lines) == 3
        over = next(line for line in lines if "Baseline" in line and "pgd-targeted" in line)
        assert "92.2 %" in over
        assert "≥" not in over


@in_loop
async def test_what_comes_in_while_one_watches(fixed: Home) -> None:
    from runs.events import EventWriter

    async with opened(fixed.path) as screen:
        await into(screen, fixed, "attacking")
        writer = EventWriter(fixed.run("attacking").events_path)
        fields: dict[str, Any] = {
            "model": "Best clean",
            "attack": "pgd-targeted",
            "total": 3560,
            "rate": 900.0,
        }
        writer.write("attack", done=2000, successes=20, **fields)
        writer.close()
        screen.app._tick()
        await screen.settle()
        assert "2,000/3,560" in screen.text


@covers("run.copy")
async def test_copy_the_command(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await into(screen, fixed, "running")
        await screen.press("run.copy")
        path = fixed.run("running").path / "spec.json"
        assert screen.app.clipboard == f"advtui train --config {path}"
        assert (fixed.path / "copied.txt").read_text() == screen.app.clipboard
    return screen


@covers("run.overlay")
async def test_overlay_marked_runs(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await into(screen, fixed, "running")
        await screen.press("run.overlay")
        assert "mark runs" in screen.notices
        screen.app.state.marked = {fixed.ids["study"]}
        await screen.press("run.overlay")
        assert "baseline aa02" in screen.text
        assert "robust aa03" in screen.text
        await screen.press("run.overlay")
        assert "aa03" not in screen.text
    return screen


@covers("run.attack")
async def test_attack_from_the_run(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await into(screen, fixed, "robust")
        await screen.press("run.attack")
        form = screen.app.screen
        assert isinstance(form, NewRunScreen)
        asked = form.request()
        assert asked.what == "attack"
        assert list(asked.models) == [fixed.ids["robust"]]
    return screen


@covers("page.down", "page.up", "page.page-down", "page.page-up", "page.top", "page.bottom")
async def test_a_long_page_scrolls(fixed: Home) -> Screen:
    async with opened(fixed.path, (80, 24)) as screen:
        run = await into(screen, fixed, "study")
        await screen.press("7")
        page = run.query_one("#spec", ScrollPage)
        for key, expected in (
            ("page.down", 1),
            ("page.up", 0),
            ("page.page-down", 10),
            ("page.page-up", 0),
        ):
            await screen.press(key)
            assert page.scroll_offset.y == expected, key
        await screen.press("page.bottom")
        assert page.scroll_offset.y == page.max_scroll_y > 0
        await screen.press("page.top")
        assert page.scroll_offset.y == 0
    return screen


@covers(
    *("examples.next", "examples.previous", "examples.model", "examples.model-back"),
    "examples.view",
)
async def test_pictures(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        run = await into(screen, fixed, "attack")
        await screen.press("4")
        assert run.query_one(ExamplesPane).has_focus
        assert "test image 12, a apple as seen by Baseline" in screen.text
        assert "pgd-targeted → bear" in screen.text
        assert "→ bear 72 % hit" in screen.text
        assert "→ baby 72 % fooled" in screen.text
        assert screen.text.count("▀") >= 3 * 512
        await screen.press("examples.next")
        assert "test image 40, a aquarium fish" in screen.text
        await screen.press("examples.previous")
        assert "test image 12" in screen.text
        await screen.press("examples.model")
        assert "as seen by Best robust" in screen.text
        assert "→ apple 72 % holds" in screen.text
        await screen.press("examples.model-back")
        assert "as seen by Baseline" in screen.text
        await screen.press("examples.view")
        assert "→ bear 72 %" not in screen.text
    return screen


@in_loop
async def test_a_small_screen_shows_each_attack_beside_the_clean_image(fixed: Home) -> None:
    async with opened(fixed.path, (80, 24)) as screen:
        await into(screen, fixed, "attack")
        await screen.press("4")
        for number, attack in enumerate(("pgd-targeted → bear", "pgd-untargeted"), 1):
            (head,) = [line for line in screen.lines if attack in line]
            assert head.startswith("clean ")
            assert f"attack {number} of 2" in screen.lines
            assert screen.text.count("▀") == 2 * 512  # nothing has scrolled away
            await screen.press("examples.view")
        assert "pgd-targeted − clean" in screen.text
    async with opened(fixed.path, (60, 24)) as screen:
        await into(screen, fixed, "attack")
        await screen.press("4", "examples.view", "examples.view")
        assert "pgd-untargeted" in screen.text
        assert "attack 2 of 2" in screen.lines


@in_loop
async def test_targeted_and_untargeted_stand_side_by_side_where_both_fit(fixed: Home) -> None:
    for size in ((120, 40), (200, 60)):
        async with opened(fixed.path, size) as screen:
            await into(screen, fixed, "attack")
            await screen.press("4")
            head = next(line for line in screen.text.splitlines() if "pgd-targeted → bear" in line)
            assert "pgd-untargeted" in head
