"""BatchNorm over the images of all ranks of a training.

PyTorch's own SyncBatchNorm works on GPUs alone; this one works on CPUs. The module knows nothing
about runs.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn


class SyncBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm whose statistics in train mode are those of the batches of all ranks together.

    All ranks must have batches of the same size. In eval mode, and with one rank, it is
    :class:`torch.nn.BatchNorm2d`.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or not distributed.is_initialized():
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        normalised: Tensor
        mean: Tensor
        variance: Tensor
        normalised, mean, variance = _Normalise.apply(input, self.weight, self.bias, self.eps)
        count = _count(input)
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / max(count - 1, 1), self.momentum)
        return normalised


class _Normalise(torch.autograd.Function):
    """Normalise by mean and variance over all ranks, and then scale and shift.

    An exchange in each direction: of the moments, and of the two sums in the gradient of a
    normalisation (Ioffe & Szegedy 2015, section 3).
    """

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        # PyTorch's kernel has the moments of a batch in a tenth of var_mean's time; with eps 0 it
        # gives 1 / σ.
        _, own_mean, inverse = torch.native_batch_norm(
            images, weight, bias, None, None, training=True, momentum=0.0, eps=0.0
        )
        own = torch.stack([inverse.square().reciprocal(), own_mean])
        of_all = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
        distributed.all_gather(of_all, own)
        variances, means = torch.stack(of_all).unbind(1)
        mean = means.mean(dim=0)
        variance = (variances + (means - mean).square()).mean(dim=0)
        ctx.save_for_backward(images, weight, mean, variance)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        normalised = F.batch_norm(images, mean, variance, weight, bias, training=False, eps=eps)
        return normalised, mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor, None]:
        images, weight, mean, variance = ctx.saved_tensors
        # With given statistics PyTorch's kernel has both sums in one pass.
        _, to_weight, to_bias = torch.ops.aten.native_batch_norm_backward(
            *(gradient, images, weight, mean, variance, None, None, False, ctx.eps),
            [False, True, True],
        )
        of_all = torch.stack([to_bias, to_weight])
        distributed.all_reduce(of_all)
        shift, slope = of_all / _count(images)
        # weight / σ · (gradient − shift − slope · (image − mean) / σ), as a sum of two products
        inverse = torch.rsqrt(variance + ctx.eps)
        of_gradient = weight * inverse
        of_image = -of_gradient * inverse * slope
        constant = -of_gradient * shift - of_image * mean
        to_images = torch.addcmul(_channels(constant), _wide(gradient), _channels(of_gradient))
        to_images.addcmul_(_wide(images), _channels(of_image))
        return to_images.to(images.dtype), to_weight.to(weight), to_bias.to(weight), None


def _count(images: Tensor) -> int:
    """Of all ranks together: the values behind a channel's statistics."""
    return images.numel() // images.shape[1] * distributed.get_world_size()


def _wide(values: Tensor) -> Tensor:
    """In float32 at least: sums in bfloat16 lose small terms."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _channels(values: Tensor) -> Tensor:
    """One value for each channel, (C,), as (1, C, 1, 1)."""
    return values.view(1, -1, 1, 1)


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
