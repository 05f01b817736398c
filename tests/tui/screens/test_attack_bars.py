"""The page of attacks at every width: no ε is cut, and nothing that is over keeps its ``≥``."""

import itertools
from pathlib import Path

import pytest
from rich.cells import cell_len

from fixed_home import EPSILONS, ROWS, FixedHome, attack_event, build
from runs.budgets import format_budget
from runs.store import Run
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
