"""The lines of a worker's log: without the notes of libraries on their own future."""

import pytest

from tui.render.log_lines import without_deprecations

LIBRARY = "/venv/lib/python3.11/site-packages/pytorch_lightning/utilities/_pytree.py:21: "


@pytest.mark.parametrize(
    "note",
    [
        [LIBRARY + "`isinstance(treespec, LeafSpec)` is deprecated, use something else."],
        [LIBRARY + "FutureWarning: x changes its default", "  x = torch.load(path)"],
        ["/usr/lib/python3.12/asyncio/events.py:7: DeprecationWarning: no", "  loop = get()"],
    ],
)
def test_a_librarys_deprecation_note_is_left_out_and_counted(note: list[str]) -> None:
    assert without_deprecations(["before", *note, "  after"]) == (["before", "  after"], 1)


@pytest.mark.parametrize(
    "line",
    [
        LIBRARY + "UserWarning: the gradient is not finite",
        '  File "/venv/lib/python3.11/site-packages/torch/x.py", line 3, in deprecated',
        "RuntimeError: this call is deprecated",
        "/home/me/nets/mine.py:3: DeprecationWarning: my own",
    ],
)
def test_everything_else_stays(line: str) -> None:
    assert without_deprecations([line]) == ([line], 0)
