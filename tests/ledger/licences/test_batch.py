"""Presentations opened natively: the same answers as the Python code gives, whatever comes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError
from ledger.licences import b64, batch, binding, credential, issuing, sdjwt
from ledger.licences.issuing import Hidden
from ledger.licences.judging import Terms
from ledger.licences.suites import Signer, sm2_signer
from ledger.licences.verdict import Verdict
from ledger.licences.verify import judge_under
from tests.ledger.licences import licence_city as city
from tests.ledger.licences.licence_keys import HOLDER, ISSUER, STRANGER, salts
from tests.ledger.licences.negatives import FORM, NEGATIVES, Bad

SM = sm2_signer(bytes([9] * 32))
KEYS = {ISSUER.kid: ISSUER.spki, SM.kid: SM.spki}
SALT = "2GLC42sKQveCfGfryNRN9w"
LICENCE = city.licence()


def pure(text: str, typ: str = credential.TYP) -> sdjwt.VerifiedOpening | str:
    """What the Python code says."""
    try:
        parsed = sdjwt.parse(text)
        parsed.jws.require_typ(typ)
        if parsed.kid not in KEYS:
            return "licence.unknown-key"
        return sdjwt.verify(parsed, KEYS[parsed.kid], typ=typ)
    except LedgerError as error:
        return error.code


def native(text: str, typ: str = credential.TYP) -> sdjwt.VerifiedOpening | str:
    """What the native code says."""
    (found,) = batch.open_batch([text], KEYS, typ=typ)
    assert found is not None
    return found.opened if isinstance(found, batch.Found) else found.code


def agree(text: str) -> sdjwt.VerifiedOpening | str:
    expected = pure(text)
    # The same values, and of the same kinds: 1 is equal to 1.0 and to True.
    assert repr(native(text)) == repr(expected)
    return expected


@pytest.mark.parametrize("bad", FORM, ids=lambda bad: bad.code)
def test_what_is_malformed_is_refused_with_its_own_code(bad: Bad) -> None:
    assert agree(bad.text()) == bad.code


@pytest.mark.parametrize("bad", NEGATIVES, ids=lambda bad: bad.code)
def test_everything_else_is_opened_alike(bad: Bad) -> None:
    agree(bad.text())


@pytest.mark.parametrize("place", range(8))
def test_the_examples_of_the_rfc(vectors: Path, place: int) -> None:
    rfc = json.loads((vectors / "sd-jwt-rfc9901-examples" / "examples.json").read_text("utf-8"))
    example = rfc["examples"][place]
    # They name no key, which ours must; the structure is what is compared.
    payload, shown = json.dumps(example["issuer_payload"]).encode(), example["token"].split("~")[1:-1]
    found = agree("~".join([city.sign(city.header(), payload), *shown, ""]))
    assert isinstance(found, sdjwt.VerifiedOpening)
    assert found.claims == example["processed_payload"]


def nested(signer: Signer) -> str:
    claims: dict[str, Any] = {
        "a": Hidden({"b": Hidden([Hidden("x"), 1, Hidden({"c": Hidden(None)})]), "d": True}),
        "e": ["1.5", 0, 2**53 - 1, Hidden([])],
        "名称": Hidden("电子证照\U0001f600"),
    }
    return issuing.issue(claims, typ=credential.TYP, signer=signer, salts=salts(), decoys=30)


@pytest.mark.parametrize("signer", [ISSUER, SM], ids=["ES256", "SM2SM3"])
def test_what_is_nested_is_put_in_its_place(signer: Signer) -> None:
    text = nested(signer)
    whole = agree(text)
    assert isinstance(whole, sdjwt.VerifiedOpening)
    assert whole.claims["a"]["b"][2] == {"c": None}
    assert whole.hidden == 30
    assert max(len(item.parents) for item in whole.disclosures) == 3
    part = agree(issuing.present(text, [["a", "b"], ["名称"]]))
    assert isinstance(part, sdjwt.VerifiedOpening)
    assert part.claims["e"] == ["1.5", 0, 2**53 - 1]
    (found,) = batch.open_batch([binding.bind(text, signer=HOLDER, audience="a", nonce="n", issued_at=1)], KEYS)
    assert isinstance(found, batch.Found)
    assert (found.kid, found.suite, found.presented) == (signer.kid, signer.suite, text)
    assert found.key_binding is not None
    assert found.key_binding.count(".") == 2


def test_a_key_of_another_suite_or_of_no_curve_verifies_nothing() -> None:
    text = nested(ISSUER)
    for spki in (SM.spki, b"", ISSUER.spki[:-1], ISSUER.spki[:-1] + bytes([ISSUER.spki[-1] ^ 1])):
        assert batch.open_batch([text], {ISSUER.kid: spki}) == [batch.Refused(code="licence.key", kid=ISSUER.kid)]
    assert batch.open_batch([text], {ISSUER.kid: STRANGER.spki}) == [
        batch.Refused(code="licence.signature", kid=ISSUER.kid)
    ]
    assert batch.open_batch([text], {}) == [batch.Refused(code="licence.unknown-key", kid=ISSUER.kid)]
    assert batch.open_batch([], KEYS) == []


WORDS = r"""
" \ \x "a" "_sd" "..." "_sd_alg" "sha-256" "\u0061" "\ud800" "\ud83d\ude00" { } [ ] [[[[[[ ]]]]]] , : é true null nul
NaN 0 1 - 01 1.5 1e400 1E+2 1. .5 -0 9007199254740991 9007199254740992 99999999999999999 Infinity -Infinity
"""
PIECES = st.sampled_from([*WORDS.split(), " ", "\t", "\n", "\x01", "\ufeff", "\u2028"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**54), 2**54)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["_sd", "...", SALT]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["_sd", "_sd_alg", "...", "a", "b", "é"]) | st.text(max_size=3), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(data=st.lists(PIECES, max_size=24).map("".join).map(lambda text: text.encode()) | st.binary(max_size=40))
@example(data=b'{"a":"' + b'\\"' * 40 + b"[" * 20)
@example(data=b'{"a":1,"a":2')
@example(data=b'{"a":1,"a":2}x')
@example(data=b'{"\\ud800":1,"\\ud801":2}')
@example(data=b'{"a":"\\ud800\\ud83d\\ude00"}')
@example(data=b'{"a":' + b"9" * 5_000 + b"}")
@settings(max_examples=400, deadline=None)
def test_any_json_is_read_alike(data: bytes) -> None:
    agree(city.sign(city.header(), data) + "~")
    agree(city.sign(data, {}) + "~")
    # In an object, so that more of it gets past the first character.
    agree(city.sign(city.header(), b'{"a":' + data + b"}") + "~")


@pytest.mark.parametrize(
    "special", ['\\"', "\\\\", "\\n", "\\u00e9", '"', "\x1f", "\x00", "\x7f", " ", "!", "]", "é", "\u2028", "\\"]
)
def test_what_is_special_ends_a_run_of_characters_wherever_it_stands(special: str) -> None:
    """Texts are read eight bytes at a time."""
    for at in (*range(18), 63, 64, 65):
        for after in ("", "!#[]^`", "\x01" * 8, "é" * 8):
            agree(city.sign(city.header(), f'{{"{"x" * at}{special}{after}":"{"y" * at}{special}"}}'.encode()) + "~")


@given(
    claims=st.dictionaries(st.text(max_size=4), VALUES, max_size=4), parts=st.lists(VALUES, max_size=4), data=st.data()
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_disclosures_are_opened_alike(claims: dict[str, Any], parts: list[Any], data: st.DataObject) -> None:
    names = st.sampled_from(["a", "b", "_sd", "...", "é"]) | st.text(max_size=2)
    texts: list[str] = []
    for part in parts:
        kind = data.draw(st.integers(0, 3))
        within = {"_sd": [city.digest(text) for text in texts[-1:]], "v": part} if kind == 1 else part
        texts.append(
            city.disclosure([SALT, data.draw(names), within] if kind < 2 else [SALT, part] if kind == 2 else part)
        )
    digests = [city.digest(text) for text in texts]
    some = data.draw(st.lists(st.sampled_from(digests), max_size=5)) if digests else []
    payload = claims | {"_sd": some, "l": [{"...": digest} for digest in digests if data.draw(st.booleans())]}
    agree("~".join([city.sign(city.header(), payload), *texts, ""]))


@given(at=st.integers(0, 2_000), put=st.text("AQgw._-~+/= é{\x00", max_size=3), cut=st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_any_change_is_refused_alike(at: int, put: str, cut: int) -> None:
    text = LICENCE
    at %= len(text)
    changed = text[:at] + put + text[at + cut :]
    if changed.isascii():
        agree(changed)
    else:
        assert batch.open_batch([changed, text], KEYS)[0] is None
        assert isinstance(pure(changed), str)


@given(text=st.text(max_size=40))
def test_any_text_has_an_answer(text: str) -> None:
    (found,) = batch.open_batch([text], KEYS)
    assert (found is None) == (not text.isascii())
    (verdict,) = judged([text])
    assert verdict.code == "malformed"


def terms_of(bad: Bad) -> dict[str, Any]:
    given: dict[str, Any] = {
        "now_ms": city.NOW * 1_000,
        "audience": city.AUDIENCE,
        "nonce": city.NONCE,
        "require_binding": True,
    }
    return given | {name: value for name, value in bad.terms.items() if name not in ("known", "found")}


def judged(texts: list[str], bad: Bad | None = None, keys: dict[str, bytes] | None = None) -> Iterator[Verdict]:
    known = city.trust() if bad is None or "known" not in bad.terms else bad.terms["known"]
    found = city.listed() if bad is None or "found" not in bad.terms else bad.terms["found"]
    return batch.judge_batch(
        texts,
        terms=Terms(**terms_of(bad)) if bad else Terms(now_ms=city.NOW * 1_000),
        trust=lambda kid, iss, _: known if (kid, iss) == (ISSUER.kid, city.ISS) else None,
        status=lambda _: found,
        keys=batch.known_keys(KEYS if keys is None else keys),
    )


@pytest.mark.parametrize("bad", NEGATIVES, ids=lambda bad: bad.code)
def test_the_verdict_is_the_one_of_the_judge(bad: Bad) -> None:
    known, found = bad.terms.get("known", city.trust()), bad.terms.get("found", city.listed())
    alone = judge_under(
        bad.text(),
        terms=Terms(**terms_of(bad)),
        trust=lambda kid, iss, _: known if (kid, iss) == (ISSUER.kid, city.ISS) else None,
        status=lambda _: found,
    )
    assert not alone.accepted
    assert list(judged([bad.text()], bad)) == [alone]
    one = batch.judge_one(
        bad.text(),
        terms=Terms(**terms_of(bad)),
        trust=lambda kid, iss, _: known if (kid, iss) == (ISSUER.kid, city.ISS) else None,
        status=lambda _: found,
        keys=batch.known_keys(KEYS),
    )
    assert one == alone


@pytest.mark.parametrize("name", ["iss", "vct"])
def test_what_may_not_be_hidden_is_refused_as_the_judge_does(name: str) -> None:
    text = city.changed(**{name: Hidden(city.claims()[name])})
    (alone,) = judged([text], keys={})
    assert list(judged([text])) == [alone]
    assert not alone.accepted


def test_many_are_judged_in_their_order() -> None:
    good, revoked = city.licence(), next(bad for bad in NEGATIVES if bad.code == "licence.expired").text()
    kinds = [(good, "valid"), (revoked, "expired"), ("é" + good, "malformed"), (good + "x.", "forged")]
    order = [kinds[place * 7 % 4] for place in range(2 * batch.PIECE + 3)]
    verdicts = list(judged([text for text, _ in order]))
    assert [verdict.code for verdict in verdicts[:4]] == [
        item.code for item in judged([t for t, _ in order[:4]], keys={})
    ]
    assert {text: verdict for (text, _), verdict in zip(order, verdicts, strict=True)}[good].code == "valid"
    assert len(verdicts) == len(order)
    for (text, _), verdict in zip(order, verdicts, strict=True):
        assert verdict.accepted == (text == good)


def test_a_key_under_another_name_is_not_used() -> None:
    """The caller's table is wrong: what the licence names is what counts, not where the key stands."""
    text = city.issue(city.claims(), signer=STRANGER).replace("~", "~", 1)
    forged = city.sign(city.header(), city.payload(), STRANGER) + "~"
    assert [item.code for item in judged([forged, text], keys={ISSUER.kid: STRANGER.spki})] == [
        "forged",
        "untrusted-issuer",
    ]
    assert b64.decode(ISSUER.kid) != b64.decode(STRANGER.kid)
