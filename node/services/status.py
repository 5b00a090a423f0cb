"""StatusService: how the node is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.v1 import node_pb2, node_pb2_grpc
from node.rpc import translate
from node.rpc.auth import Call
from node.version import VERSION

if TYPE_CHECKING:
    from node.context import NodeContext


class StatusService(node_pb2_grpc.StatusServiceServicer):
    """Figures and findings of a running node."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context

    def GetStatus(self, request: node_pb2.GetStatusRequest, call: Call) -> node_pb2.Status:
        """Where chain, log and peers stand."""
        context = self._context
        head = context.chain.head()
        published, witnessed = context.publisher.newest(), context.publisher.witnessed()
        anchored = context.anchors.newest()
        closed, consensus = context.log.why_closed, context.consensus_view()
        return node_pb2.Status(
            member=context.member,
            origin=context.log.origin,
            engine=context.engine,
            height=head.height,
            head=head.hash,
            final_height=context.view.final_height(),
            view_age_ms=context.view.age_ms(),
            log_size=context.log.size,
            published_size=published.size if published else 0,
            witnessed_size=witnessed.size if witnessed else 0,
            anchored_size=anchored.size if anchored else 0,
            indexed_size=context.index.indexed_size,
            peers=[translate.peer(state) for state in context.peer_states()],
            version=VERSION,
            role=context.view.role,
            witnesses=[translate.witness(state) for state in context.witnesses()],
            open_alarms=len(context.alarms.alarms()),
            closed=f"{closed.message} [{closed.code}]" if closed else "",
            consensus=None if consensus is None else translate.consensus(consensus),
        )

    def Diagnose(self, request: node_pb2.DiagnoseRequest, call: Call) -> node_pb2.DiagnoseResponse:
        """What is wrong, each finding with the next step."""
        return node_pb2.DiagnoseResponse(findings=[translate.finding(item) for item in self._context.diagnose()])

    def ListAlarms(self, request: node_pb2.ListAlarmsRequest, call: Call) -> node_pb2.ListAlarmsResponse:
        """Alarms about members' logs, with their proofs."""
        found = self._context.alarms.alarms(settled=request.settled)
        return node_pb2.ListAlarmsResponse(alarms=[translate.alarm(one) for one in found])

    def SettleAlarm(self, request: node_pb2.SettleAlarmRequest, call: Call) -> node_pb2.Alarm:
        """The operator has dealt with an alarm."""
        return translate.alarm(self._context.alarms.settle(request.id))
