"""Worked examples of ``docs/formats.md``: a medical step, its receipt, and the notice of a change."""

from __future__ import annotations

import json

from ledger import codec
from ledger.evidence import medicalnotice, medicalreceipt, medicalstep
from ledger.keys import Ed25519Signer
from ledger.medical import figuresfile
from ledger.model import KeyRole
from tests.ledger.formats_page import Fields, example, raw


def _signer(seed: str) -> Ed25519Signer:
    return Ed25519Signer(KeyRole.RECEIPT, raw(seed))


@example("medical-step")
def _step(given: Fields) -> Fields:
    # What is signed is written out on the page; the library reads it back to the same bytes.
    inner = json.loads(given["step"])
    signer = _signer(given["consumer seed"])
    signature = signer.sign(codec.domain_digest("medical-step", codec.encode(inner)))
    data = codec.encode({"signature": codec.b64(signature), "step": inner, "v": 1})
    request = medicalstep.decode_step(data)
    assert medicalstep.sign_step(signer, request) == data
    return {
        "signature": codec.b64(signature),
        "id": medicalstep.step_id(data).hex(),
        "digest": medicalstep.step_digest(data).hex(),
    }


@example("medical-receipt")
def _receipt(given: Fields) -> Fields:
    inner = codec.encode(json.loads(given["receipt"]))
    provider, consumer = _signer(given["provider seed"]), _signer(given["consumer seed"])
    first = provider.sign(codec.domain_digest("medical-receipt", inner))
    second = consumer.sign(codec.domain_digest("medical-receipt-countersign", inner + first))
    half = codec.encode({"provider": codec.b64(first), "receipt": json.loads(inner), "v": 1})
    complete = medicalreceipt.countersign_step(consumer, half, provider.public)
    assert json.loads(complete)["consumer"] == codec.b64(second)
    assert medicalreceipt.sign_step_receipt(provider, medicalreceipt.decode_step_receipt(half)[0]) == half
    return {
        "provider": codec.b64(first),
        "consumer": codec.b64(second),
        "digest": medicalreceipt.step_receipt_digest(complete).hex(),
    }


@example("medical-notice")
def _notice(given: Fields) -> Fields:
    inner = json.loads(given["notice"])
    signer = _signer(given["provider seed"])
    signature = signer.sign(codec.domain_digest("medical-notice", codec.encode(inner)))
    data = codec.encode({"notice": inner, "signature": codec.b64(signature), "v": 1})
    assert medicalnotice.sign_notice(signer, medicalnotice.decode_notice(data)) == data
    return {"signature": codec.b64(signature), "digest": medicalnotice.notice_digest(data).hex()}


@example("medical-figures")
def _figures(given: Fields) -> Fields:
    inner = json.loads(given["figures"])
    signer = _signer(given["hospital seed"])
    signature = signer.sign(codec.domain_digest("medical-figures", codec.encode(inner)))
    data = codec.encode({"figures": inner, "signature": codec.b64(signature), "v": 1})
    told = figuresfile.verify_figures(data, [signer.public])
    assert figuresfile.sign_figures(signer, told) == data
    return {
        "signature": codec.b64(signature),
        "asked": figuresfile.steps_digest(map(raw, given["steps"].split())).hex(),
    }
