"""The signals of a worker: which of them ask it to stop. Imports nothing slow."""

import signal

STOP_SIGNALS = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGUSR1,  # Slurm's warnings before the end of a job's time, by its --signal
    signal.SIGUSR2,
)


def hold_signals() -> None:
    """Ignore SIGHUP for good, and keep :data:`STOP_SIGNALS` waiting until they are released.

    The children of a worker ignore SIGHUP too.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def release_signals() -> None:
    """Deliver the stop signals that have come, and those that will."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
