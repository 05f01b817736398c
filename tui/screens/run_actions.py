"""The keys that act on runs, shared by several screens, and when they have an effect."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.messages import OpenNewRun
from tui.run_list.row import Row
from tui.screens.actions.targets import RunTargets

ON_RUNS = ("export", "attack", "stop", "resume", "tag", "note", "delete")
"""The actions that take all marked runs where there are marks."""


class RunActions(RunTargets):
    """A screen with the keys that act on runs. Each action's module is imported when it is used."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "export", "export", id="run.export"),
        Binding("a", "attack", "attack", id="run.attack"),
        Binding("S", "stop", "stop", id="run.stop"),
        Binding("R", "resume", "resume", id="run.resume"),
        Binding("t", "tag", "tag", id="run.tag"),
        Binding("N", "note", "note", show=False, id="run.note"),
        Binding("D", "delete", "delete", id="run.delete"),
    ]

    def affected(self, action: str) -> Sequence[Row]:
        """The targets on which an action has an effect in their present state."""
        rows = self.target_rows
        match action:
            case "attack":
                return [row for row in rows if row.has_models and not row.is_live and row.is_scored]
            case "stop":
                return [row for row in rows if row.is_live]
            case "resume":
                return [row for row in rows if not row.is_live and row.state != "completed"]
            case "delete":  # refuses where one is live
                return [] if any(row.is_live for row in rows) else rows
            case _:
                return rows

    def offers(self, action: str) -> bool:
        if action == "export":
            return bool(self.export_words())
        return action not in ON_RUNS or bool(self.affected(action))

    def hint_text(self, action: str, description: str) -> str:
        """``stop 3``: with marks the foot says on how many runs a key acts."""
        if action in ON_RUNS and len(self.target_rows) > 1:
            return f"{description} {len(self.affected(action))}"
        return description

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Without a run the keys that need one are off."""
        if action == "export":
            return bool(self.export_words())
        return action not in ON_RUNS or bool(self.target_rows)

    def export_words(self) -> Sequence[str]:
        """The runs of an exported table, named as ``advtui compare`` takes them."""
        return [row.id for row in self.target_rows]

    def export_text(self, words: Sequence[str], format_: str) -> str:
        """The comparison table of the runs in an export format.

        Raises:
            UserError: the runs have no common table.
        """
        from runs.formats import FORMATS
        from runs.results import compare

        return FORMATS[format_](compare(self.state.store, words))

    def action_export(self) -> None:
        from tui.screens.actions.export import export

        export(self, self.export_words(), self.export_text)

    def action_attack(self) -> None:
        """Open the form of an attack run on the targets."""
        self.app.post_message(OpenNewRun([row.id for row in self.target_rows], kind="attack"))

    def action_stop(self) -> None:
        from tui.screens.actions.stop_and_resume import stop

        stop(self)

    def action_resume(self) -> None:
        from tui.screens.actions.stop_and_resume import resume

        resume(self)

    def action_tag(self) -> None:
        from tui.screens.actions.tags_and_notes import edit_tags

        edit_tags(self)

    def action_note(self) -> None:
        from tui.screens.actions.tags_and_notes import edit_note

        edit_note(self)

    def action_delete(self) -> None:
        from tui.screens.actions.deletion import delete

        delete(self)
