"""``--attack``: several names in one word, or the option repeated."""

import pytest

from runs.errors import UserError
from runs.spec import AttackSpec
from tui.spec_from_flags import _chosen_attacks


def test_names_may_be_joined_by_commas_or_repeated() -> None:
    joined, repeated = (
        _chosen_attacks(AttackSpec(), words, None)
        for words in (["pgd-margin, apgd-ce", "pgd-margin"], ["pgd-margin", "apgd-ce"])
    )
    assert [attack.name for attack in joined] == ["pgd-margin", "apgd-ce"]
    assert joined == repeated
    with pytest.raises(UserError, match="unknown attack 'pgd'"):
        _chosen_attacks(AttackSpec(), ["fgsm,pgd"], None)
