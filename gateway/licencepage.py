"""The page *check a licence*: one template; everything it shows comes to the browser as a verdict's JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping

from gateway.licencetexts import LICENCE_TEXTS
from gateway.page import StaticFile, addresses, environment
from gateway.texts import TEXTS


class LicencePage:
    """Renders the page in a language."""

    def __init__(self, static: Mapping[str, StaticFile]) -> None:
        self._template = environment().get_template("licence.html")
        self._static = addresses(static)

    def render(self, language: str) -> str:
        """The whole page."""
        texts = LICENCE_TEXTS[language]
        shared = {key: TEXTS[language][key] for key in ("theme", "other_language", "ago_s", "ago_m", "ago_h", "ago_d")}
        return self._template.render(
            t=texts | shared,
            language=language,
            other="en" if language == "zh" else "zh",
            static=self._static,
            script_texts=json.dumps(texts | shared, ensure_ascii=False),
        )
