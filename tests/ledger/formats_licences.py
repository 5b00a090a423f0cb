"""Worked examples of licences: their identifiers, and one from its claims to a presentation."""

from __future__ import annotations

import json

from cryptography.hazmat.primitives.asymmetric import ec

from ledger.licences import b64, binding, credential, identifier, issuing, sdjwt, templates
from ledger.licences.suites import Signer, es256_signer
from tests.ledger.formats_page import Fields, example


def signer(secret: str) -> Signer:
    return es256_signer(ec.derive_private_key(int(secret, 16), ec.SECP256R1()))


@example("licence-identifier")
def licence_identifier(given: Fields) -> Fields:
    made = identifier.make(given["type"], given["issuer"], given["serial"], int(given["version"]))
    body = f"{given['type']}{given['issuer']}{given['serial']}{int(given['version']):03d}"
    return {"identifier": str(made), "widespread check": identifier.widespread_check(body)}


@example("licence")
def licence(given: Fields) -> Fields:
    issuer, holder = signer(given["issuer key"]), signer(given["holder key"])
    form = templates.template(given["template"])
    claims = credential.licence_claims(
        form,
        templates.check(form, json.loads(given["row"])),
        identity=identifier.parse(given["identifier"]),
        issuer_name=given["issuer name"],
        issued_at=int(given["issued at"]),
        status=credential.StatusPlace(uri=given["status list"], index=int(given["place"])),
        holder_spki=holder.spki,
    )
    salts = (number.to_bytes(16, "big") for number in range(issuing.salts_needed(claims)))
    text = issuing.issue(claims, typ=credential.TYP, signer=issuer, salts=salts)
    presented = issuing.present(text, [(given["shown"],)])
    _, shown, _ = presented.split("~")
    bound = binding.bind(
        presented,
        signer=holder,
        audience=given["audience"],
        nonce=given["nonce"],
        issued_at=int(given["presented at"]),
    )
    parsed = sdjwt.parse(bound)
    sdjwt.verify(parsed, issuer.spki, typ=credential.TYP)
    binding.verify(parsed, holder.spki, now_s=int(given["presented at"]))
    kb = bound.removeprefix(presented).split(".")
    return {
        "header": b64.decode(text.split(".")[0]).decode(),
        "payload": b64.decode(text.split(".")[1]).decode(),
        "disclosure": b64.decode(shown).decode(),
        "encoded": shown,
        "digest": b64.encode(issuer.suite.digest(shown.encode())),
        "signature": parsed.issued.split(".")[2],
        "binding header": b64.decode(kb[0]).decode(),
        "binding": b64.decode(kb[1]).decode(),
        "characters as issued": str(len(text)),
        "characters as presented": str(len(bound)),
    }
