"""Status list tokens: every way one is refused, what they said at a time, and both ways with an independent reader."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from openvc.keys import P256SigningKey
from openvc.status import build_status_list_token, check_token_status, get_status, verify_status_list_token

from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.licences import jws, statustoken
from ledger.licences.status import StatusList
from ledger.licences.statustoken import Change, ListKey, VerifiedStatusList
from ledger.licences.suites import es256_signer

ISSUER = "11310000MB2F30000K"
OTHER = "11310000MB2F00031J"
URI = "https://issuer.example/licence/status/1"
KEY = ec.derive_private_key(11, ec.SECP256R1())
SIGNER = es256_signer(KEY)
OTHER_SIGNER = es256_signer(ec.derive_private_key(12, ec.SECP256R1()))
NOW = 1_780_000_000
LIST = StatusList.of_values([0, 1, 2, 0] * 10)


def key_of(kid: str) -> ListKey | None:
    owners = {SIGNER.kid: ListKey(issuer=ISSUER, spki=SIGNER.spki)}
    owners[OTHER_SIGNER.kid] = ListKey(issuer=OTHER, spki=OTHER_SIGNER.spki)
    return owners.get(kid)


def make(content: StatusList = LIST, **changes: Any) -> str:
    given: dict[str, Any] = {"issuer": ISSUER, "uri": URI, "version": 1, "iat": NOW, "ttl": 120, "exp": NOW + 600}
    return statustoken.make(SIGNER, content, **(given | changes))


def verify(token: str, now_s: int | None = NOW, uri: str = URI, issuer: str = ISSUER) -> VerifiedStatusList:
    return statustoken.verify(token, uri=uri, issuer=issuer, key_of=key_of, now_s=now_s)


def code_of(token: str, now_s: int | None = NOW, **more: Any) -> str:
    with pytest.raises(LedgerError) as caught:
        verify(token, now_s, **more)
    return caught.value.code


def signed(signer: Any = SIGNER, header: dict[str, Any] | None = None, **claims: Any) -> str:
    given: dict[str, Any] = {"sub": URI, "iat": NOW, "status_list": {"bits": 2, "lst": "eNpjZGBgAAAACQAD"}} | claims
    head = {"kid": signer.kid, "typ": "statuslist+jwt"} | (header or {})
    return jws.make(head, {name: value for name, value in given.items() if value is not None}, signer)


def test_what_is_made_is_verified() -> None:
    token = make()
    found = verify(token)
    assert (found.uri, found.issuer, found.version, found.until_s) == (URI, ISSUER, 1, NOW + 120)
    assert found.list == LIST
    assert [statustoken.status_of(found, uri=URI, issuer=ISSUER, index=at) for at in range(4)] == [0, 1, 2, 0]
    again = verify(make(iat=NOW + 60, exp=NOW + 660), NOW + 60)
    assert again.list_digest == found.list_digest
    assert again.token_digest != found.token_digest
    with pytest.raises(TypeError):
        VerifiedStatusList(
            uri=URI, issuer=ISSUER, kid="", iat=1, exp=2, ttl=3, version=1, list=LIST, token_digest=b"", seal=object()
        )


def test_how_old_a_list_may_be() -> None:
    token = make()
    for now in (NOW - 60, NOW, NOW + 180):
        verify(token, now)
    assert code_of(token, NOW - 61) == "licence.status-future"
    assert code_of(token, NOW + 181) == "licence.status-stale"
    assert code_of(make(ttl=10_000), NOW + 660) == "licence.status-expired"
    verify(make(ttl=10_000), NOW + 659)
    # The times are seconds: read as the milliseconds of the W3C list, this one would be stale at once.
    verify(make(ttl=43_200, exp=NOW + 86_400), NOW + 43_200)
    # Without a time of judging, age is asked for later, at each use.
    kept = verify(token, None)
    statustoken.check_fresh(kept, NOW + 100)
    with pytest.raises(UntrustedError):
        statustoken.check_fresh(kept, NOW + 1000)


def test_whose_list_it_is() -> None:
    assert code_of(make(), issuer=OTHER) == "licence.status-other-issuer"
    assert code_of(signed(OTHER_SIGNER)) == "licence.status-other-issuer"
    assert code_of(signed(iss=f"urn:cn:uscc:{OTHER}")) == "licence.status-other-issuer"
    assert code_of(make(), uri=URI + "2") == "licence.status-uri"
    assert code_of(signed(header={"kid": "unknown"})) == "licence.status-key"
    assert code_of(signed(OTHER_SIGNER, header={"kid": SIGNER.kid})) == "licence.signature"
    found = verify(make())
    for wrong in ({"uri": URI + "2"}, {"issuer": OTHER}, {"index": 40}):
        with pytest.raises(UntrustedError):
            statustoken.status_of(found, **({"uri": URI, "issuer": ISSUER, "index": 0} | wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"status_list": None}, "licence.status-claims"),
        ({"status_list": []}, "licence.status-claims"),
        ({"status_list": {"bits": 2}}, "licence.status-claims"),
        ({"status_list": {"lst": "eNpjZGBgAAAACQAD"}}, "licence.status-claims"),
        ({"status_list": {"bits": 3, "lst": "eNrbuRgAAhcBXQ"}}, "licence.status-bits"),
        ({"status_list": {"bits": 2, "lst": "eNrbuRgAAhcBXQ=="}}, "licence.base64"),
        ({"status_list": {"bits": 2, "lst": "AAAA"}}, "licence.zlib"),
        ({"sub": None}, "licence.status-claims"),
        ({"sub": 7}, "licence.status-claims"),
        ({"iat": None}, "licence.status-claims"),
        ({"iat": "1"}, "licence.status-claims"),
        ({"exp": True}, "licence.status-claims"),
        ({"ttl": 0}, "licence.status-claims"),
        ({"ttl": -5}, "licence.status-claims"),
        ({"version": 0}, "licence.status-claims"),
    ],
)
def test_claims_that_are_none(claims: dict[str, Any], code: str) -> None:
    assert code_of(signed(**claims)) == code


def test_tokens_that_are_none() -> None:
    assert code_of(signed(header={"typ": "dc+sd-jwt"})) == "licence.typ"
    assert code_of("") == "licence.segments"
    head, body, signature = make().split(".")
    unsigned = urlsafe_b64encode(json.dumps({"alg": "none", "typ": "statuslist+jwt"}).encode()).rstrip(b"=").decode()
    assert code_of(f"{unsigned}.{body}.{signature}") == "licence.alg-none"
    assert code_of(f"{head}.{body[:40]}{body[44:48]}{body[40:44]}{body[48:]}.{signature}") == "licence.signature"
    assert code_of("x" * (statustoken.MAX_TOKEN_CHARACTERS + 1)) == "licence.status-size"
    with pytest.raises(InvalidInputError):
        make(ttl=0)


def test_what_a_list_said_on_a_day() -> None:
    first = verify(make(), None)
    again = verify(make(iat=NOW + 100, exp=NOW + 700), None)
    revoked = verify(make(LIST.changed({0: 1}), version=2, iat=NOW + 200, exp=NOW + 800), None)
    resumed = verify(make(LIST.changed({0: 1, 2: 0}), version=3, iat=NOW + 900, exp=NOW + 1500), None)
    versions = [resumed, first, revoked, again]
    assert statustoken.list_at(versions, NOW - 1) is None
    assert statustoken.list_at(versions, NOW) is first
    assert statustoken.list_at(versions, NOW + 150) is again
    assert statustoken.list_at(versions, NOW + 200) is revoked
    # Its ttl over and the next not made yet: nobody spoke for that second.
    assert statustoken.list_at(versions, NOW + 321) is None
    assert statustoken.list_at(versions, NOW + 900) is resumed
    assert statustoken.history(versions, 0) == (
        Change(from_s=NOW, value=0, version=1),
        Change(from_s=NOW + 200, value=1, version=2),
    )
    assert [change.value for change in statustoken.history(versions, 2)] == [2, 0]
    assert statustoken.history(versions, 1000) == ()


@pytest.mark.parametrize(
    "second",
    [
        {"content": LIST.changed({0: 1})},
        {"version": 1, "iat": NOW + 10, "content": LIST.changed({0: 1})},
        {"version": 2, "uri": URI + "2"},
        {"version": 2, "iat": NOW - 10},
    ],
)
def test_a_history_that_contradicts_itself(second: dict[str, Any]) -> None:
    later = verify(make(**second), None, uri=second.get("uri", URI))
    with pytest.raises(UntrustedError) as caught:
        statustoken.history([verify(make(), None), later], 0)
    assert caught.value.code == "licence.status-chain"


def test_an_independent_reader_accepts_what_is_made() -> None:
    theirs = P256SigningKey(KEY, SIGNER.kid)
    claims = verify_status_list_token(
        make(), public_key_jwk=theirs.public_jwk(), expected_uri=URI, now=datetime.fromtimestamp(NOW, UTC)
    )
    for index, expected in enumerate([(0, False, False), (1, True, False), (2, False, True)]):
        reference = {"status": {"status_list": {"idx": index, "uri": URI}}}
        result = check_token_status(reference, resolve_status_list_token=lambda uri: claims)
        assert result is not None
        assert (result.status, result.revoked, result.suspended) == expected


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_what_an_independent_issuer_makes_is_accepted(bits: int) -> None:
    values = [(at * 7) % (1 << bits) for at in range(64)]
    content = StatusList.of_values(values, bits=bits)
    token = build_status_list_token(
        signing_key=P256SigningKey(KEY, SIGNER.kid), uri=URI, status_list=content.packed, bits=bits,
        issued_at=NOW, expires=NOW + 600, ttl=300,
    )  # fmt: skip
    found = verify(token)
    assert [found.list.get(at) for at in range(64)] == [get_status(content.packed, at, bits=bits) for at in range(64)]
    assert list(found.list.values()) == values
    assert (found.version, found.until_s) == (None, NOW + 300)
    payload = token.split(".")[1]
    assert "version" not in json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
