"""The process of a worker: ``python -P -m engine RUN_DIR`` carries out the spec of a run.

Its first lines see to the signals, because the imports behind :mod:`engine.attempt` take a while.
"""

import os
import sys

from engine.process.signals import hold_signals


def main() -> int:
    """Carry out the run that the command line names; return the exit code."""
    hold_signals()
    from engine.process.ranks import take_srun_place
    from engine.process.supervisor import retries_wanted, supervise
    from runs.permissions import protect_files

    protect_files()
    take_srun_place(os.environ)
    arguments = sys.argv[1:]
    if retries_wanted(arguments):
        return supervise(arguments)
    from engine.attempt import carry_out_attempt

    return carry_out_attempt(arguments)


if __name__ == "__main__":
    code = main()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # Python would exit with 120 in place of our code
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
    if "WORLD_SIZE" in os.environ:  # torch's threads abort at the exit when another rank has died
        os._exit(code)
    sys.exit(code)
