"""The run list: a robust accuracy at another ε than the usual one says so."""

from fixed_home import FixedHome, add_eps_curve
from runs.spec import TrainSpec
from runs.threat_model import PGD
from screen_driver import Home, in_loop, opened


def add_training(home: Home, eps: float) -> None:
    pgd = PGD(eps=eps)
    values = {"val_accuracy": 0.7, "val_robust_accuracy": 0.633}
    result = {"state": "completed", "seconds": 9.0, "last": {"epoch": 0, **values}}
    spec = TrainSpec(name="strayed", attack=pgd, validation=pgd)
    FixedHome(home.path).run(spec, 5, "dd01", result=result)


@in_loop
async def test_another_eps_stands_behind_its_figure_where_there_is_room(fixed: Home) -> None:
    add_training(fixed, 16 / 255)
    async with opened(fixed.path, (200, 60)) as screen:
        line = next(line for line in screen.text.splitlines() if "strayed" in line)
        assert "63.3v@16/255" in line
        usual = next(line for line in screen.text.splitlines() if "#poster" in line)
        assert "@" not in usual
    async with opened(fixed.path, (80, 24)) as screen:
        line = next(line for line in screen.text.splitlines() if "strayed" in line)
        assert "63.3vε" in line
        assert screen.text.count("ε") == 1


@in_loop
async def test_a_curve_stands_in_the_list_with_its_own_eps(fixed: Home) -> None:
    add_eps_curve(fixed.path, fixed.ids)
    async with opened(fixed.path, (200, 60)) as screen:
        lines = [line for line in screen.text.splitlines() if "attack" in line and "done" in line]
        assert any("19.7" in line for line in lines)
        assert "@" not in screen.text


@in_loop
async def test_the_sort_arrow_stays_beside_the_title(fixed: Home) -> None:
    add_training(fixed, 16 / 255)
    for size in ((80, 24), (200, 60)):
        async with opened(fixed.path, size) as screen:
            for _ in range(10):
                head = next(line for line in screen.text.splitlines() if "progress" in line)
                if "robust ↓" in head or "robust % ↓" in head:
                    break
                await screen.press("o")
            else:
                raise AssertionError(head)
