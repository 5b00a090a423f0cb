"""Licences of one issuer in every state, really signed, and what a gateway knows of that issuer."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Final

from ledger.evidence.licencestate import ProvenSpan
from ledger.licences import b64, binding, credential, identifier, issuing, packing, slip, templates
from ledger.licences.copies import CopyTerms, make_copy
from ledger.licences.slip import Slip
from ledger.licences.status import Status
from ledger.licences.suites import Signer
from scripts.benches.licence_issuer import MemoryIssuer
from tests.ledger.licences.licence_keys import HOLDER, ISSUER, STRANGER, salts
from tests.ledger.licences.rows import ROWS

USCC: Final = "11310000MB2F00031J"
TYPE: Final = "11310000MB2F30000K012"
#: Two bodies that look at copies: the one a copy is made for, and another.
RECIPIENT: Final = "11310000MB2F00001F"
OTHER: Final = "91110000600037341L"
URI: Final = "https://licences.example/licence/status/1"
_DAY_S: Final = 86_400
#: Places in the status list.
_GOOD, _REVOKED, _SUSPENDED = 0, 1, 2
_FORM: Final = templates.TEMPLATES["food-permit"]
_SHOWN: Final = (("CZZT",), ("ZZBS",), ("KZ_JYCS",), ("KZ_JYXM",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What somebody shows, and the verdict on it. ``recipient``: whom the reader says to be; ``failed``: the check that
    says why not; ``device``: how the reader's own device finds signature and digests, by line."""

    text: str
    code: str
    recipient: str = ""
    failed: str = ""
    device: dict[str, str]


def known_issuer() -> MemoryIssuer:
    """The issuer as the chain and its node have it: in force for long, a list with two licences that are not valid."""
    known = MemoryIssuer(lambda: time.time_ns() // 1_000_000, member=USCC, code=TYPE, uri=URI, key=ISSUER)
    # By the machine's clock, whatever it says.
    known.chain_keys = {digest: replace(info, valid_from=1) for digest, info in known.chain_keys.items()}
    span = ProvenSpan(number=1, valid_from=1, valid_until=0, by=RECIPIENT)
    known.standing_now = replace(known.standing_now, spans=(span,))
    known.publish({_REVOKED: Status.INVALID, _SUSPENDED: Status.SUSPENDED}, version=7, ttl=3_600)
    return known


_SIGNED: Final = {"key": "pass", "signature": "pass"}
_WHOLE: Final = _SIGNED | {"disclosures": "pass"}


def samples(now_s: int | None = None) -> dict[str, Sample]:
    """The issuer's licences by name, shown at ``now_s`` (Unix seconds; None: by the clock)."""
    now = int(time.time()) if now_s is None else now_s
    good = _licence(now, _GOOD)
    shown = issuing.present(good, _SHOWN)
    copy = make_copy(
        shown,
        CopyTerms(recipient=RECIPIENT, matter="办理不动产转移登记", made_s=now, expires_s=now + 30 * _DAY_S),
        holder=HOLDER,
        nonce=bytes(16),
    )
    bound = binding.bind(shown, signer=HOLDER, audience=f"urn:cn:uscc:{OTHER}", nonce="n" * 22, issued_at=now)
    bound_here = _WHOLE | {"holder": "pass"}
    paper, packed = _slip(now), packing.pack(copy)
    return {
        "valid": Sample(text=shown, code="valid", device=_WHOLE),
        "bound": Sample(text=bound, code="valid", device=bound_here),
        "expired": Sample(text=_licence(now, _GOOD, until="2024-12-31"), code="expired", failed="time", device=_WHOLE),
        "suspended": Sample(text=_licence(now, _SUSPENDED), code="suspended", failed="status", device=_WHOLE),
        "revoked": Sample(text=_licence(now, _REVOKED), code="revoked", failed="status", device=_WHOLE),
        "forged": Sample(
            text=_altered(shown), code="forged", failed="signature", device=_WHOLE | {"signature": "fail"}
        ),
        "stranger": Sample(
            text=_licence(now, _GOOD, stranger=True),
            code="untrusted-issuer",
            failed="issuer",
            device={"key": "skip", "disclosures": "pass"},
        ),
        "copy": Sample(text=copy, code="valid", recipient=RECIPIENT, device=bound_here),
        "copy-unnamed": Sample(text=copy, code="recipient-needed", failed="purpose", device=bound_here),
        "copy-elsewhere": Sample(
            text=copy, code="wrong-recipient", recipient=OTHER, failed="purpose", device=bound_here
        ),
        "copy-page": Sample(text=packed, code="valid", recipient=RECIPIENT, device=bound_here),
        "copy-page-elsewhere": Sample(
            text=packed, code="wrong-recipient", recipient=OTHER, failed="purpose", device=bound_here
        ),
        "copy-page-damaged": Sample(text=packed[:-30] + "0" * 30, code="malformed", failed="structure", device={}),
        "slip": Sample(text=paper, code="valid", device=_SIGNED),
        "slip-damaged": Sample(
            text=paper[:-30] + "0" * 30, code="forged", failed="signature", device=_SIGNED | {"signature": "fail"}
        ),
        "something-else": Sample(text="https://menu.example/table/7", code="malformed", failed="structure", device={}),
    }


def held(holder: Signer, state: str = "good") -> str:
    """A ``good`` or ``revoked`` licence of the issuer, as the holder of that key keeps it."""
    return _licence(int(time.time()), {"good": _GOOD, "revoked": _REVOKED}[state], holder=holder)


def _licence(now_s: int, place: int, *, until: str = "长期", stranger: bool = False, holder: Signer = HOLDER) -> str:
    values = templates.check(_FORM, ROWS[_FORM.id] | {"ZZYXQQSRQ": "2020-01-01", "ZZYXQJZRQ": until})
    claims = credential.licence_claims(
        _FORM,
        values,
        identity=identifier.make(TYPE, USCC, f"JY1310115001{place}"),
        issuer_name="上海市浦东新区市场监督管理局",
        issued_at=now_s - 30 * _DAY_S,
        status=credential.StatusPlace(uri=URI, index=place),
        holder_spki=holder.spki,
    )
    return issuing.issue(
        claims, typ=credential.TYP, signer=STRANGER if stranger else ISSUER, salts=salts(f"{place}{until}{stranger}")
    )


def _altered(shown: str) -> str:
    """The same with another end in what the issuer signed; digests still fit, the signature does not."""
    header, payload, rest = shown.split(".", 2)
    said = b64.decode(payload).replace("长期".encode(), b"2099-12-31")
    return f"{header}.{b64.encode(said)}.{rest}"


def _slip(now_s: int) -> str:
    return slip.make(
        Slip(
            identifier=str(identifier.make(TYPE, USCC, "JY13101150010")),
            title=_FORM.zh,
            holder="福州某某餐饮有限公司",
            valid_from_s=now_s - 30 * _DAY_S,
            valid_until_s=None,
            made_s=now_s - 60,
            ends_s=now_s + 30 * _DAY_S,
            status_uri=URI,
            status_index=_GOOD,
        ),
        ISSUER,
    )
