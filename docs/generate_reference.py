"""Write the reference tables of the manual from the code.

    python docs/generate_reference.py            write docs/reference/generated/*.md
    python docs/generate_reference.py --check    exit 1 and name every file that is stale

The same code gives the same files: no dates, no versions, no machine. Each file is a part of a page
of the manual, which includes it. The tables themselves are made by ``docs/reference_tables/``.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference" / "generated"
sys.path.insert(0, str(ROOT / "docs"))
if __name__ == "__main__":  # the checkout's packages, also beside an older installed copy
    sys.path.insert(0, str(ROOT))

from reference_tables import checks, commands, events, fields, keys, named  # noqa: E402

from runs import slurm_options, spec, threat_model  # noqa: E402

PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands.command_parts,
    "fields-train.md": lambda: fields.field_tables(spec.TrainSpec),
    "fields-attack.md": lambda: fields.field_tables(
        spec.AttackSpec, threat_model.Attack, spec.CheckpointRef, spec.ModelRef
    ),
    "fields-study.md": lambda: fields.field_tables(spec.StudySpec),
    "fields-sweep.md": lambda: fields.field_tables(spec.SweepSpec),
    "fields-slurm.md": lambda: fields.field_tables(slurm_options.Slurm),
    "fields-pgd.md": lambda: fields.field_tables(threat_model.PGD),
    "presets.md": named.preset_tables,
    "attacks.md": named.attack_table,
    "recipes.md": named.recipe_table,
    "keys.md": keys.key_tables,
    "checks.md": checks.check_table,
    "events.md": events.event_tables,
}


def made() -> dict[str, str]:
    """The text of every file, by name."""
    return {name: make() for name, make in PAGES.items()}


def stale(folder: Path, pages: Mapping[str, str]) -> dict[str, str | None]:
    """Files of ``folder`` that are missing or out of date, with their new text; with None those
    that are not among ``pages``."""
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    changed: dict[str, str | None] = {name: None for name in there if name not in pages}
    changed.update({name: new for name, new in pages.items() if there.get(name) != new})
    return dict(sorted(changed.items()))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Write the reference tables of the manual.")
    parser.add_argument("--check", action="store_true", help="Write nothing; name stale files.")
    only_check = parser.parse_args(arguments).check
    FOLDER.mkdir(parents=True, exist_ok=True)
    changed = stale(FOLDER, made())
    for name, new in changed.items():
        path = FOLDER / name
        shown = path.relative_to(ROOT)
        if only_check:
            print(f"{shown} is stale: run python docs/generate_reference.py")
        elif new is None:
            path.unlink()
            print(f"{shown} removed")
        else:
            path.write_text(new, encoding="utf-8")
            print(f"{shown} written")
    return 1 if only_check and changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
