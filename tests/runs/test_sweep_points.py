"""The points of a sweep: combinations, equal runs, additions, and what is refused."""

from typing import Any

import pytest

from runs.errors import UserError
from runs.jsonfiles import write_json
from runs.presets import preset
from runs.spec import SweepSpec, TrainSpec
from runs.store import Run, Store
from runs.sweep_points import PointRuns, add_points, check_points, point_spec, points_of
from runs.sweep_table import FORMATS, sweep_table
from tiny_training import tiny


def sweep_of(**fields: Any) -> SweepSpec:
    base = tiny(device="cpu")
    given = {"data": "digits", "base": base, "grid": {"recipe": ("pgd-at", "fast")}, **fields}
    return SweepSpec.model_validate(given)


def completed(run: Run, robust: float, clean: float = 0.5) -> None:
    """Let a run be completed with these figures of its best checkpoints."""
    checkpoints = {
        "best_robust": {"epoch": 0, "step": 1, "monitor": "val_robust_accuracy", "value": robust},
        "best_clean": {"epoch": 0, "step": 1, "monitor": "val_accuracy", "value": clean},
    }
    result = {"v": 1, "kind": "train", "state": "completed", "val_images": 150}
    write_json(run.path / "result.json", {**result, "checkpoints": checkpoints})
    (run.path / "checkpoints").mkdir()
    for name in checkpoints:
        run.checkpoint(name).touch()


def test_points_are_all_combinations_with_their_seeds_together(store: Store) -> None:
    spec = sweep_of(grid={"recipe": ("pgd-at", "trades"), "awp_gamma": (0, 0.005)}, seeds=(0, 1))
    titles = [point.title for point in points_of(store.create(spec), spec)]
    assert titles[:3] == [
        "recipe=pgd-at awp_gamma=0 seed 0",
        "recipe=pgd-at awp_gamma=0 seed 1",
        "recipe=pgd-at awp_gamma=0.005 seed 0",
    ]
    assert len(titles) == 8


def test_a_point_differs_from_the_base_in_its_values_alone() -> None:
    spec = sweep_of(grid={"recipe": ("trades",), "eps": ("16/255",)}, seeds=(3,), threads=1)
    (point,) = points_of(Run(Store().folder / "none"), spec)
    made = point_spec(spec, point)
    assert isinstance(made, TrainSpec)
    assert (made.recipe, made.seed, made.threads) == ("trades", 3, 1)
    assert made.attack.eps == made.validation.eps == 16 / 255
    assert made.name == "recipe=trades eps=16/255 seed 3"


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        ({"recipe": ("standard",)}, "recipe=standard: recipe 'standard' does not go with mode"),
        ({"nonsense": (1,)}, "nonsense=1: unknown field 'nonsense'"),
        ({"lr": (-1,)}, "lr=-1: lr: input should be greater than 0"),
    ],
)
def test_a_point_that_can_t_be_carried_out_is_named(
    store: Store, grid: dict[str, Any], sentence: str
) -> None:
    spec = sweep_of(grid=grid)
    with pytest.raises(UserError, match=sentence):
        check_points(spec, points_of(store.create(spec), spec))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"grid": {"seed": (0, 1)}}, "write --seeds"),
        ({"grid": {"device": ("cpu",)}}, "all points of a sweep share it"),
        ({"grid": {"lr": ()}}, "grid lr has no value"),
    ],
)
def test_fields_that_a_grid_can_t_have_are_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        sweep_of(**fields)


def test_a_completed_equal_run_takes_the_place_of_a_point(store: Store) -> None:
    spec = sweep_of(grid={"lr": (0.1, 0.2)})
    equal = store.create(tiny(device="cpu", lr=0.2, threads=2, name="mine"))
    completed(equal, 0.2)
    sweep = store.create(spec)
    runs = PointRuns(store, sweep, spec)
    found = [runs.run_of(point) for point in points_of(sweep, spec)]
    assert [run.id == equal.id for run in found] == [False, True]
    assert runs.new == [found[0]]
    assert [run.id for run in store.children(sweep)] == [found[0].id]
    again = PointRuns(store, sweep, spec)
    assert [again.run_of(point).id for point in points_of(sweep, spec)] == [r.id for r in found]
    alone = sweep_of(grid={"lr": (0.2,)}, reuse=False)
    other = store.create(alone)
    fresh = PointRuns(store, other, alone)
    assert equal.id not in [fresh.run_of(point).id for point in points_of(other, alone)]


def test_added_points_come_last_and_known_ones_are_not_added(store: Store) -> None:
    spec = sweep_of()
    sweep = store.create(spec)
    assert add_points(sweep, {"recipe": ("fast", "trades")}, ()) == 1
    assert add_points(sweep, {"recipe": ("trades",)}, ()) == 0
    titles = [point.title for point in points_of(sweep, spec)]
    assert titles == ["recipe=pgd-at", "recipe=fast", "recipe=trades"]
    with pytest.raises(UserError, match="nonsense"):
        add_points(sweep, {"nonsense": (1,)}, ())
    assert len(points_of(sweep, spec)) == 3
    with pytest.raises(UserError, match="a sweep is expected"):
        add_points(store.create(preset("demo")), {}, (1,))


def test_the_table_is_sorted_by_robust_accuracy_over_seeds(store: Store) -> None:
    spec = sweep_of(seeds=(0, 1))
    sweep = store.create(spec)
    runs = PointRuns(store, sweep, spec)
    values = iter((0.2, 0.3, 0.4, None))
    for point in points_of(sweep, spec):
        if (value := next(values)) is not None:
            completed(runs.run_of(point), value)
    table = sweep_table(sweep)
    assert [row["values"]["recipe"] for row in table["rows"]] == ["fast", "pgd-at"]
    fast, pgd = table["rows"]
    assert fast["states"] == ["completed", "waiting"]
    assert pgd["best_robust"]["mean"] == pytest.approx(0.25)
    assert pgd["best_robust"]["std"] == pytest.approx(0.0707107, rel=1e-4)
    assert (table["points"], table["completed"], table["n"]) == (4, 3, 150)
    texts = {name: write(table) for name, write in FORMATS.items()}
    assert "| pgd-at | 2 | 25.00 ± 7.07 |" in texts["markdown"]
    assert r"pgd-at & 2 & 25.00 $\pm$ 7.07 & 50.00 $\pm$ 0.00 \\" in texts["latex"]
    assert '"pgd-at",2,2,0.25,0.07071' in texts["csv"]
    assert '"best_robust"' in texts["json"]
    assert "40.00 ± – (1 of 2)" in texts["markdown"]
