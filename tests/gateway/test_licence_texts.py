"""The words of the page *check a licence*: both languages, and none that the scripts lack."""

from __future__ import annotations

import re

import pytest

from gateway.licencepage import LicencePage
from gateway.licencetexts import LICENCE_TEXTS
from gateway.page import load_static
from gateway.texts import LANGUAGES
from ledger.licences.verdict import Outcome

SCRIPTS = ("licence.js", "licence-show.js")
GIVEN = {"theme", "other_language", "ago_s", "ago_m", "ago_h", "ago_d"}


def test_both_languages_say_everything() -> None:
    chinese, english = LICENCE_TEXTS["zh"], LICENCE_TEXTS["en"]
    assert chinese.keys() == english.keys()
    for key, text in english.items():
        assert text
        assert chinese[key]
        assert re.findall(r"\{\w+\}", text) == re.findall(r"\{\w+\}", chinese[key]), key


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_scripts_use_only_words_they_are_given(name: str) -> None:
    script = load_static()[name].data.decode()
    assert set(re.findall(r"texts\.([a-z_]+)", script)) <= LICENCE_TEXTS["en"].keys() | GIVEN


def test_every_outcome_of_a_check_has_its_words() -> None:
    assert {f"outcome_{outcome}" for outcome in Outcome} <= LICENCE_TEXTS["en"].keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_whole_in_each_language(language: str) -> None:
    static = load_static()
    page = LicencePage(static).render(language)
    assert LICENCE_TEXTS[language]["lead"] in page
    assert f"/static/licence.js?v={static['licence.js'].version}" in page
    # Nothing inline, nothing from elsewhere: the policy would refuse it, and the page would be silently less.
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|https?://", page)
