"""A new run: a form over the same specs as the command line, with the same sentences."""

import asyncio
import contextlib
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Input

from runs.attacks import named_attack
from runs.budgets import format_budget
from runs.errors import UserError
from runs.overrides import OF_ROBUST
from runs.presets import NAMES, describe
from runs.spec import ROBUST_RECIPES, AttackSpec, Job, StudySpec, TrainSpec
from runs.threat_model import PGD
from tui.render.lines import Line, wrapped
from tui.render.text import clean
from tui.screens.base import AppScreen
from tui.spec_from_flags import attack_spec, has_gpu, study_spec, train_spec
from tui.widgets.form import Choice, Field
from tui.widgets.line_view import LineView

AnySpec = TrainSpec | AttackSpec | StudySpec
TRAINED = ("study", "train")
RECIPES = ("", *ROBUST_RECIPES)
EVERY = ("study", "train", "attack")


@dataclass(frozen=True)
class Entry:
    """A field of the form: for which kinds of run, and what it is filled with."""

    key: str
    label: str
    told: str
    kinds: Sequence[str] = EVERY
    options: Sequence[str] | None = None


LINES = (
    Entry("what", "kind of run", "study: all of it", options=EVERY),
    Entry("preset", "preset", "", TRAINED, NAMES),
    Entry("mode", "mode", "adversarial, or plain", ("train",), ("robust", "baseline")),
    Entry("models", "models", "ids, names, @1, RUN:best_robust", ("attack",)),
    Entry("attacks", "attacks", "", ("attack",), ("both", "pgd-untargeted", "pgd-targeted")),
    Entry(
        *("targets", "targets", "of the targeted attack", ("attack",)),
        options=("", "random", "least-likely", "next", "runner-up"),
    ),
    Entry("name", "name", "free text"),
    Entry("tags", "tags", "words"),
    Entry("data", "data", "", TRAINED, ("", "cifar100", "cifar10", "digits")),
    Entry("data_dir", "data folder", "empty: in the home, downloaded"),
    Entry("recipe", "recipe", "of the robust training", TRAINED, RECIPES),
    Entry("awp", "AWP", "perturb the weights too", TRAINED, ("", "yes")),
    Entry("activation", "activation", "silu: smooth", TRAINED, ("", "relu", "silu")),
    Entry("width", "model width", "of the ResNet-18; 64: full", TRAINED),
    Entry("epochs", "epochs", "", TRAINED),
    Entry("batch_size", "batch size", "images a training step", TRAINED),
    Entry("lr", "learning rate", "at its peak", TRAINED),
    Entry("norm", "norm", "of the perturbation", options=("", "linf", "l2")),
    Entry("eps", "ε", "budget, in pixels of [0, 1]"),
    Entry("step_size", "step size", "follows ε by itself"),
    Entry("steps", "steps", "of PGD"),
    Entry("restarts", "restarts", "random starts"),
    Entry("loss", "attack loss", "cross-entropy, margin, DLR", options=("", "ce", "margin", "dlr")),
    Entry("limit", "test images", "evaluate so many only", ("study", "attack")),
    Entry("seed", "seed", ""),
    Entry("device", "device", "auto, cpu, cuda or cuda:N"),
    Entry("threads", "CPU threads", "empty: all cores"),
    Entry("sets", "other fields", "FIELD=VALUE …, e.g. patience=5"),
)
_NO_FLAGS = ("what", "preset", "mode", "models", "attacks", "targets", "tags", "sets")


@dataclass(frozen=True)
class Request:
    """What the form stands for: a kind of run, and the command line's own words."""

    what: str
    preset: str
    mode: str
    models: Sequence[str]
    attacks: str
    targets: str
    tags: Sequence[str]
    sets: Sequence[str]
    flags: dict[str, str]

    def command(self) -> str:
        """The ``advtui`` command that asks for the same."""
        words = ["advtui", self.what]
        if self.what == "attack":
            words += self.models
            if self.attacks != "both":
                words += ["--attack", self.attacks]
            if self.targets:
                words += ["--targets", self.targets]
        else:
            words += ["--preset", self.preset]
        if self.what == "train":
            words += ["--mode", self.mode]
        for key, value in self.flags.items():
            words += [f"--{key.replace('_', '-')}", *([] if key == "awp" else [value])]
        for item in self.sets:
            words += ["--set", item]
        for tag in self.tags:
            words += ["--tag", tag]
        return shlex.join(words)


class NewRunScreen(AppScreen):
    """The form."""

    HELP_TITLE = "New run"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", id="new.back"),
        Binding("ctrl+s", "start", "start", priority=True, id="new.start"),
        # Before the form's own scrolling, hence priority.
        Binding("down", "field(1)", "next field", show=False, priority=True, id="new.next-field"),
        Binding(
            "up", "field(-1)", "field before", show=False, priority=True, id="new.field-before"
        ),
        Binding("ctrl+y", "copy", "copy command", priority=True, id="new.copy"),
    ]

    def __init__(self, runs: Sequence[str] = (), what: str = "study") -> None:
        super().__init__()
        self._runs = list(runs)
        self._what = what
        self._spec: AnySpec | None = None
        self._problem = ""
        self._starting = False

    def body(self) -> Iterable[Widget]:
        values = {
            "what": self._what,
            "preset": "poster" if has_gpu() else "demo",
            "models": " ".join(self._attackable()),
        }
        fields = [
            Field(
                line.key,
                line.label,
                line.told,
                options=line.options,
                value=values.get(line.key, ""),
            )
            for line in LINES
        ]
        yield VerticalScroll(*fields, id="form", can_focus=False)
        yield LineView(self._said, id="said")

    def _attackable(self) -> list[str]:
        rows = self.house.feed.rows
        return [i for i in self._runs if i in rows and rows[i].kind in TRAINED]

    def head(self) -> tuple[Text, Text]:
        return Text("New run", f"bold {self.palette.accent}"), Text("", self.palette.dim)

    def on_mount(self) -> None:
        self._changed()
        self._field("what").entry.focus()

    def _field(self, key: str) -> Field:
        return self.query_one(f"#field-{key}", Field)

    # What was filled in

    def request(self) -> Request:
        """What the form says."""
        value = {line.key: self._field(line.key).value for line in LINES}
        what = value["what"]
        flags = {
            line.key: value[line.key]
            for line in LINES
            if what in line.kinds and line.key not in _NO_FLAGS and value[line.key]
        }
        if "data_dir" in flags:
            flags["data_dir"] = str(Path(flags["data_dir"]).expanduser().absolute())
        return Request(
            what=what,
            preset=value["preset"],
            mode=value["mode"],
            models=value["models"].split(),
            attacks=value["attacks"],
            targets=value["targets"],
            tags=value["tags"].replace("#", " ").split(),
            sets=_words(value["sets"]),
            flags=flags,
        )

    def _spec_of(self, asked: Request) -> AnySpec:
        flags: dict[str, Any] = dict(asked.flags)
        if asked.what == "attack":
            attacks = None if asked.attacks == "both" else [asked.attacks]
            return attack_spec(
                self.house.store,
                asked.models,
                attacks,
                asked.targets or None,
                None,
                None,
                asked.sets,
                flags,
            )
        if asked.what == "train":
            return train_spec(asked.mode, asked.preset, None, asked.sets, flags)
        return study_spec(asked.preset, None, asked.sets, flags)

    def _changed(self) -> None:
        asked = self.request()
        for line in LINES:
            self._field(line.key).display = asked.what in line.kinds
        recipe = self._field("recipe").entry
        if isinstance(recipe, Choice):
            plain = asked.what == "train" and asked.mode == "baseline"
            recipe.set_options(("",) if plain else RECIPES)
            asked = self.request()
        self._spec, self._problem = None, ""
        try:
            self._spec = self._spec_of(asked)
        except UserError as error:
            self._problem = str(error)
        with contextlib.suppress(UserError):  # told above, where it is still wrong
            base = self._spec_of(replace(asked, flags={}, sets=()))
            for line in LINES:
                self._field(line.key).set_default(clean(default_of(base, line.key), 60))
        self.query_one("#said", LineView).redraw()

    def _said(self, width: int) -> Iterable[Line]:
        palette = self.palette
        asked = self.request()
        yield from wrapped(Text(clean(asked.command(), 2000), palette.accent), width, indent=4)[:2]
        if self._problem:
            yield from wrapped(Text(clean(self._problem, 600), palette.bad), width)
        elif self._starting:
            yield Text("checking the data, then starting …", palette.text)
        elif self._spec is not None:
            told = describe(asked.preset) if asked.what != "attack" else self._attack_told()
            yield from wrapped(Text(told, palette.text), width)
            yield Text("ctrl+s starts it", palette.dim)

    def _attack_told(self) -> str:
        assert isinstance(self._spec, AttackSpec)
        rows = ", ".join(reference.label for reference in self._spec.references)
        return clean(f"{rows}: {self._spec.attacks[0].describe()}", 400)

    def on_choice_changed(self) -> None:
        self._changed()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_mounted:
            self._changed()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_field(1)

    # Keys

    def action_field(self, by: int) -> None:
        if by > 0:
            self.focus_next()
        else:
            self.focus_previous()

    def action_copy(self) -> None:
        self.house.copy(self.request().command(), "the command")

    def action_start(self) -> None:
        self._changed()  # the last key may not have reached it yet
        if self._spec is None:
            self.house.tell(self._problem or "nothing to start yet", "warning")
        elif not self._starting:
            self._starting = True
            self.query_one("#said", LineView).redraw()
            self.run_worker(self._start(self._spec, self.request().tags))

    async def _start(self, spec: AnySpec, tags: Sequence[str]) -> None:
        """Check the data in a thread (CIFAR's MD5s take a while), start, go to the run."""
        from runs.launch import begin

        try:
            run, worker = await asyncio.to_thread(begin, self.house.store, spec, tags)
        except (UserError, OSError) as error:
            self._problem = str(error)
            self.house.tell(str(error), "error")
            return
        finally:
            self._starting = False
            if self.is_ready:
                self.query_one("#said", LineView).redraw()
        self.house.adopt(worker)
        if self.is_current:
            self.dismiss()
            self.house.open_run(run.id)


def _words(text: str) -> list[str]:
    """As a shell has them; as they stand while a quotation is not closed."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def default_of(spec: AnySpec, key: str) -> str:
    """What the spec says where the form says nothing."""
    if key == "awp":
        trained = spec.robust if isinstance(spec, StudySpec) else spec
        return "yes" if getattr(trained, "awp_gamma", 0) else "no"
    found: list[Any] = []
    if key in PGD.model_fields:
        found = [getattr(pgd, key) for pgd in _pgds(spec)]
    elif isinstance(spec, StudySpec) and key not in Job.model_fields:
        parts = (spec.robust,) if key in OF_ROBUST else (spec.baseline, spec.robust)
        found = [getattr(part, key) for part in parts if hasattr(part, key)]
        found = found or [getattr(spec.attack, key, None)]
    elif key == "targets" and isinstance(spec, AttackSpec):
        found = [attack.targets for attack in spec.attacks if attack.targets]
    elif key in type(spec).model_fields:
        found = [getattr(spec, key)]
    unique = list(dict.fromkeys(found))
    if key in ("eps", "step_size"):
        unique = [format_budget(value) for value in unique]
    told = " / ".join("" if value is None else str(value) for value in unique)
    return told or {"limit": "all", "threads": "all cores", "name": ""}.get(key, "")


def _pgds(spec: AnySpec) -> list[PGD]:
    if isinstance(spec, TrainSpec):
        return [named_attack("fgsm", spec.attack).pgd if spec.recipe == "fast" else spec.attack]
    attacks = spec.attack.attacks if isinstance(spec, StudySpec) else spec.attacks
    return [attack.pgd for attack in attacks]
