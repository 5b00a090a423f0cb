"""``civicledger medical erase | erasure-proof | verify-erasure | backup-keys | restore-keys``: keeping and forgetting."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from ledger.errors import InvalidInputError, LedgerError
from ledger.model import format_time, parse_time
from ledger.v1 import keeping_pb2 as pb
from ledger.v1 import keeping_pb2_grpc as rpc
from ledger.v1 import node_pb2, node_pb2_grpc
from ledger.verifyerasure import verify_erasure
from node.cli.connect import JsonOption, NodeOption, connect, hex32, node_folder
from node.cli.medicalgroup import app
from node.cli.output import err, facts, out, print_error, print_json
from node.cli.texts import t
from node.config import load_config
from node.identity.keyfiles import read_passphrase
from node.medical.keeping import restore_keys as put_back

__all__ = ["app"]

#: An erasure seals every other patient's key anew.
_TIMEOUT = 3_600.0
_MAX_FILE = 4 << 20


@app.command(
    "erase",
    help=t(
        "Erase patients for good: results, keys, pseudonyms, notices; the record and its proof stay. Their keys go from "
        "the key store's backup, too, so that older copies are unreadable.\n\n"
        "Example: civicledger medical erase --patient P-0017 --basis PIPL/47 --yes",
        "永久删除患者：结果、密钥、假名和通知；记录及其证明保留。密钥备份中的密钥一并销毁，旧副本不可再读。\n\n"
        "例：civicledger medical erase --patient P-0017 --basis PIPL/47 --yes",
    ),
)
def erase(
    patient: list[str] = typer.Option(
        ..., help=t("the hospital's own number; may be repeated", "本院患者编号，可多次给出")
    ),
    basis: str = typer.Option("PIPL/47", help=t("code of the legal basis, for the record", "写入记录的法律依据代码")),
    yes: bool = typer.Option(False, "--yes", help=t("do it without asking", "不再询问直接执行")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """The node erases and records; nothing brings the data back."""
    if not yes:
        typer.confirm(
            t(
                f"Erase {len(patient)} patients? Nothing brings them back.",
                f"删除 {len(patient)} 名患者？此操作不可恢复。",
            ),
            abort=True,
            err=True,
        )
    with connect(node) as connection:
        request = pb.ErasePatientsRequest(patients=patient, basis=basis)
        done = connection.stub(rpc.KeepingServiceStub).Erase(request, timeout=_TIMEOUT)
    value = {
        "statement": done.statement,
        "log_index": done.log_index,
        "patients": done.patients,
        "data": done.data,
        "commitments": done.commitments,
        "epoch": done.epoch,
        "backup": done.backup,
    }
    if as_json:
        print_json(value)
        return
    facts(
        t("Erased", "已删除"),
        {
            t("statement", "声明摘要"): done.statement.hex(),
            t("record", "记录序号"): done.log_index,
            t("patients", "患者"): done.patients,
            t("pieces of data", "数据项"): done.data,
            t("commitments without meaning", "失效承诺"): done.commitments,
            t("epoch of the key store", "密钥库纪元"): done.epoch,
            t("backup of the keys", "密钥备份"): t("forgot as well", "已同步销毁")
            if done.backup
            else t("none is set: copies made by hand must be destroyed", "未设置：须自行销毁手工副本"),
        },
    )
    out.print(
        t(
            "next: civicledger medical erasure-proof STATEMENT -o FILE",
            "下一步：civicledger medical erasure-proof 声明摘要 -o 文件",
        ),
        markup=False,
    )


@app.command(
    "erasure-proof",
    help=t(
        "Write the proof of an erasure, for the patient or an auditor.\n\n"
        "Example: civicledger medical erasure-proof 753713eb… -o erased.json --policy city.policy",
        "写出删除证明，供患者或审计人员使用。\n\n例：civicledger medical erasure-proof 753713eb… -o erased.json --policy city.policy",
    ),
)
def erasure_proof(
    statement: str = typer.Argument(..., help=t("digest of the statement, 64 hex digits", "声明摘要，64 位十六进制")),
    output: Path = typer.Option(..., "--output", "-o", help=t("file to write", "输出文件")),
    policy: Path | None = typer.Option(None, help=t("also write the trust policy here", "同时写出信任策略文件")),
    wait: int = typer.Option(30, min=0, max=60, help=t("seconds to wait for the anchor", "等待锚定的秒数")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Statement, record and everything that proves it in one file."""
    request = pb.ProveErasureRequest(statement=hex32(statement, "statement"), wait_ms=wait * 1_000)
    with connect(node) as connection:
        proof = connection.stub(rpc.KeepingServiceStub).ProveErasure(request, timeout=wait + 30).proof
        if policy is not None:
            stub = connection.stub(node_pb2_grpc.ProofServiceStub)
            policy.write_bytes(stub.GetPolicy(node_pb2.GetPolicyRequest(), timeout=30).policy)
    output.write_bytes(proof)
    if as_json:
        print_json({"proof": str(output), "bytes": len(proof), "policy": None if policy is None else str(policy)})
    else:
        out.print(t(f"wrote {output} ({len(proof)} bytes)", f"已写出 {output}（{len(proof)} 字节）"), markup=False)


@app.command(
    "verify-erasure",
    help=t(
        "Verify a proof of erasure: no network, no node, only the policy file.\n\n"
        "Example: civicledger medical verify-erasure erased.json --policy city.policy --commitment 5f0c…",
        "验证删除证明：无需网络、无需节点，只需信任策略文件。\n\n"
        "例：civicledger medical verify-erasure erased.json --policy city.policy --commitment 5f0c…",
    ),
)
def verify(
    proof: Path = typer.Argument(..., help=t("the proof file", "证明文件")),
    policy: Path = typer.Option(..., "--policy", "-p", help=t("trust policy", "信任策略文件")),
    commitment: str = typer.Option(
        "", help=t("that must be among the erased, 64 hex digits", "须在已删除之列的承诺值")
    ),
    at: str = typer.Option("", help=t("time of judging (default: the policy's)", "判定时间（默认取策略中的时间）")),
    as_json: bool = JsonOption,
) -> None:
    """Exit 0 when verified, 1 with the link that broke when not."""
    wanted = hex32(commitment, "commitment") if commitment else b""
    try:
        found = verify_erasure(_read(proof), _read(policy), parse_time(at) if at else None, wanted)
    except LedgerError as error:
        if as_json:
            print_json({"verdict": "refused", **error.to_dict()})
        else:
            err.print(t("[bold red]refused[/]", "[bold red]未通过[/]"))
            print_error(error)
        raise typer.Exit(1) from None
    if as_json:
        print_json(found.to_dict())
    else:
        statement = found.statement
        facts(
            t("Proof of erasure", "删除证明"),
            {
                t("verdict", "结论"): found.verdict.verdict,
                t("reached", "达到"): found.verdict.reached,
                t("member", "成员"): statement.member,
                t("erased", "删除时间"): format_time(statement.time_ms),
                t("legal basis", "法律依据"): statement.basis,
                t("commitments", "承诺数"): len(statement.commitments),
                t("destroyed key", "已销毁密钥"): t(
                    f"epoch {statement.ended}, {statement.ended_key.hex()[:16]}…",
                    f"第 {statement.ended} 纪元，{statement.ended_key.hex()[:16]}…",
                ),
            },
        )
    if found.verdict.verdict not in ("verified", "unproven"):
        raise typer.Exit(1)


@app.command(
    "backup-keys",
    help=t(
        "Bring the backup of the key store (medical.key_backup) up to date; what was erased is destroyed there.\n\n"
        "Example: civicledger medical backup-keys",
        "更新密钥库备份（medical.key_backup）；已删除的密钥在备份中一并销毁。\n\n例：civicledger medical backup-keys",
    ),
)
def backup_keys(node: Path | None = NodeOption, as_json: bool = JsonOption) -> None:
    """The node writes it: the key store is its own."""
    with connect(node) as connection:
        done = connection.stub(rpc.KeepingServiceStub).BackUpKeys(pb.BackUpKeysRequest(), timeout=_TIMEOUT)
    if as_json:
        print_json({"folder": done.folder, "epoch": done.epoch, "rows": done.rows})
    else:
        out.print(
            t(
                f"{done.folder}: epoch {done.epoch}, {done.rows} rows",
                f"{done.folder}：第 {done.epoch} 纪元，{done.rows} 行",
            ),
            markup=False,
        )


@app.command(
    "restore-keys",
    help=t(
        "Put the key store back from its backup, while the node does not run. It must not hold one already.\n\n"
        "Example: civicledger medical restore-keys /mnt/keys --node city/hospital",
        "在节点未运行时从备份恢复密钥库；原处不得已有密钥库。\n\n例：civicledger medical restore-keys /mnt/keys --node city/hospital",
    ),
)
def restore_keys(
    backup: Path = typer.Argument(..., help=t("folder of the backup", "备份目录")),
    node: Path | None = NodeOption,
    as_json: bool = JsonOption,
) -> None:
    """Every row is opened to check it."""
    config = load_config(node_folder(node))
    passphrase = read_passphrase(config.folder, config.passphrase_file, os.environ)
    done = put_back(config.medical_folder, passphrase, config.member.uscc, backup)
    if as_json:
        print_json({"epoch": done.epoch, "rows": done.rows})
    else:
        out.print(t(f"epoch {done.epoch}, {done.rows} rows put back", f"已恢复第 {done.epoch} 纪元，{done.rows} 行"))


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_MAX_FILE + 1)
    if len(data) > _MAX_FILE:
        raise InvalidInputError("input.file", t(f"{path} is over {_MAX_FILE} bytes", f"{path} 超过 {_MAX_FILE} 字节"))
    return data
