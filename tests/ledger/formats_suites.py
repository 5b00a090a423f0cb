"""Worked examples of ``docs/formats.md``: the suites of licences."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

from ledger.licences.suites import es256_signer, sm2_signer
from tests.ledger.formats_page import Fields, example, raw


@example("licence-suites")
def _(given: Fields) -> Fields:
    secret, message = raw(given["secret"]), given["message"].encode()
    key = ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())
    results: Fields = {}
    for signer in (es256_signer(key), sm2_signer(secret)):
        signature = signer.sign(message)
        signer.suite.verify(signer.spki, message, signature)
        results[f"{signer.suite.alg} kid"] = signer.kid
        results[f"{signer.suite.alg} signature"] = signature.hex()
    return results
