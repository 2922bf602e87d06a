"""Fixtures that all tests share, and what is said about tests of real data that did not run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# How long one example takes says more about what else the machine does than about the code.
settings.register_profile("intarsia", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("intarsia")

NOT_RUN = pytest.StashKey[int]()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets that INTARSIA_DATA names."""
    return Path(os.environ["INTARSIA_DATA"])


def pytest_configure(config: pytest.Config) -> None:
    """A folder that is named but missing is a mistake, not a wish to leave tests out."""
    config.stash[NOT_RUN] = 0
    folder = os.environ.get("INTARSIA_DATA")
    if folder and not Path(folder).is_dir():
        raise pytest.UsageError(f"INTARSIA_DATA: expected a folder, received {folder!r}, which is not there")


@pytest.hookimpl(trylast=True)  # after -m and -k, so that only tests otherwise wanted are counted
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests of real data where there is none."""
    if os.environ.get("INTARSIA_DATA"):
        return
    without = [item for item in items if item.get_closest_marker("data")]
    items[:] = [item for item in items if not item.get_closest_marker("data")]
    config.hook.pytest_deselected(items=without)
    config.stash[NOT_RUN] = len(without)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist tells its controller."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["not_run"] = session.config.stash[NOT_RUN]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """The controller of pytest-xdist collects nothing itself; all workers collect the same."""
    node.config.stash[NOT_RUN] = max(node.config.stash[NOT_RUN], getattr(node, "workeroutput", {}).get("not_run", 0))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The one line."""
    if config.stash[NOT_RUN]:
        terminalreporter.write_line(f"not run: {config.stash[NOT_RUN]} tests, set INTARSIA_DATA", yellow=True)
