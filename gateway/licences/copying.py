"""The page of a copy that a holder made: judged, drawn as a PDF, handed back. Nothing of it is kept."""

from __future__ import annotations

import threading
from typing import Any, Final

from gateway.licences.judging import LicenceDesk, Presented
from ledger.errors import InvalidInputError, NotAllowedError, UnavailableError
from ledger.licences import copies, credential, jws, packing, sdjwt
from ledger.licences.binding import KeyBinding
from ledger.licences.copies import CopyTerms
from ledger.licences.pdf import copy_pdf, system_font
from ledger.licences.reference import TOKEN_BYTES, make_reference
from ledger.licences.slipmaking import check_recipient_name, copy_page

#: What a page costs of the licences that a client may have judged: drawing one takes a core for half a second.
COST: Final = 25
_PARALLEL: Final = 2
_PATIENCE_S: Final = 5

_slots: Final = threading.BoundedSemaphore(_PARALLEL)


def draw_copy(desk: LicenceDesk, copy: str, recipient_name: str, host: str) -> bytes:
    """The page of a copy as a PDF, its QR code holding the copy itself; ``host``: of this gateway, where it is checked.

    Raises: InvalidInputError(licence.copy-terms | licence.copy-name | licence.reference | licence.pdf-* |
    licence.packed-too-long | …), NotAllowedError(licence.copy-refused), UnavailableError(licence.pdf-font |
    gateway.busy), and what the desk raises.
    """
    name = check_recipient_name(recipient_name)
    text = copy.strip()
    parsed = sdjwt.parse(text)
    terms = _terms(parsed.key_binding)
    code = packing.pack(text)
    address = f"https://{make_reference(host, bytes(TOKEN_BYTES)).host.lower()}/licence"
    verdict = desk.judge(Presented(licence=text, recipient=terms.recipient)).verdict
    if not verdict.accepted:
        # A page looks like a document: none is made of what would be refused at the counter.
        raise NotAllowedError(
            "licence.copy-refused",
            f"no page is made of a copy that is refused: {verdict.code}",
            hint="check the licence itself, then make the copy anew",
            actual=verdict.code,
        )
    page = copy_page(
        credential.read(sdjwt.open_claims(parsed)), terms, recipient_name=name, code=code, check_at=address
    )
    if not _slots.acquire(timeout=_PATIENCE_S):
        raise UnavailableError("gateway.busy", "many pages are being drawn", hint="try again in a second")
    try:
        return copy_pdf(page, system_font())
    finally:
        _slots.release()


def _terms(key_binding: str | None) -> CopyTerms:
    """The terms as the key binding has them; that the holder signed them is judged with everything else."""
    claims: dict[str, Any] = {} if key_binding is None else dict(jws.parse(key_binding).claims())
    audience, made = claims.get("aud"), claims.get("iat")
    more = {name: value for name, value in claims.items() if name in ("copy", "exp")}
    terms = None
    if isinstance(audience, str) and isinstance(made, int):
        terms = copies.copy_in(KeyBinding(audience=audience, nonce="", issued_at=made, claims=more))
    if terms is None:
        raise InvalidInputError(
            "licence.copy-terms",
            "a page is made of a copy: a presentation for one body and one matter",
            hint="make the copy on the page my licence, or by civicledger licence copy",
        )
    return terms
