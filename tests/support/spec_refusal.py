"""The sentence in which a spec is refused."""

from typing import Any

import pytest

from runs.errors import UserError
from runs.spec import parse_spec


def refusal(kind: str, **fields: Any) -> str:
    with pytest.raises(UserError) as error:
        parse_spec({"kind": kind, **fields})
    return str(error.value)
