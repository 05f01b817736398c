"""Which precision is fast on which hardware."""

import pytest
import torch

from engine.devices import autocast_dtype

CPU = torch.device("cpu")


@pytest.mark.parametrize("instructions", ["_is_amx_tile_supported", "_is_avx512_bf16_supported"])
def test_a_cpu_with_instructions_for_bf16_is_given_it(
    monkeypatch: pytest.MonkeyPatch, instructions: str
) -> None:
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name == instructions, raising=False)
    assert autocast_dtype("auto", CPU) is torch.bfloat16
    assert autocast_dtype("fp32", CPU) is None


def test_a_cpu_without_is_given_fp32_unless_asked_for_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert autocast_dtype("auto", CPU) is None
    assert autocast_dtype("bf16", CPU) is torch.bfloat16
