"""How many GPUs a process sees, asked without torch."""

import os


def visible_gpus() -> int:
    """The number of NVIDIA GPUs that CUDA_VISIBLE_DEVICES does not hide; 0 without a driver.

    torch may see none of them, if it was built without CUDA.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible in ("", "-1"):
        return 0
    import pynvml

    try:
        pynvml.nvmlInit()
        count = int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return 0
    return count if visible is None else min(count, len(visible.split(",")))
