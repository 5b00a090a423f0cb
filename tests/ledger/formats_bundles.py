"""Worked examples of bundles of licences, from an office on a chain of our own."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from ledger.evidence import policy
from ledger.licences import issuing
from ledger.verify import verify_bundle
from tests.ledger.evidence.licence_office import Office
from tests.ledger.evidence.real_city import real_city
from tests.ledger.formats_chain import shape
from tests.ledger.formats_page import Fields, example


@example("bundle-shape-licence")
def bundle_shape_licence(given: Fields) -> Fields:
    """The fields of a bundle and of its verdict that bundles of records do not have."""
    with tempfile.TemporaryDirectory() as folder, real_city(Path(folder)) as city:
        office = Office(city)
        office.found()
        licence = office.licence()
        index, token = office.put_on_record(licence), office.record_list([0] * 8)
        parts = city.anchor()
        shown = issuing.present(licence, [(given["shown"],)])
        bundle = office.bundle(index, parts, office.proof(shown, status=office.status(token)))
        verdict = verify_bundle(bundle, city.policy(), city.now_ms).to_dict()
    named = [line for line in shape(json.loads(bundle)) if line.startswith(("issuer.", "subject."))]
    # A finality and a contract's proofs are as everywhere in a bundle.
    parted = [line for line in named if ".finality." not in line and ".account" not in line and ".storage" not in line]
    proven = sorted({line.partition(".account")[0] for line in named if ".account" in line})
    return {
        "fields": "".join(f"{line}\n" for line in parted),
        "proofs": "".join(f"{line}\n" for line in proven),
        "checks": " ".join(check["name"] for check in verdict["checks"]),
        "kind": verdict["subject"]["kind"],
        "licence": f"{verdict['licence']['code']}, {verdict['licence']['view']['proven']}",
    }


@example("policy-licences")
def policy_licences(given: Fields) -> Fields:
    data = given["json"].strip().encode()
    trust = policy.decode_policy(data)
    assert policy.encode_policy(trust) == data
    assert trust.licences_code_hash is not None
    return {"code of Licences": trust.licences_code_hash.hex()}
