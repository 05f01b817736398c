"""The list of seeds on the command line."""

import pytest

from runs.errors import UserError
from tui.commands.multi_seed import parse_seeds


def test_seeds_are_numbers_with_commas() -> None:
    assert parse_seeds(" 0, 7,2147483647", None, ["epochs=1"]) == (0, 7, 2**31 - 1)
    assert parse_seeds(None, 3, ["seed=4"]) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "names no seed"),
        (" , ", "names no seed"),
        ("1,,2", "'' is no whole number from 0 to 2147483647"),
        ("-1", "'-1' is no whole number"),
        ("1.5", "'1.5' is no whole number"),
        ("0,x", "'x' is no whole number"),
        ("٣", "is no whole number"),
        ("2147483648", "'2147483648' is no whole number"),
        ("9" * 5000, "is no whole number"),
        ("1,2,01", "1 stands there more than once"),
    ],
)
def test_what_is_no_list_of_different_seeds_is_refused(text: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as error:
        parse_seeds(text, None, None)
    assert error.value.exit_code == 2


@pytest.mark.parametrize(("seed", "sets"), [(0, None), (None, ["seed=1"]), (None, [" seed = 1"])])
def test_seed_and_seeds_together_are_refused(seed: int | None, sets: list[str] | None) -> None:
    with pytest.raises(UserError, match="--seed and --seeds"):
        parse_seeds("1,2", seed, sets)
