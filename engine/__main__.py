"""The process of a worker: ``python -P -m engine RUN_DIR`` carries out the spec of a run.

Its first lines see to the signals, because the imports behind :mod:`engine.attempt` take a while.
"""

import sys

from engine.process.signals import hold_signals


def main() -> int:
    """Carry out the run that the command line names; return the exit code."""
    hold_signals()
    from engine.attempt import carry_out_attempt

    return carry_out_attempt(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
