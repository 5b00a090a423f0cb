"""Licences that must be refused: one for every rule, each with the code of its refusal and nothing else wrong.

``FORM``: refused by reading, signature and opening alone, whoever reads them; the rest needs a verifier's terms, the
chain or the status list. Sources: RFC 9901, 4 to 7; RFC 7515; RFC 8725; drafts of SD-JWT VC and Token Status List.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger.licences import b64, binding, identifier
from ledger.licences.issuing import Hidden
from ledger.licences.trust import KeyEnd
from tests.ledger.licences import licence_city as city
from tests.ledger.licences.licence_city import DAY, NOW, disclosure, header, holding, payload, sign
from tests.ledger.licences.licence_keys import HOLDER, STRANGER

SALT = "2GLC42sKQveCfGfryNRN9w"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """A licence to refuse. ``text`` makes it; ``check`` is the line that fails; ``terms`` go to the judge."""

    name: str
    code: str
    text: Callable[[], str]
    check: str = "structure"
    terms: Mapping[str, Any] = field(default_factory=dict)


def issued(given: Any = None, head: Any = None, rest: str = "~") -> str:
    """A signed token of any payload and header."""
    return sign(header() if head is None else head, payload() if given is None else given) + rest


def parts() -> list[str]:
    """Header, payload, signature of the licence."""
    return city.licence().split("~")[0].split(".")


def with_signature(change: Callable[[bytes], bytes]) -> str:
    head, body, signature = parts()
    return f"{head}.{body}.{b64.encode(change(b64.decode(signature)))}~"


def last_bits_set() -> str:
    token = ".".join(parts())
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) | 1] + "~"


def raw(text: str) -> bytes:
    """The licence's payload with a piece of JSON text in front of its claims."""
    return ("{" + text + "," + json.dumps(payload())[1:]).encode("utf-8", "surrogateescape")


def twice_referenced() -> str:
    text = disclosure([SALT, "a", 1])
    return sign(header(), payload(_sd=[city.digest(text)], b={"_sd": [city.digest(text)]})) + f"~{text}~"


def one_too_many() -> str:
    return city.licence() + disclosure([SALT, "KZ_EXTRA", "yes"]) + "~"


def repeated() -> str:
    return city.licence() + city.licence().split("~")[1] + "~"


def element(value: Any) -> str:
    text = disclosure(value)
    return sign(header(), payload(list=[{"...": city.digest(text)}])) + f"~{text}~"


FORM = [
    Bad(name="longer than 64 KiB", code="licence.size", text=lambda: city.licence() + "A" * 65_536),
    Bad(name="no tilde after the signed part", code="licence.no-tilde", text=lambda: ".".join(parts())),
    Bad(name="257 disclosures", code="licence.disclosures", text=lambda: city.licence() + "AA~" * 257),
    Bad(name="an empty disclosure", code="licence.empty-disclosure", text=lambda: city.licence() + "~"),
    Bad(name="two parts", code="licence.segments", text=lambda: ".".join(parts()[:2]) + "~"),
    Bad(name="padding", code="licence.base64", text=lambda: ".".join(parts()) + "==~"),
    Bad(name="unused bits set", code="licence.base64-bits", text=last_bits_set),
    Bad(name="a header that is no JSON", code="licence.json", text=lambda: issued(head=b'{"alg":')),
    Bad(name="a header that is an array", code="licence.header", text=lambda: issued(head=b'["ES256"]')),
    Bad(name="a name twice", code="licence.json-duplicate", text=lambda: issued(raw('"exp":1'))),
    Bad(name="NaN", code="licence.json-number", text=lambda: issued(raw('"a":NaN'))),
    Bad(name="no UTF-8", code="licence.json-text", text=lambda: issued(raw('"a":"\udcff"'))),
    Bad(name="nested too deep", code="licence.json-depth", text=lambda: issued(raw('"a":' + "[" * 16 + "]" * 16))),
    Bad(name="a payload that is an array", code="licence.payload", text=lambda: issued([1])),
    Bad(name="no algorithm", code="licence.alg-missing", text=lambda: issued(head=header(alg=None))),
    Bad(
        name="algorithm none", code="licence.alg-none", check="signature", text=lambda: issued(head=header(alg="nOnE"))
    ),
    Bad(name="algorithm HS256", code="licence.alg", text=lambda: issued(head=header(alg="HS256"))),
    Bad(name="a critical header", code="licence.crit", text=lambda: issued(head=header(crit=["exp"], exp=1))),
    Bad(name="a signature of 63 bytes", code="licence.signature-length", text=lambda: with_signature(lambda s: s[:63])),
    Bad(name="another type of token", code="licence.typ", text=lambda: issued(head=header(typ="vc+sd-jwt"))),
    Bad(name="no key named", code="licence.kid", text=lambda: issued(head=header(kid=None))),
    Bad(
        name="a changed signature",
        code="licence.signature",
        check="signature",
        text=lambda: with_signature(lambda s: bytes([s[0] ^ 1]) + s[1:]),
    ),
    Bad(name="an unknown hash", code="licence.sd-alg", text=lambda: issued(payload(_sd_alg="sha-512"))),
    Bad(name="a hash below", code="licence.sd-alg-nested", text=lambda: issued(payload(a={"_sd_alg": "sha-256"}))),
    Bad(name="_sd no array", code="licence.sd-array", text=lambda: issued(payload(_sd="x"))),
    Bad(name="a digest that is a number", code="licence.sd-digest", text=lambda: issued(payload(_sd=[1]))),
    Bad(
        name="a placeholder beside another name",
        code="licence.array-placeholder",
        text=lambda: issued(payload(a=[{"...": "x", "b": 1}])),
    ),
    Bad(
        name="an element's digest that is a number",
        code="licence.array-digest",
        text=lambda: issued(payload(a=[{"...": 1}])),
    ),
    Bad(name="a digest twice", code="licence.digest-twice", text=twice_referenced),
    Bad(name="a disclosure twice", code="licence.disclosure-twice", text=repeated),
    Bad(name="a disclosure of nobody", code="licence.unreferenced", text=one_too_many),
    Bad(name="a disclosure that is an object", code="licence.disclosure-form", text=lambda: holding([{"a": 1}])),
    Bad(name="a claim of two parts", code="licence.disclosure-length", text=lambda: holding([[SALT, 1]])),
    Bad(name="an element of three parts", code="licence.element-length", text=lambda: element([SALT, "a", 1])),
    Bad(name="a salt that is a number", code="licence.salt", text=lambda: holding([[1, "a", 1]])),
    Bad(name="a name that is a number", code="licence.claim-name-type", text=lambda: holding([[SALT, 1, 1]])),
    Bad(name="a claim named _sd", code="licence.claim-name", text=lambda: holding([[SALT, "_sd", ["x"]]])),
    Bad(name="a claim named ...", code="licence.claim-name-dots", text=lambda: holding([[SALT, "...", "x"]])),
    Bad(name="a claim that is there", code="licence.claim-exists", text=lambda: holding([[SALT, "ZZMC", "x"]])),
]


def curve(**changes: Any) -> dict[str, Any]:
    return {"jwk": binding.confirmation(HOLDER.spki)["jwk"] | changes}


def other_x() -> dict[str, Any]:
    return curve(x=binding.confirmation(STRANGER.spki)["jwk"]["x"])


CLAIMS = [
    Bad(name="an end that may be hidden", code="licence.hidden-claim", text=lambda: city.changed(exp=Hidden(NOW + 9))),
    Bad(name="no type", code="licence.vct-missing", text=lambda: city.changed(vct=None)),
    Bad(name="a type of another form", code="licence.vct", text=lambda: city.changed(vct="urn:eudi:pid:1")),
    Bad(name="an issuer of another form", code="licence.iss", text=lambda: city.changed(iss="https://a.example")),
    Bad(name="an end that is a text", code="licence.time-claim", text=lambda: city.changed(exp="2031-12-31")),
    Bad(name="an end before the beginning", code="licence.time-order", text=lambda: city.changed(nbf=NOW, exp=NOW)),
    Bad(name="cnf without a key", code="licence.cnf", text=lambda: city.changed(cnf={"kid": "a"})),
    Bad(name="cnf with a private key", code="licence.cnf-private", text=lambda: city.changed(cnf=curve(d="AA"))),
    Bad(name="cnf on P-384", code="licence.cnf-curve", text=lambda: city.changed(cnf=curve(crv="P-384"))),
    Bad(name="cnf off the curve", code="licence.cnf-key", text=lambda: city.changed(cnf=other_x())),
    Bad(name="status of another kind", code="licence.status-reference", text=lambda: city.changed(status={"x": 1})),
    Bad(
        name="a place below 0",
        code="licence.status-place",
        text=lambda: city.changed(status={"status_list": {"idx": -1, "uri": city.URI}}),
    ),
    Bad(
        name="a list without TLS",
        code="licence.status-address",
        text=lambda: city.changed(status={"status_list": {"idx": 1, "uri": city.URI.replace("https", "http")}}),
    ),
]


def bound_by(head: Mapping[str, Any], signer: Any = HOLDER, **changes: Any) -> str:
    """A key binding of any header and claims."""
    text = city.licence()
    given = {"aud": city.AUDIENCE, "iat": NOW, "nonce": city.NONCE, "sd_hash": city.digest(text)} | changes
    return text + sign(head, {name: value for name, value in given.items() if value is not None}, signer)


KB = {"alg": "ES256", "typ": "kb+jwt"}

BINDING = [
    Bad(name="no key binding", code="licence.binding-missing", check="holder", text=city.licence),
    Bad(
        name="a licence without the holder's key",
        code="licence.binding-unbound",
        check="holder",
        text=lambda: city.presented(city.issue(city.claims(bound=False))),
    ),
    Bad(name="no token", code="licence.binding-form", check="holder", text=lambda: city.licence() + "a.b"),
    Bad(
        name="HS256",
        code="licence.binding-alg",
        check="holder",
        text=lambda: bound_by({"alg": "HS256", "typ": "kb+jwt"}),
    ),
    Bad(
        name="none",
        code="licence.binding-alg-none",
        check="holder",
        text=lambda: bound_by({"alg": "none", "typ": "kb+jwt"}),
    ),
    Bad(
        name="typ JWT",
        code="licence.binding-typ",
        check="holder",
        text=lambda: bound_by({"alg": "ES256", "typ": "JWT"}),
    ),
    Bad(
        name="another's key",
        code="licence.binding-signature",
        check="holder",
        text=lambda: city.presented(signer=STRANGER),
    ),
    Bad(name="no nonce", code="licence.binding-claims", check="holder", text=lambda: bound_by(KB, nonce=None)),
    Bad(
        name="of another presentation",
        code="licence.binding-hash",
        check="holder",
        text=lambda: bound_by(KB, sd_hash=city.digest("other")),
    ),
    Bad(
        name="made in the future",
        code="licence.binding-early",
        check="holder",
        text=lambda: city.presented(issued_at=NOW + 61),
    ),
    Bad(
        name="made long ago",
        code="licence.binding-old",
        check="holder",
        text=lambda: city.presented(issued_at=NOW - 361),
    ),
    Bad(
        name="for somebody else",
        code="licence.binding-audience",
        check="audience",
        text=lambda: city.presented(audience="https://elsewhere.example"),
    ),
    Bad(
        name="replayed", code="licence.binding-nonce", check="audience", text=lambda: city.presented(nonce="yesterday")
    ),
]


def on_chain(name: str, code: str, check: str = "issuer", **terms: Any) -> Bad:
    """The valid licence, in another state of the chain."""
    return Bad(name=name, code=code, check=check, text=city.presented, terms=terms)


TRUST = [
    on_chain("a key nobody knows", "licence.unknown-key", known=None),
    on_chain("another key under its name", "licence.key-mismatch", known=city.trust(spki=STRANGER.spki)),
    on_chain("the key of another body", "licence.issuer-mismatch", known=city.trust(issuer=city.OTHER_BODY)),
    on_chain(
        "signed before the key was there", "licence.key-not-yet", known=city.trust(key_from_ms=(NOW - DAY) * 1_000)
    ),
    # Dated to before the theft, by whoever has the key now; that it is on the chain since yesterday proves nothing.
    on_chain(
        "back-dated with a compromised key",
        "licence.key-compromised",
        known=city.key_ended(10, KeyEnd.COMPROMISED),
        issue_time=(NOW - DAY) * 1_000,
    ),
    on_chain("a rotated key", "licence.issue-time-unproven", known=city.key_ended(10, KeyEnd.RETIRED)),
    on_chain("a type nobody defined", "licence.type-unknown", "accredited", known=city.trust(type_known=False)),
    on_chain("never accredited", "licence.not-accredited", "accredited", known=city.trust(accreditations=())),
    on_chain(
        "issued before it was accredited",
        "licence.not-accredited-then",
        "accredited",
        known=city.trust(accreditations=(city.span(29),)),
    ),
]

TIME_AND_STATUS = [
    Bad(
        name="expired",
        code="licence.expired",
        check="time",
        text=lambda: city.presented(city.changed(exp=NOW - 60)),
    ),
    Bad(
        name="not yet valid",
        code="licence.not-yet-valid",
        check="time",
        text=lambda: city.presented(city.changed(nbf=NOW + 61)),
    ),
    on_chain("no list to be had", "licence.status-unavailable", "status", found=None),
    on_chain("an old list", "licence.status-stale", "status", found=city.listed(age=361)),
    on_chain("an ended list", "licence.status-expired", "status", found=city.listed(age=100, life=40)),
    on_chain("a list of tomorrow", "licence.status-future", "status", found=city.listed(age=-61)),
    on_chain("a list too short", "licence.status-index", "status", found=city.listed(places=2)),
    on_chain("a list of another address", "licence.status-uri", "status", found=city.listed(uri=city.URI + "0")),
    on_chain("another's list", "licence.status-other-issuer", "status", found=city.listed(issuer=city.OTHER_BODY)),
    on_chain("a status without a meaning", "licence.status-reserved", "status", found=city.listed(3)),
    on_chain("revoked", "licence.revoked", "status", found=city.listed(1)),
    on_chain("suspended", "licence.suspended", "status", found=city.listed(2)),
]


def identified(text: Any) -> Callable[[], str]:
    return lambda: city.presented(city.changed(ZZBS=Hidden(text)))


def wrong_check() -> str:
    good = str(city.IDENTITY)
    rules = {good[:-1] + check: identifier.parse(good[:-1] + check).rule for check in "0123456789"}
    return next(text for text, rule in rules.items() if rule is identifier.CheckRule.NONE)


IDENTIFIER = [
    Bad(name="no identifier", code="licence.identifier", check="identifier", text=identified("湘A0403")),
    Bad(name="a mistyped one", code="licence.check-wrong", check="identifier", text=identified(wrong_check())),
    Bad(
        name="one of another type",
        code="licence.identifier-type",
        check="identifier",
        text=identified(str(identifier.make("11100000000013338W009", city.BODY, "1"))),
    ),
    Bad(
        name="one of another issuer",
        code="licence.identifier-issuer",
        check="identifier",
        text=identified(str(identifier.make(city.TYPE, city.OTHER_BODY, "1"))),
    ),
]


def copied(name: str, code: str, recipient: str | None, text: Callable[[], str]) -> Bad:
    return Bad(name=name, code=code, check="purpose", text=text, terms={"copy_recipient": recipient, "nonce": None})


PURPOSE = [
    copied("shown elsewhere", "licence.wrong-recipient", city.MINISTRY, lambda: city.copy_for(city.OTHER_BODY)),
    copied("shown to nobody in particular", "licence.copy-unnamed", None, lambda: city.copy_for(city.OTHER_BODY)),
    copied(
        "shown too late",
        "licence.copy-expired",
        city.OTHER_BODY,
        lambda: city.copy_for(city.OTHER_BODY, made=NOW - 2 * DAY, ends=NOW - 61),
    ),
    copied(
        "without a matter",
        "licence.copy-terms",
        city.OTHER_BODY,
        lambda: city.presented(audience=f"urn:cn:uscc:{city.OTHER_BODY}", extra={"copy": {}, "exp": NOW + DAY}),
    ),
]

NEGATIVES = [*FORM, *CLAIMS, *BINDING, *TRUST, *TIME_AND_STATUS, *IDENTIFIER, *PURPOSE]
