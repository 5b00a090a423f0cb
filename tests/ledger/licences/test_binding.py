"""Key binding on its own: what a verifier asks for, and what is not bound at all."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.licences import binding, sdjwt
from tests.ledger.licences import licence_city as city
from tests.ledger.licences.licence_city import NOW
from tests.ledger.licences.licence_keys import HOLDER


def verified(text: str, **terms: Any) -> binding.KeyBinding:
    return binding.verify(sdjwt.parse(text), HOLDER.spki, **({"now_s": NOW} | terms))


def test_what_a_binding_says() -> None:
    found = verified(city.presented(extra={"for": "新办"}), audience=city.AUDIENCE, nonce=city.NONCE)
    assert (found.audience, found.nonce, found.issued_at) == (city.AUDIENCE, city.NONCE, NOW - 5)
    assert found.claims == {"for": "新办"}


@pytest.mark.parametrize(
    ("code", "terms"),
    [
        ("licence.binding-audience", {"audience": "https://elsewhere.example"}),
        ("licence.binding-nonce", {"nonce": "another"}),
        ("licence.binding-old", {"now_s": NOW + 356}),
        ("licence.binding-old", {"now_s": NOW + 66, "max_age_s": 10}),
        ("licence.binding-early", {"now_s": NOW - 66}),
    ],
)
def test_what_a_verifier_does_not_take(code: str, terms: dict[str, Any]) -> None:
    with pytest.raises(UntrustedError) as caught:
        verified(city.presented(), **terms)
    assert caught.value.code == code
    assert caught.value.hint


@pytest.mark.parametrize("now", [NOW - 65, NOW + 355])
def test_a_minute_of_skew_on_both_sides(now: int) -> None:
    assert verified(city.presented(), now_s=now).nonce == city.NONCE


def test_no_binding_came() -> None:
    with pytest.raises(UntrustedError) as caught:
        verified(city.licence())
    assert caught.value.code == "licence.binding-missing"


@pytest.mark.parametrize("name", ["aud", "iat", "nonce", "sd_hash"])
def test_the_bindings_own_claims_are_its_own(name: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        city.presented(extra={name: "x"})
    assert caught.value.code == "licence.reserved-name"


def test_another_disclosure_undoes_it() -> None:
    """Neither side of the presentation can be changed: what was bound is what is shown."""
    presented = city.presented()
    head, first, *rest = presented.split("~")
    for changed in ("~".join([head, *rest]), "~".join([head, rest[0], first, *rest[1:]])):
        with pytest.raises(UntrustedError) as caught:
            verified(changed)
        assert caught.value.code == "licence.binding-hash"


def spki(key: Any) -> bytes:
    encoded: bytes = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


@pytest.mark.parametrize(
    ("code", "key"),
    [
        ("licence.cnf-key", b"no key"),
        ("licence.cnf-curve", spki(ec.derive_private_key(7, ec.SECP384R1()))),
        ("licence.cnf-curve", spki(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)))),
    ],
)
def test_a_holders_key_is_on_p256(code: str, key: bytes) -> None:
    with pytest.raises(LedgerError) as caught:
        binding.confirmation(key)
    assert caught.value.code == code
