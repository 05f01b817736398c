"""Images that are done leave the batch, which shrinks to few sizes."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from engine.attacks.active_set import ActiveBatch, BestPoints, Step
from engine.training.lightning_module import Classifier
from runs.presets import preset
from runs.spec import TrainSpec


def search(fooled: Tensor) -> tuple[BestPoints, ActiveBatch]:
    """A search over as many images, of which these fool the model."""
    images = torch.zeros(len(fooled), 3, 2, 2)
    tracker = BestPoints(images)
    tracker.fooled = fooled
    return tracker, ActiveBatch.whole(images, torch.zeros(len(fooled), dtype=torch.int64), None)


@pytest.mark.parametrize(
    ("left", "size"),
    [(0, 0), (1, 1), (3, 4), (17, 32), (33, 64), (64, 64), (150, 160), (230, None)],
)
def test_all_that_are_left_stay_and_few_others(left: int, size: int | None) -> None:
    fooled = torch.ones(250, dtype=torch.bool)
    fooled[torch.randperm(250, generator=torch.Generator().manual_seed(0))[:left]] = False
    tracker, batch = search(fooled)
    stay = tracker.active_places(batch)
    if size is None:
        assert stay is None
        return
    assert stay is not None
    assert len(stay) == size
    assert len(stay.unique()) == size
    assert int((~fooled[stay]).sum()) == left


@pytest.mark.parametrize("whole", [20, 250, 256, 1000, 2000])
def test_a_batch_has_few_sizes_while_it_shrinks(whole: int) -> None:
    sizes = set()
    images = torch.zeros(whole, 3, 1, 1)
    tracker, batch = (
        BestPoints(images),
        ActiveBatch.whole(images, torch.zeros(whole, dtype=torch.int64), None),
    )
    for left in range(whole, 0, -1):
        tracker.fooled[left:] = True
        if (stay := tracker.active_places(batch)) is not None:
            batch = batch.only(stay)
        assert left <= len(batch.indices) <= max(2 * left, left + whole // 8)
        sizes.add(len(batch.indices))
    assert len(sizes) <= 14


def test_a_validation_looks_at_few_sizes_and_counts_no_image_that_fills_a_batch_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: set[int] = set()
    demo = preset("demo").child("robust")
    assert isinstance(demo, TrainSpec)
    module = Classifier(demo, 10, [0.5] * 3, [0.25] * 3, steps=1)

    class ByBrightness(nn.Module):
        """A picture's class is its brightness, 0 … 9 ninths."""

        def forward(self, images: Tensor) -> Tensor:
            sizes.add(len(images))
            bright = (images.mean(dim=(1, 2, 3)) * 9).round().long()
            return nn.functional.one_hot(bright, 10).float()

    def towards_the_label(
        _: object, images: Tensor, labels: Tensor, *_rest: object, **_more: object
    ) -> tuple[Tensor, None]:
        return (labels / 9).view(-1, 1, 1, 1).expand_as(images), None

    monkeypatch.setattr(module, "network", ByBrightness())
    monkeypatch.setattr(module, "_folded", [SimpleNamespace(network=None)])
    monkeypatch.setattr("engine.training.lightning_module.attack_batch", towards_the_label)
    labels = torch.arange(256) % 10
    for right in (1, 3, 31, 70, 71, 100, 200, 255, 256):
        shown = torch.where(torch.arange(256) < right, labels, (labels + 1) % 10)
        images = (shown / 9).view(-1, 1, 1, 1).expand(-1, 3, 32, 32)
        counts = module._part_counts(images, labels, torch.arange(256))
        assert [int(counts[name]) for name in ("correct", "robust", "fgsm")] == [right] * 3
    assert sizes <= {1, 4, 32, 96, 128, 224, 256}


def test_what_fills_the_batch_up_is_neither_told_nor_changed() -> None:
    tracker, batch = search(torch.tensor([False, True, False]))
    points, loss = torch.ones(3, 3, 2, 2), torch.tensor([1.0, 9.0, 2.0])
    seen = Step(0, 1, points, batch.indices, loss, torch.tensor([False, False, True]))
    told = tracker.without_padding(seen)
    assert told.indices.tolist() == [0, 2]
    assert told.loss.tolist() == [1.0, 2.0]
    tracker.update(seen)
    assert tracker.points.amax(dim=(1, 2, 3)).tolist() == [1.0, 0.0, 1.0]
    assert tracker.fooled.tolist() == [False, True, True]
