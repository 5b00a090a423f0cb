"""What a command refuses is said in both languages: no message or hint of node/cli is English alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import node.cli
from node.cli.texts import language, without_language

FOLDER = Path(node.cli.__file__).parent
#: Two plain words in a row; what is to be typed as it stands (commands, options, JSON) has none.
WORDS = re.compile(r"\b[a-z]+ [a-z]+\b")
TYPED = re.compile(r"civicledger [a-z -]+|https?://\S+|--[a-z]+ \S+")


def english(source: str) -> Iterator[str]:
    """Line and text of every literal message or hint outside ``t()``."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        if not name.endswith("Error") and name != "BadParameter":
            continue
        said = call.args[0 if name == "BadParameter" else 1 :] + [k.value for k in call.keywords if k.arg == "hint"]
        for words in said:
            literals = words.values if isinstance(words, ast.JoinedStr) else [words]
            text = "".join(str(one.value) if isinstance(one, ast.Constant) else "…" for one in literals)
            if WORDS.search(TYPED.sub("", text)):
                yield f"{words.lineno}: {text}"


def test_every_refusal_is_said_in_both_languages() -> None:
    found = [f"{path.name}:{line}" for path in sorted(FOLDER.glob("*.py")) for line in english(path.read_text("utf-8"))]
    assert found == []


def test_english_alone_is_found() -> None:
    refusal = 'InvalidInputError("a.b", f"{x} is no folder", hint=t("a folder", "目录"))'
    assert list(english(refusal)) == ["1: … is no folder"]
    assert list(english('InvalidInputError("a.b", t("no folder", "无"), hint="civicledger city up ./city")')) == []


@pytest.mark.parametrize(
    ("words", "spoken", "left"),
    [
        ("--lang zh log stat", "zh", "log stat"),
        ("log stat --lang zh --json", "zh", "log stat --json"),
        ("log stat --lang=en", "en", "log stat"),
        ("log stat", "zh", "log stat"),
        ("log stat --lang", "zh", "log stat --lang"),
        ("grant find -- --lang en", "zh", "grant find -- --lang en"),
    ],
)
def test_the_language_may_stand_anywhere(words: str, spoken: str, left: str) -> None:
    assert language(words.split(), {"CIVICLEDGER_LANG": "zh"}) == spoken
    assert without_language(words.split()) == left.split()
