"""The gRPC services of a department's node, one module per service of ``proto/ledger/v1``.

``register`` adds all of them to a server whose interceptor judges every call (``node.auth``). The block service is the
node core's own and passes through the same interceptor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from ledger.v1 import (
    department_pb2_grpc,
    keeping_pb2_grpc,
    licences_pb2_grpc,
    licencetypes_pb2_grpc,
    medical_pb2_grpc,
    medicalrules_pb2_grpc,
    node_pb2_grpc,
    peer_pb2_grpc,
    pseudonyms_pb2_grpc,
    reports_pb2_grpc,
)
from node.documents import Documents
from node.services.datasets import DatasetService
from node.services.exchange import ExchangeService, PeerExchangeService
from node.services.fetching import FetchingService
from node.services.forward import ForwardService
from node.services.grants import GrantService
from node.services.keeping import KeepingService, PseudonymService
from node.services.keys import KeyService
from node.services.licences import IssuingService
from node.services.licencetypes import LicenceTypeService
from node.services.lists import ListService
from node.services.medical import MedicalService
from node.services.medicalpeer import MedicalPeerService
from node.services.medicalrules import MedicalRulesService
from node.services.members import MemberService
from node.services.proofs import ProofService
from node.services.records import RecordService
from node.services.reports import ReportService
from node.services.status import StatusService
from node.services.verifying import VerifyingService

if TYPE_CHECKING:
    from node.context import NodeContext


def register(server: grpc.Server, context: NodeContext) -> None:
    """Add every service of this package to a server."""
    documents = Documents(context)
    records = RecordService(context)
    grants = GrantService(context, documents)
    department_pb2_grpc.add_MemberServiceServicer_to_server(MemberService(context), server)
    department_pb2_grpc.add_KeyServiceServicer_to_server(KeyService(context), server)
    department_pb2_grpc.add_DatasetServiceServicer_to_server(DatasetService(context, documents), server)
    department_pb2_grpc.add_ListServiceServicer_to_server(ListService(context, documents), server)
    department_pb2_grpc.add_GrantServiceServicer_to_server(grants, server)
    department_pb2_grpc.add_RecordServiceServicer_to_server(records, server)
    exchanges = ExchangeService(context)
    department_pb2_grpc.add_ExchangeServiceServicer_to_server(exchanges, server)
    licencetypes_pb2_grpc.add_LicenceTypeServiceServicer_to_server(LicenceTypeService(context, documents), server)
    licences_pb2_grpc.add_IssuingServiceServicer_to_server(IssuingService(context), server)
    fetching = FetchingService(context, documents, exchanges)
    licences_pb2_grpc.add_FetchingServiceServicer_to_server(fetching, server)
    licences_pb2_grpc.add_VerifyingServiceServicer_to_server(VerifyingService(context), server)
    medical = MedicalService(context)
    medical_pb2_grpc.add_MedicalServiceServicer_to_server(medical, server)
    medical_pb2_grpc.add_MedicalPeerServiceServicer_to_server(MedicalPeerService(context), server)
    medicalrules_pb2_grpc.add_MedicalRulesServiceServicer_to_server(MedicalRulesService(context, documents), server)
    keeping_pb2_grpc.add_KeepingServiceServicer_to_server(KeepingService(context), server)
    pseudonyms_pb2_grpc.add_PseudonymServiceServicer_to_server(PseudonymService(context), server)
    reports_pb2_grpc.add_ReportServiceServicer_to_server(ReportService(context), server)
    node_pb2_grpc.add_ProofServiceServicer_to_server(ProofService(context), server)
    node_pb2_grpc.add_StatusServiceServicer_to_server(StatusService(context), server)
    node_pb2_grpc.add_ForwardServiceServicer_to_server(ForwardService(context, records, grants, medical), server)
    peer_pb2_grpc.add_PeerExchangeServiceServicer_to_server(PeerExchangeService(context, documents), server)
