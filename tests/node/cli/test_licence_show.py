"""What a licence file of a stranger may do to the command that shows it: nothing but be shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from node.cli.licences import app
from tests.ledger.licences import licence_city as city


def shown(folder: Path, **claims: Any) -> str:
    file = folder / "licence.txt"
    file.write_text(city.sign(city.header(), city.payload(**claims)) + "~", "utf-8")
    found = CliRunner().invoke(app, ["show", str(file)])
    assert found.exit_code == 0, found.output
    return found.output


def test_it_steers_no_terminal(tmp_path: Path) -> None:
    text = shown(tmp_path, **{"ZZMC": "\x1b[31m红\x1b]0;title\x07\u202e", "\x1b[2J": "\x9b2J"})
    assert "红" in text
    for sign in ("\x1b", "\x07", "\x9b", "\u202e"):
        assert sign not in text


@pytest.mark.parametrize("status", [5, None, [], {"status_list": 5}, {"status_list": {}}])
def test_a_status_of_another_shape_is_shown_as_it_is(tmp_path: Path, status: Any) -> None:
    assert "iss" in shown(tmp_path, status=status)
