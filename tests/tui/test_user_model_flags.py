"""The flags that name a user's own network and its scale."""

from pathlib import Path

import pytest

from own_network import saved
from runs.errors import UserError
from tui.user_model_flags import own_model, scale


def test_the_row_of_an_own_model(nets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(nets.parent)
    made = own_model("a.b:make", saved(nets, "plain"), "cifar10", "cifar100")
    assert made.folder == str(nets.parent)
    assert made.label == "make (w)"
    assert made.mean == (0.4914, 0.4822, 0.4465)
    assert own_model("a.b:make", None, None, "cifar100").std is None


@pytest.mark.parametrize("factory", ["a.b", "a.b:", ":make", "a/b:make", "a.b:make()", "1a:b"])
def test_a_factory_is_a_module_and_a_name(factory: str) -> None:
    with pytest.raises(UserError, match=r"write package\.module:factory"):
        own_model(factory, None, None, "cifar100")


def test_scales() -> None:
    assert scale("0.5,0.4,0.3:0.1,0.2,0.3", "digits") == ((0.5, 0.4, 0.3), (0.1, 0.2, 0.3))
    assert scale("data", "digits") == ((0.305,) * 3, (0.324,) * 3)
    assert scale("imagenet", "digits")[0] == (0.485, 0.456, 0.406)
    for wrong in ("0.5", "a,b,c:d,e,f", "0.5,0.5:1,1", "0.5,0.5,0.5", "", "1,1,1:1,1,1:1,1,1"):
        with pytest.raises(UserError, match="write mean and std of the three channels"):
            scale(wrong, "digits")
    with pytest.raises(UserError, match="has no usual mean and std"):
        scale("data", "/some/folder")
    with pytest.raises(UserError, match="std must be above 0"):
        own_model("a:b", None, "0,0,0:1,0,1", "digits")
