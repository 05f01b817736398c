"""The geometry of the ε-ball: projections, directions and random starts."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.attacks.norms import GEOMETRIES

NORMS = ("linf", "l2", "l1")
ROUNDING = 1e-12

quick = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 2**31 - 1)
budgets = st.floats(0, 1.5, allow_subnormal=False)


def pictures(seed: int, count: int = 3, shape: tuple[int, ...] = (3, 4, 5)) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(count, *shape, generator=rng, dtype=torch.float64)


def far_points(images: torch.Tensor, seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed + 1)
    away = torch.randn(images.shape, generator=rng, dtype=images.dtype)
    return images + away * torch.tensor([1e-3, 0.1, 10.0], dtype=images.dtype)[:, None, None, None]


def lengths(delta: torch.Tensor, norm: str) -> torch.Tensor:
    flat = delta.flatten(1)
    order = {"linf": torch.inf, "l2": 2, "l1": 1}[norm]
    length: torch.Tensor = torch.linalg.vector_norm(flat, ord=order, dim=1)
    return length


@pytest.mark.parametrize("norm", NORMS)
@given(seed=seeds, eps=budgets)
@quick
def test_projection_keeps_budget_and_range(norm: str, seed: int, eps: float) -> None:
    images = pictures(seed)
    projected = GEOMETRIES[norm].project(far_points(images, seed), images, eps)
    assert projected.min() >= 0
    assert projected.max() <= 1
    assert (lengths(projected - images, norm) <= eps + ROUNDING).all()


@pytest.mark.parametrize("norm", NORMS)
@given(seed=seeds, eps=budgets)
@quick
def test_projection_is_idempotent(norm: str, seed: int, eps: float) -> None:
    images = pictures(seed)
    once = GEOMETRIES[norm].project(far_points(images, seed), images, eps)
    twice = GEOMETRIES[norm].project(once, images, eps)
    torch.testing.assert_close(twice, once, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("norm", NORMS)
@given(seed=seeds)
@quick
def test_projection_leaves_points_that_are_inside_where_they_are(norm: str, seed: int) -> None:
    images = pictures(seed)
    inside = far_points(images, seed).clamp(0, 1)
    eps = float(lengths(inside - images, norm).max()) * 1.01
    torch.testing.assert_close(
        GEOMETRIES[norm].project(inside, images, eps), inside, rtol=0, atol=ROUNDING
    )


@pytest.mark.parametrize(
    ("norm", "delta", "eps", "expected"),
    [
        ("linf", [0.3, -0.05], 0.1, [0.1, -0.05]),
        ("l2", [0.3, 0.4], 0.25, [0.15, 0.2]),
        ("l2", [0.03, 0.04], 0.25, [0.03, 0.04]),
        ("linf", [0.7, -0.7], 0.6, [0.5, -0.5]),  # the range [0, 1] cuts first
        ("l2", [3.0, 0.0], 0.8, [0.5, 0.0]),
        ("l2", [3.0, 0.0], 0.0, [0.0, 0.0]),
        ("l1", [0.3, 0.4], 0.3, [0.1, 0.2]),
        ("l1", [0.03, -0.04], 0.25, [0.03, -0.04]),
        ("l1", [3.0, 0.4], 0.8, [0.5, 0.3]),  # what the range cuts is left to the other entry
        ("l1", [3.0, -3.0], 0.0, [0.0, 0.0]),
    ],
)
def test_projection_of_known_points(
    norm: str, delta: list[float], eps: float, expected: list[float]
) -> None:
    image = torch.full((1, 2), 0.5, dtype=torch.float64)
    away = torch.tensor([delta], dtype=torch.float64)
    projected = GEOMETRIES[norm].project(image + away, image, eps)
    assert (projected - image).flatten().tolist() == pytest.approx(expected)


def test_each_image_is_projected_by_its_own_length() -> None:
    images = torch.full((2, 1, 1, 2), 0.5, dtype=torch.float64)
    points = images + torch.tensor([[0.3, 0.4], [0.003, 0.004]], dtype=torch.float64).view(
        2, 1, 1, 2
    )
    delta = GEOMETRIES["l2"].project(points, images, 0.05) - images
    assert lengths(delta, "l2").tolist() == pytest.approx([0.05, 0.005])


@pytest.mark.parametrize("norm", NORMS)
@given(seed=seeds)
@quick
def test_direction_has_length_one_and_climbs(norm: str, seed: int) -> None:
    gradient = pictures(seed) - 0.5
    direction = GEOMETRIES[norm].direction(gradient)
    ones = torch.ones(len(gradient), dtype=torch.float64)
    torch.testing.assert_close(lengths(direction, norm), ones)
    # The steepest ascent gains the dual norm of the gradient.
    gained = (direction * gradient).flatten(1).sum(1)
    flat = gradient.flatten(1)
    order = {"linf": 1, "l2": 2, "l1": torch.inf}[norm]  # of 60 entries L1 moves a single one
    dual = torch.linalg.vector_norm(flat, ord=order, dim=1)
    torch.testing.assert_close(gained, dual)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_zero_gradient_gives_a_zero_direction(norm: str, dtype: torch.dtype) -> None:
    gradient = torch.zeros(2, 3, 4, 4, dtype=dtype)
    gradient[1] = 0.25
    direction = GEOMETRIES[norm].direction(gradient)
    assert (direction[0] == 0).all()
    assert direction[1].isfinite().all()
    assert lengths(direction, norm)[1] == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("scale", [1e-37, 1e-30, 1e-23, 1e-10, 1.0, 1e10, 1e20, 1e37])
def test_l2_direction_does_not_depend_on_the_gradients_scale(scale: float) -> None:
    pattern = torch.linspace(-1, 1, 3 * 32 * 32).view(1, 3, 32, 32)
    direction = GEOMETRIES["l2"].direction(pattern * scale)
    assert float(lengths(direction.double(), "l2")) == pytest.approx(1, rel=1e-4)
    torch.testing.assert_close(direction, pattern / pattern.norm())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("per_image", [False, True])
@given(seed=seeds, eps=budgets)
@quick
def test_random_start_keeps_budget_and_range(
    norm: str, per_image: bool, seed: int, eps: float
) -> None:
    images = pictures(seed)
    rng = [torch.Generator().manual_seed(seed + i) for i in range(3)]
    start = GEOMETRIES[norm].random_start(images, eps, rng if per_image else rng[0])
    assert start.min() >= 0
    assert start.max() <= 1
    assert (lengths(start - images, norm) <= eps + ROUNDING).all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("per_image", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 2), (3, 1, 2)])
def test_random_start_is_uniform_in_the_ball(
    norm: str, per_image: bool, shape: tuple[int, ...]
) -> None:
    count, eps = 4000, 0.3
    dimensions = math.prod(shape)
    images = torch.full((count, *shape), 0.5, dtype=torch.float64)  # the range never cuts
    rng = torch.Generator().manual_seed(5)
    noise = [torch.Generator().manual_seed(i) for i in range(count)] if per_image else rng
    delta = GEOMETRIES[norm].random_start(images, eps, noise) - images
    # In either ball the share of volume within radius r is (r / ε)^d: uniform on [0, 1].
    volume = ((lengths(delta, norm) / eps) ** dimensions).sort().values
    steps = torch.arange(1, count + 1, dtype=torch.float64) / count
    assert float((volume - steps).abs().max()) < 1.95 / math.sqrt(count)  # Kolmogorov, p ≈ 0.001
    for axis in delta.flatten(1).T:
        assert abs(float((axis > 0).double().mean()) - 0.5) < 0.03
    corner = (delta.flatten(1) > 0).all(1).double().mean()
    assert float(corner) == pytest.approx(2.0**-dimensions, abs=0.03)


@pytest.mark.parametrize("norm", NORMS)
def test_generators_of_its_own_make_an_images_start_independent_of_its_batch(norm: str) -> None:
    images = pictures(3, count=4)

    def start(chosen: list[int]) -> torch.Tensor:
        noise = [torch.Generator().manual_seed(100 + i) for i in chosen]
        return GEOMETRIES[norm].random_start(images[chosen], 0.1, noise)

    whole = start([0, 1, 2, 3])
    assert torch.equal(start([2, 0]), whole[[2, 0]])
    assert not torch.equal((whole - images)[0], (whole - images)[1])


@pytest.mark.parametrize("norm", NORMS)
def test_a_wrong_number_of_generators_is_refused(norm: str) -> None:
    with pytest.raises(ValueError, match="2 generators for 3 images"):
        GEOMETRIES[norm].random_start(pictures(0), 0.1, [torch.Generator(), torch.Generator()])


@pytest.mark.parametrize("norm", NORMS)
def test_geometry_leaves_its_arguments_alone(norm: str) -> None:
    images = pictures(1)
    points = far_points(images, 1)
    before = images.clone(), points.clone()
    geometry = GEOMETRIES[norm]
    geometry.random_start(images, 0.1, torch.Generator())
    geometry.project(points, images, 0.1)
    geometry.direction(points)
    assert torch.equal(images, before[0])
    assert torch.equal(points, before[1])
