"""The groups of the command: where each is, and what it is for. Nothing of a group is imported to list them."""

from __future__ import annotations

from node.cli.texts import t

#: group name -> module of its typer app
GROUPS = {
    "city": "node.cli.city",
    "node": "node.cli.node",
    "member": "node.cli.member",
    "dataset": "node.cli.dataset",
    "list": "node.cli.lists",
    "grant": "node.cli.grant",
    "exchange": "node.cli.exchange",
    "licence": "node.cli.licences",
    "medical": "node.cli.medical",
    "record": "node.cli.records_query",
    "log": "node.cli.logrestore",
    "witness": "node.cli.witness",
    "mirror": "node.cli.mirror",
    "bundle": "node.cli.bundle",
    "key": "node.cli.key",
}

#: group name -> its line in the help
SAYS = {
    "city": t("A city on this machine: init, up (城市).", "本机上的一座城市：建立、启动。"),
    "node": t("A department's node: init, join, run, status (节点).", "部门节点：初始化、加入、运行、状态。"),
    "member": t("Members and votes (成员).", "成员与表决。"),
    "dataset": t("Datasets: publish, find, withdraw (数据资源).", "数据资源：发布、查询、撤回。"),
    "list": t("The three lists (三清单).", "三清单：责任、需求、负面。"),
    "grant": t("Grants: ask, approve, refuse, revoke (授权).", "授权：申请、批准、拒绝、撤销。"),
    "exchange": t("Exchanges under grants (数据共享).", "授权下的数据共享。"),
    "licence": t(
        "E-licences: types, accreditation, issue, present, verify, revoke (电子证照).",
        "电子证照：类型、授权、签发、出示、核验、撤销。",
    ),
    "medical": t("Mutual recognition of medical results (检查检验结果互认).", "检查检验结果互认。"),
    "record": t("Records of the own audit trail (审计记录).", "本部门审计记录。"),
    "log": t("The log: show, prove, check, export (日志).", "日志：查看、证明、检查、导出。"),
    "witness": t(
        "Witnessing: list, policy, evidence of forks, check (见证).", "见证：名单、策略、分叉证据、离线核验。"
    ),
    "mirror": t("Mirrors of other members' logs (镜像).", "其他成员日志的镜像。"),
    "bundle": t("Proof files (证明文件, .civic).", "证明文件（.civic）。"),
    "key": t("Keys: list, rotate, end (密钥).", "密钥：查看、轮换、终止。"),
}
DOCTOR = t("Explain what is wrong and the next step.", "说明问题所在和下一步。")
