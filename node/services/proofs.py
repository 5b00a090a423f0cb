"""ProofService: checkpoints, proofs, and bundles a stranger can check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import InvalidInputError, NotFoundError
from ledger.evidence.bundle import assemble
from ledger.evidence.checkpoint import format_proof
from ledger.v1 import node_pb2, node_pb2_grpc
from node.context import Published
from node.rpc.auth import Call
from node.services import fields
from node.trail.generations import is_retired, retired_bundle

if TYPE_CHECKING:
    from node.context import NodeContext

MAX_WAIT_MS = 60_000
_FRESH_WAIT_S = 2.0


class ProofService(node_pb2_grpc.ProofServiceServicer):
    """Proofs about this node's log."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context

    def GetCheckpoint(self, request: node_pb2.GetCheckpointRequest, call: Call) -> node_pb2.GetCheckpointResponse:
        """The newest signed checkpoint with its cosignatures; a fresh one if asked for."""
        publisher = self._context.publisher
        published = publisher.publish_now(wait_witnessed_s=_FRESH_WAIT_S) if request.fresh else publisher.newest()
        if published is None:
            raise _nothing()
        return node_pb2.GetCheckpointResponse(
            note=published.note.decode(), cosignatures=published.cosignatures, quorum=published.quorum
        )

    def ProveInclusion(self, request: node_pb2.ProveInclusionRequest, call: Call) -> node_pb2.ProveInclusionResponse:
        """That a record stands in the tree of a published size. Without a size asked for, a record that is durable and
        under no checkpoint yet is published first."""
        publisher = self._context.publisher
        newest = publisher.newest()
        if not request.size and newest is not None and newest.size <= request.index < self._context.log.size:
            publisher.publish_now(wait_witnessed_s=_FRESH_WAIT_S)
        size, published = self._size(request.size)
        if request.index >= size:
            raise _range("index", request.index, size - 1)
        hashes = self._context.log.prove_inclusion(request.index, size)
        return node_pb2.ProveInclusionResponse(
            index=request.index,
            size=size,
            hashes=hashes,
            tlog_proof=format_proof(request.index, hashes, published.note) if published is not None else "",
        )

    def ProveConsistency(
        self, request: node_pb2.ProveConsistencyRequest, call: Call
    ) -> node_pb2.ProveConsistencyResponse:
        """That the tree of one size is the beginning of another's."""
        size2, _ = self._size(request.size2)
        if not 1 <= request.size1 <= size2:
            raise _range("size1", request.size1, size2)
        return node_pb2.ProveConsistencyResponse(hashes=self._context.log.prove_consistency(request.size1, size2))

    def MakeBundle(self, request: node_pb2.MakeBundleRequest, call: Call) -> node_pb2.MakeBundleResponse:
        """The record with everything that proves it, from the newest anchored and final checkpoint."""
        fields.number("wait_ms", request.wait_ms, 0, MAX_WAIT_MS)
        context = self._context
        if is_retired(context, request.generation):
            bundle = retired_bundle(context, request.generation, request.index)
        else:
            bundle = self._bundle(request)
        return node_pb2.MakeBundleResponse(bundle=bundle)

    def _bundle(self, request: node_pb2.MakeBundleRequest) -> bytes:
        size = self._context.log.size
        if request.index >= size:
            raise _range("index", request.index, size - 1)
        anchor = self._context.anchors.parts(request.index, request.wait_ms / 1000)
        record = self._context.log.read(request.index, 1)[0]
        hashes = self._context.log.prove_inclusion(request.index, anchor.size)
        return assemble(record, request.index, hashes, anchor.parts)

    def GetPolicy(self, request: node_pb2.GetPolicyRequest, call: Call) -> node_pb2.GetPolicyResponse:
        """The trust policy of this chain, pinned at the newest final head."""
        return node_pb2.GetPolicyResponse(policy=self._context.anchors.policy())

    def GetWitnessPolicy(
        self, request: node_pb2.GetWitnessPolicyRequest, call: Call
    ) -> node_pb2.GetWitnessPolicyResponse:
        """The witnesses and their quorum as a tlog-policy."""
        return node_pb2.GetWitnessPolicyResponse(policy=self._context.witness_policy().decode("utf-8", "replace"))

    def _size(self, asked: int) -> tuple[int, Published | None]:
        """A size nobody outside has seen yet is not proven: the newest published one is the limit."""
        newest = self._context.publisher.newest()
        if newest is None:
            raise _nothing()
        if asked > newest.size:
            raise _range("size", asked, newest.size)
        if asked in (0, newest.size):
            return newest.size, newest
        return asked, self._context.publisher.at(asked)


def _nothing() -> NotFoundError:
    return NotFoundError(
        "checkpoint.none", "this log has no checkpoint yet", hint="append a record, or ask again in a second"
    )


def _range(field: str, value: int, limit: int) -> InvalidInputError:
    return InvalidInputError(
        "proof.range", f"{field} goes to {limit}", hint="ask for the newest checkpoint", expected=limit, actual=value
    )
