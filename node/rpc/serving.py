"""Putting the services on the gRPC server, behind the gate and the authorisation of every call."""

from __future__ import annotations

from google.protobuf.descriptor import FileDescriptor

from ledger.v1 import (
    department_pb2,
    keeping_pb2,
    licences_pb2,
    licencetypes_pb2,
    medical_pb2,
    medicalrules_pb2,
    node_pb2,
    peer_pb2,
    peer_pb2_grpc,
    pseudonyms_pb2,
)
from node import services
from node.context import NodeContext
from node.core import NodeCore
from node.identity.trust import trust_roots
from node.rpc.auth import Authorisation
from node.rpc.gate import Gate
from node.rpc.server import GrpcServer

_FILES: tuple[FileDescriptor, ...] = (
    department_pb2.DESCRIPTOR,
    keeping_pb2.DESCRIPTOR,
    licences_pb2.DESCRIPTOR,
    licencetypes_pb2.DESCRIPTOR,
    medical_pb2.DESCRIPTOR,
    medicalrules_pb2.DESCRIPTOR,
    node_pb2.DESCRIPTOR,
    peer_pb2.DESCRIPTOR,
    pseudonyms_pb2.DESCRIPTOR,
)


def serve_grpc(
    core: NodeCore, gate: Gate, context: NodeContext, blocks: peer_pb2_grpc.BlockServiceServicer
) -> GrpcServer:
    """Make, fill and start the server.

    Raises: ConflictError(listen.in-use).
    """

    def observe(method: str, code: str, seconds: float) -> None:
        core.metrics.called(method, code, seconds)
        if code != "ok":
            core.metrics.refused(code)

    server = GrpcServer(
        host=core.config.grpc.host,
        port=core.config.grpc.port,
        identity=core.keys.identity,
        roots=trust_roots(core.peers, core.keys.identity, core.rosters.current),
        interceptors=(Authorisation(context, observe), gate),
        workers=core.config.workers,
    )
    services.register(server.server, context)
    peer_pb2_grpc.add_BlockServiceServicer_to_server(blocks, server.server)
    server.start([service.full_name for file in _FILES for service in file.services_by_name.values()])
    return server
