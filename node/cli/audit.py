"""The auditor's question, asked of many nodes: which records name this dataset or grant, each checked by its proof."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

from ledger.codec import decode_record
from ledger.errors import LedgerError, UntrustedError
from ledger.evidence.checkpoint import parse_checkpoint, parse_note, parse_proof
from ledger.evidence.merkle import leaf_hash, verify_inclusion
from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from node.cli.connect import CALL_TIMEOUT, Connection
from node.errors import from_rpc

PAGE = 500
#: Rows kept per department: more than that is an export's work.
MAX_ROWS = 20_000


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
    """All rows, and who did not answer (member, code)."""

    rows: tuple[Row, ...]
    absent: tuple[tuple[str, str], ...]
    checkpoints: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "rows": [
                {"member": r.member, "origin": r.origin, "index": r.index, "proven": r.proven, "record": r.record}
                for r in self.rows
            ],
            "absent": [{"member": member, "code": code} for member, code in self.absent],
            "checkpoints": self.checkpoints,
        }


def ask(connection: Connection, members: Sequence[str], *, dataset: bytes = b"", grant: bytes = b"") -> Answer:
    """Ask each member's node; a node that does not answer or may not tell is named, never silently left out."""
    rows: list[Row] = []
    absent: list[tuple[str, str]] = []
    checkpoints: dict[str, str] = {}
    for member in members:
        try:
            rows.extend(_ask_one(connection, member, dataset, grant, checkpoints))
        except grpc.RpcError as error:
            absent.append((member, from_rpc(error).code))
        except LedgerError as error:
            absent.append((member, error.code))
    rows.sort(key=lambda row: (row.record["time"], row.origin, row.index))
    return Answer(rows=tuple(rows), absent=tuple(absent), checkpoints=checkpoints)


def _ask_one(
    connection: Connection, member: str, dataset: bytes, grant: bytes, checkpoints: dict[str, str]
) -> list[Row]:
    stub = connection.stub(rpc.RecordServiceStub, member)
    rows: list[Row] = []
    token = ""
    while True:
        page = stub.Query(
            pb.QueryRequest(dataset=dataset, grant=grant, with_proofs=True, page_size=PAGE, page_token=token),
            timeout=CALL_TIMEOUT,
        )
        rows.extend(check_row(member, row) for row in page.rows)
        checkpoints[member] = page.checkpoint
        token = page.next_page_token
        if not token or len(rows) >= MAX_ROWS:
            return rows


def check_row(member: str, row: Any) -> Row:
    """Check a row's inclusion proof against the checkpoint inside it.

    Raises: UntrustedError (inclusion.*, record.member).
    """
    record = decode_record(row.record)
    if record.member != member:
        raise UntrustedError(
            "record.member", "a node answered with a record of another member", expected=member, actual=record.member
        )
    proven = False
    if row.proof:
        proof = parse_proof(row.proof)
        checkpoint = parse_checkpoint(parse_note(proof.note).text)
        verify_inclusion(leaf_hash(row.record), row.index, checkpoint.size, checkpoint.root, proof.hashes)
        proven = True
    return Row(member=member, origin=row.origin, index=row.index, record=json.loads(row.record), proven=proven)
