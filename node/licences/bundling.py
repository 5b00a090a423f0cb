"""A licence for a stranger without a network: its issue record and anchor, its issuer's standing, its status list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import structlog

from ledger.codec import decode_record
from ledger.errors import ConflictError, FatalError, LedgerError, NotFoundError, UnavailableError, UntrustedError
from ledger.evidence import licencestate
from ledger.evidence import state as slots
from ledger.evidence.bundle import assemble
from ledger.evidence.licencebundle import MAX_SPANS, LicenceProof, StatusProof
from ledger.evidence.pieces import ContractEvidence, LicenceEvidence, contract_evidence
from ledger.licences import b64, issuing, jws, statustoken
from ledger.licences.statuschain import check_list
from ledger.licences.statustoken import ListKey
from ledger.storage.licencerows import LicencePayload, LicenceRow
from node.chain import state

if TYPE_CHECKING:
    from node.context import FinalBlock, KeptAnchor, NodeContext

logger = structlog.get_logger("node.licences")

#: Clocks may differ by this much, seconds: the time in a licence is its issuer's.
_SKEW_S: Final = 60


def make_bundle(context: NodeContext, row: LicenceRow, *, show: Sequence[str], timeout_s: float) -> bytes:
    """The bundle of a licence with the named claims shown.

    Raises: ConflictError(licence.state), NotFoundError(licence.erased | licence.record-elsewhere),
    InvalidInputError(licence.path), UnavailableError(anchor.timeout | chain.no-finality).
    """
    payload = context.licences.store.payload(row.id)
    if row.state == "begun":
        raise ConflictError("licence.state", "this licence is not issued yet", hint="repeat the request that issues it")
    if payload is None:
        raise NotFoundError(
            "licence.erased",
            "what was kept about this licence's holder has been erased",
            hint="issue a new licence from the department's own files",
        )
    presentation = issuing.present(payload.licence, [(name,) for name in dict.fromkeys(show)])
    record = _record(context, row)
    newest = context.anchors.parts(row.log_index, timeout_s)
    _publish(context)
    maker = _Maker(context, row, context.anchors.final_block(timeout_s))
    anchor = maker.choose(newest)
    proof = maker.proof(presentation, payload)
    hashes = context.log.prove_inclusion(row.log_index, anchor.size)
    return assemble(record, row.log_index, hashes, anchor.parts, licence=proof)


def _record(context: NodeContext, row: LicenceRow) -> bytes:
    """The issue record in the log that is written now."""
    if row.log_index < context.log.size:
        record = context.log.read(row.log_index, 1)[0]
        found = decode_record(record)
        if found.type == "licence.issued" and found.body.get("licence") == row.commitment.hex():
            return record
    raise NotFoundError(
        "licence.record-elsewhere",
        "the issue record of this licence stands in a log that was retired",
        hint="renew the licence: the record of its next version stands in the log in force",
    )


def _publish(context: NodeContext) -> None:
    """What changed of the lists goes into the bundle; where it cannot be published now, what was published before."""
    try:
        context.licences.publisher.publish()
    except FatalError:
        raise
    except LedgerError as error:
        logger.warning("status.not-published", code=error.code)


class _Maker:
    """Proofs of one licence under one final block."""

    def __init__(self, context: NodeContext, row: LicenceRow, block: FinalBlock) -> None:
        self._context = context
        self._row = row
        self._block = block
        self._keys = dict(context.licences.lists.signing_keys())
        spans = context.contracts.licences.accreditations(row.type, context.member, height=block.height)
        issued_s = row.issued_ms // 1_000
        covering = (
            place
            for place, span in enumerate(spans)
            if span.valid_from <= issued_s + _SKEW_S and (not span.valid_until or issued_s - _SKEW_S < span.valid_until)
        )
        # With those after it: a span may be prolonged by the next.
        first = next(covering, max(0, len(spans) - 1))
        self._spans = spans[first : first + MAX_SPANS]

    def choose(self, newest: KeptAnchor) -> KeptAnchor:
        """The anchor that shows when the licence existed: while nothing has ended the newest, which fits the newest
        policies; afterwards the first one that covers the record."""
        contracts, height = self._context.contracts, self._block.height
        key = contracts.consortium.key(self._row.kid, height)
        type_ = contracts.licences.licence_type(self._row.type, height)
        runs = key is not None and key.status == "active" and not key.valid_to
        runs = runs and type_ is not None and not type_.withdrawn_at
        if runs and not any(span.valid_until for span in self._spans):
            return newest
        return self._context.anchors.first(self._row.log_index) or newest

    def proof(self, presentation: str, payload: LicencePayload) -> LicenceProof:
        """The licence with its issuer's standing in the block."""
        numbers = tuple(span.number for span in self._spans)
        return LicenceProof(
            presentation=presentation,
            salt=payload.salt,
            header=self._block.header,
            finality=self._block.finality,
            members=self._contract(self._context.contracts.consortium.address, (slots.active_count_slot(),)),
            key=self._keys[self._row.kid],
            spans=numbers,
            issuer=self._issuer(self._row.kid, numbers),
            status=self._status(),
        )

    def _status(self) -> StatusProof | None:
        context, number = self._context, self._row.list
        head = context.contracts.licences.list_head(context.member, number, self._block.height)
        try:
            token = context.licences.publisher.token(number)
        except UnavailableError as error:
            logger.warning("status.not-bundled", code=error.code, list=number)
            token = None
        if head is None or token is None:
            return None
        digest = b64.decode(jws.parse(token).kid)
        spki, version = self._keys.get(digest), head.newest.version
        key = context.contracts.consortium.key(digest, self._block.height)
        if spki is None or key is None:
            # Signed with a key that came after this block.
            return None
        found = statustoken.verify(
            token,
            uri=context.licences.uri(number),
            issuer=context.member,
            key_of=lambda _: ListKey(issuer=context.member, spki=spki),
        )
        try:
            check_list(found, key=key, head=head)
        except UntrustedError as error:
            # Nobody would take it: the bundle is better off without, and says so.
            logger.warning("status.not-bundled", code=error.code, list=number)
            return None
        return StatusProof(
            token=token,
            key=spki,
            number=number,
            version=version,
            signer=self._issuer(digest, ()),
            head=self._evidence(
                licencestate.list_consortium_slots(), licencestate.list_slots(context.member, number, version)
            ),
        )

    def _issuer(self, key: bytes, numbers: tuple[int, ...]) -> LicenceEvidence:
        return self._evidence(
            licencestate.issuer_consortium_slots(key),
            licencestate.issuer_slots(self._row.type, self._context.member, numbers),
        )

    def _evidence(self, consortium: tuple[bytes, ...], licences: tuple[bytes, ...]) -> LicenceEvidence:
        contracts = self._context.contracts
        return LicenceEvidence(
            consortium=self._contract(contracts.consortium.address, consortium),
            licences=self._contract(contracts.licences.address, licences),
        )

    def _contract(self, address: bytes, wanted: tuple[bytes, ...]) -> ContractEvidence:
        return contract_evidence(state.proof(self._context.chain, address, wanted, self._block.height), wanted)
