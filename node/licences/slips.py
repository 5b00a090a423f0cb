"""Slips for paper and screens: the issuer's clerk makes one of a licence that is valid now, and it is on the trail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.errors import ConflictError, NotAllowedError, NotFoundError
from ledger.licences import credential, slip, templates
from ledger.licences.copies import CopyTerms
from ledger.licences.sdjwt import open_claims, parse
from ledger.licences.slipmaking import slip_of
from ledger.storage.licencerows import LicenceRow
from node.licences.making import decode_order
from node.licences.signing import issuer_signer
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext

#: How long a slip may last, seconds: five minutes at least, as a copy a year at most.
MIN_SECONDS, MAX_SECONDS = slip.SCREEN_SECONDS, 366 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeSlip:
    """The text of the QR code, when it ends (Unix seconds), and its record in the own log."""

    text: str
    ends_s: int
    log_index: int


def make_slip(context: NodeContext, row: LicenceRow, *, seconds: int, recipient: str, matter: str) -> MadeSlip:
    """Sign a slip; with a recipient (USCC) and a matter it is a copy for them alone. It ends with the licence at the
    latest.

    Raises: ConflictError(licence.state | licence.over), NotFoundError(licence.erased),
    NotAllowedError(licence.not-accredited | licence.key-ended), InvalidInputError(licence.slip-* | licence.copy-terms).
    """
    payload = context.licences.store.payload(row.id)
    if row.state != "valid":
        raise ConflictError(
            "licence.state",
            f"a slip is made of a valid licence, and this one is {row.state}",
            hint="resume it first, or take the next version of it",
            expected="valid",
            actual=row.state,
        )
    if payload is None:
        raise NotFoundError(
            "licence.erased",
            "what was kept about this licence's holder has been erased",
            hint="issue a new licence from the department's own files",
        )
    now = context.clock() // 1_000
    ends = min(now + seconds, row.expires_ms // 1_000) if row.expires_ms else now + seconds
    if ends <= now:
        raise ConflictError("licence.over", "its validity is over already", hint="renew it first")
    if not context.contracts.licences.accredited_at(row.type, context.member, now):
        raise NotAllowedError(
            "licence.not-accredited",
            "this member is not accredited for this licence type now",
            hint=f"the body that defined the type ({row.type[:18]}) accredits: civicledger licence accredit",
            actual=row.type,
        )
    copy = None
    if recipient:
        copy = CopyTerms(recipient=recipient, matter=matter, made_s=now, expires_s=ends, maker=context.member)
    said = credential.read(open_claims(parse(payload.licence)))
    form = templates.template(decode_order(payload.asked).template)
    text = slip.make(slip_of(said, form, made_s=now, ends_s=ends, copy=copy), issuer_signer(context))
    body = {"licence": row.commitment.hex(), "until": ends}
    # On record before anybody has it; whose it is, only the commitment's opening tells.
    index = trail.write(context, "licence.slip-made", body if copy is None else {**body, "recipient": recipient})
    return MadeSlip(text=text, ends_s=ends, log_index=index)
