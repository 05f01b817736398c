"""Which precision is fast on which hardware."""

from collections.abc import Iterator

import pytest
import torch

from engine import devices
from engine.devices import autocast_dtype, matmul_rate

CPU = torch.device("cpu")
AMX, AVX512 = "_is_amx_tile_supported", "_is_avx512_bf16_supported"


@pytest.fixture(autouse=True)
def not_measured_yet() -> Iterator[None]:
    devices._is_cpu_faster_in_bf16.cache_clear()
    yield
    devices._is_cpu_faster_in_bf16.cache_clear()


def a_cpu_with(monkeypatch: pytest.MonkeyPatch, *instructions: str, bf16: float = 0.0) -> None:
    """Let the CPU have these instructions, and bf16 products ``bf16`` times as fast as fp32's."""
    for name in (AMX, AVX512):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name in instructions, raising=False)
    rates = {torch.float32: 1e11, torch.bfloat16: bf16 * 1e11}
    monkeypatch.setattr(devices, "matmul_rate", lambda _, dtype, **__: rates[dtype])


def test_a_cpu_with_amx_is_given_bf16_without_a_measurement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a_cpu_with(monkeypatch, AMX)
    assert autocast_dtype("auto", CPU) is torch.bfloat16
    assert autocast_dtype("fp32", CPU) is None


@pytest.mark.parametrize(("gain", "given"), [(2.0, torch.bfloat16), (1.1, None), (0.5, None)])
def test_a_cpu_with_avx512_bf16_is_given_bf16_where_it_is_faster(
    monkeypatch: pytest.MonkeyPatch, gain: float, given: torch.dtype | None
) -> None:
    """An Intel Xeon whose AMX a hypervisor hides halves its rate in bf16."""
    a_cpu_with(monkeypatch, AVX512, bf16=gain)
    assert autocast_dtype("auto", CPU) is given


def test_a_cpu_without_is_given_fp32_unless_asked_for_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (AMX, AVX512):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert autocast_dtype("auto", CPU) is None
    assert autocast_dtype("bf16", CPU) is torch.bfloat16


def test_measuring_leaves_the_random_state() -> None:
    before = torch.get_rng_state()
    assert matmul_rate(CPU, torch.bfloat16, seconds=0.01) > 0
    assert torch.equal(before, torch.get_rng_state())
