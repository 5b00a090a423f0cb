"""What a browser sees of a sign-in that failed, and the section *who fetched it* of other pages."""

from __future__ import annotations

import json
from collections.abc import Mapping

from gateway.citizens.texts import CITIZEN_TEXTS, REASONS
from gateway.page import StaticFile, addresses, environment
from gateway.texts import TEXTS
from ledger.errors import LedgerError


class ProblemPage:
    """Renders why a sign-in was not completed, and what to do."""

    def __init__(self, static: Mapping[str, StaticFile]) -> None:
        self._template = environment().get_template("signin.html")
        self._static = addresses(static)

    def render(self, error: LedgerError, language: str, back: str, page: str) -> str:
        """The page. ``back``: where the reader came from."""
        texts = CITIZEN_TEXTS[language]
        known = REASONS[language].get(error.code, (error.message, error.hint))
        return self._template.render(
            t={**texts, **{key: TEXTS[language][key] for key in ("theme",)}},
            language=language,
            static=self._static,
            code=error.code,
            reason=known[0],
            todo=known[1],
            back=back,
            again=f"/citizen/sign-in?page={page}&lang={language}",
        )


def section_texts(language: str) -> str:
    """The texts of the section, and of each reason, as JSON for its script."""
    texts: dict[str, object] = dict(CITIZEN_TEXTS[language])
    texts["reasons"] = {code: " ".join(filter(None, words)) for code, words in REASONS[language].items()}
    return json.dumps(texts, ensure_ascii=False)
