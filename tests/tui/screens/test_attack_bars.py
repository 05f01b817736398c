"""The page of attacks at every width: no ε is cut, and nothing that is over keeps its ``≥``."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from fixed_home import EPSILONS, ROWS, FixedHome, add_eps_curve, attack_event, build
from runs.budgets import format_budget
from runs.store import Run
from screen_driver import Home, in_loop, opened
from tui.render.palette import TERMINAL
from tui.run_list.feed import RunFeed
from tui.screens.panes.attack_bars import attack_bars


@pytest.fixture
def curve(tmp_path: Path) -> Run:
    """An attack at several ε on its second model; on the first model it has ended."""
    ids = build(tmp_path)
    spec = Run(tmp_path / "runs" / ids["attack"]).spec.model_copy(update={"epsilons": EPSILONS})
    assert spec.kind == "attack"
    events = [{"t": 1.0, "kind": "started", "attempt": 1, "resumed_from": None}]
    for n, (attack, eps) in enumerate(itertools.product(spec.attacks, EPSILONS)):
        name = f"{attack.name} ε {format_budget(eps)}"
        over = attack_event(2.0 + n, ROWS[0], name, 6190, 6190, 400 * n)
        events.append({key: value for key, value in over.items() if key != "cell"})
    for attack in spec.attacks:
        events.append(attack_event(30.0, ROWS[0], attack.name, 6190, 6190, 6190))
    name = f"{spec.attacks[0].name} ε {format_budget(EPSILONS[0])}"
    events.append(attack_event(31.0, ROWS[1], name, 1210, 3560, 7))
    home = FixedHome(tmp_path)
    return Run(tmp_path / "runs" / home.run(spec, 40, "ff01", events=events))


def page(run: Run, width: int) -> list[str]:
    feed = RunFeed(run)
    feed.read()
    return [line.plain for line in attack_bars(feed, width, TERMINAL)]


@pytest.mark.parametrize("width", [58, 78, 98, 118, 198])
def test_no_eps_is_cut_and_no_line_is_too_long(curve: Run, width: int) -> None:
    lines = page(curve, width)
    assert all(cell_len(line) <= width for line in lines)
    rows = [line for line in lines if line.startswith(ROWS)]
    assert len(rows) == 3 * 2 * len(EPSILONS)
    for n, row in enumerate(rows):
        assert f" ε {format_budget(EPSILONS[n % len(EPSILONS)])} " in row


def test_what_is_over_has_no_bound_and_no_time_left(curve: Run) -> None:
    lines = page(curve, 118)
    over = [line for line in lines if "6,190/6,190" in line]
    assert len(over) == 2 * len(EPSILONS)
    assert not [line for line in over if "≥" in line or line.rstrip().endswith(" s")]
    (going,) = [line for line in lines if "1,210/3,560" in line]
    assert "≥ 0.2 %" in going
    assert going.rstrip().endswith(" s")


def test_the_tones_of_a_bar_show_the_share_without_colour(curve: Run) -> None:
    """11 % and 100 % look different; before, every attack that was over had the same bar."""
    fooled = [line.count("━") for line in page(curve, 118) if "6,190/6,190" in line]
    assert fooled[0] == 0
    assert fooled == sorted(fooled)
    whole = [line.count("━") + line.count("─") for line in page(curve, 118) if "6,190/6" in line]
    assert len(set(whole)) == 1
    assert 0.8 * whole[0] < fooled[-1] <= whole[0]


def test_an_attack_run_that_is_over_has_no_column_of_remaining_times(curve: Run) -> None:
    assert "left" in page(curve, 78)[0]
    ended = Run(curve.home / "runs" / next(curve.home.glob("runs/*-aa04")).name)
    head = page(ended, 78)[0]
    assert "left" not in head
    assert "speed" in head


def test_nothing_waits_in_a_run_that_has_ended(curve: Run) -> None:
    assert "waiting" in "\n".join(page(curve, 78))
    with curve.events_path.open("a") as events:
        events.write('{"v": 1, "t": 1, "kind": "ended", "state": "interrupted"}\n')
    lines = page(curve, 78)
    assert not [line for line in lines if "waiting" in line]
    assert sum("not run" in line for line in lines) == 4 * len(EPSILONS) - 1


def cell(eps: float | None, **fields: Any) -> Any:
    return {"eps": eps, "robust_accuracy": 0.1, "robust_ci95": None, **fields}


def of_a_result(run: Run, *cells: Any) -> list[str]:
    """The lines of a run that is over, whose result has these cells of the third model."""
    row: Any = {"model": ROWS[2], "attacks": {"pgd-untargeted": list(cells)}}
    feed = RunFeed(run)
    feed.read()
    lines = [line.plain for line in attack_bars(feed, 118, TERMINAL, [row])]
    return [line for line in lines if line.startswith(ROWS[2]) and "pgd-untargeted" in line]


def test_without_an_event_the_result_tells_the_figures(curve: Run) -> None:
    counted = {"success_k": 698, "success_n": 3490, "success_rate": 0.2}
    lines = of_a_result(
        curve,
        cell(EPSILONS[0], **counted, seconds=2.0),
        cell(EPSILONS[1], **counted),
        cell(EPSILONS[2], success_rate=0.2),
        cell(EPSILONS[3], success_rate=None),
    )
    told = [line.split("ε ")[1].split(maxsplit=1)[1].lstrip("━─╌ ").split("  ") for line in lines]
    told = [[word.strip() for word in words if word.strip()] for words in told]
    assert told[:4] == [
        ["3,490/3,490", "20.0 %", "1,745 img/s"],
        ["3,490/3,490", "20.0 %", "not recorded"],
        ["not recorded", "20.0 %", "not recorded"],
        ["not run"],
    ]
    bars = [line.count("━") for line in lines]
    assert bars[0] == bars[1] == bars[2] > 0 == bars[3]


def test_a_run_without_a_sign_of_life_has_nothing_that_waits(curve: Run) -> None:
    assert [line.split()[-1] for line in of_a_result(curve)] == len(EPSILONS) * ["run"]


def test_two_spaces_part_success_and_a_speed_of_five_digits(curve: Run) -> None:
    with curve.events_path.open("a") as events:
        event = {**attack_event(40.0, ROWS[2], "pgd-targeted ε 0", 9, 9, 9), "rate": 21840.0}
        del event["cell"]
        events.write(json.dumps({"v": 1, **event}) + "\n")
    (line,) = [line for line in page(curve, 118) if "21,840" in line]
    assert "100.0 %  21,840 img/s" in line


@in_loop
async def test_the_page_of_a_run_that_has_ended_takes_its_result(fixed: Home) -> None:
    run = add_eps_curve(fixed.path, fixed.ids)
    async with opened(fixed.path) as screen:
        screen.app.open_run(run)
        await screen.settle()
        await screen.press("2")
        assert "waiting" not in screen.text
        (line,) = [line for line in screen.lines if "Baseline     pgd-targeted ε 1/255" in line]
        assert "6,190/6,190" in line
        assert "48.7 %" in line
