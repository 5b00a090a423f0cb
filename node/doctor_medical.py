"""What the doctor says of patients' data: whether their keys would survive this disk, whether patients are told, and
whether order systems are answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from node.context import Finding
from node.findings import caution, t
from node.web.cds import token_in

if TYPE_CHECKING:
    from node.compose import Node

#: Failures after which a notice that waits is worth a word.
_ATTEMPTS = 5


def medical(node: Node) -> Iterable[Finding]:
    """Findings of the key store and of notices, where this node keeps anything of patients, and of order systems."""
    desk, config = node.medical, node.core.config
    if config.medical.order_token_file and not token_in(config.folder / config.medical.order_token_file):
        yield caution(
            "orders.no-token",
            t(
                "order systems are not answered: the file of medical.order_token_file holds no token",
                "医嘱系统得不到答复：medical.order_token_file 所指文件中没有令牌",
            ),
            t(
                "write a token of 16 to 1,024 characters into it; it holds at once",
                "请在该文件中写入 16 至 1,024 个字符的令牌，立即生效",
            ),
        )
    if desk.keeping.exists and desk.keeping.copies is None:
        yield caution(
            "vault.no-backup",
            t(
                "the keys of patients' data are on this disk only: with it, all results kept here are lost",
                "患者数据的密钥仅存于本磁盘：磁盘损坏将导致此处保存的所有结果丢失",
            ),
            t(
                "set medical.key_backup in node.toml to a folder on another disk, then start the node again",
                "在 node.toml 中将 medical.key_backup 设为另一磁盘上的目录，然后重启节点",
            ),
        )
    stuck = [one for one in desk.notices.waiting() if one.attempts >= _ATTEMPTS and one.problem != "notice.no-contact"]
    if stuck:
        yield caution(
            "notice.stuck",
            t(
                f"{len(stuck)} notices to patients are not taken ({stuck[0].problem})",
                f"{len(stuck)} 条患者通知未被接收（{stuck[0].problem}）",
            ),
            t(
                "check medical.notice_url and the service behind it; `civicledger medical notices`",
                "请检查 medical.notice_url 及其服务；`civicledger medical notices`",
            ),
        )
