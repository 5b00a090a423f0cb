"""From a licence to what goes on paper: the slip its issuer signs, and the facts on the page of a copy."""

from __future__ import annotations

from typing import Final

from ledger.errors import InvalidInputError
from ledger.licences.copies import CopyTerms, is_plain
from ledger.licences.credential import Credential
from ledger.licences.fields import HOLDER_FIELDS, ISSUER_FIELDS
from ledger.licences.pdf import CopyPage, Row
from ledger.licences.slip import Slip
from ledger.licences.templates import LABELS, Template

#: What a slip is made of; the holder shows these to the issuer, everything else may stay hidden.
NEEDED: Final = ("ZZBS", "ZZMC", "CZZT")
#: Characters of a recipient's name on the page of a copy.
MAX_NAME: Final = 60
_HOLDER: Final = frozenset(field.name for field in HOLDER_FIELDS)
_ISSUER: Final = frozenset(field.name for field in ISSUER_FIELDS)


def slip_of(said: Credential, form: Template, *, made_s: int, ends_s: int, copy: CopyTerms | None = None) -> Slip:
    """The slip of a licence whose identifier, title and holder are shown, with the name masked as its type has it.

    ``made_s``, ``ends_s``: Unix seconds; a slip does not outlive its licence, nor the copy it carries.
    Raises: InvalidInputError(licence.slip-facts | licence.slip-claims | licence.identifier).
    """
    shown = [said.facts.get(name) for name in NEEDED]
    identity, title, holder = (value if isinstance(value, str) else "" for value in shown)
    if not all((identity, title, holder)) or said.status is None or said.not_before is None:
        raise InvalidInputError(
            "licence.slip-facts",
            "a slip needs the licence's identifier, title, holder, start and place in a status list",
            hint="show " + ", ".join(NEEDED) + " to the issuer who makes it",
        )
    return Slip(
        identifier=identity,
        title=title,
        holder=form.masked(holder),
        valid_from_s=said.not_before,
        valid_until_s=said.expires,
        made_s=made_s,
        ends_s=ends_s,
        status_uri=said.status.uri,
        status_index=said.status.index,
        copy=copy,
    )


def check_recipient_name(name: str) -> str:
    """A recipient's name as a page has it, without blanks around it. Raises: InvalidInputError(licence.copy-name)."""
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME or not is_plain(name):
        raise InvalidInputError(
            "licence.copy-name",
            f"the recipient's name is a text of 1 to {MAX_NAME} characters on one line",
            hint="write the name of the body that the copy is for",
        )
    return name


def copy_page(said: Credential, terms: CopyTerms, *, recipient_name: str, code: str, check_at: str) -> CopyPage:
    """The page of a copy with every fact that was shown, under its labels: the holder's, the type's own, the issuer's.

    ``code``: the text of the QR code, a slip with the same terms or a reference; the rest is for
    :func:`ledger.licences.pdf.copy_pdf`.
    """
    names = sorted((name for name in said.facts if name != "ZZMC"), key=_place)
    rows = tuple(_row(name, str(said.facts[name])) for name in names)
    return CopyPage(
        title=str(said.facts.get("ZZMC", "电子证照")),
        rows=rows,
        terms=terms,
        recipient_name=recipient_name,
        code=code,
        check_at=check_at,
    )


def _row(name: str, value: str) -> Row:
    label = LABELS.get(name)
    return Row(zh=label.zh, en=label.en, value=value) if label else Row(zh=name, en="", value=value)


def _place(name: str) -> tuple[int, int]:
    order = list(LABELS)
    group = next((rank for rank, names in ((0, _HOLDER), (2, _ISSUER)) if name in names), 1)
    return group, order.index(name) if name in order else len(order)
