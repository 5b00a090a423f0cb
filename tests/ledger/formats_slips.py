"""Worked examples of ``docs/formats.md``: status lists, slips, references and copies of licences."""

from __future__ import annotations

import json

from cryptography.hazmat.primitives.asymmetric import ec

from ledger.licences import b64, base45, packing, slip, statustoken
from ledger.licences.copies import CopyTerms, make_copy
from ledger.licences.issuing import issue
from ledger.licences.qr import symbol
from ledger.licences.reference import make_reference
from ledger.licences.status import StatusList
from ledger.licences.suites import Signer, es256_signer
from tests.ledger.formats_page import Fields, example, raw


def _signer(given: Fields) -> Signer:
    return es256_signer(ec.derive_private_key(int.from_bytes(raw(given["secret"]), "big"), ec.SECP256R1()))


@example("status-list")
def _(given: Fields) -> Fields:
    content = StatusList.of_values([int(value) for value in given["values"].split()])
    token = statustoken.make(
        _signer(given),
        content,
        issuer=given["issuer"],
        uri=given["uri"],
        version=int(given["version"]),
        iat=int(given["made"]),
        ttl=int(given["ttl"]),
        exp=int(given["expires"]),
    )
    header, claims = (b64.decode(part).decode() for part in token.split(".")[:2])
    return {
        "bytes": content.packed.hex(),
        "list digest": content.digest.hex(),
        "header": header,
        "claims": claims,
    }


@example("slip")
def _(given: Fields) -> Fields:
    made, ends = int(given["made"]), int(given["ends"])
    said = slip.Slip(
        identifier=given["identifier"],
        title=given["title"],
        holder=given["holder"],
        valid_from_s=int(given["valid from"]),
        valid_until_s=int(given["valid until"]),
        made_s=made,
        ends_s=ends,
        status_uri=given["status uri"],
        status_index=int(given["status index"]),
        copy=CopyTerms(recipient=given["recipient"], matter=given["matter"], made_s=made, expires_s=ends),
    )
    text = slip.make(said, _signer(given))
    found = slip.read(text)
    found.signed.verify(_signer(given).spki)
    assert found.slip == said
    return {
        "payload": found.signed.payload.hex(),
        "signed": found.signed.signed[:30].hex() + "…",
        "COSE_Sign1 bytes": str(len(base45.decode(text[4:]))),
        "text": text,
        "QR": f"{symbol(text).version}-{symbol(text).level}",
    }


@example("reference")
def _(given: Fields) -> Fields:
    url = make_reference(given["host"], raw(given["token"])).url
    return {"url": url, "QR": f"{symbol(url).version}-{symbol(url).level}"}


@example("copy")
def _(given: Fields) -> Fields:
    holder = _signer(given)
    terms = CopyTerms(
        recipient=given["recipient"], matter=given["matter"], made_s=int(given["made"]), expires_s=int(given["expires"])
    )
    licence = issue({"vct": "urn:cn:elicence:example:1"}, typ="dc+sd-jwt", signer=holder, salts=())
    copy = make_copy(licence, terms, holder=holder, nonce=raw(given["nonce"]))
    claims = b64.decode(copy.rsplit("~", 1)[1].split(".")[1]).decode()
    return {"claims": json.dumps({**json.loads(claims), "sd_hash": "…"}, ensure_ascii=False, separators=(",", ":"))}


@example("packed")
def _(given: Fields) -> Fields:
    text = packing.unpack(given["packed"])
    assert packing.unpack(packing.pack(text)) == text
    return {"text": text}
