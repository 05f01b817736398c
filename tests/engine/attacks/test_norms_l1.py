"""L1: the exact projection onto ball and range together, the sparse step, L1-APGD."""

import numpy as np
import pytest
import torch
from torch import Tensor

from attacked_network import batch, fooled_by, network, rng, spec
from engine.attacks import apgd_l1
from engine.attacks.active_set import Step
from engine.attacks.apgd import apgd
from engine.attacks.norms import GEOMETRIES, sparse_direction
from engine.attacks.pgd import pgd
from engine.evaluation.counts import Extremes

L1 = GEOMETRIES["l1"]


def nearest(point: Tensor, image: Tensor, eps: float) -> Tensor:
    """The projection as a quadratic program over δ⁺ and δ⁻, by a solver that knows no shortcut."""
    optimize = pytest.importorskip("scipy.optimize", reason="SciPy is not installed")
    p, x, d = point.numpy(), image.numpy(), len(image)
    delta = p - x
    found = optimize.minimize(
        lambda both: float(np.sum((both[:d] - both[d:] - delta) ** 2)),
        np.zeros(2 * d),
        jac=lambda both: np.concatenate(
            [2 * (both[:d] - both[d:] - delta), -2 * (both[:d] - both[d:] - delta)]
        ),
        method="SLSQP",
        bounds=[(0, one) for one in [*(1 - x), *x]],
        constraints={
            "type": "ineq",
            "fun": lambda both: eps - both.sum(),
            "jac": lambda both: -np.ones_like(both),
        },
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return torch.from_numpy(x + found.x[:d] - found.x[d:])


@pytest.mark.parametrize("eps", [0.05, 0.4, 1.0, 2.5])
def test_the_projection_is_that_of_a_solver(eps: float) -> None:
    noise = rng(int(100 * eps))
    images = (torch.rand(8, 7, generator=noise, dtype=torch.float64) * 1.4 - 0.2).clamp(0, 1)
    points = images + torch.randn(8, 7, generator=noise, dtype=torch.float64)
    ours = L1.project(points, images, eps)
    for n in range(len(images)):
        expected = nearest(points[n], images[n], eps)
        torch.testing.assert_close(ours[n], expected, rtol=0, atol=2e-6)
        far = (points[n] - expected).norm()
        assert float((points[n] - ours[n]).norm()) <= float(far) + 1e-6


def test_float32_images_keep_the_budget_exactly() -> None:
    images = torch.rand(20, 3, 32, 32, generator=rng())
    points = images + 0.05 * torch.randn(images.shape, generator=rng(4))
    projected = L1.project(points, images, 12.0)
    length = (projected.double() - images.double()).abs().flatten(1).sum(1)
    assert float(length.max()) <= 12
    assert float(length.min()) > 12 - 1e-3
    assert 0 <= float(projected.min()) <= float(projected.max()) <= 1
    assert torch.equal(L1.project(projected, images, 12.0), projected)
    seen = Extremes("l1")
    seen.include(images, projected)
    assert seen.largest == pytest.approx(float(length.max()))


def test_the_sparse_step_moves_in_the_largest_gradients_equally() -> None:
    gradient = torch.tensor([[0.1, -3.0, 2.0, 0.0, -0.5]] * 3, dtype=torch.float64)
    step = sparse_direction(gradient, torch.tensor([0.01, 0.4, 1.0], dtype=torch.float64))
    assert step.tolist() == [
        [0, -1, 0, 0, 0],
        [0, -0.5, 0.5, 0, 0],
        [0.25, -0.25, 0.25, 0, -0.25],
    ]


def test_step_size_and_sparsity_follow_the_best_point() -> None:
    """Section 3 of Croce & Hein (2021): k = ‖x* − x‖₀ / 1.5, η back to ε where that fell."""
    assert list(apgd_l1.checkpoints(100)) == list(range(4, 101, 4))
    best = torch.zeros(2, 1, 4, 5)
    best[0, 0, 0] = 1.0  # a quarter of its entries
    best[1] = 1.0
    first = apgd_l1.Sparsity.begin(best)
    assert first.share.tolist() == pytest.approx([0.2, 0.2])
    second, eta, again = first.after_checkpoint(best, torch.tensor([6.0, 6.0]), 12.0)
    assert second.share.tolist() == pytest.approx([0.25 / 1.5, 1 / 1.5])
    assert eta.tolist() == pytest.approx([12, 4])
    assert again.tolist() == [True, False]
    _, eta, again = second.after_checkpoint(best, torch.tensor([1.0, 6.0]), 12.0)
    assert eta.tolist() == pytest.approx([1.2, 4])
    assert not again.any()


def test_apgd_is_stronger_than_pgd_and_stays_sparse() -> None:
    net, (images, labels, _) = network(), batch()
    setting = spec("l1", steps=50, active_set=False, random_start=False)
    seen: list[Step] = []
    found = apgd(net, images, labels, setting, on_step=seen.append)
    assert len(seen) == 51
    by_apgd = int(fooled_by(net, found, labels, None).sum())
    by_pgd = int(fooled_by(net, pgd(net, images, labels, setting), labels, None).sum())
    assert by_apgd > by_pgd
    changed = (seen[-1].images != images).flatten(1).double().mean(1)
    assert float(changed.median()) < 0.5


def test_training_in_one_step_is_refused_under_l1() -> None:
    from runs.errors import UserError
    from runs.overrides import override
    from runs.presets import preset

    demo = preset("demo")
    changed = override(demo, {"norm": "L1"})
    assert {attack.pgd.eps for attack in changed.attack.attacks} == {12.0}
    assert changed.robust.validation.step_size == pytest.approx(3)
    with pytest.raises(UserError, match="fast takes one step under L∞ or L2"):
        override(demo, {"norm": "l1", "recipe": "fast"})
