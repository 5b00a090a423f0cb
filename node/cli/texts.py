"""Chinese or English, decided once before any command is built.

``--lang zh|en`` anywhere on the command line wins, then ``CIVICLEDGER_LANG``, then the locale (``LC_ALL``, ``LC_MESSAGES``,
``LANG``). Anything that is not Chinese is English.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence


def language(argv: Sequence[str], environ: Mapping[str, str]) -> str:
    """``"zh"`` or ``"en"``."""
    for at, word in enumerate(argv):
        if word == "--":
            break
        if word == "--lang" and at + 1 < len(argv):
            return "zh" if argv[at + 1].lower().startswith("zh") else "en"
        if word.startswith("--lang="):
            return "zh" if word[7:].lower().startswith("zh") else "en"
    for name in ("CIVICLEDGER_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = environ.get(name, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def without_language(argv: Sequence[str]) -> list[str]:
    """The command line without the option that was read here: typer knows it before the command's name only."""
    end = argv.index("--") if "--" in argv else len(argv)
    kept: list[str] = []
    words = iter(argv[:end])
    for word in words:
        if word == "--lang":
            value = next(words, None)
            if value is None:
                kept.append(word)  # nothing follows: the parser says so
        elif not word.startswith("--lang="):
            kept.append(word)
    return [*kept, *argv[end:]]


LANG = language(sys.argv[1:], os.environ)


def t(en: str, zh: str) -> str:
    """The text in the language of this run."""
    return zh if LANG == "zh" else en
