"""Batches for Lightning's Trainer, made on the device.

The loader yields batch numbers only. The batch itself is selected, cropped and flipped on the
device, as a function of (seed, epoch, batch number); so a resumed epoch continues with its next
batch. The module knows nothing about models, attacks and files.
"""

from collections.abc import Iterator, Sequence

import pytorch_lightning as pl
from torch import Tensor
from torch.profiler import record_function

from engine.data.augmentation import augment, cutout, trivial_augment
from engine.data.generated import GeneratedImages
from engine.data.pictures import Batch, Pictures, to_float
from engine.data.splits import epoch_order
from engine.seeding import derive, generator
from engine.world import ALONE, World
from runs.spec import TrainSpec


class BatchNumbers:
    """A loader of 0, 1, …, length − 1. Lightning saves and restores its position."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._next = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[int]:
        start = self._next if self._next < self._length else 0
        for number in range(start, self._length):
            self._next = number + 1
            yield number

    def state_dict(self) -> dict[str, int]:
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._next = state["next"]


class PicturesOnDevice(pl.LightningDataModule):
    """Training and validation split of one run, held on its device.

    Args:
        train: the training split, without the validation split.
        validation: the validation split.
        spec: seed, batch size and augmentation.
        flips: whether a mirrored image keeps its label.
        world: the processes that share each batch.
        mean: the data set's mean colour, in pixels of [0, 1]; cutout fills its squares with it.
        generated: images of which each batch takes the share that the spec names.
    """

    def __init__(
        self,
        train: Pictures,
        validation: Pictures,
        spec: TrainSpec,
        *,
        flips: bool,
        world: World = ALONE,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        generated: GeneratedImages | None = None,
    ) -> None:
        super().__init__()
        self._train = train
        self._validation = validation
        self._spec = spec
        self._flips = flips
        self._world = world
        self._mean = mean
        self._generated = generated
        self._order: tuple[int, Tensor] | None = None

    def train_dataloader(self) -> BatchNumbers:
        # Incomplete last batches are left out: BatchNorm fails on a single image, and a compiled
        # step is compiled again for another shape.
        return BatchNumbers(max(1, len(self._train) // self._spec.batch_size))

    def val_dataloader(self) -> BatchNumbers:
        return BatchNumbers(-(-len(self._validation) // self._validation_batch))

    @property
    def _validation_batch(self) -> int:
        # With small batches a GPU is idle between two kernels.
        smallest = 1000 if self._validation.images.device.type == "cuda" else 250
        return max(self._spec.batch_size, smallest)

    def on_after_batch_transfer(self, batch: int, dataloader_idx: int) -> Batch:
        assert self.trainer is not None
        if self.trainer.training:
            return self._train_batch(self.trainer.current_epoch, batch)
        start = batch * self._validation_batch
        size = self._validation_batch
        places = slice(start, start + size)
        split, share = self._validation, self._world.share
        images = to_float(share(split.images[places]))
        return images, share(split.labels[places]), share(split.indices[places])

    @record_function("augmentation")
    def _train_batch(self, epoch: int, number: int) -> Batch:
        seed, size = self._spec.seed, self._spec.batch_size
        if self._order is None or self._order[0] != epoch:
            order = epoch_order(len(self._train), seed, epoch)
            self._order = (epoch, order.to(self._train.labels.device))
        others = size - self._spec.generated_per_batch
        batch = self._train.subset(self._order[1][number * others : (number + 1) * others])
        if self._generated is not None:
            drawn = self._generated.drawn(self._spec.generated_per_batch, seed, epoch, number)
            batch = batch.followed_by(drawn.to(batch.images.device))
        # The whole batch is augmented on every rank: what an image becomes must not depend on the
        # number of ranks, and it takes little time beside a step.
        images, share = self._augmented(batch.images, epoch, number), self._world.share
        return to_float(share(images)), share(batch.labels), share(batch.indices)

    def _augmented(self, images: Tensor, epoch: int, number: int) -> Tensor:
        spec = self._spec
        if not spec.augment:
            return images
        rng = generator(spec.seed, "augment", epoch, number)
        images = augment(images, rng, flips=self._flips)
        match spec.augmentation:
            case "cutout":
                rng = generator(spec.seed, "cutout", epoch, number)
                return cutout(images, rng, size=spec.cutout_size, fill=self._mean)
            case "trivial":
                return trivial_augment(images, derive(spec.seed, "trivial", epoch, number))
            case _:
                return images
