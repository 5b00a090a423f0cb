"""What every test may use: where the vectors of others are, and the project's root."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Timing is never asserted: on a loaded machine an example may take long.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

# web3 brings py_ecc, which raises the interpreter's recursion limit when it is imported. Loaded here, it does so before
# any test and is put right: else what a test of deeply nested input meets depends on the tests before it.
if find_spec("py_ecc"):
    limit = sys.getrecursionlimit()
    import_module("py_ecc")
    sys.setrecursionlimit(limit)

# Nodes that run in this process log from their own threads: never into the standard output a test reads. The contract
# tests' own environment has no nodes and no structlog.
if find_spec("structlog"):
    import structlog

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))

ROOT = Path(__file__).resolve().parent.parent


class _AtOnce:
    """Says what failed when it fails: a run that is cut before its summary has then said it all the same."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One paragraph for a failure: the test, its phase, how long it took and what was raised where."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if not report.failed or terminal is None:
            return
        crash = getattr(report.longrepr, "reprcrash", None)
        said = f"{crash.path}:{crash.lineno}: {crash.message}" if crash else report.longreprtext[-1000:]
        terminal.write_line("")
        terminal.write_line(f"FAILED in {report.when} after {report.duration:.1f} s: {report.nodeid}\n  {said[:1000]}")


def pytest_configure(config: pytest.Config) -> None:
    """Registers what says failures at once."""
    config.pluginmanager.register(_AtOnce(config), "civicledger-at-once")


def vectors_folder() -> Path:
    """``$CIVICLEDGER_VECTORS``, else ``../shared/vectors`` beside the checkout; skips where there is none."""
    folder = Path(os.environ.get("CIVICLEDGER_VECTORS") or ROOT.parent / "shared" / "vectors")
    if not folder.is_dir():
        pytest.skip(f"vectors of others are not on this machine ({folder}); set CIVICLEDGER_VECTORS")
    return folder


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of test vectors made by others."""
    return vectors_folder()
