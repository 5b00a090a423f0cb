"""Status lists whose store was put back from an older copy: the newest published ones are taken over first.

What was published proves itself by its digest on the chain. Of every place the graver status stays, so that restoring
may leave a licence suspended that was resumed since, and never makes a revoked one valid.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.errors import ConflictError, InvalidInputError
from ledger.licences import b64, jws, statustoken
from ledger.licences.status import StatusList
from ledger.licences.statuschain import check_list
from ledger.licences.statustoken import ListKey
from ledger.model import StatusHeadInfo
from ledger.storage.licencerows import Merged
from ledger.storage.licences import CAPACITY

if TYPE_CHECKING:
    from node.context import NodeContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A list that was taken over: its number, the version that was published, what it knew more than the store."""

    number: int
    version: int
    merged: Merged


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    number: int
    version: int
    content: StatusList
    uri: str
    head: StatusHeadInfo

    @property
    def is_newest(self) -> bool:
        """Whether this is the chain's newest version, by number and bits: then nothing else need be known of it."""
        newest = self.head.newest
        return (self.version, self.content.digest) == (newest.version, newest.list_digest)


def restore(context: NodeContext, tokens: Sequence[str]) -> list[Restored]:
    """Take over published lists of this member; the next publication is of the merged ones. May be repeated.

    Raises: InvalidInputError(licence.*), UntrustedError(licence.status-* | licence.signature),
    ConflictError(licence.list-unpublished | licence.list-missing): then nothing was changed.
    """
    given = [_opened(context, token) for token in dict.fromkeys(tokens)]
    behind = context.licences.publisher.look()
    missing = sorted(behind.keys() - {item.number for item in given if item.is_newest})
    if missing:
        raise ConflictError(
            "licence.list-missing",
            f"the newest published version of status list {missing[0]} is not among what was given",
            hint="its token is at gateways that checked a licence lately, and in bundles of licences made since",
            expected=", ".join(f"list {number}" for number in missing),
        )
    done = []
    # The chain's newest come last: until it is taken over, a list stays closed, and all of this may be repeated.
    for item in sorted(given, key=lambda item: (item.number, item.is_newest)):
        merged = context.licences.issuer.merge(item.number, item.content.values())
        if item.is_newest and item.number in behind:
            digest = item.head.newest.token_digest
            context.licences.publisher.take_over(
                item.number, item.version, item.content, uri=item.uri, token_digest=digest
            )
        done.append(Restored(number=item.number, version=item.version, merged=merged))
    context.licences.publisher.look()
    return done


def _opened(context: NodeContext, token: str) -> _Given:
    """A token of a list that this member published, no older than what the chain has of it."""
    if len(token) > statustoken.MAX_TOKEN_CHARACTERS:
        raise InvalidInputError("licence.status-size", "the status list token is too long")
    claims = jws.parse(token).claims()
    uri, version, status = claims.get("sub"), claims.get("version"), claims.get("status_list")
    text = status.get("lst") if isinstance(status, dict) else None
    if not isinstance(uri, str) or not isinstance(version, int) or not isinstance(text, str):
        raise InvalidInputError(
            "licence.status-claims",
            "this is no token of a status list of a node",
            hint="give what the issuer's node or a gateway served: civicledger licence status --restore --help",
        )
    number, head = _head_of(context, uri)
    content = StatusList.decode(status.get("bits"), b64.decode(text))
    if content.bits != 2 or len(content) != CAPACITY:
        raise InvalidInputError("licence.status-size", "this node makes no lists of that size", expected=CAPACITY)
    given = _Given(number=number, version=version, content=content, uri=uri, head=head)
    if not given.is_newest:
        _require_newer(context, token, given)
    return given


def _head_of(context: NodeContext, uri: str) -> tuple[int, StatusHeadInfo]:
    """The number of the list that the chain has under an address, and its newest version there."""
    licences, digest = context.contracts.licences, hashlib.sha256(uri.encode()).digest()
    for number in range(1, licences.list_count(context.member) + 1):
        head = licences.list_head(context.member, number)
        if head is not None and head.uri_digest == digest:
            return number, head
    raise ConflictError(
        "licence.list-unpublished",
        "the chain has no status list of this member under that address",
        hint="give a list of this issuer in this city",
        actual=ascii(uri)[:100],
    )


def _require_newer(context: NodeContext, token: str, given: _Given) -> None:
    """Raises: UntrustedError for what is not ahead of the chain under a key of this member that is in force."""

    def key_of(kid: str) -> ListKey | None:
        spki = dict(context.licences.lists.signing_keys()).get(b64.decode(kid))
        return None if spki is None else ListKey(issuer=context.member, spki=spki)

    found = statustoken.verify(token, uri=given.uri, issuer=context.member, key_of=key_of)
    check_list(found, key=context.contracts.consortium.key(b64.decode(found.kid)), head=given.head)
