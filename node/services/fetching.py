"""FetchingService: a department fetches a licence under a grant instead of asking the citizen for it."""

from __future__ import annotations

import json
import secrets
from contextlib import closing
from typing import TYPE_CHECKING

from ledger.directory.catalogue import LICENCE_FORMAT, decode_metadata
from ledger.errors import InvalidInputError, NotFoundError
from ledger.licences.verdict import Verdict
from ledger.storage.fetches import Fetch
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc, peer_pb2
from node.documents import Documents
from node.exchange.consumer import Consuming, Use
from node.licences import fetching
from node.licences.fetching import HOLDER
from node.licences.verifying import Verifier
from node.rpc import translate
from node.rpc.auth import Call
from node.services import fields
from node.services.exchange import ExchangeService

if TYPE_CHECKING:
    from node.context import NodeContext

MAX_CAUSE = 200


class FetchingService(licences_pb2_grpc.FetchingServiceServicer):
    """For the department's own systems; the exchange itself is ``ExchangeService``'s."""

    def __init__(self, context: NodeContext, documents: Documents, exchanges: ExchangeService) -> None:
        self._context = context
        self._documents = documents
        self._exchanges = exchanges
        self._verifier = Verifier(context)

    def Fetch(self, request: pb.FetchLicenceRequest, call: Call) -> pb.FetchLicenceResponse:
        """The licence, after both sides signed the receipt and the fetch is on record."""
        grant = fields.id32("grant", request.grant)
        nonce = fields.optional_id32("nonce", request.nonce) or secrets.token_bytes(32)
        if len(request.use_cause) > MAX_CAUSE:
            raise fields.refuse("use_cause", f"is longer than {MAX_CAUSE} characters", expected=MAX_CAUSE)
        fresh = Fetch(
            salt=secrets.token_bytes(32),
            holder=fields.text("holder", request.holder, limit=fetching.MAX_HOLDER),
            cause=fields.text("use_cause", request.use_cause, limit=4 * MAX_CAUSE),
            cause_salt=secrets.token_bytes(32),
        )
        shown = self._fields(grant, tuple(request.fields))
        # Kept before anything is asked, so that a repeat asks the same.
        kept = self._context.licences.fetches.keep(nonce, fresh)
        about = fetching.subject_of(kept)
        use = Use(
            grant=grant,
            dataset=b"",
            purpose="",
            nonce=nonce,
            query={"fields": sorted(shown), "rows": {HOLDER: about.commitment().hex()}},
            operator=fields.text("operator_pseudonym", request.operator_pseudonym, limit=128, required=False),
        )
        subject = peer_pb2.ExchangeSubject(salt=kept.salt, holder=kept.holder)
        with self._exchanges.one_at_a_time(nonce), closing(Consuming.begin(self._context, use)) as consuming:
            self._exchanges.converse(consuming, subject)
            text = b"".join(consuming.plain()).decode("utf-8", "replace")
            entry = consuming.entry
            index = fetching.log_fetched(self._context, entry, about, fetching.cause_commitment(kept))
        fetching.check_holder(text, about, shown)
        verdict: Verdict = self._verifier.judge(text)
        return pb.FetchLicenceResponse(
            presentation=text,
            receipt=translate.receipt(entry),
            verdict=json.dumps(verdict.to_dict(), ensure_ascii=False).encode(),
            log_index=index,
        )

    def _fields(self, grant: bytes, asked: tuple[str, ...]) -> tuple[str, ...]:
        info = self._context.contracts.grants.grant(grant)
        if info is None:
            raise NotFoundError("grant.unknown", "no such grant is on the chain", hint="civicledger grant list")
        dataset = self._context.contracts.directory.dataset(info.dataset)
        entry = b"" if dataset is None else self._documents.metadata(dataset)
        if entry and decode_metadata(entry).format != LICENCE_FORMAT:
            raise InvalidInputError(
                "licence.no-licences",
                "the grant is for data that are no licences",
                hint="civicledger exchange pull fetches them",
                actual=grant,
            )
        granted = self._documents.terms(info).scope.fields
        return tuple(sorted(set(asked))) or granted
