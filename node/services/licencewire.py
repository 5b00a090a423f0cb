"""Messages of licences: from the node's types to the wire, and a clerk's fields from it."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.storage.licencerows import LicenceRow
from ledger.v1 import licences_pb2 as pb
from node.licences.issuer import Issued
from node.services import fields

MAX_FIELDS = 60
MAX_KEY = 2_048


def licence(row: LicenceRow) -> pb.Licence:
    """A licence without its holder."""
    return pb.Licence(
        id=row.id,
        type=row.type,
        version=row.version,
        state=row.state,
        list=row.list,
        index=row.index,
        issued_ms=row.issued_ms,
        not_before_ms=row.not_before_ms,
        expires_ms=row.expires_ms,
        changed_ms=row.changed_ms,
        reason=row.reason,
        replaces=row.replaces,
        replaced_by=row.replaced_by,
        log_index=max(row.log_index, 0),
        commitment=row.commitment,
    )


def issued(found: Issued) -> pb.IssuedLicence:
    """A licence with what is about its holder, where that was not erased."""
    payload = found.payload
    if payload is None:
        return pb.IssuedLicence(licence=licence(found.row))
    return pb.IssuedLicence(
        licence=licence(found.row), sd_jwt=payload.licence, identifier=payload.identifier, salt=payload.salt
    )


def given_fields(given: Mapping[str, str]) -> dict[str, str]:
    """A licence's fields as a clerk filled them in. Raises: InvalidInputError(input.field)."""
    if len(given) > MAX_FIELDS:
        raise fields.refuse("fields", f"are at most {MAX_FIELDS}", actual=len(given))
    return {
        name: fields.text(f"fields.{ascii(name)[:40]}", value, limit=4_000, required=False)
        for name, value in given.items()
    }
