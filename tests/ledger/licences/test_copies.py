"""Purpose-bound copies: terms under the holder's signature, refused elsewhere and later."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ledger.errors import InvalidInputError, LedgerError, NotAllowedError
from ledger.licences import binding, issuing, sdjwt
from ledger.licences.binding import KeyBinding
from ledger.licences.copies import CopyTerms, check_copy, copy_in, is_copy, make_copy
from ledger.licences.suites import es256_signer

ISSUER = es256_signer(ec.derive_private_key(31, ec.SECP256R1()))
HOLDER = es256_signer(ec.derive_private_key(32, ec.SECP256R1()))
BANK = "91110000600037341L"
OFFICE = "11310000MB2F00001F"
MADE = 1_780_000_000
DAY = 86_400
TERMS = CopyTerms(recipient=OFFICE, matter="办理不动产转移登记", made_s=MADE, expires_s=MADE + 30 * DAY)
NONCE = bytes(range(16))
LICENCE = issuing.issue(
    {"cnf": binding.confirmation(HOLDER.spki), "CZZT": issuing.Hidden("张三"), "ZZMC": "营业执照"},
    typ="dc+sd-jwt",
    signer=ISSUER,
    salts=[bytes([1] * 16)],
)


def bound(text: str, now_s: int = MADE, holder: bytes = HOLDER.spki) -> KeyBinding:
    return binding.verify(sdjwt.parse(text), holder, now_s=now_s, max_age_s=None)


def test_a_copy_carries_its_terms_under_the_holders_signature() -> None:
    text = make_copy(issuing.present(LICENCE, [["CZZT"]]), TERMS, holder=HOLDER, nonce=NONCE)
    found = bound(text, MADE + 20 * DAY)
    assert (found.audience, found.nonce) == (f"urn:cn:uscc:{OFFICE}", "AAECAwQFBgcICQoLDA0ODw")
    assert is_copy(found.claims)
    assert copy_in(found) == TERMS
    # Another disclosure put in, or the terms of another signature: it is no longer what the holder signed.
    shown, kb = text.rsplit("~", 1)
    with pytest.raises(LedgerError) as caught:
        bound(shown.rsplit("~", 1)[0] + "~" + kb)
    assert caught.value.code == "licence.binding-hash"
    with pytest.raises(LedgerError) as caught:
        bound(text, holder=ISSUER.spki)
    assert caught.value.code == "licence.binding-signature"


def test_an_ordinary_presentation_is_no_copy() -> None:
    text = binding.bind(LICENCE, signer=HOLDER, audience="verifier", nonce="n", issued_at=MADE)
    assert copy_in(bound(text)) is None


@pytest.mark.parametrize(
    ("now_s", "recipient", "code"),
    [
        (MADE - 60, OFFICE, None),
        (MADE + 30 * DAY + 59, OFFICE, None),
        (MADE, None, None),
        (MADE, BANK, "licence.wrong-recipient"),
        (MADE + 40 * DAY, BANK, "licence.wrong-recipient"),
        (MADE + 30 * DAY + 60, OFFICE, "licence.copy-expired"),
        (MADE + 30 * DAY + 60, None, "licence.copy-expired"),
        (MADE - 61, OFFICE, "licence.copy-early"),
    ],
)
def test_shown_elsewhere_or_later(now_s: int, recipient: str | None, code: str | None) -> None:
    if code is None:
        check_copy(TERMS, now_s=now_s, recipient=recipient)
        return
    with pytest.raises(NotAllowedError) as caught:
        check_copy(TERMS, now_s=now_s, recipient=recipient)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"recipient": OFFICE[:-1] + "A"}, "identifier.uscc"),
        ({"recipient": 7}, "licence.copy-terms"),
        ({"maker": "somebody"}, "identifier.uscc"),
        ({"matter": ""}, "licence.copy-terms"),
        ({"matter": "事" * 61}, "licence.copy-terms"),
        ({"matter": " 办事"}, "licence.copy-terms"),
        ({"matter": "办\n事"}, "licence.copy-terms"),
        ({"matter": "办\u202e事"}, "licence.copy-terms"),
        ({"matter": "e\u0301"}, "licence.copy-terms"),
        ({"matter": None}, "licence.copy-terms"),
        ({"expires_s": MADE}, "licence.copy-terms"),
        ({"expires_s": MADE + 367 * DAY}, "licence.copy-terms"),
        ({"expires_s": 2**60, "made_s": 2**60 - 5}, "licence.copy-terms"),
        ({"made_s": True}, "licence.copy-terms"),
    ],
)
def test_terms_that_are_none(changes: dict[str, Any], code: str) -> None:
    given: dict[str, Any] = {"recipient": OFFICE, "matter": "办事", "made_s": MADE, "expires_s": MADE + DAY}
    with pytest.raises(InvalidInputError) as caught:
        CopyTerms(**(given | changes))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("audience", "extra"),
    [
        (f"urn:cn:uscc:{OFFICE}", {"copy": {"matter": "办事"}}),
        (f"urn:cn:uscc:{OFFICE}", {"copy": {"matter": "办事"}, "exp": MADE + DAY, "more": 1}),
        (f"urn:cn:uscc:{OFFICE}", {"copy": {"matter": "办事", "maker": OFFICE}, "exp": MADE + DAY}),
        (f"urn:cn:uscc:{OFFICE}", {"copy": {}, "exp": MADE + DAY}),
        (f"urn:cn:uscc:{OFFICE}", {"copy": "办事", "exp": MADE + DAY}),
        (f"urn:cn:uscc:{OFFICE}", {"copy": None, "exp": MADE + DAY}),
        (f"urn:cn:uscc:{OFFICE}", {"copy": {"matter": "办事"}, "exp": "later"}),
        ("https://office.example", {"copy": {"matter": "办事"}, "exp": MADE + DAY}),
    ],
)
def test_bindings_with_terms_no_copy_has(audience: str, extra: dict[str, Any]) -> None:
    text = binding.bind(LICENCE, signer=HOLDER, audience=audience, nonce="n", issued_at=MADE, extra=extra)
    with pytest.raises(InvalidInputError) as caught:
        copy_in(bound(text))
    assert caught.value.code == "licence.copy-terms"


def test_what_the_holder_cannot_make() -> None:
    for terms, nonce in ((TERMS, NONCE[:-1]), (CopyTerms(
        recipient=OFFICE, matter="办事", made_s=MADE, expires_s=MADE + DAY, maker=BANK), NONCE)):  # fmt: skip
        with pytest.raises(InvalidInputError):
            make_copy(LICENCE, terms, holder=HOLDER, nonce=nonce)
