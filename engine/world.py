"""The processes of one run on several devices, one for each, and what they agree on.

Each is called a rank. Rank 0 is the run's worker; :mod:`engine.process.ranks` starts the others.
All functions but those of one process alone must be called by all ranks in the same order. The
module knows nothing about models and runs.
"""

import datetime
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed
from torch.distributed import PrefixStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from engine.devices import resolve
from engine.process.ranks import Place, started_by_launcher
from runs.errors import UserError

PATIENCE = datetime.timedelta(minutes=10)
"""How long a rank of a training waits for the others in a step; a dead one is noticed at once."""
MEETING = datetime.timedelta(days=7)
"""How long ranks wait for rank 0 to begin: it may wait for its devices."""
_ERROR, _DONE = "advtui/error", "advtui/done"
T = TypeVar("T")


class World:
    """All ranks of a run; a run in one process has rank 0 of 1 and talks to nobody."""

    def __init__(
        self,
        rank: int = 0,
        size: int = 1,
        local_size: int = 1,
        store: Any = None,
        control: Any = None,
    ) -> None:
        self.rank = rank
        self.size = size
        self.local_size = local_size
        """Number of ranks on this machine."""
        self._store = store
        self._control = control

    def __deepcopy__(self, memo: object) -> "World":
        """Itself: an average of a module's weights copies the module."""
        return self

    def share(self, batch: Tensor) -> Tensor:
        """This rank's images of a batch (N, …): every ``size``-th, from the rank's own place on."""
        return batch if self.size == 1 else batch[self.rank :: self.size]

    def add_up(self, values: Tensor) -> Tensor:
        """The sum of ``values`` over all ranks, in place."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    @torch.no_grad()
    def average(self, tensors: Iterable[Tensor | None]) -> None:
        """Replace each tensor by its mean over all ranks, in one exchange."""
        present = [tensor for tensor in tensors if tensor is not None]
        if self.size == 1 or not present:
            return
        together = torch.cat([tensor.reshape(-1) for tensor in present])
        distributed.all_reduce(together)
        together /= self.size
        parts = together.split([tensor.numel() for tensor in present])  # type: ignore[no-untyped-call]
        means = [part.view(tensor.shape) for part, tensor in zip(parts, present, strict=True)]
        torch._foreach_copy_(present, means)

    def highest(self, number: int) -> int:
        """The highest number of any rank. No rank waits for its device."""
        if self.size == 1:
            return number
        value = torch.tensor(number)
        distributed.all_reduce(value, distributed.ReduceOp.MAX, group=self._control)
        return int(value)

    def any(self, flag: bool) -> bool:
        """Whether a flag is true on any rank."""
        return self.highest(flag) > 0

    def gathered(self, value: T) -> list[T]:
        """The values of all ranks, in their order. No rank waits for its device."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value, group=self._control)
        return values

    def agreed(self, value: T) -> T:
        """The value of rank 0."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0, group=self._control)
        return values[0]

    def wait_for_rank_0(self) -> None:
        """On rank 0: say that all work is done. On others: wait until it is, however long."""
        if self._store is None:
            return
        if self.rank == 0:
            self._store.set(_DONE, "")
        else:
            self._store.wait([_DONE], MEETING)

    def tell_error(self, message: str) -> None:
        """Tell rank 0 why this rank ends; of several errors it hears the first."""
        if self._store is not None:
            told = {"rank": self.rank, "message": message}
            self._store.compare_set(_ERROR, "", json.dumps(told))

    def heard_error(self) -> str | None:
        """Why another rank has ended: ``rank 1: out of memory``; None where none has said so."""
        if self._store is None or not self._store.check([_ERROR]):
            return None
        told = json.loads(self._store.get(_ERROR))
        return None if told["rank"] == self.rank else f"rank {told['rank']}: {told['message']}"


ALONE = World()
"""The world of a training in one process."""


@contextmanager
def joined(
    place: Place, device: torch.device, patience: datetime.timedelta = PATIENCE
) -> Iterator[World]:
    """Meet the other ranks; leave when all have done their work.

    The addresses are those of torchrun's variables.

    Args:
        place: of this process.
        device: of this process.
        patience: how long a rank waits for what the others have to say.
    """
    meeting: Any = rendezvous("env://", place.rank, place.size, timeout=MEETING)
    store, rank, size = next(meeting)
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(
        backend,
        store=PrefixStore("group", store),
        rank=rank,
        world_size=size,
        timeout=PATIENCE,
        device_id=device if device.type == "cuda" else None,
    )
    # Of its own, and of the CPU: what ranks agree on must not wait for their devices.
    control = distributed.new_group(backend="gloo", timeout=patience)
    told = PrefixStore("world", store.clone())
    yield World(rank, size, place.local_size, told, control)
    distributed.destroy_process_group()  # after an error it could wait for a rank that is no more


def rank_devices(name: str, place: Place) -> list[torch.device]:
    """The devices of the ranks of this machine, for a spec's ``auto``, ``cpu`` or ``cuda``.

    On a CPU ranks that this machine has started for one run share its cores, and this process takes
    its part; those of a launcher have the threads that it gave them.

    Raises:
        UserError: there are fewer GPUs than ranks.
    """
    first = resolve(name)
    if first.type == "cpu":
        if not started_by_launcher(os.environ):
            torch.set_num_threads(max(1, torch.get_num_threads() // place.local_size))
        return [first] * place.local_size
    count = torch.cuda.device_count()
    if count < place.local_size:
        raise UserError(
            f"devices {place.size}: {place.local_size} CUDA GPUs are asked of this machine, and "
            f"torch sees {count}"
        )
    return [torch.device("cuda", number) for number in range(place.local_size)]
