"""BatchNorm over the images of all ranks of a training.

PyTorch's own SyncBatchNorm works on GPUs alone; this one works on CPUs. The module knows nothing
about runs.
"""

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce


class SyncBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm whose statistics in train mode are those of the batches of all ranks together.

    All ranks must have batches of the same size. In eval mode, and with one rank, it is
    :class:`torch.nn.BatchNorm2d`. Mean and variance take an exchange each, so that the variance is
    computed from deviations from the common mean, as in one process.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or not distributed.is_initialized():
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        images = input.to(torch.promote_types(input.dtype, torch.float32))
        count = images.numel() // images.shape[1] * distributed.get_world_size()
        mean = _over_all(images.sum(dim=(0, 2, 3))) / count
        centred = images - mean.view(1, -1, 1, 1)
        variance = _over_all(centred.square().sum(dim=(0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / max(count - 1, 1), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(input.dtype)


def _over_all(values: Tensor) -> Tensor:
    """The sum over all ranks; its gradient is summed over all ranks too."""
    total: Tensor = all_reduce(values)  # type: ignore[no-untyped-call]
    return total


def synchronise(network: nn.Module, device: torch.device) -> None:
    """Replace each BatchNorm2d of the network by one over all ranks, for a training on a device.

    On a GPU that is PyTorch's own, whose kernels are fused. Names and values of parameters and
    buffers stay.
    """
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return
    for module in network.modules():
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                new = SyncBatchNorm2d(child.num_features, child.eps, child.momentum)
                new.load_state_dict(child.state_dict())
                setattr(module, name, new.to(child.weight))
