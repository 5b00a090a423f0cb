"""The command line in the tests' own process: what it prints, and how it refuses."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner

from ledger.errors import LedgerError
from node.cli.main import build


def command(*words: str) -> tuple[str, LedgerError | None]:
    """What the command printed, and its refusal; any other failure is the test's."""
    done = CliRunner().invoke(build(words), list(words))
    refusal = done.exception if isinstance(done.exception, LedgerError) else None
    assert refusal is not None or done.exit_code == 0, (words, done.output, done.exception)
    return done.stdout, refusal


def document(text: str) -> Any:
    """The JSON document in what a command printed; progress may stand before it."""
    return json.JSONDecoder().raw_decode(text[text.index("{\n") :])[0]
