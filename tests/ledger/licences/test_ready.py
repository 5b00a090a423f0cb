"""Answers put together natively: the judge's to the byte, only while they hold, only about what is plainly valid."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidInputError
from ledger.licences import issuing
from ledger.licences.judging import when
from ledger.licences.ready import ReadyVerdicts, alone
from ledger.licences.statustoken import VerifiedStatusList
from ledger.licences.trust import Accreditation, IssuerTrust, KeyEnd
from ledger.licences.verdict import Verdict
from ledger.v1 import gateway_pb2 as pb
from tests.ledger.licences import licence_city as city
from tests.ledger.licences.licence_keys import ISSUER, STRANGER
from tests.ledger.licences.ready_city import KEYS, NOW_MS, alike, learned, opened

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
DAY_MS = city.DAY * 1_000
TRUST, LISTED = city.trust(), city.listed()


def ready(made: ReadyVerdicts, text: str, **changes: Any) -> bool:
    return alike(made, text, **({"trust": TRUST, "listed": LISTED} | changes))


# --- licences --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", ["driving-licence", "food-permit"])
@pytest.mark.parametrize("bound", [True, False])
def test_a_sound_licence_is_answered(template: str, bound: bool) -> None:
    assert ready(learned(), city.issue(city.claims(bound=bound, template=template)))


def test_what_is_held_back_is_counted() -> None:
    for shown in ([("ZZBS",)], [("CZZT",), ("ZZBS",)], [("CZZT",), ("KZ_ZJCX",), ("ZZBS",)]):
        assert ready(learned(), issuing.present(city.licence(), shown))
    assert not ready(learned(), issuing.present(city.licence(), [("CZZT",)]))


@FEW
@given(st.integers(city.NOW + 1, 253_402_300_799))
@example(253_402_271_998)
@example(253_402_271_999)
@example(253_402_272_000)
@example(4_107_513_599)
@example(1_835_366_400)
@example(1_835_452_799)
def test_any_end_is_told_alike(expires: int) -> None:
    text = city.changed(exp=expires)
    answer = learned().answer(text, KEYS, NOW_MS)
    assert ready(learned(), text) == (expires <= 253_402_271_999) == isinstance(answer, bytes)
    if isinstance(answer, bytes):
        assert when(expires * 1_000).encode() in answer


@pytest.mark.parametrize(
    "text",
    [
        city.changed(exp=city.NOW),
        city.changed(exp=city.NOW - 1),
        city.changed(nbf=city.NOW + 1),
        city.changed(iat=city.NOW + 1),
        city.changed(iat=None),
        city.changed(status=None),
        city.changed(ZZBS=None),
        city.changed(ZZBS="x"),
        city.changed(status={"status_list": {"idx": 8, "uri": city.URI}}),
        city.changed(status={"status_list": {"idx": 2**32 - 1, "uri": city.URI}}),
        city.changed(status={"status_list": {"idx": city.PLACE, "uri": city.URI + "0"}}),
        city.changed(vct=f"urn:cn:elicence:{city.TYPE[:-1]}2:1"),
        city.changed(iss=f"urn:cn:uscc:{city.OTHER_BODY}"),
        city.changed(KZ_OTHER="x"),
        city.changed(KZ_ZJCX=1),
        city.changed(KZ_ZJCX='"'),
        city.issue(city.claims(), signer=STRANGER),
        city.presented(),
        city.copy_for(city.OTHER_BODY),
        city.licence() + " ",
        city.licence()[:-1],
        city.licence().replace("~", "~~", 1),
        "eyJ~",
        "é~",
        "",
    ],
)
def test_what_is_not_plainly_valid_is_for_the_judge(text: str) -> None:
    assert not ready(learned(), text)


# --- what they rest on -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1, 2, 3])
def test_a_place_that_is_not_valid_is_for_the_judge(value: int) -> None:
    listed = city.listed(value)
    made = ReadyVerdicts()
    other = city.changed(status={"status_list": {"idx": city.PLACE - 1, "uri": city.URI}})
    made.learn(opened(other), trust=TRUST, listed=listed, times_ms=(NOW_MS, NOW_MS + 1), told=Verdict.told)
    assert ready(made, other, listed=listed)
    assert not ready(made, city.licence(), listed=listed)


@pytest.mark.parametrize("now_ms", [NOW_MS - 1, NOW_MS + 2_000, NOW_MS + 10 * DAY_MS])
def test_outside_its_time_nothing_is_ready(now_ms: int) -> None:
    made = learned()
    assert ready(made, city.licence(), now_ms=NOW_MS)
    assert ready(made, city.licence(), now_ms=NOW_MS + 1_999)
    assert not ready(made, city.licence(), now_ms=now_ms)


def test_what_ends_meanwhile_is_not_made_ready() -> None:
    for trust in (
        city.trust(key_ended_ms=NOW_MS + 1_000, key_ended_kind=KeyEnd.RETIRED),
        city.trust(key_until_ms=NOW_MS + 1_000),
        city.trust(key_ended_ms=NOW_MS + DAY_MS, key_ended_kind=KeyEnd.COMPROMISED),
        city.trust(accreditations=(Accreditation(from_ms=0, until_ms=NOW_MS + 1_000, by=city.MINISTRY),)),
        city.trust(accreditations=()),
        city.trust(type_known=False),
        city.trust(key_from_ms=NOW_MS + 1),
    ):
        assert not ready(learned(trust), city.licence(), trust=trust)
    for listed in (city.listed(age=360, ttl=300), city.listed(age=20, ttl=600, life=-39)):
        assert not ready(learned(listed=listed), city.licence(), listed=listed)
    lasting = city.trust(key_ended_ms=NOW_MS + DAY_MS, key_ended_kind=KeyEnd.RETIRED, key_until_ms=NOW_MS + DAY_MS)
    assert ready(learned(lasting), city.licence(), trust=lasting)


def test_nothing_that_was_refused_is_learned() -> None:
    made = ReadyVerdicts()
    for text in (city.issue(city.claims(), signer=STRANGER), city.changed(status=None), "x"):
        made.learn(opened(text), trust=TRUST, listed=LISTED, times_ms=(NOW_MS, NOW_MS + 2_000), told=Verdict.told)
    made.learn(opened(city.licence()), trust=TRUST, listed=LISTED, times_ms=(NOW_MS, NOW_MS), told=Verdict.told)
    assert not ready(made, city.licence())


def test_what_is_read_anew_takes_the_place_of_what_was() -> None:
    made, later = learned(), city.trust(view_height=43, view_time_ms=NOW_MS + 2_000)
    made.learn(
        opened(city.licence()),
        trust=later,
        listed=LISTED,
        times_ms=(NOW_MS + 2_000, NOW_MS + 4_000),
        told=Verdict.told,
    )
    assert ready(made, city.licence(), trust=later, now_ms=NOW_MS + 3_999)


def test_many_issuers_take_no_more_room_than_there_is() -> None:
    made = ReadyVerdicts()
    texts = [city.changed(status={"status_list": {"idx": 1, "uri": f"{city.URI}{number}"}}) for number in range(257)]
    lists = [city.listed(uri=f"{city.URI}{number}") for number in range(257)]
    for text, listed in zip(texts, lists, strict=True):
        made.learn(opened(text), trust=TRUST, listed=listed, times_ms=(NOW_MS, NOW_MS + 2_000), told=Verdict.told)
    known = [ready(made, text, listed=listed) for text, listed in zip(texts, lists, strict=True)]
    assert known == [True] * 256 + [False]
    times = (NOW_MS + 2_000, NOW_MS + 4_000)
    made.learn(opened(texts[-1]), trust=TRUST, listed=lists[-1], times_ms=times, told=Verdict.told)
    assert ready(made, texts[-1], listed=lists[-1], now_ms=NOW_MS + 2_000)


moments = st.integers(-40, 40).map(lambda days: NOW_MS + days * DAY_MS)
accreditations = st.builds(
    Accreditation, from_ms=moments, until_ms=st.none() | moments, by=st.sampled_from([city.MINISTRY, city.OTHER_BODY])
)
ends = st.none() | moments


@FEW
@given(st.lists(accreditations, max_size=4), moments, ends, ends, st.sampled_from([None, *KeyEnd]), st.integers(-45, 1))
@example([city.span(40, 20), city.span(30, None)], NOW_MS - 40 * DAY_MS, None, None, None, -15)
@example([city.span(40, 30), city.span(30, None)], NOW_MS - 40 * DAY_MS, None, None, None, -35)
def test_any_standing_is_told_alike(
    spans: list[Accreditation], start: int, end: int | None, until: int | None, kind: KeyEnd | None, issued: int
) -> None:
    trust: IssuerTrust = city.trust(
        accreditations=tuple(spans), key_from_ms=start, key_ended_ms=end, key_until_ms=until, key_ended_kind=kind
    )
    made = learned(trust)
    text = city.changed(iat=city.NOW + issued * city.DAY)
    for now_ms in (NOW_MS, NOW_MS + 1_999):
        ready(made, text, trust=trust, now_ms=now_ms)


def test_a_licence_of_either_of_two_accreditations_is_answered() -> None:
    trust = city.trust(accreditations=(city.span(100, 50), city.span(50, None)))
    made = learned(trust)
    answers = [city.changed(iat=city.NOW - days * city.DAY) for days in (99, 51, 50, 1)]
    assert all(ready(made, text, trust=trust) for text in answers)
    assert not ready(made, city.changed(iat=city.NOW - 101 * city.DAY), trust=trust)


@FEW
@given(st.integers(0, 400), st.integers(1, 400), st.integers(-200, 400))
def test_any_age_of_a_list_is_told_alike(age: int, ttl: int, life: int) -> None:
    listed: VerifiedStatusList = city.listed(age=age, ttl=ttl, life=life)
    made = learned(listed=listed)
    for now_ms in (NOW_MS, NOW_MS + 1_999):
        ready(made, city.licence(), listed=listed, now_ms=now_ms)


# --- messages --------------------------------------------------------------------------------------------------------


def plain(text: str) -> bytes:
    return pb.LicencePresentation(licence=text).SerializeToString()


def test_a_licence_alone_is_found_in_its_message() -> None:
    for text in (city.licence(), "eyJ~", "eyJ" + "a" * 123 + "~", "eyJ" + "a" * 124 + "~", "eyJ" + "a" * 65_532 + "~"):
        assert alone(plain(text)) == text


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\n",
        b"\n\x00",
        b"\n\x80",
        b"\n\x05eyJ~",
        b"\n\x03eyJ~",
        b"\n\x84\x80\x80\x00eyJ~",
        b"\x12\x04eyJ~",
        plain("eyJ~").replace(b"J", b"\xff"),
        plain("eyJé~"),
        plain("eyJ"),
        plain(" eyJ~"),
        plain("eyJ~\n"),
        plain("eyJ" + "a" * 65_533 + "~"),
        plain("eyJ~") * 2,
        plain("eyJ~") + b"\x32\x01~",
        plain("EL1:~"),
        plain("EP1:~"),
        plain("HTTPS://A/R/~"),
        plain("{}~"),
        pb.LicencePresentation(licence="eyJ~", nonce="~").SerializeToString(),
        pb.LicencePresentation(licence="eyJ~", require_binding=True).SerializeToString(),
    ],
)
def test_every_other_message_is_read_as_ever(message: bytes) -> None:
    assert alone(message) is None


@given(st.binary(max_size=20) | st.builds(lambda head, tail: head + b"eyJ" + tail + b"~", st.binary(), st.binary()))
def test_whatever_is_found_is_what_the_message_says(message: bytes) -> None:
    text = alone(message)
    assert text is None or pb.LicencePresentation.FromString(message) == pb.LicencePresentation(licence=text)


def test_an_answer_is_one_whole_message() -> None:
    answer = learned().answer(city.licence(), KEYS, NOW_MS)
    assert isinstance(answer, bytes)
    verdict = pb.LicenceVerdict.FromString(answer)
    assert (verdict.code, verdict.SerializeToString(deterministic=True)) == ("valid", answer)
    assert json.loads(verdict.verdict)["code"] == "valid"
    assert ISSUER.kid not in json.loads(verdict.verdict)


def test_no_bytes_are_no_message() -> None:
    with pytest.raises(InvalidInputError):
        alone("eyJ~")  # type: ignore[arg-type]
