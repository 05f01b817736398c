"""Edit what a person adds to runs: tags and a note."""

from collections.abc import Sequence

from runs.store import Run
from tui.render.text import clean
from tui.run_list.tag_edit import TagEdit, common, tag_words
from tui.screens.actions.targets import RunTargets, count
from tui.screens.dialogs import Write


def edit_tags(screen: RunTargets) -> None:
    """Ask for the tags of the target; of several targets, for tags to add and to remove."""
    runs = screen.targets
    if not runs:
        return
    tags = [[clean(tag, 200) for tag in run.meta["tags"]] for run in runs]
    if len(runs) == 1:
        hint = "words, separated by blanks; the filter finds tag:…"
        dialog = Write("Tags", " ".join(tags[0]), hint)
    else:
        hint = "+word or a plain word adds a tag, -word removes it"
        shared = " ".join(f"#{tag}" for tag in common(tags))
        dialog = Write(f"Tags of {count(runs)}", "", f"{hint}\nall have {shared or 'no tag'}")

    def written(text: str | None) -> None:
        if text is None:
            return
        if len(runs) == 1:
            _, problems = screen.each(runs, lambda run: run.set_meta(tags=tag_words(text)))
            screen.tell_done("", problems)
        elif edit := TagEdit.of(text):
            _change_tags(screen, runs, edit)

    screen.app.push_screen(dialog, written)


def _change_tags(screen: RunTargets, runs: Sequence[Run], edit: TagEdit) -> None:
    changing = [run for run in runs if edit.applied(run.meta["tags"]) != run.meta["tags"]]
    done, problems = screen.each(
        changing, lambda run: run.set_meta(tags=edit.applied(run.meta["tags"]))
    )
    screen.tell_done(f"{edit}: changed the tags of {len(done)} of {count(runs)}", problems)


def edit_note(screen: RunTargets) -> None:
    """Ask for the note of the target; of several targets, for what is added to their notes."""
    runs = screen.targets
    if not runs:
        return
    if len(runs) == 1:
        note = clean(runs[0].meta.get("note") or "", 10_000)
        dialog = Write("Note", note, "what is to be remembered of it")
    else:
        dialog = Write(f"Note of {count(runs)}", "", "is added to the note of each")

    def written(text: str | None) -> None:
        if text is None:
            return
        new = text.strip()
        if len(runs) == 1:
            _, problems = screen.each(runs, lambda run: run.set_meta(note=new))
            screen.tell_done("", problems)
        elif new:
            done, problems = screen.each(runs, lambda run: _add_note(run, new))
            screen.tell_done(f"added to the note of {count(done)}", problems)

    screen.app.push_screen(dialog, written)


def _add_note(run: Run, text: str) -> None:
    before = run.meta.get("note")
    run.set_meta(note=f"{before}; {text}" if before else text)
