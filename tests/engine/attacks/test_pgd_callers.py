"""PGD inside the gradient modes and the Lightning hooks that call it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from attacked_network import (
    COUNT,
    aimed,
    batch,
    every_keep,
    network,
    own_rngs,
    rng,
    spec,
)
from engine.attacks.pgd import pgd
from model_state import assert_as_found, snapshot

# --- where it is called from -----------------------------------------------------------------


@contextmanager
def inside_a_graph() -> Iterator[None]:
    weight = torch.ones(3, requires_grad=True)
    loss = weight.square().sum()
    yield
    loss.backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [2, 2, 2]


@every_keep
@aimed
@pytest.mark.parametrize("random_start", [False, True])
@pytest.mark.parametrize("craft_mode", ["eval", "train"])
@pytest.mark.parametrize(
    "context",
    [torch.no_grad, torch.inference_mode, inside_a_graph],
    ids=["no_grad", "inference_mode", "inside a graph"],
)
def test_the_caller_may_be_in_any_gradient_mode(
    keep: Any,
    targeted: bool,
    random_start: bool,
    craft_mode: str,
    context: Callable[[], AbstractContextManager[None]],
) -> None:
    results = []
    for around in (nullcontext, context):
        images, labels, aims = batch()
        net = network().train()
        setting = spec("linf", craft_mode=craft_mode, random_start=random_start)
        torch.manual_seed(7)  # for dropout in train mode
        with around():
            # Tensors born in inference mode are special: autograd may not save them.
            born = images.clone(), labels.clone(), aims.clone()
            modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
            found = pgd(
                net,
                born[0],
                born[1],
                setting,
                targets=born[2] if targeted else None,
                generator=rng(),
                keep=keep,
            )
            assert modes == (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
        results.append(found.clone())
        assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert torch.equal(*results)


class Attacking(pl.LightningModule):
    """A module that attacks in its validation step."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()
        self.found: list[Tensor] = []
        self.before: list[dict[str, Any]] = []

    def training_step(self, part: list[Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        return nn.functional.cross_entropy(self.net(part[0]), part[1])

    def validation_step(self, part: list[Tensor], batch_idx: int) -> None:  # noqa: ARG002
        before = snapshot(self.net)
        self.found.append(
            pgd(self.net, part[0], part[1], spec("linf"), generator=own_rngs(part[2].tolist()))
        )
        assert_as_found(before, snapshot(self.net))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


@pytest.mark.parametrize("inference_mode", [False, True])
@pytest.mark.parametrize("through", ["validate", "fit"])
@pytest.mark.filterwarnings("ignore:.*num_workers.*", "ignore:.*logging interval.*")
def test_it_works_in_a_lightning_validation_step(
    tmp_path: Any, inference_mode: bool, through: str
) -> None:
    images, labels, _ = batch()
    data = torch.utils.data.TensorDataset(images, labels, torch.arange(COUNT))
    loader = torch.utils.data.DataLoader(data, batch_size=8)
    module = Attacking()
    if through == "fit":
        module.train()
        module.net.norm.momentum = 0.0  # the training epoch leaves the statistics alone
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        inference_mode=inference_mode,
        default_root_dir=tmp_path,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    if through == "validate":
        trainer.validate(module, loader, verbose=False)
    else:
        trainer.fit(module, loader, loader)
    expected = pgd(network(), images, labels, spec("linf"), generator=own_rngs())
    torch.testing.assert_close(torch.cat(module.found), expected, rtol=0, atol=1e-9)
