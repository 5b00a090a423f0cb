"""Publishing the status lists: a version for every change, its head on chain, a token that is never too old.

A version is durable before it leaves, with its token: after a crash the same bits go on their way under the same
number. The head on chain is of the bits, so that signing them anew sends nothing.

Where the chain has a version that this store does not have, the store is an older copy: to publish it would make valid
again what was revoked since. Such a list is neither signed nor served until it is restored (:mod:`.restoring`).
"""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

import structlog

from ledger.errors import ConflictError, FatalError, LedgerError, NotAllowedError, UnavailableError
from ledger.licences import b64, statustoken
from ledger.licences.status import StatusList
from ledger.storage.statuslists import ListVersion, StatusToken, thin
from node.licences.signing import IssuerSigner, issuer_signer
from node.loops import Loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.context import NodeContext

logger = structlog.get_logger("node.licences")

#: A token may be shown in answers about the past for so many times its ttl; it is signed anew long before.
_EXPIRY = 2


class StatusPublisher:
    """The status lists of this node's member. ``publish`` may be called by any thread."""

    def __init__(
        self,
        context: NodeContext,
        settle: Callable[[], None],
        is_open: Callable[[], bool],
        on_fatal: Callable[[LedgerError], None],
    ) -> None:
        self._context = context
        self._store = context.licences.store
        self._lists = context.licences.lists
        self._settle = settle
        self._is_open = is_open
        self._lock = threading.Lock()
        #: Lists whose store is behind the chain; None before they were looked at.
        self._behind: dict[int, LedgerError] | None = None
        self.loop = Loop("status-lists", self._step, metrics=context.metrics, on_fatal=on_fatal)

    def publish(self) -> list[ListVersion]:
        """Publish what changed, anchor what is not anchored, sign anew what grows old; the newest version of each
        list.

        Raises: NotAllowedError(licence.key-ended | licence.not-accredited), UnavailableError(chain.* | disk.full): what
        was signed is served all the same, and its head follows; ConflictError(licence.list-behind), also where only one
        list is, once the others are published.
        """
        with self._lock:
            behind = self.look()
            numbers = tuple(number for number in self._store.lists() if number not in behind)
            # First all are signed: what keeps one head from the chain holds no list back.
            newest = {number: self._refresh(number) for number in numbers}
            problem: LedgerError | None = next(iter(behind.values()), None)
            for number in numbers:
                try:
                    # Oldest first: the contract takes versions without gaps.
                    for version in self._lists.unanchored(number):
                        newest[number] = self._anchor(version)
                except FatalError:
                    raise
                except LedgerError as error:
                    problem = problem or error
            if problem is not None:
                raise problem
            return list(newest.values())

    def token(self, number: int, time_s: int | None = None) -> str | None:
        """The newest token of a list, or the one that spoke at a time; None where there is none.

        Raises: UnavailableError(licence.list-behind) for the newest of a list that the chain has a newer version of.
        """
        if not 1 <= number < 1 << 32:
            return None
        if time_s is None and number in (self.look() if self._behind is None else self._behind):
            # No list is better than one from before: whoever kept the newest goes on with it.
            raise UnavailableError(
                "licence.list-behind",
                "the store of this issuer's node is older than the status list it published",
                hint="its operator restores the list: civicledger licence status --restore",
            )
        if time_s is None:
            found = self._lists.newest_token(number)
        else:
            found = self._lists.token_at(number, time_s)
            if found is not None and time_s >= min(found.expires_s, found.issued_s + found.ttl_s):
                found = None
        return None if found is None else self._lists.text(number, found)

    def look(self) -> dict[int, LedgerError]:
        """The lists of which the chain has what this store does not, and why they are not published. No place of theirs
        is given any more: which ones are taken, this store may not know. Takes no lock, for the issuer asks each time.
        """
        licences, member = self._context.contracts.licences, self._context.member
        on_chain = range(1, licences.list_count(member) + 1)
        found = {number: error for number in on_chain if (error := self._lag(number)) is not None}
        if found:
            self._store.close(on_chain)
        if found and not self._behind:
            logger.error("status.behind", lists=sorted(found))
        self._behind = found
        return found

    def _lag(self, number: int) -> LedgerError | None:
        """Why a list may not be published: the chain's newest version is not in this store, or another one there."""
        head = self._context.contracts.licences.list_head(self._context.member, number)
        if head is None:
            return None
        same = self._lists.version(number, head.newest.version)
        if same is not None and same.list_digest == head.newest.list_digest:
            return None
        newest = self._lists.newest(number)
        return ConflictError(
            "licence.list-behind",
            f"the chain has version {head.newest.version} of status list {number}, which is not in this node's store: "
            "it was put back from an older copy, and publishing it would make valid again what was revoked since",
            hint="civicledger licence status --restore FILE_OR_GATEWAY with the newest published list",
            expected=head.newest.version,
            actual=0 if newest is None else newest.version,
        )

    def take_over(self, number: int, version: int, content: StatusList, *, uri: str, token_digest: bytes) -> None:
        """Go on from a version that the chain has and this store has not: it is kept, and signed for now.

        Raises: NotAllowedError(licence.key-ended), UnavailableError(disk.full).
        """
        with self._lock:
            signer, text = issuer_signer(self._context), b64.encode(content.encode())
            self._lists.name(number, uri)
            _, kept = self._sign(signer, number, version, content, text)
            made = ListVersion(
                number=number,
                version=version,
                list_digest=content.digest,
                text=text,
                inflated=len(content.packed),
                made_ms=self._context.clock(),
                token_digest=token_digest,
                height=max(1, self._context.chain.head().height),
            )
            self._lists.put_back(made, kept)

    def _step(self) -> float:
        if not self._is_open():
            return 1.0
        self._settle()
        self.publish()
        return float(self._context.config.licences.publish_interval)

    def _refresh(self, number: int) -> ListVersion:
        """The version that says what is true now, signed and kept, with a token that is not old."""
        newest = self._lists.newest(number)
        content = StatusList.of_values(self._store.statuses(number))
        if newest is None or newest.list_digest != content.digest:
            return self._version(number, content, newest)
        self._renew(newest)
        return newest

    def _version(self, number: int, content: StatusList, before: ListVersion | None) -> ListVersion:
        signer = issuer_signer(self._context)
        text = b64.encode(content.encode())
        version = 1 if before is None else before.version + 1
        token, kept = self._sign(signer, number, version, content, text)
        made = ListVersion(
            number=number,
            version=version,
            list_digest=content.digest,
            text=text,
            inflated=len(content.packed),
            made_ms=self._context.clock(),
            token_digest=hashlib.sha256(token.encode("ascii")).digest(),
        )
        self._lists.put(made, kept)
        return made

    def _renew(self, newest: ListVersion) -> None:
        token, now = self._lists.newest_token(newest.number), self._context.clock() // 1_000
        signer = issuer_signer(self._context)
        fresh = token is not None and token.issued_s - statustoken.SKEW_S <= now < token.issued_s + token.ttl_s // 2
        if token is not None and fresh and token.kid == signer.material:
            return
        content = StatusList.decode(2, b64.decode(newest.text))
        self._lists.put_token(newest.number, self._sign(signer, newest.number, newest.version, content, newest.text)[1])

    def _sign(
        self, signer: IssuerSigner, number: int, version: int, content: StatusList, text: str
    ) -> tuple[str, StatusToken]:
        now = self._context.clock() // 1_000
        # A clock that was ahead signed what nobody accepts; small steps back are only waited for.
        self._lists.forget_after(number, now + statustoken.SKEW_S)
        before = self._lists.newest_token(number)
        now = max(now, 0 if before is None else before.issued_s)
        ttl = self._context.config.licences.status_ttl
        uri = self._context.licences.uri(number)
        token = statustoken.make(
            signer,
            content,
            issuer=self._context.member,
            uri=uri,
            version=version,
            iat=now,
            ttl=ttl,
            exp=now + _EXPIRY * ttl,
        )
        kept = thin(
            token,
            text,
            version=version,
            issued_s=now,
            expires_s=now + _EXPIRY * ttl,
            ttl_s=ttl,
            kid=signer.material,
        )
        return token, kept

    def _anchor(self, version: ListVersion) -> ListVersion:
        context = self._context
        head = context.contracts.licences.list_head(context.member, version.number)
        if head is not None and head.newest.version >= version.version:
            # Sent before a crash: it stands.
            return self._lists.anchored(version, context.chain.head().height)
        licences = context.contracts.licences
        calldata = licences.encode_record_list(
            self._accredited_type(),
            version.number,
            version.version,
            uri_digest=hashlib.sha256(context.licences.uri(version.number).encode()).digest(),
            list_digest=version.list_digest,
            token_digest=version.token_digest,
            inflated_bytes=version.inflated,
            bits=2,
        )
        outcome = context.sender.send(licences.address, calldata)
        logger.info("status.published", version=version.version, height=outcome.height)
        return self._lists.anchored(version, outcome.height)

    def _accredited_type(self) -> str:
        """A type for which this member is accredited now: who is for none records no list."""
        context = self._context
        now = context.clock() // 1_000
        for item in context.contracts.licences.licence_types():
            if context.contracts.licences.accredited_at(item.code, context.member, now):
                return item.code
        raise NotAllowedError(
            "licence.not-accredited",
            "this member is accredited for no licence type now: the head of its status list cannot go on chain",
            hint="the list is served all the same; who defined a type accredits: civicledger licence accredit",
        )
