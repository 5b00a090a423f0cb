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
        if word == "--lang" and at + 1 < len(argv):
            return "zh" if argv[at + 1].lower().startswith("zh") else "en"
        if word.startswith("--lang="):
            return "zh" if word[7:].lower().startswith("zh") else "en"
    for name in ("CIVICLEDGER_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = environ.get(name, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


LANG = language(sys.argv[1:], os.environ)


def t(en: str, zh: str) -> str:
    """The text in the language of this run."""
    return zh if LANG == "zh" else en
