"""Who a citizen is, by an ID token that this node verifies itself: a gateway authorises nothing here.

Neither token nor identity is kept or logged; what limits remember is a digest under a key of this process.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from ledger.errors import NotAllowedError, UnavailableError
from ledger.licences.fields import read_citizen
from ledger.openid.link import Link
from ledger.openid.proof import verify_proof
from ledger.openid.provider import Provider
from node.citizens import accesses, results, wishes
from node.citizens.limits import Bucket, Used
from node.documents import Documents

if TYPE_CHECKING:
    from node.context import NodeContext

#: How long after it was issued a token is taken at most, seconds: providers differ in what they give.
MAX_AGE_S: Final = 900
#: Requests of one citizen, and of one address (a gateway asks for many).
_CITIZEN = (60.0, 30)
_ADDRESS = (3_000.0, 300)
#: Changes of consent by one citizen: each is a record for good.
_WISHES = (6.0, 12)
#: Requests answered at a time: they may wait for the provider, and must not take every thread.
_AT_A_TIME: Final = 8


class CitizenDesk:
    """Answers citizens. Thread-safe."""

    def __init__(self, context: NodeContext) -> None:
        """Raises: InvalidInputError(citizen.*), a setting is wrong."""
        settings = context.config.citizens
        self._context = context
        self._documents = Documents(context)
        ca_file = context.config.folder / settings.ca_file if settings.ca_file else None
        self._provider = Provider(settings.issuer, Link(ca_file), context.clock)
        self._settings = settings
        self._secret = secrets.token_bytes(32)
        self._citizens = Bucket(*_CITIZEN, context.clock)
        self._addresses = Bucket(*_ADDRESS, context.clock)
        self._wishes = Bucket(*_WISHES, context.clock)
        self._used = Used(context.clock)
        self._places = threading.BoundedSemaphore(_AT_A_TIME)

    def about(self) -> dict[str, Any]:
        """Whose tokens are taken here, and for which audience: public, so that no token is sent where none is."""
        return {
            "member": self._context.member,
            "issuer": self._settings.issuer,
            "audience": self._settings.audience,
        }

    def accesses(self, address: str, token: str, proof: str, *, before_ms: int, limit: int) -> dict[str, Any]:
        """What this node's log says about the citizen of a token, newest first, from before a time (0: from now).

        Raises: NotAllowedError(citizen.no-token), UntrustedError(citizen.token-* | citizen.proof),
        InvalidInputError(licence.citizen), UnavailableError(citizen.*).
        """
        with self._place(address):
            identity, _ = self._identify(token, proof)
            withheld = frozenset(self._settings.withheld)
            page = accesses.read(
                self._context, self._documents, identity, withheld=withheld, before_ms=before_ms, limit=limit
            )
        return {"member": self._context.member, **page}

    def results(self, address: str, token: str, proof: str, *, after: bytes) -> dict[str, Any]:
        """What this hospital holds of the citizen of a token, without a value, and who did what with it. ``after``: id
        of the last report of the page before.

        Raises: as :meth:`accesses`; NotFoundError(citizen.page-gone).
        """
        with self._place(address):
            identity, _ = self._identify(token, proof)
            page = results.read(self._context, identity, withheld=frozenset(self._settings.withheld), after=after)
        return {"member": self._context.member, **page}

    def wish(self, address: str, token: str, proof: str, body: bytes) -> dict[str, Any]:
        """Forbid or allow that the results of the citizen of a token are shared, once for a proof; the proof names the
        body.

        Raises: as :meth:`accesses`; UntrustedError(citizen.proof-used), InvalidInputError(citizen.wish |
        citizen.asker).
        """
        with self._place(address):
            identity, key = self._identify(token, proof, body)
            wanted = wishes.read_wish(self._context, body)
            self._wishes.take(key)
            done = wishes.carry_out(self._context, identity, wanted)
        return {"member": self._context.member, **done}

    def _identify(self, token: str, proof: str, deed: bytes | None = None) -> tuple[str, bytes]:
        """(the citizen's number, the name that limits know the citizen by)."""
        if not token or not proof:
            raise NotAllowedError(
                "citizen.no-token",
                "who asks? Only a citizen who signed in is answered here, through a gateway",
                hint="sign in on the gateway's page",
            )
        found = self._provider.verify(
            token, audience=self._settings.audience, claim=self._settings.claim, max_age_s=MAX_AGE_S
        )
        now_s = self._context.clock() // 1_000
        name, until_s = verify_proof(proof, token, found.nonce, member=self._context.member, now_s=now_s, deed=deed)
        identity = read_citizen(found.identity)
        key = hmac.digest(self._secret, identity.encode(), hashlib.sha256)
        self._citizens.take(key)
        if deed is not None:
            self._used.take(hashlib.sha256(f"{found.nonce}\n{name}".encode()).digest(), until_s)
        return identity, key

    @contextmanager
    def _place(self, address: str) -> Iterator[None]:
        self._addresses.take(address.encode())
        if not self._places.acquire(blocking=False):
            raise UnavailableError(
                "citizen.busy", "this node is answering other citizens at this moment", hint="ask again in a moment"
            )
        try:
            yield
        finally:
            self._places.release()
