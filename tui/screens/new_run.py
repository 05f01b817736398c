"""The form of a new run. It makes the specs of the command line and shows the same errors."""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Input

from runs.errors import UserError
from runs.presets import describe
from runs.spec import AttackSpec
from tui.messages import OpenRun
from tui.render.lines import Line, wrapped
from tui.render.text import clean
from tui.screens.base import AppScreen
from tui.screens.new_run_form import (
    FIELDS,
    RECIPES,
    STANDARD_ATTACKS,
    AnySpec,
    Request,
    default_text,
    help_line,
    is_asked,
)
from tui.shared_state import SharedState
from tui.spec_from_flags import default_preset
from tui.widgets.form import Choice, Field
from tui.widgets.line_view import LineView
from tui.widgets.panel import set_title


class NewRunScreen(AppScreen):
    """The form of a new run: its fields, the command that it stands for, and its errors."""

    HELP_TITLE = "New run"
    FOOT = ("start", "copy", "turn", "choose")
    MOUSE = (
        ("click", "a field: write in it"),
        ("click", "‹ or ›: the choice before, the next"),
        ("click", "a choice: choose it or not"),
        *AppScreen.MOUSE,
    )
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

    def __init__(
        self, state: SharedState, run_ids: Sequence[str] = (), kind: str = "study"
    ) -> None:
        """``run_ids`` are offered to an attack run; ``kind`` is the kind shown first."""
        super().__init__(state)
        self._run_ids = list(run_ids)
        self._kind = kind
        self._spec: AnySpec | None = None
        self._problem = ""
        self._starting = False
        self._at_first: dict[str, str] = {}

    def body(self) -> Iterable[Widget]:
        values = {
            "what": self._kind,
            "preset": default_preset().name,
            "models": " ".join(self._attackable()),
            "attacks": " ".join(STANDARD_ATTACKS),
        }
        fields = [
            Field(
                field.key,
                field.label,
                field.help,
                options=field.options,
                value=values.get(field.key, ""),
                several=field.several,
            )
            for field in FIELDS
        ]
        form = VerticalScroll(*fields, id="form", can_focus=False)
        help_lines, summary = LineView(self._help, id="help"), LineView(self._summary, id="summary")
        for panel, title in ((form, "fields"), (help_lines, "help"), (summary, "command")):
            panel.add_class("panel")
            set_title(panel, title)
            yield panel

    def _attackable(self) -> list[str]:
        rows = self.state.feed.rows
        return [i for i in self._run_ids if i in rows and rows[i].has_models]

    def head(self) -> tuple[Text, Text]:
        return Text("New run", f"bold {self.palette.accent}"), Text("", self.palette.dim)

    def on_mount(self) -> None:
        self._changed()
        self._field("what").entry.focus()
        self._at_first = self._values()

    def offers(self, action: str) -> bool:
        """Only a request without a problem can be started."""
        return action != "start" or (self._spec is not None and not self._starting)

    def on_descendant_focus(self) -> None:
        self.query_one("#help", LineView).redraw()

    def _values(self) -> dict[str, str]:
        return {field.key: self._field(field.key).value for field in FIELDS}

    def _field(self, key: str) -> Field:
        return self.query_one(f"#field-{key}", Field)

    # What is filled in

    def request(self) -> Request:
        """What the form asks for."""
        return Request.of(self._values())

    def _changed(self) -> None:
        values = self._values()
        request = Request.of(values)
        for field in FIELDS:
            self._field(field.key).display = is_asked(field, values)
        recipe = self._field("recipe").entry
        if isinstance(recipe, Choice):
            is_baseline = request.what == "train" and request.mode == "baseline"
            recipe.set_options(("",) if is_baseline else RECIPES)
            request = self.request()
        self._spec, self._problem = None, ""
        try:
            self._spec = request.spec(self.state.store)
        except UserError as error:
            self._problem = str(error)
        base = self._base(request)
        for field in FIELDS:
            text = default_text(base, field.key) if base is not None else ""
            self._field(field.key).set_default(clean(text, 60))
        for view in ("#help", "#summary"):
            self.query_one(view, LineView).redraw()
        self.redraw_frame()

    def _base(self, request: Request) -> AnySpec | None:
        """The spec whose values the empty fields show: without what is written in any field.

        Models of different threat models have one only with what is written. None where there is
        neither: no field then shows the value of another model.
        """
        for asked in (replace(request, flags={}, sets=()), request):
            with contextlib.suppress(UserError):  # the summary says what is wrong
                return asked.spec(self.state.store)
        return None

    def _help(self, width: int) -> Iterable[Line]:
        """The help of the field at the cursor."""
        for field in FIELDS:
            entry = self._field(field.key).entry
            if entry.has_focus:
                at = entry.at if isinstance(entry, Choice) else ""
                line = Text.assemble(
                    (f"{field.label}  ", self.palette.accent),
                    (help_line(field, at), self.palette.text),
                )
                yield from wrapped(line, width)[:2]

    def _summary(self, width: int) -> Iterable[Line]:
        """The command, and either what is wrong with it or what it does."""
        palette = self.palette
        request = self.request()
        command = Text(clean(request.command(), 2000), palette.accent)
        yield from wrapped(command, width, indent=4)[:2]
        if self._problem:
            yield from wrapped(Text(clean(self._problem, 600), palette.bad), width)
        elif self._starting:
            yield Text("checking the data, then starting …", palette.text)
        elif self._spec is not None:
            is_attack = request.what == "attack"
            text = self._attack_summary() if is_attack else describe(request.preset)
            yield from wrapped(Text(text, palette.text), width)
            yield Text("ctrl+s starts it", palette.dim)

    def _attack_summary(self) -> str:
        assert isinstance(self._spec, AttackSpec)
        rows = ", ".join(reference.label for reference in self._spec.references)
        attacks = "; ".join(dict.fromkeys(attack.describe() for attack in self._spec.attacks))
        return clean(f"{rows}: {attacks}", 400)

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

    def action_back(self) -> None:
        """Escape: leave the form; ask first if anything but the kind of run was filled in."""
        from tui.screens.dialogs import Pick

        values = {**self._values(), "what": ""}
        if values == {**self._at_first, "what": ""}:
            self.dismiss()
            return

        def answered(answer: str | None) -> None:
            if answer is not None:
                self.dismiss()

        question = "Throw away what was filled in?"
        answers = [("discard", "throw it away")]
        self.app.push_screen(Pick(question, answers, cancel="keep editing"), answered)

    def action_field(self, by: int) -> None:
        if by > 0:
            self.focus_next()
        else:
            self.focus_previous()

    def action_copy(self) -> None:
        self.copy(self.request().command(), "the command")

    def action_start(self) -> None:
        self._changed()  # the message of the last key may still be on its way
        if self._spec is None:
            self.tell(self._problem or "nothing to start yet", "warning")
        elif not self._starting:
            self._starting = True
            self.query_one("#summary", LineView).redraw()
            self.run_worker(self._start(self._spec, self.request().tags))

    async def _start(self, spec: AnySpec, tags: Sequence[str]) -> None:
        """Start the run and open it; the check of the data takes seconds, so it has a thread."""
        from runs.launch import begin

        try:
            run, worker = await asyncio.to_thread(begin, self.state.store, spec, tags)
        except (UserError, OSError) as error:
            self._problem = str(error)
            self.tell(str(error), "error")
            return
        finally:
            self._starting = False
            if self.is_ready:
                self.query_one("#summary", LineView).redraw()
        self.state.adopt(worker)
        if self.is_current:
            self.dismiss()
            self.app.post_message(OpenRun(run.id))
