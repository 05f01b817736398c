"""The digits and their splits, loaded once for all tests of the data."""

from pathlib import Path

import pytest

from engine.data.datasets import DataSplits, load


@pytest.fixture(scope="module")
def digits() -> DataSplits:
    return load("digits", Path("nowhere"), None)
