"""Which device a run works on, and waiting for one's turn on it."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import torch

from runs.errors import UserError
from runs.locks import FileLock

POLL_S = 0.25


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


def take_turn(
    device: torch.device,
    home: Path,
    *,
    has_to_wait: Callable[[], object],
    check_stop: Callable[[], object],
) -> FileLock:
    """Wait until no other run of this home works on the device; returns the lock, held.

    ``has_to_wait`` is called once if another one does; ``check_stop`` is called while waiting
    and raises to give up.
    """
    which = "cpu"
    if device.type == "cuda":
        which = f"cuda-{torch.cuda.get_device_properties(device).uuid}"
    lock = FileLock(home / "locks" / f"{socket.gethostname()}-{which}.lock")
    if lock.try_acquire():
        return lock
    has_to_wait()
    try:
        while not lock.try_acquire():
            check_stop()
            time.sleep(POLL_S)
    except BaseException:
        lock.release()
        raise
    return lock
