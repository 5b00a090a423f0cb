"""ES256 as licences use it, against Wycheproof: high s is a signature, everything malformed is none."""

from __future__ import annotations

import json
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from ledger.errors import LedgerError
from ledger.licences.suites import ES256


def test_p256_of_wycheproof(vectors: Path) -> None:
    path = vectors / "wycheproof" / "testvectors_v1" / "ecdsa_secp256r1_sha256_p1363_test.json"
    facts = json.loads(path.read_text("utf-8"))
    seen = 0
    for group in facts["testGroups"]:
        key = load_der_public_key(bytes.fromhex(group["publicKeyDer"]))
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for test in group["tests"]:
            seen += 1
            expected = test["result"] == "valid"
            assert verifies(spki, bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])) == expected, test["comment"]
    assert seen == facts["numberOfTests"] > 200


def verifies(spki: bytes, message: bytes, signature: bytes) -> bool:
    try:
        ES256.verify(spki, message, signature)
    except LedgerError as error:
        if error.code != "licence.signature":
            raise
        return False
    return True
