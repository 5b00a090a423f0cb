"""A city in memory for the tests of verdicts: one issuer, one type, one status list, and a licence that is valid."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ledger.licences import b64, binding, copies, credential, identifier, issuing, statustoken
from ledger.licences.issuing import Hidden
from ledger.licences.status import StatusList
from ledger.licences.statustoken import ListKey, VerifiedStatusList
from ledger.licences.suites import ES256, Signer
from ledger.licences.templates import TEMPLATES
from ledger.licences.trust import Accreditation, IssuerTrust, KeyEnd, Proven
from ledger.licences.verdict import Verdict
from ledger.licences.verify import judge
from tests.ledger.licences.licence_keys import HOLDER, ISSUER, salts
from tests.ledger.licences.rows import checked

#: 2026-11-22, 12:00 in China, in seconds; everything else is told from here.
NOW = 1_795_320_000
DAY = 86_400
TYPE = "11100000000013338W011"
BODY = "11430000006122244L"
MINISTRY = "11100000000013338W"
OTHER_BODY = "11330105002500287C"
URI = "https://licences.example.gov.cn/licence/status/1"
AUDIENCE = "https://counter.example.gov.cn"
NONCE = "n-0S6_WzA2Mj"
PLACE = 5
ISS = f"urn:cn:uscc:{BODY}"
IDENTITY = identifier.make(TYPE, BODY, "20260000403")


def claims(*, bound: bool = True, template: str = "driving-licence") -> dict[str, Any]:
    """The claims of the licence, as the issuing service makes them."""
    return credential.licence_claims(
        TEMPLATES[template],
        checked(template),
        identity=IDENTITY,
        issuer_name="湖南省某厅",
        issued_at=NOW - 30 * DAY,
        status=credential.StatusPlace(uri=URI, index=PLACE),
        holder_spki=HOLDER.spki if bound else None,
    )


def issue(given: Mapping[str, Any], signer: Signer = ISSUER) -> str:
    """The licence of these claims."""
    return issuing.issue(given, typ=credential.TYP, signer=signer, salts=salts())


def changed(**changes: Any) -> str:
    """The licence with other claims; None leaves one out."""
    return issue({name: value for name, value in (claims() | changes).items() if value is not None})


def licence() -> str:
    """The valid licence, with all its disclosures."""
    return issue(claims())


def presented(text: str | None = None, **changes: Any) -> str:
    """The licence shown to the counter with its holder's key, now."""
    given: dict[str, Any] = {"signer": HOLDER, "audience": AUDIENCE, "nonce": NONCE, "issued_at": NOW - 5}
    return binding.bind(text or licence(), **(given | changes))


def copy_for(recipient: str, *, made: int = NOW - 5, ends: int = NOW + DAY) -> str:
    """A copy of the licence for one body."""
    terms = copies.CopyTerms(recipient=recipient, matter="食品经营许可新办", made_s=made, expires_s=ends)
    return copies.make_copy(licence(), terms, holder=HOLDER, nonce=b"n" * 16)


def sign(header: Mapping[str, Any] | bytes, payload: Any, signer: Signer = ISSUER) -> str:
    """A token over any header and payload: what a careless or hostile maker could sign."""
    parts = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload))
    body = ".".join(b64.encode(part) for part in parts)
    return f"{body}.{b64.encode(signer.sign(body.encode()))}"


def disclosure(value: Any) -> str:
    """The text of a disclosure."""
    return b64.encode(json.dumps(value).encode())


def digest(text: str) -> str:
    """Its digest."""
    return b64.encode(ES256.digest(text.encode()))


def header(**changes: Any) -> dict[str, Any]:
    """The protected header of a licence; None leaves a name out."""
    given = {"alg": "ES256", "kid": ISSUER.kid, "typ": credential.TYP} | changes
    return {name: value for name, value in given.items() if value is not None}


def payload(**changes: Any) -> dict[str, Any]:
    """What stands in every licence in clear, and any other claims."""
    visible = {name: value for name, value in claims().items() if not isinstance(value, Hidden)}
    return visible | changes


def holding(disclosures: Sequence[Any], **changes: Any) -> str:
    """A licence of the top-level disclosures given, each referenced once."""
    texts = [disclosure(value) for value in disclosures]
    signed = sign(header(), payload(_sd=[digest(text) for text in texts], _sd_alg="sha-256", **changes))
    return "~".join([signed, *texts, ""])


def trust(**changes: Any) -> IssuerTrust:
    """What the chain says of the issuer: its key since a year, accredited since half a year."""
    given: dict[str, Any] = {
        "issuer": BODY,
        "spki": ISSUER.spki,
        "key_from_ms": (NOW - 365 * DAY) * 1_000,
        "accreditations": (span(),),
        "view_height": 42,
        "view_time_ms": (NOW - 2) * 1_000,
        "proven": Proven.CHAIN_STATE,
    }
    return IssuerTrust(**(given | changes))


def span(since_days: int = 180, until_days: int | None = None) -> Accreditation:
    """An accreditation from so many days ago, until so many days ago (None: still running)."""
    until = None if until_days is None else (NOW - until_days * DAY) * 1_000
    return Accreditation(from_ms=(NOW - since_days * DAY) * 1_000, until_ms=until, by=MINISTRY)


def key_ended(days_ago: int, kind: KeyEnd) -> IssuerTrust:
    """The issuer's key ended so many days ago."""
    return trust(key_ended_ms=(NOW - days_ago * DAY) * 1_000, key_ended_kind=kind)


def listed(
    value: int = 0,
    *,
    places: int = 8,
    age: int = 20,
    uri: str = URI,
    issuer: str = BODY,
    ttl: int = 300,
    life: int = DAY,
) -> VerifiedStatusList:
    """The status list, ``age`` seconds old, with one value at the licence's place."""
    values = [0] * places
    if places > PLACE:
        values[PLACE] = value
    made = NOW - age
    token = statustoken.make(
        ISSUER,
        StatusList.of_values(values, bits=2),
        issuer=issuer,
        uri=uri,
        version=7,
        iat=made,
        ttl=ttl,
        exp=made + life,
    )
    return statustoken.verify(token, uri=uri, issuer=issuer, key_of=lambda _: ListKey(issuer=issuer, spki=ISSUER.spki))


def judged(text: str, **changes: Any) -> Verdict:
    """The verdict of the counter: it asks for the holder's proof, and gets the chain and the list as they are."""
    known, found = changes.pop("known", trust()), changes.pop("found", listed())
    given: dict[str, Any] = {
        "now_ms": NOW * 1_000,
        "trust": lambda kid, iss, _: known if (kid, iss) == (ISSUER.kid, ISS) else None,
        "status": lambda _: found,
        "audience": AUDIENCE,
        "nonce": NONCE,
        "require_binding": True,
    }
    return judge(text, **(given | changes))
