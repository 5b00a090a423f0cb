"""Files whose digest is on chain: catalogue entries, grant agreements, explanations.

A node keeps its own and asks the node of the member that made a file for the others; what comes is checked against the
digest on chain before it is kept or shown. A member that does not answer leaves the file empty: the
chain has the facts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import grpc
import structlog

from ledger.codec import domain_digest
from ledger.directory.catalogue import metadata_digest
from ledger.directory.grants import Terms, agreement_digest, decode_agreement, scope_digest
from ledger.directory.lists import ListEntry, item_digest
from ledger.errors import LedgerError, NotAllowedError, UnavailableError
from ledger.identifiers import ascii_bytes32
from ledger.licences.description import description_digest
from ledger.model import DatasetInfo, GrantInfo, LicenceTypeInfo
from ledger.v1 import department_pb2, department_pb2_grpc, licencetypes_pb2, licencetypes_pb2_grpc
from node.rpc.errors import from_rpc

if TYPE_CHECKING:
    from node.context import NodeContext

log = structlog.get_logger(__name__)

#: How long another node may take for one file, seconds.
FETCH_TIMEOUT_S = 3.0
#: A node that did not answer is not asked again for this long, milliseconds.
PAUSE_MS = 10_000


class Documents:
    """The files this node holds, by digest (32 bytes). Thread-safe."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context
        self._rows = context.store.sub(b"document/")
        self._lock = threading.Lock()
        self._silent: dict[str, int] = {}

    def keep(self, digest: bytes, data: bytes) -> None:
        """Keep a file under the digest the caller computed."""
        self._rows.put(digest, data)

    def held(self, digest: bytes) -> bytes:
        """The file, or no bytes."""
        return self._rows.get(digest) or b""

    def metadata(self, dataset: DatasetInfo, *, fetch: bool = True) -> bytes:
        """The catalogue entry of a dataset; no bytes where neither this node nor its provider's shows it."""

        def ask(channel: grpc.Channel) -> bytes:
            stub = department_pb2_grpc.DatasetServiceStub(channel)
            return stub.Get(department_pb2.GetDatasetRequest(id=dataset.id), timeout=FETCH_TIMEOUT_S).metadata

        return self._find(dataset.metadata_digest, dataset.provider, metadata_digest, ask if fetch else None)

    def description(self, info: LicenceTypeInfo, *, fetch: bool = True) -> bytes:
        """The description of a licence type; no bytes where neither this node nor that of who defined it shows it."""

        def ask(channel: grpc.Channel) -> bytes:
            stub = licencetypes_pb2_grpc.LicenceTypeServiceStub(channel)
            return stub.Get(licencetypes_pb2.GetLicenceTypeRequest(code=info.code), timeout=FETCH_TIMEOUT_S).description

        return self._find(info.metadata_digest, info.by, description_digest, ask if fetch else None)

    def agreement(self, grant: GrantInfo, *, fetch: bool = True) -> bytes:
        """The ODRL agreement of a grant; no bytes where neither this node nor its consumer's shows it."""

        def ask(channel: grpc.Channel) -> bytes:
            stub = department_pb2_grpc.GrantServiceStub(channel)
            return stub.Get(department_pb2.GetGrantRequest(id=grant.id), timeout=FETCH_TIMEOUT_S).agreement

        return self._find(grant.odrl_digest, grant.consumer, agreement_digest, ask if fetch else None)

    def terms(self, grant: GrantInfo) -> Terms:
        """The terms of a grant, compared field by field with what the chain says.

        Raises: UnavailableError(grant.no-agreement), NotAllowedError(grant.terms-differ).
        """
        data = self.agreement(grant)
        if not data:
            raise UnavailableError(
                "grant.no-agreement",
                "the agreement of this grant is neither here nor at its consumer's node",
                hint=f"start the node of {grant.consumer}, which made the request, and try again",
                actual=grant.id,
            )
        terms = decode_agreement(data)
        for name, agreed, chained in (
            ("dataset", terms.dataset, grant.dataset),
            ("provider", terms.provider, grant.provider),
            ("consumer", terms.consumer, grant.consumer),
            ("purpose", terms.purpose, grant.purpose),
            ("matter", matter_bytes32(terms.matter), grant.matter_digest),
            ("scope", scope_digest(terms.scope), grant.scope_digest),
            ("ceiling", terms.ceiling, grant.ceiling),
            ("end of validity", terms.valid_until, grant.valid_until),
        ):
            if agreed != chained:
                raise NotAllowedError(
                    "grant.terms-differ",
                    f"the agreement and the chain differ about the grant's {name}",
                    hint="refuse or revoke the grant; its consumer asks again",
                    expected=chained,
                    actual=agreed,
                )
        return terms

    def fetch_items(self, name: str, entries: Sequence[ListEntry]) -> None:
        """Ask the members of list entries for the items' texts that are missing here, one call to a member."""
        for owner in {entry.author or entry.member for entry in entries if not self.held(entry.item_digest)}:
            if owner == self._context.member or self._is_silent(owner):
                continue
            request = department_pb2.ListEntriesRequest(list=name, member=owner, page_size=500)
            try:
                stub = department_pb2_grpc.ListServiceStub(self._context.peers.channel(owner))
                answer = stub.List(request, timeout=FETCH_TIMEOUT_S)
            except grpc.RpcError as error:
                self._missed(owner, from_rpc(error, f"the node of {owner}"))
                continue
            except LedgerError as error:
                self._missed(owner, error)
                continue
            texts = {item_digest(entry.item): entry.item.encode() for entry in answer.entries if _is_item(entry.item)}
            for entry in entries:
                if entry.item_digest in texts:
                    self.keep(entry.item_digest, texts[entry.item_digest])

    def _find(
        self,
        digest: bytes,
        owner: str,
        compute: Callable[[bytes], bytes],
        ask: Callable[[grpc.Channel], bytes] | None,
    ) -> bytes:
        data = self.held(digest)
        if data or ask is None or owner == self._context.member or self._is_silent(owner):
            return data
        try:
            data = ask(self._context.peers.channel(owner))
        except grpc.RpcError as error:
            self._missed(owner, from_rpc(error, f"the node of {owner}"))
            return b""
        except LedgerError as error:
            self._missed(owner, error)
            return b""
        if not data or compute(data) != digest:
            return b""
        self.keep(digest, data)
        return data

    def _is_silent(self, owner: str) -> bool:
        with self._lock:
            return self._context.clock() < self._silent.get(owner, 0)

    def _missed(self, owner: str, error: LedgerError) -> None:
        log.info("document.missed", member=owner, code=error.code)
        if isinstance(error, UnavailableError):
            with self._lock:
                self._silent[owner] = self._context.clock() + PAUSE_MS


def _is_item(text: str) -> bool:
    try:
        item_digest(text)
    except LedgerError:
        return False
    return True


def matter_bytes32(matter: str) -> bytes:
    """A matter (事项) as it stands on chain: a code of up to 32 printable ASCII characters as it is, else the domain
    digest of its text."""
    if len(matter) <= 32 and matter.isascii() and matter.isprintable() and " " not in matter:
        return ascii_bytes32(matter)
    return domain_digest("matter", matter.encode())
