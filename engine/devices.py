"""The device that a run works on: choice, name, precision, speed, synchronisation."""

import os
import time
from pathlib import Path

import torch

from runs.errors import UserError

MATRIX = {"cuda": 8192, "cpu": 1024}
"""Side of the matrix product that stands for the hardware's rate."""


def resolve(wish: str) -> torch.device:
    """``auto``, ``cpu``, ``cuda`` or ``cuda:N`` as a device that is there.

    ``auto`` and ``cuda`` take the GPU with the least memory in use.

    Raises:
        UserError: the device is not there; the message says what is.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wish == "cpu" or (wish == "auto" and count == 0):
        return torch.device("cpu")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    hidden = f" (CUDA_VISIBLE_DEVICES={visible})" if visible is not None else ""
    if count == 0:
        raise UserError(f"device {wish}: torch sees no CUDA GPU here{hidden}; use --device cpu")
    # What is called fp32 is: by default convolutions round their factors to TF32's ten bits.
    torch.backends.cudnn.allow_tf32 = False
    if wish in ("auto", "cuda"):
        return torch.device("cuda", min(range(count), key=_memory_used))
    number = int(wish.partition(":")[2])
    if number >= count:
        there = ", ".join(f"cuda:{n}" for n in range(count))
        raise UserError(f"device {wish} is not there{hidden}: torch sees {there}")
    return torch.device("cuda", number)


def _memory_used(number: int) -> int:
    free, total = torch.cuda.mem_get_info(number)
    return total - free


def describe(device: torch.device) -> str:
    """``NVIDIA H100`` or the processor's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return "CPU"


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """bfloat16 where asked for or, with ``auto``, where the hardware is fast at it; else None.

    float16 is never used: it underflows input gradients to 0.
    """
    if precision == "fp32":
        return None
    if precision == "bf16" or _has_bf16(device):
        return torch.bfloat16
    return None


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # A CPU without these instructions computes in bf16 too, but no faster than in fp32; with those
    # of AVX-512 1.4 to 2.0 times as fast (both measured, width 16 and 64).
    return any(
        getattr(torch.cpu, name, lambda: False)()
        for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    )


def lock_name(device: torch.device) -> str:
    """The name under which runs of a home lock a device: ``cpu``, or a GPU by its UUID."""
    if device.type == "cuda":
        return f"cuda-{torch.cuda.get_device_properties(device).uuid}"
    return "cpu"


def matmul_rate(device: torch.device, dtype: torch.dtype, seconds: float = 0.3) -> float:
    """FLOP/s of a large matrix product: what the hardware reaches at its best in practice."""
    side = MATRIX[device.type]
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(left)
    turns: list[float] = []
    began = time.monotonic()
    while not turns or time.monotonic() - began < seconds:
        synchronize(device)
        start = time.perf_counter()
        torch.mm(left, right, out=out)
        synchronize(device)
        turns.append(time.perf_counter() - start)
    return 2 * side**3 / min(turns)


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has done all work that was queued on it; a CPU has nothing to wait for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
