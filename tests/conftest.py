"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets that INTARSIA_DATA names."""
    return Path(os.environ["INTARSIA_DATA"])
