"""Fetching instead of submitting (免于提交): one licence of one holder, by an exchange under a grant.

The provider publishes a dataset of the format ``licence``, whose content names a licence type; a grant for it says
which fields may be shown. The consumer's request chooses one holder by a commitment to its code, which is opened beside
the request and stands in no log and no store but those of payloads. Both sides put ``licence.fetched`` on record, and
keep what opens it, so that the holder can be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ledger.codec import commitment, decode, encode
from ledger.directory.catalogue import LICENCE_FORMAT, DatasetMetadata
from ledger.errors import InvalidInputError, NotFoundError, UntrustedError
from ledger.evidence.request import decode_request
from ledger.identifiers import parse_licence_type
from ledger.licences import issuing
from ledger.licences.sdjwt import open_claims, parse
from ledger.storage.exchanges import ExchangeEntry
from ledger.storage.fetches import Fetch
from ledger.storage.openings import SUBJECT_TYPE, Opening
from node.trail import records as trail

if TYPE_CHECKING:
    from ledger.directory.grants import Scope
    from node.context import NodeContext

#: The field of the scope's rows that chooses the holder.
HOLDER: Final = "CZZTDM"
MAX_HOLDER: Final = 64
#: The type line of the commitment to a cause.
CAUSE_TYPE: Final = "licence.fetched/cause"
_MAX_CONTENT: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom a request is about. ``salt``: 32 bytes; ``holder``: the holder's code."""

    salt: bytes
    holder: str

    def commitment(self) -> bytes:
        """What stands in requests and records, 32 bytes. Raises: InvalidInputError(commitment.salt)."""
        return commitment(SUBJECT_TYPE, self.salt, self.holder.encode())


def encode_content(type_: str) -> bytes:
    """The content of a dataset of licences: which type they are of."""
    return encode({"licenceType": parse_licence_type(type_), "v": 1})


def decode_content(content: Iterable[bytes]) -> str:
    """The licence type that a content names. Raises: InvalidInputError(dataset.content)."""
    data = b"".join(content)
    try:
        value = decode(data, max_bytes=_MAX_CONTENT)
        if not isinstance(value, dict) or set(value) != {"licenceType", "v"} or value["v"] != 1:
            raise InvalidInputError("dataset.content", "")
        return parse_licence_type(value["licenceType"] if isinstance(value["licenceType"], str) else "")
    except InvalidInputError:
        raise InvalidInputError(
            "dataset.content",
            f"the content of a dataset of the format {LICENCE_FORMAT} names a licence type, and this does not",
            hint='{"licenceType":"<21 characters>","v":1}',
        ) from None


def presentation(
    context: NodeContext,
    content: Iterable[bytes],
    metadata: DatasetMetadata,
    scope: Scope,
    subject: Subject | None,
) -> bytes:
    """The one licence that a request chooses, with the fields of the scope; a field that the dataset masks is signed as
    it is, so it is not shown.

    Raises: InvalidInputError(licence.no-subject), UntrustedError(licence.other-subject),
    NotFoundError(licence.none-held).
    """
    type_ = decode_content(content)
    subject = check_subject(scope, subject)
    masked = {field.name for field in metadata.fields if field.mask is not None}
    others = [(name, values) for name, values in scope.rows if name != HOLDER]
    for licence in _held(context, type_, subject.holder):
        opened = open_claims(parse(licence))
        if all(opened.claims.get(name) in values for name, values in others):
            hidden = {item.path[0] for item in opened.disclosures if item.path} - masked
            return issuing.present(licence, [(name,) for name in scope.fields if name in hidden]).encode()
    raise NotFoundError(
        "licence.none-held",
        "this issuer has no valid licence of that type for that holder, or none within the grant",
        hint="ask the holder: it may be another body's, or not be valid now",
    )


def check_subject(scope: Scope, subject: Subject | None) -> Subject:
    """The one person a request is about: committed to in its rows, opened beside it.

    Raises: InvalidInputError(licence.no-subject), UntrustedError(licence.other-subject).
    """
    chosen = dict(scope.rows).get(HOLDER, ())
    if subject is None or len(chosen) != 1 or not 1 <= len(subject.holder) <= MAX_HOLDER:
        raise InvalidInputError(
            "licence.no-subject",
            "this is fetched for one holder, whose code is committed to in the request and opened beside it",
            hint="civicledger licence fetch, civicledger licence certify",
        )
    if chosen[0] != subject.commitment().hex():
        raise UntrustedError(
            "licence.other-subject", "the request is about another holder", hint="fetch again with a fresh nonce"
        )
    return subject


def _held(context: NodeContext, type_: str, holder: str) -> Iterator[str]:
    """The valid licences of a holder, the newest first."""
    store = context.licences.store
    now = context.clock()
    for row in sorted(store.of_holder(type_, holder), key=lambda row: -row.issued_ms):
        payload = store.payload(row.id)
        if row.state == "valid" and payload is not None and not 0 < row.expires_ms <= now:
            yield payload.licence


def check_holder(shown: str, subject: Subject, fields: Iterable[str]) -> None:
    """Whether a fetched licence is of the holder it was fetched for, where that is shown.

    Raises: UntrustedError(licence.other-subject), InvalidInputError(licence.*).
    """
    if HOLDER in fields and open_claims(parse(shown)).claims.get(HOLDER) != subject.holder:
        raise UntrustedError(
            "licence.other-subject",
            "the issuer's node answered with the licence of another holder",
            hint="keep the receipt as evidence, and ask the issuer",
        )


def log_fetched(context: NodeContext, entry: ExchangeEntry, subject: Subject, cause: bytes = b"") -> int:
    """Put a fetch on record once, and keep what opens it for the holder's questions; the record's index.

    ``cause``: commitment to why, at the consumer."""
    body = {
        "exchange": entry.id.hex(),
        "grant": entry.grant.hex(),
        "dataset": entry.dataset.hex(),
        "counterpart": entry.counterpart,
        "role": entry.role,
        "commitment": subject.commitment().hex(),
    }
    if cause:
        body["cause"] = cause.hex()
    # The request's time: an exchange that broke off before its receipt begins again under its nonce, at another time.
    index = trail.write_once(context, "licence.fetched", body, decode_request(entry.request).time_ms, entry.id)
    context.openings.keep([Opening(index=index, salt=subject.salt, subject=subject.holder)])
    return index


def subject_of(kept: Fetch) -> Subject:
    """Whom a fetch is about."""
    return Subject(salt=kept.salt, holder=kept.holder)


def cause_commitment(kept: Fetch) -> bytes:
    """What the log says of why, 32 bytes."""
    return commitment(CAUSE_TYPE, kept.cause_salt, kept.cause.encode())
