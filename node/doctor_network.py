"""The doctor's part about a network that somebody else runs: does its node answer, does it make blocks, what is final."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from node.chain.external import NetworkBoard, NetworkChain
from node.context import Finding
from node.findings import caution, fine, said, t, trouble

if TYPE_CHECKING:
    from node.compose import Node


def network(node: Node) -> Iterable[Finding]:
    """Every finding about the network; nothing on a chain whose blocks are made or executed here."""
    chain, board = node.core.chain, node.core.board
    if isinstance(chain, NetworkChain) and isinstance(board, NetworkBoard):
        yield from _blocks(node, chain, board)
        yield from _finality(chain, board)


def _blocks(node: Node, chain: NetworkChain, board: NetworkBoard) -> Iterable[Finding]:
    if chain.trouble is not None:
        yield trouble(chain.trouble.code, *said(chain.trouble))
    age, limit = board.age_ms(), node.core.config.chain.max_view_age * 1_000
    height = chain.head().height
    if age > limit:
        yield trouble(
            "chain.stale",
            t(
                f"the newest block of the network, {height}, is {age // 1_000} s old",
                f"该网络的最新区块 {height} 已过去 {age // 1_000} 秒",
            ),
            t(
                "ask the network's operator: it must make blocks, also when idle, and the node at external.rpc must keep up",
                "请联系该网络的运维人员：空闲时也须出块，且 external.rpc 所指节点须保持同步",
            ),
        )
    else:
        yield fine(
            "chain.fresh",
            t(
                f"block {height} of the network, made {age // 1_000} s ago",
                f"网络区块 {height}，{age // 1_000} 秒前产生",
            ),
        )


def _finality(chain: NetworkChain, board: NetworkBoard) -> Iterable[Finding]:
    height, final = chain.head().height, board.final_height()
    if not board.proves:
        yield fine(
            "chain.unproven",
            t(
                "the network's blocks carry no proof: nothing here is final, bundles say `unproven`",
                "该网络的区块不带证明：此处无终局可言，证明文件注明 `unproven`",
            ),
        )
    elif final >= height:
        yield fine("chain.final", t(f"block {final} is sealed: final", f"区块 {final} 已获签名，已终局"))
    else:
        yield caution(
            "chain.not-final",
            t(f"the head is block {height}, final is {final}", f"最新区块为 {height}，已终局为 {final}"),
            t(
                "a quorum of the network's validators must seal its blocks: the loop `network` says what is wrong",
                "须由该网络法定数的验证节点签名：`network` 循环会说明原因",
            ),
        )
