"""Recognises errors that mean: there is no memory left, on a GPU or on the machine.

PyTorch has a class for a GPU alone. On a CPU its allocator and oneDNN raise a ``RuntimeError``.
"""

_WORDS = (
    "alloc_cpu.cpp",  # [enforce fail at alloc_cpu.cpp:127] … Error code 12 (Cannot allocate memory)
    "can't allocate memory",
    "not enough memory",
    "Cannot allocate memory",
    "could not create a primitive",  # oneDNN, of a convolution
    "bad_alloc",
    "STATUS_ALLOC_FAILED",  # cuDNN and cuBLAS
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` was raised for want of memory."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)
