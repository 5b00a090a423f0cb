"""The words of the page *check a licence*: both languages, and none that the scripts lack."""

from __future__ import annotations

import re

import pytest

from gateway.licencepage import LicencePages
from gateway.licencetexts import LICENCE_TEXTS
from gateway.page import load_static
from gateway.texts import LANGUAGES
from gateway.wallettexts import WALLET_TEXTS
from ledger.licences.verdict import Outcome

PAGES = {"licence": LICENCE_TEXTS, "wallet": WALLET_TEXTS}
#: licence-show.js draws verdicts; the wallet's page uses its drawing of values and refusals only.
SCRIPTS = {
    "licence.js": LICENCE_TEXTS,
    "licence-show.js": LICENCE_TEXTS,
    "wallet.js": WALLET_TEXTS,
    "wallet-copy.js": WALLET_TEXTS,
}
GIVEN = {"theme", "other_language", "ago_s", "ago_m", "ago_h", "ago_d"}


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_say_everything(page: str) -> None:
    chinese, english = PAGES[page]["zh"], PAGES[page]["en"]
    assert chinese.keys() == english.keys()
    for key, text in english.items():
        assert text
        assert chinese[key]
        assert re.findall(r"\{\w+\}", text) == re.findall(r"\{\w+\}", chinese[key]), key


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_scripts_use_only_words_they_are_given(name: str) -> None:
    script = load_static()[name].data.decode()
    assert set(re.findall(r"texts\.([a-z_]+)", script)) <= SCRIPTS[name]["en"].keys() | GIVEN


def test_every_outcome_of_a_check_has_its_words() -> None:
    assert {f"outcome_{outcome}" for outcome in Outcome} <= LICENCE_TEXTS["en"].keys()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_whole_in_each_language(page: str, language: str) -> None:
    static = load_static()
    pages = LicencePages(static)
    html = pages.check(language) if page == "licence" else pages.wallet(language)
    assert PAGES[page][language]["lead"] in html
    # No name of a text is one that Python's own mappings have.
    assert "built-in method" not in html
    assert f"/static/{page}.js?v={static[f'{page}.js'].version}" in html
    # Nothing inline, nothing from elsewhere: the policy would refuse it, and the page would be silently less.
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|https?://", html)
