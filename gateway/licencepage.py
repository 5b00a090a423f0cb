"""The pages *check a licence* and *my licence*: what they show is a verdict's JSON, or a file of the reader's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jinja2 import Template

from gateway.citizens.page import section_texts
from gateway.citizens.texts import CITIZEN_TEXTS
from gateway.licencetexts import LICENCE_TEXTS
from gateway.page import StaticFile, addresses, environment
from gateway.texts import TEXTS
from gateway.wallettexts import WALLET_TEXTS
from ledger.licences.fields import COMMON
from ledger.licences.templates import TEMPLATES
from ledger.verifylinks import LINKS


class LicencePages:
    """Renders the pages in a language."""

    def __init__(self, static: Mapping[str, StaticFile], *, citizens: bool = False) -> None:
        """``citizens``: whether they can sign in here."""
        self._citizens = citizens
        templates = environment()
        self._check = templates.get_template("licence.html")
        self._wallet = templates.get_template("wallet.html")
        self._static = addresses(static)

    def check(self, language: str) -> str:
        """*Check a licence*."""
        links = {f"check_{link}": TEXTS[language][f"check_{link}"] for link in LINKS}
        return self._render(self._check, {**LICENCE_TEXTS[language], **links}, language)

    def wallet(self, language: str) -> str:
        """*My licence*, with the labels of every field a licence may have."""
        fields = [*COMMON.values(), *(field for form in TEMPLATES.values() for field in form.own)]
        labels = {field.name: field.zh if language == "zh" else field.en for field in fields}
        return self._render(
            self._wallet, WALLET_TEXTS[language], language, labels=_json(labels), **self._signing(language)
        )

    def _signing(self, language: str) -> dict[str, Any]:
        """What the section *who fetched it* is made from, where there is one."""
        if not self._citizens:
            return {"citizens": False}
        return {"citizens": True, "c": CITIZEN_TEXTS[language], "citizen_texts": section_texts(language)}

    def _render(self, template: Template, texts: Mapping[str, str], language: str, **more: Any) -> str:
        shared = {key: TEXTS[language][key] for key in ("theme", "other_language", "ago_s", "ago_m", "ago_h", "ago_d")}
        return template.render(
            t={**texts, **shared},
            language=language,
            other="en" if language == "zh" else "zh",
            static=self._static,
            script_texts=_json({**texts, **shared}),
            **more,
        )


def _json(value: Mapping[str, str]) -> str:
    return json.dumps(value, ensure_ascii=False)
