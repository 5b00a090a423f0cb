"""The auditor's question, asked of many nodes: which records name this dataset or grant.

The answering node is not believed: each row's inclusion proof is checked here, under a checkpoint whose log signature and
quorum of cosignatures are checked with the keys that the asker's own node has on its chain.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

from ledger.codec import decode_record
from ledger.errors import LedgerError, UntrustedError
from ledger.evidence.checkpoint import Checkpoint, parse_proof, quorum_of, verify_checkpoint
from ledger.evidence.merkle import leaf_hash, verify_inclusion
from ledger.evidence.note import ED25519_COSIGNATURE, ED25519_NOTE, VKey, parse_note
from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, Connection, list_members
from node.cli.texts import t
from node.rpc.errors import from_rpc

PAGE = 500
#: Rows kept per department and type: more than that is an export's work.
MAX_ROWS = 20_000
#: What counts as a use: exchanges in every state, and refusals.
USES = ("exchange.requested", "exchange.completed", "exchange.half", "access.refused")
#: Every record that names the dataset or grant: a department's own trail and the grants' lives too.
EVERYTHING = ("",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One record with where it stands; ``proven`` says that its inclusion proof was checked here."""

    member: str
    origin: str
    index: int
    record: dict[str, Any]
    proven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """All rows, who did not answer (member, code), and of whom there was more than ``MAX_ROWS``."""

    rows: tuple[Row, ...]
    absent: tuple[tuple[str, str], ...]
    cut: tuple[str, ...] = ()
    checkpoints: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "rows": [
                {"member": r.member, "origin": r.origin, "index": r.index, "proven": r.proven, "record": r.record}
                for r in self.rows
            ],
            "cut": list(self.cut),
            "absent": [{"member": member, "code": code} for member, code in self.absent],
            "checkpoints": self.checkpoints,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What checkpoints are judged by: the members' log and witness keys as one's own node has them on its chain."""

    logs: dict[str, tuple[VKey, ...]]
    witnesses: dict[str, tuple[VKey, ...]]
    quorum: int

    def check(self, member: str, note: bytes) -> Checkpoint:
        """The checkpoint of a member's log, its signature and quorum verified. Raises UntrustedError(checkpoint.*)."""
        parsed = parse_note(note)
        others = [key for uscc, keys in self.witnesses.items() if uscc != member for key in keys]
        failure: UntrustedError | None = None
        for log in self.logs.get(member, ()):
            try:
                return verify_checkpoint(parsed, log, others, self.quorum).checkpoint
            except UntrustedError as error:
                failure = error
        raise failure or UntrustedError(
            "checkpoint.signature", t(f"no log key of {member} is known on chain", f"链上没有 {member} 的日志公钥")
        )


def load_trust(connection: Connection) -> Trust:
    """Every member's log and witness keys, ended ones included (their checkpoints stay verifiable)."""
    logs: dict[str, tuple[VKey, ...]] = {}
    witnesses: dict[str, tuple[VKey, ...]] = {}
    members = list_members(connection)
    stub = connection.stub(rpc.KeyServiceStub)
    for member in members:
        keys = stub.List(pb.ListKeysRequest(member=member.uscc), timeout=CALL_TIMEOUT).keys
        sound = [key for key in keys if key.status != "compromised"]
        name = f"{member.region}.{member.handle}.civicledger/witness"
        logs[member.uscc] = tuple(
            VKey(name=member.origin, type=ED25519_NOTE, public=key.material) for key in sound if key.role == "log"
        )
        if member.status == "active":
            witnesses[member.uscc] = tuple(
                VKey(name=name, type=ED25519_COSIGNATURE, public=key.material) for key in sound if key.role == "witness"
            )
    active = sum(member.status == "active" for member in members)
    return Trust(logs=logs, witnesses=witnesses, quorum=quorum_of(active))


def ask(
    connection: Connection,
    members: Sequence[str],
    *,
    dataset: bytes = b"",
    grant: bytes = b"",
    types: Sequence[str] = USES,
) -> Answer:
    """Ask each member's node; a node that does not answer or may not tell is named, never silently left out."""
    rows: list[Row] = []
    absent: list[tuple[str, str]] = []
    cut: list[str] = []
    checkpoints: dict[str, str] = {}
    trust = load_trust(connection)
    for member in members:
        try:
            for record_type in types:
                request = pb.QueryRequest(
                    dataset=dataset, grant=grant, type=record_type, with_proofs=True, page_size=PAGE
                )
                found, more = _ask_one(connection, member, request, trust, checkpoints)
                rows.extend(found)
                if more and member not in cut:
                    cut.append(member)
        except grpc.RpcError as error:
            absent.append((member, from_rpc(error).code))
        except LedgerError as error:
            absent.append((member, error.code))
    rows.sort(key=lambda row: (row.record["time"], row.origin, row.index))
    return Answer(rows=tuple(rows), absent=tuple(absent), cut=tuple(cut), checkpoints=checkpoints)


def _ask_one(
    connection: Connection, member: str, request: pb.QueryRequest, trust: Trust, checkpoints: dict[str, str]
) -> tuple[list[Row], bool]:
    stub = connection.stub(rpc.RecordServiceStub, member)
    rows: list[Row] = []
    seen: dict[bytes, Checkpoint] = {}
    while True:
        page = stub.Query(request, timeout=CALL_TIMEOUT)
        rows.extend(check_row(member, row, trust, seen) for row in page.rows)
        checkpoints[member] = page.checkpoint
        if not page.next_page_token or len(rows) >= MAX_ROWS:
            return rows, bool(page.next_page_token)
        request.page_token = page.next_page_token


def check_row(member: str, row: Any, trust: Trust, seen: dict[bytes, Checkpoint]) -> Row:
    """Check one row; ``seen`` keeps the checkpoints already verified, by their note.

    Raises: UntrustedError (record.member, checkpoint.*, inclusion.*).
    """
    record = decode_record(row.record)
    if record.member != member:
        raise UntrustedError(
            "record.member",
            t("a node answered with a record of another member", "节点返回了其他成员的记录"),
            expected=member,
            actual=record.member,
        )
    proven = False
    if row.proof:
        proof = parse_proof(row.proof)
        checkpoint = seen.get(proof.note)
        if checkpoint is None:
            checkpoint = seen[proof.note] = trust.check(member, proof.note)
        verify_inclusion(leaf_hash(row.record), row.index, checkpoint.size, checkpoint.root, proof.hashes)
        proven = True
    return Row(member=member, origin=row.origin, index=row.index, record=json.loads(row.record), proven=proven)
