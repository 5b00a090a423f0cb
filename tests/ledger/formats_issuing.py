"""Worked examples of ``docs/formats.md``: what stands on record of licences, and how one is fetched."""

from __future__ import annotations

from ledger.codec import commitment
from node.licences.fetching import CAUSE_TYPE, Subject, encode_content
from node.licences.issuer import issue_commitment
from node.licences.verifying import VERIFIED_TYPE
from tests.ledger.formats_page import Fields, example, raw


@example("licence-record")
def _(given: Fields) -> Fields:
    salt, licence = raw(given["salt"]), given["licence"]
    return {
        "issued": issue_commitment(salt, licence).hex(),
        "verified": commitment(VERIFIED_TYPE, salt, licence.partition("~")[0].encode()).hex(),
    }


@example("licence-fetch")
def _(given: Fields) -> Fields:
    salt = raw(given["salt"])
    return {
        "content": encode_content(given["type"]).decode(),
        "rows": Subject(salt=salt, holder=given["holder"]).commitment().hex(),
        "cause": commitment(CAUSE_TYPE, salt, given["cause"].encode()).hex(),
    }
