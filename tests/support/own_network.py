"""A user's own network and its weights, written to disk."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from runs.spec import ModelRef

CODE = """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.Linear(192, 10))

    def forward(self, images):
        return self.layers(images)

def make():
    return Small()

def broken():
    raise RuntimeError("no such luck")

def nothing():
    return 3

def pair():
    class Two(Small):
        def forward(self, images):
            return super().forward(images), 1
    return Two()

ready = make()

def scripted():
    return torch.jit.script(make().eval())

def traced():
    return torch.jit.trace(make().eval(), torch.rand(2, 3, 32, 32))

def frozen():
    return torch.jit.freeze(scripted())

def partly_scripted():
    return nn.Sequential(nn.Identity(), scripted())

def double():
    class Double(Small):
        def forward(self, images):
            return super().forward(images.float()).double()
    return Double()

def squeezed():
    class Squeezed(Small):
        def forward(self, images):
            return super().forward(images).squeeze()
    return Squeezed()

def even():
    class Even(Small):
        def forward(self, images):
            assert len(images) % 2 == 0, "even batches only"
            return super().forward(images)
    return Even()

def on_a_gpu():
    class OnAGpu(Small):
        def forward(self, images):
            raise RuntimeError("Found no NVIDIA driver on your system")
    return OnAGpu()

def sized(num_classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.Linear(192, num_classes))

def normed(classes):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.GELU(), nn.AdaptiveAvgPool2d(4),
        nn.Flatten(), nn.Linear(64, classes),
    )

def mapped():
    class Mapped(Small):
        def forward(self, images):
            return {"logits": super().forward(images)}
    return Mapped()

def probable():
    return nn.Sequential(make(), nn.Softmax(dim=1))

def two_in_training():
    class Auxiliary(Small):
        def forward(self, images):
            logits = super().forward(images)
            return (logits, logits) if self.training else logits
    return Auxiliary()

def still():
    return nn.Sequential(nn.AdaptiveAvgPool2d((1, 4)), nn.Flatten(), nn.Upsample(10))

def ours():
    from engine.models.resnet import resnet18
    return resnet18(10, 8, (0.305,) * 3, (0.324,) * 3)
"""


def write_package(folder: Path) -> Path:
    """A package with the module ``small`` in it, of a name that no other test imports."""
    package = folder / f"code{abs(hash(str(folder)))}"
    package.mkdir()
    (package / "small.py").write_text(CODE, encoding="utf-8")
    return package


def ref(nets: Path, name: str = "make", **more: object) -> ModelRef:
    fields = {"factory": f"{nets.name}.small:{name}", "folder": str(nets.parent), "label": "own"}
    return ModelRef.model_validate({**fields, **more})


def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return {"layers.2.weight": torch.randn(10, 192), "layers.2.bias": torch.randn(10)}


def saved(folder: Path, how: str) -> Path:
    state = weights()
    path = folder / ("w.safetensors" if how == "safetensors" else "w.pt")
    if how == "safetensors":
        save_file(state, path)
    elif how == "plain":
        torch.save(state, path)
    elif how == "parallel":
        torch.save({f"module.{name}": value for name, value in state.items()}, path)
    elif how == "lightning":
        whole = {f"model.net.{name}": value for name, value in state.items()}
        torch.save({"state_dict": whole, "epoch": 3, "optimizer_states": [{"lr": 0.1}]}, path)
    elif how == "ema":
        torch.save({"model": state, "step": 7}, path)
    return path
