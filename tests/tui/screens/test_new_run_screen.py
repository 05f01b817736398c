"""The form of a new run: its command, its sentences, its start."""

import json
from typing import Any

import pytest
from rich.cells import cell_len
from textual.widgets import Input

from runs.spec import AttackSpec, StudySpec
from runs.store import Run, Store
from screen_driver import Home, Screen, covers, in_loop, opened
from tui.screens.new_run import NewRunScreen
from tui.screens.new_run_form import FIELDS, KINDS, help_line
from tui.widgets.form import Choice
from tui.widgets.line_view import LineView


def line(form: NewRunScreen, key: str) -> Input:
    """The field of the form that one writes in."""
    entry = form._field(key).entry
    assert isinstance(entry, Input)
    return entry


@covers("form.next-choice", "form.choice-before", "new.next-field", "new.field-before")
async def test_the_form_shows_the_command(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await screen.press("n")
        form = screen.app.screen
        assert isinstance(form, NewRunScreen)
        await screen.press("form.next-choice")
        assert form.request().what == "train"
        await screen.press("form.choice-before")
        assert form.request().what == "study"
        await screen.press("new.next-field")
        assert form._field("preset").entry.has_focus
        await screen.press("new.field-before")
        assert form._field("what").entry.has_focus
        line(form, "name").value = "two words"
        line(form, "eps").value = "4/255"
        await screen.settle()
        assert "advtui study --preset cpu --name 'two words' --eps 4/255" in screen.text
    return screen


def test_every_help_fits_beside_its_value_in_80_columns() -> None:
    assert {field.key: field.help for field in FIELDS if cell_len(field.help) > 32} == {}


@in_loop
async def test_the_form_takes_every_field_of_a_spec(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await screen.press("n")
        form = screen.app.screen
        assert isinstance(form, NewRunScreen)
        for key, value in (("preset", "strong"), ("awp", "yes"), ("activation", "relu")):
            choice = form._field(key).entry
            assert isinstance(choice, Choice)
            choice.set_options([value])
        line(form, "sets").value = "patience=5 augmentation=cutout 'robust.attack.loss=dlr"
        await screen.settle()
        line(form, "sets").value += "'"
        await screen.settle()
        told = (
            "advtui study --preset strong --awp --activation relu --set patience=5 --set "
            "augmentation=cutout --set robust.attack.loss=dlr"
        )
        assert told in screen.words
        asked = form.request().spec(screen.app.state.store)
        assert isinstance(asked, StudySpec)
        assert (asked.robust.patience, asked.robust.awp_gamma) == (5, 0.01)  # the preset's own γ
        assert (asked.baseline.patience, asked.baseline.awp_gamma) == (None, 0)
        assert asked.baseline.augmentation == asked.robust.augmentation == "cutout"
        assert (asked.robust.attack.loss, asked.robust.activation) == ("dlr", "relu")
        line(form, "sets").value = "patients=5"
        await screen.settle()
        assert "unknown field 'patients'; did you mean 'patience'?" in screen.text


@in_loop
async def test_the_form_speaks_the_sentences_of_the_command_line(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await screen.press("n")
        form = screen.app.screen
        assert isinstance(form, NewRunScreen)
        for key, value, sentence in (
            ("eps", "8", "8/255 was probably meant"),
            ("eps", "abc", "is not a number"),
            ("epochs", "-3", "epochs"),
            ("device", "gpu", "auto, cpu, cuda, cuda:N"),
        ):
            line(form, key).value = value
            await screen.settle()
            assert sentence in " ".join(screen.text.split()), (key, value)
            await screen.press("ctrl+s")
            assert screen.name == "NewRunScreen"
            line(form, key).value = ""


@pytest.mark.parametrize(
    ("filled", "command"),
    [
        ({"what": "study", "preset": "cpu"}, "advtui study --preset cpu"),
        (
            {"what": "train", "preset": "demo", "mode": "baseline", "epochs": "3", "tags": "a b"},
            "advtui train --preset demo --mode baseline --epochs 3 --tag a --tag b",
        ),
        (
            {"what": "train", "preset": "demo", "recipe": "mixed", "norm": "l2", "seed": "7"},
            "advtui train --preset demo --mode robust --recipe mixed --norm l2 --seed 7",
        ),
    ],
)
def test_the_command_asks_for_the_same_spec(
    fixed: Home, filled: dict[str, str], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that the form shows, given to the real command line, makes the form's spec."""
    import asyncio
    import shlex

    from tui import cli
    from tui.commands import follow, multi_seed

    asked: list[Any] = []
    specs: list[Any] = []

    async def fill() -> None:
        async with opened(fixed.path) as screen:
            await screen.press("n")
            form = screen.app.screen
            assert isinstance(form, NewRunScreen)
            for key, value in filled.items():
                entry = form._field(key).entry
                if isinstance(entry, Choice):
                    entry._value = value
                    form._changed()
                else:
                    entry.value = value
            await screen.settle()
            specs.append(form._spec)
            assert form.request().command() == command

    asyncio.run(fill())
    for module in (follow, multi_seed):  # an attack goes through the one, the others through both
        monkeypatch.setattr(module, "start_and_follow", lambda spec, *_, **__: asked.append(spec))
    cli.app(shlex.split(command)[1:], standalone_mode=False)
    assert asked == specs


@covers("new.start", "new.copy")
async def test_start_lands_on_the_run(fixed: Home, monkeypatch: pytest.MonkeyPatch) -> Screen:
    begun: list[tuple[Any, Any]] = []

    class Worker:
        def poll(self) -> int:
            return 0

    def begin(store: Store, spec: Any, tags: Any) -> tuple[Run, Worker]:
        begun.append((spec, tags))
        return store.create(spec), Worker()

    monkeypatch.setattr("runs.launch.begin", begin)
    async with opened(fixed.path) as screen:
        await screen.press("n", "new.copy")
        assert screen.app.clipboard == "advtui study --preset cpu"
        await screen.press("new.start")
        await screen.pilot.pause(0.2)
        await screen.settle()
        assert screen.name == "RunDetailScreen"
        assert begun[0][0].kind == "study"
        assert len(begun) == 1
    return screen


def with_checkpoints(fixed: Home, what: str) -> str:
    """The id of a training whose best checkpoints exist now."""
    kept = fixed.run(what).path / "checkpoints"
    kept.mkdir()
    for name in ("best_clean", "best_robust", "last"):
        (kept / f"{name}.ckpt").touch()
    return fixed.ids[what]


def placeholder(form: NewRunScreen, key: str) -> str:
    return line(form, key).placeholder


@in_loop
async def test_an_attack_shows_the_models_own_threat_model(fixed: Home) -> None:
    path = fixed.run("robust").path / "spec.json"
    spec = json.loads(path.read_text())
    spec["validation"] |= {"norm": "l2", "eps": 0.5, "step_size": 0.1}
    path.write_text(json.dumps(spec))
    l2, linf = with_checkpoints(fixed, "robust"), with_checkpoints(fixed, "interrupted")
    async with opened(fixed.path) as screen:
        screen.app.open_new_run([l2], "attack")
        await screen.settle()
        form = screen.app.screen
        assert isinstance(form, NewRunScreen)
        assert (placeholder(form, "eps"), placeholder(form, "steps")) == ("0.5", "20")
        line(form, "models").value = linf[-4:]
        await screen.settle()
        assert placeholder(form, "eps") == "8/255"
        line(form, "models").value = f"{linf} {l2}"
        await screen.settle()
        assert "different threat models" in screen.text
        assert placeholder(form, "eps") == ""
        line(form, "eps").value = "4/255"
        choice = form._field("norm").entry
        assert isinstance(choice, Choice)
        choice.focus()
        await screen.press("right")
        assert form._problem == ""
        assert placeholder(form, "restarts") == "1"


@covers("form.choose")
async def test_any_attacks_can_be_chosen_also_several(fixed: Home) -> Screen:
    run_id = with_checkpoints(fixed, "robust")
    async with opened(fixed.path) as screen:
        screen.app.open_new_run([run_id], "attack")
        await screen.settle()
        form = screen.app.screen
        assert isinstance(form, NewRunScreen)
        assert form.request().command() == f"advtui attack {run_id}"
        form._field("attacks").entry.focus()
        await screen.settle()
        await screen.press("form.choose", "left", "form.choose", "right", "right", "form.choose")
        assert form.request().command() == f"advtui attack {run_id} --attack autoattack"
        await screen.press("left", "left", "form.choose")  # the last stays
        assert form.request().attacks == ["autoattack"]
        await screen.press("left", "left", "form.choose")
        command = f"advtui attack {run_id} --attack apgd-dlr --attack autoattack"
        assert form.request().command() == command
        assert isinstance(form._spec, AttackSpec)
        assert [attack.name for attack in form._spec.attacks] == ["apgd-dlr", "autoattack"]
        assert "Auto-PGD, 100 steps, DLR loss" in screen.text  # the help of the attack shown
    return screen


@in_loop
async def test_escape_asks_before_it_throws_away_what_was_typed(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await screen.press("n", "right", "escape")
        assert screen.name == "RunListScreen"  # nothing was filled in
        await screen.press("n")
        form = screen.app.screen
        assert isinstance(form, NewRunScreen)
        line(form, "name").value = "night"
        await screen.press("escape")
        assert "Throw away what was filled in?" in screen.text
        await screen.press("enter")
        assert screen.name == "NewRunScreen"
        assert line(form, "name").value == "night"
        await screen.press("escape", "down", "enter")
        assert screen.name == "RunListScreen"


@pytest.mark.parametrize("size", [(60, 24), (80, 24), (120, 40)])
@pytest.mark.parametrize("kind", KINDS)
@in_loop
async def test_every_field_has_its_help_where_the_cursor_is(
    fixed: Home, kind: str, size: tuple[int, int]
) -> None:
    async with opened(fixed.path, size) as screen:
        screen.app.open_new_run([], kind)
        await screen.settle()
        form = screen.app.screen
        assert isinstance(form, NewRunScreen)
        for field in (field for field in FIELDS if kind in field.kinds):
            entry = form._field(field.key).entry
            entry.focus()
            await screen.settle()
            shown = " ".join(form.query_one("#help", LineView).text.split())
            at = entry.at if isinstance(entry, Choice) else ""
            assert shown == f"{field.label} {help_line(field, at)}"
            assert len(help_line(field, at)) > 8


@in_loop
async def test_an_attack_on_marked_runs(fixed: Home) -> None:
    with_checkpoints(fixed, "robust")
    async with opened(fixed.path) as screen:
        screen.app.state.marked = {fixed.ids["robust"]}
        await screen.press("n", "right", "right")
        form = screen.app.screen
        assert isinstance(form, NewRunScreen)
        assert f"advtui attack {fixed.ids['robust']}" in " ".join(screen.text.split())
        assert "Best clean, Best robust: PGD-20" in screen.text
        line(form, "models").value = "nothing"
        await screen.settle()
        assert "no run 'nothing'" in screen.text
