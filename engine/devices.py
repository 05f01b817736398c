"""The device that a run works on: choice, name, precision, speed, synchronisation.

Knows nothing about runs, models and data.
"""

import os
import time
from functools import cache
from pathlib import Path

import torch

from runs.errors import UserError

MATRIX_SIDE = {"cuda": 8192, "cpu": 1024}
"""Rows and columns of the matrices whose product :func:`matmul_rate` times."""
BF16_GAIN = 1.25
"""How much faster a CPU's matrix products must be in bf16 for ``auto`` to compute in it."""


def resolve(name: str) -> torch.device:
    """The device for ``auto``, ``cpu``, ``cuda`` or ``cuda:N``: the first of :func:`candidates`.

    Raises:
        UserError: there is no such device; the message lists the devices there are.
    """
    return candidates(name)[0]


def candidates(name: str) -> list[torch.device]:
    """The devices that ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` may stand for, the best first.

    ``auto`` and ``cuda`` stand for every GPU, that with the least memory in use first; ``auto``
    stands for the CPU where there is no GPU. For a GPU, TF32 is switched off in convolutions.

    Raises:
        UserError: there is no such device; the message lists the devices there are.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and count == 0):
        return [torch.device("cpu")]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    hidden = f" (CUDA_VISIBLE_DEVICES={visible})" if visible is not None else ""
    if count == 0:
        raise UserError(f"device {name}: torch sees no CUDA GPU here{hidden}; use --device cpu")
    # fp32 means float32: by default cuDNN's convolutions round their factors to TF32's ten bits.
    torch.backends.cudnn.allow_tf32 = False
    if name in ("auto", "cuda"):
        return [torch.device("cuda", n) for n in sorted(range(count), key=_memory_used)]
    number = int(name.partition(":")[2])
    if number >= count:
        devices = ", ".join(f"cuda:{n}" for n in range(count))
        raise UserError(f"there is no device {name}{hidden}; use --device with one of {devices}")
    return [torch.device("cuda", number)]


def _memory_used(number: int) -> int:
    free, total = torch.cuda.mem_get_info(number)
    return total - free


def describe(device: torch.device) -> str:
    """The name of the device, e.g. ``NVIDIA H100``; ``CPU`` where a processor has no known name."""
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
    """The dtype of autocast for a precision; None: no autocast, all is computed in float32.

    ``bf16`` gives bfloat16, ``fp32`` None, ``auto`` bfloat16 where the hardware is fast at it.
    float16 is never used: input gradients underflow to 0 in it.
    """
    if precision == "fp32":
        return None
    if precision == "bf16" or _has_bf16(device):
        return torch.bfloat16
    return None


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return _is_cpu_faster_in_bf16()


@cache
def _is_cpu_faster_in_bf16() -> bool:
    """Whether a CPU gains from bf16: with AMX always; with AVX512_BF16 alone, where it measures so.

    Without these instructions no CPU is faster in bf16 than in fp32. With those of AVX-512 an AMD
    EPYC is 1.4 to 2.0 times as fast; an Intel Xeon whose AMX a hypervisor hides is 0.7 times as
    fast (attack passes at width 16 and 64), and half as fast in matrix products.
    """
    if _cpu_has("_is_amx_tile_supported"):
        return True
    if not _cpu_has("_is_avx512_bf16_supported"):
        return False
    fp32, bf16 = (
        matmul_rate(torch.device("cpu"), dtype, seconds=0.05)
        for dtype in (torch.float32, torch.bfloat16)
    )
    return bf16 > BF16_GAIN * fp32


def _cpu_has(instructions: str) -> bool:
    """Whether torch's test of that name, where this version has it, finds the instructions."""
    return bool(getattr(torch.cpu, instructions, lambda: False)())


def lock_name(device: torch.device) -> str:
    """The name of a device's lock in a home: ``cpu``, or ``cuda-`` and the UUID of the GPU."""
    if device.type == "cuda":
        return f"cuda-{torch.cuda.get_device_properties(device).uuid}"
    return "cpu"


def take_cpu_slot(number: int, slots: int) -> None:
    """Let this process compute on its part of the cores: the ``number``-th of ``slots``, from 0."""
    if hasattr(os, "sched_setaffinity"):  # Linux
        cores = sorted(os.sched_getaffinity(0))
        own = cores[number * len(cores) // slots : (number + 1) * len(cores) // slots]
        if own:
            os.sched_setaffinity(0, own)
    torch.set_num_threads(max(1, torch.get_num_threads() // slots))


def matmul_rate(device: torch.device, dtype: torch.dtype, seconds: float = 0.3) -> float:
    """FLOP/s of a large matrix product: the highest rate that the hardware reaches in practice.

    The fastest product within ``seconds`` counts. The global random state stays as it is.
    """
    side = MATRIX_SIDE[device.type]
    generator = torch.Generator(device).manual_seed(0)
    left, right = (
        torch.randn(side, side, device=device, generator=generator).to(dtype) for _ in range(2)
    )
    out = torch.empty_like(left)
    durations: list[float] = []
    began = time.monotonic()
    while not durations or time.monotonic() - began < seconds:
        synchronize(device)
        start = time.perf_counter()
        torch.mm(left, right, out=out)
        synchronize(device)
        durations.append(time.perf_counter() - start)
    return 2 * side**3 / min(durations)


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has finished all queued work; on a CPU, return at once."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
