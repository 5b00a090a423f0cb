"""The page *my results*: what it shows is asked for by its script, once somebody is signed in."""

from __future__ import annotations

import json
from collections.abc import Mapping

from gateway.citizens.patienttexts import PATIENT_TEXTS
from gateway.citizens.texts import REASONS
from gateway.page import StaticFile, addresses, environment
from gateway.texts import TEXTS


class PatientPage:
    """Renders the page in a language."""

    def __init__(self, static: Mapping[str, StaticFile]) -> None:
        self._template = environment().get_template("patient.html")
        self._static = addresses(static)

    def render(self, language: str) -> str:
        """The page."""
        shared = {key: TEXTS[language][key] for key in ("theme", "other_language")}
        texts: dict[str, object] = {**PATIENT_TEXTS[language], **shared}
        reasons = {code: " ".join(filter(None, words)) for code, words in REASONS[language].items()}
        return self._template.render(
            t=texts,
            language=language,
            other="en" if language == "zh" else "zh",
            static=self._static,
            script_texts=json.dumps({**texts, "reasons": reasons}, ensure_ascii=False),
        )
