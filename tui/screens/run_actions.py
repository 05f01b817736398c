"""The actions on a run: stop, resume, tag, note, delete, export. Shared by several screens."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

from runs.errors import UserError
from runs.launch import is_carried_out, request_stop, start_worker
from runs.store import LIVE, Run
from tui.render.text import clean, megabytes
from tui.run_list.row import Row
from tui.screens.base import AppScreen

EXPORTS = (
    ("m", "Markdown", "markdown", "md"),
    ("l", "LaTeX (booktabs)", "latex", "tex"),
    ("v", "CSV", "csv", "csv"),
    ("j", "JSON", "json", "json"),
)


LISTED = 8
"""Runs that the question before a deletion names."""


class RunActions(AppScreen):
    """A screen whose keys act on one run: the one under the cursor, or the one shown."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "export", "export", id="run.export"),
        Binding("S", "stop", "stop", id="run.stop"),
        Binding("R", "resume", "resume", id="run.resume"),
        Binding("t", "tag", "tags", id="run.tag"),
        Binding("N", "note", "note", show=False, id="run.note"),
        Binding("D", "delete", "delete", id="run.delete"),
    ]

    def offers(self, action: str) -> bool:
        row = self.row
        if row is not None and action == "stop":
            return row.is_live
        if row is not None and action == "resume":
            return not row.is_live and row.state != "completed"
        return True

    @property
    def row(self) -> Row | None:
        """The run that the keys act on."""
        return None

    @property
    def targets(self) -> list[Run]:
        """The runs that an action on several runs takes."""
        return [self._run] if self._run else []

    @property
    def _run(self) -> Run | None:
        return self.state.run(self.row.id) if self.row else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Without a run the keys that need one are off."""
        if action == "delete":
            return bool(self.targets)
        if action in ("stop", "resume", "tag", "note"):
            return self.row is not None
        return True

    def _changed(self, run: Run) -> None:
        self.state.feed.forget(run.id)

    def action_stop(self) -> None:
        from tui.screens.dialogs import Choose

        run = self._run
        if run is None:
            return
        if (state := run.state()) not in LIVE:
            self.tell(f"{run.id} is {state}: there is nothing to stop", "warning")
            return

        def answered(answer: str | None) -> None:
            if answer == "y":
                try:
                    request_stop(run)
                except OSError as error:
                    self.tell(f"{run.id} can't be stopped: {error.strerror}", "error")
                else:
                    self.tell(f"asked {run.id} to stop at its next step")

        named = f"{self._title(run)}  {run.id}"
        question = f"Stop {named}? A training saves a checkpoint first; R resumes it later."
        self.app.push_screen(Choose(question, [("y", "stop it")]), answered)

    def action_resume(self) -> None:
        run = self._run
        if run is None:
            return
        state = run.state()
        if state == "completed":
            self.tell(f"{run.id} is completed: there is nothing to resume", "warning")
            return
        try:
            if state in LIVE and is_carried_out(run):
                self.tell(f"{run.id} is {state} already", "warning")
                return
            self.state.adopt(start_worker(run))
        except OSError as error:
            self.tell(f"{run.id} can't be resumed: {error.strerror}", "error")
            return
        self._changed(run)
        self.tell(f"resuming {run.id}")

    def action_tag(self) -> None:
        from tui.screens.dialogs import Write

        run = self._run
        if run is None:
            return

        def written(text: str | None) -> None:
            if text is not None:
                self._set_meta(run, tags=list(dict.fromkeys(text.replace("#", " ").split())))

        tags = " ".join(clean(tag, 200) for tag in run.meta["tags"])
        self.app.push_screen(
            Write("Tags", tags, "words, separated by blanks; the filter finds tag:…"), written
        )

    def action_note(self) -> None:
        from tui.screens.dialogs import Write

        run = self._run
        if run is None:
            return

        def written(text: str | None) -> None:
            if text is not None:
                self._set_meta(run, note=text.strip())

        note = clean(run.meta.get("note") or "", 10_000)
        self.app.push_screen(Write("Note", note, "what is to be remembered of it"), written)

    def _set_meta(self, run: Run, **fields: object) -> None:
        try:
            run.set_meta(**fields)
        except OSError as error:
            self.tell(f"{run.path} can't be written: {error.strerror}", "error")
        self._changed(run)

    def action_delete(self) -> None:
        from tui.screens.dialogs import Pick

        runs = self.targets
        families = {member.id: member for run in runs for member in self._family(run)}
        live = [member for member in families.values() if member.state() in LIVE]
        if live:
            listed = ", ".join(f"{self._called(member)} is {member.state()}" for member in live[:5])
            self.tell(f"{listed}: stop {'it' if len(live) == 1 else 'them'} first", "warning")
            return
        if not runs:
            return
        several = len(runs) > 1
        whose = "their" if several else "its"
        whole = f"all {len(runs)} runs" if several else "the whole run"
        if len(families) > len(runs):
            whole += f" with {whose} children"
        answers = [("runs", f"delete {whole}")]
        checkpoint_bytes = sum(_size(member.path / "checkpoints") for member in families.values())
        if checkpoint_bytes:
            size = megabytes(checkpoint_bytes)
            answers.insert(0, ("checkpoints", f"delete {whose} checkpoints alone ({size})"))

        def answered(answer: str | None) -> None:
            if answer is not None:
                self._delete(runs, checkpoints_only=answer == "checkpoints")

        question = f"Delete {len(runs)} marked runs?" if several else "Delete this run?"
        about = [f"{self._title(run)}  {run.id}" for run in runs[:LISTED]]
        if (more := len(runs) - LISTED) > 0:
            about.append(f"and {more} more")
        self.app.push_screen(Pick(question, answers, about=about), answered)

    def _title(self, run: Run) -> str:
        row = self.state.feed.rows.get(run.id)
        return clean(row.title if row is not None else run.kind, 36)

    def _called(self, run: Run) -> str:
        """``night (3f9a)``"""
        return f"{self._title(run)} ({run.id[-4:]})"

    def _family(self, run: Run) -> list[Run]:
        return [run, *self.state.store.children(run)]

    def _delete(self, runs: Sequence[Run], *, checkpoints_only: bool) -> None:
        deleted = []
        names = {run.id: self._called(run) for run in runs}  # their rows are gone afterwards
        for run in runs:
            try:
                if run.path.exists():  # a child is deleted with its study
                    self.state.store.delete(run, checkpoints_only=checkpoints_only)
            except UserError as error:
                self.tell(str(error), "error")
            else:
                deleted.append(run)
                self._changed(run)
        if deleted:
            part = "the checkpoints of " if checkpoints_only else ""
            what = names[deleted[0].id] if len(deleted) == 1 else f"{len(deleted)} runs"
            self.tell(f"deleted {part}{what}")
            if not checkpoints_only:
                self.after_delete()

    def after_delete(self) -> None:
        """Called when the run of the screen was deleted."""

    def export_words(self) -> list[str]:
        """The runs of an exported table, named as ``advtui compare`` takes them."""
        return [self.row.id] if self.row else []

    def action_export(self) -> None:
        from tui.screens.dialogs import Choose

        words = self.export_words()
        if not words:
            return

        def answered(answer: str | None) -> None:
            for key, _, format_, suffix in EXPORTS:
                if key == answer:
                    self._export(words, format_, suffix)

        answers = [(key, format_name) for key, format_name, _, _ in EXPORTS]
        self.app.push_screen(
            Choose("Export the comparison table: to a file, and copied.", answers), answered
        )

    def export_text(self, words: list[str], format_: str) -> str:
        """The comparison table of the runs in an export format.

        Raises:
            UserError: the runs have no common table.
        """
        from runs.formats import FORMATS
        from runs.results import compare

        return FORMATS[format_](compare(self.state.store, words))

    def _export(self, words: list[str], format_: str, suffix: str) -> None:
        try:
            text = self.export_text(words, format_)
        except UserError as error:
            self.tell(str(error), "warning")
            return
        name = f"advtui-{'-'.join(word.split(':')[0][-4:] for word in words)[:60]}.{suffix}"
        self.app.copy_to_clipboard(text)
        for folder in (Path.cwd(), self.state.store.home):
            try:
                (folder / name).write_text(text, encoding="utf-8", errors="replace")
            except OSError:
                continue
            self.tell(f"copied, and written to {folder / name}")
            return
        self.tell("copied; no folder could be written", "warning")


def _size(folder: Path) -> int:
    try:
        return sum(entry.stat().st_size for entry in folder.iterdir())
    except OSError:
        return 0
