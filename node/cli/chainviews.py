"""What others saw of a log, asked for by ``civicledger log fsck``: keys and anchor on chain, the witnesses' heads.

Apart from :mod:`node.cli.logviews`, because what speaks to a chain takes a second to import.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ledger.chain.bindings import Contracts
from ledger.chain.client import ChainClient
from ledger.chain.genesis import decode_genesis
from ledger.errors import LedgerError, NotFoundError
from ledger.evidence.checkpoint import Checkpoint, Note
from node.chain.roster import Roster, read_roster
from node.cli.logviews import OK, UNCHECKED, Check, Views, signed
from node.cli.texts import t
from node.config import NodeConfig
from node.identity.peers import decode_peers
from node.mirror.judging import log_vkeys
from node.trail.anchoring import anchored_checkpoint
from node.trail.feeding import witness_view
from node.trail.witnessing import count_cosignatures


def chain_views(config: NodeConfig, origin: str, note: Note | None) -> Views:
    """Everything the running node of this folder and the witnesses can tell about the log ``origin``: nothing is asked
    of the log itself. What cannot be asked is named ``unchecked``."""
    try:
        genesis = decode_genesis(config.genesis_file.read_bytes())
        client = ChainClient(f"http://{config.local.host}:{config.local.port}", timeout=10.0)
        contracts = Contracts.in_force(client.call, genesis.contracts["Consortium"])
        roster = read_roster(contracts.consortium)
        info = roster.by_origin(origin)
        if info is None:
            raise NotFoundError("member.unknown", t(f"no member has the log {origin}", f"没有成员拥有日志 {origin}"))
        anchor = anchored_checkpoint(contracts, info.uscc, origin, info.generation)
    except LedgerError as error:
        detail = t(
            f"the node of this folder does not answer: {error.message}", f"本目录的节点没有应答：{error.message}"
        )
        return Views(
            heads=(), checks=tuple(Check(what=w, outcome=UNCHECKED, detail=detail) for w in ("keys", "anchor"))
        )
    heads: list[tuple[str, Checkpoint]] = []
    checks: list[Check] = []
    if note is not None:
        checks.append(signed(note, log_vkeys(roster, info)))
        count = len(count_cosignatures(note, roster, info.uscc))
        checks.append(
            Check(
                what="quorum",
                outcome=OK if count >= roster.quorum else UNCHECKED,
                detail=t(
                    f"{count} cosignatures, {roster.quorum} needed", f"{count} 个见证签名，需要 {roster.quorum} 个"
                ),
            )
        )
    if anchor is not None:
        heads.append(("anchor", anchor))
    else:
        checks.append(Check(what="anchor", outcome=UNCHECKED, detail=t("nothing is anchored yet", "尚未锚定")))
    seen, silent = _witnesses(config, roster, info.uscc, origin)
    return Views(heads=(*heads, *seen), checks=(*checks, *silent))


def _witnesses(
    config: NodeConfig, roster: Roster, owner: str, origin: str
) -> tuple[list[tuple[str, Checkpoint]], list[Check]]:
    peers = {peer.uscc: peer for peer in decode_peers(config.peers_file.read_bytes())}
    others = [info for info in roster.others(owner) if info.uscc in peers]

    def ask(uscc: str) -> Checkpoint | LedgerError | None:
        try:
            return witness_view(peers[uscc], origin, roster, float(config.log.witness_timeout))
        except LedgerError as error:
            return error

    heads: list[tuple[str, Checkpoint]] = []
    checks: list[Check] = []
    with ThreadPoolExecutor(max_workers=max(1, min(len(others), 16))) as pool:
        for info, answer in zip(others, pool.map(lambda one: ask(one.uscc), others), strict=True):
            if isinstance(answer, LedgerError):
                checks.append(Check(what=f"witness {info.handle}", outcome=UNCHECKED, detail=answer.message))
            elif answer is None:
                detail = t("it has seen no checkpoint of this log", "未见过此日志的检查点")
                checks.append(Check(what=f"witness {info.handle}", outcome=UNCHECKED, detail=detail))
            else:
                heads.append((f"witness {info.handle}", answer))
    return heads, checks
