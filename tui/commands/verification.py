"""What ``advtui verify`` prints."""

from collections.abc import Sequence

import typer

from runs.errors import EXIT_FAILED
from runs.store import Run, Store
from runs.verification import Verification, verify_all
from tui.commands.plain_output import print_json
from tui.render.text import clean


def print_verification(store: Store, runs: Sequence[Run], *, as_json: bool) -> None:
    """Verify runs and the children of studies; print a line for each, or JSON.

    Raises:
        UserError: a run is at work.
        typer.Exit: something differs.
    """
    found = verify_all(store, runs)
    if as_json:
        print_json([_as_data(one) for one in found])
    else:
        for one in found:
            for line in _lines(one):
                print(clean(line, 1000))
    if not all(one.is_sound for one in found):
        raise typer.Exit(EXIT_FAILED)


def _lines(found: Verification) -> list[str]:
    agreed = ", ".join(found.checked) or "nothing to compare"
    lines = [f"{found.run}  {'sound' if found.is_sound else 'NOT SOUND; what agrees'}: {agreed}"]
    lines += [f"  differs: {problem}" for problem in found.problems]
    return lines + [f"  not checked: {what}" for what in found.unchecked]


def _as_data(found: Verification) -> dict[str, object]:
    return {
        "run": found.run,
        "sound": found.is_sound,
        "problems": found.problems,
        "checked": found.checked,
        "unchecked": found.unchecked,
    }
