"""Every rule under which a licence must be refused, with a licence that breaks this one and no other."""

from __future__ import annotations

import pytest

from ledger.errors import LedgerError
from ledger.licences import credential, sdjwt, texts_refusals
from ledger.licences.texts import NOT_REACHED
from ledger.licences.verdict import Outcome
from tests.ledger.licences import licence_city as city
from tests.ledger.licences.licence_keys import ISSUER
from tests.ledger.licences.negatives import CLAIMS, FORM, NEGATIVES, Bad


def test_at_least_sixty_and_no_rule_twice() -> None:
    assert len(NEGATIVES) >= 60
    assert len({item.code for item in NEGATIVES}) == len(NEGATIVES)
    assert len({item.name for item in NEGATIVES}) == len(NEGATIVES)


@pytest.mark.parametrize("bad", NEGATIVES, ids=lambda bad: bad.code)
def test_it_is_refused_for_its_own_reason(bad: Bad) -> None:
    # What fails by its form needs no holder: everything else about these licences is right.
    plain = bad in FORM or bad in CLAIMS
    verdict = city.judged(bad.text(), **({"require_binding": False} if plain else {}), **bad.terms)
    failed = [(item.name, item.code) for item in verdict.checks if item.outcome is Outcome.FAIL]
    assert failed == [(bad.check, bad.code)]
    assert verdict.code == texts_refusals.verdict_of(bad.check, bad.code)
    assert not verdict.accepted


def read(text: str) -> None:
    """What everybody who reads a licence does, without any terms."""
    parsed = sdjwt.parse(text)
    assert parsed.jws.kid == ISSUER.kid
    sdjwt.verify(parsed, ISSUER.spki, typ=credential.TYP)


@pytest.mark.parametrize("bad", FORM, ids=lambda bad: bad.code)
def test_the_reader_raises_the_same_code(bad: Bad) -> None:
    text = bad.text()
    with pytest.raises(LedgerError) as caught:
        read(text)
    assert caught.value.code == bad.code
    assert caught.value.hint


@pytest.mark.parametrize("bad", NEGATIVES, ids=lambda bad: bad.code)
def test_every_refusal_has_its_words(bad: Bad) -> None:
    verdict = city.judged(bad.text(), **bad.terms)
    said = verdict.to_dict()
    assert bad.code in texts_refusals.REASONS
    for line in said["checks"]:
        for language in ("zh", "en"):
            assert line["text"][language]
            assert "{" not in line["text"][language]
        assert ("todo" in line) == (line["outcome"] == "fail")
    assert said["title"]["zh"] != said["title"]["en"]


def test_what_is_forged_leaves_the_rest_unsaid() -> None:
    verdict = city.judged(next(bad for bad in FORM if bad.code == "licence.signature").text())
    assert verdict.code == "forged"
    assert verdict.licence is None
    assert {item.code for item in verdict.checks} == {"unopened", "licence.signature", NOT_REACHED}
    assert "claims" not in verdict.to_dict()
