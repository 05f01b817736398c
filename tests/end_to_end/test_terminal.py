"""The screen in a real terminal, from the form to the exported table."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from advtui_process import Command, Studied, wait_for
from fixed_home import build
from runs.presets import NAMES
from runs.store import Run, Store

pyte = pytest.importorskip("pyte", reason="pyte emulates the terminal")

from real_terminal import Terminal  # noqa: E402

Open = Callable[..., Terminal]


def _curves(text: str) -> str:
    """The dots of the charts alone."""
    return "".join(char for char in text if "\u2800" < char <= "\u28ff")


def _stands_before(terminal: Terminal, one: str, other: str) -> bool:
    """Whether both texts stand on the screen, and the one above the other."""
    terminal.read()
    return 0 <= terminal.text.find(one) < terminal.text.find(other)


@pytest.fixture
def opened(home: Path, tmp_path: Path) -> Iterator[Open]:
    """Opens terminals, and ends them after the test."""
    terminals: list[Terminal] = []

    def open_(*words: str, size: tuple[int, int] = (120, 40)) -> Terminal:
        terminals.append(Terminal(home, *words, size=size, cwd=tmp_path))
        return terminals[-1]

    yield open_
    for terminal in terminals:
        terminal.kill()


def test_it_opens_helps_and_leaves(opened: Open) -> None:
    terminal = opened()
    terminal.wait_for("No runs yet", "? help")
    terminal.press("?")
    terminal.wait_for("runs.new", "app.leave")
    terminal.press("escape")
    assert terminal.leave() == 0


def test_without_a_terminal_it_says_so(advtui: Command) -> None:
    done = advtui()
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr
    assert "--help" in done.stderr


def test_a_hangup_ends_the_screen(opened: Open) -> None:
    terminal = opened()
    terminal.wait_for("No runs yet")
    terminal.hang_up()
    assert terminal.process.returncode is not None


@pytest.mark.parametrize("without", [False, True])
def test_no_color_is_heeded(opened: Open, monkeypatch: pytest.MonkeyPatch, without: bool) -> None:
    """Without colours everything is grey; the glyphs stay."""
    if without:
        monkeypatch.setenv("NO_COLOR", "1")
    terminal = opened()
    terminal.wait_for("No runs yet", "? help")
    cells = [cell for line in terminal.screen.buffer.values() for cell in line.values()]
    hues = {
        colour
        for colour in {cell.fg for cell in cells} | {cell.bg for cell in cells}
        if len(colour) == 6 and len({colour[:2], colour[2:4], colour[4:]}) > 1
    }
    assert bool(hues) != without
    assert terminal.leave() == 0


def test_the_mouse_in_the_list(opened: Open, home: Path) -> None:
    ids = build(home, now=time.time())
    terminal = opened()
    terminal.wait_for("✓ study", "? robust", "q leave")

    terminal.click("? help")
    terminal.wait_for("runs.open", "app.leave")
    terminal.click("esc close")
    terminal.wait_for("⏎ open")

    terminal.click("name", line="progress")
    terminal.wait_for("by name ↓")
    wait_for(lambda: _stands_before(terminal, "✗ robust", "✓ study"), seconds=20)
    terminal.click("name", line="progress")
    terminal.wait_for("by name ↑")
    wait_for(lambda: _stands_before(terminal, "✓ study", "✗ robust"), seconds=20)

    terminal.click("▸", line="study")
    terminal.wait_for("▾ ✓ study", "✓   baseline")

    for glyph in "✗‖?":
        terminal.click_at(2, terminal.place(f"{glyph} robust")[1])  # left of it, within the frame
    terminal.wait_for("* 3 marked", "t tag 3")
    terminal.click("t tag 3")
    terminal.wait_for("Tags of 3 runs")
    terminal.press(*"+night")
    terminal.click("⏎ keep")
    terminal.wait_for("changed the tags of 3 of 3 runs", "* 3 marked")
    for what in ("failed", "interrupted", "lost"):
        assert Run(home / "runs" / ids[what]).meta["tags"] == ["night"]
    terminal.click("q leave")
    wait_for(lambda: terminal.read() == b"" and terminal.process.poll() is not None, seconds=20)
    assert terminal.process.returncode == 0


def test_an_attack_from_the_form_to_its_table(studied: Studied, opened: Open, home: Path) -> None:
    shutil.copytree(studied[0].home, home)
    terminal = opened()
    terminal.wait_for("✓ first look")
    terminal.click("first look #tiny", times=2)
    terminal.wait_for("more notes", "a attack")
    terminal.click("a attack")
    terminal.wait_for("‹ attack ›", "‹ ✓ pgd-targeted › 2/")
    terminal.click("✓ pgd-targeted")
    terminal.wait_for("· pgd-targeted › 1/")
    for name in ("pgd-untargeted", "pgd-margin", "pgd-dlr", "fgsm"):
        terminal.click("›", line="Space chooses")
        terminal.wait_for(f"{name} ›")
    terminal.press("space")
    terminal.wait_for("✓ fgsm › 2/")
    for label, value in (("test images", "20"), ("CPU threads", "1")):
        terminal.click(label)
        terminal.press(*value)
    terminal.wait_for("--attack pgd-untargeted --attack fgsm", "--limit 20 --threads 1")
    terminal.click("start", line="copy command")

    terminal.wait_for("2 attacks", "fgsm", "waiting", seconds=60)
    terminal.click("3 table")
    terminal.wait_for("Baseline", "Best robust", "·", "● running")  # the figures that are to come
    terminal.wait_for("Baseline", "Best robust", "✓ completed", "more notes", seconds=120)
    assert "·" not in terminal.text
    attacked = Store(home).find("@1").result
    assert attacked is not None
    assert [set(row["attacks"]) for row in attacked["rows"]] == [{"fgsm", "pgd-untargeted"}] * 3
    assert terminal.leave() == 0


@pytest.mark.slow
def test_from_the_form_to_the_exported_table(opened: Open, home: Path, tmp_path: Path) -> None:
    terminal = opened()
    terminal.wait_for("No runs yet")
    terminal.press("n")
    terminal.wait_for("kind of run", "advtui study --preset cpu")
    terminal.press("down")
    after_cpu = NAMES.index("cpu") + 1
    for preset in (*NAMES[after_cpu:], "demo"):
        terminal.press("right")
        terminal.wait_for(f"advtui study --preset {preset}")
    terminal.press("ctrl+s")
    terminal.wait_for("1 curves", "● running", seconds=120)

    # The curves move.
    terminal.wait_for("baseline epoch", seconds=120)
    terminal.wait_for("▸ accuracy", "● ", seconds=60)
    drawn = _curves(terminal.text)
    wait_for(lambda: (terminal.read(), _curves(terminal.text) != drawn)[1], seconds=60)

    # Leave and come back: the run goes on.
    assert terminal.leave() == 0
    study = Store(home).find("@1")
    assert study.state() == "running"
    terminal = opened()
    terminal.wait_for("● study", "1 at work")
    terminal.press("enter")
    terminal.wait_for("1 curves", "robust epoch", seconds=120)

    # The connection drops while the attacks' bars move: the run goes on.
    terminal.press("2")
    terminal.wait_for("waiting", seconds=30)
    terminal.wait_for("img/s", seconds=180)
    terminal.hang_up()
    assert study.state() == "running"

    # Come back to the table, and take it along.
    wait_for(lambda: study.state() == "completed", seconds=180)
    terminal = opened()
    terminal.wait_for("✓ study")
    terminal.press("enter")
    terminal.wait_for("Best robust", "more notes", "sanity", seconds=30)
    terminal.press("x")
    terminal.wait_for("Markdown")
    terminal.press("m")
    exported = tmp_path / f"advtui-{study.id[-4:]}.md"
    wait_for(exported.exists, seconds=20)
    told = subprocess.run(
        Command(home).arguments("compare", study.id, "--format", "markdown"),
        env=Command(home).env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert exported.read_text() == told.stdout
    assert terminal.leave() == 0
