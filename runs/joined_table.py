"""Tables of several evaluations as one: a row for each model, a column for each attack.

Two attacks share a column if their name and their whole threat model are the same; else each has a
column of its own, and a model that was not attacked so has no cell there. Tables of different test
images are not joined. Reads tables as data (see :mod:`runs.result_types`) and counts nothing anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from runs.budgets import format_budget, norm_and_eps
from runs.outcomes import compare_pairs
from runs.result_types import (
    AttackDescription,
    Cell,
    PairedRows,
    Row,
    Table,
    ThreatModel,
)

OF_THE_IMAGES = ("data", "split", "resize", "n")
"""Fields of a threat model that say which test images were evaluated."""
_NO_DIFFERENCE = ("name", "text", "active_set", "epsilons")
"""Fields of an attack that leave its outcome as it is, or that are compared by themselves."""

Identity = tuple[str | None, str]
"""A training with its checkpoint; of a user's own network its evaluation and label."""


class Part(NamedTuple):
    """What one word of a comparison stands for; without a threat model it was not attacked."""

    word: str
    threat_model: ThreatModel | None
    rows: Sequence[Row]


class _Column(NamedTuple):
    """A column's name in the joined table, its attack, and the ε of a curve."""

    name: str
    attack: AttackDescription
    epsilons: Sequence[float] | None


def other_images(left: ThreatModel, right: ThreatModel) -> str | None:
    """The first field in which the test images of two tables differ, with both values."""
    for key in OF_THE_IMAGES:
        ours, others = (
            threat.get(key, "test" if key == "split" else None) for threat in (left, right)
        )
        if ours != others:
            return f"{key} is {_word(ours)} and {_word(others)}"
    return None


def _word(value: object) -> str:
    return "not set" if value is None else str(value)


def join(folder: Path, parts: Sequence[Part], older: Iterable[Table] = ()) -> Table:
    """The parts in one table, their rows in the order of the words; a model stands once.

    Of two cells of a model under the same attack the first stands.

    Args:
        folder: of the runs, for the outcomes of single images.
        parts: at least one with a threat model; all on the same images.
        older: further evaluations, read only where a model lacks a cell. They give the models
            their missing cells, but add no rows and no columns.
    """
    return _Join(folder).of(parts, older)


class _Join:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._columns: list[_Column] = []
        self._rows: dict[Identity, Row] = {}
        self._sources: dict[str, list[tuple[Row, ThreatModel]]] = {}
        """By column: the rows that gave a cell, each with this attack alone and its own name."""
        self._is_mixed = False
        """Whether a row has cells of several evaluations."""

    def of(self, parts: Sequence[Part], older: Iterable[Table]) -> Table:
        for part in parts:
            self._add(part.rows, part.threat_model)
        threats = [part.threat_model for part in parts if part.threat_model is not None]
        if self._has_gaps():
            for table in older:
                if other_images(threats[0], table["threat_model"]) is None:
                    self._fill(table["rows"], table["threat_model"])
        threat = self._threat_model(threats)
        joined: Table = {"threat_model": threat, "rows": list(self._rows.values())}
        joined["paired"] = self._pairs(joined)
        if notes := [*_seed_notes(parts), *self._gap_notes()]:
            joined["notes"] = notes
        return joined

    def _add(self, rows: Sequence[Row], threat: ThreatModel | None) -> None:
        for row in rows:
            own = self._rows.setdefault(identity(row), {**row, "attacks": {}})
            if "corruptions" in row:
                own.setdefault("corruptions", row["corruptions"])
            if threat is not None:
                for name, cells in row["attacks"].items():
                    column = self._column(name, threat) or self._new_column(name, threat)
                    self._enter(own, column, row, name, cells, threat)

    def _fill(self, rows: Sequence[Row], threat: ThreatModel) -> None:
        for row in rows:
            own = self._rows.get(identity(row))
            for name, cells in row["attacks"].items():
                column = self._column(name, threat)
                if own is not None and own["attacks"] and column is not None:
                    self._enter(own, column, row, name, cells, threat)

    def _enter(
        self,
        own: Row,
        column: _Column,
        source: Row,
        name: str,
        cells: list[Cell],
        threat: ThreatModel,
    ) -> None:
        if column.name not in own["attacks"]:
            own["attacks"][column.name] = cells
            self._is_mixed |= own.get("evaluation") != source.get("evaluation")
            alone: Row = {**source, "attacks": {name: cells}}
            self._sources.setdefault(column.name, []).append((alone, threat))

    def _column(self, name: str, threat: ThreatModel) -> _Column | None:
        attack, epsilons = _described(name, threat), threat.get("epsilons")
        for column in self._columns:
            if not differences(column, _Column(name, attack, epsilons)):
                return column
        return None

    def _new_column(self, name: str, threat: ThreatModel) -> _Column:
        attack, epsilons = _described(name, threat), threat.get("epsilons")
        new = _Column(name, attack, epsilons)
        taken = [column.name for column in self._columns]
        alike = [column for column in self._columns if column.attack["name"] == name]
        if alike:
            unique = f"{name} ({', '.join(differences(alike[0], new)[1:])})"
            number = 2
            while unique in taken:
                unique, number = f"{name} ({number})", number + 1
            new = new._replace(name=unique)
        self._columns.append(new)
        return new

    def _has_gaps(self) -> bool:
        return any(len(row["attacks"]) < len(self._columns) for row in self._rows.values())

    def _gap_notes(self) -> list[str]:
        rows = self._rows.values()
        notes = []
        if without := [row["model"] for row in rows if not row["attacks"]]:
            notes.append(f"not attacked yet: {', '.join(without)}")
        if any(0 < len(row["attacks"]) < len(self._columns) for row in rows):
            notes.append("–: the model was not attacked in this way")
        return notes

    @property
    def _is_uniform(self) -> bool:
        """Whether all columns have the name and the ε of every evaluation."""
        same_eps = all(column.epsilons == self._columns[0].epsilons for column in self._columns)
        return same_eps and all(column.name == column.attack["name"] for column in self._columns)

    def _threat_model(self, threats: Sequence[ThreatModel]) -> ThreatModel:
        joined = threats[0].copy()
        if any(threat.get("seed") != joined.get("seed") for threat in threats):
            joined.pop("seed", None)
        known = {attack["name"]: attack for attack in joined["attacks"]}
        if not self._is_uniform:
            joined.pop("epsilons", None)
        for column in self._columns:
            attack = column.attack.copy()
            attack["name"] = column.name
            if column.epsilons and "epsilons" not in joined:
                attack["epsilons"] = list(column.epsilons)
            known[column.name] = attack
        joined["attacks"] = [attack for attack in known.values() if "text" in attack]
        return joined

    def _pairs(self, joined: Table) -> list[PairedRows]:
        if self._is_uniform and not self._is_mixed:
            return compare_pairs(self._folder, joined)
        pairs: list[PairedRows] = []
        for column, sources in self._sources.items():
            rows = [row for row, _ in sources]
            (name,) = rows[0]["attacks"]
            for pair in compare_pairs(self._folder, {"threat_model": sources[0][1], "rows": rows}):
                attack = column + pair["attack"].removeprefix(name)
                pairs.append({**pair, "attack": attack})
        return pairs


def identity(row: Row) -> Identity:
    """What a row is about; a user's own network is identified by its label in its evaluation."""
    return (row.get("run") or row.get("evaluation"), row.get("checkpoint") or row["model"])


def _described(name: str, threat: ThreatModel) -> AttackDescription:
    """The attack of a threat model; of one that it does not describe only the name is known."""
    for attack in threat["attacks"]:
        if attack["name"] == name:
            return attack
    return cast(AttackDescription, {"name": name, "targets": None})


def differences(left: _Column, right: _Column) -> list[str]:
    """In what the second attack differs, in words; [] where both belong in one column.

    The first word is the field. A field that only one of them has is no difference: it belongs to
    another version of advtui.
    """
    ours: Mapping[str, Any] = left.attack
    others: Mapping[str, Any] = right.attack
    if ours["name"] != others["name"]:
        return ["name", others["name"]]
    keys = [key for key in others if key in ours and key not in _NO_DIFFERENCE]
    different = [key for key in keys if ours[key] != others[key]]
    words = []
    if {"norm", "eps"} & set(different):
        words.append(norm_and_eps(others.get("norm"), others["eps"]))
    words += [_words(key, others[key]) for key in different if key not in ("norm", "eps")]
    if left.epsilons != right.epsilons:
        levels = right.epsilons or ()
        words.append(f"ε {', '.join(map(format_budget, levels))}" if levels else "one ε")
        different.append("epsilons")
    return [different[0], *words] if different else []


def _words(key: str, value: Any) -> str:
    """``50 steps``, ``step size 1/255``, ``targets next``."""
    if key in ("steps", "restarts"):
        return f"{value} {key}"
    if key == "step_size":
        value = format_budget(value)
    return f"{key.replace('_', ' ')} {value}"


def _seed_notes(parts: Sequence[Part]) -> list[str]:
    """Which word was evaluated with which seed, where they differ."""
    words: dict[int | None, list[str]] = {}
    for part in parts:
        if part.threat_model is not None:
            named = words.setdefault(part.threat_model.get("seed"), [])
            if part.word not in named:
                named.append(part.word)
    if len(words) < 2:
        return []
    listed = "; ".join(f"seed {seed}: {', '.join(named)}" for seed, named in words.items())
    return [f"evaluated with different seeds, on the same images: {listed}"]
