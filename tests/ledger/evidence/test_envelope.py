"""Forwarded writes: our EIP-712 against the EIP's example and against eth-account."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import keccak

from ledger.errors import InvalidInputError, LedgerError, NotAllowedError, UntrustedError
from ledger.evidence.envelope import (
    Envelope,
    EnvelopeDomain,
    body_digest,
    domain_separator,
    envelope_digest,
    hash_struct,
    sign_envelope,
    typed_digest,
    verify_envelope,
)
from ledger.keys import AccountSigner
from tests.ledger.evidence.city import USCCS

NOW = 1_795_318_905_684
SIGNER = AccountSigner(b"s" * 32)
DOMAIN = EnvelopeDomain(chain_id=310_000, consortium=b"\xc0" * 20)
ENVELOPE = Envelope(
    chain=b"c" * 32,
    caller=USCCS[1],
    target=USCCS[2],
    method="/ledger.v1.RecordService/Append",
    body_digest=body_digest(b"body"),
    nonce=b"n" * 32,
    expires=NOW + 60_000,
)


def refused(kind: type[LedgerError], envelope: Envelope, signature: bytes, now_ms: int = NOW) -> str:
    with pytest.raises(kind) as caught:
        verify_envelope(DOMAIN, envelope, signature, SIGNER.address, now_ms)
    return caught.value.code


def test_the_mail_example_of_the_eip(vectors: Path) -> None:
    mail = json.loads((vectors / "eip-712-example" / "mail.json").read_text())
    domain = mail["typedData"]["domain"]
    separator = domain_separator(
        domain["name"], domain["version"], domain["chainId"], bytes.fromhex(domain["verifyingContract"][2:])
    )
    assert "0x" + separator.hex() == mail["domainSeparator"]
    message = mail["typedData"]["message"]

    def person(who: dict[str, str]) -> bytes:
        return hash_struct(
            b"Person(string name,address wallet)",
            keccak(text=who["name"]),
            bytes(12) + bytes.fromhex(who["wallet"][2:]),
        )

    struct = hash_struct(
        mail["encodeType"].encode(), person(message["from"]), person(message["to"]), keccak(text=message["contents"])
    )
    assert "0x" + struct.hex() == mail["structHash"]
    digest = typed_digest(separator, struct)
    assert "0x" + digest.hex() == mail["digest"]
    cow = AccountSigner(keccak(b"cow"))
    assert "0x" + cow.address.hex() == mail["signer"]
    expected = mail["r"][2:].rjust(64, "0") + mail["s"][2:].rjust(64, "0")
    signature = cow.sign_digest(digest)
    assert signature[:64].hex() == expected
    assert signature[64] + 27 == mail["v"]


def test_wallets_make_the_same_signature() -> None:
    fields = "chain caller target method bodyDigest nonce expires"
    types = ["bytes32", "bytes32", "bytes32", "string", "bytes32", "bytes32", "uint64"]
    typed = encode_typed_data(
        {"name": "civicledger", "version": "1", "chainId": 310_000, "verifyingContract": "0x" + "c0" * 20},
        {"Envelope": [{"name": n, "type": t} for n, t in zip(fields.split(), types, strict=True)]},
        {
            "chain": ENVELOPE.chain,
            "caller": USCCS[1].encode().ljust(32, b"\0"),
            "target": USCCS[2].encode().ljust(32, b"\0"),
            "method": ENVELOPE.method,
            "bodyDigest": ENVELOPE.body_digest,
            "nonce": ENVELOPE.nonce,
            "expires": ENVELOPE.expires,
        },
    )
    signed = Account.sign_message(typed, b"s" * 32)
    ours = sign_envelope(SIGNER, DOMAIN, ENVELOPE)
    assert signed.signature[:64] == ours[:64]
    assert signed.signature[64] == ours[64] + 27
    verify_envelope(DOMAIN, ENVELOPE, ours, SIGNER.address, NOW)


def test_every_field_is_signed() -> None:
    signature = sign_envelope(SIGNER, DOMAIN, ENVELOPE)
    changes: list[dict[str, object]] = [
        {"chain": b"d" * 32}, {"caller": USCCS[3]}, {"target": USCCS[3]}, {"method": "/ledger.v1.RecordService/Read"},
        {"body_digest": body_digest(b"bodY")}, {"nonce": b"m" * 32}, {"expires": NOW + 59_999},
    ]  # fmt: skip
    for change in changes:
        assert refused(UntrustedError, replace(ENVELOPE, **change), signature) == "envelope.signature"  # type: ignore[arg-type]
    for domain in (replace(DOMAIN, chain_id=1), replace(DOMAIN, consortium=b"\xc1" * 20)):
        assert envelope_digest(domain, ENVELOPE) != envelope_digest(DOMAIN, ENVELOPE)
    with pytest.raises(UntrustedError):
        verify_envelope(DOMAIN, ENVELOPE, signature, b"other" * 4, NOW)
    for bad in (signature[:64], signature[:64] + b"\x1b", b"", signature + b"\0"):
        assert refused(UntrustedError, ENVELOPE, bad) == "envelope.signature"


def test_times() -> None:
    signature = sign_envelope(SIGNER, DOMAIN, ENVELOPE)
    assert refused(NotAllowedError, ENVELOPE, signature, NOW + 60_000) == "envelope.expired"
    assert refused(NotAllowedError, ENVELOPE, signature, NOW - 1) == "envelope.too-far"
    verify_envelope(DOMAIN, ENVELOPE, signature, SIGNER.address, NOW + 59_999)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"nonce": b"n" * 31}, "envelope.field"),
        ({"chain": b""}, "envelope.field"),
        ({"method": "m" * 201}, "envelope.field"),
        ({"method": "é"}, "envelope.field"),
        ({"expires": 2**64}, "envelope.field"),
        ({"caller": "x"}, "identifier.uscc"),
    ],
)
def test_bounds(change: dict[str, object], code: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        envelope_digest(DOMAIN, replace(ENVELOPE, **change))  # type: ignore[arg-type]
    assert caught.value.code == code
    with pytest.raises(InvalidInputError):
        hash_struct(b"T(bytes32 a)", b"short")
