"""The closed catalogue of audit events: every record type and the schema of its body.

``docs/audit-events.md`` is this table in words; a test compares them. A body has exactly the fields of its type:
what is not listed here cannot enter a log by the typed path, so no free text and no person can.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ledger.errors import InvalidInputError
from ledger.eventkinds import (
    APPROVER,
    CODE,
    COMMITMENT,
    DIGEST,
    FLAG,
    ID,
    LABEL,
    LEVEL,
    LICENCE_STATE,
    LICENCE_TYPE,
    LIST,
    MEMBER,
    PURPOSE,
    ROLE,
    SHARING,
    SIDE,
    TITLE,
    UINT,
    EventType,
)
from ledger.eventkinds import event as _type
from ledger.eventkinds import field as _f
from ledger.eventsmedical import MEDICAL

__all__ = ["LABEL", "TITLE", "TYPES", "EventType", "catalogue_markdown", "check_body"]

_DATASET = _f("dataset", ID)
_GRANT = _f("grant", ID)
_COUNTERPART = _f("counterpart", MEMBER, "the other side")
_SIDE = _f("role", SIDE, "which side this log's member is")
_EXCHANGE = _f("exchange", ID)

_LICENCE_TYPE = _f("type", LICENCE_TYPE)
_SPAN = _f("number", UINT, "1, 2, … of the member's spans for the type")

_ALL: Final = (
    _type(
        "dataset.published",
        "a version of a dataset was published",
        "provider",
        _DATASET,
        _f("version", UINT, "1, 2, …"),
        _f("content", DIGEST, "of the content"),
        _f("count", UINT, "rows"),
        _f("metadata", DIGEST, "of the catalogue entry"),
    ),
    _type("dataset.withdrawn", "a dataset was withdrawn", "provider", _DATASET),
    _type(
        "dataset.regraded",
        "level or sharing type of a dataset changed",
        "provider",
        _DATASET,
        _f("level", LEVEL),
        _f("sharing", SHARING),
    ),
    _type(
        "list.added",
        "an entry was added to one of the three lists",
        "the entry's member",
        _f("list", LIST),
        _f("entry", ID),
        _f("item", TITLE, "code of the item"),
    ),
    _type(
        "list.answered",
        "an entry was matched, answered or fulfilled",
        "who answered",
        _f("list", LIST),
        _f("entry", ID),
    ),
    _type(
        "grant.requested",
        "a grant was asked for",
        "consumer",
        _GRANT,
        _DATASET,
        _f("provider", MEMBER),
        _f("purpose", PURPOSE),
        _f("matter", DIGEST, "of the matter it serves"),
    ),
    _type("grant.approved", "an approval was given", "who approved", _GRANT, _f("as", APPROVER)),
    _type(
        "grant.refused",
        "a request was refused",
        "who refused",
        _GRANT,
        _f("reason", UINT, "reason code"),
        _f("text", DIGEST, "of the explanation"),
    ),
    _type(
        "grant.revoked",
        "an active grant was revoked",
        "who revoked",
        _GRANT,
        _f("reason", UINT, "reason code"),
        _f("text", DIGEST, "of the explanation"),
    ),
    _type("grant.overdue", "a request passed its deadline unanswered", "consumer or provider", _GRANT),
    _type(
        "exchange.requested",
        "a signed request for data was sent or received, before a byte was released",
        "both",
        _EXCHANGE,
        _GRANT,
        _DATASET,
        _COUNTERPART,
        _SIDE,
        _f("request", DIGEST, "of the signed request"),
    ),
    _type(
        "exchange.completed",
        "an exchange ended with a receipt both signed",
        "both",
        _EXCHANGE,
        _GRANT,
        _DATASET,
        _f("purpose", PURPOSE),
        _COUNTERPART,
        _SIDE,
        _f("receipt", DIGEST, "of the receipt file"),
        _f("bytes", UINT, "size of the payload"),
    ),
    _type(
        "exchange.half",
        "an exchange was left with one signature only",
        "the side that found it",
        _EXCHANGE,
        _GRANT,
        _DATASET,
        _COUNTERPART,
        _SIDE,
        _f("receipt", DIGEST, "of the half receipt file"),
    ),
    _type(
        "access.refused",
        "a use of data was refused; the code names the rule",
        "both",
        _DATASET,
        _f("grant", ID, "none where the request named none", optional=True),
        _COUNTERPART,
        _SIDE,
        _f("purpose", PURPOSE),
        _f("code", CODE, "e.g. `grant.expired`"),
    ),
    _type(
        "access.used",
        "a department's own system used data (its bulk trail)",
        "the department",
        _f("system", LABEL, "code of the information system"),
        _f("matter", LABEL, "code of the matter"),
        _f("purpose", PURPOSE),
        _f("operator", COMMITMENT, "to the operator's pseudonym"),
        _f("dataset", ID, optional=True),
        _f("grant", ID, optional=True),
        _f("commitment", COMMITMENT, "to what was looked at", optional=True),
    ),
    _type(
        "key.rotated",
        "a key of a role was replaced",
        "the key's member",
        _f("role", ROLE),
        _f("old", ID, "key material as on chain"),
        _f("new", ID, "key material as on chain"),
    ),
    _type(
        "key.compromised",
        "a key was declared compromised",
        "the key's member",
        _f("role", ROLE),
        _f("material", ID, "key material as on chain"),
        _f("since", UINT, "Unix seconds"),
    ),
    _type(
        "member.proposed",
        "a proposal was put to the vote",
        "proposer",
        _f("proposal", UINT),
        _f("kind", CODE, "e.g. `admit`"),
    ),
    _type("member.voted", "a vote was cast", "voter", _f("proposal", UINT), _f("yes", FLAG)),
    _type(
        "licence.type-defined",
        "a licence type was defined, or described anew",
        "who defined it",
        _LICENCE_TYPE,
        _f("description", DIGEST, "of the description"),
    ),
    _type(
        "licence.type-withdrawn",
        "a licence type was withdrawn",
        "who withdrew it",
        _LICENCE_TYPE,
        _f("reason", DIGEST, "of the explanation"),
    ),
    _type(
        "licence.accredited",
        "a member was accredited to issue licences of a type",
        "who accredited",
        _LICENCE_TYPE,
        _f("issuer", MEMBER, "who may issue"),
        _SPAN,
        _f("from", UINT, "Unix seconds"),
        _f("until", UINT, "Unix seconds, 0 without an end"),
        _f("basis", DIGEST, "of the decision"),
    ),
    _type(
        "licence.accreditation-ended",
        "an accreditation was ended or shortened",
        "who ended it",
        _LICENCE_TYPE,
        _f("issuer", MEMBER, "who may issue until then"),
        _SPAN,
        _f("until", UINT, "Unix seconds"),
        _f("reason", DIGEST, "of the explanation"),
    ),
    _type(
        "licence.issued",
        "a licence was issued",
        "issuer",
        _f("type", LICENCE_TYPE),
        _f("licence", COMMITMENT, "to the signed licence"),
    ),
    _type(
        "licence.status-changed",
        "a licence was suspended, resumed, revoked or superseded",
        "issuer",
        _f("licence", COMMITMENT, "as in its `licence.issued`"),
        _f("state", LICENCE_STATE),
        _f("reason", LABEL, "code of the reason"),
    ),
    _type(
        "licence.slip-made",
        "a slip of a licence was made, for paper or a screen",
        "issuer",
        _f("licence", COMMITMENT, "as in its `licence.issued`"),
        _f("until", UINT, "end of the slip, Unix seconds"),
        _f("recipient", MEMBER, "of a copy: the one body it is for", optional=True),
    ),
    _type(
        "licence.fetched",
        "a licence was fetched under a grant instead of asked of its holder",
        "both",
        _EXCHANGE,
        _GRANT,
        _DATASET,
        _COUNTERPART,
        _SIDE,
        _f("commitment", COMMITMENT, "to the holder's code"),
        _f("cause", COMMITMENT, "to why it was needed; the consumer's", optional=True),
    ),
    _type(
        "licence.verified",
        "a licence was checked",
        "who checked it",
        _f("licence", COMMITMENT, "to the signed licence"),
        _f("verdict", CODE, "e.g. `valid`"),
        _f("issuer", MEMBER, "as the licence says", optional=True),
        _f("type", LICENCE_TYPE, "as the licence says", optional=True),
    ),
    *MEDICAL,
    _type("system.started", "the node started", "its member", _f("version", LABEL)),
    _type(
        "system.recovered",
        "the node recovered its log after an unclean stop",
        "its member",
        _f("size", UINT, "entries found"),
    ),
    _type(
        "system.fork-seen",
        "a log signed two histories; the proof is kept by the node",
        "who saw it",
        _f("member", MEMBER, "whose log it is"),
        _f("evidence", DIGEST, "of the fork evidence"),
        _f("size", UINT, "of the smaller tree"),
    ),
    _type(
        "log.continued",
        "a log begins where the one before it was retired by vote",
        "its member",
        _f("generation", UINT, "of this log, from 2"),
        _f("size", UINT, "records of the log before"),
        _f("root", DIGEST, "RFC 6962 root of these"),
        _f("held", UINT, "records of the log before that its node still keeps"),
    ),
    _type(
        "erasure.done",
        "a salt and its payload were deleted: the commitment means nothing from now on",
        "who held them",
        _f("commitment", COMMITMENT),
        _f("basis", LABEL, "code of the legal basis"),
    ),
    _type(
        "erasure.purged",
        "what was older than a time was deleted; each commitment has its erasure.done",
        "who held it",
        _f("before", UINT, "Unix milliseconds"),
        _f("basis", LABEL, "code of the legal basis"),
        _f("openings", UINT, "of commitments in the own trail"),
        _f("exchanges", UINT, "salts of payloads"),
        _f("operators", UINT, "salts of operators"),
        _f("payloads", UINT, "contents of datasets"),
        _f("bytes", UINT, "of these contents"),
    ),
    _type(
        "disclosure.opened",
        "a commitment of an earlier entry was opened",
        "the entry's member",
        _f("entry", UINT, "index in the same log"),
        _f("commitment", COMMITMENT),
        _f("type", LABEL, "type line of the commitment"),
        _f("salt", ID),
        _f("value", DIGEST, "of the value"),
    ),
)

#: The catalogue: type name -> type.
TYPES: Final[Mapping[str, EventType]] = {event.name: event for event in _ALL}


def check_body(type_: str, body: Mapping[str, Any]) -> None:
    """Refuse an unknown type and a body that is not exactly by its schema.

    Raises: InvalidInputError(record.type | record.body), the latter naming the field.
    """
    event = TYPES.get(type_)
    if event is None:
        raise InvalidInputError(
            "record.type",
            f"no such record type: {ascii(type_)[:66]}",
            hint="docs/audit-events.md lists the types",
            actual=ascii(type_)[:66],
        )
    known = {field.name: field for field in event.fields}
    for name in body:
        if name not in known:
            raise InvalidInputError("record.body", f"{type_} has no field {ascii(name)[:66]}", actual=ascii(name)[:66])
    for field in event.fields:
        if field.name not in body:
            if field.optional:
                continue
            raise InvalidInputError("record.body", f"{type_} needs the field {field.name}", expected=field.name)
        if not field.kind.accepts(body[field.name]):
            raise InvalidInputError(
                "record.body",
                f"{type_}: {field.name} is not: {field.kind.meaning}",
                expected=field.kind.meaning,
                actual=ascii(body[field.name])[:66],
            )


def catalogue_markdown() -> str:
    """The catalogue as the tables of ``docs/audit-events.md``."""
    lines: list[str] = []
    for event in TYPES.values():
        lines += [
            f"## `{event.name}`",
            "",
            f"{event.meaning[0].upper()}{event.meaning[1:]}. In the log of: {event.where}.",
        ]
        lines += ["", "| field | value | |", "| --- | --- | --- |"]
        for field in event.fields:
            notes = ", ".join(part for part in ("optional" if field.optional else "", field.note) if part)
            lines.append(f"| `{field.name}` | {field.kind.meaning} | {notes} |")
        lines.append("")
    return "\n".join(lines)
