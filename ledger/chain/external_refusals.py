"""How foreign EVM nodes word their refusals, as our codes. They share phrases, not numbers."""

from __future__ import annotations

import re
from typing import Final

from ledger.chain.external_link import refused
from ledger.chain.reverts import revert_error
from ledger.chain.rpc.errors import REVERTED, RpcError
from ledger.errors import LedgerError, NotFoundError

#: Of a submitted transaction, first match counts. The empty code: the node has it already.
_SUBMITTED: Final = (
    (r"already known|known transaction|already imported|already exists", ""),
    (r"nonce.{0,20}too low|already been used|old nonce", "tx.nonce-low"),
    (r"replacement|underpriced.*replac|same nonce", "tx.nonce-taken"),
    (r"nonce.{0,20}too (high|far|distant)|nonce gap|exceeds next nonce", "tx.nonce-gap"),
    (r"pool is full|pool full|pool limit|too many transactions|queue.{0,20}full", "tx.pool-full"),
    (r"chain ?id|replay.?protect", "tx.chain-id"),
    (r"not (authori[sz]ed|permitted|allowed)|permission", "tx.not-member"),
    (r"insufficient (funds|balance)|upfront cost|out of funds", "tx.balance"),
    (r"underpriced|gas price|base ?fee|max fee|priority fee", "chain.fees"),
    (r"gas limit|intrinsic gas|exceeds.{0,20}gas", "tx.gas"),
    (r"invalid (sender|signature)|signature", "tx.signature"),
)
_PRUNED: Final = re.compile(
    r"missing trie node|world state|historical|pruned|header not found|block not found|unknown block|out ?of ?range"
    r"|state .{0,20}(un|not )available",
    re.I,
)
_HEX: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*")


def submitted(refusal: RpcError) -> tuple[str, str]:
    """Code and message of a refused transaction; the code is empty where the node has it already."""
    message = refusal.message or f"refused ({refusal.code})"
    for pattern, code in _SUBMITTED:
        if re.search(pattern, message, re.I):
            return code, message
    return "chain.refused", message


def called(what: str, refusal: RpcError) -> LedgerError:
    """A refused read: the contract's revert as ``contract.*``, NotFoundError(proof.window) where the network's node no
    longer has that state, UnavailableError(chain.refused)."""
    if refusal.code == REVERTED or "revert" in refusal.message.lower():
        return revert_error(revert_data(refusal))
    if _PRUNED.search(refusal.message):
        return NotFoundError(
            "proof.window",
            f"the state of that block is gone from the network's node: {refusal.message}",
            hint="take proofs while they are in the window, or use the ones kept with each anchor",
        )
    return refused(what, refusal)


def revert_data(refusal: RpcError) -> bytes:
    """What a revert carried, wherever the node put it; empty where it did not."""
    data = refusal.data.get("data") if isinstance(refusal.data, dict) else refusal.data
    found = _HEX.search(data) if isinstance(data, str) else None
    return bytes.fromhex(found[0][2:]) if found else b""
