"""The verdict: what is valid, what was valid when it was issued, and which of two failures names a licence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import UnavailableError, UntrustedError
from ledger.evidence.seal import Seal
from ledger.licences import issuing, sdjwt, texts, texts_refusals, verdict
from ledger.licences.issuing import Hidden
from ledger.licences.judging import when
from ledger.licences.suites import sm2_signer
from ledger.licences.trust import KeyEnd, key_end
from ledger.licences.verdict import CHECKS, Outcome, Verdict
from ledger.licences.verify import rejected
from ledger.model import KeyInfo, KeyRole, KeyStatus
from tests.ledger.formats_page import PAGE
from tests.ledger.licences import licence_city as city
from tests.ledger.licences.licence_city import DAY, NOW
from tests.ledger.licences.licence_keys import ISSUER, STRANGER, salts
from tests.ledger.licences.rows import CITIZEN

#: The licence was issued thirty days ago; its record was on the chain a minute later.
PROVEN = (NOW - 30 * DAY + 60) * 1_000


def lines(found: Verdict) -> dict[str, tuple[str, str]]:
    return {item.name: (item.outcome.value, item.code) for item in found.checks}


def test_a_valid_licence_shown_by_its_holder() -> None:
    found = city.judged(city.presented())
    assert found.code == "valid"
    assert found.accepted
    assert tuple(item.name for item in found.checks) == CHECKS
    assert lines(found) == {
        **dict.fromkeys(CHECKS, ("pass", "ok")),
        "purpose": ("skip", "none"),
    }
    assert found.licence is not None
    assert found.licence.claims["CZZT"] == "张三丰"
    assert found.licence.type_code == city.TYPE
    assert (found.view_height, found.proven, found.status_version) == (42, "chain-state", 7)


def test_only_what_is_shown_is_in_the_verdict() -> None:
    part = issuing.present(city.licence(), [("KZ_ZJCX",)])
    found = city.judged(city.presented(part))
    assert found.code == "valid"
    text = json.dumps(found.to_dict(), ensure_ascii=False)
    assert "C1" in text
    assert CITIZEN not in text
    assert "张三丰" not in text
    assert lines(found)["identifier"] == ("skip", "hidden")
    assert found.licence is not None
    assert found.licence.hidden == 10


def test_no_holder_is_asked_for() -> None:
    asked = {"require_binding": False, "audience": None, "nonce": None}
    unbound = city.judged(city.issue(city.claims(bound=False)), **asked)
    assert unbound.code == "valid"
    assert lines(unbound)["holder"] == ("skip", "unbound")
    found = city.judged(city.licence(), **asked)
    assert found.code == "valid"
    assert lines(found)["holder"] == ("warn", "unproven")
    assert lines(found)["audience"] == ("skip", "any")


def test_a_key_binding_that_nobody_asked_for_must_still_be_right() -> None:
    found = city.judged(city.presented(signer=STRANGER), require_binding=False, audience=None, nonce=None)
    assert found.code == "holder-unproven"


def test_the_widespread_check_character_is_a_warning() -> None:
    field = "1.2.156.3005.2.11100000000013661B006.113700000045046442.209FA4E88F9E4C878F3E9BED2CE7EA49.001.M"
    text = city.changed(
        ZZBS=Hidden(field), vct="urn:cn:elicence:11100000000013661B006:1", iss="urn:cn:uscc:113700000045046442"
    )
    found = city.judged(
        city.presented(text),
        trust=lambda *_: city.trust(issuer="113700000045046442"),
        found=city.listed(issuer="113700000045046442"),
    )
    assert found.code == "valid"
    assert lines(found)["identifier"] == ("warn", "licence.check-widespread")


@pytest.mark.parametrize(
    ("known", "ended"),
    [
        (city.key_ended(10, KeyEnd.RETIRED), "issuer"),
        (city.key_ended(10, KeyEnd.COMPROMISED), "issuer"),
        (city.trust(accreditations=(city.span(180, 10),)), "accredited"),
    ],
)
def test_valid_when_issued_with_a_record_from_before(known: Any, ended: str) -> None:
    found = city.judged(city.presented(), known=known, issue_time=PROVEN)
    assert found.code == "valid-when-issued"
    assert found.accepted
    assert found.check(ended).outcome is Outcome.PASS
    assert found.check(ended).detail["proven"] == "2026-10-23 12:01:00+08:00"


@pytest.mark.parametrize("issue_time", [None, (NOW - DAY) * 1_000, (NOW - 10 * DAY) * 1_000])
@pytest.mark.parametrize(
    ("known", "code"),
    [
        (city.key_ended(10, KeyEnd.RETIRED), "issue-time-unproven"),
        (city.key_ended(10, KeyEnd.COMPROMISED), "key-compromised"),
        (city.trust(accreditations=(city.span(180, 10),)), "issue-time-unproven"),
    ],
)
def test_the_signers_clock_proves_nothing(known: Any, code: str, issue_time: int | None) -> None:
    found = city.judged(city.presented(), known=known, issue_time=issue_time)
    assert found.code == code
    assert not found.accepted


#: A key whose span ended 20 days ago, and that was stolen 10 days ago.
STOLEN_LATER = city.trust(
    key_until_ms=(NOW - 20 * DAY) * 1_000,
    key_ended_ms=(NOW - 10 * DAY) * 1_000,
    key_ended_kind=KeyEnd.COMPROMISED,
)


@pytest.mark.parametrize(
    ("days_ago", "code"),
    [
        (21, "valid-when-issued"),
        (20, "issue-time-unproven"),
        (11, "issue-time-unproven"),
        (10, "key-compromised"),
        (1, "key-compromised"),
        (None, "key-compromised"),
    ],
)
def test_a_key_stolen_after_its_span_ended_signed_nothing_in_between(days_ago: int | None, code: str) -> None:
    proven = None if days_ago is None else (NOW - days_ago * DAY) * 1_000
    found = city.judged(city.presented(), known=STOLEN_LATER, issue_time=proven)
    assert found.code == code
    if code == "key-compromised":
        assert found.check("issuer").detail["ended"] == when(STOLEN_LATER.key_ended_ms or 0)
    else:
        assert found.check("issuer").detail["ended"] == when(STOLEN_LATER.key_until_ms or 0)


def test_how_a_key_ended_is_read_the_same_by_everybody() -> None:
    def key(status: KeyStatus, valid_to: int, ended_at: int) -> KeyInfo:
        return KeyInfo(
            material=bytes(32),
            member=city.BODY,
            role=KeyRole.ISSUER,
            status=status,
            valid_from=10,
            valid_to=valid_to,
            ended_at=ended_at,
        )

    assert key_end(key("active", 0, 0)) == (None, None)
    assert key_end(key("active", 50, 0)) == (50_000, KeyEnd.RETIRED)
    assert key_end(key("retired", 50, 70)) == (50_000, KeyEnd.RETIRED)
    assert key_end(key("retired", 0, 70)) == (70_000, KeyEnd.RETIRED)
    assert key_end(key("compromised", 50, 70)) == (70_000, KeyEnd.COMPROMISED)
    assert key_end(key("compromised", 50, 30)) == (30_000, KeyEnd.COMPROMISED)


def test_a_key_that_will_retire_is_in_force() -> None:
    assert city.judged(city.presented(), known=city.key_ended(-10, KeyEnd.RETIRED)).code == "valid"


def test_a_key_compromised_from_tomorrow_on_is_not_trusted_today() -> None:
    assert city.judged(city.presented(), known=city.key_ended(-1, KeyEnd.COMPROMISED)).code == "key-compromised"


def test_a_record_older_than_the_key_or_the_accreditation_is_refused() -> None:
    early = (NOW - 200 * DAY) * 1_000
    assert city.judged(city.presented(), issue_time=early).code == "not-accredited"
    assert (
        city.judged(city.presented(), known=city.trust(key_from_ms=early + 1), issue_time=early).code
        == "untrusted-issuer"
    )


def test_issued_between_two_accreditations() -> None:
    gap = city.trust(accreditations=(city.span(180, 40), city.span(20)))
    assert city.judged(city.presented(), known=gap).code == "not-accredited"


def test_issued_in_the_first_of_two_accreditations_needs_proof() -> None:
    two = city.trust(accreditations=(city.span(180, 25), city.span(20)))
    assert city.judged(city.presented(), known=two).code == "issue-time-unproven"
    assert city.judged(city.presented(), known=two, issue_time=PROVEN).code == "valid-when-issued"


def test_a_prolonged_accreditation_is_one() -> None:
    prolonged = city.trust(accreditations=(city.span(180, 25), city.span(25)))
    assert city.judged(city.presented(), known=prolonged).code == "valid"
    # Ended before it began: it prolongs nothing, in whatever order it stands.
    nothing = (city.span(180, 25), city.span(25, 25))
    for spans in (nothing, nothing[::-1]):
        assert city.judged(city.presented(), known=city.trust(accreditations=spans)).code == "issue-time-unproven"
    ended = city.trust(accreditations=(city.span(180, 25), city.span(25, 10)))
    assert city.judged(city.presented(), known=ended).code == "issue-time-unproven"
    found = city.judged(city.presented(), known=ended, issue_time=PROVEN)
    assert found.code == "valid-when-issued"
    assert found.check("accredited").detail["ended"] == "2026-11-12 12:00:00+08:00"


def test_an_accreditation_that_has_not_begun_covers_nothing() -> None:
    text = city.presented(city.changed(iat=None))
    for spans in ((city.span(-10),), (city.span(180, 10), city.span(-10))):
        assert not city.judged(text, known=city.trust(accreditations=spans)).accepted
    assert city.judged(text, known=city.trust(accreditations=(city.span(-10),))).code == "not-accredited"


LAST_SECOND = 253_402_300_799


@pytest.mark.parametrize("ends", [LAST_SECOND - 8 * 3_600, LAST_SECOND - 8 * 3_600 + 1, LAST_SECOND])
def test_for_ever_is_the_last_second_of_9999(ends: int) -> None:
    found = city.judged(city.presented(city.changed(exp=ends)))
    assert found.code == "valid"
    assert found.check("time").detail["until"] == "9999-12-31 23:59:59+08:00"
    assert city.judged(city.presented(city.changed(nbf=LAST_SECOND - 1, exp=LAST_SECOND))).code == "not-yet-valid"
    assert city.judged(city.presented(city.changed(iat=LAST_SECOND, exp=None))).code == "not-yet-valid"
    limited = city.trust(accreditations=(city.span(180, -10),))
    assert city.judged(city.presented(city.changed(iat=LAST_SECOND, exp=None)), known=limited).code == "not-accredited"


def test_without_its_own_date_the_present_accreditation_counts() -> None:
    text = city.presented(city.changed(iat=None))
    assert city.judged(text).code == "valid"
    assert city.judged(text, known=city.trust(accreditations=(city.span(180, 10),))).code == "issue-time-unproven"


@pytest.mark.parametrize(("shift", "code"), [(-1, "valid"), (59, "valid"), (60, "expired")])
def test_a_minute_of_skew_at_the_end(shift: int, code: str) -> None:
    assert city.judged(city.presented(city.changed(exp=NOW - shift))).code == code


@pytest.mark.parametrize(("shift", "code"), [(60, "valid"), (61, "not-yet-valid")])
def test_a_minute_of_skew_at_the_beginning(shift: int, code: str) -> None:
    assert city.judged(city.presented(city.changed(nbf=NOW + shift))).code == code


def test_a_licence_without_an_end() -> None:
    found = city.judged(city.presented(city.changed(exp=None)))
    assert found.code == "valid"
    assert lines(found)["time"] == ("pass", "no-end")


def test_a_licence_without_a_status_list_is_marked() -> None:
    found = city.judged(city.presented(city.changed(status=None)))
    assert found.code == "valid"
    assert lines(found)["status"] == ("warn", "none")


def test_why_no_list_could_be_had_is_said() -> None:
    def refuses(_: str) -> None:
        raise UntrustedError("licence.status-key", "signed by nobody")

    def is_away(_: str) -> None:
        raise UnavailableError("node.unreachable", "away")

    assert lines(city.judged(city.presented(), status=refuses))["status"] == ("fail", "licence.status-key")
    found = city.judged(city.presented(), status=is_away)
    assert found.code == "status-unknown"
    assert lines(found)["status"] == ("fail", "node.unreachable")


def test_a_chain_that_cannot_be_asked_is_no_verdict() -> None:
    def is_away(*_: str) -> None:
        raise UnavailableError("chain.stale", "too old")

    with pytest.raises(UnavailableError):
        city.judged(city.presented(), trust=is_away)


def test_a_key_binding_with_its_own_end() -> None:
    assert city.judged(city.presented(extra={"exp": NOW - 59})).code == "valid"
    for ended in (NOW - 60, "tomorrow"):
        found = city.judged(city.presented(extra={"exp": ended}))
        assert lines(found)["holder"] == ("fail", "licence.binding-old")


def test_only_a_verifier_builds_verified_claims() -> None:
    opened = sdjwt.open_claims(sdjwt.parse(city.licence()))
    with pytest.raises(TypeError):
        sdjwt.VerifiedClaims(claims=opened.claims, names=(), hidden=0, seal=Seal())


def test_the_national_suite_takes_the_same_path() -> None:
    """SM2 with SM3 for the issuer; the holder's own key stays on P-256, and its proof is over an SM3 digest."""
    signer = sm2_signer(bytes(31) + b"\x07")
    text = city.issue(city.claims(), signer)
    found = city.judged(city.presented(text), trust=lambda *_: city.trust(spki=signer.spki))
    assert found.code == "valid"
    assert found.check("signature").detail == {"alg": "SM2SM3"}


def test_a_copy_is_for_its_recipient() -> None:
    found = city.judged(city.copy_for(city.OTHER_BODY), copy_recipient=city.OTHER_BODY, nonce=None)
    assert found.code == "valid"
    assert lines(found)["purpose"] == ("pass", "ok")
    # It is not made anew for each look at it.
    old = city.copy_for(city.OTHER_BODY, made=NOW - 3 * DAY, ends=NOW + DAY)
    assert city.judged(old, copy_recipient=city.OTHER_BODY, nonce=None).code == "valid"


def test_a_copy_without_the_holders_proof_is_marked() -> None:
    cut = city.copy_for(city.OTHER_BODY).rpartition("~")[0] + "~"
    found = city.judged(cut, require_binding=False, audience=None, nonce=None)
    assert lines(found)["holder"] == ("warn", "unproven")
    assert city.judged(cut, audience=None, nonce=None).code == "holder-unproven"


def test_a_copy_answers_no_question() -> None:
    """Whoever asks the holder to present now does not take a copy that anybody could have kept."""
    found = city.judged(city.copy_for(city.OTHER_BODY), copy_recipient=city.OTHER_BODY)
    assert found.code == "replayed"


def test_the_gravest_failure_names_the_licence() -> None:
    expired = city.presented(city.changed(exp=NOW - DAY), audience="https://elsewhere.example")
    found = city.judged(expired, found=city.listed(1))
    assert found.code == "revoked"
    assert {name for name, line in lines(found).items() if line[0] == "fail"} == {"time", "status", "audience"}


def test_every_verdict_has_its_words_and_its_place() -> None:
    assert set(texts.VERDICTS) == {*verdict.ACCEPTED, *verdict.GRAVITY}
    assert {code for code, _ in texts_refusals.REASONS.values()} <= set(verdict.GRAVITY)
    assert set(texts.CHECKS) == set(CHECKS)
    assert {name for name, _ in texts.LINES} <= set(CHECKS)
    for zh, en in [pair for both in texts.VERDICTS.values() for pair in both]:
        assert zh
        assert en.isascii()


def test_every_verdict_stands_on_the_page_of_formats() -> None:
    page = PAGE.read_text("utf-8")
    assert [code for code, ((zh, en), _) in texts.VERDICTS.items() if f"| `{code}` | {zh} | {en} |" not in page] == []


def test_a_refusal_before_the_content() -> None:
    found = rejected("licence.unknown-key", now_ms=NOW * 1_000)
    assert found.code == "untrusted-issuer"
    assert lines(found)["signature"] == ("skip", "no-key")
    assert rejected("licence.never-heard-of", now_ms=0).code == "malformed"


claims = st.dictionaries(
    st.sampled_from(["iss", "vct", "nbf", "exp", "iat", "cnf", "status", "ZZBS", "CZZT"]),
    st.none()
    | st.integers(-9, 9)
    | st.text(max_size=5)
    | st.dictionaries(st.sampled_from(["jwk", "status_list", "kty"]), st.text(max_size=3)),
    max_size=3,
)


@given(claims, st.sets(st.sampled_from(["CZZT", "ZZBS", "exp"])))
def test_whatever_an_issuer_signs_gets_a_verdict(changes: dict[str, Any], hidden: set[str]) -> None:
    given_claims = city.claims() | changes
    made = {name: Hidden(plain(value)) if name in hidden else value for name, value in given_claims.items()}
    text = issuing.issue(made, typ="dc+sd-jwt", signer=ISSUER, salts=salts("fuzz"))
    assert city.judged(text, require_binding=False).code in texts.VERDICTS


def plain(value: Any) -> Any:
    return value.value if isinstance(value, Hidden) else value


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")), st.integers(0, 200))
def test_no_text_breaks_the_judge(noise: str, place: int) -> None:
    assert city.judged(noise).code in ("malformed", "forged")
    good = city.presented()
    damaged = good[: place * len(good) // 200] + noise + good[place * len(good) // 200 + len(noise) :]
    assert damaged == good or city.judged(damaged).code in texts.VERDICTS
