"""Verdicts on slips: the same codes and lines as for licences, and what only slips have."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ledger.licences import b64, base45, slip, texts, texts_refusals
from ledger.licences.copies import CopyTerms
from ledger.licences.judging import StatusSource
from ledger.licences.slip import Slip
from ledger.licences.slipverdict import judge_slip
from ledger.licences.suites import es256_signer
from ledger.licences.trust import KeyEnd
from ledger.licences.verdict import CHECKS, Outcome, Verdict
from ledger.licences.verify import judge
from tests.ledger.licences import licence_city as city
from tests.ledger.licences.licence_city import BODY, DAY, NOW
from tests.ledger.licences.licence_keys import ISSUER

OFFICE = "11310000MB2F00001F"
SLIP = Slip(
    identifier=str(city.IDENTITY),
    title="机动车驾驶证",
    holder="张*",
    valid_from_s=NOW - 30 * DAY,
    valid_until_s=NOW + 300 * DAY,
    made_s=NOW - 5,
    ends_s=NOW - 5 + slip.SCREEN_SECONDS,
    status_uri=city.URI,
    status_index=city.PLACE,
)
TERMS = CopyTerms(recipient=OFFICE, matter="食品经营许可新办", made_s=NOW - 5, expires_s=NOW + DAY, maker=BODY)
COPY = dataclasses.replace(SLIP, ends_s=TERMS.expires_s, copy=TERMS)
_LISTED: Any = object()


def judged(text: str | Slip, *, known: Any = None, found: Any = _LISTED, later: int = 0, **more: Any) -> Verdict:
    asked = city.trust() if known is None else known
    wanted = (
        b64.encode(ISSUER.suite.key_digest(ISSUER.spki)[:8]),
        f"urn:cn:uscc:{BODY}",
        f"urn:cn:elicence:{city.TYPE}:1",
    )
    source: StatusSource = (lambda _: city.listed(age=20 - later)) if found is _LISTED else (lambda _: found)
    return judge_slip(
        text if isinstance(text, str) else slip.make(text, ISSUER),
        now_ms=(NOW + later) * 1_000,
        trust=lambda *names: asked if names == wanted else None,
        status=source,
        **more,
    )


def test_a_valid_slip() -> None:
    verdict = judged(SLIP)
    assert (verdict.code, verdict.accepted) == ("valid", True)
    assert [check.name for check in verdict.checks] == list(CHECKS)
    assert [check.outcome for check in verdict.checks if check.name not in ("holder", "audience", "purpose")] == [
        Outcome.PASS
    ] * 7
    assert verdict.licence is not None
    assert verdict.licence.claims == {"ZZMC": "机动车驾驶证", "CZZT": "张*", "ZZBS": str(city.IDENTITY)}
    assert (verdict.licence.issuer, verdict.licence.type_code) == (BODY, city.TYPE)
    assert (verdict.view_height, verdict.status_version) == (42, 7)


@pytest.mark.parametrize(
    ("changes", "more", "code"),
    [
        ({}, {"found": city.listed(1)}, "revoked"),
        ({}, {"found": city.listed(2)}, "suspended"),
        ({}, {"found": None}, "status-unknown"),
        ({}, {"found": city.listed(age=1000)}, "status-unknown"),
        ({}, {"found": city.listed(uri=city.URI + "9")}, "status-unknown"),
        ({"status_index": 8}, {}, "status-unknown"),
        ({"status_uri": city.URI + "9"}, {}, "status-unknown"),
        ({}, {"later": 354}, "valid"),
        ({}, {"later": 355}, "slip-expired"),
        ({"valid_until_s": NOW + 295}, {"later": 355}, "expired"),
        ({"valid_from_s": NOW + 61}, {}, "not-yet-valid"),
        ({"made_s": NOW + 61, "ends_s": NOW + 100}, {}, "not-yet-valid"),
        ({}, {"known": city.key_ended(1, KeyEnd.RETIRED)}, "issue-time-unproven"),
        ({"made_s": NOW - 2 * DAY}, {"known": city.key_ended(1, KeyEnd.RETIRED)}, "issue-time-unproven"),
        ({"made_s": NOW - 2 * DAY}, {"known": city.key_ended(1, KeyEnd.COMPROMISED)}, "key-compromised"),
        ({"made_s": NOW - 2 * DAY}, {"known": city.trust(accreditations=(city.span(180, 1),))}, "issue-time-unproven"),
        ({}, {"known": city.trust(accreditations=())}, "not-accredited"),
        ({}, {"known": city.trust(type_known=False)}, "unknown-type"),
        ({}, {"known": city.trust(issuer=OFFICE)}, "untrusted-issuer"),
        (
            {},
            {"known": city.trust(spki=es256_signer(ec.derive_private_key(5, ec.SECP256R1())).spki)},
            "untrusted-issuer",
        ),
        (
            {"identifier": str(city.IDENTITY)[:-1] + ("A" if city.IDENTITY.check != "A" else "B")},
            {},
            "wrong-identifier",
        ),
    ],
)
def test_each_check_has_its_verdict(changes: dict[str, Any], more: dict[str, Any], code: str) -> None:
    assert judged(dataclasses.replace(SLIP, **changes), **more).code == code


@pytest.mark.parametrize(
    ("recipient", "later", "code"),
    [
        (OFFICE, 0, "valid"),
        (BODY, 0, "wrong-recipient"),
        (None, 0, "recipient-needed"),
        (OFFICE, DAY + 60, "copy-expired"),
        (BODY, DAY + 60, "wrong-recipient"),
    ],
)
def test_a_copy_shown_elsewhere_or_later(recipient: str | None, later: int, code: str) -> None:
    verdict = judged(COPY, later=later, copy_recipient=recipient)
    assert verdict.code == code
    if code != "copy-expired":
        words = verdict.to_dict()["checks"][-1]["text"]
        assert OFFICE in words["zh"]
        assert "食品经营许可新办" in words["en"]


def test_a_forged_slip() -> None:
    other = es256_signer(ec.derive_private_key(99, ec.SECP256R1()))
    assert judged(slip.make(SLIP, other)).code == "untrusted-issuer"
    data = bytearray(base45.decode(slip.make(SLIP, ISSUER)[4:]))
    data[-1] ^= 1
    verdict = judged("EL1:" + base45.encode(bytes(data)))
    assert (verdict.code, verdict.check("signature").code) == ("forged", "licence.signature")
    assert verdict.licence is None
    masked = bytes(data[:-1]).replace("张*".encode(), "李*".encode()) + bytes([data[-1] ^ 1])
    assert judged("EL1:" + base45.encode(masked)).code == "forged"


@pytest.mark.parametrize("text", ["EL2:00", "EL1:00", "EL1:a", "https://example.com/", "EL1:" + "0" * 700, ""])
def test_codes_of_something_else(text: str) -> None:
    verdict = judged(text)
    assert (verdict.code, verdict.check("structure").outcome) == ("malformed", Outcome.FAIL)
    assert verdict.check("structure").code in texts_refusals.REASONS


def test_a_slip_is_no_presentation_and_says_what_it_is() -> None:
    text = slip.make(SLIP, ISSUER)
    assert judge(text, now_ms=NOW * 1_000, trust=lambda *_: None, status=lambda _: None).code == "malformed"
    for line in judged(SLIP).to_dict()["checks"]:
        assert line["text"]["zh"] != texts.NOT_REACHED_TEXT[0]
