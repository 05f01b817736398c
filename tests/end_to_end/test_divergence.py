"""A training that diverges ends a study with a sentence, and nothing is attacked."""

from advtui_process import TINY, Command
from runs.store import Store


def test_a_study_ends_with_the_sentence_of_the_training_that_diverges(advtui: Command) -> None:
    done = advtui("study", *TINY, "--lr", "100", "--width", "4")
    assert done.returncode == 1, done.stderr
    runs = {run.role or run.kind: run for run in Store(advtui.home).runs()}
    assert set(runs) == {"study", "baseline"}
    failure = runs["baseline"].failure
    assert failure is not None
    assert failure["message"].partition(" in epoch ")[0].endswith(("not a number", "not finite"))
    assert "start a new run with a lower learning rate (--lr, now 100)" in failure["message"]
    sentence = f"baseline {runs['baseline'].id}: {failure['message']}"
    assert f"advtui: {runs['study'].id} failed: {sentence}" in done.stderr
    assert runs["study"].failure == {"message": sentence, "exit_code": 1}
